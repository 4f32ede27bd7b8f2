//! A copy of the page's first record, made while its bytes go by.
//!
//! A header is compared by its fields, so this one record is kept; blank lines before it are kept with it. Where the
//! record has no end, its first line stands for it, read as if the quote that was left open were an ordinary byte.
//! It never keeps more than the caller gives before it stops giving.

use crate::csv::grammar::{State, fields_of};
use crate::model::FirstRecord;

/// How far the first record is copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Still inside it, or among the blank lines before it.
    Open,
    /// A carriage return ended it; a line feed would belong to it.
    AwaitsLineFeed,
    /// Complete.
    Done,
}

#[derive(Debug)]
pub(super) struct FirstCopy {
    raw: Vec<u8>,
    stage: Stage,
    // Its line was longer than any record may be, so that only its beginning is kept.
    is_cut: bool,
}

impl FirstCopy {
    pub(super) fn new() -> Self {
        Self { raw: Vec::new(), stage: Stage::Open, is_cut: false }
    }

    pub(super) fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }

    /// Bytes kept so far.
    pub(super) fn n_bytes(&self) -> u64 {
        self.raw.len() as u64
    }

    pub(super) fn push(&mut self, byte: u8) {
        match self.stage {
            Stage::Open => self.raw.push(byte),
            Stage::AwaitsLineFeed => {
                if byte == b'\n' {
                    self.raw.push(byte);
                }
                self.stage = Stage::Done;
            }
            Stage::Done => {}
        }
    }

    /// The byte pushed last ended the record.
    pub(super) fn ended(&mut self) {
        self.stage = if self.raw.last() == Some(&b'\r') { Stage::AwaitsLineFeed } else { Stage::Done };
    }

    /// Cuts a record that has no end down to its first line. Of a line with more than `limit` bytes one byte more than
    /// that is kept, so that it equals no header.
    pub(super) fn cut_to_line(&mut self, limit: u64) {
        let text_at = self.text_at();
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let text = &self.raw[text_at..];
        let line = text.iter().position(|b| is_line_end(*b)).filter(|n| *n <= limit);
        self.stage = Stage::Done;
        match line {
            Some(n) => {
                let ending = if text[n..].starts_with(b"\r\n") { 2 } else { 1 };
                if text[n] == b'\r' && text.len() == n + 1 {
                    self.stage = Stage::AwaitsLineFeed;
                }
                self.raw.truncate(text_at + n + ending);
            }
            None => {
                self.is_cut = text.len() > limit;
                self.raw.truncate(text_at.saturating_add(limit).saturating_add(1));
            }
        }
    }

    /// The record. One that was cut to its first line `has_no_end`.
    pub(super) fn into_record(self, has_no_end: bool) -> FirstRecord {
        let fields = if !has_no_end {
            fields_of(&self.raw)
        } else if self.is_cut || self.text_at() == self.raw.len() {
            vec![self.raw.clone()]
        } else {
            literal_fields(&self.raw[self.text_at()..])
        };
        FirstRecord { fields, raw: self.raw }
    }

    fn text_at(&self) -> usize {
        self.raw.iter().position(|b| !is_line_end(*b)).unwrap_or(self.raw.len())
    }
}

fn is_line_end(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

/// The fields of a line whose last quoted field is not closed, that field's quote being an ordinary byte.
fn literal_fields(line: &[u8]) -> Vec<Vec<u8>> {
    let end = line.iter().position(|b| is_line_end(*b)).unwrap_or(line.len());
    let line = &line[..end];
    let (mut state, mut field_at) = (State::RecordStart, 0);
    for (&byte, at) in line.iter().zip(1..) {
        state = state.step(byte).0;
        if state == State::FieldStart {
            field_at = at;
        }
    }
    if state != State::Quoted {
        return fields_of(line);
    }
    // What follows the open quote holds quotes in pairs only, so that none is open once this one is not.
    let mut rest = line[field_at..].to_vec();
    rest[0] = b'x';
    let mut rest = fields_of(&rest);
    rest[0][0] = b'"';
    let mut fields = fields_of(&line[..field_at]);
    fields.pop();
    fields.append(&mut rest);
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_quote_read_as_an_ordinary_byte_leaves_every_comma_of_its_line() {
        for (line, fields) in [
            (&b"id,\"no,te\n1"[..], &[&b"id"[..], b"\"no", b"te"][..]),
            (b"\"id,note\r\n", &[b"\"id", b"note"]),
            (b"\"i,d\",\"\"\"no\"\",\"\"te\n", &[b"i,d", b"\"\"\"no\"\"", b"te"]),
            (b"id,\"", &[b"id", b"\""]),
            (b"id,note\n", &[b"id", b"note"]),
        ] {
            assert_eq!(literal_fields(line), fields, "{:?}", String::from_utf8_lossy(line));
        }
    }
}
