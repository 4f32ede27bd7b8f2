//! The heart of the mock: one pure function from a request and the present moment to a script.
//!
//! `now` is the time since the tenant's start and comes from outside, so that the same tenant stands behind a TCP port
//! or in a simulated network. Nothing here reads a clock, sleeps, or touches a socket.

use std::sync::Arc;
use std::time::Duration;

use crate::model::{Timestamp, Window};

use super::data::mix;
use super::desk::Records;
use super::expected::Expected;
use super::fault::{Fault, FaultBook, FaultRule, Target};
use super::ledger::{Asked, CallKind, Ledger, LedgerEntry, Refused};
use super::limit::{Admission, Limiter};
use super::mangle::{instead, mangle};
use super::query::{Fate, MockQuery, QueryBook};
use super::request::{Call, MockRequest, harmless_id};
use super::script::{BodyPlan, Script, StreamFault};
use super::settings::{Outage, OutageKind, Permission, RateLimitHeaders, RetryAfter, Settings, TokenTrouble};
use super::surprise::{Surprise, Surprises};
use super::token::TokenOffice;
use super::told::{http_date, tell_quotas, wait_in, wait_lines, whole_seconds};
use super::verdict::Verdict;

/// 2024-02-01T00:00:00Z: the wall clock of tenants that were given none.
const WALL_START: Timestamp = Timestamp(1_706_745_600_000);

/// An outage without an end is reckoned with as one of a hundred years.
const LONGEST_SILENCE: Duration = Duration::from_secs(36_500 * 86_400);

/// A tenant.
pub struct Tenant {
    pub(super) settings: Settings,
    pub(super) queries: QueryBook,
    tokens: TokenOffice,
    limiter: Limiter,
    surprises: Surprises,
    faults: FaultBook,
    ledger: Ledger,
    /// Since when the ledger counts.
    counts_since: Duration,
}

/// What a decision leaves in the ledger beside the script.
#[derive(Default)]
pub(super) struct Remarks {
    pub(super) generation: Option<u64>,
    pub(super) query: Option<String>,
    pub(super) asked: Option<Asked>,
    pub(super) refused: Option<Refused>,
    surprise: Option<Surprise>,
    told_to_wait: bool,
    dead_token: bool,
    faulted: bool,
    spoiled: bool,
}

impl Tenant {
    pub(super) fn new(settings: Settings) -> Self {
        let mut faults = FaultBook::default();
        settings.faults.iter().cloned().for_each(|rule| faults.add(rule));
        Self {
            tokens: TokenOffice::new(settings.token.clone(), settings.seed, settings.revocations.clone()),
            limiter: Limiter::new(settings.rates.clone(), settings.quotas.clone(), settings.block),
            surprises: Surprises::default(),
            faults,
            queries: QueryBook::default(),
            counts_since: Duration::ZERO,
            ledger: Ledger::keeping(settings.ledger_keeps).against(settings.rates.clone()),
            settings,
        }
    }

    /// Decides what to answer to a request whose head arrived at `now`.
    pub fn answer(&mut self, request: &MockRequest, now: Duration) -> Script {
        let call = Call::read(request, &self.settings.token_path);
        let mut remarks = Remarks::default();
        let mut script = self.decide(request, &call, now, &mut remarks);
        script.delay += self.latency();
        if call.kind == CallKind::Token {
            script.delay += self.settings.token_delay;
        }
        script.entry = self.ledger.next_place();
        self.remember_wait(&script, now);
        script.set("Date", &http_date(self.wall(now + script.delay), &RetryAfter::HttpDate));
        tell_quotas(&mut script, self.settings.rate_limit_headers, &self.limiter.standings(now));
        let query = remarks.query.or(call.query.map(|id| harmless_id(&id).to_owned()));
        let rows = if let BodyPlan::Generated(page) = &script.body { page.n_rows() } else { 0 };
        let entry = LedgerEntry {
            at: now,
            kind: call.kind,
            path: self.ledger.shared(&call.path),
            query: query.map(|id| self.ledger.shared(&id)),
            page: call.page,
            status: script.status_sent(),
            told_to_wait: remarks.told_to_wait,
            refused: remarks.refused,
            surprise: remarks.surprise,
            asked: remarks.asked.map(Arc::new),
            generation: remarks.generation,
            dead_token: remarks.dead_token,
            bytes: 0,
            rows,
            ended: None,
            broke_off: false,
            faulted: remarks.faulted,
            spoiled: remarks.spoiled,
        };
        self.ledger.open(entry);
        script
    }

