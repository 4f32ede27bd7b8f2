//! `cxtract load` as it is typed: what it prints, and how it ends.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// Two tenants with two small reports each, without a limit.
const SMALL: &str = "load --tenants 2 --reports 2 --rows 1200 --page-size 400 --rate none --progress none";

fn command(folder: &Path, line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cxtract"));
    command.args(line.split_whitespace()).current_dir(folder).stdin(Stdio::null());
    command.env_clear().env("NO_COLOR", "1").env("TMPDIR", folder);
    command
}

fn typed(line: &str) -> (Output, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (command(folder.path(), line).output().unwrap(), folder)
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or_else(|| panic!("killed: {output:?}"))
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn a_load_prints_its_table_writes_its_files_and_leaves_nothing_else() {
    let (output, folder) = typed(&format!("{SMALL} --json load.json --html load.html --expect wrong==0"));
    assert_eq!(code(&output), 0, "{}", err(&output));
    let table = out(&output);
    for due in ["4 complete", "4 right, 0 wrong", "budget use", "tenant-2"] {
        assert!(table.contains(due), "{due}: {table}");
    }
    let json = std::fs::read_to_string(folder.path().join("load.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["metrics"]["verified"], &json["metrics"]["rows"]), (&4.into(), &4800.into()));
    assert_eq!(json["settings"]["rows of a report"], "1200");
    assert!(std::fs::read_to_string(folder.path().join("load.html")).unwrap().ends_with("</html>"));
    let mut names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["load.html", "load.json"]);
}

#[test]
fn json_to_stdout_is_all_there_is_on_it() {
    let (output, _folder) = typed(&format!("{SMALL} --json -"));
    assert_eq!(code(&output), 0, "{}", err(&output));
    let json: serde_json::Value = serde_json::from_str(&out(&output)).unwrap();
    assert_eq!(json["metrics"]["complete"], 4);
}

#[cfg(target_os = "linux")]
#[test]
fn a_result_that_does_not_get_to_stdout_is_no_success() {
    let folder = tempfile::tempdir().unwrap();
    for form in [" --json -", ""] {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let output = command(folder.path(), &format!("{SMALL}{form}")).stdout(full).output().unwrap();
        assert_eq!(code(&output), 1, "{}", err(&output));
        assert!(err(&output).contains("the result can't be written to stdout"), "{}", err(&output));
    }
    // A reader that has gone away is none.
    let (reader, gone) = std::io::pipe().unwrap();
    drop(reader);
    let output = command(folder.path(), &format!("{SMALL} --json -")).stdout(gone).output().unwrap();
    assert_eq!((code(&output), err(&output).as_str()), (0, ""));
}

#[test]
fn an_expectation_that_is_missed_is_exit_code_1_and_says_what_was_found() {
    let (output, _folder) = typed(&format!("{SMALL} --expect complete==4 --expect rows>9000"));
    assert_eq!(code(&output), 1, "{}", err(&output));
    assert!(err(&output).contains("missed: expected rows > 9000, found 4800"), "{}", err(&output));
    assert!(!err(&output).contains("expected complete"), "{}", err(&output));
}

#[test]
fn an_expectation_of_what_is_not_known_is_a_usage_error_that_lists_what_is() {
    let (output, folder) = typed(&format!("{SMALL} --html load.html --expect speed>=3"));
    assert_eq!(code(&output), 2);
    let said = err(&output);
    assert!(said.contains("“speed”") && said.contains("budget_use") && said.contains("cpu_s_per_gb"), "{said}");
    assert!(!folder.path().join("load.html").exists());
}

#[test]
fn an_address_elsewhere_is_refused_before_any_request() {
    // The name is not even looked up: it is refused by the call alone.
    let (output, _folder) = typed("load --url http://127.0.0.1:9 --url http://mock.example:8080 --progress none");
    assert_eq!(code(&output), 2);
    assert!(err(&output).contains("--allow-host mock.example"), "{}", err(&output));
    let (output, _folder) = typed("load --url http://mock.example:80 --allow-host example --progress none");
    assert_eq!(code(&output), 2, "a host is named exactly or not at all");
}

#[test]
fn a_result_that_could_not_be_written_is_refused_at_once() {
    let (output, _folder) = typed(&format!("{SMALL} --json nowhere/load.json"));
    assert_eq!((code(&output), out(&output).as_str()), (2, ""));
    assert!(err(&output).contains("nowhere/load.json can't be written"), "{}", err(&output));
    let (output, _folder) = typed("load --json - --progress json");
    assert_eq!(code(&output), 2);
}

#[test]
fn an_interrupt_ends_a_load_with_what_was_measured_so_far() {
    let folder = tempfile::tempdir().unwrap();
    let line =
        "load --tenants 1 --reports 1 --rows 10000000 --page-size 100 --rate 20 --progress json --json load.json";
    let mut child = command(folder.path(), line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // The first event tells that it is under way.
    let mut first = String::new();
    let mut events = std::io::BufReader::new(child.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut events, &mut first).unwrap();
    assert!(first.contains("\"event\":\"load\""), "{first}");
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(code(&output), 130, "{}", err(&output));
    assert!(err(&output).contains("stopped before it was done"), "{}", err(&output));
    let json = std::fs::read_to_string(folder.path().join("load.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["stopped"], &json["metrics"]["cut_off"]), (&true.into(), &1.into()));
}

#[test]
fn a_signal_that_is_sent_twice_is_one_and_its_load_leaves_nothing_behind() {
    use rustix::process::{Pid, Signal, kill_process};
    let folder = tempfile::tempdir().unwrap();
    let line = "load --tenants 1 --reports 1 --rows 10000000 --page-size 100 --rate 20 --progress json";
    let mut child = command(folder.path(), line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut events = std::io::BufReader::new(child.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut events, &mut String::new()).unwrap();
    let pid = Pid::from_child(&child);
    // Two kinds, because two of one kind may arrive as one.
    kill_process(pid, Signal::TERM).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!([130, 143].contains(&code(&output)), "{}", err(&output));
    assert!(err(&output).contains("stopped before it was done"), "{}", err(&output));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "the folder of outputs is gone");
}

#[test]
fn a_load_that_delivered_nothing_is_no_success() {
    // Nobody listens on the port of a socket that is closed again.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let line = format!("load --url http://127.0.0.1:{port} --rate 20 --reports 1 --for 1s --progress none");
    let (output, _folder) = typed(&line);
    assert_eq!(code(&output), 1, "{}", err(&output));
    assert!(err(&output).contains("not all right: no output was delivered and checked"), "{}", err(&output));
}

#[test]
fn reports_that_fail_or_park_show_in_the_exit_code_unless_their_number_is_expected() {
    let folder = tempfile::tempdir().unwrap();
    // Told to wait for two hours, the engine leaves a report for later.
    let plan = "tenants:\n  calm: {default_report: {rows: 300}}\n  \
                far: {default_report: {rows: 300}, faults: [{on: {page: 2}, then: {wait: {for: 2h}}}]}\n  \
                bad: {default_report: {rows: 300}, faults: [{on: {page: 2}, then: {status: 400}}]}\n";
    std::fs::write(folder.path().join("plan.yaml"), plan).unwrap();
    let line = "load --plan plan.yaml --page-size 100 --reports 1 --progress none --expect verified==1";
    for (expected, due, said) in [
        ("", 1, &["1 report failed for good", "1 report could not be finished now"][..]),
        (" --expect failed==1", 75, &["--expect parked==1"]),
        (" --expect parked<=2", 1, &["--expect failed==1"]),
        (" --expect failed==1 --expect parked<=2", 0, &[]),
        (" --expect failed==2 --expect parked<=2", 1, &["missed: expected failed == 2, found 1"]),
    ] {
        let output = command(folder.path(), &format!("{line}{expected}")).output().unwrap();
        assert_eq!(code(&output), due, "{expected}: {}", err(&output));
        assert!(said.iter().all(|said| err(&output).contains(said)), "{expected}: {}", err(&output));
        assert_eq!(err(&output).is_empty(), due == 0, "{expected}: {}", err(&output));
    }
}

#[test]
fn a_plan_is_played_for_as_long_as_was_said_and_a_budget_of_a_moment_is_no_figure() {
    let folder = tempfile::tempdir().unwrap();
    let plan = "requests_per_second: 50\ndefault_report: {rows: 300}\n";
    std::fs::write(folder.path().join("plan.yaml"), plan).unwrap();
    let line = "load --plan plan.yaml --page-size 100 --reports 1 --for 2s --latency 1ms..3ms --keep --output-dir out \
                --json load.json --progress json --expect budget_use>=0.97 --expect rate_use>=0.01";
    let output = command(folder.path(), line).output().unwrap();
    assert_eq!(code(&output), 1, "{}", err(&output));
    for expected in ["budget_use >= 0.97", "rate_use >= 0.01"] {
        let missed = format!("missed: expected {expected}, but that was not measured");
        assert!(err(&output).contains(&missed), "{missed}: {}", err(&output));
    }
    let json = std::fs::read_to_string(folder.path().join("load.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert!(json["metrics"]["verified"].as_u64().unwrap() >= 1, "{json:#}");
    assert_eq!((&json["metrics"]["wrong"], &json["metrics"]["unchecked"]), (&0.into(), &0.into()));
    let kept = json["kept"].as_str().unwrap();
    assert!(std::fs::read_dir(format!("{kept}/out/mock")).unwrap().count() >= 2, "{kept}");
    let events = out(&output);
    let last: serde_json::Value = serde_json::from_str(events.lines().last().unwrap()).unwrap();
    assert_eq!((&last["event"], &last["verified"]), (&"done".into(), &json["metrics"]["verified"]));
}

#[test]
fn results_that_would_overwrite_each_other_or_go_nowhere_are_refused_before_the_load() {
    for (line, due) in [
        ("--html -", "not to stdout"),
        ("--json a --html ./a", "name two files"),
        ("--json /proc/load.json", "/proc/load.json can't be written"),
        ("--config a.yaml", "--config"),
        ("--url http://user:hunter2@127.0.0.1:9 --rate 1", "user name or password"),
    ] {
        let small = if line.contains("--url") { "load --progress none" } else { SMALL };
        let (output, folder) = typed(&format!("{small} {line}"));
        assert_eq!((code(&output), out(&output).as_str()), (2, ""), "{line}: {}", err(&output));
        assert!(err(&output).contains(due) && !err(&output).contains("hunter2"), "{line}: {}", err(&output));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "{line} leaves nothing");
    }
}

#[test]
fn the_document_explains_every_option_and_every_figure() {
    let document = include_str!("../../docs/LOAD.md");
    let (help, _folder) = typed("load --help");
    let help = out(&help);
    let options = help.split_whitespace().filter(|word| word.starts_with("--")).map(|word| word.trim_end_matches(','));
    let everywhere = ["--config", "--log-level", "--log-format", "--help", "--version"];
    for option in options.filter(|option| !everywhere.contains(option)) {
        assert!(document.contains(&format!("`{option}")), "{option}");
    }
    for figure in cxtract::load::FIGURES {
        assert!(document.contains(&format!("`{}`", figure.name)), "{}", figure.name);
    }
}
