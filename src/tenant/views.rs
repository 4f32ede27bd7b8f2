//! The ways in which a text may be read: as it stands, with its escapes undone, and with base64 in it decoded.
//!
//! Each reading knows which bytes of the text every one of its bytes came from, so that what is found in a reading can
//! be hidden in the text. Line breaks and other control characters are left out: encoders wrap lines.

use std::ops::Range;

/// Escapes within escapes are undone up to this depth.
const MAX_DEPTH: usize = 3;

/// Fewer characters of base64 hold too little to be worth decoding.
const SHORTEST_RUN: usize = 6;

/// One reading of a text.
#[derive(Default)]
pub(super) struct View {
    /// What is read.
    pub(super) bytes: Vec<u8>,
    /// Where in the text each of the bytes came from.
    from: Vec<Range<usize>>,
    /// Whether it was decoded from base64, where a few letters are easily found by chance.
    pub(super) is_decoded: bool,
}

impl View {
    fn plain(text: &str) -> Self {
        let mut view = Self::default();
        for (at, byte) in text.bytes().enumerate() {
            view.push_visible(byte, at..at + 1);
        }
        view
    }

    fn push(&mut self, byte: u8, from: Range<usize>) {
        self.bytes.push(byte);
        self.from.push(from);
    }

    fn push_visible(&mut self, byte: u8, from: Range<usize>) {
        if !byte.is_ascii_control() {
            self.push(byte, from);
        }
    }

    /// Where in the text that part of it came from.
    pub(super) fn source(&self, part: Range<usize>) -> Range<usize> {
        match self.from.get(part) {
            Some([first, .., last]) => first.start..last.end,
            Some([only]) => only.clone(),
            _ => 0..0,
        }
    }

    /// The same with every escape undone; `None` where there is none.
    fn unescaped(&self) -> Option<Self> {
        let mut view = Self { is_decoded: self.is_decoded, ..Self::default() };
        let (mut at, mut has_any) = (0, false);
        while at < self.bytes.len() {
            let (letter, taken) = match escape_at(&self.bytes[at..]) {
                Some((letter, taken)) => (letter, taken),
                None => (Letter::Byte(self.bytes[at]), 1),
            };
            has_any |= taken > 1;
            let from = self.source(at..at + taken);
            match letter {
                Letter::Byte(byte) => view.push_visible(byte, from),
                Letter::Char(c) => {
                    for &byte in c.encode_utf8(&mut [0; 4]).as_bytes() {
                        view.push_visible(byte, from.clone());
                    }
                }
            }
            at += taken;
        }
        has_any.then_some(view)
    }

    /// What stands in base64, of either alphabet and padded or not, where its groups of four begin `phase` characters
    /// into each run: whoever puts something before a secret shifts the groups.
    fn decoded_from_base64(&self, phase: usize) -> Self {
        let mut view = Self { is_decoded: true, ..Self::default() };
        let mut at = 0;
        while at < self.bytes.len() {
            let run = self.bytes[at..].iter().take_while(|&&byte| sextet(byte).is_some()).count();
            if run >= SHORTEST_RUN {
                self.decode(at + phase..at + run, &mut view);
                view.push(0, at + run..at + run);
            }
            at += run + 1;
        }
        // The zero behind the last run would keep a secret that is cut at the end from being known as one.
        view.bytes.pop();
        view.from.pop();
        view
    }

    fn decode(&self, run: Range<usize>, view: &mut Self) {
        let start = run.start;
        for (nth, group) in self.bytes[run].chunks(4).enumerate() {
            let mut bits = 0_u32;
            for &letter in group {
                bits = bits << 6 | sextet(letter).unwrap_or_default();
            }
            bits <<= 6 * (4 - group.len());
            for byte in 0..group.len().saturating_sub(1) {
                let first = start + nth * 4 + byte;
                view.push((bits >> (16 - 8 * byte)) as u8, self.source(first..first + 2));
            }
        }
    }
}

/// The text as it stands, and with its escapes undone, layer by layer.
pub(super) fn spellings(text: &str) -> Vec<View> {
    let mut spelled = vec![View::plain(text)];
    while spelled.len() <= MAX_DEPTH
        && let Some(deeper) = spelled.last().and_then(View::unescaped)
    {
        spelled.push(deeper);
    }
    spelled
}

/// Every reading of that text.
pub(super) fn views(text: &str) -> Vec<View> {
    let spelled = spellings(text);
    let decoded: Vec<View> =
        spelled.iter().flat_map(|view| (0..4).map(|phase| view.decoded_from_base64(phase))).collect();
    let spelled_inside: Vec<View> = decoded.iter().filter_map(View::unescaped).collect();
    spelled.into_iter().chain(decoded).chain(spelled_inside).collect()
}

enum Letter {
    Byte(u8),
    Char(char),
}

/// The escape that begins there, of URLs, JSON or HTML, and how many bytes it takes.
fn escape_at(rest: &[u8]) -> Option<(Letter, usize)> {
    match rest {
        [b'%', digits @ ..] => Some((Letter::Byte(u8::try_from(hex(digits.get(..2)?)?).ok()?), 3)),
        [b'\\', b'x', digits @ ..] => Some((Letter::Byte(u8::try_from(hex(digits.get(..2)?)?).ok()?), 4)),
        [b'\\', b'u', digits @ ..] => {
            let high = hex(digits.get(..4)?)?;
            if let Some(c) = char::from_u32(high) {
                return Some((Letter::Char(c), 6));
            }
            let [b'\\', b'u', low @ ..] = digits.get(4..)? else { return None };
            let pair = [u16::try_from(high).ok()?, u16::try_from(hex(low.get(..4)?)?).ok()?];
            let c = char::decode_utf16(pair).next()?.ok()?;
            Some((Letter::Char(c), 12))
        }
        [b'\\', b'n' | b'r' | b't' | b'b' | b'f', ..] => Some((Letter::Byte(b'\n'), 2)),
        [b'\\', plain @ (b'"' | b'\'' | b'\\' | b'/'), ..] => Some((Letter::Byte(*plain), 2)),
        [b'&', entity @ ..] => {
            let length = entity.iter().take(9).position(|&byte| byte == b';')?;
            let c = match std::str::from_utf8(&entity[..length]).ok()? {
                "amp" => '&',
                "lt" => '<',
                "gt" => '>',
                "quot" => '"',
                "apos" => '\'',
                number => {
                    let digits = number.strip_prefix('#')?;
                    match digits.strip_prefix(['x', 'X']) {
                        Some(digits) => char::from_u32(hex(digits.as_bytes())?)?,
                        None => char::from_u32(digits.parse().ok()?)?,
                    }
                }
            };
            Some((Letter::Char(c), length + 2))
        }
        _ => None,
    }
}

fn hex(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() || digits.len() > 6 {
        return None;
    }
    digits.iter().try_fold(0, |sum, &digit| Some(sum * 16 + char::from(digit).to_digit(16)?))
}

/// The value of a character of base64, of both alphabets.
fn sextet(letter: u8) -> Option<u32> {
    Some(match letter {
        b'A'..=b'Z' => u32::from(letter - b'A'),
        b'a'..=b'z' => u32::from(letter - b'a') + 26,
        b'0'..=b'9' => u32::from(letter - b'0') + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    })
}
