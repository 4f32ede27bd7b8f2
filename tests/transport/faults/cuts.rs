//! Bodies that break off, stall or trickle.

use std::sync::Arc;
use std::time::Duration;

use cxtract::model::TransportFault;
use cxtract::transport::{HttpClient, Request, TcpDial};

use crate::support::*;

const PAGE: &[u8] = b"id,name\r\n1,Ann\r\n2,Bob\r\n";

fn is_loss(fault: &TransportFault) -> bool {
    matches!(fault, TransportFault::Cut { .. } | TransportFault::NoAnswer(_) | TransportFault::Inflate(_))
}

/// Every framing that a page can come in.
fn whole_answers() -> Vec<(&'static str, Vec<u8>)> {
    let packed = [gzip(&PAGE[..9]), gzip(&PAGE[9..])].concat();
    vec![
        ("a length", sized("", PAGE)),
        ("chunks", chunked("", PAGE, 10)),
        ("gzip and a length", sized("Content-Encoding: gzip\r\n", &packed)),
        ("gzip in chunks", chunked("Content-Encoding: gzip\r\n", &packed, 30)),
    ]
}

async fn cut_everywhere(client: &HttpClient, tls: Option<&Authority>, then: Then) {
    for (framing, whole) in whole_answers() {
        let mut scripts: Vec<_> = (0..whole.len()).map(|n| vec![say(&whole[..n], then)]).collect();
        scripts.push(vec![say(whole.clone(), then)]);
        let server = match tls {
            None => Server::plain(scripts).await,
            Some(authority) => Server::tls(authority.acceptor("localhost", |_| {}), scripts).await,
        };
        for n in 0..whole.len() {
            match fetch(client, server.url("/page")).await {
                Err(fault) => assert!(is_loss(&fault), "{framing}, cut at byte {n}: {fault}"),
                Ok(bytes) => panic!("{framing}, cut at byte {n}: taken for whole with {} bytes", bytes.len()),
            }
        }
        assert_eq!(fetch(client, server.url("/page")).await.unwrap(), PAGE, "{framing}, whole");
        assert_eq!(
            server.n_connections(),
            whole.len() + 1,
            "each cut closes its connection and costs no second request"
        );
    }
}

#[test]
fn n4_a_body_cut_at_every_byte_is_never_taken_for_whole() {
    run(cut_everywhere(&client(), None, Then::Close));
}

#[test]
fn n9_a_body_cut_at_every_byte_by_close_notify_is_never_taken_for_whole() {
    let authority = Authority::new();
    let client = HttpClient::new(patient(authority.trust()), Arc::new(TcpDial));
    run(cut_everywhere(&client, Some(&authority), Then::Close));
}

#[test]
fn n9_a_body_cut_at_every_byte_without_close_notify_is_never_taken_for_whole() {
    let authority = Authority::new();
    let client = HttpClient::new(patient(authority.trust()), Arc::new(TcpDial));
    run(cut_everywhere(&client, Some(&authority), Then::CloseWithoutNotify));
}

#[test]
fn n3_a_reset_in_the_middle_of_a_body_is_a_cut() {
    run(async {
        for whole in [sized("", PAGE), chunked("", PAGE, 10)] {
            // The pause lets the client read what was sent before the reset discards it.
            let step = drip(&whole[..whole.len() - 9], whole.len() - 20, Duration::from_millis(50), Then::Reset);
            let server = Server::plain(vec![vec![step]]).await;
            let fault = fetch(&client(), server.url("/")).await.unwrap_err();
            assert!(matches!(fault, TransportFault::Cut { .. }), "{fault}");
        }
    });
}

#[test]
fn n4_a_cut_body_says_how_much_came_and_how_much_was_due() {
    run(async {
        let server = Server::plain(vec![vec![say(&sized("", PAGE)[..50], Then::Close)]]).await;
        let fault = fetch(&client(), server.url("/")).await.unwrap_err();
        let due = PAGE.len() as u64;
        let head = sized("", PAGE).len() as u64 - due;
        assert!(
            matches!(fault, TransportFault::Cut { got, expected: Some(n), .. } if got == 50 - head && n == due),
            "{fault}"
        );
    });
}

