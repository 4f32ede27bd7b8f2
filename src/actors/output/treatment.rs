//! What is done to a page's records on their way into the output, where they don't just pass.
//!
//! A page that the scan found nothing wrong with is copied as it is unless a form is asked for. Otherwise its records are
//! judged one by one: good ones pass byte for byte, joined ones leave a receipt, rejects go to their file or end the
//! report. What the page came to is known only here, when it is written.

use bytes::Bytes;

use super::{Cut, Output, OutputError};
use crate::actors::PageBody;
use crate::config::{InvalidUtf8, Newlines, Ragged, Repair, ReportConfig};
use crate::csv::forms::{BadUtf8, FormRules, Former, Utf8Check};
use crate::csv::mend::{Joined, MendRules, Mended, Mender, Place, Reason, Rejected, ShapeFinder};
use crate::csv::{BOM, Framed, papers};
use crate::model::{Failure, FailureClass, PageNumber};
use crate::sink::{Side, SinkError};

/// Rewritten bytes are gathered to this size before they are written.
const GATHERED: usize = 256 << 10;

/// What a report's configuration asks to be done to records.
#[derive(Clone, Copy, Debug)]
pub struct Treatment {
    /// Whether a byte order mark stands first.
    pub byte_order_mark: bool,
    /// Whether records that raw newlines have broken are joined.
    pub join: bool,
    /// Whether bad records are set aside; otherwise the first one ends the report.
    pub reject: bool,
    /// Whether bytes that are no UTF-8 end the report.
    pub refuse_invalid_utf8: bool,
    /// How fields are written.
    pub forms: FormRules,
    /// The longest record.
    pub record_bytes: u64,
}

impl Treatment {
    /// That of a report whose tenant's limit is that.
    pub fn of(report: &ReportConfig, record_bytes: u64) -> Self {
        Self {
            byte_order_mark: report.output.encoding == crate::config::Encoding::Utf8Sig,
            join: report.csv.repair == Repair::Join,
            reject: report.csv.ragged == Ragged::Reject,
            refuse_invalid_utf8: report.csv.invalid_utf8 == InvalidUtf8::Fail,
            forms: FormRules {
                escape_newlines: report.output.newlines == Newlines::Escape,
                excel_safe: report.csv.excel_safe,
                replace_invalid_utf8: report.csv.invalid_utf8 == InvalidUtf8::Replace,
            },
            record_bytes,
        }
    }

    /// Whether the first bad record ends the report.
    pub fn is_strict(&self) -> bool {
        !self.join && !self.reject
    }

    /// Whether files beside the output may be needed.
    pub fn needs_sides(&self) -> bool {
        !self.is_strict()
    }

    pub(super) fn reads_bytes(&self) -> bool {
        self.refuse_invalid_utf8 || !self.forms.is_verbatim()
    }
}

/// What a page came to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Came {
    pub(super) n_rows: u64,
    /// Whether anything was written, and the last of it was no line ending.
    pub(super) line_is_open: Option<bool>,
}

/// A page's records on their way.
struct Hand<'a> {
    output: &'a mut Output,
    page: PageNumber,
    former: Option<Former>,
    gathered: Vec<u8>,
    /// Bytes of the header that are still to come.
    header_left: usize,
    rejects: Vec<u8>,
    receipts: Vec<u8>,
    n_delivered: u64,
    last: Option<u8>,
    /// The last record so far, if it is one whose quote is never closed.
    open_at_end: Option<Place>,
}