    fn decide(&mut self, request: &MockRequest, call: &Call, now: Duration, remarks: &mut Remarks) -> Script {
        // Who is out of service refuses nobody for haste, and still sees who was told to wait.
        remarks.told_to_wait = self.limiter.is_offence(now);
        if let Some(outage) = self.outage(now) {
            let mut script = Script::refusal(503, "out of service");
            match outage.kind {
                OutageKind::Reset => script.fault = Some(StreamFault::Reset),
                OutageKind::Unavailable => {}
                OutageKind::Silent => {
                    script.fault = Some(StreamFault::NoAnswer);
                    script.delay = (outage.to - now).min(LONGEST_SILENCE);
                }
            }
            return script;
        }
        match self.limiter.admit(now) {
            Admission::Admitted => {}
            Admission::TooFast(wait) => {
                remarks.refused = Some(Refused::TooFast);
                let are_told = self.settings.rate_limit_headers != RateLimitHeaders::None;
                let standings = self.limiter.standings(now);
                remarks.surprise = self.surprises.judge(now, self.limiter.rates(), &standings, are_told);
                return self.throttled(429, wait, now, "too many requests");
            }
            Admission::Waiting { rest, .. } => {
                remarks.refused = Some(Refused::Waiting);
                return self.throttled(429, rest, now, "told to wait");
            }
        }
        let query = call.query.as_deref().and_then(|id| self.find_query(id, now));
        let fault = self.faults.meet(target(call, query, &self.queries, now));
        remarks.faulted = fault.is_some();
        remarks.spoiled = fault.as_ref().is_some_and(Fault::spoils_the_result);
        if let Some(Fault::Wait { code, wait, form }) = &fault {
            return self.throttled_as(form.as_ref(), *code, *wait, now, "told to wait");
        }
        if let Some(script) = fault.as_ref().and_then(instead) {
            return script;
        }
        let mut script = match call.kind {
            CallKind::Token => {
                if let Some(script) = self.token_trouble(now) {
                    remarks.faulted = true;
                    return script;
                }
                let (script, generation) = self.tokens.answer(request, now);
                remarks.generation = generation;
                self.write_lives_down();
                script
            }
            CallKind::Other => Script::refusal(404, "no such resource"),
            _ => match self.tokens.judge(request, now) {
                Some((generation, true)) => {
                    remarks.generation = Some(generation);
                    self.serve(request, call, query, fault.as_ref(), now, remarks)
                }
                judged => {
                    remarks.generation = judged.map(|(generation, _)| generation);
                    remarks.dead_token = judged.is_some();
                    let mut script = Script::refusal(401, "the access token is missing, unknown or expired");
                    script.set("WWW-Authenticate", "Bearer error=\"invalid_token\"");
                    script
                }
            },
        };
        if let Some(fault) = fault {
            mangle(&mut script, fault);
        }
        script
    }

    /// What stands in for the token endpoint while it is out on its own.
    fn token_trouble(&self, now: Duration) -> Option<Script> {
        let outage = self.settings.token_outages.iter().find(|o| (o.from..o.to).contains(&now))?;
        Some(match outage.kind {
            TokenTrouble::Status(status) => Script::refusal(status, "the token endpoint is out of service"),
            TokenTrouble::Wait(status, wait) => self.throttled(status, wait, now, "the token endpoint is busy"),
            TokenTrouble::Reset => {
                let mut script = Script::refusal(503, "the token endpoint is out of service");
                script.fault = Some(StreamFault::Reset);
                script
            }
        })
    }

    fn serve(
        &mut self,
        request: &MockRequest,
        call: &Call,
        query: Option<usize>,
        fault: Option<&Fault>,
        now: Duration,
        remarks: &mut Remarks,
    ) -> Script {
        let (needed, scope) = match call.kind {
            CallKind::Submit => (Permission::QueryExecute, "query execute"),
            CallKind::Status => (Permission::QueryRead, "query read"),
            _ => (Permission::ResultsRead, "results read"),
        };
        if self.settings.lacks.contains(&needed) {
            return Script::refusal(403, &format!("the client lacks the permission: {scope}"));
        }
        match call.kind {
            CallKind::Submit => self.submit(request, now, remarks),
            CallKind::Status => self.status(query, now),
            _ => self.page(request, call, query, fault, now),
        }
    }

