//! Stories about calls: limits and waits, tokens, outages, refusals, queries that do not get ready.

use std::time::Duration;

use cxtract::Ending;
use cxtract::mock::{CallKind, MockRequest};
use cxtract::model::{FailureClass, ParkReason};

use crate::measure::n_answers;
use crate::stories::{Story, most_let_in_after, story};
use crate::world::WALL_START;

const S: fn(u64) -> Duration = Duration::from_secs;

#[test]
fn a_bad_night_ends_with_the_whole_file() {
    let after = story("a-bad-night").delivers();
    let ledger = after.ledger("mock");
    // All of it happened.
    for status in [502, 503, 429] {
        assert!(n_answers(&ledger, status) > 0, "no {status}");
    }
    assert!(ledger.iter().any(|call| call.broke_off));
    assert!(after.manifest("calls").http.breaker_opens >= 1);
    assert!(ledger.last().expect("it was called").at > S(105), "it was over before the night was");
}

#[test]
fn a_limit_that_halves_at_noon_is_found_by_a_few_refusals() {
    let after = story("rate-limit-halves-at-noon").delivers();
    let ledger = after.ledger("mock");
    assert!(most_let_in_after(&ledger, S(60)) <= 10 && most_let_in_after(&ledger, S(62)) <= 5);
    let refused = n_answers(&ledger, 429);
    assert!((1..=20).contains(&refused), "{refused} refusals");
    assert!(ledger.last().expect("it was called").at > S(90));
}

#[test]
fn a_quota_that_is_told_is_spent_without_a_single_refusal() {
    let after = story("quota-per-minute").delivers();
    let ledger = after.ledger("mock");
    assert_eq!(n_answers(&ledger, 429), 0);
    assert!(ledger.last().expect("it was called").at > S(60));
}

#[test]
fn a_token_that_is_taken_back_costs_one_renewal_for_all_calls() {
    let after = story("token-revoked-mid-run").delivers();
    let verdict = after.verdict("mock");
    assert_eq!((verdict.tokens_issued, verdict.token_calls, verdict.most_tokens_in_a_life), (3, 3, 0));
    // Those that were under way, and no others.
    assert!((2..=16).contains(&verdict.dead_token_calls), "{} refused", verdict.dead_token_calls);
}

#[test]
fn who_waits_is_not_blocked_and_who_calls_on_is() {
    let story = story("blocked");
    let after = story.delivers();
    let ledger = after.ledger("mock");
    let told = ledger.iter().find(|call| call.status == 429).expect("it was told").at;
    assert!(ledger.last().expect("it was called").at - told < S(60), "it was blocked");

    // The same tenant and a client that calls on.
    let mut tenant = story.tenants().remove(0).1.build();
    let page = MockRequest::get("/api/v2/reporting/queries/q/results?format=csv&page=1&pageSize=5", "none");
    let answers: Vec<_> = (0..120).map(|nth| tenant.answer(&page, Duration::from_millis(nth * 200))).collect();
    let told = answers.iter().position(|script| script.status == 429).expect("it is told");
    let waits = |nth: usize| answers[nth].header("Retry-After").map(str::to_owned);
    assert_eq!((told, waits(told), waits(told + 2)), (100, Some("10".into()), Some("120".into())));
}

#[test]
fn a_pause_of_an_hour_parks_the_report_and_says_until_when() {
    let after = story("long-pause").play();
    let Ending::Parked(park) = after.ending("calls") else { panic!("{:?}", after.ending("calls")) };
    assert_eq!(park.reason, ParkReason::TenantPause);
    assert!(park.until.expect("it is known").since(WALL_START) >= S(3600));
    assert!(after.took < S(60), "it slept: {:?}", after.took);
}

#[test]
fn a_wait_told_by_a_clock_that_is_wrong_is_kept_and_no_longer_than_asked() {
    let after = story("wrong-clock").delivers();
    let ledger = after.ledger("mock");
    let told: Vec<_> = ledger.iter().filter(|call| call.faulted).collect();
    assert_eq!(told.len(), 2);
    for call in told {
        let next = ledger.iter().map(|other| other.at).find(|at| *at > call.at + Duration::from_millis(400));
        let pause = next.expect("it goes on") - call.at;
        assert!((S(7)..S(12)).contains(&pause), "{pause:?}");
    }
}

#[test]
fn waits_that_are_none_cost_one_call_and_those_that_are_hold_them_all() {
    let after = story("odd-retry-after").delivers();
    let ledger = after.ledger("mock");
    let refusals: Vec<_> = ledger.iter().filter(|call| call.faulted).collect();
    assert_eq!(refusals.len(), 6);
    for call in refusals {
        let held = matches!(call.page, Some(65 | 80));
        let inside = call.at + Duration::from_millis(400)..call.at + Duration::from_millis(3900);
        let calls = ledger.iter().filter(|other| inside.contains(&other.at)).count();
        assert_eq!(calls == 0, held, "{calls} calls after page {:?}", call.page);
    }
}

