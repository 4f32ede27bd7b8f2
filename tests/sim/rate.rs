//! How much of a tenant's rate is used, and that no more of it is.
//!
//! The tenant counts in a sliding second and answers 429 to one call too many; its ledger has every call's moment.

use std::time::Duration;

use cxtract::mock::{Ledger, MockReport, MockTenant, MockTenantBuilder};

use crate::measure::{fetching, n_answers, share_used};
use crate::world::World;

/// A tenant with so many reports of so many pages, five rows each.
pub fn tenant(n_reports: usize, n_pages: u64) -> MockTenantBuilder {
    let reports = (0..n_reports).map(|nth| (format!("r{nth}"), MockReport::with_rows(n_pages * 5)));
    reports.fold(MockTenant::builder(), |mock, (name, report)| mock.report(&name, report))
}

/// A world of that tenant alone, which is called at that rate.
pub fn world(mock: MockTenantBuilder, n_reports: usize, rate: u64, more: &str) -> World {
    let mut world = World::new(rate);
    world.tenants.insert("acme".to_owned(), mock);
    world.add_tenant_lines("acme", &format!("rate_limit: {{requests_per_second: {rate}}}\n{more}"));
    world.yaml.push_str("reports:\n");
    for nth in 0..n_reports {
        let name = format!("r{nth}");
        world.add_report_lines(&name, "acme", &name, "page_size: 5");
    }
    world
}

/// Runs it; every report must be delivered.
pub fn ledger_of(world: &World) -> Ledger {
    let after = world.run().expect("every report ends");
    for asked in &world.asked {
        assert!(after.is_delivered(&asked.report, "acme", &asked.template), "{:?}", after.ending(&asked.report));
    }
    let ledger = after.ledger("acme");
    assert!(ledger.calls_while_told_to_wait().is_empty());
    ledger
}

/// Holds a tenant that allows just the rate it is called at to these figures.
fn uses(at_least: f64, rate: u64, n_reports: usize, n_pages: u64, near: impl Fn(World) -> World) {
    let world = near(world(tenant(n_reports, n_pages).requests_per_second(rate as f64), n_reports, rate, ""));
    let ledger = ledger_of(&world);
    let time = fetching(&ledger);
    let (used, most) = (share_used(&ledger, rate as f64, &time), ledger.max_in_any_second());
    println!(
        "{rate} a second, {n_reports} reports of {n_pages} pages: {:.2} % used in {:.1} s, at most {most} in a second, \
         {} answers 429",
        used * 100.0,
        (time.end - time.start).as_secs_f64(),
        n_answers(&ledger, 429),
    );
    assert_eq!(n_answers(&ledger, 429), 0);
    assert!(most as u64 <= rate, "{most} calls in a second, {rate} allowed");
    assert!(used >= at_least, "{:.2} % of the budget were used", used * 100.0);
}

fn jittery(world: World) -> World {
    let [least_latency, latency, tick] = [1, 50, 1].map(Duration::from_millis);
    World { least_latency, latency, tick, ..world }
}

#[test]
fn nearly_all_of_20_calls_a_second_is_used_and_never_more() {
    uses(0.98, 20, 2, 300, World::nearby);
}

#[test]
fn nearly_all_of_10_calls_a_second_is_used_and_never_more() {
    uses(0.98, 10, 1, 300, World::nearby);
}

#[test]
fn nearly_all_of_50_calls_a_second_is_used_and_never_more() {
    uses(0.98, 50, 2, 600, World::nearby);
}

#[test]
fn over_a_network_whose_ways_take_1_to_50_ms_95_of_100_calls_are_made_and_never_more() {
    for seed in 1..=8 {
        uses(0.95, 20, 2, 300, |world| World { seed, ..jittery(world) });
    }
}
