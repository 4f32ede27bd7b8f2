//! `cxtract mock`: tenants that scripts can wait for, use, judge by and stop.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use crate::running::PATIENCE;
use crate::support::{Place, code, err, out};

/// A `cxtract mock` under way; it does not outlive its test.
struct Serving {
    child: Child,
    /// What it said of each tenant.
    tenants: Vec<Value>,
}

impl Serving {
    /// Starts it and waits until it has told of so many tenants.
    fn start(place: &Place, arguments: &[&str], n_tenants: usize) -> Self {
        let mut command = place.command(&[&["mock", "--json"], arguments].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let told = BufReader::new(child.stdout.as_mut().unwrap()).lines().take(n_tenants);
        let tenants = told.map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect();
        Self { child, tenants }
    }

    fn base_url(&self, nth: usize) -> &str {
        self.tenants[nth]["base_url"].as_str().unwrap()
    }

    fn get(&self, nth: usize, target: &str) -> String {
        let host = self.base_url(nth).split("//").nth(1).unwrap();
        let mut stream = TcpStream::connect(host).unwrap();
        write!(stream, "GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    }

    fn scorecard(&self, nth: usize) -> Value {
        serde_json::from_str(&self.get(nth, "/__mock/scorecard")).unwrap()
    }

    fn signalled(mut self, signal: &str) -> (Option<i32>, String) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        self.ended()
    }

    /// The exit code and what it said to people.
    fn ended(&mut self) -> (Option<i32>, String) {
        let mut said = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        (self.child.wait().unwrap().code(), said)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn config(base_url: &str) -> String {
    format!(
        "
tenants:
  there:
    base_url: {base_url}
    auth: {{client_id: id, client_secret: canary}}
    rate_limit: {{requests_per_second: 500, burst: 50}}
    poll: {{initial_delay: 100ms}}
reports:
  calls: {{tenant: there, template_id: calls, window: {{from: 2024-01-01, to: 2024-01-31}}, page_size: 100}}
"
    )
}

#[test]
fn a_run_against_it_is_whole_and_good_in_every_respect() {
    let place = Place::empty();
    let serving = Serving::start(&place, &["--rows", "2500", "--rate", "1000", "--ready-after", "50ms"], 1);
    assert_eq!(serving.tenants[0]["tenant"], "mock");
    assert_eq!(serving.tenants[0]["token_url"], format!("{}/oauth2/token", serving.base_url(0)));
    place.write("config.yaml", &config(serving.base_url(0)));
    let run = place.run(&["run", "--progress", "none"]);
    assert_eq!(code(&run), 0, "{}", err(&run));
    let card = serving.scorecard(0);
    assert_eq!((card["grade"].as_str(), card["queries"][0]["rows_served"].as_u64()), (Some("good"), Some(2500)));
    let ledger = serving.get(0, "/__mock/ledger");
    assert!(ledger.contains("\"kind\":\"page\"") && !ledger.contains("canary"));
    let (code, said) = serving.signalled("-TERM");
    assert_eq!(code, Some(0), "{said}");
    let last = said.lines().last().unwrap();
    assert!(last.starts_with("mock") && last.contains("good") && last.contains("rows"), "{said}");
    assert!(said.contains("curl -u ID:SECRET") && said.contains("/__mock/scorecard"), "{said}");
}

#[test]
fn the_right_file_is_the_one_that_a_run_delivers() {
    let place = Place::empty();
    let mut file = String::from("id,remark\n");
    (0..777).for_each(|n| file.push_str(&format!("{n},\"a \"\"quoted\"\"\nremark, {n}\"\n")));
    place.write("calls.csv", &file);
    let serving = Serving::start(&place, &["--file", "calls.csv", "--rate", "1000"], 1);
    place.write("config.yaml", &config(serving.base_url(0)));
    let run = place.run(&["run", "--progress", "none", "--output-dir", "out"]);
    assert_eq!(code(&run), 0, "{}", err(&run));
    assert_eq!(place.read("out/calls.csv"), file);
}

#[test]
fn a_plan_names_its_tenants_and_the_call_goes_over_it() {
    let place = Place::empty();
    place.write("plan.yaml", "about: Two of a kind.\ntenants: {calm: {}, angry: {requests_per_second: 1}}\n");
    let serving = Serving::start(&place, &["--plan", "plan.yaml", "--tenants", "3", "--host-names"], 3);
    let names: Vec<&str> = serving.tenants.iter().map(|tenant| tenant["tenant"].as_str().unwrap()).collect();
    assert_eq!(names, ["calm-1", "angry-1", "calm-2"]);
    assert!(serving.base_url(1).starts_with("http://angry-1.localhost:"), "{}", serving.base_url(1));
    let (code, said) = serving.signalled("-INT");
    assert_eq!(code, Some(0));
    assert!(said.starts_with("Two of a kind.\n") && said.ends_with("nobody called\n"), "{said}");
}

#[test]
fn it_ends_by_itself_after_its_time() {
    let place = Place::empty();
    let ended = place.run(&["mock", "--for", "100ms"]);
    assert_eq!((code(&ended), out(&ended).as_str()), (0, ""));
    assert!(err(&ended).contains("http://127.0.0.1:"));
}

#[test]
fn n8_a_run_trusts_the_certificate_that_it_is_given_and_no_other() {
    let place = Place::empty();
    place.write("plan.yaml", "default_report: {rows: 300}\ntenants: {good: {tls: good}, old: {tls: expired}}\n");
    let serving = Serving::start(&place, &["--plan", "plan.yaml", "--ca-file", "ca.pem"], 2);
    for (nth, expected) in [(0, 0), (1, 1)] {
        let name = ["good", "old"][nth];
        let text = config(serving.base_url(nth)).replace("    poll:", "    tls: {ca_file: ca.pem}\n    poll:");
        place.write("config.yaml", &text);
        let run = place.run(&["run", "--progress", "none", "--output-dir", name]);
        assert_eq!(code(&run), expected, "{name}: {}", err(&run));
        assert!(nth == 0 || err(&run).contains("expired"), "{}", err(&run));
    }
}

#[test]
fn a_strict_plan_fails_whoever_calls_while_told_to_wait() {
    let place = Place::empty();
    place.write("plan.yaml", "{strict: true, requests_per_second: 0.01}\n");
    let serving = Serving::start(&place, &["--plan", "plan.yaml"], 1);
    serving.get(0, "/elsewhere");
    assert!(serving.get(0, "/elsewhere").contains("429"));
    let told_to_wait = |card: &Value| card["calls_while_told_to_wait"].as_u64() > Some(0);
    let start = Instant::now();
    while !told_to_wait(&serving.scorecard(0)) {
        assert!(start.elapsed() < PATIENCE, "no call counts as made while told to wait: {}", serving.scorecard(0));
        serving.get(0, "/elsewhere");
        std::thread::park_timeout(Duration::from_millis(50));
    }
    let (code, said) = serving.signalled("-TERM");
    assert_eq!(code, Some(1));
    assert!(said.contains("told to wait") && said.lines().last().unwrap().ends_with(": mock"), "{said}");
}

fn refused(place: &Place, arguments: &[&str]) -> String {
    let refused: Output = place.run(&[&["mock", "--for", "10s"], arguments].concat());
    assert_eq!((code(&refused), out(&refused).as_str()), (2, ""), "{arguments:?}: {}", err(&refused));
    err(&refused)
}

#[test]
fn what_can_not_be_served_is_refused_before_anything_listens() {
    let place = Place::empty();
    place.write("plan.yaml", "requests_per_secnd: 5\n");
    place.write("tls.yaml", "tls: good\n");
    place.write("named.yaml", "{only_named_reports: true, reports: {a: {rows: 5}}}\n");
    place.write("empty.csv", "");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for (arguments, word) in [
        (&["--plan", "plan.yaml"][..], "requests_per_secnd"),
        (&["--plan", "missing.yaml"], "missing.yaml"),
        (&["--plan", "tls.yaml", "--host-names"], "TLS"),
        (&["--plan", "named.yaml", "--rows", "7"], "--rows"),
        (&["--ca-file", "ca.pem"], "tls: good"),
        (&["--file", "missing.csv"], "missing.csv"),
        (&["--file", "empty.csv"], "empty.csv"),
        (&["--port", &port], &port),
        (&["--rate", "none"], "--rate"),
        (&["--latency", "20"], "250ms"),
    ] {
        let said = refused(&place, arguments);
        assert!(said.contains(word), "{arguments:?}: {said}");
    }
}
