//! Delivers a file under each setting and compares what comes out with what was meant.
//!
//! Delivered records are cut apart by the `csv` crate, matched byte for byte against the clean pieces in their order,
//! and what is left over against the damaged ones. Whatever matches nothing is false.

use std::convert::Infallible;
use std::fmt;

use cxtract::csv::mend::{Joined, MendRules, Mended, Mender, Place, Rejected, ShapeFinder};
use cxtract::csv::{Framed, Framer, FramingLimits, fields_of};

use super::case::{Case, Meaning, Piece, trimmed};
use super::dice::Dice;

const RECORD_BYTES: u64 = 1 << 20;

/// What a file is delivered under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// `repair: off`, `ragged: fail`.
    Strict,
    /// `repair: off`, `ragged: reject`.
    Reject,
    /// `repair: join`, `ragged: reject`.
    Join,
}

/// What became of a file.
#[derive(Default)]
pub struct Delivery {
    pub output: Vec<u8>,
    pub rejects: Vec<(Place, Vec<u8>)>,
    /// Before and after.
    pub joins: Vec<(Vec<u8>, Vec<u8>)>,
    /// Where the report failed; nothing is delivered then.
    pub refused: Option<Place>,
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rejects: Vec<_> = self.rejects.iter().map(|(place, bytes)| (place.line, lossy(bytes))).collect();
        let joins: Vec<_> = self.joins.iter().map(|(before, after)| (lossy(before), lossy(after))).collect();
        write!(f, "joined {joins:?}\nrejected {rejects:?}\nrefused {:?}\n{}", self.refused, lossy(&self.output))
    }
}

pub fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl Mended for Delivery {
    type Error = Infallible;

    fn good(&mut self, bytes: &[u8], _: u64) -> Result<(), Infallible> {
        self.output.extend_from_slice(bytes);
        Ok(())
    }

    fn joined(&mut self, joined: &Joined<'_>) -> Result<(), Infallible> {
        self.output.extend_from_slice(joined.after);
        self.output.extend_from_slice(joined.line_ending);
        self.joins.push((joined.before.to_vec(), joined.after.to_vec()));
        Ok(())
    }

    fn rejected(&mut self, rejected: &Rejected<'_>) -> Result<(), Infallible> {
        self.rejects.push((rejected.place, rejected.bytes.to_vec()));
        Ok(())
    }
}

/// The facts of a page; none where the page could not be framed.
pub fn framed(page: &[u8]) -> Option<Framed> {
    let mut framer = Framer::lenient(FramingLimits { record_bytes: RECORD_BYTES });
    framer.push(page).ok()?;
    framer.finish().ok()
}

/// Whether a page needs no judging: every record has the header's number of fields, and no quote is out of place.
pub fn is_clean(framed: &Framed) -> bool {
    let n_columns = framed.first.as_ref().map_or(0, |first| first.fields.len() as u64);
    framed.ragged_against(n_columns).is_none()
        && framed.misquoted.is_none()
        && !framed.is_entangled
        && framed.broken.is_none()
}

/// The page without its byte order mark.
pub fn body(page: &[u8]) -> &[u8] {
    page.strip_prefix(&cxtract::csv::BOM).unwrap_or(page)
}

/// What the mender makes of a page whose first record is the header.
pub fn mended(body: &[u8], join: bool, dice: &mut Dice) -> Delivery {
    let n_columns = fields_of(body).len() as u64;
    let mut delivery = Delivery::default();
    if n_columns == 0 {
        delivery.output.extend_from_slice(body);
        return delivery;
    }
    let mut finder = ShapeFinder::new(n_columns, RECORD_BYTES, true);
    finder.push(body);
    let rules = MendRules { n_columns, join, record_bytes: RECORD_BYTES, key_shape: None, header_first: true };
    let rules = finder.evidence().applied_to(rules);
    let mut mender = Mender::new(rules, Place { record: 1, line: 1 });
    let mut rest = body;
    while !rest.is_empty() {
        let (chunk, after) = rest.split_at(dice.between(1, rest.len().min(900)));
        let Ok(()) = mender.push(chunk, &mut delivery);
        rest = after;
    }
    let Ok(()) = mender.finish(&mut delivery);
    delivery
}

/// Delivers a page as an extraction does that has this page alone.
pub fn deliver(page: &[u8], setting: Setting, dice: &mut Dice) -> Delivery {
    let delivery = mended(body(page), setting == Setting::Join, dice);
    if framed(page).is_some_and(|framed| is_clean(&framed)) {
        // The facts of a page let it pass unread; its records must agree with them.
        assert!(delivery.rejects.is_empty(), "clean by its facts, and yet: {delivery:?}");
        assert_eq!(delivery.output, body(page), "a clean page changed");
    }
    match delivery.rejects.first() {
        Some((place, _)) if setting == Setting::Strict => Delivery { refused: Some(*place), ..Delivery::default() },
        _ => delivery,
    }
}

