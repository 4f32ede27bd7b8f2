//! Carries one extraction's pages from the fetchers to the output, in page order.
//!
//! The order itself, and where the results end, is [`Assembly`]'s to decide; files are the writing thread's to touch.
//! This actor asks for pages while there is room, hands over what is next, and ends the extraction. It has one inbox
//! and never waits for a particular page.

mod ending;
mod news;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix::prelude::*;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::actors::assembly::{Assembly, AssemblyMemo, Move};
use crate::actors::memo::Memo;
use crate::actors::output::{COMMIT_AFTER, Cut, Keeper, Landmark, Output, OutputError, Treatment, Written};
use crate::actors::page_fetcher::PageNewsGuard;
use crate::actors::parts::{EndedPart, PartsRead};
use crate::actors::reconcile::Account;
use crate::actors::{
    CheckQuery, DeathNotice, ExtractionContext, ExtractionEnd, ExtractionStep, FetchPage, FetchedPage, Lane, LaneDead,
    Line, OpenPart, PageNews, ResultsReady, Share, Turn, Turns, endings,
};
use crate::model::PageNumber;
use crate::policy::ends::{Doubt, RepeatedPages};
use crate::sink::{Sink, SinkError, WhenDurable};
use crate::state::Checkpoint;
use crate::state::agenda::Destination;

/// Pages asked for beyond the one written next, per request that may be under way.
const PAGES_AHEAD_PER_REQUEST: u64 = 4;

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
    /// Whether a stuck reader may hold that up for ever.
    pub may_get_stuck: bool,
    /// Takes turns at fetching.
    pub turns: Turns,
    /// What the manifest is to say of the time before.
    pub account: Account,
    /// Where to go on, if an earlier writer has made anything durable.
    pub from: Option<Landmark>,
    /// What its sink is.
    pub destination: Destination,
}

/// The part that is being read.
struct Reading {
    assembly: Assembly,
    part: Arc<OpenPart>,
    total_rows: Option<u64>,
}

/// The output while no job has it in hand. A job that dies takes it along, so that nothing is written behind a gap.
type OutputPlace = Arc<Mutex<Option<Output>>>;

/// The writer of one extraction.
pub struct WriterActor {
    parts: WriterParts,
    output: OutputPlace,
    /// Nobody waits for the output any more, which is stuck: when it comes back, nothing but its giving up follows.
    is_given_up: Arc<AtomicBool>,
    /// The part that is written now, or waited for.
    nth_part: u32,
    /// Parts whose results are ready ahead of their turn.
    ready: BTreeMap<u32, ResultsReady>,
    reading: Option<Reading>,
    /// Where the present part is taken up, as long as it has not been.
    taken_up: Option<(PageNumber, AssemblyMemo)>,
    turn: Option<(Share, Turn)>,
    written: Written,
    n_orders: u64,
    n_lost: HashMap<PageNumber, u32>,
    is_waiting_for_room: bool,
    is_commit_due: bool,
    is_over: bool,
    /// The last steps are under way: they take a moment, and are not broken off.
    is_delivering: bool,
    notice: DeathNotice,
}

impl WriterActor {
    /// A writer into `sink`, which has not begun yet.
    pub fn new(parts: WriterParts, sink: Box<dyn Sink>, notice: DeathNotice) -> Self {
        let context = &parts.context;
        let treatment = treatment(context);
        let backlog = context.output_backlog.clone();
        let keeper = keeper(&parts);
        let is_file = parts.destination == Destination::File;
        let (block_bytes, trace) = (context.memory.block_bytes(), context.trace.clone());
        let output = Output::new(sink, block_bytes, treatment, is_file, backlog, trace, keeper);
        let mut writer = Self {
            parts,
            output: Arc::new(Mutex::new(Some(output))),
            is_given_up: Arc::default(),
            nth_part: 0,
            ready: BTreeMap::new(),
            reading: None,
            taken_up: None,
            turn: None,
            written: Written::default(),
            n_orders: 0,
            n_lost: HashMap::new(),
            is_waiting_for_room: false,
            is_commit_due: false,
            is_over: false,
            is_delivering: false,
            notice,
        };
        if let Some(from) = &writer.parts.from {
            writer.nth_part = from.position.part;
            writer.written = from.standing.written;
            writer.taken_up = Some((from.position.next_page, from.assembly.clone()));
        }
        writer
    }

