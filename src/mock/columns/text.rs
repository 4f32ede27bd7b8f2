//! Free text: phrases of an agent's notes up to an exact length, with what is hard for a reader of CSV in the shares
//! that were asked for.
//!
//! Lengths count the bytes of the text itself, not the quotes that CSV adds. What is hard is spread over the text.

use std::ops::RangeInclusive;

use super::super::data::Dice;
use super::super::digits::hex_digits;
use super::words::{CJK, COMMAS, EMOJI, PHRASES, QUOTED};

/// What free text is like. Shares are from 0 to 1, of the texts of a column that hold such a thing. A text that is too
/// short for it goes without: all of them together take 80 bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct FreeText {
    /// Bytes in a text.
    pub length: RangeInclusive<usize>,
    /// Doubled quotes.
    pub quotes: f64,
    /// Commas.
    pub commas: f64,
    /// Newlines, `\n`.
    pub newlines: f64,
    /// Newlines, `\r\n`.
    pub crlf: f64,
    /// Emoji, some of several joined characters.
    pub emoji: f64,
    /// Chinese, Japanese and Korean.
    pub cjk: f64,
}

impl Default for FreeText {
    fn default() -> Self {
        Self { length: 20..=200, quotes: 0.1, commas: 0.3, newlines: 0.05, crlf: 0.02, emoji: 0.05, cjk: 0.02 }
    }
}

impl FreeText {
    /// From so many bytes on two texts as good as never are alike.
    pub(super) const LEAST_UNLIKE: usize = 24;

    /// Nothing hard in it.
    pub fn plain(length: RangeInclusive<usize>) -> Self {
        Self { length, quotes: 0.0, commas: 0.0, newlines: 0.0, crlf: 0.0, emoji: 0.0, cjk: 0.0 }
    }

    fn shares(&self) -> [f64; 6] {
        [self.quotes, self.commas, self.newlines, self.crlf, self.emoji, self.cjk]
    }

    pub(super) fn check(&self) -> Result<(), String> {
        if let Some(share) = self.shares().into_iter().find(|share| !(0.0..=1.0).contains(share)) {
            return Err(format!("a share is from 0 to 1, not {share}"));
        }
        if self.length.start() > self.length.end() || *self.length.end() > 1 << 24 {
            return Err("length is a range such as 20..400, of up to 16777216 bytes".to_owned());
        }
        Ok(())
    }
}

/// Free text, ready to be made.
pub(super) struct TextMaker {
    least: usize,
    span: u64,
    /// Of 65,536.
    shares: [u64; 6],
}

impl TextMaker {
    pub(super) fn new(text: &FreeText) -> Self {
        Self {
            least: *text.length.start(),
            span: (text.length.end() - text.length.start()) as u64 + 1,
            shares: text.shares().map(|share| (share * 65_536.0) as u64),
        }
    }

    /// Writes one text, in quotes if it needs them.
    pub(super) fn write(&self, dice: &mut Dice, out: &mut Vec<u8>) {
        let (length, chances, picks) = (dice.roll(), dice.roll(), dice.roll());
        let length = self.least + (length % self.span) as usize;
        let reference = if length >= FreeText::LEAST_UNLIKE { REFERENCE_BYTES } else { 0 };
        let (mut due, mut n_due, mut reserved, mut quoted) = ([""; 6], 0, reference, false);
        for (nth, share) in self.shares.into_iter().enumerate() {
            let chance = if nth < 4 { chances >> (16 * nth) } else { picks >> (16 * (nth - 4)) };
            if chance & 0xFFFF >= share {
                continue;
            }
            let piece = piece(nth, (picks >> (32 + 2 * nth)) as usize & 3);
            if reserved + size(piece) <= length {
                due[n_due] = piece;
                n_due += 1;
                reserved += size(piece);
                quoted |= nth < 4;
            }
        }
        if quoted {
            out.push(b'"');
        }
        if reference > 0 {
            out.extend_from_slice(b"ref ");
            hex_digits(out, dice.roll(), 12);
            out.extend_from_slice(b": ");
        }
        let mut written = reference;
        reserved -= reference;
        // Evenly over the text, not in the order of the shares.
        let apart = (length - written) / (n_due + 1);
        due[..n_due].rotate_left((picks >> 60) as usize % n_due.max(1));
        let (mut nth, mut phrases, mut left) = (0, 0, 0);
        while written < length {
            if nth < n_due && (written >= reference + apart * (nth + 1) || written + reserved >= length) {
                out.extend_from_slice(due[nth].as_bytes());
                written += size(due[nth]);
                reserved -= size(due[nth]);
                nth += 1;
                continue;
            }
            if left == 0 {
                (phrases, left) = (dice.roll(), 12);
            }
            let phrase = PHRASES[phrases as usize % PHRASES.len()].as_bytes();
            (phrases, left) = (phrases >> 5, left - 1);
            let n = phrase.len().min(length - reserved - written);
            out.extend_from_slice(&phrase[..n]);
            written += n;
        }
        if quoted {
            out.push(b'"');
        }
    }
}

/// `ref`, twelve digits, and what stands around them: no two texts begin alike.
const REFERENCE_BYTES: usize = 18;

fn piece(nth: usize, pick: usize) -> &'static str {
    match nth {
        0 => QUOTED[pick],
        1 => COMMAS[pick],
        2 => "\n",
        3 => "\r\n",
        4 => EMOJI[pick],
        _ => CJK[pick],
    }
}

/// The bytes of a piece as a reader sees it, each doubled quote as one.
fn size(piece: &str) -> usize {
    piece.len() - piece.bytes().filter(|byte| *byte == b'"').count() / 2
}
