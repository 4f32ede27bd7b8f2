//! The token endpoint: families of tokens, lives told and true, and trouble of its own.

use std::time::Duration;

use cxtract::mock::{
    ExpiresIn, MockRequest, MockTenant, MockTenantBuilder, Outage, OutageKind, Script, Tenant, TokenOutage,
    TokenTrouble,
};
use serde_json::Value;

fn tenant(builder: MockTenantBuilder) -> Tenant {
    builder.requests_per_second(f64::INFINITY).build()
}

fn ask(tenant: &mut Tenant, grant: &str, seconds: u64) -> (Script, Value) {
    let form = format!("grant_type={grant}&client_id=i&client_secret=s");
    let request = MockRequest::post("/oauth2/token", "application/x-www-form-urlencoded", form);
    let script = tenant.answer(&request, Duration::from_secs(seconds));
    let answer = serde_json::from_slice(&script.body_bytes()).unwrap_or_default();
    (script, answer)
}

fn sign_in(tenant: &mut Tenant, seconds: u64) -> Value {
    ask(tenant, "client_credentials", seconds).1
}

fn renew(tenant: &mut Tenant, with: &Value, seconds: u64) -> Value {
    ask(tenant, &format!("refresh_token&refresh_token={}", with["refresh_token"].as_str().unwrap()), seconds).1
}

/// The status of a call with that token.
fn call(tenant: &mut Tenant, with: &Value, seconds: u64) -> u16 {
    let token = with["access_token"].as_str().unwrap();
    tenant.answer(&MockRequest::get("/api/v2/reporting/queries/q", token), Duration::from_secs(seconds)).status
}

#[test]
fn a_used_refresh_token_is_refused_and_its_family_goes_on() {
    let mut tenant = tenant(MockTenant::builder().refresh_tokens());
    let first = sign_in(&mut tenant, 0);
    let second = renew(&mut tenant, &first, 10);
    assert_eq!(renew(&mut tenant, &first, 20)["error"], "invalid_grant");
    assert_eq!([call(&mut tenant, &first, 30), call(&mut tenant, &second, 30)], [404, 404]);
    assert!(renew(&mut tenant, &second, 40)["access_token"].is_string());
}

#[test]
fn where_reuse_revokes_the_family_is_lost_and_others_are_not() {
    let mut tenant = tenant(MockTenant::builder().reuse_revokes_family());
    let (first, other) = (sign_in(&mut tenant, 0), sign_in(&mut tenant, 0));
    let second = renew(&mut tenant, &first, 10);
    assert_eq!(renew(&mut tenant, &first, 20)["error"], "invalid_grant");
    assert_eq!([call(&mut tenant, &first, 30), call(&mut tenant, &second, 30)], [401, 401]);
    assert_eq!(renew(&mut tenant, &second, 40)["error"], "invalid_grant");
    assert_eq!(call(&mut tenant, &other, 50), 404);
    assert!(renew(&mut tenant, &other, 60)["access_token"].is_string());
    let ledger = tenant.ledger();
    assert_eq!(ledger.token_lives()[2].until, Duration::from_secs(20));
    assert_eq!(tenant.verdict().dead_token_calls, 2);
}

#[test]
fn without_rotation_one_refresh_token_serves_for_good() {
    let mut tenant = tenant(MockTenant::builder().refresh_without_rotation());
    let first = sign_in(&mut tenant, 0);
    for seconds in [10, 20, 30] {
        let next = renew(&mut tenant, &first, seconds);
        assert!(next["access_token"].is_string() && next["refresh_token"].is_null());
        assert_eq!(call(&mut tenant, &next, seconds), 404);
    }
}

#[test]
fn a_refused_refresh_leaves_the_token_good_that_there_is() {
    let mut tenant = tenant(MockTenant::builder().refuse_refresh());
    let first = sign_in(&mut tenant, 0);
    assert_eq!(renew(&mut tenant, &first, 10)["error"], "invalid_grant");
    assert_eq!(call(&mut tenant, &first, 20), 404);
    assert!(sign_in(&mut tenant, 30)["access_token"].is_string());
}

#[test]
fn a_life_that_is_told_wrong_ends_by_the_true_one_and_the_dead_calls_are_counted() {
    for said in ["3600", "\"3600\"", "0", "1"] {
        let builder = MockTenant::builder().token_life(Duration::from_secs(30));
        let mut tenant = tenant(builder.expires_in(ExpiresIn::Literal(said.into())));
        let token = sign_in(&mut tenant, 100);
        assert_eq!(token["expires_in"].to_string(), said);
        assert_eq!([129, 130, 131].map(|at| call(&mut tenant, &token, at)), [404, 401, 401]);
        let made_up = serde_json::json!({ "access_token": "made up" });
        assert_eq!(call(&mut tenant, &made_up, 132), 401);
        assert_eq!(tenant.verdict().dead_token_calls, 2);
    }
}

