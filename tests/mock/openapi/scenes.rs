//! Every kind of answer that a tenant gives, from the heart alone: no sockets, and a clock that is moved by hand.
//!
//! Each scene says which status it means to see, so that none can pass by being refused for something else.

use std::cell::OnceCell;
use std::time::Duration;

use cxtract::mock::{
    Count, End, Fate, Fault, FaultRule, Licence, LinkStyle, Matcher, MockReport, MockRequest, MockTenant,
    MockTenantBuilder, Outage, OutageKind, Permission, RateLimitHeaders, Tenant, TokenOutage, TokenTrouble,
};
use serde_json::{Value, json};

use super::exchange::Exchange;

pub(super) const TOKEN: &str = "/oauth2/token";
pub(super) const QUERIES: &str = "/api/v2/reporting/queries";
pub(super) const QUERY: &str = "/api/v2/reporting/queries/{queryId}";
pub(super) const RESULTS: &str = "/api/v2/reporting/queries/{queryId}/results";

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

/// A tenant, a client's token, and what was said so far.
pub(super) struct Stage {
    tenant: Tenant,
    now: Duration,
    token: Option<String>,
    pub(super) exchanges: Vec<Exchange>,
}

/// A submission that is accepted.
pub(super) fn submission() -> Value {
    json!({"templateId": "detail", "format": "csv", "pageSize": 100, "query": {
        "startDate": "2024-01-01T00:00:00.000Z", "endDate": "2024-01-31T23:59:59.999Z",
        "filters": [{"field": "channel", "operator": "eq", "value": "voice"}]}})
}

/// The parameters of a page request that is served.
pub(super) fn page_parameters(query: &str, page: &str) -> Vec<(&'static str, String, String)> {
    let said = [("path", "queryId", query), ("query", "format", "csv"), ("query", "page", page)];
    let said = said.into_iter().chain([("query", "pageSize", "100")]);
    said.map(|(place, name, value)| (place, name.to_owned(), value.to_owned())).collect()
}

impl Stage {
    pub(super) fn new(tenant: MockTenantBuilder) -> Self {
        Self { tenant: tenant.build(), now: Duration::ZERO, token: None, exchanges: Vec::new() }
    }

    pub(super) fn wait(&mut self, seconds: u64) {
        self.wait_ms(1000 * seconds);
    }

    pub(super) fn wait_ms(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
    }

    /// The tenant as it is left, and the time by its clock.
    pub(super) fn end(self) -> (Tenant, Duration) {
        (self.tenant, self.now)
    }

