//! The scorecard: findings, figures and queries of a tenant, made from copies.
//!
//! [`Records`] is what has to be copied while the tenant is locked; all counting happens after that. Figures count over
//! all calls since the tenant began or was told to forget, also over those that the ledger no longer keeps; only calls
//! over time are those of the ledger.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::mock::ledger::{CallKind, Ledger};
use crate::mock::limit::Rates;
use crate::mock::query::{Fate, MockQuery};
use crate::mock::tally::{QueryTally, Tally};
use crate::mock::verdict::Verdict;

use super::findings::{Finding, Grade, findings, grade};
use super::ledger::ms;

/// So many queries are listed, the newest ones.
const QUERIES_LISTED: usize = 200;

/// Calls over time are told in at most so many pieces.
const MOST_PIECES: u64 = 120;

/// A query counts as left unread when nothing was asked of it for so long.
const LEFT_AFTER: Duration = Duration::from_secs(60);

/// What a tenant has written down.
pub(in crate::mock) struct Records {
    pub(in crate::mock) since: Duration,
    pub(in crate::mock) now: Duration,
    pub(in crate::mock) ledger: Ledger,
    pub(in crate::mock) rates: Rates,
    pub(in crate::mock) queries: Vec<MockQuery>,
    /// For each query, the last page that its client needs; 0 before the end was shown.
    pub(in crate::mock) pages_to_read: Vec<u64>,
    pub(in crate::mock) query_life: Duration,
}

/// What findings are made from.
pub(super) struct Evidence<'a> {
    pub(super) verdict: &'a Verdict,
    pub(super) tally: &'a Tally,
    /// The least and the most that was allowed in a second, from the first call to the last.
    pub(super) allowed: (f64, f64),
    pub(super) polls_in_any_second: usize,
    pub(super) most_against_allowed: Option<f64>,
    /// Queries that failed or expired, so that another one had to be submitted.
    pub(super) n_lost_queries: usize,
    pub(super) n_unread: usize,
    /// Queries whose end was seen, and not all the pages before it.
    pub(super) n_with_gaps: usize,
}

/// How a client behaves, for people and for programs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Scorecard {
    /// The tenant's name.
    pub tenant: String,
    /// The grade of the worst finding.
    pub grade: Grade,
    /// What it did right and wrong.
    pub findings: Vec<Finding>,
    /// The figures that tests judge by.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// Further figures.
    #[serde(flatten)]
    pub figures: Figures,
    /// The newest queries, in the order of submission.
    pub queries: Vec<QueryLine>,
}

/// Figures beside the verdict's. Times are milliseconds since the tenant's start.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figures {
    /// Since when calls are counted.
    pub since_ms: f64,
    /// When this was made.
    pub now_ms: f64,
    /// The first call; none before any.
    pub first_call_ms: Option<f64>,
    /// The last call.
    pub last_call_ms: Option<f64>,
    /// Calls allowed in any second at this moment; none without a limit.
    pub allowed_per_second: Option<f64>,
    /// The most calls within a second as a share of what was allowed in that second; none without a limit or calls.
    pub most_against_allowed: Option<f64>,
    /// Calls a second from the first to the last; none before two.
    pub calls_per_second: Option<f64>,
    /// Calls of each kind.
    pub calls_by_kind: CallsByKind,
    /// Answers by their status; 0 stands for none.
    pub answers: BTreeMap<u16, usize>,
    /// Answers of 429.
    pub sent_429: usize,
    /// Answers of 503.
    pub sent_503: usize,
    /// The share of calls that were for pages.
    pub pages_share: f64,
    /// The most status calls of one query within a second.
    pub most_polls_in_any_second: usize,
    /// Token calls for each token that was issued; none before one was.
    pub token_calls_per_token: Option<f64>,
    /// Calls that the protocol does not know or that could not succeed.
    pub misuses: usize,
    /// Rows on pages that were served whole.
    pub rows_served: u64,
    /// Body bytes of all answers, as coded for the wire.
    pub bytes_served: u64,
    /// Queries accepted.
    pub queries_accepted: usize,
    /// Calls that count here and are no longer in the ledger.
    pub calls_dropped: usize,
    /// Calls over time.
    pub calls_over_time: CallsOverTime,
}

