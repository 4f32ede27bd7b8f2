//! Connections that are made before a call is let out, and calls whose connection stands too late.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cxtract::model::TransportFault;
use cxtract::transport::{
    ByteStream, Dial, DialError, HttpClient, MayGo, Method, Request, TcpDial, TlsTrust, TransportSettings,
};
use futures::future::LocalBoxFuture;
use tokio::net::TcpListener;

use crate::support::{Server, Then, run, say, sized};

/// Counts and delays what it dials; refuses as long as it is told to.
#[derive(Clone, Default)]
struct SlowDial {
    n_dialled: Arc<AtomicUsize>,
    n_refused: Arc<AtomicUsize>,
    pause: Duration,
}

impl Dial for SlowDial {
    fn dial(&self, host: &str, port: u16) -> LocalBoxFuture<'static, Result<Box<dyn ByteStream>, DialError>> {
        self.n_dialled.fetch_add(1, Ordering::SeqCst);
        if self.n_refused.load(Ordering::SeqCst) > 0 {
            self.n_refused.fetch_sub(1, Ordering::SeqCst);
            return Box::pin(async { Err(DialError::Connect("nobody listens".to_owned())) });
        }
        let (pause, dialled) = (self.pause, TcpDial.dial(host, port));
        Box::pin(async move {
            tokio::time::sleep(pause).await;
            dialled.await
        })
    }
}

impl SlowDial {
    fn client(&self) -> HttpClient {
        let settings = TransportSettings::new(Arc::new(TlsTrust::load(None).expect("the bundled roots")));
        HttpClient::new(settings, Arc::new(self.clone()))
    }

    fn n_dialled(&self) -> usize {
        self.n_dialled.load(Ordering::SeqCst)
    }
}

async fn friendly() -> Server {
    Server::plain(vec![vec![say(sized("", b"ab"), Then::Keep); 20]]).await
}

async fn body(client: &HttpClient, request: Request) -> Result<Vec<u8>, TransportFault> {
    Ok(client.send(request).await?.body.collect(100).await?.to_vec())
}

#[test]
fn a_request_goes_out_over_the_connection_that_was_made_for_it() {
    run(async {
        let (server, dial) = (friendly().await, SlowDial::default());
        let client = dial.client();
        for method in [Method::Get, Method::Post] {
            let before = dial.n_dialled();
            client.prepare(method, &server.url("/"), 8).await;
            assert_eq!(dial.n_dialled(), before + 1);
            let request = match method {
                Method::Get => Request::get(server.url("/")),
                Method::Post => Request::post(server.url("/"), "x"),
            };
            assert_eq!(body(&client, request).await.unwrap(), b"ab");
            assert_eq!(dial.n_dialled(), before + 1, "{method:?}");
        }
    });
}

#[test]
fn as_many_connections_are_made_as_requests_wait_and_no_more_than_there_may_be() {
    run(async {
        let (server, dial) = (friendly().await, SlowDial { pause: Duration::from_millis(20), ..SlowDial::default() });
        let (client, url) = (dial.client(), server.url("/"));
        futures::future::join_all((0..10).map(|_| client.prepare(Method::Get, &url, 4))).await;
        assert_eq!(dial.n_dialled(), 4);
        for _ in 0..3 {
            client.prepare(Method::Get, &url, 4).await;
            body(&client, Request::get(url.clone())).await.unwrap();
        }
        assert_eq!(dial.n_dialled(), 4, "one that stands is enough for one request");
    });
}

#[test]
fn x5_a_request_whose_turn_is_over_when_its_connection_stands_is_not_sent_and_leaves_the_connection_to_the_next() {
    run(async {
        let (server, dial) = (friendly().await, SlowDial::default());
        let (client, url) = (dial.client(), server.url("/"));
        let may = Rc::new(Cell::new(false));
        let may_go: MayGo = {
            let may = may.clone();
            Rc::new(move || may.get())
        };
        let request =
            |method| Request { may_go: Some(may_go.clone()), ..Request { method, ..Request::get(url.clone()) } };
        for method in [Method::Get, Method::Post] {
            may.set(false);
            let before = dial.n_dialled();
            let fault = body(&client, request(method)).await.unwrap_err();
            assert_eq!(fault, TransportFault::Late(format!("127.0.0.1:{}", server.address.port())));
            assert_eq!(dial.n_dialled(), before + 1);
            let n_requests = server.requests().len();
            may.set(true);
            assert_eq!(body(&client, request(method)).await.unwrap(), b"ab");
            assert_eq!(dial.n_dialled(), before + 1, "the connection was kept");
            assert_eq!(server.requests().len(), n_requests + 1, "nothing had been sent");
            if method == Method::Get {
                // What stands needs no second look: there is nothing to wait for.
                may.set(false);
                assert_eq!(body(&client, request(method)).await.unwrap(), b"ab");
            }
        }
    });
}