    /// Sends a request and holds its status against the one meant.
    pub(super) fn ask(
        &mut self,
        status: u16,
        (method, template): (&str, &str),
        parameters: Vec<(&'static str, String, String)>,
        sent: Option<(&str, Value)>,
    ) -> &Exchange {
        let mut target = template.to_owned();
        let mut headers = Vec::new();
        for (place, name, value) in &parameters {
            match *place {
                "path" => target = target.replace(&format!("{{{name}}}"), value),
                "header" => headers.push((name.clone(), value.clone())),
                _ => {
                    let before = if target.contains('?') { '&' } else { '?' };
                    target = format!("{target}{before}{name}={value}");
                }
            }
        }
        let mut request = match &sent {
            Some((FORM, value)) => MockRequest::post(&target, FORM, form(value)),
            Some((media_type, value)) => MockRequest::post(&target, media_type, value.to_string()),
            None => MockRequest { method: method.into(), target, ..MockRequest::default() },
        };
        let mut request_headers = Vec::new();
        if let Some(token) = self.token.as_ref().filter(|_| template != TOKEN) {
            request_headers.push(("authorization".to_owned(), format!("Bearer {token}")));
        }
        for (name, value) in headers.iter().chain(&request_headers) {
            request = request.with_header(name, value);
        }
        let script = self.tenant.answer(&request, self.now);
        let body = script.body_bytes();
        self.tenant.ended(script.entry, body.len() as u64, self.now);
        let mut headers = script.headers.clone();
        if script.gzip {
            headers.push(("Content-Encoding".into(), "gzip".into()));
        }
        let exchange = Exchange {
            method: method.into(),
            template: template.into(),
            parameters,
            request_headers,
            sent: sent.map(|(media_type, value)| (media_type.to_owned(), value)),
            status: script.status_sent(),
            headers,
            body,
            read: OnceCell::new(),
        };
        assert_eq!(exchange.status, status, "{exchange}: {}", String::from_utf8_lossy(&exchange.body));
        self.exchanges.push(exchange);
        &self.exchanges[self.exchanges.len() - 1]
    }

    fn ask_token(&mut self, status: u16, form: Value) -> Value {
        self.ask(status, ("POST", TOKEN), Vec::new(), Some((FORM, form))).json()
    }

    pub(super) fn sign_in(&mut self) -> Value {
        let form = json!({"grant_type": "client_credentials", "scope": "a", "client_id": "me", "client_secret": "it"});
        let answer = self.ask_token(200, form);
        self.token = answer["access_token"].as_str().map(str::to_owned);
        answer
    }

    pub(super) fn submit(&mut self, status: u16, submission: Value) -> Value {
        self.ask(status, ("POST", QUERIES), Vec::new(), Some((JSON, submission))).json()
    }

    /// Whether the tenant takes that submission.
    pub(super) fn accepts(&mut self, submission: &Value) -> bool {
        let token = self.token.clone().unwrap_or_default();
        let request = MockRequest::post(QUERIES, JSON, submission.to_string());
        let script = self.tenant.answer(&request.with_header("Authorization", &format!("Bearer {token}")), self.now);
        script.status == 202
    }

    pub(super) fn submitted(&mut self) -> String {
        self.submit(202, submission())["queryId"].as_str().unwrap().to_owned()
    }

    pub(super) fn status(&mut self, status: u16, query: &str) -> Value {
        self.ask(status, ("GET", QUERY), vec![("path", "queryId".into(), query.into())], None).json()
    }

    pub(super) fn page(&mut self, status: u16, query: &str, page: u64) -> String {
        let mut parameters = page_parameters(query, &page.to_string());
        parameters.push(("header", "Accept-Encoding".into(), "gzip".into()));
        let exchange = self.ask(status, ("GET", RESULTS), parameters, None);
        String::from_utf8_lossy(&exchange.body).into_owned()
    }

    /// One call of each step, all of which are answered so.
    fn each_step(&mut self, status: u16) {
        let form = json!({"grant_type": "client_credentials"});
        self.ask(status, ("POST", TOKEN), Vec::new(), Some((FORM, form)));
        self.ask(status, ("POST", QUERIES), Vec::new(), Some((JSON, submission())));
        self.ask(status, ("GET", QUERY), vec![("path", "queryId".into(), "q".into())], None);
        self.ask(status, ("GET", RESULTS), page_parameters("q", "1"), None);
    }
}

fn form(value: &Value) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    for (key, value) in value.as_object().into_iter().flatten() {
        form.append_pair(key, value.as_str().unwrap_or_default());
    }
    form.finish()
}

/// A tenant in a hurry for nobody.
pub(super) fn unhurried() -> MockTenantBuilder {
    MockTenant::builder().requests_per_second(f64::INFINITY)
}

/// Every kind of answer, in every form in which quotas are told.
pub(super) fn all() -> Vec<Exchange> {
    let styles = [RateLimitHeaders::None, RateLimitHeaders::Prefixed, RateLimitHeaders::Separate];
    let styles = styles.into_iter().chain([RateLimitHeaders::Structured]);
    let scenes = [tokens, reports, ends, refusals, limits, troubles];
    styles.flat_map(|style| scenes.iter().flat_map(move |scene| scene(&told(style)))).collect()
}

/// A tenant with a limit that no scene reaches, so that there is something to tell.
fn told(style: RateLimitHeaders) -> MockTenantBuilder {
    MockTenant::builder().requests_per_second(1000.0).rate_limit_style(style)
}

fn tokens(tenant: &MockTenantBuilder) -> Vec<Exchange> {
    let mut stage = Stage::new(tenant.clone().refresh_tokens().scopes(&["a"]));
    let first = stage.sign_in();
    let renewal = json!({"grant_type": "refresh_token", "refresh_token": first["refresh_token"],
        "client_id": "me", "client_secret": "it"});
    stage.ask_token(200, renewal.clone());
    let answers = [
        (400, renewal),
        (401, json!({"grant_type": "client_credentials"})),
        (400, json!({"grant_type": "password", "client_id": "me"})),
        (400, json!({"grant_type": "client_credentials", "client_id": "me", "scope": "a b"})),
    ];
    let errors = answers.map(|(status, form)| stage.ask_token(status, form)["error"].as_str().unwrap().to_owned());
    assert_eq!(errors, ["invalid_grant", "invalid_client", "unsupported_grant_type", "invalid_scope"]);
    stage.ask(400, ("POST", TOKEN), Vec::new(), Some((JSON, json!({}))));
    stage.exchanges
}

