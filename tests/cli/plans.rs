//! Plans as a configuration names them: `mock: {plan: FILE}`.

use std::fs;

use crate::support::{Place, code, err};

const CONFIG: &str = "
tenants:
  demo:
    mock: {plan: plans/story.yaml}
    rate_limit: {requests_per_second: 100, burst: 50}
    poll: {initial_delay: 60ms}
    retry: {base_delay: 10ms}
reports:
  calls: {tenant: demo, template_id: calls, window: {from: 2024-01-01, to: 2024-01-31}}
";

fn with_plan(plan: &str) -> Place {
    let place = Place::with_config(CONFIG);
    fs::create_dir(place.path("plans")).unwrap();
    fs::write(place.path("plans/story.yaml"), plan).unwrap();
    place
}

#[test]
fn a_run_plays_the_plan_that_its_configuration_names() {
    let plan = "
        about: the first try of page 2 is cut off
        requests_per_second: 200
        default_report: {rows: 30, page_sizes: {at_most: 10}}
        faults: [{on: {page: 2, first: 1}, then: {cut_at: 100}}]
    ";
    let place = with_plan(plan);
    let run = place.run(&["run", "--progress", "plain"]);
    assert_eq!(code(&run), 0, "{}", err(&run));
    let manifest: serde_json::Value = serde_json::from_str(&place.read("out/calls.csv.manifest.json")).unwrap();
    assert_eq!((manifest["output"]["rows"].as_u64(), manifest["pages"].as_u64()), (Some(30), Some(3)));
    assert_eq!(manifest["http"]["retries"].as_u64(), Some(1));
}

#[test]
fn a_plan_that_can_t_be_used_is_a_usage_error_that_names_file_and_line() {
    for (plan, due) in [
        ("seed: 1\nrow: 5\n", "line 2"),
        ("seed: 1\nlatency: 30\n", "line 2"),
        ("tenants: {a: {}, b: {}}\n", "2 tenants"),
    ] {
        let run = with_plan(plan).run(&["run"]);
        assert_eq!(code(&run), 2, "{}", err(&run));
        let said = err(&run);
        assert!(said.contains("story.yaml") && said.contains(due), "{said}");
    }
    let place = Place::with_config(CONFIG);
    let run = place.run(&["run"]);
    assert_eq!(code(&run), 2, "{}", err(&run));
    assert!(err(&run).contains("story.yaml"), "{}", err(&run));
}
