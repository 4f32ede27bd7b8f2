//! A report from submission to manifest, nothing going wrong.

use cxtract::config::{Config, Sources};
use cxtract::mock::{MockHost, MockReport, MockTenant};
use cxtract::{Ending, Engine};

use crate::support::{Stand, names_in, run};

#[test]
fn a_report_of_many_pages_arrives_byte_for_byte() {
    let stand = Stand::new(
        MockTenant::builder().requests_per_second(f64::INFINITY).report("detail", MockReport::with_rows(2345)),
    );
    let manifest = stand.extract_all();
    assert_eq!(manifest.output.rows, 2345);
    assert_eq!(manifest.pages, 24);
    assert_eq!(names_in(&stand.folder.path().join("out")), ["calls.csv", "calls.csv.manifest.json"]);
}

#[test]
fn tenants_that_share_a_port_are_reached_by_their_host_names() {
    let tenant = |rows| MockTenant::builder().report("detail", MockReport::with_rows(rows)).strict();
    let host = MockHost::builder().tenant("mock-1", tenant(10)).tenant("mock-2", tenant(250)).by_host_name();
    let host = host.start().expect("loopback has ports");
    let mock = host.tenant("mock-2").expect("it was named");
    assert!(mock.base_url().starts_with("http://mock-2.localhost:"));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let text = format!(
        "tenants:\n  acme:\n    base_url: {}\n    auth: {{client_id: id, client_secret: secret}}\n    poll: {{initial_delay: \
         10ms}}\nreports:\n  calls: {{tenant: acme, template_id: detail, window: {{from: 2024-01-01, to: 2024-01-31}}, \
         page_size: 100}}\n",
        mock.base_url()
    );
    let config = Config::load(&Sources::text(folder.path().join("config.yaml"), &text)).expect("it is right");
    let ending = run(async move {
        let engine = Engine::builder().config(config).start().expect("the engine starts");
        let ending = engine.extract("calls").await.expect("an ending");
        engine.shutdown().await;
        ending
    });
    assert!(matches!(ending, Ending::Complete(_)), "{ending:?}");
    let output = std::fs::read(folder.path().join("out/calls.csv")).expect("the output");
    assert_eq!(output, mock.expected_csv("detail"));
    assert!(host.tenant("mock-1").is_some_and(|other| other.ledger().is_empty()));
}
