//! Tokens that end, are taken back, or are not what they are said to be: how many token calls the tenant sees.
//!
//! The tenant has no limit, so that many calls are under way when a token ends. A token call has a cause: there is none
//! yet, one comes to its end, or one was refused.

use std::collections::BTreeSet;
use std::time::Duration;

use cxtract::mock::{CallKind, ExpiresIn, Fault, Ledger, Matcher, MockReport, MockTenantBuilder};
use cxtract::model::FailureClass;

use crate::bench::{complete, stand, tenant_of, with_fault};
use crate::support::{Stand, with_engine};

const MS: Duration = Duration::from_millis(1);

/// Pages of each of the reports.
const PAGES: u64 = 150;

/// Four reports at once of a tenant whose answers take a while, with dozens of calls under way.
fn busy(mock: MockTenantBuilder) -> Stand {
    busy_for(20 * MS, mock)
}

/// The same with answers that take so long.
fn busy_for(latency: Duration, mock: MockTenantBuilder) -> Stand {
    stand(mock.default_report(MockReport::with_rows(PAGES * 10)).latency(latency))
        .set("rate_limit", "{requests_per_second: 5000, burst: 5000}")
        .set("max_in_flight", "64")
        .set("max_queries", "4")
        .report("page_size: 10")
}

/// Extracts them all, compares them, and answers what the tenant saw.
fn extract(stand: &Stand) -> Ledger {
    extract_revoking(stand, &[])
}

/// The same, with all tokens taken back whenever the tenant has seen so many calls.
fn extract_revoking(stand: &Stand, after: &[usize]) -> Ledger {
    let mut yaml = stand.yaml().replace("page_size: 100\n    ", "");
    for nth in 0..3 {
        yaml.push_str(&format!(
            "  r{nth}: {{tenant: acme, template_id: t{nth}, window: {{from: 2024-01-01, to: 2024-01-02}}, page_size: 10}}\n"
        ));
    }
    let sources = cxtract::config::Sources::text(stand.folder.path().join("config.yaml"), &yaml);
    let config = cxtract::Config::load(&sources).expect("the configuration is right");
    with_engine(config, |engine| async move {
        let all = ["calls", "r0", "r1", "r2"].map(|name| {
            let engine = engine.clone();
            async move { complete(engine.extract(name).await.unwrap()) }
        });
        let revoke = async {
            for &n_calls in after {
                while stand.mock.with(|tenant| tenant.ledger().len()) < n_calls {
                    tokio::time::sleep(MS).await;
                }
                let now = stand.mock.now();
                stand.mock.with(|tenant| tenant.revoke_tokens(now));
            }
        };
        futures::future::join(futures::future::join_all(all), revoke).await;
    });
    for (report, template) in [("calls", "detail"), ("r0", "t0"), ("r1", "t1"), ("r2", "t2")] {
        let delivered = std::fs::read(stand.folder.path().join(format!("out/{report}.csv"))).unwrap();
        assert!(delivered == stand.mock.expected_csv(template), "{report}");
    }
    stand.mock.ledger()
}

fn token_calls(ledger: &Ledger) -> Vec<Duration> {
    ledger.iter().filter(|entry| entry.kind == CallKind::Token).map(|entry| entry.at).collect()
}

/// The tokens that drew a 401.
fn refused(ledger: &Ledger) -> BTreeSet<u64> {
    ledger.iter().filter(|entry| entry.status == 401).filter_map(|entry| entry.generation).collect()
}

#[test]
fn o1_tokens_taken_back_under_many_calls_cost_one_token_call_each() {
    let ledger = extract_revoking(&busy_for(200 * MS, tenant_of(PAGES * 10)), &[50, 450]);
    let refused = refused(&ledger);
    assert_eq!(refused.len(), 2, "each was met");
    assert!(ledger.max_in_flight(CallKind::Page) >= 16, "{} pages at once", ledger.max_in_flight(CallKind::Page));
    assert_eq!(token_calls(&ledger).len(), 1 + refused.len());
}

#[test]
fn o5_a_token_that_dies_earlier_than_it_says_costs_one_token_call_for_each_death() {
    let mock = tenant_of(PAGES * 10).token_life(1000 * MS).expires_in(ExpiresIn::Literal("3600".to_owned()));
    let ledger = extract(&busy(mock).set("max_in_flight", "6"));
    assert!(!refused(&ledger).is_empty(), "none died in time");
    assert_eq!(token_calls(&ledger).len(), 1 + refused(&ledger).len());
}

#[test]
fn o6_a_token_of_one_second_is_renewed_ahead_and_once_in_its_life() {
    let stand = busy(tenant_of(PAGES * 10).token_life(1000 * MS)).set("max_in_flight", "6");
    let ledger = extract(&stand);
    let (calls, refused) = (token_calls(&ledger), refused(&ledger));
    let apart = calls.windows(2).filter(|pair| pair[1] - pair[0] < 600 * MS).count();
    assert!(calls.len() > 1, "it was over too soon");
    assert!(apart <= refused.len(), "{calls:?}, {refused:?}");
}

#[test]
fn o5_a_token_that_says_it_dies_early_is_renewed_as_it_says_and_never_refused() {
    let mock = tenant_of(PAGES * 10).expires_in(ExpiresIn::Literal("1".to_owned()));
    let ledger = extract(&busy(mock));
    assert!(refused(&ledger).is_empty());
    let took = ledger.last().unwrap().at;
    let most = 2 + took.as_millis() / 700;
    assert!(token_calls(&ledger).len() as u128 <= most, "{:?} in {took:?}", token_calls(&ledger));
}

#[test]
fn o4_the_second_refusal_of_a_request_fetches_no_token_that_nobody_needs() {
    for kind in [CallKind::Submit, CallKind::Status] {
        let stand = with_fault(Matcher::kind(kind), Fault::status(401));
        stand.fails(FailureClass::Auth).says(&["401"]);
        assert_eq!((stand.n_calls(kind), stand.n_calls(CallKind::Token)), (2, 2), "{kind:?}");
    }
}

#[test]
fn o7_each_refresh_token_is_shown_once_and_a_refused_one_costs_one_call_more() {
    let statuses = |mock: MockTenantBuilder| -> Vec<u16> {
        let ledger = extract_revoking(&busy_for(200 * MS, mock), &[50, 450]);
        ledger.iter().filter(|entry| entry.kind == CallKind::Token).map(|entry| entry.status).collect()
    };
    assert_eq!(statuses(tenant_of(PAGES * 10).refresh_tokens()), [200, 200, 200]);
    assert_eq!(statuses(tenant_of(PAGES * 10).refuse_refresh()), [200, 400, 200, 400, 200]);
}
