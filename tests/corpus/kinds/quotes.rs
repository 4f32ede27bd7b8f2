//! Quotes too many, too few, or of another form, in one record.

use super::super::case::{Case, Column, Draft};
use super::super::dice::Dice;
use super::super::tables::{Field, Key, plain};
use super::{Kind, cut, with_field};

pub fn kinds() -> Vec<Kind> {
    let mut kinds = Vec::new();
    kinds.extend(Kind::by_column("extra quote before an unquoted field", before_unquoted));
    kinds.extend(Kind::by_column("extra quote within an unquoted field", within_unquoted));
    kinds.extend(Kind::by_column("extra quote behind an unquoted field", behind_unquoted));
    kinds.extend(Kind::by_column("extra quote in a quoted field", in_quoted));
    kinds.extend(Kind::by_column("opening quote lost", opening_lost));
    kinds.extend(Kind::by_column("closing quote lost", closing_lost));
    kinds.push(Kind::new("blank before an opening quote", blank_before));
    kinds.push(Kind::new("single quotes instead of double ones, one record", single_quotes).unknowable());
    kinds.push(Kind::new("backslash instead of a doubled quote, one record", backslashes));
    kinds
}

/// A draft with the row and column to damage; the field there is not quoted.
fn unquoted(dice: &mut Dice, key: Key, column: Column) -> (Draft, usize, usize) {
    let mut draft = Draft::draw(dice, (4, 8), key);
    let row = draft.row(dice);
    let at = column.index(dice, draft.n_columns());
    if at > 0 {
        draft.set(row, at, Field::new(plain(dice)));
    }
    (draft, row, at)
}

/// The same with a quoted field. A key keeps its text; other fields have a comma or a newline in half of all files.
fn quoted(dice: &mut Dice, key: Key, column: Column) -> (Draft, usize, usize) {
    let (mut draft, row, at) = unquoted(dice, key, column);
    let mut text = draft.fields(row)[at].text.clone();
    if at > 0 {
        text.push_str(dice.pick(&["", "!", ", he said", "\nand again"]));
    }
    draft.set(row, at, Field::quoted(text));
    (draft, row, at)
}

fn sent(mut draft: Draft, row: usize, at: usize, field: &str) -> Case {
    let record = with_field(draft.fields(row), at, field);
    draft.send(row, record);
    draft.finish()
}

fn before_unquoted(dice: &mut Dice, key: Key, column: Column) -> Case {
    let (draft, row, at) = unquoted(dice, key, column);
    let field = format!("\"{}", draft.fields(row)[at].text);
    sent(draft, row, at, &field)
}

fn within_unquoted(dice: &mut Dice, key: Key, column: Column) -> Case {
    let (draft, row, at) = unquoted(dice, key, column);
    let mut field = draft.fields(row)[at].text.clone();
    field.insert(cut(dice, &field), '"');
    sent(draft, row, at, &field)
}

fn behind_unquoted(dice: &mut Dice, key: Key, column: Column) -> Case {
    let (draft, row, at) = unquoted(dice, key, column);
    let field = format!("{}\"", draft.fields(row)[at].text);
    sent(draft, row, at, &field)
}

fn in_quoted(dice: &mut Dice, key: Key, column: Column) -> Case {
    let (draft, row, at) = quoted(dice, key, column);
    let mut field = draft.fields(row)[at].written();
    field.insert(cut(dice, &field), '"');
    sent(draft, row, at, &field)
}

fn opening_lost(dice: &mut Dice, key: Key, column: Column) -> Case {
    let (draft, row, at) = quoted(dice, key, column);
    let field = draft.fields(row)[at].written();
    sent(draft, row, at, &field[1..])
}

fn closing_lost(dice: &mut Dice, key: Key, column: Column) -> Case {
    let (draft, row, at) = quoted(dice, key, column);
    let field = draft.fields(row)[at].written();
    sent(draft, row, at, &field[..field.len() - 1])
}

fn blank_before(dice: &mut Dice, key: Key, column: Column) -> Case {
    let (draft, row, at) = quoted(dice, key, column);
    let field = format!(" {}", draft.fields(row)[at].written());
    sent(draft, row, at, &field)
}

fn single_quotes(dice: &mut Dice, key: Key, column: Column) -> Case {
    let (mut draft, row, _) = quoted(dice, key, column);
    let fields = draft.fields(row).iter().map(|field| format!("'{}'", field.text.replace('\'', "''")));
    let record = fields.collect::<Vec<_>>().join(",");
    draft.send(row, record);
    draft.finish()
}

fn backslashes(dice: &mut Dice, key: Key, column: Column) -> Case {
    let (mut draft, row, at) = unquoted(dice, key, column);
    let text = format!("said \"{}\"{}", plain(dice), dice.pick(&["", ", then left", " and left"]));
    let at = at.max(1);
    draft.set(row, at, Field::quoted(text.clone()));
    sent(draft, row, at, &format!("\"{}\"", text.replace('"', "\\\"")))
}
