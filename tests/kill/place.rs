//! A folder with a configuration, mock tenants over TCP in this process, and the binary as a child.
//!
//! Children write what they say into files of the folder's owner, not of the folder itself, so that a test can ask
//! for every name that a run has left.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use cxtract::mock::{MockTenantBuilder, RunningMock};
use cxtract::model::WallClock;
use cxtract::state::{SqliteStore, Store, StoredExtraction};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Longer than anything takes on a busy machine; who waits so long has failed.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Quick settings for a tenant, two calls under way at once.
pub const QUICK: &str = "
    rate_limit: {requests_per_second: 1000, burst: 1000}
    max_in_flight: 2
    max_queries: 2
    poll: {initial_delay: 50ms, max_delay: 100ms}
    retry: {base_delay: 10ms, max_delay: 50ms}";

/// One mock tenant `acme`, its reports, and a folder.
pub struct Place {
    folder: TempDir,
    said: TempDir,
    /// The tenant.
    pub mock: RunningMock,
    /// Its configuration beside address and credentials, in lines.
    pub tenant: String,
    /// Lines at the top level.
    pub top: String,
    /// Reports: name, template, lines.
    pub reports: Vec<(String, String, String)>,
    /// What a report must leave beside its manifest, by name, where that is not just what the tenant has.
    pub due: BTreeMap<String, BTreeMap<String, Vec<u8>>>,
}

