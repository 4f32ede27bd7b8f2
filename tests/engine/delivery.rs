//! What a run leaves: the submission as it was sent, the manifest as it is promised, files and a host's own sinks.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cxtract::mock::{Fault, FaultRule, Matcher};
use cxtract::model::{FailureClass, Position};
use cxtract::sink::SinkError;
use cxtract::{Ending, Engine, Manifest, Sink};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::bench::{Message, complete, stand, tenant_of, with_fault};
use crate::fronts::Front;
use crate::support::{Stand, names_in, run, with_engine};

#[test]
fn the_submission_says_exactly_what_was_configured() {
    let stand = stand(tenant_of(50)).report("filters: [{field: channel, operator: eq, value: voice}]");
    let front = Front::plain(stand.mock.address());
    let config = stand.config_at(&front.url("http", "127.0.0.1"));
    complete(with_engine(config, |engine| async move { engine.extract("calls").await.unwrap() }));
    let sent = front.sent();
    let body =
        sent.split("POST /api/v2/reporting/queries HTTP/1.1\r\n").nth(1).unwrap().split("\r\n\r\n").nth(1).unwrap();
    let body: Value = serde_json::Deserializer::from_str(body).into_iter().next().unwrap().unwrap();
    let due = json!({
        "templateId": "detail",
        "format": "csv",
        "query": {
            "startDate": "2024-01-01T00:00:00.000Z",
            "endDate": "2024-01-31T23:59:59.999Z",
            "filters": [{"field": "channel", "operator": "eq", "value": "voice"}],
        },
        "pageSize": 100,
    });
    assert_eq!(body, due);
    let head = sent.to_ascii_lowercase();
    assert!(head.contains("accept-encoding: gzip\r\n"), "gzip is not asked for");
    assert!(sent.contains("/results?format=csv&page=1&pageSize=100 HTTP/1.1"));
    assert!(!sent.contains("canary-secret"), "the secret goes out encoded, within Basic");
}

#[test]
fn the_manifest_holds_what_is_promised_in_that_order() {
    let stand = stand(tenant_of(450));
    let manifest = stand.extract_all();
    let text = std::fs::read_to_string(stand.output().with_extension("csv.manifest.json")).unwrap();
    assert_eq!(text, manifest.to_json());
    let json: Value = serde_json::from_str(&text).unwrap();
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ");
    assert_eq!(
        keys(&json),
        "version report tenant query_id window output columns pages reconciliation csv http resumed started_at finished_at"
    );
    assert_eq!(keys(&json["output"]), "path bytes rows sha256");
    assert_eq!(keys(&json["reconciliation"]), "rows total_count_first total_count_last total_rows verdict");
    assert_eq!(keys(&json["csv"]), "repaired rejected");
    assert_eq!(keys(&json["http"]), "requests retries throttled token_refreshes breaker_opens");
    let query = stand.mock.with(|tenant| tenant.queries()[0].id.clone());
    let delivered = stand.delivered();
    let sha256 =
        <sha2::Sha256 as sha2::Digest>::digest(&delivered).iter().map(|b| format!("{b:02x}")).collect::<String>();
    assert_eq!((&json["version"], &json["report"], &json["tenant"]), (&json!(1), &json!("calls"), &json!("acme")));
    assert_eq!(json["query_id"], query);
    assert_eq!(json["window"], json!({"from": "2024-01-01T00:00:00.000Z", "to": "2024-01-31T23:59:59.999Z"}));
    assert_eq!(json["output"], json!({"path": "calls.csv", "bytes": delivered.len(), "rows": 450, "sha256": sha256}));
    assert_eq!((json["columns"].as_array().unwrap().len(), &json["columns"][0]), (19, &json!("contactId")));
    let books = json!({
        "rows": 450, "total_count_first": 450, "total_count_last": 450, "total_rows": 450, "verdict": "match"
    });
    assert_eq!((&json["pages"], &json["reconciliation"]), (&json!(5), &books));
    assert_eq!((&json["csv"], &json["resumed"]), (&json!({"repaired": 0, "rejected": 0}), &json!(0)));
    let n_calls = stand.mock.ledger().iter().filter(|e| e.kind != cxtract::mock::CallKind::Token).count();
    let http = json!({
        "requests": n_calls, "retries": 0, "throttled": 0, "token_refreshes": 1, "breaker_opens": 0
    });
    assert_eq!(json["http"], http);
    let (started, finished) = (json["started_at"].as_str().unwrap(), json["finished_at"].as_str().unwrap());
    assert!(started <= finished && started.ends_with('Z') && started.len() == 24, "{started} {finished}");
}

#[test]
fn files_are_readable_by_their_owner_alone() {
    let stand = stand(tenant_of(50));
    stand.extract_all();
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&stand.output()), 0o600);
    assert_eq!(mode(&stand.output().with_extension("csv.manifest.json")), 0o600);
    assert_eq!(mode(stand.output().parent().unwrap()), 0o700);
    assert_eq!(mode(&stand.config().engine.scratch_dir), 0o700);
}

