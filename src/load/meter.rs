//! Counts the engine's calls as they end.
//!
//! It is told from the engine's own arbiters, so it only adds up: a lock that is held for some additions, and no
//! allocation once every tenant is known.

use std::collections::HashMap;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::model::{Outcome, TenantName};
use crate::{CallKind, CallSeen};

use super::budget::Used;
use super::percentiles::{KindLatency, Latencies};

/// What there is of all calls together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) requests: u64,
    /// Those of more than one record.
    pub(super) pages: u64,
    pub(super) bytes: u64,
    pub(super) throttled: u64,
    pub(super) failed: u64,
    /// Broken off by this side, or answered with what it could not use.
    pub(super) unused: u64,
}

#[derive(Default)]
struct Kind {
    calls: u64,
    failed: u64,
    throttled: u64,
    took: Latencies,
    waited: Latencies,
}

/// What there is of one tenant's calls.
#[derive(Clone, Debug, Default)]
pub(super) struct TenantCount {
    pub(super) requests: u64,
    pub(super) throttled: u64,
    pub(super) failed: u64,
    pub(super) pages: u64,
    pub(super) used: Used,
}

#[derive(Default)]
struct Counts {
    totals: Totals,
    kinds: [Kind; 4],
    tenants: Vec<TenantCount>,
}

/// Counts calls.
pub(super) struct Meter {
    places: HashMap<TenantName, usize>,
    counts: Mutex<Counts>,
}

const KINDS: [(CallKind, &str); 4] =
    [(CallKind::Token, "token"), (CallKind::Submit, "submit"), (CallKind::Status, "status"), (CallKind::Page, "page")];

impl Meter {
    /// For tenants in that order.
    pub(super) fn new<'a>(tenants: impl Iterator<Item = &'a str>) -> Self {
        let places: HashMap<_, _> = tenants.enumerate().map(|(nth, name)| (TenantName::new(name), nth)).collect();
        let counts = Counts { tenants: vec![TenantCount::default(); places.len()], ..Counts::default() };
        Self { places, counts: Mutex::new(counts) }
    }

    /// A call has ended.
    pub(super) fn seen(&self, call: &CallSeen) {
        let now = Instant::now();
        let place = self.places.get(&call.tenant);
        let counts = &mut *self.counts.lock();
        let is_throttled = matches!(call.outcome, Outcome::Throttled { .. });
        // What this side has broken off or could not use is counted apart: the two can't be told from each other.
        let is_failed = !is_throttled && !matches!(call.outcome, Outcome::Ok | Outcome::Local);
        // One record alone may be the header.
        let is_page = call.records.is_some_and(|records| records > 1);
        let totals = &mut counts.totals;
        totals.requests += 1;
        totals.throttled += u64::from(is_throttled);
        totals.failed += u64::from(is_failed);
        totals.unused += u64::from(call.outcome == Outcome::Local);
        totals.pages += u64::from(is_page);
        totals.bytes += call.bytes.unwrap_or(0);
        if let Some(nth) = KINDS.iter().position(|(kind, _)| *kind == call.kind) {
            let kind = &mut counts.kinds[nth];
            kind.calls += 1;
            kind.throttled += u64::from(is_throttled);
            kind.failed += u64::from(is_failed);
            kind.waited.note(call.waited);
            if call.outcome == Outcome::Ok {
                kind.took.note(call.took);
            }
        }
        if let Some(tenant) = place.and_then(|place| counts.tenants.get_mut(*place)) {
            tenant.requests += 1;
            tenant.throttled += u64::from(is_throttled);
            tenant.failed += u64::from(is_failed);
            tenant.pages += u64::from(is_page);
            if !is_throttled {
                tenant.used.let_in(now, is_page);
            }
        }
    }

    /// All calls so far.
    pub(super) fn totals(&self) -> Totals {
        self.counts.lock().totals
    }

    /// Each tenant's calls so far, in order.
    pub(super) fn tenants(&self) -> Vec<TenantCount> {
        self.counts.lock().tenants.clone()
    }

    /// What each kind of call took.
    pub(super) fn latencies(&self) -> Vec<KindLatency> {
        let counts = self.counts.lock();
        let kinds = KINDS.iter().zip(&counts.kinds).map(|((_, name), kind)| KindLatency {
            kind: name,
            calls: kind.calls,
            failed: kind.failed,
            throttled: kind.throttled,
            took: kind.took.percentiles(),
            waited: kind.waited.percentiles(),
        });
        kinds.collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn call(tenant: &str, kind: CallKind, outcome: Outcome, page: Option<(u64, u64)>) -> CallSeen {
        let (waited, took) = (Duration::from_millis(40), Duration::from_millis(20));
        let (bytes, records) = page.unzip();
        CallSeen { tenant: TenantName::new(tenant), kind, waited, took, outcome, bytes, records }
    }

    #[test]
    fn calls_are_counted_by_their_kind_their_end_and_their_tenant() {
        let meter = Meter::new(["a", "b"].into_iter());
        meter.seen(&call("a", CallKind::Token, Outcome::Ok, None));
        meter.seen(&call("a", CallKind::Page, Outcome::Ok, Some((100, 2))));
        meter.seen(&call("a", CallKind::Page, Outcome::Ok, Some((0, 0))));
        meter.seen(&call("a", CallKind::Page, Outcome::Ok, Some((20, 1))));
        meter.seen(&call("b", CallKind::Page, Outcome::Throttled { wait: None }, None));
        meter.seen(&call("b", CallKind::Page, Outcome::Transient, None));
        meter.seen(&call("b", CallKind::Page, Outcome::Local, None));
        let totals = Totals { requests: 7, pages: 1, bytes: 120, throttled: 1, failed: 1, unused: 1 };
        assert_eq!(meter.totals(), totals);
        let page = meter.latencies().remove(3);
        assert_eq!((page.kind, page.calls, page.failed, page.throttled), ("page", 6, 1, 1));
        assert!((page.took.unwrap().p50 - 20.0).abs() < 0.1 && (page.waited.unwrap().max - 40.0).abs() < 0.1);
        let tenants = meter.tenants();
        assert_eq!((tenants[0].requests, tenants[0].pages, tenants[1].requests), (4, 1, 3));
        assert_eq!((tenants[1].throttled, tenants[1].failed), (1, 1));
        assert_eq!(meter.latencies()[1].took, None);
    }
}
