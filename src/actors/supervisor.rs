//! Builds, watches, rebuilds and stops every other stage. The only actor that knows the others by name.
//!
//! What it knows lies in [`Books`] outside of it, what it builds with in the [`Workshop`]: if a handler dies, a
//! successor goes on with both, and the one extraction whose news was in hand fails by name.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::oneshot;

use crate::actors::books::{Books, InHand, Running, called_off};
use crate::actors::extract_answer::ExtractAnswer;
use crate::actors::workshop::{ExtractionOrder, Workshop};
use crate::actors::{
    Cancel, DeathNotice, Extract, ExtractionEnd, ExtractionEnded, ExtractionMoved, ExtractionStep, PagesCommitted,
    Pause, QuerySubmitted, Resume, Shutdown, StageDied, Status, Subscribe, TenantHeld,
};
use crate::config::ReportConfig;
use crate::model::{Ending, ExtractionId, Failure, FailureClass, Park, Progress, ReportName, ReportState, WaitReason};

/// How many supervisors may die of an order to extract one report before it is answered with that.
const MAX_DEADLY: u32 = 2;

/// How soon a subscriber that was full is tried again.
const FLUSH_PAUSE: Duration = Duration::from_millis(100);

/// The supervisor.
pub struct SupervisorActor {
    pub(super) workshop: Arc<Workshop>,
    pub(super) books: Arc<Mutex<Books>>,
    is_flush_due: bool,
    _notice: DeathNotice,
}

impl SupervisorActor {
    /// A supervisor over these books.
    pub fn new(workshop: Arc<Workshop>, books: Arc<Mutex<Books>>, notice: DeathNotice) -> Self {
        Self { workshop, books, is_flush_due: false, _notice: notice }
    }

    fn publish(&mut self, mut books: MutexGuard<'_, Books>, progress: Progress, ctx: &mut Context<Self>) {
        books.publish(progress, &self.workshop.seams.clock);
        let is_unsent = books.flush();
        drop(books);
        if is_unsent && !self.is_flush_due {
            self.is_flush_due = true;
            ctx.run_later(FLUSH_PAUSE, Self::flush_later);
        }
    }

    fn flush_later(&mut self, ctx: &mut Context<Self>) {
        self.is_flush_due = self.books.lock().flush();
        if self.is_flush_due {
            ctx.run_later(FLUSH_PAUSE, Self::flush_later);
        }
    }

    /// Works on one extraction's news, noting whose it is.
    fn with_running(&mut self, id: ExtractionId, ctx: &mut Context<Self>, work: impl FnOnce(&mut Running, &Workshop)) {
        let books = self.books.clone();
        let mut books = books.lock();
        books.in_hand = Some(InHand::News(id));
        fail::fail_point!(&books.place(id));
        let workshop = self.workshop.clone();
        let progress = books.by_id(id).map(|running| {
            work(running, &workshop);
            running.progress.clone()
        });
        if let Some(progress) = progress {
            self.publish(books, progress, ctx);
        } else {
            drop(books);
        }
        self.books.lock().in_hand = None;
    }

    /// Gives an extraction a new incarnation and builds its stages once its destination is known to be usable.
    pub(super) fn build(&mut self, report: &ReportName, ctx: &mut Context<Self>) {
        let books = self.books.clone();
        let mut books = books.lock();
        let id = books.next_id();
        let Some(running) = books.by_report(report) else { return };
        running.id = id;
        let (cancel, cancelled) = tokio::sync::watch::channel(false);
        running.cancel = cancel;
        running.stages = None;
        let order = ExtractionOrder {
            id,
            report: running.report.clone(),
            window: running.window,
            query: running.query.clone(),
            query_permit: running.query_permit.clone(),
            own_lane: running.own_lane.clone(),
            account: running.account.clone(),
            tally: running.tally.clone(),
            trace: running.trace.clone(),
            cancelled,
            paused: running.pause.subscribe(),
        };
        drop(books);
        let preflight = self.workshop.preflight(&order.report, order.window);
        let workshop = self.workshop.clone();
        ctx.spawn(preflight.into_actor(self).map(move |usable, supervisor, ctx| {
            let built = usable.and_then(|()| workshop.build_extraction(order));
            let mut books = supervisor.books.lock();
            let Some(running) = books.by_id(id) else { return };
            match built {
                Ok(stages) => running.stages = Some(stages),
                Err(failure) => {
                    drop(books);
                    supervisor.end(id, Ending::Failed(failure), ctx);
                }
            }
        }));
    }

