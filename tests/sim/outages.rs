//! What an outage costs a tenant in calls, how it is called again afterwards, and what is no outage.

use std::ops::Range;
use std::time::Duration;

use cxtract::Ending;
use cxtract::mock::{
    CallKind, Fault, FaultRule, Ledger, Matcher, MockReport, MockTenant, MockTenantBuilder, Outage, OutageKind,
};
use cxtract::model::ParkReason;

use crate::measure::{n_answers, within};
use crate::world::{Aftermath, World};

const MAX_IN_FLIGHT: usize = 8;
const THRESHOLD: usize = 5;

fn mock(pages: u64, latency_ms: u64) -> MockTenantBuilder {
    let latency = Duration::from_millis(latency_ms);
    MockTenant::builder().requests_per_second(20.0).latency(latency).report("detail", MockReport::with_rows(pages * 5))
}

fn world(mock: MockTenantBuilder, more: &str) -> World {
    let lines = format!(
        "rate_limit: {{requests_per_second: 20}}\nmax_in_flight: {MAX_IN_FLIGHT}\n\
         timeouts: {{connect: 5s, response: 20s}}\n{more}"
    );
    World::of_one(mock, &lines, "page_size: 5").with_even_network()
}

fn breaker_opens(after: &Aftermath) -> u64 {
    match after.ending("calls") {
        Ending::Complete(manifest) => manifest.http.breaker_opens,
        other => panic!("{other:?}"),
    }
}

fn minutes(from: u64, to: u64) -> Range<Duration> {
    Duration::from_secs(from * 60)..Duration::from_secs(to * 60)
}

/// Probes of a breaker that opens for 30 s, 60 s, and from then on for two minutes, within a time.
fn n_probes(time: &Range<Duration>) -> usize {
    let lasts = (time.end - time.start).as_secs();
    (0..)
        .scan(0, |at, nth| {
            *at += [30, 60].get(nth).copied().unwrap_or(120);
            Some(*at)
        })
        .take_while(|at| *at <= lasts)
        .count()
}

#[test]
fn h5_an_outage_costs_no_more_calls_than_are_under_way_and_the_probes() {
    for kind in [OutageKind::Unavailable, OutageKind::Reset] {
        let time = minutes(1, 5);
        let outage = Outage { from: time.start, to: time.end, kind };
        let after = world(mock(2000, 300).outage(outage), "").run().expect("it ends");
        assert!(after.is_delivered("calls", "acme", "detail"), "{kind:?}: {:?}", after.ending("calls"));
        let ledger = after.ledger("acme");
        let connections = after.connections["acme"].iter().filter(|at| time.contains(*at)).count();
        let (n_calls, probes) = (within(&ledger, &time).count(), n_probes(&time));
        println!("{kind:?} for four minutes: {n_calls} calls, {connections} connections, {probes} probes due");
        // So many fail before it is known; as many are under way then as may be, but for the one that told.
        let most = THRESHOLD + MAX_IN_FLIGHT - 1 + probes;
        assert!(n_calls <= most, "{n_calls} calls");
        // One that was made ahead and is found dead is made once more.
        assert!(connections <= 2 * most, "{connections} connections");
        assert!(n_calls.max(connections) >= THRESHOLD, "it was not felt");
        let mut failures: Vec<_> =
            ledger.iter().filter(|call| call.status == 503).filter_map(|call| call.ended).collect();
        failures.sort_unstable();
        if let Some(known) = failures.get(THRESHOLD - 1) {
            // The answer is on its way, and so is a call that went out just before it came.
            let n_later = within(&ledger, &(*known + Duration::from_millis(15)..time.end)).count();
            assert!(n_later <= probes, "{n_later} calls to a tenant that was known to be out");
        }
        let next = ledger.iter().find(|call| call.at >= time.end).expect("it goes on").at - time.end;
        assert!(next <= Duration::from_secs(130), "called again {next:?} after the outage");
    }
}

#[test]
fn h5_after_an_outage_calls_under_way_grow_by_one_with_each_answer() {
    let time = minutes(1, 2);
    let outage = Outage { from: time.start, to: time.end, kind: OutageKind::Unavailable };
    let after = world(mock(2000, 700).outage(outage), "").run().expect("it ends");
    let ledger = after.ledger("acme");
    let again: Vec<_> = ledger.iter().filter(|call| call.at >= time.end && call.kind != CallKind::Token).collect();
    let mut widths = Vec::new();
    for call in &again[..60] {
        let is_over = |other: &&&cxtract::mock::LedgerEntry| other.ended.is_some_and(|ended| ended <= call.at);
        let answered = again.iter().filter(is_over).count();
        let under_way = again.iter().filter(|other| other.at <= call.at && !is_over(other)).count();
        assert!(under_way <= (1 + answered).min(MAX_IN_FLIGHT), "{under_way} under way after {answered} answers");
        widths.push(under_way);
    }
    println!("after the outage: {widths:?} under way");
    assert!(widths.contains(&MAX_IN_FLIGHT), "it never reached all that may be under way");
}

fn stormed(fault: Fault, n: u64) -> (Aftermath, Ledger) {
    let rule = FaultRule::new(Matcher::pages().matches(20..20 + n), fault);
    let mut world = world(mock(200, 50).fault(rule), "circuit_breaker: {failure_threshold: 2}");
    world.bound = Duration::from_secs(3 * 3600);
    let after = world.run().expect("it ends");
    let ledger = after.ledger("acme");
    assert!(after.is_delivered("calls", "acme", "detail"), "{:?}", after.ending("calls"));
    (after, ledger)
}

#[test]
fn a_storm_of_429_never_opens_the_breaker() {
    for (what, fault, n) in [
        ("with a wait", Fault::told_to_wait(429, 2), 300),
        ("without a wait", Fault::status(429), 300),
        ("503 with a wait", Fault::told_to_wait(503, 2), 300),
    ] {
        let (after, ledger) = stormed(fault, n);
        let n_refused = n_answers(&ledger, 429) + n_answers(&ledger, 503);
        println!("{n_refused} refusals {what}: over after {:?}", after.took);
        assert!(n_refused as u64 >= n);
        assert_eq!(breaker_opens(&after), 0, "{what}");
        assert!(ledger.calls_while_told_to_wait().is_empty(), "{what}");
        assert!(!after.events.iter().any(|event| event.contains("BreakerOpen")), "{what}");
    }
}

#[test]
fn n10_a_tenant_that_never_comes_back_is_given_up_after_so_many_probes_and_its_last_error_is_named() {
    let outage = Outage { from: Duration::from_secs(10), to: Duration::MAX, kind: OutageKind::Unavailable };
    let lines = "circuit_breaker: {max_failed_probes: 4}\nretry: {max_attempts: 20}";
    let after = world(mock(500, 100).outage(outage), lines).run().expect("it ends");
    let Ending::Parked(park) = after.ending("calls") else { panic!("{:?}", after.ending("calls")) };
    assert_eq!(park.reason, ParkReason::TenantDown);
    assert!(park.message.contains("503"), "{}", park.message);
    let n_calls = after.ledger("acme").iter().filter(|call| call.at >= outage.from).count();
    assert!((THRESHOLD + 4..=MAX_IN_FLIGHT + 4).contains(&n_calls), "{n_calls} calls");
    // 30, 60, 120 and 120 seconds.
    let took = after.took.as_secs();
    assert!((340..=360).contains(&took), "given up after {took} s");
}
