//! What an order comes to, situation by situation.

mod identity;
mod row;
mod windows;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use super::*;
use crate::config::{Config, Sources};
use crate::model::{ReportState, WallClock};
use crate::state::{MemoryStore, Store};

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap_or_else(|| panic!("{text} is no time"))
}

/// Whole days of UTC, both included.
fn days(from: &str, to: &str) -> Window {
    Window { from: at(&format!("{from}T00:00:00Z")), to: at(&format!("{to}T23:59:59.999Z")) }
}

fn report(section: &str) -> Arc<ReportConfig> {
    let text =
        format!("tenants: {{acme: {{mock: {{}}}}}}\nreports:\n  calls: {{tenant: acme, template_id: t, {section}}}\n");
    Config::load(&Sources::text("/etc/cx/config.yaml", &text)).unwrap_or_else(|e| panic!("{e}")).reports[0].clone()
}

/// A report, its store and its files, at a time that the test sets.
struct World {
    report: Arc<ReportConfig>,
    store: MemoryStore,
    now: Arc<AtomicI64>,
    files: BTreeMap<PathBuf, u64>,
    has_host_sink: bool,
    here: PathBuf,
    n_bytes: Cell<u64>,
}

impl World {
    fn new(section: &str) -> Self {
        let now = Arc::new(AtomicI64::new(at("2024-04-01T10:00:00Z").0));
        let clock = now.clone();
        Self {
            report: report(section),
            store: MemoryStore::new(WallClock::new(move || Timestamp(clock.load(Ordering::Relaxed)))),
            now,
            files: BTreeMap::new(),
            has_host_sink: false,
            here: PathBuf::from("/here"),
            n_bytes: Cell::new(100),
        }
    }

    fn now(&self) -> Timestamp {
        Timestamp(self.now.load(Ordering::Relaxed))
    }

    fn set_now(&self, now: &str) {
        self.now.store(at(now).0, Ordering::Relaxed);
    }

    fn is_now(&mut self, section: &str) {
        self.report = report(section);
    }

    fn stored(&self) -> Vec<StoredExtraction> {
        self.store.of_report(&self.report.name, &self.report.tenant).unwrap()
    }

    fn watermark(&self) -> Option<Timestamp> {
        self.store.watermark(&self.report.name, &self.report.tenant).unwrap()
    }

    fn ask(&self, asked: Asked, fresh: bool) -> Result<Agenda, AgendaFault> {
        agenda(&Question {
            report: &self.report,
            destination: Destination::of(&self.report, self.has_host_sink),
            asked,
            fresh,
            now: self.now(),
            watermark: self.watermark(),
            stored: &self.stored(),
            here: &self.here,
            size_of: &|path| self.files.get(path).copied(),
        })
    }

    fn due(&self) -> Agenda {
        self.ask(Asked::Due, false).unwrap_or_else(|fault| panic!("{fault}"))
    }

    fn fresh(&self) -> Agenda {
        self.ask(Asked::Due, true).unwrap_or_else(|fault| panic!("{fault}"))
    }

    fn given(&self, window: Window) -> Agenda {
        self.ask(Asked::Given(window), false).unwrap_or_else(|fault| panic!("{fault}"))
    }

    fn conflict(&self) -> String {
        match self.ask(Asked::Due, false) {
            Err(AgendaFault::Conflict(text)) => text,
            other => panic!("{other:?}"),
        }
    }

    /// Carries the agenda out up to the first of its tasks that begins or goes on, which is left unfinished.
    fn park(&mut self, agenda: &Agenda) -> ExtractionKey {
        let key = self.begin(agenda);
        self.store.save_state(&key, ReportState::Parked, None).unwrap();
        key
    }

    fn fail(&mut self, agenda: &Agenda) -> ExtractionKey {
        let key = self.begin(agenda);
        self.store.save_state(&key, ReportState::Failed, None).unwrap();
        key
    }

    fn complete(&mut self, agenda: &Agenda) -> ExtractionKey {
        let key = self.begin(agenda);
        let task = agenda.tasks.iter().find(|task| task.key == key).unwrap();
        self.deliver(task);
        key
    }

    fn begin(&mut self, agenda: &Agenda) -> ExtractionKey {
        for dropped in &agenda.drops {
            self.store.forget(&dropped.key).unwrap();
        }
        let task = agenda.tasks.iter().find(|task| !matches!(task.step, Step::Skip(_))).expect("something to do");
        self.take(task);
        task.key.clone()
    }

    fn take(&self, task: &Task) {
        match task.step {
            Step::Start => self.store.begin(&task.key, &task.begun).unwrap(),
            Step::GoOn => drop(self.store.take_up(&task.key).unwrap()),
            Step::Skip(_) => {}
        }
    }

    fn deliver(&mut self, task: &Task) {
        self.now.fetch_add(1, Ordering::Relaxed);
        let bytes = self.n_bytes.get();
        let manifest = format!(r#"{{"output": {{"bytes": {bytes}}}}}"#);
        self.store.complete(&task.key, &manifest, task.watermark(&self.report)).unwrap();
        self.files.insert(PathBuf::from(&task.begun.output), bytes);
    }
}

/// The windows and what is done about them.
fn steps(agenda: &Agenda) -> Vec<(Window, &'static str)> {
    let word = |task: &Task| match task.step {
        Step::Start => "start",
        Step::GoOn => "go on",
        Step::Skip(_) => "skip",
    };
    agenda.tasks.iter().map(|task| (task.key.window, word(task))).collect()
}

fn drops(agenda: &Agenda) -> Vec<(Window, &str)> {
    agenda.drops.iter().map(|dropped| (dropped.key.window, dropped.output.as_str())).collect()
}
