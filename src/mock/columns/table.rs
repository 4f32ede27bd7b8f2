//! Rows of a described table, each made from its number alone.
//!
//! What can be prepared is prepared once (words in their quotes, thresholds for shares); a row then takes a few throws of
//! dice that follow from (seed, template, window, row). A field never depends on another, but that all moments of a row
//! are near each other and an agent has one number.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::super::data::{Dice, Origin, mix};
use super::super::digits::{decimal, digits, hex, hex_digits, hex_text, moment, number, time};
use super::super::flaws::Flaw;
use super::super::words::{AGENTS, DISPOSITIONS, MEDIA, RAW_REMARKS, SKILLS};
use super::text::TextMaker;
use super::words::{COUNTRIES, FIRST_NAMES, FRAGILE, LAST_NAMES};
use super::{Column, ColumnKind, Columns, DurationForm, TimeForm};

/// The text as a field, in quotes if it needs them.
pub(super) fn field(text: &str) -> Box<[u8]> {
    let bare = !text.contains(['"', ',', '\n', '\r']);
    let field = if bare { text.to_owned() } else { format!("\"{}\"", text.replace('"', "\"\"")) };
    field.into_bytes().into()
}

/// One column, ready to be made.
pub(super) struct Cell {
    /// How many of 2^32 fields are empty.
    empty: u64,
    make: Make,
}

enum Make {
    Id {
        start: Option<u64>,
        step: u64,
        prefix: Box<[u8]>,
        width: usize,
    },
    Uuid,
    Time {
        form: TimeForm,
        later: Range,
    },
    Duration {
        form: DurationForm,
        ms: Range,
    },
    Words(Vec<Box<[u8]>>),
    Agent(Vec<Box<[u8]>>),
    AgentId,
    Phone(Option<Box<[u8]>>),
    Boolean(u64),
    Integer(Range),
    Decimal {
        range: Range,
        decimals: u32,
    },
    Hex(usize),
    Constant(Box<[u8]>),
    /// Each with the sum of the weights up to it, of 2^32.
    Choice(Vec<(u64, Box<[u8]>)>),
    Text(TextMaker),
    Json,
    Url,
    Utf8,
}

/// Numbers, each as likely.
#[derive(Clone, Copy)]
struct Range {
    least: i64,
    span: u128,
}

impl Range {
    fn new(range: RangeInclusive<i64>) -> Self {
        Self { least: *range.start(), span: range.end().abs_diff(*range.start()) as u128 + 1 }
    }

    fn ms(range: &RangeInclusive<Duration>) -> Self {
        let ms = |time: &Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        Self::new(ms(range.start())..=ms(range.end()))
    }

    #[inline]
    fn pick(self, roll: u64) -> i64 {
        self.least.wrapping_add(((u128::from(roll) * self.span) >> 64) as i64)
    }
}

fn of_two_to_32(share: f64) -> u64 {
    (share * 4_294_967_296.0) as u64
}

fn words(words: &[&str]) -> Vec<Box<[u8]>> {
    words.iter().map(|word| word.as_bytes().into()).collect()
}

/// 256 names.
fn agents() -> Vec<Box<[u8]>> {
    let names =
        FIRST_NAMES.iter().flat_map(|first| LAST_NAMES.iter().map(move |last| field(&format!("{first} {last}"))));
    words(&AGENTS).into_iter().chain(names).collect()
}

