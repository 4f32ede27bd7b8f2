//! What becomes of bad records: joined where only one reading is possible, set aside otherwise, each with its reason.
//!
//! Bytes in, good records, receipts and rejects out, in their order. A good record is handed on byte for byte. Nothing
//! here decides whether a reject fails the report, and nothing is kept but the records that are still being judged.

mod join;
mod judge;
mod mender;
mod outcome;
mod quick;
mod reader;
mod reading;
mod reason;
mod shape;
mod stretch;
#[cfg(test)]
mod tests;
mod text;

pub use mender::Mender;
pub use outcome::{JoinedRecord, Outcome, RejectedRecord, all};
pub use reason::Reason;
pub use shape::{Evidence, KeyShape, ShapeFinder};

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
    /// Whether the first record is the header: its first field need not look like the others, nothing is joined to it,
    /// and it is never set aside for what stands beside it.
    pub header_first: bool,
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
    /// For each raw newline in it, the line that it ends; lines count from 1, and one at least is here.
    pub breaks: &'a [u64],
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
