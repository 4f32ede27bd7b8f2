//! What a template's result looks like: how many rows, how they are cut into pages, what stands around them.
//!
//! The seeming vagaries (random headers, uneven pages) are drawn from the data's key, so that the same page asked for
//! twice is the same bytes.

use std::ops::Range;
use std::path::Path;

use crate::model::Window;

use super::columns::Columns;
use super::data::{DataError, DataSet, Origin, RowSource, mix};
use super::file::CsvFile;
use super::flaws::Oddity;
use super::page::{Damage, PageBody};

/// On which pages something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnPages {
    /// On none.
    Never,
    /// On page 1 alone.
    First,
    /// On every page.
    Every,
    /// Here and there. A header stands on page 1 in any case.
    Random,
}

/// A count that the tenant tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// The true number of rows.
    Right,
    /// None is told.
    Absent,
    /// Off by so much, as counts fixed at submission are.
    Stale(i64),
}

impl Count {
    pub(super) fn of(self, rows: u64) -> Option<u64> {
        match self {
            Self::Right => Some(rows),
            Self::Absent => None,
            Self::Stale(by) => Some(rows.saturating_add_signed(by)),
        }
    }
}

/// What `Link` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkStyle {
    /// There is none.
    Absent,
    /// The next page on each page but the last, which has only the previous one.
    Proper,
    /// As proper, but that page already names no next one.
    EndsEarly(u64),
    /// Names page 1 as the next on every page.
    Looping,
    /// Names a next page at that address.
    Elsewhere(&'static str),
}

/// How the end of the results shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Pages past the end are empty.
    EmptyBody,
    /// Pages past the end hold the header alone.
    HeaderOnly,
    /// Pages past the end are not found.
    NotFound404,
    /// The last page's `Link` names no next page; pages past it are empty.
    LinkWithoutNext,
}

/// How rows are cut into pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageSizes {
    /// Full pages of the size asked for.
    AsAsked,
    /// Between half of what was asked for and all of it.
    Varying,
    /// At most so many rows, whatever is asked for.
    AtMost(u64),
}

/// How records end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Newline {
    /// `\n`
    Lf,
    /// `\r\n`
    CrLf,
}

/// The result of a template, the same for every window but for the rows' contents.
#[derive(Clone, Debug)]
pub struct MockReport {
    /// What its rows are.
    pub data: DataSet,
    /// Rows in a query's result; of a file at most those that it has.
    pub rows: u64,
    /// Which pages begin with the header record. `Never` leaves it out of the expected file as well.
    pub header: OnPages,
    /// Which pages begin with a byte order mark.
    pub bom: OnPages,
    /// How records end. Those of a file end as they do there.
    pub newline: Newline,
    /// Whether the last record of a page has its line ending.
    pub final_newline: bool,
    /// `X-Total-Count` on pages.
    pub total_count: Count,
    /// `totalRows` in the status.
    pub total_rows: Count,
    /// `Link` on pages.
    pub link: LinkStyle,
    /// How the end shows.
    pub end: End,
    /// How pages are cut.
    pub page_sizes: PageSizes,
    /// Chunked pages; otherwise they have a Content-Length.
    pub chunked: bool,
    /// Compresses pages for those who accept gzip.
    pub gzip: bool,
    /// Leaves a newline unquoted in every so-manieth row, as legacy templates do.
    pub raw_newline_every: Option<u64>,
    /// So many rows apart something is wrong with one, each time something else.
    pub flaw_every: Option<u64>,
    /// What is odd besides.
    pub oddities: Vec<Oddity>,
}

impl Default for MockReport {
    fn default() -> Self {
        Self {
            data: DataSet::Standard,
            rows: 10_000,
            header: OnPages::Every,
            bom: OnPages::Never,
            newline: Newline::Lf,
            final_newline: true,
            total_count: Count::Right,
            total_rows: Count::Right,
            link: LinkStyle::Absent,
            end: End::EmptyBody,
            page_sizes: PageSizes::AsAsked,
            chunked: true,
            gzip: false,
            raw_newline_every: None,
            flaw_every: None,
            oddities: Vec::new(),
        }
    }
}

impl MockReport {
    /// The usual result with so many rows.
    pub fn with_rows(rows: u64) -> Self {
        Self { rows, ..Self::default() }
    }

    /// So many rows of those columns.
    pub fn with_columns(rows: u64, columns: Columns) -> Self {
        Self { data: DataSet::Columns(columns), ..Self::with_rows(rows) }
    }

