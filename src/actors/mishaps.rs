//! What the supervisor does about deaths: those of the stages, and that of the supervisor before it.
//!
//! A stage is rebuilt a few times; after that, what hangs on it fails by name. News of a death may itself be lost with
//! a dying supervisor, so a new one looks for itself.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use actix::prelude::*;

use crate::actors::Stage;
use crate::actors::books::{AfterWriter, InHand};
use crate::actors::supervisor::SupervisorActor;
use crate::model::{Ending, ExtractionId, Failure, FailureClass};

/// How often the stages of one extraction are rebuilt before it fails.
const MAX_REBUILDS: u32 = 3;

impl SupervisorActor {
    /// Puts right what went wrong while nobody supervised.
    pub(super) fn take_over(&mut self, ctx: &mut Context<Self>) {
        let in_hand = self.books.lock().in_hand.take();
        match in_hand {
            Some(InHand::News(id)) => {
                let name = self.books.lock().by_id(id).map(|running| running.report.name.clone());
                if let Some(name) = name {
                    let message = format!("{name}: the supervisor died of its news; run again");
                    self.end(id, Ending::Failed(Failure::new(FailureClass::Internal, message)), ctx);
                }
            }
            Some(InHand::Order(report)) => *self.books.lock().deadly_orders.entry(report).or_default() += 1,
            None => {}
        }
        if self.workshop.is_leaving.load(Ordering::Acquire) {
            return self.leave(ctx);
        }
        let ended: Vec<_> = self.books.lock().running.iter().filter_map(|r| r.trace.ending_of(r.id)).collect();
        for news in ended {
            Handler::handle(self, news, ctx);
        }
        let lost: BTreeSet<_> = {
            let books = self.books.lock();
            let lost = books.running.iter().filter(|r| r.stages.is_none() || r.has_lost_a_stage());
            let waited_for = books.running.iter().filter(|r| r.after.is_some());
            lost.chain(waited_for).map(|r| r.id).collect()
        };
        for id in lost {
            self.rebuild(id, "a stage", ctx);
        }
        for stage in self.workshop.dead_stages() {
            self.stage_died(stage, ctx);
        }
    }

    /// Rebuilds a stage, or fails what hangs on it.
    pub(super) fn stage_died(&mut self, stage: Stage, ctx: &mut Context<Self>) {
        let wait = match &stage {
            Stage::Poller(id) => return self.rebuild(*id, "its poller", ctx),
            Stage::Writer(id) => return self.rebuild(*id, "its writer", ctx),
            Stage::Gate(tenant) => self.books.lock().asked_wait(tenant),
            _ => None,
        };
        tracing::warn!(?stage, "a stage died and is rebuilt");
        let Err(tenant) = self.workshop.rebuild(&stage, wait) else { return };
        let books = self.books.clone();
        let hit = books
            .lock()
            .running
            .iter()
            .filter(|r| r.progress.tenant == tenant)
            .map(|r| (r.id, r.report.name.clone()))
            .collect::<Vec<_>>();
        for (id, name) in hit {
            let message = format!("{name}: a stage of tenant {tenant} dies again after each rebuild ({stage:?})");
            self.end(id, Ending::Failed(Failure::new(FailureClass::Internal, message)), ctx);
        }
    }

    /// Rebuilds an extraction's stages, or fails it if that was done too often.
    fn rebuild(&mut self, id: ExtractionId, what: &str, ctx: &mut Context<Self>) {
        let books = self.books.clone();
        let mut books = books.lock();
        let Some(running) = books.by_id(id) else { return };
        if running.after.is_some() {
            // It was called off: whatever has died meanwhile, that goes on.
            let has_writer = running.stages.as_ref().is_some_and(|stages| stages.writer.connected());
            drop(books);
            return if has_writer { self.wind_down_again(id, ctx) } else { self.released(id, ctx) };
        }
        running.n_rebuilt += 1;
        let name = running.report.name.clone();
        if running.n_rebuilt > MAX_REBUILDS {
            let message = format!("{name}: {what} died {MAX_REBUILDS} times and again after each rebuild");
            let failed = Ending::Failed(Failure::new(FailureClass::Internal, message));
            drop(books);
            return self.wind_down(id, AfterWriter::End(failed), ctx);
        }
        if !self.workshop.can_start_again(running) {
            let message = format!("{name}: {what} died, and what went down a stream can't be taken back; run again");
            let failed = Ending::Failed(Failure::new(FailureClass::Internal, message));
            drop(books);
            return self.wind_down(id, AfterWriter::End(failed), ctx);
        }
        tracing::warn!(report = %name, stage = what, "a stage died and is rebuilt; the report goes on from what is durable");
        drop(books);
        self.wind_down(id, AfterWriter::Build, ctx);
    }
}