    /// A refusal that names a wait, in the form this tenant uses.
    pub(super) fn throttled(&self, status: u16, wait: Duration, now: Duration, message: &str) -> Script {
        self.throttled_as(None, status, wait, now, message)
    }

    fn throttled_as(
        &self,
        form: Option<&RetryAfter>,
        status: u16,
        wait: Duration,
        now: Duration,
        message: &str,
    ) -> Script {
        let mut script = Script::refusal(status, message);
        let until = self.wall(now + self.settings.latency).plus(Duration::from_secs(whole_seconds(wait)));
        for line in wait_lines(form.unwrap_or(&self.settings.retry_after), wait, until) {
            script.headers.push(("Retry-After".to_owned(), line));
        }
        script
    }

    // Whoever was told a wait is held to it, whether the limit or a fault rule told it.
    fn remember_wait(&mut self, script: &Script, now: Duration) {
        if !matches!(script.status_sent(), 429 | 503) {
            return;
        }
        let sent = now + script.delay;
        if let Some(wait) = wait_in(script, self.wall(sent)) {
            self.limiter.told_to_wait(sent, wait, script.entry);
        }
    }

    fn latency(&self) -> Duration {
        let spread = self.settings.latency_spread;
        let draw = mix(self.settings.seed ^ mix(self.ledger.next_place() as u64)) % 1024;
        self.settings.latency + spread * draw as u32 / 1024
    }

    fn outage(&self, now: Duration) -> Option<Outage> {
        self.settings.outages.iter().copied().find(|o| (o.from..o.to).contains(&now))
    }

    /// Whether a connection made now is to be reset, unless it is for the desk.
    pub fn refuses_connections(&self, now: Duration) -> bool {
        self.outage(now).is_some_and(|outage| outage.kind == OutageKind::Reset)
    }

    /// The tenant's own wall clock.
    pub fn wall(&self, now: Duration) -> Timestamp {
        let Timestamp(wall) = self.settings.wall_start.unwrap_or(WALL_START).plus(now);
        Timestamp(wall.saturating_add(self.settings.skew_ms))
    }

    /// How long a request is left unread behind its head, which has just arrived.
    pub(super) fn stops_reading(&mut self, request: &MockRequest, now: Duration) -> Option<Duration> {
        let call = Call::read(request, &self.settings.token_path);
        let query = call.query.as_deref().and_then(|id| self.find_query(id, now));
        self.faults.stops_reading(target(&call, query, &self.queries, now))
    }

    /// What is answered from now on may have waited so long before it was read, by no fault of the client's.
    pub(super) fn reads_late(&mut self, lag: Duration) {
        self.limiter.reads_late(lag);
    }

    /// A fault had a hand in that answer before it was decided.
    pub(super) fn had_a_hand_in(&mut self, entry: usize) {
        if let Some(entry) = self.ledger.entry(entry) {
            entry.faulted = true;
        }
    }

    /// That answer ended before its head did.
    pub(super) fn unanswered(&mut self, entry: usize) {
        if let Some(entry) = self.ledger.entry(entry) {
            entry.status = 0;
        }
    }

    /// A face takes an answer up, and will report its end: a wait in it is not told before.
    pub fn sending(&mut self, entry: usize) {
        self.limiter.still_sending(entry);
    }

    /// A face reports the end of an answer.
    pub fn ended(&mut self, entry: usize, bytes: u64, now: Duration) {
        self.limiter.sent(entry, now);
        if let Some(entry) = self.ledger.entry(entry) {
            entry.bytes = bytes;
            entry.ended = Some(now);
        }
    }

    /// A face reports that an answer did not come to its end. Nobody knows whether a wait in it was read.
    pub fn broke_off(&mut self, entry: usize, bytes: u64, now: Duration) {
        self.limiter.lost(entry);
        if let Some(entry) = self.ledger.entry(entry) {
            entry.bytes = bytes;
            entry.ended = Some(now);
            entry.broke_off = true;
        }
    }