/// How a file came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// The report failed and named the place.
    Refused,
    /// Every damaged record was delivered with the fields it should have, or nothing was damaged for a reader.
    Right,
    /// Damaged records were set aside, none delivered.
    Rejected,
    /// Damage was delivered byte for byte as it was sent, where the pieces are records by themselves.
    AsSent,
    /// A piece of a damaged record was delivered, because it has the right number of fields by itself.
    Pieces,
    /// Something was delivered that was neither meant nor sent as a record.
    False,
}

#[derive(Clone, Copy, Debug)]
pub struct Score {
    pub verdict: Verdict,
    /// Clean records that stand in the rejects.
    pub n_neighbours: usize,
    /// Clean records that stand neither in the output as they were, nor in the rejects.
    pub n_lost: usize,
}

/// Records as they stand in the bytes, without line endings, and their fields.
pub fn records(bytes: &[u8]) -> Vec<(Vec<u8>, Meaning)> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(bytes);
    let read: Vec<_> = reader.byte_records().map(|record| record.expect("memory can be read")).collect();
    let start = |i: usize| {
        let position = read.get(i).map(|record| record.position().expect("a record that was read has one").byte());
        position.map_or(bytes.len(), |byte| byte as usize)
    };
    let cut = |i| trimmed(&bytes[start(i)..start(i + 1)]).to_vec();
    read.iter().enumerate().map(|(i, record)| (cut(i), record.iter().map(<[u8]>::to_vec).collect())).collect()
}

/// Whether whole lines of the bytes are just these.
fn has_lines(bytes: &[u8], lines: &[u8]) -> bool {
    let is_ending = |b: Option<&u8>| b.is_none_or(|b| matches!(b, b'\n' | b'\r'));
    (0..bytes.len()).any(|at| {
        let is_start = at == 0 || is_ending(bytes.get(at - 1));
        is_start && bytes[at..].starts_with(lines) && is_ending(bytes.get(at + lines.len()))
    })
}

/// Compares what was delivered with what was meant.
pub fn score(case: &Case, delivery: &Delivery) -> Score {
    if delivery.refused.is_some() {
        return Score { verdict: Verdict::Refused, n_neighbours: 0, n_lost: 0 };
    }
    let mut is_met = vec![false; case.pieces.len()];
    let mut open: Vec<(usize, &Meaning)> = Vec::new();
    let mut whole: Vec<(usize, &[u8])> = Vec::new();
    for (at, piece) in case.pieces.iter().enumerate() {
        if let Piece::Damaged(damaged) = piece {
            is_met[at] = true;
            open.extend(damaged.truths.iter().map(|truth| (at, truth)));
            whole.extend(damaged.whole.iter().map(|bytes| (at, trimmed(bytes))));
        }
    }
    let (mut last, mut n_as_sent, mut n_pieces, mut n_false) = (0, 0, 0, 0);
    let is_piece = |raw: &[u8], last: usize| {
        case.pieces[last..]
            .iter()
            .any(|piece| matches!(piece, Piece::Damaged(damaged) if has_lines(&damaged.sent, raw)))
    };
    for (raw, fields) in records(&delivery.output) {
        let clean = |(at, piece): (usize, &Piece)| {
            matches!(piece, Piece::Clean(record) if *record == raw && !is_met[at] && at >= last).then_some(at)
        };
        if let Some(at) = case.pieces.iter().enumerate().find_map(clean) {
            is_met[at] = true;
            last = at;
        } else if let Some(i) = open.iter().position(|(at, truth)| *at >= last && **truth == fields) {
            last = open.remove(i).0;
        } else if let Some(i) = whole.iter().position(|(at, bytes)| *at >= last && *bytes == raw) {
            last = whole.remove(i).0;
            n_as_sent += 1;
        } else if is_piece(&raw, last) {
            n_pieces += 1;
        } else {
            n_false += 1;
        }
    }
    let set_aside = |record: &[u8]| {
        delivery.rejects.iter().any(|(_, bytes)| bytes.windows(record.len()).any(|window| window == record))
    };
    let missing = case.pieces.iter().zip(&is_met).filter(|(_, met)| !**met);
    let (mut n_neighbours, mut n_lost) = (0, 0);
    for (piece, _) in missing {
        match piece {
            Piece::Clean(record) if set_aside(record) => n_neighbours += 1,
            _ => n_lost += 1,
        }
    }
    // Damage that came out neither as it was meant nor as it was sent is in pieces somewhere, each line of it.
    for (at, piece) in case.pieces.iter().enumerate() {
        let Piece::Damaged(damaged) = piece else { continue };
        let is_right = !damaged.truths.is_empty() && open.iter().all(|(i, _)| *i != at);
        let is_somewhere = |line: &[u8]| set_aside(line) || has_lines(&delivery.output, line);
        let mut lines = damaged.sent.split(|b| matches!(b, b'\n' | b'\r')).filter(|line| !line.is_empty());
        if !is_right && !lines.all(is_somewhere) {
            n_lost += 1;
        }
    }
    let has_truths = case.pieces.iter().any(|piece| matches!(piece, Piece::Damaged(d) if !d.truths.is_empty()));
    let verdict = match delivery.rejects.is_empty() {
        _ if n_false + n_lost > 0 => Verdict::False,
        _ if n_pieces > 0 => Verdict::Pieces,
        _ if n_as_sent > 0 => Verdict::AsSent,
        true if open.is_empty() => Verdict::Right,
        true => Verdict::AsSent,
        false if open.is_empty() && has_truths => Verdict::Right,
        false => Verdict::Rejected,
    };
    Score { verdict, n_neighbours, n_lost }
}

