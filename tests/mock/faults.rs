//! Every fault, seen from the other end of a socket.

use std::io::Read;
use std::time::Duration;

use cxtract::mock::{CallKind, Fault, FaultRule, Matcher, MockReport, MockTenant, Outage, OutageKind, RunningMock};
use tokio::time::Instant;

use crate::client::{Answer, Client, Ended, page_path};

/// A tenant whose page 2 meets that fault once, a client of it, and its query.
fn faulty(fault: Fault, chunked: bool) -> (RunningMock, Client, String) {
    let mock = MockTenant::builder()
        .requests_per_second(f64::INFINITY)
        .report("detail", MockReport { chunked, ..MockReport::with_rows(1000) })
        .fault(FaultRule::new(Matcher::page(2).first(1), fault))
        .start()
        .unwrap();
    let mut client = Client::connect(&mock);
    let query = client.submitted();
    (mock, client, query)
}

/// What page 2 looks like with the fault, and what it should have been.
fn page_2(fault: Fault, chunked: bool) -> (Answer, Vec<u8>) {
    let (_mock, mut client, query) = faulty(fault, chunked);
    let answer = client.page(&query, 2);
    client.reconnect();
    (answer, client.page(&query, 2).body)
}

fn inflated(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut out = Vec::new();
    flate2::read::MultiGzDecoder::new(bytes).read_to_end(&mut out).map(|_| out)
}

#[test]
fn a_body_is_cut_at_the_byte_named_with_a_length_or_in_a_chunk() {
    for chunked in [true, false] {
        let (answer, good) = page_2(Fault::CutAt(777), chunked);
        assert_eq!((answer.ended, answer.whole), (Ended::Closed, false));
        assert_eq!(answer.body, good[..777]);
    }
}

#[test]
fn the_final_chunk_is_missing_behind_all_the_data() {
    let (answer, good) = page_2(Fault::CutBeforeFinalChunk, true);
    assert_eq!((answer.ended, answer.whole), (Ended::Closed, false));
    assert_eq!(answer.body, good);
}

#[test]
fn a_reset_is_a_reset_before_the_head_or_within_the_body() {
    let (answer, _) = page_2(Fault::Reset, true);
    assert_eq!((answer.ended, answer.head.as_str()), (Ended::Reset, ""));
    let (answer, good) = page_2(Fault::ResetAt(500), false);
    assert_eq!(answer.ended, Ended::Reset);
    assert_eq!(answer.body, good[..500]);
}

#[test]
fn a_submission_without_an_answer_was_carried_out_all_the_same() {
    let mock = MockTenant::builder()
        .fault(FaultRule::new(Matcher::kind(CallKind::Submit).first(1), Fault::NoAnswer))
        .start()
        .unwrap();
    let mut client = Client::connect(&mock);
    let answer = client.submit();
    assert_eq!((answer.status(), answer.ended), (0, Ended::Closed));
    assert_eq!(mock.with(|tenant| tenant.queries().len()), 1);
    assert_eq!(mock.ledger().submissions()[0].status, 0);
}

#[test]
fn stalls_drips_and_delays_take_their_time_and_lose_nothing() {
    let slow = [
        Fault::StallAfter(100, Duration::from_millis(150)),
        Fault::Delay(Duration::from_millis(150)),
        Fault::DripHead(Duration::from_millis(1)),
        Fault::DripBody(1000, Duration::from_millis(10)),
    ];
    for fault in slow {
        let (_mock, mut client, query) = faulty(fault.clone(), true);
        let start = Instant::now();
        let answer = client.page(&query, 2);
        assert!(start.elapsed() >= Duration::from_millis(120), "{fault:?}");
        assert!(answer.whole);
        assert_eq!(answer.body, client.page(&query, 2).body);
    }
}

#[test]
fn a_body_is_left_without_a_frame_or_given_two() {
    let (answer, good) = page_2(Fault::Unframed, true);
    assert!(answer.header("content-length").is_none() && answer.header("transfer-encoding").is_none());
    assert_eq!((answer.ended, answer.body), (Ended::Closed, good));
    let (answer, good) = page_2(Fault::BothLengths, true);
    assert!(answer.header("content-length").is_some() && answer.header("transfer-encoding").is_some());
    assert_eq!(answer.body, good);
    let (answer, good) = page_2(Fault::TwoLengths, false);
    assert_eq!(answer.head.matches("Content-Length").count(), 2);
    assert_eq!(answer.body, good);
    let (answer, good) = page_2(Fault::WrongLength(10), false);
    assert_eq!(answer.header("content-length"), Some((good.len() + 10).to_string().as_str()));
    assert_eq!((answer.ended, answer.body), (Ended::Closed, good));
}

#[test]
fn heads_are_flooded_and_swollen() {
    let (_mock, mut client, query) = faulty(Fault::Informational(50), true);
    assert_eq!(client.page(&query, 2).status(), 200);
    let (answer, _) = page_2(Fault::HugeHead, true);
    assert!(answer.head.len() > 129 * 1024);
    let (answer, _) = page_2(Fault::ManyHeaders, true);
    assert!(answer.head.lines().count() > 97);
    let (answer, _) = page_2(Fault::Header("Content-Type".into(), "text/html".into()), true);
    assert_eq!(answer.header("content-type"), Some("text/html"));
}

