//! The bytes that are still being judged, found by their offset in the page.
//!
//! Everything else speaks of a page in offsets that never change; only this file knows which bytes are still here.

use std::ops::Range;

/// Gone bytes are given back once there are so many of them.
const ROOM: usize = 64 * 1024;

/// A stretch of the page: from the oldest byte that was not handed on to the newest.
#[derive(Debug, Default)]
pub(super) struct Text {
    bytes: Vec<u8>,
    base: u64,
}

impl Text {
    pub(super) fn feed(&mut self, chunk: &[u8]) {
        self.bytes.extend_from_slice(chunk);
    }

    /// Offset behind the newest byte.
    pub(super) fn end(&self) -> u64 {
        self.base + self.bytes.len() as u64
    }

    pub(super) fn slice(&self, range: Range<u64>) -> &[u8] {
        &self.bytes[self.index(range.start)..self.index(range.end)]
    }

    pub(super) fn from(&self, start: u64) -> &[u8] {
        &self.bytes[self.index(start)..]
    }

    /// The first offset from `start` on where no line ending stands; the end where there is none.
    pub(super) fn skip_newlines(&self, start: u64) -> u64 {
        let rest = self.from(start);
        let n = rest.iter().position(|b| !is_newline(*b)).unwrap_or(rest.len());
        start + n as u64
    }

    /// The end of `range` without the line endings before it.
    pub(super) fn trim_newlines(&self, range: Range<u64>) -> u64 {
        let kept = self.slice(range.clone()).iter().rposition(|b| !is_newline(*b)).map_or(0, |i| i + 1);
        range.start + kept as u64
    }

    /// Lets go of everything before `offset`.
    pub(super) fn drop_before(&mut self, offset: u64) {
        let n = self.index(offset);
        if n == self.bytes.len() {
            self.bytes.clear();
        } else if n >= ROOM && n >= self.bytes.len() / 2 {
            self.bytes.drain(..n);
        } else {
            return;
        }
        self.base = offset;
    }

    fn index(&self, offset: u64) -> usize {
        (offset - self.base) as usize
    }
}

/// Whether a byte ends a line.
pub(super) fn is_newline(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

/// How many bytes the line ending has that `bytes` begin with.
pub(super) fn line_ending_len(bytes: &[u8]) -> u64 {
    match bytes {
        [b'\r', b'\n', ..] => 2,
        [b'\r' | b'\n', ..] => 1,
        _ => 0,
    }
}
