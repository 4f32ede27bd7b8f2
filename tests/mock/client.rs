//! A client of the plainest kind: it sends text, and keeps what comes back until the stream ends or the answer does.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use base64::Engine as _;
use cxtract::mock::RunningMock;

pub(crate) const SUBMISSION: &str = r#"{"templateId":"detail","format":"csv","query":{"startDate":"2024-01-01T00:00:00.000Z","endDate":"2024-01-31T23:59:59.999Z","filters":[]},"pageSize":100}"#;

/// How a stream ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The answer was whole; the stream is still open.
    Open,
    /// Closed by the other side.
    Closed,
    /// Reset by the other side.
    Reset,
}

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    /// Bytes that came, framing and all.
    pub(crate) n_raw: usize,
    pub(crate) whole: bool,
    pub(crate) ended: Ended,
}

impl Answer {
    /// What these bytes of a stream say.
    pub(crate) fn read(bytes: &[u8], ended: Ended) -> Self {
        let (head, raw) = split(bytes).unwrap_or((&[], &[]));
        let chunked = String::from_utf8_lossy(head).contains("Transfer-Encoding: chunked");
        Self {
            head: String::from_utf8_lossy(head).into_owned(),
            body: if chunked { unchunked(raw).0 } else { raw.to_vec() },
            n_raw: bytes.len(),
            whole: complete(bytes),
            ended,
        }
    }

    /// Its header lines.
    pub(crate) fn headers(&self) -> Vec<(String, String)> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    pub(crate) fn status(&self) -> u16 {
        self.head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

pub(crate) struct Client {
    stream: TcpStream,
    pub(crate) token: String,
    address: SocketAddr,
}

impl Client {
    pub(crate) fn connect(mock: &RunningMock) -> Self {
        let mut client = Self::without_token(mock);
        client.token = client.ask_token().json()["access_token"].as_str().unwrap().to_owned();
        client
    }

    pub(crate) fn without_token(mock: &RunningMock) -> Self {
        Self { stream: open(mock.address()), token: String::new(), address: mock.address() }
    }

    /// To any address, for requests written by hand.
    pub(crate) fn to(address: SocketAddr) -> Self {
        Self { stream: open(address), token: String::new(), address }
    }

    pub(crate) fn reconnect(&mut self) {
        self.stream = open(self.address);
    }

    pub(crate) fn ask_token(&mut self) -> Answer {
        let basic = base64::engine::general_purpose::STANDARD.encode("id:secret");
        let form = "grant_type=client_credentials";
        self.send(&format!(
            "POST /oauth2/token HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {basic}\r\nContent-Type: \
             application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
            form.len()
        ))
    }

    pub(crate) fn submit(&mut self) -> Answer {
        self.send(&format!(
            "POST /api/v2/reporting/queries HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: \
             application/json\r\nContent-Length: {}\r\n\r\n{SUBMISSION}",
            self.token,
            SUBMISSION.len()
        ))
    }

    pub(crate) fn submitted(&mut self) -> String {
        self.submit().json()["queryId"].as_str().unwrap().to_owned()
    }

    /// Submits again and again, until that is an offence. A tenant that was late itself grants more than the grace.
    pub(crate) fn calls_on(&mut self, mock: &RunningMock) -> Answer {
        let begun = mock.now();
        loop {
            let answer = self.submit();
            if mock.ledger().last().unwrap().told_to_wait {
                return answer;
            }
            assert!(mock.now() - begun < Duration::from_secs(40), "nobody takes offence");
            std::thread::park_timeout(Duration::from_millis(50));
        }
    }

    pub(crate) fn status(&mut self, query: &str) -> Answer {
        self.get(&format!("/api/v2/reporting/queries/{query}"), "")
    }

    pub(crate) fn page(&mut self, query: &str, page: u64) -> Answer {
        self.get(&page_path(query, page), "")
    }

    pub(crate) fn get(&mut self, target: &str, headers: &str) -> Answer {
        self.send(&format!("GET {target} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n{headers}\r\n", self.token))
    }

    pub(crate) fn send(&mut self, request: &str) -> Answer {
        let mut bytes = Vec::new();
        let mut ended = Ended::Open;
        if self.stream.write_all(request.as_bytes()).is_err() {
            return Answer { head: String::new(), body: bytes, n_raw: 0, whole: false, ended: Ended::Closed };
        }
        let mut piece = vec![0; 64 * 1024];
        while ended == Ended::Open && !complete(&bytes) {
            match self.stream.read(&mut piece) {
                Ok(0) => ended = Ended::Closed,
                Ok(n) => bytes.extend_from_slice(&piece[..n]),
                Err(e) if e.kind() == ErrorKind::ConnectionReset => ended = Ended::Reset,
                Err(e) => panic!("{e}"),
            }
        }
        Answer::read(&bytes, ended)
    }

    /// Sends that, and waits for so many bytes.
    pub(crate) fn exchange(&mut self, bytes: &[u8], n: usize) -> Vec<u8> {
        self.stream.write_all(bytes).unwrap();
        let mut came = vec![0; n];
        self.stream.read_exact(&mut came).unwrap();
        came
    }

    /// Whether the other side closes the idle stream soon.
    pub(crate) fn is_closed_soon(&mut self) -> bool {
        matches!(self.stream.read(&mut [0; 1]), Ok(0))
    }
}

pub(crate) fn page_path(query: &str, page: u64) -> String {
    format!("/api/v2/reporting/queries/{query}/results?format=csv&page={page}&pageSize=100")
}

fn open(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}

/// The last head (informational ones are skipped) and what follows it.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
    let (head, rest) = bytes.split_at(end);
    if head.starts_with(b"HTTP/1.1 1") { split(rest) } else { Some((head, rest)) }
}

fn complete(bytes: &[u8]) -> bool {
    let Some((head, body)) = split(bytes) else { return false };
    let head = String::from_utf8_lossy(head).into_owned();
    if head.contains("Transfer-Encoding: chunked") {
        return unchunked(body).1;
    }
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
    length.is_some_and(|n| body.len() >= n.parse::<usize>().unwrap())
}

/// The data in chunks so far, and whether the final chunk was among them.
fn unchunked(mut raw: &[u8]) -> (Vec<u8>, bool) {
    let mut data = Vec::new();
    while let Some(end) = raw.windows(2).position(|w| w == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&raw[..end]).unwrap(), 16).unwrap();
        if size == 0 {
            return (data, true);
        }
        let rest = &raw[end + 2..];
        data.extend_from_slice(&rest[..size.min(rest.len())]);
        if rest.len() < size + 2 {
            break;
        }
        raw = &rest[size + 2..];
    }
    (data, false)
}
