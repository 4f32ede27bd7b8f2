//! Runs the binary in a folder of its own, with an environment that holds nothing of the machine's.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// A folder with a configuration in it.
pub(crate) struct Place {
    folder: TempDir,
}

impl Place {
    /// An empty folder.
    pub(crate) fn empty() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// A folder with that `config.yaml`.
    pub(crate) fn with_config(text: &str) -> Self {
        let place = Self::empty();
        place.write("config.yaml", text);
        place
    }

    /// Two reports of one mock tenant, done in a second or two.
    pub(crate) fn usual() -> Self {
        Self::with_config(USUAL)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The command, not yet started.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cxtract"));
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null());
        command.env_clear().env("NO_COLOR", "1");
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }
}

pub(crate) const USUAL: &str = "
tenants:
  demo:
    mock: {total_rows: 2500, ready_after: 100ms, latency: 1ms}
    poll: {initial_delay: 200ms}
reports:
  calls: {tenant: demo, template_id: calls, window: {from: 2024-01-01, to: 2024-01-31}, page_size: 500}
  queues: {tenant: demo, template_id: queues, window: {from: 2024-01-01, to: 2024-01-31}, page_size: 1000}
";

pub(crate) fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or_else(|| panic!("killed: {output:?}"))
}

pub(crate) fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A tenant whose queries are done in no time, and its reports.
pub(crate) fn with_quick_tenant(reports: &str) -> String {
    let tenant = "
tenants:
  demo:
    mock: {total_rows: 700, ready_after: 50ms, latency: 1ms, requests_per_second: 1000}
    rate_limit: {requests_per_second: 500, burst: 50}
    poll: {initial_delay: 60ms}
reports:
";
    tenant.to_owned() + reports
}
