//! What came back over the wire, or why nothing whole did, in words that policies can judge.

use std::time::Duration;

/// The head of an HTTP answer. Header names are lower-case; values keep their bytes, read as Latin-1
/// where they are not ASCII.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AnswerHead {
    /// The status code.
    pub status: u16,
    /// Every header line, in order, repeated ones included.
    pub headers: Vec<(String, String)>,
}

impl AnswerHead {
    /// The first header of that (lower-case) name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// Every header of that (lower-case) name, in order.
    pub fn headers_named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> + 'a {
        self.headers.iter().filter(move |(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

/// Why no whole answer arrived.
///
/// One variant per difference that someone acts on; the text inside is for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransportFault {
    /// The host's name did not resolve.
    #[error("{host} could not be resolved: {reason}")]
    Dns {
        /// The name that was looked up.
        host: String,
        /// The resolver's words.
        reason: String,
    },
    /// No connection could be made (refused, unreachable, or not within the time allowed).
    #[error("no connection to {host}: {reason}")]
    Connect {
        /// Host and port.
        host: String,
        /// The system's words.
        reason: String,
    },
    /// The peer's certificate isn't to be trusted (expired, another host's, unknown authority). Never tried again.
    #[error("TLS to {host} is not to be trusted: {reason}")]
    Untrusted {
        /// The host asked for.
        host: String,
        /// What is wrong with its certificate.
        reason: String,
    },
    /// The proxy refused the tunnel.
    #[error("the proxy {proxy} did not open a tunnel to {host}: {reason}")]
    Proxy {
        /// The proxy's address.
        proxy: String,
        /// The host behind it.
        host: String,
        /// What it answered.
        reason: String,
    },
    /// The head of the answer did not arrive in time.
    #[error("no answer within {0:?}")]
    HeadTimeout(Duration),
    /// Nothing arrived for too long in the middle of a body.
    #[error("the body stalled for {0:?}")]
    Stalled(Duration),
    /// The body came in too slowly for too long.
    #[error("the body came at less than {bytes_per_second} bytes a second for {over:?}")]
    TooSlow {
        /// The least rate that is put up with.
        bytes_per_second: u64,
        /// The time over which it is measured.
        over: Duration,
    },
    /// The connection ended or broke before the last byte.
    #[error("connection lost after {got} bytes{}: {reason}", .expected.map(|n| format!(" of {n}")).unwrap_or_default())]
    Cut {
        /// Body bytes received, as they came over the wire.
        got: u64,
        /// Body bytes announced, where they were.
        expected: Option<u64>,
        /// What was seen.
        reason: String,
    },
    /// The connection took so long to be made that the request's turn was over: nothing was sent, and the connection
    /// waits for the next try.
    #[error("the connection to {0} came too late for the call's turn")]
    Late(String),
    /// The connection ended before any byte of the answer's head.
    #[error("connection closed before the answer: {0}")]
    NoAnswer(String),
    /// The same on a kept connection: the peer had most likely closed it while it was idle and has not seen the
    /// request. A GET may be sent again at no charge, once.
    #[error("kept connection closed before the answer: {0}")]
    Stale(String),
    /// The gzip stream is damaged or ends early.
    #[error("damaged gzip body: {0}")]
    Inflate(String),
    /// A success whose body has neither length nor chunks: its end can't be known.
    #[error("unframed body: neither Content-Length nor chunked, so that its end can't be known")]
    Unframed,
    /// The answer breaks the protocol or is of a kind that was not asked for.
    #[error("answer of the wrong kind: {0}")]
    WrongKind(String),
    /// A fixed limit was passed; the text names it.
    #[error("{what} is larger than the limit of {limit}")]
    OverLimit {
        /// What was too large.
        what: &'static str,
        /// The limit, with the configuration key where there is one.
        limit: String,
    },
}
