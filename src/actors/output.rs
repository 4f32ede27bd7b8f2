//! The output of one extraction, as the writing thread drives it: pages in, bytes and positions out.
//!
//! Pages come in order and whole. What is cut off their beginning (byte order mark, repeated header) was decided
//! before; here only a missing line ending between pages or at the end is added. It never waits and knows no actor.

mod treatment;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::actors::assembly::AssemblyMemo;
use crate::actors::parts::{EndedPart, FinishedPart, PartStart, PartsRead};
use crate::actors::{FetchedPage, PageBody, Trace};
use crate::model::{Failure, FileMark, Manifest, PageNumber, Position, QueryId};
use crate::sink::{Publication, Sealed, Sink, SinkError, WhenDurable};

use treatment::Came;
pub use treatment::Treatment;

/// Written bytes after which the output is made durable.
const COMMIT_BYTES: u64 = 64 << 20;

/// Written pages after which it is.
const COMMIT_PAGES: u64 = 16;

/// Syncing small pages one batch right after the other costs more than it saves: so many bytes or so much time must
/// have come since the last one before pages alone make a commit.
const COMMIT_PAGES_BYTES: u64 = 4 << 20;
const COMMIT_PAGES_AFTER: Duration = Duration::from_millis(250);

/// Nothing written waits longer than this to be made durable.
pub const COMMIT_AFTER: Duration = Duration::from_secs(2);

/// So many ends of pages are remembered at the most.
const MOST_PAGE_ENDS: usize = 32;

/// What stands before a page's rows and doesn't go into the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Bytes to leave out at the start.
    pub n_bytes: u64,
    /// Rows in what is left, if all are good.
    pub n_rows: u64,
    /// Of these, lines without any byte that are values of a table of one column.
    pub n_empty: u64,
    /// Whether what is left begins with the header.
    pub has_header: bool,
    /// The header's number of fields, if the records are to be judged one by one.
    pub judged: Option<u64>,
}

/// Why an output can't be gone on with.
#[derive(Clone, Debug)]
pub enum OutputError {
    /// Its sink failed.
    Sink(SinkError),
    /// What the tenant sent can't be delivered.
    Refused(Failure),
}

impl From<SinkError> for OutputError {
    fn from(error: SinkError) -> Self {
        Self::Sink(error)
    }
}

/// What was done to records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Records joined.
    pub n_repaired: u64,
    /// Records set aside.
    pub n_rejected: u64,
    /// Fields made safe for spreadsheets.
    pub n_excel_safe: u64,
    /// Sequences that were no UTF-8.
    pub n_replaced: u64,
}

/// How far the output is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// Pages with rows.
    pub n_pages: u64,
    /// Rows.
    pub n_rows: u64,
    /// Bytes.
    pub n_bytes: u64,
}

/// What else must be known to go on writing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// How far the output is.
    pub written: Written,
    /// Of these bytes, those that are no records: byte order mark and header.
    pub n_header_bytes: u64,
    /// What was done to records.
    #[serde(default)]
    pub tally: Tally,
    /// The line ending to add where one is missing: that of the first record.
    pub(super) newline: Option<LineEnding>,
    /// Whether the last record still lacks its line ending.
    pub(super) line_is_open: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum LineEnding {
    Lf,
    CrLf,
    Cr,
}

/// A point in the output that is about to be made durable, and what a later run must know of it.
#[derive(Clone, Debug)]
pub struct Landmark {
    /// Where.
    pub position: Position,
    /// The output's state.
    pub standing: Standing,
    /// The pages' state.
    pub assembly: AssemblyMemo,
    /// The parts before the one that is being read.
    pub read: PartsRead,
}

/// An output that is written to its end.
#[derive(Clone, Debug)]
pub struct Whole {
    /// How much it is.
    pub written: Written,
    /// What was done to records.
    pub tally: Tally,
    /// The report's parts, all of them.
    pub parts: Vec<FinishedPart>,
    /// What the sink says of it, if it keeps account.
    pub sealed: Option<Sealed>,
}

/// Makes of a landmark whom to tell once it is durable.
pub type Keeper = Box<dyn Fn(Landmark) -> WhenDurable + Send>;

