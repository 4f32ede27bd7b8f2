//! Many reports at once, within what each tenant allows.

use std::time::Duration;

use cxtract::Config;
use cxtract::config::Sources;
use cxtract::mock::{CallKind, Fault, FaultRule, LedgerEntry, Matcher, MockReport};

use crate::bench::{complete, stand, tenant_of};
use crate::support::{Stand, with_engine};

/// The stand's configuration with `n` reports of its one tenant, named r0 and on.
fn with_reports(stand: &Stand, n: usize) -> Config {
    let mut yaml = stand.yaml();
    for nth in 0..n {
        yaml.push_str(&format!(
            "  r{nth}:\n    tenant: acme\n    template_id: t{nth}\n    window: {{from: 2024-01-01, to: 2024-01-02}}\n    page_size: 100\n"
        ));
    }
    Config::load(&Sources::text(stand.folder.path().join("config.yaml"), &yaml)).unwrap()
}

/// Extracts r0 and on at once and compares each file.
fn extract_at_once(stand: &Stand, n: usize) {
    with_engine(with_reports(stand, n), |engine| async move {
        let all = (0..n).map(|nth| {
            let engine = engine.clone();
            async move { complete(engine.extract(&format!("r{nth}")).await.unwrap()) }
        });
        futures::future::join_all(all).await;
    });
    for nth in 0..n {
        let delivered = std::fs::read(stand.folder.path().join(format!("out/r{nth}.csv"))).unwrap();
        assert!(delivered == stand.mock.expected_csv(&format!("t{nth}")), "r{nth}");
    }
}

fn tenant(n_rows: u64) -> cxtract::mock::MockTenantBuilder {
    tenant_of(n_rows).default_report(MockReport::with_rows(n_rows))
}

/// The most calls under way at once, but for token calls.
fn most_at_once(ledger: &[LedgerEntry]) -> usize {
    let calls: Vec<_> = ledger.iter().filter(|call| call.kind != CallKind::Token).collect();
    let under_way = |at| calls.iter().filter(|call| call.at <= at && call.ended.is_none_or(|end| end > at)).count();
    calls.iter().map(|call| under_way(call.at)).max().unwrap_or(0)
}

#[test]
fn no_more_calls_are_under_way_than_allowed() {
    for most in [1, 3] {
        let stand = stand(tenant(750).latency(Duration::from_millis(10))).set("max_in_flight", &most.to_string());
        extract_at_once(&stand, 3);
        let ledger = stand.mock.ledger();
        let at_once = most_at_once(&ledger);
        assert!(at_once <= most, "{at_once} calls under way, and {most} are allowed");
    }
}

#[test]
fn the_rate_is_kept() {
    let stand = stand(tenant(900)).set("rate_limit", "{requests_per_second: 20, burst: 5}");
    extract_at_once(&stand, 3);
    let ledger = stand.mock.ledger();
    let took = ledger.last().unwrap().at - ledger.first().unwrap().at;
    // So many whole seconds lie between the first call and the last at this rate; a tenth is for a busy machine, where
    // calls may arrive later than they were sent.
    let due = Duration::from_secs((ledger.len() as u64 - 1) / 20);
    assert!(took >= due.mul_f64(0.9), "{} calls in {took:?}", ledger.len());
    // Up to eight are on their way at once, and may arrive late together.
    assert!(ledger.max_in_any_second() <= 28, "{} calls in a second", ledger.max_in_any_second());
}

#[test]
fn h1_nothing_is_sent_before_the_wait_is_over() {
    let mock = tenant(450).fault(FaultRule::new(Matcher::page(2).first(1), Fault::told_to_wait(429, 1)));
    let stand = stand(mock);
    extract_at_once(&stand, 2);
    let ledger = stand.mock.ledger();
    assert!(ledger.iter().all(|entry| !entry.told_to_wait), "a call came within the wait");
    assert!(ledger.iter().any(|entry| entry.status == 429), "nobody was told");
}

#[test]
fn no_more_queries_are_open_than_allowed() {
    for most in [1, 2] {
        let stand = stand(tenant(450).max_open_queries(most)).set("max_queries", &most.to_string());
        extract_at_once(&stand, 4);
        assert!(stand.mock.ledger().iter().all(|entry| entry.status != 429), "one query too many");
        assert_eq!(stand.n_queries(), 4);
    }
}

#[test]
fn a_failed_report_gives_its_query_back() {
    let mock = tenant(450).fault(FaultRule::new(Matcher::page(1).of_query(0), Fault::status(403)));
    let stand = stand(mock).set("max_queries", "1");
    let endings = with_engine(with_reports(&stand, 3), |engine| async move {
        let all = (0..3).map(|nth| {
            let engine = engine.clone();
            async move { engine.extract(&format!("r{nth}")).await.unwrap() }
        });
        futures::future::join_all(all).await
    });
    let n_failed = endings.iter().filter(|ending| matches!(ending, cxtract::Ending::Failed(_))).count();
    assert_eq!(n_failed, 1, "{endings:?}");
}

#[test]
fn reports_of_two_tenants_arrive_side_by_side() {
    let (one, other) = (stand(tenant(950)), stand(tenant(950).seed(7)));
    let second = format!(
        "  other:\n    base_url: {}\n    auth: {{client_id: id, client_secret: s}}\n    {}\nreports:",
        other.mock.base_url(),
        other.tenant
    );
    let mut yaml = one.yaml().replace("reports:", &second);
    for (nth, tenant) in ["acme", "other", "acme", "other", "acme", "other"].iter().enumerate() {
        yaml.push_str(&format!(
            "  r{nth}:\n    tenant: {tenant}\n    template_id: t{nth}\n    window: {{from: 2024-01-01, to: 2024-01-02}}\n    page_size: 100\n"
        ));
    }
    let config = Config::load(&Sources::text(one.folder.path().join("config.yaml"), &yaml)).unwrap();
    with_engine(config, |engine| async move {
        let all = (0..6).map(|nth| {
            let engine = engine.clone();
            async move { complete(engine.extract(&format!("r{nth}")).await.unwrap()) }
        });
        futures::future::join_all(all).await;
    });
    for nth in 0..6 {
        let delivered = std::fs::read(one.folder.path().join(format!("out/r{nth}.csv"))).unwrap();
        let of = if nth % 2 == 0 { &one } else { &other };
        assert!(delivered == of.mock.expected_csv(&format!("t{nth}")), "r{nth}");
    }
    assert_eq!((one.n_queries(), other.n_queries()), (3, 3));
}

#[test]
fn many_reports_share_a_small_memory() {
    let stand = stand(tenant(950)).top("engine: {memory_limit: 1MiB}").set("max_queries", "8");
    extract_at_once(&stand, 8);
    assert!(crate::support::names_in(&stand.config().engine.scratch_dir).is_empty());
}
