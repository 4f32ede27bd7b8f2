//! What is known of a fetched page once its bytes have been scanned.

use super::PageNumber;

/// A 128-bit digest of a page's decoded bytes, for telling whether two pages are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageDigest(pub u128);

/// What the `Link` header said of a following page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkHint {
    /// There was no `Link` header.
    Absent,
    /// It names a next page.
    Next,
    /// It is there, but names no next page: this page claims to be the last.
    NoNext,
}

/// A page's first record, as far as the header rule needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirstRecord {
    /// Its bytes after a byte order mark, its line ending included.
    pub raw: Vec<u8>,
    /// Its fields, unquoted.
    pub fields: Vec<Vec<u8>>,
}

/// A whole, checked page in numbers. Its bytes wait elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageSummary {
    /// Which page.
    pub number: PageNumber,
    /// Decoded bytes, a byte order mark included.
    pub n_bytes: u64,
    /// Length of the byte order mark at its start: 0 or 3.
    pub bom_len: u8,
    /// Records, the first one included whether header or row.
    pub n_records: u64,
    /// The first record; none in an empty page.
    pub first: Option<FirstRecord>,
    /// Fields of every record but the first, where they are the same for all; none where there is no such record.
    pub n_fields: Option<u64>,
    /// Whether the last record ends with a line ending.
    pub ends_with_newline: bool,
    /// Digest of the decoded bytes.
    pub digest: PageDigest,
    /// What `Link` said.
    pub link: LinkHint,
    /// What `X-Total-Count` said.
    pub total_count: Option<u64>,
}
