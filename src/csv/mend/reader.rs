//! Cuts a page into runs of good records and single pieces, in their order and without a gap.
//!
//! Good records are run through quickly; at anything else the exact reading takes over, from the good record before it
//! on, and gives one piece at a time until it is told to be quick again. Nothing here puts pieces together.

use super::judge::Part;
use super::quick::{Quick, Stop};
use super::reading::{Dead, Ending, Limits, Reading};
use super::shape::Census;
use super::stretch::{Progress, Stretch};
use super::text::{Text, is_newline};
use super::{KeyShape, Reason};
use crate::csv::BOM;

/// From so many columns on, a line that reads as a whole record is one, even where a quote may be open.
const TELLING_COLUMNS: u64 = 4;

/// What a piece is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A good record.
    Good,
    /// The header, good as well.
    Header,
    /// Too few fields, or a beginning that no record has.
    Fragment,
    /// Beyond mending.
    Damaged(Reason),
}

/// A record as the grammar reads it, or the bytes between two.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    pub(super) start: u64,
    /// Behind its last byte, its line ending not counted.
    pub(super) end: u64,
    /// Behind its line ending and the blank lines after it.
    pub(super) next: u64,
    pub(super) kind: Kind,
    pub(super) part: Part,
    /// Whether its first field is that of a good record.
    pub(super) fits: bool,
    /// Whether the quick scan can read it.
    pub(super) is_plain: bool,
    /// Whether it reaches over lines, the first of which would be a whole record if the quote left open there were an
    /// ordinary byte.
    may_hide: bool,
    /// Whether it is a line with a quote out of place.
    is_stray_line: bool,
}

impl Piece {
    pub(super) fn damaged(start: u64, end: u64, next: u64, part: Part, reason: Reason) -> Self {
        Self {
            start,
            end,
            next,
            kind: Kind::Damaged(reason),
            part,
            fits: false,
            is_plain: false,
            may_hide: false,
            is_stray_line: false,
        }
    }

    pub(super) fn is_good(&self) -> bool {
        matches!(self.kind, Kind::Good | Kind::Header)
    }
}

/// What comes next in a page.
#[derive(Clone, Copy, Debug)]
pub(super) enum Found {
    /// Good records up to an offset, or only blank lines.
    Run { upto: u64, n_records: u64 },
    /// One piece.
    Piece(Piece),
}

/// What records are measured by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scope {
    /// Commas of a good record.
    pub(super) full: u64,
    pub(super) record_bytes: u64,
    pub(super) shape: Option<KeyShape>,
    /// What good records have in common, where that is asked for.
    pub(super) census: Option<Census>,
    header: Header,
}

/// Which record is the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Header {
    None,
    /// The one that is met next.
    Expected,
    At(u64),
}

impl Scope {
    pub(super) fn new(n_columns: u64, record_bytes: u64, shape: Option<KeyShape>, header_first: bool) -> Self {
        let header = if header_first { Header::Expected } else { Header::None };
        Self { full: n_columns.saturating_sub(1), record_bytes, shape, census: None, header }
    }

    /// Whether the record of so many fields that begins at `start` is a good one; it is counted then.
    #[inline]
    pub(super) fn accepts(&mut self, text: &Text, start: u64, end: u64) -> bool {
        if self.header == Header::None && self.shape.is_none() && self.census.is_none() {
            return true;
        }
        if self.is_header(start) {
            return true;
        }
        let fits = self.shape.is_none_or(|shape| shape.fits_record(text.slice(start..end)));
        if fits {
            self.count(text, start, end);
        }
        fits
    }

    /// Counts a good record, unless it is the header.
    fn count(&mut self, text: &Text, start: u64, end: u64) {
        if self.header != Header::At(start)
            && let Some(census) = &mut self.census
        {
            census.count(text.slice(start..end));
        }
    }

    /// Whether the record that begins at `start` is the header. The first one asked about may be.
    fn is_header(&mut self, start: u64) -> bool {
        if self.header == Header::Expected {
            self.header = Header::At(start);
        }
        self.header == Header::At(start)
    }

    /// Whether a closed reading is a good record beyond doubt.
    pub(super) fn is_clean(&self, reading: &Reading, text: &Text) -> bool {
        reading.n_commas == self.full
            && self.shape.is_none_or(|shape| shape.fits_record(text.slice(reading.start..reading.pos)))
    }

    /// Whether a record can be told from the inside of another.
    fn is_telling(&self) -> bool {
        self.shape.is_some() || self.full + 1 >= TELLING_COLUMNS
    }

