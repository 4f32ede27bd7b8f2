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
use tokio::time::{Instant, timeout};

use super::desk;
use super::house::{Door, House, Resident};
use super::lag::Lag;
use super::player::play;
use super::request::{MockRequest, origin_form};
use super::script::Script;
use super::tenant::Tenant;
use super::wire::Wire;

const MAX_HEAD_BYTES: usize = 64 * 1024;
const MAX_HEADERS: usize = 96;
const READ_BYTES: usize = 8 * 1024;
const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;

/// How long a connection that is to be reset may take to say that it is for the desk.
const SAYS_WHERE_TO: Duration = Duration::from_millis(100);

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
        self.at(Instant::now())
    }

    /// How long after the start that moment is.
    pub(super) fn at(&self, moment: Instant) -> Duration {
        moment.saturating_duration_since(self.0)
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
    let resident = Resident { name: "mock".to_owned(), base_url: String::new(), tenant, clock };
    let door = Door { house: Arc::new(House { residents: vec![resident] }), only: Some(0) };
    serve_door(stream, &door, None, true).await
}

/// The same for whoever is behind a door. `lag` knows how late calls are read, where they are at all; `goodbye` says
/// whether a stream that ends in order is shut down first.
pub(super) async fn serve_door<S>(stream: S, door: &Door, lag: Option<&Lag>, goodbye: bool) -> Hangup
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut wire = Wire::new(stream);
    let hangup = serve(&mut wire, door, lag).await;
    if hangup == Hangup::Closed && goodbye {
        // The client may be gone already; there is nobody left to tell.
        wire.shutdown().await.ok();
    }
    hangup
}

async fn serve<S>(wire: &mut Wire<S>, door: &Door, lag: Option<&Lag>) -> Hangup
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut inbox = Inbox { bytes: Vec::new(), read: Instant::now() };
    if door.only_resident().is_some_and(|resident| resident.tenant.lock().refuses_connections(resident.now())) {
        // Whoever looks on is to see the outage, not to meet it.
        let for_desk = timeout(SAYS_WHERE_TO, inbox.is_for_desk(wire)).await;
        if !for_desk.is_ok_and(|answer| answer.unwrap_or(false)) {
            return Hangup::Reset;
        }
    }
    loop {
        let arrived = match read_request(wire, &mut inbox, door).await {
            Ok(Some(arrived)) => arrived,
            Ok(None) => return Hangup::Closed,
            Err(error) => {
                if error.kind() == io::ErrorKind::InvalidData {
                    play(wire, Script::refusal(400, &error.to_string()), true).await;
                }
                return Hangup::Closed;
            }
        };
        let last = arrived.last;
        let bodiless = arrived.request.is_head();
        let hangup = match &arrived.whom {
            Whom::Desk if bodiless => {
                let mut script = Script::refusal(405, "");
                script.set("Allow", "GET, POST");
                play(wire, Script { bodiless, ..script }, last).await.hangup
            }
            Whom::Desk => desk::answer(wire, door, &arrived.request, last).await.err().map(|_| Hangup::Closed),
            Whom::Nobody(why) => {
                let script = Script::refusal(421, why);
                play(wire, Script { bodiless, ..script }, last).await.hangup
            }
            Whom::Tenant(resident) => {
                let late = lag.map_or(Duration::ZERO, |lag| lag.at(arrived.read));
                converse(wire, resident, &arrived, late).await
            }
        };
        match hangup {
            Some(hangup) => return hangup,
            None if last => return Hangup::Closed,
            None => {}
        }
    }
}

/// Answers a tenant's call, which was read so `late` at the most, and says how the connection is to end, if it is.
async fn converse<S>(wire: &mut Wire<S>, resident: &Resident, arrived: &Arrived<'_>, late: Duration) -> Option<Hangup>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let tenant = &resident.tenant;
    let script = {
        let mut tenant = tenant.lock();
        tenant.reads_late(late);
        let mut script = tenant.answer(&arrived.request, resident.clock.at(arrived.read));
        script.bodiless = arrived.request.is_head();
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
        tenant.lock().ended(entry, played.bytes, resident.now());
    } else {
        tenant.lock().broke_off(entry, played.bytes, resident.now());
    }
    played.hangup
}

/// Whom a request is for.
enum Whom<'a> {
    Tenant(&'a Resident),
    Desk,
    Nobody(String),
}

struct Arrived<'a> {
    whom: Whom<'a>,
    request: MockRequest,
    /// When the end of its head was read.
    read: Instant,
    /// Its body was left unread for a while.
    left_unread: bool,
    /// The client will send no more on this connection.
    last: bool,
}

