//! `cxtract forget`: drops a report's unfinished work, in the store and on the disk.
//!
//! What is complete stays: files, records, watermarks. An extraction whose delivery has begun is not dropped but
//! delivered to its end, which takes nothing but this machine: its old manifest may be gone already, and half of the
//! new files may stand under their final names. Files go before records, so that a call that was cut off can be
//! repeated.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use cxtract::config::{ReportConfig, Zone};
use cxtract::model::{Disk, ReportName, ReportState, TenantName, Window};
use cxtract::sink::{OutputNames, Publication, SinkError};
use cxtract::state::{Claim, ExtractionKey, Origin, Store, StoreError, StoredExtraction};

use crate::cli::exit::{Exit, Trouble};
use crate::cli::{windows, words};

/// What is to be forgotten.
#[derive(Debug)]
pub(crate) struct Forget<'a> {
    /// The report's name as it was written.
    pub(crate) report: &'a str,
    /// As it is configured, if it still is.
    pub(crate) configured: Option<&'a ReportConfig>,
    /// Only this window; all where there is none.
    pub(crate) window: Option<Window>,
}

impl Forget<'_> {
    /// The zone whose days the report's windows have.
    pub(crate) fn zone(&self) -> Zone {
        self.configured.map_or(Zone::UTC, |report| report.window.zone.clone())
    }

    /// Forgets, and tells `say` of each thing that was done when it is done.
    ///
    /// # Errors
    /// What is in the way. What was told of before is done.
    pub(crate) fn carry_out(
        &self,
        store: &dyn Store,
        disk: &dyn Disk,
        say: &mut dyn FnMut(String),
    ) -> Result<(), Trouble> {
        let known = self.known(store)?;
        if known.is_empty() && self.configured.is_none() {
            return Err(Trouble::refused(&self.unknown()));
        }
        let claims = self.claims(store, &known)?;
        // Whoever held a claim until now may have finished in the meantime. What has come in since is nobody's to drop.
        let known = self.known(store)?;
        let is_claimed =
            |key: &ExtractionKey| claims.iter().any(|(of, _)| *of == (key.report.clone(), key.tenant.clone()));
        let is_in_window = |key: &ExtractionKey| self.window.is_none_or(|window| key.window == window);
        let meant = |stored: &&StoredExtraction| is_claimed(&stored.key) && is_in_window(&stored.key);
        let (unfinished, complete): (Vec<_>, Vec<_>) =
            known.iter().filter(meant).partition(|stored| stored.state != ReportState::Complete);
        if unfinished.is_empty() {
            say(self.nothing(&complete));
        }
        for stored in unfinished {
            self.one(store, disk, stored, say)?;
        }
        Ok(())
    }

    /// Where no run has stored anything yet.
    ///
    /// # Errors
    /// If there is no such report.
    pub(crate) fn without_store(&self, say: &mut dyn FnMut(String)) -> Result<(), Trouble> {
        if self.configured.is_none() {
            return Err(Trouble::refused(&self.unknown()));
        }
        say(self.nothing(&[]));
        Ok(())
    }

    /// Claims every report that is meant, whether anything of it is unfinished or not: a run may be about to begin.
    fn claims(&self, store: &dyn Store, known: &[StoredExtraction]) -> Result<Vec<(Owner, Claim)>, Trouble> {
        let configured = self.configured.map(|report| (report.name.clone(), report.tenant.clone()));
        let stored = known.iter().map(|stored| (stored.key.report.clone(), stored.key.tenant.clone()));
        let owners: BTreeSet<Owner> = configured.into_iter().chain(stored).collect();
        let claimed = |owner: Owner| match store.claim(&owner.0, &owner.1)? {
            Some(claim) => Ok((owner, claim)),
            None => {
                let message = format!(
                    "another process works on {} at {}; nothing was forgotten; stop it, or let it end",
                    owner.0, owner.1
                );
                Err(Trouble { exit: Exit::Parked, message })
            }
        };
        owners.into_iter().map(claimed).collect()
    }

    fn known(&self, store: &dyn Store) -> Result<Vec<StoredExtraction>, StoreError> {
        let mut known = store.list()?;
        known.retain(|stored| stored.key.report.as_str().eq_ignore_ascii_case(self.report));
        Ok(known)
    }

    fn one(
        &self,
        store: &dyn Store,
        disk: &dyn Disk,
        stored: &StoredExtraction,
        say: &mut dyn FnMut(String),
    ) -> Result<(), Trouble> {
        let name = format!("{} ({})", stored.key.report, windows::shown(&stored.key.window, &self.zone()));
        if let Some(publication) = publication(stored)? {
            match publication.redo(disk) {
                Ok(()) => {
                    let watermark = self.watermark(stored).then_some(stored.key.window.to);
                    store.complete(&stored.key, &publication.manifest, watermark)?;
                    let file = shown(&publication.output.path);
                    say(format!("{name}: it was whole and being delivered, so that was finished: {file}"));
                    return Ok(());
                }
                Err(error @ SinkError::Lost { .. }) => {
                    say(format!("{name}: its delivery can't be finished: {}", words::escaped(&error.to_string())));
                }
                Err(error) => return Err(local(&error)),
            }
        }
        // If what follows is cut off, the next run starts anew instead of looking for files that are gone.
        store.save_state(&stored.key, ReportState::Failed, Some("being forgotten"))?;
        let mut removed = Vec::new();
        for path in leftovers(store, stored)? {
            if disk.remove(&path).map_err(|error| local(&format!("{}: {error}", shown(&path))))? {
                removed.push(shown(&path));
            }
        }
        store.forget(&stored.key)?;
        let rows = stored.checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.position.n_rows);
        let was = format!("{}, with {}", stored.state.as_str(), words::n_of(rows, "row"));
        let files = if removed.is_empty() { String::new() } else { format!("; removed {}", removed.join(", ")) };
        say(format!("{name}: forgotten ({was}){files}"));
        Ok(())
    }

    fn watermark(&self, stored: &StoredExtraction) -> bool {
        stored.begun.origin == Origin::Configured && self.configured.is_some_and(|report| report.window.is_since())
    }

    fn unknown(&self) -> String {
        format!(
            "there is no report named {}, neither in the configuration nor in the state store",
            self.report.escape_default()
        )
    }

    fn nothing(&self, complete: &[&StoredExtraction]) -> String {
        let report = self.report.escape_default();
        match self.window.map(|window| windows::shown(&window, &self.zone())) {
            None => format!("{report}: nothing unfinished is stored of it"),
            Some(window) if complete.is_empty() => format!("{report} ({window}): nothing is stored of that window"),
            Some(window) => format!("{report} ({window}): it is complete; its file and its record stay"),
        }
    }
}

