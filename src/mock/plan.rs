//! A tenant's settings as text: the plan files of `cxtract mock`.
//!
//! JSON, read strictly (an unknown key is an error that names it) and laid over whatever the builder already holds.
//! Durations are milliseconds and say so in their names. Only what a person would write by hand is here; the builder
//! can do more.

use std::collections::HashMap;
use std::time::Duration;

use serde::Deserialize;

use super::builder::MockTenantBuilder;
use super::fault::{Fault, FaultRule, Matcher};
use super::ledger::CallKind;
use super::query::Fate;
use super::report::{Count, End, LinkStyle, MockReport, Newline, OnPages, PageSizes};
use super::settings::{Outage, OutageKind};

/// Why a plan can't be used; the text names line, key and what is known.
#[derive(Debug, thiserror::Error)]
#[error("the plan can't be read: {0}")]
pub struct PlanError(#[from] serde_json::Error);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Plan {
    seed: Option<u64>,
    requests_per_second: Option<f64>,
    latency_ms: Option<u64>,
    latency_spread_ms: Option<u64>,
    ready_after_ms: Option<u64>,
    token_life_ms: Option<u64>,
    block_ms: Option<u64>,
    max_open_queries: Option<usize>,
    default_report: Option<Report>,
    #[serde(default)]
    reports: HashMap<String, Report>,
    #[serde(default)]
    outages: Vec<OutageText>,
    #[serde(default)]
    fates: Vec<FateText>,
    #[serde(default)]
    faults: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Report {
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OutageText {
    from_ms: u64,
    to_ms: u64,
    #[serde(default)]
    unavailable: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FateText {
    query: Option<usize>,
    then: FateKind,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum FateKind {
    Fails(String),
    NeverReady,
    UnknownWord(String),
    ExpiresAfterPages(u64),
    Flaps(u32),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    #[serde(default)]
    on: On,
    then: Then,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct On {
    kind: Option<KindText>,
    page: Option<u64>,
    query: Option<usize>,
    template: Option<String>,
    after: u64,
    first: Option<u64>,
    each: bool,
    chance: Option<f64>,
    seed: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum KindText {
    Token,
    Submit,
    Status,
    Page,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Then {
    Status(u16),
    Wait { status: u16, seconds: u64 },
    Redirect(String),
    HtmlPage,
    NoAnswer,
    Reset,
    CutAt(u64),
    CutBeforeFinalChunk,
    ResetAt(u64),
    Stall { after: u64, ms: u64 },
    DelayMs(u64),
    Unframed,
    TwoLengths,
    BothLengths,
    HugeHead,
    ManyHeaders,
    Informational(u32),
    GzipCut,
    GzipBadCrc,
    GzipMultiMember,
    GzipBomb(u64),
    Br,
    ReplaceBody(String),
    ShortenBy(u64),
    SamePageAs(u64),
    OtherRows,
    OtherHeader(String),
    HeaderOnly,
    FlipByte(u64),
    ClosedIdle,
}

impl MockTenantBuilder {
    /// Lays a plan over what is set so far.
    pub fn plan(mut self, text: &str) -> Result<Self, PlanError> {
        let plan: Plan = serde_json::from_str(text)?;
        let ms = Duration::from_millis;
        self = self.with(plan.seed, Self::seed);
        self = self.with(plan.requests_per_second, Self::requests_per_second);
        self = self.with(plan.latency_ms.map(ms), Self::latency);
        self = self.with(plan.latency_spread_ms.map(ms), Self::latency_spread);
        self = self.with(plan.ready_after_ms.map(ms), Self::ready_after);
        self = self.with(plan.token_life_ms.map(ms), Self::token_life);
        self = self.with(plan.block_ms.map(ms), Self::block_for);
        self = self.with(plan.max_open_queries, Self::max_open_queries);
        self = self.with(plan.default_report.map(Report::read), Self::default_report);
        for (template, report) in plan.reports {
            self = self.report(&template, report.read());
        }
        for outage in plan.outages {
            let kind = if outage.unavailable { OutageKind::Unavailable } else { OutageKind::Reset };
            self = self.outage(Outage { from: ms(outage.from_ms), to: ms(outage.to_ms), kind });
        }
        for fate in plan.fates {
            let then = fate.then.read();
            self = match fate.query {
                Some(nth) => self.fate(nth, then),
                None => self.every_fate(then),
            };
        }
        for rule in plan.faults {
            self = self.fault(FaultRule::new(rule.on.read(), rule.then.read()));
        }
        Ok(self)
    }

    fn with<T>(self, value: Option<T>, set: impl FnOnce(Self, T) -> Self) -> Self {
        match value {
            Some(value) => set(self, value),
            None => self,
        }
    }
}

impl Report {
    fn read(self) -> MockReport {
        let usual = MockReport::default();
        MockReport {
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

impl FateKind {
    fn read(self) -> Fate {
        match self {
            Self::Fails(message) => Fate::Fails(message),
            Self::NeverReady => Fate::NeverReady,
            Self::UnknownWord(word) => Fate::UnknownWord(word),
            Self::ExpiresAfterPages(pages) => Fate::ExpiresAfterPages(pages),
            Self::Flaps(times) => Fate::Flaps(times),
        }
    }
}

impl On {
    fn read(self) -> Matcher {
        let mut on = match (self.page, self.kind) {
            (Some(page), _) => Matcher::page(page),
            (None, None) => Matcher::any(),
            (None, Some(KindText::Token)) => Matcher::kind(CallKind::Token),
            (None, Some(KindText::Submit)) => Matcher::kind(CallKind::Submit),
            (None, Some(KindText::Status)) => Matcher::kind(CallKind::Status),
            (None, Some(KindText::Page)) => Matcher::pages(),
        };
        on = on.matches(self.after..self.first.map_or(u64::MAX, |n| self.after.saturating_add(n)));
        if let Some(nth) = self.query {
            on = on.of_query(nth);
        }
        if let Some(template) = &self.template {
            on = on.of_template(template);
        }
        if self.each {
            on = on.each();
        }
        on.by_chance(self.chance.unwrap_or(1.0), self.seed)
    }
}

impl Then {
    fn read(self) -> Fault {
        match self {
            Self::Status(code) => Fault::status(code),
            Self::Wait { status, seconds } => Fault::told_to_wait(status, seconds),
            Self::Redirect(to) => Fault::Redirect { to },
            Self::HtmlPage => Fault::WrongContentType,
            Self::NoAnswer => Fault::NoAnswer,
            Self::Reset => Fault::Reset,
            Self::CutAt(at) => Fault::CutAt(at),
            Self::CutBeforeFinalChunk => Fault::CutBeforeFinalChunk,
            Self::ResetAt(at) => Fault::ResetAt(at),
            Self::Stall { after, ms } => Fault::StallAfter(after, Duration::from_millis(ms)),
            Self::DelayMs(ms) => Fault::Delay(Duration::from_millis(ms)),
            Self::Unframed => Fault::Unframed,
            Self::TwoLengths => Fault::TwoLengths,
            Self::BothLengths => Fault::BothLengths,
            Self::HugeHead => Fault::HugeHead,
            Self::ManyHeaders => Fault::ManyHeaders,
            Self::Informational(n) => Fault::Informational(n),
            Self::GzipCut => Fault::GzipCut,
            Self::GzipBadCrc => Fault::GzipBadCrc,
            Self::GzipMultiMember => Fault::GzipMultiMember,
            Self::GzipBomb(bytes) => Fault::GzipBomb(bytes),
            Self::Br => Fault::Br,
            Self::ReplaceBody(text) => Fault::ReplaceBody(text.into()),
            Self::ShortenBy(bytes) => Fault::ShortenBy(bytes),
            Self::SamePageAs(page) => Fault::SamePageAs(page),
            Self::OtherRows => Fault::OtherRows,
            Self::OtherHeader(text) => Fault::OtherHeader(text),
            Self::HeaderOnly => Fault::HeaderOnly,
            Self::FlipByte(at) => Fault::FlipByte(at),
            Self::ClosedIdle => Fault::ClosedIdle,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{MockRequest, MockTenant};
    use super::*;

    #[test]
    fn a_plan_sets_reports_limits_and_faults() {
        let plan = r#"{
            "seed": 7, "requests_per_second": 2, "latency_ms": 30,
            "reports": {"detail": {"rows": 12, "header": "first", "end": "not_found", "total_count": {"stale": -2},
                                   "page_sizes": {"at_most": 5}, "link": {"ends_early": 2}}},
            "fates": [{"query": 1, "then": {"fails": "no licence"}}],
            "outages": [{"from_ms": 5000, "to_ms": 6000, "unavailable": true}],
            "faults": [{"on": {"kind": "token", "first": 1}, "then": {"wait": {"status": 503, "seconds": 2}}},
                       {"on": {"page": 2, "each": true, "first": 1}, "then": "reset"}]
        }"#;
        let mut tenant = MockTenant::builder().plan(plan).unwrap().build();
        let form = MockRequest::post("/oauth2/token", "application/x-www-form-urlencoded", "grant_type=x");
        let script = tenant.answer(&form, Duration::ZERO);
        assert_eq!((script.status, script.header("Retry-After")), (503, Some("2")));
        assert_eq!(script.delay, Duration::from_millis(30));
        assert_eq!(tenant.answer(&form, Duration::from_millis(5500)).status, 503);
        assert_eq!(tenant.answer(&form, Duration::from_millis(6500)).status, 401);
        assert_eq!(tenant.settings.report("detail").unwrap().page_sizes, PageSizes::AtMost(5));
        assert_eq!(tenant.settings.fates[&1], Fate::Fails("no licence".into()));
    }

    #[test]
    fn an_unknown_key_is_named() {
        let error = MockTenant::builder().plan(r#"{"rows": 5}"#).unwrap_err();
        assert!(error.to_string().contains("`rows`"), "{error}");
        assert!(MockTenant::builder().plan(r#"{"faults": [{"then": "explode"}]}"#).is_err());
    }
}
