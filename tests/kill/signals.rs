//! Signals: SIGINT and SIGTERM save the position; SIGSTOP only takes time.

use std::time::{Duration, Instant};

use cxtract::mock::{CallKind, Fault, FaultRule, Matcher, MockReport, MockTenant, MockTenantBuilder, Tenant};
use cxtract::model::ReportState;
use rustix::process::Signal;

use crate::judge::{Between, judge_calls, judge_end, n_queries};
use crate::place::Place;

/// A tenant whose pages take a while.
pub fn mock(rows: u64) -> MockTenantBuilder {
    MockTenant::builder()
        .requests_per_second(f64::INFINITY)
        .latency(Duration::from_millis(20))
        .report("calls", MockReport::with_rows(rows))
}

/// Has the tenant take so long over every page of `calls` that is asked for a few after the next so many, so that the
/// run can't end before the test has acted. That is over when the tenant's rules are cleared.
pub fn hold_after(place: &Place, n_pages: u64, time: Duration) {
    // Some are asked for past an end, and some ahead.
    let later = Matcher::pages().of_template("calls").matches(n_pages + 8..u64::MAX);
    place.mock.with(|tenant| tenant.add_fault(FaultRule::new(later, Fault::Delay(time))));
}

/// How long a page is held where the run does not wait for it.
pub const LONG: Duration = Duration::from_secs(5);

/// Starts a run and ends it by SIGTERM once so many pages were served, so that it leaves a position.
pub fn park_after(place: &Place, n_pages: u64) {
    let served = place.n_pages_served();
    hold_after(place, n_pages, LONG);
    let mut run = place.start(&[]);
    place.until("pages are served", || {
        assert!(run.ended().is_none(), "it ended too early: {}", place.said());
        place.n_pages_served() >= served + n_pages
    });
    run.signal(Signal::TERM);
    assert_eq!(run.end(), Some(143), "{}", place.said());
    place.mock.with(Tenant::clear_faults);
}

#[test]
fn k2_a_signal_saves_the_position_within_five_seconds_and_the_next_run_goes_on_there() {
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let place = Place::new(mock(1200)).report("calls", "");
        hold_after(&place, 25, LONG);
        let mut run = place.start(&[]);
        place.until("pages are served", || place.n_pages_served() >= 25);
        let start = Instant::now();
        run.signal(signal);
        assert_eq!(run.end(), Some(code), "{}", place.said());
        assert!(start.elapsed() < Duration::from_secs(5), "it took {:?}", start.elapsed());
        place.mock.with(Tenant::clear_faults);
        let stored = place.stored();
        assert_eq!(stored[0].state, ReportState::Parked);
        let position = &stored[0].checkpoint.as_ref().expect("a position").position;
        assert!(position.next_page.0 > 20, "25 pages were served, and the position is {}", position.next_page);
        let between = Between::now(&place);
        assert_eq!(place.run(&[]), 0, "{}", place.said());
        let again = judge_calls(&place, &between);
        assert!(again.values().all(|again| *again <= 8), "what had come and was written is saved: {again:?}");
        judge_end(&place);
        assert_eq!(n_queries(&place, "calls"), 1);
    }
}

#[test]
fn k2_a_signal_while_the_query_runs_keeps_the_query() {
    let place = Place::new(mock(100).ready_after(Duration::from_millis(800))).report("calls", "");
    let mut run = place.start(&[]);
    place.until("it is polled", || !place.mock.ledger().of(CallKind::Status).is_empty());
    run.signal(Signal::INT);
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
    run.signal(Signal::STOP);
    let n_before = place.n_calls();
    std::thread::sleep(life * 2);
    assert_eq!(place.n_calls(), n_before, "it is stopped");
    run.signal(Signal::CONT);
    assert_eq!(run.end(), Some(0), "{}", place.said());
    judge_end(&place);
    let ledger = place.mock.ledger();
    assert_eq!(ledger[n_before].kind, CallKind::Token, "the token is renewed before the next call");
    assert!(ledger.iter().all(|call| call.status != 401), "a call went out with an expired token");
    assert!(ledger.calls_while_told_to_wait().is_empty());
}