/// One extraction's way to its sink.
pub struct Output {
    sink: Box<dyn Sink>,
    block_bytes: usize,
    /// Where the output stands, for a sink that keeps no account of it: a checksum is not made twice.
    own_mark: Option<FileMark>,
    standing: Standing,
    assembly: AssemblyMemo,
    read: PartsRead,
    query: Option<QueryId>,
    next_page: PageNumber,
    uncommitted_bytes: u64,
    uncommitted_pages: u64,
    committed_at: Option<Instant>,
    backlog: Arc<AtomicU64>,
    treatment: Treatment,
    /// Whether the output can be gone on from where it stands.
    is_resumable: bool,
    /// Whether that is so at some ends of pages only.
    is_packed: bool,
    /// Whether the sink is a file of ours: a host's is asked for nothing more after its error.
    is_file: bool,
    trace: Arc<Trace>,
    keeper: Keeper,
    /// The ends of the last pages that are not durable yet: where there is no room for more, one of them is gone back
    /// to.
    page_ends: VecDeque<Landmark>,
}

impl Output {
    /// An output into `sink`, which has not begun yet.
    pub fn new(
        sink: Box<dyn Sink>,
        block_bytes: usize,
        treatment: Treatment,
        is_file: bool,
        backlog: Arc<AtomicU64>,
        trace: Arc<Trace>,
        keeper: Keeper,
    ) -> Self {
        Self {
            sink,
            block_bytes,
            own_mark: None,
            standing: Standing::default(),
            assembly: AssemblyMemo::default(),
            read: PartsRead::default(),
            query: None,
            next_page: PageNumber::FIRST,
            uncommitted_bytes: 0,
            uncommitted_pages: 0,
            committed_at: None,
            backlog,
            treatment,
            is_resumable: true,
            is_packed: false,
            is_file,
            trace,
            keeper,
            page_ends: VecDeque::new(),
        }
    }

    /// Opens the sink anew, or where an earlier writer made it durable.
    ///
    /// # Errors
    /// The sink's.
    pub fn begin(&mut self, from: Option<Landmark>) -> Result<(), SinkError> {
        self.sink.begin(from.as_ref().map(|from| &from.position))?;
        self.is_resumable = true;
        let mark = from.as_ref().map_or(FileMark::START, |from| from.position.output);
        self.own_mark = self.sink.mark().is_none().then_some(mark);
        if let Some(Landmark { position, standing, assembly, read }) = from {
            (self.query, self.next_page) = (position.query_id, position.next_page);
            (self.standing, self.assembly, self.read) = (standing, assembly, read);
        }
        Ok(())
    }

    /// The next pages are of this query.
    pub fn reads(&mut self, query: QueryId) {
        self.query = Some(query);
    }

    /// Writes the next page; `assembly` is what is known of the pages up to it. It is made durable with others.
    ///
    /// # Errors
    /// The sink's, or what the page's records are refused for.
    pub fn append(
        &mut self,
        page: FetchedPage,
        cut: Cut,
        assembly: AssemblyMemo,
        now: Instant,
    ) -> Result<Written, OutputError> {
        let FetchedPage { number, framed, body, slot, .. } = page;
        if self.standing.written.n_bytes == 0
            && let Some(first) = &framed.first
        {
            self.start(&first.raw)?;
        } else if self.standing.line_is_open && cut.n_rows > 0 {
            self.end_line()?;
        }
        let n_body = framed.n_bytes;
        self.is_resumable = false;
        let came = match cut.judged.is_none() && !self.treatment.reads_bytes() {
            true => self.copy(body, &cut).map(|()| Came {
                n_rows: cut.n_rows,
                line_is_open: (n_body > cut.n_bytes).then_some(!framed.ends_with_newline),
            }),
            false => self.treat(number, &framed, body, &cut),
        };
        self.backlog.fetch_sub(n_body, Ordering::Relaxed);
        drop(slot);
        let came = came?;
        self.standing.line_is_open = came.line_is_open.unwrap_or(false);
        self.standing.written.n_rows += came.n_rows;
        self.standing.written.n_pages += u64::from(cut.n_rows > 0);
        self.next_page = number.next();
        self.assembly = assembly;
        self.uncommitted_bytes += n_body;
        self.uncommitted_pages += 1;
        self.is_resumable = self.sink.page_ended()?;
        self.is_packed |= !self.is_resumable;
        if !self.is_resumable {
            return Ok(self.standing.written);
        }
        if self.is_commit_due(now) {
            self.commit_later(now);
        } else {
            self.page_ends.push_back(self.landmark());
            if self.page_ends.len() > MOST_PAGE_ENDS {
                self.page_ends.pop_front();
            }
        }
        Ok(self.standing.written)
    }