/// Calls by their kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CallsByKind {
    /// Tokens and renewals.
    pub token: usize,
    /// Submissions.
    pub submit: usize,
    /// Status calls.
    pub status: usize,
    /// Pages.
    pub page: usize,
    /// Anything else.
    pub other: usize,
}

/// Calls in equal pieces of time.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CallsOverTime {
    /// Where the first piece begins.
    pub from_ms: u64,
    /// How long each piece is.
    pub piece_ms: u64,
    /// Calls in each.
    pub calls: Vec<u64>,
    /// Those of them that were refused for the tenant's limits.
    pub refused: Vec<u64>,
    /// Calls that were allowed in each; none without a limit.
    pub allowed: Vec<Option<f64>>,
}

/// A query and what was asked of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct QueryLine {
    /// Its id.
    pub id: String,
    /// Its template.
    pub template: String,
    /// Where its window begins.
    pub from: String,
    /// Where its window ends, included.
    pub to: String,
    /// Its page size.
    pub page_size: u64,
    /// When it was submitted, since the tenant's start.
    pub submitted_ms: f64,
    /// `waiting`, `ready`, `reading`, `read`, `failed` or `gone`.
    pub state: &'static str,
    /// Different pages with rows that were served whole.
    pub pages_served: u64,
    /// Calls for its pages.
    pub page_calls: u64,
    /// Rows served.
    pub rows_served: u64,
    /// Body bytes served.
    pub bytes_served: u64,
    /// Status calls.
    pub polls: u64,
}

impl Scorecard {
    /// Makes it from what a tenant has written down. At the end nothing more will be asked, and what was left is left.
    pub(in crate::mock) fn new(name: &str, records: Records, at_the_end: bool) -> Self {
        let (tally, peaks) = (records.ledger.tally(), records.ledger.peaks());
        let (polls_in_any_second, most_against_allowed) = (peaks.polls_in_any_second, peaks.calls_against_allowed);
        let verdict = Verdict::from_sums(&records.ledger, &tally, peaks, &records.rates);
        let states: Vec<(&MockQuery, &str)> = records.queries_counted(&tally).collect();
        let in_state = |wanted: &[&str]| states.iter().filter(|(_, state)| wanted.contains(state)).count();
        let was_left = |query: &MockQuery| {
            let seen = tally.queries.get(&*query.id);
            let last = seen.map_or(query.submitted, |seen| seen.last_call);
            let is_over = at_the_end || last.max(query.ready_at) + LEFT_AFTER <= records.now;
            // Who can't get on is right to leave it.
            is_over && !seen.is_some_and(QueryTally::is_beyond_help)
        };
        let left = states.iter().filter(|(query, state)| matches!(*state, "ready" | "reading") && was_left(query));
        let (with_gaps, unread): (Vec<_>, Vec<_>) = left.map(|(query, _)| *query).partition(|q| q.read_to_end);
        let evidence = Evidence {
            verdict: &verdict,
            tally: &tally,
            allowed: records.allowed(&tally),
            polls_in_any_second,
            most_against_allowed,
            n_lost_queries: in_state(&["failed", "gone"]),
            n_unread: unread.len(),
            n_with_gaps: with_gaps.len(),
        };
        let findings = findings(&evidence);
        let newest = states.len().saturating_sub(QUERIES_LISTED);
        let queries = states[newest..].iter().map(|(query, state)| QueryLine::of(query, state, &tally)).collect();
        let figures = Figures::of(&records, &tally, &evidence, states.len());
        Self { tenant: name.to_owned(), grade: grade(&findings), findings, figures, queries, verdict }
    }
}