impl Output {
    /// Writes a page's records by the report's treatment.
    pub(super) fn treat(
        &mut self,
        page: PageNumber,
        framed: &Framed,
        body: PageBody,
        cut: &Cut,
    ) -> Result<Came, OutputError> {
        let unreadable = |error| OutputError::Sink(SinkError::failed("scratch", "reading a page back", error));
        let block_bytes = self.block_bytes;
        let mut mender = None;
        if let Some(n_columns) = cut.judged {
            let record_bytes = self.treatment.record_bytes;
            let mut finder = ShapeFinder::new(n_columns, record_bytes, cut.has_header);
            let mut skip = Skip(cut.n_bytes);
            body.look(block_bytes, unreadable, |bytes| {
                finder.push(skip.rest_of(&bytes));
                Ok(())
            })?;
            let rules = MendRules {
                n_columns,
                join: self.treatment.join,
                record_bytes,
                key_shape: None,
                header_first: cut.has_header,
            };
            let rules = finder.evidence().applied_to(rules);
            mender = Some(Mender::new(rules, first_place(framed, cut)));
        }
        let mut utf8 = self.treatment.refuse_invalid_utf8.then(Utf8Check::default);
        let forms = self.treatment.forms;
        let header_len = framed.first.as_ref().filter(|_| cut.has_header).map_or(0, |first| first.raw.len());
        let mut hand = Hand {
            output: self,
            page,
            former: (!forms.is_verbatim()).then(|| Former::new(forms)),
            gathered: Vec::new(),
            header_left: header_len,
            rejects: Vec::new(),
            receipts: Vec::new(),
            n_delivered: 0,
            last: None,
            open_at_end: None,
        };
        let mut skip = Skip(cut.n_bytes);
        body.drain(block_bytes, unreadable, |bytes| {
            if let Some(utf8) = &mut utf8 {
                utf8.push(&bytes).map_err(|bad| not_utf8(page, bad))?;
            }
            let rest = skip.rest_of(&bytes);
            match &mut mender {
                Some(mender) => mender.push(rest, &mut hand),
                None => hand.pass(rest),
            }
        })?;
        if let Some(utf8) = utf8 {
            utf8.finish().map_err(|bad| not_utf8(page, bad))?;
        }
        let n_rows = match mender {
            Some(mender) => {
                mender.finish(&mut hand)?;
                if let Some(Place { record, line }) = hand.open_at_end.filter(|_| !framed.ends_with_newline) {
                    // A stray quote leaves the page's last line ending in its place.
                    return Err(data(format!(
                        "page {page}: it ends inside the quoted field of record {record} (line {line} of the page): the \
                         tenant sent part of a record, and what stood behind it may be missing"
                    )));
                }
                (hand.n_delivered + cut.n_empty).saturating_sub(u64::from(cut.has_header))
            }
            None => cut.n_rows,
        };
        hand.end()?;
        Ok(Came { n_rows, line_is_open: hand.last.map(|last| !matches!(last, b'\n' | b'\r')) })
    }
}

impl Hand<'_> {
    fn pass(&mut self, bytes: &[u8]) -> Result<(), OutputError> {
        let n = self.header_left.min(bytes.len());
        let (header, rest) = bytes.split_at(n);
        if !header.is_empty() {
            self.write(header)?;
            self.header_left -= n;
            if self.header_left == 0 {
                self.put()?;
                let standing = &mut self.output.standing;
                standing.n_header_bytes = standing.written.n_bytes;
            }
        }
        self.write(rest)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), OutputError> {
        for bytes in bytes.chunks(GATHERED) {
            match &mut self.former {
                Some(former) => former.push(bytes, &mut self.gathered),
                None => self.gathered.extend_from_slice(bytes),
            }
            if self.gathered.len() >= GATHERED {
                self.put()?;
            }
        }
        Ok(())
    }

    fn put(&mut self) -> Result<(), OutputError> {
        let Some(last) = self.gathered.last() else { return Ok(()) };
        self.last = Some(*last);
        let bytes = Bytes::from(std::mem::take(&mut self.gathered));
        Ok(self.output.put(&bytes)?)
    }

    fn write_papers(&mut self) -> Result<(), OutputError> {
        for (side, papers) in [(Side::Rejects, &mut self.rejects), (Side::Repairs, &mut self.receipts)] {
            if !papers.is_empty() {
                self.output.sink.write_side(side, papers)?;
                papers.clear();
            }
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), OutputError> {
        if let Some(former) = self.former.take() {
            let counts = former.finish(&mut self.gathered);
            let tally = &mut self.output.standing.tally;
            tally.n_excel_safe += counts.n_excel_safe;
            tally.n_replaced += counts.n_replaced;
        }
        self.put()?;
        self.write_papers()
    }
}

