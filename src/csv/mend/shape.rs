//! What the first column of a page looks like, as far as that tells where a record can't begin.
//!
//! Three shapes are known, each so narrow that free text hardly ever has it. A shape counts only if every good record
//! has it; one that differs, and nothing is known. A quoted field counts by what stands in the quotes.

use std::fmt;

use super::MendRules;
use super::reader::{Found, Reader, Scope};

/// The most digits that a number in a first column may have.
const MOST_DIGITS: usize = 40;

/// What a first column can look like, so that a line that begins otherwise can't begin a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyShape {
    /// Digits only, 40 at most.
    Digits,
    /// A UUID with its hyphens, in either case.
    Uuid,
    /// A date with a time: `2026-01-31T09:30`, with seconds, a fraction and an offset or without.
    Timestamp,
}

impl KeyShape {
    /// Whether a field's text has this shape.
    ///
    /// ```
    /// use cxtract::csv::mend::KeyShape;
    ///
    /// assert!(KeyShape::Timestamp.fits(b"2026-01-31 09:30:00.250Z"));
    /// assert!(!KeyShape::Digits.fits(b"12a"));
    /// ```
    pub fn fits(self, field: &[u8]) -> bool {
        match self {
            Self::Digits => (1..=MOST_DIGITS).contains(&field.len()) && field.iter().all(u8::is_ascii_digit),
            Self::Uuid => is_uuid(field),
            Self::Timestamp => is_timestamp(field),
        }
    }

    /// Whether what stands before the first comma has this shape, if a quote around it does not count.
    pub(super) fn fits_literally(self, record: &[u8]) -> bool {
        let field = record.split(|b| *b == b',').next().unwrap_or_default();
        let field = field.strip_prefix(b"\"").unwrap_or(field);
        self.fits(field.strip_suffix(b"\"").unwrap_or(field))
    }

    /// Whether the first field of a record or of a piece looks as if it had this shape, cut short or run together with
    /// what follows. Where it does, a damaged record may begin.
    pub(super) fn may_begin(self, record: &[u8]) -> bool {
        let field = first_field(record);
        let is_margin = |b: &u8| matches!(b, b'"' | b'\'' | b' ' | b'\t');
        let field = &field[field.iter().take_while(|b| is_margin(b)).count()..];
        let field = &field[..field.len() - field.iter().rev().take_while(|b| is_margin(b)).count()];
        if field.is_empty() {
            return false;
        }
        match self {
            Self::Digits => field[0].is_ascii_digit(),
            Self::Uuid => is_uuid_so_far(&field[..field.len().min(UUID_START)]),
            Self::Timestamp => {
                let telling = field.len().min(DATE.len());
                is_like(&field[..telling], &DATE[..telling])
            }
        }
    }

    /// Whether the first field of a record, or of a piece of one, has this shape.
    pub(super) fn fits_record(self, record: &[u8]) -> bool {
        self.fits(first_field(record))
    }
}

impl fmt::Display for KeyShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Digits => "a number",
            Self::Uuid => "a UUID",
            Self::Timestamp => "a timestamp",
        })
    }
}

/// So many bytes of a UUID are taken for the whole: eight digits and a hyphen.
const UUID_START: usize = 9;

/// A date, with a zero for each digit.
const DATE: &[u8] = b"0000-00-00";

/// Bytes that are looked at in one go.
const STEP: usize = 128 * 1024;

/// Finds out what the first fields of a page's good records look like.
///
/// ```
/// use cxtract::csv::mend::{KeyShape, ShapeFinder};
///
/// let mut finder = ShapeFinder::new(2, 1024, true);
/// finder.push(b"id,note\n1,one\n2,two\nbro");
/// finder.push(b"ken\n");
/// assert_eq!(finder.finish(), Some(KeyShape::Digits));
/// ```
#[derive(Debug)]
pub struct ShapeFinder {
    reader: Reader,
    has_met_bad: bool,
    /// What the first bad record begins with.
    first_bad: Option<KeyShape>,
}

/// What a page shows of its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// What records begin with, if that is of one shape.
    pub key_shape: Option<KeyShape>,
    /// Whether there is a good record beside the header.
    pub has_good_records: bool,
}

impl Evidence {
    /// The rules with what the page shows. Where it shows neither a good record nor a shape, pieces of one width may as
    /// well be whole records of another table, and so nothing is joined.
    #[must_use]
    pub fn applied_to(self, rules: MendRules) -> MendRules {
        let is_enough = self.has_good_records || self.key_shape.is_some();
        MendRules { key_shape: self.key_shape, join: rules.join && is_enough, ..rules }
    }
}

