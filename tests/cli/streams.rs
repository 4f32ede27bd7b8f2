//! What goes to stdout and what to stderr.

use serde_json::Value;

use crate::support::{Place, code, err, out};

fn events(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

#[test]
fn json_progress_is_one_event_a_line_and_ends_with_the_summary() {
    let run = Place::usual().run(&["run", "--progress", "json"]);
    assert_eq!(code(&run), 0, "{}", err(&run));
    let events = events(&out(&run));
    for event in &events {
        for field in ["event", "report", "tenant", "at"] {
            assert!(event.get(field).is_some(), "{field} in {event}");
        }
    }
    let of = |report: &str| -> Vec<String> {
        events.iter().filter(|e| e["report"] == report).map(|e| e["event"].as_str().unwrap().to_owned()).collect()
    };
    for report in ["calls", "queues"] {
        let names = of(report);
        assert_eq!(names.first().map(String::as_str), Some("started"));
        assert_eq!(names.last().map(String::as_str), Some("complete"));
    }
    let summary = events.last().unwrap();
    assert_eq!(summary["event"], "summary");
    assert_eq!(summary["reports"][0]["rows"], 2500);
    assert_eq!(summary["reports"][0]["manifest"], "out/calls.csv.manifest.json");
}

#[test]
fn records_on_stdout_are_the_file_and_nothing_else() {
    let place = Place::usual();
    let to_file = place.run(&["run", "calls", "--progress", "none"]);
    assert_eq!(code(&to_file), 0, "{}", err(&to_file));
    let to_stdout = place.run(&["run", "calls", "-o", "-", "--fresh", "--progress", "none"]);
    assert_eq!(code(&to_stdout), 0, "{}", err(&to_stdout));
    assert!(out(&to_stdout) == place.read("out/calls.csv"), "stdout and file differ");
}

#[test]
fn a_reader_of_records_that_went_away_is_no_failure() {
    let place = Place::usual();
    for compression in ["none", "gzip", "zstd"] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let set = format!("output.compression={compression}");
        let mut run = place.command(&["run", "calls", "-o", "-", "--fresh", "--progress", "none", "--set", &set]);
        let ended = run.stdout(writer).output().unwrap();
        assert_eq!((ended.status.code(), err(&ended).as_str()), (Some(0), ""), "{compression}");
    }
}

#[test]
fn outputs_go_where_the_call_says_from_the_working_folder() {
    let place = Place::usual();
    let one = place.run(&["run", "calls", "-o", "here/one.csv", "--progress", "none"]);
    assert_eq!(code(&one), 0, "{}", err(&one));
    assert!(place.path("here/one.csv.manifest.json").exists());
    let all = place.run(&["run", "--output-dir", "there", "--fresh", "--progress", "none"]);
    assert_eq!(code(&all), 0, "{}", err(&all));
    assert!(place.path("there/calls.csv").exists() && place.path("there/queues.csv").exists());
    assert!(!place.path("out").exists());
}

#[test]
fn a_dry_run_shows_the_plan_on_stdout_and_leaves_nothing() {
    let place = Place::usual();
    let run = place.run(&["run", "calls", "--dry-run", "--from", "2024-01-10", "--until", "2024-01-11"]);
    assert_eq!(code(&run), 0, "{}", err(&run));
    let plan = out(&run);
    assert!(plan.contains("2024-01-10T00:00:00.000Z to 2024-01-10T23:59:59.999Z"), "{plan}");
    assert!(plan.contains("\"templateId\":\"calls\"") && plan.contains("out/calls.csv"), "{plan}");
    assert!(!place.path("out").exists() && !place.path(".cxtract").exists());
}

#[test]
fn logs_go_to_stderr_as_json_where_that_is_asked_for() {
    let place = Place::usual();
    let run = place.run(&["run", "calls", "--progress", "none", "--log-format", "json", "--log-level", "debug"]);
    assert_eq!(code(&run), 0, "{}", err(&run));
    assert_eq!(out(&run), "");
    for line in err(&run).lines() {
        serde_json::from_str::<Value>(line).unwrap_or_else(|e| panic!("{e}: {line}"));
    }
}
