//! Carries one extraction's pages from the fetchers to the output, in page order.
//!
//! The order itself, and where the results end, is [`Assembly`]'s to decide; files are the writing thread's to touch.
//! This actor asks for pages while there is room, hands over what is next, and ends the extraction. It has one inbox
//! and never waits for a particular page.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix::prelude::*;
use parking_lot::Mutex;

use crate::actors::assembly::{Assembly, Move};
use crate::actors::output::{Cut, Output, Written};
use crate::actors::page_fetcher::PageNewsGuard;
use crate::actors::reconcile::{Account, reconcile};
use crate::actors::{
    CheckQuery, DeathNotice, ExtractionContext, ExtractionEnd, ExtractionStep, FetchPage, FetchedPage, Lane, LaneDead,
    Line, Missed, PageFetched, PageMissed, PageNews, PagesCommitted, QueryChecked, ResultsReady, Share,
};
use crate::model::{Ending, Failure, FailureClass, PageNumber, Park, ParkReason, Position, QueryId};
use crate::policy::ends::{Doubt, QueryCheck, RepeatedPages};
use crate::sink::{Sealed, Sink, SinkError, WhenDurable};

/// Pages asked for beyond the one written next, per request that may be under way.
const PAGES_AHEAD_PER_REQUEST: u64 = 4;

/// How long nothing is asked for after a page found no room.
const NO_ROOM_PAUSE: Duration = Duration::from_millis(200);

/// How long a page waits whose order died with the fetcher's mailbox.
const UNDELIVERED_PAUSE: Duration = Duration::from_millis(20);

/// How often one page may lose its task before the report fails.
const MAX_LOST: u32 = 3;

/// What a writer is made of.
pub struct WriterParts {
    /// The extraction.
    pub context: Arc<ExtractionContext>,
    /// Where pages are fetched; one line per arbiter.
    pub fetchers: Vec<Line<FetchPage>>,
    /// The extraction's poller.
    pub poller: Line<CheckQuery>,
    /// Where the output's blocking work is done.
    pub lane: Lane,
    /// Whether that is a thread of its own, which a stuck reader may hold up for ever.
    pub has_own_lane: bool,
    /// Takes turns at fetching.
    pub turns: Arc<tokio::sync::Semaphore>,
    /// Where positions are kept.
    pub committed: Line<PagesCommitted>,
    /// What the manifest is to say of the time before.
    pub account: Account,
}

/// The output while no job has it in hand. A job that dies takes it along, so that nothing is written behind a gap.
type OutputPlace = Arc<Mutex<Option<Output>>>;

/// The writer of one extraction.
pub struct WriterActor {
    parts: WriterParts,
    output: OutputPlace,
    assembly: Option<Assembly>,
    query: Option<QueryId>,
    turn: Option<(Share, tokio::sync::OwnedSemaphorePermit)>,
    total_rows: Option<u64>,
    written: Written,
    n_orders: u64,
    n_lost: HashMap<PageNumber, u32>,
    is_waiting_for_room: bool,
    is_over: bool,
    notice: DeathNotice,
}

impl WriterActor {
    /// A writer into `sink`, which has not begun yet.
    pub fn new(parts: WriterParts, sink: Box<dyn Sink>, notice: DeathNotice) -> Self {
        let context = &parts.context;
        let with_mark = context.report.output.encoding == crate::config::Encoding::Utf8Sig;
        let backlog = context.output_backlog.clone();
        let output = Output::new(sink, context.memory.block_bytes(), with_mark, backlog, context.trace.clone());
        let output = Arc::new(Mutex::new(Some(output)));
        Self {
            parts,
            output,
            assembly: None,
            query: None,
            turn: None,
            total_rows: None,
            written: Written::default(),
            n_orders: 0,
            n_lost: HashMap::new(),
            is_waiting_for_room: false,
            is_over: false,
            notice,
        }
    }

