//! How a writer ends: delivered step by step, parked with its position saved, or given up.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix::prelude::*;

use super::WriterActor;
use crate::actors::books::called_off;
use crate::actors::output::Whole;
use crate::actors::reconcile::reconcile;
use crate::actors::{ExtractionEnd, ExtractionStep, LaneDead, endings};
use crate::model::{Ending, Failure, Manifest};
use crate::sink::{Publication, Sealed, SinkError};
use crate::state::StoreError;
use crate::state::agenda::Destination;

/// How long a sink whose reader may have stopped reading may take to let go.
const SINK_PATIENCE: Duration = Duration::from_secs(2);

impl WriterActor {
    pub(super) fn seal(&mut self, ctx: &mut Context<Self>) {
        let Some(reading) = self.reading.take() else { return };
        self.is_over = true;
        // The results are read to their end: another query may be opened.
        reading.part.useful_up_to(0);
        self.parts.context.query_permits.lock().remove(&self.nth_part);
        self.turn = None;
        tracing::debug!(n_discarded = reading.assembly.n_discarded(), "the results are read to their end");
        let columns = reading.assembly.columns();
        let ended = self.ended(reading);
        self.on_output(ctx, move |output| output.seal(ended), |writer, whole, ctx| writer.deliver(columns, whole, ctx));
    }

    fn deliver(&mut self, columns: Vec<String>, whole: Whole, ctx: &mut Context<Self>) {
        let Whole { written, tally, parts, sealed } = whole;
        self.written = written;
        let sealed = sealed.unwrap_or_else(|| Sealed { bytes: written.n_bytes, sha256: String::new() });
        let account = &self.parts.account;
        let manifest = match reconcile(&self.parts.context, account, &parts, columns, (written, tally), sealed) {
            Ok(manifest) => Arc::new(manifest),
            Err(failure) => return self.fail(failure, ctx),
        };
        if let Some(remark) = account.remark(&manifest) {
            self.parts.context.tell(ExtractionStep::Remark(remark));
        }
        self.is_delivering = true;
        let told = manifest.clone();
        self.on_output(
            ctx,
            move |output| output.publication(&told),
            |writer, publication, ctx| match publication {
                Some(publication) => writer.announce(&publication, manifest, ctx),
                None => writer.finish(manifest, ctx),
            },
        );
    }

    /// Has stored how to finish the delivery before its first step, so that a crash leaves no half of it.
    fn announce(&mut self, publication: &Publication, manifest: Arc<Manifest>, ctx: &mut Context<Self>) {
        let journal = self.parts.context.journal.clone();
        let (delivery, told) = (publication.to_text(), manifest.to_json());
        let stored = async move { journal.delivering(delivery, told).await };
        ctx.wait(stored.into_actor(self).map(|stored, writer, ctx| match stored {
            Ok(()) => writer.finish(manifest, ctx),
            Err(error) => writer.not_stored(&error, ctx),
        }));
    }

    fn finish(&mut self, manifest: Arc<Manifest>, ctx: &mut Context<Self>) {
        let told = manifest.clone();
        self.on_output(
            ctx,
            move |output| output.finish(&told),
            |writer, (), ctx| {
                let context = writer.parts.context.clone();
                let (told, watermark) = (manifest.to_json(), context.watermark);
                let stored = async move { context.journal.complete(told, watermark).await };
                ctx.wait(stored.into_actor(writer).map(|stored, writer, ctx| match stored {
                    Ok(()) => {
                        writer.tell_written();
                        writer.end(ExtractionEnd::Ended(Ending::Complete(manifest)), ctx);
                    }
                    Err(error) => writer.not_stored(&error, ctx),
                }));
            },
        );
    }

    fn not_stored(&mut self, error: &StoreError, ctx: &mut Context<Self>) {
        let ending = endings::of_store(&self.parts.context.report.name, error);
        self.end(ExtractionEnd::Ended(ending), ctx);
    }

    pub(super) fn sink_failed(&mut self, error: &SinkError, ctx: &mut Context<Self>) {
        let is_file = self.parts.destination == Destination::File;
        let of = if is_file { endings::of_file } else { endings::of_sink };
        let ending = of(&self.parts.context.report.name, error);
        self.end(ExtractionEnd::Ended(ending), ctx);
    }

    pub(super) fn fail(&mut self, failure: Failure, ctx: &mut Context<Self>) {
        self.end(ExtractionEnd::Ended(Ending::Failed(failure)), ctx);
    }

    pub(super) fn end(&mut self, how: ExtractionEnd, ctx: &mut Context<Self>) {
        self.is_over = true;
        self.notice.quiet();
        self.stop_reading();
        // A sink that is stuck must keep no turn from others.
        self.turn = None;
        let is_complete = matches!(how, ExtractionEnd::Ended(Ending::Complete(_)));
        let is_parked = matches!(how, ExtractionEnd::Ended(Ending::Parked(_)));
        let ended = self.parts.context.trace.ended(self.parts.context.id, how, true);
        let line = self.parts.context.ended.clone();
        if is_complete {
            line.tell(ended);
            return ctx.stop();
        }
        // The sink lets go of its file before anyone hears of the end, so that a successor finds it free.
        let gone = self.released(is_parked);
        ctx.wait(gone.into_actor(self).map(move |(), _, ctx| {
            line.tell(ended);
            ctx.stop();
        }));
    }

    /// The extraction was called off: saves how far it is, and lets go of everything. What is being delivered comes to its
    /// end by itself; should that take too long, a later run does the rest.
    pub(super) fn leave(&mut self, ctx: &mut Context<Self>) {
        if self.is_delivering {
            return;
        }
        if std::mem::replace(&mut self.is_over, true) && self.notice.is_quiet() {
            return;
        }
        self.notice.quiet();
        self.stop_reading();
        let context = self.parts.context.clone();
        let released = self.released(true);
        let left = async move {
            released.await;
            context.journal.settled().await;
            let parked = ExtractionEnd::Ended(called_off(&context.report.name));
            context.ended.tell(context.trace.ended(context.id, parked, true));
        };
        ctx.wait(left.into_actor(self).map(|(), _, ctx| ctx.stop()));
    }

    /// As [`let_go`](Self::let_go), but a sink that is stuck is not waited for longer than anyone would.
    fn released(&self, save: bool) -> impl Future<Output = ()> + use<> {
        let gone = self.let_go(save);
        let patience = self.parts.may_get_stuck.then_some(SINK_PATIENCE);
        let is_given_up = self.is_given_up.clone();
        async move {
            match patience {
                Some(patience) => {
                    let in_time = tokio::time::timeout(patience, gone).await;
                    is_given_up.store(in_time.is_err(), Ordering::Release);
                }
                None => drop(gone.await),
            }
        }
    }

    fn stop_reading(&mut self) {
        if let Some(reading) = &self.reading {
            reading.part.useful_up_to(0);
        }
    }

    /// Has the sink let go, behind all jobs that are queued already; with `save`, what is written is made durable
    /// first.
    pub(super) fn let_go(&self, save: bool) -> impl Future<Output = Result<(), LaneDead>> + Send + use<> {
        let (place, is_given_up) = (self.output.clone(), self.is_given_up.clone());
        let report = self.parts.context.report.name.clone();
        self.parts.lane.run(move || {
            let output = place.lock().take();
            if let Some(mut output) = output {
                let save = save && !is_given_up.load(Ordering::Acquire);
                if save && let Err(error) = output.save_if_any() {
                    tracing::warn!(%report, %error, "the last pages could not be made durable; they are fetched again");
                }
                output.abort();
            }
        })
    }
}
