//! The life of an extraction, as the supervisor leads it: opened, built, wound down, ended.
//!
//! Each step starts from what is stored, so that a rebuild after a death and a run after a crash are the same thing. A
//! writer that is called off first saves how far it is; only then does anything follow.

use std::collections::VecDeque;
use std::time::Duration;

use actix::prelude::*;

use crate::actors::Extract;
use crate::actors::books::{AfterWriter, Asker, called_off};
use crate::actors::opening::{self, Expiry, Opened, Ready};
use crate::actors::supervisor::SupervisorActor;
use crate::actors::workshop::ExtractionOrder;
use crate::config::ReportConfig;
use crate::model::{Ending, ExtractionId, Failure, FailureClass, Park, ReportState, WaitReason};
use crate::state::StoredExtraction;
use crate::state::agenda::{Step, Task};

/// How long a writer may take to save how far it is.
const SAVE_PATIENCE: Duration = Duration::from_secs(3);

impl SupervisorActor {
    /// Finds out what an order means, and begins with its first window.
    pub(super) fn open(&mut self, id: ExtractionId, ctx: &mut Context<Self>) {
        let known = self.books.lock().by_id(id).map(|running| {
            // A supervisor that died may have got as far as that.
            running.claim = None;
            (running.report.clone(), running.order.clone())
        });
        let Some((report, order)) = known else { return };
        let shop = self.workshop.clone();
        let opened = async move { opening::open(&shop, &report, &order).await };
        ctx.spawn(opened.into_actor(self).map(move |opened, supervisor, ctx| match opened {
            Ok(opened) => supervisor.opened(id, opened, ctx),
            Err(ending) => supervisor.end(id, ending, ctx),
        }));
    }

    fn opened(&mut self, id: ExtractionId, opened: Opened, ctx: &mut Context<Self>) {
        let Opened { claim, tasks, remarks } = opened;
        for remark in &remarks {
            tracing::warn!("{remark}");
        }
        let mut books = self.books.lock();
        let Some(running) = books.by_id(id) else { return };
        running.claim = Some(claim);
        running.rest = tasks;
        running.progress.message = remarks.last().cloned();
        let next = running.rest.pop_front();
        let name = running.report.name.clone();
        drop(books);
        match next {
            Some(task) => self.begin(id, task, ctx),
            None => self.end(id, Ending::Skipped(format!("{name}: there is nothing to ask for yet")), ctx),
        }
    }

    /// Begins with a window, or takes it up again.
    fn begin(&mut self, id: ExtractionId, task: Task, ctx: &mut Context<Self>) {
        if let Step::Skip(why) = &task.step {
            return self.end(id, Ending::Skipped(why.clone()), ctx);
        }
        let shop = self.workshop.clone();
        let begun = async move { opening::begin(&shop, &task).await.map(|stored| (task, stored)) };
        ctx.spawn(begun.into_actor(self).map(move |begun, supervisor, ctx| match begun {
            Ok((task, stored)) => supervisor.begun(id, task, &stored, ctx),
            Err(ending) => supervisor.end(id, ending, ctx),
        }));
    }

    fn begun(&mut self, id: ExtractionId, task: Task, stored: &StoredExtraction, ctx: &mut Context<Self>) {
        let mut books = self.books.lock();
        let Some(running) = books.by_id(id) else { return };
        running.task = Some(task);
        self.workshop.take_places(running, stored);
        // Whoever wants to submit may do so now: this one's queries of earlier runs have their places.
        running.opening = None;
        match self.workshop.account(running, stored) {
            Ok(account) => running.account = account,
            Err(ending) => {
                drop(books);
                return self.end(id, ending, ctx);
            }
        }
        if let Some(checkpoint) = &stored.checkpoint {
            let progress = &mut running.progress;
            progress.n_pages = checkpoint.position.n_pages;
            progress.n_rows = checkpoint.position.n_rows;
            progress.n_bytes = checkpoint.position.output.offset;
        }
        drop(books);
        self.build(id, ctx);
    }

