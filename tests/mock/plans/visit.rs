//! One visit to a tenant: a token, a query, its status, its pages, with all the time that there is between two calls.

use std::time::Duration;

use cxtract::mock::{MockRequest, MockTenantBuilder, Script, Tenant};

use crate::client::{SUBMISSION, page_path};

/// A visitor and what it has so far.
pub struct Visit {
    /// Whom it visits.
    pub tenant: Tenant,
    /// When the next call is made.
    pub now: Duration,
    token: String,
    query: String,
}

impl Visit {
    /// A second after the tenant's start.
    pub fn new(tenant: MockTenantBuilder) -> Self {
        Self { tenant: tenant.build(), now: Duration::from_secs(1), token: String::new(), query: String::new() }
    }

    fn ask(&mut self, request: &MockRequest) -> Script {
        let script = self.tenant.answer(request, self.now);
        self.now += Duration::from_secs(1);
        script
    }

    /// Asks for a token with these fields besides.
    pub fn token_with(&mut self, fields: &str) -> Script {
        let form = format!("client_id=canary&client_secret=canary-secret&{fields}");
        let script = self.ask(&MockRequest::post("/oauth2/token", "application/x-www-form-urlencoded", form));
        if let Some(token) = text_of(&script, "access_token") {
            self.token = token;
        }
        script
    }

    pub fn token(&mut self) -> Script {
        self.token_with("grant_type=client_credentials&scope=a")
    }

    /// A submission, with a token if there is one to be had.
    pub fn submit(&mut self) -> Script {
        self.submit_body(SUBMISSION)
    }

    /// The same with that body.
    pub fn submit_body(&mut self, body: &str) -> Script {
        self.token();
        let request = MockRequest::post("/api/v2/reporting/queries", "application/json", body);
        let script = self.ask(&request.with_header("Authorization", &format!("Bearer {}", self.token)));
        if let Some(query) = text_of(&script, "queryId") {
            self.query = query;
        }
        script
    }

    /// The status of the query; there is a submission first if there was none.
    pub fn status(&mut self) -> Script {
        if self.query.is_empty() {
            self.submit();
        }
        self.ask(&MockRequest::get(&format!("/api/v2/reporting/queries/{}", self.query), &self.token))
    }

    /// The word that the status says.
    pub fn word(&mut self) -> String {
        text_of(&self.status(), "status").unwrap_or_default()
    }

    /// A page of a hundred rows.
    pub fn page(&mut self, page: u64) -> Script {
        if self.query.is_empty() {
            self.submit();
        }
        self.ask(&MockRequest::get(&page_path(&self.query, page), &self.token).with_header("Accept-Encoding", "gzip"))
    }

    /// The bytes of a page.
    pub fn bytes(&mut self, page: u64) -> Vec<u8> {
        self.page(page).body_bytes()
    }
}

/// A field of an answer of JSON.
pub fn text_of(script: &Script, field: &str) -> Option<String> {
    let answer: serde_json::Value = serde_json::from_slice(&script.body_bytes()).ok()?;
    answer[field].as_str().map(str::to_owned)
}
