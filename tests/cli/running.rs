//! A run under way, watched by its events.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use crate::support::Place;

/// Longer than any step takes on a busy machine; a test that waits so long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A run under way; it does not outlive its test.
pub(crate) struct Running {
    child: Child,
    events: Receiver<String>,
}

impl Running {
    /// Starts `run` with these further arguments.
    pub(crate) fn start(place: &Place, more: &[&str]) -> Self {
        let mut command = place.command(&[&["run", "--progress", "json"], more].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (tell, events) = channel();
        std::thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|line| tell.send(line)));
        Self { child, events }
    }

    /// The next event, or none where the run is over.
    fn event(&self) -> Option<String> {
        match self.events.recv_timeout(PATIENCE) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("nothing was told for {PATIENCE:?}"),
        }
    }

    /// Waits for an event with these words in it.
    pub(crate) fn until(&self, words: &str) {
        while !self.event().unwrap_or_else(|| panic!("ended before {words}")).contains(words) {}
    }

    /// Waits until that many pages are written. Snapshots may skip numbers.
    pub(crate) fn until_pages(&self, n: u64) {
        let pages = |event: &str| serde_json::from_str::<serde_json::Value>(event).ok()?["pages"].as_u64();
        loop {
            let event = self.event().unwrap_or_else(|| panic!("ended before page {n}"));
            if pages(&event).is_some_and(|pages| pages >= n) {
                return;
            }
        }
    }

    pub(crate) fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// The exit code and the last event.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        let mut last = String::new();
        while let Some(event) = self.event() {
            last = event;
        }
        (self.child.wait().unwrap().code(), last)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