    /// Runs a job on the output's own thread and takes its answer back in.
    fn on_output<T: Send + 'static>(
        &self,
        ctx: &mut Context<Self>,
        job: impl FnOnce(&mut Output) -> Result<T, SinkError> + Send + 'static,
        then: impl FnOnce(&mut Self, T, &mut Context<Self>) + 'static,
    ) {
        let place = self.output.clone();
        let context = self.parts.context.clone();
        let done = self.parts.lane.run(move || {
            let mut output = place.lock().take()?;
            fail::fail_point!(&context.place("thread"));
            drop(context);
            let done = job(&mut output);
            match &done {
                Ok(_) => *place.lock() = Some(output),
                // Nothing but this follows an error, also where more pages are queued already.
                Err(_) => output.abort(),
            }
            Some(done)
        });
        ctx.spawn(done.into_actor(self).map(move |done, writer, ctx| match done {
            Ok(Some(Ok(answer))) => then(writer, answer, ctx),
            Ok(Some(Err(error))) => writer.sink_failed(&error, ctx),
            // An earlier job has taken the output along, and its own answer says so.
            Ok(None) => {}
            // The job died with the output in its hands: only a rebuild brings this actor and the file together.
            Err(LaneDead) => ctx.stop(),
        }));
    }

    /// Does what the assembly says, then asks for pages.
    fn drive(&mut self, ctx: &mut Context<Self>) {
        while !self.is_over {
            let Some(next) = self.assembly.as_mut().and_then(Assembly::next_move) else { break };
            match next {
                Move::Append(page, cut) => self.append(*page, cut, ctx),
                Move::Doubted(page, doubt) => self.remark(page, doubt),
                Move::CheckQuery => self.parts.poller.tell(CheckQuery),
                Move::AwaitQuery => {}
                Move::End => self.seal(ctx),
                Move::Expired => self.end(ExtractionEnd::Expired, ctx),
                Move::Fail(failure) => self.fail(failure, ctx),
            }
        }
        self.ask(ctx);
    }

    fn append(&mut self, page: FetchedPage, cut: Cut, ctx: &mut Context<Self>) {
        self.parts.context.output_backlog.fetch_add(page.framed.n_bytes, Ordering::Relaxed);
        let committed = self.parts.committed.clone();
        let extraction = self.parts.context.id;
        let when_durable = move |position: Position| -> WhenDurable {
            Box::new(move |done| {
                if done.is_ok() {
                    committed.tell(PagesCommitted { extraction, position });
                }
            })
        };
        self.on_output(
            ctx,
            move |output| output.append(page, cut, when_durable),
            |writer, written, ctx| {
                // Answers of several jobs may be taken in together, and then in any order.
                if written.n_bytes > writer.written.n_bytes {
                    writer.written = written;
                    writer.tell_written();
                }
                writer.ask(ctx);
            },
        );
    }

    /// Asks for pages as far as window and room reach.
    fn ask(&mut self, ctx: &mut Context<Self>) {
        if self.is_over {
            return;
        }
        let (Some(assembly), Some(query), Some((share, _))) = (&mut self.assembly, &self.query, &self.turn) else {
            return;
        };
        let context = &self.parts.context;
        let last_useful = assembly.last_useful().map_or(u64::MAX, |page| page.0);
        context.last_useful.send_if_modified(|last| std::mem::replace(last, last_useful) != last_useful);
        while let Some(page) = assembly.next_to_ask() {
            // What everything waits for has its share, also while other pages wait for room.
            let is_pressing = assembly.is_pressing(page);
            if self.is_waiting_for_room && !is_pressing {
                return;
            }
            let freed = context.memory.freed();
            let Some(slot) = share.slot(&context.memory, is_pressing) else {
                if !std::mem::replace(&mut self.is_waiting_for_room, true) {
                    ctx.spawn(freed.into_actor(self).map(|(), writer, ctx| {
                        writer.is_waiting_for_room = false;
                        writer.ask(ctx);
                    }));
                }
                return;
            };
            assembly.asked(page);
            let news = PageNews { fetched: ctx.address().recipient(), missed: ctx.address().recipient() };
            let news = PageNewsGuard::new(page, news);
            let fetcher = &self.parts.fetchers[(self.n_orders % self.parts.fetchers.len() as u64) as usize];
            self.n_orders += 1;
            fetcher.tell(FetchPage { extraction: context.clone(), query: query.clone(), number: page, slot, news });
        }
    }

    fn seal(&mut self, ctx: &mut Context<Self>) {
        self.is_over = true;
        // The results are read to their end: another query may be opened.
        self.parts.context.query_permit.lock().take();
        self.parts.context.last_useful.send_replace(0);
        self.turn = None;
        self.on_output(ctx, Output::seal, |writer, (written, sealed), ctx| writer.deliver(written, sealed, ctx));
    }

    fn deliver(&mut self, written: Written, sealed: Option<Sealed>, ctx: &mut Context<Self>) {
        let (Some(query), Some(assembly)) = (&self.query, &self.assembly) else { return };
        self.written = written;
        let account = &self.parts.account;
        let manifest = match reconcile(
            &self.parts.context,
            account,
            query,
            assembly,
            (written, self.total_rows),
            sealed.unwrap_or_else(|| Sealed { bytes: written.n_bytes, sha256: String::new() }),
        ) {
            Ok(manifest) => Arc::new(manifest),
            Err(failure) => return self.fail(failure, ctx),
        };
        if let Some(remark) = account.remark(&manifest, assembly.n_discarded()) {
            self.parts.context.tell(ExtractionStep::Remark(remark));
        }
        let told = manifest.clone();
        self.on_output(
            ctx,
            move |output| output.finish(&told),
            |writer, (), ctx| {
                writer.tell_written();
                writer.end(ExtractionEnd::Ended(Ending::Complete(manifest)), ctx);
            },
        );
    }

    fn sink_failed(&mut self, error: &SinkError, ctx: &mut Context<Self>) {
        let name = &self.parts.context.report.name;
        let message = format!("{name}: {error}");
        match error {
            SinkError::Full { .. } => {
                let park = Park { reason: ParkReason::DiskFull, message, until: None };
                self.end(ExtractionEnd::Ended(Ending::Parked(park)), ctx);
            }
            // Whoever reads has seen enough: `… | head` is no failure.
            SinkError::Closed => self.end(ExtractionEnd::Ended(Ending::Skipped(message)), ctx),
            SinkError::Unusable { .. } => self.fail(Failure::new(FailureClass::Local, message), ctx),
            _ => self.fail(Failure::new(FailureClass::Sink, message), ctx),
        }
    }

    fn fail(&mut self, failure: Failure, ctx: &mut Context<Self>) {
        self.end(ExtractionEnd::Ended(Ending::Failed(failure)), ctx);
    }

    fn end(&mut self, how: ExtractionEnd, ctx: &mut Context<Self>) {
        self.is_over = true;
        self.parts.context.last_useful.send_replace(0);
        self.notice.quiet();
        // A sink that is stuck must keep neither a turn nor a query from others.
        self.turn = None;
        self.parts.context.query_permit.lock().take();
        let ended = self.parts.context.trace.ended(self.parts.context.id, how);
        let line = self.parts.context.ended.clone();
        if matches!(ended.how, ExtractionEnd::Ended(Ending::Complete(_))) {
            line.tell(ended);
            return ctx.stop();
        }
        let aborted = self.abort();
        if self.parts.has_own_lane {
            line.tell(ended);
            return ctx.stop();
        }
        // The sink lets go of its file before anyone hears of the end, so that a successor finds it free.
        ctx.wait(aborted.into_actor(self).map(move |_, _, ctx| {
            line.tell(ended);
            ctx.stop();
        }));
    }

    /// The extraction was called off: lets go of everything.
    fn leave(&mut self, ctx: &mut Context<Self>) {
        self.is_over = true;
        self.notice.quiet();
        drop(self.abort());
        ctx.stop();
    }

    /// Has the sink let go, behind all jobs that are queued already.
    fn abort(&self) -> impl Future<Output = Result<(), LaneDead>> + Send + use<> {
        let place = self.output.clone();
        self.parts.lane.run(move || {
            let output = place.lock().take();
            if let Some(mut output) = output {
                output.abort();
            }
        })
    }

    fn tell_written(&self) {
        let Written { n_pages, n_rows, n_bytes } = self.written;
        let n_expected = self.total_rows.map(|rows| rows.div_ceil(self.parts.context.report.page_size.max(1)));
        let step = ExtractionStep::Written { n_pages, n_pages_expected: n_expected, n_rows, n_bytes };
        self.parts.context.tell(step);
    }

    fn remark(&self, page: PageNumber, doubt: Doubt) {
        let why = match doubt {
            Doubt::RowsBeyond(beyond) => format!("page {page} claims the end, but page {beyond} has rows"),
            Doubt::Repeated => format!("page {page} equals the page before it"),
        };
        self.parts.context.tell(ExtractionStep::Remark(format!("{why}; asking again")));
    }
}