    /// Writes a page as it is, but for what is cut off.
    fn copy(&mut self, body: PageBody, cut: &Cut) -> Result<(), OutputError> {
        let mut skip = cut.n_bytes;
        let block_bytes = self.block_bytes;
        let unreadable = |error| OutputError::Sink(SinkError::failed("scratch", "reading a page back", error));
        body.drain(block_bytes, unreadable, |mut bytes: Bytes| {
            let n_skipped = usize::try_from(skip).map_or(bytes.len(), |skip| skip.min(bytes.len()));
            skip -= n_skipped as u64;
            let bytes = bytes.split_off(n_skipped);
            if bytes.is_empty() { Ok(()) } else { Ok(self.put(&bytes)?) }
        })
    }

    fn is_commit_due(&mut self, now: Instant) -> bool {
        let since = now.saturating_duration_since(*self.committed_at.get_or_insert(now));
        let enough = self.uncommitted_bytes >= COMMIT_PAGES_BYTES || since >= COMMIT_PAGES_AFTER;
        // Between the ends of frames nothing can be made durable, and they may be far apart.
        let many_pages = (self.uncommitted_pages >= COMMIT_PAGES || self.is_packed) && enough;
        many_pages || self.uncommitted_bytes >= COMMIT_BYTES || since >= COMMIT_AFTER
    }

    /// Makes durable what has waited long enough; whether anything still waits.
    pub fn commit_idle(&mut self, now: Instant) -> bool {
        let is_waiting = self.uncommitted_pages > 0 && self.is_resumable;
        if is_waiting && self.is_commit_due(now) {
            self.commit_later(now);
            return false;
        }
        is_waiting
    }

    /// Everything of the present part is written: what follows is the next one's. That it is so is made durable, or the
    /// part's end would have to be looked for again. Answers with what the next one begins with.
    ///
    /// # Errors
    /// The sink's.
    pub fn end_part(&mut self, ended: EndedPart, now: Instant) -> Result<AssemblyMemo, SinkError> {
        if self.standing.line_is_open {
            self.end_line()?;
        }
        self.sink.part_ended()?;
        self.is_resumable = true;
        let finished = self.read.ending(ended, &self.standing);
        Arc::make_mut(&mut self.read.finished).push(finished);
        self.query = None;
        self.next_page = PageNumber::FIRST;
        self.assembly = std::mem::take(&mut self.assembly).for_next_part();
        let (standing, assembly) = (self.standing.clone(), self.assembly.clone());
        self.read.start =
            Some(Arc::new(PartStart { output: self.mark(), sides: self.sink.side_marks(), standing, assembly }));
        self.commit_later(now);
        Ok(self.assembly.clone())
    }

    /// Makes everything so far durable, beside the writing.
    fn commit_later(&mut self, now: Instant) {
        let landmark = self.landmark();
        let position = landmark.position.clone();
        let then = (self.keeper)(landmark);
        self.sink.commit_later(&position, then);
        self.uncommitted_bytes = 0;
        self.uncommitted_pages = 0;
        self.page_ends.clear();
        self.committed_at = Some(now);
    }

    /// Makes everything so far durable, now: a later run goes on from here.
    ///
    /// # Errors
    /// The sink's.
    fn save(&mut self) -> Result<(), SinkError> {
        let landmark = self.landmark();
        self.sink.commit(&landmark.position)?;
        self.uncommitted_bytes = 0;
        self.uncommitted_pages = 0;
        self.page_ends.clear();
        (self.keeper)(landmark)(Ok(()));
        Ok(())
    }

    /// Ends the writing with the end of the last part: the last line ending, everything durable, size and hash.
    ///
    /// # Errors
    /// The sink's.
    pub fn seal(&mut self, ended: EndedPart) -> Result<Whole, SinkError> {
        if self.standing.line_is_open {
            self.end_line()?;
        }
        self.sink.part_ended()?;
        self.is_resumable = true;
        self.save()?;
        let sealed = self.sink.seal()?;
        let mut parts = self.read.finished.to_vec();
        parts.push(self.read.ending(ended, &self.standing));
        Ok(Whole { written: self.standing.written, tally: self.standing.tally, parts, sealed })
    }