    /// Runs a job on the output's own thread and takes its answer back in.
    fn on_output<T: Send + 'static, E: Into<OutputError> + 'static>(
        &self,
        ctx: &mut Context<Self>,
        job: impl FnOnce(&mut Output) -> Result<T, E> + Send + 'static,
        then: impl FnOnce(&mut Self, T, &mut Context<Self>) + 'static,
    ) {
        let (place, is_given_up) = (self.output.clone(), self.is_given_up.clone());
        let context = self.parts.context.clone();
        let done = self.parts.lane.run(move || {
            let mut output = place.lock().take()?;
            fail::fail_point!(&context.place("thread"));
            drop(context);
            let done = job(&mut output).map_err(Into::into);
            match &done {
                Ok(_) if is_given_up.load(Ordering::Acquire) => output.abort(),
                Ok(_) => *place.lock() = Some(output),
                // Nothing but this follows an error, also where more pages are queued already.
                Err(error) => output.give_up(error),
            }
            Some(done)
        });
        ctx.spawn(done.into_actor(self).map(move |done, writer, ctx| match done {
            Ok(Some(Ok(answer))) => then(writer, answer, ctx),
            Ok(Some(Err(OutputError::Sink(error)))) => writer.sink_failed(&error, ctx),
            Ok(Some(Err(OutputError::Refused(failure)))) => writer.fail(failure, ctx),
            // An earlier job has taken the output along, and its own answer says so.
            Ok(None) => {}
            // The job died with the output in its hands: only a rebuild brings this actor and the file together.
            Err(LaneDead) => ctx.stop(),
        }));
    }

    /// Does what the assembly says, then asks for pages.
    fn drive(&mut self, ctx: &mut Context<Self>) {
        while !self.is_over {
            let Some(reading) = self.reading.as_mut() else { break };
            let Some(next) = reading.assembly.next_move() else { break };
            match next {
                Move::Append(page, cut) => self.append(*page, cut, ctx),
                Move::Doubted(page, doubt) => self.remark(page, doubt),
                Move::CheckQuery => self.parts.poller.tell(CheckQuery { part: self.nth_part }),
                Move::AwaitQuery => {}
                Move::End if self.is_last_part() => self.seal(ctx),
                Move::End => self.end_part(ctx),
                Move::Expired => self.end(ExtractionEnd::Expired(self.nth_part), ctx),
                Move::Fail(failure) => self.fail(failure, ctx),
            }
        }
        self.ask(ctx);
    }

    fn append(&mut self, page: FetchedPage, cut: Cut, ctx: &mut Context<Self>) {
        let Some(reading) = &self.reading else { return };
        self.parts.context.output_backlog.fetch_add(page.framed.n_bytes, Ordering::Relaxed);
        let (memo, now) = (reading.assembly.memo(), Instant::now());
        self.on_output(
            ctx,
            move |output| output.append(page, cut, memo, now),
            |writer, written, ctx| {
                // Answers of several jobs may be taken in together, and then in any order.
                if written.n_bytes > writer.written.n_bytes {
                    writer.written = written;
                    writer.tell_written();
                }
                writer.commit_when_idle(ctx);
                writer.ask(ctx);
            },
        );
    }

    /// Sees to it that what is written is made durable soon, also if nothing more comes for a while.
    fn commit_when_idle(&mut self, ctx: &mut Context<Self>) {
        if std::mem::replace(&mut self.is_commit_due, true) {
            return;
        }
        ctx.run_later(COMMIT_AFTER, |writer, ctx| {
            writer.is_commit_due = false;
            if writer.is_over {
                return;
            }
            let now = Instant::now();
            writer.on_output(
                ctx,
                move |output| Ok::<_, SinkError>(output.commit_idle(now)),
                |writer, is_waiting, ctx| {
                    if is_waiting && !writer.is_over {
                        writer.commit_when_idle(ctx);
                    }
                },
            );
        });
    }

