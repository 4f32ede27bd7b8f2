//! A pace that learns: tenants that allow less than they are said to, and whose limits change.

use std::time::Duration;

use cxtract::mock::Ledger;

use crate::measure::{fetching, share_used};
use crate::rate::{ledger_of, tenant, world};
use crate::world::World;

/// Moments of the answers 429.
fn complaints(ledger: &Ledger) -> Vec<Duration> {
    ledger.iter().filter(|call| call.status == 429).map(|call| call.at).collect()
}

#[test]
fn a_tenant_that_allows_less_than_configured_seldom_has_to_complain_and_most_of_its_rate_is_used() {
    let true_rate = 12.0;
    let mock = tenant(2, 1200).requests_per_second(true_rate);
    let ledger = ledger_of(&World { bound: Duration::from_secs(1200), ..world(mock, 2, 20, "").nearby() });
    let time = fetching(&ledger);
    let minutes = (time.end - time.start).as_secs_f64() / 60.0;
    let (complaints, used) = (complaints(&ledger), share_used(&ledger, true_rate, &time));
    println!(
        "12 a second, 20 configured: {} complaints in {minutes:.1} minutes, {:.1} % used; at {complaints:?}",
        complaints.len(),
        used * 100.0
    );
    // Down in two steps; then up by one call a second every ten seconds, and down again, each 40 seconds.
    assert!(complaints.len() as f64 <= 2.0 + 2.0 * minutes);
    assert!(complaints.len() >= 3, "the limit was never felt");
    assert!(used >= 0.8);
}