impl Cell {
    pub(super) fn new(column: &Column) -> Self {
        let make = match &column.kind {
            ColumnKind::Id { start, step, prefix, width } => {
                let (start, step, width) = (*start, *step, *width);
                let prefix = prefix.as_bytes().into();
                Make::Id { start, step, prefix, width }
            }
            ColumnKind::Uuid => Make::Uuid,
            ColumnKind::Timestamp { form, later } => Make::Time { form: *form, later: Range::ms(later) },
            ColumnKind::Duration { form, range } => Make::Duration { form: *form, ms: Range::ms(range) },
            ColumnKind::Skill => Make::Words(words(&SKILLS)),
            ColumnKind::Agent => Make::Agent(agents()),
            ColumnKind::AgentId => Make::AgentId,
            ColumnKind::Disposition => Make::Words(words(&DISPOSITIONS)),
            ColumnKind::Channel => Make::Words(words(&MEDIA)),
            ColumnKind::Phone(country) => Make::Phone(country.as_deref().map(field)),
            ColumnKind::Boolean(share) => Make::Boolean(of_two_to_32(*share)),
            ColumnKind::Integer(range) => Make::Integer(Range::new(range.clone())),
            ColumnKind::Decimal { range, decimals } => {
                let scale = 10i64.pow(*decimals);
                let range = Range::new(range.start() * scale..=range.end() * scale);
                Make::Decimal { range, decimals: *decimals }
            }
            ColumnKind::Hex { digits } => Make::Hex(*digits),
            ColumnKind::Constant(text) => Make::Constant(field(text)),
            ColumnKind::Choice(values) => {
                let sum: f64 = values.iter().map(|(_, weight)| weight).sum();
                let mut so_far = 0.0;
                let limits = values.iter().map(|(value, weight)| {
                    so_far += weight;
                    (of_two_to_32(so_far / sum), field(value))
                });
                Make::Choice(limits.collect())
            }
            ColumnKind::Text(text) => Make::Text(TextMaker::new(text)),
            ColumnKind::Json => Make::Json,
            ColumnKind::Url => Make::Url,
            ColumnKind::Utf8 => Make::Utf8,
        };
        Self { empty: of_two_to_32(column.empty), make }
    }
}

/// The rows of one result.
#[derive(Clone, Debug)]
pub(in crate::mock) struct Table {
    columns: Columns,
    key: u64,
    first_id: u64,
    start_ms: i64,
    /// Milliseconds from row to row, times 2^32.
    step: u128,
    newline: &'static str,
    raw_newline_every: Option<u64>,
    /// How many rows further on each row is taken from.
    shift: u64,
}

/// What the fields of one row have in common.
struct Row {
    nth: u64,
    key: u64,
    ms: i64,
}

impl Table {
    pub(in crate::mock) fn new(columns: Columns, origin: &Origin) -> Self {
        Self {
            columns,
            key: origin.key,
            first_id: origin.first_id(),
            start_ms: origin.window.from.0,
            step: (u128::from(origin.span_ms()) << 32) / u128::from(origin.n_rows.max(1)),
            newline: origin.newline,
            raw_newline_every: origin.raw_newline_every,
            shift: 0,
        }
    }

    /// The same result as another key would have made it, moved on by a row: ids may follow from no key.
    pub(in crate::mock) fn changed(&self) -> Self {
        Self { key: mix(self.key), shift: self.shift + 1, ..self.clone() }
    }

    pub(in crate::mock) fn header(&self) -> &[u8] {
        &self.columns.0.header
    }

    pub(in crate::mock) fn has_slot(&self) -> bool {
        self.columns.has_slot()
    }

    /// Writes one row with its line ending.
    pub(in crate::mock) fn write_row(&self, nth: u64, flaw: Option<Flaw>, out: &mut Vec<u8>) {
        let breaks = self.raw_newline_every.is_some_and(|n| nth % n.max(1) == n.max(1) - 1);
        let slot = self.columns.0.slot.filter(|_| flaw.is_some() || breaks);
        let nth = nth + self.shift;
        let key = mix(self.key ^ mix(nth));
        let row = Row { nth, key, ms: self.moment(nth, key) };
        for (place, cell) in self.columns.0.cells.iter().enumerate() {
            if slot == Some(place) {
                match flaw {
                    Some(flaw) => flaw.write(out),
                    None => {
                        out.push(b',');
                        out.extend_from_slice(RAW_REMARKS[key as usize % RAW_REMARKS.len()].as_bytes());
                    }
                }
                continue;
            }
            if place > 0 {
                out.push(b',');
            }
            let mut dice = Dice(key ^ (place as u64).wrapping_mul(0xD6E8_FEB8_6659_FD93));
            if cell.empty > 0 && dice.roll() >> 32 < cell.empty {
                continue;
            }
            self.write_field(&cell.make, &row, &mut dice, out);
        }
        if slot.is_some() {
            out.extend_from_slice(flaw.map_or("", Flaw::tail).as_bytes());
        }
        out.extend_from_slice(self.newline.as_bytes());
    }