impl Mended for Hand<'_> {
    type Error = OutputError;

    fn good(&mut self, bytes: &[u8], n_records: u64) -> Result<(), OutputError> {
        self.n_delivered += n_records;
        self.open_at_end = self.open_at_end.filter(|_| n_records == 0);
        self.pass(bytes)
    }

    fn joined(&mut self, joined: &Joined<'_>) -> Result<(), OutputError> {
        self.n_delivered += 1;
        self.open_at_end = None;
        self.output.standing.tally.n_repaired += 1;
        papers::receipt(self.page.0, joined, &mut self.receipts);
        self.pass(joined.after)?;
        self.pass(joined.line_ending)?;
        if self.receipts.len() >= GATHERED { self.write_papers() } else { Ok(()) }
    }

    fn rejected(&mut self, rejected: &Rejected<'_>) -> Result<(), OutputError> {
        if self.header_left > 0 {
            // All others are measured by it, and without it the first row would be taken for it.
            return Err(self.refused(rejected, "this is the header, and nothing can be told without it"));
        }
        if !self.output.treatment.reject {
            return Err(self.refused(rejected, "csv.ragged: reject would set it aside"));
        }
        self.open_at_end = (rejected.reason == Reason::OpenQuote).then_some(rejected.place);
        let tally = &mut self.output.standing.tally;
        if tally.n_rejected == 0 {
            self.rejects.extend_from_slice(papers::REJECTS_HEADER);
        }
        tally.n_rejected += 1;
        papers::reject_row(self.page.0, rejected, &mut self.rejects);
        if self.rejects.len() >= GATHERED { self.write_papers() } else { Ok(()) }
    }
}

impl Hand<'_> {
    fn refused(&self, rejected: &Rejected<'_>, remedy: &str) -> OutputError {
        let Place { record, line } = rejected.place;
        data(format!("page {}: record {record} (line {line} of the page): {}; {remedy}", self.page, rejected.reason))
    }
}

fn data(message: String) -> OutputError {
    OutputError::Refused(Failure::new(FailureClass::Data, message))
}

/// Bytes at a page's start that don't go into the output.
struct Skip(u64);

impl Skip {
    fn rest_of<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let n = usize::try_from(self.0).map_or(bytes.len(), |left| left.min(bytes.len()));
        self.0 -= n as u64;
        &bytes[n..]
    }
}

/// Where the first record stands that is not cut off.
fn first_place(framed: &Framed, cut: &Cut) -> Place {
    let is_header_cut = cut.n_bytes > u64::from(framed.bom_len);
    let raw = framed.first.as_ref().filter(|_| is_header_cut).map_or(&[][..], |first| &first.raw);
    let n_line_feeds = raw.iter().filter(|b| **b == b'\n').count() as u64;
    Place { record: 1 + u64::from(is_header_cut), line: 1 + n_line_feeds }
}

fn not_utf8(page: PageNumber, BadUtf8 { offset, line }: BadUtf8) -> OutputError {
    let message = format!(
        "page {page}: the bytes at offset {offset} (line {line} of the page) are not UTF-8; csv.invalid_utf8: replace \
         or keep would let them pass"
    );
    data(message)
}

impl Output {
    /// The mark that some readers want before the first byte.
    pub(super) fn byte_order_mark(&self) -> Option<Bytes> {
        self.treatment.byte_order_mark.then(|| Bytes::from_static(&BOM))
    }
}
