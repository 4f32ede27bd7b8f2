//! What each row of the table of faults must come to.

use std::time::Duration;

use cxtract::mock::{Framing, Script, StreamFault};

use super::visit::{Visit, text_of};

const S: fn(u64) -> Duration = Duration::from_secs;

fn has(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

fn lines(script: &Script, name: &str) -> Vec<String> {
    script.headers.iter().filter(|(n, _)| n == name).map(|(_, value)| value.clone()).collect()
}

/// Whether there is a check for that row; panics if what it says is not so.
pub fn check(id: &str, mut v: Visit) -> bool {
    let met = match id {
        "N2" => v.tenant.refuses_connections(S(29)) && !v.tenant.refuses_connections(S(30)),
        "N3" => v.page(2).fault == Some(StreamFault::ResetAt(100)),
        "N4" => {
            let page = v.page(2);
            page.fault == Some(StreamFault::CutAt(100)) && page.framing == Framing::ContentLength
        }
        "N5" => v.page(2).fault == Some(StreamFault::CutBeforeFinalChunk),
        "N6" => v.page(2).fault == Some(StreamFault::StallAfter(100, S(300))),
        "N7" => v.page(2).fault == Some(StreamFault::DripHead(S(2))),
        "N9" => v.page(2).fault == Some(StreamFault::CutAt(100)),
        "N10" => {
            v.submit();
            v.now = S(120);
            let page = v.page(1);
            page.status_sent() == 0 && page.delay == S(1740)
        }
        "N11" => v.page(2).fault == Some(StreamFault::FlipByte(50)),
        "N12" => v.page(1).close_after,
        "H1" => lines(&v.page(2), "Retry-After") == ["20"],
        "H2" => {
            // It started at midnight, and is an hour ahead.
            let page = v.page(2);
            page.header("Retry-After") == Some("Thu, 01 Feb 2024 01:00:23 GMT")
                && page.header("Date") == Some("Thu, 01 Feb 2024 01:00:03 GMT")
        }
        "H3" => lines(&v.page(2), "Retry-After") == ["-5", "1.5", "1180591620717411303424", "soon"],
        "H4" => v.page(2).status == 429 && lines(&v.page(2), "Retry-After").is_empty(),
        "H5" => {
            let n_failed = (1..=50).filter(|&page| v.page(page).status == 502).count();
            (5..25).contains(&n_failed)
        }
        "H6" => {
            let page = v.page(2);
            page.status == 200 && page.header("Content-Type").is_some_and(|kind| kind.starts_with("text/html"))
        }
        "H7" => v.submit().status == 403,
        "H8" => v.page(2).header("Location") == Some("https://elsewhere.example/"),
        "H9" => v.page(2).framing == Framing::None,
        "H10" => v.page(2).framing == Framing::TwoLengths,
        "H11" => v.page(2).headers.iter().any(|(_, value)| value.len() > 128 * 1024),
        "H12" => v.page(2).gzip,
        "O1" => {
            v.page(1);
            v.now = S(30);
            v.page(1).status == 401
        }
        "O2" => v.token().status == 503,
        "O3" => text_of(&v.token(), "error").as_deref() == Some("invalid_client"),
        "O4" => v.page(1).status == 401,
        "O5" => !has(&v.token().body_bytes(), b"expires_in"),
        "O6" => has(&v.token().body_bytes(), b"\"expires_in\":5"),
        "O7" => {
            let refresh = text_of(&v.token(), "refresh_token").unwrap();
            let renew = format!("grant_type=refresh_token&refresh_token={refresh}");
            [v.token_with(&renew).status, v.token_with(&renew).status] == [200, 400]
        }
        "O8" => text_of(&v.token(), "access_token").as_deref() == Some("a\r\nb"),
        "T1" => v.word() == "failed" && text_of(&v.status(), "errorMessage").as_deref() == Some("out of memory"),
        "T2" => v.word() == "running" && v.page(1).status == 409,
        "T3" => [v.word(), v.word(), v.word(), v.word()] == ["complete", "running", "complete", "running"],
        "T4" => v.word() == "archiving",
        "T5" => v.submit().status_sent() == 0 && v.tenant.queries().len() == 1,
        "T6" => v.page(1).status == 200 && v.page(2).status == 404 && v.status().status == 404,
        "T7" => {
            [v.page(1), v.page(1)].map(|page| page.header("Retry-After").map(str::to_owned))
                == [Some("10".to_owned()), Some("900".to_owned())]
        }
        "P1" => v.page(1).header("X-Total-Count") == Some("300") && has(&v.status().body_bytes(), b"407"),
        "P2" => v.page(2).status == 404 && v.status().status == 200,
        "P3" => v.bytes(2).iter().filter(|&&byte| byte == b'\n').count() == 1 && v.bytes(3).len() > 1000,
        "P4" => v.bytes(1).len() != v.bytes(2).len(),
        "P5" => v.bytes(1) == v.bytes(2),
        "P7" => v.bytes(2).len() > 1000 && v.bytes(3).is_empty(),
        "P8" => v.page(1).header("Link").is_some_and(|link| link.contains("page=1&")),
        "P9" => v.bytes(2) != v.bytes(2),
        "P10" => v.page(2).delay == S(600),
        "P11" => v.bytes(2).is_empty(),
        "C1" => matches!(v.page(1).fault, Some(StreamFault::DripBody(1, _))) && has(&v.bytes(1), b"\"\""),
        "C2" => (1..=3).any(|page| has(&v.bytes(page), b"Customer hung up\nagent called back")),
        "C3" => {
            (1..=20).any(|page| v.bytes(page).starts_with(b"\xEF\xBB\xBF")) && String::from_utf8(v.bytes(1)).is_err()
        }
        "C4" => v.bytes(2).starts_with(b"agentId,contactId\n"),
        "C5" => has(&v.bytes(1), b"\0") && !v.bytes(1).ends_with(b"\n"),
        "C6" => v.bytes(1).len() > 20 << 20,
        "C7" => v.bytes(1).iter().filter(|&&byte| byte == b'\n').count() == 1,
        "C8" => !v.bytes(2).ends_with(b"\n") && v.bytes(1).ends_with(b"\n"),
        "L2" => v.tenant.wall(S(0)).to_string().starts_with("2038-01-19"),
        "L3" => v.tenant.wall(S(0)).to_string() == "2024-01-31T23:50:00.000Z",
        "S1" => v.token().status == 200,
        "S3" => v.page(2).header("Location") == Some("http://169.254.169.254/"),
        "S4" => has(&v.bytes(1), b",=cmd()"),
        "S5" => text_of(&v.status(), "errorMessage").as_deref() == Some("gone\r\n\u{1b}[2J"),
        "X1" => v.token().delay == S(5) && v.tenant.ledger().token_lives()[0].until == S(30),
        "X2" => {
            let n_failed = (1..=40).filter(|&page| v.page(page).status == 503).count();
            (10..30).contains(&n_failed)
        }
        "X4" => {
            v.now = S(11);
            v.token().status == 503
        }
        "X5" => (1..=60).filter(|&page| v.page(page).header("Retry-After").is_some()).count() >= 10,
        "X6" => {
            let mut statuses = (0..11).map(|_| {
                v.now = S(1);
                v.token().status
            });
            statuses.by_ref().take(10).all(|status| status == 200) && statuses.next() == Some(429)
        }
        _ => return false,
    };
    assert!(met, "{id} does not do what its row says");
    true
}
