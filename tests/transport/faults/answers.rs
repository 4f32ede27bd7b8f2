//! Answers that break the protocol, or that nobody asked for.

use cxtract::model::TransportFault;
use cxtract::transport::Request;

use crate::support::*;

async fn fault_of(answer: impl Into<Vec<u8>>) -> TransportFault {
    let server = Server::plain(vec![vec![say(answer, Then::Hang)]]).await;
    fetch(&client(), server.url("/")).await.expect_err("this answer must be refused")
}

#[test]
fn h9_a_success_with_neither_length_nor_chunks_is_refused() {
    run(async {
        for version in ["HTTP/1.1", "HTTP/1.0"] {
            let fault = fault_of(format!("{version} 200 OK\r\nContent-Type: text/csv\r\n\r\na,b\r\n")).await;
            assert_eq!(fault, TransportFault::Unframed);
        }
    });
}

#[test]
fn h9_an_error_status_without_framing_is_an_answer_with_an_empty_body() {
    run(async {
        let server =
            Server::plain(vec![vec![say("HTTP/1.1 503 Busy\r\nRetry-After: 7\r\n\r\nnoise", Then::Hang)]]).await;
        let client = client();
        for _ in 0..2 {
            let answer = client.send(Request::get(server.url("/"))).await.unwrap();
            assert_eq!((answer.head.status, answer.head.header("retry-after")), (503, Some("7")));
            assert!(answer.body.drain().await.is_empty());
        }
        assert_eq!(server.n_connections(), 2, "what follows an unframed head must not be read as the next answer");
    });
}

#[test]
fn h10_contradictory_framing_is_an_answer_of_the_wrong_kind() {
    run(async {
        for headers in [
            "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
            "Content-Length: 3\r\nContent-Length: 4\r\n",
            "Content-Length: 3\r\nContent-Length: 3\r\n",
            "Content-Length: 3, 4\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
        ] {
            let fault = fault_of(format!("HTTP/1.1 200 OK\r\n{headers}\r\n3\r\nabc\r\n0\r\n\r\n")).await;
            assert!(matches!(fault, TransportFault::WrongKind(_)), "{headers:?}: {fault}");
        }
    });
}

#[test]
fn h10_a_flood_of_interim_answers_is_refused_and_a_few_are_skipped() {
    run(async {
        let flood = "HTTP/1.1 100 Continue\r\n\r\n".repeat(2000);
        assert!(matches!(fault_of(flood).await, TransportFault::WrongKind(_)));

        let few = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n";
        let answer = [few.as_bytes(), &sized("", b"real")].concat();
        let server = Server::plain(vec![vec![say(answer.clone(), Then::Keep), say(answer, Then::Keep)]]).await;
        let client = client();
        assert_eq!(fetch(&client, server.url("/")).await.unwrap(), "real");
        assert_eq!(fetch(&client, server.url("/")).await.unwrap(), "real");
        assert_eq!(server.n_connections(), 1);
    });
}

#[test]
fn h10_successes_that_nobody_asked_for_are_refused() {
    run(async {
        for status in ["204 No Content", "205 Reset Content", "206 Partial Content"] {
            let fault = fault_of(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n")).await;
            assert!(matches!(&fault, TransportFault::WrongKind(what) if what.contains(&status[..3])), "{fault}");
        }
        let fault = fault_of("HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n").await;
        assert!(matches!(fault, TransportFault::WrongKind(_)), "{fault}");
    });
}

#[test]
fn h10_what_is_no_http_at_all_is_refused() {
    run(async {
        for answer in ["SSH-2.0-OpenSSH_9.6\r\n", "<html></html>", "HTTP/2 200\r\n\r\n", "\r\n\r\n"] {
            let fault = fault_of(answer).await;
            assert!(matches!(fault, TransportFault::WrongKind(_)), "{answer:?}: {fault}");
        }
    });
}

#[test]
fn h10_bytes_behind_an_answer_are_never_taken_for_the_next_one() {
    run(async {
        let smuggled = [sized("", b"mine"), sized("", b"evil")].concat();
        let empty = [sized("", b""), sized("", b"evil")].concat();
        for first in [smuggled, empty] {
            let server = Server::plain(vec![
                vec![say(first, Then::Keep), say(sized("", b"spoilt"), Then::Keep)],
                vec![say(sized("", b"next"), Then::Keep)],
            ])
            .await;
            let client = client();
            assert_ne!(fetch(&client, server.url("/1")).await.unwrap(), "evil");
            assert_eq!(fetch(&client, server.url("/2")).await.unwrap(), "next");
            assert_eq!(server.n_connections(), 2);
        }
    });
}

#[test]
fn h11_a_head_of_129_kib_is_refused_by_the_name_of_its_limit() {
    run(async {
        let fault = fault_of(sized(&format!("X-Long: {}\r\n", "x".repeat(129 * 1024)), b"abc")).await;
        assert!(matches!(&fault, TransportFault::OverLimit { limit, .. } if limit == "128 KiB"), "{fault}");
        let server = Server::plain(vec![vec![say(
            sized(&format!("X-Long: {}\r\n", "x".repeat(127 * 1024)), b"abc"),
            Then::Keep,
        )]])
        .await;
        assert_eq!(fetch(&client(), server.url("/")).await.unwrap(), "abc");
    });
}

#[test]
fn h11_the_97th_header_is_refused_by_the_name_of_its_limit() {
    run(async {
        let fault = fault_of(sized(&"X-A: 1\r\n".repeat(96), b"abc")).await;
        assert!(matches!(&fault, TransportFault::OverLimit { limit, .. } if limit == "96"), "{fault}");
        let server = Server::plain(vec![vec![say(sized(&"X-A: 1\r\n".repeat(95), b"abc"), Then::Keep)]]).await;
        let answer = client().send(Request::get(server.url("/"))).await.unwrap();
        assert_eq!(answer.head.headers.len(), 96);
    });
}

#[test]
fn h8_a_redirect_is_an_answer_and_nothing_is_sent_to_its_target() {
    run(async {
        let elsewhere = Server::plain(vec![vec![say(sized("", b"lured"), Then::Keep)]]).await;
        let redirect =
            format!("HTTP/1.1 302 Found\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n", elsewhere.url("/gotcha"));
        let server = Server::plain(vec![vec![say(redirect, Then::Keep)]]).await;
        let answer = client().send(Request::get(server.url("/"))).await.unwrap();
        assert_eq!(
            (answer.head.status, answer.head.header("location")),
            (302, Some(elsewhere.url("/gotcha").as_str()))
        );
        assert_eq!(elsewhere.n_connections(), 0);
    });
}
