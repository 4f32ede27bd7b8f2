//! What a ledger comes to: the figures that say whether a client was quick, fair and never a burden.
//!
//! Everything here is counted from the ledger alone, after the fact. Moments are those of a call's arrival, so that a
//! figure judges when the client chose to call and not how long the answer took.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::ledger::{CallKind, Ledger, TokenLife};
use super::limit::Rates;
use super::tally::{Peaks, Tally};

/// How long the pages of several queries may take to find their shares.
const SETTLING: Duration = Duration::from_secs(5);

const SECOND: Duration = Duration::from_secs(1);

/// Reading that lasted less says nothing about how the rate is used: a second's calls may come at once.
const LEAST_READING: Duration = Duration::from_secs(5);

/// The pages that each query got within one second.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FairSecond {
    /// The second's beginning, since the tenant's start. In JSON `from_ms`, in milliseconds.
    #[serde(rename = "from_ms", serialize_with = "milliseconds")]
    pub from: Duration,
    /// Pages served, by query. Only queries are here that were being read before this second and after it.
    pub pages: BTreeMap<String, usize>,
}

fn milliseconds<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u128(time.as_millis())
}

impl FairSecond {
    /// The fewest pages that a query got.
    pub fn least(&self) -> usize {
        self.pages.values().copied().min().unwrap_or(0)
    }

    /// The most pages that a query got.
    pub fn most(&self) -> usize {
        self.pages.values().copied().max().unwrap_or(0)
    }

    /// Whether the most and the least served differ by no more than that share of the most, or by that many pages.
    pub fn is_fair(&self, share: f64, pages: usize) -> bool {
        let apart = self.most() - self.least();
        apart <= pages || apart as f64 <= share * self.most() as f64
    }
}

/// A client's conduct in figures.
///
/// A tenant gives it at any time, also while it is being called, and as text it is a few lines for people. What a test
/// asks of any client: no `calls_while_told_to_wait`, no `duplicate_submissions`, no `pages_served_again`; of a quick
/// one also much of `budget_used`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// Calls of every kind.
    pub calls: usize,
    /// The most calls within any sliding second.
    pub most_in_any_second: usize,
    /// Calls made while the client was told to wait.
    pub calls_while_told_to_wait: usize,
    /// Refusals for haste: 429 because a rate or a quota was used up, by no fault rule's doing.
    pub refused_too_fast: usize,
    /// Refusals because a wait was running, also of calls that were under way as it was told.
    pub refused_waiting: usize,
    /// Refusals because too many queries were open.
    pub refused_open_queries: usize,
    /// The share used of what the rate allowed, from the first page served to the last one; none where these are less
    /// than five seconds apart.
    pub budget_used: Option<f64>,
    /// Pages served whole.
    pub pages_served: usize,
    /// Pages served whole once more after they had been, with no fault in either answer.
    pub pages_served_again: usize,
    /// The most page requests under way at once.
    pub most_pages_under_way: usize,
    /// The least fair second after the first five of reading, by pages between the most and the least served.
    pub least_fair_second: Option<FairSecond>,
    /// Queries accepted beyond the first one for the same template, window, filters and page size.
    pub duplicate_submissions: usize,
    /// The share of calls that were for no page.
    pub control_share: f64,
    /// Calls of the token endpoint.
    pub token_calls: usize,
    /// Tokens issued.
    pub tokens_issued: usize,
    /// The most calls of the token endpoint within the life of one token, without the call that got it.
    pub most_token_calls_in_a_life: usize,
    /// The most tokens issued within the life of one token, without itself.
    pub most_tokens_in_a_life: usize,
    /// Calls with a token that had run out or was taken back.
    pub dead_token_calls: usize,
}

impl Verdict {
    /// Judges a ledger, for a tenant that allows so many calls a second throughout.
    pub fn of(ledger: &Ledger, requests_per_second: f64) -> Self {
        Self::over(ledger, &Rates::constant(requests_per_second))
    }

    pub(super) fn over(ledger: &Ledger, rates: &Rates) -> Self {
        Self::from_sums(ledger, &ledger.tally(), ledger.peaks(), rates)
    }

