//! What a ledger says of a client's manners, in figures: how much of a rate it used, whom it served, what it did while
//! it was told to wait.
//!
//! All of it is read off what the tenant was asked and when; nothing here knows the engine.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use cxtract::mock::{CallKind, Ledger, LedgerEntry};

/// When the first and the last page were asked for.
pub fn fetching(ledger: &Ledger) -> Range<Duration> {
    let mut pages = ledger.iter().filter(|call| call.kind == CallKind::Page).map(|call| call.at);
    let first = pages.next().expect("pages were asked for");
    first..pages.next_back().unwrap_or(first)
}

/// Calls that arrived within that time.
pub fn within<'a>(ledger: &'a Ledger, time: &'a Range<Duration>) -> impl Iterator<Item = &'a LedgerEntry> {
    ledger.iter().filter(|call| time.contains(&call.at))
}

/// How much of `rate` calls a second was used within that time, which ends with a call.
pub fn share_used(ledger: &Ledger, rate: f64, time: &Range<Duration>) -> f64 {
    within(ledger, time).count() as f64 / (rate * (time.end - time.start).as_secs_f64())
}

/// Answers with that status.
pub fn n_answers(ledger: &Ledger, status: u16) -> usize {
    ledger.iter().filter(|call| call.status == status).count()
}

/// Pages asked for within that time, by query; queries without any are those of `queries`.
pub fn pages_by_query(ledger: &Ledger, queries: &[String], time: &Range<Duration>) -> BTreeMap<String, usize> {
    let mut counts: BTreeMap<_, _> = queries.iter().map(|query| (query.clone(), 0)).collect();
    for call in within(ledger, time).filter(|call| call.kind == CallKind::Page) {
        if let Some(count) = call.query.as_deref().and_then(|query| counts.get_mut(query)) {
            *count += 1;
        }
    }
    counts
}

/// The most and the least of them.
pub fn extremes(counts: &BTreeMap<String, usize>) -> (usize, usize) {
    (counts.values().copied().max().unwrap_or(0), counts.values().copied().min().unwrap_or(0))
}

/// One second after the other, as far as they fit into that time.
pub fn seconds(time: &Range<Duration>) -> impl Iterator<Item = Range<Duration>> {
    let (start, n) = (time.start, (time.end.saturating_sub(time.start)).as_secs());
    (0..n).map(move |nth| {
        let from = start + Duration::from_secs(nth);
        from..from + Duration::from_secs(1)
    })
}

/// The longest time within that one in which nothing was asked, bounds included.
pub fn longest_silence<'a>(calls: impl Iterator<Item = &'a LedgerEntry>, time: &Range<Duration>) -> Duration {
    let (mut last, mut longest) = (time.start, Duration::ZERO);
    for at in calls.map(|call| call.at).filter(|at| time.contains(at)).chain([time.end]) {
        longest = longest.max(at - last);
        last = at;
    }
    longest
}