impl Drop for WriterActor {
    fn drop(&mut self) {
        // Dying of a panic, too, it leaves a sink that has let go, before a successor's begins.
        if !self.notice.is_quiet() {
            drop(self.abort());
        }
    }
}

impl Actor for WriterActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.on_output(ctx, Output::begin, |_, (), _| {});
        let context = self.parts.context.clone();
        ctx.spawn(async move { context.cancelled().await }.into_actor(self).map(|(), writer, ctx| writer.leave(ctx)));
    }
}

impl Handler<ResultsReady> for WriterActor {
    type Result = ();

    fn handle(&mut self, ready: ResultsReady, ctx: &mut Self::Context) {
        if self.assembly.is_some() {
            // The query was not ready for a while and is again.
            if let Some(assembly) = &mut self.assembly {
                assembly.query_checked(QueryCheck::Complete);
            }
            return self.drive(ctx);
        }
        let context = &self.parts.context;
        let repeated = match context.report.repeated {
            crate::config::Repeated::Accept => RepeatedPages::Accept,
            crate::config::Repeated::Fail => RepeatedPages::Fail,
        };
        let max_window = context.tenant.config.max_in_flight.get() as u64 * PAGES_AHEAD_PER_REQUEST;
        self.assembly = Some(Assembly::new(repeated, ready.total_rows, context.report.page_size, max_window));
        self.query = Some(ready.query);
        self.total_rows = ready.total_rows;
        let (turns, memory) = (self.parts.turns.clone(), context.memory.clone());
        let turn = async move {
            let permit = turns.acquire_owned().await.ok()?;
            Some((Share::take(&memory).await, permit))
        };
        ctx.spawn(turn.into_actor(self).map(|turn, writer, ctx| {
            writer.turn = turn;
            writer.parts.context.tell(ExtractionStep::Fetching);
            writer.drive(ctx);
        }));
    }
}