impl ShapeFinder {
    /// A finder for records of so many fields, none longer than `record_bytes`; with `skip_first` the first record is
    /// the header and does not count.
    pub fn new(n_columns: u64, record_bytes: u64, skip_first: bool) -> Self {
        let mut scope = Scope::new(n_columns, record_bytes, None, skip_first);
        scope.census = Some(Census::default());
        Self { reader: Reader::new(scope, true), has_met_bad: false, first_bad: None }
    }

    /// Takes the next bytes.
    pub fn push(&mut self, chunk: &[u8]) {
        for part in chunk.chunks(STEP) {
            self.take(part, false);
        }
    }

    /// What all of them look like; none where they differ, look like nothing known, or there are none.
    pub fn finish(self) -> Option<KeyShape> {
        let evidence = self.evidence();
        evidence.key_shape.filter(|_| evidence.has_good_records)
    }

    /// What the page shows of its records, for who may join some. Where none of them is good, the first one's beginning is
    /// all there is to tell other beginnings by.
    pub fn evidence(mut self) -> Evidence {
        self.take(b"", true);
        let census = self.reader.scope.census.unwrap_or_default();
        let has_good_records = census.possible.is_some();
        Evidence { key_shape: if has_good_records { census.shape() } else { self.first_bad }, has_good_records }
    }

    fn take(&mut self, bytes: &[u8], is_last: bool) {
        self.reader.text.feed(bytes);
        while let Some(found) = self.reader.next(is_last) {
            match found {
                Found::Run { upto, .. } => self.reader.text.drop_before(upto),
                Found::Piece(piece) if self.reader.go_quickly(&piece) => {}
                Found::Piece(piece) => {
                    if !piece.is_good() && !std::mem::replace(&mut self.has_met_bad, true) {
                        let field = first_field(self.reader.text.slice(piece.start..piece.end));
                        self.first_bad = SHAPES.into_iter().find(|shape| shape.fits(field));
                    }
                    self.reader.text.drop_before(piece.next);
                }
            }
        }
    }
}

/// The shapes that all records had so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Census {
    possible: Option<[bool; 3]>,
}

const SHAPES: [KeyShape; 3] = [KeyShape::Digits, KeyShape::Uuid, KeyShape::Timestamp];

impl Census {
    /// Counts a good record. One that is met twice counts like one.
    pub(super) fn count(&mut self, record: &[u8]) {
        let possible = self.possible.get_or_insert([true; 3]);
        if possible.iter().any(|p| *p) {
            let field = first_field(record);
            for (shape, possible) in SHAPES.iter().zip(possible) {
                *possible = *possible && shape.fits(field);
            }
        }
    }

    /// The shape of all records. No text has two of them.
    pub(super) fn shape(self) -> Option<KeyShape> {
        let possible = self.possible?;
        SHAPES.into_iter().zip(possible).find(|(_, possible)| *possible).map(|(shape, _)| shape)
    }
}

/// The text of a record's first field. Doubled quotes stay as they are: no shape has any.
fn first_field(record: &[u8]) -> &[u8] {
    if let Some(inside) = record.strip_prefix(b"\"") {
        let Some(len) = memchr::memchr(b'"', inside) else { return record };
        let closed = matches!(inside.get(len + 1), None | Some(b',' | b'\n' | b'\r'));
        return if closed { &inside[..len] } else { record };
    }
    let len = record.iter().position(|b| matches!(b, b',' | b'\n' | b'\r')).unwrap_or(record.len());
    &record[..len]
}

fn is_uuid(field: &[u8]) -> bool {
    field.len() == 36 && is_uuid_so_far(field)
}

/// Whether a UUID may begin like this.
fn is_uuid_so_far(field: &[u8]) -> bool {
    field.iter().enumerate().all(|(i, b)| match i {
        8 | 13 | 18 | 23 => *b == b'-',
        _ => b.is_ascii_hexdigit(),
    })
}

fn is_timestamp(field: &[u8]) -> bool {
    let Some((minutes, rest)) = field.split_at_checked(16) else { return false };
    if !is_like(minutes, b"0000-00-00T00:00") && !is_like(minutes, b"0000-00-00 00:00") {
        return false;
    }
    let rest = match rest.split_at_checked(3) {
        Some((seconds, rest)) if is_like(seconds, b":00") => without_fraction(rest),
        _ => rest,
    };
    match rest {
        b"" | b"Z" => true,
        [b'+' | b'-', offset @ ..] => is_like(offset, b"00:00"),
        _ => false,
    }
}

