//! The wire below HTTP, seen from the other end of a socket and of a simulated stream.

use std::sync::Arc;
use std::time::Duration;

use cxtract::mock::{CallKind, Fault, FaultRule, Matcher, MockReport, MockTenant, RunningMock, WireFault};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use crate::client::{Answer, Client, Ended};
use crate::simulated::host;

/// A tenant whose first page 2 meets that, and what a client gets there.
fn page_2(fault: WireFault) -> (RunningMock, Answer) {
    let mock = MockTenant::builder()
        .requests_per_second(f64::INFINITY)
        .report("detail", MockReport::with_rows(1000))
        .fault(FaultRule::new(Matcher::page(2).first(1), Fault::Wire(fault)))
        .start()
        .unwrap();
    let mut client = Client::connect(&mock);
    let query = client.submitted();
    let answer = client.page(&query, 2);
    // The tenant notes the end of an answer after its last byte.
    while mock.ledger().last().unwrap().ended.is_none() {
        std::thread::park_timeout(Duration::from_millis(2));
    }
    (mock, answer)
}

/// The honest answer's head and all of it, in bytes on the wire. Both are the same every time.
fn honest() -> (usize, Answer) {
    let (_mock, answer) = page_2(WireFault::CutAt(u64::MAX));
    assert!(answer.whole);
    (answer.head.len(), answer)
}

#[test]
fn a_cut_falls_into_the_head_the_size_of_a_chunk_or_the_body_alike() {
    let (head, good) = honest();
    let whole = good.n_raw;
    for (at, status) in
        [(0, 0), (9, 0), (head - 1, 0), (head, 200), (head + 1, 200), (head + 700, 200), (whole - 3, 200)]
    {
        let (mock, answer) = page_2(WireFault::CutAt(at as u64));
        assert_eq!((answer.n_raw, answer.ended, answer.whole), (at, Ended::Closed, false));
        assert!(good.body.starts_with(&answer.body));
        let entry = mock.ledger().last().unwrap().clone();
        assert_eq!((entry.status, entry.broke_off, entry.faulted), (status, true, true), "cut at {at}");
        assert!(!entry.is_page_served());
        assert_eq!(mock.verdict().pages_served, 0);
    }
}

#[test]
fn a_reset_leaves_the_bytes_before_it() {
    let (head, _) = honest();
    for at in [3, head + 300] {
        let (_mock, answer) = page_2(WireFault::ResetAt(at as u64));
        assert_eq!((answer.n_raw, answer.ended), (at, Ended::Reset));
    }
}

#[test]
fn what_stalls_or_drips_comes_late_and_whole() {
    let (head, good) = honest();
    let pause = Duration::from_millis(150);
    let drip = WireFault::Drip { from: head as u64 + 100, bytes: 1000, every: Duration::from_millis(20) };
    for fault in [WireFault::StallAt(7, pause), WireFault::StallAt(head as u64 + 2, pause), drip] {
        let start = Instant::now();
        let (mock, answer) = page_2(fault);
        assert!(start.elapsed() >= pause, "{fault:?}");
        assert_eq!((answer.whole, &answer.body), (true, &good.body));
        let entry = mock.ledger().last().unwrap().clone();
        assert!(entry.ended.unwrap() - entry.at >= pause && entry.is_page_served());
    }
}

#[test]
fn a_connection_goes_on_after_a_wire_fault_that_let_the_answer_through() {
    let mock = MockTenant::builder()
        .report("detail", MockReport::with_rows(1000))
        .fault(FaultRule::new(Matcher::page(1), Fault::Wire(WireFault::StallAt(5, Duration::from_millis(10)))))
        .start()
        .unwrap();
    let mut client = Client::connect(&mock);
    let query = client.submitted();
    assert!([1, 2, 1, 3].iter().all(|&page| client.page(&query, page).whole));
}

#[test]
fn a_request_that_is_left_unread_is_answered_after_that() {
    let pause = Duration::from_millis(200);
    let mock = MockTenant::builder()
        .fault(FaultRule::new(Matcher::kind(CallKind::Submit).first(1), Fault::Wire(WireFault::StopReading(pause))))
        .start()
        .unwrap();
    let mut client = Client::connect(&mock);
    let start = Instant::now();
    assert_eq!(client.submit().status(), 202);
    assert!(start.elapsed() >= pause);
    let again = client.submit();
    assert_eq!(again.status(), 202);
    let ledger = mock.ledger();
    let submissions = ledger.submissions();
    assert_eq!([submissions[0].faulted, submissions[1].faulted], [true, false]);
    assert!(submissions[1].at - submissions[0].at >= pause);
}

#[test]
fn a_refusal_that_was_lost_on_the_wire_holds_nobody_to_its_wait() {
    let mock = MockTenant::builder()
        .max_open_queries(0)
        .fault(FaultRule::new(Matcher::kind(CallKind::Submit).first(1), Fault::Wire(WireFault::CutAt(30))))
        .strict()
        .start()
        .unwrap();
    let mut client = Client::connect(&mock);
    assert_eq!(client.submit().ended, Ended::Closed);
    let lost = mock.now();
    while mock.now() - lost < Duration::from_millis(350) {
        std::thread::park_timeout(Duration::from_millis(5));
    }
    client.reconnect();
    assert_eq!(client.submit().status(), 429);
    assert!(mock.ledger().calls_while_told_to_wait().is_empty());
}

#[test]
fn the_wire_fails_in_a_simulated_network_as_well() {
    let faults = [
        Fault::Wire(WireFault::CutAt(40)),
        Fault::Wire(WireFault::Drip { from: 20, bytes: 10, every: Duration::from_secs(5) }),
    ];
    let mut builder = MockTenant::builder();
    for (nth, fault) in faults.into_iter().enumerate() {
        builder = builder.fault(FaultRule::new(Matcher::any().matches(nth as u64..nth as u64 + 1), fault));
    }
    let tenant = Arc::new(Mutex::new(builder.build()));
    let mut simulation = turmoil::Builder::new().simulation_duration(Duration::from_secs(600)).build();
    host(&mut simulation, &tenant);
    simulation.client("client", async {
        let mut took = Vec::new();
        for _ in 0..2 {
            let start = Instant::now();
            let mut stream = turmoil::net::TcpStream::connect("tenant:80").await?;
            stream.write_all(b"GET /elsewhere HTTP/1.1\r\nHost: tenant\r\nConnection: close\r\n\r\n").await?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await?;
            took.push((answer.len(), start.elapsed()));
        }
        assert_eq!(took[0].0, 40);
        assert!(took[0].1 < Duration::from_secs(1));
        let pieces = (took[1].0 as u32 - 20).div_ceil(10);
        assert!(took[1].0 > 100 && took[1].1 >= Duration::from_secs(5) * (pieces - 1), "{took:?}");
        Ok(())
    });
    simulation.run().unwrap();
    assert_eq!(tenant.lock().ledger().iter().map(|e| e.status).collect::<Vec<_>>(), [0, 404]);
}
