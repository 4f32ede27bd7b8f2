//! What a tenant may honestly do: every kind of end, link, count, header and line ending comes to the same file.

use std::time::Duration;

use bytes::Bytes;
use cxtract::mock::{
    Count, End, Fault, FaultRule, LinkStyle, Matcher, MockReport, MockTenantBuilder, Newline, OnPages,
};
use cxtract::model::FailureClass;

use crate::bench::{complete, stand, tenant_of, tenant_with};
use crate::support::{Stand, with_engine};

fn report(change: impl FnOnce(&mut MockReport)) -> Stand {
    let mut report = MockReport::with_rows(250);
    change(&mut report);
    stand(tenant_with(report))
}

/// A tenant whose pages are these bodies, and empty ones behind them.
pub fn tenant_saying(pages: &[&str]) -> MockTenantBuilder {
    saying_in(tenant_uncounted(), pages)
}

/// A tenant without rows that tells of no counts.
pub fn tenant_uncounted() -> MockTenantBuilder {
    tenant_with(MockReport { total_count: Count::Absent, total_rows: Count::Absent, ..MockReport::with_rows(0) })
}

/// That tenant with those pages, but where an earlier rule decides.
pub fn saying_in(mock: MockTenantBuilder, pages: &[&str]) -> MockTenantBuilder {
    pages.iter().zip(1..).fold(mock, |mock, (body, page)| {
        mock.fault(FaultRule::new(Matcher::page(page), Fault::ReplaceBody(Bytes::copy_from_slice(body.as_bytes()))))
    })
}

/// What is delivered of such pages.
fn delivered_of(pages: &[&str]) -> String {
    let stand = stand(tenant_saying(pages));
    complete(stand.extract());
    String::from_utf8(stand.delivered()).unwrap()
}

#[test]
fn every_kind_of_end_with_every_kind_of_link_and_count_gives_the_same_rows() {
    let ends = [End::EmptyBody, End::HeaderOnly, End::NotFound404, End::LinkWithoutNext];
    let links = [LinkStyle::Absent, LinkStyle::Proper, LinkStyle::Looping];
    let counts = [Count::Right, Count::Absent, Count::Stale(-150), Count::Stale(90)];
    let mut n_rows = 250;
    for end in ends {
        for link in links {
            n_rows = 550 - n_rows;
            for count in counts {
                // The last page is full for one half of the cases and short for the other.
                n_rows = 550 - n_rows;
                let stand = report(|r| {
                    (r.rows, r.end, r.link, r.total_count, r.total_rows) = (n_rows, end, link, count, count);
                });
                assert_eq!(stand.extract_all().output.rows, n_rows, "{end:?} {link:?} {count:?}");
            }
        }
    }
}

#[test]
fn a_report_of_one_page_costs_few_calls() {
    let stand = report(|r| r.rows = 10);
    stand.extract_all();
    assert!(stand.mock.ledger().len() <= 6, "{:?}", stand.mock.ledger().len());
}

#[test]
fn c1_chunks_may_end_anywhere_in_a_page() {
    for size in [1, 2, 3, 7, 64] {
        let drip = FaultRule::new(Matcher::pages(), Fault::DripBody(size, Duration::ZERO));
        let mut mock = MockReport::with_rows(30);
        for (chunked, gzip) in [(true, false), (false, false), (true, true)] {
            (mock.chunked, mock.gzip) = (chunked, gzip);
            stand(tenant_with(mock.clone()).fault(drip.clone())).extract_all();
        }
    }
}

#[test]
fn c3_a_byte_order_mark_on_any_page_stays_out_of_the_file() {
    for bom in [OnPages::First, OnPages::Every, OnPages::Random] {
        for header in [OnPages::First, OnPages::Every] {
            report(|r| (r.bom, r.header) = (bom, header)).extract_all();
        }
    }
}

#[test]
fn c3_a_byte_order_mark_is_written_once_where_it_was_asked_for() {
    let stand = report(|r| r.bom = OnPages::Every).report("output: {encoding: utf-8-sig}");
    complete(stand.extract());
    let due = [b"\xEF\xBB\xBF".as_slice(), &stand.mock.expected_csv("detail")].concat();
    assert!(stand.delivered() == due);
}

#[test]
fn c3_bytes_that_are_no_utf8_arrive_as_they_came() {
    let page = b"a,b\n\xff,\xc3\x28\n1,\xed\xa0\x80\n".as_slice();
    let body = Fault::ReplaceBody(Bytes::from_static(page));
    let stand = stand(tenant_saying(&[]).fault(FaultRule::new(Matcher::page(1), body)));
    complete(stand.extract());
    assert!(stand.delivered() == page);
}

#[test]
fn c4_a_header_may_be_repeated_or_missing_on_any_page() {
    assert_eq!(delivered_of(&["a,b\n1,2\n", "3,4\n", "a,b\n5,6\n", "7,8\n"]), "a,b\n1,2\n3,4\n5,6\n7,8\n");
    for header in [OnPages::First, OnPages::Every] {
        for end in [End::EmptyBody, End::HeaderOnly] {
            report(|r| (r.header, r.end, r.rows) = (header, end, 950)).extract_all();
        }
    }
}

