//! Runs through good records sixty-four bytes at a time, and stops at the first that may be none.
//!
//! It knows one answer only: right number of fields, no quote out of place. Whatever else there is, the exact reading
//! finds out. The last good record of a run is not counted yet, since what follows may belong to it.

use super::reader::Scope;
use super::text::Text;
use crate::csv::blocks::{BLOCK, Shape, below};
use crate::csv::grammar::State;

/// Why a scan stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// A record that begins here must be looked at.
    Odd(u64),
    /// Fewer bytes than a block are left.
    Dry,
}

/// A run of good records.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quick {
    pos: u64,
    state: State,
    n_commas: u64,
    /// Where the record begins that is being scanned.
    open: Option<u64>,
    /// The last good record.
    last: Option<(u64, u64)>,
    /// Good records before that one.
    n_before: u64,
}

impl Quick {
    /// A run that begins at `pos`, before a record or among blank lines.
    pub(super) fn at(pos: u64) -> Self {
        Self { pos, state: State::RecordStart, n_commas: 0, open: None, last: None, n_before: 0 }
    }

    /// Up to where everything is certain, and how many records that are; they are not told of again.
    pub(super) fn take_certain(&mut self, record_bytes: u64) -> (u64, u64) {
        if self.open.is_none() && self.last.is_some_and(|(_, end)| self.pos - end > record_bytes) {
            // So many blank lines can't be part of any record.
            self.last = None;
            self.n_before += 1;
        }
        (self.judged_from(), std::mem::take(&mut self.n_before))
    }

    /// Where the first record begins that is not certain.
    pub(super) fn judged_from(&self) -> u64 {
        self.last.map(|(start, _)| start).or(self.open).unwrap_or(self.pos)
    }

    /// Scans all whole blocks there are.
    pub(super) fn scan(&mut self, text: &Text, scope: &mut Scope) -> Stop {
        let from = self.pos;
        for block in text.from(from).as_chunks::<BLOCK>().0 {
            let shape = Shape::of(block, self.state, false);
            if let Some(odd) = self.block(&shape, text, scope) {
                return Stop::Odd(odd);
            }
            self.state = shape.carry.state();
            self.pos += BLOCK as u64;
            if let Some(open) = self.open.filter(|open| self.pos - open > scope.record_bytes) {
                return Stop::Odd(open);
            }
        }
        Stop::Dry
    }

    /// Takes a block: where the record begins that must be looked at, if there is one.
    #[inline]
    fn block(&mut self, shape: &Shape, text: &Text, scope: &mut Scope) -> Option<u64> {
        // What stands before the first quote out of place is read rightly.
        let exact = if shape.stray == 0 { u64::MAX } else { below(shape.stray.trailing_zeros()) };
        let mut starts = shape.starts & exact;
        let mut ends = shape.ends & exact;
        if self.open.is_none() {
            self.open_next(&mut starts);
        }
        let mut n_counted = 0;
        while ends != 0 {
            let i = ends.trailing_zeros();
            ends &= ends - 1;
            let n_commas = u64::from((shape.commas & below(i)).count_ones());
            self.n_commas += n_commas - n_counted;
            n_counted = n_commas;
            let (start, end) = (self.open.unwrap_or(self.pos), self.pos + u64::from(i));
            if self.n_commas != scope.full || end - start > scope.record_bytes || !scope.accepts(text, start, end) {
                return Some(start);
            }
            self.n_before += u64::from(self.last.is_some());
            self.last = Some((start, end));
            self.n_commas = 0;
            self.open = None;
            self.open_next(&mut starts);
        }
        self.n_commas += u64::from(shape.commas.count_ones()) - n_counted;
        if shape.stray == 0 { None } else { Some(self.open.unwrap_or(self.pos)) }
    }

    #[inline]
    fn open_next(&mut self, starts: &mut u64) {
        if *starts != 0 {
            self.open = Some(self.pos + u64::from(starts.trailing_zeros()));
            *starts &= *starts - 1;
        }
    }
}
