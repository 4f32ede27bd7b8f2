//! The running counts behind a framer, fed a block or some bytes at a time.
//!
//! Both ways in leave the same counts behind; which one a block takes is a matter of speed alone.

use std::hint::select_unpredictable;

use fearless_simd::{Level, Simd};

use super::super::blocks::{BLOCK, Carry, Shape, below};
use super::super::facts::{Framed, FramingFault, RaggedRecord};
use super::super::grammar::{Event, State};
use super::first::FirstCopy;
use crate::csv::mend::Place;
use crate::model::PageDigest;

/// What is known of a page's bytes without reading them as records.
#[derive(Clone, Copy, Debug)]
pub(super) struct PageBytes {
    pub(super) n_bytes: u64,
    pub(super) bom_len: u8,
    /// The last byte, a byte order mark's aside.
    pub(super) last: Option<u8>,
    pub(super) digest: PageDigest,
}

#[derive(Debug)]
pub(super) struct Scan {
    record_limit: u64,
    /// The same, but 0 where a record within one block may pass it, so that no block is counted fast.
    fast_limit: u64,
    /// Whether a record without an end is a finding rather than a failure, and what was found.
    is_lenient: bool,
    broken: Option<FramingFault>,
    level: Level,
    state: State,
    after_cr: bool,
    /// Bytes read, a byte order mark not counted.
    offset: u64,
    n_line_feeds: u64,
    /// Where and on which line the open record begins.
    record_start: u64,
    record_line: u64,
    /// Commas of the open record so far.
    n_commas: u64,
    n_records: u64,
    n_blank_lines: u64,
    first: FirstCopy,
    first_fields: u64,
    /// Fields of the second record, and whether every later one had as many.
    rest_fields: u64,
    rest_alike: bool,
    /// Commas of a record that changes nothing but the number of records; more than any has while that is not known.
    usual_commas: u64,
    uneven: Option<RaggedRecord>,
    n_uneven: u64,
    /// Where the latest quoted line ending stands; 0, where none can stand, before there was one.
    quoted_end: u64,
    /// The first records with a stray quote of any kind, text behind a closing quote, a quote in an unquoted field
    /// past a quoted line ending.
    stray: Option<Place>,
    misquoted: Option<Place>,
    entangled: Option<Place>,
}

impl Scan {
    pub(super) fn new(record_limit: u64, is_lenient: bool) -> Self {
        Self {
            record_limit,
            fast_limit: if record_limit < BLOCK as u64 { 0 } else { record_limit },
            is_lenient,
            broken: None,
            level: Level::new(),
            state: State::RecordStart,
            after_cr: false,
            offset: 0,
            n_line_feeds: 0,
            record_start: 0,
            record_line: 1,
            n_commas: 0,
            n_records: 0,
            n_blank_lines: 0,
            first: FirstCopy::new(),
            first_fields: 0,
            rest_fields: 0,
            rest_alike: true,
            usual_commas: u64::MAX,
            uneven: None,
            n_uneven: 0,
            quoted_end: 0,
            stray: None,
            misquoted: None,
            entangled: None,
        }
    }

    /// Reads whole blocks, with the widest instructions that this processor has.
    pub(super) fn blocks(&mut self, blocks: &[[u8; BLOCK]]) -> Result<(), FramingFault> {
        let level = self.level;
        let mut rest = blocks;
        while self.broken.is_none() && !rest.is_empty() {
            if self.first.is_done() {
                rest = fearless_simd::dispatch!(level, simd => self.fast_blocks(simd, rest));
            }
            if let [block, after @ ..] = rest {
                self.slow_block(block)?;
                rest = after;
            }
        }
        self.pass_over(rest.as_flattened());
        Ok(())
    }

