//! Where rows come from: made on the fly from (seed, template, window, row number), or read from a file.
//!
//! A row depends on nothing else, so that a page of any size can be had anywhere in the result in constant memory, two
//! tenants of one seed agree across restarts, and the expected file is the same rows written once in order. Nothing
//! that makes rows parses CSV: the judge must not share an idea of it with the accused.

use std::ops::Range;
use std::path::Path;

use crate::model::Window;

use super::columns::{Columns, Table};
use super::file::CsvFile;
use super::flaws::{Flaw, Oddity};
use super::standard::Standard;
use super::words::COLUMNS;

/// How many bytes a page is made at a time. Fewer, larger writes are what loopback speed depends on.
pub(super) const PIECE_BYTES: usize = 128 * 1024;

/// Spreads the bits of `x` (the finalizer of SplitMix64).
#[inline]
pub(super) fn mix(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// Folds text into a key.
pub(super) fn fold(key: u64, text: &str) -> u64 {
    text.bytes().fold(mix(key), |k, b| mix(k ^ u64::from(b)))
}

/// Throws that follow from a key.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    #[inline]
    pub(super) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }
}

/// Why a data set can't be used; the text says where and what to do.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// A file can't be served.
    #[error("the file {path} can't be served: {problem}")]
    File {
        /// The file.
        path: String,
        /// What is wrong, and the remedy.
        problem: String,
    },
    /// Columns don't make a table.
    #[error("the columns can't be used: {0}")]
    Columns(String),
    /// Settings of a report exclude each other.
    #[error("the report can't be served: {0}")]
    Report(String),
}

impl DataError {
    pub(super) fn file(path: &Path, problem: impl Into<String>) -> Self {
        Self::File { path: path.display().to_string(), problem: problem.into() }
    }
}

/// What a report's rows are.
#[derive(Clone, Debug, Default)]
pub enum DataSet {
    /// An interaction report of nineteen columns.
    #[default]
    Standard,
    /// Columns of one's own choice.
    Columns(Columns),
    /// A file of one's own, the same for every window.
    File(CsvFile),
}

/// What rows are made from.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    pub(super) key: u64,
    pub(super) window: Window,
    /// Only spaces the times of rows.
    pub(super) n_rows: u64,
    pub(super) newline: &'static str,
    pub(super) raw_newline_every: Option<u64>,
}

impl Origin {
    pub(super) fn new(seed: u64, template: &str, window: Window, n_rows: u64) -> Self {
        let key = mix(fold(seed, template) ^ mix(window.from.0.cast_unsigned()) ^ mix(!window.to.0.cast_unsigned()));
        Self { key, window, n_rows, newline: "\n", raw_newline_every: None }
    }

    /// The milliseconds that the window spans.
    pub(super) fn span_ms(&self) -> u64 {
        self.window.to.since(self.window.from).as_millis() as u64
    }

    /// Twelve digits that differ from window to window.
    pub(super) fn first_id(&self) -> u64 {
        100_000_000_000 + self.key % 800_000_000_000
    }
}

/// The rows of one result.
#[derive(Clone, Debug)]
pub(super) struct RowSource {
    key: u64,
    newline: &'static str,
    flaw_every: Option<u64>,
    oddities: Vec<Oddity>,
    pub(super) rows: Rows,
}

#[derive(Clone, Debug)]
pub(super) enum Rows {
    Standard(Standard),
    Columns(Table),
    File {
        file: CsvFile,
        /// How many rows further on each row is taken from.
        shift: u64,
    },
}

impl RowSource {
    pub(super) fn new(origin: &Origin, data: &DataSet) -> Self {
        let (rows, newline) = match data {
            DataSet::Standard => (Rows::Standard(Standard::new(origin)), origin.newline),
            DataSet::Columns(columns) => (Rows::Columns(Table::new(columns.clone(), origin)), origin.newline),
            DataSet::File(file) => (Rows::File { file: file.clone(), shift: 0 }, file.newline()),
        };
        Self { key: origin.key, newline, flaw_every: None, oddities: Vec::new(), rows }
    }

