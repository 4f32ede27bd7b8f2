//! What a run would ask for: the plan behind `--dry-run`, made from the configuration alone.

use cxtract::config::{ReportConfig, WindowOverrides};
use cxtract::model::{Timestamp, Window};
use cxtract::tenant::{QueryBody, SubmitFilter};
use serde_json::Value;

use crate::cli::dry_run::Planned;
use crate::cli::run::Job;
use crate::cli::setup;

/// The plan of these jobs at `now`.
///
/// # Errors
/// If a window can't be made out.
pub(crate) fn of(jobs: &[Job], now: Timestamp) -> Result<Vec<Planned>, String> {
    jobs.iter().map(|job| planned(job, now)).collect()
}

fn planned(job: &Job, now: Timestamp) -> Result<Planned, String> {
    let report = &job.report;
    let window = match job.window {
        Some(window) => Some(window),
        None => report.resolve_window(now, None, &WindowOverrides::default()).map_err(|p| p.to_string())?,
    };
    let parts = match window {
        Some(window) => report.parts(window).map_err(|p| p.to_string())?,
        None => Vec::new(),
    };
    let goes_on = job.window.is_none() && report.window.is_since();
    Ok(Planned {
        report: report.name.clone(),
        tenant: report.tenant.clone(),
        window,
        file: window.and_then(|window| report.output_file(&window)).map(setup::shown_path),
        queries: parts.into_iter().map(|part| body(report, part)).collect::<Result<_, _>>()?,
        remark: goes_on.then(|| "or on from where the last one ended".to_owned()),
    })
}

/// The very body that would be submitted.
fn body(report: &ReportConfig, part: Window) -> Result<Value, String> {
    let filters = report.filters.iter().map(|filter| SubmitFilter {
        field: filter.field.clone(),
        operator: filter.operator.clone(),
        value: filter.value.clone(),
    });
    let body = QueryBody::new(&report.template_id, part, filters.collect(), report.page_size);
    serde_json::to_value(body).map_err(|error| error.to_string())
}