#[test]
fn n5_chunks_without_the_final_one_are_a_cut() {
    run(async {
        let whole = chunked("", PAGE, 10);
        for missing in [1, 2, 3, 4, 5] {
            let server = Server::plain(vec![vec![say(&whole[..whole.len() - missing], Then::Close)]]).await;
            let fault = fetch(&client(), server.url("/")).await.unwrap_err();
            let all = PAGE.len() as u64;
            assert!(
                matches!(fault, TransportFault::Cut { got, expected: None, .. } if got == all),
                "{missing} bytes missing: {fault}"
            );
        }
    });
}

#[test]
fn n5_chunks_that_cannot_be_read_are_an_answer_of_the_wrong_kind() {
    run(async {
        for body in ["x\r\nabc\r\n0\r\n\r\n", "3\r\nabcd\r\n0\r\n\r\n", "-1\r\n", "10000000000000000\r\nabc"] {
            let answer = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
            let server = Server::plain(vec![vec![say(answer, Then::Hang)]]).await;
            let fault = fetch(&client(), server.url("/")).await.unwrap_err();
            assert!(matches!(fault, TransportFault::WrongKind(_)), "{body:?}: {fault}");
        }
    });
}

#[test]
fn n6_a_body_that_stalls_is_given_up_after_the_idle_time() {
    run(async {
        for whole in [sized("", PAGE), chunked("", PAGE, 10)] {
            let server = Server::plain(vec![vec![say(&whole[..whole.len() - 6], Then::Hang)]]).await;
            let client = client_with(|s| s.idle = Duration::from_millis(150));
            let fault = fetch(&client, server.url("/")).await.unwrap_err();
            assert_eq!(fault, TransportFault::Stalled(Duration::from_millis(150)));
        }
    });
}

#[test]
fn n6_a_body_that_trickles_is_given_up_for_its_rate() {
    run(async {
        let whole = sized("", &[b'x'; 4000]);
        let server = Server::plain(vec![vec![drip(whole, 1, Duration::from_millis(5), Then::Hang)]]).await;
        let client = client_with(|s| {
            s.min_bytes_per_second = 10_000;
            s.min_rate_over = Duration::from_millis(300);
        });
        let fault = fetch(&client, server.url("/")).await.unwrap_err();
        assert!(matches!(fault, TransportFault::TooSlow { bytes_per_second: 10_000, .. }), "{fault}");
    });
}

#[test]
fn n6_a_reader_that_takes_its_time_does_not_make_the_server_stalled_or_slow() {
    run(async {
        let page = vec![b'x'; 3_000_000];
        let server = Server::plain(vec![vec![say(sized("", &page), Then::Keep)]]).await;
        let client = client_with(|s| {
            s.idle = Duration::from_secs(2);
            s.min_bytes_per_second = u64::MAX / 4;
            s.min_rate_over = Duration::from_millis(1500);
        });
        let mut body = client.send(Request::get(server.url("/"))).await.unwrap().body;
        let mut n = body.next().await.unwrap().unwrap().len();
        tokio::time::sleep(Duration::from_secs(3)).await;
        while let Some(piece) = body.next().await.unwrap() {
            n += piece.len();
        }
        assert_eq!(n, page.len());
    });
}

#[test]
fn n7_a_head_fed_in_drops_is_given_up_after_the_response_time() {
    run(async {
        let endless = format!("HTTP/1.1 200 OK\r\nX-Slow: {}", "x".repeat(5000));
        let server = Server::plain(vec![vec![drip(endless, 1, Duration::from_millis(20), Then::Hang)]]).await;
        let client = client_with(|s| s.response = Duration::from_millis(300));
        let fault = client.send(Request::get(server.url("/"))).await.unwrap_err();
        assert_eq!(fault, TransportFault::HeadTimeout(Duration::from_millis(300)));
    });
}

