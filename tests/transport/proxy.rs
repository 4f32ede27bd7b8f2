//! Tunnels through an HTTP proxy.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use cxtract::model::TransportFault;
use cxtract::transport::{HttpClient, ProxyChoice, Request, TcpDial};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use crate::support::*;

/// A proxy that gives this answer to every CONNECT, and then joins both ends if `to` is given.
async fn proxy(answer: &'static str, to: Option<std::net::SocketAddr>) -> (String, Rc<RefCell<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let seen = Rc::new(RefCell::new(Vec::new()));
    let record = Rc::clone(&seen);
    tokio::task::spawn_local(async move {
        loop {
            let (mut near, _) = listener.accept().await.unwrap();
            let record = Rc::clone(&record);
            tokio::task::spawn_local(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(near.read_u8().await.unwrap());
                }
                record.borrow_mut().push(String::from_utf8(head).unwrap());
                near.write_all(answer.as_bytes()).await.unwrap();
                if let Some(to) = to {
                    let mut far = TcpStream::connect(to).await.unwrap();
                    let _ = copy_bidirectional(&mut near, &mut far).await;
                }
            });
        }
    });
    (address, seen)
}

#[test]
fn both_https_and_http_go_through_the_tunnel_with_the_proxys_credentials_outside_it() {
    run(async {
        let authority = Authority::new();
        let script = vec![vec![say(sized("", b"page"), Then::Keep)]];
        let secure = Server::tls(authority.acceptor("localhost", |_| {}), script.clone()).await;
        let plain = Server::plain(script).await;
        for server in [secure, plain] {
            let (address, seen) = proxy("HTTP/1.1 200 Connection established\r\n\r\n", Some(server.address)).await;
            let mut settings = patient(authority.trust());
            settings.proxy = ProxyChoice::parse(&format!("http://me:pass@{address}")).unwrap();
            let client = HttpClient::new(settings, Arc::new(TcpDial));
            assert_eq!(fetch(&client, server.url("/x")).await.unwrap(), "page");
            let asked = seen.borrow()[0].clone();
            assert!(
                asked.starts_with("CONNECT ") && asked.contains(&format!(":{} HTTP/1.1\r\n", server.address.port()))
            );
            assert!(asked.contains("Proxy-Authorization: Basic bWU6cGFzcw==\r\n"), "{asked}");
            assert!(!server.requests()[0].to_ascii_lowercase().contains("proxy-"), "{}", server.requests()[0]);
        }
    });
}

#[test]
fn a_refusal_of_the_proxy_names_proxy_and_host_and_nothing_was_sent() {
    run(async {
        for (answer, shown) in [
            ("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n", "407"),
            ("HTTP/1.0 503 No\r\n\r\n", "503"),
            ("nonsense\r\n\r\n", "HTTP"),
            ("", "closed"),
        ] {
            let server = Server::plain(vec![vec![say(sized("", b"page"), Then::Keep)]]).await;
            let (address, _) = proxy(answer, None).await;
            let client = client_with(|s| s.proxy = ProxyChoice::parse(&address).unwrap());
            let fault = client.send(Request::post(server.url("/"), "{}")).await.unwrap_err();
            match &fault {
                TransportFault::Proxy { proxy, host, reason } => {
                    assert_eq!((proxy, host), (&address, &server.address.to_string()));
                    assert!(reason.contains(shown), "{reason}");
                }
                other => panic!("{answer:?}: {other}"),
            }
            assert_eq!(server.n_connections(), 0);
        }
    });
}

#[test]
fn a_proxy_that_never_answers_is_given_up_after_the_connect_time() {
    run(async {
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = client_with(|s| {
            s.connect = std::time::Duration::from_millis(200);
            s.proxy = ProxyChoice::parse(&silent.local_addr().unwrap().to_string()).unwrap();
        });
        let fault = client.send(Request::get("http://tenant.example/")).await.unwrap_err();
        assert!(matches!(fault, TransportFault::Connect { .. }), "{fault}");
    });
}
