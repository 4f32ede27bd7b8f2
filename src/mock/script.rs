//! What a face has to do for one request: the answer, and how it goes wrong on its way.
//!
//! A script is a value. The heart decides it without sockets or clocks, and the server loop plays it over whatever
//! stream it has, so that each fault exists on loopback and in simulation alike.

use std::fmt;
use std::io::Write;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::data::PIECE_BYTES;
use super::page::PageBody;
use super::wire::WireFault;

/// An answer to be played.
#[derive(Clone, Debug)]
pub struct Script {
    /// The line of the ledger it belongs to.
    pub entry: usize,
    /// How long to wait before the first byte.
    pub delay: Duration,
    /// So many informational answers come first.
    pub informational: u32,
    /// The status code.
    pub status: u16,
    /// Header lines, without those of the framing.
    pub headers: Vec<(String, String)>,
    /// The body before compression.
    pub body: BodyPlan,
    /// How the body's end is told.
    pub framing: Framing,
    /// Compresses the body and says so.
    pub gzip: bool,
    /// Closes the connection after the answer without having announced it.
    pub close_after: bool,
    /// Leaves the body out, as in answers to `HEAD`.
    pub bodiless: bool,
    /// What happens to the stream.
    pub fault: Option<StreamFault>,
    /// What happens to the wire below.
    pub wire: Option<WireFault>,
}

/// A body.
#[derive(Clone)]
pub enum BodyPlan {
    /// None.
    Empty,
    /// These bytes.
    Bytes(Bytes),
    /// A page, made while it is sent.
    Generated(PageBody),
    /// So many times the letter `a`.
    Filler(u64),
}

/// How a body's end is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// By its length.
    ContentLength,
    /// By chunks.
    Chunked,
    /// Not at all: the connection is closed.
    None,
    /// By its length and by chunks.
    Both,
    /// By two lengths that differ.
    TwoLengths,
    /// By a length that is off by so much.
    WrongLength(i64),
}

/// What happens to the bytes on their way. Positions count body bytes as coded, without chunk framing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamFault {
    /// The connection is closed without an answer.
    NoAnswer,
    /// The connection is reset without an answer.
    Reset,
    /// The connection is closed before that byte.
    CutAt(u64),
    /// The connection is closed after the last chunk with data.
    CutBeforeFinalChunk,
    /// The connection is reset before that byte.
    ResetAt(u64),
    /// Nothing comes for so long before that byte.
    StallAfter(u64, Duration),
    /// The head comes byte by byte, so far apart.
    DripHead(Duration),
    /// The body comes in pieces of so many bytes, so far apart.
    DripBody(u64, Duration),
    /// One bit of that byte is wrong.
    FlipByte(u64),
}

impl Script {
    pub(super) fn new(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        let body: Bytes = body.into();
        let mut script = Self {
            entry: 0,
            delay: Duration::ZERO,
            informational: 0,
            status,
            headers: Vec::new(),
            body: if body.is_empty() { BodyPlan::Empty } else { BodyPlan::Bytes(body) },
            framing: Framing::ContentLength,
            gzip: false,
            close_after: false,
            bodiless: false,
            fault: None,
            wire: None,
        };
        if !content_type.is_empty() {
            script.set("Content-Type", content_type);
        }
        script
    }

    /// An answer of JSON.
    pub(super) fn json(status: u16, value: &serde_json::Value) -> Self {
        Self::new(status, "application/json", value.to_string())
    }

    /// A refusal in the API's own words.
    pub(super) fn refusal(status: u16, message: &str) -> Self {
        Self::json(status, &serde_json::json!({ "error": { "code": status, "message": message } }))
    }

    /// The first header of that name, letter case aside.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.headers.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    /// The status that reaches the client; 0 where no answer does.
    pub fn status_sent(&self) -> u16 {
        if matches!(self.fault, Some(StreamFault::NoAnswer | StreamFault::Reset)) { 0 } else { self.status }
    }

    /// The body before compression, whole.
    pub fn body_bytes(&self) -> Vec<u8> {
        self.body.whole()
    }
}

impl fmt::Debug for BodyPlan {
    /// The kind alone: a body may hold a token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "Empty",
            Self::Bytes(_) => "Bytes",
            Self::Generated(_) => "Generated",
            Self::Filler(_) => "Filler",
        })
    }
}

impl BodyPlan {
    pub(super) fn whole(&self) -> Vec<u8> {
        let (mut source, mut out) = (Pieces::plain(self.clone()), Vec::new());
        while source.next(&mut out) {}
        out
    }

    pub(super) fn n_bytes(&self) -> u64 {
        match self {
            Self::Empty => 0,
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Generated(page) => page.n_bytes(),
            Self::Filler(n) => *n,
        }
    }
}

/// A body on its way out, piece by piece, compressed or not.
pub(super) struct Pieces {
    body: BodyPlan,
    coding: Coding,
}

enum Coding {
    Plain,
    Gzip(Box<GzEncoder<Vec<u8>>>),
    /// The trailer is out.
    Done,
}

impl Pieces {
    pub(super) fn plain(body: BodyPlan) -> Self {
        Self { body, coding: Coding::Plain }
    }

    pub(super) fn gzip(body: BodyPlan) -> Self {
        // A bomb is only one at the higher levels; pages are to be quick.
        let level = if matches!(body, BodyPlan::Filler(_)) { Compression::default() } else { Compression::fast() };
        Self { body, coding: Coding::Gzip(Box::new(GzEncoder::new(Vec::new(), level))) }
    }

    /// Whether the body ended before its end, so that nobody must take it for whole.
    pub(super) fn broke(&self) -> bool {
        matches!(&self.body, BodyPlan::Generated(page) if page.broke())
    }

    /// Appends the next piece to `out`; `false` at the end.
    pub(super) fn next(&mut self, out: &mut Vec<u8>) -> bool {
        match std::mem::replace(&mut self.coding, Coding::Done) {
            Coding::Plain => {
                self.coding = Coding::Plain;
                next_plain(&mut self.body, out)
            }
            Coding::Done => false,
            Coding::Gzip(mut encoder) => {
                let mut raw = Vec::with_capacity(PIECE_BYTES);
                while next_plain(&mut self.body, &mut raw) {
                    compress(&mut encoder, &raw);
                    raw.clear();
                    if encoder.get_ref().len() >= PIECE_BYTES / 2 {
                        out.append(encoder.get_mut());
                        self.coding = Coding::Gzip(encoder);
                        return true;
                    }
                }
                out.append(&mut finish(*encoder));
                true
            }
        }
    }
}

/// One gzip member of those bytes.
pub(super) fn gzip_member(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    compress(&mut encoder, bytes);
    finish(encoder)
}

fn compress(encoder: &mut GzEncoder<Vec<u8>>, bytes: &[u8]) {
    encoder.write_all(bytes).expect("writing to memory does not fail");
}

fn finish(encoder: GzEncoder<Vec<u8>>) -> Vec<u8> {
    encoder.finish().expect("writing to memory does not fail")
}

fn next_plain(body: &mut BodyPlan, out: &mut Vec<u8>) -> bool {
    match body {
        BodyPlan::Generated(page) => page.next_piece(out),
        BodyPlan::Empty => false,
        BodyPlan::Bytes(bytes) => {
            let piece = bytes.split_to(bytes.len().min(PIECE_BYTES));
            out.extend_from_slice(&piece);
            !piece.is_empty()
        }
        BodyPlan::Filler(left) => {
            let n = (*left).min(PIECE_BYTES as u64);
            out.resize(out.len() + n as usize, b'a');
            *left -= n;
            n > 0
        }
    }
}
