//! Windows from the call: overrides and pieces.

use serde_json::Value;

use crate::support::{Place, code, err, out, with_quick_tenant};

/// One report with a file for each window, one with a fixed path.
fn two() -> String {
    with_quick_tenant(
        "  calls:
    tenant: demo
    template_id: calls
    window: {from: 2024-01-01, to: 2024-01-03}
    output: {path: '{report}-{from}.csv'}
  queues: {tenant: demo, template_id: queues, window: {from: 2024-01-01, to: 2024-01-03}}
",
    )
}

fn summary(text: &str) -> Vec<Value> {
    let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(last["event"], "summary");
    last["reports"].as_array().unwrap().clone()
}

#[test]
fn each_makes_one_file_for_every_piece_and_the_summary_has_them_all() {
    let place = Place::with_config(&two());
    let run = place.run(&["run", "calls", "--each", "1d", "--progress", "json"]);
    assert_eq!(code(&run), 0, "{}", err(&run));
    let all = summary(&out(&run));
    for (nth, day) in ["01", "02", "03"].into_iter().enumerate() {
        let manifest: Value =
            serde_json::from_str(&place.read(&format!("out/calls-2024-01-{day}.csv.manifest.json"))).unwrap();
        assert_eq!(manifest["window"]["from"], format!("2024-01-{day}T00:00:00.000Z"));
        assert_eq!(manifest["window"]["to"], format!("2024-01-{day}T23:59:59.999Z"));
        assert_eq!((&all[nth]["report"], &all[nth]["outcome"]), (&"calls".into(), &"complete".into()));
        assert_eq!(all[nth]["window"], manifest["window"]);
        assert_eq!(all[nth]["rows"], 700);
        assert_eq!(all[nth]["manifest"], format!("out/calls-2024-01-{day}.csv.manifest.json"));
    }
    assert_eq!(all.len(), 3);
}

#[test]
fn people_see_which_piece_is_meant() {
    let place = Place::with_config(&two());
    let arguments = ["run", "calls", "--each", "1d", "--from", "2024-02-28", "--until", "2024-03-01"];
    let run = place.run(&[&arguments[..], &["--progress", "plain"]].concat());
    assert_eq!(code(&run), 0, "{}", err(&run));
    for day in ["2024-02-28", "2024-02-29"] {
        assert!(err(&run).contains(&format!("calls ({day}): complete")), "{}", err(&run));
        assert!(place.path(&format!("out/calls-{day}.csv")).exists());
    }
    assert!(err(&run).contains("2 complete"), "{}", err(&run));
}

#[test]
fn pieces_need_files_of_their_own_and_every_report_without_is_named() {
    let place = Place::with_config(&two().replace("'{report}-{from}.csv'", "'{report}.csv'"));
    for arguments in [&["run", "--each", "1d"][..], &["run", "--each", "1d", "--dry-run"]] {
        let run = place.run(arguments);
        assert_eq!(code(&run), 2, "{}", err(&run));
        for told in ["report calls", "report queues", "{from} or {to}"] {
            assert!(err(&run).contains(told), "{told}: {}", err(&run));
        }
    }
    let stdout = place.run(&["run", "calls", "--each", "1d", "-o", "-"]);
    assert_eq!(code(&stdout), 2, "{}", err(&stdout));
    assert!(!place.path("out").exists() && !place.path(".cxtract").exists());
}

#[test]
fn a_window_that_makes_no_sense_is_named_for_every_report() {
    let place = Place::with_config(&two());
    let run = place.run(&["run", "--from", "2024-02-01"]);
    assert_eq!(code(&run), 2);
    assert!(err(&run).contains("report calls") && err(&run).contains("report queues"), "{}", err(&run));
}

#[test]
fn a_dry_run_shows_every_piece_with_its_file() {
    let place = Place::with_config(&two());
    let dry = place.run(&["run", "calls", "--each", "12h", "--dry-run"]);
    assert_eq!(code(&dry), 0, "{}", err(&dry));
    assert_eq!(out(&dry).matches("  window   ").count(), 6, "{}", out(&dry));
    assert!(out(&dry).contains("out/calls-20240102T120000Z.csv"), "{}", out(&dry));
    assert!(!place.path("out").exists() && !place.path(".cxtract").exists());
}