#[test]
fn n7_a_late_head_closes_its_connection() {
    run(async {
        let late = vec![drip(sized("", PAGE), 1, Duration::from_secs(5), Then::Keep)];
        let server = Server::plain(vec![late, vec![say(sized("", b"fresh"), Then::Keep)]]).await;
        let client = client_with(|s| s.response = Duration::from_secs(1));
        assert!(client.send(Request::get(server.url("/"))).await.is_err());
        assert_eq!(fetch(&client, server.url("/")).await.unwrap(), "fresh");
        assert_eq!(server.n_connections(), 2);
    });
}

#[test]
fn n12_a_get_on_a_connection_closed_while_idle_is_stale_once_and_then_gets_a_fresh_one() {
    run(async {
        // The first connection answers once, reads the second request and ends without a word.
        for then in [Then::Close, Then::Reset] {
            let stale = vec![say(sized("", b"one"), Then::Keep), say("", then)];
            let server = Server::plain(vec![stale, vec![say(sized("", b"two"), Then::Keep)]]).await;
            let client = client();
            assert_eq!(fetch(&client, server.url("/1")).await.unwrap(), "one");
            let fault = fetch(&client, server.url("/2")).await.unwrap_err();
            assert!(matches!(fault, TransportFault::Stale(_)), "{fault}");
            assert_eq!(server.requests().len(), 2, "nothing is sent twice here");
            assert_eq!(fetch(&client, server.url("/2")).await.unwrap(), "two");
            assert_eq!(server.n_connections(), 2);
            assert_eq!(server.requests().len(), 3);
        }
    });
}

#[test]
fn n12_only_an_old_connection_without_an_answer_is_stale() {
    run(async {
        let stale = vec![say(sized("", b"one"), Then::Keep), say("", Then::Close)];
        let server = Server::plain(vec![stale, vec![say("", Then::Close)]]).await;
        let client = client();
        assert_eq!(fetch(&client, server.url("/1")).await.unwrap(), "one");
        assert!(matches!(fetch(&client, server.url("/2")).await, Err(TransportFault::Stale(_))));
        let fault = fetch(&client, server.url("/2")).await.unwrap_err();
        assert!(matches!(fault, TransportFault::NoAnswer(_)), "{fault}");

        let begun = vec![say(sized("", b"one"), Then::Keep), say("HTTP/1.1 2", Then::Close)];
        let server = Server::plain(vec![begun]).await;
        assert_eq!(fetch(&client, server.url("/1")).await.unwrap(), "one");
        let fault = fetch(&client, server.url("/2")).await.unwrap_err();
        assert!(matches!(fault, TransportFault::Cut { got: 0, .. }), "{fault}");
        assert_eq!(server.n_connections(), 1);
    });
}

#[test]
fn n12_a_get_that_fails_on_its_first_connection_is_not_stale() {
    run(async {
        let server = Server::plain(vec![vec![say("", Then::Close)]]).await;
        let fault = fetch(&client(), server.url("/")).await.unwrap_err();
        assert!(matches!(fault, TransportFault::NoAnswer(_)), "{fault}");
        assert_eq!(server.requests().len(), 1);
    });
}

#[test]
fn n12_a_post_is_never_sent_twice_and_never_rides_a_pooled_connection() {
    run(async {
        let first = vec![say(sized("", b"one"), Then::Keep), say("", Then::Close)];
        let server = Server::plain(vec![first, vec![say("", Then::Close)]]).await;
        let client = client();
        assert_eq!(fetch(&client, server.url("/1")).await.unwrap(), "one");
        let fault = client.send(Request::post(server.url("/submit"), "{}")).await.unwrap_err();
        assert!(matches!(fault, TransportFault::NoAnswer(_)), "{fault}");
        let n_posts = server.requests().iter().filter(|r| r.starts_with("POST")).count();
        assert_eq!((n_posts, server.n_connections()), (1, 2));
    });
}