    pub(super) fn limits(&self) -> Limits {
        Limits { full: self.full, record_bytes: self.record_bytes, may_leave: self.is_telling() }
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    /// At the page's start.
    Mark,
    Quick(Quick),
    /// Before a record, perhaps among blank lines.
    Before(u64),
    Record(Reading),
    /// A closed record, and how far the line endings behind it were looked at.
    Behind(Reading, u64),
    Lost(Stretch),
}

/// Cuts a page.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) text: Text,
    pub(super) scope: Scope,
    step: Step,
    /// Where the quick scan stopped; it is of use only behind it.
    odd: Option<u64>,
    dead: Option<Dead>,
    /// How far runs were told of.
    told: u64,
}

impl Reader {
    /// A reader of a page that may begin with a byte order mark, if `may_be_marked`.
    pub(super) fn new(scope: Scope, may_be_marked: bool) -> Self {
        let step = if may_be_marked { Step::Mark } else { Step::Quick(Quick::at(0)) };
        Self { text: Text::default(), scope, step, odd: None, dead: None, told: 0 }
    }

    /// Goes back to the beginning of the last piece, and on from there quickly, if that is of use.
    pub(super) fn go_quickly(&mut self, piece: &Piece) -> bool {
        let start = piece.start;
        let is_of_use = piece.is_good() && piece.is_plain && self.odd.is_none_or(|odd| start > odd);
        if is_of_use {
            self.step = Step::Quick(Quick::at(start));
            self.told = start;
        }
        is_of_use
    }

    /// Whether a good record and the bad line behind it, which has a quote out of place, are more likely good records that
    /// a stray quote has swallowed: one of the lines within begins a record that is good beyond doubt. Then each line is
    /// tried as a beginning, from the first on.
    pub(super) fn takes_apart(&mut self, good: &Piece, bad: &Piece) -> bool {
        let is_suspect = good.is_good() && good.may_hide && !bad.is_good() && bad.is_stray_line;
        if !(is_suspect && self.scope.is_telling() && self.holds_a_record(good, bad)) {
            return false;
        }
        let mut reading = Reading::at(good.start);
        let _ = reading.advance(&self.text, self.scope.limits(), None, true);
        self.step = Step::Lost(Stretch::of(&reading, Reason::Entangled, Some((bad.end, bad.next))));
        true
    }

    fn holds_a_record(&self, good: &Piece, bad: &Piece) -> bool {
        let endings = self.text.slice(good.start..good.end).iter().zip(good.start..).filter(|(b, _)| is_newline(**b));
        let mut lines = endings.map(|(_, at)| self.text.skip_newlines(at)).filter(|line| *line < good.end);
        lines.any(|line| {
            let mut reading = Reading::clean_at(line);
            let ending = reading.advance(&self.text, self.scope.limits(), None, bad.end == bad.next);
            ending == Some(Ending::Closed) && reading.pos <= bad.end && self.scope.is_clean(&reading, &self.text)
        })
    }

    /// What comes next; nothing if that takes more bytes, or the page is over.
    pub(super) fn next(&mut self, is_last: bool) -> Option<Found> {
        loop {
            match &mut self.step {
                Step::Mark => {
                    let start = self.text.from(0);
                    if start.len() < BOM.len() && BOM.starts_with(start) && !is_last {
                        return None;
                    }
                    let upto = if start.starts_with(&BOM) { BOM.len() as u64 } else { 0 };
                    self.step = Step::Quick(Quick::at(upto));
                    self.told = upto;
                    return Some(Found::Run { upto, n_records: 0 });
                }
                Step::Quick(quick) => {
                    let stop = quick.scan(&self.text, &mut self.scope);
                    let (upto, n_records) = quick.take_certain(self.scope.record_bytes);
                    match stop {
                        Stop::Dry if !is_last => {
                            let is_news = upto > self.told;
                            self.told = upto;
                            return is_news.then_some(Found::Run { upto, n_records });
                        }
                        Stop::Dry => self.odd = Some(u64::MAX),
                        Stop::Odd(odd) => self.odd = Some(odd),
                    }
                    self.step = Step::Before(upto);
                    return Some(Found::Run { upto, n_records });
                }
                Step::Before(pos) => {
                    let from = *pos;
                    let start = self.text.skip_newlines(from);
                    let is_end = start == self.text.end();
                    self.step = if is_end { Step::Before(start) } else { Step::Record(Reading::at(start)) };
                    if start > from {
                        return Some(Found::Run { upto: start, n_records: 0 });
                    }
                    if is_end {
                        return None;
                    }
                }
                Step::Record(reading) => {
                    let ending = reading.advance(&self.text, self.scope.limits(), self.dead, is_last)?;
                    let reading = *reading;
                    self.step = match ending {
                        Ending::Closed => Step::Behind(reading, reading.pos),
                        _ => self.lost(&reading, ending),
                    };
                }
                Step::Behind(reading, looked) => {
                    // No record has so many blank lines in it, so what follows need not be waited for.
                    let wall = reading.pos.saturating_add(self.scope.record_bytes).saturating_add(2);
                    *looked = self.text.skip_newlines(*looked).min(wall);
                    if *looked == self.text.end() && *looked < wall && !is_last {
                        return None;
                    }
                    let (reading, next) = (*reading, *looked);
                    match self.classify(&reading, next) {
                        Ok(piece) => {
                            self.step = Step::Before(next);
                            return Some(Found::Piece(piece));
                        }
                        Err(stretch) => self.step = Step::Lost(*stretch),
                    }
                }
                Step::Lost(stretch) => match stretch.advance(&self.text, &mut self.scope, self.dead, is_last) {
                    Progress::More => return None,
                    Progress::Cut(piece) => return Some(found(piece)),
                    Progress::Over(piece) => {
                        self.step = Step::Before(piece.next);
                        return Some(found(piece));
                    }
                },
            }
        }
    }

