//! Tables with known contents, and a writer of clean CSV that shares nothing with the reader under test.
//!
//! A table's first column is a key (digits, UUIDs, timestamps) or names of no constant shape; every first field is
//! unlike all others of its table, so that a delivered record can be told from every other one. The other columns
//! hold numbers, times, empty fields and free text with commas, quotes, newlines and emoji.

use super::dice::Dice;

/// What the first column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    Digits,
    Uuid,
    Timestamp,
    /// Texts of no constant shape.
    Names,
}

impl Key {
    /// One of those that have a shape, in turn.
    pub fn shaped(turn: usize) -> Self {
        [Self::Digits, Self::Uuid, Self::Timestamp][turn % 3]
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    pub text: String,
    pub quoted: bool,
}

impl Field {
    /// A field that is quoted only if it must be.
    pub fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        let quoted = text.contains([',', '"', '\n', '\r']);
        Self { text, quoted }
    }

    pub fn quoted(text: impl Into<String>) -> Self {
        Self { text: text.into(), quoted: true }
    }

    pub fn written(&self) -> String {
        if self.quoted { format!("\"{}\"", self.text.replace('"', "\"\"")) } else { self.text.clone() }
    }
}

pub type Row = Vec<Field>;

/// A record as bytes, without a line ending.
pub fn written(row: &[Field]) -> Vec<u8> {
    row.iter().map(Field::written).collect::<Vec<_>>().join(",").into_bytes()
}

/// What a record means: its fields without quoting.
pub fn meaning(row: &[Field]) -> Vec<Vec<u8>> {
    row.iter().map(|field| field.text.clone().into_bytes()).collect()
}

pub struct Table {
    pub header: Row,
    pub rows: Vec<Row>,
    pub ending: &'static str,
    pub final_newline: bool,
}

impl Table {
    pub fn draw(dice: &mut Dice, n_columns: usize, key: Key) -> Self {
        let kinds: Vec<usize> =
            (1..n_columns).map(|i| if i + 1 == n_columns { 4 } else { dice.between(0, 4) }).collect();
        let n_rows = dice.between(6, 16);
        let rows = (0..n_rows)
            .map(|i| {
                let first = Field::new(key_text(dice, key, i));
                std::iter::once(first).chain(kinds.iter().map(|kind| field(dice, *kind))).collect()
            })
            .collect();
        let header = (0..n_columns).map(|i| Field::new(format!("{} {i}", ["key", "about"][usize::from(i > 0)])));
        Self {
            header: header.collect(),
            rows,
            ending: if dice.once_in(3) { "\r\n" } else { "\n" },
            final_newline: !dice.once_in(4),
        }
    }
}

fn key_text(dice: &mut Dice, key: Key, i: usize) -> String {
    match key {
        Key::Digits => format!("{}", 48_210_000 + i * 7 + dice.between(0, 6)),
        Key::Uuid => {
            let (a, b) = (dice.next(), dice.next());
            let (a1, a2, a3) = (a >> 32, (a >> 16) & 0xffff, a & 0xffff);
            format!("{a1:08x}-{a2:04x}-{a3:04x}-{:04x}-{:012x}", b >> 48, b & 0xffff_ffff_ffff)
        }
        Key::Timestamp => format!("2024-03-{:02}T08:{:02}:{:02}.000Z", i % 28 + 1, i, dice.between(0, 59)),
        Key::Names => format!("{}-{i}", dice.pick(&["Berg", "line", "7th", "Ödön", "Mc Coy", "x"])),
    }
}

fn field(dice: &mut Dice, kind: usize) -> Field {
    match kind {
        0 => Field::new(format!("{}.{:02}", dice.between(0, 9000), dice.between(0, 99))),
        1 => Field::new(format!("2024-01-{:02}T10:00:00Z", dice.between(1, 28))),
        2 => Field::new(dice.pick(&["", "voice", "chat", "e-mail"])),
        3 => Field::quoted(plain(dice)),
        _ => match dice.between(0, 3) {
            0 => Field::new(""),
            1 => Field::new(plain(dice)),
            _ => Field::new(rich(dice)),
        },
    }
}

const WORDS: [&str; 12] =
    ["called", "back", "Grüße", "ticket", "42", "no answer", "日本", "🙂", "refund", "O'Hara", "=1", "50%"];

/// Text that needs no quotes.
pub fn plain(dice: &mut Dice) -> String {
    let n = dice.between(1, 4);
    (0..n).map(|_| dice.pick(&WORDS)).collect::<Vec<_>>().join(" ")
}

/// Text with anything in it.
fn rich(dice: &mut Dice) -> String {
    let mut text = plain(dice);
    for _ in 0..dice.between(1, 3) {
        text.push_str(dice.pick(&[", ", " \"yes\" ", "\n", "\r\n", "; ", "\n\n", " 🙂 "]));
        text.push_str(&plain(dice));
    }
    text
}
