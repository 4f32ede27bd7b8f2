//! How records end, and what stands between them.

use super::super::case::{Case, Column, Damaged, Draft};
use super::super::dice::Dice;
use super::super::tables::{Key, meaning, written};
use super::Kind;

pub fn kinds() -> Vec<Kind> {
    vec![
        Kind::new("line ending lost: two records run together", run_together),
        Kind::new("one record ends otherwise than the others", one_ends_otherwise),
        Kind::new("line endings of all three forms mixed", mixed),
        Kind::new("lone carriage returns end all records", lone_returns),
        Kind::new("doubled carriage returns", doubled_returns),
        Kind::new("blank lines between records", blank_lines),
        Kind::new("no final newline", no_final_newline),
        Kind::new("cut off within the last record", cut_off),
    ]
}

fn run_together(dice: &mut Dice, key: Key, _: Column) -> Case {
    let mut draft = Draft::draw(dice, (4, 8), key);
    let row = dice.between(0, draft.table.rows.len() - 2);
    let (one, two) = (draft.fields(row).clone(), draft.fields(row + 1).clone());
    let sent = [written(&one), written(&two)].concat();
    draft.remove(row + 2);
    draft.replace(row + 1, Damaged { whole: vec![sent.clone()], sent, truths: vec![meaning(&one), meaning(&two)] });
    draft.finish()
}

fn one_ends_otherwise(dice: &mut Dice, key: Key, _: Column) -> Case {
    let mut draft = Draft::draw(dice, (4, 8), key);
    let at = dice.between(0, draft.n_pieces() - 1);
    let other = match draft.table.ending {
        "\n" => dice.pick(&["\r\n", "\r"]),
        _ => dice.pick(&["\n", "\r"]),
    };
    draft.end_with(at, other);
    draft.finish()
}

fn mixed(dice: &mut Dice, key: Key, _: Column) -> Case {
    let mut draft = Draft::draw(dice, (4, 8), key);
    for at in 0..draft.n_pieces() {
        draft.end_with(at, dice.pick(&["\n", "\r\n", "\r"]));
    }
    draft.finish()
}

fn all_end_with(mut draft: Draft, ending: &str) -> Case {
    for at in 0..draft.n_pieces() {
        draft.end_with(at, ending);
    }
    draft.finish()
}

fn lone_returns(dice: &mut Dice, key: Key, _: Column) -> Case {
    all_end_with(Draft::draw(dice, (4, 8), key), "\r")
}

fn doubled_returns(dice: &mut Dice, key: Key, _: Column) -> Case {
    all_end_with(Draft::draw(dice, (4, 8), key), "\r\r\n")
}

fn blank_lines(dice: &mut Dice, key: Key, _: Column) -> Case {
    let mut draft = Draft::draw(dice, (4, 8), key);
    for _ in 0..dice.between(1, 3) {
        let at = dice.between(0, draft.n_pieces() - 1);
        let endings = draft.table.ending.repeat(dice.between(2, 4));
        draft.end_with(at, &endings);
    }
    draft.finish()
}

fn no_final_newline(dice: &mut Dice, key: Key, _: Column) -> Case {
    let mut draft = Draft::draw(dice, (4, 8), key);
    draft.table.final_newline = false;
    draft.finish()
}

fn cut_off(dice: &mut Dice, key: Key, _: Column) -> Case {
    let mut draft = Draft::draw(dice, (4, 8), key);
    let row = draft.table.rows.len() - 1;
    let record = written(draft.fields(row));
    // A cut behind the last comma leaves a record of all its fields; whoever receives it can't know.
    let from = record.iter().position(|b| *b == b',').expect("a record of four fields has commas");
    draft.send(row, &record[..dice.between(1, from)]);
    draft.table.final_newline = false;
    draft.finish()
}
