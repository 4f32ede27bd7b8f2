//! The tries of one request: permit by permit, until it succeeds or may not be tried again.
//!
//! What counts as a try is the tenant's configuration and the published rules: pauses asked for, the one replay after
//! a 401 and failed half-open probes don't. Submissions, polls and pages all go through here.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use crate::actors::permit::MAX_LATE;
use crate::actors::{Admit, CallKind, ExtractionContext, ExtractionStep, Permit, Refused};
use crate::model::{Failure, FailureClass, Outcome, Park, ParkReason};
use crate::policy::backoff::{Retry, RetryBudget};
use crate::tenant::{CallFault, TenantClient};
use crate::transport::Method;

/// The least pause between two tries. It lets the news of a failure reach the breaker before the next try asks the
/// gate.
const MIN_PAUSE: Duration = Duration::from_millis(5);

/// The tries of one request.
pub struct Tries<'a> {
    context: &'a ExtractionContext,
    kind: CallKind,
    budget: RetryBudget,
    /// Calls sent, whether they count or not.
    n_sent: u32,
    throttled_since: Option<Instant>,
    /// Its last answer was that the token is refused.
    is_replay: bool,
    /// Turns that were missed since the last one that was not.
    n_late: u32,
    /// The one repetition that a stale connection is good for was made.
    was_stale: bool,
    /// Set when the tries are used up, but only by an outage: then a half-open probe may still save the request.
    last_hope: Option<Park>,
}

impl<'a> Tries<'a> {
    /// A request that has not been tried yet.
    pub fn new(context: &'a ExtractionContext, kind: CallKind) -> Self {
        let budget = RetryBudget::new(context.tenant.retry);
        Self {
            context,
            kind,
            budget,
            n_sent: 0,
            n_late: 0,
            throttled_since: None,
            is_replay: false,
            was_stale: false,
            last_hope: None,
        }
    }

    /// Waits for the permit for the next try. The connection for it is made first, so that the call can go out in its
    /// turn.
    ///
    /// # Errors
    /// If there will be none.
    pub async fn permit(&mut self, client: &TenantClient) -> Result<Permit, Refused> {
        let admit = Admit { call: self.kind, extraction: Some(self.context.id), is_replay: self.is_replay };
        let method = if self.kind == CallKind::Submit { Method::Post } else { Method::Get };
        let permit = loop {
            self.context.unpaused().await;
            // A tenant that was never reached is not even dialled before a call may go out.
            let mut expected = None;
            if self.context.tenant.reached.load(Ordering::Relaxed) {
                expected = client.prepare(method, self.context.tenant.config.max_in_flight.get()).await;
            }
            let permit = self.context.tenant.gate.ask(admit).await.unwrap_or_else(|dead| {
                let message = format!("the gate could not be rebuilt: {dead}");
                Err(Refused::Failed(Failure::new(FailureClass::Internal, message)))
            })?;
            drop(expected);
            let permit = if self.n_late < MAX_LATE { permit } else { permit.with_patience() };
            // The host may have paused the report while it waited at the gate, and this task may have been woken late.
            if *self.context.paused.borrow() {
                continue;
            }
            if permit.is_still_good() {
                break permit;
            }
            self.n_late += 1;
        };
        if let Some(park) = self.last_hope.take()
            && !permit.is_probe()
        {
            return Err(Refused::Parked(park));
        }
        self.context.tally.requests.fetch_add(1, Ordering::Relaxed);
        if self.n_sent > 0 {
            self.context.tally.retries.fetch_add(1, Ordering::Relaxed);
        }
        self.n_sent += 1;
        Ok(permit)
    }

    /// Nothing was sent on that permit.
    pub fn give_back(&mut self, permit: Permit) {
        self.n_sent -= 1;
        self.context.tally.requests.fetch_sub(1, Ordering::Relaxed);
        if self.n_sent > 0 {
            self.context.tally.retries.fetch_sub(1, Ordering::Relaxed);
        }
        permit.end_unsent();
        self.n_late += 1;
    }

    /// Ends a failed call, then waits as long as the next try must.
    ///
    /// # Errors
    /// If there is to be no next try.
    pub async fn failed(&mut self, permit: Permit, fault: CallFault) -> Result<(), Refused> {
        if fault.late {
            self.give_back(permit);
            return Ok(());
        }
        self.n_late = 0;
        if fault.stale && !self.was_stale {
            // It says nothing of the tenant. The repetition asks the gate again: the tenant may have seen this one.
            self.was_stale = true;
            self.give_back(permit);
            tokio::time::sleep(MIN_PAUSE).await;
            return Ok(());
        }
        self.is_replay = fault.outcome == Outcome::AuthExpired;
        let (was_probe, sent) = (permit.is_probe(), permit.admitted());
        let token_asked = permit.token().map(|token| token.asked);
        // Before the gate hears of it, or the token that it has fetched because of this would look older.
        let now = Instant::now();
        permit.end(fault.outcome, Some(fault.message.clone()));
        let retry = match (fault.outcome, token_asked) {
            (Outcome::AuthExpired, Some(asked)) => self.budget.refused(now, asked, sent),
            (outcome, _) => self.budget.after(outcome, was_probe, self.context.draw()),
        };
        if matches!(fault.outcome, Outcome::Throttled { .. }) {
            self.throttled(&fault)?;
        } else {
            self.throttled_since = None;
        }
        match retry {
            Retry::Now => tokio::time::sleep(MIN_PAUSE).await,
            Retry::After(pause) => self.back_off(pause, &fault.message).await,
            Retry::Exhausted => {
                self.used_up(&fault)?;
                self.back_off(self.context.tenant.retry.base_delay, &fault.message).await;
            }
            Retry::Never => return Err(Refused::Failed(fault.into_failure(&self.place()))),
        }
        Ok(())
    }

    fn used_up(&mut self, fault: &CallFault) -> Result<(), Refused> {
        let message = format!("{}: {}; given up after {} tries", self.place(), fault.message, self.budget.n_charged());
        if fault.outcome == Outcome::WrongKind {
            return Err(Refused::Failed(Failure::new(FailureClass::Data, message)));
        }
        let park = Park {
            reason: ParkReason::TenantDown,
            message: format!("{message}; run again once the tenant is well"),
            until: None,
        };
        // Requests wait an outage out behind the breaker, they don't fail of it. Where the breaker is about to open
        // because of this very failure, the next permit is a probe's; where it is not, the tries are used up.
        if fault.unreachable && self.context.tenant.reached.load(Ordering::Relaxed) {
            self.last_hope = Some(park);
            return Ok(());
        }
        Err(Refused::Parked(park))
    }

    fn throttled(&mut self, fault: &CallFault) -> Result<(), Refused> {
        self.context.tally.throttled.fetch_add(1, Ordering::Relaxed);
        let since = *self.throttled_since.get_or_insert_with(Instant::now);
        let limit = self.context.tenant.config.max_wait_for_tenant;
        if since.elapsed() <= limit {
            return Ok(());
        }
        let message =
            format!("{}: told to wait again and again for {limit:?}: {}; run again later", self.place(), fault.message);
        Err(Refused::Parked(Park { reason: ParkReason::TenantPause, message, until: None }))
    }

    async fn back_off(&self, pause: Duration, why: &str) {
        let until = Instant::now() + pause.max(MIN_PAUSE);
        self.context.tell(ExtractionStep::Retrying(until, why.to_owned()));
        tokio::time::sleep_until(until).await;
    }

    fn place(&self) -> String {
        format!("{} of {}", self.context.report.name, self.context.tenant.name())
    }
}
