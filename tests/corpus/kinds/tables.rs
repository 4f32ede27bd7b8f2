//! The table as a whole: its header, its size, and text or other tables around it.

use super::super::case::{Case, Column, Damaged, Draft};
use super::super::dice::Dice;
use super::super::tables::{Field, Key, Table, meaning, plain, written};
use super::Kind;

pub fn kinds() -> Vec<Kind> {
    let mut kinds = vec![
        Kind::new("header repeated among the rows", header_repeated),
        Kind::new("header missing", header_missing),
        Kind::new("header of several records", header_in_rows),
        Kind::new("header with empty or huge names", header_names).strikes_header(),
        Kind::new("header with a name too few or too many", header_length).strikes_header(),
        Kind::new("lines of text before the header", text_before).strikes_header(),
        Kind::new("delimited lines before the header", delimited_before).strikes_header(),
    ];
    let [keyed, unkeyed] = Kind::new("lines of text behind the last record", text_behind).by_key();
    kinds.extend([keyed.unknowable(), unkeyed]);
    kinds.push(Kind::new("delimited lines behind the last record", delimited_behind));
    kinds.push(Kind::new("second table below, of another width", other_table));
    kinds.push(Kind::new("second table below, of the same width", same_width));
    kinds.push(Kind::new("header alone", header_alone));
    kinds.push(Kind::new("empty file, or blank lines alone", empty));
    kinds.push(Kind::new("one column", one_column));
    kinds.push(Kind::new("two hundred columns", wide));
    kinds
}

fn header_repeated(dice: &mut Dice, key: Key, _: Column) -> Case {
    let mut draft = Draft::draw(dice, (4, 8), key);
    let header = written(&draft.table.header);
    let at = dice.between(1, draft.n_pieces() - 1);
    draft.insert(at, Damaged::no_record(header, "\n"));
    draft.finish()
}

fn header_missing(dice: &mut Dice, key: Key, _: Column) -> Case {
    let mut draft = Draft::draw(dice, (4, 8), key);
    draft.remove(0);
    draft.finish()
}

fn header_in_rows(dice: &mut Dice, key: Key, _: Column) -> Case {
    let mut draft = Draft::draw(dice, (4, 8), key);
    for _ in 0..dice.between(1, 2) {
        let second = vec!["(unit)"; draft.n_columns()].join(",");
        draft.insert(1, Damaged::no_record(second.into(), "\n"));
    }
    draft.finish()
}

fn header_names(dice: &mut Dice, key: Key, column: Column) -> Case {
    let mut draft = Draft::draw(dice, (4, 8), key);
    let at = column.index(dice, draft.n_columns());
    let name = if dice.once_in(2) { String::new() } else { "HEADER/%R".repeat(2000) };
    let mut header = draft.table.header.clone();
    header[at] = Field::new(name);
    draft.replace(0, Damaged::one(written(&header), meaning(&header)));
    draft.finish()
}

fn header_length(dice: &mut Dice, key: Key, _: Column) -> Case {
    let mut draft = Draft::draw(dice, (4, 8), key);
    let mut header = draft.table.header.clone();
    if dice.once_in(2) {
        header.pop();
    } else {
        header.push(Field::new("more"));
    }
    let sent = written(&header);
    draft.replace(0, Damaged::one(sent, meaning(&draft.table.header)));
    draft.finish()
}

fn lines(dice: &mut Dice, n_columns: usize, delimited: bool) -> Vec<String> {
    let separators = if delimited { ",".repeat(n_columns - 1) } else { String::new() };
    (0..dice.between(1, 3)).map(|_| format!("Report: {}{separators}", plain(dice))).collect()
}

fn around(dice: &mut Dice, key: Key, delimited: bool, before: bool) -> Case {
    let mut draft = Draft::draw(dice, (4, 8), key);
    let ending = draft.table.ending;
    let mut text = lines(dice, draft.n_columns(), delimited);
    if dice.once_in(3) {
        text.insert(if before { text.len() } else { 0 }, String::new());
    }
    let at = if before { 0 } else { draft.n_pieces() };
    draft.insert(at, Damaged::no_record(text.join(ending).into(), ending));
    draft.finish()
}

fn text_before(dice: &mut Dice, key: Key, _: Column) -> Case {
    around(dice, key, false, true)
}

fn delimited_before(dice: &mut Dice, key: Key, _: Column) -> Case {
    around(dice, key, true, true)
}

fn text_behind(dice: &mut Dice, key: Key, _: Column) -> Case {
    around(dice, key, false, false)
}

fn delimited_behind(dice: &mut Dice, key: Key, _: Column) -> Case {
    around(dice, key, true, false)
}

fn with_table(dice: &mut Dice, key: Key, same_width: bool) -> Case {
    let mut draft = Draft::draw(dice, (4, 8), key);
    let n_columns = match (same_width, dice.once_in(2)) {
        (true, _) => draft.n_columns(),
        (false, true) => draft.n_columns() + dice.between(1, 3),
        (false, false) => draft.n_columns() - 1,
    };
    let below = Table::draw(dice, n_columns, key);
    let header = below.header.iter().map(|field| Field::new(format!("other {}", field.text)));
    for row in std::iter::once(header.collect()).chain(below.rows) {
        let sent = written(&row);
        let damaged = Damaged { whole: vec![sent.clone()], sent, truths: Vec::new() };
        draft.insert(draft.n_pieces(), damaged);
    }
    draft.finish()
}

fn other_table(dice: &mut Dice, key: Key, _: Column) -> Case {
    with_table(dice, key, false)
}

fn same_width(dice: &mut Dice, key: Key, _: Column) -> Case {
    with_table(dice, key, true)
}

fn header_alone(dice: &mut Dice, key: Key, _: Column) -> Case {
    let n_columns = dice.between(2, 8);
    let mut table = Table::draw(dice, n_columns, key);
    table.rows.clear();
    Draft::of(table).finish()
}

fn empty(dice: &mut Dice, _: Key, _: Column) -> Case {
    let bytes = dice.pick(&["\n", "\r\n", "\r"]).repeat(dice.between(0, 3)).into_bytes();
    Case { bytes, pieces: Vec::new(), lines: (1, u64::MAX) }
}

fn one_column(dice: &mut Dice, key: Key, _: Column) -> Case {
    Draft::draw(dice, (1, 1), key).finish()
}

fn wide(dice: &mut Dice, key: Key, _: Column) -> Case {
    let mut table = Table::draw(dice, 200, key);
    table.rows.truncate(3);
    Draft::of(table).finish()
}
