//! What is known of a fetched page once its bytes have been scanned.

use serde::{Deserialize, Serialize};

/// A 128-bit digest of a page's decoded bytes, for telling whether two pages are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
