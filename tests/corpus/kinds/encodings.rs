//! Bytes that are no UTF-8, marks and characters that other readers trip over.

use super::super::case::{Case, Column, Damaged, Draft, Piece};
use super::super::dice::Dice;
use super::super::tables::{Field, Key, plain};
use super::Kind;

pub fn kinds() -> Vec<Kind> {
    vec![
        Kind::new("byte order mark at the start", mark_at_start),
        Kind::new("byte order mark before a later record", mark_later),
        Kind::new("zero bytes in a field", zero_bytes),
        Kind::new("Latin-1 bytes in a field", latin_1),
        Kind::new("line separators of Unicode, form feeds and the like in a field", odd_separators),
        Kind::new("UTF-16, low byte first", utf_16_le).strikes_header(),
        Kind::new("UTF-16, high byte first", utf_16_be).strikes_header(),
    ]
}

fn mark_at_start(dice: &mut Dice, key: Key, _: Column) -> Case {
    let mut case = Draft::draw(dice, (4, 8), key).finish();
    case.bytes.splice(0..0, cxtract::csv::BOM);
    case
}

fn mark_later(dice: &mut Dice, key: Key, _: Column) -> Case {
    let mut draft = Draft::draw(dice, (4, 8), key);
    let row = draft.row(dice);
    let sent = format!("\u{feff}{}", String::from_utf8_lossy(&super::super::tables::written(draft.fields(row))));
    draft.send(row, sent);
    draft.finish()
}

/// A clean file in which one field holds other bytes than text: a record like any other.
fn with_bytes(dice: &mut Dice, key: Key, column: Column, text: &str, bytes: &[u8]) -> Case {
    let mut draft = Draft::draw(dice, (4, 8), key);
    let row = draft.row(dice);
    let at = column.index(dice, draft.n_columns()).max(1);
    let field = format!("{} {text} {}", plain(dice), plain(dice));
    draft.set(row, at, if dice.once_in(2) { Field::quoted(field) } else { Field::new(field) });
    let mut case = draft.finish();
    case.bytes = replaced(&case.bytes, text.as_bytes(), bytes);
    for piece in &mut case.pieces {
        if let Piece::Clean(record) = piece {
            *record = replaced(record, text.as_bytes(), bytes);
        }
    }
    case
}

fn replaced(bytes: &[u8], what: &[u8], by: &[u8]) -> Vec<u8> {
    let at = bytes.windows(what.len()).position(|window| window == what);
    at.map_or(bytes.to_vec(), |at| [&bytes[..at], by, &bytes[at + what.len()..]].concat())
}

fn zero_bytes(dice: &mut Dice, key: Key, column: Column) -> Case {
    with_bytes(dice, key, column, "<marker>", b"\0\0")
}

fn latin_1(dice: &mut Dice, key: Key, column: Column) -> Case {
    with_bytes(dice, key, column, "<marker>", b"Gr\xfc\xdfe \xa0")
}

fn odd_separators(dice: &mut Dice, key: Key, column: Column) -> Case {
    with_bytes(dice, key, column, "<marker>", "a\u{2028}b\u{85}c\u{b}d\u{c}e\u{1e}f".as_bytes())
}

/// The whole file in another encoding: each line is damage, and nothing of it is ever rebuilt.
fn utf_16(dice: &mut Dice, key: Key, encode: fn(u16) -> [u8; 2]) -> Case {
    let mut draft = Draft::draw(dice, (4, 8), key);
    draft.table.final_newline = true;
    let with_mark = !dice.once_in(2);
    let case = draft.finish();
    let text = String::from_utf8(case.bytes).expect("tables are text");
    let mark = if with_mark { "\u{feff}" } else { "" };
    let bytes: Vec<u8> = format!("{mark}{text}").encode_utf16().flat_map(encode).collect();
    // A reader of bytes sees the zero bytes as text, and lines where it always does.
    let whole = bytes.split(|b| matches!(b, b'\n' | b'\r')).map(<[u8]>::to_vec).collect();
    let damaged = Damaged { sent: bytes.clone(), truths: Vec::new(), whole };
    Case { bytes, pieces: vec![Piece::Damaged(damaged)], lines: (1, u64::MAX) }
}

fn utf_16_le(dice: &mut Dice, key: Key, _: Column) -> Case {
    utf_16(dice, key, u16::to_le_bytes)
}

fn utf_16_be(dice: &mut Dice, key: Key, _: Column) -> Case {
    utf_16(dice, key, u16::to_be_bytes)
}
