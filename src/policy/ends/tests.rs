//! Each rule of the end of results by itself, then all of them against simulated tenants in any order of arrival.

use super::*;

const FIRST: PageNumber = PageNumber::FIRST;

fn rows_with(digest: u128, link: LinkHint) -> PageAnswer {
    let print = PagePrint { digest: PageDigest(digest), n_bytes: 100 };
    PageAnswer::Rows { print, link, total_count: None }
}

/// A page with rows of its own.
fn rows(page: u64) -> PageAnswer {
    rows_with(u128::from(page), LinkHint::Absent)
}

fn last_by_link(page: u64) -> PageAnswer {
    rows_with(u128::from(page), LinkHint::NoNext)
}

const EMPTY: PageAnswer = PageAnswer::NoRows { total_count: None };
const MISSING: PageAnswer = PageAnswer::Missing { total_count: None };

fn machine() -> EndOfResults {
    EndOfResults::new(FIRST, RepeatedPages::Fail, None)
}

fn after(answers: &[(u64, PageAnswer)]) -> EndOfResults {
    let mut ends = machine();
    tell(&mut ends, answers);
    ends
}

fn tell(ends: &mut EndOfResults, answers: &[(u64, PageAnswer)]) {
    for &(page, answer) in answers {
        ends.answered(PageNumber(page), answer);
    }
}

fn steps(ends: &mut EndOfResults) -> Vec<Step> {
    std::iter::from_fn(|| ends.step()).collect()
}

fn deliver(page: u64) -> Step {
    Step::Deliver(PageNumber(page))
}

fn need(page: u64) -> Step {
    Step::Need(PageNumber(page))
}

fn ask_again(page: u64, beyond: u64) -> Step {
    Step::AskAgain { page: PageNumber(page), doubt: Doubt::RowsBeyond(PageNumber(beyond)) }
}

fn hole(page: u64, claim: Claim, beyond: u64) -> Step {
    Step::Fail(EndFault::Hole { page: PageNumber(page), claim, beyond: PageNumber(beyond) })
}

#[test]
fn pages_are_delivered_in_order_whatever_their_order_of_arrival() {
    let mut ends = after(&[(3, rows(3)), (2, rows(2))]);
    assert_eq!(steps(&mut ends), [need(1)]);
    tell(&mut ends, &[(1, rows(1))]);
    assert_eq!(steps(&mut ends), [deliver(1), deliver(2), deliver(3), need(4)]);
}

#[test]
fn a_page_under_way_is_not_asked_for_twice() {
    let mut ends = machine();
    ends.asked(PageNumber(1));
    ends.asked(PageNumber(2));
    assert_eq!(steps(&mut ends), []);
    tell(&mut ends, &[(1, EMPTY)]);
    assert_eq!(steps(&mut ends), [], "page 2 is needed, but under way");
    tell(&mut ends, &[(2, EMPTY)]);
    assert_eq!(steps(&mut ends), [Step::End { pages: 0 }]);
}

#[test]
fn a_page_whose_bytes_were_dropped_is_asked_for_when_its_turn_comes() {
    let mut ends = after(&[(1, rows(1)), (2, rows(2)), (3, rows(3))]);
    ends.dropped(PageNumber(2));
    assert_eq!(steps(&mut ends), [deliver(1), need(2)]);
    tell(&mut ends, &[(2, rows(2))]);
    assert_eq!(steps(&mut ends), [deliver(2), deliver(3), need(4)]);
}

#[test]
fn a_run_that_goes_on_in_the_middle_takes_a_missing_page_for_a_claim() {
    let mut ends = EndOfResults::new(PageNumber(8), RepeatedPages::Fail, None);
    tell(&mut ends, &[(8, MISSING), (9, EMPTY)]);
    assert_eq!(steps(&mut ends), [Step::CheckQuery]);
    ends.query_checked(QueryCheck::Complete);
    assert_eq!(steps(&mut ends), [Step::End { pages: 7 }]);
}

#[test]
fn pages_past_the_lowest_claimed_end_are_of_no_use() {
    let mut ends = machine();
    assert_eq!(ends.highest_useful(), None);
    tell(&mut ends, &[(9, EMPTY)]);
    assert_eq!(ends.highest_useful(), Some(PageNumber(10)));
    tell(&mut ends, &[(6, MISSING)]);
    assert_eq!(ends.highest_useful(), Some(PageNumber(7)));
    tell(&mut ends, &[(4, last_by_link(4)), (2, rows(2))]);
    assert_eq!(ends.highest_useful(), Some(PageNumber(4)));
    tell(&mut ends, &[(4, rows(4)), (6, rows(6))]);
    assert_eq!(ends.highest_useful(), Some(PageNumber(10)), "the newest answers no longer claim");
}

