//! Several engines over one store: to the tenant they are one client.

use std::time::Duration;

use cxtract::mock::{Fault, FaultRule, Matcher, MockReport, MockTenant};

use crate::world::{Aftermath, World};

const N: usize = 3;

/// Engines with a report each, of a tenant that allows just the configured rate, and a fault.
fn run(fault: Option<FaultRule>) -> Aftermath {
    let mut mock = MockTenant::builder().requests_per_second(20.0);
    if let Some(fault) = fault {
        mock = mock.fault(fault);
    }
    let names: Vec<_> = (0..N).map(|nth| format!("calls{nth}")).collect();
    for name in &names {
        mock = mock.report(name, MockReport::with_rows(6000));
    }
    let mut world = World::new(6);
    world.tenants.insert("acme".to_owned(), mock);
    world.add_tenant_lines("acme", "rate_limit: {requests_per_second: 20, burst: 5}\nmax_in_flight: 8");
    world.yaml.push_str("reports:\n");
    for name in &names {
        world.add_report_lines(name, "acme", name, "page_size: 50");
    }
    let processes: Vec<_> = world.asked.iter().map(|asked| vec![asked.clone()]).collect();
    let after = world.run_as(&processes).expect("every report ends");
    for name in &names {
        assert!(after.is_delivered(name, "acme", name), "{name}: {:?}", after.ending(name));
    }
    after
}

#[test]
fn x6_processes_that_share_a_store_stay_together_below_the_tenants_rate() {
    let after = run(None);
    let ledger = after.ledger("acme");
    assert!(ledger.max_in_any_second() <= 20, "{} calls in a second", ledger.max_in_any_second());
    assert!(ledger.iter().all(|entry| entry.status != 429), "the tenant complained");
    // Some 370 calls, after the first poll.
    let least = Duration::from_secs(18);
    assert!(after.took > least && after.took < 2 * least, "{:?}", after.took);
}

#[test]
fn x6_a_pause_told_to_one_process_is_kept_by_all() {
    let pause = Duration::from_secs(60);
    let after = run(Some(FaultRule::new(Matcher::page(9).first(1), Fault::told_to_wait(429, pause.as_secs()))));
    let ledger = after.ledger("acme");
    assert!(ledger.calls_while_told_to_wait().is_empty(), "{:?}", ledger.calls_while_told_to_wait()[0]);
    assert_eq!(ledger.iter().filter(|entry| entry.status == 429).count(), 1);
    let told = ledger.iter().find(|entry| entry.status == 429).unwrap().at;
    let calls_inside = ledger.iter().filter(|e| e.at > told + Duration::from_millis(300) && e.at < told + pause);
    assert_eq!(calls_inside.count(), 0);
    assert!(ledger.max_in_any_second() <= 20);
}