    pub(super) fn from_sums(ledger: &Ledger, tally: &Tally, peaks: Peaks, rates: &Rates) -> Self {
        let control = tally.calls - tally.of_kind(CallKind::Page);
        let budget = |(from, to, let_in): (Duration, Duration, usize)| {
            (to - from >= LEAST_READING).then(|| share(let_in, rates.allowed(from, to))).flatten()
        };
        Self {
            calls: tally.calls,
            most_in_any_second: peaks.calls_in_any_second,
            calls_while_told_to_wait: tally.told_to_wait,
            refused_too_fast: tally.too_fast,
            refused_waiting: tally.waiting,
            refused_open_queries: tally.open_queries,
            budget_used: tally.reading().and_then(budget),
            pages_served: tally.pages_served,
            pages_served_again: tally.pages_served_again,
            most_pages_under_way: peaks.pages_under_way,
            least_fair_second: peaks.least_fair_second,
            duplicate_submissions: tally.duplicate_submissions,
            control_share: if tally.calls == 0 { 0.0 } else { control as f64 / tally.calls as f64 },
            token_calls: tally.of_kind(CallKind::Token),
            tokens_issued: ledger.token_lives().len(),
            most_token_calls_in_a_life: ledger.most_token_calls_in_a_life(),
            most_tokens_in_a_life: ledger.most_tokens_in_a_life(),
            dead_token_calls: tally.dead_token_calls,
        }
    }
}

/// So many calls as a share of those that were allowed; none where nothing was.
fn share(calls: usize, allowed: f64) -> Option<f64> {
    (allowed > 0.0).then(|| calls as f64 / allowed)
}

impl Ledger {
    /// The calls between two moments that were let in, as a share of what the rate allows in that time. The later
    /// moment is not included. None where nothing is allowed.
    pub fn budget_used(&self, from: Duration, to: Duration, requests_per_second: f64) -> Option<f64> {
        let let_in = self.iter().filter(|e| e.refused.is_none() && (from..to).contains(&e.at)).count();
        share(let_in, Rates::constant(requests_per_second).allowed(from, to))
    }

    /// The same from the first page served to the last one; none where these are less than five seconds apart.
    pub fn budget_used_while_reading(&self, requests_per_second: f64) -> Option<f64> {
        let (from, to) = self.reading().filter(|(from, to)| *to - *from >= LEAST_READING)?;
        self.budget_used(from, to, requests_per_second)
    }

    /// When the first and the last page were asked for that were served.
    fn reading(&self) -> Option<(Duration, Duration)> {
        let served = self.iter().filter(|e| e.is_page_served()).map(|e| e.at);
        Some((served.clone().min()?, served.max()?))
    }

    /// The pages that each query got in each whole second since a moment. A query counts in the seconds that lie
    /// between its first page and its last one; seconds in which none does are left out.
    pub fn fair_seconds(&self, since: Duration) -> Vec<FairSecond> {
        let mut served: HashMap<&str, Vec<Duration>> = HashMap::new();
        for entry in self.iter().filter(|e| e.is_page_served()) {
            served.entry(entry.query.as_deref().unwrap_or_default()).or_default().push(entry.at);
        }
        let mut seconds: BTreeMap<Duration, FairSecond> = BTreeMap::new();
        for (query, mut times) in served {
            times.sort_unstable();
            let (first, last) = (times[0], times[times.len() - 1]);
            let skipped = first.saturating_sub(since).as_nanos().div_ceil(SECOND.as_nanos());
            let mut from = since + SECOND * u32::try_from(skipped).unwrap_or(u32::MAX);
            while from + SECOND <= last {
                let within = |moment: Duration| times.partition_point(|&at| at < moment);
                let n_pages = within(from + SECOND) - within(from);
                let second = seconds.entry(from).or_insert(FairSecond { from, pages: BTreeMap::new() });
                second.pages.insert(query.to_owned(), n_pages);
                from += SECOND;
            }
        }
        seconds.into_values().collect()
    }

    /// The second of them in which the queries' shares lay farthest apart, once they had time to find them.
    pub(super) fn least_fair_second(&self) -> Option<FairSecond> {
        let (first, _) = self.reading()?;
        let seconds = self.fair_seconds(first + SETTLING);
        seconds.into_iter().max_by_key(|second| second.most() - second.least())
    }

    /// How many pages were served whole once more after they had been, with no fault in either answer.
    pub fn pages_served_again(&self) -> usize {
        self.tally().pages_served_again
    }

