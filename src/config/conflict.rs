//! Two reports, one file: found before anything is written.
//!
//! A report owns its file and everything that is made beside it while it runs and when it is done.

use std::path::PathBuf;
use std::sync::Arc;

use crate::model::{OutputNames, ReportName, Side, Timestamp};

use super::problem::{Problem, printable};
use super::report::ReportConfig;
use super::window::{WindowForm, WindowOverrides};

/// Reports that would write to one file: each later one is a problem.
///
/// Windows with fixed bounds are filled in; where they are not fixed, two paths are the same if they read the same.
/// Side files count: a report must not write over another one's manifest.
pub fn path_conflicts(reports: &[Arc<ReportConfig>]) -> Vec<Problem> {
    let mut taken: Vec<(PathBuf, &ReportName)> = Vec::new();
    let mut problems = Vec::new();
    for report in reports {
        let files = files_of(report);
        if let Some((file, other)) = taken.iter().find(|(file, _)| files.contains(file)) {
            let found = format!("{}, which report {other} writes as well", printable(&file.to_string_lossy()));
            problems.push(Problem::new(
                format!("report {}", report.name),
                format!("reports.{}.output.path", report.name),
                found,
                "a path of its own for every report",
                "put {report} or {tenant} in the path",
            ));
        }
        taken.extend(files.into_iter().map(|file| (file, &report.name)));
    }
    problems
}

fn files_of(report: &ReportConfig) -> Vec<PathBuf> {
    let output = &report.output;
    if output.is_stdout() {
        return vec![PathBuf::from("-")];
    }
    let fixed = match report.window.form {
        WindowForm::FromTo { .. } => {
            report.window.resolve(Timestamp(0), None, &WindowOverrides::default()).ok().flatten()
        }
        _ => None,
    };
    let file = match fixed {
        Some(window) => report.output_file(&window).unwrap_or_default(),
        None => output.place(&report.name, &report.tenant, "{from}", "{to}"),
    };
    let names = OutputNames::of(&file);
    let sides = Side::ALL.map(|side| names.side(side));
    [names.part(), names.manifest(), file].into_iter().chain(sides).collect()
}
