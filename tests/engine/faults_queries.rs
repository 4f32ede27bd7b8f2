//! Queries that fail, vanish or contradict themselves, and submissions whose outcome nobody knows.

use actix::prelude::*;
use bytes::Bytes;
use cxtract::mock::{CallKind, Fate, Fault, FaultRule, Matcher};
use cxtract::model::{FailureClass, ParkReason};
use cxtract::{Ending, Progress};

use crate::bench::{complete, stand, tenant_of, with_fault};
use crate::support::{Stand, with_engine};

/// The ending, and every message that a subscriber saw on the way.
fn extract_and_listen(stand: &Stand) -> (Ending, Vec<String>) {
    with_engine(stand.config(), |engine| async move {
        let (sender, heard) = std::sync::mpsc::channel();
        engine.subscribe(Listener(sender).start().recipient());
        let ending = engine.extract("calls").await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        (ending, heard.try_iter().collect())
    })
}

struct Listener(std::sync::mpsc::Sender<String>);

impl Actor for Listener {
    type Context = Context<Self>;
}

impl Handler<Progress> for Listener {
    type Result = ();

    fn handle(&mut self, progress: Progress, _: &mut Self::Context) {
        if let Some(message) = progress.message {
            self.0.send(message).ok();
        }
    }
}

#[test]
fn t1_a_query_that_the_tenant_fails_ends_the_report_in_its_words() {
    let stand = stand(tenant_of(450).fate(0, Fate::Fails("more than 10 million rows".into())));
    stand.fails(FailureClass::Denied).says(&["query", "more than 10 million rows"]);
    assert_eq!((stand.n_queries(), stand.n_calls(CallKind::Page)), (1, 0));
}

#[test]
fn t2_a_query_that_is_not_ready_in_time_parks_the_report() {
    let stand = stand(tenant_of(450).every_fate(Fate::NeverReady))
        .set("poll", "{initial_delay: 5ms, max_delay: 20ms, max_wait: 150ms}");
    stand.parks(ParkReason::NotReady).says(&["poll.max_wait", "next run"]);
    assert_eq!((stand.n_queries(), stand.n_calls(CallKind::Page)), (1, 0));
}

#[test]
fn t3_a_query_that_runs_again_a_few_times_is_waited_for() {
    let stand = stand(tenant_of(450).fate(0, Fate::Flaps(2)));
    stand.extract_all();
    assert_eq!(stand.n_queries(), 1);
}

#[test]
fn t3_a_query_that_never_settles_fails_the_report() {
    let stand = stand(tenant_of(450).fate(0, Fate::Flaps(20)));
    stand.fails(FailureClass::Data).says(&["complete", "running again"]);
}

#[test]
fn t4_a_status_that_the_protocol_does_not_know_is_named() {
    let stand = stand(tenant_of(450).fate(0, Fate::UnknownWord("pondering".into())));
    stand.fails(FailureClass::Data).says(&["unknown status", "pondering"]);
    assert_eq!(stand.n_calls(CallKind::Status), 1);
}

#[test]
fn t5_a_submission_whose_answer_is_lost_is_repeated_once_and_the_orphan_named() {
    for lost in [Fault::NoAnswer, Fault::Reset, Fault::CutAt(3), Fault::ReplaceBody(Bytes::from_static(b"<html>"))] {
        let stand = with_fault(Matcher::kind(CallKind::Submit).first(1), lost);
        let (ending, heard) = extract_and_listen(&stand);
        let manifest = complete(ending);
        assert_eq!((stand.n_calls(CallKind::Submit), stand.n_queries()), (2, 2));
        let kept = stand.mock.with(|tenant| tenant.queries()[1].id.clone());
        assert_eq!(manifest.query_id.unwrap().as_str(), kept);
        assert!(heard.iter().any(|m| m.contains("unknown") && m.contains("query without an owner")), "{heard:?}");
        assert!(stand.delivered() == stand.mock.expected_csv("detail"));
    }
}

