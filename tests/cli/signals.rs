//! SIGINT and SIGTERM end a run with its reports parked.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use crate::support::Place;

/// A tenant whose query takes longer than any test.
const SLOW: &str = "
tenants:
  demo: {mock: {ready_after: 1h}, poll: {initial_delay: 100ms}}
reports:
  calls: {tenant: demo, template_id: calls, window: {from: 2024-01-01, to: 2024-01-31}}
";

/// Longer than any step takes on a busy machine; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// A run under way; it does not outlive its test.
struct Running {
    child: Child,
    events: Receiver<String>,
}

impl Running {
    fn start(place: &Place) -> Self {
        let mut command = place.command(&["run", "--progress", "json"]);
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

    fn until(&self, words: &str) {
        while !self.event().unwrap_or_else(|| panic!("ended before {words}")).contains(words) {}
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// The exit code and the last event.
    fn end(mut self) -> (Option<i32>, String) {
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

fn signalled(signal: &str) -> (Option<i32>, String) {
    let place = Place::with_config(SLOW);
    let running = Running::start(&place);
    running.until("\"state\":\"submitted\"");
    running.signal(signal);
    running.end()
}

#[test]
fn an_interrupt_parks_and_exits_130() {
    let (code, last) = signalled("-INT");
    assert_eq!(code, Some(130));
    assert!(last.contains("\"summary\"") && last.contains("\"parked\""), "{last}");
}

#[test]
fn a_request_to_terminate_parks_and_exits_143() {
    let (code, last) = signalled("-TERM");
    assert_eq!(code, Some(143));
    assert!(last.contains("\"summary\"") && last.contains("\"parked\""), "{last}");
}
