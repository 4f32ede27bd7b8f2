//! Limits that change, quotas, how they are told, and who is held to a wait.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use cxtract::mock::{
    Fault, FaultRule, Matcher, MockReport, MockRequest, MockTenant, Outage, OutageKind, RateLimitHeaders, Refused,
    Tenant,
};

use crate::client::{Client, Ended};

fn ask(tenant: &mut Tenant, ms: u64) -> cxtract::mock::Script {
    tenant.answer(&MockRequest::get("/elsewhere", "none"), Duration::from_millis(ms))
}

#[test]
fn a_tenant_that_slows_down_and_recovers_refuses_by_the_rate_of_the_moment() {
    let mut tenant = MockTenant::builder()
        .requests_per_second(20.0)
        .requests_per_second_from(Duration::from_secs(10), 5.0)
        .requests_per_second_from(Duration::from_secs(20), 20.0)
        .rate_limit_headers()
        .build();
    // A client that keeps to twenty, and comes back a minute after it was refused.
    let mut said = |ms| {
        let script = ask(&mut tenant, ms);
        (script.status, script.header("X-RateLimit-Limit").unwrap().to_owned())
    };
    assert!((0..60).all(|n| said(n * 50) == (404, "20".into())));
    assert!((0..5).all(|n| said(10_000 + n * 10) == (404, "5".into())));
    assert_eq!(said(10_100), (429, "5".into()));
    assert!((0..60).all(|n| said(20_000 + n * 50) == (404, "20".into())));
    let verdict = tenant.verdict();
    assert_eq!((verdict.refused_too_fast, verdict.calls_while_told_to_wait), (1, 0));
    assert_eq!(tenant.ledger().iter().filter(|e| e.refused == Some(Refused::TooFast)).count(), 1);
}

#[test]
fn a_longer_quota_is_told_and_enforced_with_its_own_wait() {
    let tenant = MockTenant::builder().quota(3, Duration::from_secs(60));
    let mut tenant = tenant.rate_limit_style(RateLimitHeaders::Structured).build();
    let told = ask(&mut tenant, 0);
    assert_eq!(told.header("RateLimit-Policy"), Some("\"default\";q=20;w=1, \"quota-1\";q=3;w=60"));
    assert_eq!(told.header("RateLimit"), Some("\"default\";r=19;t=1, \"quota-1\";r=2;t=60"));
    assert_eq!([1000, 2000].map(|ms| ask(&mut tenant, ms).status), [404, 404]);
    let refused = ask(&mut tenant, 20_000);
    assert_eq!((refused.status, refused.header("Retry-After")), (429, Some("40")));
    assert_eq!(ask(&mut tenant, 60_000).status, 404);
}

#[test]
fn what_is_left_is_told_in_the_form_asked_for() {
    let told = |style, names: [&str; 3]| {
        let mut tenant = MockTenant::builder().requests_per_second(10.0).rate_limit_style(style).build();
        let script = ask(&mut tenant, 0);
        names.map(|name| script.header(name).map(str::to_owned).unwrap_or_default())
    };
    let prefixed = ["X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"];
    assert_eq!(told(RateLimitHeaders::Prefixed, prefixed), ["10", "9", "1"]);
    let separate = ["RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"];
    assert_eq!(told(RateLimitHeaders::Separate, separate), ["10", "9", "1"]);
    assert_eq!(told(RateLimitHeaders::None, separate), ["", "", ""]);
    assert_eq!(told(RateLimitHeaders::Prefixed, separate), ["", "", ""]);
}

#[test]
fn a_call_into_an_outage_is_seen_if_the_client_was_told_to_wait_before() {
    let (from, to) = (Duration::from_secs(2), Duration::from_secs(4));
    for kind in [OutageKind::Unavailable, OutageKind::Reset] {
        let told = FaultRule::new(Matcher::any().first(1), Fault::told_to_wait(429, 3));
        let mut tenant = MockTenant::builder().fault(told).outage(Outage { from, to, kind }).build();
        assert_eq!(ask(&mut tenant, 0).status, 429);
        assert_eq!([2500, 3500].map(|ms| ask(&mut tenant, ms).status), [503, 503]);
        let seen: Vec<bool> = tenant.ledger().iter().map(|entry| entry.told_to_wait).collect();
        assert_eq!(seen, [false, true, false]);
    }
}

