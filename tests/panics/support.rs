//! Two tenants, four reports, and places in the engine that can be made to panic.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cxtract::config::{Config, Sources};
use cxtract::mock::{MockReport, MockTenant, RunningMock};
use cxtract::{Ending, Engine, EngineBuilder, EngineHandle, Extract, Failure};

/// The report that places are named after.
pub const VICTIM: &str = "victim";

/// All reports with their templates; the first two belong to tenant `acme`.
pub const REPORTS: [(&str, &str); 4] =
    [(VICTIM, "calls"), ("sibling", "queues"), ("far", "agents"), ("farther", "skills")];

/// Pages of the victim's report that have rows.
pub const N_PAGES: u64 = 12;

/// What every panic made here says.
const ON_PURPOSE: &str = "made to die";

/// Two mock tenants and a folder.
pub struct Stand {
    pub acme: RunningMock,
    pub other: RunningMock,
    pub folder: tempfile::TempDir,
    pub threads: usize,
    _scenario: fail::FailScenario<'static>,
}

impl Stand {
    /// Tests take turns: places are known to the whole process.
    pub fn new(threads: usize) -> Self {
        let scenario = fail::FailScenario::setup();
        silence();
        let tenant = || {
            MockTenant::builder()
                .requests_per_second(f64::INFINITY)
                .report("calls", MockReport::with_rows(1195))
                .report("queues", MockReport::with_rows(733))
                .report("agents", MockReport::with_rows(901))
                .report("skills", MockReport::with_rows(402))
                .strict()
                .start()
                .expect("loopback has ports")
        };
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self { acme: tenant(), other: tenant(), folder, threads, _scenario: scenario }
    }

    /// The mock tenant of a report.
    pub fn tenant_of(&self, report: &str) -> &RunningMock {
        if report == VICTIM || report == "sibling" { &self.acme } else { &self.other }
    }

    fn config(&self) -> Config {
        let tenant = |name: &str, mock: &RunningMock| {
            format!(
                "  {name}:\n    base_url: {}\n    auth: {{client_id: id, client_secret: secret}}\n    \
                 rate_limit: {{requests_per_second: 2000, burst: 2000}}\n    \
                 max_queries: 2\n    poll: {{initial_delay: 5ms, max_delay: 20ms}}\n    retry: {{base_delay: 5ms, max_delay: 20ms}}\n",
                mock.base_url()
            )
        };
        let report = |(nth, (name, template)): (usize, &(&str, &str))| {
            let tenant = if nth < 2 { "acme" } else { "other" };
            format!(
                "  {name}:\n    tenant: {tenant}\n    template_id: {template}\n    \
                 window: {{from: 2024-01-01, to: 2024-01-31}}\n    page_size: 100\n"
            )
        };
        let yaml = format!(
            "engine: {{threads: {}, memory_limit: 8MiB, scratch_dir: {}}}\ntenants:\n{}{}reports:\n{}",
            self.threads,
            self.folder.path().join("scratch").display(),
            tenant("acme", &self.acme),
            tenant("other", &self.other),
            REPORTS.iter().enumerate().map(report).collect::<String>(),
        );
        Config::load(&Sources::text(self.folder.path().join("config.yaml"), &yaml)).expect("the configuration is right")
    }

    /// An engine for all reports, not started yet.
    pub fn engine(&self) -> EngineBuilder {
        Engine::builder().config(self.config())
    }

    /// Where a report's output ends up.
    pub fn output(&self, report: &str) -> PathBuf {
        self.folder.path().join("out").join(format!("{report}.csv"))
    }

    /// What that output must be.
    pub fn expected(&self, report: &str) -> Vec<u8> {
        let (_, template) = REPORTS.iter().find(|(name, _)| *name == report).expect("a report of the stand");
        self.tenant_of(report).expected_csv(template)
    }

    /// Extracts every report at once, then the victim once more with nothing in its way, and leaves nothing behind.
    /// Endings come in the order of [`REPORTS`].
    pub fn extract_all(&self, engine: EngineBuilder) -> Vec<Ending> {
        self.extract(engine, None)
    }

