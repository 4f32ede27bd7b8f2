//! Checking a tenant: a token is asked for the way the reports ask for theirs, and a refusal is put in the right words.

use std::time::Duration;

use cxtract::Engine;
use cxtract::mock::{CallKind, Fault, Matcher, MockTenant};
use cxtract::model::{Failure, FailureClass, TenantName};
use tokio::time::Instant;

use crate::bench::with_fault;
use crate::support::{Stand, run};

/// Checks the tenant so many times, one after another.
fn check(stand: &Stand, n: usize) -> Vec<Result<(), Failure>> {
    let config = stand.config();
    run(async move {
        let engine = Engine::builder().config(config).start().unwrap();
        let mut answers = Vec::new();
        for _ in 0..n {
            answers.push(engine.check_tenant(&TenantName::new("acme")).await);
        }
        engine.shutdown().await;
        answers
    })
}

fn class(stand: &Stand) -> FailureClass {
    check(stand, 1).remove(0).unwrap_err().class
}

#[test]
fn a_check_that_is_told_to_wait_says_so_and_the_next_one_waits() {
    let stand = with_fault(Matcher::kind(CallKind::Token).first(1), Fault::told_to_wait(429, 2));
    let begun = Instant::now();
    let answers = check(&stand, 2);
    assert!(answers[0].as_ref().is_err_and(|failure| failure.message.contains("429")), "{answers:?}");
    assert_eq!(answers[1], Ok(()));
    assert!(begun.elapsed() >= Duration::from_secs(2), "{:?}", begun.elapsed());
    assert_eq!(stand.mock.ledger().len(), 2);
}

#[test]
fn a_bare_401_is_a_refusal_of_the_credentials() {
    assert_eq!(class(&with_fault(Matcher::kind(CallKind::Token), Fault::status(401))), FailureClass::Auth);
}

#[test]
fn a_tenant_that_can_not_be_reached_has_refused_nothing() {
    let stand = Stand::new(MockTenant::builder());
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let yaml = stand.yaml().replace(&stand.mock.base_url(), &format!("http://{free}"));
    let sources = cxtract::config::Sources::text(stand.folder.path().join("config.yaml"), yaml);
    let config = cxtract::config::Config::load(&sources).unwrap();
    let answer = run(async move {
        let engine = Engine::builder().config(config).start().unwrap();
        let answer = engine.check_tenant(&TenantName::new("acme")).await;
        engine.shutdown().await;
        answer
    });
    assert_eq!(answer.unwrap_err().class, FailureClass::Local);
}
