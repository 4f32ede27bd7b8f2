//! A plan's words for reports: what their rows are, what their pages look like and how they end.
//!
//! Every key is optional: what is not written is as in [`MockReport::default`], of a file all of its rows are served. What
//! can't be had together is an error at the line that asks for it.

use std::path::Path;

use serde::Deserialize;
use serde_saphyr::Spanned;

use crate::mock::Oddity;
use crate::mock::data::DataSet;
use crate::mock::report::{Count, End, LinkStyle, MockReport, Newline, OnPages, PageSizes};

use super::columns::ColumnsText;
use super::error::PlanError;
use super::faults::Number;
use super::words::{Amount, Positive, Size};

/// A field longer than this is no longer made in memory with a good conscience.
const MOST_FIELD_BYTES: u64 = 1 << 30;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Report {
    columns: Option<Spanned<ColumnsText>>,
    file: Option<Spanned<String>>,
    rows: Option<Amount>,
    header: Option<Where>,
    bom: Option<Where>,
    crlf: Option<bool>,
    final_newline: Option<bool>,
    total_count: Option<CountText>,
    total_rows: Option<CountText>,
    link: Option<LinkText>,
    end: Option<EndText>,
    page_sizes: Option<SizesText>,
    chunked: Option<bool>,
    gzip: Option<bool>,
    raw_newline_every: Option<Positive>,
    flaw_every: Option<Positive>,
    invalid_utf8_every: Option<Positive>,
    latin1_every: Option<Positive>,
    utf16_every: Option<Positive>,
    nul_every: Option<Positive>,
    lone_cr_every: Option<Positive>,
    huge_field: Option<HugeText>,
    cut_record_on: Option<Spanned<Positive>>,
    open_quote_on: Option<Spanned<Positive>>,
}

