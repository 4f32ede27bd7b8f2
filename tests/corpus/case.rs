//! One file of the corpus: what was sent, and what each piece of it meant.
//!
//! A case is cut into pieces as the generator made them: clean records, and damaged ones with the records they should
//! have been. Nothing here is found out by reading CSV.

use super::dice::Dice;
use super::tables::{Field, Key, Row, Table, meaning, written};

/// Where in its record the damage is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Column {
    First,
    Middle,
    Last,
}

impl Column {
    pub const ALL: [Self; 3] = [Self::First, Self::Middle, Self::Last];

    pub fn index(self, dice: &mut Dice, n_columns: usize) -> usize {
        match self {
            Self::First => 0,
            Self::Middle => dice.between(1, n_columns - 2),
            Self::Last => n_columns - 1,
        }
    }
}

/// The fields of a record, quoting undone.
pub type Meaning = Vec<Vec<u8>>;

#[derive(Clone, Debug)]
pub enum Piece {
    /// A record that nobody touched, without its line ending.
    Clean(Vec<u8>),
    Damaged(Damaged),
}

#[derive(Clone, Debug)]
pub struct Damaged {
    /// The bytes in the file, without the last line ending.
    pub sent: Vec<u8>,
    /// The records it should have been.
    pub truths: Vec<Meaning>,
    /// Pieces of `sent` that are no harm to deliver as they are: they are records by themselves, and undivided.
    pub whole: Vec<Vec<u8>>,
}

impl Damaged {
    pub fn one(sent: Vec<u8>, truth: Meaning) -> Self {
        Self { whole: vec![trimmed(&sent).to_vec()], sent, truths: vec![truth] }
    }

    /// Text that stands for no record of the table.
    pub fn no_record(sent: Vec<u8>, ending: &str) -> Self {
        let whole = String::from_utf8_lossy(&sent).split(ending).map(|line| line.as_bytes().to_vec()).collect();
        Self { sent, truths: Vec::new(), whole }
    }
}

/// The bytes without line endings at their ends.
pub fn trimmed(bytes: &[u8]) -> &[u8] {
    let is_ending = |b: &u8| matches!(b, b'\n' | b'\r');
    let from = bytes.iter().position(|b| !is_ending(b)).unwrap_or(bytes.len());
    let to = bytes.iter().rposition(|b| !is_ending(b)).map_or(from, |last| last + 1);
    &bytes[from..to]
}

pub struct Case {
    pub bytes: Vec<u8>,
    pub pieces: Vec<Piece>,
    /// First and last line that hold damage, from 1; line feeds end lines.
    pub lines: (u64, u64),
}

/// A case while it is being made: pieces with the ending of each.
pub struct Draft {
    pub table: Table,
    pieces: Vec<(Piece, Vec<u8>)>,
}

impl Draft {
    pub fn of(table: Table) -> Self {
        let ending = table.ending.as_bytes();
        let rows = std::iter::once(&table.header).chain(&table.rows);
        let pieces = rows.map(|row| (Piece::Clean(written(row)), ending.to_vec())).collect();
        Self { table, pieces }
    }

    pub fn draw(dice: &mut Dice, n_columns: (usize, usize), key: Key) -> Self {
        let n_columns = dice.between(n_columns.0, n_columns.1);
        Self::of(Table::draw(dice, n_columns, key))
    }

    pub fn n_columns(&self) -> usize {
        self.table.header.len()
    }

    /// A row to damage: the first and the last one more often than others. Counted from 0, the header left out.
    pub fn row(&self, dice: &mut Dice) -> usize {
        let last = self.table.rows.len() - 1;
        match dice.between(0, 4) {
            0 => 0,
            1 => last,
            _ => dice.between(1, last - 1),
        }
    }

    /// Puts a field into a row, before it is damaged.
    pub fn set(&mut self, row: usize, column: usize, field: Field) {
        self.table.rows[row][column] = field;
        self.pieces[row + 1].0 = Piece::Clean(written(&self.table.rows[row]));
    }

    pub fn fields(&self, row: usize) -> &Row {
        &self.table.rows[row]
    }

    /// What stands for a row in the file instead of its clean record.
    pub fn send(&mut self, row: usize, sent: impl Into<Vec<u8>>) {
        let truth = meaning(&self.table.rows[row]);
        self.replace(row + 1, Damaged::one(sent.into(), truth));
    }

    /// Replaces the piece at `at`, the header being 0.
    pub fn replace(&mut self, at: usize, damaged: Damaged) {
        self.pieces[at].0 = Piece::Damaged(damaged);
    }

    /// Adds a piece before the one at `at`, the header being 0.
    pub fn insert(&mut self, at: usize, damaged: Damaged) {
        self.pieces.insert(at, (Piece::Damaged(damaged), self.table.ending.as_bytes().to_vec()));
    }

    pub fn remove(&mut self, at: usize) -> Piece {
        self.pieces.remove(at).0
    }

    pub fn end_with(&mut self, at: usize, ending: &str) {
        self.pieces[at].1 = ending.as_bytes().to_vec();
    }

    pub fn n_pieces(&self) -> usize {
        self.pieces.len()
    }

    pub fn finish(self) -> Case {
        let mut bytes = Vec::new();
        let mut lines: Option<(u64, u64)> = None;
        let n = self.pieces.len();
        let mut pieces = Vec::with_capacity(n);
        for (i, (piece, ending)) in self.pieces.into_iter().enumerate() {
            let line = |bytes: &[u8]| 1 + bytes.iter().filter(|b| **b == b'\n').count() as u64;
            let from = line(&bytes);
            bytes.extend_from_slice(match &piece {
                Piece::Clean(record) => record,
                Piece::Damaged(damaged) => &damaged.sent,
            });
            if matches!(piece, Piece::Damaged(_)) {
                lines = Some((lines.map_or(from, |(first, _)| first), line(&bytes)));
            }
            if i + 1 < n || self.table.final_newline {
                bytes.extend_from_slice(&ending);
            }
            pieces.push(piece);
        }
        Case { bytes, pieces, lines: lines.unwrap_or((1, u64::MAX)) }
    }
}
