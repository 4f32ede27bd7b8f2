//! Stories about pages: how they end, what is missing, what is wrong with their bytes.

use cxtract::Ending;
use cxtract::mock::CallKind;
use cxtract::model::FailureClass;

use crate::stories::{Story, story};

const TENANT: &str = "poll: {initial_delay: 2s}";

#[test]
fn an_expired_query_is_submitted_again_and_its_rows_are_not_mixed() {
    let after = story("expired-query").play();
    assert!(after.is_delivered("calls", "mock", "calls"), "{:?}", after.ending("calls"));
    assert_eq!(after.verdict("mock").duplicate_submissions, 1);
}

#[test]
fn a_query_that_expires_every_time_is_given_up_after_the_second() {
    let after = story("expires-every-time").fails(FailureClass::Denied, &["expired again"]);
    assert_eq!(after.ledger("mock").submissions().len(), 2);
}

#[test]
fn a_hole_that_stays_fails_the_report_and_one_that_heals_does_not() {
    story("holes").fails(FailureClass::Data, &["30"]);
    let after = story("hole-that-heals").delivers();
    let query = after.ledger("mock").query_ids().remove(0);
    assert!(after.ledger("mock").times_asked(&query)[&12] >= 2);
}

#[test]
fn a_legacy_template_fails_by_its_row_or_is_mended() {
    let reports = [("calls", ""), ("mended", "csv: {repair: join}")];
    let after = Story::new("legacy-template", TENANT, &reports).play();
    let failure = after.failure("calls");
    assert_eq!(failure.class, FailureClass::Data, "{}", failure.message);
    let manifest = after.manifest("mended");
    // One in forty of 500, counted from 0 or from 1.
    assert!((12..=13).contains(&manifest.csv.repaired), "{:?}", manifest.csv);
    assert_eq!(manifest.output.rows, 500);
}

#[test]
fn counts_that_are_stale_end_nothing_and_are_reported() {
    let after = story("stale-counts").delivers();
    let reconciliation = &after.manifest("calls").reconciliation;
    assert_eq!((reconciliation.rows, reconciliation.total_rows), (400, Some(320)));
    assert!(format!("{:?}", reconciliation.verdict).contains("Mismatch"), "{reconciliation:?}");
}

#[test]
fn a_login_page_never_reaches_the_file() {
    let after = story("login-page").delivers();
    assert!(after.ledger("mock").iter().any(|call| call.faulted), "it was not met");
}

#[test]
fn pages_that_break_off_are_asked_for_again() {
    let after = story("cut-connections").delivers();
    let ledger = after.ledger("mock");
    let broken = ledger.iter().filter(|call| call.kind == CallKind::Page && call.broke_off).count();
    assert!(broken > 20, "{broken} broke off");
}

#[test]
fn short_pages_are_no_end() {
    let after = Story::new("short-pages", TENANT, &[("calls", "page_size: 20")]).delivers();
    assert!(after.manifest("calls").pages > 100);
}

#[test]
fn a_repeated_page_fails_the_report_unless_that_is_allowed() {
    story("page-repeated").fails(FailureClass::Data, &["12"]);
    let after = Story::new("page-repeated", TENANT, &[("calls", "pages: {repeated: accept}")]).play();
    assert!(matches!(after.ending("calls"), Ending::Complete(_)), "{:?}", after.ending("calls"));
}

#[test]
fn gzip_that_is_spoiled_is_found_and_asked_for_again() {
    let after = story("gzip").delivers();
    let ledger = after.ledger("mock");
    let query = ledger.query_ids().remove(0);
    let times = ledger.times_asked(&query);
    assert_eq!([10, 20, 30].map(|page| times[&page]), [2, 2, 1]);
}

#[test]
fn a_bomb_is_stopped_by_a_limit_with_a_name() {
    story("gzip-bomb").fails(FailureClass::Data, &["page 10", "1000:1"]);
}

#[test]
fn columns_that_change_places_fail_the_report() {
    story("schema-change").fails(FailureClass::Data, &["page 20"]);
}
