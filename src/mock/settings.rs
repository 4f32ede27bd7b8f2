//! What a tenant is told at its start, as the builder leaves it.

use std::collections::HashMap;
use std::time::Duration;

use crate::model::{Timestamp, Window};

use super::fault::FaultRule;
use super::limit::{Quota, Rates};
use super::query::{Fate, Ready};
use super::report::MockReport;
use super::tls::Tls;
use super::token::TokenSettings;

/// The form in which a wait is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RetryAfter {
    /// Whole seconds, rounded up.
    Seconds,
    /// A date as in `Sun, 06 Nov 1994 08:49:37 GMT`, on the tenant's own clock.
    HttpDate,
    /// A date as in `Sunday, 06-Nov-94 08:49:37 GMT`.
    Rfc850,
    /// A date as in `Sun Nov  6 08:49:37 1994`.
    Asctime,
    /// None: the client is not told, and is not held to it.
    Missing,
    /// This text. The client is held to it only where it names a wait.
    Garbage(String),
    /// A line for each of these texts. The client is held to the longest wait among them.
    Lines(Vec<String>),
}

/// How the quotas and what is left of them are told with every answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateLimitHeaders {
    /// Not at all.
    None,
    /// `X-RateLimit-Limit`, `X-RateLimit-Remaining`, `X-RateLimit-Reset`: the quota with the least left.
    Prefixed,
    /// The same three without the `X-`.
    Separate,
    /// `RateLimit-Policy: "default";q=20;w=1` and `RateLimit: "default";r=3;t=1`: all quotas.
    Structured,
}

/// What happens to calls while the tenant is out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutageKind {
    /// Connections are reset.
    Reset,
    /// Calls are answered 503.
    Unavailable,
    /// Connections are made, and calls get no answer until it is over; then they are closed.
    Silent,
}

/// A time without service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outage {
    /// Its beginning, since the tenant's start.
    pub from: Duration,
    /// Its end, not included.
    pub to: Duration,
    /// What calls meet.
    pub kind: OutageKind,
}

/// What calls of the token endpoint meet while it is out on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenTrouble {
    /// An answer of that status, as in 500.
    Status(u16),
    /// An answer of that status, 429 or 503, that names so long a wait. It holds for the whole tenant.
    Wait(u16, Duration),
    /// The connection is reset.
    Reset,
}

/// A time without tokens. Tokens that were issued before go on to be good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenOutage {
    /// Its beginning, since the tenant's start.
    pub from: Duration,
    /// Its end, not included.
    pub to: Duration,
    /// What calls meet.
    pub kind: TokenTrouble,
}

/// What a client may be allowed to do. Each step of the protocol needs one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// To submit queries.
    QueryExecute,
    /// To ask for a query's status.
    QueryRead,
    /// To fetch pages.
    ResultsRead,
}

/// What the licence allows a submission to ask for; none for no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Licence {
    /// The longest window, in days.
    pub days: Option<u64>,
    /// The most rows in a result.
    pub rows: Option<u64>,
}

impl Licence {
    /// Why a submission is refused, if it is.
    pub(super) fn refuses(&self, window: Window, rows: u64) -> Option<String> {
        const DAY_MS: u128 = 86_400_000;
        // Both ends are included.
        let asked = window.to.since(window.from).as_millis() + 1;
        if let Some(days) = self.days.filter(|&days| asked > u128::from(days) * DAY_MS) {
            return Some(format!("the licence covers windows of up to {days} days"));
        }
        let rows = self.rows.filter(|&most| rows > most)?;
        Some(format!("the licence covers results of up to {rows} rows"))
    }
}

#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) seed: u64,
    pub(super) salt: u64,
    pub(super) reports: HashMap<String, MockReport>,
    pub(super) default_report: Option<MockReport>,
    pub(super) rates: Rates,
    pub(super) quotas: Vec<Quota>,
    pub(super) block: Duration,
    pub(super) retry_after: RetryAfter,
    pub(super) rate_limit_headers: RateLimitHeaders,
    pub(super) max_open_queries: usize,
    pub(super) licence: Licence,
    pub(super) lacks: Vec<Permission>,
    /// How long a page of the JSON kind takes to convert, where that kind is served.
    pub(super) json_kind: Option<Duration>,
    pub(super) query_life: Duration,
    pub(super) remembers_queries: bool,
    pub(super) ready: Ready,
    pub(super) latency: Duration,
    pub(super) latency_spread: Duration,
    pub(super) token_path: String,
    pub(super) token: TokenSettings,
    pub(super) revocations: Vec<Duration>,
    pub(super) token_delay: Duration,
    pub(super) token_outages: Vec<TokenOutage>,
    pub(super) outages: Vec<Outage>,
    pub(super) fates: HashMap<usize, Fate>,
    pub(super) fates_of: HashMap<String, Fate>,
    pub(super) every_fate: Option<Fate>,
    pub(super) faults: Vec<FaultRule>,
    pub(super) wall_start: Option<Timestamp>,
    pub(super) skew_ms: i64,
    pub(super) strict: bool,
    pub(super) ledger_keeps: usize,
    pub(super) tls: Option<Tls>,
}

impl Settings {
    pub(super) fn report(&self, template: &str) -> Option<&MockReport> {
        self.reports.get(template).or(self.default_report.as_ref())
    }
}