#[test]
fn t5_the_orphan_is_still_named_when_the_report_is_complete() {
    let stand = with_fault(Matcher::kind(CallKind::Submit).first(1), Fault::NoAnswer);
    let status = with_engine(stand.config(), |engine| async move {
        complete(engine.extract("calls").await.unwrap());
        engine.status().await
    });
    let message = status[0].message.as_deref().unwrap_or_default();
    assert!(message.contains("query without an owner"), "{message}");
}

#[test]
fn t5_a_submission_is_not_sent_a_third_time() {
    let stand = with_fault(Matcher::kind(CallKind::Submit), Fault::NoAnswer);
    stand.parks(ParkReason::TenantDown).says(&["submitted twice", "unknown outcome"]);
    assert_eq!(stand.n_calls(CallKind::Submit), 2);
    let gateway = with_fault(Matcher::kind(CallKind::Submit), Fault::status(504));
    gateway.parks(ParkReason::TenantDown).says(&["504"]);
    assert_eq!(gateway.n_calls(CallKind::Submit), 2);
}

#[test]
fn t5_a_submission_that_was_certainly_refused_leaves_no_orphan() {
    let stand = with_fault(Matcher::kind(CallKind::Submit).first(2), Fault::status(503));
    let (ending, heard) = extract_and_listen(&stand);
    assert_eq!(complete(ending).http.retries, 2);
    assert!(heard.iter().all(|m| !m.contains("owner")), "{heard:?}");
}

#[test]
fn t6_a_query_that_expires_after_some_pages_is_submitted_again_and_its_output_starts_again() {
    for n_pages in [0, 1, 3, 4] {
        let stand = stand(tenant_of(450).fate(0, Fate::ExpiresAfterPages(n_pages))).set("max_queries", "1");
        let manifest = stand.extract_all();
        assert_eq!(stand.n_queries(), 2);
        let second = stand.mock.with(|tenant| tenant.queries()[1].id.clone());
        assert_eq!(manifest.query_id.as_ref().unwrap().as_str(), second);
        assert_eq!((manifest.pages, manifest.output.rows), (5, 450));
        let asked = stand.mock.ledger().times_asked(&second);
        assert!((1..=5).all(|page| asked[&page] == 1), "{asked:?}");
    }
}

#[test]
fn t6_rows_of_two_queries_are_never_mixed() {
    let rules = FaultRule::new(Matcher::pages().of_query(1), Fault::OtherRows);
    let stand = stand(tenant_of(450).fate(0, Fate::ExpiresAfterPages(3)).fault(rules));
    complete(stand.extract());
    let (delivered, first) = (stand.delivered(), stand.mock.expected_csv("detail"));
    let rows = |bytes: &[u8]| -> Vec<String> {
        let mut reader = csv::Reader::from_reader(bytes);
        reader.records().map(|r| r.unwrap().iter().next_back().unwrap().to_owned()).collect()
    };
    let (delivered, first) = (rows(&delivered), rows(&first));
    assert_eq!(delivered.len(), 450);
    assert!(delivered.iter().zip(&first).all(|(ours, others)| ours != others), "a row of the expired query is left");
}

#[test]
fn t6_a_query_that_expires_again_fails_the_report() {
    let stand = stand(tenant_of(450).every_fate(Fate::ExpiresAfterPages(2)));
    stand.fails(FailureClass::Denied).says(&["expired", "again"]);
    assert_eq!(stand.n_queries(), 2);
}

#[test]
fn t6_a_query_that_is_gone_while_it_is_polled_is_submitted_again() {
    for code in [404, 410] {
        let gone = Matcher::kind(CallKind::Status).of_query(0);
        let stand = stand(tenant_of(450).fault(FaultRule::new(gone, Fault::status(code))));
        stand.extract_all();
        assert_eq!(stand.n_queries(), 2);
    }
}

#[test]
fn t6_an_expired_query_is_never_taken_for_the_end_of_the_data() {
    // Every page of the first query is read, and the look past the end meets the expiry.
    let stand = stand(tenant_of(450).fate(0, Fate::ExpiresAfterPages(5)));
    stand.extract_all();
    assert_eq!(stand.n_queries(), 2);
}