#[test]
fn an_existing_output_is_replaced_only_at_the_end() {
    let stand = with_fault(Matcher::page(3), Fault::Delay(Duration::from_millis(400)));
    std::fs::create_dir(stand.output().parent().unwrap()).unwrap();
    std::fs::write(stand.output(), "old").unwrap();
    with_engine(stand.config(), async |engine: cxtract::EngineHandle| {
        let waiting = engine.clone();
        let ending = actix_rt::spawn(async move { waiting.extract("calls").await.unwrap() });
        while stand.n_asked(3) == 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        assert_eq!(std::fs::read(stand.output()).unwrap(), b"old");
        assert!(stand.output().with_extension("csv.part").exists());
        complete(ending.await.unwrap());
    });
    assert!(stand.delivered() == stand.mock.expected_csv("detail"));
    assert_eq!(names_in(stand.output().parent().unwrap()), ["calls.csv", "calls.csv.manifest.json"]);
}

#[test]
fn a_failed_report_leaves_an_existing_output_as_it_was() {
    let stand = with_fault(Matcher::page(3), Fault::status(403));
    std::fs::create_dir(stand.output().parent().unwrap()).unwrap();
    std::fs::write(stand.output(), "old").unwrap();
    assert!(matches!(stand.extract(), Ending::Failed(_)));
    assert_eq!(std::fs::read(stand.output()).unwrap(), b"old");
    assert!(stand.output().with_extension("csv.part").exists());
}

#[test]
fn a_folder_that_can_not_be_written_fails_the_report_before_its_submission() {
    let stand = stand(tenant_of(50));
    std::fs::write(stand.folder.path().join("out"), "a file in the folder's place").unwrap();
    let Ending::Failed(failure) = stand.extract() else { panic!("it did not fail") };
    assert_eq!(failure.class, FailureClass::Local);
    Message::fit_to_be_shown(failure.message).says(&["out"]);
    assert_eq!(stand.n_calls(cxtract::mock::CallKind::Submit), 0);
}

/// A host's own destination: keeps everything, as slow and as broken as it is told to be.
#[derive(Clone, Default)]
struct Own {
    kept: Arc<Mutex<Vec<u8>>>,
    steps: Arc<Mutex<Vec<&'static str>>>,
    manifest: Arc<Mutex<Option<Manifest>>>,
    pause: Duration,
    fails_at: Option<&'static str>,
}

impl Own {
    fn step(&self, step: &'static str) -> Result<(), SinkError> {
        self.steps.lock().push(step);
        match self.fails_at == Some(step) {
            true => Err(SinkError::failed("the ledger", "taking rows in", std::io::Error::other("it is closed"))),
            false => Ok(()),
        }
    }
}

impl Sink for Own {
    fn begin(&mut self, position: Option<&Position>) -> Result<(), SinkError> {
        assert!(position.is_none());
        self.kept.lock().clear();
        self.step("begin")
    }

    fn write(&mut self, block: &Bytes) -> Result<(), SinkError> {
        // A sink has a thread of its own and may block it.
        let (_busy, done) = std::sync::mpsc::channel::<()>();
        done.recv_timeout(self.pause).ok();
        self.kept.lock().extend_from_slice(block);
        self.step("write")
    }

    fn commit(&mut self, position: &Position) -> Result<(), SinkError> {
        assert_eq!(position.output.offset, self.kept.lock().len() as u64);
        self.step("commit")
    }

    fn finish(&mut self, manifest: &Manifest) -> Result<(), SinkError> {
        *self.manifest.lock() = Some(manifest.clone());
        self.step("finish")
    }

    fn abort(&mut self) {
        self.step("abort").ok();
    }
}

fn extract_into(own: &Own, stand: &Stand) -> Ending {
    let (own, config) = (own.clone(), stand.config());
    run(async move {
        let engine = Engine::builder().config(config).sink("calls", move || own.clone()).start().unwrap();
        let ending = engine.extract("calls").await.unwrap();
        engine.shutdown().await;
        ending
    })
}

#[test]
fn a_hosts_own_sink_gets_every_byte_and_no_file_is_made() {
    let (stand, own) = (stand(tenant_of(950)), Own::default());
    let manifest = complete(extract_into(&own, &stand));
    assert!(*own.kept.lock() == stand.mock.expected_csv("detail"));
    assert_eq!(own.manifest.lock().as_ref(), Some(&manifest));
    assert_eq!(manifest.output.bytes, own.kept.lock().len() as u64);
    assert_eq!(manifest.output.sha256.len(), 64);
    let steps = own.steps.lock();
    assert!(steps.starts_with(&["begin", "write"]) && steps.ends_with(&["commit", "finish"]), "{steps:?}");
    assert!(names_in(stand.output().parent().unwrap()).is_empty());
}

