//! Builds, watches, rebuilds and stops every other stage. The only actor that knows the others by name.
//!
//! What it knows lies in [`Books`] outside of it, what it builds with in the [`Workshop`]: if a handler dies, a
//! successor goes on with both, and the one extraction whose news was in hand fails by name.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::oneshot;

use crate::actors::books::{AfterWriter, Asker, Books, InHand, Running, called_off};
use crate::actors::extract_answer::ExtractAnswer;
use crate::actors::workshop::Workshop;
use crate::actors::{
    Cancel, DeathNotice, Extract, ExtractionEnd, ExtractionEnded, ExtractionMoved, ExtractionStep, Pause, Resume,
    Shutdown, StageDied, Status, Subscribe, TenantHeld,
};
use crate::model::{Ending, ExtractionId, Failure, FailureClass, Progress};

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

    pub(super) fn publish(&mut self, mut books: MutexGuard<'_, Books>, progress: Progress, ctx: &mut Context<Self>) {
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

    /// Takes an order in: it joins an equal one that is under way, waits for another one for the same report, or
    /// begins.
    pub(super) fn take(&mut self, order: Extract, asker: Asker, ctx: &mut Context<Self>) {
        let books = self.books.clone();
        let mut books = books.lock();
        if books.is_closing {
            let _ = asker.send(Ok(called_off(&order.report)));
            return;
        }
        if let Some(running) = books.by_report(&order.report) {
            if running.order == order {
                running.askers.push(asker);
            } else {
                running.later.push_back((order, asker));
            }
            return;
        }
        let id = books.next_id();
        if let Some(running) = self.workshop.running(order, id, asker) {
            let progress = running.progress.clone();
            books.running.push(running);
            self.publish(books, progress, ctx);
            self.open(id, ctx);
        }
    }

    /// Works on one extraction's news, noting whose it is.
    pub(super) fn with_running(
        &mut self,
        id: ExtractionId,
        ctx: &mut Context<Self>,
        work: impl FnOnce(&mut Running, &Workshop),
    ) {
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
        drop(books);
        self.take(order, asker, ctx);
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
    type Result = ResponseFuture<bool>;

    fn handle(&mut self, Cancel(report): Cancel, ctx: &mut Self::Context) -> Self::Result {
        let (leaver, left) = oneshot::channel();
        let id = self.books.lock().by_report(&report).map(|running| {
            running.leavers.push(leaver);
            running.id
        });
        if let Some(id) = id {
            self.wind_down(id, AfterWriter::End(called_off(&report)), ctx);
        }
        Box::pin(async move { id.is_some() && left.await.is_ok() })
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

impl Handler<ExtractionMoved> for SupervisorActor {
    type Result = ();

    fn handle(&mut self, news: ExtractionMoved, ctx: &mut Self::Context) {
        self.with_running(news.extraction, ctx, |running, workshop| {
            if let ExtractionStep::Remark(remark) = &news.step {
                tracing::warn!("{} of {}: {remark}", running.report.name, running.report.tenant);
            }
            let before = running.progress.state;
            running.step(news.step, &workshop.seams.clock);
            if running.progress.state != before {
                workshop.store_state(running);
            }
        });
    }
}

impl Handler<ExtractionEnded> for SupervisorActor {
    type Result = ();

    fn handle(&mut self, news: ExtractionEnded, ctx: &mut Self::Context) {
        let ExtractionEnded { extraction: id, how, is_released } = news;
        let mut is_winding_down = false;
        self.with_running(id, ctx, |running, _| is_winding_down = running.after.is_some());
        match how {
            // Whatever else was in hand: it is delivered.
            ExtractionEnd::Ended(ending @ Ending::Complete(_)) => self.end(id, ending, ctx),
            _ if is_released && is_winding_down => self.released(id, ctx),
            ExtractionEnd::Ended(ending) if is_released => self.ended_by_writer(id, AfterWriter::End(ending), ctx),
            ExtractionEnd::Ended(ending) => self.wind_down(id, AfterWriter::End(ending), ctx),
            ExtractionEnd::Expired(part) if is_released => self.ended_by_writer(id, AfterWriter::Expire(part), ctx),
            ExtractionEnd::Expired(part) => self.wind_down(id, AfterWriter::Expire(part), ctx),
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
