//! Tenants that are well, that ask for patience, and that are dead beside others.

use std::time::Duration;

use cxtract::Ending;
use cxtract::mock::{
    CallKind, Count, Fault, FaultRule, Ledger, Matcher, MockReport, MockTenant, MockTenantBuilder, RetryAfter,
};
use cxtract::model::ParkReason;

use crate::world::{Aftermath, WALL_START, World};

fn mock(rows: u64) -> MockTenantBuilder {
    MockTenant::builder().requests_per_second(10.0).report("detail", MockReport::with_rows(rows))
}

#[test]
fn a_report_arrives_over_a_simulated_network() {
    let world = World::of_one(mock(500), "rate_limit: {requests_per_second: 10}", "page_size: 50");
    let after = world.run().unwrap();
    assert!(after.is_delivered("calls", "acme", "detail"), "{:?}", after.ending("calls"));
    assert!(after.took < Duration::from_secs(30));
    // Who subscribes right after the start hears of everything.
    assert!(after.events.first().is_some_and(|event| event.contains("Queued")), "{:?}", after.events.first());
    assert!(after.events.last().is_some_and(|event| event.contains("Complete")), "{:?}", after.events.last());
}

#[test]
fn the_free_repetition_after_a_stale_connection_takes_its_turn_at_the_gate() {
    // Every page's first try is read and answered by hanging up, as if the connection had been closed while idle.
    let mock = mock(3000).fault(FaultRule::new(Matcher::pages().each().first(1), Fault::NoAnswer));
    let lines = "rate_limit: {requests_per_second: 10, burst: 10}\ncircuit_breaker: {failure_threshold: 1000}";
    let after = World::of_one(mock, lines, "page_size: 50").run().unwrap();
    assert!(after.is_delivered("calls", "acme", "detail"), "{:?}", after.ending("calls"));
    let ledger = after.ledger("acme");
    assert!(ledger.max_in_any_second() <= 10, "{} calls in a second", ledger.max_in_any_second());
    assert!(ledger.iter().all(|entry| entry.status != 429));
}

#[test]
fn pages_that_wait_at_the_gate_are_withdrawn_when_an_end_before_them_is_claimed() {
    let report = MockReport { total_count: Count::Absent, total_rows: Count::Absent, ..MockReport::with_rows(400) };
    let late = FaultRule::new(Matcher::page(5).first(1), Fault::Delay(Duration::from_secs(20)));
    let mock = MockTenant::builder().requests_per_second(10.0).report("detail", report).fault(late);
    let after = World::of_one(mock, "max_in_flight: 4", "page_size: 50").run().unwrap();
    assert!(after.is_delivered("calls", "acme", "detail"), "{:?}", after.ending("calls"));
    let highest = after.ledger("acme").iter().filter_map(|entry| entry.page).max();
    // There are 8 pages; the 9th tells so, and what went out beside it is as many as may be under way.
    assert!(highest <= Some(8 + 1 + 4), "page {highest:?} was asked for");
}

#[test]
fn a_tenant_that_allows_just_the_configured_rate_never_complains() {
    let world = World::of_one(mock(12_000), "rate_limit: {requests_per_second: 10, burst: 10}", "page_size: 100");
    let after = world.run().unwrap();
    assert!(after.is_delivered("calls", "acme", "detail"), "{:?}", after.ending("calls"));
    let ledger = after.ledger("acme");
    assert!(ledger.len() > 120);
    assert!(ledger.iter().all(|entry| entry.status == 200 || entry.status == 202), "it complained");
    assert!(ledger.max_in_any_second() <= 10);
    // Nor is the rate left unused: 120 pages take 12 seconds, and the query 4 before them.
    assert!(after.took < Duration::from_secs(21), "{:?}", after.took);
}

/// When it was called, one call after the other. Which of two pages has the earlier turn may hang on a tick.
fn moments(ledger: &Ledger) -> Vec<Duration> {
    let mut moments: Vec<_> = ledger.iter().map(|call| call.at).collect();
    moments.sort_unstable();
    moments
}

/// Fifty tenants with a report each; what becomes of the 18th one differs.
fn fifty(the_18th: Option<MockTenantBuilder>) -> Aftermath {
    let mut world = World::new(50).with_even_network();
    // So that all of them may fetch at once.
    world.yaml = world.yaml.replace("threads: 0", "threads: 0, memory_limit: 128MiB");
    for nth in 0..50 {
        let name = format!("t{nth}");
        match (nth, &the_18th) {
            (17, None) => world.deaf.push(name.clone()),
            (17, Some(other)) => drop(world.tenants.insert(name.clone(), other.clone())),
            _ => drop(world.tenants.insert(name.clone(), mock(600).seed(nth))),
        }
        // One call at a time: in simulation all happens at the ends of ticks, and who is first of two may differ.
        let rate = "rate_limit: {requests_per_second: 10, burst: 1}";
        let limits = "circuit_breaker: {open_for: 2s, max_failed_probes: 3}\nmax_wait_for_tenant: 20s";
        world.add_tenant_lines(&name, &format!("{rate}\n{limits}"));
    }
    world.yaml.push_str("reports:\n");
    for nth in 0..50 {
        world.add_report_lines(&format!("r{nth}"), &format!("t{nth}"), "detail", "page_size: 50");
    }
    world.run().expect("every report ends")
}

