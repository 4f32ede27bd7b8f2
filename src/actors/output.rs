//! The output of one extraction, as the writing thread drives it: pages in, bytes and positions out.
//!
//! Pages come in order and whole. What is cut off their beginning (byte order mark, repeated header) was decided
//! before; here only a missing line ending between pages or at the end is added. It never waits and knows no actor.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use crate::actors::{FetchedPage, Trace};
use crate::model::{FileMark, Manifest, PageNumber, Position};
use crate::sink::{Sealed, Sink, SinkError, WhenDurable};

/// Written bytes after which the output is made durable.
const COMMIT_BYTES: u64 = 64 << 20;

/// Written pages after which it is.
const COMMIT_PAGES: u64 = 16;

/// Several commits' worth of bytes must have come before pages alone make a commit: syncing small pages one batch
/// after the other costs more than it saves.
const COMMIT_PAGES_BYTES: u64 = 4 << 20;

/// What stands before a page's rows and doesn't go into the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Bytes to leave out at the start.
    pub n_bytes: u64,
    /// Rows in what is left.
    pub n_rows: u64,
}

/// How far the output is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Pages with rows.
    pub n_pages: u64,
    /// Rows.
    pub n_rows: u64,
    /// Bytes.
    pub n_bytes: u64,
}

/// One extraction's way to its sink.
pub struct Output {
    sink: Box<dyn Sink>,
    block_bytes: usize,
    /// Where the output stands, for a sink that keeps no account of it: a checksum is not made twice.
    own_mark: Option<FileMark>,
    written: Written,
    next_page: PageNumber,
    /// The line ending to add where one is missing: that of the first record.
    newline: Option<&'static [u8]>,
    line_is_open: bool,
    uncommitted_bytes: u64,
    uncommitted_pages: u64,
    backlog: Arc<AtomicU64>,
    byte_order_mark: bool,
    trace: Arc<Trace>,
}

impl Output {
    /// An output into `sink`, which has not begun yet.
    pub fn new(
        sink: Box<dyn Sink>,
        block_bytes: usize,
        byte_order_mark: bool,
        backlog: Arc<AtomicU64>,
        trace: Arc<Trace>,
    ) -> Self {
        Self {
            sink,
            block_bytes,
            own_mark: None,
            written: Written::default(),
            next_page: PageNumber::FIRST,
            newline: None,
            line_is_open: false,
            uncommitted_bytes: 0,
            uncommitted_pages: 0,
            backlog,
            byte_order_mark,
            trace,
        }
    }

    /// Opens the sink anew.
    ///
    /// # Errors
    /// The sink's.
    pub fn begin(&mut self) -> Result<(), SinkError> {
        self.sink.begin(None)?;
        self.own_mark = self.sink.mark().is_none().then_some(FileMark::START);
        Ok(())
    }

    /// Writes the next page. `when_durable` is told once everything up to and with it is durable; it is only used, and
    /// `true` only returned, where a commit is due.
    ///
    /// # Errors
    /// The sink's.
    pub fn append(
        &mut self,
        page: FetchedPage,
        cut: Cut,
        when_durable: impl FnOnce(Position) -> WhenDurable,
    ) -> Result<Written, SinkError> {
        let FetchedPage { number, framed, body, slot, .. } = page;
        if self.written.n_bytes == 0
            && let Some(first) = &framed.first
        {
            self.start(&first.raw)?;
        } else if self.line_is_open && cut.n_rows > 0 {
            self.end_line()?;
        }
        let n_body = framed.n_bytes;
        let mut skip = cut.n_bytes;
        let block_bytes = self.block_bytes;
        let unreadable = |error| SinkError::failed("scratch", "reading a page back", error);
        let drained = body.drain(block_bytes, unreadable, |mut bytes: Bytes| {
            let n_skipped = usize::try_from(skip).map_or(bytes.len(), |skip| skip.min(bytes.len()));
            skip -= n_skipped as u64;
            let bytes = bytes.split_off(n_skipped);
            if bytes.is_empty() { Ok(()) } else { self.put(&bytes) }
        });
        self.backlog.fetch_sub(n_body, Ordering::Relaxed);
        drop(slot);
        drained?;
        self.line_is_open = n_body > cut.n_bytes && !framed.ends_with_newline;
        self.written.n_rows += cut.n_rows;
        self.written.n_pages += u64::from(cut.n_rows > 0);
        self.next_page = number.next();
        self.uncommitted_bytes += n_body;
        self.uncommitted_pages += 1;
        let many_pages = self.uncommitted_pages >= COMMIT_PAGES && self.uncommitted_bytes >= COMMIT_PAGES_BYTES;
        if many_pages || self.uncommitted_bytes >= COMMIT_BYTES {
            let position = self.position();
            let then = when_durable(position.clone());
            self.trace.has_committed.store(true, Ordering::Release);
            self.sink.commit_later(&position, then);
            self.uncommitted_bytes = 0;
            self.uncommitted_pages = 0;
        }
        Ok(self.written)
    }

    /// Ends the writing: the last line ending, everything durable, size and hash.
    ///
    /// # Errors
    /// The sink's.
    pub fn seal(&mut self) -> Result<(Written, Option<Sealed>), SinkError> {
        if self.line_is_open {
            self.end_line()?;
        }
        let position = self.position();
        self.trace.has_committed.store(true, Ordering::Release);
        self.sink.commit(&position)?;
        let sealed = self.sink.seal()?;
        Ok((self.written, sealed))
    }

    /// Lets the outside see the output.
    ///
    /// # Errors
    /// The sink's.
    pub fn finish(&mut self, manifest: &Manifest) -> Result<(), SinkError> {
        self.sink.finish(manifest)
    }

    /// Gives the output up, for now or for good.
    pub fn abort(&mut self) {
        self.sink.abort();
    }

    fn position(&self) -> Position {
        let output = self.own_mark.or_else(|| self.sink.mark()).unwrap_or(FileMark::START);
        Position { next_page: self.next_page, n_rows: self.written.n_rows, output, ..Position::start() }
    }

    fn start(&mut self, first_record: &[u8]) -> Result<(), SinkError> {
        if self.byte_order_mark {
            self.put(&Bytes::from_static(&crate::csv::BOM))?;
        }
        self.newline = line_ending(first_record);
        Ok(())
    }

    fn end_line(&mut self) -> Result<(), SinkError> {
        self.line_is_open = false;
        self.put(&Bytes::from_static(self.newline.unwrap_or(b"\n")))
    }

    fn put(&mut self, bytes: &Bytes) -> Result<(), SinkError> {
        self.trace.has_written.store(true, Ordering::Release);
        self.sink.write(bytes)?;
        self.own_mark = self.own_mark.map(|mark| mark.after(bytes));
        self.written.n_bytes += bytes.len() as u64;
        Ok(())
    }
}

fn line_ending(record: &[u8]) -> Option<&'static [u8]> {
    match record {
        [.., b'\r', b'\n'] => Some(b"\r\n"),
        [.., b'\n'] => Some(b"\n"),
        [.., b'\r'] => Some(b"\r"),
        _ => None,
    }
}
