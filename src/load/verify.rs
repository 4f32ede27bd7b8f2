//! Compares every delivered file with what the tenant had, byte for byte, on a thread of its own.
//!
//! The mock writes what it expects from the same rows that its pages were made of, and no parser takes part: a file is
//! right or it is not. Of a tenant that somebody else runs only its counts are known; then the records of the file are
//! counted and held against its manifest and those counts. Where there is no count either the output stays unchecked.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;

use sha2::{Digest, Sha256};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::Manifest;
use crate::mock::Expected;
use crate::model::{OutputNames, Window};

use super::machine::CHECKER;
use super::settings::{Inspect, LoadError};

/// How much is compared at once.
const PIECE: usize = 256 << 10;

/// A delivered output.
pub(super) struct Delivered {
    /// Which tenant's, by its place.
    pub(super) tenant: usize,
    /// Which of its reports, for people.
    pub(super) report: String,
    pub(super) path: PathBuf,
    pub(super) manifest: Arc<Manifest>,
    /// What was asked for.
    pub(super) window: Window,
    /// What the tenant had; none where nobody here knows.
    pub(super) expected: Option<Expected>,
}

/// What became of one output.
pub(super) struct Checked {
    pub(super) tenant: usize,
    pub(super) report: String,
    pub(super) finding: Finding,
}

/// What a look at an output has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// It is what the tenant had.
    Right,
    /// It is not; what is wrong with it.
    Wrong(String),
    /// There is nothing to hold it against; why.
    Unchecked(String),
}

/// Checks outputs.
pub(super) struct Checker {
    jobs: Option<mpsc::Sender<Delivered>>,
    results: UnboundedReceiver<Checked>,
    /// Outputs that wait until the load is over, so that checking takes nothing from what is measured.
    held: Option<Vec<Delivered>>,
    is_over: Arc<AtomicBool>,
    n_added: u64,
}

impl Checker {
    /// Starts the thread. `at_the_end` holds everything back until then; otherwise an output is checked as soon as it is
    /// delivered. It is removed then unless it is to stay, since a long load would fill the disk; one that is wrong stays.
    ///
    /// # Errors
    /// If there is no thread to be had.
    pub(super) fn start(at_the_end: bool, keep: bool, inspect: Option<Inspect>) -> Result<Self, LoadError> {
        let (jobs, queue) = mpsc::channel();
        let (told, results) = unbounded_channel();
        let is_over = Arc::new(AtomicBool::new(false));
        let over = is_over.clone();
        let work = move || check_all(&queue, &told, &over, keep, inspect.as_ref());
        std::thread::Builder::new()
            .name(CHECKER.to_owned())
            .spawn(work)
            .map_err(|error| LoadError::Settings(format!("there is no thread to check outputs on: {error}")))?;
        Ok(Self { jobs: Some(jobs), results, held: at_the_end.then(Vec::new), is_over, n_added: 0 })
    }

    /// Has an output checked.
    pub(super) fn add(&mut self, delivered: Delivered) {
        self.n_added += 1;
        match (&mut self.held, &self.jobs) {
            (Some(held), _) => held.push(delivered),
            (None, Some(jobs)) => drop(jobs.send(delivered)),
            (None, None) => {}
        }
    }

    /// How many were added.
    pub(super) fn n_added(&self) -> u64 {
        self.n_added
    }

    /// Nothing more comes: begins with what was held back.
    pub(super) fn close(&mut self) {
        if let Some(jobs) = self.jobs.take() {
            self.held.take().into_iter().flatten().for_each(|delivered| drop(jobs.send(delivered)));
        }
    }

    /// The next result; none once all are told.
    pub(super) async fn next(&mut self) -> Option<Checked> {
        self.results.recv().await
    }

