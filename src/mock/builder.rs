//! Builds tenants. Every setting has a default that makes a quick, honest tenant of 20 calls a second.

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use crate::model::Timestamp;

use super::data::DataError;
use super::fault::FaultRule;
use super::ledger::CALLS_KEPT;
use super::limit::{Quota, Rates};
use super::query::{Fate, Ready};
use super::report::MockReport;
use super::running::RunningMock;
use super::settings::{Licence, Outage, Permission, RateLimitHeaders, RetryAfter, Settings, TokenOutage};
use super::tenant::Tenant;
use super::tls::Tls;
use super::token::{ExpiresIn, TokenSettings};

/// The way to a mock tenant: its settings, then [`start`](MockTenantBuilder::start) for one that listens on a port of
/// loopback, or [`build`](MockTenantBuilder::build) for the heart alone. [The module](super) has an example.
#[derive(Debug)]
pub struct MockTenant;

impl MockTenant {
    /// Starts with the defaults.
    pub fn builder() -> MockTenantBuilder {
        MockTenantBuilder::default()
    }
}

/// Collects a tenant's settings.
#[derive(Clone, Debug)]
pub struct MockTenantBuilder {
    settings: Settings,
    port: u16,
}

impl Default for MockTenantBuilder {
    fn default() -> Self {
        let token = TokenSettings {
            client: None,
            life: Duration::from_secs(3600),
            expires_in: ExpiresIn::Right,
            scopes: None,
            refresh: false,
            refuse_refresh: false,
            rotate: true,
            reuse_revokes: false,
            error: None,
            text: None,
        };
        let settings = Settings {
            seed: 1,
            salt: 0,
            reports: HashMap::new(),
            default_report: Some(MockReport::default()),
            rates: Rates::constant(20.0),
            quotas: Vec::new(),
            block: Duration::from_secs(15 * 60),
            retry_after: RetryAfter::Seconds,
            rate_limit_headers: RateLimitHeaders::None,
            max_open_queries: usize::MAX,
            licence: Licence::default(),
            lacks: Vec::new(),
            json_kind: None,
            query_life: Duration::from_secs(24 * 3600),
            remembers_queries: false,
            ready: Ready::Between(Duration::ZERO, Duration::ZERO),
            latency: Duration::ZERO,
            latency_spread: Duration::ZERO,
            token_path: "/oauth2/token".into(),
            token,
            revocations: Vec::new(),
            token_delay: Duration::ZERO,
            token_outages: Vec::new(),
            outages: Vec::new(),
            fates: HashMap::new(),
            fates_of: HashMap::new(),
            every_fate: None,
            faults: Vec::new(),
            wall_start: None,
            skew_ms: 0,
            strict: false,
            ledger_keeps: CALLS_KEPT,
            tls: None,
        };
        Self { settings, port: 0 }
    }
}

