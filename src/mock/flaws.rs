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
    /// A field holds bytes that no encoding of UTF-8 has.
    InvalidUtf8,
    /// A field was written in Latin-1.
    Latin1,
    /// A field was written in UTF-16.
    Utf16,
    /// A field holds the character NUL.
    Nul,
    /// A lone carriage return stands in an unquoted field.
    LoneCr,
    /// A field has so many bytes.
    HugeField(u64),
}

impl Flaw {
    /// Those that every nth row is given by turns: they harm a row's shape. The others are asked for one by one, see
    /// [`Oddity`].
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

    /// Writes what stands in the place of free text, with the comma before it.
    pub(super) fn write(self, out: &mut Vec<u8>) {
        let field: &[u8] = match self {
            Self::BrokenAmid => b",hung up\nagent called back",
            Self::BrokenAtTheEnd => b",fine",
            Self::BrokenBehindQuotes => b",\"said so\"\nand went",
            Self::TooFew => b"",
            Self::TooMany => b",one,two",
            Self::NeverClosed => b",\"never closed",
            Self::TextBehindQuotes => b",\"closed\" and more",
            Self::InvalidUtf8 => b",half a sign \xF0\x9F\x98 and \xC0\xAF",
            Self::Latin1 => b",r\xE9clamation trait\xE9e",
            Self::Utf16 => b",r\0\xE9\0g\0l\0\xE9\0",
            Self::Nul => b",before\0after",
            Self::LoneCr => b",before\rafter",
            Self::HugeField(bytes) => {
                out.push(b',');
                out.resize(out.len() + usize::try_from(bytes).unwrap_or(usize::MAX), b'x');
                return;
            }
        };
        out.extend_from_slice(field);
    }

    /// What stands behind the last field.
    pub(super) fn tail(self) -> &'static str {
        if self == Self::BrokenAtTheEnd { "\nand more" } else { "" }
    }
}

/// Something odd that is asked for by itself, in certain rows or on certain pages.
///
/// In a row it takes the place of free text, as [`Flaw`]s do, and [`Expected::each_row`](super::Expected::each_row)
/// names it. What happens to a page is in no row: the expected file knows nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oddity {
    /// Bytes that are no UTF-8, in every so-manieth row.
    InvalidUtf8(u64),
    /// A field in Latin-1, in every so-manieth row.
    Latin1(u64),
    /// A field in UTF-16 (little endian, without a mark), in every so-manieth row.
    Utf16(u64),
    /// A NUL within a field, in every so-manieth row.
    Nul(u64),
    /// A lone carriage return within an unquoted field, in every so-manieth row.
    LoneCr(u64),
    /// One field of so many bytes.
    HugeField {
        /// The row that has it, from 1.
        row: u64,
        /// How long it is.
        bytes: u64,
    },
    /// That page (from 1) ends in the middle of its last record.
    CutRecord(u64),
    /// On that page (from 1) a quote is opened before the first row and never closed: it has no other.
    OpenQuote(u64),
}

impl Oddity {
    /// What it makes of a row, counted from 0.
    pub(super) fn in_row(self, row: u64) -> Option<Flaw> {
        let each = |every: u64, flaw| (row % every.max(1) == every.max(1) - 1).then_some(flaw);
        match self {
            Self::InvalidUtf8(every) => each(every, Flaw::InvalidUtf8),
            Self::Latin1(every) => each(every, Flaw::Latin1),
            Self::Utf16(every) => each(every, Flaw::Utf16),
            Self::Nul(every) => each(every, Flaw::Nul),
            Self::LoneCr(every) => each(every, Flaw::LoneCr),
            Self::HugeField { row: nth, bytes } => (row + 1 == nth).then_some(Flaw::HugeField(bytes)),
            Self::CutRecord(_) | Self::OpenQuote(_) => None,
        }
    }

    /// Whether it stands in rows rather than on a page.
    pub(super) fn is_in_rows(self) -> bool {
        !matches!(self, Self::CutRecord(_) | Self::OpenQuote(_))
    }
}