    /// Leaves unchecked what is not checked yet.
    pub(super) fn give_up(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

impl Drop for Checker {
    fn drop(&mut self) {
        self.give_up();
    }
}

fn check_all(
    queue: &mpsc::Receiver<Delivered>,
    told: &UnboundedSender<Checked>,
    is_over: &AtomicBool,
    keep: bool,
    inspect: Option<&Inspect>,
) {
    while let Ok(delivered) = queue.recv() {
        if is_over.load(Ordering::Relaxed) {
            continue;
        }
        if let Some(inspect) = inspect {
            inspect(&delivered.path);
        }
        let finding = check(&delivered).unwrap_or_else(Finding::Wrong);
        if !keep && !matches!(finding, Finding::Wrong(_)) {
            // What can't be removed goes with the whole folder.
            let _ = std::fs::remove_file(&delivered.path);
            let _ = std::fs::remove_file(OutputNames::of(&delivered.path).manifest());
        }
        let checked = Checked { tenant: delivered.tenant, report: delivered.report, finding };
        if told.send(checked).is_err() {
            return;
        }
    }
}

/// Looks at an output.
///
/// # Errors
/// What is wrong with it.
fn check(delivered: &Delivered) -> Result<Finding, String> {
    let Delivered { path, manifest, window, expected, .. } = delivered;
    if manifest.window != *window {
        let (from, to) = (manifest.window.from, manifest.window.to);
        return Err(format!("its manifest is of another window, {from} to {to}"));
    }
    let sha256 = match expected {
        Some(expected) => compared(path, expected)?,
        None => hashed(path).map_err(|error| format!("the delivered file can't be read: {error}"))?,
    };
    if manifest.output.sha256 != sha256 {
        return Err("the sha256 in its manifest is not that of the file".to_owned());
    }
    let reconciled = &manifest.reconciliation;
    let said = manifest.output.rows;
    if let Some(expected) = expected {
        return if said == expected.rows() {
            Ok(Finding::Right)
        } else {
            Err(format!("its manifest says {said} rows, the tenant had {}", expected.rows()))
        };
    }
    let rows = records(path, !manifest.columns.is_empty())?;
    if rows != said {
        return Err(format!("the file has {rows} rows, its manifest says {said}"));
    }
    let received = rows + manifest.csv.rejected;
    // The last count is the one that a tenant whose rows grow has held to.
    match reconciled.total_rows.or(reconciled.total_count_last) {
        Some(told) if told == received => Ok(Finding::Right),
        Some(told) => Err(format!("it has {received} rows, the tenant told of {told}")),
        None => Ok(Finding::Unchecked("the tenant told of no count to hold its rows against".to_owned())),
    }
}

/// The records of a file, without its header.
fn records(path: &Path, has_header: bool) -> Result<u64, String> {
    let unreadable = |error: csv::Error| format!("the delivered file can't be read as CSV: {error}");
    let mut reader =
        csv::ReaderBuilder::new().has_headers(has_header).flexible(true).from_path(path).map_err(unreadable)?;
    let mut record = csv::ByteRecord::new();
    let mut n = 0;
    while reader.read_byte_record(&mut record).map_err(unreadable)? {
        n += 1;
    }
    Ok(n)
}

/// Compares the file with what is due; the file's SHA-256.
fn compared(path: &Path, expected: &Expected) -> Result<String, String> {
    let unreadable = |error: io::Error| format!("the delivered file can't be read: {error}");
    let file = File::open(path).map_err(unreadable)?;
    let mut comparer = Comparer { file, piece: vec![0; PIECE], hash: Sha256::new(), at: 0, differs: None };
    match (expected.write(&mut comparer), comparer.differs) {
        (_, Some(at)) => return Err(format!("the file differs from the tenant's data from byte {at} on")),
        (Err(error), None) => return Err(unreadable(error)),
        (Ok(_), None) => {}
    }
    match comparer.file.read(&mut comparer.piece) {
        Ok(0) => Ok(hex(comparer.hash)),
        Ok(_) => Err(format!("the file goes on after byte {}, where the tenant's data ends", comparer.at)),
        Err(error) => Err(unreadable(error)),
    }
}

/// Reads as much of the file as is written to it, and compares the two.
struct Comparer {
    file: File,
    piece: Vec<u8>,
    hash: Sha256,
    at: u64,
    differs: Option<u64>,
}

impl Write for Comparer {
    fn write(&mut self, due: &[u8]) -> io::Result<usize> {
        let due = &due[..due.len().min(self.piece.len())];
        let mut n_read = 0;
        while n_read < due.len() {
            match self.file.read(&mut self.piece[n_read..due.len()])? {
                0 => break,
                n => n_read += n,
            }
        }
        let found = &self.piece[..n_read];
        if found != due {
            let same = found.iter().zip(due).take_while(|(found, due)| found == due).count();
            self.differs = Some(self.at + same as u64);
            return Err(io::Error::other("the file differs"));
        }
        self.hash.update(found);
        self.at += n_read as u64;
        Ok(n_read)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn hashed(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut piece = vec![0; PIECE];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(hex(hash)),
            n => hash.update(&piece[..n]),
        }
    }
}

fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mock::{MockReport, MockTenant};
    use crate::model::Timestamp;

    const WINDOW: Window = Window { from: Timestamp(0), to: Timestamp(999) };

    fn expected() -> Expected {
        // More than one piece.
        MockTenant::builder().default_report(MockReport::with_rows(8_000)).build().expected_for("load", WINDOW)
    }

    /// What is said of a file with those bytes.
    fn said(change: impl FnOnce(&mut Vec<u8>)) -> Result<(), String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        let expected = expected();
        let mut bytes = expected.bytes();
        assert!(bytes.len() > PIECE);
        change(&mut bytes);
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(hashed(&path).unwrap(), hex(Sha256::new_with_prefix(&bytes)));
        compared(&path, &expected).map(|sha256| assert_eq!(sha256, hex(Sha256::new_with_prefix(&bytes))))
    }