mod faults {
    use super::*;

    #[test]
    fn p1_counts_never_decide_the_end() {
        let counted = |page, n| {
            let PageAnswer::Rows { print, link, .. } = rows(page) else { unreachable!("rows") };
            PageAnswer::Rows { print, link, total_count: Some(n) }
        };
        let mut ends = EndOfResults::new(FIRST, RepeatedPages::Fail, Some(1));
        tell(&mut ends, &[(1, counted(1, 1)), (2, counted(2, 1)), (3, EMPTY), (4, EMPTY)]);
        assert_eq!(steps(&mut ends), [deliver(1), deliver(2), Step::End { pages: 2 }]);
        let mut ends = EndOfResults::new(FIRST, RepeatedPages::Fail, Some(0));
        tell(&mut ends, &[(1, counted(1, 0)), (2, EMPTY), (3, EMPTY)]);
        assert_eq!(steps(&mut ends), [deliver(1), Step::End { pages: 1 }], "a count of 0 ends nothing");
        let mut ends = EndOfResults::new(FIRST, RepeatedPages::Fail, Some(1_000_000));
        tell(&mut ends, &[(1, EMPTY), (2, EMPTY)]);
        assert_eq!(steps(&mut ends), [Step::End { pages: 0 }], "a high count keeps nothing open");
    }

    #[test]
    fn p2_one_status_call_settles_all_pages_that_are_missing() {
        let mut ends = after(&[(1, rows(1)), (2, MISSING), (4, MISSING)]);
        assert_eq!(steps(&mut ends), [deliver(1), need(3)]);
        tell(&mut ends, &[(3, MISSING)]);
        assert_eq!(steps(&mut ends), [Step::CheckQuery]);
        ends.query_checked(QueryCheck::Complete);
        assert_eq!(steps(&mut ends), [Step::End { pages: 1 }]);
    }

    #[test]
    fn p2_a_missing_page_of_a_query_that_is_gone_means_expired_and_not_the_end() {
        let mut ends = after(&[(1, rows(1)), (2, MISSING), (3, MISSING)]);
        assert_eq!(steps(&mut ends), [deliver(1), Step::CheckQuery]);
        ends.query_checked(QueryCheck::Gone);
        assert_eq!(steps(&mut ends), [Step::Expired]);
        assert!(ends.is_over());
    }

    #[test]
    fn p2_a_page_found_missing_after_the_status_call_needs_another_one() {
        let mut ends = after(&[(1, MISSING), (2, rows(2))]);
        ends.expected_rows = Some(0);
        assert_eq!(steps(&mut ends), [Step::CheckQuery]);
        ends.query_checked(QueryCheck::Complete);
        assert_eq!(steps(&mut ends), [ask_again(1, 2)]);
        tell(&mut ends, &[(1, MISSING)]);
        assert_eq!(steps(&mut ends), [Step::CheckQuery], "the query may have expired since");
        ends.query_checked(QueryCheck::Gone);
        assert_eq!(steps(&mut ends), [Step::Expired]);
    }

    #[test]
    fn p2_an_empty_page_before_a_missing_one_is_no_end_before_the_query_is_known_to_live() {
        let mut ends = after(&[(1, rows(1)), (2, EMPTY), (3, MISSING)]);
        assert_eq!(steps(&mut ends), [deliver(1), Step::CheckQuery]);
        ends.query_checked(QueryCheck::Complete);
        assert_eq!(steps(&mut ends), [Step::End { pages: 1 }]);
    }

    #[test]
    fn p2_a_missing_first_page_means_no_rows_only_where_a_count_says_so() {
        let missing_with = |n| PageAnswer::Missing { total_count: Some(n) };
        for (expected_rows, answer, explained) in [
            (None, MISSING, false),
            (Some(3), MISSING, false),
            (None, missing_with(3), false),
            (Some(3), missing_with(0), false),
            (Some(0), MISSING, true),
            (None, missing_with(0), true),
            (Some(0), missing_with(3), true),
        ] {
            let mut ends = EndOfResults::new(FIRST, RepeatedPages::Fail, expected_rows);
            tell(&mut ends, &[(1, answer), (2, MISSING)]);
            assert_eq!(steps(&mut ends), [Step::CheckQuery]);
            ends.query_checked(QueryCheck::Complete);
            let last = if explained { Step::End { pages: 0 } } else { Step::Fail(EndFault::FirstPageMissing) };
            assert_eq!(steps(&mut ends), [last], "totalRows {expected_rows:?}, {answer:?}");
        }
    }

