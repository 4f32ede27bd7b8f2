//! What the tenant was asked, when, and what it answered.
//!
//! Tests judge a client by this and nothing else: which pages it asked for, how fast, and whether it kept calling while
//! it was told to wait. No credential or token is ever written here.
//!
//! It is bounded: the oldest calls go once there are too many, and what they come to stays in a tally. A call's place
//! is counted from the tenant's start, whatever has gone meanwhile.

use std::collections::{HashMap, HashSet};
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use crate::model::Window;

use super::limit::Rates;
use super::surprise::Surprise;
use super::tally::{Peaks, Tally};

/// How many calls a ledger keeps if nobody says otherwise.
pub(super) const CALLS_KEPT: usize = 1_000_000;

/// How many paths and ids are remembered for calls to share.
const NAMES_SHARED: usize = 4096;

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

/// What a submission asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Asked {
    /// Its template.
    pub template: String,
    /// Its window.
    pub window: Window,
    /// The same for all submissions that ask for the same form, page size and filters.
    pub rest: u64,
}

/// One call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerEntry {
    /// When its head arrived, since the tenant's start.
    pub at: Duration,
    /// Which step it is.
    pub kind: CallKind,
    /// Its path, without the query string.
    pub path: Arc<str>,
    /// The query it names, or the one a submission made.
    pub query: Option<Arc<str>>,
    /// The page it asks for.
    pub page: Option<u64>,
    /// The status it was answered with; 0 where it got no answer.
    pub status: u16,
    /// Whether it came more than the grace time after an answer that told the client to wait, and before that wait was
    /// over.
    pub told_to_wait: bool,
    /// Why it was refused, if it was for the tenant's limits.
    pub refused: Option<Refused>,
    /// Whether no client could have foreseen that refusal.
    pub(super) surprise: Option<Surprise>,
    /// What a submission that could be read asks for.
    pub asked: Option<Arc<Asked>>,
    /// Which of the tenant's tokens it carried or received, counted from 1.
    pub generation: Option<u64>,
    /// Whether it carried a token of this tenant's that had run out or was taken back.
    pub dead_token: bool,
    /// Body bytes sent, as coded for the wire, without chunk framing.
    pub bytes: u64,
    /// Rows on the page that was answered, as the tenant has them; 0 where something else stood in its place.
    pub rows: u64,
    /// When the answer was sent or given up.
    pub ended: Option<Duration>,
    /// Whether the answer did not come to its end: the connection went, by a fault or by the client.
    pub broke_off: bool,
    /// Whether a fault rule had a hand in the answer.
    pub faulted: bool,
    /// Whether that fault changed the very result, so that asking again is no remedy.
    pub(super) spoiled: bool,
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

/// Calls in the order in which they were decided, which is that of arrival but for bodies that came late. The newest
/// ones, if there were too many to keep.
#[derive(Clone, Debug)]
pub struct Ledger {
    entries: Vec<LedgerEntry>,
    /// The place of the first entry among all calls since the start.
    first: usize,
    lives: Vec<TokenLife>,
    /// Tokens of before it was told to forget.
    lives_forgotten: usize,
    /// What the calls came to that have gone.
    gone: Tally,
    /// The token calls among them: a life may be longer than what is kept.
    token_calls_gone: Vec<TokenCall>,
    peaks: Peaks,
    rates: Rates,
    keep: usize,
    names: HashSet<Arc<str>>,
}

impl Default for Ledger {
    fn default() -> Self {
        Self::keeping(CALLS_KEPT)
    }
}

impl Deref for Ledger {
    type Target = [LedgerEntry];

    fn deref(&self) -> &[LedgerEntry] {
        &self.entries
    }
}

impl Ledger {
    /// One that keeps the newest so many calls.
    pub(super) fn keeping(calls: usize) -> Self {
        Self {
            entries: Vec::new(),
            first: 0,
            lives: Vec::new(),
            lives_forgotten: 0,
            gone: Tally::default(),
            token_calls_gone: Vec::new(),
            peaks: Peaks::default(),
            rates: Rates::constant(f64::INFINITY),
            keep: calls.max(1),
            names: HashSet::new(),
        }
    }

    /// The same, held against those rates.
    pub(super) fn against(self, rates: Rates) -> Self {
        Self { rates, ..self }
    }

    /// The place that the next call gets.
    pub(super) fn next_place(&self) -> usize {
        self.first + self.entries.len()
    }