    /// The rows of a CSV file, all of them; its first record is the header.
    ///
    /// # Errors
    /// If it can't be read or has no header that its first row fits under.
    pub fn of_file(path: impl AsRef<Path>) -> Result<Self, DataError> {
        let file = CsvFile::open(path.as_ref())?;
        Ok(Self { rows: file.rows(), data: DataSet::File(file), ..Self::default() })
    }

    /// Whether everything that is asked for can be had together. What can't be had is left out where this is not asked.
    ///
    /// # Errors
    /// Names what can't.
    pub fn check(&self) -> Result<(), DataError> {
        let refuse = |why: &str| Err(DataError::Report(why.to_owned()));
        let spoils = self.flaw_every.is_some()
            || self.raw_newline_every.is_some()
            || self.oddities.iter().any(|o| o.is_in_rows());
        match &self.data {
            DataSet::File(_) if spoils => refuse(
                "the rows of a file are served as they are; write what is to be wrong with them into the file, or \
                 leave out flaw_every, raw_newline_every and the like",
            ),
            DataSet::File(file) if !self.final_newline && file.is_mixed() => refuse(
                "records of the file end in different ways, so that a page without a final newline can't be put \
                 together again; leave out final_newline, or give the file one kind of line ending",
            ),
            DataSet::Columns(columns) if spoils && !columns.has_slot() => refuse(
                "rows that are to be spoiled need three columns at least: what is wrong stands in one between others",
            ),
            _ => Ok(()),
        }
    }

    /// Rows in a query's result.
    pub(super) fn n_rows(&self) -> u64 {
        match &self.data {
            DataSet::File(file) => self.rows.min(file.rows()),
            _ => self.rows,
        }
    }

    pub(super) fn source(&self, seed: u64, template: &str, window: Window) -> RowSource {
        let newline = match self.newline {
            Newline::Lf => "\n",
            Newline::CrLf => "\r\n",
        };
        let origin = Origin::new(seed, template, window, self.rows);
        let origin = Origin { newline, raw_newline_every: self.raw_newline_every, ..origin };
        RowSource::new(&origin, &self.data).flawed(self.flaw_every, &self.oddities)
    }

    /// The rows on a page, counted from 1; empty past the end.
    pub(super) fn rows_on(&self, page: u64, page_size: u64) -> Range<u64> {
        let n_rows = self.n_rows();
        self.first_row(page, page_size).min(n_rows)..self.first_row(page.saturating_add(1), page_size).min(n_rows)
    }

    // Boundaries are drawn around a fixed pitch, so that any page is found without adding up those before it.
    fn first_row(&self, page: u64, page_size: u64) -> u64 {
        let before = page.saturating_sub(1);
        match self.page_sizes {
            PageSizes::AsAsked => before.saturating_mul(page_size),
            PageSizes::AtMost(most) => before.saturating_mul(page_size.min(most).max(1)),
            PageSizes::Varying => {
                let play = page_size / 4;
                let jitter = if before == 0 || play == 0 { 0 } else { mix(before) % play };
                before.saturating_mul((page_size - play).max(1)).saturating_add(jitter)
            }
        }
    }

    /// Whether no page follows this one.
    pub(super) fn is_last(&self, page: u64, page_size: u64) -> bool {
        self.rows_on(page.saturating_add(1), page_size).is_empty()
    }

    /// A page's bytes; past the end, what the report's kind of end shows there.
    pub(super) fn page(&self, source: RowSource, page: u64, page_size: u64) -> PageBody {
        let range = self.rows_on(page, page_size);
        let bom = self.stands(self.bom, &source, page, 1) && !(range.is_empty() && self.end != End::HeaderOnly);
        let header = match (range.is_empty(), self.end) {
            (true, End::HeaderOnly) => self.header != OnPages::Never,
            (true, End::LinkWithoutNext) => page == 1 && self.header != OnPages::Never,
            (true, _) => false,
            (false, _) => self.header == OnPages::Random && page == 1 || self.stands(self.header, &source, page, 2),
        };
        let damage = Damage {
            cut_record: self.oddities.contains(&Oddity::CutRecord(page)),
            open_quote: self.oddities.contains(&Oddity::OpenQuote(page)),
        };
        PageBody::new(source, range, bom, header, self.final_newline).damaged(damage)
    }

