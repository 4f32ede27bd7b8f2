//! One run after another: what is gone on with, skipped, repeated and given up.

use std::sync::OnceLock;

use serde_json::Value;

use crate::running::Running;
use crate::support::{Place, USUAL, code, err, out, with_quick_tenant};

/// Fifty pages, one at a time, a few seconds in all.
const SLOW: &str = "
tenants:
  demo:
    mock: {total_rows: 2500, ready_after: 50ms, latency: 40ms, requests_per_second: 1000}
    rate_limit: {requests_per_second: 500, burst: 50}
    max_in_flight: 1
    poll: {initial_delay: 60ms}
reports:
  calls: {tenant: demo, template_id: calls, window: {from: 2024-01-01, to: 2024-01-31}, page_size: 50}
";

/// All that has happened until now, in one file for each run.
fn since() -> String {
    with_quick_tenant(
        "  calls:
    tenant: demo
    template_id: calls
    window: {since: 2024-01-01, lag: 24h}
    output: {path: '{report}-{from}.csv'}
",
    )
}

impl Place {
    fn done(&self, arguments: &[&str]) -> String {
        let run = self.run(arguments);
        assert_eq!(code(&run), 0, "{arguments:?}: {}", err(&run));
        err(&run)
    }

    fn manifest(&self, name: &str) -> Value {
        serde_json::from_str(&self.read(&format!("out/{name}.csv.manifest.json"))).unwrap()
    }

    fn stored(&self) -> Vec<Value> {
        let status = self.run(&["status", "--json"]);
        assert_eq!(code(&status), 0, "{}", err(&status));
        serde_json::from_str(&out(&status)).unwrap()
    }
}

/// The outcome of each extraction of a run, in order.
fn outcomes(place: &Place, arguments: &[&str]) -> Vec<String> {
    let run = place.run(&[&["run", "--progress", "json"], arguments].concat());
    assert_eq!(code(&run), 0, "{}", err(&run));
    let text = out(&run);
    let summary: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    let all = summary["reports"].as_array().unwrap().iter();
    all.map(|one| one["outcome"].as_str().unwrap().to_owned()).collect()
}

/// The bytes that an undisturbed run delivers.
fn undisturbed() -> &'static str {
    static BYTES: OnceLock<String> = OnceLock::new();
    BYTES.get_or_init(|| {
        let place = Place::with_config(&SLOW.replace("max_in_flight: 1", "max_in_flight: 8"));
        place.done(&["run", "--progress", "none"]);
        place.read("out/calls.csv")
    })
}

#[test]
fn what_is_complete_is_skipped_until_its_file_is_gone_or_fresh_is_said() {
    let place = Place::usual();
    place.done(&["run", "--progress", "none"]);
    let first = place.manifest("calls")["query_id"].clone();
    let told = place.done(&["run", "--progress", "plain"]);
    assert!(told.contains("2 skipped") && told.contains("already complete"), "{told}");
    assert_eq!(place.manifest("calls")["query_id"], first);

    std::fs::remove_file(place.path("out/calls.csv")).unwrap();
    let told = place.done(&["run", "--progress", "plain"]);
    assert!(told.contains("1 complete, 1 skipped") && told.contains("is not there"), "{told}");
    let second = place.manifest("calls")["query_id"].clone();
    assert_ne!(second, first);

    assert_eq!(outcomes(&place, &["calls", "--fresh"]), ["complete"]);
    assert_ne!(place.manifest("calls")["query_id"], second);
    assert_eq!(place.stored().len(), 2);
}

#[test]
fn f5_a_report_that_was_changed_after_it_was_complete_is_extracted_again() {
    let place = Place::usual();
    place.done(&["run", "calls", "--progress", "none"]);
    assert_eq!(outcomes(&place, &["calls", "--set", "reports.calls.page_size=1000"]), ["complete"]);
    assert_eq!(outcomes(&place, &["calls", "--set", "reports.calls.page_size=1000"]), ["skipped"]);
}

#[test]
fn k2_after_a_signal_the_next_run_goes_on_under_the_same_query_to_the_same_bytes() {
    let place = Place::with_config(SLOW);
    let running = Running::start(&place, &[]);
    running.until_pages(5);
    running.signal("-INT");
    let (code, last) = running.end();
    assert_eq!(code, Some(130));
    assert!(last.contains("\"parked\""), "{last}");
    let stored = &place.stored()[0];
    assert_eq!(stored["state"], "parked");
    assert!(stored["pages"].as_u64().unwrap() >= 5, "{stored}");
    assert!(!place.path("out/calls.csv").exists() && place.path("out/calls.csv.part").exists());
    let dry = place.run(&["run", "--dry-run"]);
    assert!(out(&dry).contains("goes on"), "{}", out(&dry));

    place.done(&["run", "--progress", "none"]);
    assert!(place.read("out/calls.csv") == undisturbed(), "the bytes differ");
    let manifest = place.manifest("calls");
    assert_eq!((&manifest["query_id"], &manifest["resumed"]), (&stored["query_id"], &1.into()));
    let stored = &place.stored()[0];
    assert_eq!((&stored["state"], &stored["rows"]), (&"complete".into(), &2500.into()));
    assert_eq!(stored["bytes"], manifest["output"]["bytes"]);
}