#[test]
fn gzip_is_cut_damaged_split_or_a_bomb() {
    let (answer, good) = page_2(Fault::GzipMultiMember, true);
    assert_eq!(answer.header("content-encoding"), Some("gzip"));
    assert_eq!(inflated(&answer.body).unwrap(), good);
    for fault in [Fault::GzipCut, Fault::GzipBadCrc] {
        let (answer, _) = page_2(fault, false);
        assert!(answer.whole && inflated(&answer.body).is_err());
    }
    let (answer, _) = page_2(Fault::GzipBomb(8 << 20), true);
    assert!(answer.body.len() < (8 << 20) / 900, "{}", answer.body.len());
    assert_eq!(inflated(&answer.body).unwrap().len(), 8 << 20);
    let (answer, _) = page_2(Fault::Br, true);
    assert_eq!(answer.header("content-encoding"), Some("br"));
}

#[test]
fn answers_are_replaced_and_nothing_is_done() {
    let (answer, _) = page_2(Fault::status(503), true);
    assert_eq!(answer.status(), 503);
    let (answer, _) = page_2(Fault::Redirect { to: "http://elsewhere/".into() }, true);
    assert_eq!((answer.status(), answer.header("location")), (302, Some("http://elsewhere/")));
    let (answer, _) = page_2(Fault::WrongContentType, true);
    assert!(answer.header("content-type").unwrap().starts_with("text/html") && answer.text().contains("<html>"));
    let mock = MockTenant::builder()
        .fault(FaultRule::new(Matcher::kind(CallKind::Submit), Fault::status(500)))
        .start()
        .unwrap();
    assert_eq!(Client::connect(&mock).submit().status(), 500);
    assert!(mock.with(|tenant| tenant.queries().is_empty()));
    assert!(mock.ledger().submissions()[0].faulted);
}

#[test]
fn a_wait_told_by_a_fault_is_held_like_any_other() {
    let (_mock, mut client, query) = faulty(Fault::told_to_wait(503, 30), true);
    assert_eq!(client.page(&query, 2).header("retry-after"), Some("30"));
    let early = client.page(&query, 2);
    assert_eq!(early.status(), 429);
    assert!(early.header("retry-after").is_some());
}

#[test]
fn the_data_itself_is_changed_under_a_good_frame() {
    let (mock, mut client, query) = faulty(Fault::SamePageAs(1), true);
    assert_eq!(client.page(&query, 2).body, client.page(&query, 1).body);
    drop(mock);
    let (answer, good) = page_2(Fault::OtherRows, true);
    assert_ne!(answer.body, good);
    assert!(answer.body.starts_with(b"contactId,"));
    let (answer, good) = page_2(Fault::FlipByte(400), true);
    let wrong: Vec<usize> = (0..good.len()).filter(|&at| answer.body[at] != good[at]).collect();
    assert_eq!(wrong, [400]);
    let (answer, good) = page_2(Fault::ShortenBy(30), false);
    assert_eq!((answer.whole, answer.body.as_slice()), (true, &good[..good.len() - 30]));
    let (answer, _) = page_2(Fault::OtherHeader("a,b".into()), true);
    assert!(answer.body.starts_with(b"a,b\n") && answer.body.len() > 1000);
    let (answer, good) = page_2(Fault::HeaderOnly, true);
    assert_eq!(answer.body, good[..=good.iter().position(|&b| b == b'\n').unwrap()]);
    let (answer, _) = page_2(Fault::ReplaceBody("".into()), true);
    assert_eq!((answer.whole, answer.body.len()), (true, 0));
}

#[test]
fn an_idle_connection_is_closed_without_a_word() {
    let (_mock, mut client, query) = faulty(Fault::ClosedIdle, true);
    let answer = client.page(&query, 2);
    assert_eq!((answer.whole, answer.header("connection")), (true, None));
    assert!(client.is_closed_soon());
}

#[test]
fn an_outage_resets_connections_or_answers_503_and_then_is_over() {
    let end = Duration::from_millis(1000);
    for kind in [OutageKind::Reset, OutageKind::Unavailable] {
        let mock = MockTenant::builder().outage(Outage { from: Duration::ZERO, to: end, kind }).start().unwrap();
        let during = Client::without_token(&mock).ask_token();
        match kind {
            OutageKind::Reset => assert_ne!(during.ended, Ended::Open),
            _ => assert_eq!(during.status(), 503),
        }
        while mock.now() < end {
            std::thread::park_timeout(Duration::from_millis(5));
        }
        assert_eq!(Client::without_token(&mock).ask_token().status(), 200);
    }
}

#[test]
fn a_connection_serves_one_call_after_the_other_until_told_to_close() {
    let (_mock, mut client, query) = faulty(Fault::Delay(Duration::ZERO), false);
    let sizes: Vec<usize> = (1..=5).map(|page| client.page(&query, page).body.len()).collect();
    assert!(sizes.iter().all(|&size| size > 1000));
    let last = client.get(&page_path(&query, 1), "Connection: close\r\n");
    assert_eq!(last.header("connection"), Some("close"));
    assert!(client.is_closed_soon());
}
