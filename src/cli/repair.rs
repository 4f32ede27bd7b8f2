//! `cxtract repair`: a structurally valid copy of a file, and what became of the records that were not.

use std::path::Path;

use cxtract::delivery::inspect::{RepairError, Repaired, repair};
use serde_json::{Value, json};

use crate::cli::args::RepairArgs;
use crate::cli::exit::Exit;
use crate::cli::screen::Screen;
use crate::cli::verify_watch::{Onlooker, watched};
use crate::cli::{refuse, setup, words};

/// Runs the command.
pub(crate) fn run(args: &RepairArgs, screen: &Screen) -> Exit {
    let RepairArgs { input, output, json, record_bytes } = args.clone();
    let (from, to) = (input.clone(), output.clone());
    let work = move |mut onlooker: Onlooker| {
        onlooker.file(&input);
        let done = repair(&input, &output, record_bytes, &mut onlooker);
        onlooker.over();
        done
    };
    let (lines, exit) = match watched(screen, work) {
        Ok((Ok(repaired), _)) => {
            let printed =
                if json { setup::print(&format!("{:#}\n", entry(&from, &to, &repaired)), screen) } else { Exit::Done };
            let (lines, exit) = told(&repaired);
            (lines, Exit::worst([exit, printed]))
        }
        Ok((Err(RepairError::Interrupted), Some(signal))) => return signal.into(),
        Ok((Err(error), _)) => {
            let line = format!("error: {}", words::escaped(&error.to_string()));
            (vec![line], if matches!(error, RepairError::Refused(_)) { Exit::Usage } else { Exit::Failed })
        }
        Err(error) => return refuse(screen, &format!("signals can't be caught: {error}")),
    };
    screen.lines(lines);
    exit
}

fn entry(input: &Path, output: &Path, repaired: &Repaired) -> Value {
    let Repaired { n_rows, n_joined, n_rejected, rejects, repairs, bad_utf8_line } = repaired;
    json!({
        "input": input.to_string_lossy(),
        "output": output.to_string_lossy(),
        "ok": *n_rejected == 0,
        "rows": n_rows,
        "joined": n_joined,
        "rejected": n_rejected,
        "rejects": rejects,
        "repairs": repairs,
        "invalid_utf8_line": bad_utf8_line,
    })
}

fn told(repaired: &Repaired) -> (Vec<String>, Exit) {
    let Repaired { n_rows, n_joined, n_rejected, rejects, repairs, bad_utf8_line } = repaired;
    let counts = [
        words::n_of(*n_rows, "record"),
        format!("{} joined", words::count(*n_joined)),
        format!("{} rejected", words::count(*n_rejected)),
    ];
    let mut lines = vec![counts.join(", ")];
    let shown = |path: &Path| words::escaped(&path.to_string_lossy());
    lines.extend(repairs.as_deref().map(|path| format!("  each record that was joined: {}", shown(path))));
    lines.extend(rejects.as_deref().map(|path| format!("  what was rejected, with reasons: {}", shown(path))));
    if let Some(line) = bad_utf8_line {
        lines.push(format!("  bytes that are no UTF-8, the first on line {line}, are kept as they were"));
    }
    (lines, if *n_rejected == 0 { Exit::Done } else { Exit::Failed })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_repair_that_rejects_nothing_ends_well() {
        let joined =
            Repaired { n_rows: 1_234, n_joined: 2, repairs: Some("a.repairs.jsonl".into()), ..Repaired::default() };
        let (lines, exit) = told(&joined);
        assert_eq!(lines, ["1,234 records, 2 joined, 0 rejected", "  each record that was joined: a.repairs.jsonl"]);
        assert_eq!(exit, Exit::Done);
        let rejected = Repaired { n_rows: 1, n_rejected: 1, bad_utf8_line: Some(7), ..Repaired::default() };
        let (lines, exit) = told(&rejected);
        assert_eq!(lines[0], "1 record, 0 joined, 1 rejected");
        assert!(lines[1].contains("line 7"), "{}", lines[1]);
        assert_eq!(exit, Exit::Failed);
    }
}
