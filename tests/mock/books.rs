//! Books of bounded size: what a ledger no longer keeps counts all the same.

use std::time::Duration;

use cxtract::mock::{
    Fault, FaultRule, Matcher, MockReport, MockRequest, MockTenant, MockTenantBuilder, Tenant, Verdict,
};

const FORM: &str = "application/x-www-form-urlencoded";

/// Numbers that look drawn and are the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

fn json(tenant: &mut Tenant, request: &MockRequest, at: Duration) -> serde_json::Value {
    serde_json::from_slice(&tenant.answer(request, at).body_bytes()).unwrap_or_default()
}

/// A client without manners: it signs in, submits, polls and reads anew whenever it likes.
fn pestered(builder: &MockTenantBuilder) -> Tenant {
    let mut tenant = builder.clone().build();
    let (mut dice, mut token, mut queries) = (Dice(7), String::new(), Vec::<String>::new());
    for n in 0..3000_u64 {
        let at = Duration::from_millis(n * 37 + dice.roll(30));
        let kind = if n < 2 { n } else { 2 + dice.roll(40) };
        let place = tenant.ledger().calls_dropped() + tenant.ledger().len();
        match kind {
            0 | 2 => {
                let request = MockRequest::post("/oauth2/token", FORM, "grant_type=client_credentials&client_id=i");
                token = json(&mut tenant, &request, at)["access_token"].as_str().unwrap_or(&token).to_owned();
            }
            1 | 3 => {
                let body = format!(
                    "{{\"templateId\":\"t{}\",\"format\":\"csv\",\"pageSize\":10,\"query\":{{\"startDate\":\
                     \"2024-01-01T00:00:00.000Z\",\"endDate\":\"2024-01-02T00:00:00.000Z\"}}}}",
                    dice.roll(9)
                );
                let request = MockRequest::post("/api/v2/reporting/queries", "application/json", body);
                let request = request.with_header("Authorization", &format!("Bearer {token}"));
                queries.extend(json(&mut tenant, &request, at)["queryId"].as_str().map(str::to_owned));
            }
            _ if queries.is_empty() => continue,
            kind => {
                let id = queries[dice.roll(queries.len() as u64) as usize].clone();
                let path = format!("/api/v2/reporting/queries/{id}");
                let page = format!("{path}/results?format=csv&page={}&pageSize=10", 1 + dice.roll(60));
                tenant.answer(&MockRequest::get(if kind < 8 { &path } else { &page }, &token), at);
            }
        }
        match dice.roll(20) {
            0 => tenant.broke_off(place, 5, at + Duration::from_millis(20)),
            _ => tenant.ended(place, 100, at + Duration::from_millis(20 + dice.roll(50))),
        }
    }
    tenant
}

fn builder() -> MockTenantBuilder {
    MockTenant::builder()
        .requests_per_second(24.0)
        .block_for(Duration::from_secs(3))
        .token_life(Duration::from_secs(20))
        .default_report(MockReport::with_rows(500))
        .fault(FaultRule::new(Matcher::pages().by_chance(0.1, 3), Fault::Delay(Duration::from_millis(5))))
}

#[test]
fn what_a_ledger_no_longer_keeps_counts_in_the_verdict() {
    let (all, few) = (pestered(&builder()), pestered(&builder().ledger_keeps(200)));
    assert_eq!(all.ledger().calls_dropped(), 0);
    assert!(few.ledger().len() <= 250 && few.ledger().calls_dropped() > 2000);
    // The fairest of seconds is looked for among calls that were there together.
    let sums = |tenant: &Tenant| Verdict { least_fair_second: None, ..tenant.verdict() };
    assert_eq!(sums(&few), sums(&all));
    let verdict = all.verdict();
    let worth_it = [verdict.refused_too_fast, verdict.calls_while_told_to_wait, verdict.duplicate_submissions];
    assert!(worth_it.iter().all(|n| *n > 0) && verdict.pages_served_again > 100, "nothing to count: {verdict}");
    assert!(verdict.budget_used.is_some() && verdict.dead_token_calls > 0, "nothing to count: {verdict}");
}

#[test]
fn the_newest_calls_are_those_that_are_kept() {
    let (all, few) = (pestered(&builder()), pestered(&builder().ledger_keeps(200)));
    let n = few.ledger().len();
    assert_eq!(&few.ledger()[..], &all.ledger()[all.ledger().len() - n..]);
}

#[test]
fn a_tenant_that_forgot_counts_from_there_and_goes_on_as_before() {
    let mut tenant = pestered(&builder());
    let n_queries = tenant.queries().len();
    tenant.forget_ledger(Duration::from_secs(200));
    let verdict = tenant.verdict();
    assert_eq!((verdict.calls, verdict.tokens_issued, verdict.pages_served), (0, 0, 0));
    assert_eq!(tenant.queries().len(), n_queries);
    let request = MockRequest::post("/oauth2/token", FORM, "grant_type=client_credentials&client_id=i");
    assert!(json(&mut tenant, &request, Duration::from_secs(201))["access_token"].is_string());
    let verdict = tenant.verdict();
    assert_eq!((verdict.calls, verdict.tokens_issued, verdict.most_token_calls_in_a_life), (1, 1, 0));
}