impl MockTenantBuilder {
    pub(super) fn set(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings);
        self
    }

    /// What data, tokens and latencies are drawn from. Default 1.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        self.set(|s| s.seed = seed)
    }

    /// The result of one template.
    #[must_use]
    pub fn report(self, template_id: &str, report: MockReport) -> Self {
        self.set(|s| {
            s.reports.insert(template_id.to_owned(), report);
        })
    }

    /// The result of every template not named otherwise.
    #[must_use]
    pub fn default_report(self, report: MockReport) -> Self {
        self.set(|s| s.default_report = Some(report))
    }

    /// Refuses templates that were not named.
    #[must_use]
    pub fn only_named_reports(self) -> Self {
        self.set(|s| s.default_report = None)
    }

    /// Calls allowed in any sliding second; infinity for no limit. Default 20.
    #[must_use]
    pub fn requests_per_second(self, calls: f64) -> Self {
        self.set(|s| s.rates.change(Duration::ZERO, calls))
    }

    /// Calls allowed in any sliding second from that moment on, until the next such change. What was called before
    /// counts: a second that is full by the new number stays closed until it is not.
    #[must_use]
    pub fn requests_per_second_from(self, from: Duration, calls: f64) -> Self {
        self.set(|s| s.rates.change(from, calls))
    }

    /// Allows no more than so many calls within any such time, besides what a second allows. There may be several.
    #[must_use]
    pub fn quota(self, calls: usize, per: Duration) -> Self {
        self.set(|s| s.quotas.push(Quota { calls, per }))
    }

    /// How long a client is blocked that keeps calling while told to wait. Default 15 minutes.
    #[must_use]
    pub fn block_for(self, block: Duration) -> Self {
        self.set(|s| s.block = block)
    }

    /// The form in which waits are told. Default seconds.
    #[must_use]
    pub fn retry_after(self, form: RetryAfter) -> Self {
        self.set(|s| s.retry_after = form)
    }

    /// Sends `X-RateLimit-*` with every answer.
    #[must_use]
    pub fn rate_limit_headers(self) -> Self {
        self.rate_limit_style(RateLimitHeaders::Prefixed)
    }

    /// Tells of its quotas in that form with every answer. Default not at all.
    #[must_use]
    pub fn rate_limit_style(self, style: RateLimitHeaders) -> Self {
        self.set(|s| s.rate_limit_headers = style)
    }

    /// How many queries may be open at once; more are a 429 on submission. Default no limit.
    #[must_use]
    pub fn max_open_queries(self, most: usize) -> Self {
        self.set(|s| s.max_open_queries = most)
    }

    /// What the licence allows a submission to ask for; more is a 403. Default everything.
    #[must_use]
    pub fn licence(self, licence: Licence) -> Self {
        self.set(|s| s.licence = licence)
    }

    /// The client lacks that permission: calls that need it are a 403. There may be several.
    #[must_use]
    pub fn lacks(self, permission: Permission) -> Self {
        self.set(|s| s.lacks.push(permission))
    }

    /// Accepts a submission without `format`, and serves it the JSON kind: each page takes so much longer to convert,
    /// every third or so call for one is a 504, and characters beyond ASCII come damaged. Default: refused with a 422.
    #[must_use]
    pub fn json_kind(self, convert: Duration) -> Self {
        self.set(|s| s.json_kind = Some(convert))
    }

    /// How long a query lives after its submission. Default a day.
    #[must_use]
    pub fn query_life(self, life: Duration) -> Self {
        self.set(|s| s.query_life = life)
    }

    /// Serves queries of an earlier tenant with the same reports, as after a restart of the machine.
    #[must_use]
    pub fn remembers_queries(self) -> Self {
        self.set(|s| s.remembers_queries = true)
    }

    /// Goes into query ids, so that two tenants of one seed give different ones. A started tenant takes the time.
    #[must_use]
    pub fn id_salt(self, salt: u64) -> Self {
        self.set(|s| s.salt = salt)
    }

    /// How long a query takes: a quarter queued, the rest running. Default none.
    #[must_use]
    pub fn ready_after(self, after: Duration) -> Self {
        self.ready(Ready::Between(after, after))
    }

    /// How long a query takes, drawn or by the number of its rows.
    #[must_use]
    pub fn ready(self, ready: Ready) -> Self {
        self.set(|s| s.ready = ready)
    }

    /// How long every answer takes. Default none.
    #[must_use]
    pub fn latency(self, latency: Duration) -> Self {
        self.set(|s| s.latency = latency)
    }

    /// How much longer an answer may take, at random.
    #[must_use]
    pub fn latency_spread(self, spread: Duration) -> Self {
        self.set(|s| s.latency_spread = spread)
    }

    /// Where tokens are to be had. Default `/oauth2/token`.
    #[must_use]
    pub fn token_path(self, path: &str) -> Self {
        self.set(|s| s.token_path = path.to_owned())
    }

    /// The one client that gets tokens. Default: whoever names any credentials.
    #[must_use]
    pub fn client(self, id: &str, secret: &str) -> Self {
        self.set(|s| s.token.client = Some((id.to_owned(), secret.to_owned())))
    }

    /// How long a token lives in truth. Default an hour.
    #[must_use]
    pub fn token_life(self, life: Duration) -> Self {
        self.set(|s| s.token.life = life)
    }

    /// What the token answer says of its life.
    #[must_use]
    pub fn expires_in(self, said: ExpiresIn) -> Self {
        self.set(|s| s.token.expires_in = said)
    }

    /// The scopes a client may ask for. Default all.
    #[must_use]
    pub fn scopes(self, scopes: &[&str]) -> Self {
        self.set(|s| s.token.scopes = Some(scopes.iter().map(|&scope| scope.to_owned()).collect()))
    }

    /// Gives no refresh tokens, whatever was said before. The default.
    #[must_use]
    pub fn no_refresh_tokens(self) -> Self {
        self.set(|s| {
            let token = &mut s.token;
            (token.refresh, token.rotate, token.reuse_revokes, token.refuse_refresh) = (false, true, false, false);
        })
    }

    /// Gives refresh tokens, each good for one renewal.
    #[must_use]
    pub fn refresh_tokens(self) -> Self {
        self.set(|s| s.token.refresh = true)
    }

    /// Gives refresh tokens and then refuses them.
    #[must_use]
    pub fn refuse_refresh(self) -> Self {
        self.set(|s| (s.token.refresh, s.token.refuse_refresh) = (true, true))
    }

    /// Gives one refresh token for each sign-in, which stays good: a renewal brings none.
    #[must_use]
    pub fn refresh_without_rotation(self) -> Self {
        self.set(|s| (s.token.refresh, s.token.rotate) = (true, false))
    }

    /// Gives refresh tokens, each good for one renewal. Who shows one a second time loses every token, of either kind,
    /// that came of the same sign-in.
    #[must_use]
    pub fn reuse_revokes_family(self) -> Self {
        self.set(|s| (s.token.refresh, s.token.reuse_revokes) = (true, true))
    }

    /// Is without tokens for a while, and otherwise in service.
    #[must_use]
    pub fn token_outage(self, outage: TokenOutage) -> Self {
        self.set(|s| s.token_outages.push(outage))
    }

    /// How much longer the answers of the token endpoint take. Default none.
    #[must_use]
    pub fn token_delay(self, delay: Duration) -> Self {
        self.set(|s| s.token_delay = delay)
    }

    /// Refuses every token with that error, as in `invalid_client`.
    #[must_use]
    pub fn token_error(self, error: &str) -> Self {
        self.set(|s| s.token.error = Some(error.to_owned()))
    }

    /// Every access token is this text.
    #[must_use]
    pub fn token_text(self, text: &str) -> Self {
        self.set(|s| s.token.text = Some(text.to_owned()))
    }

    /// Takes back, at that moment, every token issued before.
    #[must_use]
    pub fn revoke_tokens_at(self, at: Duration) -> Self {
        self.set(|s| s.revocations.push(at))
    }

    /// Is out of service for a while.
    #[must_use]
    pub fn outage(self, outage: Outage) -> Self {
        self.set(|s| s.outages.push(outage))
    }

    /// What becomes of the nth query, from 0.
    #[must_use]
    pub fn fate(self, nth: usize, fate: Fate) -> Self {
        self.set(|s| {
            s.fates.insert(nth, fate);
        })
    }

    /// What becomes of every query of that template without a fate of its own.
    #[must_use]
    pub fn fate_of(self, template_id: &str, fate: Fate) -> Self {
        self.set(|s| {
            s.fates_of.insert(template_id.to_owned(), fate);
        })
    }

    /// What becomes of every query without a fate of its own or its template's.
    #[must_use]
    pub fn every_fate(self, fate: Fate) -> Self {
        self.set(|s| s.every_fate = Some(fate))
    }

    /// Adds a fault rule; earlier ones come first.
    #[must_use]
    pub fn fault(self, rule: FaultRule) -> Self {
        self.set(|s| s.faults.push(rule))
    }

    /// The tenant's wall clock at its start. Default 2024-02-01, for a started tenant the machine's time.
    #[must_use]
    pub fn wall_start(self, start: Timestamp) -> Self {
        self.set(|s| s.wall_start = Some(start))
    }

    /// How many milliseconds the tenant's wall clock is ahead, or behind if it is less than 0. Default none.
    #[must_use]
    pub fn clock_skew(self, milliseconds: i64) -> Self {
        self.set(|s| s.skew_ms = milliseconds)
    }

    /// Panics when a started tenant is dropped that was called while it had told to wait, and names the calls.
    #[must_use]
    pub fn strict(self) -> Self {
        self.set(|s| s.strict = true)
    }

    /// Takes that back: for whoever reads the verdict and goes on.
    #[must_use]
    pub(crate) fn not_strict(self) -> Self {
        self.set(|s| s.strict = false)
    }

    /// How many calls the ledger keeps at least; it holds a quarter more at most. What it no longer keeps still counts in
    /// verdict and scorecard. Default a million.
    #[must_use]
    pub fn ledger_keeps(self, calls: usize) -> Self {
        self.set(|s| s.ledger_keeps = calls)
    }

    /// Speaks TLS, with that kind of certificate. Default plain HTTP. A tenant that is served by other means than
    /// [`start`](Self::start) or a host does not speak it.
    #[must_use]
    pub fn tls(self, tls: Tls) -> Self {
        self.set(|s| s.tls = Some(tls))
    }

    /// The same tenant with data, tokens and latencies of its own: the nth of several that are otherwise alike.
    #[must_use]
    pub fn one_of_several(self, nth: u64) -> Self {
        self.set(|s| s.seed = s.seed.wrapping_add(nth))
    }

    /// Changes the result of every template not named otherwise. Where those are refused, they stay refused.
    #[must_use]
    pub fn change_default_report(self, change: impl FnOnce(&mut MockReport)) -> Self {
        self.set(|s| {
            if let Some(report) = &mut s.default_report {
                change(report)
            }
        })
    }

    /// Whether templates that were not named have a result.
    pub fn has_default_report(&self) -> bool {
        self.settings.default_report.is_some()
    }

    /// Whether the reports can be had as they are described.
    ///
    /// # Errors
    /// Names what can't.
    pub fn check(&self) -> Result<(), DataError> {
        self.settings.reports.values().chain(&self.settings.default_report).try_for_each(MockReport::check)
    }

    /// The port to listen on; 0, the default, lets the system choose.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Calls allowed in a second at its start; infinity for no limit.
    pub fn allowed_per_second(&self) -> f64 {
        self.settings.rates.at(Duration::ZERO)
    }

    /// The calls allowed in a second, each from that time since its start on; infinity for no limit.
    pub fn rate_steps(&self) -> Vec<(Duration, f64)> {
        self.settings.rates.steps().to_vec()
    }

    /// So many calls in a second from its start to its end, whatever steps there were.
    #[must_use]
    pub fn only_requests_per_second(self, calls: f64) -> Self {
        self.set(|s| s.rates = Rates::constant(calls))
    }

    /// The templates whose reports were named, sorted.
    pub fn templates(&self) -> Vec<String> {
        let mut templates: Vec<_> = self.settings.reports.keys().cloned().collect();
        templates.sort_unstable();
        templates
    }

    /// How many queries it lets be open at once; none for no limit.
    pub fn most_open_queries(&self) -> Option<usize> {
        Some(self.settings.max_open_queries).filter(|most| *most != usize::MAX)
    }

    /// The heart alone, for simulation.
    pub fn build(self) -> Tenant {
        Tenant::new(self.settings)
    }

    /// Listens on loopback, from a thread of its own.
    ///
    /// # Errors
    /// If the port can't be had.
    pub fn start(self) -> io::Result<RunningMock> {
        RunningMock::start(self.port, self.into_started())
    }

    /// The tenant on the machine's time.
    pub(super) fn into_started(mut self) -> Tenant {
        let wall = crate::model::WallClock::system().now();
        self.settings.wall_start.get_or_insert(wall);
        if self.settings.salt == 0 {
            self.settings.salt = wall.0.cast_unsigned();
        }
        Tenant::new(self.settings)
    }

    pub(super) fn own_port(&self) -> u16 {
        self.port
    }

    pub(super) fn speaks_tls(&self) -> bool {
        self.settings.tls.is_some()
    }
}
