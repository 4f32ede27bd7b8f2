//! Submits an extraction's query, waits until its results are ready, and looks after it while they are read.
//!
//! The query's id is handed to the supervisor, who stores it, before the first poll. A submission is repeated only
//! where the tenant can't have acted on it; where that is unknown, once, and said so.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix::prelude::*;
use tokio::time::Instant;

use crate::actors::{
    Call, CallKind, CheckQuery, DeathNotice, ExtractionContext, ExtractionEnd, ExtractionStep, Line, QueryChecked,
    QuerySubmitted, Refused, ResultsReady, Tries,
};
use crate::model::{Ending, Failure, FailureClass, Outcome, Park, ParkReason, QueryId, Timestamp};
use crate::policy::backoff::{PollSettings, poll_delay};
use crate::tenant::{QueryBody, QueryStatus, StatusAnswer, SubmitFilter, TenantClient};

/// So often found running again after it was complete, a query's state is no accident any more.
const MAX_FLAPS: u32 = 3;

/// What a poller is made of.
pub struct PollerParts {
    /// The extraction.
    pub context: Arc<ExtractionContext>,
    /// A query that was submitted before, to be gone on with.
    pub query: Option<QueryId>,
    /// Where the query's id is stored.
    pub submitted: Line<QuerySubmitted>,
    /// Told when pages can be fetched.
    pub ready: Line<ResultsReady>,
    /// Told what became of the query.
    pub checked: Line<QueryChecked>,
}

/// The poller of one extraction.
pub struct PollerActor {
    parts: Arc<PollerParts>,
    client: TenantClient,
    query: Option<QueryId>,
    n_flaps: u32,
    notice: DeathNotice,
}

/// Why a poller's work stopped short.
enum Stop {
    Refused(Refused),
    /// The query is gone.
    Gone,
}

impl From<Refused> for Stop {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl PollerActor {
    /// A poller that calls over `client`.
    pub fn new(parts: PollerParts, client: TenantClient, notice: DeathNotice) -> Self {
        let query = parts.query.clone();
        Self { parts: Arc::new(parts), client, query, n_flaps: 0, notice }
    }

    /// Polls until the results are ready, then tells the writer.
    fn wait_until_ready(&mut self, query: QueryId, first_delay: bool, ctx: &mut Context<Self>) {
        let (parts, client) = (self.parts.clone(), self.client.clone());
        let polled = query.clone();
        let work =
            async move { until_cancelled(&parts.context, poll(&parts.context, &client, &polled, first_delay)).await };
        ctx.spawn(work.into_actor(self).map(move |polled, poller, ctx| match polled {
            None => poller.leave(ctx),
            Some(Ok(total_rows)) => poller.parts.ready.tell(ResultsReady { query, total_rows }),
            Some(Err(stop)) => poller.stop(stop, ctx),
        }));
    }

    fn stop(&mut self, stop: Stop, ctx: &mut Context<Self>) {
        let how = match stop {
            Stop::Gone => ExtractionEnd::Expired,
            Stop::Refused(Refused::Parked(park)) => ExtractionEnd::Ended(Ending::Parked(park)),
            Stop::Refused(Refused::Failed(failure)) => ExtractionEnd::Ended(Ending::Failed(failure)),
        };
        let context = &self.parts.context;
        context.ended.tell(context.trace.ended(context.id, how));
        self.leave(ctx);
    }

    fn leave(&mut self, ctx: &mut Context<Self>) {
        self.notice.quiet();
        ctx.stop();
    }
}

impl Actor for PollerActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        if let Some(query) = self.query.clone() {
            return self.wait_until_ready(query, false, ctx);
        }
        let (parts, client) = (self.parts.clone(), self.client.clone());
        let work = async move { until_cancelled(&parts.context, submit(&parts, &client)).await };
        ctx.spawn(work.into_actor(self).map(|submitted, poller, ctx| match submitted {
            None => poller.leave(ctx),
            Some(Ok(query)) => {
                poller.query = Some(query.clone());
                poller.wait_until_ready(query, true, ctx);
            }
            Some(Err(stop)) => poller.stop(stop, ctx),
        }));
    }
}

