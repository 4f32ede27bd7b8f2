//! SIGINT and SIGTERM end a run with its reports parked.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use crate::support::Place;

/// A tenant whose query takes longer than any test.
const SLOW: &str = "
tenants:
  demo: {mock: {ready_after: 1h}, poll: {initial_delay: 100ms}}
reports:
  calls: {tenant: demo, template_id: calls, window: {from: 2024-01-01, to: 2024-01-31}}
";

fn started(place: &Place) -> (Child, BufReader<std::process::ChildStdout>) {
    let mut child =
        place.command(&["run", "--progress", "json"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut events = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("\"state\":\"polling\"") {
        line.clear();
        assert!(events.read_line(&mut line).unwrap() > 0, "ended before it polled");
    }
    (child, events)
}

fn signalled(signal: &str) -> (i32, String) {
    let place = Place::with_config(SLOW);
    let (mut child, events) = started(&place);
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
    let last = events.lines().map(Result::unwrap).last().unwrap();
    (child.wait().unwrap().code().unwrap(), last)
}

#[test]
fn an_interrupt_parks_and_exits_130() {
    let (code, last) = signalled("-INT");
    assert_eq!(code, 130);
    assert!(last.contains("\"summary\"") && last.contains("\"parked\""), "{last}");
}

#[test]
fn a_request_to_terminate_parks_and_exits_143() {
    let (code, last) = signalled("-TERM");
    assert_eq!(code, 143);
    assert!(last.contains("\"summary\"") && last.contains("\"parked\""), "{last}");
}
