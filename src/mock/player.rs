//! Plays a script over a stream: head, framing, body, and what goes wrong with them.
//!
//! The body is made, coded and framed piece by piece in constant memory and leaves in large writes. After each piece
//! others have their turn: a big page must not keep the calls of others unread. Knows nothing of why a script is as it
//! is.

use std::fmt::Write as _;

use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::task::yield_now;
use tokio::time::sleep;

use super::data::PIECE_BYTES;
use super::script::{BodyPlan, Framing, Pieces, Script, StreamFault};
use super::server::Hangup;
use super::wire::RESET_AFTER;

/// What came of a script.
pub(super) struct Played {
    /// Body bytes sent, without chunk framing.
    pub(super) bytes: u64,
    /// Bytes of the head, informational ones included.
    pub(super) head: u64,
    /// Whether nothing was left out.
    pub(super) whole: bool,
    /// How the connection is to end, if it is.
    pub(super) hangup: Option<Hangup>,
}

pub(super) async fn play<S: AsyncWrite + Unpin>(stream: &mut S, script: Script, last: bool) -> Played {
    if !script.delay.is_zero() {
        sleep(script.delay).await;
    }
    let mut player =
        Player { stream, out: Vec::new(), chunked: false, fault: script.fault, sent: 0, head: 0, whole: false };
    let hangup = player.run(script, last).await.err();
    Played { bytes: player.sent, head: player.head, whole: player.whole, hangup }
}

struct Player<'a, S> {
    stream: &'a mut S,
    out: Vec<u8>,
    chunked: bool,
    fault: Option<StreamFault>,
    sent: u64,
    head: u64,
    whole: bool,
}

impl<S: AsyncWrite + Unpin> Player<'_, S> {
    async fn run(&mut self, mut script: Script, last: bool) -> Result<(), Hangup> {
        match self.fault {
            Some(StreamFault::NoAnswer) => return Err(Hangup::Closed),
            Some(StreamFault::Reset) => return Err(Hangup::Reset),
            _ => {}
        }
        let bodiless = script.bodiless || matches!(script.status, 204 | 304);
        if script.gzip && !matches!(script.body, BodyPlan::Empty) {
            script.set("Content-Encoding", "gzip");
        } else {
            script.gzip = false;
        }
        let mut body = std::mem::replace(&mut script.body, BodyPlan::Empty);
        let needs_length = matches!(script.framing, Framing::ContentLength | Framing::Both | Framing::TwoLengths)
            || matches!(script.framing, Framing::WrongLength(_));
        if script.gzip && needs_length {
            // Only the whole of a compressed body tells its length.
            let (mut pieces, mut whole) = (Pieces::gzip(body), Vec::new());
            while pieces.next(&mut whole) {
                give_way(whole.len()).await;
            }
            if pieces.broke() {
                return Err(Hangup::Closed);
            }
            body = BodyPlan::Bytes(whole.into());
            script.gzip = false;
        }
        let length = if needs_length { n_bytes(&body).await } else { 0 };
        self.chunked = matches!(script.framing, Framing::Chunked | Framing::Both);
        self.head(&script, length, bodiless, last).await?;
        if !bodiless {
            self.body(if script.gzip { Pieces::gzip(body) } else { Pieces::plain(body) }).await?;
        }
        self.flush().await?;
        self.whole = true;
        let ends_here = matches!(script.framing, Framing::None | Framing::Both | Framing::TwoLengths)
            || matches!(script.framing, Framing::WrongLength(_));
        if script.close_after || (ends_here && !bodiless) { Err(Hangup::Closed) } else { Ok(()) }
    }

    async fn head(&mut self, script: &Script, length: u64, bodiless: bool, last: bool) -> Result<(), Hangup> {
        let mut head = String::new();
        for _ in 0..script.informational {
            head.push_str("HTTP/1.1 103 Early Hints\r\nX-Hint: more to come\r\n\r\n");
        }
        let mut line = |text: std::fmt::Arguments<'_>| {
            head.write_fmt(text).expect("writing to memory does not fail");
            head.push_str("\r\n");
        };
        line(format_args!("HTTP/1.1 {} {}", script.status, reason(script.status)));
        for (name, value) in &script.headers {
            line(format_args!("{name}: {value}"));
        }
        if !bodiless {
            match script.framing {
                Framing::None => {}
                Framing::Chunked => line(format_args!("Transfer-Encoding: chunked")),
                Framing::ContentLength => line(format_args!("Content-Length: {length}")),
                Framing::Both => line(format_args!("Content-Length: {length}\r\nTransfer-Encoding: chunked")),
                Framing::TwoLengths => line(format_args!("Content-Length: {length}\r\nContent-Length: {}", length + 1)),
                Framing::WrongLength(by) => {
                    line(format_args!("Content-Length: {}", length.saturating_add_signed(by)));
                }
            }
        }
        if last {
            line(format_args!("Connection: close"));
        }
        line(format_args!(""));
        self.head = head.len() as u64;
        if let Some(StreamFault::DripHead(pause)) = self.fault {
            for byte in head.bytes() {
                self.out.push(byte);
                self.flush().await?;
                sleep(pause).await;
            }
        } else {
            self.out.extend_from_slice(head.as_bytes());
        }
        Ok(())
    }

    async fn body(&mut self, mut pieces: Pieces) -> Result<(), Hangup> {
        let mut piece = Vec::with_capacity(PIECE_BYTES + 4096);
        while pieces.next(&mut piece) {
            self.piece(&mut piece).await?;
            give_way(piece.len()).await;
            piece.clear();
        }
        if pieces.broke() {
            self.flush().await?;
            return Err(Hangup::Closed);
        }
        if !self.chunked {
            return Ok(());
        }
        if matches!(self.fault, Some(StreamFault::CutBeforeFinalChunk | StreamFault::CutAt(_))) {
            self.flush().await?;
            return Err(Hangup::Closed);
        }
        self.out.extend_from_slice(b"0\r\n\r\n");
        Ok(())
    }

    async fn piece(&mut self, piece: &mut [u8]) -> Result<(), Hangup> {
        let here = self.sent..self.sent + piece.len() as u64;
        let offset = |at: u64| (at - here.start) as usize;
        match self.fault {
            Some(StreamFault::FlipByte(at)) if here.contains(&at) => piece[offset(at)] ^= 1,
            Some(StreamFault::DripBody(bytes, pause)) => {
                for drop in piece.chunks(bytes.max(1) as usize) {
                    self.chunk(drop);
                    self.flush().await?;
                    // Without a pause it is about where the pieces end; a sleep takes a millisecond at least.
                    if pause.is_zero() { yield_now().await } else { sleep(pause).await }
                }
                return Ok(());
            }
            Some(StreamFault::CutAt(at)) if here.contains(&at) => {
                self.part(piece.len(), &piece[..offset(at)]).await?;
                return Err(Hangup::Closed);
            }
            Some(StreamFault::ResetAt(at)) if here.contains(&at) => {
                self.part(piece.len(), &piece[..offset(at)]).await?;
                sleep(RESET_AFTER).await;
                return Err(Hangup::Reset);
            }
            Some(StreamFault::StallAfter(at, pause)) if here.contains(&at) => {
                self.part(piece.len(), &piece[..offset(at)]).await?;
                self.fault = None;
                sleep(pause).await;
                self.data(&piece[offset(at)..]);
                self.close_chunk();
                return self.flush().await;
            }
            _ => {}
        }
        self.chunk(piece);
        if self.out.len() >= PIECE_BYTES / 2 { self.flush().await } else { Ok(()) }
    }

    /// The beginning of a piece, within a chunk that announces all of it.
    async fn part(&mut self, announced: usize, data: &[u8]) -> Result<(), Hangup> {
        self.open_chunk(announced);
        self.data(data);
        self.flush().await
    }

    fn chunk(&mut self, data: &[u8]) {
        self.open_chunk(data.len());
        self.data(data);
        self.close_chunk();
    }

    fn open_chunk(&mut self, length: usize) {
        if self.chunked {
            self.out.extend_from_slice(format!("{length:x}\r\n").as_bytes());
        }
    }

    fn data(&mut self, data: &[u8]) {
        self.out.extend_from_slice(data);
        self.sent += data.len() as u64;
    }

    fn close_chunk(&mut self) {
        if self.chunked {
            self.out.extend_from_slice(b"\r\n");
        }
    }

    async fn flush(&mut self) -> Result<(), Hangup> {
        let written = async {
            self.stream.write_all(&self.out).await?;
            self.stream.flush().await
        };
        // A client that is gone is no fault of the tenant's.
        written.await.map_err(|_| Hangup::Closed)?;
        self.out.clear();
        Ok(())
    }
}