    /// Makes durable what is not yet; nothing to do where nothing was written since, or where a compressed frame is open:
    /// its pages are fetched again.
    ///
    /// # Errors
    /// The sink's.
    pub fn save_if_any(&mut self) -> Result<(), SinkError> {
        if self.uncommitted_pages == 0 || !self.is_resumable { Ok(()) } else { self.save() }
    }

    /// How a later run could finish the delivery.
    ///
    /// # Errors
    /// The sink's.
    pub fn publication(&self, manifest: &Manifest) -> Result<Option<Publication>, SinkError> {
        self.sink.publication(manifest)
    }

    /// Lets the outside see the output.
    ///
    /// # Errors
    /// The sink's.
    pub fn finish(&mut self, manifest: &Manifest) -> Result<(), SinkError> {
        self.sink.finish(manifest)
    }

    /// Gives the output up after an error. Of a file that found no room for more, the pages that were written whole before
    /// are made durable, so that a later run, with room, goes on behind them. A sync that failed is never tried again.
    pub fn give_up(&mut self, error: &OutputError) {
        let is_full = self.is_file && matches!(error, OutputError::Sink(SinkError::Full { .. }));
        while let Some(landmark) = self.page_ends.pop_back().filter(|_| is_full) {
            // What was gathered and not yet written is lost with the error: then the page before is the last whole one.
            if self.sink.begin(Some(&landmark.position)).is_ok() {
                if self.sink.commit(&landmark.position).is_ok() {
                    (self.keeper)(landmark)(Ok(()));
                }
                break;
            }
        }
        self.sink.abort();
    }

    /// Gives the output up, for now or for good.
    pub fn abort(&mut self) {
        self.sink.abort();
    }

    fn mark(&self) -> FileMark {
        self.own_mark.or_else(|| self.sink.mark()).unwrap_or(FileMark::START)
    }

    fn landmark(&self) -> Landmark {
        let Written { n_pages, n_rows, .. } = self.standing.written;
        let position = Position {
            part: u32::try_from(self.read.finished.len()).unwrap_or(u32::MAX),
            query_id: self.query.clone(),
            next_page: self.next_page,
            n_pages,
            n_rows,
            output: self.mark(),
            sides: self.sink.side_marks(),
        };
        let (standing, assembly, read) = (self.standing.clone(), self.assembly.clone(), self.read.clone());
        Landmark { position, standing, assembly, read }
    }

    fn start(&mut self, header: &[u8]) -> Result<(), SinkError> {
        if let Some(mark) = self.byte_order_mark() {
            self.put(&mark)?;
        }
        self.standing.n_header_bytes = self.standing.written.n_bytes + header.len() as u64;
        self.standing.newline = LineEnding::of(header);
        Ok(())
    }

    fn end_line(&mut self) -> Result<(), SinkError> {
        self.standing.line_is_open = false;
        let newline = self.standing.newline.unwrap_or(LineEnding::Lf).bytes();
        if self.standing.written.n_rows == 0 {
            self.standing.n_header_bytes += newline.len() as u64;
        }
        self.put(&Bytes::from_static(newline))
    }

    fn put(&mut self, bytes: &Bytes) -> Result<(), SinkError> {
        self.trace.has_written.store(true, Ordering::Release);
        self.sink.write(bytes)?;
        self.own_mark = self.own_mark.map(|mark| mark.after(bytes));
        self.standing.written.n_bytes += bytes.len() as u64;
        Ok(())
    }
}

impl LineEnding {
    fn of(record: &[u8]) -> Option<Self> {
        match record {
            [.., b'\r', b'\n'] => Some(Self::CrLf),
            [.., b'\n'] => Some(Self::Lf),
            [.., b'\r'] => Some(Self::Cr),
            _ => None,
        }
    }

    fn bytes(self) -> &'static [u8] {
        match self {
            Self::Lf => b"\n",
            Self::CrLf => b"\r\n",
            Self::Cr => b"\r",
        }
    }
}