    pub(super) fn open(&mut self, entry: LedgerEntry) -> usize {
        // Dropping a few at a time would move all others each time.
        if self.entries.len() >= self.keep + self.keep.div_ceil(4) {
            let goes = self.entries.len() - self.keep;
            self.peaks = self.peaks_until(goes);
            self.token_calls_gone.extend(token_calls(&self.entries[..goes]));
            self.entries.drain(..goes).for_each(|call| self.gone.take(&call));
            self.first += goes;
        }
        self.entries.push(entry);
        self.next_place() - 1
    }

    pub(super) fn entry(&mut self, place: usize) -> Option<&mut LedgerEntry> {
        self.entries.get_mut(place.checked_sub(self.first)?)
    }

    /// Up to so many calls from that place on, and the place of the first of them; later than asked for where those
    /// have gone.
    pub(super) fn calls_from(&self, place: usize, most: usize) -> (usize, &[LedgerEntry]) {
        let from = place.max(self.first).min(self.next_place());
        let calls = &self.entries[from - self.first..];
        (from, &calls[..calls.len().min(most)])
    }

    /// The same text for many calls.
    pub(super) fn shared(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.names.get(name) {
            return known.clone();
        }
        if self.names.len() >= NAMES_SHARED {
            self.names.clear();
        }
        let name: Arc<str> = name.into();
        self.names.insert(name.clone());
        name
    }

    /// Begins anew. Places go on, since answers may be under way.
    pub(super) fn forget(&mut self) {
        self.first = self.next_place();
        self.entries.clear();
        (self.gone, self.peaks) = (Tally::default(), Peaks::default());
        self.token_calls_gone.clear();
        self.lives_forgotten += self.lives.len();
        self.lives.clear();
    }

    pub(super) fn set_token_lives(&mut self, lives: impl Iterator<Item = TokenLife>) {
        self.lives.clear();
        self.lives.extend(lives.skip(self.lives_forgotten));
    }

    /// How many tokens it was told of.
    pub(super) fn tokens_known(&self) -> usize {
        self.lives_forgotten + self.lives.len()
    }

    /// Adds tokens behind those that it knows.
    pub(super) fn add_token_lives(&mut self, lives: impl Iterator<Item = TokenLife>) {
        self.lives.extend(lives);
    }

    /// Which generation the first of [`Ledger::token_lives`] is.
    pub(super) fn first_generation(&self) -> u64 {
        self.lives_forgotten as u64 + 1
    }

    /// The sums over all calls, also those that are no longer kept.
    pub(super) fn tally(&self) -> Tally {
        let mut tally = self.gone.clone();
        self.entries.iter().for_each(|call| tally.take(call));
        tally
    }

    /// The peaks over the first so many of the calls kept, and all that have gone.
    fn peaks_until(&self, n: usize) -> Peaks {
        // What begins among them may reach a second beyond them.
        let seam = self.entries[n - 1].at + Duration::from_secs(1);
        let reach = n + self.entries[n..].partition_point(|call| call.at < seam);
        let entries = self.entries[..reach].to_vec();
        let seen = Self { entries, peaks: self.peaks.clone(), ..Self::keeping(reach) };
        seen.against(self.rates.clone()).peaks()
    }

    /// Every token call since it began.
    pub(super) fn all_token_calls(&self) -> Vec<TokenCall> {
        self.token_calls_gone.iter().copied().chain(token_calls(&self.entries)).collect()
    }

    /// The peaks over all calls, as far as they were all there at one time.
    pub(super) fn peaks(&self) -> Peaks {
        let peaks = Peaks {
            calls_in_any_second: self.max_in_any_second(),
            calls_against_allowed: self.most_against_allowed(),
            polls_in_any_second: self.max_polls_in_any_second(),
            pages_under_way: self.max_in_flight(CallKind::Page),
            least_fair_second: self.least_fair_second(),
        };
        peaks.or(&self.peaks)
    }

    /// How many calls are no longer kept since it began, or since it was told to forget.
    pub fn calls_dropped(&self) -> usize {
        self.gone.calls
    }

