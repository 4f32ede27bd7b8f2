//! Repair: no byte is lost or moved, what comes out is whole, and a record that nothing is wrong with comes out as it
//! went in.
//!
//! Which joins are right is for tests with a known truth; what holds for any input at all stands here.

mod truth;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ops::Range;

use cxtract::csv::BOM;
use cxtract::csv::mend::{Joined, MendRules, Mended, Mender, Place, Rejected, ShapeFinder};

use truth::Reading;

/// The input: the number of columns less one, whether to join and to look for a key's shape (bits), where and how far
/// apart the page is cut, the limit of a record (from 128 on; none below), and the page.
pub fn holds(data: &[u8]) {
    let Some(([columns, choices, cut, step, limit], page)) = data.split_first_chunk::<5>() else { return };
    let n_columns = 1 + u64::from(columns % 8);
    let record_bytes = if *limit < 128 { 1 << 20 } else { u64::from(*limit - 127) };
    let (head, tail) = page.split_at(usize::from(*cut).min(page.len()));
    let chunks: Vec<&[u8]> = [head].into_iter().chain(tail.chunks(1 + usize::from(*step))).collect();

    let header_first = choices & 4 != 0;
    let shape_of = |chunks: &[&[u8]]| {
        let mut finder = ShapeFinder::new(n_columns, record_bytes, header_first);
        chunks.iter().for_each(|chunk| finder.push(chunk));
        finder.finish()
    };
    let shape = shape_of(&[page]);
    assert_eq!(shape_of(&chunks), shape, "the shape of the first column, {} chunks", chunks.len());

    let key_shape = shape.filter(|_| choices & 2 != 0);
    let rules = MendRules { n_columns, join: choices & 1 != 0, record_bytes, key_shape, header_first };
    let told = Told::of(rules, &[page]);
    assert_eq!(Told::of(rules, &chunks), told, "{} chunks", chunks.len());
    told.accounts_for(page);
    told.output_is_whole(page, &rules);
    told.keeps_what_is_right(page, &rules);
}

/// One call of the mender, with copies of what it was given. Runs of good records are put together, however they come.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Call {
    Good { bytes: Vec<u8>, n_records: u64 },
    Joined { place: Place, before: Vec<u8>, after: Vec<u8>, line_ending: Vec<u8>, breaks: Vec<u64> },
    Rejected { place: Place, reason: String, bytes: Vec<u8> },
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Told(Vec<Call>);

impl Mended for Told {
    type Error = Infallible;

    fn good(&mut self, more: &[u8], more_records: u64) -> Result<(), Infallible> {
        match self.0.last_mut() {
            Some(Call::Good { bytes, n_records }) => {
                bytes.extend_from_slice(more);
                *n_records += more_records;
            }
            _ if more.is_empty() && more_records == 0 => {}
            _ => self.0.push(Call::Good { bytes: more.to_vec(), n_records: more_records }),
        }
        Ok(())
    }

    fn joined(&mut self, joined: &Joined<'_>) -> Result<(), Infallible> {
        self.0.push(Call::Joined {
            place: joined.place,
            before: joined.before.to_vec(),
            after: joined.after.to_vec(),
            line_ending: joined.line_ending.to_vec(),
            breaks: joined.breaks.to_vec(),
        });
        Ok(())
    }

    fn rejected(&mut self, rejected: &Rejected<'_>) -> Result<(), Infallible> {
        let (reason, bytes) = (rejected.reason.to_string(), rejected.bytes.to_vec());
        self.0.push(Call::Rejected { place: rejected.place, reason, bytes });
        Ok(())
    }
}

