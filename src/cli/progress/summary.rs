//! The end of a run on one screen: a table of what became of each report, and what to do about the rest.

use super::Ended;
use crate::cli::table::{Side, aligned};
use crate::cli::words;
use cxtract::model::Ending;

/// More rows than that don't fit on a screen: then only those that need attention are listed.
const MOST_ROWS: usize = 30;

/// One report's end on one line.
pub(crate) fn line(ended: &Ended) -> String {
    let name = &ended.label;
    match (&ended.ending, ended.why()) {
        (Ending::Complete(manifest), _) => {
            let output = &manifest.output;
            let to = ended.file.as_ref().map(|f| format!(" in {}", shown(&f.to_string_lossy()))).unwrap_or_default();
            format!(
                "{name}: complete, {}, {}{to} after {}",
                words::n_of(output.rows, "row"),
                words::bytes(output.bytes),
                words::span(ended.took)
            )
        }
        (_, Some(why)) => format!("{name}: {}: {why}", ended.outcome()),
        (_, None) => format!("{name}: {}", ended.outcome()),
    }
}

/// The table, and the counts below it.
pub(crate) fn table(all: &[Ended]) -> Vec<String> {
    if all.is_empty() {
        return vec!["nothing to do".to_owned()];
    }
    let listed: Vec<&Ended> = if all.len() <= MOST_ROWS {
        all.iter().collect()
    } else {
        all.iter().filter(|e| matches!(e.ending, Ending::Parked(_) | Ending::Failed(_))).take(MOST_ROWS).collect()
    };
    let mut lines = vec![String::new()];
    if !listed.is_empty() {
        let head = ["report", "outcome", "rows", "size", "took", "rate", "file"].map(str::to_owned);
        let rows: Vec<_> = std::iter::once(head).chain(listed.into_iter().map(cells)).collect();
        use Side::{Left, Right};
        lines.extend(aligned(&rows, [Left, Left, Right, Right, Right, Right, Left]));
    }
    lines.push(counts(all));
    lines
}

/// One line for each report that did not get its file; for modes that say nothing else to people.
pub(crate) fn troubles(all: &[Ended]) -> Vec<String> {
    all.iter().filter(|e| matches!(e.ending, Ending::Parked(_) | Ending::Failed(_))).map(line).collect()
}

fn cells(ended: &Ended) -> [String; 7] {
    let report = ended.label.clone();
    let outcome = ended.outcome().to_owned();
    let took = words::span(ended.took);
    match &ended.ending {
        Ending::Complete(manifest) => {
            let output = &manifest.output;
            let file = match &ended.file {
                Some(file) => shown(&file.to_string_lossy()),
                None => "stdout".to_owned(),
            };
            [
                report,
                outcome,
                words::count(output.rows),
                words::bytes(output.bytes),
                took,
                words::rate(output.bytes, ended.took).unwrap_or_default(),
                file,
            ]
        }
        _ => {
            let none = || "-".to_owned();
            [report, outcome, none(), none(), took, none(), ended.why().unwrap_or_default()]
        }
    }
}

fn shown(path: &str) -> String {
    words::escaped(path)
}

fn counts(all: &[Ended]) -> String {
    let n = |outcome: &str| all.iter().filter(|e| e.outcome() == outcome).count();
    let told: Vec<String> = ["complete", "skipped", "parked", "failed"]
        .into_iter()
        .filter(|o| n(o) > 0)
        .map(|o| format!("{} {o}", words::count(n(o) as u64)))
        .collect();
    let advice = match (n("parked"), n("failed")) {
        (0, 0) => "",
        (_, 0) => "; the next run goes on with what is parked",
        (0, _) => "; a failed report starts again on the next run",
        _ => "; the next run goes on with what is parked, and starts again what failed",
    };
    format!("{}{advice}", told.join(", "))
}

#[cfg(test)]
mod tests {
    use super::super::ended::samples::{complete, failed, parked, skipped};
    use super::*;

    #[test]
    fn every_ending_has_its_line() {
        assert_eq!(line(&complete("a")), "a: complete, 1,234,567 rows, 512.3 MB in out/a.csv after 2 m 40 s");
        assert_eq!(line(&skipped("a")), "a: skipped: already delivered for this window");
        assert_eq!(line(&parked("a")), "a: parked: acme is down: refused");
        assert_eq!(line(&failed("a")), "a: failed: refused by the tenant: page 3: status 403\\u{1b}[2J");
    }

    #[test]
    fn the_table_aligns_its_columns_and_ends_with_counts_and_advice() {
        let lines = table(&[complete("interactions"), parked("queues")]);
        assert_eq!(
            lines,
            [
                "",
                "report        outcome        rows      size      took      rate  file",
                "interactions  complete  1,234,567  512.3 MB  2 m 40 s  3.2 MB/s  out/interactions.csv",
                "queues        parked            -         -  2 m 40 s         -  acme is down: refused",
                "1 complete, 1 parked; the next run goes on with what is parked",
            ]
        );
    }

    #[test]
    fn a_long_table_lists_only_what_needs_attention() {
        let mut all: Vec<Ended> = (0..40).map(|i| complete(&format!("r{i}"))).collect();
        all.push(failed("bad"));
        let lines = table(&all);
        assert_eq!(lines.len(), 4);
        assert!(lines[2].starts_with("bad "));
        assert_eq!(lines[3], "40 complete, 1 failed; a failed report starts again on the next run");
    }

    #[test]
    fn nothing_to_do_is_said() {
        assert_eq!(table(&[]), ["nothing to do"]);
    }

    #[test]
    fn troubles_are_the_parked_and_the_failed() {
        assert_eq!(troubles(&[complete("a"), skipped("b"), parked("c"), failed("d")]).len(), 2);
    }
}