    /// A record that does not end.
    fn lost(&mut self, reading: &Reading, ending: Ending) -> Step {
        self.scope.is_header(reading.start);
        if ending != Ending::Hopeless {
            self.dead = Some(reading.dead());
        }
        let reason = match ending {
            Ending::TooLong => Reason::TooLong { limit: self.scope.record_bytes },
            Ending::Open => Reason::OpenQuote,
            _ => self.reason_across(reading),
        };
        Step::Lost(Stretch::of(reading, reason, None))
    }

    /// What a closed record is; or the stretch that it begins.
    fn classify(&mut self, reading: &Reading, next: u64) -> Result<Piece, Box<Stretch>> {
        let (full, n_commas) = (self.scope.full, reading.n_commas);
        let (start, end) = (reading.start, reading.pos);
        let is_across = reading.n_across > 0;
        let is_header = self.scope.is_header(start);
        let is_sound = !reading.misquoted && !reading.entangled && !reading.lost;
        let bytes = self.text.slice(start..end);
        let shape = self.scope.shape;
        let fits = is_header || shape.is_none_or(|shape| shape.fits_record(bytes));
        let may_start = fits || shape.is_none_or(|shape| shape.may_begin(bytes));
        let part = Part { front: n_commas, back: n_commas, damaged: false, may_start };
        let piece = |kind, part| Piece {
            start,
            end,
            next,
            kind,
            part,
            fits,
            is_plain: !reading.has_stray,
            may_hide: is_across && !is_header && reading.first_line_commas() == full,
            is_stray_line: reading.has_stray && !is_across,
        };
        if is_sound && n_commas == full && fits {
            self.scope.count(&self.text, start, end);
            return Ok(piece(if is_header { Kind::Header } else { Kind::Good }, part));
        }
        if !is_across {
            let ragged = Reason::Ragged { n_fields: n_commas + 1, expected: full + 1 };
            // A line that has the key in front and commas behind it is a record, whatever its quotes do to them; and where
            // keys have a shape, nothing damaged is the beginning of a good record's first field.
            let is_keyed = shape.is_some_and(|shape| shape.fits_literally(bytes));
            let n_literal = if is_keyed { memchr::memchr_iter(b',', bytes).count() as u64 } else { 0 };
            let damaged = Part {
                front: n_commas.max(n_literal),
                back: if shape.is_some() { full.max(n_commas) } else { n_commas },
                damaged: true,
                may_start: may_start || n_commas > 0,
            };
            return Ok(if reading.misquoted {
                piece(Kind::Damaged(Reason::Misquoted), damaged)
            } else if n_commas > full {
                piece(Kind::Damaged(ragged), damaged)
            } else {
                piece(Kind::Fragment, part)
            });
        }
        let reason = self.reason_across(reading);
        if self.scope.is_telling() {
            return Err(Box::new(Stretch::of(reading, reason, Some((end, next)))));
        }
        let part = Part { front: reading.first_line_commas(), back: full, damaged: true, may_start: true };
        Ok(Piece::damaged(start, end, next, part, reason))
    }

    fn reason_across(&self, reading: &Reading) -> Reason {
        if reading.misquoted {
            Reason::Misquoted
        } else if reading.entangled {
            Reason::Entangled
        } else if let Some(shape) = self.scope.shape.filter(|_| reading.n_commas == self.scope.full) {
            Reason::KeyShape { shape }
        } else {
            Reason::QuotesAcross { expected: self.scope.full + 1 }
        }
    }
}

/// A piece, unless there is nothing in it but blank lines.
fn found(piece: Piece) -> Found {
    if piece.end > piece.start { Found::Piece(piece) } else { Found::Run { upto: piece.next, n_records: 0 } }
}