#[test]
fn a_token_is_taken_back_at_its_moment_again_and_again() {
    let seconds = Duration::from_secs;
    let builder = MockTenant::builder().revoke_tokens_at(seconds(10)).revoke_tokens_at(seconds(20));
    let mut tenant = tenant(builder);
    let first = sign_in(&mut tenant, 0);
    assert_eq!([9, 10].map(|at| call(&mut tenant, &first, at)), [404, 401]);
    let second = sign_in(&mut tenant, 10);
    assert_eq!([19, 20].map(|at| call(&mut tenant, &second, at)), [404, 401]);
    let third = sign_in(&mut tenant, 20);
    assert_eq!(call(&mut tenant, &third, 3000), 404);
    let lives: Vec<u64> = tenant.ledger().token_lives().iter().map(|life| life.until.as_secs()).collect();
    assert_eq!(lives, [10, 20, 3620]);
}

#[test]
fn the_token_endpoint_fails_on_its_own_while_old_tokens_go_on() {
    let outage = |from, to, kind| TokenOutage { from: Duration::from_secs(from), to: Duration::from_secs(to), kind };
    let builder = MockTenant::builder()
        .token_outage(outage(10, 20, TokenTrouble::Status(503)))
        .token_outage(outage(20, 30, TokenTrouble::Reset))
        .token_outage(outage(40, 50, TokenTrouble::Wait(429, Duration::from_secs(7))))
        .token_delay(Duration::from_secs(2));
    let mut tenant = tenant(builder);
    let (script, token) = ask(&mut tenant, "client_credentials", 0);
    assert_eq!(script.delay, Duration::from_secs(2));
    assert_eq!(ask(&mut tenant, "client_credentials", 10).0.status_sent(), 503);
    assert_eq!(ask(&mut tenant, "client_credentials", 20).0.status_sent(), 0);
    assert_eq!(call(&mut tenant, &token, 25), 404);
    assert!(sign_in(&mut tenant, 30)["access_token"].is_string());
    let (told, _) = ask(&mut tenant, "client_credentials", 40);
    assert_eq!((told.status, told.header("Retry-After")), (429, Some("7")));
    // Its wait holds for the whole tenant, like any other.
    assert_eq!(call(&mut tenant, &token, 44), 429);
    let verdict = tenant.verdict();
    assert_eq!((verdict.calls_while_told_to_wait, verdict.refused_too_fast), (1, 0));
    assert_eq!((verdict.tokens_issued, verdict.token_calls), (2, 5));
    assert!(tenant.ledger()[2].faulted);
}

#[test]
fn an_outage_of_the_tenant_takes_the_token_endpoint_along() {
    let (from, to) = (Duration::ZERO, Duration::from_secs(5));
    let mut tenant = tenant(MockTenant::builder().outage(Outage { from, to, kind: OutageKind::Unavailable }));
    assert_eq!(ask(&mut tenant, "client_credentials", 4).0.status, 503);
    assert_eq!(ask(&mut tenant, "client_credentials", 5).0.status, 200);
}

#[test]
fn the_ledger_knows_every_life_whatever_was_taken_back_or_forgotten_meanwhile() {
    let (s, life) = (Duration::from_secs, Duration::from_secs(3600));
    let mut tenant = tenant(MockTenant::builder().token_life(life).reuse_revokes_family());
    let first = sign_in(&mut tenant, 0);
    let second = renew(&mut tenant, &first, 1);
    sign_in(&mut tenant, 2);
    let lives = |tenant: &Tenant| -> Vec<(Duration, Duration)> {
        tenant.ledger().token_lives().iter().map(|life| (life.from, life.until)).collect()
    };
    assert_eq!(lives(&tenant), [0, 1, 2].map(|n| (s(n), s(n) + life)));
    renew(&mut tenant, &first, 3);
    assert_eq!(lives(&tenant), [(s(0), s(3)), (s(1), s(3)), (s(2), s(2) + life)]);
    sign_in(&mut tenant, 4);
    tenant.revoke_tokens(s(5));
    assert_eq!(lives(&tenant)[2..], [(s(2), s(5)), (s(4), s(5))]);
    tenant.forget_ledger(s(6));
    let last = sign_in(&mut tenant, 7);
    assert_eq!(lives(&tenant), [(s(7), s(7) + life)]);
    assert_eq!([&second, &last].map(|token| call(&mut tenant, token, 8)), [401, 404]);
    assert_eq!(tenant.ledger().last().unwrap().generation, Some(5));
}