    /// An output of three rows, one of them over two lines, as it should be delivered where only counts are known.
    fn delivered(folder: &Path) -> Delivered {
        let path = folder.join("a.csv");
        std::fs::write(&path, "id,text\n1,\"two\nlines\"\n2,b\n3,c\n").unwrap();
        let manifest = serde_json::json!({
            "version": 1, "report": "a", "tenant": "t", "query_id": "q",
            "window": {"from": "1970-01-01T00:00:00.000Z", "to": "1970-01-01T00:00:00.999Z"},
            "output": {"path": "a.csv", "bytes": 0, "rows": 3, "sha256": hashed(&path).unwrap()},
            "columns": ["id", "text"], "pages": 1,
            "reconciliation": {"rows": 3, "total_count_first": 3, "total_count_last": 3, "total_rows": 3,
                "verdict": "match"},
            "csv": {"repaired": 0, "rejected": 0},
            "http": {"requests": 1, "retries": 0, "throttled": 0, "token_refreshes": 0, "breaker_opens": 0},
            "resumed": 0, "started_at": "1970-01-01T00:00:00.000Z", "finished_at": "1970-01-01T00:00:00.000Z",
        });
        let manifest = Arc::new(serde_json::from_value(manifest).unwrap());
        Delivered { tenant: 0, report: "a".into(), path, manifest, window: WINDOW, expected: None }
    }

    /// What a look finds after that change of the manifest.
    fn found(change: impl FnOnce(&mut Delivered)) -> Result<Finding, String> {
        let folder = tempfile::tempdir().unwrap();
        let mut delivered = delivered(folder.path());
        change(&mut delivered);
        check(&delivered)
    }

    fn manifest(delivered: &mut Delivered) -> &mut Manifest {
        Arc::make_mut(&mut delivered.manifest)
    }