impl Handler<CheckQuery> for PollerActor {
    type Result = ();

    fn handle(&mut self, _: CheckQuery, ctx: &mut Self::Context) {
        fail::fail_point!(&self.parts.context.place("poller"));
        let Some(query) = self.query.clone() else { return };
        let (parts, client) = (self.parts.clone(), self.client.clone());
        let asked = query.clone();
        let work = async move { until_cancelled(&parts.context, status(&parts.context, &client, &asked)).await };
        ctx.spawn(work.into_actor(self).map(move |answer, poller, ctx| match answer {
            None => poller.leave(ctx),
            Some(Ok(StatusAnswer::Gone)) => poller.parts.checked.tell(QueryChecked::Gone),
            Some(Ok(StatusAnswer::Known(QueryStatus::Complete { .. }))) => {
                poller.parts.checked.tell(QueryChecked::Complete);
            }
            Some(Ok(StatusAnswer::Known(QueryStatus::Working))) => {
                poller.n_flaps += 1;
                if poller.n_flaps >= MAX_FLAPS {
                    let message = format!(
                        "{}: query {query} was complete and is running again, {} times over",
                        poller.parts.context.report.name, poller.n_flaps
                    );
                    let failure = Failure::new(FailureClass::Data, message);
                    return poller.stop(Stop::Refused(Refused::Failed(failure)), ctx);
                }
                poller.parts.checked.tell(QueryChecked::NotReady);
                poller.wait_until_ready(query, true, ctx);
            }
            Some(Ok(StatusAnswer::Known(other))) => {
                let failure = bad_status(&poller.parts.context, &query, other);
                poller.stop(Stop::Refused(Refused::Failed(failure)), ctx);
            }
            Some(Err(refused)) => poller.stop(refused.into(), ctx),
        }));
    }
}

/// The work's result, or nothing if the extraction is called off first.
async fn until_cancelled<T>(context: &ExtractionContext, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        () = context.cancelled() => None,
        done = work => Some(done),
    }
}

/// Submits the query and has its id stored.
async fn submit(parts: &PollerParts, client: &TenantClient) -> Result<QueryId, Stop> {
    let context = &parts.context;
    let report = &context.report;
    let filters = report.filters.iter().map(|filter| SubmitFilter {
        field: filter.field.clone(),
        operator: filter.operator.clone(),
        value: filter.value.clone(),
    });
    let body = QueryBody::new(&report.template_id, context.window, filters.collect(), report.page_size);
    // A predecessor that died may have left the right behind.
    if context.query_permit.lock().is_none() {
        let permit = context.tenant.queries.clone().acquire_owned().await;
        *context.query_permit.lock() = permit.ok();
    }
    let mut tries = Tries::new(context, CallKind::Submit);
    let mut n_unknown = 0;
    loop {
        let permit = tries.permit().await?;
        fail::fail_point!(&context.place("poller"));
        let Some(token) = permit.token().cloned() else { return Err(Stop::Refused(no_token())) };
        let throttled = |status, wait| permit.told_to_wait(status, wait);
        let fault = match client.submit(Call { token: &token, throttled: &throttled }, &body).await {
            Ok(query) => {
                permit.end(Outcome::Ok, None);
                context.tenant.reached.store(true, Ordering::Relaxed);
                let news = QuerySubmitted { extraction: context.id, query: query.clone() };
                // Polled only once the id is stored: after a crash the query must not be submitted again.
                parts.submitted.ask(news).await.map_err(|dead| {
                    Stop::Refused(Refused::Failed(Failure::new(FailureClass::Internal, dead.to_string())))
                })?;
                return Ok(query);
            }
            Err(fault) => fault,
        };
        if fault.may_have_acted() {
            n_unknown += 1;
            let message = format!(
                "the outcome of a submission is unknown ({}); a query without an owner may be left at the tenant",
                fault.message
            );
            context.tell(ExtractionStep::Remark(message));
        }
        if n_unknown > 1 {
            let message =
                format!("{}: submitted twice, both times with unknown outcome: {}", report.name, fault.message);
            let is_wrong_kind = fault.outcome == Outcome::WrongKind;
            permit.end(fault.outcome, Some(fault.message));
            return Err(Stop::Refused(if is_wrong_kind {
                Refused::Failed(Failure::new(FailureClass::Data, message))
            } else {
                Refused::Parked(Park { reason: ParkReason::TenantDown, message, until: None })
            }));
        }
        tries.failed(permit, fault).await?;
    }
}

