//! Writes fields anew: newlines as `\n`, and a `'` before what a spreadsheet would run.
//!
//! The grammar's states say what a byte is; between bytes that [`Marks`] points at, whole runs are copied. Whatever is
//! added goes in front of the byte that calls for it, so that nothing is held back but a text that may yet prove to be a
//! number. Which bytes are doubled or put in front is written down in the parent's documentation.

use super::FormRules;
use super::number::Number;
use super::search::Marks;
use crate::csv::BOM;
use crate::csv::grammar::{Event, State};

/// Rewrites the fields of a stream of records.
#[derive(Debug)]
pub(super) struct Fields {
    escapes: bool,
    guards: bool,
    /// How much of a byte order mark was seen, while nothing else was.
    bom: Option<usize>,
    state: State,
    /// Within quotes: the field has no text yet.
    is_fresh: bool,
    /// The last byte of the field's text was a backslash.
    is_behind_backslash: bool,
    /// The last byte was a carriage return within quotes, which has been written as `\n`.
    is_behind_return: bool,
    /// A text that may be a number, and its bytes, quotes included.
    number: Option<Number>,
    held: Vec<u8>,
    n_guarded: u64,
}

/// What becomes of a byte.
enum Fate {
    Stays,
    /// It stays, behind these.
    Behind(&'static [u8]),
    /// These stand in its place.
    Becomes(&'static [u8]),
    /// It may begin a number.
    Waits,
}

impl Fields {
    pub(super) fn new(rules: FormRules) -> Self {
        Self {
            escapes: rules.escape_newlines,
            guards: rules.excel_safe,
            bom: Some(0),
            state: State::RecordStart,
            is_fresh: false,
            is_behind_backslash: false,
            is_behind_return: false,
            number: None,
            held: Vec::new(),
            n_guarded: 0,
        }
    }

    pub(super) fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        let text = self.pass_bom(chunk, out);
        self.take(text, out);
    }

    /// How many fields got a `'`.
    pub(super) fn finish(mut self, out: &mut Vec<u8>) -> u64 {
        if let Some(seen) = self.bom.take() {
            self.take(&BOM[..seen], out);
        }
        self.release(true, out);
        self.n_guarded
    }

    /// Lets a byte order mark at the very start pass, however it is cut; what lies behind it.
    fn pass_bom<'a>(&mut self, chunk: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
        let mut rest = chunk;
        while let Some(seen) = self.bom {
            let Some((&byte, behind)) = rest.split_first() else { break };
            if byte != BOM[seen] {
                self.bom = None;
                self.take(&BOM[..seen], out);
            } else {
                rest = behind;
                self.bom = Some(seen + 1);
                if seen + 1 == BOM.len() {
                    self.bom = None;
                    out.extend_from_slice(&BOM);
                }
            }
        }
        rest
    }

    fn take(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        let mut marks = Marks::new(chunk, self.escapes, self.guards);
        // Up to `n_out` all is written or held.
        let (mut at, mut n_out) = (0, 0);
        while at < chunk.len() {
            if self.number.is_some() {
                if self.weigh(chunk[at], out) {
                    at += 1;
                    n_out = at;
                    continue;
                }
            } else if !self.is_behind_backslash {
                let marked = marks.next(at);
                self.pass_run(&chunk[at..marked]);
                at = marked;
            }
            let Some(&byte) = chunk.get(at) else { break };
            let fate = self.react(byte);
            if !matches!(fate, Fate::Stays) {
                out.extend_from_slice(&chunk[n_out..at]);
                n_out = at;
            }
            at += 1;
            match fate {
                Fate::Stays => {}
                Fate::Behind(these) => out.extend_from_slice(these),
                Fate::Becomes(these) => {
                    out.extend_from_slice(these);
                    n_out = at;
                }
                Fate::Waits => {
                    self.number = Some(Number::signed());
                    self.held.push(byte);
                    n_out = at;
                }
            }
        }
        out.extend_from_slice(&chunk[n_out..]);
    }

    /// Passes over bytes that no rule speaks of, none of them a quote.
    #[inline]
    fn pass_run(&mut self, run: &[u8]) {
        let Some(last) = run.last() else { return };
        self.is_fresh = false;
        self.is_behind_return = false;
        if self.state != State::Quoted {
            self.state = match last {
                b',' => State::FieldStart,
                b'\n' | b'\r' => State::RecordStart,
                _ => State::Plain,
            };
        }
    }

    /// Reads a byte, and says what becomes of it.
    #[inline]
    fn react(&mut self, byte: u8) -> Fate {
        let before = self.state;
        let (after, event) = before.step(byte);
        self.state = after;
        let is_behind_return = std::mem::take(&mut self.is_behind_return);
        let is_first = match (before, after) {
            (State::Quoted, State::QuoteInQuoted) => return Fate::Stays,
            (State::RecordStart | State::FieldStart, State::Quoted) => {
                self.is_fresh = true;
                return Fate::Stays;
            }
            (State::RecordStart | State::FieldStart, State::Plain) => true,
            _ => std::mem::take(&mut self.is_fresh),
        };
        let is_behind_backslash = std::mem::take(&mut self.is_behind_backslash);
        let is_text = after == State::Plain || after == State::Quoted;
        if !is_text || matches!(event, Event::FieldEnd | Event::RecordEnd) {
            return Fate::Stays;
        }
        let is_guarded = self.guards && is_first && matches!(byte, b'=' | b'+' | b'-' | b'@' | b'\t' | b'\r');
        if is_guarded && matches!(byte, b'+' | b'-') {
            return Fate::Waits;
        }
        self.n_guarded += u64::from(is_guarded);
        match byte {
            b'\n' if self.escapes && is_behind_return => Fate::Becomes(b""),
            b'\n' | b'\r' if self.escapes => {
                self.is_behind_return = byte == b'\r';
                Fate::Becomes(match (is_guarded, is_behind_backslash) {
                    (true, _) => br"'\n",
                    (_, true) => br"\\n",
                    _ => br"\n",
                })
            }
            b'n' | b'\\' if is_behind_backslash => {
                self.is_behind_backslash = byte == b'\\';
                Fate::Behind(br"\")
            }
            b'\\' => {
                self.is_behind_backslash = self.escapes;
                Fate::Stays
            }
            _ if is_guarded => Fate::Behind(b"'"),
            _ => Fate::Stays,
        }
    }

    /// Reads a byte behind the start of what may be a number. If that is settled now, it is written, and the byte, which
    /// was not read, is one like any other: false.
    fn weigh(&mut self, byte: u8, out: &mut Vec<u8>) -> bool {
        let (state, event) = self.state.step(byte);
        let is_still_open = match (self.state, state) {
            _ if matches!(event, Event::FieldEnd | Event::RecordEnd) => {
                self.release(true, out);
                return false;
            }
            (State::Quoted, State::QuoteInQuoted) => true,
            _ => self.number.as_mut().is_some_and(|number| number.take(byte)),
        };
        if is_still_open {
            self.held.push(byte);
            self.state = state;
        } else {
            self.release(false, out);
        }
        is_still_open
    }

    /// Writes what was held back: as it is, if it ends here and is a number.
    fn release(&mut self, is_end: bool, out: &mut Vec<u8>) {
        if let Some(number) = self.number.take() {
            if !(is_end && number.is_whole()) {
                self.n_guarded += 1;
                out.push(b'\'');
            }
            out.append(&mut self.held);
        }
    }
}
