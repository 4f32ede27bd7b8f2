//! K8: one panic, at the first, a middle and the last page.

use std::sync::atomic::Ordering;

use cxtract::Ending;

use crate::support::{N_PAGES, REPORTS, Stand, VICTIM, die_at};

/// One panic at that pass of a place; answers the endings.
fn with_one_panic(stand: &Stand, place: &str, nth: u64) -> Vec<Ending> {
    let passes = die_at(place, nth);
    let endings = stand.extract_all(stand.engine());
    assert!(passes.load(Ordering::SeqCst) > nth, "{place} was not passed {nth} times");
    endings
}

/// One panic at about that pass of a place; answers which one it was, and the endings.
///
/// How often a stage is passed varies from run to run: where this one came to its end before that pass, nothing died
/// in it, and an earlier pass is tried.
fn with_one_panic_about(stand: &Stand, place: &str, mut nth: u64) -> (u64, Vec<Ending>) {
    loop {
        let passes = die_at(place, nth);
        let endings = stand.extract_all(stand.engine());
        let n_passes = passes.load(Ordering::SeqCst);
        if n_passes > nth {
            return (nth, endings);
        }
        assert_all_complete(place, u64::MAX, &endings);
        assert!(n_passes > 0, "{place} was not passed at all");
        nth = late(n_passes);
    }
}

/// A pass near the end of so many.
fn late(n_passes: u64) -> u64 {
    (n_passes * 9 / 10).saturating_sub(1)
}

/// Passes of a place in a run in which nothing goes wrong.
fn n_passes(stand: &Stand, place: &str) -> u64 {
    let passes = die_at(place, u64::MAX);
    let endings = stand.extract_all(stand.engine());
    assert_all_complete(place, u64::MAX, &endings);
    passes.load(Ordering::SeqCst)
}

fn assert_all_complete(place: &str, nth: u64, endings: &[Ending]) {
    for ((name, _), ending) in REPORTS.iter().zip(endings) {
        assert!(matches!(ending, Ending::Complete(_)), "{place} at {nth}: {name}: {ending:?}");
    }
}

/// A panic at the victim's k-th page is noticed, and the page or the stage rebuilt.
fn is_rebuilt_at_pages(place: &str) {
    for threads in [0, 1] {
        let stand = Stand::new(threads);
        for nth in [0, N_PAGES / 2, N_PAGES - 1] {
            assert_all_complete(place, nth, &with_one_panic(&stand, place, nth));
        }
    }
}

/// The same for a stage that doesn't count pages: at its first, a middle and its last work.
fn is_rebuilt_at_passes(place: &str) {
    for threads in [0, 1] {
        let stand = Stand::new(threads);
        let n_passes = n_passes(&stand, place);
        for nth in [0, n_passes / 2, late(n_passes)] {
            let (nth, endings) = with_one_panic_about(&stand, place, nth);
            assert_all_complete(place, nth, &endings);
        }
    }
}

#[test]
fn k8_a_page_whose_task_dies_is_asked_for_again() {
    is_rebuilt_at_pages("page/victim");
}

#[test]
fn k8_a_fetcher_that_dies_is_rebuilt_and_its_orders_given_anew() {
    is_rebuilt_at_pages("fetcher/victim");
}

#[test]
fn k8_a_writer_that_dies_is_rebuilt_and_its_output_goes_on() {
    is_rebuilt_at_pages("writer/victim");
}

#[test]
fn k8_a_writing_thread_s_job_that_dies_leaves_no_gap_in_the_output() {
    is_rebuilt_at_pages("thread/victim");
}

#[test]
fn k8_a_poller_that_dies_is_rebuilt() {
    for threads in [0, 1] {
        let stand = Stand::new(threads);
        for nth in 0..2 {
            assert_all_complete("poller", nth, &with_one_panic(&stand, "poller/victim", nth));
        }
    }
}

#[test]
fn k8_a_gate_that_dies_is_rebuilt_and_whoever_waited_asks_again() {
    is_rebuilt_at_passes("gate/acme");
}

#[test]
fn k8_a_breaker_that_dies_is_rebuilt() {
    is_rebuilt_at_passes("breaker/acme");
}

#[test]
fn k8_an_auth_that_dies_is_rebuilt_and_gets_another_token() {
    for threads in [0, 1] {
        let stand = Stand::new(threads);
        for nth in 0..2 {
            assert_all_complete("auth", nth, &with_one_panic(&stand, "auth/acme", nth));
        }
    }
}

#[test]
fn k3_k8_a_supervisor_that_dies_fails_the_report_in_hand_and_no_other() {
    for threads in [0, 1] {
        let stand = Stand::new(threads);
        let place = "supervisor/victim";
        let n_passes = n_passes(&stand, place);
        for nth in [0, 1, n_passes / 2, late(n_passes)] {
            let (nth, endings) = with_one_panic_about(&stand, place, nth);
            for ((name, _), ending) in REPORTS.iter().zip(&endings) {
                // An order that nothing was done for yet is simply given again.
                let may_fail = *name == VICTIM && nth > 0;
                match ending {
                    Ending::Complete(_) => assert!(!may_fail, "{name} should have failed at {nth}"),
                    Ending::Failed(_) => assert!(may_fail, "at {nth}: {name}: {ending:?}"),
                    other => panic!("{name}: {other:?}"),
                }
            }
        }
    }
}