    /// How many queries were accepted beyond the first one for the same template, window, filters and page size.
    pub fn duplicate_submissions(&self) -> usize {
        self.tally().duplicate_submissions
    }

    /// The most calls of the token endpoint within the life of one token, without the call that got it.
    pub fn most_token_calls_in_a_life(&self) -> usize {
        let calls = self.all_token_calls();
        let mut own: HashMap<u64, usize> = HashMap::new();
        for (place, generation) in calls.iter().enumerate().filter_map(|(i, call)| Some((i, call.1?))) {
            own.entry(generation).or_insert(place);
        }
        let in_order = calls.is_sorted_by_key(|(at, _)| *at);
        let within = |(nth, life): (usize, &TokenLife)| {
            // Calls of the same moment that were decided before are not of this life.
            let own = own.get(&(self.first_generation() + nth as u64)).map_or(0, |place| place + 1);
            let (later, is_within) = (&calls[own..], |call: &(Duration, _)| call.0 < life.until);
            // A client that signs in for every call has as many lives as calls.
            if in_order { later.partition_point(is_within) } else { n_where(later, is_within) }
        };
        self.token_lives().iter().enumerate().map(within).max().unwrap_or(0)
    }

    /// The most tokens issued within the life of one token, without itself.
    pub fn most_tokens_in_a_life(&self) -> usize {
        let lives = self.token_lives();
        let in_order = lives.is_sorted_by_key(|life| life.from);
        let within = |(nth, life): (usize, &TokenLife)| {
            let later = &lives[nth + 1..];
            let is_within = |other: &TokenLife| other.from < life.until;
            if in_order { later.partition_point(is_within) } else { n_where(later, is_within) }
        };
        lives.iter().enumerate().map(within).max().unwrap_or(0)
    }
}