    pub(super) fn end(&mut self, id: ExtractionId, ending: Ending, ctx: &mut Context<Self>) {
        let books = self.books.clone();
        let mut books = books.lock();
        let Some(at) = books.running.iter().position(|running| running.id == id) else { return };
        let mut running = books.running.swap_remove(at);
        let ending = about(&running.report, ending);
        running.cancel.send_replace(true);
        let progress = &mut running.progress;
        progress.at = self.workshop.seams.clock.now();
        progress.waiting = None;
        (progress.state, progress.message) = match &ending {
            Ending::Complete(manifest) => {
                progress.n_pages = manifest.pages;
                progress.n_rows = manifest.output.rows;
                progress.n_bytes = manifest.output.bytes;
                (ReportState::Complete, progress.message.take())
            }
            Ending::Skipped(why) => (ReportState::Complete, Some(why.clone())),
            Ending::Parked(park) => (ReportState::Parked, Some(park.message.clone())),
            Ending::Failed(failure) => (ReportState::Failed, Some(failure.message.clone())),
        };
        if let Ending::Parked(park) = &ending {
            progress.waiting = park.until.map(|until| (WaitReason::ToldToWait(429), until));
        }
        let progress = running.progress.clone();
        books.ended.insert(running.report.name.clone(), progress.clone());
        running.answer(&Ok(ending));
        self.workshop.extraction_ended(&running, progress.state);
        let is_last = books.running.is_empty() && books.is_closing;
        self.publish(books, progress, ctx);
        if is_last {
            self.workshop.close();
        }
    }

    /// Parks everything; the last one that is parked closes the workshop.
    pub(super) fn leave(&mut self, ctx: &mut Context<Self>) {
        let running: Vec<_> = {
            let mut books = self.books.lock();
            books.is_closing = true;
            books.running.iter().map(|running| (running.id, running.report.name.clone())).collect()
        };
        for (id, report) in &running {
            self.call_off(*id, report, ctx);
        }
        if running.is_empty() {
            self.workshop.close();
        }
    }

    fn call_off(&mut self, id: ExtractionId, report: &ReportName, ctx: &mut Context<Self>) {
        self.end(id, called_off(report), ctx);
    }
}

/// The ending with words that say whose it is: what gate, tokens and breaker say is of a tenant, not of a report.
fn about(report: &ReportConfig, ending: Ending) -> Ending {
    let whose = |message: String| match message.starts_with(report.name.as_str()) {
        true => message,
        false => format!("{} of {}: {message}", report.name, report.tenant),
    };
    match ending {
        Ending::Parked(park) => Ending::Parked(Park { message: whose(park.message), ..park }),
        Ending::Failed(failure) => Ending::Failed(Failure { message: whose(failure.message), ..failure }),
        done => done,
    }
}

impl Actor for SupervisorActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.workshop.lines.connect(&ctx.address());
        self.take_over(ctx);
    }
}

impl Handler<Extract> for SupervisorActor {
    type Result = ExtractAnswer;

    fn handle(&mut self, order: Extract, ctx: &mut Self::Context) -> Self::Result {
        let (asker, answer) = oneshot::channel();
        let books = self.books.clone();
        let mut books = books.lock();
        let name = order.report.clone();
        if books.is_closing {
            return ExtractAnswer::Now(Ok(called_off(&name)));
        }
        let n_died = books.deadly_orders.get(&name).copied().unwrap_or_default();
        if n_died > MAX_DEADLY {
            books.deadly_orders.remove(&name);
            let message = format!("{name}: the supervisor died of the order {n_died} times");
            return ExtractAnswer::Now(Ok(Ending::Failed(Failure::new(FailureClass::Internal, message))));
        }
        books.in_hand = Some(InHand::Order(name.clone()));
        fail::fail_point!(&format!("supervisor/{name}"));
        if let Some(running) = books.by_report(&order.report) {
            running.askers.push(asker);
            drop(books);
        } else {
            match self.workshop.running(&order, books.next_id(), asker) {
                Ok(running) => {
                    let progress = running.progress.clone();
                    books.running.push(running);
                    self.publish(books, progress, ctx);
                    self.build(&order.report, ctx);
                }
                Err(ending) => {
                    books.in_hand = None;
                    return ExtractAnswer::Now(ending);
                }
            }
        }
        let mut books = self.books.lock();
        books.in_hand = None;
        books.deadly_orders.remove(&name);
        ExtractAnswer::Later(answer, name)
    }
}

impl Handler<Pause> for SupervisorActor {
    type Result = bool;

    fn handle(&mut self, Pause(report): Pause, _: &mut Self::Context) -> bool {
        self.books.lock().by_report(&report).map(|running| running.pause.send_replace(true)).is_some()
    }
}

impl Handler<Resume> for SupervisorActor {
    type Result = bool;

    fn handle(&mut self, Resume(report): Resume, _: &mut Self::Context) -> bool {
        self.books.lock().by_report(&report).map(|running| running.pause.send_replace(false)).is_some()
    }
}

impl Handler<Cancel> for SupervisorActor {
    type Result = bool;

    fn handle(&mut self, Cancel(report): Cancel, ctx: &mut Self::Context) -> bool {
        let id = self.books.lock().by_report(&report).map(|running| running.id);
        if let Some(id) = id {
            self.call_off(id, &report, ctx);
        }
        id.is_some()
    }
}

