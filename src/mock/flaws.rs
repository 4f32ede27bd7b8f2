//! Rows as broken templates leave them, one kind of harm to each.
//!
//! What is wrong with a row is known here because it was put there, so that a judge needs no parser to tell good rows from
//! bad ones. Nothing here says what a client should make of them.

use super::data::mix;

/// What is wrong with a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// A raw newline stands in a field amid the row.
    BrokenAmid,
    /// A raw newline stands in the last field.
    BrokenAtTheEnd,
    /// A raw newline stands behind a quoted text.
    BrokenBehindQuotes,
    /// A field is missing.
    TooFew,
    /// There is a field too many.
    TooMany,
    /// A quote is opened and never closed.
    NeverClosed,
    /// Text stands behind a closing quote.
    TextBehindQuotes,
}

impl Flaw {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::BrokenAmid,
        Self::BrokenAtTheEnd,
        Self::BrokenBehindQuotes,
        Self::TooFew,
        Self::TooMany,
        Self::NeverClosed,
        Self::TextBehindQuotes,
    ];

    /// The flaw of a row, if every `every`th has one.
    pub(super) fn of(row: u64, every: u64, key: u64) -> Option<Self> {
        let every = every.max(1);
        (row % every == every - 1).then(|| Self::ALL[(mix(key ^ mix(row ^ 0xF1A7)) % Self::ALL.len() as u64) as usize])
    }

    /// What stands in the place of the remark, with the comma before it.
    pub(super) fn remark(self) -> &'static str {
        match self {
            Self::BrokenAmid => ",hung up\nagent called back",
            Self::BrokenAtTheEnd => ",fine",
            Self::BrokenBehindQuotes => ",\"said so\"\nand went",
            Self::TooFew => "",
            Self::TooMany => ",one,two",
            Self::NeverClosed => ",\"never closed",
            Self::TextBehindQuotes => ",\"closed\" and more",
        }
    }

    /// What stands behind the last field.
    pub(super) fn tail(self) -> &'static str {
        if self == Self::BrokenAtTheEnd { "\nand more" } else { "" }
    }
}
