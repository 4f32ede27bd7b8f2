//! Two processes over one state store.

use std::time::{Duration, Instant};

use cxtract::mock::{CallKind, Fault, FaultRule, Matcher, MockReport, MockTenant, Tenant};

use crate::judge::{judge_end, judge_folder, n_queries};
use crate::place::Place;
use crate::signals::{LONG, hold_after, mock};

/// How long a page is held where the run goes on with it. A second process is done sooner.
const A_MOMENT: Duration = Duration::from_secs(2);

#[test]
fn k5_the_second_process_leaves_a_report_alone_that_another_works_on_and_says_so() {
    let place = Place::new(mock(800)).report("calls", "");
    hold_after(&place, 5, A_MOMENT);
    let first = place.start(&[]);
    place.until("pages are served", || place.n_pages_served() >= 5);
    let start = Instant::now();
    assert_eq!(place.run(&[]), 75, "{}", place.said());
    assert!(start.elapsed() < Duration::from_secs(3), "it waited: {:?}", start.elapsed());
    place.mock.with(Tenant::clear_faults);
    assert!(place.said().contains("another process"), "{}", place.said());
    assert_eq!(first.code(), 0, "{}", place.said());
    judge_end(&place);
    assert_eq!(n_queries(&place, "calls"), 1);
    let times = place.mock.with(|tenant| tenant.ledger().times_asked(&tenant.queries()[0].id));
    assert!(times.values().all(|times| *times == 1), "a page was asked for by both");
}

#[test]
fn k5_a_report_is_free_at_once_when_its_process_is_killed() {
    let place = Place::new(mock(800)).report("calls", "");
    hold_after(&place, 20, LONG);
    let mut first = place.start(&[]);
    place.until("pages are served", || place.n_pages_served() >= 20);
    let second = place.run(&[]);
    first.kill();
    place.mock.with(Tenant::clear_faults);
    assert_eq!(second, 75, "{}", place.said());
    assert_eq!(place.run(&[]), 0, "{}", place.said());
    judge_end(&place);
    assert_eq!(n_queries(&place, "calls"), 1);
}

#[test]
fn k5_the_second_process_works_on_the_reports_that_are_free() {
    let mock = mock(800).report("queues", MockReport::with_rows(100));
    let place = Place::new(mock).report("calls", "").report("queues", "");
    hold_after(&place, 5, A_MOMENT);
    let first = place.start(&["calls"]);
    place.until("pages are served", || place.n_pages_served() >= 5);
    assert_eq!(place.run(&[]), 75, "{}", place.said());
    place.mock.with(Tenant::clear_faults);
    judge_folder(&place, "queues");
    assert!(place.output("queues").exists());
    assert_eq!(first.code(), 0, "{}", place.said());
    judge_end(&place);
}

#[test]
fn x6_two_processes_together_keep_to_one_tenants_pace_and_pause() {
    const RATE: usize = 20;
    let told = FaultRule::new(Matcher::page(25).first(1), Fault::told_to_wait(429, 2));
    let mock = MockTenant::builder()
        .requests_per_second(RATE as f64)
        .default_report(MockReport::with_rows(1200))
        .latency(Duration::from_millis(30))
        .block_for(Duration::from_secs(3))
        .fault(told);
    let mut place = Place::new(mock).report("calls", "").report("queues", "");
    // Together they ask for less than they may have: calls on a busy machine arrive up to a tenth of a second apart from
    // how they were sent.
    place.tenant =
        "rate_limit: {requests_per_second: 18, burst: 18, adaptive: false}\n    poll: {initial_delay: 100ms}\n    \
                    retry: {base_delay: 10ms, max_delay: 50ms}"
            .to_owned();
    let start = Instant::now();
    let (first, second) = (place.start(&["calls"]), place.start(&["queues"]));
    assert_eq!((first.code(), second.code()), (0, 0), "{}", place.said());
    let took = start.elapsed();
    judge_end(&place);
    let ledger = place.mock.ledger();
    assert!(ledger.max_in_any_second() <= RATE, "{} calls in one second", ledger.max_in_any_second());
    assert!(ledger.calls_while_told_to_wait().is_empty(), "{:?}", ledger.calls_while_told_to_wait());
    // Pages that were under way when the pause was told are told so, too; the tenant never had to complain of haste.
    let told = ledger.iter().filter(|call| call.status == 429).count();
    assert!((1..=16).contains(&told), "{told} answers told to wait");
    assert_eq!(ledger.of(CallKind::Submit).len(), 2);
    println!("two processes: {} calls, at most {} in a second, {took:.1?}", ledger.len(), ledger.max_in_any_second());
}