mod tests {
    use super::super::case::{Damaged, Draft};
    use super::super::tables::{Key, written};
    use super::*;

    fn verdict(case: &Case, output: Vec<u8>, rejects: &[&[u8]]) -> Verdict {
        let rejects = rejects.iter().map(|bytes| (Place { record: 1, line: 1 }, bytes.to_vec())).collect();
        score(case, &Delivery { output, rejects, ..Delivery::default() }).verdict
    }

    /// A table of LF lines with one damaged row, and its lines.
    fn case() -> (Case, Vec<Vec<u8>>, Meaning) {
        let mut draft = Draft::draw(&mut Dice::seeded(3), (4, 4), Key::Digits);
        draft.table.ending = "\n";
        let mut rows: Vec<Vec<u8>> = vec![written(&draft.table.header)];
        rows.extend(draft.table.rows.iter().map(|row| written(row)));
        let truth = super::super::tables::meaning(draft.fields(1));
        let mut draft = Draft::of(draft.table);
        draft.replace(2, Damaged::one(b"48,b,\"c\"c,d".to_vec(), truth.clone()));
        (draft.finish(), rows, truth)
    }

    fn lines(rows: &[Vec<u8>]) -> Vec<u8> {
        rows.iter().flat_map(|row| [row.as_slice(), b"\n"].concat()).collect()
    }

    #[test]
    fn a_record_that_is_lost_doubled_moved_or_changed_makes_a_file_false() {
        let (case, rows, _) = case();
        let without = |gone: &[usize]| -> Vec<Vec<u8>> {
            rows.iter().enumerate().filter(|(i, _)| !gone.contains(i)).map(|(_, row)| row.clone()).collect()
        };
        let rest = without(&[2]);
        let sent = b"48,b,\"c\"c,d".as_slice();
        assert_eq!(verdict(&case, lines(&rest), &[sent]), Verdict::Rejected);

        assert_eq!(verdict(&case, lines(&without(&[2, 4])), &[sent]), Verdict::False);
        let mut doubled = rest.clone();
        doubled.insert(3, rest[3].clone());
        assert_eq!(verdict(&case, lines(&doubled), &[sent]), Verdict::False);
        let mut moved = rest.clone();
        moved.swap(3, 4);
        assert_eq!(verdict(&case, lines(&moved), &[sent]), Verdict::False);
        let mut changed = rest.clone();
        changed[3].push(b' ');
        assert_eq!(verdict(&case, lines(&changed), &[sent]), Verdict::False);
        let mut cut = rest.clone();
        cut.insert(2, b"48,b,c,d".to_vec());
        assert_eq!(verdict(&case, lines(&cut), &[sent]), Verdict::False);
    }

    #[test]
    fn damage_is_right_in_its_place_alone_and_as_sent_only_undivided() {
        let (case, rows, truth) = case();
        assert_eq!(super::records(&lines(&rows))[2].1, truth);
        assert_eq!(verdict(&case, lines(&rows), &[]), Verdict::Right);
        let mut moved = rows.clone();
        moved.swap(2, 3);
        assert_eq!(verdict(&case, lines(&moved), &[]), Verdict::False);
        let mut as_sent = rows.clone();
        as_sent[2] = b"48,b,\"c\"c,d".to_vec();
        assert_eq!(verdict(&case, lines(&as_sent), &[]), Verdict::AsSent);
    }

    #[test]
    fn a_neighbour_counts_as_set_aside_only_if_its_bytes_stand_in_a_reject() {
        let (case, mut rows, _) = case();
        let neighbour = rows.remove(3);
        rows.remove(2);
        let place = Place { record: 3, line: 3 };
        let scored = |rejected: Vec<u8>| {
            let rejects = vec![(place, rejected)];
            score(&case, &Delivery { output: lines(&rows), rejects, ..Delivery::default() })
        };
        let all = scored([b"48,b,\"c\"c,d\n", neighbour.as_slice()].concat());
        assert_eq!((all.verdict, all.n_neighbours, all.n_lost), (Verdict::Rejected, 1, 0));
        // What was damaged must be somewhere, too.
        let without = scored(neighbour.clone());
        assert_eq!((without.verdict, without.n_neighbours, without.n_lost), (Verdict::False, 1, 1));
    }
}
