//! Faults of the network that take long, and what the program promises about each.

use std::time::Duration;

use cxtract::Ending;
use cxtract::mock::{CallKind, Fault, FaultRule, Matcher, MockReport, MockTenant};
use cxtract::model::ParkReason;

use crate::world::{Aftermath, Partition, World};

const HALF_AN_HOUR: Duration = Duration::from_secs(1800);

fn park(after: &Aftermath, report: &str) -> (ParkReason, String) {
    match after.ending(report) {
        Ending::Parked(park) => (park.reason, park.message.clone()),
        other => panic!("{report} is not parked: {other:?}"),
    }
}

/// Numbers as they are without any configuration, but for a longer step of time.
fn with_defaults(rows: u64, tenant: &str) -> World {
    let mock = MockTenant::builder().requests_per_second(10.0).report("detail", MockReport::with_rows(rows));
    World { tick: Duration::from_millis(50), ..World::of_one(mock, tenant, "page_size: 50") }
}

/// Cuts the tenant off in the middle of the fetching, which begins after the first poll.
fn cut_off(world: &mut World, lasts: Duration) {
    world.partitions.push(Partition { tenant: "acme".to_owned(), from: Duration::from_millis(5500), lasts });
}

#[test]
fn n1_a_host_that_does_not_resolve_is_tried_again_then_the_report_parks_and_the_host_is_named() {
    let mut world = World::new(1);
    world.add_tenant_lines("nowhere", "");
    world.yaml.push_str("reports:\n");
    world.add_report_lines("calls", "nowhere", "detail", "page_size: 50");
    let after = world.run().unwrap();
    let (reason, message) = park(&after, "calls");
    assert_eq!(reason, ParkReason::TenantDown);
    assert!(message.contains("nowhere could not be resolved"), "{message}");
    assert!(after.took > Duration::from_secs(1), "it was not tried again: {:?}", after.took);
    assert!(!after.disk.names().contains(&after.output("calls")));
}

#[test]
fn n2_a_refused_connection_is_tried_again_then_the_report_parks() {
    let mut world = World::new(2);
    world.deaf.push("deaf".to_owned());
    world.add_tenant_lines("deaf", "");
    world.yaml.push_str("reports:\n");
    world.add_report_lines("calls", "deaf", "detail", "page_size: 50");
    let after = world.run().unwrap();
    let (reason, message) = park(&after, "calls");
    assert_eq!(reason, ParkReason::TenantDown);
    assert!(message.contains("no connection to deaf:80"), "{message}");
    assert!(after.took > Duration::from_secs(1), "it was not tried again: {:?}", after.took);
}

#[test]
fn n2_connections_that_time_out_count_for_the_breaker_and_are_tried_again() {
    let mut world = with_defaults(2000, "");
    cut_off(&mut world, Duration::from_secs(240));
    let after = world.run().unwrap();
    assert!(after.is_delivered("calls", "acme", "detail"), "{:?}", after.ending("calls"));
    let Ending::Complete(manifest) = after.ending("calls") else { unreachable!("delivered") };
    assert!(manifest.http.breaker_opens > 0);
    assert!(after.events.iter().any(|event| event.contains("BreakerOpen")), "nobody was told of the breaker");
}

#[test]
fn n10_half_an_hour_without_a_network_is_waited_out_behind_the_breaker() {
    let mut world = with_defaults(2000, "");
    cut_off(&mut world, HALF_AN_HOUR);
    let after = world.run().unwrap();
    assert!(after.is_delivered("calls", "acme", "detail"), "{:?}", after.ending("calls"));
    let Ending::Complete(manifest) = after.ending("calls") else { unreachable!("delivered") };
    // Probes come 30, 60, 120, 120, … seconds after an opening, each with its own time to fail.
    assert!((10..=20).contains(&manifest.http.breaker_opens), "{} openings", manifest.http.breaker_opens);
    assert!(after.took > HALF_AN_HOUR && after.took < HALF_AN_HOUR + Duration::from_secs(300), "{:?}", after.took);
}