/// What came and was not taken up yet.
struct Inbox {
    bytes: Vec<u8>,
    /// When the last of it was read.
    read: Instant,
}

impl Inbox {
    /// Reads some more; 0 at the end of the stream.
    async fn fill<S: AsyncRead + Unpin>(&mut self, stream: &mut S) -> io::Result<usize> {
        self.bytes.reserve(READ_BYTES);
        let n = stream.read_buf(&mut self.bytes).await?;
        self.read = Instant::now();
        Ok(n)
    }

    /// Whether the next request is for the desk. It stays to be taken up.
    async fn is_for_desk<S: AsyncRead + Unpin>(&mut self, stream: &mut S) -> io::Result<bool> {
        loop {
            if let Some((request, ..)) = parse_head(&self.bytes)? {
                return Ok(desk::is_meant(&request.target));
            }
            if self.bytes.len() > MAX_HEAD_BYTES || self.fill(stream).await? == 0 {
                return Ok(false);
            }
        }
    }
}

fn invalid(message: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

/// Reads one request; `inbox` keeps what came after it. None if the client closed between requests.
async fn read_request<'a, S>(stream: &mut Wire<S>, inbox: &mut Inbox, door: &'a Door) -> io::Result<Option<Arrived<'a>>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut request, last, head_len) = loop {
        if let Some(parsed) = parse_head(&inbox.bytes)? {
            break parsed;
        }
        if inbox.bytes.len() > MAX_HEAD_BYTES {
            return Err(invalid("the head is longer than 64 KiB"));
        }
        if inbox.fill(stream).await? == 0 {
            return if inbox.bytes.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
        }
    };
    inbox.bytes.drain(..head_len);
    let whom = match door.resident(&request) {
        _ if desk::is_meant(&request.target) => Whom::Desk,
        Ok(resident) => Whom::Tenant(resident),
        Err(why) => Whom::Nobody(why),
    };
    // The head decides when a call was made; its body may take its time, and so may an answer to the call before it.
    let read = inbox.read;
    let mut pause = None;
    if let Whom::Tenant(resident) = &whom {
        pause = resident.tenant.lock().stops_reading(&request, resident.clock.at(read));
    }
    if let Some(pause) = pause {
        stream.stop_reading(pause);
        stream.reads_again().await;
    }
    if request.header("transfer-encoding").is_some() {
        return Err(invalid("a request's body must come with Content-Length; chunks are not understood"));
    }
    let length = match request.header("content-length") {
        None => 0,
        Some(value) => value.trim().parse::<usize>().map_err(|_| invalid("Content-Length is not a number"))?,
    };
    if length > MAX_BODY_BYTES {
        return Err(invalid("the body is longer than 4 MiB"));
    }
    if inbox.bytes.len() < length && request.expects_leave() {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        stream.flush().await?;
    }
    while inbox.bytes.len() < length {
        if inbox.fill(stream).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    request.body = inbox.bytes.drain(..length).collect();
    Ok(Some(Arrived { whom, request, read, left_unread: pause.is_some(), last }))
}

fn parse_head(bytes: &[u8]) -> io::Result<Option<(MockRequest, bool, usize)>> {
    let mut lines = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut head = httparse::Request::new(&mut lines);
    let head_len = match head.parse(bytes).map_err(|_| invalid("this is not a request of HTTP/1.1"))? {
        httparse::Status::Partial => return Ok(None),
        httparse::Status::Complete(length) => length,
    };
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let (host, target) = origin_form(head.path.unwrap_or_default());
    let mut headers: Vec<(String, String)> =
        head.headers.iter().map(|line| (line.name.to_ascii_lowercase(), text(line.value))).collect();
    if head.version == Some(0) {
        // Nobody expected anything in those days (RFC 9110, 10.1.1).
        headers.retain(|(name, _)| name != "expect");
    }
    if let Some(host) = host {
        // It counts, whatever the header says.
        headers.retain(|(name, _)| name != "host");
        headers.push(("host".to_owned(), host.to_owned()));
    }
    let target = if target.starts_with('?') { format!("/{target}") } else { target.to_owned() };
    let method = head.method.unwrap_or_default().to_owned();
    let request = MockRequest { method, target, headers, body: Vec::new() };
    let connection = request.header("connection").unwrap_or_default();
    let last = connection.eq_ignore_ascii_case("close")
        || head.version == Some(0) && !connection.eq_ignore_ascii_case("keep-alive");
    Ok(Some((request, last, head_len)))
}