    /// The same with something wrong with every nth row, and with what is odd. Rows without a place for it stay.
    #[must_use]
    pub(super) fn flawed(self, every: Option<u64>, oddities: &[Oddity]) -> Self {
        if !self.can_be_flawed() {
            return self;
        }
        let oddities = oddities.iter().copied().filter(|oddity| oddity.is_in_rows()).collect();
        Self { flaw_every: every, oddities, ..self }
    }

    /// Whether rows have a field that a flaw can take the place of.
    pub(super) fn can_be_flawed(&self) -> bool {
        match &self.rows {
            Rows::Standard(_) => true,
            Rows::Columns(table) => table.has_slot(),
            Rows::File { .. } => false,
        }
    }

    /// What is wrong with that row.
    pub(super) fn flaw(&self, row: u64) -> Option<Flaw> {
        let flaw = self.flaw_every.and_then(|every| Flaw::of(row, every, self.key));
        flaw.or_else(|| self.oddities.iter().find_map(|oddity| oddity.in_row(row)))
    }

    /// The same result as it is another time: what an unstable page shows.
    pub(super) fn changed(&self) -> Self {
        let rows = match &self.rows {
            Rows::Standard(rows) => Rows::Standard(rows.changed()),
            Rows::Columns(table) => Rows::Columns(table.changed()),
            Rows::File { file, shift } => Rows::File { file: file.clone(), shift: shift + 1 },
        };
        Self { key: mix(self.key), rows, ..self.clone() }
    }

    /// How records end; those of a file as its header does.
    pub(super) fn newline(&self) -> &'static str {
        self.newline
    }

    /// The header record with its line ending.
    pub(super) fn header(&self) -> Vec<u8> {
        match &self.rows {
            Rows::Standard(_) => [COLUMNS, self.newline].concat().into_bytes(),
            Rows::Columns(table) => [table.header(), self.newline.as_bytes()].concat(),
            Rows::File { file, .. } => file.header().to_vec(),
        }
    }

    /// A random yes or no that belongs to a page of this result.
    pub(super) fn coin(&self, page: u64, salt: u64) -> bool {
        mix(self.key ^ mix(page) ^ salt) & 1 == 1
    }

    /// Makes rows from the front of the range until `out` has that length or there are no more. Answers where the last
    /// one begins. Rows of a file are not made.
    pub(super) fn make(&self, range: &mut Range<u64>, length: usize, out: &mut Vec<u8>) -> usize {
        let spoiled = self.flaw_every.is_some() || !self.oddities.is_empty();
        let mut last = out.len();
        while range.start < range.end && out.len() < length {
            last = out.len();
            let flaw = if spoiled { self.flaw(range.start) } else { None };
            match &self.rows {
                Rows::Standard(rows) => rows.write_row(range.start, flaw, out),
                Rows::Columns(table) => table.write_row(range.start, flaw, out),
                Rows::File { .. } => {}
            }
            range.start += 1;
        }
        last
    }
}

#[cfg(test)]
mod tests {
    use crate::model::Timestamp;

    use super::super::page::PageBody;
    use super::*;

    fn rows(newline: &'static str, raw_newline_every: Option<u64>, flaw_every: Option<u64>) -> RowSource {
        let window = Window { from: Timestamp(1_704_067_200_000), to: Timestamp(1_706_745_599_999) };
        let origin = Origin { newline, raw_newline_every, ..Origin::new(7, "detail", window, 1000) };
        RowSource::new(&origin, &DataSet::Standard).flawed(flaw_every, &[])
    }

    fn text(rows: &RowSource, range: Range<u64>) -> Vec<u8> {
        PageBody::new(rows.clone(), range, false, false, true).whole()
    }