fn reports(tenant: &MockTenantBuilder) -> Vec<Exchange> {
    let report = MockReport { gzip: true, link: LinkStyle::Proper, ..MockReport::with_rows(250) };
    let tenant = tenant.clone().ready_after(Duration::from_secs(8)).default_report(report);
    let mut stage = Stage::new(tenant.fate(1, Fate::Fails("out of luck".into())).query_life(Duration::from_secs(60)));
    stage.sign_in();
    let (good, bad) = (stage.submitted(), stage.submitted());
    let mut words = vec![stage.status(200, &good)["status"].clone()];
    stage.wait(5);
    words.push(stage.status(200, &good)["status"].clone());
    stage.page(409, &good, 1);
    stage.wait(5);
    words.push(stage.status(200, &good)["status"].clone());
    words.push(stage.status(200, &bad)["status"].clone());
    assert_eq!(words, ["queued", "running", "complete", "failed"]);
    for page in 1..=4 {
        assert_eq!(stage.page(200, &good, page).is_empty(), page == 4);
    }
    stage.wait(60);
    stage.status(404, &good);
    stage.page(404, &good, 1);
    stage.exchanges
}

fn ends(tenant: &MockTenantBuilder) -> Vec<Exchange> {
    let ends = [End::EmptyBody, End::HeaderOnly, End::NotFound404, End::LinkWithoutNext];
    let counts = [Count::Right, Count::Absent, Count::Stale(-7), Count::Right];
    let scenes = ends.into_iter().zip(counts).map(|(end, count)| {
        let report = MockReport { end, total_count: count, total_rows: count, ..MockReport::with_rows(150) };
        let mut stage = Stage::new(tenant.clone().default_report(report));
        stage.sign_in();
        let query = stage.submitted();
        stage.status(200, &query);
        stage.page(200, &query, 1);
        stage.page(200, &query, 2);
        stage.page(if end == End::NotFound404 { 404 } else { 200 }, &query, 3);
        stage.exchanges
    });
    scenes.flatten().collect()
}

fn refusals(tenant: &MockTenantBuilder) -> Vec<Exchange> {
    let mut stage = Stage::new(tenant.clone());
    stage.submit(401, submission());
    stage.status(401, "q");
    stage.page(401, "q", 1);
    stage.sign_in();
    stage.submit(400, json!([]));
    stage.submit(422, json!({"templateId": "detail", "format": "json"}));
    stage.status(404, "q");
    stage.page(404, "q", 1);
    let query = stage.submitted();
    stage.page(400, &query, 0);
    let mut all = stage.exchanges;
    for licence in [Licence { days: Some(30), rows: None }, Licence { days: None, rows: Some(10) }] {
        let mut stage = Stage::new(tenant.clone().licence(licence));
        stage.sign_in();
        stage.submit(403, submission());
        all.extend(stage.exchanges);
    }
    let permissions = [Permission::QueryRead, Permission::ResultsRead];
    let mut stage = Stage::new(permissions.into_iter().fold(tenant.clone(), MockTenantBuilder::lacks));
    stage.sign_in();
    stage.status(403, "q");
    stage.page(403, "q", 1);
    all.extend(stage.exchanges);
    all
}

fn limits(tenant: &MockTenantBuilder) -> Vec<Exchange> {
    let mut stage = Stage::new(tenant.clone().max_open_queries(0));
    stage.sign_in();
    stage.submit(429, submission());
    let mut all = stage.exchanges;
    let mut stage = Stage::new(tenant.clone().requests_per_second(0.01));
    stage.sign_in();
    stage.each_step(429);
    stage.wait(1);
    stage.each_step(429);
    assert_eq!(stage.exchanges[5].answer_header("retry-after"), Some("900"));
    all.extend(stage.exchanges);
    all
}

fn troubles(tenant: &MockTenantBuilder) -> Vec<Exchange> {
    let mut all = Vec::new();
    for code in [408, 500, 502, 504] {
        let mut stage = Stage::new(tenant.clone().fault(FaultRule::new(Matcher::any(), Fault::status(code))));
        stage.each_step(code);
        all.extend(stage.exchanges);
    }
    let mut stage = Stage::new(tenant.clone().fault(FaultRule::new(Matcher::any(), Fault::status(410))));
    stage.status(410, "q");
    stage.page(410, "q", 1);
    all.extend(stage.exchanges);
    let (from, to) = (Duration::ZERO, Duration::from_secs(60));
    let mut stage = Stage::new(tenant.clone().outage(Outage { from, to, kind: OutageKind::Unavailable }));
    stage.each_step(503);
    all.extend(stage.exchanges);
    let kind = TokenTrouble::Wait(503, Duration::from_secs(5));
    let mut stage = Stage::new(tenant.clone().token_outage(TokenOutage { from, to, kind }));
    stage.ask_token(503, json!({"grant_type": "client_credentials"}));
    all.extend(stage.exchanges);
    all
}
