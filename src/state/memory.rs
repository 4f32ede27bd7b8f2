//! A store in memory: for simulation, and for hosts that keep no state.
//!
//! It models a store whose acknowledged calls survive a power cut: a crash comes between two calls, never within
//! one. Every call has a number, so that a test can let each of them fail in turn.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::model::{ReportName, TenantName, Timestamp, WallClock};
use crate::policy::gate::PaceLog;

use super::pace::Kept;
use super::{Begun, Claim, Complaint, ExtractionKey, Store, StoreError, StoredExtraction, TenantWait, Turn, TurnAsked};

/// What goes wrong at a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreFault {
    /// The call fails and changes nothing.
    Refused,
    /// The call fails, and so does every later one until [`MemoryStore::restart`].
    PowerCut,
    /// The call is carried out, but its answer is lost, and the power with it.
    PowerCutAfter,
}

/// A store in memory. Clones are the same store.
#[derive(Clone)]
pub struct MemoryStore {
    clock: WallClock,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    extractions: HashMap<ExtractionKey, StoredExtraction>,
    watermarks: HashMap<(ReportName, TenantName), Timestamp>,
    paces: HashMap<TenantName, (Kept, PaceLog)>,
    claimed: HashSet<(ReportName, TenantName)>,
    faults: BTreeMap<u64, StoreFault>,
    n_calls: u64,
    is_off: bool,
}

impl MemoryStore {
    /// An empty store that takes its times from `clock`.
    pub fn new(clock: WallClock) -> Self {
        Self { clock, inner: Arc::default() }
    }

    /// Calls so far, failed ones included.
    pub fn n_calls(&self) -> u64 {
        self.inner.lock().n_calls
    }

    /// Makes a call fail, counted from now: 0 is the next one.
    pub fn fail_nth(&self, n: u64, fault: StoreFault) {
        let mut inner = self.inner.lock();
        let nth = inner.n_calls + n;
        inner.faults.insert(nth, fault);
    }

    /// Puts the power on again. Everything acknowledged is still there; faults still to come are forgotten, and so are
    /// claims, whose holders are gone.
    pub fn restart(&self) {
        let mut inner = self.inner.lock();
        inner.faults.clear();
        inner.claimed.clear();
        inner.is_off = false;
    }

    fn call<R>(&self, doing: &str, act: impl FnOnce(&mut Inner) -> R) -> Result<R, StoreError> {
        let mut inner = self.inner.lock();
        let nth = inner.n_calls;
        inner.n_calls += 1;
        if inner.is_off {
            return Err(StoreError::failed(doing, "the power is gone"));
        }
        match inner.faults.remove(&nth) {
            None => Ok(act(&mut inner)),
            Some(StoreFault::Refused) => Err(StoreError::failed(doing, "refused")),
            Some(StoreFault::PowerCut) => {
                inner.is_off = true;
                Err(StoreError::failed(doing, "the power is gone"))
            }
            Some(StoreFault::PowerCutAfter) => {
                act(&mut inner);
                inner.is_off = true;
                Err(StoreError::failed(doing, "the power is gone"))
            }
        }
    }

    fn sorted(&self, doing: &str, of: impl Fn(&ExtractionKey) -> bool) -> Result<Vec<StoredExtraction>, StoreError> {
        let wanted = |inner: &mut Inner| inner.extractions.values().filter(|known| of(&known.key)).cloned().collect();
        let mut all: Vec<_> = self.call(doing, wanted)?;
        all.sort_by(|a: &StoredExtraction, b| a.key.order().cmp(&b.key.order()));
        Ok(all)
    }
}

fn unknown(doing: &str) -> StoreError {
    StoreError::failed(doing, "the extraction is not known")
}

/// Frees the claim when it is dropped.
struct Claimed {
    inner: Arc<Mutex<Inner>>,
    which: (ReportName, TenantName),
}

impl Drop for Claimed {
    fn drop(&mut self) {
        self.inner.lock().claimed.remove(&self.which);
    }
}

