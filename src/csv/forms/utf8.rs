//! Which bytes are UTF-8, however they are cut.
//!
//! A sequence that is none is as long as the start of a character that it holds, one byte at least: so
//! `String::from_utf8_lossy` reads it, and so each becomes one replacement character. Whole runs are judged by the
//! standard library; only what a cut leaves open is kept, three bytes at most.

use std::str::from_utf8;

/// A run of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// Whole characters.
    Text(&'a [u8]),
    /// One sequence that is none.
    Bad {
        /// Its length.
        n_bytes: usize,
    },
}

/// Takes a stream apart into characters and what is none.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    /// The start of a character whose end is still to come.
    open: [u8; 4],
    n_open: usize,
}

impl Pieces {
    /// Takes the next bytes and hands on all pieces that are known now.
    pub(super) fn push(&mut self, chunk: &[u8], mut each: impl FnMut(Piece<'_>)) {
        let mut rest = self.close(chunk, &mut each);
        while !rest.is_empty() {
            let Err(error) = from_utf8(rest) else { return each(Piece::Text(rest)) };
            let (text, bad) = rest.split_at(error.valid_up_to());
            if !text.is_empty() {
                each(Piece::Text(text));
            }
            let Some(n_bytes) = error.error_len() else {
                self.open[..bad.len()].copy_from_slice(bad);
                self.n_open = bad.len();
                return;
            };
            each(Piece::Bad { n_bytes });
            rest = &bad[n_bytes..];
        }
    }

    /// Ends the stream: what was left open is no character.
    pub(super) fn finish(self) -> Option<Piece<'static>> {
        (self.n_open > 0).then_some(Piece::Bad { n_bytes: self.n_open })
    }

    /// Reads on in the character that a cut left open; what of `chunk` lies behind it.
    fn close<'a>(&mut self, chunk: &'a [u8], each: &mut impl FnMut(Piece<'_>)) -> &'a [u8] {
        let mut rest = chunk;
        while self.n_open > 0 {
            let Some((&byte, behind)) = rest.split_first() else { break };
            self.open[self.n_open] = byte;
            match from_utf8(&self.open[..=self.n_open]) {
                Ok(text) => {
                    each(Piece::Text(text.as_bytes()));
                    self.n_open = 0;
                }
                Err(error) if error.error_len().is_none() => self.n_open += 1,
                Err(_) => {
                    // The new byte is not of this character, and may begin another one.
                    each(Piece::Bad { n_bytes: self.n_open });
                    self.n_open = 0;
                    return rest;
                }
            }
            rest = behind;
        }
        rest
    }
}

/// Where bytes stand that are no UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadUtf8 {
    /// Their offset in the page, from 0.
    pub offset: u64,
    /// Their line, from 1; line feeds end lines.
    pub line: u64,
}

/// Looks whether a page is UTF-8.
#[derive(Debug, Default)]
pub struct Utf8Check {
    pieces: Pieces,
    offset: u64,
    n_line_feeds: u64,
    bad: Option<BadUtf8>,
}

impl Utf8Check {
    /// Takes the next bytes, however they are cut.
    ///
    /// # Errors
    /// With the first bytes that are no UTF-8, from then on.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), BadUtf8> {
        let Self { pieces, offset, n_line_feeds, bad } = self;
        if bad.is_none() {
            pieces.push(chunk, |piece| match piece {
                Piece::Text(text) if bad.is_none() => {
                    *offset += text.len() as u64;
                    *n_line_feeds += memchr::memchr_iter(b'\n', text).count() as u64;
                }
                Piece::Text(_) => {}
                Piece::Bad { .. } => {
                    bad.get_or_insert(BadUtf8 { offset: *offset, line: *n_line_feeds + 1 });
                }
            });
        }
        bad.map_or(Ok(()), Err)
    }

    /// Ends the page, perhaps within a character.
    ///
    /// # Errors
    /// If so, or if bytes before were no UTF-8.
    pub fn finish(self) -> Result<(), BadUtf8> {
        let here = BadUtf8 { offset: self.offset, line: self.n_line_feeds + 1 };
        self.bad.or_else(|| self.pieces.finish().map(|_| here)).map_or(Ok(()), Err)
    }
}
