//! Rows made on the fly from (seed, template, window, row number).
//!
//! A row depends on nothing else, so that a page of any size can be made anywhere in the result in constant memory, two
//! tenants of one seed agree across restarts, and the expected file is the same rows written once in order. Nothing
//! here parses CSV: the judge must not share an idea of it with the accused.

use std::ops::Range;

use bytes::Bytes;

use crate::model::{Timestamp, Window};

use super::flaws::Flaw;
use super::words::{AGENTS, COLUMNS, DISPOSITIONS, MEDIA, RAW_REMARKS, REMARKS, SKILLS, TAGS};

/// How many bytes a page is made at a time. Fewer, larger writes are what loopback speed depends on.
pub(super) const PIECE_BYTES: usize = 128 * 1024;

const BOM: &[u8] = b"\xEF\xBB\xBF";

/// Spreads the bits of `x` (the finalizer of SplitMix64).
pub(super) fn mix(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// Folds text into a key.
pub(super) fn fold(key: u64, text: &str) -> u64 {
    text.bytes().fold(mix(key), |k, b| mix(k ^ u64::from(b)))
}

/// The rows of one result.
#[derive(Clone, Debug)]
pub(super) struct RowSource {
    key: u64,
    first_id: u64,
    start_ms: i64,
    step_ms: u64,
    newline: &'static str,
    raw_newline_every: Option<u64>,
    flaw_every: Option<u64>,
}

impl RowSource {
    /// The rows that `template` holds for `window` under `seed`; `n_rows` only spaces their times.
    pub(super) fn new(
        seed: u64,
        template: &str,
        window: Window,
        n_rows: u64,
        newline: &'static str,
        raw_newline_every: Option<u64>,
    ) -> Self {
        let key = mix(fold(seed, template) ^ mix(window.from.0.cast_unsigned()) ^ mix(!window.to.0.cast_unsigned()));
        let span = window.to.since(window.from).as_millis() as u64;
        Self {
            key,
            first_id: 100_000_000_000 + key % 800_000_000_000,
            start_ms: window.from.0,
            step_ms: span / n_rows.max(1),
            newline,
            raw_newline_every,
            flaw_every: None,
        }
    }

    /// The same with something wrong with every nth row.
    #[must_use]
    pub(super) fn flawed(self, every: Option<u64>) -> Self {
        Self { flaw_every: every, ..self }
    }

    /// What is wrong with that row.
    pub(super) fn flaw(&self, row: u64) -> Option<Flaw> {
        self.flaw_every.and_then(|every| Flaw::of(row, every, self.key))
    }

    /// The same result as another key would have made it: what an unstable page shows.
    pub(super) fn changed(&self) -> Self {
        Self { key: mix(self.key), ..self.clone() }
    }

    /// The header record with its line ending.
    pub(super) fn header(&self) -> String {
        format!("{COLUMNS}{}", self.newline)
    }

    /// A random yes or no that belongs to a page of this result.
    pub(super) fn coin(&self, page: u64, salt: u64) -> bool {
        mix(self.key ^ mix(page) ^ salt) & 1 == 1
    }

    /// Writes one row with its line ending.
    pub(super) fn write_row(&self, row: u64, out: &mut Vec<u8>) {
        let mut dice = Dice(self.key ^ mix(row));
        let (a, b, c) = (dice.roll(), dice.roll(), dice.roll());
        let id = self.first_id.wrapping_add(row);
        digits(out, id, 12);
        out.push(b',');
        if a & 7 != 0 {
            digits(out, id - a % 50, 12);
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
        let flaw = self.flaw(row);
        match flaw {
            Some(flaw) => out.extend_from_slice(flaw.remark().as_bytes()),
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

/// A page, made piece by piece.
#[derive(Clone, Debug)]
pub struct PageBody {
    rows: RowSource,
    range: Range<u64>,
    prefix: Bytes,
    final_newline: bool,
}

impl PageBody {
    /// A page of those rows. `header` and `bom` say how it begins, `final_newline` how it ends.
    pub(super) fn new(rows: RowSource, range: Range<u64>, bom: bool, header: bool, final_newline: bool) -> Self {
        let mut prefix = Vec::new();
        if bom {
            prefix.extend_from_slice(BOM);
        }
        if header {
            prefix.extend_from_slice(rows.header().as_bytes());
        }
        Self { rows, range, prefix: prefix.into(), final_newline }
    }

    /// The same page under another header.
    pub(super) fn under_header(&self, header: &str) -> Self {
        let prefix = format!("{header}{}", self.rows.newline).into_bytes().into();
        Self { prefix, ..self.clone() }
    }

    /// The header alone.
    pub(super) fn header_only(&self) -> Self {
        Self { range: 0..0, prefix: self.rows.header().into_bytes().into(), ..self.clone() }
    }

    /// Rows on it that are still to come.
    pub(super) fn n_rows(&self) -> u64 {
        self.range.end.saturating_sub(self.range.start)
    }

    /// Appends the next piece to `out`; `false` once the page is at its end and nothing was appended.
    pub fn next_piece(&mut self, out: &mut Vec<u8>) -> bool {
        let start = out.len();
        out.extend_from_slice(&std::mem::take(&mut self.prefix));
        while self.range.start < self.range.end && out.len() - start < PIECE_BYTES {
            self.rows.write_row(self.range.start, out);
            self.range.start += 1;
            if self.range.is_empty() && !self.final_newline {
                out.truncate(out.len() - self.rows.newline.len());
            }
        }
        out.len() > start
    }

    /// How many bytes the page has. Makes it once, in constant memory.
    pub fn n_bytes(&self) -> u64 {
        let (mut page, mut piece, mut n) = (self.clone(), Vec::new(), 0);
        while page.next_piece(&mut piece) {
            n += piece.len() as u64;
            piece.clear();
        }
        n
    }

    /// The whole page.
    pub fn whole(&self) -> Vec<u8> {
        let (mut page, mut out) = (self.clone(), Vec::new());
        while page.next_piece(&mut out) {}
        out
    }
}

struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }
}

fn pick(bits: u64, shift: u32, of: usize) -> usize {
    (bits >> shift) as usize & (of - 1)
}

fn text(out: &mut Vec<u8>, field: &str) {
    out.push(b',');
    out.extend_from_slice(field.as_bytes());
}

/// The numbers from 00 to 99: two digits cost one division.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[b'0'; 2]; 100];
    let mut n = 0;
    while n < 100 {
        pairs[n] = [b'0' + (n / 10) as u8, b'0' + (n % 10) as u8];
        n += 1;
    }
    pairs
};

#[inline(always)]
fn digits(out: &mut Vec<u8>, value: u64, width: usize) {
    let mut buffer = [0; 20];
    put(&mut buffer[..width], value);
    out.extend_from_slice(&buffer[..width]);
}

/// Fills the place with the last digits of the value.
#[inline(always)]
fn put(place: &mut [u8], mut value: u64) {
    let mut pairs = place.rchunks_exact_mut(2);
    for pair in &mut pairs {
        pair.copy_from_slice(&PAIRS[(value % 100) as usize]);
        value /= 100;
    }
    if let [odd] = pairs.into_remainder() {
        *odd = b'0' + (value % 10) as u8;
    }
}

/// Milliseconds as seconds with three decimals.
fn decimal(out: &mut Vec<u8>, ms: u64) {
    let seconds = ms / 1000;
    let width = match seconds {
        0..10 => 1,
        10..100 => 2,
        100..1000 => 3,
        _ => 4,
    };
    digits(out, seconds, width);
    out.push(b'.');
    digits(out, ms % 1000, 3);
}

fn hex(out: &mut Vec<u8>, value: u64) {
    let mut buffer = [0; 16];
    for (i, place) in buffer.iter_mut().enumerate() {
        *place = b"0123456789abcdef"[(value >> (60 - 4 * i)) as usize & 15];
    }
    out.extend_from_slice(&buffer);
}

/// RFC 3339 in UTC with milliseconds; years 0000 to 9999. Written by hand because it runs twice a row.
fn time(out: &mut Vec<u8>, ms: i64) {
    let Timestamp(ms) = Timestamp(ms.clamp(-62_167_219_200_000, 253_402_300_799_999));
    let (days, of_day) = (ms.div_euclid(86_400_000), ms.rem_euclid(86_400_000).cast_unsigned());
    // Days to a civil date, counting years from March so that the leap day comes last.
    let shifted = (days + 719_468).cast_unsigned();
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let mut buffer = *b"0000-00-00T00:00:00.000Z";
    put(&mut buffer[0..4], year);
    put(&mut buffer[5..7], month);
    put(&mut buffer[8..10], day);
    put(&mut buffer[11..13], of_day / 3_600_000);
    put(&mut buffer[14..16], of_day / 60_000 % 60);
    put(&mut buffer[17..19], of_day / 1000 % 60);
    put(&mut buffer[20..23], of_day % 1000);
    out.extend_from_slice(&buffer);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(seed: u64) -> RowSource {
        let window = Window { from: Timestamp(1_704_067_200_000), to: Timestamp(1_706_745_599_999) };
        RowSource::new(seed, "detail", window, 1000, "\n", None)
    }

    fn page(range: Range<u64>) -> Vec<u8> {
        PageBody::new(source(7), range, false, false, true).whole()
    }

    #[test]
    fn the_same_seed_makes_the_same_rows_and_another_seed_makes_others() {
        let rows = |seed| PageBody::new(source(seed), 0..200, true, true, true).whole();
        assert_eq!(rows(7), rows(7));
        assert_ne!(rows(7), rows(8));
    }

    #[test]
    fn a_row_does_not_depend_on_the_page_it_stands_in() {
        assert_eq!(page(0..300), [page(0..100), page(100..101), page(101..300)].concat());
    }

    #[test]
    fn the_length_told_beforehand_is_the_length_made() {
        let body = PageBody::new(source(7), 3..2500, true, true, false);
        assert!(body.n_bytes() > 2 * PIECE_BYTES as u64);
        assert_eq!(body.n_bytes(), body.whole().len() as u64);
        assert!(!body.whole().ends_with(b"\n"));
    }

    #[test]
    fn a_month_of_rows_holds_every_hard_kind_of_field() {
        let bytes = page(0..2000);
        let text = String::from_utf8(bytes.clone()).unwrap();
        for hard in ["\"\"", "\r\n", "🙂", "日本語", "\"Smith, John\"", "First line\nsecond", ",,"] {
            assert!(text.contains(hard), "{hard:?} is missing");
        }
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(bytes.as_slice());
        let records: Vec<_> = reader.records().collect::<Result<_, _>>().unwrap();
        assert_eq!(records.len(), 2000);
        assert!(records.iter().all(|r| r.len() == COLUMNS.split(',').count()));
    }

    #[test]
    fn times_agree_with_a_calendar_that_is_not_ours() {
        for ms in [0, -1, 951_782_400_000, 1_709_164_800_001, 4_102_444_799_999, 253_402_000_000_001] {
            let mut out = Vec::new();
            time(&mut out, ms);
            assert_eq!(String::from_utf8(out).unwrap(), Timestamp(ms).to_string());
        }
    }

    #[test]
    fn every_nth_row_has_a_flaw_each_kind_comes_and_the_others_stay_as_they_were() {
        let (good, bad) = (source(7), source(7).flawed(Some(5)));
        let text = |rows: &RowSource, row| PageBody::new(rows.clone(), row..row + 1, false, false, true).whole();
        let mut kinds = Vec::new();
        for row in 0..500 {
            let flaw = bad.flaw(row);
            assert_eq!(flaw.is_some(), row % 5 == 4);
            assert_eq!(text(&good, row) == text(&bad, row), flaw.is_none());
            kinds.extend(flaw.filter(|flaw| !kinds.contains(flaw)));
        }
        assert_eq!(kinds.len(), Flaw::ALL.len());
    }

    #[test]
    fn a_legacy_template_breaks_every_nth_row_over_two_lines() {
        let window = Window { from: Timestamp(0), to: Timestamp(1000) };
        let rows = RowSource::new(1, "legacy", window, 10, "\n", Some(5));
        let mut out = Vec::new();
        rows.write_row(4, &mut out);
        assert_eq!(out.iter().filter(|&&b| b == b'\n').count(), 2);
        assert_eq!(out.iter().filter(|&&b| b == b'"').count() % 2, 0);
    }
}