#[test]
fn a_silence_without_an_end_is_one_whatever_an_answer_would_have_taken_else() {
    let plan = "{latency: 50ms..2s, token: {delay: 1s}, outages: [{from: 1s, then: silent}]}";
    let mut tenant = MockTenant::builder().plan(plan).unwrap().build();
    for request in [MockRequest::get("/elsewhere", "none"), MockRequest::post("/oauth2/token", "", "")] {
        let script = tenant.answer(&request, Duration::from_secs(5));
        assert_eq!(script.status_sent(), 0);
        assert!(script.delay > Duration::from_secs(86_400 * 365));
    }
    assert_eq!(tenant.ledger().len(), 2);
}

#[test]
fn who_looks_on_sees_an_outage_that_resets_everybody_else() {
    let outage = Outage { from: Duration::ZERO, to: Duration::from_secs(3600), kind: OutageKind::Reset };
    let mock = MockTenant::builder().outage(outage).start().unwrap();
    let mut looks_on = Client::to(mock.address());
    for _ in 0..2 {
        assert_eq!(looks_on.get("/__mock/scorecard.json", "").status(), 200);
    }
    assert_eq!(looks_on.get("/elsewhere", "").ended, Ended::Reset);
    for request in ["GET /elsewhere HTTP/1.1\r\nHost: x\r\n\r\n", "nonsense\r\n\r\n", ""] {
        assert_eq!(Client::to(mock.address()).send(request).ended, Ended::Reset, "{request}");
    }
    // The one that stood in line behind a call of the desk; the others never came to be calls.
    assert_eq!(mock.ledger().iter().map(|call| call.status).collect::<Vec<_>>(), [0]);
}

#[test]
fn nobody_is_blamed_for_a_call_that_the_tenant_itself_was_late_to_read() {
    // On a machine that is busy elsewhere the test itself may be too late to ask within the grace.
    let judged = (0..20).find_map(|_| {
        let mock = MockTenant::builder().requests_per_second(0.02).start().unwrap();
        let mut client = Client::connect(&mock);
        let [mut holds_up, mut late] = [(); 2].map(|()| Client::to(mock.address()));
        for client in [&mut holds_up, &mut late] {
            assert_eq!(client.get("/__mock/", "").status(), 200);
        }
        assert_eq!(client.submit().status(), 429);
        let told = mock.ledger().last().unwrap().at;
        std::thread::scope(|scope| {
            let waits = mock.with(|_| {
                // The tenant has one thread, and it stands still before the answer to this one.
                scope.spawn(move || holds_up.submit());
                std::thread::park_timeout(Duration::from_millis(50));
                let waits = scope.spawn(move || late.submit());
                std::thread::park_timeout(Duration::from_millis(600));
                waits
            });
            assert_eq!(waits.join().unwrap().status(), 429);
        });
        let first = mock.ledger().iter().map(|call| call.at).find(|at| *at > told);
        (first.unwrap() - told < Duration::from_millis(200)).then_some((mock, client))
    });
    let (mock, mut client) = judged.expect("one of many tries is in time");
    assert_eq!(mock.verdict().calls_while_told_to_wait, 0);
    client.calls_on(&mock);
}

/// Drops a tenant that has told to wait, and was called on or was not.
fn dropped(strict: bool, calls_on: bool) -> Result<(), String> {
    let mock = MockTenant::builder().requests_per_second(0.02).default_report(MockReport::with_rows(1));
    let mock = if strict { mock.strict() } else { mock }.start().unwrap();
    let mut client = Client::connect(&mock);
    assert_eq!(client.submit().status(), 429);
    if calls_on {
        client.calls_on(&mock);
    }
    catch_unwind(AssertUnwindSafe(|| drop(mock))).map_err(|panic| *panic.downcast::<String>().unwrap())
}

#[test]
fn a_strict_tenant_fails_whoever_called_while_told_to_wait_and_nobody_else() {
    let complaint = dropped(true, true).unwrap_err();
    assert!(complaint.contains("told to wait") && complaint.contains("Submit"), "{complaint}");
    assert_eq!(dropped(true, false), Ok(()));
    assert_eq!(dropped(false, true), Ok(()));
}

#[test]
fn a_strict_tenant_does_not_speak_into_another_panic() {
    let panic = catch_unwind(|| {
        let mock = MockTenant::builder().requests_per_second(0.02).strict().start().unwrap();
        let mut client = Client::connect(&mock);
        assert_eq!(client.submit().status(), 429);
        client.calls_on(&mock);
        panic!("the test's own");
    });
    assert_eq!(*panic.unwrap_err().downcast::<&str>().unwrap(), "the test's own");
}
