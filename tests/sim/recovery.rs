//! What must hold between two lives of an engine, and after the last. It looks at the disk, the store and the
//! tenants' ledgers, never at what an engine says of itself, but for the one thing that it must say.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use cxtract::mock::{CallKind, LedgerEntry};
use cxtract::state::StoredExtraction;
use cxtract::{Ending, Manifest};

use crate::forms::{Files, Form, beside, files_on};
use crate::lives::{Life, Lives};
use crate::world::Asked;

fn form_of(lives: &Lives, asked: &Asked) -> Form {
    lives.due.get(&asked.report).map_or(Form::PLAIN, |(form, _)| *form)
}

/// The files that must be left in the end, but for the manifest.
fn due_files(lives: &Lives, asked: &Asked) -> Files {
    match lives.due.get(&asked.report) {
        Some((_, due)) => due.files.clone(),
        None => Files::from([(Form::PLAIN.output(&asked.report), lives.expected(asked))]),
    }
}

/// What must hold whenever somebody looks at the folder: a final name has the right bytes, and a manifest stands
/// beside the output that it tells of.
pub fn look_at_the_folder(lives: &Lives) -> Result<(), String> {
    lives.asked().iter().try_for_each(|asked| look_at(lives, asked))
}

fn look_at(lives: &Lives, asked: &Asked) -> Result<(), String> {
    let (disk, report) = (&lives.machine.disk, &asked.report);
    let form = form_of(lives, asked);
    let (found, due) = (files_on(disk, report, form), due_files(lives, asked));
    for (name, bytes) in &found {
        if due.get(name) != Some(bytes) {
            let due = due.get(name).map(Vec::len);
            return Err(format!("{} has its final name and {} bytes, due are {due:?}", name.display(), bytes.len()));
        }
    }
    let output = form.output(report);
    let Some(text) = disk.contents(&beside(&output, ".manifest.json")) else { return Ok(()) };
    let told: Manifest =
        serde_json::from_slice(&text).map_err(|error| format!("{report}: an unreadable manifest: {error}"))?;
    if found != due {
        return Err(format!("{report}: a manifest beside {:?} alone", found.keys()));
    }
    if told.output.sha256 != sha256(&found[&output]) || told.output.bytes != found[&output].len() as u64 {
        return Err(format!("{report}: a manifest beside another output than it tells of"));
    }
    lives.due.get(report).map_or(Ok(()), |(_, due)| due.judge_manifest(report, &told))
}

/// What must hold when all is done: that, and nothing else is left.
pub fn look_at_the_end(lives: &Lives) -> Result<(), String> {
    look_at_the_folder(lives)?;
    let mut due = BTreeSet::<PathBuf>::new();
    for asked in lives.asked() {
        due.extend(due_files(lives, asked).into_keys());
        due.insert(beside(&form_of(lives, asked).output(&asked.report), ".manifest.json"));
    }
    let found: BTreeSet<PathBuf> = lives.machine.disk.names().into_iter().collect();
    if due == found { Ok(()) } else { Err(format!("the disk holds {found:?}")) }
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether every report is delivered, now or by an earlier life.
pub fn is_done(life: &Life) -> bool {
    let Life::Over(endings) = life else { return false };
    endings.values().all(|ending| matches!(ending, Ok(Ending::Complete(_) | Ending::Skipped(_))))
}

/// What is known between two lives.
pub struct Between {
    /// By the store.
    pub stored: Vec<StoredExtraction>,
    n_calls: BTreeMap<String, usize>,
}

impl Between {
    /// Now.
    pub fn now(lives: &Lives) -> Self {
        let n_calls = lives.tenants().map(|name| (name.clone(), lives.ledger(name).len())).collect();
        Self { stored: lives.stored(), n_calls }
    }

    /// Submissions of a report whose outcome nobody knows.
    pub fn n_in_doubt(&self, report: &str) -> usize {
        let of_report = self.stored.iter().filter(|stored| stored.key.report.as_str() == report);
        of_report.map(|stored| stored.submissions.len()).sum()
    }
}

/// Holds the calls since then to what was stored then: nothing below a position is asked for again, and nothing of a
/// query that was read to its end. How many pages were asked for that had come before is the result.
pub fn judge_calls(lives: &Lives, since: &Between) -> Result<usize, String> {
    let mut again = 0;
    for (tenant, n_before) in &since.n_calls {
        let ledger = lives.ledger(tenant);
        let (before, after) = ledger.split_at(*n_before);
        let is_page = |call: &&LedgerEntry| call.kind == CallKind::Page;
        let was_known: BTreeSet<_> = before.iter().filter_map(|call| call.query.as_deref()).collect();
        for call in after.iter().filter(is_page) {
            let (query, page) = (call.query.as_deref().unwrap_or_default(), call.page.unwrap_or(0));
            if was_known.contains(query) {
                judge_page(&since.stored, query, page)?;
            }
        }
        let name = |call: &LedgerEntry| (call.query.clone(), call.page);
        let had: BTreeSet<_> =
            before.iter().filter(is_page).filter(|call| call.status == 200 && call.ended.is_some()).map(name).collect();
        again += after.iter().filter(is_page).filter(|call| had.contains(&name(call))).count();
    }
    Ok(again)
}

fn judge_page(stored: &[StoredExtraction], query: &str, page: u64) -> Result<(), String> {
    let Some(stored) = stored.iter().find(|stored| stored.queries.values().any(|known| known.id.as_str() == query))
    else {
        return Err(format!("page {page} was asked for of query {query}, which is read to its end or unknown"));
    };
    match stored.checkpoint.as_ref().map(|checkpoint| &checkpoint.position) {
        Some(position)
            if position.query_id.as_ref().is_some_and(|id| id.as_str() == query) && page < position.next_page.0 =>
        {
            Err(format!("page {page} was asked for again, the stored position is page {}", position.next_page))
        }
        _ => Ok(()),
    }
}

/// Each part's query is submitted once, and once more at most for each cut that fell between sending and storing;
/// then somebody is told.
pub fn judge_submissions(lives: &Lives, asked: &Asked, n_parts: usize, in_doubt: usize) -> Result<(), String> {
    let (report, n_queries) = (&asked.report, lives.n_queries(asked));
    if n_queries > n_parts + in_doubt {
        return Err(format!("{report}: {n_queries} queries for {n_parts} parts, and {in_doubt} of unknown outcome"));
    }
    let is_told = lives.remarks.lock().iter().any(|remark| remark.contains("owner"));
    if in_doubt > 0 && !is_told {
        return Err(format!("{report}: nobody was told of a query that may be left without an owner"));
    }
    Ok(())
}
