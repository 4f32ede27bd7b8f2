//! Raw newlines: text that was written without quotes although it spans lines.

use super::super::case::{Case, Column, Damaged, Draft};
use super::super::dice::Dice;
use super::super::tables::{Field, Key, meaning, plain, written};
use super::{Kind, cut, with_field};

pub fn kinds() -> Vec<Kind> {
    let mut kinds = Vec::new();
    kinds.extend(Kind::by_column_and_key("one raw newline", one));
    kinds.extend(Kind::by_column_and_key("several raw newlines in one field", several));
    kinds.extend(Kind::by_column_and_key("raw blank line in a field", blank_line));
    kinds.extend(Kind::new("raw newlines in two fields, a comma in each piece", two_fields).by_key());
    kinds.extend(Kind::by_column_and_key("raw newline, two records running", two_records));
    kinds.extend(
        Kind::by_column_and_key("raw newline, two columns", two_columns)
            .into_iter()
            .filter(|kind| kind.column != Some(Column::Middle)),
    );
    kinds.extend(Kind::by_column_and_key("raw newline, three columns", three_columns));
    kinds.extend(Kind::by_column("raw newline at a field's edge", edge));
    kinds.extend(Kind::by_column("raw newline beside a quoted piece", beside_quotes));
    kinds.push(Kind::new("raw newline in the header", in_header).strikes_header());
    kinds
}

/// A newline: mostly the file's own ending.
fn newline(dice: &mut Dice, draft: &Draft) -> &'static str {
    if dice.once_in(3) { dice.pick(&["\n", "\r\n"]) } else { draft.table.ending }
}

/// Breaks a field by a newline at so many places.
fn break_field(draft: &mut Draft, dice: &mut Dice, row: usize, at: usize, newlines: &[&str]) {
    let mut text = if at == 0 { draft.fields(row)[0].text.clone() } else { format!("{} {}", plain(dice), plain(dice)) };
    for (i, newline) in newlines.iter().enumerate() {
        if i == 0 {
            text.insert_str(cut(dice, &text), newline);
        } else {
            text.push_str(newline);
            text.push_str(&plain(dice));
        }
    }
    draft.set(row, at, Field { text, quoted: false });
}

fn send_row(draft: &mut Draft, row: usize) {
    let record = written(draft.fields(row));
    draft.send(row, record);
}

fn broken(dice: &mut Dice, mut draft: Draft, column: Column, newlines: &[&str]) -> Case {
    let row = draft.row(dice);
    let at = column.index(dice, draft.n_columns());
    break_field(&mut draft, dice, row, at, newlines);
    send_row(&mut draft, row);
    draft.finish()
}

fn one(dice: &mut Dice, key: Key, column: Column) -> Case {
    let draft = Draft::draw(dice, (4, 8), key);
    let newline = newline(dice, &draft);
    broken(dice, draft, column, &[newline])
}

fn several(dice: &mut Dice, key: Key, column: Column) -> Case {
    let draft = Draft::draw(dice, (4, 8), key);
    let newlines: Vec<&str> = (0..dice.between(2, 5)).map(|_| newline(dice, &draft)).collect();
    broken(dice, draft, column, &newlines)
}

fn blank_line(dice: &mut Dice, key: Key, column: Column) -> Case {
    let draft = Draft::draw(dice, (4, 8), key);
    let blank = draft.table.ending.repeat(dice.between(2, 3));
    broken(dice, draft, column, &[&blank])
}

fn two_fields(dice: &mut Dice, key: Key, _: Column) -> Case {
    let mut draft = Draft::draw(dice, (4, 8), key);
    let row = draft.row(dice);
    let first = dice.between(1, draft.n_columns() - 3);
    let second = dice.between(first + 1, draft.n_columns() - 2);
    for at in [first, second] {
        let newline = newline(dice, &draft);
        break_field(&mut draft, dice, row, at, &[newline]);
    }
    send_row(&mut draft, row);
    draft.finish()
}

fn two_records(dice: &mut Dice, key: Key, column: Column) -> Case {
    let mut draft = Draft::draw(dice, (4, 8), key);
    let row = dice.between(0, draft.table.rows.len() - 2);
    for row in [row, row + 1] {
        let at = column.index(dice, draft.n_columns());
        let newline = newline(dice, &draft);
        break_field(&mut draft, dice, row, at, &[newline]);
        send_row(&mut draft, row);
    }
    draft.finish()
}

fn two_columns(dice: &mut Dice, key: Key, column: Column) -> Case {
    let draft = Draft::draw(dice, (2, 2), key);
    let newline = newline(dice, &draft);
    broken(dice, draft, column, &[newline])
}

fn three_columns(dice: &mut Dice, key: Key, column: Column) -> Case {
    let draft = Draft::draw(dice, (3, 3), key);
    let newline = newline(dice, &draft);
    broken(dice, draft, column, &[newline])
}

/// The newline is the first thing in the first field, or the last thing in another.
fn edge(dice: &mut Dice, key: Key, column: Column) -> Case {
    let mut draft = Draft::draw(dice, (4, 8), key);
    let row = draft.row(dice);
    let at = column.index(dice, draft.n_columns());
    let newline = draft.table.ending;
    let text = match column {
        Column::First => format!("{newline}{}", draft.fields(row)[0].text),
        Column::Middle | Column::Last => format!("{}{newline}", plain(dice)),
    };
    draft.set(row, at, Field { text, quoted: false });
    send_row(&mut draft, row);
    draft.finish()
}

/// Part of the text is quoted, and the rest of it stands on the line before or behind.
fn beside_quotes(dice: &mut Dice, key: Key, column: Column) -> Case {
    let mut draft = Draft::draw(dice, (4, 8), key);
    let row = draft.row(dice);
    let at = column.index(dice, draft.n_columns());
    let newline = newline(dice, &draft);
    let (first, second) = (plain(dice), plain(dice));
    let field = match dice.once_in(2) {
        true => format!("\"{first}\"{newline}{second}"),
        false => format!("{first}{newline}\"{second}\""),
    };
    draft.set(row, at, Field { text: format!("{first}{newline}{second}"), quoted: false });
    let record = with_field(draft.fields(row), at, &field);
    draft.send(row, record);
    draft.finish()
}

fn in_header(dice: &mut Dice, key: Key, column: Column) -> Case {
    let mut draft = Draft::draw(dice, (4, 8), key);
    let mut header = draft.table.header.clone();
    let at = column.index(dice, header.len());
    let newline = newline(dice, &draft);
    header[at] = Field { text: format!("long{newline}name"), quoted: false };
    draft.replace(0, Damaged::one(written(&header), meaning(&header)));
    draft.finish()
}
