//! Tells what is wrong with the records of a file, each with its line.
//!
//! The mender decides what a record is; here its decisions become faults. A record that it would join is a fault as
//! well, since other readers see two. Bytes that are no UTF-8 are looked for in every record, whatever else it is.

use std::convert::Infallible;

use super::faults::{Fault, Faults};
use super::structure::Structure;
use crate::csv::mend::{Joined, Mended, Rejected};
use crate::csv::{Event, State};

/// Collects the faults of a file while its records pass by.
#[derive(Debug)]
pub(super) struct Classifier<'a> {
    faults: &'a mut Faults,
    is_text: bool,
    // What ends a record, as far as lines are counted, where the mender does not say.
    line_ending: &'static [u8],
    record: u64,
    line: u64,
}

impl<'a> Classifier<'a> {
    /// A classifier for the file of that structure.
    pub(super) fn new(structure: &Structure, faults: &'a mut Faults) -> Self {
        let (is_text, line_ending) = (structure.bad_utf8.is_none(), structure.line_ending());
        Self { faults, is_text, line_ending, record: 1, line: 1 }
    }

    fn push(&mut self, line: u64, record: u64, kind: &'static str, message: String) {
        self.faults.push(Fault { line: Some(line), record: Some(record), kind, message });
    }

    /// Looks for bytes that are no UTF-8. `record_at` says in which record a byte stands.
    fn look_for_bytes(&mut self, bytes: &[u8], mut record_at: impl FnMut(usize) -> u64) {
        if self.is_text || std::str::from_utf8(bytes).is_ok() {
            return;
        }
        let (mut line, mut line_start, mut at) = (self.line, 0, 0);
        let mut told = None;
        for piece in bytes.utf8_chunks() {
            for newline in memchr::memchr_iter(b'\n', piece.valid().as_bytes()) {
                line += 1;
                line_start = at + newline + 1;
            }
            at += piece.valid().len();
            if let Some(first) = piece.invalid().first()
                && told != Some(line)
            {
                told = Some(line);
                let message = format!("byte {} of the line, 0x{first:02X}, is no UTF-8", at - line_start + 1);
                self.push(line, record_at(at), "invalid_utf8", message);
            }
            at += piece.invalid().len();
        }
    }

    fn pass(&mut self, bytes: &[u8], n_records: u64) {
        self.line += memchr::memchr_iter(b'\n', bytes).count() as u64;
        self.record += n_records;
    }
}

impl Mended for Classifier<'_> {
    type Error = Infallible;

    fn good(&mut self, bytes: &[u8], n_records: u64) -> Result<(), Infallible> {
        let mut walk = Walk::over(bytes, self.record);
        self.look_for_bytes(bytes, |at| walk.record_at(at));
        self.pass(bytes, n_records);
        Ok(())
    }

    fn joined(&mut self, joined: &Joined<'_>) -> Result<(), Infallible> {
        (self.record, self.line) = (joined.place.record, joined.place.line);
        let message = match joined.breaks {
            [] | [_] => {
                "a newline stands in a field that is not quoted; there is one way to join the record".to_owned()
            }
            all => format!(
                "{} newlines stand in fields that are not quoted; there is one way to join the record",
                all.len()
            ),
        };
        let line = joined.breaks.first().copied().unwrap_or(self.line);
        self.push(line, self.record, "raw_newline", message);
        let record = self.record;
        self.look_for_bytes(joined.before, |_| record);
        // Each piece of it was met as a record, and is counted as one.
        let mut walk = Walk::over(joined.before, record);
        self.pass(joined.before, 0);
        self.record = walk.record_at(joined.before.len()) + 1;
        self.pass(joined.line_ending, 0);
        Ok(())
    }

    fn rejected(&mut self, rejected: &Rejected<'_>) -> Result<(), Infallible> {
        (self.record, self.line) = (rejected.place.record, rejected.place.line);
        self.push(self.line, self.record, rejected.reason.kind(), rejected.reason.to_string());
        let record = self.record;
        self.look_for_bytes(rejected.bytes, |_| record);
        self.pass(rejected.bytes, 1);
        self.pass(self.line_ending, 0);
        Ok(())
    }
}

/// Finds out in which record of a run a byte stands, asked from the front to the back.
struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
    state: State,
    record: u64,
}

impl<'a> Walk<'a> {
    fn over(bytes: &'a [u8], record: u64) -> Self {
        Self { bytes, at: 0, state: State::RecordStart, record }
    }

    fn record_at(&mut self, at: usize) -> u64 {
        for &byte in &self.bytes[self.at..at] {
            let (state, event) = self.state.step(byte);
            self.state = state;
            self.record += u64::from(event == Event::RecordEnd);
        }
        self.at = at;
        self.record
    }
}
