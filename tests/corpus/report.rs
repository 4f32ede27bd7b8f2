//! The score: every kind of damage under every setting, as the table that `docs/CSV.md` shows.
//!
//! What holds for every file is asserted here; how many came out how is a figure, and the document must show the
//! present ones.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use super::case::Column;
use super::kinds::{Kind, N_FILES, all};
use super::scorer::{Score, Setting, Verdict, deliver, score};

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
    strict: Tally,
    reject: Tally,
    join: Tally,
}

fn run(kind: Kind) -> Line {
    let mut line = Line { kind, strict: Tally::default(), reject: Tally::default(), join: Tally::default() };
    for i in 0..N_FILES {
        let (case, mut dice) = line.kind.file(i);
        let name = format!("{} {:?} {:?} {i}", line.kind.name, line.kind.column, line.kind.keyed);
        let told = |what: &str| {
            let sent = String::from_utf8_lossy(&case.bytes);
            format!(
                "{what}: {name}\n{}\n{:?}",
                &sent,
                case.pieces.iter().filter(|p| matches!(p, super::case::Piece::Damaged(_))).collect::<Vec<_>>()
            )
        };

        let strict = deliver(&case.bytes, Setting::Strict, &mut dice);
        let scored = score(&case, &strict);
        assert!(scored.verdict != Verdict::False && scored.n_neighbours == 0, "{}", told("damaged in silence"));
        if let Some(place) = strict.refused
            && !line.kind.strikes_header
        {
            assert!((case.lines.0..=case.lines.1).contains(&place.line), "{} {place:?}", told("another place named"));
        }
        line.strict.add(scored);

        let reject = deliver(&case.bytes, Setting::Reject, &mut dice);
        let scored = score(&case, &reject);
        assert!(scored.n_lost == 0, "{}\n{reject:?}", told("a good record gone without a reject"));
        assert!(scored.n_neighbours == 0 || line.kind.strikes_header, "{}\n{reject:?}", told("a good record rejected"));
        assert!(
            scored.verdict != Verdict::False || !reject.rejects.is_empty(),
            "{}",
            told("a piece delivered in silence")
        );
        line.reject.add(scored);

        let join = deliver(&case.bytes, Setting::Join, &mut dice);
        let scored = score(&case, &join);
        assert!(scored.verdict != Verdict::False || line.kind.unknowable, "{}\n{join:?}", told("delivered falsely"));
        line.join.add(scored);
    }
    line
}

const HEAD: &str = "\
| damage | column | key | strict: refused | right | as sent | reject: rejected | right | as sent | pieces | join: right | rejected | as sent | false | neighbours |
| --- | --- | --- | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: |
";

fn table(lines: &[Line]) -> String {
    let mut table = HEAD.to_owned();
    for Line { kind, strict, reject, join } in lines {
        let column = match kind.column {
            Some(Column::First) => "first",
            Some(Column::Middle) => "middle",
            Some(Column::Last) => "last",
            None => "",
        };
        let key = kind.keyed.map_or("both", |keyed| if keyed { "yes" } else { "no" });
        let counts = [
            strict.of(Verdict::Refused),
            strict.of(Verdict::Right),
            strict.of(Verdict::AsSent),
            reject.of(Verdict::Rejected),
            reject.of(Verdict::Right),
            reject.of(Verdict::AsSent),
            reject.of(Verdict::False),
            join.of(Verdict::Right),
            join.of(Verdict::Rejected),
            join.of(Verdict::AsSent),
            join.of(Verdict::False),
            join.n_neighbours,
        ];
        let counts = counts.map(|n| if n == 0 { "·".to_owned() } else { n.to_string() }).join(" | ");
        writeln!(table, "| {} | {column} | {key} | {counts} |", kind.name).unwrap();
    }
    table
}

fn documented() -> String {
    let document = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/CSV.md")).unwrap();
    let rows = document.lines().skip_while(|line| !line.starts_with("| damage |"));
    rows.take_while(|line| line.starts_with('|')).fold(String::new(), |table, row| table + row + "\n")
}

#[test]
fn c5_no_damage_passes_in_silence_and_the_document_shows_the_score() {
    let lines: Vec<Line> = all().into_iter().map(run).collect();
    let table = table(&lines);
    println!("{table}");
    assert_eq!(documented(), table, "docs/CSV.md shows another table than the one printed above");
}
