//! Submits an extraction's queries, waits until their results are ready, and looks after them while they are read.
//!
//! A report that is split has a query for each part, opened in order and as many at once as the tenant may have open;
//! the writer gives a query's place back when it has read the part to its end. A query's id is stored before the first
//! poll. A submission is repeated only where the tenant can't have acted on it; where that is unknown, once, and said
//! so.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix::prelude::*;
use tokio::time::Instant;

use crate::actors::page::HeadDue;
use crate::actors::{
    Call, CallKind, CheckQuery, DeathNotice, ExtractionContext, ExtractionEnd, ExtractionStep, Line, QueryChecked,
    Refused, ResultsReady, Tries,
};
use crate::model::{Ending, Failure, FailureClass, Outcome, Park, ParkReason, QueryId, Timestamp};
use crate::policy::backoff::{PollSettings, poll_delay};
use crate::policy::ends::QueryCheck;
use crate::state::{StoreError, StoredExtraction};
use crate::tenant::{QueryBody, QueryStatus, StatusAnswer, SubmitFilter, TenantClient};

/// So often found running again after it was complete, a query's state is no accident any more.
const MAX_FLAPS: u32 = 3;

/// What a poller is made of.
pub struct PollerParts {
    /// The extraction.
    pub context: Arc<ExtractionContext>,
    /// What is stored of it: queries that were submitted before are gone on with.
    pub stored: StoredExtraction,
    /// Told when pages can be fetched.
    pub ready: Line<ResultsReady>,
    /// Told what became of the query.
    pub checked: Line<QueryChecked>,
}

/// The poller of one extraction.
pub struct PollerActor {
    parts: Arc<PollerParts>,
    client: TenantClient,
    queries: BTreeMap<u32, QueryId>,
    /// How often a complete query was found running again, by part.
    n_flaps: BTreeMap<u32, u32>,
    /// Polls that may be out.
    polls: Vec<HeadDue>,
    notice: DeathNotice,
}

/// Why a poller's work stopped short.
enum Stop {
    Refused(Refused),
    /// The query of that part is gone.
    Gone(u32),
}

impl From<Refused> for Stop {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl PollerActor {
    /// A poller that calls over `client`.
    pub fn new(parts: PollerParts, client: TenantClient, notice: DeathNotice) -> Self {
        Self {
            parts: Arc::new(parts),
            client,
            queries: BTreeMap::new(),
            n_flaps: BTreeMap::new(),
            polls: Vec::new(),
            notice,
        }
    }

    /// Opens the query of a part as soon as the tenant may have another one open, then that of the next.
    fn open(&mut self, part: u32, ctx: &mut Context<Self>) {
        if part as usize >= self.parts.context.windows.len() {
            return;
        }
        let (parts, client) = (self.parts.clone(), self.client.clone());
        let work = async move { open(&parts, &client, part).await };
        ctx.spawn(work.into_actor(self).map(move |opened, poller, ctx| match opened {
            None => poller.leave(ctx),
            Some(Ok((query, is_new))) => {
                poller.queries.insert(part, query.clone());
                poller.wait_until_ready(part, query, is_new, ctx);
                poller.open(part + 1, ctx);
            }
            Some(Err(stop)) => poller.stop(stop, ctx),
        }));
    }

    /// Polls until the results are ready, then tells the writer.
    fn wait_until_ready(&mut self, part: u32, query: QueryId, first_delay: bool, ctx: &mut Context<Self>) {
        let (parts, client) = (self.parts.clone(), self.client.clone());
        let (polled, head_due) = (query.clone(), self.listens());
        let work = async move {
            let context = parts.context.clone();
            let due = head_due.clone();
            let poll = async move { poll(&parts.context, &client, part, &polled, first_delay, &due).await };
            until_cancelled_and_heard(context, head_due, poll).await
        };
        ctx.spawn(work.into_actor(self).map(move |polled, poller, ctx| match polled {
            None => poller.leave(ctx),
            Some(Ok(total_rows)) => poller.parts.ready.tell(ResultsReady { part, query, total_rows }),
            Some(Err(stop)) => poller.stop(stop, ctx),
        }));
    }

    /// For a poll that is to be heard even if nobody wants its answer any more.
    fn listens(&mut self) -> HeadDue {
        let head_due = HeadDue::default();
        self.polls.retain(HeadDue::is_shared);
        self.polls.push(head_due.clone());
        head_due
    }

    fn stop(&mut self, stop: Stop, ctx: &mut Context<Self>) {
        if *self.parts.context.cancelled.borrow() {
            // What follows is decided already.
            return self.leave(ctx);
        }
        let how = match stop {
            Stop::Gone(part) => ExtractionEnd::Expired(part),
            Stop::Refused(Refused::Parked(park)) => ExtractionEnd::Ended(Ending::Parked(park)),
            Stop::Refused(Refused::Failed(failure)) => ExtractionEnd::Ended(Ending::Failed(failure)),
        };
        let context = &self.parts.context;
        context.ended.tell(context.trace.ended(context.id, how, false));
        self.leave(ctx);
    }

