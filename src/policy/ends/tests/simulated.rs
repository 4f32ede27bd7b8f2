//! A tenant with a true result, a driver that asks for pages as an engine would, and any order of arrival.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::policy::window::SpeculationWindow;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EndKind {
    Empty,
    Missing,
    Link,
}

/// A page that is answered wrongly for its first `n_times`.
#[derive(Clone, Copy, Debug)]
struct Hole {
    page: u64,
    kind: EndKind,
    n_times: u32,
}

#[derive(Clone, Debug)]
struct Tenant {
    n_pages: u64,
    end: EndKind,
    hole: Option<Hole>,
    /// After so many answers of any kind the query is gone.
    expires_after: usize,
}

impl Tenant {
    fn answer(&self, page: u64, n_th: u32) -> PageAnswer {
        let claim = |kind| match kind {
            EndKind::Empty => EMPTY,
            EndKind::Missing => MISSING,
            EndKind::Link => last_by_link(page),
        };
        match self.hole {
            Some(hole) if hole.page == page && n_th <= hole.n_times => claim(hole.kind),
            _ if page > self.n_pages => claim(if self.end == EndKind::Missing { self.end } else { EndKind::Empty }),
            _ if page == self.n_pages && self.end == EndKind::Link => last_by_link(page),
            _ => rows(page),
        }
    }
}

/// How a run went.
#[derive(Debug, PartialEq, Eq)]
struct Run {
    delivered: Vec<u64>,
    last: Step,
    highest_asked: u64,
    n_status_calls: u32,
}

/// Runs to the end; `choices` say which of the calls under way is answered next.
fn run(tenant: &Tenant, window: u64, choices: &[prop::sample::Index]) -> Run {
    const STATUS: u64 = 0;
    let mut ends = EndOfResults::new(FIRST, RepeatedPages::Fail, Some(tenant.n_pages));
    let mut speculation = SpeculationWindow::new(window);
    let mut under_way: Vec<u64> = Vec::new();
    let mut n_asked: BTreeMap<u64, u32> = BTreeMap::new();
    let mut run = Run { delivered: vec![], last: Step::CheckQuery, highest_asked: 0, n_status_calls: 0 };
    let mut next_page = 1;
    for n_answers in 0.. {
        while let Some(step) = ends.step() {
            match step {
                Step::Deliver(page) => {
                    run.delivered.push(page.0);
                    speculation.good_page();
                }
                Step::Need(page) | Step::AskAgain { page, .. } => {
                    assert!(!under_way.contains(&page.0), "page {page} asked for while under way");
                    assert!(!run.delivered.contains(&page.0), "page {page} asked for though delivered");
                    under_way.push(page.0);
                    next_page = next_page.max(page.0 + 1);
                }
                Step::CheckQuery | Step::AwaitQuery => {
                    assert!(!under_way.contains(&STATUS), "two status calls at once");
                    run.n_status_calls += 1;
                    under_way.push(STATUS);
                }
                Step::End { .. } | Step::Expired | Step::Fail(_) => {
                    run.last = step;
                    return run;
                }
            }
        }
        while next_page <= speculation.last_page(ends.head(), ends.highest_useful()).0 {
            ends.asked(PageNumber(next_page));
            under_way.push(next_page);
            next_page += 1;
        }
        run.highest_asked = run.highest_asked.max(next_page - 1);
        assert!(!under_way.is_empty(), "nothing under way, and no end: {ends:?}");
        let choice = choices.get(n_answers % choices.len().max(1)).map_or(0, |c| c.index(under_way.len()));
        let call = under_way.swap_remove(choice);
        let gone = n_answers >= tenant.expires_after;
        if call == STATUS {
            ends.query_checked(if gone { QueryCheck::Gone } else { QueryCheck::Complete });
        } else {
            let n_th = n_asked.entry(call).or_default();
            *n_th += 1;
            let answer = if gone { MISSING } else { tenant.answer(call, *n_th) };
            ends.answered(PageNumber(call), answer);
        }
    }
    run
}

fn kind() -> impl Strategy<Value = EndKind> {
    prop_oneof![Just(EndKind::Empty), Just(EndKind::Missing), Just(EndKind::Link)]
}

fn choices() -> impl Strategy<Value = Vec<prop::sample::Index>> {
    prop::collection::vec(any::<prop::sample::Index>(), 1..60)
}

fn all(n_pages: u64) -> Vec<u64> {
    (1..=n_pages).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn exactly_the_pages_with_rows_are_delivered_in_order_and_then_the_end(
        n_pages in 0..40u64, end in kind(), window in 1..33u64, choices in choices(),
    ) {
        let tenant = Tenant { n_pages, end, hole: None, expires_after: usize::MAX };
        let run = run(&tenant, window, &choices);
        prop_assert_eq!(&run.delivered, &all(n_pages));
        prop_assert_eq!(run.last, Step::End { pages: n_pages });
        prop_assert!(run.highest_asked <= n_pages + window.max(2), "{:?}", run);
        prop_assert!(run.n_status_calls <= 1, "{:?}", run);
    }

    #[test]
    fn a_hole_that_stays_fails_the_report_by_name(
        n_pages in 2..40u64, at in any::<prop::sample::Index>(), end in kind(), hole_kind in kind(),
        window in 1..33u64, choices in choices(),
    ) {
        let page = 1 + at.index(n_pages as usize - 1) as u64;
        // A first page that is missing has a rule of its own.
        prop_assume!(!(page == 1 && hole_kind == EndKind::Missing));
        let hole = Some(Hole { page, kind: hole_kind, n_times: u32::MAX });
        let run = run(&Tenant { n_pages, end, hole, expires_after: usize::MAX }, window, &choices);
        match run.last {
            Step::Fail(EndFault::Hole { page: named, .. }) => {
                prop_assert_eq!(named.0, page);
                prop_assert_eq!(run.delivered, all(page - 1));
            }
            // Nobody looks past a `Link` without `next` on purpose.
            Step::End { pages } if hole_kind == EndKind::Link => {
                prop_assert_eq!(pages, page);
                prop_assert_eq!(run.delivered, all(page));
            }
            other => prop_assert!(false, "{:?}", other),
        }
    }

    #[test]
    fn a_hole_that_heals_in_time_costs_no_page(
        n_pages in 2..40u64, at in any::<prop::sample::Index>(), end in kind(),
        hole_kind in prop_oneof![Just(EndKind::Empty), Just(EndKind::Missing)],
        n_times in 1..=2u32, window in 1..33u64, choices in choices(),
    ) {
        let page = 1 + at.index(n_pages as usize - 1) as u64;
        prop_assume!(!(page == 1 && hole_kind == EndKind::Missing));
        let hole = Some(Hole { page, kind: hole_kind, n_times });
        let run = run(&Tenant { n_pages, end, hole, expires_after: usize::MAX }, window, &choices);
        prop_assert_eq!(run.delivered, all(n_pages));
        prop_assert_eq!(run.last, Step::End { pages: n_pages });
    }

    #[test]
    fn an_expired_query_is_never_taken_for_the_end(
        n_pages in 1..40u64, end in kind(), window in 1..33u64, expires_after in 0..50usize, choices in choices(),
    ) {
        let run = run(&Tenant { n_pages, end, hole: None, expires_after }, window, &choices);
        prop_assert_eq!(&run.delivered, &all(run.delivered.len() as u64));
        match run.last {
            Step::End { pages } => prop_assert_eq!((pages, run.delivered.len() as u64), (n_pages, n_pages)),
            last => prop_assert_eq!(last, Step::Expired),
        }
    }
}