/// One field of that size, in that row (from 1).
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HugeText {
    row: Spanned<Positive>,
    size: Spanned<Size>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Where {
    Never,
    First,
    Every,
    Random,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum CountText {
    Right,
    Absent,
    Stale(i64),
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum LinkText {
    Absent,
    Proper,
    EndsEarly(Number),
    Looping,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum EndText {
    EmptyBody,
    HeaderOnly,
    NotFound,
    LinkWithoutNext,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum SizesText {
    AsAsked,
    Varying,
    AtMost(Positive),
}

impl Report {
    /// The report. A file stands in `folder`.
    pub(super) fn read(self, folder: &Path) -> Result<MockReport, PlanError> {
        let oddities = self.oddities()?;
        let at = |place: &Spanned<Positive>| (place.value.0, place.referenced);
        let huge_row = self.huge_field.as_ref().map(|huge| ("`huge_field` is in row", at(&huge.row)));
        let cut_page = self.cut_record_on.as_ref().map(|page| ("`cut_record_on` is page", at(page)));
        let open_page = self.open_quote_on.as_ref().map(|page| ("`open_quote_on` is page", at(page)));
        let place = self.file.as_ref().map(|file| file.referenced).or(self.columns.as_ref().map(|c| c.referenced));
        let usual = match (self.file, self.columns) {
            (Some(file), Some(_)) => {
                return Err(PlanError::at(file.referenced, "`file` and `columns` exclude each other: leave one out"));
            }
            (Some(file), None) if self.crlf.is_some() => {
                let what = "`crlf` has no meaning beside `file`: its records end as they do there";
                return Err(PlanError::at(file.referenced, what));
            }
            (Some(file), None) => MockReport::of_file(folder.join(&file.value))
                .map_err(|error| PlanError::at(file.referenced, error.to_string()))?,
            (None, Some(columns)) => MockReport { data: DataSet::Columns(columns.value.0), ..MockReport::default() },
            (None, None) => MockReport::default(),
        };
        let report = MockReport {
            rows: self.rows.map_or(usual.rows, |Amount(rows)| rows),
            header: self.header.map_or(usual.header, Where::read),
            bom: self.bom.map_or(usual.bom, Where::read),
            newline: if self.crlf == Some(true) { Newline::CrLf } else { Newline::Lf },
            final_newline: self.final_newline.unwrap_or(usual.final_newline),
            total_count: self.total_count.map_or(usual.total_count, CountText::read),
            total_rows: self.total_rows.map_or(usual.total_rows, CountText::read),
            link: match self.link {
                None | Some(LinkText::Absent) => LinkStyle::Absent,
                Some(LinkText::Proper) => LinkStyle::Proper,
                Some(LinkText::EndsEarly(Number(page))) => LinkStyle::EndsEarly(page),
                Some(LinkText::Looping) => LinkStyle::Looping,
            },
            end: match self.end {
                None | Some(EndText::EmptyBody) => End::EmptyBody,
                Some(EndText::HeaderOnly) => End::HeaderOnly,
                Some(EndText::NotFound) => End::NotFound404,
                Some(EndText::LinkWithoutNext) => End::LinkWithoutNext,
            },
            page_sizes: match self.page_sizes {
                None | Some(SizesText::AsAsked) => PageSizes::AsAsked,
                Some(SizesText::Varying) => PageSizes::Varying,
                Some(SizesText::AtMost(Positive(rows))) => PageSizes::AtMost(rows),
            },
            chunked: self.chunked.unwrap_or(usual.chunked),
            gzip: self.gzip.unwrap_or(usual.gzip),
            raw_newline_every: self.raw_newline_every.map(|Positive(rows)| rows),
            flaw_every: self.flaw_every.map(|Positive(rows)| rows),
            oddities,
            data: usual.data,
        };
        report.check().map_err(|error| match place {
            Some(place) => PlanError::at(place, error.to_string()),
            None => PlanError::new(error.to_string()),
        })?;
        // Each page has a row at least.
        let all = [huge_row, cut_page, open_page];
        match all.into_iter().flatten().find(|(_, (nth, _))| *nth > report.n_rows()) {
            Some((what, (nth, place))) => {
                let rows = report.n_rows();
                let remedy = "write one that there is, or more `rows`";
                Err(PlanError::at(place, format!("{what} {nth}, and there are {rows} rows: {remedy}")))
            }
            None => Ok(report),
        }
    }

    fn oddities(&self) -> Result<Vec<Oddity>, PlanError> {
        let one = |at: Option<Positive>, oddity: fn(u64) -> Oddity| at.map(|Positive(n)| oddity(n));
        let huge = match &self.huge_field {
            Some(huge) if huge.size.value.0 > MOST_FIELD_BYTES => {
                return Err(PlanError::at(huge.size.referenced, "`size` of a huge field is 1GiB at most"));
            }
            Some(huge) => Some(Oddity::HugeField { row: huge.row.value.0, bytes: huge.size.value.0 }),
            None => None,
        };
        let asked = [
            one(self.invalid_utf8_every, Oddity::InvalidUtf8),
            one(self.latin1_every, Oddity::Latin1),
            one(self.utf16_every, Oddity::Utf16),
            one(self.nul_every, Oddity::Nul),
            one(self.lone_cr_every, Oddity::LoneCr),
            huge,
            one(self.cut_record_on.as_ref().map(|page| page.value), Oddity::CutRecord),
            one(self.open_quote_on.as_ref().map(|page| page.value), Oddity::OpenQuote),
        ];
        Ok(asked.into_iter().flatten().collect())
    }
}

impl Where {
    fn read(self) -> OnPages {
        match self {
            Self::Never => OnPages::Never,
            Self::First => OnPages::First,
            Self::Every => OnPages::Every,
            Self::Random => OnPages::Random,
        }
    }
}

impl CountText {
    fn read(self) -> Count {
        match self {
            Self::Right => Count::Right,
            Self::Absent => Count::Absent,
            Self::Stale(by) => Count::Stale(by),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::MockPlan;
    use super::*;

    fn report(text: &str, folder: &Path) -> Result<MockReport, String> {
        let text = format!("default_report:\n{text}");
        let plan = MockPlan::parse(&text, folder).map_err(|error| error.to_string())?;
        Ok(plan.tenants[0].1.clone().build().settings.report("any").unwrap().clone())
    }

    fn here(text: &str) -> Result<MockReport, String> {
        report(text, Path::new("."))
    }

    #[test]
    fn a_report_is_described_by_its_columns() {
        let text = "  rows: 2k\n  columns:\n    - contactId: {id: {start: 100000000000}}\n    - agent: agent\n    - when: timestamp";
        let report = here(text).unwrap();
        assert_eq!(report.rows, 2000);
        assert!(matches!(&report.data, DataSet::Columns(columns) if columns.count() == 3));
    }

    #[test]
    fn a_file_stands_in_the_plans_folder_and_rows_cap_it() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("calls.csv"), "a,b\n1,2\n3,4\n").unwrap();
        assert_eq!(report("  file: calls.csv", folder.path()).unwrap().rows, 2);
        assert_eq!(report("  {file: calls.csv, rows: 1}", folder.path()).unwrap().rows, 1);
        let missing = report("  rows: 5\n  file: other.csv", folder.path()).unwrap_err();
        let path = folder.path().join("other.csv");
        assert!(missing.contains("line 3") && missing.contains(path.to_str().unwrap()), "{missing}");
    }

    #[test]
    fn oddities_are_asked_for_by_keys_of_their_own() {
        let text = "  {invalid_utf8_every: 7, latin1_every: 8, utf16_every: 9, nul_every: 10, lone_cr_every: 11, \
                    huge_field: {row: 5, size: 20MiB}, cut_record_on: 3, open_quote_on: 4}";
        assert_eq!(
            here(text).unwrap().oddities,
            [
                Oddity::InvalidUtf8(7),
                Oddity::Latin1(8),
                Oddity::Utf16(9),
                Oddity::Nul(10),
                Oddity::LoneCr(11),
                Oddity::HugeField { row: 5, bytes: 20 << 20 },
                Oddity::CutRecord(3),
                Oddity::OpenQuote(4),
            ]
        );
    }

    #[test]
    fn what_can_not_be_had_together_is_refused_at_its_line() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("calls.csv"), "a,b\n1,2\n").unwrap();
        for (text, line, part) in [
            ("  file: calls.csv\n  columns: [{id: uuid}]", 2, "exclude each other"),
            ("  file: calls.csv\n  crlf: true", 2, "`crlf`"),
            ("  nul_every: 3\n  file: calls.csv", 3, "leave out flaw_every"),
            ("  rows: 5\n  columns: [{id: uuid}]\n  flaw_every: 3", 3, "three columns"),
            ("  columns:\n    - agent: agent\n", 3, "alike"),
            ("  flaw_every: 0", 2, "`0` is not a whole number of 1 or more"),
            ("  huge_field: {row: 1, size: 2GiB}", 2, "1GiB"),
        ] {
            let error = report(text, folder.path()).unwrap_err();
            assert!(error.contains(part) && error.contains(&format!("line {line}")), "{error}");
        }
    }
}
