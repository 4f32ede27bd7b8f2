//! The HTTP/1.1 server loop over any stream, and nothing of HTTP beyond what the protocol needs.
//!
//! An own loop rather than a framework: faults have to happen below any framework (a body cut at a byte, two lengths,
//! a head that drips), and one loop gives each of them to loopback and to simulated networks alike. A connection is
//! one task; calls on it are answered one after the other.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;

use super::player::play;
use super::request::MockRequest;
use super::tenant::Tenant;
use super::wire::Wire;

const MAX_HEAD_BYTES: usize = 64 * 1024;
const MAX_HEADERS: usize = 96;
const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;

/// A tenant that several connections share.
pub type SharedTenant = Arc<Mutex<Tenant>>;

/// The time since a tenant's start.
#[derive(Clone, Copy, Debug)]
pub struct TenantClock(Instant);

impl TenantClock {
    /// The tenant starts now.
    pub fn start_now() -> Self {
        Self(Instant::now())
    }

    /// How long ago that was.
    pub fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

/// How a connection is to end. The stream's owner sees to it, because only it knows how to reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hangup {
    /// Closed in order.
    Closed,
    /// Reset.
    Reset,
}

/// Answers the calls of one connection until it ends. Shuts the stream down itself, unless it is to be reset.
pub async fn serve_connection<S>(stream: S, tenant: SharedTenant, clock: TenantClock) -> Hangup
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut wire = Wire::new(stream);
    let hangup = serve(&mut wire, &tenant, clock).await;
    if hangup == Hangup::Closed {
        // The client may be gone already; there is nobody left to tell.
        wire.shutdown().await.ok();
    }
    hangup
}

async fn serve<S>(wire: &mut Wire<S>, tenant: &SharedTenant, clock: TenantClock) -> Hangup
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if tenant.lock().refuses_connections(clock.now()) {
        return Hangup::Reset;
    }
    let mut inbox = Vec::new();
    loop {
        let arrived = match read_request(wire, &mut inbox, tenant, clock).await {
            Ok(Some(arrived)) => arrived,
            Ok(None) => return Hangup::Closed,
            Err(error) => {
                if error.kind() == io::ErrorKind::InvalidData {
                    let refusal = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
                    wire.write_all(refusal.as_bytes()).await.ok();
                }
                return Hangup::Closed;
            }
        };
        let script = {
            let mut tenant = tenant.lock();
            let script = tenant.answer(&arrived.request, arrived.at);
            tenant.sending(script.entry);
            if arrived.left_unread {
                tenant.had_a_hand_in(script.entry);
            }
            script
        };
        let entry = script.entry;
        if let Some(fault) = script.wire {
            wire.arm(fault);
        }
        let mut played = play(wire, script, arrived.last).await;
        if let Some((hangup, n_written)) = wire.disarm() {
            played.hangup = Some(hangup);
            played.bytes = played.bytes.min(n_written.saturating_sub(played.head));
            if n_written < played.head {
                tenant.lock().unanswered(entry);
            }
        }
        if played.whole {
            tenant.lock().ended(entry, played.bytes, clock.now());
        } else {
            tenant.lock().broke_off(entry, played.bytes, clock.now());
        }
        if let Some(hangup) = played.hangup {
            return hangup;
        }
        if arrived.last {
            return Hangup::Closed;
        }
    }
}

struct Arrived {
    request: MockRequest,
    at: Duration,
    /// Its body was left unread for a while.
    left_unread: bool,
    /// The client will send no more on this connection.
    last: bool,
}

fn invalid(message: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

/// Reads one request; `inbox` keeps what came after it. None if the client closed between requests.
async fn read_request<S>(
    stream: &mut Wire<S>,
    inbox: &mut Vec<u8>,
    tenant: &SharedTenant,
    clock: TenantClock,
) -> io::Result<Option<Arrived>>
where
    S: AsyncRead + Unpin,
{
    let (mut request, last, head_len) = loop {
        if let Some(parsed) = parse_head(inbox)? {
            break parsed;
        }
        if inbox.len() > MAX_HEAD_BYTES {
            return Err(invalid("the head is too long"));
        }
        if stream.read_buf(inbox).await? == 0 {
            return if inbox.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
        }
    };
    // The head decides when a call was made; its body may take its time.
    let at = clock.now();
    inbox.drain(..head_len);
    let pause = tenant.lock().stops_reading(&request, at);
    if let Some(pause) = pause {
        stream.stop_reading(pause);
        stream.reads_again().await;
    }
    if request.header("transfer-encoding").is_some() {
        return Err(invalid("a request body needs a length"));
    }
    let length = match request.header("content-length") {
        None => 0,
        Some(value) => value.trim().parse::<usize>().map_err(|_| invalid("unreadable length"))?,
    };
    if length > MAX_BODY_BYTES {
        return Err(invalid("the body is too long"));
    }
    while inbox.len() < length {
        if stream.read_buf(inbox).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    request.body = inbox.drain(..length).collect();
    Ok(Some(Arrived { request, at, left_unread: pause.is_some(), last }))
}

fn parse_head(bytes: &[u8]) -> io::Result<Option<(MockRequest, bool, usize)>> {
    let mut lines = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut head = httparse::Request::new(&mut lines);
    let head_len = match head.parse(bytes).map_err(|_| invalid("not HTTP"))? {
        httparse::Status::Partial => return Ok(None),
        httparse::Status::Complete(length) => length,
    };
    let request = MockRequest {
        method: head.method.unwrap_or_default().to_owned(),
        target: head.path.unwrap_or_default().to_owned(),
        headers: head
            .headers
            .iter()
            .map(|line| (line.name.to_ascii_lowercase(), String::from_utf8_lossy(line.value).into_owned()))
            .collect(),
        body: Vec::new(),
    };
    let connection = request.header("connection").unwrap_or_default();
    let last = connection.eq_ignore_ascii_case("close")
        || head.version == Some(0) && !connection.eq_ignore_ascii_case("keep-alive");
    Ok(Some((request, last, head_len)))
}
