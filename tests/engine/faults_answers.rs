//! Answers that are not what was asked for: each is refused by name, tried again where that may help, and nowhere else.

use bytes::Bytes;
use cxtract::Ending;
use cxtract::mock::{CallKind, Fault, FaultRule, Matcher};
use cxtract::model::{FailureClass, ParkReason};

use crate::bench::{TRIES, stand, tenant_of, with_fault};
use crate::fronts::Front;

fn status(code: u16, headers: &[(&str, &str)], body: &str) -> Fault {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Fault::Status { code, headers, body: body.to_owned() }
}

/// Page 2 is of the wrong kind for good: three tries, then a failure that says these words.
fn is_of_the_wrong_kind(fault: Fault, words: &[&str]) {
    let stand = with_fault(Matcher::page(2), fault);
    stand.fails(FailureClass::Data).says(&["page 2", "answer of the wrong kind"]).says(words);
    assert_eq!(stand.n_asked(2), TRIES);
    assert_eq!(stand.n_queries(), 1);
}

/// Page 2 can't be had, and no repetition would change that.
fn is_refused_at_once(fault: Fault, words: &[&str]) {
    let stand = with_fault(Matcher::page(2), fault);
    stand.fails(FailureClass::Data).says(&["page 2"]).says(words);
    assert_eq!(stand.n_asked(2), 1);
}

/// Page 2 goes wrong once and is asked for again.
fn passes(fault: Fault) {
    let stand = with_fault(Matcher::page(2).first(1), fault);
    let manifest = stand.extract_all();
    assert_eq!((stand.n_asked(2), manifest.http.retries), (2, 1));
}

#[test]
fn h6_a_login_page_in_place_of_rows_is_tried_again_and_then_shown() {
    is_of_the_wrong_kind(Fault::WrongContentType, &["text/html", "<!DOCTYPE html>", "3 tries"]);
}

#[test]
fn h6_a_login_page_that_goes_away_costs_nothing_but_a_try() {
    passes(Fault::WrongContentType);
}

#[test]
fn h6_the_excerpt_hides_secrets_and_escapes_control_characters() {
    let body = "you sent canary-secret\r\n\u{1b}[31mERROR";
    is_of_the_wrong_kind(status(200, &[], body), &["[hidden]", "\\r\\n", "\\u{1b}"]);
}

#[test]
fn h6_a_status_answer_that_is_no_json_is_tried_again_and_then_shown() {
    let html = Fault::ReplaceBody(Bytes::from_static(b"<html>busy</html>"));
    let stand = with_fault(Matcher::kind(CallKind::Status), html);
    stand.fails(FailureClass::Data).says(&["status", "<html>busy"]);
    assert_eq!(stand.n_calls(CallKind::Status), TRIES);
}

#[test]
fn h6_a_token_answer_that_is_no_json_is_tried_again_and_then_shown() {
    let html = Fault::ReplaceBody(Bytes::from_static(b"<html>sign in</html>"));
    let stand = with_fault(Matcher::kind(CallKind::Token), html);
    stand.fails(FailureClass::Data).says(&["token", "<html>sign in"]);
    assert_eq!(stand.n_calls(CallKind::Token), TRIES);
    assert_eq!(stand.n_calls(CallKind::Submit), 0);
}

#[test]
fn s1_what_a_token_endpoint_sends_is_not_shown_where_it_may_hold_a_token() {
    for body in [
        "{\"access_token\":\"canary-token\",",
        "[{\"access_token\":\"canary-token\"}]",
        "{\"Token\": \"canary-token\"}",
    ] {
        let stand = with_fault(Matcher::kind(CallKind::Token), Fault::ReplaceBody(Bytes::from(body)));
        let Ending::Failed(failure) = stand.extract() else { panic!("a token was made of it") };
        assert!(!failure.message.contains("canary-token"), "{failure}");
        assert!(failure.message.contains("may hold a token"), "{failure}");
    }
}

