//! A tenant's section: where it is, how we prove who we are, and how gently it is treated.
//!
//! Every default stands in a `Default` of the part that it belongs to, so that configuration built in code and
//! configuration read from a file agree.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use crate::model::TenantName;

use super::kind::{self, Mismatch, Read, boolean, count, duration, number, size, word};
use super::mock::MockSettings;
use super::proxy::{ProxyRule, ProxyUrl, proxy};
use super::reader::Section;
use super::secret::{SecretSource, secret};
use super::tree::Node;
use super::url::{BaseUrl, Scheme, url};

/// Where the OAuth endpoint is below the base address, where nothing is said.
const TOKEN_PATH: &str = "/oauth2/token";
/// Most requests a second, queries, tries and the like: beyond it a figure is a slip of the pen.
const MANY: u64 = 1_000_000;
const A_MOMENT: Duration = Duration::from_millis(1);

/// A tenant as configured.
#[derive(Clone, Debug, PartialEq)]
pub struct TenantConfig {
    /// Its name.
    pub name: TenantName,
    /// Where it answers.
    pub endpoint: Endpoint,
    /// Pace.
    pub rate: RateLimit,
    /// Requests under way at once.
    pub max_in_flight: NonZeroUsize,
    /// Queries open at once.
    pub max_queries: NonZeroUsize,
    /// Told to wait longer than this, its reports park.
    pub max_wait_for_tenant: Duration,
    /// Limits on waiting for an answer.
    pub timeouts: Timeouts,
    /// Repeating requests.
    pub retry: Retry,
    /// The circuit breaker.
    pub breaker: Breaker,
    /// Asking whether a query is ready.
    pub poll: Poll,
    /// A file of further certificates to trust.
    pub ca_file: Option<PathBuf>,
    /// How connections leave this machine.
    pub proxy: ProxyRule,
    /// Whether http to other machines is allowed.
    pub allow_plain_http: bool,
    /// Limits of decoded data.
    pub limits: Limits,
}

/// Where a tenant answers.
#[derive(Clone, Debug, PartialEq)]
pub enum Endpoint {
    /// A tenant in the network.
    Remote(Box<Remote>),
    /// A mock tenant that the program starts inside itself.
    Mock(MockSettings),
}

/// A tenant in the network and how to be let in.
#[derive(Clone, Debug, PartialEq)]
pub struct Remote {
    /// Where its API is.
    pub base_url: BaseUrl,
    /// How to be let in.
    pub auth: Auth,
}

/// How to get a token.
#[derive(Clone, Debug, PartialEq)]
pub struct Auth {
    /// Where tokens are given out.
    pub token_url: BaseUrl,
    /// The client's id.
    pub client_id: SecretSource,
    /// The client's secret.
    pub client_secret: SecretSource,
    /// Where id and secret go.
    pub client_auth: ClientAuth,
    /// The scopes asked for.
    pub scopes: Vec<String>,
    /// How long before its end a token is renewed.
    pub refresh_before: Duration,
}

/// Where the client's id and secret go in a token request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientAuth {
    /// Into the Authorization header.
    #[default]
    Basic,
    /// Into the form.
    Body,
}

/// Pace.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RateLimit {
    /// The ceiling over every sliding second; a whole number, 1 or more.
    pub requests_per_second: f64,
    /// Requests that may go back to back.
    pub burst: u32,
    /// Whether the pace follows the tenant's 429s.
    pub adaptive: bool,
}

impl Default for RateLimit {
    fn default() -> Self {
        Self { requests_per_second: 10.0, burst: 5, adaptive: true }
    }
}

/// Limits on waiting for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Until a connection stands, tunnel and TLS included.
    pub connect: Duration,
    /// Until the head of the answer.
    pub response: Duration,
    /// Between two pieces of a body.
    pub idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: secs(10), response: secs(60), idle: secs(30) }
    }
}

/// Repeating requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// All tries of one request, the first included.
    pub max_attempts: u32,
    /// The first pause lies between nothing and this.
    pub base_delay: Duration,
    /// No pause is longer.
    pub max_delay: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { max_attempts: 5, base_delay: secs(1), max_delay: secs(60) }
    }
}

/// The circuit breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Breaker {
    /// Consecutive transient failures that open it.
    pub failure_threshold: u32,
    /// How long it stays open the first time.
    pub open_for: Duration,
    /// Probes let through at once when half open.
    pub half_open_requests: u32,
    /// Failed probes in a row after which the tenant is given up for this run.
    pub max_failed_probes: u32,
}

impl Default for Breaker {
    fn default() -> Self {
        Self { failure_threshold: 5, open_for: secs(30), half_open_requests: 1, max_failed_probes: 20 }
    }
}

/// Asking whether a query is ready.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Poll {
    /// From submission to the first poll.
    pub initial_delay: Duration,
    /// By how much each delay exceeds the last; 1 or more.
    pub multiplier: f64,
    /// No delay is longer, its random share apart.
    pub max_delay: Duration,
    /// The largest random share added to a delay, 0 to 1.
    pub jitter: f64,
    /// When to give up for this run.
    pub max_wait: Duration,
}