    /// Counts blocks up to the first one that only the grammar can read; that one and those behind it are left over.
    // All that it takes is compiled into this function, once for each kind of processor.
    #[inline(always)]
    fn fast_blocks<'a, S: Simd>(&mut self, simd: S, blocks: &'a [[u8; BLOCK]]) -> &'a [[u8; BLOCK]] {
        let mut carry = Carry::new(self.state, self.after_cr);
        let mut rest = blocks;
        while let [block, after @ ..] = rest {
            let shape = Shape::by(simd, block, carry);
            // Up to here the state is exact; only within this block would parity lead astray.
            if shape.stray != 0 || self.offset + BLOCK as u64 - self.record_start > self.fast_limit {
                break;
            }
            self.fast_block(&shape);
            carry = shape.carry;
            rest = after;
        }
        (self.state, self.after_cr) = (carry.state(), carry.after_cr());
        rest
    }

    /// Reads some bytes one by one.
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> Result<(), FramingFault> {
        if self.broken.is_some() {
            self.pass_over(bytes);
            return Ok(());
        }
        self.each_byte(bytes).or_else(|fault| self.give_up(fault))
    }

    /// Counts a block in which quotes stand where they should and no record can be too long.
    #[inline(always)]
    fn fast_block(&mut self, shape: &Shape) {
        // Commas up to an end, less those up to the end before it, are those of its record.
        let mut ends = shape.ends;
        let mut n_before = self.n_commas;
        while ends != 0 {
            let upto = ends ^ (ends - 1);
            let n_upto = u64::from((shape.commas & upto).count_ones());
            let n_commas = n_before.wrapping_add(n_upto);
            if n_commas == self.usual_commas {
                self.n_records += 1;
            } else {
                self.odd_record(n_commas, shape.starts & upto, shape.line_feeds);
            }
            n_before = n_upto.wrapping_neg();
            ends &= ends - 1;
        }
        self.n_commas = n_before.wrapping_add(u64::from(shape.commas.count_ones()));
        if shape.starts != 0 {
            (self.record_start, self.record_line) = self.last_start(shape.starts, shape.line_feeds);
        }
        if shape.blanks != 0 {
            self.n_blank_lines += u64::from(shape.blanks.count_ones());
        }
        self.n_line_feeds += u64::from(shape.line_feeds.count_ones());
        let last_quoted = self.offset + 63 - u64::from(shape.quoted_ends.leading_zeros().min(63));
        self.quoted_end = select_unpredictable(shape.quoted_ends != 0, last_quoted, self.quoted_end);
        self.offset += BLOCK as u64;
    }

    /// Where and on which line the last of `starts` stands, in the block at hand.
    #[inline(always)]
    fn last_start(&self, starts: u64, line_feeds: u64) -> (u64, u64) {
        let at = 63 - starts.leading_zeros();
        let n_above = u64::from((line_feeds & below(at)).count_ones());
        (self.offset + u64::from(at), self.n_line_feeds + 1 + n_above)
    }

    /// Closes a record that has not the number of fields that all have had so far; `starts` are those up to its end.
    // Takes no shape, so that shapes need not lie in memory.
    #[cold]
    #[inline(never)]
    fn odd_record(&mut self, n_commas: u64, starts: u64, line_feeds: u64) {
        if starts != 0 {
            (self.record_start, self.record_line) = self.last_start(starts, line_feeds);
        }
        self.n_commas = n_commas;
        self.count_record();
    }

    fn each_byte(&mut self, bytes: &[u8]) -> Result<(), FramingFault> {
        for (&byte, at) in bytes.iter().zip(self.offset..) {
            self.first.push(byte);
            self.byte(byte, at)?;
        }
        self.offset += bytes.len() as u64;
        // Blank lines before the first record are kept with it, so they are limited too.
        if self.n_records == 0 && self.state == State::RecordStart && self.first.n_bytes() > self.record_limit {
            return Err(self.too_long());
        }
        self.check_open_record()
    }

    /// Fails, or notes the fault: nothing is counted from here on.
    #[cold]
    fn give_up(&mut self, fault: FramingFault) -> Result<(), FramingFault> {
        if !self.is_lenient {
            return Err(fault);
        }
        if self.n_records == 0 {
            self.first.cut_to_line(self.record_limit);
        }
        self.broken = Some(fault);
        Ok(())
    }

    /// Looks only for the line feed that may belong to the end of the first line.
    fn pass_over(&mut self, bytes: &[u8]) {
        if let Some(&byte) = bytes.first() {
            self.first.push(byte);
        }
    }

    /// Reads a block by the grammar. Behind the first record an ordinary byte that follows another changes nothing, so
    /// it is passed over.
    fn slow_block(&mut self, block: &[u8; BLOCK]) -> Result<(), FramingFault> {
        if !self.first.is_done() {
            return self.bytes(block);
        }
        self.telling_bytes(block).or_else(|fault| self.give_up(fault))
    }

    fn telling_bytes(&mut self, block: &[u8; BLOCK]) -> Result<(), FramingFault> {
        let specials = Shape::of(block, self.state, self.after_cr).specials;
        let mut due = specials | specials << 1 | 1;
        while due != 0 {
            let i = due.trailing_zeros();
            due &= due - 1;
            self.byte(block[i as usize], self.offset + u64::from(i))?;
        }
        self.offset += BLOCK as u64;
        self.check_open_record()
    }

    #[inline]
    fn byte(&mut self, byte: u8, at: u64) -> Result<(), FramingFault> {
        if self.state == State::RecordStart {
            if !matches!(byte, b'\n' | b'\r') {
                self.record_start = at;
                self.record_line = self.n_line_feeds + 1;
            } else if !(byte == b'\n' && self.after_cr) {
                self.n_blank_lines += 1;
            }
        }
        let (state, event) = self.state.step(byte);
        match event {
            Event::Nothing => {}
            Event::FieldEnd => self.n_commas += 1,
            Event::StrayQuote => self.note_stray(),
            Event::RecordEnd => {
                self.close_record(at)?;
                if self.n_records == 1 {
                    self.first.ended();
                }
            }
        }
        if state == State::Quoted && matches!(byte, b'\n' | b'\r') {
            self.quoted_end = at;
        }
        self.state = state;
        self.after_cr = byte == b'\r' && state == State::RecordStart;
        self.n_line_feeds += u64::from(byte == b'\n');
        Ok(())
    }

    #[cold]
    fn note_stray(&mut self) {
        let place = Place { record: self.n_records + 1, line: self.record_line };
        self.stray.get_or_insert(place);
        if self.state == State::QuoteInQuoted {
            self.misquoted.get_or_insert(place);
        } else if self.quoted_end > self.record_start {
            self.entangled.get_or_insert(place);
        }
    }

    /// Ends the page.
    pub(super) fn finish(mut self, page: PageBytes) -> Result<Framed, FramingFault> {
        if self.broken.is_none() {
            match self.state {
                State::RecordStart => {}
                State::Quoted => {
                    self.give_up(FramingFault::OpenQuote { record: self.n_records + 1, line: self.record_line })?;
                }
                State::FieldStart | State::Plain | State::QuoteInQuoted => self.close_record(self.offset)?,
            }
        }
        let is_broken = self.broken.is_some();
        let ends_with_newline = if is_broken {
            matches!(page.last, Some(b'\n' | b'\r'))
        } else {
            self.offset > 0 && self.state == State::RecordStart
        };
        let n_whole = self.n_records;
        let n_records = n_whole + u64::from(is_broken);
        // How far into a record without an end we looked is chance, so what was seen there is not told.
        let told = |place: &Place| place.record <= n_whole;
        Ok(Framed {
            n_bytes: page.n_bytes,
            bom_len: page.bom_len,
            n_records,
            first: (n_records > 0).then(|| self.first.into_record(n_whole == 0)),
            n_fields: (n_whole > 1 && self.rest_alike).then_some(self.rest_fields),
            uneven: self.uneven,
            n_uneven: self.n_uneven,
            ends_with_newline,
            n_blank_lines: self.n_blank_lines,
            stray_quotes: self.stray.filter(told).is_some(),
            misquoted: self.misquoted.filter(told),
            is_entangled: self.entangled.filter(told).is_some(),
            broken: self.broken,
            digest: page.digest,
        })
    }

    fn close_record(&mut self, end: u64) -> Result<(), FramingFault> {
        if end - self.record_start > self.record_limit {
            return Err(self.too_long());
        }
        self.count_record();
        Ok(())
    }

    fn count_record(&mut self) {
        let n_fields = self.n_commas + 1;
        self.n_commas = 0;
        self.n_records += 1;
        match self.n_records {
            1 => self.first_fields = n_fields,
            2 => self.rest_fields = n_fields,
            _ => self.rest_alike &= n_fields == self.rest_fields,
        }
        // Another record like the first changes no fact but the count, if the second one was like it too.
        if self.n_records == 2 && n_fields == self.first_fields {
            self.usual_commas = n_fields - 1;
        }
        if n_fields != self.first_fields {
            self.n_uneven += 1;
            self.uneven.get_or_insert(RaggedRecord {
                record: self.n_records,
                line: self.record_line,
                n_fields,
                expected: self.first_fields,
            });
        }
    }

    /// A record that does not end must not make us wait for its end.
    #[inline(always)]
    fn check_open_record(&self) -> Result<(), FramingFault> {
        let too_long = self.state != State::RecordStart && self.offset - self.record_start > self.record_limit;
        if too_long { Err(self.too_long()) } else { Ok(()) }
    }

    #[cold]
    fn too_long(&self) -> FramingFault {
        FramingFault::RecordTooLong { record: self.n_records + 1, line: self.record_line, limit: self.record_limit }
    }
}
