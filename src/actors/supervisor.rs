//! Builds, watches, rebuilds and stops every other stage. The only actor that knows the others by name.
//!
//! What it knows lies in [`Books`] outside of it, what it builds with in the [`Workshop`]: if a handler dies, a
//! successor goes on with both, and the one extraction whose news was in hand fails by name.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::oneshot;

use crate::actors::books::{Books, Running, called_off};
use crate::actors::workshop::{ExtractionOrder, Workshop};
use crate::actors::{
    Cancel, DeathNotice, Extract, ExtractionEnd, ExtractionEnded, ExtractionMoved, ExtractionStep, PagesCommitted,
    Pause, QuerySubmitted, Resume, Shutdown, Stage, StageDied, Status, Subscribe, TenantHeld,
};
use crate::config::ReportConfig;
use crate::model::{Ending, ExtractionId, Failure, FailureClass, Park, Progress, ReportName, ReportState, WaitReason};

/// How often the stages of one extraction are rebuilt before it fails.
const MAX_REBUILDS: u32 = 3;

/// How soon a subscriber that was full is tried again.
const FLUSH_PAUSE: Duration = Duration::from_millis(100);

/// The supervisor.
pub struct SupervisorActor {
    workshop: Arc<Workshop>,
    books: Arc<Mutex<Books>>,
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
        books.in_hand = Some(id);
        fail::fail_point!("supervisor");
        let workshop = self.workshop.clone();
        let progress = books.by_id(id).map(|running| {
            work(running, &workshop);
            running.progress.clone()
        });
        books.in_hand = None;
        if let Some(progress) = progress {
            self.publish(books, progress, ctx);
        }
    }

    /// Gives an extraction a new incarnation and builds its stages once its destination is known to be usable.
    fn build(&mut self, report: &ReportName, ctx: &mut Context<Self>) {
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
            account: running.account.clone(),
            tally: running.tally.clone(),
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

    /// Rebuilds an extraction's stages, or fails it if that was done too often.
    fn rebuild(&mut self, id: ExtractionId, what: &str, ctx: &mut Context<Self>) {
        let books = self.books.clone();
        let mut books = books.lock();
        let Some(running) = books.by_id(id) else { return };
        running.n_rebuilt += 1;
        let name = running.report.name.clone();
        if running.n_rebuilt > MAX_REBUILDS {
            let message = format!("{name}: {what} died {MAX_REBUILDS} times and again after each rebuild");
            drop(books);
            return self.end(id, Ending::Failed(Failure::new(FailureClass::Internal, message)), ctx);
        }
        tracing::warn!(report = %name, stage = what, "a stage died and is rebuilt; the output starts again");
        running.cancel.send_replace(true);
        drop(books);
        self.build(&name, ctx);
    }

    fn end(&mut self, id: ExtractionId, ending: Ending, ctx: &mut Context<Self>) {
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

    /// Puts right what went wrong while nobody supervised.
    fn take_over(&mut self, ctx: &mut Context<Self>) {
        let (in_hand, lost) = {
            let mut books = self.books.lock();
            let lost: Vec<_> = books.running.iter().filter(|r| r.has_lost_a_stage()).map(|r| r.id).collect();
            let unbuilt: Vec<_> = books.running.iter().filter(|r| r.stages.is_none()).map(|r| r.id).collect();
            (books.in_hand.take(), [lost, unbuilt].concat())
        };
        if let Some(id) = in_hand {
            let name = self.books.lock().by_id(id).map(|running| running.report.name.clone());
            let message = format!("{}: the supervisor died of its news", name.as_ref().map_or("", ReportName::as_str));
            self.end(id, Ending::Failed(Failure::new(FailureClass::Internal, message)), ctx);
        }
        for id in lost {
            self.rebuild(id, "a stage", ctx);
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
    type Result = ResponseFuture<Result<Ending, Failure>>;

    fn handle(&mut self, order: Extract, ctx: &mut Self::Context) -> Self::Result {
        fail::fail_point!("supervisor");
        let (asker, answer) = oneshot::channel();
        let books = self.books.clone();
        let mut books = books.lock();
        let name = order.report.clone();
        if books.is_closing {
            return Box::pin(async move { Ok(called_off(&name)) });
        }
        if let Some(running) = books.by_report(&order.report) {
            running.askers.push(asker);
        } else {
            match self.workshop.running(&order, books.next_id(), asker) {
                Ok(running) => {
                    let progress = running.progress.clone();
                    books.running.push(running);
                    self.publish(books, progress, ctx);
                    self.build(&order.report, ctx);
                }
                Err(ending) => return Box::pin(async move { ending }),
            }
        }
        Box::pin(async move {
            answer
                .await
                .unwrap_or_else(|_| Err(Failure::new(FailureClass::Internal, format!("{name}: the engine is gone"))))
        })
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
        if let Some(running) = self.books.lock().by_id(news.extraction) {
            self.workshop.store_position(running, news.position);
        }
    }
}

impl Handler<ExtractionEnded> for SupervisorActor {
    type Result = ();

    fn handle(&mut self, news: ExtractionEnded, ctx: &mut Self::Context) {
        let id = news.extraction;
        let mut again = None;
        self.with_running(id, ctx, |running, _| {
            if matches!(news.how, ExtractionEnd::Expired) {
                again = Some((running.report.name.clone(), running.was_resubmitted));
            }
        });
        match (news.how, again) {
            (ExtractionEnd::Ended(ending), _) => self.end(id, ending, ctx),
            (ExtractionEnd::Expired, Some((name, true))) => {
                let message = format!("{name}: its query expired, was submitted again and expired again");
                self.end(id, Ending::Failed(Failure::new(FailureClass::Denied, message)), ctx);
            }
            (ExtractionEnd::Expired, Some((name, false))) => {
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
        match news.stage {
            Stage::Poller(id) => self.rebuild(id, "its poller", ctx),
            Stage::Writer(id) => self.rebuild(id, "its writer", ctx),
            Stage::Supervisor => {}
            stage => {
                tracing::warn!(?stage, "a stage died and is rebuilt");
                if let Err((tenant, failure)) = self.workshop.rebuild(&stage) {
                    let hit = |running: &&Running| tenant.as_ref().is_none_or(|name| running.progress.tenant == *name);
                    let hit: Vec<_> = self.books.lock().running.iter().filter(hit).map(|r| r.id).collect();
                    for id in hit {
                        self.end(id, Ending::Failed(failure.clone()), ctx);
                    }
                }
            }
        }
    }
}