#[test]
fn k1_after_a_kill_status_shows_the_position_and_the_next_run_ends_with_the_same_bytes() {
    let place = Place::with_config(SLOW);
    let running = Running::start(&place, &[]);
    running.until_pages(30);
    running.signal("-KILL");
    assert_eq!(running.end().0, None);
    let stored = &place.stored()[0];
    assert_eq!(stored["state"], "fetching");
    place.done(&["run", "--progress", "none"]);
    assert!(place.read("out/calls.csv") == undisturbed(), "the bytes differ");
    assert_eq!(place.manifest("calls")["query_id"], stored["query_id"]);
}

#[test]
fn k5_while_one_process_works_on_a_report_a_second_leaves_it_alone_and_status_sees_it() {
    let place = Place::with_config(&SLOW.replace("latency: 40ms", "latency: 400ms"));
    let running = Running::start(&place, &[]);
    running.until_pages(2);
    assert_eq!(place.stored()[0]["state"], "fetching");
    let second = place.run(&["run", "--progress", "plain"]);
    assert_eq!(code(&second), 75, "{}", err(&second));
    assert!(err(&second).contains("calls: parked: ") && err(&second).contains("another process"), "{}", err(&second));
    let forget = place.run(&["forget", "calls"]);
    assert_eq!(code(&forget), 75, "{}", err(&forget));
    // Left alone, it is still at work, and can save what it has.
    running.signal("-INT");
    assert_eq!(running.end().0, Some(130));
    let stored = &place.stored()[0];
    assert!(stored["state"] == "parked" && stored["pages"].as_u64() >= Some(2), "{stored}");
}

#[test]
fn what_was_forgotten_starts_again_under_a_new_query() {
    let place = Place::with_config(SLOW);
    let running = Running::start(&place, &[]);
    running.until_pages(5);
    running.signal("-TERM");
    assert_eq!(running.end().0, Some(143));
    let query = place.stored()[0]["query_id"].clone();
    place.done(&["forget", "calls"]);
    assert_eq!(place.stored(), [] as [Value; 0]);
    assert!(!place.path("out/calls.csv.part").exists());
    place.done(&["run", "--progress", "none"]);
    assert_ne!(place.manifest("calls")["query_id"], query);
    assert_eq!(place.manifest("calls")["resumed"], 0);
}

#[test]
fn f2_what_was_changed_while_unfinished_is_refused_and_fresh_starts_again() {
    let place = Place::with_config(SLOW);
    let running = Running::start(&place, &[]);
    running.until_pages(3);
    running.signal("-INT");
    running.end();
    let changed = ["run", "--progress", "none", "--set", "reports.calls.page_size=100"];
    let refused = place.run(&changed);
    assert_eq!(code(&refused), 2, "{}", err(&refused));
    assert!(err(&refused).contains("page_size") && err(&refused).contains("--fresh"), "{}", err(&refused));
    // What only tunes is taken over.
    place.done(&["run", "--progress", "none", "--set", "tenants.demo.max_in_flight=4"]);
    assert_eq!(place.manifest("calls")["resumed"], 1);
    place.done(&[&changed[..], &["--fresh"]].concat());
}

#[test]
fn a_since_report_goes_on_where_the_last_run_ended_and_windows_from_the_call_leave_that_alone() {
    let place = Place::with_config(&since());
    place.done(&["run", "--progress", "none"]);
    let first = place.manifest("calls-2024-01-01");
    place.done(&["run", "--from", "2024-01-05", "--to", "2024-01-05", "--progress", "none"]);
    place.done(&["run", "--progress", "none"]);
    let stored = place.stored();
    assert_eq!(stored.len(), 3, "{stored:?}");
    let mut windows: Vec<(String, String)> = stored
        .iter()
        .map(|one| {
            (one["window"]["from"].as_str().unwrap().to_owned(), one["window"]["to"].as_str().unwrap().to_owned())
        })
        .collect();
    windows.sort();
    assert_eq!(windows[0].0, "2024-01-01T00:00:00.000Z");
    assert_eq!(windows[1].0, "2024-01-05T00:00:00.000Z");
    let moment = |text: &str| cxtract::model::Timestamp::parse(text).unwrap().0;
    assert_eq!(first["window"]["to"], windows[0].1);
    assert_eq!(moment(&windows[2].0), moment(&windows[0].1) + 1);
}

