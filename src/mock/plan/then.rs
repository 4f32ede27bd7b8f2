//! A plan's words for what a rule does to the calls it meets.
//!
//! Each word is one kind of fault, and its value is the least that it needs.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::mock::fault::Fault;
use crate::mock::wire::WireFault;

use super::faults::Number;
use super::limits::RetryAfterText;
use super::words::{Hints, Line, LineName, Portion, Size, Status, Texts, Time, WaitStatus};

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Then {
    Status(Status),
    Answer(AnswerText),
    Wait(WaitText),
    Redirect(Line),
    HtmlPage,
    NoAnswer,
    Reset,
    CutAt(Size),
    CutBeforeFinalChunk,
    ResetAt(Size),
    Stall(StallText),
    DripHead(Time),
    DripBody(DripBodyText),
    Delay(Time),
    Unframed,
    TwoLengths,
    BothLengths,
    WrongLength(i64),
    HugeHead,
    ManyHeaders,
    Informational(Hints),
    Header(HeaderText),
    Untyped,
    GzipCut,
    GzipBadCrc,
    GzipMultiMember,
    GzipBomb(Size),
    Br,
    EmptyBody,
    ReplaceBody(String),
    ShortenBy(Size),
    SamePageAs(Number),
    OtherRows,
    OtherHeader(String),
    HeaderOnly,
    FlipByte(Size),
    ClosedIdle,
    Wire(WireText),
}

/// Another answer, spelled out.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AnswerText {
    status: Status,
    /// A list of texts is as many lines of that name.
    #[serde(default)]
    headers: BTreeMap<LineName, Texts>,
    #[serde(default)]
    body: String,
}

/// An answer that tells to wait, in the tenant's form or another one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WaitText {
    #[serde(default)]
    status: WaitStatus,
    #[serde(rename = "for")]
    wait: Time,
    told_as: Option<RetryAfterText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HeaderText {
    name: LineName,
    value: Line,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StallText {
    at: Size,
    #[serde(rename = "for")]
    time: Time,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DripBodyText {
    bytes: Portion,
    every: Time,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DripText {
    from: Size,
    bytes: Portion,
    every: Time,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum WireText {
    CutAt(Size),
    ResetAt(Size),
    Stall(StallText),
    Drip(DripText),
    StopReading(Time),
}

impl Then {
    /// The word, if it changes what pages hold, and so does nothing to any other answer.
    pub(super) fn of_pages_alone(&self) -> Option<&'static str> {
        match self {
            Self::SamePageAs(_) => Some("same_page_as"),
            Self::OtherRows => Some("other_rows"),
            Self::OtherHeader(_) => Some("other_header"),
            Self::HeaderOnly => Some("header_only"),
            _ => None,
        }
    }

    pub(super) fn read(self) -> Fault {
        match self {
            Self::Status(Status(code)) => Fault::status(code),
            Self::Answer(answer) => answer.read(),
            Self::Wait(WaitText { status: WaitStatus(code), wait: Time(wait), told_as }) => {
                Fault::Wait { code, wait, form: told_as.map(RetryAfterText::read) }
            }
            Self::Redirect(Line(to)) => Fault::Redirect { to },
            Self::HtmlPage => Fault::WrongContentType,
            Self::NoAnswer => Fault::NoAnswer,
            Self::Reset => Fault::Reset,
            Self::CutAt(Size(at)) => Fault::CutAt(at),
            Self::CutBeforeFinalChunk => Fault::CutBeforeFinalChunk,
            Self::ResetAt(Size(at)) => Fault::ResetAt(at),
            Self::Stall(StallText { at: Size(at), time: Time(time) }) => Fault::StallAfter(at, time),
            Self::DripHead(Time(pause)) => Fault::DripHead(pause),
            Self::DripBody(DripBodyText { bytes: Portion(bytes), every: Time(every) }) => Fault::DripBody(bytes, every),
            Self::Delay(Time(by)) => Fault::Delay(by),
            Self::Unframed => Fault::Unframed,
            Self::TwoLengths => Fault::TwoLengths,
            Self::BothLengths => Fault::BothLengths,
            Self::WrongLength(by) => Fault::WrongLength(by),
            Self::HugeHead => Fault::HugeHead,
            Self::ManyHeaders => Fault::ManyHeaders,
            Self::Informational(Hints(n)) => Fault::Informational(n),
            Self::Header(HeaderText { name: LineName(name), value: Line(value) }) => Fault::Header(name, value),
            Self::Untyped => Fault::Untyped,
            Self::GzipCut => Fault::GzipCut,
            Self::GzipBadCrc => Fault::GzipBadCrc,
            Self::GzipMultiMember => Fault::GzipMultiMember,
            Self::GzipBomb(Size(bytes)) => Fault::GzipBomb(bytes),
            Self::Br => Fault::Br,
            Self::EmptyBody => Fault::ReplaceBody(bytes::Bytes::new()),
            Self::ReplaceBody(text) => Fault::ReplaceBody(text.into()),
            Self::ShortenBy(Size(bytes)) => Fault::ShortenBy(bytes),
            Self::SamePageAs(Number(page)) => Fault::SamePageAs(page),
            Self::OtherRows => Fault::OtherRows,
            Self::OtherHeader(text) => Fault::OtherHeader(text),
            Self::HeaderOnly => Fault::HeaderOnly,
            Self::FlipByte(Size(at)) => Fault::FlipByte(at),
            Self::ClosedIdle => Fault::ClosedIdle,
            Self::Wire(wire) => Fault::Wire(wire.read()),
        }
    }
}

impl AnswerText {
    fn read(self) -> Fault {
        let lines = |(LineName(name), Texts(values)): (LineName, Texts)| {
            values.into_iter().map(move |value| (name.clone(), value))
        };
        Fault::Status {
            code: self.status.0,
            headers: self.headers.into_iter().flat_map(lines).collect(),
            body: self.body,
        }
    }
}

impl WireText {
    fn read(self) -> WireFault {
        match self {
            Self::CutAt(Size(at)) => WireFault::CutAt(at),
            Self::ResetAt(Size(at)) => WireFault::ResetAt(at),
            Self::Stall(StallText { at: Size(at), time: Time(time) }) => WireFault::StallAt(at, time),
            Self::Drip(DripText { from: Size(from), bytes: Portion(bytes), every: Time(every) }) => {
                WireFault::Drip { from, bytes, every }
            }
            Self::StopReading(Time(time)) => WireFault::StopReading(time),
        }
    }
}