    #[test]
    fn the_standard_rows_are_what_they_always_were() {
        for (rows, digest) in [
            (rows("\n", None, None), 0xb78c_7a6f_7780_27da),
            (rows("\r\n", Some(5), None), 0xf93f_aebb_6d2e_6e9b),
            (rows("\n", None, Some(3)), 0x6f5a_419c_21ab_c377),
        ] {
            let near = PageBody::new(rows.clone(), 0..1000, false, true, true).whole();
            let far = PageBody::new(rows, 3_000_000_000..3_000_000_100, false, true, true).whole();
            assert_eq!(xxhash_rust::xxh3::xxh3_64(&[near, far].concat()), digest);
        }
    }

    #[test]
    fn a_month_of_rows_holds_every_hard_kind_of_field() {
        let bytes = text(&rows("\n", None, None), 0..2000);
        let text = String::from_utf8(bytes.clone()).unwrap();
        for hard in ["\"\"", "\r\n", "🙂", "日本語", "\"Smith, John\"", "First line\nsecond", ",,"] {
            assert!(text.contains(hard), "{hard:?} is missing");
        }
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(bytes.as_slice());
        let records: Vec<_> = reader.records().collect::<Result<_, _>>().unwrap();
        assert_eq!(records.len(), 2000);
        assert!(records.iter().all(|r| r.len() == COLUMNS.split(',').count()));
    }

    #[test]
    fn every_nth_row_has_a_flaw_each_kind_comes_and_the_others_stay_as_they_were() {
        let (good, bad) = (rows("\n", None, None), rows("\n", None, Some(5)));
        let mut kinds = Vec::new();
        for row in 0..500 {
            let flaw = bad.flaw(row);
            assert_eq!(flaw.is_some(), row % 5 == 4);
            assert_eq!(text(&good, row..row + 1) == text(&bad, row..row + 1), flaw.is_none());
            kinds.extend(flaw.filter(|flaw| !kinds.contains(flaw)));
        }
        assert_eq!(kinds.len(), Flaw::ALL.len());
    }

    #[test]
    fn c3_c5_c6_an_oddity_stands_where_it_was_asked_for_and_harms_no_other_row() {
        let good = rows("\n", None, None);
        for (oddity, row, found) in [
            (Oddity::InvalidUtf8(4), 3, b"\xF0\x9F\x98 and \xC0\xAF".as_slice()),
            (Oddity::Latin1(4), 7, b"r\xE9clamation"),
            (Oddity::Utf16(4), 3, b"r\0\xE9\0g\0"),
            (Oddity::Nul(4), 3, b"before\0after"),
            (Oddity::LoneCr(4), 3, b"before\rafter"),
            (Oddity::HugeField { row: 4, bytes: 70_000 }, 3, &[b'x'; 70_000]),
        ] {
            let odd = rows("\n", None, None).flawed(None, &[oddity]);
            assert!(odd.flaw(row).is_some(), "{oddity:?}");
            let text = |rows: &RowSource, row| text(rows, row..row + 1);
            assert!(memchr::memmem::find(&text(&odd, row), found).is_some(), "{oddity:?}");
            assert!((0..3).all(|row| odd.flaw(row).is_none() && text(&odd, row) == text(&good, row)));
        }
    }

    #[test]
    fn a_flaw_goes_before_an_oddity_that_meets_it() {
        let rows = rows("\n", None, Some(3)).flawed(Some(3), &[Oddity::Nul(6)]);
        assert!(rows.flaw(5).is_some_and(|flaw| Flaw::ALL.contains(&flaw)));
        assert_eq!(rows.flaw(4), None);
    }

    #[test]
    fn a_legacy_template_breaks_every_nth_row_over_two_lines() {
        let window = Window { from: Timestamp(0), to: Timestamp(1000) };
        let origin = Origin { raw_newline_every: Some(5), ..Origin::new(1, "legacy", window, 10) };
        let out = text(&RowSource::new(&origin, &DataSet::Standard), 4..5);
        assert_eq!(out.iter().filter(|&&b| b == b'\n').count(), 2);
        assert_eq!(out.iter().filter(|&&b| b == b'"').count() % 2, 0);
    }
}
