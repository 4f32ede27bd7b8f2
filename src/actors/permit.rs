//! The right to make one call, as a value that travels with the call.
//!
//! It reports how the call ended when it is ended or dropped, so that a place in flight can't leak, whatever happens
//! to the task that holds it.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::actors::{CallEnded, CallKind, CallObserver, Line, ToldQuotas, ToldToWait};
use crate::model::{AccessToken, Outcome};
use crate::policy::gate::PathTimes;
use crate::policy::rate_limit::RateHint;
use crate::tenant::Watch;
use crate::transport::MayGo;

/// Calls of one tenant that are under way. Shared by the permits and the gate, and kept over a rebuild of the gate.
#[derive(Clone, Debug, Default)]
pub struct InFlight(Arc<AtomicUsize>);

impl InFlight {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }
}

/// No clock counts beyond any pause; nobody sits one out that is this long.
const LONGEST_PAUSE: Duration = Duration::from_secs(10 * 365 * 86_400);

/// The latest pause that a tenant asked for, with its status code. Written by the permits themselves, so that neither
/// a gate that is dead nor one that dies with the news in its mailbox makes us forget it.
#[derive(Clone, Debug, Default)]
pub struct AskedPause(Arc<Mutex<Option<(u16, Instant)>>>);

impl AskedPause {
    /// The status code, and what is left of the pause.
    pub fn left(&self, now: Instant) -> Option<(u16, Duration)> {
        let (status, until) = (*self.0.lock())?;
        (until > now).then(|| (status, until - now))
    }

    /// Never shortens it.
    fn asked(&self, status: u16, until: Instant) {
        let mut asked = self.0.lock();
        if asked.is_none_or(|(_, old)| old < until) {
            *asked = Some((status, until));
        }
    }
}

/// So many turns may be missed in a row before one is used although it is over.
pub const MAX_LATE: u32 = 3;

/// A permit that is older was held up on its way, and the call would come too late for its turn.
const FRESH: Duration = Duration::from_millis(5);

/// After so many missed turns it may be this old. A machine that is always as late would never send anything.
const PATIENCE: Duration = Duration::from_secs(1);

/// Where a permit reports to.
#[derive(Clone, Debug, Default)]
pub struct PermitLines {
    /// Pauses, as soon as they are known.
    pub told_to_wait: Line<ToldToWait>,
    /// What answers say of quotas.
    pub told_quotas: Line<ToldQuotas>,
    /// How evenly pages' answers come.
    pub path: Arc<Mutex<PathTimes>>,
    /// Ends.
    pub ended: Line<CallEnded>,
    /// The pause that is left to a gate that comes after.
    pub pause: AskedPause,
    /// Who is told of every call that has ended.
    pub observer: CallObserver,
}

/// The right to make one call now.
#[derive(Debug)]
pub struct Permit {
    report: CallEnded,
    token: Option<AccessToken>,
    lines: PermitLines,
    in_flight: Option<InFlight>,
    probe: bool,
    admitted: Instant,
    /// How old it may get.
    good_for: Duration,
    /// How long its asker waited for it.
    waited: Duration,
    /// Whether a call was made of it.
    is_out: AtomicBool,
    /// The bytes and the records of the page that came of it.
    page: Option<(u64, u64)>,
}

impl Permit {
    /// Made by the gate alone. Token calls are not counted as under way.
    pub fn new(
        number: u64,
        call: CallKind,
        token: Option<AccessToken>,
        breaker: u64,
        lines: PermitLines,
        in_flight: &InFlight,
    ) -> Self {
        let counted = (call != CallKind::Token).then(|| in_flight.clone());
        if let Some(in_flight) = &counted {
            in_flight.0.fetch_add(1, Ordering::AcqRel);
        }
        let report = CallEnded {
            permit: number,
            call,
            outcome: Outcome::Local,
            error: None,
            token: token.as_ref().map(|t| t.generation),
            breaker,
        };
        Self {
            report,
            token,
            lines,
            in_flight: counted,
            probe: false,
            admitted: Instant::now(),
            good_for: FRESH,
            waited: Duration::ZERO,
            is_out: AtomicBool::new(false),
            page: None,
        }
    }

    /// The same right, asked for at that moment.
    #[must_use]
    pub fn asked(mut self, asked: Instant) -> Self {
        self.waited = self.admitted.saturating_duration_since(asked);
        self
    }

    /// The same right, as a probe of a half-open breaker.
    #[must_use]
    pub fn as_probe(mut self) -> Self {
        self.probe = true;
        self
    }

    /// Whether it is a probe of a half-open breaker: such a call's failure is not charged to its tries.
    pub fn is_probe(&self) -> bool {
        self.probe
    }

    /// When the call was let out.
    pub fn admitted(&self) -> Instant {
        self.admitted
    }

    /// The token to send. Every call but a token call has one.
    pub fn token(&self) -> Option<&AccessToken> {
        self.token.as_ref()
    }

    /// The same right, for a second from its turn on.
    #[must_use]
    pub fn with_patience(mut self) -> Self {
        self.good_for = PATIENCE;
        self
    }

