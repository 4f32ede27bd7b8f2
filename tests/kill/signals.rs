//! Signals: SIGINT and SIGTERM save the position; SIGSTOP only takes time.

use std::time::{Duration, Instant};

use cxtract::mock::{CallKind, Fault, FaultRule, Matcher, MockReport, MockTenant, MockTenantBuilder};
use cxtract::model::ReportState;

use crate::judge::{Between, judge_calls, judge_end, n_queries};
use crate::place::Place;

/// A tenant whose pages take a while.
pub fn mock(rows: u64) -> MockTenantBuilder {
    MockTenant::builder()
        .requests_per_second(f64::INFINITY)
        .latency(Duration::from_millis(20))
        .report("calls", MockReport::with_rows(rows))
}

/// Starts a run and ends it by SIGTERM once so many pages were served, so that it leaves a position.
pub fn park_after(place: &Place, n_pages: u64) {
    let served = place.n_pages_served();
    let mut run = place.start(&[]);
    place.until("pages are served", || {
        assert!(run.ended().is_none(), "it ended too early: {}", place.said());
        place.n_pages_served() >= served + n_pages
    });
    run.signal("TERM");
    assert_eq!(run.end(), Some(143), "{}", place.said());
}

#[test]
fn k2_a_signal_saves_the_position_within_five_seconds_and_the_next_run_goes_on_there() {
    for (signal, code) in [("TERM", 143), ("INT", 130)] {
        let place = Place::new(mock(1200)).report("calls", "");
        let mut run = place.start(&[]);
        place.until("pages are served", || place.n_pages_served() >= 25);
        let start = Instant::now();
        run.signal(signal);
        assert_eq!(run.end(), Some(code), "{}", place.said());
        assert!(start.elapsed() < Duration::from_secs(5), "it took {:?}", start.elapsed());
        let stored = place.stored();
        assert_eq!(stored[0].state, ReportState::Parked);
        let position = &stored[0].checkpoint.as_ref().expect("a position").position;
        assert!(position.next_page.0 > 20, "25 pages were served, and the position is {}", position.next_page);
        let between = Between::now(&place);
        assert_eq!(place.run(&[]), 0, "{}", place.said());
        let again = judge_calls(&place, &between);
        assert!(again.values().all(|again| *again <= 4), "what had come and was written is saved: {again:?}");
        judge_end(&place);
        assert_eq!(n_queries(&place, "calls"), 1);
    }
}

#[test]
fn k2_a_signal_while_the_query_runs_keeps_the_query() {
    let place = Place::new(mock(100).ready_after(Duration::from_millis(800))).report("calls", "");
    let mut run = place.start(&[]);
    place.until("it is polled", || !place.mock.ledger().of(CallKind::Status).is_empty());
    run.signal("INT");
    assert_eq!(run.end(), Some(130), "{}", place.said());
    assert_eq!(place.run(&[]), 0, "{}", place.said());
    judge_end(&place);
    assert_eq!(n_queries(&place, "calls"), 1);
}

#[test]
fn k6_stopped_for_longer_than_its_token_lives_and_a_pause_lasts_it_renews_the_token_and_goes_on() {
    let life = Duration::from_secs(2);
    let told = FaultRule::new(Matcher::page(12).first(1), Fault::told_to_wait(429, 2));
    let place = Place::new(mock(800).token_life(life).fault(told)).report("calls", "");
    let mut run = place.start(&[]);
    place.until("it is told to wait", || place.mock.ledger().iter().any(|call| call.status == 429));
    // What was under way when the pause was told may still arrive.
    std::thread::sleep(Duration::from_millis(300));
    run.signal("STOP");
    let n_before = place.n_calls();
    std::thread::sleep(life * 2);
    assert_eq!(place.n_calls(), n_before, "it is stopped");
    run.signal("CONT");
    assert_eq!(run.end(), Some(0), "{}", place.said());
    judge_end(&place);
    let ledger = place.mock.ledger();
    assert_eq!(ledger[n_before].kind, CallKind::Token, "the token is renewed before the next call");
    assert!(ledger.iter().all(|call| call.status != 401), "a call went out with an expired token");
    assert!(ledger.calls_while_told_to_wait().is_empty());
}
