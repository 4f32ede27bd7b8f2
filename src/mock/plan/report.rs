//! A plan's words for reports: what their pages look like and how they end.

use serde::Deserialize;

use crate::mock::report::{Count, End, LinkStyle, MockReport, Newline, OnPages, PageSizes};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Report {
    rows: Option<u64>,
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
    raw_newline_every: Option<u64>,
    flaw_every: Option<u64>,
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
    EndsEarly(u64),
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
    AtMost(u64),
}

impl Report {
    pub(super) fn read(self) -> MockReport {
        let usual = MockReport::default();
        MockReport {
            data: usual.data,
            rows: self.rows.unwrap_or(usual.rows),
            header: self.header.map_or(usual.header, Where::read),
            bom: self.bom.map_or(usual.bom, Where::read),
            newline: if self.crlf == Some(true) { Newline::CrLf } else { Newline::Lf },
            final_newline: self.final_newline.unwrap_or(usual.final_newline),
            total_count: self.total_count.map_or(usual.total_count, CountText::read),
            total_rows: self.total_rows.map_or(usual.total_rows, CountText::read),
            link: match self.link {
                None | Some(LinkText::Absent) => LinkStyle::Absent,
                Some(LinkText::Proper) => LinkStyle::Proper,
                Some(LinkText::EndsEarly(page)) => LinkStyle::EndsEarly(page),
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
                Some(SizesText::AtMost(rows)) => PageSizes::AtMost(rows),
            },
            chunked: self.chunked.unwrap_or(usual.chunked),
            gzip: self.gzip.unwrap_or(usual.gzip),
            raw_newline_every: self.raw_newline_every,
            flaw_every: self.flaw_every,
            oddities: Vec::new(),
        }
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