#[test]
fn a_since_report_with_nothing_to_ask_for_yet_is_skipped() {
    let place = Place::with_config(&since().replace("since: 2024-01-01", "since: 2999-01-01"));
    let told = place.done(&["run", "--progress", "plain"]);
    assert!(told.contains("calls: skipped: ") && told.contains("nothing to ask for yet"), "{told}");
    assert_eq!(outcomes(&place, &[]), ["skipped"]);
    assert!(!place.path("out").exists());
}

#[test]
fn the_pieces_of_a_since_report_follow_on_each_other_over_runs() {
    let place = Place::with_config(&since().replace("2024-01-01, lag: 24h", "2024-01-01"));
    let n = outcomes(&place, &["--each", "400d"]).len();
    assert!(n >= 2, "{n}");
    let first = place.manifest("calls-2024-01-01");
    assert_eq!(first["window"]["to"], "2025-02-03T23:59:59.999Z");
    assert!(place.path("out/calls-2025-02-04.csv").exists());
    assert_eq!(outcomes(&place, &["--each", "400d"]), ["complete"]);
    assert_eq!(place.stored().len(), n + 1);
}

#[test]
fn an_end_from_the_call_alone_leaves_a_since_report_its_beginning() {
    let place = Place::with_config(&since().replace("2024-01-01, lag: 24h", "2024-01-01"));
    place.done(&["run", "--progress", "none"]);
    let dry = place.run(&["run", "--dry-run", "--until", "2999-01-01"]);
    assert!(!out(&dry).contains("2024-01-01T00:00:00.000Z") && out(&dry).contains("2998-12-31"), "{}", out(&dry));
    let before = place.run(&["run", "--to", "2024-01-31"]);
    assert_eq!(code(&before), 2, "{}", err(&before));
    assert!(err(&before).contains("before it begins"), "{}", err(&before));
}

#[test]
fn after_a_piece_that_is_parked_the_rest_is_left_for_the_next_run() {
    let slow = since().replace("ready_after: 50ms", "ready_after: 1h").replace("60ms}", "60ms, max_wait: 200ms}");
    let place = Place::with_config(&slow);
    let arguments = ["run", "--each", "1d", "--from", "2024-01-01", "--to", "2024-01-03", "--progress", "plain"];
    let run = place.run(&arguments);
    assert_eq!(code(&run), 75, "{}", err(&run));
    assert!(err(&run).contains("calls: 2 windows not begun, from 2024-01-02 on"), "{}", err(&run));
    assert_eq!(place.stored().len(), 1);
}

#[test]
fn pieces_that_are_complete_are_skipped_and_the_others_extracted() {
    let text = USUAL.replace("page_size: 500}", "page_size: 500, output: {path: '{report}-{from}.csv'}}");
    let place = Place::with_config(&text);
    let all = ["calls", "--each", "1d", "--from", "2024-01-01", "--to", "2024-01-03"];
    let some = ["calls", "--from", "2024-01-02", "--to", "2024-01-02"];
    assert_eq!(outcomes(&place, &some), ["complete"]);
    assert_eq!(outcomes(&place, &all), ["complete", "skipped", "complete"]);
}

#[test]
fn records_on_stdout_have_their_manifest_in_status_and_are_never_skipped() {
    let place = Place::usual();
    let first = place.run(&["run", "calls", "-o", "-", "--progress", "none"]);
    assert_eq!(code(&first), 0, "{}", err(&first));
    let stored = place.stored();
    assert_eq!(stored[0]["manifest"]["output"]["bytes"], out(&first).len());
    assert_eq!(stored[0]["manifest"]["output"]["rows"], stored[0]["rows"]);
    let second = place.run(&["run", "calls", "-o", "-", "--progress", "none"]);
    assert!(out(&second) == out(&first) && !out(&first).is_empty(), "{}", err(&second));
}

#[test]
fn a_split_report_is_one_file_and_its_plan_shows_every_query() {
    let place = Place::with_config(&SLOW.replace("page_size: 50}", "page_size: 500, split: 10d}"));
    let dry = place.run(&["run", "--dry-run"]);
    assert_eq!(out(&dry).matches("templateId").count(), 4, "{}", out(&dry));
    place.done(&["run", "--progress", "none"]);
    assert_eq!(place.manifest("calls")["parts"].as_array().unwrap().len(), 4);
    let stored = place.stored();
    assert_eq!((&stored[0]["query_id"], &stored[0]["rows"]), (&Value::Null, &10_000.into()));
}