    /// Somewhere between where this row's share of the window begins and where the next one's does.
    fn moment(&self, row: u64, key: u64) -> i64 {
        let begins = |row: u64| (self.step.saturating_mul(u128::from(row)) >> 32) as u64;
        let (from, to) = (begins(row), begins(row.saturating_add(1)));
        let jitter = if to > from + 1 { (key >> 8) % (to - from) } else { 0 };
        self.start_ms.saturating_add_unsigned(from + jitter)
    }

    fn write_field(&self, make: &Make, row: &Row, dice: &mut Dice, out: &mut Vec<u8>) {
        match make {
            Make::Id { start, step, prefix, width } => {
                out.extend_from_slice(prefix);
                let id = start.unwrap_or(self.first_id).wrapping_add(step.wrapping_mul(row.nth));
                let natural = id.checked_ilog10().map_or(1, |n| n as usize + 1);
                digits(out, id, natural.max(*width));
            }
            Make::Uuid => uuid(out, dice.roll(), dice.roll()),
            Make::Time { form, later } => {
                let ms = if later.span > 1 { later.pick(dice.roll()) } else { later.least };
                write_time(out, *form, row.ms.saturating_add(ms));
            }
            Make::Duration { form, ms } => write_duration(out, *form, ms.pick(dice.roll()).cast_unsigned()),
            Make::Words(words) => out.extend_from_slice(&words[below(words.len(), dice.roll())]),
            Make::Agent(names) => out.extend_from_slice(&names[agent(row.key) % names.len()]),
            Make::AgentId => digits(out, 10_000 + 7 * agent(row.key) as u64, 5),
            Make::Phone(country) => {
                let (known, n_digits) = COUNTRIES[below(COUNTRIES.len(), dice.roll())];
                let (country, n_digits) = country.as_deref().map_or((known.as_bytes(), n_digits), |own| (own, 10));
                out.extend_from_slice(country);
                let least = 2 * 10u64.pow(n_digits - 1);
                digits(out, least + dice.roll() % (4 * least), n_digits as usize);
            }
            Make::Boolean(share) => {
                let is_true = dice.roll() >> 32 < *share;
                out.extend_from_slice(if is_true { b"true" } else { b"false" });
            }
            Make::Integer(range) => signed(out, range.pick(dice.roll())),
            Make::Decimal { range, decimals } => {
                let (value, scale) = (range.pick(dice.roll()), 10u64.pow(*decimals));
                if value < 0 {
                    out.push(b'-');
                }
                number(out, value.unsigned_abs() / scale);
                out.push(b'.');
                digits(out, value.unsigned_abs() % scale, *decimals as usize);
            }
            Make::Hex(digits) => {
                let mut left = *digits;
                while left > 0 {
                    hex_digits(out, dice.roll(), left.min(16));
                    left -= left.min(16);
                }
            }
            Make::Constant(text) => out.extend_from_slice(text),
            Make::Choice(values) => {
                let drawn = dice.roll() >> 32;
                let place = values.partition_point(|(limit, _)| *limit <= drawn);
                out.extend_from_slice(&values[place.min(values.len() - 1)].1);
            }
            Make::Text(text) => text.write(dice, out),
            Make::Json => json(out, dice.roll(), dice.roll()),
            Make::Url => url(out, dice.roll(), dice.roll()),
            Make::Utf8 => {
                // A field must not begin with what a reader may take for a byte order mark.
                let bits = dice.roll();
                out.push(b'u');
                for nth in 0..1 + bits % 3 {
                    out.extend_from_slice(FRAGILE[(bits >> (8 + 4 * nth)) as usize % FRAGILE.len()].as_bytes());
                }
            }
        }
    }
}

