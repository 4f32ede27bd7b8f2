//! What an observer of calls is told, held against what the tenant has seen.

use std::sync::Arc;
use std::time::Duration;

use cxtract::mock::{self, Fault, FaultRule, Matcher};
use cxtract::model::Outcome;
use cxtract::{CallKind, CallSeen, Ending, Engine};
use parking_lot::Mutex;

use crate::bench::{complete, stand, tenant_of};
use crate::support::{Stand, run};

const KINDS: [(CallKind, mock::CallKind); 4] = [
    (CallKind::Token, mock::CallKind::Token),
    (CallKind::Submit, mock::CallKind::Submit),
    (CallKind::Status, mock::CallKind::Status),
    (CallKind::Page, mock::CallKind::Page),
];

/// Extracts with an engine that has that observer.
fn extract(stand: &Stand, observer: impl Fn(&CallSeen) + Send + Sync + 'static) -> Ending {
    let config = stand.config();
    run(async move {
        let engine = Engine::builder().config(config).observe_calls(observer).start().unwrap();
        let ending = engine.extract("calls").await.unwrap();
        engine.shutdown().await;
        ending
    })
}

/// Extracts, and brings back every call that was told of.
fn observed(stand: &Stand) -> Vec<CallSeen> {
    let seen = Arc::<Mutex<Vec<CallSeen>>>::default();
    let told = seen.clone();
    complete(extract(stand, move |call| told.lock().push(call.clone())));
    seen.lock().clone()
}

fn assert_every_call_is_told(stand: &Stand, seen: &[CallSeen]) {
    for (kind, judged) in KINDS {
        let told = seen.iter().filter(|call| call.kind == kind).count();
        assert_eq!(told, stand.n_calls(judged), "{kind:?}");
        assert!(told > 0, "{kind:?}");
    }
}

#[test]
fn an_observer_is_told_of_every_call_once_with_its_end() {
    let stand = stand(
        tenant_of(450)
            .latency(Duration::from_millis(3))
            .fault(FaultRule::new(Matcher::page(2).first(1), Fault::status(500)))
            .fault(FaultRule::new(Matcher::page(4).first(1), Fault::told_to_wait(429, 1))),
    );
    let seen = observed(&stand);
    assert_every_call_is_told(&stand, &seen);
    let ended = |outcome: fn(&Outcome) -> bool| seen.iter().filter(|call| outcome(&call.outcome)).count();
    assert_eq!(ended(|outcome| *outcome == Outcome::Transient), 1);
    let told_to_wait = stand.mock.ledger().iter().filter(|entry| entry.status == 429).count();
    assert!(told_to_wait > 0);
    assert_eq!(ended(|outcome| matches!(outcome, Outcome::Throttled { .. })), told_to_wait);
    assert_eq!(ended(|outcome| *outcome == Outcome::Ok), seen.len() - 1 - told_to_wait);
    assert!(seen.iter().all(|call| call.tenant.as_str() == "acme" && call.took >= Duration::from_millis(3)));
    // One of them at least has sat the second out.
    assert!(seen.iter().any(|call| call.waited >= Duration::from_millis(900)), "{seen:#?}");
    let pages: u64 = seen.iter().filter_map(|call| call.bytes).sum();
    assert!(pages >= stand.delivered().len() as u64, "{pages}");
    assert!(seen.iter().all(|call| call.bytes.is_none() || (call.kind, call.outcome) == (CallKind::Page, Outcome::Ok)));
}

#[test]
fn a_token_call_that_the_gate_does_not_pace_is_told_of_as_well() {
    let stand = stand(tenant_of(50));
    let elsewhere = stand.mock.base_url().replace("127.0.0.1", "localhost");
    let yaml = stand.yaml().replace("auth: {", &format!("auth: {{token_url: \"{elsewhere}/oauth2/token\", "));
    let sources = cxtract::config::Sources::text(stand.folder.path().join("config.yaml"), yaml);
    let config = cxtract::Config::load(&sources).unwrap();
    let seen = Arc::<Mutex<Vec<CallSeen>>>::default();
    let told = seen.clone();
    run(async move {
        let engine = Engine::builder().config(config).observe_calls(move |call| told.lock().push(call.clone()));
        let engine = engine.start().unwrap();
        complete(engine.extract("calls").await.unwrap());
        engine.check_tenant(&cxtract::model::TenantName::new("acme")).await.unwrap();
        engine.shutdown().await;
    });
    let seen = seen.lock().clone();
    assert_every_call_is_told(&stand, &seen);
    let tokens: Vec<_> = seen.iter().filter(|call| call.kind == CallKind::Token).collect();
    assert!(tokens.iter().all(|call| call.waited.is_zero() && call.outcome == Outcome::Ok));
    assert_eq!(tokens.len(), 2);
}

#[test]
fn an_observer_that_panics_changes_nothing() {
    let stand = stand(tenant_of(450));
    complete(extract(&stand, |_| panic!("the observer's own fault")));
    assert!(stand.delivered() == stand.mock.expected_csv("detail"));
}
