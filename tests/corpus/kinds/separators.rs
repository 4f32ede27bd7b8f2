//! Separators too many, too few, or others than commas.

use super::super::case::{Case, Column, Damaged, Draft};
use super::super::dice::Dice;
use super::super::tables::{Field, Key, meaning, written};
use super::Kind;

pub fn kinds() -> Vec<Kind> {
    let mut kinds = Vec::new();
    kinds.extend(Kind::by_column("extra separator", extra));
    kinds.extend(Kind::by_column("separator lost", lost));
    kinds.push(Kind::new("fifteen fields more", many_more));
    kinds.push(Kind::new("half the fields", half));
    kinds.extend(Kind::new("separator lost in two records running", two_lost).by_key());
    let [keyed, unkeyed] = Kind::new("separator lost in two records running, three columns", two_lost_narrow).by_key();
    kinds.extend([keyed, unkeyed.unknowable()]);
    kinds.extend(Kind::new("semicolons, tabs or bars in one record", other_in_record).by_key());
    kinds.push(Kind::new("semicolons, tabs or bars in the whole file", other_in_file).strikes_header());
    kinds.push(Kind::new("comma and blank in the whole file", comma_and_blank).strikes_header());
    kinds
}

/// Which comma of a record is struck: the one behind that many fields.
fn comma(dice: &mut Dice, column: Column, n_columns: usize) -> usize {
    match column {
        Column::First => 1,
        Column::Middle => dice.between(2, n_columns - 2),
        Column::Last => n_columns - 1,
    }
}

fn fields_written(draft: &Draft, row: usize) -> Vec<String> {
    draft.fields(row).iter().map(Field::written).collect()
}

/// The record without the comma behind so many fields.
fn without_comma(draft: &Draft, row: usize, comma: usize) -> String {
    let mut fields = fields_written(draft, row);
    let behind = fields.remove(comma);
    fields[comma - 1].push_str(&behind);
    fields.join(",")
}

fn extra(dice: &mut Dice, key: Key, column: Column) -> Case {
    let mut draft = Draft::draw(dice, (4, 8), key);
    let row = draft.row(dice);
    let mut fields = fields_written(&draft, row);
    let at = match column {
        Column::First => 0,
        Column::Middle => comma(dice, column, fields.len()),
        Column::Last => fields.len(),
    };
    fields.insert(at, String::new());
    draft.send(row, fields.join(","));
    draft.finish()
}

fn lost(dice: &mut Dice, key: Key, column: Column) -> Case {
    let mut draft = Draft::draw(dice, (4, 8), key);
    let row = draft.row(dice);
    let at = comma(dice, column, draft.n_columns());
    draft.send(row, without_comma(&draft, row, at));
    draft.finish()
}

fn many_more(dice: &mut Dice, key: Key, _: Column) -> Case {
    let mut draft = Draft::draw(dice, (4, 8), key);
    let row = draft.row(dice);
    draft.send(row, [written(draft.fields(row)), b",x".repeat(15)].concat());
    draft.finish()
}

fn half(dice: &mut Dice, key: Key, _: Column) -> Case {
    let mut draft = Draft::draw(dice, (4, 8), key);
    let row = draft.row(dice);
    draft.send(row, written(&draft.fields(row)[..draft.n_columns() / 2]));
    draft.finish()
}

fn two_lost(dice: &mut Dice, key: Key, _: Column) -> Case {
    let draft = Draft::draw(dice, (4, 8), key);
    two_lost_in(draft, dice)
}

fn two_lost_narrow(dice: &mut Dice, key: Key, _: Column) -> Case {
    let draft = Draft::draw(dice, (3, 3), key);
    two_lost_in(draft, dice)
}

fn two_lost_in(mut draft: Draft, dice: &mut Dice) -> Case {
    let row = dice.between(0, draft.table.rows.len() - 2);
    for row in [row, row + 1] {
        let at = dice.between(1, draft.n_columns() - 1);
        draft.send(row, without_comma(&draft, row, at));
    }
    draft.finish()
}

const OTHERS: [&str; 3] = [";", "\t", "|"];

fn other_in_record(dice: &mut Dice, key: Key, _: Column) -> Case {
    let mut draft = Draft::draw(dice, (4, 8), key);
    let row = draft.row(dice);
    draft.send(row, fields_written(&draft, row).join(dice.pick(&OTHERS)));
    draft.finish()
}

fn rewritten(mut draft: Draft, separator: &str) -> Case {
    let rows: Vec<_> = std::iter::once(&draft.table.header).chain(&draft.table.rows).cloned().collect();
    for (at, row) in rows.iter().enumerate() {
        let sent = row.iter().map(Field::written).collect::<Vec<_>>().join(separator);
        // Read with commas, text that was quoted may be several lines, and each is a record of its own.
        let whole = sent.split(['\n', '\r']).map(|line| line.as_bytes().to_vec()).collect();
        draft.replace(at, Damaged { sent: sent.into_bytes(), truths: vec![meaning(row)], whole });
    }
    draft.finish()
}

fn other_in_file(dice: &mut Dice, key: Key, _: Column) -> Case {
    let draft = Draft::draw(dice, (4, 8), key);
    let separator = dice.pick(&OTHERS);
    rewritten(draft, separator)
}

fn comma_and_blank(dice: &mut Dice, key: Key, _: Column) -> Case {
    let draft = Draft::draw(dice, (4, 8), key);
    rewritten(draft, ", ")
}
