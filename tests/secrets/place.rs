//! A folder with a configuration, the binary in it, and a search through all that it leaves.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use crate::canary::{ACCESS_TOKEN, CLIENT_ID, CLIENT_SECRET, found_in};

/// How the program is made to talk.
#[derive(Clone, Copy, Debug)]
pub enum Talk {
    /// `--log-level trace`, text, plain progress.
    Text,
    /// `RUST_LOG=trace`, JSON, progress as JSON on stdout.
    Json,
}

/// One of the two, in turns.
pub fn talk(nth: usize) -> Talk {
    if nth.is_multiple_of(2) { Talk::Text } else { Talk::Json }
}

/// Quick settings of a tenant.
pub const QUICK: &str = "
    rate_limit: {requests_per_second: 500, burst: 100}
    poll: {initial_delay: 10ms, max_delay: 20ms}
    retry: {max_attempts: 2, base_delay: 5ms, max_delay: 10ms}
    circuit_breaker: {failure_threshold: 2, open_for: 20ms, max_failed_probes: 1}
    max_wait_for_tenant: 5s
    timeouts: {connect: 5s, response: 5s, idle: 5s}";

/// A folder with a configuration in it.
pub struct Place {
    folder: TempDir,
    environment: Vec<(&'static str, String)>,
}

impl Place {
    /// One tenant `acme` at that address with a report `calls`, and more lines for the tenant.
    pub fn at(base_url: &str, auth: &str, tenant: &str) -> Self {
        Self::with_config(&format!(
            "tenants:\n  acme:\n    base_url: {base_url}\n    auth:\n      client_id: {{env: ID}}\n      \
             client_secret: {{env: SECRET}}\n      {auth}{QUICK}\n    {tenant}\nreports:\n  calls: {{tenant: acme, \
             template_id: calls, window: {{from: 2024-01-01, to: 2024-01-31}}, page_size: 2}}\n"
        ))
    }

    /// A folder with that `config.yaml`.
    pub fn with_config(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("config.yaml"), text).unwrap();
        let environment = vec![("ID", CLIENT_ID.to_owned()), ("SECRET", CLIENT_SECRET.to_owned())];
        Self { folder, environment }
    }

    /// Sets a variable of the program's environment.
    pub fn env(mut self, name: &'static str, value: &str) -> Self {
        self.environment.push((name, value.to_owned()));
        self
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs the binary and searches what it said and what it left.
    pub fn run(&self, arguments: &[&str], talk: Talk) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cxtract"));
        command.current_dir(self.folder.path()).stdin(Stdio::null()).env_clear();
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.args(arguments);
        match talk {
            Talk::Text => command.args(["--log-level", "trace", "--log-format", "text"]),
            Talk::Json => command.args(["--log-format", "json"]).env("RUST_LOG", "trace"),
        };
        if arguments[0] == "run" {
            command.args(["--progress", if matches!(talk, Talk::Text) { "plain" } else { "json" }]);
        }
        let output = command.output().unwrap();
        self.search(arguments, &output);
        output
    }

    /// The same, ending with that exit code and these words, in the run that speaks text and the one that speaks JSON.
    pub fn ends(&self, arguments: &[&str], code: i32, words: &str) {
        for talk in [Talk::Text, Talk::Json] {
            self.ends_as(talk, arguments, code, words);
        }
    }

    /// The same in one run.
    pub fn ends_as(&self, talk: Talk, arguments: &[&str], code: i32, words: &str) {
        let output = self.run(arguments, talk);
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(words), "“{words}” is missing in {said}");
    }

    fn search(&self, arguments: &[&str], output: &Output) {
        for (name, bytes) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
            let found = found_in(bytes);
            assert!(found.is_empty(), "{arguments:?}: {name} holds {found:?}: {}", String::from_utf8_lossy(bytes));
        }
        let mut files = Vec::new();
        collect(self.folder.path(), &mut files);
        for file in files.iter().filter(|file| !file.ends_with("config.yaml") && !file.ends_with("secret.txt")) {
            let found = found_in(&fs::read(file).unwrap());
            assert!(found.is_empty(), "{arguments:?}: {} holds {found:?}", file.display());
            let found = found_in(file.to_string_lossy().as_bytes());
            assert!(found.is_empty(), "{arguments:?}: the name {} holds {found:?}", file.display());
        }
    }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() { collect(&path, files) } else { files.push(path) }
    }
}

#[test]
#[should_panic(expected = "out/leak holds")]
fn s1_a_secret_in_any_file_is_found() {
    let place = Place::at("http://127.0.0.1:1", "", "");
    fs::create_dir(place.path("out")).unwrap();
    fs::write(place.path("out/leak"), format!("x{ACCESS_TOKEN}")).unwrap();
    place.run(&["status"], Talk::Text);
}