impl Store for MemoryStore {
    fn claim(&self, report: &ReportName, tenant: &TenantName) -> Result<Option<Claim>, StoreError> {
        let which = (report.clone(), tenant.clone());
        let is_free = self.call("claiming a report", |inner| inner.claimed.insert(which.clone()))?;
        Ok(is_free.then(|| Claim::new(Claimed { inner: self.inner.clone(), which })))
    }

    fn load(&self, key: &ExtractionKey) -> Result<Option<StoredExtraction>, StoreError> {
        self.call("looking up an extraction", |inner| inner.extractions.get(key).cloned())
    }

    fn list(&self) -> Result<Vec<StoredExtraction>, StoreError> {
        self.sorted("listing extractions", |_| true)
    }

    fn of_report(&self, report: &ReportName, tenant: &TenantName) -> Result<Vec<StoredExtraction>, StoreError> {
        self.sorted("listing a report's extractions", |key| key.report == *report && key.tenant == *tenant)
    }

    fn begin(&self, key: &ExtractionKey, begun: &Begun) -> Result<(), StoreError> {
        let fresh = StoredExtraction::new(key.clone(), begun.clone(), self.clock.now());
        self.call("storing a beginning", |inner| drop(inner.extractions.insert(key.clone(), fresh)))
    }

    fn alter(
        &self,
        doing: &'static str,
        key: &ExtractionKey,
        act: &mut dyn FnMut(&mut StoredExtraction),
    ) -> Result<StoredExtraction, StoreError> {
        let now = self.clock.now();
        self.call(doing, |inner| {
            let extraction = inner.extractions.get_mut(key).ok_or_else(|| unknown(doing))?;
            act(extraction);
            extraction.updated_at = now;
            Ok(extraction.clone())
        })?
    }

    fn complete(&self, key: &ExtractionKey, manifest: &str, watermark: Option<Timestamp>) -> Result<(), StoreError> {
        let doing = "storing a completion";
        let now = self.clock.now();
        self.call(doing, |inner| {
            let extraction = inner.extractions.get_mut(key).ok_or_else(|| unknown(doing))?;
            extraction.completed(manifest);
            extraction.updated_at = now;
            if let Some(watermark) = watermark {
                let kept = inner.watermarks.entry((key.report.clone(), key.tenant.clone())).or_insert(watermark);
                *kept = watermark.max(*kept);
            }
            Ok(())
        })?
    }

    fn forget(&self, key: &ExtractionKey) -> Result<(), StoreError> {
        self.call("forgetting an extraction", |inner| drop(inner.extractions.remove(key)))
    }

    fn watermark(&self, report: &ReportName, tenant: &TenantName) -> Result<Option<Timestamp>, StoreError> {
        let which = (report.clone(), tenant.clone());
        self.call("looking up a watermark", |inner| inner.watermarks.get(&which).copied())
    }

    fn tenant_wait(&self, tenant: &TenantName) -> Result<Option<TenantWait>, StoreError> {
        self.call("looking up a tenant's wait", |inner| inner.paces.get(tenant).and_then(|(kept, _)| kept.wait))
    }

    fn tenant_complained(&self, tenant: &TenantName, complaint: &Complaint) -> Result<(), StoreError> {
        self.call("storing a tenant's wait", |inner| inner.pace(tenant).0.complained(complaint))
    }

    fn take_turn(&self, tenant: &TenantName, asked: &TurnAsked) -> Result<Turn, StoreError> {
        self.call("taking a turn at a tenant", |inner| {
            let now = asked.clock.moment(&asked.wall);
            let (kept, log) = inner.pace(tenant);
            kept.take_turn(asked, &now, log)
        })?
    }
}

impl Inner {
    fn pace(&mut self, tenant: &TenantName) -> &mut (Kept, PaceLog) {
        self.paces.entry(tenant.clone()).or_default()
    }
}

#[cfg(test)]
mod tests {
    use crate::model::{PageNumber, Position, QueryId, ReportState, Window};
    use crate::state::{Checkpoint, Origin, StoredQuery};