impl Handler<Status> for SupervisorActor {
    type Result = MessageResult<Status>;

    fn handle(&mut self, _: Status, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.books.lock().snapshots(&self.workshop.seams.clock))
    }
}

impl Handler<Subscribe> for SupervisorActor {
    type Result = ();

    fn handle(&mut self, Subscribe(recipient): Subscribe, ctx: &mut Self::Context) {
        let mut books = self.books.lock();
        books.subscribe(recipient, &self.workshop.seams.clock);
        drop(books);
        self.flush_later(ctx);
    }
}

impl Handler<Shutdown> for SupervisorActor {
    type Result = ();

    fn handle(&mut self, _: Shutdown, ctx: &mut Self::Context) {
        fail::fail_point!("supervisor.leaves");
        self.leave(ctx);
    }
}

impl Handler<TenantHeld> for SupervisorActor {
    type Result = ();

    fn handle(&mut self, news: TenantHeld, ctx: &mut Self::Context) {
        let mut books = self.books.lock();
        match news.wait {
            Some((reason, until)) => books.held.insert(news.tenant.clone(), (reason, until)),
            None => books.held.remove(&news.tenant),
        };
        let clock = &self.workshop.seams.clock;
        let of_tenant = books.running.iter().filter(|r| r.progress.tenant == news.tenant);
        for progress in of_tenant.map(|r| Progress { at: clock.now(), ..r.progress.clone() }).collect::<Vec<_>>() {
            books.publish(progress, clock);
        }
        drop(books);
        self.flush_later(ctx);
    }
}

impl Handler<QuerySubmitted> for SupervisorActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, news: QuerySubmitted, ctx: &mut Self::Context) -> Self::Result {
        let mut stored = None;
        self.with_running(news.extraction, ctx, |running, workshop| {
            running.query = Some(news.query.clone());
            running.progress.state = ReportState::Submitted;
            running.progress.at = workshop.seams.clock.now();
            stored = Some(workshop.store_query(running, news.query));
        });
        Box::pin(async move {
            if let Some(stored) = stored {
                stored.await;
            }
        })
    }
}

impl Handler<ExtractionMoved> for SupervisorActor {
    type Result = ();

    fn handle(&mut self, news: ExtractionMoved, ctx: &mut Self::Context) {
        if let ExtractionStep::Remark(remark) = &news.step {
            tracing::warn!("{remark}");
        }
        self.with_running(news.extraction, ctx, |running, workshop| running.step(news.step, &workshop.seams.clock));
    }
}

impl Handler<PagesCommitted> for SupervisorActor {
    type Result = ();

    fn handle(&mut self, news: PagesCommitted, _: &mut Self::Context) {
        let mut books = self.books.lock();
        books.in_hand = Some(InHand::News(news.extraction));
        if let Some(running) = books.by_id(news.extraction) {
            self.workshop.store_position(running, news.position);
        }
        books.in_hand = None;
    }
}

impl Handler<ExtractionEnded> for SupervisorActor {
    type Result = ();

    fn handle(&mut self, news: ExtractionEnded, ctx: &mut Self::Context) {
        let id = news.extraction;
        let mut again = None;
        self.with_running(id, ctx, |running, workshop| {
            if matches!(news.how, ExtractionEnd::Expired) {
                let can_start_again = workshop.can_start_again(running, true);
                again = Some((running.report.name.clone(), running.was_resubmitted, can_start_again));
            }
        });
        match (news.how, again) {
            (ExtractionEnd::Ended(ending), _) => self.end(id, ending, ctx),
            (ExtractionEnd::Expired, Some((name, true, _))) => {
                let message = format!("{name}: its query expired, was submitted again and expired again");
                self.end(id, Ending::Failed(Failure::new(FailureClass::Denied, message)), ctx);
            }
            (ExtractionEnd::Expired, Some((name, false, false))) => {
                let message = format!("{name}: its query expired, and what went down a stream can't be taken back");
                self.end(id, Ending::Failed(Failure::new(FailureClass::Denied, message)), ctx);
            }
            (ExtractionEnd::Expired, Some((name, false, true))) => {
                tracing::warn!(report = %name, "the query has expired; it is submitted again and the output starts again");
                if let Some(running) = self.books.lock().by_id(id) {
                    running.was_resubmitted = true;
                    running.query = None;
                    running.cancel.send_replace(true);
                }
                self.build(&name, ctx);
            }
            (ExtractionEnd::Expired, None) => {}
        }
    }
}

impl Handler<StageDied> for SupervisorActor {
    type Result = ();

    fn handle(&mut self, news: StageDied, ctx: &mut Self::Context) {
        fail::fail_point!("supervisor.died");
        self.stage_died(news.stage, ctx);
    }
}