#[test]
fn x4_of_fifty_tenants_a_dead_or_an_angry_one_is_not_felt_by_the_others() {
    let well = fifty(Some(mock(600)));
    let angry = FaultRule::new(Matcher::kind(CallKind::Status), Fault::told_to_wait(429, 7));
    let cases = [("dead", None), ("angry", Some(mock(600).fault(angry)))];
    for (what, the_18th) in cases {
        let after = fifty(the_18th);
        assert!(matches!(after.ending("r17"), Ending::Parked(_)), "{what}: {:?}", after.ending("r17"));
        for nth in (0..50).filter(|nth| *nth != 17) {
            let (report, tenant) = (format!("r{nth}"), format!("t{nth}"));
            assert!(after.is_delivered(&report, &tenant, "detail"), "{:?}", after.ending(&report));
            let (alone, beside) = (moments(&well.ledger(&tenant)), moments(&after.ledger(&tenant)));
            assert_eq!(alone.len(), beside.len(), "{what}: {tenant} was asked more or less");
            for (nth, (at, then)) in alone.into_iter().zip(beside).enumerate() {
                let apart = at.max(then) - at.min(then);
                // A tick more or less for a connection, and what the pace makes of that.
                assert!(
                    apart <= Duration::from_millis(40),
                    "{what}: call {nth} of {tenant} came at {then:?} instead of {at:?}"
                );
            }
        }
    }
}

#[test]
fn x4_many_reports_of_a_slow_tenant_leave_turns_at_fetching_to_another() {
    let mut world = World::new(3).with_even_network();
    // Two reports may fetch at once.
    world.yaml = world.yaml.replace("threads: 0", "threads: 0, memory_limit: 4MiB");
    let slow = FaultRule::new(Matcher::pages(), Fault::Delay(Duration::from_secs(4)));
    world.tenants.insert("slow".into(), mock(500).fault(slow));
    // When its results are ready, all the others are waiting.
    world.tenants.insert("quick".into(), mock(500).ready_after(Duration::from_secs(6)));
    for tenant in ["slow", "quick"] {
        world.add_tenant_lines(tenant, "max_queries: 20\nmax_in_flight: 4");
    }
    world.yaml.push_str("reports:\n");
    let all: Vec<_> = (0..16).map(|nth| (format!("r{nth}"), if nth < 12 { "slow" } else { "quick" })).collect();
    for (report, tenant) in &all {
        world.add_report_lines(report, tenant, "detail", "page_size: 50");
    }
    let after = world.run().expect("every report ends");
    for (report, tenant) in &all {
        assert!(after.is_delivered(report, tenant, "detail"), "{:?}", after.ending(report));
    }
    let last = |tenant| *moments(&after.ledger(tenant)).last().unwrap();
    assert!(last("quick") < last("slow") / 4, "{:?} of {:?}", last("quick"), last("slow"));
}

#[test]
fn a_pause_longer_than_we_wait_parks_the_report_and_says_until_when() {
    let hour = FaultRule::new(Matcher::page(3), Fault::told_to_wait(429, 3600));
    let world = World::of_one(mock(500).fault(hour), "", "page_size: 50");
    let after = world.run().unwrap();
    let Ending::Parked(park) = after.ending("calls") else { panic!("{:?}", after.ending("calls")) };
    assert_eq!(park.reason, ParkReason::TenantPause);
    let told_at = after.ledger("acme").iter().find(|entry| entry.status == 429).unwrap().at;
    let until = park.until.expect("it is known").since(WALL_START);
    assert!(until >= told_at + Duration::from_secs(3600), "{until:?}");
    assert!(until <= told_at + Duration::from_secs(3606), "{until:?}");
    assert!(after.ledger("acme").calls_while_told_to_wait().is_empty());
    assert!(after.took < Duration::from_secs(60), "it waited all the same: {:?}", after.took);
}

#[test]
fn l3_a_pause_told_as_a_date_is_kept_though_the_tenants_clock_is_months_behind_ours() {
    for form in [RetryAfter::HttpDate, RetryAfter::Rfc850, RetryAfter::Asctime] {
        // Two calls within a second are one too many: the tenant answers the second in its own form.
        let mock = mock(100).requests_per_second(1.0).retry_after(form.clone());
        let world = World::of_one(mock, "rate_limit: {requests_per_second: 5, burst: 5}", "page_size: 50");
        let after = world.run().unwrap();
        assert!(after.is_delivered("calls", "acme", "detail"), "{form:?}: {:?}", after.ending("calls"));
        let ledger = after.ledger("acme");
        assert!(ledger.iter().any(|entry| entry.status == 429 && entry.kind != CallKind::Other));
        assert!(ledger.calls_while_told_to_wait().is_empty(), "{form:?}");
    }
}