/// Polls until the results are ready; the answer's `totalRows`.
async fn poll(
    context: &ExtractionContext,
    client: &TenantClient,
    query: &QueryId,
    first_delay: bool,
) -> Result<Option<u64>, Stop> {
    let config = &context.tenant.config.poll;
    let settings = PollSettings {
        initial_delay: config.initial_delay,
        multiplier: config.multiplier,
        max_delay: config.max_delay,
        jitter: config.jitter,
    };
    let began = Instant::now();
    let mut n = 0;
    loop {
        if n > 0 || first_delay {
            let delay = poll_delay(&settings, n, context.draw());
            let left = config.max_wait.saturating_sub(began.elapsed());
            let until = Instant::now() + delay.min(left);
            context.tell(ExtractionStep::Polled(until));
            tokio::time::sleep_until(until).await;
        }
        n += 1;
        match status(context, client, query).await? {
            StatusAnswer::Gone => return Err(Stop::Gone),
            StatusAnswer::Known(QueryStatus::Complete { total_rows }) => return Ok(total_rows),
            StatusAnswer::Known(QueryStatus::Working) if began.elapsed() >= config.max_wait => {
                return Err(Stop::Refused(Refused::Parked(not_ready(context, query, config.max_wait))));
            }
            StatusAnswer::Known(QueryStatus::Working) => {}
            StatusAnswer::Known(other) => {
                return Err(Stop::Refused(Refused::Failed(bad_status(context, query, other))));
            }
        }
    }
}

/// One answer of the status endpoint, with as many tries as it takes.
async fn status(context: &ExtractionContext, client: &TenantClient, query: &QueryId) -> Result<StatusAnswer, Refused> {
    let mut tries = Tries::new(context, CallKind::Status);
    loop {
        let permit = tries.permit().await?;
        fail::fail_point!(&context.place("poller"));
        let Some(token) = permit.token().cloned() else { return Err(no_token()) };
        let throttled = |status, wait| permit.told_to_wait(status, wait);
        match client.status(Call { token: &token, throttled: &throttled }, query).await {
            Ok(answer) => {
                context.tenant.reached.store(true, Ordering::Relaxed);
                permit.end(Outcome::Ok, None);
                return Ok(answer);
            }
            Err(fault) => tries.failed(permit, fault).await?,
        }
    }
}

fn no_token() -> Refused {
    Refused::Failed(Failure::new(FailureClass::Internal, "a call was admitted without a token"))
}

fn not_ready(context: &ExtractionContext, query: &QueryId, max_wait: Duration) -> Park {
    let message = format!(
        "{}: query {query} was not ready within poll.max_wait ({max_wait:?}); the next run asks anew",
        context.report.name
    );
    Park { reason: ParkReason::NotReady, message, until: None::<Timestamp> }
}

fn bad_status(context: &ExtractionContext, query: &QueryId, status: QueryStatus) -> Failure {
    let name = &context.report.name;
    match status {
        QueryStatus::Failed(reason) => {
            let reason = reason.unwrap_or_else(|| "no reason was given".to_owned());
            Failure::new(FailureClass::Denied, format!("{name}: the tenant could not run query {query}: {reason}"))
        }
        QueryStatus::Unknown(word) => {
            Failure::new(FailureClass::Data, format!("{name}: query {query} has the unknown status “{word}”"))
        }
        QueryStatus::Working | QueryStatus::Complete { .. } => {
            Failure::new(FailureClass::Internal, format!("{name}: query {query} has an unexpected status"))
        }
    }
}
