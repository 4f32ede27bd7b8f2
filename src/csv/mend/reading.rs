//! Reads one record, byte by byte, and remembers everything that may be wrong with it.
//!
//! The slow and exact way, for the records that the quick scan stops at. A reading goes on where it stopped when more
//! bytes arrive, so that no byte is read twice for how the page was cut. Nothing here decides what becomes of a record.

use super::text::{Text, is_newline};
use crate::csv::grammar::{Event, State};

/// So many lines of a record that is lost already are read on, to see where it ends.
const LOOK_AHEAD: u64 = 16;

/// How a reading ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// At the record's end.
    Closed,
    /// The page ends inside quotes.
    Open,
    /// The record is longer than it may be.
    TooLong,
    /// It can't be a good record, and goes on and on.
    Hopeless,
    /// Only a clean record was wanted, and this is none.
    Unclean,
}

/// What a reading needs to know.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Commas of a good record.
    pub(super) full: u64,
    /// The longest record in bytes.
    pub(super) record_bytes: u64,
    /// Whether a lost record may be left before its end.
    pub(super) may_leave: bool,
}

/// A stretch of the page in which a reading stayed inside quotes at the end of each line, and how it left it.
///
/// Who comes to the end of a line inside quotes there reads the same from then on, so it can go to the end at once:
/// else a page full of opened quotes would be read again from each of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dead {
    from: u64,
    upto: u64,
    state: State,
}

/// One record, as far as it was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    pub(super) start: u64,
    /// The next byte; the record's end once it is closed.
    pub(super) pos: u64,
    pub(super) n_commas: u64,
    /// Line endings inside quotes.
    pub(super) n_across: u64,
    /// A quote stands out of place, or text behind one.
    pub(super) has_stray: bool,
    /// Text stands behind a closing quote.
    pub(super) misquoted: bool,
    /// It can be read in two ways: with its lines in quotes, and with the quote that opens them as an ordinary byte.
    pub(super) entangled: bool,
    /// Part of it was passed over, so that its commas are not known.
    pub(super) lost: bool,
    /// Commas of its first line, if the quote left open there is an ordinary byte.
    literal: Option<u64>,
    opened: (u64, u64),
    state: State,
    clean_only: bool,
}

impl Reading {
    /// A record that begins at `start`.
    pub(super) fn at(start: u64) -> Self {
        Self {
            start,
            pos: start,
            n_commas: 0,
            n_across: 0,
            has_stray: false,
            misquoted: false,
            entangled: false,
            lost: false,
            literal: None,
            opened: (start, 0),
            state: State::RecordStart,
            clean_only: false,
        }
    }

    /// A record that begins at `start` and is of interest only as long as no quote in it is out of place.
    pub(super) fn clean_at(start: u64) -> Self {
        Self { clean_only: true, ..Self::at(start) }
    }

    /// Commas on its first line, quotes that reach across lines taken for ordinary bytes.
    pub(super) fn first_line_commas(&self) -> u64 {
        self.literal.unwrap_or(self.n_commas)
    }

    /// Where no reading that comes along inside quotes needs to look again.
    pub(super) fn dead(&self) -> Dead {
        Dead { from: self.start, upto: self.pos, state: self.state }
    }

    /// Reads on; nothing while the record goes on behind the newest byte.
    pub(super) fn advance(&mut self, text: &Text, limits: Limits, dead: Option<Dead>, is_last: bool) -> Option<Ending> {
        while self.pos < text.end() {
            if let Some(ending) = self.run(text, limits, dead) {
                return Some(ending);
            }
        }
        match self.state {
            _ if !is_last => None,
            State::Quoted => Some(Ending::Open),
            _ => Some(Ending::Closed),
        }
    }

    /// Reads to the newest byte, or up to where a stretch is passed over.
    fn run(&mut self, text: &Text, limits: Limits, dead: Option<Dead>) -> Option<Ending> {
        let at = self.pos;
        for (&byte, pos) in text.from(at).iter().zip(at..) {
            let before = self.state;
            let (after, event) = before.step(byte);
            self.pos = pos;
            match event {
                Event::RecordEnd => return Some(Ending::Closed),
                Event::FieldEnd => self.n_commas += 1,
                Event::StrayQuote => self.stray(before, limits),
                Event::Nothing => {}
            }
            self.state = after;
            self.pos = pos + 1;
            if event != Event::Nothing && self.clean_only && (event == Event::StrayQuote || self.n_commas > limits.full)
            {
                return Some(Ending::Unclean);
            }
            if self.pos - self.start > limits.record_bytes {
                return Some(Ending::TooLong);
            }
            if after == State::Quoted {
                if matches!(before, State::RecordStart | State::FieldStart) {
                    self.opened = (pos, self.n_commas);
                } else if before == State::Quoted && is_newline(byte) {
                    self.cross(pos, text);
                    if limits.may_leave && self.n_across > LOOK_AHEAD && self.is_lost(limits) {
                        return Some(Ending::Hopeless);
                    }
                    if let Some(dead) = dead.filter(|d| (d.from..d.upto).contains(&pos)) {
                        self.lost = true;
                        self.state = dead.state;
                        self.pos = dead.upto;
                        return self.clean_only.then_some(Ending::Unclean);
                    }
                }
            }
        }
        None
    }

    /// Notes a quote out of place, or text behind one.
    fn stray(&mut self, before: State, limits: Limits) {
        self.has_stray = true;
        if before == State::QuoteInQuoted {
            self.misquoted = true;
        } else if self.n_across > 0 && self.literal == Some(limits.full) {
            self.entangled = true;
        }
    }

    /// Notes a line ending inside quotes.
    fn cross(&mut self, pos: u64, text: &Text) {
        self.n_across += 1;
        if self.literal.is_none() {
            let (opened, n_commas) = self.opened;
            let n_inside = memchr::memchr_iter(b',', text.slice(opened..pos)).count();
            self.literal = Some(n_commas + n_inside as u64);
        }
    }

    fn is_lost(&self, limits: Limits) -> bool {
        self.misquoted || self.entangled || self.lost || self.n_commas > limits.full
    }
}