    /// What it was asked so far.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// A copy of what it has written down, for whoever counts without holding it up.
    pub(super) fn records(&self, now: Duration) -> Records {
        Records {
            since: self.counts_since,
            now,
            ledger: self.ledger.clone(),
            rates: self.limiter.rates().clone(),
            pages_to_read: self.queries.iter().map(|query| self.pages_to_read(query)).collect(),
            queries: self.queries.to_vec(),
            query_life: self.settings.query_life,
        }
    }

    /// The last page that a client needs; 0 before the end was shown, when there is nothing to hold against it.
    fn pages_to_read(&self, query: &MockQuery) -> u64 {
        let report = self.settings.report(&query.template).filter(|_| query.read_to_end);
        report.map_or(0, |report| report.pages_to_read(query.page_size))
    }

    /// Forgets every call, as if counting began at `now`. Limits, tokens and queries stay as they are.
    pub fn forget_ledger(&mut self, now: Duration) {
        self.ledger.forget();
        self.counts_since = now;
    }

    /// What the ledger comes to, held against the rates that this tenant allows.
    pub fn verdict(&self) -> Verdict {
        Verdict::over(&self.ledger, self.limiter.rates())
    }

    /// The queries it accepted, in order.
    pub fn queries(&self) -> &[MockQuery] {
        &self.queries
    }

    /// Adds a rule behind those there are.
    pub fn add_fault(&mut self, rule: FaultRule) {
        self.faults.add(rule);
    }

    /// Drops every rule.
    pub fn clear_faults(&mut self) {
        self.faults.clear();
    }

    /// Makes its nth query (from 0) expire at once.
    pub fn expire_query(&mut self, nth: usize) {
        if let Some(query) = self.queries.get_mut(nth) {
            query.expired = true;
        }
    }

    /// Gives its nth query (from 0) another fate, or none.
    pub fn change_fate(&mut self, nth: usize, fate: Option<Fate>) {
        self.queries.change_fate(nth, fate);
    }

    /// Takes back every token issued before `now`.
    pub fn revoke_tokens(&mut self, now: Duration) {
        self.tokens.revoke(now);
        self.write_lives_down();
    }

    /// Tells the ledger of the tokens that are new, or of all of them where some were taken back.
    fn write_lives_down(&mut self) {
        if self.tokens.took_back() {
            self.ledger.set_token_lives(self.tokens.lives(0));
        } else {
            let known = self.ledger.tokens_known();
            self.ledger.add_token_lives(self.tokens.lives(known));
        }
    }

    /// Refuses every further token with that error, as in `invalid_client`; none grants them again.
    pub fn refuse_tokens(&mut self, error: Option<&str>) {
        self.tokens.settings_mut().error = error.map(str::to_owned);
    }

    /// The file for the windows that were submitted for `template`, each once, in order of time: what a report without
    /// parts and one split into parts must both come to. Empty before any submission.
    pub fn expected(&self, template: &str) -> Expected {
        let mut windows: Vec<Window> =
            self.queries.iter().filter(|q| q.template == template).map(|q| q.window).collect();
        windows.sort_unstable_by_key(|w| (w.from, w.to));
        windows.dedup();
        self.expected_of(template, &windows)
    }

    /// The file for one window, submitted or not.
    pub fn expected_for(&self, template: &str, window: Window) -> Expected {
        self.expected_of(template, &[window])
    }

    fn expected_of(&self, template: &str, windows: &[Window]) -> Expected {
        let report = self.settings.report(template).cloned().unwrap_or_default();
        let sources = windows.iter().map(|&window| report.source(self.settings.seed, template, window)).collect();
        Expected::new(report, sources)
    }

    /// The bytes of [`Tenant::expected`].
    pub fn expected_csv(&self, template: &str) -> Vec<u8> {
        self.expected(template).bytes()
    }
}

fn target<'a>(call: &Call, query: Option<usize>, queries: &'a [MockQuery], at: Duration) -> Target<'a> {
    let template = query.map(|nth| queries[nth].template.as_str());
    Target { kind: call.kind, page: call.page, query_nth: query, template, at }
}
