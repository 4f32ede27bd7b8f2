//! What is sent, how connections are used, and which fault a failed connection is.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use cxtract::model::TransportFault;
use cxtract::transport::{ByteStream, Dial, DialError, HeaderText, HttpClient, Request, TlsTrust};
use futures::future::LocalBoxFuture;
use tokio::net::TcpListener;

use crate::support::*;

#[test]
fn a_request_carries_host_agent_coding_date_and_its_own_headers_and_nothing_else() {
    run(async {
        let server = Server::plain(vec![vec![say(sized("", b"{}"), Then::Keep)]]).await;
        let client = client();
        let get =
            Request::get(server.url("/a/b?x=1&y=%20")).with_header("authorization", HeaderText::fixed("Bearer abc"));
        client.send(get).await.unwrap().body.drain().await;
        let post = Request::post(server.url("/submit"), r#"{"a":1}"#)
            .with_header("content-type", HeaderText::fixed("application/json"));
        client.send(post).await.unwrap().body.drain().await;

        let seen = server.requests();
        let lines = |text: &str| {
            let lines = text.lines().skip(1).map(str::to_ascii_lowercase);
            let mut lines: Vec<_> = lines.filter(|line| !line.starts_with("date: ")).collect();
            lines.sort();
            lines
        };
        let agent = format!("user-agent: cxtract/{}", env!("CARGO_PKG_VERSION"));
        let host = format!("host: {}", server.address);
        assert!(seen[0].starts_with("GET /a/b?x=1&y=%20 HTTP/1.1\r\n"), "{}", seen[0]);
        assert_eq!(lines(&seen[0]), ["", "accept-encoding: gzip", "authorization: bearer abc", &host, &agent]);
        assert!(
            seen[1].starts_with("POST /submit HTTP/1.1\r\n") && seen[1].ends_with("\r\n\r\n{\"a\":1}"),
            "{}",
            seen[1]
        );
        assert!(lines(&seen[1]).contains(&"content-length: 7".to_owned()));
    });
}

#[test]
fn a_name_below_localhost_is_found_without_a_resolver_and_told_in_the_host_line() {
    run(async {
        let server = Server::plain(vec![vec![say(sized("", b"{}"), Then::Keep)]]).await;
        let host = format!("mock-2.localhost:{}", server.address.port());
        assert_eq!(fetch(&client(), format!("http://{host}/a")).await.unwrap(), "{}");
        assert!(server.requests()[0].to_ascii_lowercase().contains(&format!("host: {host}\r\n")));
    });
}

#[test]
fn whole_bodies_of_any_framing_keep_the_connection() {
    run(async {
        let page = vec![b'p'; 300_000];
        let answers =
            [sized("", &page), chunked("", &page, 7777), sized("", b""), chunked("", b"", 1), sized("", &page)];
        let server = Server::plain(vec![answers.iter().map(|a| say(a.clone(), Then::Keep)).collect()]).await;
        let client = client();
        for answer in &answers {
            let body = fetch(&client, server.url("/")).await.unwrap();
            assert!(body == if answer.len() > 1000 { page.clone() } else { Vec::new() });
        }
        assert_eq!(server.n_connections(), 1);
    });
}

#[test]
fn a_body_whose_last_byte_comes_with_the_end_of_the_connection_is_whole() {
    run(async {
        for answer in [sized("", b"page"), sized("Connection: close\r\n", b"page"), chunked("", b"page", 3)] {
            let server = Server::plain(vec![vec![say(answer, Then::Close)]]).await;
            assert_eq!(fetch(&client(), server.url("/")).await.unwrap(), "page");
        }
    });
}

#[test]
fn an_answer_that_says_close_or_speaks_http_1_0_does_not_keep_the_connection() {
    run(async {
        let old = "HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\npage";
        for answer in [sized("Connection: close\r\n", b"page"), old.into()] {
            let server = Server::plain(vec![vec![say(answer, Then::Hang)]]).await;
            let client = client();
            assert_eq!(fetch(&client, server.url("/")).await.unwrap(), "page");
            assert_eq!(fetch(&client, server.url("/")).await.unwrap(), "page");
            assert_eq!(server.n_connections(), 2);
        }
    });
}

#[test]
fn a_body_dropped_early_closes_its_connection_and_spoils_no_other_answer() {
    run(async {
        let large = sized("", &vec![b'x'; 2_000_000]);
        let server = Server::plain(vec![vec![say(large, Then::Keep)], vec![say(sized("", b"next"), Then::Keep)]]).await;
        let client = client();
        let mut body = client.send(Request::get(server.url("/"))).await.unwrap().body;
        body.next().await.unwrap().unwrap();
        drop(body);
        assert_eq!(fetch(&client, server.url("/")).await.unwrap(), "next");
        assert_eq!(server.n_connections(), 2);
    });
}

#[test]
fn draining_an_error_keeps_the_connection_and_never_fails() {
    run(async {
        let error = "HTTP/1.1 500 Oops\r\nContent-Length: 5\r\n\r\nsorry";
        let script = vec![say(error, Then::Keep), say(sized("", b"fine"), Then::Keep)];
        let server = Server::plain(vec![script]).await;
        let client = client();
        let answer = client.send(Request::get(server.url("/"))).await.unwrap();
        assert_eq!(answer.head.status, 500);
        assert_eq!(answer.body.drain().await, "sorry");
        assert_eq!(fetch(&client, server.url("/")).await.unwrap(), "fine");
        assert_eq!(server.n_connections(), 1);

        let cut = "HTTP/1.1 500 Oops\r\nContent-Length: 50\r\n\r\nsorry, b";
        let server = Server::plain(vec![vec![say(cut, Then::Close)]]).await;
        assert_eq!(client.send(Request::get(server.url("/"))).await.unwrap().body.drain().await, "sorry, b");

        let endless = format!("HTTP/1.1 500 Oops\r\nContent-Length: 9999999\r\n\r\n{}", "x".repeat(200_000));
        let server = Server::plain(vec![vec![say(endless, Then::Hang)]]).await;
        assert_eq!(client.send(Request::get(server.url("/"))).await.unwrap().body.drain().await.len(), 64 * 1024);
    });
}

#[test]
fn collecting_stops_at_its_cap() {
    run(async {
        for answer in [sized("", b"12345"), chunked("", b"12345", 2)] {
            let twice = vec![say(answer.clone(), Then::Keep), say(answer, Then::Keep)];
            let server = Server::plain(vec![twice]).await;
            let client = client();
            let whole = client.send(Request::get(server.url("/"))).await.unwrap().body.collect(5).await.unwrap();
            assert_eq!(whole, "12345");
            let fault = client.send(Request::get(server.url("/"))).await.unwrap().body.collect(4).await.unwrap_err();
            assert!(matches!(fault, TransportFault::OverLimit { .. }), "{fault}");
        }
    });
}

#[test]
fn http_and_https_of_one_host_and_port_never_share_a_connection() {
    run(async {
        let authority = Authority::new();
        let server =
            Server::tls(authority.acceptor("localhost", |_| {}), vec![vec![say(sized("", b"page"), Then::Keep)]]).await;
        let client = HttpClient::new(patient(authority.trust()), Arc::new(cxtract::transport::TcpDial));
        assert_eq!(fetch(&client, server.url("/")).await.unwrap(), "page");
        assert!(fetch(&client, server.url("/").replace("https", "http")).await.is_err());
        assert_eq!(server.n_connections(), 2);
    });
}

#[test]
fn a_refused_connection_is_a_connect_fault_that_names_host_and_port() {
    run(async {
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let fault = client().send(Request::get(format!("http://{closed}/"))).await.unwrap_err();
        assert!(matches!(&fault, TransportFault::Connect { host, .. } if *host == closed.to_string()), "{fault}");
    });
}

#[test]
fn an_address_that_cannot_be_used_is_refused_without_being_repeated() {
    run(async {
        for url in ["ftp://canary/", "canary", "http://me:canary@host/", "http://ca nary/", "http://canary:99999/"] {
            let fault = client().send(Request::get(url)).await.unwrap_err();
            assert!(matches!(fault, TransportFault::Connect { .. }), "{fault}");
            assert!(!fault.to_string().contains("canary"), "{fault}");
        }
    });
}

/// A network in which names do not resolve, or connections never come about.
enum NoNetwork {
    Unresolved,
    Silent,
}

impl Dial for NoNetwork {
    fn dial(&self, _: &str, _: u16) -> LocalBoxFuture<'static, Result<Box<dyn ByteStream>, DialError>> {
        match self {
            Self::Unresolved => Box::pin(async { Err(DialError::Dns("no such name".to_owned())) }),
            Self::Silent => Box::pin(std::future::pending()),
        }
    }
}

