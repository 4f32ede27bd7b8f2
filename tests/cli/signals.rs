//! SIGINT and SIGTERM end a run with its reports parked.

use crate::running::Running;
use crate::support::Place;

/// A tenant whose query takes longer than any test.
const SLOW: &str = "
tenants:
  demo: {mock: {ready_after: 1h}, poll: {initial_delay: 100ms}}
reports:
  calls: {tenant: demo, template_id: calls, window: {from: 2024-01-01, to: 2024-01-31}}
";

fn signalled(signal: &str) -> (Option<i32>, String) {
    let place = Place::with_config(SLOW);
    let running = Running::start(&place, &[]);
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