/// A report at a tenant.
type Owner = (ReportName, TenantName);

/// How a delivery that was begun is finished; none where there are no files to show.
fn publication(stored: &StoredExtraction) -> Result<Option<Publication>, StoreError> {
    let delivery = stored.delivery.as_deref().filter(|_| is_file(&stored.begun.output));
    delivery.map(Publication::parse).transpose().map_err(|why| StoreError::Damaged {
        what: format!("how to finish the delivery of {} can't be read: {why}", stored.key.report),
    })
}

fn is_file(output: &str) -> bool {
    !matches!(output, "" | "-")
}

/// The files that are made while the extraction runs, where no other one may have made them.
fn leftovers(store: &dyn Store, stored: &StoredExtraction) -> Result<Vec<PathBuf>, StoreError> {
    let output = &stored.begun.output;
    if !is_file(output) {
        return Ok(Vec::new());
    }
    let shares = |other: &StoredExtraction| {
        other.key != stored.key && other.state != ReportState::Complete && other.begun.output == *output
    };
    if store.list()?.iter().any(shares) {
        return Ok(Vec::new());
    }
    Ok(OutputNames::of(output).unfinished().into())
}

fn local(error: &dyn std::fmt::Display) -> Trouble {
    let message = format!("{}; nothing more was forgotten", words::escaped(&error.to_string()));
    Trouble { exit: Exit::Failed, message }
}

