//! Turns a fault into a change of the script.
//!
//! Some faults stand in for the answer before anything is done; the others damage an answer that was honestly made.

use bytes::Bytes;

use super::fault::Fault;
use super::script::{BodyPlan, Framing, Script, StreamFault, gzip_member};

const HUGE_LINE_BYTES: usize = 129 * 1024;
const MANY_LINES: usize = 97;

const LOGIN_PAGE: &str = "<!DOCTYPE html>\n<html><head><title>Sign in</title></head>\n<body><form action=\"/login\" \
method=\"post\"><input name=\"user\"><input name=\"password\" type=\"password\"></form></body></html>\n";

/// The answer that stands in for the honest one, if the fault is of that kind.
pub(super) fn instead(fault: &Fault) -> Option<Script> {
    match fault {
        Fault::Status { code, headers, body } => {
            let content_type = if body.is_empty() { "" } else { "application/json" };
            let mut script = Script::new(*code, content_type, body.clone());
            script.headers.extend(headers.iter().cloned());
            Some(script)
        }
        Fault::Redirect { to } => {
            let mut script = Script::new(302, "", Bytes::new());
            script.set("Location", to);
            Some(script)
        }
        Fault::WrongContentType => Some(Script::new(200, "text/html; charset=utf-8", LOGIN_PAGE)),
        _ => None,
    }
}

/// Damages an answer. Faults that stand in for one leave it alone.
pub(super) fn mangle(script: &mut Script, fault: Fault) {
    match fault {
        // Already in the answer: it was made by them.
        Fault::Status { .. } | Fault::Wait { .. } | Fault::Redirect { .. } | Fault::WrongContentType => {}
        Fault::SamePageAs(_) | Fault::OtherRows => {}
        Fault::NoAnswer => script.fault = Some(StreamFault::NoAnswer),
        Fault::Reset => script.fault = Some(StreamFault::Reset),
        Fault::CutAt(at) => script.fault = Some(StreamFault::CutAt(at)),
        Fault::CutBeforeFinalChunk => {
            script.framing = Framing::Chunked;
            script.fault = Some(StreamFault::CutBeforeFinalChunk);
        }
        Fault::ResetAt(at) => script.fault = Some(StreamFault::ResetAt(at)),
        Fault::StallAfter(at, pause) => script.fault = Some(StreamFault::StallAfter(at, pause)),
        Fault::DripHead(pause) => script.fault = Some(StreamFault::DripHead(pause)),
        Fault::DripBody(bytes, pause) => script.fault = Some(StreamFault::DripBody(bytes, pause)),
        Fault::FlipByte(at) => script.fault = Some(StreamFault::FlipByte(at)),
        Fault::Delay(by) => script.delay += by,
        Fault::Unframed => script.framing = Framing::None,
        Fault::BothLengths => script.framing = Framing::Both,
        Fault::TwoLengths => script.framing = Framing::TwoLengths,
        Fault::WrongLength(by) => script.framing = Framing::WrongLength(by),
        Fault::Informational(n) => script.informational = n,
        Fault::HugeHead => script.set("X-Filler", &"f".repeat(HUGE_LINE_BYTES)),
        Fault::ManyHeaders => (0..MANY_LINES).for_each(|n| script.set(&format!("X-Filler-{n}"), "f")),
        Fault::Header(name, value) => script.set(&name, &value),
        Fault::Untyped => script.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("Content-Type")),
        Fault::GzipCut => coded(script, |plain| {
            let mut bytes = gzip_member(plain);
            // The trailer alone is 8 bytes: a cut of 12 takes some of the data as well.
            bytes.truncate(bytes.len().saturating_sub(12));
            bytes
        }),
        Fault::GzipBadCrc => coded(script, |plain| {
            let mut bytes = gzip_member(plain);
            let crc = bytes.len() - 8;
            bytes[crc] ^= 0xFF;
            bytes
        }),
        Fault::GzipMultiMember => coded(script, |plain| {
            let (first, second) = plain.split_at(plain.len() / 2);
            [gzip_member(first), gzip_member(second)].concat()
        }),
        Fault::GzipBomb(n) => {
            script.body = BodyPlan::Filler(n);
            script.gzip = true;
        }
        Fault::Br => {
            script.gzip = false;
            script.set("Content-Encoding", "br");
        }
        Fault::ReplaceBody(bytes) => script.body = BodyPlan::Bytes(bytes),
        Fault::ShortenBy(n) => {
            let mut bytes = script.body.whole();
            bytes.truncate(bytes.len().saturating_sub(n as usize));
            script.body = BodyPlan::Bytes(bytes.into());
        }
        Fault::OtherHeader(header) => {
            if let BodyPlan::Generated(page) = &script.body {
                script.body = BodyPlan::Generated(page.under_header(&header));
            }
        }
        Fault::HeaderOnly => {
            if let BodyPlan::Generated(page) = &script.body {
                script.body = BodyPlan::Generated(page.header_only());
            }
        }
        Fault::ClosedIdle => script.close_after = true,
        Fault::Wire(wire) => script.wire = Some(wire),
    }
}

fn coded(script: &mut Script, code: impl FnOnce(&[u8]) -> Vec<u8>) {
    script.body = BodyPlan::Bytes(code(&script.body.whole()).into());
    script.gzip = false;
    script.set("Content-Encoding", "gzip");
}
