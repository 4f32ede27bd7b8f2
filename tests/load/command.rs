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