    #[test]
    fn p2_a_missing_first_page_with_a_count_of_zero_is_still_looked_past() {
        let mut ends = EndOfResults::new(FIRST, RepeatedPages::Fail, Some(0));
        tell(&mut ends, &[(1, MISSING)]);
        assert_eq!(steps(&mut ends), [need(2)]);
        tell(&mut ends, &[(2, rows(2))]);
        assert_eq!(steps(&mut ends), [Step::CheckQuery]);
        ends.query_checked(QueryCheck::Complete);
        assert_eq!(steps(&mut ends), [ask_again(1, 2)]);
    }

    #[test]
    fn p3_a_hole_that_heals_is_no_end() {
        for healed_at in 1..=2 {
            let mut ends = after(&[(1, rows(1)), (2, EMPTY), (3, rows(3))]);
            assert_eq!(steps(&mut ends), [deliver(1), ask_again(2, 3)]);
            if healed_at == 2 {
                tell(&mut ends, &[(2, EMPTY)]);
                assert_eq!(steps(&mut ends), [ask_again(2, 3)]);
            }
            assert_eq!(steps(&mut ends), [], "the old answer decides nothing while the new one is under way");
            tell(&mut ends, &[(2, rows(2))]);
            assert_eq!(steps(&mut ends), [deliver(2), deliver(3), need(4)]);
        }
    }

    #[test]
    fn p3_a_hole_that_stays_fails_the_report_and_is_named() {
        let mut ends = after(&[(1, rows(1)), (2, EMPTY), (4, rows(4))]);
        assert_eq!(steps(&mut ends), [deliver(1), ask_again(2, 4)], "any later page with rows counts");
        tell(&mut ends, &[(2, EMPTY), (3, EMPTY)]);
        assert_eq!(steps(&mut ends), [ask_again(2, 4)]);
        tell(&mut ends, &[(2, EMPTY)]);
        assert_eq!(steps(&mut ends), [hole(2, Claim::NoRows, 4)]);
        assert_eq!(steps(&mut ends), []);
        let fault = EndFault::Hole { page: PageNumber(2), claim: Claim::NoRows, beyond: PageNumber(4) };
        assert_eq!(
            fault.to_string(),
            "hole at page 2: it has no rows, but page 4 has rows; asked again 2 times, it stayed so"
        );
    }

    #[test]
    fn p3_a_claim_is_looked_past_before_it_is_believed() {
        let mut ends = after(&[(1, rows(1)), (2, EMPTY)]);
        assert_eq!(steps(&mut ends), [deliver(1), need(3)]);
        tell(&mut ends, &[(3, rows(3))]);
        assert_eq!(steps(&mut ends), [ask_again(2, 3)]);
    }

    #[test]
    fn p3_a_page_missing_in_the_middle_of_a_living_query_is_a_hole() {
        let mut ends = after(&[(1, rows(1)), (2, MISSING), (3, rows(3))]);
        assert_eq!(steps(&mut ends), [deliver(1), Step::CheckQuery]);
        for _ in 0..MAX_HOLE_ASKS {
            ends.query_checked(QueryCheck::Complete);
            assert_eq!(steps(&mut ends), [ask_again(2, 3)]);
            tell(&mut ends, &[(2, MISSING)]);
            assert_eq!(steps(&mut ends), [Step::CheckQuery]);
        }
        ends.query_checked(QueryCheck::Complete);
        assert_eq!(steps(&mut ends), [hole(2, Claim::Missing, 3)]);
    }

    #[test]
    fn p3_a_missing_next_link_is_questioned_only_if_a_later_page_was_already_answered_with_rows() {
        let mut ends = after(&[(1, rows(1)), (2, last_by_link(2)), (3, EMPTY)]);
        assert_eq!(steps(&mut ends), [deliver(1), deliver(2), Step::End { pages: 2 }]);

        let mut ends = after(&[(1, last_by_link(1))]);
        assert_eq!(ends.step(), Some(deliver(1)));
        tell(&mut ends, &[(2, rows(2))]);
        assert_eq!(steps(&mut ends), [Step::End { pages: 1 }], "it was decided before");

        let mut ends = after(&[(3, rows(3)), (1, last_by_link(1))]);
        assert_eq!(steps(&mut ends), [ask_again(1, 3)]);
        tell(&mut ends, &[(1, last_by_link(1))]);
        assert_eq!(steps(&mut ends), [ask_again(1, 3)]);
        let mut healed = ends.clone();
        tell(&mut ends, &[(1, last_by_link(1))]);
        assert_eq!(steps(&mut ends), [hole(1, Claim::NoNextLink, 3)]);
        tell(&mut healed, &[(1, rows_with(1, LinkHint::Next))]);
        assert_eq!(steps(&mut healed), [deliver(1), need(2)]);
    }

