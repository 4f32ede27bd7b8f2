//! Exit codes of whole runs.

use crate::support::{Place, code, err, out};

#[test]
fn a_run_delivers_every_report_with_its_manifest_and_exits_0() {
    let place = Place::usual();
    let run = place.run(&["run", "--progress", "plain"]);
    assert_eq!(code(&run), 0, "{}", err(&run));
    for report in ["calls", "queues"] {
        let manifest: serde_json::Value =
            serde_json::from_str(&place.read(&format!("out/{report}.csv.manifest.json"))).unwrap();
        assert_eq!(manifest["output"]["rows"], 2500);
        let bytes = place.read(&format!("out/{report}.csv")).len();
        assert_eq!(manifest["output"]["bytes"], bytes);
        assert!(!place.path(&format!("out/{report}.csv.part")).exists());
    }
    assert!(err(&run).contains("2 complete"), "{}", err(&run));
    assert_eq!(out(&run), "");
}

#[test]
fn only_the_named_report_is_extracted() {
    let place = Place::usual();
    assert_eq!(code(&place.run(&["run", "queues", "--progress", "none"])), 0);
    assert!(place.path("out/queues.csv").exists());
    assert!(!place.path("out/calls.csv").exists());
}

#[test]
fn misuse_is_told_on_stderr_and_exits_2() {
    let place = Place::usual();
    let cases: [(&[&str], &str); 7] = [
        (&["run", "nothing"], "calls, queues"),
        (&["run", "-o", "a.csv"], "name one report"),
        (&["run", "calls", "-o", "-", "--progress", "json"], "stdout"),
        (&["run", "--to", "2024-01-31", "--until", "2024-02-01"], "--until"),
        (&["run", "--each", "1d"], "{from} or {to}"),
        (&["run", "--from", "2024-02-01"], "before it begins"),
        (&["verify"], "FILE"),
    ];
    for (arguments, told) in cases {
        let run = place.run(arguments);
        assert_eq!(code(&run), 2, "{arguments:?}: {}", err(&run));
        assert!(err(&run).contains(told), "{arguments:?}: {}", err(&run));
        assert_eq!(out(&run), "");
    }
    assert!(!place.path("out").exists());
}

#[test]
fn without_a_configuration_the_remedy_is_named() {
    let run = Place::empty().run(&["run"]);
    assert_eq!(code(&run), 2);
    assert!(err(&run).contains("cxtract init"), "{}", err(&run));
}

#[test]
fn the_environment_may_name_the_configuration() {
    let place = Place::usual();
    std::fs::rename(place.path("config.yaml"), place.path("elsewhere.yaml")).unwrap();
    let run = place.command(&["run", "--dry-run"]).env("CXTRACT_CONFIG", "elsewhere.yaml").output().unwrap();
    assert_eq!(code(&run), 0, "{}", err(&run));
}

#[test]
fn check_names_each_tenant_that_gives_out_a_token() {
    let check = Place::usual().run(&["check"]);
    assert_eq!(code(&check), 0, "{}", err(&check));
    assert!(err(&check).contains("demo: ok"), "{}", err(&check));
}

#[test]
fn every_problem_of_a_configuration_is_told_at_once() {
    let place = Place::with_config(
        "tenants: {demo: {mock: {}, max_in_flight: 0}}\nreports: {a: {tenant: other, template_id: 007}}\n",
    );
    let run = place.run(&["run"]);
    assert_eq!(code(&run), 2);
    for key in ["tenants.demo.max_in_flight", "reports.a.tenant", "reports.a.template_id"] {
        assert!(err(&run).contains(key), "{key}: {}", err(&run));
    }
}