impl Handler<PageFetched> for WriterActor {
    type Result = ();

    fn handle(&mut self, PageFetched(page): PageFetched, ctx: &mut Self::Context) {
        fail::fail_point!(&self.parts.context.place("writer"));
        if let Some(assembly) = &mut self.assembly
            && !self.is_over
        {
            assembly.fetched(page);
            self.drive(ctx);
        }
    }
}

impl Handler<PageMissed> for WriterActor {
    type Result = ();

    fn handle(&mut self, PageMissed { number, why }: PageMissed, ctx: &mut Self::Context) {
        let Some(assembly) = self.assembly.as_mut().filter(|_| !self.is_over) else { return };
        match why {
            Missed::NotFound { total_count } => assembly.missing(number, total_count),
            Missed::NotWanted => assembly.withdrawn(number),
            Missed::NoRoom if assembly.found_no_room(number) => {
                // Room is freed by writing; asking again at once would only fill the tenant's log.
                ctx.run_later(NO_ROOM_PAUSE, Self::drive);
                return;
            }
            Missed::NoRoom => {
                let message = format!(
                    "{}: page {number} finds no room, neither in memory nor in engine.scratch_dir; make room, then run again",
                    self.parts.context.report.name
                );
                let park = Park { reason: ParkReason::DiskFull, message, until: None };
                return self.end(ExtractionEnd::Ended(Ending::Parked(park)), ctx);
            }
            Missed::Panicked => {
                assembly.lost(number);
                let n_lost = self.n_lost.entry(number).or_default();
                *n_lost += 1;
                if *n_lost > MAX_LOST {
                    let message = format!("page {number}: its task died, {MAX_LOST} tasks for it did before");
                    return self.fail(Failure::new(FailureClass::Internal, message), ctx);
                }
            }
            Missed::Undelivered => {
                // Its fetcher is being rebuilt; asked at once, the same dead one would be asked.
                ctx.run_later(UNDELIVERED_PAUSE, move |writer, ctx| {
                    if let Some(assembly) = writer.assembly.as_mut().filter(|_| !writer.is_over) {
                        assembly.lost(number);
                        writer.drive(ctx);
                    }
                });
                return;
            }
            Missed::Parked(park) => return self.end(ExtractionEnd::Ended(Ending::Parked(park)), ctx),
            Missed::Failed(failure) => return self.fail(failure, ctx),
        }
        self.drive(ctx);
    }
}

impl Handler<QueryChecked> for WriterActor {
    type Result = ();

    fn handle(&mut self, checked: QueryChecked, ctx: &mut Self::Context) {
        if let Some(assembly) = &mut self.assembly
            && !self.is_over
        {
            assembly.query_checked(match checked {
                QueryChecked::Complete => QueryCheck::Complete,
                QueryChecked::NotReady => QueryCheck::NotReady,
                QueryChecked::Gone => QueryCheck::Gone,
            });
            self.drive(ctx);
        }
    }
}