    /// Goes, but not before the answers to submissions that are out are heard and stored, and the heads of answers to
    /// polls: one of them may tell of a pause.
    fn leave(&mut self, ctx: &mut Context<Self>) {
        self.notice.quiet();
        let context = self.parts.context.clone();
        let polls = std::mem::take(&mut self.polls);
        let answered = async move {
            context.no_submission_out().await;
            for poll in polls {
                poll.is_here().await;
            }
        };
        ctx.spawn(answered.into_actor(self).map(|(), _, ctx| ctx.stop()));
    }
}

impl Actor for PollerActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let first = self.parts.stored.checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.position.part);
        self.open(first, ctx);
    }
}

impl Handler<CheckQuery> for PollerActor {
    type Result = ();

    fn handle(&mut self, CheckQuery { part }: CheckQuery, ctx: &mut Self::Context) {
        fail::fail_point!(&self.parts.context.place("poller"));
        let Some(query) = self.queries.get(&part).cloned() else { return };
        let (parts, client) = (self.parts.clone(), self.client.clone());
        let (asked, head_due) = (query.clone(), self.listens());
        let work = async move {
            let context = parts.context.clone();
            let due = head_due.clone();
            let status = async move { status(&parts.context, &client, &asked, &due).await };
            until_cancelled_and_heard(context, head_due, status).await
        };
        ctx.spawn(work.into_actor(self).map(move |answer, poller, ctx| {
            let tell = |check| poller.parts.checked.tell(QueryChecked { part, check });
            match answer {
                None => poller.leave(ctx),
                Some(Ok(StatusAnswer::Gone)) => tell(QueryCheck::Gone),
                Some(Ok(StatusAnswer::Known(QueryStatus::Complete { .. }))) => tell(QueryCheck::Complete),
                Some(Ok(StatusAnswer::Known(QueryStatus::Working))) => {
                    let n_flaps = poller.n_flaps.entry(part).or_default();
                    *n_flaps += 1;
                    if *n_flaps >= MAX_FLAPS {
                        let message = format!(
                            "{}: query {query} was complete and is running again, {n_flaps} times over",
                            poller.parts.context.report.name
                        );
                        let failure = Failure::new(FailureClass::Data, message);
                        return poller.stop(Stop::Refused(Refused::Failed(failure)), ctx);
                    }
                    tell(QueryCheck::NotReady);
                    poller.wait_until_ready(part, query, true, ctx);
                }
                Some(Ok(StatusAnswer::Known(other))) => {
                    let failure = bad_status(&poller.parts.context, &query, other);
                    poller.stop(Stop::Refused(Refused::Failed(failure)), ctx);
                }
                Some(Err(refused)) => poller.stop(refused.into(), ctx),
            }
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

/// The same for work whose calls may be out when it is called off: what is out then is still listened to.
async fn until_cancelled_and_heard<T: 'static>(
    context: Arc<ExtractionContext>,
    head_due: HeadDue,
    work: impl Future<Output = T> + 'static,
) -> Option<T> {
    let mut work = Box::pin(work);
    let done = until_cancelled(&context, work.as_mut()).await;
    if done.is_none() {
        actix_rt::spawn(async move { head_due.heard(work).await });
    }
    done
}

/// Has the query of a part: the one that was submitted before, or a new one. And whether it is new.
async fn open(parts: &PollerParts, client: &TenantClient, part: u32) -> Option<Result<(QueryId, bool), Stop>> {
    let context = &parts.context;
    // A predecessor that died may have left the right behind.
    let has_permit = context.query_permits.lock().contains_key(&part);
    if !has_permit {
        if !parts.stored.queries.contains_key(&part) {
            until_cancelled(context, context.tenant.all_opened()).await?;
        }
        let permit = until_cancelled(context, context.tenant.queries.clone().acquire_owned()).await?;
        context.query_permits.lock().extend(permit.ok().map(|permit| (part, permit)));
    }
    if let Some(stored) = parts.stored.queries.get(&part) {
        return Some(Ok((stored.id.clone(), false)));
    }
    if parts.stored.submissions.contains(&part) {
        let window = context.windows[part as usize];
        let message = format!(
            "an earlier run ended between submitting the query from {} to {} and storing its id; a possible orphan, a \
             query without an owner, may be left at the tenant",
            window.from, window.to
        );
        context.tell(ExtractionStep::Remark(message));
    }
    submit(parts, client, part).await.transpose().map(|query| query.map(|query| (query, true)))
}

/// Submits the query of a part and has its id stored; nothing if the extraction is called off before it is sent. Once
/// sent, the answer is waited for also then, since the tenant may have the query.
async fn submit(parts: &PollerParts, client: &TenantClient, part: u32) -> Result<Option<QueryId>, Stop> {
    let context = &parts.context;
    let report = &context.report;
    let filters = report.filters.iter().map(|filter| SubmitFilter {
        field: filter.field.clone(),
        operator: filter.operator.clone(),
        value: filter.value.clone(),
    });
    let window = context.windows[part as usize];
    let body = QueryBody::new(&report.template_id, window, filters.collect(), report.page_size);
    let mut tries = Tries::new(context, CallKind::Submit);
    let mut n_unknown = 0;
    let mut is_announced = false;
    // From the announcement on, nobody goes on before its fate is stored.
    let mut out = None;
    loop {
        let permit = match until_cancelled(context, tries.permit(client)).await {
            Some(Ok(permit)) => permit,
            none => {
                if is_announced && n_unknown == 0 {
                    context.journal.submission_refused(part).await.map_err(|error| not_stored(context, &error))?;
                }
                return none.map_or(Ok(None), |refused| refused.map(|_| None).map_err(Stop::from));
            }
        };
        fail::fail_point!(&context.place("poller"));
        let Some(token) = permit.token().cloned() else { return Err(Stop::Refused(no_token())) };
        out.get_or_insert_with(|| SubmissionOut::new(context));
        if !is_announced {
            context.journal.submission_begins(part).await.map_err(|error| not_stored(context, &error))?;
            is_announced = true;
            // The store may have taken its time, and the next turn needs none of it any more.
            if !permit.is_still_good() {
                tries.give_back(permit);
                continue;
            }
        }
        fail::fail_point!("submission-begins");
        let fault = match client.submit(Call { token: &token, watch: &permit }, &body).await {
            Ok(query) => {
                fail::fail_point!("submission-answered");
                permit.end(Outcome::Ok, None);
                context.tenant.reached.store(true, Ordering::Relaxed);
                context.tell(ExtractionStep::Submitted);
                // Polled only once the id is stored: after a crash the query must not be submitted again.
                let stored = context.journal.submitted(part, query.clone(), context.clock.now()).await;
                stored.map_err(|error| not_stored(context, &error))?;
                return Ok(Some(query));
            }
            Err(fault) => fault,
        };
        if !fault.may_have_acted() && n_unknown == 0 {
            is_announced = false;
            context.journal.submission_refused(part).await.map_err(|error| not_stored(context, &error))?;
            out = None;
        }
        if fault.may_have_acted() {
            n_unknown += 1;
            let message = format!(
                "the outcome of a submission is unknown ({}); a possible orphan, a query without an owner, may be left at \
                 the tenant",
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
        match until_cancelled(context, tries.failed(permit, fault)).await {
            Some(failed) => failed?,
            None => return Ok(None),
        }
    }
}

/// Counts a submission as out while it lives.
struct SubmissionOut<'a>(&'a ExtractionContext);

impl<'a> SubmissionOut<'a> {
    fn new(context: &'a ExtractionContext) -> Self {
        context.submissions_out.send_modify(|n_out| *n_out += 1);
        Self(context)
    }
}

impl Drop for SubmissionOut<'_> {
    fn drop(&mut self) {
        self.0.submissions_out.send_modify(|n_out| *n_out -= 1);
    }
}

/// Without the store the tenant's query would be lost to the next run.
fn not_stored(context: &ExtractionContext, error: &StoreError) -> Stop {
    let message = format!("{}: {error}; run again once that is put right", context.report.name);
    Stop::Refused(Refused::Parked(Park { reason: ParkReason::StateStore, message, until: None }))
}

/// Polls until the results are ready; the answer's `totalRows`.
async fn poll(
    context: &ExtractionContext,
    client: &TenantClient,
    part: u32,
    query: &QueryId,
    first_delay: bool,
    head_due: &HeadDue,
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
        match status(context, client, query, head_due).await? {
            StatusAnswer::Gone => return Err(Stop::Gone(part)),
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
async fn status(
    context: &ExtractionContext,
    client: &TenantClient,
    query: &QueryId,
    head_due: &HeadDue,
) -> Result<StatusAnswer, Refused> {
    let mut tries = Tries::new(context, CallKind::Status);
    loop {
        let permit = tries.permit(client).await?;
        fail::fail_point!(&context.place("poller"));
        let Some(token) = permit.token().cloned() else { return Err(no_token()) };
        match head_due.of(client.status(Call { token: &token, watch: &permit }, query)).await {
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
        "{}: query {query} was not ready within poll.max_wait ({max_wait:?}); the next run goes on polling it",
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