#[test]
fn c4_names_in_another_order_fail_the_report() {
    let stand = stand(tenant_saying(&["a,b\n1,2\n", "b,a\n3,4\n"]));
    stand.fails(FailureClass::Data).says(&["page 2", "a", "b", "order"]);
}

#[test]
fn c4_other_names_fail_the_report_where_every_page_before_repeated_the_header() {
    let stand = stand(tenant_saying(&["a,b\n1,2\n", "a,b\n3,4\n", "a,c\n5,6\n"]));
    stand.fails(FailureClass::Data).says(&["page 3", "c"]);
    assert_eq!(delivered_of(&["a,b\n1,2\n", "x,y\n", "a,c\n5,6\n"]), "a,b\n1,2\nx,y\na,c\n5,6\n");
}

#[test]
fn c5_a_record_of_another_length_fails_the_report_with_its_place() {
    let stand = stand(tenant_saying(&["a,b\n1,2\n", "a,b\n3,4\n5,6,7\n"]));
    stand.fails(FailureClass::Data).says(&["page 2", "record 3", "3 fields", "has 2"]);
}

#[test]
fn c7_a_report_without_rows_has_its_header_where_the_tenant_gave_one() {
    for (end, n_columns) in
        [(End::EmptyBody, 0), (End::HeaderOnly, 19), (End::NotFound404, 0), (End::LinkWithoutNext, 19)]
    {
        let stand = report(|r| (r.rows, r.end) = (0, end));
        let manifest = stand.extract_all();
        assert_eq!((manifest.output.rows, manifest.pages, manifest.columns.len()), (0, 0, n_columns), "{end:?}");
        assert_eq!(stand.delivered().is_empty(), n_columns == 0);
    }
}

#[test]
fn c7_a_lone_header_without_line_ending_gets_one() {
    assert_eq!(delivered_of(&["a,b"]), "a,b\n");
}

#[test]
fn c8_a_page_that_ends_within_a_record_fails_the_report() {
    let stand = stand(tenant_saying(&["a,b\n1,2\n", "3,\"4\n", "5\",6\n"]));
    stand.fails(FailureClass::Data).says(&["page 2"]);
    let stand = stand_with_short_page();
    stand.fails(FailureClass::Data).says(&["page 2", "fields"]);
}

fn stand_with_short_page() -> Stand {
    stand(tenant_of(250).fault(FaultRule::new(Matcher::page(2), Fault::ShortenBy(60))))
}

#[test]
fn a_page_without_final_newline_is_followed_by_exactly_one() {
    for newline in [Newline::Lf, Newline::CrLf] {
        report(|r| (r.final_newline, r.newline) = (false, newline)).extract_all();
    }
    assert_eq!(delivered_of(&["a,b\r\n1,2", "3,4", "5,6"]), "a,b\r\n1,2\r\n3,4\r\n5,6\r\n");
    assert_eq!(delivered_of(&["a,b\n1,2", "a,b\n3,4"]), "a,b\n1,2\n3,4\n");
}

#[test]
fn records_keep_their_line_endings() {
    report(|r| r.newline = Newline::CrLf).extract_all();
    assert_eq!(delivered_of(&["a,b\n1,\"x\r\ny\"\r\n"]), "a,b\n1,\"x\r\ny\"\r\n");
}

#[test]
fn a_single_column_is_a_report_too() {
    assert_eq!(delivered_of(&["a\n1\n2\n", "a\n3\n"]), "a\n1\n2\n3\n");
}

#[test]
fn an_empty_value_of_a_single_column_is_a_row() {
    assert_eq!(delivered_of(&["a\nx\n", "a\n\n\n"]), "a\nx\n\n\n");
    assert_eq!(delivered_of(&["a\nx\n", "a\n\n", "a\ny\n"]), "a\nx\n\ny\n");
    assert_eq!(delivered_of(&["a\nx\n", "\n", "y\n"]), "a\nx\n\ny\n");
}

#[test]
fn compressed_pages_may_be_chunked_or_have_a_length() {
    for chunked in [true, false] {
        report(|r| (r.chunked, r.gzip) = (chunked, true)).extract_all();
    }
}

#[test]
fn any_number_of_arbiters_gives_the_same_bytes() {
    for threads in [0, 1, 2] {
        report(|r| r.rows = 1500).top(&format!("engine: {{threads: {threads}}}")).extract_all();
    }
}

#[test]
fn large_pages_under_a_small_memory_limit_arrive_whole_and_leave_no_scratch_behind() {
    let stand = stand(tenant_of(24_000).latency(Duration::from_millis(5)))
        .top("engine: {memory_limit: 1MiB}")
        .report("pages: {repeated: accept}");
    let yaml = stand.yaml().replace("page_size: 100", "page_size: 3000");
    let sources = cxtract::config::Sources::text(stand.folder.path().join("config.yaml"), &yaml);
    let config = cxtract::Config::load(&sources).unwrap();
    let scratch = config.engine.scratch_dir.clone();
    let manifest = complete(with_engine(config, |engine| async move { engine.extract("calls").await.unwrap() }));
    assert_eq!(manifest.pages, 8);
    assert!(stand.delivered() == stand.mock.expected_csv("detail"));
    assert_eq!(crate::support::names_in(&scratch), Vec::<String>::new());
}
