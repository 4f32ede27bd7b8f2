//! What must hold after a kill, and what at the end of all runs. It looks at files, the state store and the tenant's
//! ledger, never at what a run says of itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use cxtract::Manifest;
use cxtract::mock::{CallKind, LedgerEntry};
use cxtract::model::{PartRecord, Verdict};
use cxtract::state::StoredExtraction;
use sha2::{Digest, Sha256};

use crate::place::Place;

/// What is known between two runs.
pub struct Between {
    stored: Vec<StoredExtraction>,
    n_calls: usize,
}

impl Between {
    /// Now.
    pub fn now(place: &Place) -> Self {
        Self { stored: place.stored(), n_calls: place.n_calls() }
    }

    /// Submissions of a report whose outcome nobody knows.
    pub fn n_in_doubt(&self, report: &str) -> usize {
        self.of(report).map(|stored| stored.submissions.len()).sum()
    }

    fn of(&self, report: &str) -> impl Iterator<Item = &StoredExtraction> {
        self.stored.iter().filter(move |stored| stored.key.report.as_str() == report)
    }
}

fn is_page(call: &LedgerEntry) -> bool {
    call.kind == CallKind::Page
}

/// Holds the calls since then to what was stored then: nothing below a position is asked for again, and nothing of a
/// query that was read to its end. How many pages of each report came a second time is the result.
pub fn judge_calls(place: &Place, since: &Between) -> BTreeMap<String, usize> {
    let ledger = place.mock.ledger();
    let (before, after) = ledger.split_at(since.n_calls);
    let templates: BTreeMap<String, String> = place
        .mock
        .with(|tenant| tenant.queries().iter().map(|query| (query.id.clone(), query.template.clone())).collect());
    let was_known: BTreeSet<&str> = before.iter().filter_map(|call| call.query.as_deref()).collect();
    for call in after.iter().filter(|call| is_page(call)) {
        let (query, page) = (call.query.as_deref().unwrap(), call.page.unwrap());
        if !was_known.contains(query) {
            continue;
        }
        let report = &templates[query];
        let Some(stored) = since.of(report).find(|stored| stored.queries.values().any(|q| q.id.as_str() == query))
        else {
            panic!("{report}: page {page} was asked for of a query that is read to its end or unknown");
        };
        let Some(position) = stored.checkpoint.as_ref().map(|checkpoint| &checkpoint.position) else { continue };
        if position.query_id.as_ref().is_some_and(|id| id.as_str() == query) {
            let next = position.next_page.0;
            assert!(page >= next, "{report}: page {page} was fetched again, the stored position is page {next}");
        }
    }
    let name = |call: &LedgerEntry| (call.query.clone(), call.page);
    let came = |call: &&LedgerEntry| is_page(call) && call.status == 200 && call.ended.is_some() && call.bytes > 0;
    let had: BTreeSet<_> = before.iter().filter(came).map(name).collect();
    let mut again = BTreeMap::new();
    for call in after.iter().filter(came).filter(|call| had.contains(&name(call))) {
        *again.entry(templates[call.query.as_deref().unwrap()].clone()).or_default() += 1;
    }
    again
}

/// What must hold whenever somebody looks: a final name has the right bytes, and a manifest stands beside all that
/// belongs to it.
pub fn judge_folder(place: &Place, report: &str) {
    let due = place.due(report);
    let sides = ["rejects.csv", "repairs.jsonl"].map(|side| format!("out/{report}.csv.{side}"));
    let names = sides.into_iter().chain([place.output_name(report)]);
    let found: BTreeMap<_, _> =
        names.filter_map(|name| Some((name.clone(), fs::read(place.path(&name)).ok()?))).collect();
    for (name, bytes) in &found {
        assert!(due.get(name) == Some(bytes), "{report}: wrong bytes under the final name {name}");
    }
    let Some(manifest) = manifest(place, report) else { return };
    assert!(found.keys().eq(due.keys()), "{report}: a manifest beside {:?} alone", found.keys());
    let output = &found[&place.output_name(report)];
    let sha256: String = Sha256::digest(output).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(manifest.output.sha256, sha256, "{report}: a manifest beside another output than it tells of");
    assert_eq!(manifest.output.bytes, output.len() as u64);
    if !place.due.contains_key(report) {
        judge_manifest(place, report, &manifest);
    }
}

/// A manifest says the same, whatever the report went through: the tenant's own counts are the measure.
fn judge_manifest(place: &Place, report: &str, manifest: &Manifest) {
    let rows = place.mock.expected(report).rows();
    assert_eq!((manifest.output.rows, manifest.reconciliation.rows), (rows, rows), "{report}");
    assert_eq!(manifest.reconciliation.verdict, Verdict::Match, "{report}: {:?}", manifest.reconciliation);
    let Some(parts) = &manifest.parts else {
        assert!(manifest.query_id.is_some(), "{report}: neither a query nor parts");
        return;
    };
    assert_eq!((parts[0].window.from, parts[parts.len() - 1].window.to), (manifest.window.from, manifest.window.to));
    assert!(parts.windows(2).all(|two| two[0].window.to.0 + 1 == two[1].window.from.0), "{report}: {parts:?}");
    let sum = |of: fn(&PartRecord) -> u64| parts.iter().map(of).sum::<u64>();
    assert_eq!((sum(|part| part.rows), sum(|part| part.pages)), (rows, manifest.pages), "{report}: {parts:?}");
    let header = fs::read(place.output(report)).unwrap().iter().position(|b| *b == b'\n').unwrap() as u64 + 1;
    assert_eq!(sum(|part| part.bytes) + header, manifest.output.bytes, "{report}: {parts:?}");
}

/// The manifest, if there is one.
pub fn manifest(place: &Place, report: &str) -> Option<Manifest> {
    let text = fs::read(place.path(&format!("{}.manifest.json", place.output_name(report)))).ok()?;
    Some(serde_json::from_slice(&text).expect("a manifest that can be read"))
}

/// What must hold at the end: every report is delivered, and nothing else is left.
pub fn judge_end(place: &Place) {
    let mut names = BTreeSet::new();
    for (report, ..) in &place.reports {
        judge_folder(place, report);
        names.extend(place.due(report).into_keys());
        names.insert(format!("{}.manifest.json", place.output_name(report)));
    }
    assert_eq!(place.names(), names, "what a run must leave, and nothing else");
    assert!(!place.said().contains("canary-secret"));
}

/// The queries of a report that the tenant has accepted.
pub fn n_queries(place: &Place, report: &str) -> usize {
    place.mock.with(|tenant| tenant.queries().iter().filter(|query| query.template == report).count())
}
