//! Certificates and TLS versions that must not be accepted.

use std::sync::Arc;

use cxtract::model::TransportFault;
use cxtract::transport::{HttpClient, Request, TcpDial, TlsTrust};
use rcgen::{CertificateParams, date_time_ymd};

use crate::support::*;

/// What a client that trusts `trusted` says of a server with a certificate of `issuer` for `host`.
async fn refusal(
    trusted: Arc<TlsTrust>,
    issuer: &Authority,
    host: &str,
    shape: impl FnOnce(&mut CertificateParams),
) -> (TransportFault, Vec<String>) {
    let server = Server::tls(issuer.acceptor(host, shape), vec![vec![say(sized("", b"secret"), Then::Keep)]]).await;
    let client = HttpClient::new(patient(trusted), Arc::new(TcpDial));
    let fault = client.send(Request::get(server.url("/"))).await.unwrap_err();
    (fault, server.requests())
}

fn reason(fault: &TransportFault) -> &str {
    match fault {
        TransportFault::Untrusted { reason, host } if host.starts_with("localhost:") => reason,
        other => panic!("not a matter of trust: {other}"),
    }
}

#[test]
fn n8_an_expired_certificate_is_not_trusted_and_nothing_is_sent() {
    run(async {
        let authority = Authority::new();
        let (fault, requests) = refusal(authority.trust(), &authority, "localhost", |params| {
            params.not_before = date_time_ymd(2019, 1, 1);
            params.not_after = date_time_ymd(2020, 1, 1);
        })
        .await;
        assert!(reason(&fault).contains("expired"), "{fault}");
        assert!(requests.is_empty());
    });
}

#[test]
fn n8_a_certificate_of_another_host_is_not_trusted() {
    run(async {
        let authority = Authority::new();
        let (fault, requests) = refusal(authority.trust(), &authority, "other.example", |_| {}).await;
        assert!(reason(&fault).contains("another host"), "{fault}");
        assert!(requests.is_empty());
    });
}

#[test]
fn n8_a_certificate_of_an_unknown_authority_is_not_trusted_and_the_remedy_is_named() {
    run(async {
        let trust = Arc::new(TlsTrust::load(None).unwrap());
        let (fault, requests) = refusal(trust, &Authority::new(), "localhost", |_| {}).await;
        assert!(reason(&fault).contains("unknown authority") && reason(&fault).contains("tls.ca_file"), "{fault}");
        assert!(requests.is_empty());
    });
}

#[test]
fn n8_a_server_without_tls_1_2_is_not_talked_down_to() {
    run(async {
        // An alert `protocol_version`, as a server that knows TLS 1.1 at most sends it.
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::task::spawn_local(async move {
            use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
            let (mut tcp, _) = listener.accept().await.unwrap();
            let mut hello = [0; 4096];
            let _ = tcp.read(&mut hello).await;
            let _ = tcp.write_all(&[0x15, 3, 1, 0, 2, 2, 70]).await;
            std::future::pending::<()>().await;
        });
        let client = HttpClient::new(patient(Authority::new().trust()), Arc::new(TcpDial));
        let fault = client.send(Request::get(format!("https://localhost:{port}/"))).await.unwrap_err();
        assert!(reason(&fault).contains("1.2"), "{fault}");
    });
}

#[test]
fn n8_a_trusted_certificate_is_accepted_and_names_the_host_only() {
    run(async {
        let authority = Authority::new();
        let server = Server::tls(
            authority.acceptor("localhost", |_| {}),
            vec![vec![say(sized("", b"one"), Then::Keep), say(sized("", b"two"), Then::Keep)]],
        )
        .await;
        let client = HttpClient::new(patient(authority.trust()), Arc::new(TcpDial));
        assert_eq!(fetch(&client, server.url("/1")).await.unwrap(), "one");
        assert_eq!(fetch(&client, server.url("/2")).await.unwrap(), "two");
        assert_eq!(server.n_connections(), 1);
    });
}

#[test]
fn n9_a_peer_that_breaks_off_the_handshake_got_nothing_of_the_request() {
    run(async {
        // A plain server reads the client's hello as a request that never ends, so it must close by itself.
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::task::spawn_local(async move {
            let _ = listener.accept().await.unwrap();
        });
        let client = HttpClient::new(patient(Authority::new().trust()), Arc::new(TcpDial));
        let fault = client.send(Request::get(format!("https://localhost:{port}/"))).await.unwrap_err();
        assert!(matches!(fault, TransportFault::Connect { .. }), "{fault}");
    });
}