#[test]
fn a_connection_that_the_peer_closes_as_soon_as_it_stands_is_the_next_requests_failure_and_is_not_dialled_twice() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let dial = SlowDial::default();
        let client = dial.client();
        client.prepare(Method::Get, &url, 8).await;
        drop(listener.accept().await.unwrap());
        // The end has arrived; it takes a look at the sockets to see it.
        tokio::time::sleep(Duration::from_millis(100)).await;
        let fault = body(&client, Request::get(url.clone())).await.unwrap_err();
        assert!(matches!(fault, TransportFault::Connect { .. }), "{fault}");
        assert_eq!(dial.n_dialled(), 1);
    });
}

#[test]
fn a_connection_that_could_not_be_made_ahead_is_the_next_requests_failure_and_is_not_dialled_twice() {
    run(async {
        let (server, dial) = (friendly().await, SlowDial::default());
        let (client, url) = (dial.client(), server.url("/"));
        dial.n_refused.store(1, Ordering::SeqCst);
        client.prepare(Method::Get, &url, 8).await;
        client.prepare(Method::Get, &url, 8).await;
        assert_eq!(dial.n_dialled(), 1, "a tenant that is away is left to the requests that may call it");
        let fault = body(&client, Request::get(url.clone())).await.unwrap_err();
        assert!(matches!(fault, TransportFault::Connect { .. }), "{fault}");
        assert_eq!(dial.n_dialled(), 1);
        assert_eq!(body(&client, Request::get(url.clone())).await.unwrap(), b"ab");
        assert_eq!(dial.n_dialled(), 2);
    });
}

#[test]
fn requests_that_wait_to_be_let_out_have_a_connection_each() {
    run(async {
        let (server, dial) = (friendly().await, SlowDial::default());
        let (client, url) = (dial.client(), server.url("/"));
        let first = client.prepare(Method::Get, &url, 8).await;
        let second = client.prepare(Method::Get, &url, 8).await;
        assert_eq!(dial.n_dialled(), 2);
        drop((first, second));
        let _third = client.prepare(Method::Post, &url, 8).await;
        assert_eq!(dial.n_dialled(), 2, "nobody waits for those two any more");
    });
}

#[test]
fn where_connections_end_with_their_answers_each_request_has_one_made_ahead() {
    run(async {
        let server = Server::plain(vec![vec![say(sized("Connection: close\r\n", b"ab"), Then::Close)]]).await;
        let dial = SlowDial::default();
        let (client, url) = (dial.client(), server.url("/"));
        for nth in 1..=5 {
            // Whoever still reads its answer has no connection to leave behind.
            let reading = client.send(Request::get(url.clone())).await.unwrap();
            let before = dial.n_dialled();
            let expected = client.prepare(Method::Get, &url, 8).await;
            assert_eq!(dial.n_dialled(), before + 1, "{nth}");
            drop(expected);
            assert_eq!(body(&client, Request::get(url.clone())).await.unwrap(), b"ab");
            assert_eq!(dial.n_dialled(), before + 1, "{nth}");
            reading.body.collect(100).await.unwrap();
        }
    });
}

#[test]
fn h1_a_head_that_can_not_be_used_may_still_ask_for_a_pause() {
    run(async {
        for bad in
            ["Content-Length: 0\r\nContent-Length: 1", "Transfer-Encoding: chunked\r\nContent-Length: 0", "X Y: z"]
        {
            let head = format!("HTTP/1.1 429 Slow Down\r\nRetry-After: 7\r\n{bad}\r\n\r\n");
            let server = Server::plain(vec![vec![say(head, Then::Close)]]).await;
            let (outcome, refused) = SlowDial::default().client().send_heeding(Request::get(server.url("/"))).await;
            assert!(matches!(outcome, Err(TransportFault::WrongKind(_))), "{bad}");
            let refused = refused.expect("its status and its other headers can be read");
            assert_eq!((refused.status, refused.header("retry-after")), (429, Some("7")), "{bad}");
        }
    });
}
