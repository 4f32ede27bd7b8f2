//! Which windows of a report are due, which of them go on, and which are done already.
//!
//! The one idea: an extraction is its report, tenant, window and hash. What an order means follows from these and from
//! what is stored, so that nothing here reads a clock, a store or a disk; whoever asks hands all of it in.
//! It never asks a `since` report to leave a gap: its configured windows follow on each other without exception.

mod conflict;
mod plan;
#[cfg(test)]
mod tests;

use std::path::Path;

use crate::config::{Problem, ReportConfig};
use crate::model::{Asked, Disk, FileKind, ReportName, TenantName, Timestamp, Window};

use super::{Begun, ExtractionKey, Origin, Store, StoreError, StoredExtraction};

/// Where a report's records go, as far as it decides about skipping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// A file, which may be looked at.
    File,
    /// Standard output: what went there is gone, so that nothing counts as done.
    Stdout,
    /// A host's own sink, which is trusted to have what it acknowledged.
    Host,
}

impl Destination {
    /// Where that report goes; a host's sink is stronger than what is configured.
    pub fn of(report: &ReportConfig, has_host_sink: bool) -> Self {
        match (has_host_sink, report.output.is_stdout()) {
            (true, _) => Self::Host,
            (false, true) => Self::Stdout,
            (false, false) => Self::File,
        }
    }
}

/// An order, and all that decides about what it means.
pub struct Question<'a> {
    /// The report.
    pub report: &'a ReportConfig,
    /// Where its records go.
    pub destination: Destination,
    /// Which windows are meant.
    pub asked: Asked,
    /// Whether to start again.
    pub fresh: bool,
    /// What time it is.
    pub now: Timestamp,
    /// The end of the last complete extraction.
    pub watermark: Option<Timestamp>,
    /// What the store knows of this report and tenant.
    pub stored: &'a [StoredExtraction],
    /// The working folder: where relative paths start. Two runs must not take one file for two.
    pub here: &'a Path,
    /// The size of a file; none where there is none.
    pub size_of: &'a dyn Fn(&Path) -> Option<u64>,
}

/// What is to be done, in this order: the drops, then the tasks one after the other.
///
/// The tasks of a `since` report stop at the first that does not end complete. Each task, asked for by its window as
/// [`Asked::Configured`] or [`Asked::Given`] according to its origin, comes out as the same task again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Agenda {
    /// What is given up.
    pub drops: Vec<Dropped>,
    /// What is extracted, gone on with or skipped.
    pub tasks: Vec<Task>,
    /// What people should know, each with the report's name.
    pub remarks: Vec<String>,
}

/// One window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// Which extraction.
    pub key: ExtractionKey,
    /// What it begins with; where it goes on, what it began with, but for the origin, which is always the order's:
    /// what somebody else asked for moves no watermark, whoever began it.
    pub begun: Begun,
    /// What to do.
    pub step: Step,
}

impl Task {
    /// The order for this task alone.
    pub fn asked(&self) -> Asked {
        match self.begun.origin {
            Origin::Configured => Asked::Configured(self.key.window),
            Origin::Given => Asked::Given(self.key.window),
        }
    }

    /// What becomes the report's watermark when this task is complete.
    pub fn watermark(&self, report: &ReportConfig) -> Option<Timestamp> {
        (report.window.is_since() && self.begun.origin == Origin::Configured).then_some(self.key.window.to)
    }
}

/// What to do about one window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Begin, in place of whatever is stored under its key.
    Start,
    /// Go on from what is stored.
    GoOn,
    /// Nothing, for this reason.
    Skip(String),
}

/// Stored work that is given up: to be forgotten, its unfinished files removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// Which extraction.
    pub key: ExtractionKey,
    /// The output whose `.part` goes; empty where there is none, or where it is somebody else's by now.
    pub output: String,
    /// How to finish its publication, where that was begun: then it is finished, not cut off halfway.
    pub delivery: Option<String>,
    /// Why.
    pub why: String,
}

/// Why there is no agenda. Nothing may be asked of the tenant then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AgendaFault {
    /// Something is unfinished that the present configuration would not go on with to the same bytes.
    #[error("{0}")]
    Conflict(String),
    /// The window can't be made out.
    #[error("{0}")]
    Window(Problem),
}

/// What an order means now.
///
/// # Errors
/// If what is unfinished does not fit the configuration any more, or a window can't be made out.
pub fn agenda(question: &Question<'_>) -> Result<Agenda, AgendaFault> {
    plan::Plan::new(question).made()
}

/// What is stored of one report.
#[derive(Clone, Debug)]
pub struct Known {
    /// Its extractions.
    pub stored: Vec<StoredExtraction>,
    /// The end of the last complete one, where it keeps a watermark.
    pub watermark: Option<Timestamp>,
}

impl Known {
    /// Looks it up.
    ///
    /// # Errors
    /// The store's.
    pub fn of(store: &dyn Store, report: &ReportName, tenant: &TenantName) -> Result<Self, StoreError> {
        Ok(Self { stored: store.of_report(report, tenant)?, watermark: store.watermark(report, tenant)? })
    }

    /// What orders mean now, each by itself; `here` is the working folder, and `disk` has the delivered files.
    pub fn agendas(
        &self,
        (report, destination): (&ReportConfig, Destination),
        orders: &[(Asked, bool)],
        now: Timestamp,
        here: &Path,
        disk: &dyn Disk,
    ) -> Vec<Result<Agenda, AgendaFault>> {
        let size_of = |path: &Path| {
            let facts = disk.facts(path).ok()??;
            (facts.kind == FileKind::File).then_some(facts.len)
        };
        let Self { stored, watermark } = self;
        let made = |&(asked, fresh): &(Asked, bool)| {
            let (watermark, size_of) = (*watermark, &size_of);
            agenda(&Question { report, destination, asked, fresh, now, watermark, stored, here, size_of })
        };
        orders.iter().map(made).collect()
    }
}

/// A window as people read it.
fn shown(window: Window) -> String {
    format!("{} to {}", window.from, window.to)
}