fn is_ending(byte: &u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

impl Told {
    fn of(rules: MendRules, chunks: &[&[u8]]) -> Self {
        let (mut told, mut mender) = (Self::default(), Mender::new(rules, Place { record: 1, line: 1 }));
        for chunk in chunks {
            let Ok(()) = mender.push(chunk, &mut told);
        }
        let Ok(()) = mender.finish(&mut told);
        told
    }

    /// Every byte is told of, once and in order; only line endings around what was rejected may be left out. Says
    /// where in the page the rejected records stand.
    fn accounts_for(&self, page: &[u8]) -> Vec<Range<usize>> {
        // How far the page is told of, as far as that is known: which of several line endings was left out is not.
        let mut told = BTreeMap::from([(0, Vec::new())]);
        let (mut after_reject, mut record) = (false, 0);
        for call in &self.0 {
            let (bytes, place) = match call {
                Call::Good { bytes, .. } => (bytes.clone(), None),
                Call::Joined { place, before, line_ending, .. } => ([&before[..], line_ending].concat(), Some(place)),
                Call::Rejected { place, bytes, .. } => (bytes.clone(), Some(place)),
            };
            let is_reject = matches!(call, Call::Rejected { .. });
            let mut next = BTreeMap::new();
            for (at, rejected) in &told {
                let n_endings = page[*at..].iter().take_while(|b| is_ending(b)).count();
                for start in *at..=*at + if after_reject || is_reject { n_endings } else { 0 } {
                    let line = 1 + page[..start].iter().filter(|&&b| b == b'\n').count() as u64;
                    if page[start..].starts_with(&bytes) && place.is_none_or(|place| place.line == line) {
                        let mut rejected: Vec<Range<usize>> = rejected.clone();
                        rejected.extend(is_reject.then_some(start..start + bytes.len()));
                        next.entry(start + bytes.len()).or_insert(rejected);
                    }
                }
            }
            assert!(!next.is_empty(), "from byte {:?} on: {call:?} does not stand there: {:?}", told.keys(), self.0);
            if let Some(place) = place {
                assert!(!bytes.is_empty(), "a record of nothing: {call:?}");
                assert!(place.record > record, "records are numbered backwards at {call:?}");
                record = place.record;
            }
            (told, after_reject) = (next, is_reject);
        }
        let is_all = |at: usize| at == page.len() || after_reject && page[at..].iter().all(is_ending);
        let Some((_, rejected)) = told.into_iter().find(|(at, _)| is_all(*at)) else {
            panic!("bytes at the end were lost: {:?}", self.0)
        };
        rejected
    }

    /// What is delivered reads as so many records of so many fields, by a reader of CSV that knows nothing of mending.
    fn output_is_whole(&self, page: &[u8], rules: &MendRules) {
        let (mut output, mut n_records) = (Vec::new(), 0);
        for call in &self.0 {
            match call {
                Call::Good { bytes, n_records: more } => {
                    output.extend_from_slice(bytes);
                    n_records += more;
                }
                Call::Joined { place, before, after, line_ending, breaks } => {
                    assert!(rules.join, "joined though nobody asked for it");
                    let lines = place.line..place.line + before.len() as u64;
                    assert!(!breaks.is_empty() && breaks.is_sorted(), "breaks {breaks:?}");
                    assert!(
                        breaks.iter().all(|line| lines.contains(line)),
                        "breaks {breaks:?} from line {}",
                        place.line
                    );
                    is_a_join(before, after, rules);
                    output.extend_from_slice(after);
                    output.extend_from_slice(line_ending);
                    n_records += 1;
                }
                Call::Rejected { .. } => {}
            }
        }
        // The mark of byte order before a page is no part of its first field; the same sign before another record is.
        let keeps_mark = page.starts_with(&BOM) && !matches!(self.0.first(), Some(Call::Rejected { .. }));
        let output = output.strip_prefix(&BOM).filter(|_| keeps_mark).unwrap_or(&output);
        // A record never runs into the next one where something between them was set aside.
        let fields = truth::field_counts(output);
        assert_eq!(fields.len() as u64, n_records, "records delivered");
        assert!(fields.iter().all(|n| *n == rules.n_columns), "fields of what was delivered: {fields:?}");
        let reading = Reading::of(output);
        assert!(reading.records.iter().all(|r| !r.is_misquoted), "text behind a closing quote was delivered");
    }

    /// Records that stand among good ones are delivered, and without joining each odd one falls alone. That is told
    /// of pages without anything odd about their quotes: there, lines have one reading.
    fn keeps_what_is_right(&self, page: &[u8], rules: &MendRules) {
        if page.starts_with(&BOM) {
            return;
        }
        let reading = Reading::of(page);
        let is_right = |i: usize| {
            let record = &reading.records[i];
            record.n_fields == rules.n_columns && record.bytes.len() as u64 <= rules.record_bytes
        };
        if reading.is_open
            || reading.records.iter().any(|r| r.has_stray || r.spans_lines && r.n_fields != rules.n_columns)
        {
            return;
        }
        if reading.records.iter().any(|r| r.bytes.len() as u64 > rules.record_bytes) {
            return;
        }
        let rejected = self.accounts_for(page);
        let n = reading.records.len();
        if (0..n).all(is_right) {
            let whole = self.0.iter().all(|call| matches!(call, Call::Good { .. }));
            assert!(whole, "a page that nothing is wrong with was changed: {:?}", self.0);
        }
        if !rules.join || rules.n_columns == 1 {
            let odd: Vec<Range<usize>> =
                (0..n).filter(|&i| !is_right(i)).map(|i| reading.records[i].bytes.clone()).collect();
            assert_eq!(rejected, odd, "without joining, the odd ones fall and no others");
            return;
        }
        for i in (0..n).filter(|&i| is_right(i)) {
            if i.checked_sub(1).is_none_or(is_right) && (i + 1 == n || is_right(i + 1)) {
                let bytes = &reading.records[i].bytes;
                let hit = rejected.iter().any(|r| r.start < bytes.end && bytes.start < r.end);
                assert!(!hit, "record {} among good ones was rejected", i + 1);
            }
        }
    }
}

/// One record, of the same text but for quotes.
fn is_a_join(before: &[u8], after: &[u8], rules: &MendRules) {
    assert_eq!(truth::field_counts(after), [rules.n_columns], "{:?}", String::from_utf8_lossy(after));
    assert!(before.iter().any(is_ending), "nothing was broken");
    let fields = truth::field_counts(before);
    assert!(fields.len() > 1, "one record was joined with itself");
    assert_eq!(fields.iter().map(|n| n - 1).sum::<u64>(), rules.n_columns - 1, "commas of the pieces");
    let bare = |bytes: &[u8]| bytes.iter().copied().filter(|b| *b != b'"').collect::<Vec<u8>>();
    assert_eq!(bare(before), bare(after), "more than quotes was changed");
}
