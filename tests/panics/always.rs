//! K3: a stage that dies again after each rebuild fails its reports, loud and by name, and leaves the others alone.

use std::sync::atomic::Ordering;

use cxtract::Ending;

use crate::support::{REPORTS, Stand, VICTIM, die_always};

/// How often anything may be tried before that counts as an endless loop.
const MANY: u64 = 200;

/// Endings by report; the place was passed a bounded number of times.
fn with_endless_panics(place: &str, threads: usize) -> Vec<(&'static str, Ending)> {
    let stand = Stand::new(threads);
    let passes = die_always(place);
    let endings = stand.extract_all(stand.engine());
    let n_passes = passes.load(Ordering::SeqCst);
    assert!((1..MANY).contains(&n_passes), "{place}: passed {n_passes} times");
    REPORTS.iter().map(|(name, _)| *name).zip(endings).collect()
}

fn fails_the_victim_alone(place: &str) {
    for threads in [0, 1] {
        for (name, ending) in with_endless_panics(place, threads) {
            match ending {
                Ending::Complete(_) => assert!(name != VICTIM, "{place}"),
                Ending::Failed(_) => assert!(name == VICTIM, "{place}: {name}: {ending:?}"),
                other => panic!("{place}: {name}: {other:?}"),
            }
        }
    }
}

/// A tenant's stage may take that tenant's reports along.
fn fails_its_tenant_alone(place: &str, must_fail: bool) {
    for threads in [0, 1] {
        for (name, ending) in with_endless_panics(place, threads) {
            let is_of_tenant = name == VICTIM || name == "sibling";
            match ending {
                Ending::Complete(_) => assert!(!(must_fail && is_of_tenant), "{place}: {name}"),
                Ending::Failed(_) => assert!(is_of_tenant, "{place}: {name}: {ending:?}"),
                other => panic!("{place}: {name}: {other:?}"),
            }
        }
    }
}

#[test]
fn k3_pages_that_always_die_fail_their_report() {
    fails_the_victim_alone("page/victim");
}

#[test]
fn k3_a_fetcher_that_always_dies_of_one_report_s_orders_fails_that_report() {
    fails_the_victim_alone("fetcher/victim");
}

#[test]
fn k3_a_writer_that_always_dies_fails_its_report() {
    fails_the_victim_alone("writer/victim");
}

#[test]
fn k3_a_writing_thread_that_always_dies_of_one_report_fails_that_report() {
    fails_the_victim_alone("thread/victim");
}

#[test]
fn k3_a_poller_that_always_dies_fails_its_report() {
    fails_the_victim_alone("poller/victim");
}

#[test]
fn k3_a_supervisor_that_always_dies_of_one_report_fails_that_report() {
    fails_the_victim_alone("supervisor/victim");
}

#[test]
fn k3_a_gate_that_always_dies_fails_its_tenant_s_reports() {
    fails_its_tenant_alone("gate/acme", true);
}

#[test]
fn k3_an_auth_that_always_dies_fails_its_tenant_s_reports() {
    fails_its_tenant_alone("auth/acme", true);
}

#[test]
fn k3_a_breaker_that_always_dies_fails_at_most_its_tenant_s_reports() {
    fails_its_tenant_alone("breaker/acme", false);
}
