//! The body of an answer, piece by piece, and nothing but a whole one ends without a fault.
//!
//! Its clocks run only while a piece is awaited, so that a reader who takes its time can't make the server look
//! stalled. Pieces of an uncompressed body are the very buffers that were read. A fault or an early drop closes the
//! connection.

use std::fmt;
use std::io;
use std::rc::Rc;

use awc::error::PayloadError;
use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use tokio::time::{Instant, timeout};

use super::head::Framing;
use super::inflate::Inflate;
use super::meter::RateMeter;
use super::settings::TransportSettings;
use super::standby::Busy;
use crate::model::TransportFault;

/// The most bytes of one piece.
pub(super) const MAX_PIECE: usize = 64 * 1024;
/// How much of an error's body is worth having.
const MAX_DRAINED: usize = 64 * 1024;
/// Up to here a body's memory is taken at once, on its word.
const TRUSTED_LENGTH: u64 = 1024 * 1024;

/// A body that is still coming in.
pub struct Body {
    /// Gone at the end, and with it, unless the end was reached, the connection.
    source: Option<(awc::ClientResponse, Busy)>,
    settings: Rc<TransportSettings>,
    expected: Option<u64>,
    got: u64,
    n_decoded: u64,
    coding: Coding,
    meter: RateMeter,
    end: Option<Result<(), TransportFault>>,
}

enum Coding {
    Plain(Bytes),
    Gzip(Inflate),
}

impl Body {
    pub(super) fn new(
        source: awc::ClientResponse,
        busy: Busy,
        framing: Framing,
        is_gzip: bool,
        settings: Rc<TransportSettings>,
    ) -> Self {
        let expected = match framing {
            Framing::Length(n) => Some(n),
            Framing::Bodiless | Framing::Unframed => Some(0),
            Framing::Chunked => None,
        };
        // A stated length of zero is empty whatever the coding; an empty gzip body in chunks is one that was cut off.
        let coding =
            if is_gzip && expected != Some(0) { Coding::Gzip(Inflate::new()) } else { Coding::Plain(Bytes::new()) };
        let meter = RateMeter::new(settings.min_bytes_per_second, settings.min_rate_over);
        Self { source: Some((source, busy)), settings, expected, got: 0, n_decoded: 0, coding, meter, end: None }
    }

    /// The next decoded piece, of at most 64 KiB; `None` only when the body is provably whole.
    ///
    /// After a fault it gives the same fault again. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Result<Option<Bytes>, TransportFault> {
        if let Some(end) = &self.end {
            return end.clone().map(|()| None);
        }
        let outcome = self.advance().await;
        match &outcome {
            Ok(Some(_)) => {}
            Ok(None) => self.end = Some(Ok(())),
            Err(fault) => self.end = Some(Err(fault.clone())),
        }
        if self.end.is_some() {
            self.source = None;
        }
        outcome
    }

    /// The whole body, if it has at most `cap` bytes.
    pub async fn collect(mut self, cap: usize) -> Result<Bytes, TransportFault> {
        let over = || TransportFault::OverLimit { what: "the answer", limit: format!("{cap} bytes") };
        let mut whole = match self.expected {
            Some(n) if n > cap as u64 && matches!(self.coding, Coding::Plain(_)) => return Err(over()),
            Some(n) => BytesMut::with_capacity(n.min(TRUSTED_LENGTH) as usize),
            None => BytesMut::new(),
        };
        while let Some(piece) = self.next().await? {
            if piece.len() > cap - whole.len() {
                return Err(over());
            }
            whole.extend_from_slice(&piece);
        }
        Ok(whole.freeze())
    }

    /// What can be had of an error's body, for showing an excerpt: at most 64 KiB, within one idle time, and never a
    /// fault. Reading it to its end keeps the connection.
    pub async fn drain(mut self) -> Bytes {
        let mut whole = BytesMut::new();
        let patience = self.settings.idle;
        // Running out of time is no fault here: what came is what there is.
        let _ = timeout(patience, async {
            while whole.len() <= MAX_DRAINED {
                match self.next().await {
                    Ok(Some(piece)) => whole.extend_from_slice(&piece),
                    Ok(None) | Err(_) => break,
                }
            }
        })
        .await;
        whole.truncate(MAX_DRAINED);
        whole.freeze()
    }

    /// Body bytes received so far, before decoding.
    pub fn wire_bytes(&self) -> u64 {
        self.got
    }

    async fn advance(&mut self) -> Result<Option<Bytes>, TransportFault> {
        loop {
            let piece = match &mut self.coding {
                Coding::Plain(bytes) => Some(bytes.split_to(bytes.len().min(MAX_PIECE))).filter(|p| !p.is_empty()),
                Coding::Gzip(inflate) => inflate.next()?,
            };
            if let Some(piece) = piece {
                self.n_decoded += piece.len() as u64;
                if self.n_decoded > self.settings.max_decoded {
                    return Err(over_page_limit(self.settings.max_decoded));
                }
                return Ok(Some(piece));
            }
            match self.receive().await? {
                Some(bytes) => match &mut self.coding {
                    Coding::Plain(waiting) => *waiting = bytes,
                    Coding::Gzip(inflate) => inflate.feed(bytes),
                },
                None => {
                    if self.expected.is_some_and(|n| n != self.got) {
                        return Err(self.cut("the body ended early"));
                    }
                    if let Coding::Gzip(inflate) = &self.coding {
                        inflate.finish()?;
                    }
                    return Ok(None);
                }
            }
        }
    }

    /// The next bytes as they came over the wire.
    async fn receive(&mut self) -> Result<Option<Bytes>, TransportFault> {
        let Some((source, _)) = &mut self.source else { return Ok(None) };
        let begun = Instant::now();
        let received = match timeout(self.settings.idle, source.next()).await {
            Err(_) => return Err(TransportFault::Stalled(self.settings.idle)),
            Ok(None) => return Ok(None),
            Ok(Some(received)) => received,
        };
        let bytes = received.map_err(|error| self.broken(&error))?;
        self.got += bytes.len() as u64;
        if !self.meter.keeps_up(begun.elapsed(), bytes.len() as u64) {
            return Err(TransportFault::TooSlow {
                bytes_per_second: self.settings.min_bytes_per_second,
                over: self.settings.min_rate_over,
            });
        }
        Ok(Some(bytes))
    }

    fn broken(&self, error: &PayloadError) -> TransportFault {
        match error {
            // What the library's reader of chunks says when they can't be read; connections never say it.
            PayloadError::Incomplete(Some(error)) if error.kind() == io::ErrorKind::InvalidInput => {
                TransportFault::WrongKind(format!("its chunks can't be read ({error})"))
            }
            PayloadError::Incomplete(Some(error)) | PayloadError::Io(error) => self.cut(&error.to_string()),
            other => self.cut(&other.to_string()),
        }
    }

    fn cut(&self, reason: &str) -> TransportFault {
        TransportFault::Cut { got: self.got, expected: self.expected, reason: reason.to_owned() }
    }
}

/// The fault of a page that is too large.
pub(super) fn over_page_limit(limit: u64) -> TransportFault {
    TransportFault::OverLimit { what: "the page", limit: format!("{limit} bytes (limits.page_bytes)") }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body")
            .field("got", &self.got)
            .field("expected", &self.expected)
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}
