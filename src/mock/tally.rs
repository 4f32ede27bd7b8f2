//! Figures that are summed up call by call, so that calls that a ledger no longer keeps still count.
//!
//! A [`Tally`] takes calls in the order of the ledger, and one that took the first half of them goes on with the second
//! as if it had seen them all at once. What can't be summed up, the most of something within a second, is in [`Peaks`].
//! Knows no rates and judges nobody.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::ledger::{Asked, CallKind, LedgerEntry, Refused};
use super::surprise::Surprise;
use super::verdict::FairSecond;

/// Pages that were seen, as stretches from the first to the last of each: pages come nearly in order, so that there are
/// few of them however many pages there are.
#[derive(Clone, Debug, Default)]
struct PagesSeen(BTreeMap<u64, u64>);

impl PagesSeen {
    /// Whether the page is new.
    fn insert(&mut self, page: u64) -> bool {
        let before = self.0.range(..=page).next_back().map(|(&from, &to)| (from, to));
        if before.is_some_and(|(_, to)| page <= to) {
            return false;
        }
        let from = before.filter(|&(_, to)| to + 1 == page).map_or(page, |(from, _)| from);
        let to = page.checked_add(1).and_then(|next| self.0.remove(&next)).unwrap_or(page);
        self.0.insert(from, to);
        true
    }

    /// Whether all pages from 1 to that one were seen.
    fn has_all(&self, last: u64) -> bool {
        last == 0 || self.0.range(..=1).next_back().is_some_and(|(_, &to)| to >= last)
    }

    fn len(&self) -> u64 {
        self.0.iter().map(|(from, to)| to - from + 1).sum()
    }
}

/// What was asked of one query.
#[derive(Clone, Debug, Default)]
pub(super) struct QueryTally {
    pub(super) polls: u64,
    /// Calls for its pages.
    pub(super) page_calls: u64,
    pub(super) rows: u64,
    pub(super) bytes: u64,
    /// Whether the status endpoint has said that it is gone.
    pub(super) said_gone: bool,
    pub(super) last_call: Duration,
    served: PagesSeen,
    /// Pages that were answered whole, whatever stood on them, or that can't be had.
    answered: PagesSeen,
    /// What could not be had so far, by page, 0 for the status: how much has spoken against trying again.
    troubled: BTreeMap<u64, u8>,
    /// Those of them that no fault had a hand in.
    served_well: PagesSeen,
}

impl QueryTally {
    /// Different pages with rows that were served whole.
    pub(super) fn pages_served(&self) -> u64 {
        self.served.len()
    }

    /// Whether every page from 1 to that one was answered whole, or can't be had.
    pub(super) fn has_all_pages(&self, last: u64) -> bool {
        self.answered.has_all(last)
    }

    /// Whether something of it can't be had: it was refused for good, or did not come when it was asked for again.
    pub(super) fn is_beyond_help(&self) -> bool {
        self.troubled.values().any(|&against| against >= BEYOND_HELP)
    }

    fn note_trouble(&mut self, call: &LedgerEntry) {
        let page = call.page.unwrap_or(0);
        match against_trying_again(call) {
            0 => drop(self.troubled.remove(&page)),
            against => {
                let so_far = self.troubled.entry(page).or_default();
                *so_far = so_far.saturating_add(against);
                if *so_far >= BEYOND_HELP {
                    self.answered.insert(page);
                }
            }
        }
    }
}

/// One refusal for good, or two of any other kind.
const BEYOND_HELP: u8 = 2;

/// How much an answer speaks against asking for the same again: nothing, a little, or all.
fn against_trying_again(call: &LedgerEntry) -> u8 {
    let is_final = matches!(call.status, 300..400 | 400 | 402 | 403 | 405..=407 | 409 | 411..=424 | 426..=428);
    let came = call.status == 200 && !call.broke_off;
    match call.faulted {
        false => {
            if call.status == 403 {
                BEYOND_HELP
            } else {
                0
            }
        }
        true if call.spoiled || is_final => BEYOND_HELP,
        true if came && (call.kind != CallKind::Page || call.rows > 0) => 0,
        true => 1,
    }
}

