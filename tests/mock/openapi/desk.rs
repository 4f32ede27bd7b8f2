//! What the mock tells of its clients, over streams in memory and a clock that stands still.
//!
//! The calls that are told of were made of the heart alone, so that every kind of them takes no time.

use std::cell::OnceCell;
use std::sync::Arc;
use std::time::Duration;

use cxtract::mock::{Fate, MockHost, MockReport, MockTenant, MockTenantBuilder, Tenant, TenantClock, serve_connection};
use parking_lot::Mutex;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use crate::client::{Answer, Client, Ended};

use super::exchange::Exchange;
use super::scenes::{QUERIES, QUERY, RESULTS, Stage, TOKEN, submission, unhurried};

const DESK: [&str; 7] = ["", "ledger", "scorecard", "scorecard.json", "scorecard.html", "expected", "openapi.json"];

/// Every kind of answer.
pub(super) fn all() -> Vec<Exchange> {
    let quiet = (MockTenant::builder().build(), Duration::ZERO);
    let tenants = [quiet, unlimited(), busy()];
    let mut all: Vec<Exchange> = tenants.into_iter().flat_map(|(tenant, now)| visit(tenant, now)).collect();
    all.extend(under_no_name());
    all
}

/// A client of a tenant without a limit, which reads a report to its end.
fn unlimited() -> (Tenant, Duration) {
    let mut stage = Stage::new(unhurried());
    stage.sign_in();
    let query = stage.submitted();
    stage.status(200, &query);
    stage.wait(1);
    stage.page(200, &query, 1);
    stage.page(200, &query, 2);
    stage.end()
}

/// A client that does everything, some of it wrong, and queries in every state.
fn busy() -> (Tenant, Duration) {
    let mut stage = Stage::new(busy_tenant());
    stage.sign_in();
    let submit = |stage: &mut Stage, template: &str| {
        let mut submission = submission();
        submission["templateId"] = json!(template);
        stage.submit(202, submission)["queryId"].as_str().unwrap().to_owned()
    };
    let [one, other, _ready, _failed, gone] =
        ["one", "other", "ready", "failed", "gone"].map(|template| submit(&mut stage, template));
    stage.submit(429, submission());
    stage.wait(10);
    stage.page(200, &gone, 1);
    stage.page(404, &gone, 2);
    for nth in 1..=80 {
        stage.wait_ms(100);
        // The other query comes every third time, and reaches its end.
        let (query, page) = if nth % 3 == 0 { (&other, nth / 3) } else { (&one, nth) };
        stage.page(200, query, page);
    }
    assert!(stage.page(200, &other, 100).is_empty());
    submit(&mut stage, "waiting");
    stage.wait(1);
    for _ in 0..20 {
        stage.ask(404, ("GET", "/elsewhere"), Vec::new(), None);
    }
    stage.ask(429, ("GET", "/elsewhere"), Vec::new(), None);
    stage.wait_ms(400);
    stage.ask(429, ("GET", "/elsewhere"), Vec::new(), None);
    stage.end()
}

fn busy_tenant() -> MockTenantBuilder {
    MockTenant::builder()
        .default_report(MockReport::with_rows(10_000))
        .report("other", MockReport::with_rows(2600))
        .ready_after(Duration::from_secs(9))
        .max_open_queries(5)
        .fate(3, Fate::Fails("out of luck".into()))
        .fate(4, Fate::ExpiresAfterPages(1))
}

/// Everything that can be asked about a tenant.
fn visit(tenant: Tenant, now: Duration) -> Vec<Exchange> {
    let submitted = tenant.queries().first().map(|query| query.template.clone());
    let tenant = Arc::new(Mutex::new(tenant));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let clock = TenantClock::start_now();
        tokio::time::advance(now).await;
        let template = |name: &str| vec![("query", "template".to_owned(), name.to_owned())];
        let mut visits = DESK
            .iter()
            .filter(|page| **page != "expected")
            .map(|page| (200, *page, Vec::new(), "*/*"))
            .collect::<Vec<_>>();
        visits.push((200, "scorecard", Vec::new(), "text/html"));
        visits.push((400, "expected", Vec::new(), "*/*"));
        visits.push((404, "expected", template("never"), "*/*"));
        visits.extend(submitted.map(|name| (200, "expected", template(&name), "*/*")));
        let mut all = Vec::new();
        for (status, page, parameters, accept) in visits {
            all.push(ask(&tenant, clock, status, ("GET", page), parameters, accept).await);
        }
        let of_a_page = "*/*\r\nOrigin: https://elsewhere.example";
        let n_calls = tenant.lock().ledger().len();
        all.push(ask(&tenant, clock, 403, ("POST", "reset"), Vec::new(), of_a_page).await);
        assert_eq!(tenant.lock().ledger().len(), n_calls);
        all.push(ask(&tenant, clock, 204, ("POST", "reset"), Vec::new(), "*/*").await);
        assert_eq!(tenant.lock().ledger().len(), 0);
        all
    })
}

async fn ask(
    tenant: &Arc<Mutex<Tenant>>,
    clock: TenantClock,
    status: u16,
    (method, page): (&str, &str),
    parameters: Vec<(&'static str, String, String)>,
    accept: &str,
) -> Exchange {
    let template = format!("/__mock/{page}");
    let asked: String = parameters.iter().map(|(_, name, value)| format!("?{name}={value}")).collect();
    let request =
        format!("{method} {template}{asked} HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\nConnection: close\r\n\r\n");
    let (mut near, far) = duplex(64 * 1024);
    let (served, answer) = tokio::join!(serve_connection(far, tenant.clone(), clock), async {
        near.write_all(request.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        near.read_to_end(&mut bytes).await.unwrap();
        Answer::read(&bytes, Ended::Closed)
    });
    assert_eq!((answer.status(), served), (status, cxtract::mock::Hangup::Closed), "{method} {template}");
    exchange(method, &template, parameters, answer)
}

fn exchange(method: &str, template: &str, parameters: Vec<(&'static str, String, String)>, answer: Answer) -> Exchange {
    Exchange {
        method: method.into(),
        template: template.into(),
        parameters,
        request_headers: Vec::new(),
        sent: None,
        status: answer.status(),
        headers: answer.headers(),
        body: answer.body,
        read: OnceCell::new(),
    }
}

/// A port that several tenants share, called by a name that none of them has.
fn under_no_name() -> Vec<Exchange> {
    let host = MockHost::builder().tenant("acme", MockTenant::builder()).by_host_name().start().unwrap();
    let mut client = Client::without_token(host.tenant("acme").unwrap());
    let desk = DESK.iter().filter(|page| !page.is_empty()).map(|page| ("GET", format!("/__mock/{page}")));
    let api = [("POST", TOKEN), ("POST", QUERIES), ("GET", QUERY), ("GET", RESULTS), ("POST", "/__mock/reset")];
    let all = desk.chain(api.map(|(method, template)| (method, template.to_owned())));
    all.map(|(method, template)| {
        let answer = client.send(&format!("{method} {template} HTTP/1.1\r\nHost: nobody.localhost\r\n\r\n"));
        assert_eq!(answer.status(), 421, "{template}");
        exchange(method, &template, Vec::new(), answer)
    })
    .collect()
}
