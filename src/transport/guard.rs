//! The connection that the HTTP library gets: raw bytes above TLS, watched.
//!
//! It reads each head itself (see [`super::head`]), and it turns the end of the connection into an error: the library
//! takes an end in the middle of a body for the body's own end. A complete body is never hurt by that, since the
//! library stops reading at its last byte. Body bytes pass straight into the library's buffer. A write after an answer
//! begins the next exchange; the guard never keeps two apart in any other way.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use actix_rt::net::{ActixStream, Ready};
use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::dial::ByteStream;
use super::exchange::Exchange;
use super::head::{Framing, HeadReader};
use super::standby::Alive;
use crate::model::TransportFault;

/// How many bytes of a head are read at once.
const HEAD_READ: usize = 8 * 1024;

/// A guarded connection.
pub(super) struct Guard {
    io: Box<dyn ByteStream>,
    state: State,
    /// The rewritten head, then what came behind the real one: both still to be handed to the library.
    head: Bytes,
    behind_head: Bytes,
    /// Body bytes that may still come, where a length was stated.
    left: Option<u64>,
    exchange: Option<Rc<Exchange>>,
    n_exchanges: u64,
    /// Why the connection must not be used any further.
    spent: Option<&'static str>,
    alive: Alive,
}

enum State {
    /// Nothing was sent yet, or an answer's head is complete and its body follows.
    Open,
    /// A request was sent, its answer's head is not complete.
    Asked(HeadReader),
}

impl Guard {
    pub(super) fn new(io: Box<dyn ByteStream>, alive: Alive) -> Self {
        Self {
            io,
            state: State::Open,
            head: Bytes::new(),
            behind_head: Bytes::new(),
            left: None,
            exchange: None,
            n_exchanges: 0,
            spent: None,
            alive,
        }
    }

    fn begin_exchange(&mut self) -> io::Result<()> {
        let exchange = Exchange::current();
        if let Some(exchange) = &exchange {
            exchange.begin(self.n_exchanges > 0);
        }
        self.exchange = exchange;
        self.alive.standby().is_used_again(self.n_exchanges);
        self.n_exchanges += 1;
        if !self.behind_head.is_empty() {
            self.spent = Some("the peer sent more than its answer");
        }
        if let Some(why) = self.spent {
            return Err(self.fail_before_answer(io::Error::new(io::ErrorKind::ConnectionAborted, why)));
        }
        self.state = State::Asked(HeadReader::default());
        Ok(())
    }

    /// The request may have gone out, and nothing came back.
    fn fail_before_answer(&mut self, error: io::Error) -> io::Error {
        self.fail(TransportFault::NoAnswer(error.to_string()), error)
    }

    fn fail(&mut self, fault: TransportFault, error: io::Error) -> io::Error {
        self.spent.get_or_insert("it failed before");
        if let Some(exchange) = &self.exchange {
            exchange.note_fault(fault);
        }
        error
    }

    fn writing_failed(&mut self, error: io::Error) -> io::Error {
        match self.state {
            State::Asked(_) => self.fail_before_answer(error),
            State::Open => error,
        }
    }

    /// Reads once towards the head that is awaited.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let State::Asked(reader) = &mut self.state else { return Poll::Ready(Ok(())) };
        let mut space = [0; HEAD_READ];
        let mut piece = ReadBuf::new(&mut space);
        let outcome = ready!(Pin::new(&mut self.io).poll_read(cx, &mut piece))
            .and_then(|()| if piece.filled().is_empty() { Err(closed()) } else { Ok(()) });
        if let Err(error) = outcome {
            let fault = if reader.is_empty() {
                TransportFault::NoAnswer(error.to_string())
            } else {
                TransportFault::Cut { got: 0, expected: None, reason: format!("{error}, within the head") }
            };
            return Poll::Ready(Err(self.fail(fault, error)));
        }
        if let Some(exchange) = &self.exchange {
            exchange.note_answer();
        }
        match reader.push(piece.filled()) {
            Ok(None) => {}
            Ok(Some(received)) => {
                self.left = match received.framing {
                    Framing::Length(n) => Some(n),
                    Framing::Bodiless | Framing::Unframed => Some(0),
                    Framing::Chunked => None,
                };
                self.head = received.for_library();
                self.behind_head = std::mem::take(reader).into_rest();
                self.state = State::Open;
                if let Some(exchange) = &self.exchange {
                    exchange.note_head(received);
                }
            }
            Err(fault) => {
                if let Some((exchange, head)) = self.exchange.as_ref().zip(reader.take_refused()) {
                    exchange.note_refused(head);
                }
                let error = io::Error::new(io::ErrorKind::InvalidData, fault.to_string());
                return Poll::Ready(Err(self.fail(fault, error)));
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_body(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let Some(why) = self.spent {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionAborted, why)));
        }
        let before = buf.filled().len();
        if self.behind_head.is_empty() {
            if let Err(error) = ready!(Pin::new(&mut self.io).poll_read(cx, buf)) {
                self.spent = Some("it failed before");
                return Poll::Ready(Err(error));
            }
            if buf.filled().len() == before {
                self.spent = Some("it was closed before");
                return Poll::Ready(Err(closed()));
            }
        } else {
            hand_over(&mut self.behind_head, buf);
        }
        let n_read = (buf.filled().len() - before) as u64;
        if let Some(left) = &mut self.left {
            if n_read > *left {
                // The library drops what it read too much: the next answer would begin in the middle of something.
                self.spent = Some("the peer sent more than its answer");
            }
            *left = left.saturating_sub(n_read);
        }
        Poll::Ready(Ok(()))
    }
}

fn hand_over(from: &mut Bytes, to: &mut ReadBuf<'_>) {
    let n = from.len().min(to.remaining());
    to.put_slice(&from.split_to(n));
}

fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the peer closed the connection")
}

impl AsyncRead for Guard {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        while let State::Asked(_) = this.state {
            ready!(this.poll_head(cx))?;
        }
        if this.head.is_empty() {
            return this.poll_body(cx, buf);
        }
        hand_over(&mut this.head, buf);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Guard {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if let State::Open = this.state {
            this.begin_exchange()?;
        }
        Pin::new(&mut this.io).poll_write(cx, buf).map_err(|error| this.writing_failed(error))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        Pin::new(&mut this.io).poll_flush(cx).map_err(|error| this.writing_failed(error))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}

impl ActixStream for Guard {
    // The HTTP library asks for the trait and never calls these; "try it" is a right answer at any time.
    fn poll_read_ready(&self, _: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        Poll::Ready(Ok(Ready::READABLE))
    }

    fn poll_write_ready(&self, _: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        Poll::Ready(Ok(Ready::WRITABLE))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.alive.standby().has_ended(self.n_exchanges);
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard")
            .field("n_exchanges", &self.n_exchanges)
            .field("spent", &self.spent)
            .finish_non_exhaustive()
    }
}
