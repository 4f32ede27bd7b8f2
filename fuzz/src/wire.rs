//! A tenant that answers with prepared bytes, reached through the client that the program uses.
//!
//! What reads links and JSON is no public function, so that the fuzzer goes the whole way: a head and a body over a
//! connection in memory. Each call gets a connection of its own, and nothing here ever waits for a clock.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use cxtract::model::{AccessToken, QueryId, Secret, Timestamp, TokenGeneration, WallClock};
use cxtract::policy::rate_limit::RateHint;
use cxtract::tenant::{ClientAuth, Credentials, Issued, TenantClient, TenantSettings, Watch};
use cxtract::transport::{ByteStream, Dial, DialError, HttpClient, MayGo, TlsTrust, TransportSettings};
use futures::future::LocalBoxFuture;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What must never come back in any message.
pub(crate) const CLIENT_SECRET: &str = "canary-7Qx!secret";
/// The same for a token in use.
pub(crate) const TOKEN: &str = "canary-9Zk.token";

thread_local! {
    static PLACE: Place = Place::new();
}

/// Where the calls of one thread are made.
struct Place {
    runtime: tokio::runtime::Runtime,
    trust: Arc<TlsTrust>,
}

impl Place {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        Self { runtime, trust: Arc::new(TlsTrust::load(None).expect("TLS is set up")) }
    }
}

/// Makes calls against a tenant that gives that answer to each.
pub(crate) fn answered<T>(answer: Vec<u8>, calls: impl AsyncFnOnce(TenantClient) -> T) -> T {
    PLACE.with(|place| {
        let dial: Arc<dyn Dial> = Arc::new(Prepared(Mutex::new(answer)));
        let http = HttpClient::new(TransportSettings::new(Arc::clone(&place.trust)), dial);
        let client = TenantClient::new(http.clone(), http, settings());
        tokio::task::LocalSet::new().block_on(&place.runtime, calls(client))
    })
}

/// A whole answer: a head with those lines and a length, and that body.
pub(crate) fn answer(status: u16, lines: &[u8], body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 {status} -\r\nContent-Length: {}\r\n", body.len()).into_bytes();
    bytes.extend_from_slice(lines);
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    bytes
}

/// The token that goes with calls.
pub(crate) fn token() -> AccessToken {
    let asked = tokio::time::Instant::now();
    AccessToken { value: Secret::new(TOKEN), generation: TokenGeneration(1), asked }
}

/// A query to ask after.
pub(crate) fn query() -> QueryId {
    QueryId::new("q-1")
}

fn settings() -> TenantSettings {
    TenantSettings {
        base_url: "http://tenant.example".to_owned(),
        token_url: "http://tenant.example/oauth2/token".to_owned(),
        credentials: Credentials {
            client_id: Secret::new("canary-1Lp-client"),
            client_secret: Secret::new(CLIENT_SECRET),
            client_auth: ClientAuth::Basic,
            scopes: Vec::new(),
        },
        clock: WallClock::new(|| Timestamp(784_111_777_000)),
        issued: Issued::default(),
        skew_told: Arc::new(AtomicBool::new(true)),
    }
}

/// Hears what the head of an answer means for others.
#[derive(Default)]
pub(crate) struct Heard {
    /// The quotas that were told of.
    pub(crate) hints: RefCell<Vec<RateHint>>,
}

impl Watch for Heard {
    fn answered(&self) {}

    fn told_to_wait(&self, _: u16, wait: Option<Duration>) {
        assert!(wait.is_none_or(|wait| !wait.is_zero()), "told to wait for no time");
    }

    fn told_quotas(&self, hint: &RateHint) {
        self.hints.borrow_mut().push(*hint);
    }

    fn may_go(&self) -> Option<MayGo> {
        Some(Rc::new(|| true))
    }
}

struct Prepared(Mutex<Vec<u8>>);

impl Dial for Prepared {
    fn dial(&self, _: &str, _: u16) -> LocalBoxFuture<'static, Result<Box<dyn ByteStream>, DialError>> {
        let left = self.0.lock().expect("nobody panicked here").clone();
        let stream = Connection { left, at: 0, request: Vec::new(), reader: None };
        Box::pin(async move { Ok(Box::new(stream) as Box<dyn ByteStream>) })
    }
}

/// Answers once the whole request is there, then closes.
struct Connection {
    left: Vec<u8>,
    at: usize,
    request: Vec<u8>,
    reader: Option<Waker>,
}

impl Connection {
    fn has_request(&self) -> bool {
        let Some(end) = self.request.windows(4).position(|w| w == b"\r\n\r\n") else { return false };
        let head = String::from_utf8_lossy(&self.request[..end]).to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
        self.request.len() >= end + 4 + length.unwrap_or(0)
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.has_request() {
            self.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let n = into.remaining().min(self.left.len() - self.at);
        into.put_slice(&self.left[self.at..self.at + n]);
        self.at += n;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.request.extend_from_slice(bytes);
        if self.has_request()
            && let Some(reader) = self.reader.take()
        {
            reader.wake();
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
