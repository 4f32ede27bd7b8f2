//! What a scan of a page finds out, and why it may stop.
//!
//! A page is described by numbers, its first record and its first odd one; a reader who knows the header turns
//! these into a judgement. Nothing here decides what becomes of a ragged record.

use super::mend::Place;
use crate::model::{FirstRecord, PageDigest};

/// A record with another number of fields than was due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RaggedRecord {
    /// Which record of the page, from 1.
    pub record: u64,
    /// The line of the page on which it begins, from 1; line feeds end lines.
    pub line: u64,
    /// How many fields it has.
    pub n_fields: u64,
    /// How many were due.
    pub expected: u64,
}

/// A whole page in numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Framed {
    /// Decoded bytes, a byte order mark included.
    pub n_bytes: u64,
    /// Length of the byte order mark at the start: 0 or 3.
    pub bom_len: u8,
    /// Records, the first one included whether header or row. Blank lines are none.
    pub n_records: u64,
    /// The first record. Blank lines before it are part of its raw bytes, so that dropping these drops them too.
    pub first: Option<FirstRecord>,
    /// Fields of every record but the first, where they are the same for all; none where there is no such record.
    pub n_fields: Option<u64>,
    /// The first record with another number of fields than the page's first record.
    pub uneven: Option<RaggedRecord>,
    /// How many records have another number of fields than the page's first record.
    pub n_uneven: u64,
    /// Whether the page's last byte is an unquoted line ending. A page without bytes has none.
    pub ends_with_newline: bool,
    /// Lines without any byte, which count as no record. In a table of one column they may have meant an empty value.
    pub n_blank_lines: u64,
    /// Whether a quote stood inside an unquoted field or text behind a closing one. Such pages are read as the `csv`
    /// crate reads them, but other readers may differ.
    pub stray_quotes: bool,
    /// The first record in which text stands behind a closing quote.
    pub misquoted: Option<Place>,
    /// Whether a record has a quote inside an unquoted field, past a quoted line ending: quotes may pair up across
    /// records there.
    pub is_entangled: bool,
    /// Why the page could not be read to its end as records, where the framer was told to go on all the same. The
    /// record it names counts as one, and is the last that does; the other facts speak of the records before it, but
    /// for `first` where it is the first one, and `ends_with_newline`, which then says whether any line ending,
    /// quoted or not, is the page's last byte.
    pub broken: Option<FramingFault>,
    /// Digest of the decoded bytes.
    pub digest: PageDigest,
}

impl Framed {
    /// The first record, the page's very first included, that has not the `expected` number of fields.
    pub fn ragged_against(&self, expected: u64) -> Option<RaggedRecord> {
        let first = self.first.as_ref()?;
        let n_fields = first.fields.len() as u64;
        if n_fields == expected {
            return self.uneven;
        }
        // Blank lines may stand before the record, and count as lines.
        let text_at = first.raw.iter().position(|b| !matches!(b, b'\n' | b'\r')).unwrap_or(0);
        let line = 1 + first.raw[..text_at].iter().filter(|&&b| b == b'\n').count() as u64;
        Some(RaggedRecord { record: 1, line, n_fields, expected })
    }
}

/// Why a page can't be delivered as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FramingFault {
    /// A record, or the blank lines before the first one, passed the limit.
    #[error(
        "record {record} (line {line}) is longer than {limit} bytes: a quote may be left open there; raise limits.record_bytes if records may be as long"
    )]
    RecordTooLong {
        /// Which record of the page, from 1.
        record: u64,
        /// The line on which it begins, from 1.
        line: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// The page ends inside a quoted field: a record never spans two pages.
    #[error("the page ends inside the quoted field of record {record} (line {line}): the tenant sent part of a record")]
    OpenQuote {
        /// Which record of the page, from 1.
        record: u64,
        /// The line on which it begins, from 1.
        line: u64,
    },
}
