//! A page on its way out: what stands before its rows, the rows piece by piece, and how it ends.
//!
//! It is made or read while it is sent, so that its size costs no memory. Which rows it has was decided before; nothing
//! here draws anything.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::data::{PIECE_BYTES, RowSource, Rows};

const BOM: &[u8] = b"\xEF\xBB\xBF";

/// What is done to a page as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Damage {
    /// It ends in the middle of its last record.
    pub(super) cut_record: bool,
    /// A quote is opened before its first row, and there is no other.
    pub(super) open_quote: bool,
}

/// A page, made piece by piece.
#[derive(Clone, Debug)]
pub struct PageBody {
    rows: Arc<RowSource>,
    range: Range<u64>,
    prefix: Bytes,
    final_newline: bool,
    damage: Damage,
    /// Whether the quote that damages it is out.
    opened: bool,
    /// What is left of a file's bytes, once it is known.
    span: Option<Range<u64>>,
    broke: bool,
}

impl PageBody {
    /// A page of those rows. `header` and `bom` say how it begins, `final_newline` how it ends.
    pub(super) fn new(rows: RowSource, range: Range<u64>, bom: bool, header: bool, final_newline: bool) -> Self {
        let mut prefix = Vec::new();
        if bom {
            prefix.extend_from_slice(BOM);
        }
        if header {
            prefix.extend_from_slice(&rows.header());
        }
        Self {
            rows: Arc::new(rows),
            range,
            prefix: prefix.into(),
            final_newline,
            damage: Damage::default(),
            opened: false,
            span: None,
            broke: false,
        }
    }

    /// The same page, damaged.
    #[must_use]
    pub(super) fn damaged(self, damage: Damage) -> Self {
        Self { damage, ..self }
    }

    /// The same page under another header.
    pub(super) fn under_header(&self, header: &str) -> Self {
        let prefix = format!("{header}{}", self.rows.newline()).into_bytes().into();
        Self { prefix, ..self.clone() }
    }

    /// The header alone.
    pub(super) fn header_only(&self) -> Self {
        Self { range: 0..0, prefix: self.rows.header().into(), ..self.clone() }
    }

    /// Rows on it that are still to come.
    pub(super) fn n_rows(&self) -> u64 {
        self.range.end.saturating_sub(self.range.start)
    }

    /// Appends the next piece to `out`; `false` once the page is at its end and nothing was appended.
    pub fn next_piece(&mut self, out: &mut Vec<u8>) -> bool {
        let start = out.len();
        out.extend_from_slice(&std::mem::take(&mut self.prefix));
        if self.range.is_empty() {
            return out.len() > start;
        }
        if self.damage.open_quote && !std::mem::replace(&mut self.opened, true) {
            out.push(b'"');
        }
        let rows_at = out.len();
        match &self.rows.rows {
            Rows::File { file, shift } => {
                let moved = self.range.start + shift..self.range.end + shift;
                let span = match self.span.take() {
                    Some(span) => Ok(span),
                    None => file.span(moved, self.final_newline, self.damage.cut_record),
                };
                match span.and_then(|span| file.read(span, out)) {
                    Ok(rest) if rest.is_empty() => self.range.start = self.range.end,
                    Ok(rest) => self.span = Some(rest),
                    Err(error) => {
                        tracing::error!(%error, "{} can't be served any more", file.path().display());
                        (self.broke, self.range.start) = (true, self.range.end);
                    }
                }
            }
            _ => self.make(start + PIECE_BYTES, out),
        }
        if self.damage.open_quote {
            // None of the others may close it.
            out[rows_at..].iter_mut().filter(|byte| **byte == b'"').for_each(|byte| *byte = b'\'');
        }
        out.len() > start
    }

    fn make(&mut self, length: usize, out: &mut Vec<u8>) {
        let last = self.rows.make(&mut self.range, length, out);
        if self.range.is_empty() && self.damage.cut_record {
            out.truncate(last + (out.len() - last) / 2);
        } else if self.range.is_empty() && !self.final_newline {
            out.truncate(out.len() - self.rows.newline().len());
        }
    }

    /// Whether it ended before its end, because its file can't be read any more.
    pub(super) fn broke(&self) -> bool {
        self.broke
    }

    /// How many bytes the page has. Makes it once, in constant memory.
    pub fn n_bytes(&self) -> u64 {
        let (mut page, mut piece, mut n) = (self.clone(), Vec::new(), 0);
        while page.next_piece(&mut piece) {
            n += piece.len() as u64;
            piece.clear();
        }
        n
    }

    /// The whole page.
    pub fn whole(&self) -> Vec<u8> {
        let (mut page, mut out) = (self.clone(), Vec::new());
        while page.next_piece(&mut out) {}
        out
    }
}

#[cfg(test)]
mod tests {
    use crate::model::{Timestamp, Window};

    use super::super::data::{DataSet, Origin};
    use super::*;

    fn source(seed: u64) -> RowSource {
        let window = Window { from: Timestamp(1_704_067_200_000), to: Timestamp(1_706_745_599_999) };
        RowSource::new(&Origin::new(seed, "detail", window, 1000), &DataSet::Standard)
    }

    fn page(range: Range<u64>) -> Vec<u8> {
        PageBody::new(source(7), range, false, false, true).whole()
    }

    #[test]
    fn the_same_seed_makes_the_same_rows_and_another_seed_makes_others() {
        let rows = |seed| PageBody::new(source(seed), 0..200, true, true, true).whole();
        assert_eq!(rows(7), rows(7));
        assert_ne!(rows(7), rows(8));
    }

    #[test]
    fn a_row_does_not_depend_on_the_page_it_stands_in() {
        assert_eq!(page(0..300), [page(0..100), page(100..101), page(101..300)].concat());
    }

    #[test]
    fn the_length_told_beforehand_is_the_length_made() {
        let body = PageBody::new(source(7), 3..2500, true, true, false);
        assert!(body.n_bytes() > 2 * PIECE_BYTES as u64);
        assert_eq!(body.n_bytes(), body.whole().len() as u64);
        assert!(!body.whole().ends_with(b"\n"));
    }

    #[test]
    fn c8_a_page_may_end_amid_its_last_record() {
        let damage = Damage { cut_record: true, ..Damage::default() };
        let cut = PageBody::new(source(7), 10..20, false, false, true).damaged(damage).whole();
        let (before, last) = (page(10..19), page(19..20));
        assert_eq!(cut, [&before[..], &last[..last.len() / 2]].concat());
    }

    #[test]
    fn c6_a_quote_may_stay_open_to_the_end_of_a_page_of_any_length() {
        let damage = Damage { open_quote: true, ..Damage::default() };
        let open = PageBody::new(source(7), 0..2500, false, true, true).damaged(damage).whole();
        let header = source(7).header();
        assert_eq!(open[header.len()], b'"');
        assert_eq!(open.iter().filter(|byte| **byte == b'"').count(), 1);
        assert_eq!(open.len(), header.len() + 1 + page(0..2500).len());
    }
}
