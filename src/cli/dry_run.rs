//! `cxtract run --dry-run`: what would be asked and where it would go.
//!
//! It reads what is stored, if anything is, and makes nothing: no folder, no store, no request.

use std::fmt::Write as _;

use cxtract::Extract;
use cxtract::config::ReportConfig;
use cxtract::delivery::RealDisk;
use cxtract::model::{Timestamp, Window};
use cxtract::state::Store;
use cxtract::state::agenda::{Agenda, Destination, Known, Step};
use cxtract::tenant::{QueryBody, SubmitFilter};
use serde_json::Value;

use crate::cli::exit::Trouble;
use crate::cli::plan::{Planned, Turn};
use crate::cli::{setup, words};

/// More queries than that say nothing new.
const MOST_QUERIES: usize = 12;

/// What the store as it lies there makes of orders for one report, each by itself.
///
/// # Errors
/// What stands against all of them, or each.
pub(crate) fn agendas(
    store: Option<&dyn Store>,
    report: &ReportConfig,
    orders: &[Extract],
    now: Timestamp,
) -> Result<Vec<Result<Agenda, Trouble>>, Trouble> {
    let known = match store {
        None => Known { stored: Vec::new(), watermark: None },
        Some(store) => Known::of(store, &report.name, &report.tenant)?,
    };
    let here = std::env::current_dir().map_err(|error| Trouble::refused(&error))?;
    let orders: Vec<_> = orders.iter().map(|order| (order.asked, order.fresh)).collect();
    let agendas = known.agendas((report, Destination::of(report, false)), &orders, now, &here, &RealDisk);
    Ok(agendas.into_iter().map(|agenda| agenda.map_err(|fault| Trouble::refused(&fault))).collect())
}

/// The plan as text.
pub(crate) fn shown(plan: &[Planned]) -> Result<String, String> {
    let mut text = String::new();
    for planned in plan {
        let report = &planned.job.report;
        let _ = writeln!(text, "{}", report.name);
        let _ = writeln!(text, "  tenant   {}", report.tenant);
        for remark in &planned.remarks {
            let _ = writeln!(text, "  note     {}", words::escaped(remark));
        }
        if planned.turns.is_empty() {
            let _ = writeln!(text, "  window   nothing to ask for yet");
        }
        for turn in &planned.turns {
            one(&mut text, report, turn)?;
        }
    }
    Ok(text)
}

fn one(text: &mut String, report: &ReportConfig, turn: &Turn) -> Result<(), String> {
    let _ = writeln!(text, "  window   {} to {}", turn.window.from, turn.window.to);
    let file = match report.output_file(&turn.window).map(setup::shown_path) {
        Some(file) => words::escaped(&file.to_string_lossy()),
        None => "stdout".to_owned(),
    };
    match &turn.step {
        Step::Start => {}
        Step::GoOn => {
            let _ = writeln!(text, "           goes on with what an earlier run left unfinished");
        }
        Step::Skip(why) => {
            let _ = writeln!(text, "           skipped: {}", words::escaped(why));
            let _ = writeln!(text, "  output   {file}");
            return Ok(());
        }
    }
    let _ = writeln!(text, "  output   {file}");
    let parts = report.parts(turn.window).map_err(|problem| problem.to_string())?;
    let _ = writeln!(text, "  queries  {}", words::count(parts.len() as u64));
    for part in parts.iter().take(MOST_QUERIES) {
        let _ = writeln!(text, "    {}", body(report, *part)?);
    }
    if let Some(more) = parts.len().checked_sub(MOST_QUERIES).filter(|n| *n > 0) {
        let _ = writeln!(text, "    and {} more", words::count(more as u64));
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use cxtract::config::{OutputSpec, Span, WindowForm, WindowSpec, Zone};
    use cxtract::model::{Asked, ReportName, TenantName};

    use super::*;
    use crate::cli::plan::{Job, Wanted};

    const DAY: Window = Window { from: Timestamp(0), to: Timestamp(86_399_999) };

    fn planned(split: Option<Span>, steps: &[Step]) -> Planned {
        let window = WindowSpec { form: WindowForm::Last(Span::Days(1)), zone: Zone::UTC };
        let (name, tenant) = (ReportName::new("interactions"), TenantName::new("acme"));
        let mut report = ReportConfig::new(name, tenant, "t", window, OutputSpec::in_dir("/out"));
        report.split = split;
        let turn =
            |step: &Step| Turn { asked: Asked::Configured(DAY), window: DAY, step: step.clone(), is_done: false };
        Planned {
            job: Job { report: Arc::new(report), wanted: Wanted::Due(None), fresh: false },
            turns: steps.iter().map(turn).collect(),
            remarks: Vec::new(),
        }
    }

    #[test]
    fn a_plan_shows_tenant_window_file_and_the_very_body() {
        assert_eq!(
            shown(&[planned(None, &[Step::Start])]).unwrap(),
            "interactions\n  tenant   acme\n  window   1970-01-01T00:00:00.000Z to 1970-01-01T23:59:59.999Z\n  \
             output   /out/interactions.csv\n  queries  1\n    {\"templateId\":\"t\",\"format\":\"csv\",\
             \"query\":{\"startDate\":\"1970-01-01T00:00:00.000Z\",\"endDate\":\"1970-01-01T23:59:59.999Z\",\
             \"filters\":[]},\"pageSize\":5000}\n"
        );
    }

    #[test]
    fn a_split_report_has_a_query_for_each_part_and_many_are_not_all_shown() {
        let text = shown(&[planned(Span::parse("2h"), &[Step::Start])]).unwrap();
        assert!(text.contains("queries  12\n") && !text.contains("more"), "{text}");
        let text = shown(&[planned(Span::parse("1h"), &[Step::Start])]).unwrap();
        assert!(text.contains("queries  24\n") && text.ends_with("    and 12 more\n"), "{text}");
    }

    #[test]
    fn what_is_gone_on_with_or_skipped_is_said_and_what_is_skipped_asks_nothing() {
        let text = shown(&[planned(None, &[Step::GoOn, Step::Skip("already complete".into())])]).unwrap();
        assert!(text.contains("goes on with what an earlier run left unfinished"), "{text}");
        assert!(text.contains("skipped: already complete"), "{text}");
        assert_eq!(text.matches("templateId").count(), 1, "{text}");
    }

    #[test]
    fn nothing_to_ask_for_is_said_with_the_reason() {
        let planned = Planned { remarks: vec!["interactions: not yet".into()], ..planned(None, &[]) };
        let text = shown(&[planned]).unwrap();
        assert!(text.contains("window   nothing to ask for yet") && text.contains("note     interactions: not yet"));
    }
}