    /// The same where the victim's rows go to a sink of the test's own and not to a file.
    pub fn extract_all_without_the_victims_file(&self, engine: EngineBuilder) -> Vec<Ending> {
        self.extract(engine, Some(VICTIM))
    }

    fn extract(&self, engine: EngineBuilder, without_file: Option<&str>) -> Vec<Ending> {
        let endings = run(async {
            let engine = engine.start().expect("the engine starts");
            let endings = futures::future::join_all(REPORTS.iter().map(|(name, _)| ending(&engine, name))).await;
            for ((name, _), ending) in REPORTS.iter().zip(&endings) {
                self.hold_to_account(name, ending, without_file != Some(*name));
            }
            for (place, _) in fail::list() {
                fail::remove(place);
            }
            for name in [VICTIM, "sibling"] {
                let again = ending(&engine, name).await;
                assert!(matches!(again, Ending::Complete(_)), "{name} again: {again:?}");
                self.hold_to_account(name, &again, without_file != Some(name));
            }
            engine.shutdown().await;
            endings
        });
        assert_eq!(names_in(&self.folder.path().join("scratch")), Vec::<String>::new(), "scratch is not empty");
        endings
    }

    /// Complete means the tenant's bytes and nothing left over; failed means by name.
    fn hold_to_account(&self, report: &str, ending: &Ending, has_file: bool) {
        match ending {
            Ending::Complete(_) => {
                assert_eq!(self.output(report).exists(), has_file, "{report} is complete");
                if has_file {
                    let output = std::fs::read(self.output(report)).expect("the output");
                    assert!(output == self.expected(report), "{report} is not what the tenant has");
                }
                assert!(!self.output(report).with_extension("csv.part").exists(), "{report} left its part file");
            }
            Ending::Failed(Failure { message, .. }) => assert!(message.contains(report), "{report}: {message}"),
            other => panic!("{report}: {other:?}"),
        }
    }
}

/// Extracts one report, whatever is stored of it; where there was nothing to start, that is how it ended.
pub async fn ending(engine: &EngineHandle, report: &str) -> Ending {
    let order = Extract { fresh: true, ..Extract::report(report) };
    engine.extract_with(order).await.unwrap_or_else(Ending::Failed)
}

/// Makes the `nth` pass of a place (from 0) panic, and answers how many passes there were.
pub fn die_at(place: &str, nth: u64) -> Arc<AtomicU64> {
    let passes = Arc::new(AtomicU64::new(0));
    let counted = passes.clone();
    let name = place.to_owned();
    let pass = move || {
        let pass = counted.fetch_add(1, Ordering::SeqCst);
        assert!(pass != nth, "{ON_PURPOSE} at {name}, pass {pass}");
    };
    fail::cfg_callback(place, pass).expect("places can be armed");
    passes
}

/// Makes every pass of a place panic.
pub fn die_always(place: &str) -> Arc<AtomicU64> {
    let passes = Arc::new(AtomicU64::new(0));
    let counted = passes.clone();
    let name = place.to_owned();
    let pass = move || {
        let pass = counted.fetch_add(1, Ordering::SeqCst);
        panic!("{ON_PURPOSE} at {name}, pass {pass}");
    };
    fail::cfg_callback(place, pass).expect("places can be armed");
    passes
}

/// Panics on purpose, where a fail point can't be.
pub fn die(what: &str) -> ! {
    panic!("{ON_PURPOSE}: {what}")
}

/// Runs inside an actix System. Whoever takes longer than a minute hangs.
pub fn run<T>(work: impl Future<Output = T>) -> T {
    let limit = Duration::from_secs(60);
    actix_rt::System::new().block_on(async { tokio::time::timeout(limit, work).await.expect("nothing hangs") })
}

/// The names in a folder, sorted.
pub fn names_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).map(|entries| entries.flatten().collect::<Vec<_>>()).unwrap_or_default();
    let mut names: Vec<_> = entries.iter().map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Keeps panics made on purpose out of the test's output, and no others.
fn silence() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let others = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let payload = info.payload();
            let text = payload.downcast_ref::<String>().map(String::as_str).or(payload.downcast_ref::<&str>().copied());
            if !text.is_some_and(|text| text.contains(ON_PURPOSE)) {
                others(info);
            }
        }));
    });
}