#[test]
fn h7_a_refused_submission_ends_the_report_at_once_in_the_tenants_words() {
    for code in [400, 403, 404, 409, 422] {
        let refusal = status(code, &[], "{\"message\":\"reports over 90 days need a licence\"}");
        let stand = with_fault(Matcher::kind(CallKind::Submit), refusal);
        stand.fails(FailureClass::Denied).says(&[
            "submission",
            &code.to_string(),
            "reports over 90 days need a licence",
        ]);
        assert_eq!(stand.n_calls(CallKind::Submit), 1);
        assert_eq!(stand.n_calls(CallKind::Status) + stand.n_calls(CallKind::Page), 0);
    }
}

#[test]
fn h7_a_refused_page_or_poll_ends_the_report_at_once() {
    let stand = with_fault(Matcher::page(2), status(403, &[], "results read is missing"));
    stand.fails(FailureClass::Denied).says(&["page 2", "403", "results read is missing"]);
    assert_eq!(stand.n_asked(2), 1);
    let stand = with_fault(Matcher::kind(CallKind::Status), status(400, &[], "no"));
    stand.fails(FailureClass::Denied).says(&["status of query", "400"]);
    assert_eq!(stand.n_calls(CallKind::Status), 1);
}

#[test]
fn h8_no_redirect_is_followed_whatever_was_asked_for() {
    let elsewhere = Front::plain("127.0.0.1:1".parse().unwrap());
    let target = elsewhere.url("http", "127.0.0.1");
    let kinds = [CallKind::Token, CallKind::Submit, CallKind::Status, CallKind::Page];
    for (kind, code) in kinds.into_iter().zip([301, 302, 307, 308]) {
        let to = format!("{target}/elsewhere");
        let stand = with_fault(Matcher::kind(kind), status(code, &[("Location", &to)], ""));
        stand.fails(FailureClass::Denied).says(&["redirected", &code.to_string(), &to]);
        let n_calls = stand.mock.ledger().iter().filter(|e| e.kind == kind && e.page.is_none_or(|p| p == 1)).count();
        assert_eq!(n_calls, 1, "{kind:?}");
    }
    assert_eq!(elsewhere.n_connections(), 0, "the target was contacted");
}

#[test]
fn h8_a_redirect_within_the_same_host_is_not_followed_either() {
    let stand = with_fault(Matcher::page(2), Fault::Redirect { to: "/login".into() });
    stand.fails(FailureClass::Denied).says(&["page 2", "/login"]);
    assert!(stand.mock.ledger().iter().all(|entry| &*entry.path != "/login"));
}

#[test]
fn h9_a_page_without_length_and_chunks_is_refused_at_once() {
    is_refused_at_once(Fault::Unframed, &["unframed body"]);
}

#[test]
fn h10_two_ways_to_tell_the_length_are_of_the_wrong_kind() {
    is_of_the_wrong_kind(Fault::BothLengths, &[]);
    is_of_the_wrong_kind(Fault::TwoLengths, &[]);
}

#[test]
fn h10_a_flood_of_informational_answers_is_of_the_wrong_kind() {
    is_of_the_wrong_kind(Fault::Informational(500), &[]);
}

#[test]
fn h10_a_few_informational_answers_are_passed_over() {
    let stand = with_fault(Matcher::pages(), Fault::Informational(2));
    assert_eq!(stand.extract_all().http.retries, 0);
}

#[test]
fn h10_successes_that_were_not_asked_for_are_of_the_wrong_kind() {
    is_of_the_wrong_kind(status(204, &[], ""), &["204"]);
    is_of_the_wrong_kind(status(206, &[], "x"), &["206"]);
}

#[test]
fn h11_a_head_without_measure_is_refused_and_the_limit_named() {
    is_refused_at_once(Fault::HugeHead, &["limit"]);
    is_refused_at_once(Fault::ManyHeaders, &["limit"]);
}

#[test]
fn h12_a_damaged_gzip_body_is_asked_for_again() {
    passes(Fault::GzipCut);
    passes(Fault::GzipBadCrc);
}

