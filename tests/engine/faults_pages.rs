//! Pages that claim, repeat, miss or change: where the results end, and that a doubtful page is never believed.

use std::time::Duration;

use bytes::Bytes;
use cxtract::mock::{CallKind, Count, End, Fault, FaultRule, LinkStyle, Matcher, MockReport, PageSizes};
use cxtract::model::{FailureClass, Verdict};

use crate::bench::{complete, stand, tenant_with, with_fault};
use crate::fronts::Front;
use crate::support::Stand;

fn report(change: impl FnOnce(&mut MockReport)) -> Stand {
    faulty(&[], change)
}

fn faulty(rules: &[(Matcher, Fault)], change: impl FnOnce(&mut MockReport)) -> Stand {
    let mut report = MockReport::with_rows(450);
    change(&mut report);
    let add = |mock: cxtract::mock::MockTenantBuilder, (on, then): &(Matcher, Fault)| {
        mock.fault(FaultRule::new(on.clone(), then.clone()))
    };
    stand(rules.iter().fold(tenant_with(report), add))
}

#[test]
fn p1_a_stale_count_is_reported_and_never_believed() {
    for by in [-400, -1, 1, 5000] {
        let stand = report(|r| (r.total_count, r.total_rows) = (Count::Stale(by), Count::Absent));
        let books = stand.extract_all().reconciliation;
        let told = Some(450_u64.saturating_add_signed(by));
        assert_eq!((books.total_count_first, books.total_count_last, books.total_rows), (told, told, None));
        assert_eq!((books.rows, books.verdict), (450, Verdict::Mismatch));
    }
}

#[test]
fn p1_the_status_answers_count_goes_before_that_of_the_pages() {
    let stand = report(|r| r.total_count = Count::Stale(-100));
    assert_eq!(stand.extract_all().reconciliation.verdict, Verdict::Match);
    let stand = report(|r| r.total_rows = Count::Stale(1000));
    let books = stand.extract_all().reconciliation;
    assert_eq!((books.verdict, books.total_rows), (Verdict::Mismatch, Some(1450)));
    let stand = report(|r| (r.total_count, r.total_rows) = (Count::Absent, Count::Absent));
    assert_eq!(stand.extract_all().reconciliation.verdict, Verdict::Unknown);
}

#[test]
fn p1_a_mismatch_fails_the_report_where_that_was_asked_for() {
    for by in [-100, 100] {
        let stand = report(|r| r.total_rows = Count::Stale(by)).report("total_count: {on_mismatch: fail}");
        let counted = (450 + by).to_string();
        stand.fails(FailureClass::Data).says(&["450 rows", &counted, "on_mismatch"]);
        assert!(stand.output().with_extension("csv.part").exists());
    }
    let stand = report(|_| {}).report("total_count: {on_mismatch: fail}");
    stand.extract_all();
}

#[test]
fn p2_a_404_past_the_end_is_settled_by_one_look_at_the_status() {
    let stand = report(|r| r.end = End::NotFound404);
    stand.extract_all();
    assert_eq!(stand.n_calls(CallKind::Status), 2, "one poll, one look");
    assert_eq!(stand.n_queries(), 1);
}

#[test]
fn p2_a_404_in_the_middle_is_asked_again_while_the_query_is_alive() {
    let stand = with_fault(Matcher::page(2).first(1), Fault::status(404));
    stand.extract_all();
    assert_eq!((stand.n_asked(2), stand.n_queries()), (2, 1));
}

#[test]
fn p2_a_404_on_page_1_is_an_error_unless_a_count_says_zero() {
    let stand = with_fault(Matcher::page(1), Fault::status(404));
    stand.fails(FailureClass::Data).says(&["page 1", "404", "count"]);
    for (total_rows, total_count) in [(Count::Right, Count::Absent), (Count::Absent, Count::Right)] {
        let stand = report(|r| {
            (r.rows, r.end, r.total_rows, r.total_count) = (0, End::NotFound404, total_rows, total_count);
        });
        assert_eq!(stand.extract_all().output.rows, 0);
    }
    let stand = report(|r| {
        (r.rows, r.end, r.total_rows, r.total_count) = (0, End::NotFound404, Count::Absent, Count::Absent);
    });
    stand.fails(FailureClass::Data).says(&["page 1", "404"]);
}

#[test]
fn p3_rows_past_a_claimed_end_have_the_claim_asked_twice_and_then_fail_the_report() {
    let claims =
        [(Fault::ReplaceBody(Bytes::new()), "no rows"), (Fault::HeaderOnly, "no rows"), (Fault::status(404), "404")];
    for (claim, words) in claims {
        let stand = with_fault(Matcher::page(2), claim);
        stand.fails(FailureClass::Data).says(&["hole at page 2", "has rows", words]);
        assert_eq!(stand.n_asked(2), 3);
    }
}

#[test]
fn p3_a_claim_that_is_taken_back_is_forgotten() {
    for claim in [Fault::ReplaceBody(Bytes::new()), Fault::HeaderOnly, Fault::status(404)] {
        for n_claims in [1, 2] {
            let stand = with_fault(Matcher::page(2).first(n_claims), claim.clone());
            stand.extract_all();
            assert_eq!(stand.n_asked(2), n_claims as usize + 1);
        }
    }
}