    /// The tokens that were issued, in order; the first one is generation 1, unless the ledger was told to forget.
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
        most_in_any_second(self.iter().map(|entry| entry.at).collect())
    }

    /// The most calls up to any of them, refused ones included, as a share of what the rate allowed within its window.
    fn most_against_allowed(&self) -> Option<f64> {
        let mut times: Vec<Duration> = self.iter().map(|entry| entry.at).collect();
        times.sort_unstable();
        let shares = times.iter().enumerate().filter_map(|(nth, &at)| {
            // Calls of one moment are judged by the last of them.
            let is_last = times.get(nth + 1).is_none_or(|next| *next > at);
            let (window, allowed) = self.rates.window_until(at).filter(|_| is_last)?;
            let gone = times[..=nth].partition_point(|&earlier| earlier + window <= at);
            Some((nth + 1 - gone) as f64 / allowed)
        });
        shares.reduce(f64::max)
    }

    /// The most status calls of one query within any sliding second.
    pub fn max_polls_in_any_second(&self) -> usize {
        let mut polls: HashMap<&str, Vec<Duration>> = HashMap::new();
        for entry in self.iter().filter(|e| e.kind == CallKind::Status) {
            polls.entry(entry.query.as_deref().unwrap_or_default()).or_default().push(entry.at);
        }
        polls.into_values().map(most_in_any_second).max().unwrap_or(0)
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
        accepted.filter_map(|e| e.query.as_deref().map(str::to_owned)).collect()
    }

    /// How many calls went to the token endpoint.
    pub fn token_calls(&self) -> usize {
        self.iter().filter(|e| e.kind == CallKind::Token).count()
    }
}

/// When a token was asked for, and the generation that was issued.
type TokenCall = (Duration, Option<u64>);

fn token_calls(calls: &[LedgerEntry]) -> impl Iterator<Item = TokenCall> {
    calls.iter().filter(|call| call.kind == CallKind::Token).map(|call| (call.at, call.generation))
}

fn most_in_any_second(mut times: Vec<Duration>) -> usize {
    // Lines stand in the order of decision, and a call whose body came late was decided late.
    times.sort_unstable();
    let mut oldest = 0;
    let mut most = 0;
    for (i, at) in times.iter().enumerate() {
        while at.saturating_sub(times[oldest]) >= Duration::from_secs(1) {
            oldest += 1;
        }
        most = most.max(i - oldest + 1);
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(at: u64, ended: Option<u64>) -> LedgerEntry {
        LedgerEntry {
            at: Duration::from_millis(at),
            kind: CallKind::Page,
            path: "".into(),
            query: Some("q".into()),
            page: Some(at / 100),
            status: 200,
            told_to_wait: false,
            refused: None,
            surprise: None,
            asked: None,
            generation: None,
            dead_token: false,
            bytes: 0,
            rows: 0,
            ended: ended.map(Duration::from_millis),
            broke_off: false,
            faulted: false,
            spoiled: false,
        }
    }

    fn ledger(calls: &[(u64, Option<u64>)]) -> Ledger {
        Ledger { entries: calls.iter().map(|&(at, ended)| call(at, ended)).collect(), ..Ledger::default() }
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

    #[test]
    fn the_newest_calls_are_kept_under_the_places_that_they_were_given() {
        let mut ledger = Ledger::keeping(100);
        for n in 0..1000 {
            assert_eq!(ledger.open(call(n, None)), n as usize);
            assert!(ledger.len() <= 125 && ledger.len() >= 100.min(n as usize + 1));
        }
        assert_eq!(ledger.calls_dropped() + ledger.len(), 1000);
        assert_eq!(ledger.last().unwrap().at, Duration::from_millis(999));
        assert_eq!(ledger.entry(999).unwrap().at, Duration::from_millis(999));
        assert!(ledger.entry(10).is_none());
        let (from, calls) = ledger.calls_from(0, 7);
        assert_eq!((from, calls.len()), (1000 - ledger.len(), 7));
        assert_eq!(calls[0].at, Duration::from_millis(from as u64));
        assert!(ledger.calls_from(2000, 7).1.is_empty());
    }

    #[test]
    fn places_go_on_when_the_ledger_forgets() {
        let mut ledger = ledger(&[(1, None), (2, None)]);
        ledger.set_token_lives([TokenLife { from: Duration::ZERO, until: Duration::MAX }].into_iter());
        ledger.forget();
        assert!(ledger.is_empty() && ledger.entry(1).is_none() && ledger.token_lives().is_empty());
        assert_eq!(ledger.open(call(3, None)), 2);
        let lives = [1, 2].map(|n| TokenLife { from: Duration::from_secs(n), until: Duration::MAX });
        ledger.set_token_lives(lives.into_iter());
        assert_eq!((ledger.token_lives(), ledger.first_generation()), (&lives[1..], 2));
    }

    #[test]
    fn calls_share_their_paths() {
        let mut ledger = Ledger::default();
        let (one, other) = (ledger.shared("/a"), ledger.shared("/a"));
        assert!(Arc::ptr_eq(&one, &other));
        for n in 0..2 * NAMES_SHARED {
            ledger.shared(&n.to_string());
        }
        assert!(ledger.names.len() <= NAMES_SHARED);
    }
}