/// From the first page served to the last one.
#[derive(Clone, Copy, Debug)]
struct Reading {
    first: Duration,
    last: Duration,
    /// Calls let in before the last page.
    counted: usize,
    /// Calls let in since; they count when another page comes.
    pending: usize,
    newest: Duration,
    n_newest: usize,
}

/// Sums over calls.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub(super) calls: usize,
    by_kind: [usize; 5],
    pub(super) statuses: BTreeMap<u16, usize>,
    pub(super) told_to_wait: usize,
    pub(super) too_fast: usize,
    /// Those of them that told of a limit which nobody could have known, and those that may have been under way then.
    pub(super) surprises: (usize, usize),
    pub(super) waiting: usize,
    pub(super) open_queries: usize,
    pub(super) pages_served: usize,
    pub(super) pages_served_again: usize,
    pub(super) duplicate_submissions: usize,
    /// Submissions that were accepted and whose answer did not arrive.
    pub(super) submissions_lost: usize,
    /// Calls that the protocol does not know or that were refused for their form or their moment.
    pub(super) misuses: usize,
    pub(super) dead_token_calls: usize,
    /// Rows on pages served.
    pub(super) rows: u64,
    /// Body bytes of all answers.
    pub(super) bytes: u64,
    pub(super) first_call: Option<Duration>,
    pub(super) last_call: Option<Duration>,
    pub(super) queries: HashMap<Arc<str>, QueryTally>,
    asked: HashSet<Arc<Asked>>,
    reading: Option<Reading>,
}

impl Tally {
    pub(super) fn of_kind(&self, kind: CallKind) -> usize {
        self.by_kind[kind as usize]
    }

    /// When the first and the last page were asked for that were served, and the calls let in from the first one until
    /// before the last one.
    pub(super) fn reading(&self) -> Option<(Duration, Duration, usize)> {
        self.reading.map(|reading| (reading.first, reading.last, reading.counted))
    }

    /// Counts one more call.
    pub(super) fn take(&mut self, call: &LedgerEntry) {
        self.calls += 1;
        self.by_kind[call.kind as usize] += 1;
        *self.statuses.entry(call.status).or_default() += 1;
        self.told_to_wait += usize::from(call.told_to_wait);
        match call.refused {
            Some(Refused::TooFast) => self.too_fast += 1,
            Some(Refused::Waiting) => self.waiting += 1,
            Some(Refused::OpenQueries) => self.open_queries += 1,
            None => {}
        }
        self.surprises.0 += usize::from(call.surprise == Some(Surprise::Met));
        self.surprises.1 += usize::from(call.surprise == Some(Surprise::UnderWay));
        self.misuses += usize::from(is_misuse(call));
        self.dead_token_calls += usize::from(call.dead_token);
        self.bytes += call.bytes;
        self.first_call = Some(self.first_call.map_or(call.at, |first| first.min(call.at)));
        self.last_call = self.last_call.max(Some(call.at));
        if let (Some(_), Some(asked)) = (&call.query, &call.asked) {
            self.duplicate_submissions += usize::from(!self.asked.insert(asked.clone()));
            self.submissions_lost += usize::from(call.status == 0 || call.broke_off);
        }
        self.take_of_query(call);
        self.take_reading(call);
    }

