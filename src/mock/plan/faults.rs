//! A plan's words for what goes wrong: fates of queries, rules and their faults, the wire.

use std::time::Duration;

use serde::Deserialize;

use crate::mock::fault::{Fault, FaultRule, Matcher};
use crate::mock::ledger::CallKind;
use crate::mock::query::Fate;
use crate::mock::wire::WireFault;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FateText {
    pub(super) query: Option<usize>,
    pub(super) then: FateKind,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum FateKind {
    Fails(String),
    NeverReady,
    UnknownWord(String),
    ExpiresAfterPages(u64),
    Flaps(u32),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rule {
    #[serde(default)]
    on: On,
    then: Then,
}

impl Rule {
    pub(super) fn read(self) -> FaultRule {
        FaultRule::new(self.on.read(), self.then.read())
    }
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
    Wire(WireText),
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum WireText {
    CutAt(u64),
    ResetAt(u64),
    Stall { at: u64, ms: u64 },
    Drip { from: u64, bytes: u64, every_ms: u64 },
    StopReadingMs(u64),
}

impl FateKind {
    pub(super) fn read(self) -> Fate {
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
            Self::Wire(wire) => Fault::Wire(wire.read()),
        }
    }
}

impl WireText {
    fn read(self) -> WireFault {
        let ms = Duration::from_millis;
        match self {
            Self::CutAt(at) => WireFault::CutAt(at),
            Self::ResetAt(at) => WireFault::ResetAt(at),
            Self::Stall { at, ms: time } => WireFault::StallAt(at, ms(time)),
            Self::Drip { from, bytes, every_ms } => WireFault::Drip { from, bytes, every: ms(every_ms) },
            Self::StopReadingMs(time) => WireFault::StopReading(ms(time)),
        }
    }
}
