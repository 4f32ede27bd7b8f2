//! How records are written, where that is not just as they came: newlines within fields, bytes that are no UTF-8, fields
//! that a spreadsheet would run.
//!
//! Well-formed CSV in, well-formed CSV out, with the same records and fields. What no rule speaks of keeps its bytes.
//! What comes out depends on the bytes alone, never on how they were cut. Nothing here decides which records are good.
//!
//! # Newlines as `\n`
//!
//! [`FormRules::escape_newlines`] can be undone, exactly, but for which of the three newlines it was:
//!
//! - within a quoted field a line feed, a carriage return with a line feed behind it, and a carriage return alone each
//!   become the two characters `\n`; the field keeps its quotes;
//! - a backslash, in any field, is doubled where the next character of the same field is `n`, a backslash or a newline;
//!   every other backslash stays as it is.
//!
//! A reader goes from left to right: `\\` is a backslash, `\n` is a line feed, and a backslash before anything else, or
//! at the end, is itself. [`unescape`] does that for the text of one field, quoting undone.
//!
//! # What a spreadsheet would run
//!
//! With [`FormRules::excel_safe`] a field whose text begins with `=`, `+`, `-`, `@`, a tab or a carriage return and is no
//! number gets a `'` in front, within its quotes where it has some. A number is an optional sign, digits with at most one
//! decimal point before, among or behind them, and perhaps an exponent (`e` or `E`, an optional sign, digits), in 400
//! bytes at most. What a field begins with is judged before its newlines are written anew. The header's fields are
//! fields like any other.

mod escape;
mod fields;
mod number;
mod search;
#[cfg(test)]
mod tests;
mod utf8;

pub use escape::unescape;
pub use utf8::{BadUtf8, Utf8Check};

use fields::Fields;
use utf8::{Piece, Pieces};

/// What is written in place of bytes that are no UTF-8.
const REPLACEMENT: &[u8] = "\u{fffd}".as_bytes();

/// What is done to fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FormRules {
    /// Newlines within fields are written as `\n`.
    pub escape_newlines: bool,
    /// Fields that a spreadsheet would run begin with `'`.
    pub excel_safe: bool,
    /// Bytes that are no UTF-8 are replaced.
    pub replace_invalid_utf8: bool,
}

impl FormRules {
    /// Whether everything stays as it is.
    pub fn is_verbatim(&self) -> bool {
        *self == Self::default()
    }
}

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FormCounts {
    /// Fields that begin with `'` now.
    pub n_excel_safe: u64,
    /// Sequences that were no UTF-8.
    pub n_replaced: u64,
}

/// Rewrites a stream of records.
///
/// A byte order mark at its very start passes, and is no part of the first field.
///
/// ```
/// use cxtract::csv::forms::{FormRules, Former};
///
/// let mut former = Former::new(FormRules { escape_newlines: true, excel_safe: true, ..FormRules::default() });
/// let mut out = Vec::new();
/// former.push(b"7,\"first\r", &mut out);
/// former.push(b"\nsecond\",-3.5,=1+1\n", &mut out);
/// assert_eq!(former.finish(&mut out).n_excel_safe, 1);
/// assert_eq!(out, b"7,\"first\\nsecond\",-3.5,'=1+1\n");
/// ```
#[derive(Debug)]
pub struct Former {
    /// Only where bytes that are no UTF-8 are replaced. It comes first: no field's shape depends on such bytes.
    pieces: Option<Pieces>,
    fields: Option<Fields>,
    n_replaced: u64,
}

impl Former {
    /// A former that has seen nothing.
    pub fn new(rules: FormRules) -> Self {
        let reads_fields = rules.escape_newlines || rules.excel_safe;
        Self {
            pieces: rules.replace_invalid_utf8.then(Pieces::default),
            fields: reads_fields.then(|| Fields::new(rules)),
            n_replaced: 0,
        }
    }

    /// Takes the next bytes, however they are cut, and adds what becomes of them to `out`.
    pub fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        let Self { pieces, fields, n_replaced } = self;
        match pieces {
            Some(pieces) => pieces.push(chunk, |piece| pass(fields, text_of(piece, n_replaced), out)),
            None => pass(fields, chunk, out),
        }
    }

    /// Ends the records: adds what was still held back.
    pub fn finish(mut self, out: &mut Vec<u8>) -> FormCounts {
        if let Some(cut_off) = self.pieces.take().and_then(Pieces::finish) {
            pass(&mut self.fields, text_of(cut_off, &mut self.n_replaced), out);
        }
        let n_excel_safe = self.fields.map_or(0, |fields| fields.finish(out));
        FormCounts { n_excel_safe, n_replaced: self.n_replaced }
    }
}

fn text_of<'a>(piece: Piece<'a>, n_replaced: &mut u64) -> &'a [u8] {
    match piece {
        Piece::Text(text) => text,
        Piece::Bad { .. } => {
            *n_replaced += 1;
            REPLACEMENT
        }
    }
}

fn pass(fields: &mut Option<Fields>, bytes: &[u8], out: &mut Vec<u8>) {
    match fields {
        Some(fields) => fields.push(bytes, out),
        None => out.extend_from_slice(bytes),
    }
}
