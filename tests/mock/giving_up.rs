//! Whether a client that did not read a query to its end could have.

use cxtract::mock::{MockReport, MockTenant, MockTenantBuilder, RunningMock};

use crate::client::{Client, Ended};

/// The rules that the client of a tenant did not keep to, by the end of it.
fn wrong(mock: &RunningMock) -> Vec<&'static str> {
    mock.final_scorecard().findings.iter().filter(|finding| !finding.ok).map(|finding| finding.name).collect()
}

/// A tenant with four pages, an unlimited rate and what a plan has besides.
fn tenant(plan: &str) -> MockTenantBuilder {
    let tenant = MockTenant::builder().requests_per_second(f64::INFINITY).report("detail", MockReport::with_rows(400));
    tenant.plan(plan).unwrap()
}

/// What is found of a client that asks for a status and these pages, and then for no more.
fn found(plan: &str, pages: &[u64]) -> Vec<&'static str> {
    let mock = tenant(plan).start().unwrap();
    let mut client = Client::connect(&mock);
    let query = client.submitted();
    client.status(&query);
    for &page in pages {
        if client.page(&query, page).ended != Ended::Open {
            client.reconnect();
        }
    }
    wrong(&mock)
}

#[test]
fn who_lacks_a_permission_is_right_to_stop() {
    assert_eq!(found("lacks: [results_read]", &[1]), Vec::<&str>::new());
    assert_eq!(found("lacks: [query_read]", &[]), Vec::<&str>::new());
    assert_eq!(found("", &[1]), ["reads_to_the_end"]);
}

#[test]
fn a_page_that_never_comes_is_asked_for_twice_at_least() {
    let gone = "faults: [{on: {page: 2}, then: {status: 404}}]";
    assert_eq!(found(gone, &[1, 2, 2, 3, 4, 5]), Vec::<&str>::new());
    assert_eq!(found(gone, &[1, 2, 2]), Vec::<&str>::new());
    assert_eq!(found(gone, &[1, 2, 3, 4, 5]), ["reads_every_page"]);
    assert_eq!(found(gone, &[1, 2]), ["reads_to_the_end"]);
    // Once it has come, nothing has been in the way.
    let heals = "faults: [{on: {page: 2, first: 2}, then: {status: 500}}]";
    assert_eq!(found(heals, &[1, 2, 2, 2]), ["reads_to_the_end"]);
    assert_eq!(found(heals, &[1, 2, 2, 2, 3, 4, 5]), Vec::<&str>::new());
}

#[test]
fn who_is_sent_elsewhere_or_shown_another_result_is_right_to_stop_and_who_is_served_late_is_not() {
    for then in ["redirect: 'http://127.0.0.1:9/'", "other_header: 'a,b'", "same_page_as: 1", "status: 403"] {
        let plan = format!("faults: [{{on: {{page: 2}}, then: {{{then}}}}}]");
        assert_eq!(found(&plan, &[1, 2]), Vec::<&str>::new(), "{then}");
    }
    for then in ["delay: 1ms", "header: {name: X-A, value: b}", "cut_at: 100", "status: 502", "status: 401"] {
        let plan = format!("faults: [{{on: {{page: 2, first: 1}}, then: {{{then}}}}}]");
        assert_eq!(found(&plan, &[1, 2]), ["reads_to_the_end"], "{then}");
    }
}

#[test]
fn of_a_query_of_an_earlier_life_nobody_knows_what_was_read() {
    let life = || tenant("remembers_queries: true").start().unwrap();
    let first = life();
    let mut client = Client::connect(&first);
    let query = client.submitted();
    (1..=2).for_each(|page| assert_eq!(client.page(&query, page).status(), 200));
    let second = life();
    let mut client = Client::connect(&second);
    (3..=5).for_each(|page| assert_eq!(client.page(&query, page).status(), 200));
    assert_eq!(wrong(&second), Vec::<&str>::new());
    assert_eq!(second.scorecard().queries[0].state, "read");
}