    /// Whether the call may still go out: who has waited for something else since it was admitted may have missed its
    /// turn, or a pause.
    pub fn is_still_good(&self) -> bool {
        is_good(self.admitted, self.good_for, &self.lines.pause)
    }

    /// Ends the call.
    pub fn end(mut self, outcome: Outcome, error: Option<String>) {
        self.report.outcome = outcome;
        self.report.error = error;
    }

    /// Ends the call of a page that came whole, with so many bytes and records.
    pub fn end_with_page(mut self, n_bytes: u64, n_records: u64) {
        self.report.outcome = Outcome::Ok;
        self.page = Some((n_bytes, n_records));
    }

    /// Ends a right of which no call was made that the tenant could answer.
    pub fn end_unsent(self) {
        self.is_out.store(false, Ordering::Relaxed);
    }
}

impl Watch for Permit {
    /// Pages are many and alike: what their answers take tells of the network.
    fn answered(&self) {
        if self.report.call == CallKind::Page {
            self.lines.path.lock().note(self.admitted.elapsed());
        }
    }

    /// Tells the gate of a pause at once, before the answer's body is read.
    fn told_to_wait(&self, status: u16, wait: Option<Duration>) {
        let received = Instant::now();
        if let Some(wait) = wait {
            self.lines.pause.asked(status, received + wait.min(LONGEST_PAUSE));
        }
        self.lines.told_to_wait.tell(ToldToWait { status, wait, received });
    }

    fn told_quotas(&self, hint: &RateHint) {
        self.lines.told_quotas.tell(ToldQuotas { hint: *hint, received: Instant::now() });
    }

    /// Whoever asks this is about to send.
    fn may_go(&self) -> Option<MayGo> {
        self.is_out.store(true, Ordering::Relaxed);
        let (admitted, good_for, pause) = (self.admitted, self.good_for, self.lines.pause.clone());
        Some(Rc::new(move || is_good(admitted, good_for, &pause)))
    }
}

fn is_good(admitted: Instant, good_for: Duration, pause: &AskedPause) -> bool {
    let now = Instant::now();
    now.saturating_duration_since(admitted) <= good_for && pause.left(now).is_none()
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(in_flight) = &self.in_flight {
            in_flight.0.fetch_sub(1, Ordering::AcqRel);
        }
        if self.is_out.load(Ordering::Relaxed) {
            let CallEnded { call, outcome, .. } = self.report;
            self.lines.observer.tell(call, self.waited, self.admitted.elapsed(), outcome, self.page);
        }
        self.lines.ended.tell(self.report.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::CallSeen;
    use crate::model::TenantName;

    #[tokio::test(start_paused = true)]
    async fn only_a_call_that_went_out_is_told_of_and_with_what_it_took() {
        let told = Arc::<Mutex<Vec<CallSeen>>>::default();
        let heard = told.clone();
        let tell = Arc::new(move |call: &CallSeen| heard.lock().push(call.clone()));
        let observer = CallObserver::new(TenantName::new("acme"), tell);
        let lines = PermitLines { observer, ..PermitLines::default() };
        let permit = || Permit::new(1, CallKind::Page, None, 0, lines.clone(), &InFlight::default());
        drop(permit());
        let unsent = permit();
        unsent.may_go();
        unsent.end_unsent();
        assert!(told.lock().is_empty(), "nothing went out");
        let asked = Instant::now();
        tokio::time::advance(Duration::from_secs(2)).await;
        let page = permit().asked(asked);
        let broken_off = permit();
        drop(page.may_go());
        drop(broken_off.may_go());
        tokio::time::advance(Duration::from_secs(1)).await;
        page.end_with_page(7, 2);
        drop(broken_off);
        let (waited, took) = (Duration::from_secs(2), Duration::from_secs(1));
        let tenant = TenantName::new("acme");
        let (bytes, records) = (Some(7), Some(2));
        let page = CallSeen { tenant, kind: CallKind::Page, waited, took, outcome: Outcome::Ok, bytes, records };
        let (bytes, records, outcome) = (None, None, Outcome::Local);
        let broken_off = CallSeen { waited: Duration::ZERO, outcome, bytes, records, ..page.clone() };
        assert_eq!(*told.lock(), [page, broken_off]);
    }

    #[tokio::test(start_paused = true)]
    async fn x5_a_permit_that_waited_for_something_else_is_good_for_its_turn_and_for_no_pause() {
        let lines = PermitLines::default();
        let permit = || Permit::new(1, CallKind::Submit, None, 0, lines.clone(), &InFlight::default());
        let first = permit();
        let may_go = first.may_go().expect("a permit can tell");
        assert!(first.is_still_good() && may_go());
        tokio::time::advance(FRESH).await;
        assert!(first.is_still_good() && may_go());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(!first.is_still_good() && !may_go(), "its turn is over");
        let second = permit();
        let patient = permit().with_patience();
        first.told_to_wait(429, Some(Duration::from_secs(2)));
        assert!(!second.is_still_good() && !patient.is_still_good(), "the tenant was heard meanwhile");
        tokio::time::advance(Duration::from_secs(2)).await;
        let patient = permit().with_patience();
        tokio::time::advance(PATIENCE).await;
        assert!(patient.is_still_good(), "a second is not too late");
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(!patient.is_still_good());
    }
}
