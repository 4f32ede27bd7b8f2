//! How far an output has got: what is stored, and what a later run goes on from.
//!
//! A position speaks of bytes that are durable. The checksum of everything before it is what lets a later run
//! tell its own file from one that somebody else has touched.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{PageNumber, QueryId};

/// A point in one file: its offset, and the CRC32 of all bytes before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileMark {
    /// Bytes before this point.
    pub offset: u64,
    /// CRC32 of these bytes.
    pub crc32: u32,
}

impl FileMark {
    /// The beginning of a file.
    pub const START: Self = Self { offset: 0, crc32: 0 };

    /// The point behind `bytes`, if they stand right after this one.
    #[must_use]
    pub fn after(self, bytes: &[u8]) -> Self {
        let mut hasher = crc32fast::Hasher::new_with_initial_len(self.crc32, self.offset);
        hasher.update(bytes);
        Self { offset: self.offset + bytes.len() as u64, crc32: hasher.finalize() }
    }
}

/// A point at which an extraction can go on: every page before `next_page` is in the output, nothing after it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Which part of a split report is being read, from 0; always 0 without a split.
    #[serde(default)]
    pub part: u32,
    /// The query that this part's pages come from, so that rows of two queries are never joined.
    #[serde(default)]
    pub query_id: Option<QueryId>,
    /// The first page of that part which is not in the output.
    pub next_page: PageNumber,
    /// Pages with rows in the output.
    #[serde(default)]
    pub n_pages: u64,
    /// Rows in the output; the header isn't one.
    pub n_rows: u64,
    /// Where the output stands, in bytes as they are handed to the sink.
    pub output: FileMark,
    /// Where each side file stands, by the suffix of its name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sides: BTreeMap<String, FileMark>,
}

impl Position {
    /// The position before anything is written.
    pub fn start() -> Self {
        Self {
            part: 0,
            query_id: None,
            next_page: PageNumber::FIRST,
            n_pages: 0,
            n_rows: 0,
            output: FileMark::START,
            sides: BTreeMap::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_reads_back_as_it_was_stored() {
        let sides = BTreeMap::from([("rejects".to_owned(), FileMark { offset: 5, crc32: 6 })]);
        let query_id = Some(QueryId::new("q-1"));
        let output = FileMark { offset: 7, crc32: u32::MAX };
        let position = Position { part: 2, query_id, next_page: PageNumber(9), n_pages: 8, n_rows: 40, output, sides };
        let stored = serde_json::to_string(&position).unwrap();
        assert_eq!(serde_json::from_str::<Position>(&stored).unwrap(), position);
    }

    #[test]
    fn a_mark_is_the_same_however_the_bytes_before_it_were_cut() {
        let whole = FileMark::START.after(b"id,name\n1,a\n");
        let pieces = FileMark::START.after(b"id,").after(b"").after(b"name\n1,a").after(b"\n");
        assert_eq!(whole, pieces);
        assert_eq!(whole, FileMark { offset: 12, crc32: crc32fast::hash(b"id,name\n1,a\n") });
    }
}
