//! Tenants that are well, slow to anger, or dead beside others.

use std::time::Duration;

use cxtract::mock::{MockReport, MockTenant};

use crate::world::World;

#[test]
fn a_report_arrives_over_a_simulated_network() {
    let mock = MockTenant::builder().requests_per_second(10.0).report("detail", MockReport::with_rows(500));
    let world = World::of_one(mock, "rate_limit: {requests_per_second: 10}", "page_size: 50");
    let after = world.run().unwrap();
    assert!(after.is_delivered("calls", "acme", "detail"), "{:?}", after.ending("calls"));
    assert!(after.took < Duration::from_secs(30));
}