    /// Asks for pages as far as window and room reach.
    fn ask(&mut self, ctx: &mut Context<Self>) {
        if self.is_over {
            return;
        }
        let (Some(Reading { assembly, part, .. }), Some((share, _))) = (&mut self.reading, &self.turn) else {
            return;
        };
        let context = &self.parts.context;
        part.useful_up_to(assembly.last_useful().map_or(u64::MAX, |page| page.0));
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
            let news = PageNewsGuard::new(part.nth, page, news);
            let fetcher = &self.parts.fetchers[(self.n_orders % self.parts.fetchers.len() as u64) as usize];
            self.n_orders += 1;
            fetcher.tell(FetchPage { extraction: context.clone(), part: part.clone(), number: page, slot, news });
        }
    }

    fn is_last_part(&self) -> bool {
        self.nth_part as usize + 1 >= self.parts.context.windows.len()
    }

    /// The present part is read to its end: its query's place is free, and the next part's turn has come.
    fn end_part(&mut self, ctx: &mut Context<Self>) {
        let Some(reading) = self.reading.take() else { return };
        reading.part.useful_up_to(0);
        self.parts.context.query_permits.lock().remove(&self.nth_part);
        self.n_lost.clear();
        let (ended, now) = (self.ended(reading), Instant::now());
        self.on_output(
            ctx,
            move |output| output.end_part(ended, now),
            |writer, begins_with, ctx| {
                writer.taken_up = Some((PageNumber::FIRST, begins_with));
                writer.nth_part += 1;
                match writer.ready.remove(&writer.nth_part) {
                    Some(ready) => writer.read_part(ready, ctx),
                    // Others may fetch while this one waits for its next query.
                    None => writer.turn = None,
                }
            },
        );
    }

    fn ended(&self, reading: Reading) -> EndedPart {
        EndedPart {
            query: reading.part.query.clone(),
            window: self.parts.context.windows[self.nth_part as usize],
            counts: reading.assembly.counts(),
            total_rows: reading.total_rows,
        }
    }

    /// The results of the part whose turn it is are ready: reads them, as soon as it may fetch.
    fn read_part(&mut self, ready: ResultsReady, ctx: &mut Context<Self>) {
        let context = &self.parts.context;
        let repeated = match context.report.repeated {
            crate::config::Repeated::Accept => RepeatedPages::Accept,
            crate::config::Repeated::Fail => RepeatedPages::Fail,
        };
        let max_window = context.tenant.config.max_in_flight.get() as u64 * PAGES_AHEAD_PER_REQUEST;
        let (first, memo) = self.taken_up.take().unwrap_or((PageNumber::FIRST, AssemblyMemo::default()));
        let ResultsReady { part, query, total_rows } = ready;
        let page_size = context.report.page_size;
        let assembly =
            Assembly::new(repeated, treatment(context).is_strict(), total_rows, page_size, max_window, first, memo);
        self.reading = Some(Reading { assembly, part: Arc::new(OpenPart::new(part, query.clone())), total_rows });
        self.on_output(
            ctx,
            move |output| {
                output.reads(query);
                Ok::<_, SinkError>(())
            },
            |_, (), _| {},
        );
        if self.turn.is_some() {
            return self.drive(ctx);
        }
        let context = &self.parts.context;
        let (turns, memory) = (self.parts.turns.clone(), context.memory.clone());
        let tenant = context.tenant.config.name.clone();
        let turn = async move {
            let turn = turns.take(tenant).await;
            (Share::take(&memory).await, turn)
        };
        ctx.spawn(turn.into_actor(self).map(|turn, writer, ctx| {
            writer.turn = Some(turn);
            writer.parts.context.tell(ExtractionStep::Fetching);
            writer.drive(ctx);
        }));
    }

    fn tell_written(&self) {
        let Written { n_pages, n_rows, n_bytes } = self.written;
        let total_rows = self.reading.as_ref().and_then(|reading| reading.total_rows);
        let page_size = self.parts.context.report.page_size.max(1);
        // Of one part alone it would say nothing of the whole.
        let n_expected = total_rows.filter(|_| self.is_only_part()).map(|rows| rows.div_ceil(page_size));
        let step = ExtractionStep::Written { n_pages, n_pages_expected: n_expected, n_rows, n_bytes };
        self.parts.context.tell(step);
    }

    fn is_only_part(&self) -> bool {
        self.parts.context.windows.len() == 1
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
            drop(self.let_go(false));
        }
    }
}

impl Actor for WriterActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let from = self.parts.from.take();
        if from.is_some() {
            self.tell_written();
        }
        self.on_output(ctx, move |output| output.begin(from), |_, (), _| {});
        let context = self.parts.context.clone();
        ctx.spawn(async move { context.cancelled().await }.into_actor(self).map(|(), writer, ctx| writer.leave(ctx)));
    }
}

fn treatment(context: &ExtractionContext) -> Treatment {
    Treatment::of(&context.report, context.tenant.config.limits.record_bytes)
}

/// Has landmarks stored once they are durable.
fn keeper(parts: &WriterParts) -> Keeper {
    let (context, account) = (parts.context.clone(), parts.account.clone());
    // What went down a stream can't be gone on from.
    let keeps_positions = parts.destination != Destination::Stdout;
    Box::new(move |landmark| -> WhenDurable {
        if !keeps_positions {
            return Box::new(drop);
        }
        let Landmark { position, standing, assembly, read: PartsRead { finished, start: part_start } } = landmark;
        let http = context.http_counts(account.http_before, account.tokens_before, account.opens_before);
        let (finished, part_start) = (finished.to_vec(), part_start.map(|start| (*start).clone()));
        let memo = Memo { http, standing, assembly, finished, part_start }.to_text();
        let context = context.clone();
        Box::new(move |durable| {
            if durable.is_err() {
                return;
            }
            let (journal, asked) = (context.journal.clone(), context.clone());
            journal.committed(Checkpoint { position, memo }, move |stored| {
                if let Err(error) = stored {
                    let ending = endings::of_store(&asked.report.name, &error);
                    asked.ended.tell(asked.trace.ended(asked.id, ExtractionEnd::Ended(ending), false));
                }
            });
        })
    })
}