#[test]
fn n10_an_hour_without_a_network_is_too_long_for_the_default_limits_and_the_report_parks() {
    let mut world = with_defaults(2000, "");
    cut_off(&mut world, 2 * HALF_AN_HOUR);
    let after = world.run().unwrap();
    let (reason, message) = park(&after, "calls");
    assert_eq!(reason, ParkReason::TenantDown);
    assert!(message.contains("every probe failed"), "{message}");
    let minutes = after.took.as_secs() / 60;
    assert!((36..=60).contains(&minutes), "given up after {minutes} minutes");
    assert!(after.disk.contents(&after.output("calls").with_extension("csv.part")).is_some(), "the .part is kept");
}

#[test]
fn p10_page_1_may_come_ten_minutes_after_the_others() {
    let ten_minutes = Duration::from_secs(600);
    let mock = MockTenant::builder()
        .requests_per_second(10.0)
        .report("detail", MockReport::with_rows(60_000))
        .fault(FaultRule::new(Matcher::page(1), Fault::Delay(ten_minutes)));
    let lines = "timeouts: {response: 11m, idle: 11m}";
    let mut world = World::of_one(mock, lines, "page_size: 2000");
    world.tick = Duration::from_millis(50);
    world.yaml = world.yaml.replace("engine: {threads: 0}", "engine: {threads: 0, memory_limit: 4MiB}");
    let after = world.run().unwrap();
    assert!(after.is_delivered("calls", "acme", "detail"), "{:?}", after.ending("calls"));
    assert!(after.took > ten_minutes);
    let ledger = after.ledger("acme");
    let first_came = ledger.iter().find(|e| e.page == Some(1)).and_then(|e| e.ended).unwrap();
    let before = ledger.iter().filter(|e| e.kind == CallKind::Page && e.at < first_came).count();
    assert!((2..=33).contains(&before), "{before} pages were asked for while the first one was missing");
}

#[test]
fn o6_tokens_of_five_seconds_are_renewed_once_in_each_lifetime() {
    let life = Duration::from_secs(5);
    let mock = MockTenant::builder()
        .requests_per_second(10.0)
        .token_life(life)
        .report("detail", MockReport::with_rows(12_000));
    let after = World::of_one(mock, "", "page_size: 50").run().unwrap();
    assert!(after.is_delivered("calls", "acme", "detail"), "{:?}", after.ending("calls"));
    let ledger = after.ledger("acme");
    let renewals: Vec<_> = ledger.of(CallKind::Token).iter().map(|entry| entry.at).collect();
    assert!(renewals.len() >= 4);
    // A fifth of the life is kept in hand.
    assert!(renewals.windows(2).all(|pair| pair[1] - pair[0] >= life * 3 / 4), "{renewals:?}");
    assert!(ledger.iter().all(|entry| entry.status != 401), "a call went out with an expired token");
}

#[test]
fn t7_a_block_of_a_quarter_of_an_hour_is_sat_out_without_a_single_call() {
    let quarter = Duration::from_secs(900);
    let mock = MockTenant::builder()
        .requests_per_second(10.0)
        .report("detail", MockReport::with_rows(2000))
        .fault(FaultRule::new(Matcher::page(9).first(1), Fault::told_to_wait(429, quarter.as_secs())));
    let mut world = World::of_one(mock, "", "page_size: 50");
    world.tick = Duration::from_millis(50);
    let after = world.run().unwrap();
    assert!(after.is_delivered("calls", "acme", "detail"), "{:?}", after.ending("calls"));
    let ledger = after.ledger("acme");
    assert!(ledger.calls_while_told_to_wait().is_empty());
    let blocked = ledger.iter().find(|entry| entry.status == 429).unwrap().at;
    let calls_inside =
        ledger.iter().filter(|e| e.at > blocked + Duration::from_millis(300) && e.at < blocked + quarter);
    assert_eq!(calls_inside.count(), 0);
}