impl Default for Poll {
    fn default() -> Self {
        Self { initial_delay: secs(4), multiplier: 1.5, max_delay: secs(60), jitter: 0.2, max_wait: secs(4 * 3600) }
    }
}

/// Limits of decoded data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// One page.
    pub page_bytes: u64,
    /// One record.
    pub record_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { page_bytes: 1 << 30, record_bytes: 16 << 20 }
    }
}

impl Auth {
    /// The defaults for a tenant at that address.
    pub fn new(base_url: &BaseUrl, client_id: SecretSource, client_secret: SecretSource) -> Self {
        Self {
            token_url: base_url.join(TOKEN_PATH),
            client_id,
            client_secret,
            client_auth: ClientAuth::default(),
            scopes: default_scopes(),
            refresh_before: DEFAULT_REFRESH_BEFORE,
        }
    }
}

const DEFAULT_REFRESH_BEFORE: Duration = secs(300);

fn default_scopes() -> Vec<String> {
    ["reporting:read", "reporting:query:execute", "offline_access"].map(str::to_owned).to_vec()
}

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

impl TenantConfig {
    /// A tenant with the defaults for everything but its place.
    pub fn new(name: TenantName, endpoint: Endpoint) -> Self {
        Self {
            name,
            endpoint,
            rate: RateLimit::default(),
            max_in_flight: DEFAULT_IN_FLIGHT,
            max_queries: DEFAULT_QUERIES,
            max_wait_for_tenant: secs(30 * 60),
            timeouts: Timeouts::default(),
            retry: Retry::default(),
            breaker: Breaker::default(),
            poll: Poll::default(),
            ca_file: None,
            proxy: ProxyRule::Direct,
            allow_plain_http: false,
            limits: Limits::default(),
        }
    }

    /// The proxy for a request to that address, if any.
    pub fn proxy_for(&self, target: &BaseUrl) -> Option<&ProxyUrl> {
        self.proxy.for_target(target)
    }

    /// Whether it is one of the program's own mock tenants.
    pub fn is_mock(&self) -> bool {
        matches!(self.endpoint, Endpoint::Mock(_))
    }

    pub(super) fn read(name: &str, section: &Section<'_>) -> Option<Self> {
        let default = Self::new(TenantName::new(name), Endpoint::Mock(MockSettings::default()));
        let allow_plain_http = section.or("allow_plain_http", boolean, false);
        Some(Self {
            rate: read_rate(&section.section("rate_limit")),
            max_in_flight: section.or("max_in_flight", many, default.max_in_flight),
            max_queries: section.or("max_queries", many, default.max_queries),
            max_wait_for_tenant: section.or(
                "max_wait_for_tenant",
                duration(Duration::ZERO),
                default.max_wait_for_tenant,
            ),
            timeouts: read_timeouts(&section.section("timeouts")),
            retry: read_retry(&section.section("retry")),
            breaker: read_breaker(&section.section("circuit_breaker")),
            poll: read_poll(&section.section("poll")),
            ca_file: read_ca_file(&section.section("tls")),
            proxy: section.optional("proxy", proxy).unwrap_or(ProxyRule::Direct),
            allow_plain_http,
            limits: read_limits(&section.section("limits")),
            endpoint: read_endpoint(section, allow_plain_http)?,
            name: default.name,
        })
    }
}

// Spelt out, because `NonZeroUsize::new` is fallible even for a literal.
const DEFAULT_IN_FLIGHT: NonZeroUsize = NonZeroUsize::MIN.saturating_add(7);
const DEFAULT_QUERIES: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1);

fn many(node: &Node) -> Read<NonZeroUsize> {
    let n = count(1..=MANY)(node)?;
    NonZeroUsize::new(n as usize).ok_or_else(|| Mismatch::new("1 or more", "choose 1 or more"))
}

fn small(node: &Node) -> Read<u32> {
    count(1..=MANY)(node).map(|n| n as u32)
}

fn read_endpoint(section: &Section<'_>, allow_plain_http: bool) -> Option<Endpoint> {
    let (remote, mock) = (section.has("base_url"), section.has("mock"));
    let auth = section.section("auth");
    let settings = MockSettings::read(&section.section("mock"));
    if remote == mock {
        let found = if remote { "both base_url and mock" } else { "neither base_url nor mock" };
        section.problem("", found, "base_url for a tenant in the network, or mock for an embedded one", "keep one");
        read_auth(&auth, remote.then(|| section.get("base_url", url)).flatten().as_ref(), remote, allow_plain_http);
        return None;
    }
    if mock {
        read_auth(&auth, None, false, allow_plain_http);
        return Some(Endpoint::Mock(settings));
    }
    let base_url = section.get("base_url", url);
    if let Some(url) = &base_url {
        check_plain_http(section, "base_url", url, allow_plain_http);
    }
    let auth = read_auth(&auth, base_url.as_ref(), true, allow_plain_http);
    Some(Endpoint::Remote(Box::new(Remote { auth: auth?, base_url: base_url? })))
}

