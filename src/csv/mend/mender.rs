//! Judges a page: hands good records on, joins what has one reading, and sets the rest aside.
//!
//! Pieces wait in a window until nothing that follows can belong to them; then all of the window is judged at once.
//! Everything is handed on in the page's order, so that where it stands follows from what was handed on before.

use std::ops::Range;

use super::join::{breaks, join, line_feeds};
use super::judge::{self, Links, Part, Verdict};
use super::reader::{Found, Kind, Piece, Reader, Scope};
use super::text::line_ending_len;
use super::{Joined, MendRules, Mended, Place, Reason, Rejected};

/// Bytes that are looked at in one go, so that what waits besides the window stays small.
const STEP: usize = 128 * 1024;

/// The most pieces that are judged together.
const MOST_PIECES: usize = 1 << 16;

/// Judges the records of one page.
///
/// A byte order mark before the page's first record is handed on as it is.
#[derive(Debug)]
pub struct Mender {
    rules: MendRules,
    reader: Reader,
    links: Links,
    /// Pieces that may belong together, one behind the other.
    window: Vec<Piece>,
    /// Whether pieces in front of these were set aside because there were too many.
    overflow: bool,
    cursor: Cursor,
}

/// Up to where everything was handed on, and what stands there.
#[derive(Clone, Copy, Debug)]
struct Cursor {
    offset: u64,
    place: Place,
}