impl Place {
    /// A place without reports. A call made while the tenant has told to wait fails the test.
    pub fn new(mock: MockTenantBuilder) -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            said: tempfile::tempdir().unwrap(),
            mock: mock.strict().start().unwrap(),
            tenant: QUICK.to_owned(),
            top: String::new(),
            reports: Vec::new(),
            due: BTreeMap::new(),
        }
    }

    /// With a report named after its template, for January 2024.
    #[must_use]
    pub fn report(self, name: &str, lines: &str) -> Self {
        self.report_with(name, &format!("window: {{from: 2024-01-01, to: 2024-01-31}}\n    page_size: 20\n    {lines}"))
    }

    /// With a report named after its template.
    #[must_use]
    pub fn report_with(mut self, name: &str, lines: &str) -> Self {
        self.reports.push((name.to_owned(), name.to_owned(), lines.to_owned()));
        self
    }

    /// The configuration.
    pub fn yaml(&self) -> String {
        let mut yaml = format!(
            "{}\ntenants:\n  acme:\n    base_url: {}\n    auth: {{client_id: id, client_secret: \"canary-secret\"}}\n    {}\nreports:\n",
            self.top,
            self.mock.base_url(),
            self.tenant.trim()
        );
        for (name, template, lines) in &self.reports {
            yaml.push_str(&format!("  {name}:\n    tenant: acme\n    template_id: {template}\n    {}\n", lines.trim()));
        }
        yaml
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The name of a report's output.
    pub fn output_name(&self, report: &str) -> String {
        let lines = self.reports.iter().find(|(name, ..)| name == report).map_or("", |(.., lines)| lines);
        let ending = if lines.contains("compression: zstd") { ".zst" } else { "" };
        format!("out/{report}.csv{ending}")
    }

    /// Where a report's output ends up.
    pub fn output(&self, report: &str) -> PathBuf {
        self.path(&self.output_name(report))
    }

    /// What a report must leave beside its manifest, by name.
    pub fn due(&self, report: &str) -> BTreeMap<String, Vec<u8>> {
        let usual = || BTreeMap::from([(self.output_name(report), self.expected(report))]);
        self.due.get(report).cloned().unwrap_or_else(usual)
    }

    /// What it must be.
    pub fn expected(&self, report: &str) -> Vec<u8> {
        self.mock.expected_csv(report)
    }

    /// The command, with the configuration as it is now. It is not yet started.
    pub fn command(&self, arguments: &[&str]) -> Command {
        fs::write(self.path("config.yaml"), self.yaml()).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_cxtract"));
        self.dress(&mut command);
        command.args(arguments);
        command
    }

    /// The same through a shell that first does something else, as in `ulimit -n 16`.
    pub fn command_after(&self, first: &str, arguments: &[&str]) -> Command {
        fs::write(self.path("config.yaml"), self.yaml()).unwrap();
        let mut command = Command::new("/bin/sh");
        self.dress(&mut command);
        command.args(["-c", &format!("{first} && exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_cxtract")]).args(arguments);
        command
    }

    fn dress(&self, command: &mut Command) {
        command.current_dir(self.folder.path()).env_clear().env("NO_COLOR", "1").stdin(Stdio::null());
        let append = |name: &str| File::options().create(true).append(true).open(self.said.path().join(name)).unwrap();
        command.stdout(append("out")).stderr(append("err"));
    }

    /// Starts `cxtract run --progress json` with these arguments more.
    pub fn start(&self, arguments: &[&str]) -> Running {
        Running::start(self.command(&[&["run", "--progress", "json"], arguments].concat()))
    }

    /// Runs to the end; its exit code.
    pub fn run(&self, arguments: &[&str]) -> i32 {
        self.start(arguments).code()
    }

    /// Everything that was said so far, by all runs.
    pub fn said(&self) -> String {
        let read = |name: &str| fs::read_to_string(self.said.path().join(name)).unwrap_or_default();
        read("out") + &read("err")
    }

    /// Forgets what was said.
    pub fn hush(&self) {
        for name in ["out", "err"] {
            let _ = fs::remove_file(self.said.path().join(name));
        }
    }

    /// What the state store knows, between two runs.
    pub fn stored(&self) -> Vec<StoredExtraction> {
        match SqliteStore::open_existing(&self.path(".cxtract/state.db"), WallClock::system()).unwrap() {
            Some(store) => store.list().unwrap(),
            None => Vec::new(),
        }
    }

    /// The names of all files that runs have left, but for the state store's own.
    pub fn names(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        collect(self.folder.path(), self.folder.path(), &mut names);
        names.retain(|name| name != "config.yaml" && !name.starts_with(".cxtract/state.db"));
        names
    }

    /// Waits until something holds.
    pub fn until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let start = Instant::now();
        while !holds() {
            assert!(start.elapsed() < PATIENCE, "waited in vain until {what}; said so far:\n{}", self.said());
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// How many calls the tenant has seen.
    pub fn n_calls(&self) -> usize {
        self.mock.with(|tenant| tenant.ledger().len())
    }

    /// How many answers with rows it has given.
    pub fn n_pages_served(&self) -> u64 {
        self.mock.with(|tenant| tenant.queries().iter().map(|query| query.pages_served).sum())
    }
}

fn collect(root: &Path, folder: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, names);
        } else {
            names.insert(path.strip_prefix(root).unwrap().to_string_lossy().into_owned());
        }
    }
}

/// A child under way; it does not outlive its test.
pub struct Running(Child);

impl Running {
    /// Starts it.
    pub fn start(mut command: Command) -> Self {
        Self(command.spawn().unwrap())
    }

    /// How much memory it has resident now.
    pub fn resident_kib(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id())).ok()?;
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse().ok())
    }

    /// Whether and how it has ended by itself.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().unwrap()
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }

    /// Waits for its end; its exit code, none where a signal ended it.
    pub fn end(&mut self) -> Option<i32> {
        self.end_within(PATIENCE).expect("the run ends")
    }

    /// The same, if that comes so soon.
    pub fn end_within(&mut self, patience: Duration) -> Option<Option<i32>> {
        let start = Instant::now();
        while start.elapsed() < patience {
            if let Some(status) = self.ended() {
                return Some(status.code());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        None
    }

    /// Waits for its end; its exit code.
    pub fn code(mut self) -> i32 {
        self.end().expect("it was ended by a signal")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
