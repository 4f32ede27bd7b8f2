//! Which reports a call means, and whether what it asks for fits together.

use cxtract::model::ReportName;

use crate::cli::args::{ProgressMode, RunArgs};

/// The reports asked for, in the order asked for and each once; all where none is named. Names are told apart without
/// regard to case, as in the configuration.
///
/// # Errors
/// If a name is unknown.
pub(crate) fn reports(asked: &[String], known: &[ReportName]) -> Result<Vec<ReportName>, String> {
    if asked.is_empty() {
        return Ok(known.to_vec());
    }
    let mut chosen: Vec<ReportName> = Vec::new();
    let mut unknown = Vec::new();
    for name in asked {
        match known.iter().find(|k| k.as_str().eq_ignore_ascii_case(name)) {
            Some(report) if !chosen.contains(report) => chosen.push(report.clone()),
            Some(_) => {}
            None => unknown.push(name.escape_default().to_string()),
        }
    }
    if unknown.is_empty() {
        return Ok(chosen);
    }
    let known: Vec<&str> = known.iter().map(ReportName::as_str).collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    Err(format!("there is no report named {} in the configuration; it has: {known}", unknown.join(", ")))
}

/// Whether output and progress can go where they are asked to go.
///
/// # Errors
/// If they can't, with the remedy.
pub(crate) fn streams(args: &RunArgs, n_reports: usize, any_on_stdout: bool) -> Result<(), String> {
    if args.output.is_some() && n_reports != 1 {
        return Err(format!(
            "-o is the place of one report, and {n_reports} are asked for; name one report, or use --output-dir"
        ));
    }
    let on_stdout = if args.output.is_some() { args.output_is_stdout() } else { any_on_stdout };
    if on_stdout && args.progress == ProgressMode::Json && !args.dry_run {
        return Err("--progress json and the output \"-\" both need stdout; write to a file, or use --progress plain"
            .to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::args::{Cli, Command};

    fn known() -> Vec<ReportName> {
        ["interactions", "Queues", "agents"].map(ReportName::new).to_vec()
    }

    fn chosen(asked: &[&str]) -> Result<Vec<String>, String> {
        let asked: Vec<String> = asked.iter().map(|&a| a.to_owned()).collect();
        reports(&asked, &known()).map(|r| r.iter().map(ToString::to_string).collect())
    }

    fn run(line: &str) -> RunArgs {
        match Cli::parse_from(line.split_whitespace()).command {
            Command::Run(run) => run,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn none_named_means_all() {
        assert_eq!(chosen(&[]).unwrap(), ["interactions", "Queues", "agents"]);
    }

    #[test]
    fn names_are_taken_once_in_the_order_asked_for_and_without_regard_to_case() {
        assert_eq!(chosen(&["agents", "queues", "AGENTS"]).unwrap(), ["agents", "Queues"]);
    }

    #[test]
    fn every_unknown_name_is_told_with_the_known_ones() {
        let told = chosen(&["agents", "calls", "x\u{1b}y"]).unwrap_err();
        assert!(told.contains("calls, x\\u{1b}y") && told.contains("interactions, Queues, agents"), "{told}");
    }

    #[test]
    fn one_path_is_for_one_report() {
        assert!(streams(&run("cxtract run -o a.csv"), 2, false).is_err());
        assert!(streams(&run("cxtract run -o a.csv"), 1, false).is_ok());
    }

    #[test]
    fn events_and_records_never_share_stdout() {
        assert!(streams(&run("cxtract run a -o - --progress json"), 1, false).is_err());
        assert!(streams(&run("cxtract run a --progress json"), 1, true).is_err());
        assert!(streams(&run("cxtract run a -o a.csv --progress json"), 1, true).is_ok());
        assert!(streams(&run("cxtract run a -o - --progress plain"), 1, false).is_ok());
    }
}
