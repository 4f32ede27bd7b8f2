//! The standard data set: an interaction report of nineteen columns with every hard kind of field.
//!
//! All fields of a row are drawn from three throws, and words are copied as they will stand in the file. Its bytes are
//! fixed: what was measured and recorded against them stays true.

use super::data::{Dice, Origin, mix};
use super::digits::{decimal, digits, hex, time};
use super::flaws::Flaw;
use super::words::{AGENTS, DISPOSITIONS, MEDIA, RAW_REMARKS, REMARKS, SKILLS, TAGS};

/// The rows of one result.
#[derive(Clone, Debug)]
pub(super) struct Standard {
    key: u64,
    first_id: u64,
    start_ms: i64,
    step_ms: u64,
    newline: &'static str,
    raw_newline_every: Option<u64>,
}

impl Standard {
    pub(super) fn new(origin: &Origin) -> Self {
        Self {
            key: origin.key,
            first_id: origin.first_id(),
            start_ms: origin.window.from.0,
            step_ms: origin.span_ms() / origin.n_rows.max(1),
            newline: origin.newline,
            raw_newline_every: origin.raw_newline_every,
        }
    }

    /// The same result as another key would have made it.
    pub(super) fn changed(&self) -> Self {
        Self { key: mix(self.key), ..self.clone() }
    }

    /// Writes one row with its line ending.
    pub(super) fn write_row(&self, row: u64, flaw: Option<Flaw>, out: &mut Vec<u8>) {
        let mut dice = Dice(self.key ^ mix(row));
        let (a, b, c) = (dice.roll(), dice.roll(), dice.roll());
        let id = self.first_id.wrapping_add(row);
        digits(out, id, 12);
        out.push(b',');
        if a & 7 != 0 {
            digits(out, id.wrapping_sub(a % 50), 12);
        }
        out.push(b',');
        let jitter = if self.step_ms > 1 { b % self.step_ms } else { 0 };
        let start = self.start_ms.saturating_add((self.step_ms.saturating_mul(row) + jitter).cast_signed());
        time(out, start);
        out.push(b',');
        let handled_ms = b % 1_800_000;
        time(out, start.saturating_add(handled_ms.cast_signed()));
        out.push(b',');
        digits(out, 10_000 + (a >> 8) % 4_000, 5);
        text(out, AGENTS[pick(a, 20, 16)]);
        text(out, SKILLS[pick(a, 24, 8)]);
        text(out, MEDIA[pick(a, 27, 8)]);
        text(out, if a & 0x40_0000_0000 == 0 { "Inbound" } else { "Outbound" });
        text(out, "+1");
        digits(out, 2_000_000_000 + b % 8_000_000_000, 10);
        text(out, "+49");
        digits(out, 30_000_000 + c % 60_000_000, 8);
        text(out, DISPOSITIONS[pick(a, 30, 8)]);
        out.push(b',');
        decimal(out, handled_ms);
        out.push(b',');
        decimal(out, (c >> 20) % 60_000);
        out.push(b',');
        decimal(out, (c >> 36) % 600_000);
        text(out, if c & 3 == 0 { "true" } else { "false" });
        text(out, TAGS[pick(a, 40, 8)]);
        match flaw {
            Some(flaw) => flaw.write(out),
            None => {
                out.push(b',');
                self.remark(row, b, c, out);
            }
        }
        out.push(b',');
        hex(out, mix(c ^ row));
        out.extend_from_slice(flaw.map_or("", Flaw::tail).as_bytes());
        out.extend_from_slice(self.newline.as_bytes());
    }

    fn remark(&self, row: u64, b: u64, c: u64, out: &mut Vec<u8>) {
        if self.raw_newline_every.is_some_and(|n| row % n.max(1) == n.max(1) - 1) {
            out.extend_from_slice(RAW_REMARKS[pick(b, 50, 4)].as_bytes());
            return;
        }
        if b & 0x100 == 0 {
            out.extend_from_slice(b"case ");
            digits(out, c >> 44, 7);
            return;
        }
        out.push(b'"');
        out.extend_from_slice(REMARKS[(b >> 40) as usize % REMARKS.len()].as_bytes());
        if b & 0x200 != 0 {
            out.push(b' ');
            out.extend_from_slice(REMARKS[(c >> 50) as usize % REMARKS.len()].as_bytes());
        }
        out.push(b'"');
    }
}

fn pick(bits: u64, shift: u32, of: usize) -> usize {
    (bits >> shift) as usize & (of - 1)
}

fn text(out: &mut Vec<u8>, field: &str) {
    out.push(b',');
    out.extend_from_slice(field.as_bytes());
}