impl Mender {
    /// A mender for records, the first of which stands at `first`.
    pub fn new(rules: MendRules, first: Place) -> Self {
        let scope = Scope::new(rules.n_columns, rules.record_bytes, rules.key_shape, rules.header_first);
        Self {
            rules,
            reader: Reader::new(scope, first == Place { record: 1, line: 1 }),
            links: Links::default(),
            window: Vec::new(),
            overflow: false,
            cursor: Cursor { offset: 0, place: first },
        }
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// The receiver's; the mender is of no further use then.
    pub fn push<M: Mended>(&mut self, chunk: &[u8], to: &mut M) -> Result<(), M::Error> {
        for part in chunk.chunks(STEP) {
            self.take(part, false, to)?;
        }
        Ok(())
    }

    /// Ends the page.
    ///
    /// # Errors
    /// The receiver's.
    pub fn finish<M: Mended>(mut self, to: &mut M) -> Result<(), M::Error> {
        self.take(b"", true, to)?;
        self.settle(to)
    }

    fn take<M: Mended>(&mut self, bytes: &[u8], is_last: bool, to: &mut M) -> Result<(), M::Error> {
        self.reader.text.feed(bytes);
        while let Some(found) = self.reader.next(is_last) {
            match found {
                Found::Run { upto, n_records } => {
                    // Blank lines that no record can have in it stand behind a wall: nothing waits.
                    self.settle(to)?;
                    self.links.cut();
                    self.hand_on(upto, n_records, to)?;
                }
                Found::Piece(piece) => self.piece(piece, to)?,
            }
        }
        self.reader.text.drop_before(self.cursor.offset);
        Ok(())
    }

    fn piece<M: Mended>(&mut self, piece: Piece, to: &mut M) -> Result<(), M::Error> {
        if let Some(last) = self.window.last().copied()
            && last.next == piece.start
            && self.reader.takes_apart(&last, &piece)
        {
            self.window.pop();
            self.settle(to)?;
            self.links.cut();
            return Ok(());
        }
        let full = self.reader.scope.full;
        let is_linked = self.rules.join && full > 0 && self.links.link(piece.part, full);
        if !is_linked {
            self.settle(to)?;
            self.overflow = false;
        }
        self.window.push(piece);
        let n_bytes = piece.end - self.window[0].start;
        let is_large = n_bytes > self.rules.record_bytes || self.window.len() > MOST_PIECES;
        if self.overflow || is_large && self.window.len() > 1 {
            self.overflow = true;
            let window = std::mem::take(&mut self.window);
            let too_large = Reason::RegionTooLarge { limit: self.rules.record_bytes };
            return self.set_aside(&window, |_| too_large, to);
        }
        if piece.next - piece.end > self.rules.record_bytes {
            self.settle(to)?;
            self.links.cut();
        } else if let [only] = self.window[..]
            && self.reader.go_quickly(&only)
        {
            self.window.clear();
            self.links.cut();
        }
        Ok(())
    }

    /// Judges the window: nothing that follows belongs to it.
    fn settle<M: Mended>(&mut self, to: &mut M) -> Result<(), M::Error> {
        let window = std::mem::take(&mut self.window);
        match &window[..] {
            [] => return Ok(()),
            [only] if !(self.rules.join && matches!(only.kind, Kind::Fragment)) => self.lone(*only, to)?,
            _ => {
                let parts: Vec<Part> = window.iter().map(|p| p.part).collect();
                match judge::read(&parts, self.reader.scope.full) {
                    Verdict::One(ends) => {
                        let mut start = 0;
                        for end in ends {
                            self.record(&window[start..end], to)?;
                            start = end;
                        }
                    }
                    Verdict::None => self.set_aside(&window, Self::ragged, to)?,
                    Verdict::Several => self.set_aside(&window, Self::ambiguous, to)?,
                }
            }
        }
        self.window = window;
        self.window.clear();
        Ok(())
    }

    /// Pieces that make one record, if anything does.
    fn record<M: Mended>(&mut self, pieces: &[Piece], to: &mut M) -> Result<(), M::Error> {
        let [first, .., last] = pieces else {
            return pieces.first().map_or(Ok(()), |only| self.lone(*only, to));
        };
        if pieces.iter().any(|p| matches!(p.kind, Kind::Damaged(_))) {
            return self.set_aside(pieces, Self::ragged, to);
        }
        // What looks like a beginning may be that of a record cut short, and where the shape of beginnings is known, no
        // break can be in one. Where it is not known, a line beside a whole record may be anything: a title, a footer.
        let is_doubtful = match self.rules.key_shape {
            Some(_) => !first.fits || first.part.front == 0 || pieces[1..].iter().any(|p| p.part.may_start),
            None => pieces.iter().any(Piece::is_good),
        };
        if is_doubtful || first.kind == Kind::Header {
            return self.set_aside(pieces, Self::ambiguous, to);
        }
        let before = self.reader.text.slice(first.start..last.end);
        let index = |offset: u64| (offset - first.start) as usize;
        let ranges: Vec<Range<usize>> = pieces.iter().map(|p| index(p.start)..index(p.end)).collect();
        let after = match join(before, &ranges) {
            Ok(after) => after,
            Err(reason) => return self.set_aside(pieces, |_| reason, to),
        };
        if after.len() as u64 > self.rules.record_bytes {
            let limit = self.rules.record_bytes;
            return self.set_aside(pieces, |_| Reason::TooLong { limit }, to);
        }
        let place = self.cursor.place;
        let breaks = breaks(before, &ranges, place.line);
        let ending = last.end..last.end + line_ending_len(self.reader.text.slice(last.end..last.next));
        let joined = Joined {
            place,
            before,
            after: &after,
            line_ending: self.reader.text.slice(ending.clone()),
            breaks: &breaks,
        };
        to.joined(&joined)?;
        self.pass(ending.end, pieces.len() as u64);
        self.hand_on(last.next, 0, to)
    }

    /// A piece that nothing else can belong to.
    fn lone<M: Mended>(&mut self, piece: Piece, to: &mut M) -> Result<(), M::Error> {
        if piece.is_good() { self.hand_on(piece.next, 1, to) } else { self.set_aside(&[piece], Self::ragged, to) }
    }

    /// Sets pieces aside. What is damaged has its own reason, a good record is a neighbour, the rest is told by `why`.
    fn set_aside<M: Mended>(
        &mut self,
        pieces: &[Piece],
        why: impl Fn(Ragged) -> Reason,
        to: &mut M,
    ) -> Result<(), M::Error> {
        for piece in pieces {
            let reason = match piece.kind {
                Kind::Header => {
                    self.hand_on(piece.next, 1, to)?;
                    continue;
                }
                Kind::Damaged(reason) => reason,
                Kind::Good => Reason::Neighbour,
                Kind::Fragment => why(self.measure(piece)),
            };
            let bytes = self.reader.text.slice(piece.start..piece.end);
            to.rejected(&Rejected { place: self.cursor.place, reason, bytes })?;
            let ending = line_ending_len(self.reader.text.slice(piece.end..piece.next));
            self.pass(piece.end + ending, 1);
            self.hand_on(piece.next, 0, to)?;
        }
        Ok(())
    }

    fn measure(&self, piece: &Piece) -> Ragged {
        let full = self.reader.scope.full;
        let shape = self.rules.key_shape.filter(|_| piece.part.front == full);
        Ragged {
            n_fields: piece.part.front + 1,
            expected: full + 1,
            unlike: shape.map(|shape| Reason::KeyShape { shape }),
        }
    }

    fn ragged(ragged: Ragged) -> Reason {
        let Ragged { n_fields, expected, unlike } = ragged;
        unlike.unwrap_or(Reason::Ragged { n_fields, expected })
    }

    fn ambiguous(ragged: Ragged) -> Reason {
        let Ragged { n_fields, expected, unlike } = ragged;
        unlike.unwrap_or(Reason::Ambiguous { n_fields, expected })
    }

    /// Hands everything up to `upto` on as it came.
    fn hand_on<M: Mended>(&mut self, upto: u64, n_records: u64, to: &mut M) -> Result<(), M::Error> {
        if upto > self.cursor.offset {
            to.good(self.reader.text.slice(self.cursor.offset..upto), n_records)?;
            self.pass(upto, n_records);
        }
        Ok(())
    }

    fn pass(&mut self, upto: u64, n_records: u64) {
        let Cursor { offset, place } = &mut self.cursor;
        place.line += line_feeds(self.reader.text.slice(*offset..upto));
        place.record += n_records;
        *offset = upto;
    }
}

/// A piece with another number of fields than the header, or a beginning unlike all others.
#[derive(Clone, Copy)]
struct Ragged {
    n_fields: u64,
    expected: u64,
    unlike: Option<Reason>,
}
