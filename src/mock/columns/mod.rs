//! A data set described by its columns, each of a kind as reports of contact centres have them.
//!
//! A description is checked and compiled once; a row is then made from its number alone (`table`), so that billions of
//! rows cost no memory. A table whose rows could be alike is refused: two pages that are alike would look like the same
//! page served twice.

mod kind;
mod table;
mod text;
mod words;

#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

pub use self::kind::{ColumnKind, DurationForm, TimeForm};
pub use self::text::FreeText;

pub(super) use self::table::Table;

use self::table::{Cell, field};
use super::data::DataError;

/// One column.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// What stands in the header.
    pub name: String,
    /// What stands below it.
    pub kind: ColumnKind,
    /// The share of rows in which the field is empty, from 0 to 1.
    pub empty: f64,
}

impl Column {
    /// A column that is never empty.
    pub fn new(name: &str, kind: ColumnKind) -> Self {
        Self { name: name.to_owned(), kind, empty: 0.0 }
    }

    /// The same, empty in that share of rows.
    #[must_use]
    pub fn empty(self, share: f64) -> Self {
        Self { empty: share, ..self }
    }

    /// Whether two rows differ in it: for certain, or as good as for certain.
    fn tells_apart(&self) -> bool {
        let differs = match &self.kind {
            ColumnKind::Id { .. } | ColumnKind::Uuid | ColumnKind::Url => true,
            ColumnKind::Timestamp { form, .. } => *form == TimeForm::Rfc3339,
            ColumnKind::Hex { digits } => *digits >= 12,
            ColumnKind::Text(text) => *text.length.start() >= FreeText::LEAST_UNLIKE,
            _ => false,
        };
        differs && self.empty == 0.0
    }
}

/// A table's columns, checked. Clones share them.
#[derive(Clone)]
pub struct Columns(Arc<Compiled>);

impl fmt::Debug for Columns {
    /// What is prepared for them would fill pages.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Columns({})", String::from_utf8_lossy(&self.0.header))
    }
}

struct Compiled {
    header: Vec<u8>,
    cells: Vec<Cell>,
    /// Where something wrong may stand.
    slot: Option<usize>,
}

impl Columns {
    /// Makes a table of columns, in that order.
    ///
    /// # Errors
    /// If there are none, two have one name, a figure is impossible, or rows could be alike: at least one column must
    /// differ in every row and never be empty. Those are `id`, `uuid` and `url`, hexadecimal numbers of 12 digits, and,
    /// as good as for certain, times with milliseconds (while there are fewer rows than milliseconds in the window) and
    /// free text of at least 24 bytes.
    pub fn new(columns: Vec<Column>) -> Result<Self, DataError> {
        let refuse = |why: String| Err(DataError::Columns(why));
        if columns.is_empty() {
            return refuse("there are none; name at least one".to_owned());
        }
        let mut names = HashSet::new();
        for Column { name, kind, empty } in &columns {
            if name.is_empty() {
                return refuse("one has no name; give it one".to_owned());
            }
            if !names.insert(name.as_str()) {
                return refuse(format!("{name} stands there twice; rename one of them"));
            }
            if !(0.0..=1.0).contains(empty) {
                return refuse(format!("{name}: empty is a share from 0 to 1, not {empty}"));
            }
            if let Err(why) = kind.check() {
                return refuse(format!("{name}: {why}"));
            }
        }
        if !columns.iter().any(Column::tells_apart) {
            return refuse(
                "rows could be alike, and pages with them; add a column that differs in every row and is never empty, \
                 such as an id, a uuid or a timestamp"
                    .to_owned(),
            );
        }
        let mut header = Vec::new();
        for (nth, column) in columns.iter().enumerate() {
            if nth > 0 {
                header.push(b',');
            }
            header.extend_from_slice(&field(&column.name));
        }
        // In place of a text if one stands between others, as spoiled free text is what real reports have.
        let amid = 1..columns.len().max(2) - 1;
        let is_text = |nth: &usize| matches!(columns[*nth].kind, ColumnKind::Text(_));
        let slot = amid.clone().rev().find(is_text).or(amid.last());
        Ok(Self(Arc::new(Compiled { header, cells: columns.iter().map(Cell::new).collect(), slot })))
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.cells.len()
    }

    /// Whether there is a field between others, for something wrong to stand in.
    pub(super) fn has_slot(&self) -> bool {
        self.0.slot.is_some()
    }
}