    /// Gives an extraction a new incarnation, and builds its stages from what is stored.
    pub(super) fn build(&mut self, id: ExtractionId, ctx: &mut Context<Self>) {
        let books = self.books.clone();
        let mut books = books.lock();
        let new_id = books.next_id();
        let Some(running) = books.by_id(id) else { return };
        let Some(task) = running.task.clone() else {
            drop(books);
            return self.open(id, ctx);
        };
        if let Some(stages) = running.stages.take() {
            stages.context.journal.retire();
        }
        running.id = new_id;
        running.after = None;
        let (cancel, cancelled) = tokio::sync::watch::channel(false);
        running.cancel = cancel;
        let order = ExtractionOrder {
            id: new_id,
            report: running.report.clone(),
            task: task.clone(),
            query_permits: running.query_permits.clone(),
            own_lane: running.own_lane.clone(),
            account: running.account.clone(),
            tally: running.tally.clone(),
            trace: running.trace.clone(),
            cancelled,
            paused: running.pause.subscribe(),
        };
        let (shop, report) = (self.workshop.clone(), running.report.clone());
        drop(books);
        let ready = async move { opening::ready(&shop, &report, &task).await };
        ctx.spawn(ready.into_actor(self).map(move |ready, supervisor, ctx| {
            let stored = match ready {
                Ok(Ready::Build(stored)) => *stored,
                Ok(Ready::Delivered(manifest)) => return supervisor.end(new_id, Ending::Complete(manifest), ctx),
                Err(ending) => return supervisor.end(new_id, ending, ctx),
            };
            let mut books = supervisor.books.lock();
            let Some(running) = books.by_id(new_id) else { return };
            match supervisor.workshop.build_extraction(order, stored) {
                Ok(stages) => running.stages = Some(stages),
                Err(ending) => {
                    drop(books);
                    supervisor.end(new_id, ending, ctx);
                }
            }
        }));
    }

    /// Calls an extraction off: its writer saves how far it is, then `after` follows.
    pub(super) fn wind_down(&mut self, id: ExtractionId, after: AfterWriter, ctx: &mut Context<Self>) {
        let mut books = self.books.lock();
        let Some(running) = books.by_id(id) else { return };
        // The first end counts; nothing follows on an end.
        if !matches!(running.after, Some(AfterWriter::End(_))) {
            running.after = Some(after);
        }
        running.cancel.send_replace(true);
        let has_writer = running.stages.as_ref().is_some_and(|stages| stages.writer.connected());
        drop(books);
        if has_writer {
            // However its sink may be stuck.
            ctx.run_later(SAVE_PATIENCE, move |supervisor, ctx| supervisor.waited_enough(id, ctx));
        } else {
            self.released(id, ctx);
        }
    }

    /// As before, after the supervisor that waited for it has died.
    pub(super) fn wind_down_again(&mut self, id: ExtractionId, ctx: &mut Context<Self>) {
        let after = self.books.lock().by_id(id).and_then(|running| running.after.take());
        if let Some(after) = after {
            self.wind_down(id, after, ctx);
        }
    }

    /// The writer has ended by itself: the extraction does.
    pub(super) fn ended_by_writer(&mut self, id: ExtractionId, after: AfterWriter, ctx: &mut Context<Self>) {
        let mut books = self.books.lock();
        let Some(running) = books.by_id(id) else { return };
        running.after = Some(after);
        running.cancel.send_replace(true);
        drop(books);
        self.released(id, ctx);
    }

    /// The writer has let go. What follows waits for the answers to submissions that are out: each may be a query that
    /// the tenant has, and that would be submitted again.
    pub(super) fn released(&mut self, id: ExtractionId, ctx: &mut Context<Self>) {
        let (context, is_end) = {
            let mut books = self.books.lock();
            let Some(running) = books.by_id(id) else { return };
            let is_end = matches!(running.after, Some(AfterWriter::End(_)));
            (running.stages.as_ref().map(|stages| stages.context.clone()), is_end)
        };
        let Some(context) = context.filter(|context| *context.submissions_out.borrow() > 0) else {
            return self.follow(id, ctx);
        };
        if is_end {
            ctx.run_later(SAVE_PATIENCE, move |supervisor, ctx| supervisor.waited_enough(id, ctx));
        }
        let answered = async move {
            context.no_submission_out().await;
            context.journal.settled().await;
        };
        ctx.spawn(answered.into_actor(self).map(move |(), supervisor, ctx| supervisor.follow(id, ctx)));
    }

    /// An end is not put off any longer; anything else is, since it would begin with what is still unknown.
    fn waited_enough(&mut self, id: ExtractionId, ctx: &mut Context<Self>) {
        let is_end = {
            let mut books = self.books.lock();
            books.by_id(id).is_some_and(|running| matches!(running.after, Some(AfterWriter::End(_))))
        };
        if is_end {
            self.follow(id, ctx);
        } else {
            self.released(id, ctx);
        }
    }

    /// What was to follow on the writer's release.
    fn follow(&mut self, id: ExtractionId, ctx: &mut Context<Self>) {
        let after = self.books.lock().by_id(id).and_then(|running| running.after.take());
        match after {
            Some(AfterWriter::End(ending)) => self.end(id, ending, ctx),
            Some(AfterWriter::Build) => self.build(id, ctx),
            Some(AfterWriter::Expire(part)) => self.expire(id, part, ctx),
            None => {}
        }
    }