    #[test]
    fn p5_a_repeated_page_is_asked_again_once_and_then_fails_the_report() {
        let mut ends = after(&[(1, rows(1)), (2, rows(1))]);
        let again = Step::AskAgain { page: PageNumber(2), doubt: Doubt::Repeated };
        assert_eq!(steps(&mut ends), [deliver(1), again]);
        let mut healed = ends.clone();
        tell(&mut ends, &[(2, rows(1))]);
        assert_eq!(steps(&mut ends), [Step::Fail(EndFault::Repeated { page: PageNumber(2) })]);
        tell(&mut healed, &[(2, rows(2))]);
        assert_eq!(steps(&mut healed), [deliver(2), need(3)]);
    }

    #[test]
    fn p5_a_repeated_page_passes_where_reports_may_repeat() {
        let mut ends = EndOfResults::new(FIRST, RepeatedPages::Accept, None);
        tell(&mut ends, &[(1, rows(1)), (2, rows(1)), (3, EMPTY), (4, EMPTY)]);
        assert_eq!(steps(&mut ends), [deliver(1), deliver(2), Step::End { pages: 2 }]);
    }

    #[test]
    fn p5_only_neighbours_are_compared_also_across_runs() {
        let mut ends = after(&[(1, rows(1)), (2, rows(2)), (3, rows(1))]);
        assert_eq!(steps(&mut ends), [deliver(1), deliver(2), deliver(3), need(4)]);
        let PageAnswer::Rows { print, .. } = rows(3) else { unreachable!("rows") };
        let mut ends = EndOfResults::new(PageNumber(4), RepeatedPages::Fail, None).after_page(print);
        tell(&mut ends, &[(4, rows(3))]);
        assert_eq!(steps(&mut ends), [Step::AskAgain { page: PageNumber(4), doubt: Doubt::Repeated }]);
    }

    #[test]
    fn p7_an_end_behind_a_full_page_costs_the_empty_page_and_one_look_past_it() {
        let mut ends = after(&[(1, rows(1))]);
        assert_eq!(steps(&mut ends), [deliver(1), need(2)]);
        tell(&mut ends, &[(2, EMPTY)]);
        assert_eq!(steps(&mut ends), [need(3)]);
        tell(&mut ends, &[(3, EMPTY)]);
        assert_eq!(steps(&mut ends), [Step::End { pages: 1 }]);
    }

    #[test]
    fn p8_a_next_link_on_the_last_page_keeps_nothing_open() {
        let mut ends = after(&[(1, rows_with(1, LinkHint::Next)), (2, EMPTY), (3, EMPTY)]);
        assert_eq!(steps(&mut ends), [deliver(1), Step::End { pages: 1 }]);
    }

    #[test]
    fn p9_of_two_answers_for_a_page_not_yet_delivered_the_newer_one_counts() {
        let mut ends = after(&[(2, EMPTY), (2, rows(2)), (1, rows(1)), (1, rows(7))]);
        assert_eq!(steps(&mut ends), [deliver(1), deliver(2), need(3)]);
        tell(&mut ends, &[(1, EMPTY), (3, EMPTY), (4, EMPTY)]);
        assert_eq!(steps(&mut ends), [Step::End { pages: 2 }], "a delivered page is beyond question");
    }

    #[test]
    fn p11_answers_beyond_the_end_change_nothing() {
        let mut ends = after(&[(1, rows(1)), (2, EMPTY), (3, EMPTY)]);
        assert_eq!(steps(&mut ends), [deliver(1), Step::End { pages: 1 }]);
        tell(&mut ends, &[(4, rows(4)), (2, rows(2))]);
        assert_eq!(steps(&mut ends), []);
    }

    #[test]
    fn t3_pages_missing_while_the_query_is_not_ready_are_asked_for_again() {
        let mut ends = after(&[(1, rows(1)), (2, MISSING), (3, MISSING)]);
        ends.asked(PageNumber(4));
        assert_eq!(steps(&mut ends), [deliver(1), Step::CheckQuery]);
        ends.query_checked(QueryCheck::NotReady);
        assert_eq!(steps(&mut ends), [Step::AwaitQuery]);
        ends.query_checked(QueryCheck::NotReady);
        assert_eq!(steps(&mut ends), [Step::AwaitQuery]);
        ends.query_checked(QueryCheck::Complete);
        assert_eq!(steps(&mut ends), [need(2)]);
        tell(&mut ends, &[(2, MISSING), (3, MISSING)]);
        assert_eq!(steps(&mut ends), [Step::CheckQuery], "the earlier call vouches for nothing");
        ends.query_checked(QueryCheck::Complete);
        assert_eq!(steps(&mut ends), [Step::End { pages: 1 }]);
    }
}

mod simulated;
