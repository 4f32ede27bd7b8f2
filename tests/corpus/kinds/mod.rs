//! The kinds of damage, each with the column it strikes and whether the table has a key of constant shape.
//!
//! The kinds follow those that the Pollock benchmark names, and raw newlines, which it leaves out. A kind makes as many
//! files as it is asked for, always the same ones.

mod encodings;
mod newlines;
mod quotes;
mod records;
mod separators;
mod tables;

use super::case::{Case, Column};
use super::dice::Dice;
use super::tables::{Key, Row};

/// Files of each kind.
pub const N_FILES: usize = 24;

pub struct Kind {
    pub name: &'static str,
    pub column: Option<Column>,
    /// Whether the tables have a key; none: half of them.
    pub keyed: Option<bool>,
    /// Whether the same bytes can have come about in two ways, so that what is delivered may be false.
    pub unknowable: bool,
    /// Whether the header is struck, by which all other records are judged.
    pub strikes_header: bool,
    make: fn(&mut Dice, Key, Column) -> Case,
}

type Make = fn(&mut Dice, Key, Column) -> Case;

impl Kind {
    fn new(name: &'static str, make: Make) -> Self {
        Self { name, column: None, keyed: None, unknowable: false, strikes_header: false, make }
    }

    /// The same for each column.
    fn by_column(name: &'static str, make: Make) -> Vec<Self> {
        Column::ALL.map(|column| Self { column: Some(column), ..Self::new(name, make) }).into()
    }

    /// The same for each column, with and without a key.
    fn by_column_and_key(name: &'static str, make: Make) -> Vec<Self> {
        Self::by_column(name, make).into_iter().flat_map(Self::by_key).collect()
    }

    fn by_key(self) -> [Self; 2] {
        [Self { keyed: Some(true), ..self }, Self { keyed: Some(false), ..self }]
    }

    /// The same file can have come about in another way, and no reader can tell.
    fn unknowable(self) -> Self {
        Self { unknowable: true, ..self }
    }

    fn strikes_header(self) -> Self {
        Self { strikes_header: true, ..self }
    }

    /// The `i`-th file, and the dice it was made with.
    pub fn file(&self, i: usize) -> (Case, Dice) {
        let label = format!("{} {:?} {:?} {i}", self.name, self.column, self.keyed);
        let mix = |hash: u64, b: u8| (hash ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3);
        let mut dice = Dice::seeded(label.bytes().fold(0xcbf2_9ce4_8422_2325, mix));
        let is_keyed = self.keyed.unwrap_or(i.is_multiple_of(2));
        let key = if is_keyed { Key::shaped(i / 2) } else { Key::Names };
        let column = self.column.unwrap_or(Column::ALL[i % 3]);
        ((self.make)(&mut dice, key, column), dice)
    }
}

/// All kinds, in the order in which the document lists them.
pub fn all() -> Vec<Kind> {
    [newlines::kinds(), quotes::kinds(), separators::kinds(), records::kinds(), tables::kinds(), encodings::kinds()]
        .into_iter()
        .flatten()
        .collect()
}

/// A record in which one field is written otherwise than a writer would.
fn with_field(row: &Row, at: usize, written: &str) -> Vec<u8> {
    let fields = row.iter().enumerate().map(|(i, field)| if i == at { written.to_owned() } else { field.written() });
    fields.collect::<Vec<_>>().join(",").into_bytes()
}

/// A place between two characters, neither before the first nor behind the last.
fn cut(dice: &mut Dice, text: &str) -> usize {
    let cuts: Vec<usize> = text.char_indices().map(|(i, _)| i).skip(1).collect();
    if cuts.is_empty() { text.len() } else { dice.pick(&cuts) }
}
