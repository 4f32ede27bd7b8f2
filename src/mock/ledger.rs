//! What the tenant was asked, when, and what it answered.
//!
//! Tests judge a client by this and nothing else: which pages it asked for, how fast, and whether it kept calling while
//! it was told to wait. No credential or token is ever written here.

use std::collections::HashMap;
use std::ops::Deref;
use std::time::Duration;

use crate::model::Window;

/// Which step of the protocol a call belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallKind {
    /// A token or its renewal.
    Token,
    /// The submission of a query.
    Submit,
    /// A query's status.
    Status,
    /// A page of results.
    Page,
    /// Anything the protocol does not know.
    Other,
}

/// Why a call was refused that a fault rule had no hand in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// More calls than the rate or a quota allows.
    TooFast,
    /// A wait was running. It may have been under way as the wait was told: `told_to_wait` says whether it was not.
    Waiting,
    /// Too many queries were open for another one.
    OpenQueries,
}

/// One call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerEntry {
    /// When its head arrived, since the tenant's start.
    pub at: Duration,
    /// Which step it is.
    pub kind: CallKind,
    /// Its path, without the query string.
    pub path: String,
    /// The query it names, or the one a submission made.
    pub query: Option<String>,
    /// The page it asks for.
    pub page: Option<u64>,
    /// The status it was answered with; 0 where it got no answer.
    pub status: u16,
    /// Whether it came more than the grace time after an answer that told the client to wait, and before that wait was
    /// over.
    pub told_to_wait: bool,
    /// Why it was refused, if it was for the tenant's limits.
    pub refused: Option<Refused>,
    /// The template and the window of a submission that could be read.
    pub asked: Option<(String, Window)>,
    /// Which of the tenant's tokens it carried or received, counted from 1.
    pub generation: Option<u64>,
    /// Whether it carried a token of this tenant's that had run out or was taken back.
    pub dead_token: bool,
    /// Body bytes sent, as coded for the wire, without chunk framing.
    pub bytes: u64,
    /// When the answer was sent or given up.
    pub ended: Option<Duration>,
    /// Whether the answer did not come to its end: the connection went, by a fault or by the client.
    pub broke_off: bool,
    /// Whether a fault rule had a hand in the answer.
    pub faulted: bool,
}

impl LedgerEntry {
    /// Whether it is a page that was served whole; one past the end is served as well.
    pub fn is_page_served(&self) -> bool {
        self.kind == CallKind::Page && self.status == 200 && !self.broke_off
    }
}

/// When a token was good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenLife {
    /// When it was issued.
    pub from: Duration,
    /// When it ran out or was taken back; that moment is not included.
    pub until: Duration,
}

/// All calls in the order in which they were decided, which is that of arrival but for bodies that came late.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    entries: Vec<LedgerEntry>,
    lives: Vec<TokenLife>,
}

impl Deref for Ledger {
    type Target = [LedgerEntry];

    fn deref(&self) -> &[LedgerEntry] {
        &self.entries
    }
}

impl Ledger {
    pub(super) fn open(&mut self, entry: LedgerEntry) -> usize {
        self.entries.push(entry);
        self.entries.len() - 1
    }

    pub(super) fn entry(&mut self, index: usize) -> Option<&mut LedgerEntry> {
        self.entries.get_mut(index)
    }

    pub(super) fn set_token_lives(&mut self, lives: impl Iterator<Item = TokenLife>) {
        self.lives.clear();
        self.lives.extend(lives);
    }

    /// The tokens that were issued, in order; the first one is generation 1.
    pub fn token_lives(&self) -> &[TokenLife] {
        &self.lives
    }

    /// Every page asked for of that query, in order, repetitions included.
    pub fn pages_asked(&self, query: &str) -> Vec<u64> {
        let of_query = self.iter().filter(|e| e.kind == CallKind::Page && e.query.as_deref() == Some(query));
        of_query.filter_map(|e| e.page).collect()
    }

    /// How often each page of that query was asked for.
    pub fn times_asked(&self, query: &str) -> HashMap<u64, usize> {
        let mut times = HashMap::new();
        for page in self.pages_asked(query) {
            *times.entry(page).or_default() += 1;
        }
        times
    }