#[test]
fn h12_a_gzip_body_that_stays_damaged_parks_the_report() {
    for fault in [Fault::GzipCut, Fault::GzipBadCrc] {
        let stand = with_fault(Matcher::page(2), fault);
        stand.parks(ParkReason::TenantDown).says(&["page 2", "gzip", "run again"]);
        assert_eq!(stand.n_asked(2), TRIES);
    }
}

#[test]
fn h12_gzip_in_several_members_is_one_body() {
    let stand = with_fault(Matcher::pages(), Fault::GzipMultiMember);
    assert_eq!(stand.extract_all().http.retries, 0);
}

#[test]
fn h12_a_gzip_bomb_is_refused_by_the_limit_that_it_passes() {
    let bomb = Fault::GzipBomb(256 << 20);
    let stand = with_fault(Matcher::page(2), bomb).set("limits", "{page_bytes: 32MiB}");
    stand.fails(FailureClass::Data).says(&["page 2", "limit"]);
    assert_eq!(stand.n_asked(2), 1);
}

#[test]
fn h12_a_coding_that_was_not_asked_for_is_of_the_wrong_kind() {
    is_of_the_wrong_kind(Fault::Br, &["br"]);
}

#[test]
fn s5_control_characters_in_a_refusal_are_escaped() {
    let words = "no\r\nERROR all is lost \u{1b}[2J\u{202e}";
    let stand = with_fault(Matcher::kind(CallKind::Submit), status(403, &[], words));
    let message = stand.fails(FailureClass::Denied).says(&["no\\r\\nERROR"]);
    assert!(!message.contains('\u{202e}'));
}

#[test]
fn s5_control_characters_in_a_query_id_and_in_what_is_said_of_it_are_escaped() {
    let id = || {
        let body = Bytes::from_static(b"{\"queryId\":\"q\\r\\nERROR \\u001b[31m\"}");
        FaultRule::new(Matcher::kind(CallKind::Submit), Fault::ReplaceBody(body))
    };
    let says = |words| FaultRule::new(Matcher::kind(CallKind::Status), status(200, &[], words));
    let stand = stand(tenant_of(10).fault(id()).fault(says("no\r\nERROR \u{1b}[2J")));
    stand.fails(FailureClass::Data).says(&["can't be read", "no\\r\\nERROR"]);
    stand.mock.with(|tenant| {
        tenant.clear_faults();
        tenant.add_fault(id());
        tenant.add_fault(says("{\"status\":\"failed\",\"errorMessage\":\"too\\nlarge\"}"));
    });
    stand.fails(FailureClass::Denied).says(&["too\\nlarge", "q\\r\\nERROR"]);
}

#[test]
fn o3_refused_credentials_are_tried_once() {
    for error in ["invalid_client", "invalid_scope"] {
        let stand = stand(tenant_of(100).token_error(error));
        stand.fails(FailureClass::Auth).says(&[error]);
        assert_eq!(stand.mock.ledger().len(), 1);
    }
}

#[test]
fn o3_a_secret_that_the_tenant_does_not_know_fails_without_being_shown() {
    let stand = stand(tenant_of(100).client("id", "another"));
    stand.fails(FailureClass::Auth).says(&["invalid_client", "client authentication failed"]);
    assert_eq!(stand.mock.ledger().len(), 1);
}

#[test]
fn o4_a_fresh_token_that_is_rejected_too_ends_the_report() {
    let stand = with_fault(Matcher::page(2), Fault::status(401));
    stand.fails(FailureClass::Auth).says(&["page 2", "401"]);
    assert_eq!(stand.n_asked(2), 2);
}

#[test]
fn o4_a_token_taken_back_in_the_middle_is_replaced_once() {
    let stand = with_fault(Matcher::page(3).first(1), Fault::status(401));
    let manifest = stand.extract_all();
    assert_eq!((manifest.http.retries, manifest.http.token_refreshes), (1, 2));
    assert_eq!(stand.n_calls(CallKind::Token), 2);
}