#[test]
fn a_slow_sink_slows_its_report_and_loses_nothing() {
    let own = Own { pause: Duration::from_millis(20), ..Own::default() };
    let stand = stand(tenant_of(1950)).top("engine: {memory_limit: 1MiB}");
    complete(extract_into(&own, &stand));
    assert!(*own.kept.lock() == stand.mock.expected_csv("detail"));
}

/// A host's destination that does not come back from a write before it is let go.
#[derive(Clone, Default)]
struct Stuck {
    steps: Arc<Mutex<Vec<&'static str>>>,
    held: Arc<Mutex<()>>,
}

impl Sink for Stuck {
    fn begin(&mut self, _: Option<&Position>) -> Result<(), SinkError> {
        self.steps.lock().push("begin");
        Ok(())
    }

    fn write(&mut self, _: &Bytes) -> Result<(), SinkError> {
        self.steps.lock().push("write");
        drop(self.held.lock());
        Ok(())
    }

    fn commit(&mut self, _: &Position) -> Result<(), SinkError> {
        self.steps.lock().push("commit");
        Ok(())
    }

    fn finish(&mut self, _: &Manifest) -> Result<(), SinkError> {
        self.steps.lock().push("finish");
        Ok(())
    }

    fn abort(&mut self) {
        self.steps.lock().push("abort");
    }
}

/// Waits until something is so.
async fn until(is_so: impl Fn() -> bool) {
    let waited = tokio::time::timeout(Duration::from_secs(60), async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    waited.await.expect("it comes to be so");
}

#[test]
fn a_sink_that_is_stuck_when_its_report_is_called_off_is_given_up_and_writes_nothing_more() {
    let (stand, stuck) = (stand(tenant_of(950)), Stuck::default());
    let held = stuck.held.lock();
    let (sink, config) = (stuck.clone(), stand.config());
    let ending = run(async {
        let engine = Engine::builder().config(config).sink("calls", move || sink.clone()).start().unwrap();
        let running = engine.clone();
        let report = actix_rt::spawn(async move { running.extract("calls").await.unwrap() });
        // More pages are there for it than the one that it is stuck with.
        until(|| stand.mock.ledger().iter().filter(|call| call.is_page_served()).count() > 3).await;
        until(|| stuck.steps.lock().contains(&"write")).await;
        assert!(engine.cancel("calls").await);
        let ending = report.await.unwrap();
        engine.shutdown().await;
        ending
    });
    assert!(matches!(ending, Ending::Parked(_)), "{ending:?}");
    drop(held);
    run(until(|| stuck.steps.lock().contains(&"abort")));
    assert_eq!(*stuck.steps.lock(), ["begin", "write", "abort"]);
}

#[test]
fn a_sink_that_fails_ends_its_report_by_name() {
    for step in ["begin", "write", "commit", "finish"] {
        let own = Own { fails_at: Some(step), ..Own::default() };
        let stand = stand(tenant_of(450));
        let message = stand.failed(extract_into(&own, &stand), FailureClass::Sink);
        message.says(&["the ledger", "it is closed"]);
        assert_eq!(own.steps.lock().last(), Some(&"abort"), "{step}");
    }
}

#[test]
fn a_report_with_a_slow_sink_does_not_hold_up_another() {
    let own = Own { pause: Duration::from_millis(150), ..Own::default() };
    let stand = stand(tenant_of(950).fault(FaultRule::new(Matcher::page(999), Fault::Reset)));
    let yaml = format!(
        "{}  quick:\n    tenant: acme\n    template_id: quick\n    window: {{from: 2024-01-01, to: 2024-01-31}}\n    page_size: 1000\n",
        stand.yaml()
    );
    let sources = cxtract::config::Sources::text(stand.folder.path().join("config.yaml"), &yaml);
    let config = cxtract::Config::load(&sources).unwrap();
    let slow = own.clone();
    run(async move {
        let engine = Engine::builder().config(config).sink("calls", move || slow.clone()).start().unwrap();
        let waiting = engine.clone();
        let slow = actix_rt::spawn(async move { waiting.extract("calls").await.unwrap() });
        complete(engine.extract("quick").await.unwrap());
        assert!(!slow.is_finished(), "the slow one was done first");
        complete(slow.await.unwrap());
        engine.shutdown().await;
    });
    assert!(*own.kept.lock() == stand.mock.expected_csv("detail"));
}

#[test]
fn s2_a_folder_below_the_output_folder_that_is_a_link_is_refused_before_any_query() {
    let stand = stand(tenant_of(50)).report("output: {path: sub/calls.csv}");
    let elsewhere = stand.folder.path().join("elsewhere");
    std::fs::create_dir_all(&elsewhere).unwrap();
    std::fs::create_dir_all(stand.folder.path().join("out")).unwrap();
    std::os::unix::fs::symlink(&elsewhere, stand.folder.path().join("out/sub")).unwrap();
    let Ending::Failed(failure) = stand.extract() else { panic!("it went through the link") };
    assert!(failure.message.contains("is a link"), "{failure}");
    assert_eq!(stand.n_queries(), 0);
    assert!(crate::support::names_in(&elsewhere).is_empty());
}
