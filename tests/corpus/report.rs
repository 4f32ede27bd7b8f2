//! The score: every kind of damage under every setting, as the table that `docs/CSV.md` shows.
//!
//! What must hold for every file is asserted here; how many came out how is a figure, and the document must show the
//! present ones.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::case::{Case, Column};
use super::kinds::{Kind, N_FILES, all};
use super::scorer::{Delivery, Score, Setting, Verdict, deliver, lossy, score};

#[derive(Default)]
struct Tally {
    verdicts: BTreeMap<Verdict, usize>,
    n_neighbours: usize,
}

impl Tally {
    fn add(&mut self, score: Score) {
        *self.verdicts.entry(score.verdict).or_default() += 1;
        self.n_neighbours += score.n_neighbours;
    }

    fn of(&self, verdict: Verdict) -> usize {
        self.verdicts.get(&verdict).copied().unwrap_or_default()
    }
}

struct Line {
    kind: Kind,
    /// Strict, reject, join.
    tallies: [Tally; 3],
}

const SETTINGS: [Setting; 3] = [Setting::Strict, Setting::Reject, Setting::Join];

/// Scores the files of a kind, and tells of each that breaks a promise.
fn run(kind: Kind, n_files: usize, broken: &mut Vec<String>) -> Line {
    let mut tallies: [Tally; 3] = Default::default();
    for i in 0..n_files {
        let (case, mut dice) = kind.file(i);
        for (setting, tally) in SETTINGS.into_iter().zip(&mut tallies) {
            let delivery = deliver(&case.bytes, setting, &mut dice);
            let scored = score(&case, &delivery);
            if let Some(promise) = broken_promise(&kind, &case, setting, &delivery, scored) {
                let name = format!("{} {:?} {:?}, file {i}, {setting:?}", kind.name, kind.column, kind.keyed);
                broken.push(format!("{promise}: {name}\n{}\n--- gave\n{delivery:?}", lossy(&case.bytes)));
            }
            tally.add(scored);
        }
    }
    Line { kind, tallies }
}

fn broken_promise(
    kind: &Kind,
    case: &Case,
    setting: Setting,
    delivery: &Delivery,
    score: Score,
) -> Option<&'static str> {
    let is_told = !delivery.rejects.is_empty() || delivery.refused.is_some();
    if score.n_lost > 0 && !kind.unknowable {
        return Some("a good record is gone and stands in no reject");
    }
    match score.verdict {
        Verdict::False if !(kind.unknowable && setting == Setting::Join) => return Some("delivered falsely"),
        Verdict::Pieces if !is_told && !kind.unknowable => return Some("a piece of a record delivered in silence"),
        _ => {}
    }
    if score.n_neighbours > 0 && setting != Setting::Join && !kind.strikes_header {
        return Some("a good record was rejected though nothing is joined");
    }
    let place = delivery.refused?;
    let is_there = (case.lines.0..=case.lines.1).contains(&place.line);
    (!is_there && !kind.strikes_header).then_some("the report failed, naming another place")
}

const HEAD: &str = "\
| damage | column | key | strict: refused | right | as sent | reject: rejected | right | as sent | pieces | join: right | rejected | as sent | pieces | false | neighbours |
| --- | --- | --- | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: |
";

fn table(lines: &[Line]) -> String {
    use Verdict::{AsSent, False, Pieces, Refused, Rejected, Right};
    let mut table = HEAD.to_owned();
    for Line { kind, tallies: [strict, reject, join] } in lines {
        let column = match kind.column {
            Some(Column::First) => "first",
            Some(Column::Middle) => "middle",
            Some(Column::Last) => "last",
            None => "",
        };
        let key = kind.keyed.map_or("both", |keyed| if keyed { "yes" } else { "no" });
        let mut counts: Vec<usize> = [Refused, Right, AsSent].map(|verdict| strict.of(verdict)).into();
        counts.extend([Rejected, Right, AsSent, Pieces].map(|verdict| reject.of(verdict)));
        counts.extend([Right, Rejected, AsSent, Pieces, False].map(|verdict| join.of(verdict)));
        counts.push(join.n_neighbours);
        let counts: Vec<_> = counts.iter().map(|n| if *n == 0 { "·".to_owned() } else { n.to_string() }).collect();
        writeln!(table, "| {} | {column} | {key} | {} |", kind.name, counts.join(" | ")).unwrap();
    }
    table
}

fn documented() -> String {
    let document = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/CSV.md")).unwrap();
    let rows = document.lines().skip_while(|line| !line.starts_with("| damage | column |"));
    rows.take_while(|line| line.starts_with('|')).fold(String::new(), |table, row| table + row + "\n")
}

#[test]
fn c5_no_damage_passes_in_silence_and_the_document_shows_the_score() {
    let times: usize = match std::env::var("CXTRACT_CORPUS_TIMES") {
        Ok(times) => times.parse().expect("CXTRACT_CORPUS_TIMES is a number"),
        Err(_) => 1,
    };
    let mut broken = Vec::new();
    let lines: Vec<Line> = all().into_iter().map(|kind| run(kind, times * N_FILES, &mut broken)).collect();
    let table = table(&lines);
    println!("{table}");
    assert!(broken.is_empty(), "{} files break a promise:\n{}", broken.len(), broken.join("\n\n"));
    assert!(times > 0, "no file was scored");
    if times == 1 {
        assert!(documented() == table, "docs/CSV.md shows another table than the one printed above");
    }
}