/// What follows a fraction of a second; all of it where there is none.
fn without_fraction(rest: &[u8]) -> &[u8] {
    let Some(fraction) = rest.strip_prefix(b".") else { return rest };
    let len = fraction.iter().take_while(|b| b.is_ascii_digit()).count();
    if len == 0 { rest } else { &fraction[len..] }
}

/// Whether `text` is `pattern`, in which a zero stands for any digit.
fn is_like(text: &[u8], pattern: &[u8]) -> bool {
    text.len() == pattern.len()
        && text.iter().zip(pattern).all(|(t, p)| if *p == b'0' { t.is_ascii_digit() } else { t == p })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_fits_what_it_names_and_nothing_near_it() {
        let uuid = b"0f8Fad5b-d9cb-469f-a165-70867728950E";
        for (shape, good, bad) in [
            (
                KeyShape::Digits,
                vec![&b"0"[..], b"007", &[b'9'; 40]],
                vec![&b""[..], b"-1", b"1.5", b" 1", b"1 ", &[b'9'; 41], b"12a"],
            ),
            (
                KeyShape::Uuid,
                vec![&uuid[..]],
                vec![
                    &b""[..],
                    &uuid[1..],
                    b"0f8fad5bd9cb469fa16570867728950e",
                    b"{f8fad5b-d9cb-469f-a165-70867728950}",
                ],
            ),
            (
                KeyShape::Timestamp,
                vec![
                    &b"2026-01-31T09:30"[..],
                    b"2026-01-31 09:30:59",
                    b"2026-01-31T09:30:59.1",
                    b"2026-01-31T09:30Z",
                    b"2026-01-31T09:30:59.123456+01:00",
                    b"2026-01-31T09:30:59-11:30",
                ],
                vec![
                    &b"2026-01-31"[..],
                    b"2026-01-31T09",
                    b"2026-01-31T09:30:59.",
                    b"2026-01-31T09:30:59.Z",
                    b"2026-01-31T09:30:59 Z",
                    b"2026-01-31T09:30+1:00",
                    b"2026-01-31T09:30:5",
                    b"31-01-2026T09:30",
                    b"2026-01-31T09:30ZZ",
                ],
            ),
        ] {
            for field in good {
                assert!(shape.fits(field), "{:?}", String::from_utf8_lossy(field));
            }
            for field in bad {
                assert!(!shape.fits(field), "{:?}", String::from_utf8_lossy(field));
            }
        }
    }

    #[test]
    fn a_key_cut_short_or_run_together_with_its_neighbour_may_still_begin_a_record() {
        for (shape, may, may_not) in [
            (KeyShape::Digits, vec![&b"2;a;b"[..], b" 12", b"\"12", b"3 boxes"], vec![&b"call 3"[..], b"-1", b" "]),
            (
                KeyShape::Uuid,
                vec![&b"3f2a55"[..], b"0f8fad5b-d9cb-469f-a165-70867728950e;x", b"dead"],
                vec![&b"added a note"[..], b"deadbeefs", b"gone"],
            ),
            (
                KeyShape::Timestamp,
                vec![&b"20"[..], b"2026-01-31", b"2026-01-31|x", b"\t2026-0"],
                vec![&b"20 boxes"[..], b"at 9", b"31.12.2026"],
            ),
        ] {
            for text in may {
                assert!(shape.may_begin(text), "{shape:?} {:?}", String::from_utf8_lossy(text));
            }
            for text in may_not {
                assert!(!shape.may_begin(text), "{shape:?} {:?}", String::from_utf8_lossy(text));
            }
        }
    }

    #[test]
    fn a_quoted_first_field_counts_by_what_stands_in_the_quotes() {
        assert!(KeyShape::Digits.fits_record(b"\"12\",x"));
        assert!(KeyShape::Digits.fits_record(b"12"));
        assert!(KeyShape::Digits.fits_record(b"\"12\""));
        assert!(!KeyShape::Digits.fits_record(b"\"12\"3,x"));
        assert!(!KeyShape::Digits.fits_record(b"\"12"));
        assert!(!KeyShape::Digits.fits_record(b""));
    }
}
