//! What the routes share: the engine, the reports that may be asked for, and how each last ended.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use parking_lot::Mutex;
use serde_json::Value;

use super::words;
use crate::actors::Extract;
use crate::engine::EngineHandle;
use crate::model::{Ending, Failure, FailureClass, ReportName, Timestamp, WallClock};

/// How a report ended.
#[derive(Clone, Debug)]
pub(super) struct Ended {
    pub(super) report: ReportName,
    pub(super) ending: Ending,
    pub(super) at: Timestamp,
}

/// The state behind the routes.
pub(super) struct Desk {
    engine: EngineHandle,
    reports: Vec<ReportName>,
    book: std::sync::Arc<Book>,
}

#[derive(Default)]
struct Book {
    under_way: Mutex<HashSet<ReportName>>,
    ended: Mutex<BTreeMap<ReportName, Ended>>,
}

/// The right to extract one report; given back when it is dropped, whatever happens to the task that holds it.
pub(super) struct Turn {
    engine: EngineHandle,
    report: ReportName,
    book: std::sync::Arc<Book>,
    ended: bool,
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").field("reports", &self.reports).finish_non_exhaustive()
    }
}

impl Desk {
    pub(super) fn new(engine: EngineHandle, reports: impl IntoIterator<Item = ReportName>) -> Self {
        Self { engine, reports: reports.into_iter().collect(), book: Default::default() }
    }

    pub(super) fn engine(&self) -> &EngineHandle {
        &self.engine
    }

    /// The report of that name, if it may be asked for.
    pub(super) fn report(&self, name: &str) -> Option<ReportName> {
        self.reports.iter().find(|r| r.as_str() == name).cloned()
    }

    /// The right to extract that report; none while somebody else has it.
    pub(super) fn begin(&self, report: &ReportName) -> Option<Turn> {
        self.book.under_way.lock().insert(report.clone()).then(|| Turn {
            engine: self.engine.clone(),
            report: report.clone(),
            book: self.book.clone(),
            ended: false,
        })
    }

    /// Where every report stands.
    pub(super) async fn overview(&self) -> Vec<Value> {
        let progress = self.engine.status().await;
        let under_way = self.book.under_way.lock().clone();
        let ended = self.book.ended.lock();
        self.reports
            .iter()
            .map(|report| {
                let newest = progress.iter().rev().find(|p| p.report == *report);
                words::overview(report, under_way.contains(report), newest, ended.get(report))
            })
            .collect()
    }
}

impl Turn {
    /// Extracts the report.
    pub(super) async fn run(mut self, fresh: bool) -> Ended {
        let request = Extract { fresh, ..Extract::report(self.report.as_str()) };
        let ending = self.engine.extract_with(request).await.unwrap_or_else(Ending::Failed);
        self.ended = true;
        self.write(ending)
    }

    fn write(&self, ending: Ending) -> Ended {
        let ended = Ended { report: self.report.clone(), ending, at: WallClock::system().now() };
        self.book.ended.lock().insert(self.report.clone(), ended.clone());
        ended
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if !self.ended {
            let message = "the host stopped before the extraction had ended; ask again";
            self.write(Ending::Failed(Failure::new(FailureClass::Internal, message)));
        }
        self.book.under_way.lock().remove(&self.report);
    }
}