    /// The most calls within any sliding second.
    pub fn max_in_any_second(&self) -> usize {
        let mut oldest = 0;
        let mut most = 0;
        // Lines stand in the order of decision, and a call whose body came late was decided late.
        let mut times: Vec<Duration> = self.iter().map(|entry| entry.at).collect();
        times.sort_unstable();
        for (i, at) in times.iter().enumerate() {
            while at.saturating_sub(times[oldest]) >= Duration::from_secs(1) {
                oldest += 1;
            }
            most = most.max(i - oldest + 1);
        }
        most
    }

    /// The most calls of that kind under way at once. A call whose answer was never finished counts to the end.
    pub fn max_in_flight(&self, kind: CallKind) -> usize {
        let mut steps: Vec<(Duration, i64)> = Vec::new();
        for entry in self.iter().filter(|e| e.kind == kind) {
            steps.push((entry.at, 1));
            steps.extend(entry.ended.map(|ended| (ended, -1)));
        }
        steps.sort_unstable();
        let (mut now, mut most) = (0, 0);
        for (_, step) in steps {
            now += step;
            most = most.max(now);
        }
        usize::try_from(most).unwrap_or(0)
    }

    /// The calls made while the client was told to wait.
    pub fn calls_while_told_to_wait(&self) -> Vec<LedgerEntry> {
        self.iter().filter(|e| e.told_to_wait).cloned().collect()
    }

    /// The calls of that kind.
    pub fn of(&self, kind: CallKind) -> Vec<LedgerEntry> {
        self.iter().filter(|e| e.kind == kind).cloned().collect()
    }

    /// The submissions, accepted or not.
    pub fn submissions(&self) -> Vec<LedgerEntry> {
        self.of(CallKind::Submit)
    }

    /// The ids of the queries that were accepted, in order.
    pub fn query_ids(&self) -> Vec<String> {
        let accepted = self.iter().filter(|e| e.kind == CallKind::Submit);
        accepted.filter_map(|e| e.query.clone()).collect()
    }

    /// How many calls went to the token endpoint.
    pub fn token_calls(&self) -> usize {
        self.iter().filter(|e| e.kind == CallKind::Token).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(calls: &[(u64, Option<u64>)]) -> Ledger {
        let entry = |&(at, ended): &(u64, Option<u64>)| LedgerEntry {
            at: Duration::from_millis(at),
            kind: CallKind::Page,
            path: String::new(),
            query: Some("q".into()),
            page: Some(at / 100),
            status: 200,
            told_to_wait: false,
            refused: None,
            asked: None,
            generation: None,
            dead_token: false,
            bytes: 0,
            ended: ended.map(Duration::from_millis),
            broke_off: false,
            faulted: false,
        };
        Ledger { entries: calls.iter().map(entry).collect(), lives: Vec::new() }
    }

    #[test]
    fn a_second_slides_and_does_not_hold_both_its_ends() {
        let calls = [(0, None), (400, None), (900, None), (1000, None), (1300, None), (3000, None)];
        assert_eq!(ledger(&calls).max_in_any_second(), 4);
        assert_eq!(ledger(&[(0, None), (1000, None)]).max_in_any_second(), 1);
        assert_eq!(Ledger::default().max_in_any_second(), 0);
    }

    #[test]
    fn calls_under_way_are_counted_by_their_overlap() {
        assert_eq!(ledger(&[(0, Some(10)), (10, Some(30)), (20, Some(40))]).max_in_flight(CallKind::Page), 2);
        assert_eq!(ledger(&[(0, Some(10)), (10, Some(30))]).max_in_flight(CallKind::Token), 0);
    }

    #[test]
    fn pages_asked_keep_their_order_and_repetitions() {
        let ledger = ledger(&[(100, None), (300, None), (350, None)]);
        assert_eq!(ledger.pages_asked("q"), [1, 3, 3]);
        assert_eq!(ledger.times_asked("q")[&3], 2);
        assert!(ledger.pages_asked("other").is_empty());
    }
}