    fn take_of_query(&mut self, call: &LedgerEntry) {
        if call.is_page_served() {
            self.pages_served += 1;
            self.rows += call.rows;
        }
        // Anybody may make up ids; those that were never answered are not worth a line.
        let Some(id) = call.query.as_ref().filter(|id| call.generation.is_some() || self.queries.contains_key(*id))
        else {
            return;
        };
        let query = self.queries.entry(id.clone()).or_default();
        query.last_call = query.last_call.max(call.at);
        query.bytes += call.bytes;
        if matches!(call.kind, CallKind::Status | CallKind::Page) {
            query.note_trouble(call);
        }
        match call.kind {
            CallKind::Status => {
                query.polls += 1;
                query.said_gone |= call.status == 404 || call.status == 410;
            }
            CallKind::Page => query.page_calls += 1,
            _ => {}
        }
        if call.is_page_served()
            && let Some(page) = call.page
        {
            query.rows += call.rows;
            query.answered.insert(page);
            if call.rows > 0 {
                query.served.insert(page);
            }
            self.pages_served_again += usize::from(!call.faulted && !query.served_well.insert(page));
        }
    }

    fn take_reading(&mut self, call: &LedgerEntry) {
        let at = call.at;
        if call.is_page_served() {
            let reading = self.reading.get_or_insert(Reading {
                first: at,
                last: at,
                counted: 0,
                pending: 0,
                newest: at,
                n_newest: 0,
            });
            if at >= reading.last {
                // Calls of the last page's own moment are not before it.
                let tied = if reading.newest == at { reading.n_newest } else { 0 };
                reading.counted += reading.pending - tied;
                (reading.pending, reading.last) = (tied, at);
            }
        }
        if let Some(reading) = &mut self.reading
            && call.refused.is_none()
            && at >= reading.first
        {
            reading.pending += 1;
            if at > reading.newest {
                (reading.newest, reading.n_newest) = (at, 0);
            }
            reading.n_newest += usize::from(at == reading.newest);
        }
    }
}

/// Whether a call shows that its client does not speak the protocol. What a fault rule answered shows nothing.
fn is_misuse(call: &LedgerEntry) -> bool {
    !call.faulted && call.refused.is_none() && (call.kind == CallKind::Other || matches!(call.status, 400 | 409 | 422))
}

/// The most of something within a time, over calls that are no longer all there.
#[derive(Clone, Debug, Default)]
pub(super) struct Peaks {
    pub(super) calls_in_any_second: usize,
    /// The most calls as a share of what was allowed just then; none without a limit.
    pub(super) calls_against_allowed: Option<f64>,
    pub(super) polls_in_any_second: usize,
    pub(super) pages_under_way: usize,
    pub(super) least_fair_second: Option<FairSecond>,
}

impl Peaks {
    /// The greater of each.
    pub(super) fn or(self, other: &Self) -> Self {
        let spread = |second: &FairSecond| second.most() - second.least();
        Self {
            calls_in_any_second: self.calls_in_any_second.max(other.calls_in_any_second),
            calls_against_allowed: self
                .calls_against_allowed
                .into_iter()
                .chain(other.calls_against_allowed)
                .reduce(f64::max),
            polls_in_any_second: self.polls_in_any_second.max(other.polls_in_any_second),
            pages_under_way: self.pages_under_way.max(other.pages_under_way),
            least_fair_second: self
                .least_fair_second
                .into_iter()
                .chain(other.least_fair_second.clone())
                .max_by_key(spread),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_all_there_from_the_first_one_on() {
        let mut seen = PagesSeen::default();
        assert!(seen.has_all(0) && !seen.has_all(1));
        assert!([2, 3].into_iter().all(|page| seen.insert(page)));
        assert!(!seen.has_all(3));
        seen.insert(1);
        assert!(seen.has_all(3) && !seen.has_all(4));
    }

    #[test]
    fn a_page_is_new_once_whatever_the_order() {
        let mut seen = PagesSeen::default();
        let pages = [5, 1, 2, 4, 3, 9, u64::MAX, 0];
        assert!(pages.iter().all(|&page| seen.insert(page)));
        assert!(pages.iter().all(|&page| !seen.insert(page)));
        assert!(seen.has_all(5) && !seen.has_all(6) && !seen.has_all(9));
        assert_eq!(seen.0.into_iter().collect::<Vec<_>>(), [(0, 5), (9, 9), (u64::MAX, u64::MAX)]);
    }
}
