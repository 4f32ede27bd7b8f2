//! Puts the pieces of a broken record together again.
//!
//! Only the fields that meet at a break change: they become one field, quoted, with the line endings between them
//! inside. Every other byte stays as it came. Where anything hints at another way to read the pieces, a quote beside
//! a break or out of place, or text that is no text, they are left alone.

use std::ops::Range;

use super::{Reason, text::is_newline};
use crate::csv::grammar::{Event, State};

/// The record that `pieces` of `before` make.
///
/// # Errors
/// Why they may have to be read in another way.
pub(super) fn join(before: &[u8], pieces: &[Range<usize>]) -> Result<Vec<u8>, Reason> {
    if memchr::memchr(0, before).is_some() {
        return Err(Reason::Nul);
    }
    let mut after = Vec::with_capacity(before.len() + 2 * pieces.len());
    let mut field: Vec<u8> = Vec::new();
    let mut is_broken = false;
    let mut last_end = None;
    for piece in pieces {
        let bytes = &before[piece.clone()];
        let (first, last) = outer_fields(bytes)?;
        match last_end {
            None => after.extend_from_slice(&bytes[..last]),
            Some(end) => {
                if is_quoted(&field) || is_quoted(bytes) {
                    return Err(Reason::BesideQuotes);
                }
                field.extend_from_slice(&before[end..piece.start]);
                field.extend_from_slice(&bytes[..first]);
                is_broken = true;
                if first < bytes.len() {
                    put_quoted(&field, &mut after);
                    after.extend_from_slice(&bytes[first..last]);
                    is_broken = false;
                }
            }
        }
        if !is_broken {
            field.clear();
            field.extend_from_slice(&bytes[last..]);
        }
        last_end = Some(piece.end);
    }
    if is_broken {
        put_quoted(&field, &mut after);
    } else {
        after.extend_from_slice(&field);
    }
    Ok(after)
}

/// The lines on which raw newlines break the pieces of `before`, of which the first stands on `line`.
pub(super) fn breaks(before: &[u8], pieces: &[Range<usize>], mut line: u64) -> Vec<u64> {
    let mut lines = Vec::new();
    for pair in pieces.windows(2) {
        line += line_feeds(&before[pair[0].clone()]);
        let mut gap = before[pair[0].end..pair[1].start].iter().peekable();
        while let Some(&byte) = gap.next() {
            lines.push(line);
            if byte == b'\r' && gap.peek() == Some(&&b'\n') {
                gap.next();
                line += 1;
            } else if byte == b'\n' {
                line += 1;
            }
        }
    }
    lines
}

/// How many lines end in `bytes`.
pub(super) fn line_feeds(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}

/// Where the first field of a piece ends, and where its last one begins.
fn outer_fields(piece: &[u8]) -> Result<(usize, usize), Reason> {
    let (mut first, mut last, mut state) = (piece.len(), 0, State::RecordStart);
    for (i, &byte) in piece.iter().enumerate() {
        let (after, event) = state.step(byte);
        state = after;
        if event == Event::StrayQuote {
            return Err(Reason::StrayQuote);
        }
        if event == Event::FieldEnd {
            first = first.min(i);
            last = i + 1;
        }
    }
    Ok((first, last))
}

fn is_quoted(field: &[u8]) -> bool {
    field.first() == Some(&b'"')
}

fn put_quoted(field: &[u8], to: &mut Vec<u8>) {
    debug_assert!(field.iter().any(|b| is_newline(*b)));
    to.push(b'"');
    for &byte in field {
        if byte == b'"' {
            to.push(b'"');
        }
        to.push(byte);
    }
    to.push(b'"');
}