impl Records {
    /// The queries that belong to what is counted, each with its state.
    fn queries_counted<'a>(&'a self, tally: &'a Tally) -> impl Iterator<Item = (&'a MockQuery, &'static str)> {
        let counts = |query: &&MockQuery| query.submitted >= self.since || tally.queries.contains_key(&*query.id);
        let all = self.queries.iter().zip(&self.pages_to_read).filter(move |(query, _)| counts(query));
        all.map(|(query, &last)| {
            // Of a query that is older than what is counted, nobody knows which pages were read.
            let is_whole = || tally.queries.get(&*query.id).is_some_and(|seen| seen.has_all_pages(last));
            let is_older = query.submitted < self.since || query.remembered;
            let is_read = query.read_to_end && (last == 0 || is_older || is_whole());
            (query, self.state(query, is_read))
        })
    }

    fn allowed(&self, tally: &Tally) -> (f64, f64) {
        let (first, last) = (tally.first_call.unwrap_or(self.now), tally.last_call.unwrap_or(self.now));
        let rates = || self.rates.between(first, last);
        (rates().fold(f64::INFINITY, f64::min), rates().fold(0.0, f64::max))
    }

    fn state(&self, query: &MockQuery, is_read: bool) -> &'static str {
        let is_ready = self.now >= query.ready_at;
        match query.fate {
            _ if is_read => "read",
            _ if query.is_gone(self.now, self.query_life) => "gone",
            Some(Fate::Fails(_)) if is_ready => "failed",
            _ if query.pages_served > 0 => "reading",
            _ if query.has_pages(self.now) => "ready",
            _ => "waiting",
        }
    }

    fn calls_over_time(&self) -> CallsOverTime {
        let times = || self.ledger.iter().map(|call| call.at);
        let (Some(first), Some(last)) = (times().min(), times().max()) else { return CallsOverTime::default() };
        let from = first.as_secs();
        let piece = (last.as_secs() + 1 - from).div_ceil(MOST_PIECES).max(1);
        let n = (last.as_secs() - from) / piece + 1;
        let (mut calls, mut refused) = (vec![0; n as usize], vec![0; n as usize]);
        for call in self.ledger.iter() {
            let nth = ((call.at.as_secs() - from) / piece) as usize;
            calls[nth] += 1;
            refused[nth] += u64::from(call.refused.is_some());
        }
        let allowed = |nth: u64| {
            let begin = Duration::from_secs(from + nth * piece);
            Some(self.rates.allowed(begin, begin + Duration::from_secs(piece))).filter(|calls| calls.is_finite())
        };
        CallsOverTime {
            from_ms: from * 1000,
            piece_ms: piece * 1000,
            allowed: (0..n).map(allowed).collect(),
            calls,
            refused,
        }
    }
}

impl Figures {
    fn of(records: &Records, tally: &Tally, evidence: &Evidence<'_>, queries_accepted: usize) -> Self {
        let verdict = evidence.verdict;
        let limit = |per_second: f64| Some(per_second).filter(|limit| limit.is_finite());
        let reach = tally.first_call.zip(tally.last_call).map(|(first, last)| (last - first).as_secs_f64());
        let sent = |status: u16| tally.statuses.get(&status).copied().unwrap_or(0);
        let [token, submit, status, page, other] =
            [CallKind::Token, CallKind::Submit, CallKind::Status, CallKind::Page, CallKind::Other]
                .map(|kind| tally.of_kind(kind));
        Self {
            since_ms: ms(records.since),
            now_ms: ms(records.now),
            first_call_ms: tally.first_call.map(ms),
            last_call_ms: tally.last_call.map(ms),
            allowed_per_second: limit(records.rates.at(records.now)),
            most_against_allowed: evidence.most_against_allowed,
            calls_per_second: reach.filter(|reach| *reach > 0.0).map(|reach| (tally.calls - 1) as f64 / reach),
            calls_by_kind: CallsByKind { token, submit, status, page, other },
            answers: tally.statuses.clone(),
            sent_429: sent(429),
            sent_503: sent(503),
            pages_share: if tally.calls == 0 { 0.0 } else { page as f64 / tally.calls as f64 },
            most_polls_in_any_second: evidence.polls_in_any_second,
            token_calls_per_token: (verdict.tokens_issued > 0).then(|| token as f64 / verdict.tokens_issued as f64),
            misuses: tally.misuses,
            rows_served: tally.rows,
            bytes_served: tally.bytes,
            queries_accepted,
            calls_dropped: records.ledger.calls_dropped(),
            calls_over_time: records.calls_over_time(),
        }
    }
}

impl QueryLine {
    fn of(query: &MockQuery, state: &'static str, tally: &Tally) -> Self {
        let seen = tally.queries.get(&*query.id).cloned().unwrap_or_default();
        Self {
            id: query.id.clone(),
            template: query.template.clone(),
            from: query.window.from.to_string(),
            to: query.window.to.to_string(),
            page_size: query.page_size,
            submitted_ms: ms(query.submitted),
            state,
            pages_served: seen.pages_served(),
            page_calls: seen.page_calls,
            rows_served: seen.rows,
            bytes_served: seen.bytes,
            polls: seen.polls,
        }
    }
}
