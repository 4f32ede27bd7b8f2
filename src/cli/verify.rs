//! `cxtract verify`: whether delivered files are whole, for people and for programs.
//!
//! What is found goes to stdout, how far the reading is to stderr. A file that is not there is a finding like any other,
//! so that the list is complete whatever becomes of single files.

use std::path::PathBuf;

use cxtract::delivery::inspect::{Interrupted, Verified, VerifyRules, verify};
use serde_json::{Value, json};

use crate::cli::args::VerifyArgs;
use crate::cli::exit::Exit;
use crate::cli::screen::Screen;
use crate::cli::verify_watch::{Onlooker, watched};
use crate::cli::{refuse, setup, words};

/// People are shown so many faults of a file.
const FAULTS_SHOWN: usize = 20;

/// Runs the command.
pub(crate) fn run(args: &VerifyArgs, screen: &Screen) -> Exit {
    // A hash nobody sees is not worth its time; in JSON it is seen.
    let rules = VerifyRules { record_bytes: args.record_bytes, hash: args.json };
    let (files, as_json) = (args.files.clone(), args.json);
    let shown = screen.clone();
    let work = move |onlooker: Onlooker| files_in_turn(files, &rules, as_json, onlooker, &shown);
    match watched(screen, work) {
        Ok((_, Some(signal))) => signal.into(),
        Ok((exit, None)) => exit,
        Err(error) => refuse(screen, &format!("signals can't be caught: {error}")),
    }
}

fn files_in_turn(
    files: Vec<PathBuf>,
    rules: &VerifyRules,
    as_json: bool,
    mut onlooker: Onlooker,
    screen: &Screen,
) -> Exit {
    let mut entries = Vec::new();
    let mut exits = Vec::new();
    for path in files {
        onlooker.file(&path);
        let verified = verify(&path, rules, &mut onlooker);
        onlooker.over();
        match verified {
            Ok(verified) => {
                exits.push(if verified.is_ok() { Exit::Done } else { Exit::Failed });
                if as_json {
                    entries.push(entry(&verified));
                } else {
                    exits.push(setup::print(&(lines(&verified).join("\n") + "\n"), screen));
                }
            }
            // The signal says how the program ends.
            Err(Interrupted) => return Exit::Failed,
        }
    }
    if as_json {
        exits.push(setup::print(&format!("{:#}\n", Value::Array(entries)), screen));
    }
    Exit::worst(exits)
}

fn entry(verified: &Verified) -> Value {
    let Verified { path, n_bytes, n_rows, sha256, faults, .. } = verified;
    json!({
        "path": path.to_string_lossy(),
        "ok": verified.is_ok(),
        "bytes": n_bytes,
        "rows": n_rows,
        "sha256": sha256,
        "faults": faults,
    })
}

fn lines(verified: &Verified) -> Vec<String> {
    let path = words::escaped(&verified.path.to_string_lossy());
    let mut facts: Vec<String> = Vec::new();
    facts.extend(verified.n_rows.map(|n| words::n_of(n, "row")));
    facts.extend(verified.n_bytes.map(words::bytes));
    if verified.is_ok() {
        let compared = if verified.has_manifest { "as its manifest says" } else { "no manifest" };
        facts.push(compared.to_owned());
        return vec![format!("{path}: ok, {}", facts.join(", "))];
    }
    let n_faults = words::n_of(verified.faults.len(), "fault");
    let mut lines = vec![format!("{path}: {}", [vec![n_faults], facts].concat().join(", "))];
    for fault in verified.faults.listed().iter().take(FAULTS_SHOWN) {
        let place = match (fault.line, fault.record) {
            (Some(line), Some(record)) => format!("line {line}, record {record}: "),
            _ => String::new(),
        };
        lines.push(format!("  {place}{} ({})", words::escaped(&fault.message), fault.kind));
    }
    let n_more = verified.faults.len().saturating_sub(FAULTS_SHOWN as u64);
    if n_more > 0 {
        lines.push(format!("  and {} more", words::n_of(n_more, "fault")));
    }
    lines
}

#[cfg(test)]
mod tests {
    use cxtract::delivery::inspect::Unwatched;

    use super::*;

    fn verified(name: &str, bytes: &[u8]) -> Verified {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let mut verified = verify(&path, &VerifyRules::default(), &mut Unwatched).unwrap();
        verified.path = name.into();
        verified
    }

    #[test]
    fn a_good_file_is_one_line_with_its_figures() {
        assert_eq!(lines(&verified("a.csv", b"id,name\n1,a\n2,b\n")), ["a.csv: ok, 2 rows, 16 B, no manifest"]);
    }

    #[test]
    fn a_fault_is_a_line_with_its_place_and_people_are_shown_only_so_many() {
        let mut text = b"id,name\n".to_vec();
        for _ in 0..50 {
            text.extend_from_slice(b"1,a,b\n");
        }
        let lines = lines(&verified("a.csv", &text));
        assert_eq!(lines.len(), 1 + FAULTS_SHOWN + 1);
        assert_eq!(lines[0], "a.csv: 50 faults, 50 rows, 308 B");
        assert!(lines[1].starts_with("  line 2, record 2: 3 fields") && lines[1].ends_with("(ragged)"), "{}", lines[1]);
        assert_eq!(lines.last().unwrap(), "  and 30 faults more");
    }

    #[test]
    fn s5_no_name_of_a_file_steers_the_terminal() {
        let shown = lines(&verified("a\u{1b}[2J.csv", b"id\n1\n"));
        assert!(shown[0].starts_with("a\\u{1b}[2J.csv: ok"), "{}", shown[0]);
    }
}