#[test]
fn a_name_that_does_not_resolve_is_a_dns_fault_and_silence_a_connect_fault() {
    run(async {
        let trust = Arc::new(TlsTrust::load(None).unwrap());
        let mut settings = patient(Arc::clone(&trust));
        settings.connect = Duration::from_millis(100);
        let nowhere = HttpClient::new(settings.clone(), Arc::new(NoNetwork::Unresolved));
        let fault = nowhere.send(Request::get("https://tenant.example/")).await.unwrap_err();
        assert!(matches!(&fault, TransportFault::Dns { host, .. } if host == "tenant.example"), "{fault}");
        let silent = HttpClient::new(settings, Arc::new(NoNetwork::Silent));
        let fault = silent.send(Request::get("https://tenant.example/")).await.unwrap_err();
        assert!(matches!(&fault, TransportFault::Connect { host, .. } if host == "tenant.example:443"), "{fault}");
    });
}

/// Streams of tokio's in-memory pipe, as a simulation would give them.
struct Piped;

impl Dial for Piped {
    fn dial(&self, host: &str, _: u16) -> LocalBoxFuture<'static, Result<Box<dyn ByteStream>, DialError>> {
        let host = host.to_owned();
        Box::pin(async move {
            let (near, mut far) = tokio::io::duplex(1024);
            tokio::task::spawn_local(async move {
                use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(far.read_u8().await?);
                }
                tokio::time::sleep(Duration::from_secs(59)).await;
                far.write_all(&sized("", host.as_bytes())).await?;
                io::Result::Ok(())
            });
            Ok(Box::new(near) as Box<dyn ByteStream>)
        })
    }
}

#[test]
fn over_a_dialer_of_a_simulation_time_is_simulated_too() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let mut settings = patient(Arc::new(TlsTrust::load(None).unwrap()));
        settings.response = Duration::from_secs(60);
        let patient = HttpClient::new(settings.clone(), Arc::new(Piped));
        assert_eq!(fetch(&patient, "http://simulated/".to_owned()).await.unwrap(), "simulated");
        settings.response = Duration::from_secs(58);
        let hasty = HttpClient::new(settings, Arc::new(Piped));
        let fault = fetch(&hasty, "http://simulated/".to_owned()).await.unwrap_err();
        assert_eq!(fault, TransportFault::HeadTimeout(Duration::from_secs(58)));
    });
}