    /// The tenant has dropped the query of a part: it is submitted again, once, and the part starts again.
    pub(super) fn expire(&mut self, id: ExtractionId, part: u32, ctx: &mut Context<Self>) {
        let mut books = self.books.lock();
        let Some(running) = books.by_id(id) else { return };
        let Some(task) = running.task.clone() else { return };
        let report = running.report.clone();
        if let Some(stages) = &running.stages {
            stages.context.journal.retire();
        }
        if !self.workshop.can_start_again(running) {
            let message =
                format!("{}: its query expired, and what went down a stream can't be taken back", report.name);
            drop(books);
            return self.end(id, Ending::Failed(Failure::new(FailureClass::Denied, message)), ctx);
        }
        drop(books);
        let shop = self.workshop.clone();
        let name = report.name.clone();
        let expired = async move { opening::expire(&shop, &report, &task, part).await };
        ctx.spawn(expired.into_actor(self).map(move |expired, supervisor, ctx| match expired {
            Ok(Expiry::SubmitAgain) => {
                let what = if part == 0 { "the output" } else { "that part" };
                tracing::warn!(report = %name, part, "a query has expired; it is submitted again, and {what} starts again");
                supervisor.build(id, ctx);
            }
            Ok(Expiry::Again) => {
                let message = format!("{name}: its query expired, was submitted again and expired again");
                supervisor.end(id, Ending::Failed(Failure::new(FailureClass::Denied, message)), ctx);
            }
            Err(ending) => supervisor.end(id, ending, ctx),
        }));
    }

    /// Ends an extraction. Where that was a good end, the report's next window follows.
    pub(super) fn end(&mut self, id: ExtractionId, ending: Ending, ctx: &mut Context<Self>) {
        let books = self.books.clone();
        let mut books = books.lock();
        let Some(at) = books.running.iter().position(|running| running.id == id) else { return };
        let mut running = books.running.swap_remove(at);
        let ending = about(&running.report, ending);
        running.cancel.send_replace(true);
        running.query_permits.lock().clear();
        if let Some(stages) = &running.stages {
            stages.context.journal.retire();
        }
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
        let is_good = matches!(ending, Ending::Complete(_) | Ending::Skipped(_));
        let is_called_off = books.is_closing || matches!(running.after, Some(AfterWriter::End(_)));
        if let Some(task) = running.rest.pop_front().filter(|_| is_good && !is_called_off) {
            let next = self.workshop.successor(running, books.next_id());
            let next_id = next.id;
            books.running.push(next);
            self.publish(books, progress, ctx);
            return self.begin(next_id, task, ctx);
        }
        // The report is another process's to claim when its last state is stored.
        let claim = running.claim.take();
        match stored_as(&ending, running.stages.is_some()) {
            LastWord::Nothing => drop(claim),
            LastWord::Forgotten => self.workshop.forget(&running, claim),
            LastWord::Stands(state) => {
                running.progress.state = state;
                self.workshop.store_last(&running, claim);
            }
        }
        running.answer(&Ok(ending));
        let later = std::mem::take(&mut running.later);
        let is_last = books.running.is_empty() && books.is_closing;
        self.publish(books, progress, ctx);
        if is_last {
            self.workshop.close();
        }
        self.later(later, ctx);
    }

    /// The orders that waited for one to end. The first is carried out, the others join it or wait for it in turn.
    fn later(&mut self, orders: VecDeque<(Extract, Asker)>, ctx: &mut Context<Self>) {
        for (order, asker) in orders {
            self.take(order, asker, ctx);
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
            self.wind_down(*id, AfterWriter::End(called_off(report)), ctx);
        }
        if running.is_empty() {
            self.workshop.close();
        }
    }
}

/// What is stored of an ending last.
enum LastWord {
    /// All is stored already.
    Nothing,
    /// There is nothing to go on with.
    Forgotten,
    /// It stands so.
    Stands(ReportState),
}

/// A delivery was stored by its writer. A stream whose reader went away is at its end. What this machine or its
/// configuration is at fault for costs nothing of what was extracted: the next run goes on.
fn stored_as(ending: &Ending, was_under_way: bool) -> LastWord {
    match ending {
        Ending::Complete(_) => LastWord::Nothing,
        Ending::Skipped(_) if was_under_way => LastWord::Forgotten,
        Ending::Skipped(_) => LastWord::Nothing,
        Ending::Parked(_) => LastWord::Stands(ReportState::Parked),
        Ending::Failed(failure) => LastWord::Stands(match failure.class {
            FailureClass::Local | FailureClass::Config => ReportState::Parked,
            _ => ReportState::Failed,
        }),
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
