//! A mock tenant, an engine and a folder, put together for a test.

use std::future::Future;
use std::path::{Path, PathBuf};

use cxtract::config::{Config, Sources};
use cxtract::mock::{MockTenantBuilder, RunningMock};
use cxtract::{Ending, Engine, EngineHandle, Manifest};

/// One mock tenant named `acme` with a report named `calls`.
pub struct Stand {
    /// The tenant.
    pub mock: RunningMock,
    /// Where everything goes.
    pub folder: tempfile::TempDir,
    /// Configuration lines under `tenants.acme`.
    pub tenant: String,
    /// Configuration lines under `reports.calls`.
    pub report: String,
    /// Configuration lines at the top level.
    pub top: String,
}

impl Stand {
    /// A stand with a mock tenant of that kind, and quick settings for the engine. A call made while the tenant has told
    /// to wait fails the test.
    pub fn new(mock: MockTenantBuilder) -> Self {
        Self {
            mock: mock.strict().start().expect("loopback has ports"),
            folder: tempfile::tempdir().expect("a temporary folder"),
            tenant: "rate_limit: {requests_per_second: 1000, burst: 1000}\n    poll: {initial_delay: 10ms, max_delay: 50ms}\n    retry: {base_delay: 10ms, max_delay: 50ms}".to_owned(),
            report: "page_size: 100".to_owned(),
            top: String::new(),
        }
    }

    /// The same with more lines under the report.
    pub fn report(mut self, lines: &str) -> Self {
        self.report = format!("{}\n    {lines}", self.report);
        self
    }

    /// The configuration as text.
    pub fn yaml(&self) -> String {
        format!(
            "{}\ntenants:\n  acme:\n    base_url: {}\n    auth: {{client_id: id, client_secret: \"canary-secret\"}}\n    {}\nreports:\n  calls:\n    tenant: acme\n    template_id: detail\n    window: {{from: 2024-01-01, to: 2024-01-31}}\n    {}\n",
            self.top,
            self.mock.base_url(),
            self.tenant,
            self.report
        )
    }

    /// The configuration.
    pub fn config(&self) -> Config {
        Config::load(&Sources::text(self.folder.path().join("config.yaml"), self.yaml()))
            .expect("the configuration is right")
    }

    /// Where the report's output ends up.
    pub fn output(&self) -> PathBuf {
        self.folder.path().join("out/calls.csv")
    }

    /// Extracts `calls` with an engine of its own.
    pub fn extract(&self) -> Ending {
        let config = self.config();
        run(async move {
            let engine = Engine::builder().config(config).start().expect("the engine starts");
            let ending = engine.extract("calls").await.expect("an ending");
            engine.shutdown().await;
            ending
        })
    }

    /// Extracts `calls` and holds the output to the mock's own data.
    pub fn extract_all(&self) -> Manifest {
        let ending = self.extract();
        let Ending::Complete(manifest) = ending else { panic!("{ending:?}") };
        let output = std::fs::read(self.output()).expect("the output");
        assert!(output == self.mock.expected_csv("detail"), "the output is not what the tenant has");
        assert_eq!(manifest.output.bytes, output.len() as u64);
        assert!(!self.output().with_extension("csv.part").exists());
        (*manifest).clone()
    }
}

/// Runs inside an actix System, for a minute at most.
pub fn run<T>(work: impl Future<Output = T>) -> T {
    actix_rt::System::new().block_on(async {
        tokio::time::timeout(std::time::Duration::from_secs(60), work).await.expect("done within a minute")
    })
}

/// Runs with an engine for that configuration.
pub fn with_engine<T, F: Future<Output = T>>(config: Config, work: impl FnOnce(EngineHandle) -> F) -> T {
    run(async move {
        let engine = Engine::builder().config(config).start().expect("the engine starts");
        let done = work(engine.clone()).await;
        engine.shutdown().await;
        done
    })
}

/// The names in a folder, sorted.
pub fn names_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .map(|entries| entries.flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect())
        .unwrap_or_default();
    names.sort();
    names
}