#[test]
fn a_tenant_that_falls_silent_is_called_no_more_than_it_takes_to_know() {
    let after = story("silence").delivers();
    let ledger = after.ledger("mock");
    let silent = ledger.iter().filter(|call| (S(15)..S(135)).contains(&call.at)).count();
    // All that may be under way, those of a connection that is made anew, and probes.
    assert!((5..=20).contains(&silent), "{silent} calls");
    assert!(after.manifest("calls").http.breaker_opens >= 1);
}

#[test]
fn a_slow_tenant_is_asked_for_several_pages_at_once() {
    let after = story("slow-tenant").delivers();
    assert!(after.verdict("mock").most_pages_under_way == 8);
    assert!((S(50)..S(150)).contains(&after.took), "{:?}", after.took);
}

#[test]
fn a_status_that_wavers_is_waited_for() {
    let after = story("flapping-status").delivers();
    assert!(after.ledger("mock").of(CallKind::Status).len() >= 5);
}

#[test]
fn a_status_that_never_settles_fails_the_report() {
    let after = story("never-settles").fails(FailureClass::Data, &["complete"]);
    assert_eq!(after.verdict("mock").pages_served, 0);
}

#[test]
fn a_status_that_nobody_knows_is_named() {
    story("unknown-status").fails(FailureClass::Data, &["archiving"]);
}

#[test]
fn a_query_that_is_never_ready_parks_its_report() {
    let lines = "poll: {initial_delay: 2s, max_wait: 1m}";
    let after = Story::new("never-ready", lines, &[("calls", "")]).play();
    let Ending::Parked(park) = after.ending("calls") else { panic!("{:?}", after.ending("calls")) };
    assert_eq!(park.reason, ParkReason::NotReady);
    assert_eq!(after.ledger("mock").submissions().len(), 1);
}

#[test]
fn a_query_that_fails_ends_with_the_tenants_words_made_harmless() {
    let after = story("query-fails").fails(FailureClass::Denied, &["out of memory", "all is well"]);
    assert!(!after.failure("calls").message.contains(['\r', '\n', '\u{1b}']));
}

#[test]
fn who_lacks_a_permission_is_refused_once() {
    let after = story("no-permission").fails(FailureClass::Denied, &["403", "results read"]);
    assert!(n_answers(&after.ledger("mock"), 403) <= 8);
    assert_eq!(after.ledger("mock").submissions().len(), 1);
}

#[test]
fn a_window_that_the_licence_does_not_cover_is_refused_and_its_parts_are_not() {
    let after = story("licence").fails(FailureClass::Denied, &["403", "30 days"]);
    assert_eq!(after.ledger("mock").len(), 2, "a token and a submission");
    let after = Story::new("licence", "poll: {initial_delay: 2s}", &[("calls", "split: 30d")]).delivers();
    assert_eq!(after.ledger("mock").submissions().len(), 2);
}

#[test]
fn a_redirect_is_named_and_not_followed() {
    story("moved").fails(FailureClass::Denied, &["169.254.169.254"]);
}

#[test]
fn a_client_that_is_refused_asks_once() {
    let after = story("client-refused").fails(FailureClass::Auth, &["invalid_client"]);
    assert_eq!(after.ledger("mock").len(), 1);
}

#[test]
fn a_submission_whose_answer_is_lost_is_made_once_more() {
    let after = story("lost-submission").play();
    assert!(after.is_delivered("calls", "mock", "calls"), "{:?}", after.ending("calls"));
    assert_eq!(after.verdict("mock").duplicate_submissions, 1);
}

#[test]
fn four_calm_tenants_notice_nothing_of_an_angry_fifth() {
    let lines = "poll: {initial_delay: 2s}\nrate_limit: {requests_per_second: 20}";
    let after = Story::new("angry-fifth", lines, &[("calls", "")]).delivers();
    assert!(after.ledger("angry").iter().any(|call| call.status == 429));
    for nth in 1..=4 {
        let ledger = after.ledger(&format!("calm-{nth}"));
        assert!(ledger.iter().all(|call| call.status < 400), "calm-{nth} had to complain");
        assert!(ledger.last().expect("it was called").at < S(20));
    }
    assert!(after.took > S(20));
}

#[test]
fn shy_tenants_get_one_query_after_the_other() {
    let reports = [("calls", ""), ("chats", "")];
    let heeded = "poll: {initial_delay: 2s}\nrate_limit: {requests_per_second: 1, burst: 1}\nmax_queries: 1";
    let after = Story::new("two-shy-tenants", heeded, &reports).delivers();
    assert!(["shy", "shyer"].iter().all(|tenant| n_answers(&after.ledger(tenant), 429) == 0));
    let unheeded = "poll: {initial_delay: 2s}";
    let after = Story::new("two-shy-tenants", unheeded, &reports).delivers();
    assert!(["shy", "shyer"].iter().all(|tenant| after.verdict(tenant).refused_open_queries > 0));
}
