//! One report's end as the command line sees it: the engine's ending, and where the file stands.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cxtract::model::{Ending, Manifest, OutputNames, ReportName, TenantName, Timestamp, Window};

use crate::cli::exit::{Exit, exit_of};
use crate::cli::words;

/// How a report ended.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    pub(crate) report: ReportName,
    pub(crate) tenant: TenantName,
    /// What was asked for; none where there was nothing to ask for.
    pub(crate) window: Option<Window>,
    /// How people tell it from the other extractions of the run.
    pub(crate) label: String,
    pub(crate) ending: Ending,
    /// The delivered file; none where it went to stdout or nowhere.
    pub(crate) file: Option<PathBuf>,
    /// The manifest of the delivery that this one was skipped for.
    pub(crate) earlier: Option<Arc<Manifest>>,
    pub(crate) took: Duration,
    pub(crate) at: Timestamp,
}

impl Ended {
    /// What it means for the exit code.
    pub(crate) fn exit(&self) -> Exit {
        match &self.ending {
            Ending::Complete(_) | Ending::Skipped(_) => Exit::Done,
            Ending::Parked(_) => Exit::Parked,
            Ending::Failed(failure) => exit_of(failure),
        }
    }

    /// The outcome in one word.
    pub(crate) fn outcome(&self) -> &'static str {
        match self.ending {
            Ending::Complete(_) => "complete",
            Ending::Skipped(_) => "skipped",
            Ending::Parked(_) => "parked",
            Ending::Failed(_) => "failed",
        }
    }

    /// The manifest of what is delivered, now or earlier.
    pub(crate) fn manifest(&self) -> Option<&Manifest> {
        match &self.ending {
            Ending::Complete(manifest) => Some(manifest),
            Ending::Skipped(_) => self.earlier.as_deref(),
            _ => None,
        }
    }

    /// Where the manifest stands: beside the file, with its name.
    pub(crate) fn manifest_path(&self) -> Option<PathBuf> {
        self.manifest()?;
        Some(OutputNames::of(self.file.clone()?).manifest())
    }

    /// Why there is no new file, safe to show.
    pub(crate) fn why(&self) -> Option<String> {
        let own = |text| words::escaped(words::without_name(text, &self.report));
        match &self.ending {
            Ending::Complete(_) => None,
            Ending::Skipped(why) => Some(own(why)),
            Ending::Parked(park) => Some(own(&park.message)),
            Ending::Failed(failure) => Some(format!("{}: {}", failure.class, own(&failure.message))),
        }
    }
}

#[cfg(test)]
pub(crate) mod samples {
    use std::sync::Arc;

    use cxtract::model::{
        CsvCounts, Failure, FailureClass, HttpCounts, OutputRecord, Park, ParkReason, QueryId, Reconciliation, Verdict,
    };

    use super::*;

    fn ended(report: &str, ending: Ending) -> Ended {
        Ended {
            report: ReportName::new(report),
            tenant: TenantName::new("acme"),
            window: Some(Window { from: Timestamp(0), to: Timestamp(86_399_999) }),
            label: report.to_owned(),
            ending,
            file: None,
            earlier: None,
            took: Duration::from_secs(160),
            at: Timestamp::parse("2024-02-01T12:02:40Z").unwrap(),
        }
    }

    pub(crate) fn complete(report: &str) -> Ended {
        let began = Timestamp::parse("2024-02-01T12:00:00Z").unwrap();
        let manifest = Manifest {
            version: 1,
            report: ReportName::new(report),
            tenant: TenantName::new("acme"),
            query_id: Some(QueryId::new("q-1")),
            window: Window { from: Timestamp(0), to: Timestamp(86_399_999) },
            output: OutputRecord {
                path: format!("{report}.csv"),
                bytes: 512_300_000,
                rows: 1_234_567,
                sha256: "ab".repeat(32),
            },
            columns: vec!["id".into()],
            pages: 247,
            reconciliation: Reconciliation {
                rows: 1_234_567,
                total_count_first: None,
                total_count_last: None,
                total_rows: Some(1_234_567),
                verdict: Verdict::Match,
            },
            csv: CsvCounts::default(),
            http: HttpCounts::default(),
            resumed: 0,
            started_at: began,
            finished_at: began,
            parts: None,
        };
        Ended { file: Some(format!("out/{report}.csv").into()), ..ended(report, Ending::Complete(Arc::new(manifest))) }
    }

    pub(crate) fn skipped(report: &str) -> Ended {
        ended(report, Ending::Skipped("already delivered for this window".into()))
    }

    pub(crate) fn parked(report: &str) -> Ended {
        let park = Park { reason: ParkReason::TenantDown, message: "acme is down: refused".into(), until: None };
        ended(report, Ending::Parked(park))
    }

    pub(crate) fn failed(report: &str) -> Ended {
        ended(report, Ending::Failed(Failure::new(FailureClass::Denied, "page 3: status 403\u{1b}[2J")))
    }
}

#[cfg(test)]
mod tests {
    use cxtract::model::{Failure, FailureClass};

    use super::*;

    #[test]
    fn each_outcome_has_its_exit_code() {
        let outcomes = [samples::complete("a"), samples::skipped("a"), samples::parked("a"), samples::failed("a")];
        assert_eq!(outcomes.map(|e| e.exit().code()), [0, 0, 75, 1]);
    }

    #[test]
    fn f2_a_configuration_that_does_not_fit_what_is_stored_is_misuse_and_no_failure() {
        let failure = Failure::new(FailureClass::Config, "page_size changed");
        let ended = Ended { ending: Ending::Failed(failure), ..samples::failed("a") };
        assert_eq!(ended.exit().code(), 2);
    }

    #[test]
    fn a_manifest_stands_beside_the_file_that_it_describes() {
        assert_eq!(samples::complete("a").manifest_path(), Some("out/a.csv.manifest.json".into()));
        assert_eq!(samples::parked("a").manifest_path(), None);
    }

    #[test]
    fn s5_a_tenants_words_cannot_steer_the_terminal() {
        assert!(!samples::failed("a").why().unwrap().contains('\u{1b}'));
    }
}