/// Lets others have their turn if that was much to make: a client that reads fast enough never makes it wait.
async fn give_way(n_bytes: usize) {
    if n_bytes >= PIECE_BYTES / 2 {
        yield_now().await;
    }
}

/// How many bytes a body has.
async fn n_bytes(body: &BodyPlan) -> u64 {
    let BodyPlan::Generated(page) = body else { return body.n_bytes() };
    let (mut page, mut piece, mut n) = (page.clone(), Vec::new(), 0);
    while page.next_piece(&mut piece) {
        n += piece.len() as u64;
        give_way(piece.len()).await;
        piece.clear();
    }
    n
}

pub(super) fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        202 => "Accepted",
        204 => "No Content",
        206 => "Partial Content",
        302 => "Found",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Other",
    }
}

#[cfg(test)]
mod tests {
    use futures::poll;

    use crate::model::{Timestamp, Window};

    use super::super::report::MockReport;
    use super::*;

    /// How many bytes a page of so many rows has, and how often others had a turn while it was played to somebody who
    /// reads at once.
    async fn turns(rows: u64, gzip: bool, framing: Framing) -> (usize, usize) {
        let report = MockReport::with_rows(rows);
        let window = Window { from: Timestamp(0), to: Timestamp(1) };
        let page = report.page(report.source(1, "detail", window), 1, rows);
        let mut script = Script::new(200, "text/csv", "");
        (script.body, script.gzip, script.framing) = (BodyPlan::Generated(page), gzip, framing);
        let mut stream: Vec<u8> = Vec::new();
        let mut turns = 0;
        {
            let mut playing = std::pin::pin!(play(&mut stream, script, false));
            while poll!(&mut playing).is_pending() {
                turns += 1;
                yield_now().await;
            }
        }
        (stream.len(), turns)
    }

    #[tokio::test]
    async fn others_have_a_turn_after_each_piece_however_fast_a_page_is_read() {
        let (whole, plain) = turns(5000, false, Framing::Chunked).await;
        let pieces = whole / PIECE_BYTES;
        assert!(pieces >= 5 && plain >= pieces, "{plain} turns of {pieces} pieces");
        // What has to be measured first is made twice.
        let (_, measured) = turns(5000, false, Framing::ContentLength).await;
        assert!(measured >= 2 * pieces, "{measured} turns of {pieces} pieces");
        assert!(turns(5000, true, Framing::ContentLength).await.1 > 1);
    }
}