/// Reads `auth`. For a mock tenant it may be missing, but what stands there is checked all the same.
fn read_auth(section: &Section<'_>, base: Option<&BaseUrl>, needed: bool, allow_plain_http: bool) -> Option<Auth> {
    let token_url = section.optional("token_url", url);
    if let Some(url) = &token_url {
        check_plain_http(section, "token_url", url, allow_plain_http);
    }
    const CLIENT_AUTH: &[(&str, ClientAuth)] = &[("basic", ClientAuth::Basic), ("body", ClientAuth::Body)];
    let client_auth = section.or("client_auth", word(CLIENT_AUTH), ClientAuth::default());
    let scopes = section.get("scopes", kind::list(scope)).unwrap_or_else(default_scopes);
    let refresh_before = section.or("refresh_before", duration(Duration::ZERO), DEFAULT_REFRESH_BEFORE);
    let wanted = |key| if needed || section.has(key) { secret(section, key) } else { None };
    let (client_id, client_secret) = (wanted("client_id"), wanted("client_secret"));
    let token_url = token_url.or_else(|| base.map(|base| base.join(TOKEN_PATH)))?;
    let (client_id, client_secret) = (client_id?, client_secret?);
    Some(Auth { token_url, client_id, client_secret, client_auth, scopes, refresh_before })
}

fn scope(node: &Node) -> Read<String> {
    let text = kind::text(node)?;
    // RFC 6749, 3.3: a space would make two scopes of one.
    if text.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\') {
        return Ok(text);
    }
    Err(Mismatch::new("scopes without spaces or quotes", "write each scope as an item of its own"))
}

fn check_plain_http(section: &Section<'_>, key: &str, url: &BaseUrl, allowed: bool) {
    if url.scheme() == Scheme::Http && !url.is_loopback() && !allowed {
        let remedy = "write https://, or set allow_plain_http: true for this tenant";
        section.problem(key, url.to_string(), "https, because credentials and data would go in the clear", remedy);
    }
}

fn read_rate(section: &Section<'_>) -> RateLimit {
    let default = RateLimit::default();
    RateLimit {
        requests_per_second: section.get("requests_per_second", small).map_or(default.requests_per_second, f64::from),
        burst: section.or("burst", small, default.burst),
        adaptive: section.or("adaptive", boolean, default.adaptive),
    }
}

fn read_timeouts(section: &Section<'_>) -> Timeouts {
    let default = Timeouts::default();
    Timeouts {
        connect: section.or("connect", duration(A_MOMENT), default.connect),
        response: section.or("response", duration(A_MOMENT), default.response),
        idle: section.or("idle", duration(A_MOMENT), default.idle),
    }
}

fn read_retry(section: &Section<'_>) -> Retry {
    let default = Retry::default();
    Retry {
        max_attempts: section.or("max_attempts", small, default.max_attempts),
        base_delay: section.or("base_delay", duration(A_MOMENT), default.base_delay),
        max_delay: section.or("max_delay", duration(A_MOMENT), default.max_delay),
    }
}

fn read_breaker(section: &Section<'_>) -> Breaker {
    let default = Breaker::default();
    Breaker {
        failure_threshold: section.or("failure_threshold", small, default.failure_threshold),
        open_for: section.or("open_for", duration(A_MOMENT), default.open_for),
        half_open_requests: section.or("half_open_requests", small, default.half_open_requests),
        max_failed_probes: section.or("max_failed_probes", small, default.max_failed_probes),
    }
}

fn read_poll(section: &Section<'_>) -> Poll {
    let default = Poll::default();
    Poll {
        initial_delay: section.or("initial_delay", duration(A_MOMENT), default.initial_delay),
        multiplier: section.or("multiplier", number(1.0..=f64::INFINITY), default.multiplier),
        max_delay: section.or("max_delay", duration(A_MOMENT), default.max_delay),
        jitter: section.or("jitter", number(0.0..=1.0), default.jitter),
        max_wait: section.or("max_wait", duration(A_MOMENT), default.max_wait),
    }
}

fn read_limits(section: &Section<'_>) -> Limits {
    let default = Limits::default();
    Limits {
        page_bytes: section.or("page_bytes", size(1), default.page_bytes),
        record_bytes: section.or("record_bytes", size(1), default.record_bytes),
    }
}

fn read_ca_file(section: &Section<'_>) -> Option<PathBuf> {
    let path = section.optional("ca_file", kind::text).map(|path| section.log.folder.join(path))?;
    let found = match std::fs::File::open(&path).and_then(|file| file.metadata()) {
        Ok(meta) if meta.is_file() => return Some(path),
        Ok(_) => "something that is not a file".to_owned(),
        Err(error) => error.to_string(),
    };
    let found = format!("{}: {found}", path.display());
    section.problem("ca_file", found, "a readable file of certificates in PEM", "correct the path, or set it to null");
    None
}