    #[test]
    fn an_output_is_held_against_its_window_its_hash_its_manifest_and_the_tenants_counts() {
        assert_eq!(found(|_| ()), Ok(Finding::Right));
        type Change = fn(&mut Delivered);
        let cases: [(Change, &str); 6] = [
            (|d| d.window.to = Timestamp(1000), "of another window"),
            (|d| manifest(d).output.sha256.replace_range(..1, "x"), "sha256"),
            (|d| manifest(d).output.rows = 4, "the file has 3 rows, its manifest says 4"),
            (|d| manifest(d).reconciliation.total_rows = Some(5), "it has 3 rows, the tenant told of 5"),
            (|d| manifest(d).csv.rejected = 1, "it has 4 rows, the tenant told of 3"),
            (|d| std::fs::remove_file(&d.path).unwrap(), "can't be read"),
        ];
        for (change, due) in cases {
            let wrong = found(change).unwrap_err();
            assert!(wrong.contains(due), "{due}: {wrong}");
        }
    }

    #[test]
    fn where_the_tenant_told_of_no_count_an_output_is_unchecked() {
        let no_counts = |d: &mut Delivered| {
            let counts = &mut manifest(d).reconciliation;
            (counts.total_rows, counts.total_count_last) = (None, None);
        };
        assert!(matches!(found(no_counts), Ok(Finding::Unchecked(_))));
        let only_header = |d: &mut Delivered| manifest(d).reconciliation.total_rows = None;
        assert_eq!(found(only_header), Ok(Finding::Right));
    }

    #[tokio::test]
    async fn an_output_that_was_looked_at_is_removed_unless_it_is_wrong_or_to_stay() {
        type Change = fn(&mut Delivered);
        let right: Change = |_| ();
        let unchecked: Change = |d| {
            let counts = &mut manifest(d).reconciliation;
            (counts.total_rows, counts.total_count_last) = (None, None);
        };
        let wrong: Change = |d| manifest(d).output.rows = 4;
        let cases = [(right, false), (unchecked, false), (wrong, true)];
        for ((change, stays), keep) in cases.into_iter().flat_map(|case| [(case, false), (case, true)]) {
            let folder = tempfile::tempdir().unwrap();
            let mut delivered = delivered(folder.path());
            change(&mut delivered);
            let path = delivered.path.clone();
            let mut checker = Checker::start(false, keep, None).unwrap();
            checker.add(delivered);
            let finding = checker.next().await.unwrap().finding;
            assert_eq!(path.exists(), stays || keep, "{finding:?}");
        }
    }

    #[test]
    fn rows_of_a_manifest_are_held_against_what_the_tenant_had() {
        let expected = expected();
        let due = |d: &mut Delivered| {
            std::fs::write(&d.path, expected.bytes()).unwrap();
            manifest(d).output.sha256 = hashed(&d.path).unwrap();
            manifest(d).output.rows = 8_000;
            d.expected = Some(expected.clone());
        };
        assert_eq!(found(due), Ok(Finding::Right));
        let wrong = found(|d| {
            due(d);
            manifest(d).output.rows = 7_999;
        });
        assert!(wrong.unwrap_err().contains("7999 rows, the tenant had 8000"));
    }

    #[test]
    fn a_file_that_is_what_the_tenant_had_is_right() {
        said(|_| ()).unwrap();
    }

    #[test]
    fn a_byte_too_many_too_few_or_wrong_is_found_where_it_is() {
        let at = PIECE + 7;
        let wrong = said(|bytes| bytes[at] ^= 1).unwrap_err();
        assert!(wrong.ends_with(&format!("from byte {at} on")), "{wrong}");
        let short = said(|bytes| bytes.truncate(at)).unwrap_err();
        assert!(short.ends_with(&format!("from byte {at} on")), "{short}");
        let long = said(|bytes| bytes.push(b'\n')).unwrap_err();
        assert!(long.contains("goes on after byte"), "{long}");
        let empty = said(Vec::clear).unwrap_err();
        assert!(empty.ends_with("from byte 0 on"), "{empty}");
    }
}