#[test]
fn p3_a_missing_next_link_is_questioned_where_a_later_page_already_had_rows() {
    let slow = [(Matcher::page(2), Fault::Delay(Duration::from_millis(300)))];
    let stand = faulty(&slow, |r| {
        (r.link, r.total_rows, r.total_count) = (LinkStyle::EndsEarly(2), Count::Absent, Count::Absent)
    });
    stand.fails(FailureClass::Data).says(&["hole at page 2", "Link"]);
    assert_eq!(stand.n_asked(2), 3);
}

#[test]
fn p4_a_short_page_is_no_end() {
    for page_sizes in [PageSizes::Varying, PageSizes::AtMost(7), PageSizes::AtMost(1)] {
        let stand = report(|r| (r.rows, r.page_sizes) = (100, page_sizes));
        stand.extract_all();
    }
}

#[test]
fn p5_a_page_equal_to_the_one_before_is_asked_again_once_and_then_fails_the_report() {
    let stand = with_fault(Matcher::page(3), Fault::SamePageAs(2));
    stand.fails(FailureClass::Data).says(&["repeated page", "page 3", "pages: {repeated: accept}"]);
    assert_eq!((stand.n_asked(2), stand.n_asked(3)), (1, 2));
    let stand = with_fault(Matcher::page(3).first(1), Fault::SamePageAs(2));
    stand.extract_all();
    assert_eq!(stand.n_asked(3), 2);
}

#[test]
fn p5_repeated_pages_pass_where_they_are_accepted() {
    let stand = with_fault(Matcher::page(3), Fault::SamePageAs(2)).report("pages: {repeated: accept}");
    let manifest = complete(stand.extract());
    assert_eq!((manifest.output.rows, stand.n_asked(3)), (450, 1));
    let whole = stand.mock.expected_csv("detail");
    assert_ne!(stand.delivered(), whole, "page 2 stands in the place of page 3");
}

#[test]
fn p7_a_last_page_that_is_full_is_followed_by_a_look_past_it() {
    for end in [End::EmptyBody, End::HeaderOnly, End::NotFound404] {
        let stand = report(|r| (r.rows, r.end) = (400, end));
        let manifest = stand.extract_all();
        assert_eq!(manifest.pages, 4);
        let beyond: Vec<_> = (5..9).map(|page| stand.n_asked(page)).collect();
        assert!(beyond[0] == 1 && beyond[1..].iter().all(|n| *n <= 1), "{beyond:?}");
    }
}

#[test]
fn p8_a_link_that_loops_or_leads_elsewhere_is_never_followed() {
    let elsewhere = Front::plain("127.0.0.1:1".parse().unwrap());
    let address: &'static str = Box::leak(elsewhere.url("http", "127.0.0.1").into_boxed_str());
    for link in [LinkStyle::Looping, LinkStyle::Elsewhere(address), LinkStyle::Elsewhere("file:///etc/passwd")] {
        let stand = report(|r| r.link = link);
        stand.extract_all();
        assert_eq!(stand.n_asked(1), 1);
    }
    assert_eq!(elsewhere.n_connections(), 0);
}

#[test]
fn p9_of_two_answers_to_one_page_the_newest_counts_until_the_page_is_written() {
    let rules = [(Matcher::page(3).first(1), Fault::SamePageAs(2)), (Matcher::page(3), Fault::OtherRows)];
    let stand = faulty(&rules, |_| {});
    complete(stand.extract());
    let checks = |bytes: &[u8]| -> Vec<String> {
        csv::Reader::from_reader(bytes).records().map(|r| r.unwrap().iter().next_back().unwrap().to_owned()).collect()
    };
    let (delivered, first) = (checks(&stand.delivered()), checks(&stand.mock.expected_csv("detail")));
    let changed = |row: &usize| delivered[*row] != first[*row];
    assert_eq!(delivered.len(), 450);
    assert_eq!((0..450).filter(changed).collect::<Vec<_>>(), (200..300).collect::<Vec<_>>(), "page 3 alone is new");
    assert_eq!(stand.n_asked(3), 2);
}

#[test]
fn p9_a_page_that_is_written_is_never_asked_for_again() {
    let stand = with_fault(Matcher::page(4).first(2), Fault::HeaderOnly);
    stand.extract_all();
    assert_eq!([1, 2, 3, 5].map(|page| stand.n_asked(page)), [1; 4]);
}

#[test]
fn p10_pages_that_arrive_before_their_turn_wait_for_it() {
    let late = [(Matcher::page(2), Fault::Delay(Duration::from_millis(500)))];
    let stand = faulty(&late, |r| r.rows = 4000).top("engine: {memory_limit: 1MiB}");
    assert_eq!(stand.extract_all().pages, 40);
    let scratch = stand.config().engine.scratch_dir;
    assert_eq!(crate::support::names_in(&scratch), Vec::<String>::new());
}

#[test]
fn p11_pages_past_the_end_are_asked_for_no_more_than_calls_go_out_at_once() {
    // The first page past the end is slow, so that others would have time to go out.
    let slow = [(Matcher::page(20), Fault::Delay(Duration::from_millis(200)))];
    let stand = faulty(&slow, |r| (r.rows, r.total_rows, r.total_count) = (2000, Count::Absent, Count::Absent))
        .set("max_in_flight", "3");
    stand.extract_all();
    let beyond = stand.mock.ledger().iter().filter(|entry| entry.page.is_some_and(|page| page > 20)).count();
    assert!(beyond <= 2 * 3, "{beyond} calls past the end");
}