#[inline]
fn below(most: usize, roll: u64) -> usize {
    ((u128::from(roll) * most as u128) >> 64) as usize
}

fn agent(row_key: u64) -> usize {
    (row_key >> 56) as usize
}

fn signed(out: &mut Vec<u8>, value: i64) {
    if value < 0 {
        out.push(b'-');
    }
    number(out, value.unsigned_abs());
}

fn write_time(out: &mut Vec<u8>, form: TimeForm, ms: i64) {
    match form {
        TimeForm::Rfc3339 => time(out, ms),
        TimeForm::Date => out.extend_from_slice(&moment(ms)[..10]),
        TimeForm::DateTime => {
            let text = moment(ms);
            out.extend_from_slice(&text[..10]);
            out.push(b' ');
            out.extend_from_slice(&text[11..19]);
        }
        TimeForm::Unix => signed(out, ms.div_euclid(1000)),
    }
}

fn write_duration(out: &mut Vec<u8>, form: DurationForm, ms: u64) {
    let seconds = ms / 1000;
    match form {
        DurationForm::Seconds if seconds < 10_000 => decimal(out, ms),
        DurationForm::Seconds => {
            number(out, seconds);
            out.push(b'.');
            digits(out, ms % 1000, 3);
        }
        DurationForm::Clock => {
            let hours = seconds / 3600;
            if hours < 100 {
                digits(out, hours, 2)
            } else {
                number(out, hours)
            }
            out.push(b':');
            digits(out, seconds / 60 % 60, 2);
            out.push(b':');
            digits(out, seconds % 60, 2);
        }
    }
}

/// Version 4: random.
fn uuid(out: &mut Vec<u8>, a: u64, b: u64) {
    let (a, b) = (hex_text(a & !0xF000 | 0x4000), hex_text(b & !(0b11 << 62) | 0b10 << 62));
    out.extend_from_slice(&a[..8]);
    for part in [&a[8..12], &a[12..], &b[..4], &b[4..]] {
        out.push(b'-');
        out.extend_from_slice(part);
    }
}

fn json(out: &mut Vec<u8>, a: u64, b: u64) {
    out.extend_from_slice(b"\"{\"\"queue\"\":\"\"");
    out.extend_from_slice(["billing", "sales", "support", "rückfragen"][a as usize & 3].as_bytes());
    out.extend_from_slice(b"\"\",\"\"attempt\"\":");
    number(out, 1 + (a >> 2) % 9);
    out.extend_from_slice(b",\"\"sentiment\"\":");
    out.extend_from_slice(if a & 0x100 == 0 { b"-0." } else { b"0." });
    digits(out, (a >> 9) % 1000, 3);
    out.extend_from_slice(if a & 0x200 == 0 {
        b",\"\"tags\"\":[\"\"vip\"\",\"\"late\"\"]"
    } else {
        b",\"\"tags\"\":[]"
    });
    out.extend_from_slice(b",\"\"trace\"\":\"\"");
    hex(out, b);
    out.extend_from_slice(b"\"\"}\"");
}

fn url(out: &mut Vec<u8>, a: u64, b: u64) {
    let quoted = a & 3 == 0;
    if quoted {
        out.push(b'"');
    }
    out.extend_from_slice(b"https://recordings.example.com/media/");
    hex(out, b);
    out.extend_from_slice(if quoted { b".wav?segments=1,2,3&sig=" } else { b".wav?sig=" });
    hex_digits(out, a, 12);
    if quoted {
        out.push(b'"');
    }
}