    /// How many pages a client has to read, by what their answers say.
    pub(super) fn pages_to_read(&self, page_size: u64) -> u64 {
        let (mut some, mut none) = (0, self.n_rows().saturating_add(1));
        while some + 1 < none {
            let page = some + (none - some) / 2;
            *if self.rows_on(page, page_size).is_empty() { &mut none } else { &mut some } = page;
        }
        match self.link {
            LinkStyle::EndsEarly(at) => some.min(at),
            _ => some,
        }
    }

    fn stands(&self, on: OnPages, source: &RowSource, page: u64, salt: u64) -> bool {
        match on {
            OnPages::Never => false,
            OnPages::First => page == 1,
            OnPages::Every => true,
            OnPages::Random => source.coin(page, salt),
        }
    }

    /// Whether the delivered file has a header. A result without rows shows one only where its kind of end does.
    pub(super) fn expects_header(&self) -> bool {
        self.header != OnPages::Never
            && (self.n_rows() > 0 || matches!(self.end, End::HeaderOnly | End::LinkWithoutNext))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use crate::model::Timestamp;

    use super::*;

    const WINDOW: Window = Window { from: Timestamp(1_704_067_200_000), to: Timestamp(1_706_745_599_999) };

    #[test]
    fn pages_of_any_cut_hold_every_row_once_and_in_order() {
        for page_sizes in [PageSizes::AsAsked, PageSizes::Varying, PageSizes::AtMost(7)] {
            for page_size in [1, 2, 3, 4, 10, 100] {
                let report = MockReport { page_sizes, ..MockReport::with_rows(1234) };
                let mut next = 0;
                let mut page = 1;
                while !report.rows_on(page, page_size).is_empty() {
                    let rows = report.rows_on(page, page_size);
                    assert_eq!(rows.start, next);
                    assert!(rows.end - rows.start <= page_size);
                    assert_eq!(report.is_last(page, page_size), rows.end == 1234);
                    next = rows.end;
                    page += 1;
                }
                assert_eq!((next, report.pages_to_read(page_size)), (1234, page - 1));
                assert!(report.rows_on(u64::MAX, page_size).is_empty() && report.is_last(u64::MAX, page_size));
            }
        }
    }

    #[test]
    fn nobody_has_to_read_beyond_the_page_that_is_said_to_be_the_last() {
        let pages = |rows, link| MockReport { link, ..MockReport::with_rows(rows) }.pages_to_read(10);
        assert_eq!([0, 1, 10, 11].map(|rows| pages(rows, LinkStyle::Proper)), [0, 1, 1, 2]);
        assert_eq!([50, 20].map(|rows| pages(rows, LinkStyle::EndsEarly(3))), [3, 2]);
    }

    #[test]
    fn no_two_pages_are_alike() {
        let report = MockReport { header: OnPages::First, ..MockReport::with_rows(3000) };
        let pages: HashSet<Vec<u8>> =
            (1..=300).map(|n| report.page(report.source(1, "t", WINDOW), n, 10).whole()).collect();
        assert_eq!(pages.len(), 300);
    }

    #[test]
    fn another_window_holds_other_rows() {
        let report = MockReport::with_rows(10);
        let later = Window { from: WINDOW.to, to: WINDOW.to.plus(std::time::Duration::from_secs(60)) };
        let page = |window| report.page(report.source(1, "t", window), 1, 10).whole();
        assert_ne!(page(WINDOW), page(later));
    }

    #[test]
    fn random_headers_and_marks_stand_on_some_pages_and_stay_there() {
        let report = MockReport { header: OnPages::Random, bom: OnPages::Random, ..MockReport::with_rows(400) };
        let page = |n| report.page(report.source(1, "t", WINDOW), n, 10).whole();
        let with_bom = (1..=40).filter(|&n| page(n).starts_with(b"\xEF\xBB\xBF")).count();
        let with_header = (1..=40).filter(|&n| String::from_utf8_lossy(&page(n)).contains("contactId")).count();
        assert!((5..35).contains(&with_bom) && (5..35).contains(&with_header));
        assert!(String::from_utf8_lossy(&page(1)).contains("contactId"));
        assert_eq!(page(9), page(9));
    }

    #[test]
    fn a_stale_count_is_off_and_never_below_zero() {
        assert_eq!(Count::Stale(-5).of(3), Some(0));
        assert_eq!(Count::Stale(5).of(3), Some(8));
        assert_eq!(Count::Absent.of(3), None);
    }
}