fn shown(path: &Path) -> String {
    words::escaped(&crate::cli::setup::shown_path(path.to_owned()).to_string_lossy())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use cxtract::delivery::SimDisk;
    use cxtract::model::{FileMark, OpenMode, PageNumber, Position, Timestamp, WallClock};
    use cxtract::sink::Deliverable;
    use cxtract::state::{Begun, Checkpoint, ExtractionKey, MemoryStore};
    use sha2::{Digest, Sha256};

    use super::*;

    const DAY: i64 = 86_400_000;

    struct Place {
        store: MemoryStore,
        disk: Arc<dyn Disk>,
    }

    fn day(n: i64) -> Window {
        Window { from: Timestamp(n * DAY), to: Timestamp((n + 1) * DAY - 1) }
    }

    fn key(report: &str, day_nr: i64) -> ExtractionKey {
        let (report, tenant) = (ReportName::new(report), TenantName::new("acme"));
        ExtractionKey { report, tenant, window: day(day_nr), hash: "h".into() }
    }

    impl Place {
        fn new() -> Self {
            let store = MemoryStore::new(WallClock::new(|| Timestamp(0)));
            let disk: Arc<dyn Disk> = Arc::new(SimDisk::new());
            disk.create_dir_all(Path::new("/out")).unwrap();
            Self { store, disk }
        }

        fn put(&self, path: &str, text: &str) {
            let mut file = self.disk.open(Path::new(path), OpenMode::CreateNew).unwrap();
            file.write_all(text.as_bytes()).unwrap();
        }

        fn has(&self, path: &str) -> bool {
            self.disk.facts(Path::new(path)).unwrap().is_some()
        }

        fn begin(&self, key: &ExtractionKey, output: &str) {
            let begun = Begun { origin: Origin::Configured, form: "{}".into(), output: output.into() };
            self.store.begin(key, &begun).unwrap();
        }

        /// An extraction that has 50 rows in its part.
        fn unfinished(&self, report: &str, day_nr: i64, output: &str) -> ExtractionKey {
            let key = key(report, day_nr);
            self.begin(&key, output);
            let output = FileMark { offset: 3, crc32: 0 };
            let position = Position { next_page: PageNumber(2), n_rows: 50, output, ..Position::start() };
            self.store.save_checkpoint(&key, &Checkpoint { position, memo: "{}".into() }).unwrap();
            self.store.save_state(&key, ReportState::Parked, None).unwrap();
            key
        }

        fn complete(&self, report: &str, day_nr: i64, output: &str) {
            let key = key(report, day_nr);
            self.begin(&key, output);
            self.store.complete(&key, "{}", Some(key.window.to)).unwrap();
        }

        fn forget(&self, report: &str, window: Option<Window>) -> Result<Vec<String>, Trouble> {
            let mut told = Vec::new();
            let forget = Forget { report, configured: None, window };
            forget.carry_out(&self.store, &*self.disk, &mut |line| told.push(line)).map(|()| told)
        }

        fn windows(&self) -> Vec<i64> {
            self.store.list().unwrap().iter().map(|stored| stored.key.window.from.0 / DAY).collect()
        }
    }

    #[test]
    fn k5_a_report_that_somebody_works_on_is_left_alone_though_nothing_of_it_is_unfinished_yet() {
        let place = Place::new();
        place.complete("calls", 1, "/out/a.csv");
        let claim = place.store.claim(&ReportName::new("calls"), &TenantName::new("acme")).unwrap();
        assert!(claim.is_some());
        let trouble = place.forget("calls", None).unwrap_err();
        assert_eq!(trouble.exit, Exit::Parked);
        assert!(trouble.message.contains("another process"), "{}", trouble.message);
        drop(claim);
        place.forget("calls", None).unwrap();
    }

    #[test]
    fn what_is_unfinished_goes_and_what_is_complete_stays() {
        let place = Place::new();
        place.unfinished("calls", 1, "/out/b.csv");
        place.complete("calls", 0, "/out/a.csv");
        place.unfinished("queues", 1, "/out/c.csv");
        let kept = ["/out/a.csv", "/out/a.csv.manifest.json", "/out/b.csv", "/out/c.csv.part"];
        let dropped = ["", ".rejects.csv", ".repairs.jsonl", ".manifest.json"].map(|of| format!("/out/b.csv{of}.part"));
        kept.into_iter().chain(dropped.iter().map(String::as_str)).for_each(|path| place.put(path, "id\n"));
        let told = place.forget("CALLS", None).unwrap();
        assert_eq!(told.len(), 1);
        assert!(told[0].starts_with("calls (1970-01-02): forgotten (parked, with 50 rows); removed /out/b.csv.part"));
        assert!(kept.iter().all(|path| place.has(path)), "{kept:?}");
        assert!(!dropped.iter().any(|path| place.has(path)), "{dropped:?}");
        assert_eq!(place.store.list().unwrap().len(), 2);
        let mark = place.store.watermark(&ReportName::new("calls"), &TenantName::new("acme")).unwrap();
        assert_eq!(mark, Some(day(0).to));
    }

    #[test]
    fn a_window_that_is_named_goes_alone() {
        let place = Place::new();
        (0..3).for_each(|n| drop(place.unfinished("calls", n, &format!("/out/{n}.csv"))));
        place.forget("calls", Some(day(1))).unwrap();
        assert_eq!(place.windows(), [0, 2]);
    }

    #[test]
    fn a_failed_extraction_goes_as_well() {
        let place = Place::new();
        let key = place.unfinished("calls", 0, "/out/a.csv");
        place.store.save_state(&key, ReportState::Failed, Some("broken")).unwrap();
        assert!(place.forget("calls", None).unwrap()[0].contains("failed"));
        assert!(place.windows().is_empty());
    }

    #[test]
    fn a_part_that_another_extraction_has_taken_over_stays() {
        let place = Place::new();
        place.unfinished("calls", 0, "/out/a.csv");
        place.unfinished("calls", 1, "/out/a.csv");
        place.put("/out/a.csv.part", "id\n");
        place.forget("calls", Some(day(0))).unwrap();
        assert!(place.has("/out/a.csv.part"));
        place.forget("calls", None).unwrap();
        assert!(!place.has("/out/a.csv.part"));
    }

    #[test]
    fn nothing_to_forget_is_said_and_an_unknown_report_is_misuse() {
        let place = Place::new();
        place.complete("calls", 0, "/out/a.csv");
        assert!(place.forget("calls", None).unwrap()[0].contains("nothing unfinished"));
        assert!(place.forget("calls", Some(day(0))).unwrap()[0].contains("complete"));
        assert!(place.forget("calls", Some(day(7))).unwrap()[0].contains("nothing is stored"));
        assert_eq!(place.forget("queues", None).unwrap_err().exit.code(), 2);
    }

    #[test]
    fn k5_a_report_that_somebody_works_on_is_left_alone() {
        let place = Place::new();
        let key = place.unfinished("calls", 0, "/out/a.csv");
        let claim = place.store.claim(&key.report, &key.tenant).unwrap();
        let trouble = place.forget("calls", None).unwrap_err();
        assert_eq!(trouble.exit.code(), 75);
        assert!(trouble.message.contains("another process works on calls"), "{}", trouble.message);
        assert_eq!(place.windows(), [0]);
        drop(claim);
        assert!(place.forget("calls", None).is_ok());
    }

    fn delivering(place: &Place, sha256: String) {
        let key = place.unfinished("calls", 0, "/out/a.csv");
        place.put("/out/a.csv.part", "id\n");
        let output = Deliverable { path: "/out/a.csv".into(), bytes: 3, sha256 };
        let publication = Publication { output, sides: Vec::new(), stale: Vec::new(), manifest: "{}\n".into() };
        place.store.save_delivery(&key, &publication.to_text(), "{}\n").unwrap();
    }

    #[test]
    fn k7b_a_delivery_that_has_begun_is_finished_and_not_left_half_done() {
        let place = Place::new();
        delivering(&place, Sha256::digest(b"id\n").iter().map(|byte| format!("{byte:02x}")).collect());
        place.put("/out/a.csv.manifest.json", "an old one");
        let told = place.forget("calls", None).unwrap();
        assert!(told[0].contains("being delivered") && told[0].contains("/out/a.csv"), "{told:?}");
        assert!(place.has("/out/a.csv") && !place.has("/out/a.csv.part"));
        assert_eq!(place.disk.facts(Path::new("/out/a.csv.manifest.json")).unwrap().unwrap().len, 3);
        assert_eq!(place.store.list().unwrap()[0].state, ReportState::Complete);
    }

    #[test]
    fn d5_a_delivery_that_can_not_be_read_is_not_dropped_halfway() {
        let place = Place::new();
        let key = place.unfinished("calls", 0, "/out/a.csv");
        place.store.save_delivery(&key, "{", "{}").unwrap();
        assert_eq!(place.forget("calls", None).unwrap_err().exit.code(), 2);
        assert_eq!(place.windows(), [0]);
    }

    #[test]
    fn a_delivery_whose_file_was_changed_is_dropped_after_saying_so() {
        let place = Place::new();
        delivering(&place, "0".repeat(64));
        let told = place.forget("calls", None).unwrap();
        assert!(told[0].contains("can't be finished") && told[1].contains("forgotten"), "{told:?}");
        assert!(!place.has("/out/a.csv.part"));
        assert!(place.windows().is_empty());
    }
}
