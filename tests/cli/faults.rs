//! Faults as the command line shows them.

use crate::support::{Place, code, err};

/// The name does not exist anywhere.
const NOBODY: &str = "
tenants:
  gone:
    base_url: https://tenant.invalid
    auth: {client_id: a, client_secret: canary-0815}
    retry: {max_attempts: 2, base_delay: 10ms, max_delay: 20ms}
    proxy: null
reports:
  calls: {tenant: gone, template_id: calls, window: {from: 2024-01-01, to: 2024-01-31}}
";

#[test]
fn n1_check_names_the_host_that_does_not_resolve_and_exits_1() {
    let check = Place::with_config(NOBODY).run(&["check"]);
    assert_eq!(code(&check), 1, "{}", err(&check));
    assert!(err(&check).contains("tenant.invalid"), "{}", err(&check));
    assert!(!err(&check).contains("canary"), "{}", err(&check));
}

#[test]
fn n1_a_run_parks_a_report_whose_host_does_not_resolve() {
    let run = Place::with_config(NOBODY).run(&["run", "--progress", "plain"]);
    assert_eq!(code(&run), 75, "{}", err(&run));
    assert!(err(&run).contains("tenant.invalid") && err(&run).contains("1 parked"), "{}", err(&run));
}

#[test]
fn n2_a_run_parks_a_report_whose_tenant_refuses_connections() {
    // A port that was free a moment ago: nobody listens there.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let text = NOBODY.replace("https://tenant.invalid", &format!("http://{free}"));
    let run = Place::with_config(&text).run(&["run", "--progress", "plain"]);
    assert_eq!(code(&run), 75, "{}", err(&run));
    assert!(err(&run).contains(&free.to_string()) && err(&run).contains("1 parked"), "{}", err(&run));
}

#[test]
fn f1_a_window_that_ends_before_it_begins_is_refused_before_any_request() {
    let text = NOBODY.replace("to: 2024-01-31", "to: 2023-01-31");
    let run = Place::with_config(&text).run(&["run"]);
    assert_eq!(code(&run), 2, "{}", err(&run));
    assert!(err(&run).contains("reports.calls.window"), "{}", err(&run));
}