    use super::*;

    fn store() -> MemoryStore {
        MemoryStore::new(WallClock::new(|| Timestamp(7)))
    }

    fn key(report: &str) -> ExtractionKey {
        let window = Window { from: Timestamp(0), to: Timestamp(86_399_999) };
        ExtractionKey { report: ReportName::new(report), tenant: TenantName::new("acme"), window, hash: "h".into() }
    }

    fn begun() -> Begun {
        Begun { origin: Origin::Configured, form: "{}".into(), output: "/out/calls.csv".into() }
    }

    fn at_page(page: u64) -> Checkpoint {
        let position = Position { next_page: PageNumber(page), ..Position::start() };
        Checkpoint { position, memo: "memo".into() }
    }

    #[test]
    fn what_was_saved_is_found_again() {
        let store = store();
        assert_eq!(store.load(&key("calls")), Ok(None));
        store.begin(&key("calls"), &begun()).unwrap();
        store.begin_submission(&key("calls"), 0).unwrap();
        store.save_query(&key("calls"), 0, &QueryId::new("q1"), Timestamp(5)).unwrap();
        store.save_checkpoint(&key("calls"), &at_page(3)).unwrap();
        store.save_state(&key("calls"), ReportState::Parked, Some("told to wait")).unwrap();
        let found = store.load(&key("calls")).unwrap().unwrap();
        let query = StoredQuery { id: QueryId::new("q1"), submitted_at: Timestamp(5), after_loss: false };
        assert_eq!(found.queries[&0], query);
        assert_eq!((found.checkpoint, found.submissions.len()), (Some(at_page(3)), 0));
        assert_eq!((found.state, found.updated_at), (ReportState::Parked, Timestamp(7)));
    }

    #[test]
    fn an_expired_query_takes_its_position_along_and_marks_the_next_one() {
        let (store, key) = (store(), key("calls"));
        store.begin(&key, &begun()).unwrap();
        store.save_query(&key, 0, &QueryId::new("q1"), Timestamp(5)).unwrap();
        store.save_checkpoint(&key, &at_page(9)).unwrap();
        store.drop_expired_query(&key, 0, None).unwrap();
        store.save_query(&key, 0, &QueryId::new("q2"), Timestamp(6)).unwrap();
        let found = store.load(&key).unwrap().unwrap();
        assert_eq!((found.checkpoint, found.expired, found.queries[&0].after_loss), (None, [0].into(), true));
    }

    #[test]
    fn forgetting_an_extraction_keeps_the_watermark_and_the_others() {
        let store = store();
        store.begin(&key("a"), &begun()).unwrap();
        store.begin(&key("b"), &begun()).unwrap();
        store.complete(&key("b"), "{}", Some(Timestamp(99))).unwrap();
        store.save_state(&key("a"), ReportState::Queued, None).unwrap();
        let listed: Vec<_> = store.list().unwrap().into_iter().map(|e| e.key.report).collect();
        assert_eq!(listed, [ReportName::new("a"), ReportName::new("b")]);
        store.forget(&key("b")).unwrap();
        assert_eq!(store.list().unwrap().len(), 1);
        assert_eq!(store.watermark(&ReportName::new("b"), &TenantName::new("acme")), Ok(Some(Timestamp(99))));
    }

    #[test]
    fn a_refused_call_changes_nothing_and_a_lost_answer_still_counts() {
        let store = store();
        store.fail_nth(0, StoreFault::Refused);
        assert!(store.begin(&key("a"), &begun()).is_err());
        assert_eq!(store.load(&key("a")), Ok(None));
        store.fail_nth(0, StoreFault::PowerCutAfter);
        assert!(store.begin(&key("a"), &begun()).is_err());
        assert!(store.load(&key("a")).is_err(), "the power stays off");
        store.restart();
        assert!(store.load(&key("a")).unwrap().is_some());
        assert_eq!(store.n_calls(), 5);
    }
}