fn n_where<T>(all: &[T], is: impl Fn(&T) -> bool) -> usize {
    all.iter().filter(|one| is(one)).count()
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |share: f64| format!("{:.1} %", share * 100.0);
        writeln!(f, "calls: {}, at most {} in any second", self.calls, self.most_in_any_second)?;
        writeln!(f, "calls while told to wait: {}", self.calls_while_told_to_wait)?;
        writeln!(
            f,
            "refused: {} for haste, {} while a wait was running, {} for open queries",
            self.refused_too_fast, self.refused_waiting, self.refused_open_queries
        )?;
        writeln!(f, "rate used while reading: {}", self.budget_used.map_or_else(|| "unknown".to_owned(), percent))?;
        writeln!(
            f,
            "pages: {} served, {} of them again, at most {} under way",
            self.pages_served, self.pages_served_again, self.most_pages_under_way
        )?;
        match &self.least_fair_second {
            Some(second) => writeln!(
                f,
                "least fair second: {} to {} pages for each of {} queries, at {:.1} s",
                second.least(),
                second.most(),
                second.pages.len(),
                second.from.as_secs_f64()
            )?,
            None => writeln!(f, "least fair second: none was long enough after the beginning")?,
        }
        writeln!(
            f,
            "duplicate submissions: {}, control calls: {}",
            self.duplicate_submissions,
            percent(self.control_share)
        )?;
        write!(
            f,
            "tokens: {} issued by {} calls, at most {} calls and {} tokens within one life, {} calls with a dead one",
            self.tokens_issued,
            self.token_calls,
            self.most_token_calls_in_a_life,
            self.most_tokens_in_a_life,
            self.dead_token_calls
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::{MockReport, MockRequest, MockTenant, Tenant};
    use super::*;

    const FORM: &str = "application/x-www-form-urlencoded";

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn token(tenant: &mut Tenant, at: Duration) -> String {
        let form = "grant_type=client_credentials&client_id=i&client_secret=s";
        let answer = tenant.answer(&MockRequest::post("/oauth2/token", FORM, form), at).body_bytes();
        let answer: serde_json::Value = serde_json::from_slice(&answer).unwrap();
        answer["access_token"].as_str().unwrap_or_default().to_owned()
    }

    fn submit(tenant: &mut Tenant, token: &str, template: &str, at: Duration) -> String {
        let body = format!(
            "{{\"templateId\":\"{template}\",\"format\":\"csv\",\"pageSize\":10,\"query\":{{\"startDate\":\
             \"2024-01-01T00:00:00.000Z\",\"endDate\":\"2024-01-02T00:00:00.000Z\",\"filters\":[]}}}}"
        );
        let request = MockRequest::post("/api/v2/reporting/queries", "application/json", body);
        tenant.answer(&request.with_header("Authorization", &format!("Bearer {token}")), at);
        tenant.ledger().last().unwrap().query.as_deref().unwrap().to_owned()
    }

    fn page(tenant: &mut Tenant, token: &str, query: &str, page: u64, at: Duration) -> u16 {
        let target = format!("/api/v2/reporting/queries/{query}/results?format=csv&page={page}&pageSize=10");
        tenant.answer(&MockRequest::get(&target, token), at).status
    }

    fn tenant(per_second: f64) -> Tenant {
        let report = MockReport::with_rows(100_000);
        MockTenant::builder().requests_per_second(per_second).default_report(report).build()
    }

    #[test]
    fn the_budget_is_held_against_calls_that_were_let_in() {
        let mut tenant = tenant(10.0);
        let token = token(&mut tenant, ms(0));
        let query = submit(&mut tenant, &token, "a", ms(10));
        for n in 0..=40 {
            assert_eq!(page(&mut tenant, &token, &query, n + 1, ms(2000 + n * 125)), 200);
        }
        let verdict = tenant.verdict();
        assert_eq!(verdict.budget_used, Some(0.8));
        assert_eq!(tenant.ledger().budget_used_while_reading(16.0), Some(0.5));
        assert_eq!(tenant.ledger().budget_used(ms(0), ms(2000), 1.0), Some(1.0));
        assert_eq!(verdict, Verdict::of(tenant.ledger(), 10.0));
        assert_eq!((verdict.pages_served, verdict.calls, verdict.most_in_any_second), (41, 43, 8));
        assert_eq!((verdict.refused_too_fast, verdict.calls_while_told_to_wait), (0, 0));
        assert!((verdict.control_share - 2.0 / 43.0).abs() < 1e-9);
    }

    #[test]
    fn reading_that_took_no_time_says_nothing_of_the_budget() {
        let mut tenant = tenant(20.0);
        let token = token(&mut tenant, ms(0));
        let query = submit(&mut tenant, &token, "a", ms(10));
        let used = |tenant: &Tenant| {
            let verdict = tenant.verdict();
            (verdict.budget_used, tenant.ledger().budget_used_while_reading(20.0))
        };
        (1..=10).for_each(|n| assert_eq!(page(&mut tenant, &token, &query, n, ms(2000 + n)), 200));
        assert_eq!(used(&tenant), (None, None));
        page(&mut tenant, &token, &query, 11, ms(2001 + 4999));
        assert_eq!(used(&tenant), (None, None));
        page(&mut tenant, &token, &query, 12, ms(2001 + 5000));
        assert_eq!(used(&tenant), (Some(0.11), Some(0.11)));
        assert!(tenant.verdict().to_string().contains("rate used while reading: 11.0 %"));
    }

    #[test]
    fn refusals_are_counted_by_their_reason() {
        let mut tenant = MockTenant::builder().requests_per_second(3.0).max_open_queries(1).build();
        let token = token(&mut tenant, ms(0));
        let query = submit(&mut tenant, &token, "a", ms(0));
        assert_eq!(page(&mut tenant, &token, &query, 1, ms(0)), 200);
        assert_eq!([0, 100, 500].map(|at| page(&mut tenant, &token, &query, 2, ms(at))), [429; 3]);
        let verdict = tenant.verdict();
        assert_eq!((verdict.refused_too_fast, verdict.refused_waiting), (1, 2));
        assert_eq!(verdict.calls_while_told_to_wait, 1);
        let later = Duration::from_secs(1000);
        let body = "{\"templateId\":\"b\",\"format\":\"csv\",\"pageSize\":10,\"query\":{\"startDate\":\
                    \"2024-01-01T00:00:00.000Z\",\"endDate\":\"2024-01-02T00:00:00.000Z\"}}";
        let request = MockRequest::post("/api/v2/reporting/queries", "application/json", body);
        let request = request.with_header("Authorization", &format!("Bearer {token}"));
        assert_eq!(tenant.answer(&request, later).status, 429);
        assert_eq!((tenant.verdict().refused_open_queries, tenant.verdict().duplicate_submissions), (1, 0));
    }

    #[test]
    fn a_second_is_fair_or_not_by_what_each_query_got_that_was_read_before_and_after() {
        let mut tenant = tenant(f64::INFINITY);
        let token = token(&mut tenant, ms(0));
        let (a, b) = (submit(&mut tenant, &token, "a", ms(1)), submit(&mut tenant, &token, "b", ms(2)));
        for n in 0..100 {
            page(&mut tenant, &token, &a, n + 1, ms(1000 + n * 100));
            // The second one begins later, and goes half as fast.
            if n % 2 == 0 && n >= 30 {
                page(&mut tenant, &token, &b, n + 1, ms(1000 + n * 100));
            }
        }
        let seconds = tenant.ledger().fair_seconds(ms(1000));
        assert_eq!(seconds.len(), 9);
        assert_eq!((seconds[2].pages.len(), seconds[3].pages.len()), (1, 2));
        assert_eq!((seconds[4].least(), seconds[4].most()), (5, 10));
        assert!(seconds[4].is_fair(0.5, 0) && seconds[4].is_fair(0.0, 5) && !seconds[4].is_fair(0.1, 2));
        assert_eq!(tenant.verdict().least_fair_second.map(|s| (s.from >= ms(6000), s.least())), Some((true, 5)));
    }

    #[test]
    fn what_was_asked_for_twice_is_counted() {
        let mut tenant = tenant(f64::INFINITY);
        let token = token(&mut tenant, ms(0));
        let query = submit(&mut tenant, &token, "a", ms(1));
        submit(&mut tenant, &token, "a", ms(2));
        submit(&mut tenant, &token, "b", ms(3));
        for (number, at) in [(1, 10), (2, 11), (2, 12), (3, 13)] {
            page(&mut tenant, &token, &query, number, ms(at));
        }
        let cut = tenant.ledger().len();
        page(&mut tenant, &token, &query, 4, ms(14));
        tenant.broke_off(cut, 5, ms(15));
        page(&mut tenant, &token, &query, 4, ms(16));
        let verdict = tenant.verdict();
        assert_eq!((verdict.duplicate_submissions, verdict.pages_served_again), (1, 1));
        assert_eq!(verdict.pages_served, 5);
    }

    #[test]
    fn tokens_are_counted_by_the_lives_they_fell_into() {
        let mut tenant = MockTenant::builder()
            .requests_per_second(f64::INFINITY)
            .token_life(Duration::from_secs(100))
            .revoke_tokens_at(Duration::from_secs(250))
            .build();
        let seconds = Duration::from_secs;
        let first = token(&mut tenant, seconds(0));
        let query = submit(&mut tenant, &first, "a", seconds(1));
        token(&mut tenant, seconds(80));
        assert_eq!(tenant.verdict().most_tokens_in_a_life, 1);
        assert_eq!(page(&mut tenant, &first, &query, 1, seconds(100)), 401);
        token(&mut tenant, seconds(170));
        token(&mut tenant, seconds(240));
        // The last one was taken back, so that the next one falls into nobody's life.
        token(&mut tenant, seconds(251));
        let verdict = tenant.verdict();
        assert_eq!((verdict.tokens_issued, verdict.token_calls, verdict.dead_token_calls), (5, 5, 1));
        assert_eq!((verdict.most_token_calls_in_a_life, verdict.most_tokens_in_a_life), (1, 1));
        token(&mut tenant, seconds(252));
        token(&mut tenant, seconds(253));
        assert_eq!(tenant.verdict().most_tokens_in_a_life, 2);
        tenant.revoke_tokens(seconds(252));
        assert_eq!(tenant.verdict().most_tokens_in_a_life, 1);
    }

    #[test]
    fn a_verdict_reads_as_text_and_as_json() {
        let mut tenant = tenant(20.0);
        token(&mut tenant, ms(0));
        let verdict = tenant.verdict();
        let text = verdict.to_string();
        assert!(text.contains("calls while told to wait: 0") && text.contains("1 issued by 1 calls"), "{text}");
        assert_eq!(serde_json::to_value(&verdict).unwrap()["tokens_issued"], 1);
    }
}
