//! The ledger as JSON lines, a call each, in the order in which they were decided.
//!
//! It is told in pieces: the lock is taken for some calls at a time and never while bytes move, so that a long ledger
//! holds up nobody's call. It ends with the call that was the last one when it was asked for.

use std::io;

use serde::Serialize;
use tokio::io::AsyncWrite;

use crate::mock::house::Resident;
use crate::mock::ledger::{CallKind, LedgerEntry, Refused};

use super::answer::Pieces;

/// Calls that are copied under the lock at a time.
const CALLS_AT_ONCE: usize = 512;

/// A call, in the words of `GET /__mock/ledger`.
#[derive(Serialize)]
struct Line<'a> {
    /// Its place among all calls, from 0.
    nth: usize,
    at_ms: f64,
    kind: &'static str,
    path: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    query: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<u64>,
    /// 0 where no answer was sent.
    status: u16,
    /// Absent while the answer is under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    took_ms: Option<f64>,
    bytes: u64,
    rows: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<&'static str>,
    told_to_wait: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<u64>,
    dead_token: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    template: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<String>,
    broke_off: bool,
    faulted: bool,
}

/// Milliseconds, to the microsecond.
pub(super) fn ms(time: std::time::Duration) -> f64 {
    time.as_micros() as f64 / 1000.0
}

impl<'a> Line<'a> {
    fn of(nth: usize, call: &'a LedgerEntry) -> Self {
        let asked = call.asked.as_deref();
        Self {
            nth,
            at_ms: ms(call.at),
            kind: match call.kind {
                CallKind::Token => "token",
                CallKind::Submit => "submit",
                CallKind::Status => "status",
                CallKind::Page => "page",
                CallKind::Other => "other",
            },
            path: &call.path,
            query: call.query.as_deref(),
            page: call.page,
            status: call.status,
            took_ms: call.ended.map(|ended| ms(ended.saturating_sub(call.at))),
            bytes: call.bytes,
            rows: call.rows,
            refused: call.refused.map(|why| match why {
                Refused::TooFast => "too_fast",
                Refused::Waiting => "waiting",
                Refused::OpenQueries => "open_queries",
            }),
            told_to_wait: call.told_to_wait,
            token: call.generation,
            dead_token: call.dead_token,
            template: asked.map(|asked| asked.template.as_str()),
            from: asked.map(|asked| asked.window.from.to_string()),
            to: asked.map(|asked| asked.window.to.to_string()),
            broke_off: call.broke_off,
            faulted: call.faulted,
        }
    }
}

/// Tells a tenant's ledger.
pub(super) async fn send<S: AsyncWrite + Unpin>(stream: &mut S, resident: &Resident, last: bool) -> io::Result<()> {
    let mut pieces = Pieces::begin(stream, "application/x-ndjson", last).await?;
    let end = resident.tenant.lock().ledger().next_place();
    let (mut next, mut text) = (0, Vec::new());
    while next < end {
        let calls = {
            let tenant = resident.tenant.lock();
            let (from, calls) = tenant.ledger().calls_from(next, CALLS_AT_ONCE.min(end - next));
            next = from;
            calls.to_vec()
        };
        if calls.is_empty() {
            // It was told to forget meanwhile.
            break;
        }
        for call in calls.iter().take(end - next.min(end)) {
            serde_json::to_writer(&mut text, &Line::of(next, call))?;
            text.push(b'\n');
            next += 1;
        }
        pieces.piece(&text).await?;
        text.clear();
    }
    pieces.end().await
}
