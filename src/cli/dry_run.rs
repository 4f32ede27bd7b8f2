//! `cxtract run --dry-run`: what would be asked and where it would go.

use std::fmt::Write as _;
use std::path::PathBuf;

use cxtract::model::{ReportName, TenantName, Window};
use serde_json::Value;

use crate::cli::words;

/// More queries than that say nothing new.
const MOST_QUERIES: usize = 12;

/// What a run would do for one report.
#[derive(Clone, Debug)]
pub(crate) struct Planned {
    pub(crate) report: ReportName,
    pub(crate) tenant: TenantName,
    /// None where there is nothing to ask yet.
    pub(crate) window: Option<Window>,
    /// None for stdout.
    pub(crate) file: Option<PathBuf>,
    /// The bodies of the queries, in order.
    pub(crate) queries: Vec<Value>,
    pub(crate) remark: Option<String>,
}

/// The plan as text.
pub(crate) fn shown(plan: &[Planned]) -> String {
    let mut text = String::new();
    for planned in plan {
        let window = match planned.window {
            Some(window) => format!("{} to {}", window.from, window.to),
            None => "nothing to ask yet".to_owned(),
        };
        let file = match &planned.file {
            Some(file) => words::escaped(&file.to_string_lossy()),
            None => "stdout".to_owned(),
        };
        let _ = writeln!(text, "{}", planned.report);
        let _ = writeln!(text, "  tenant   {}", planned.tenant);
        let _ = writeln!(text, "  window   {window}");
        if let Some(remark) = &planned.remark {
            let _ = writeln!(text, "           {remark}");
        }
        let _ = writeln!(text, "  output   {file}");
        let _ = writeln!(text, "  queries  {}", words::count(planned.queries.len() as u64));
        for query in planned.queries.iter().take(MOST_QUERIES) {
            let _ = writeln!(text, "    {query}");
        }
        if let Some(more) = planned.queries.len().checked_sub(MOST_QUERIES).filter(|n| *n > 0) {
            let _ = writeln!(text, "    and {} more", words::count(more as u64));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use cxtract::model::Timestamp;
    use serde_json::json;

    use super::*;

    fn planned(n_queries: usize) -> Planned {
        Planned {
            report: ReportName::new("interactions"),
            tenant: TenantName::new("acme"),
            window: Some(Window { from: Timestamp(0), to: Timestamp(86_399_999) }),
            file: Some("out/interactions.csv".into()),
            queries: (0..n_queries).map(|n| json!({ "templateId": "t", "n": n })).collect(),
            remark: None,
        }
    }

    #[test]
    fn a_plan_shows_tenant_window_file_and_the_very_bodies() {
        assert_eq!(
            shown(&[planned(1)]),
            "interactions\n  tenant   acme\n  window   1970-01-01T00:00:00.000Z to 1970-01-01T23:59:59.999Z\n  \
             output   out/interactions.csv\n  queries  1\n    {\"templateId\":\"t\",\"n\":0}\n"
        );
    }

    #[test]
    fn many_queries_are_counted_and_not_all_shown() {
        let text = shown(&[planned(15)]);
        assert!(text.contains("queries  15\n") && text.ends_with("    and 3 more\n"), "{text}");
        assert!(!shown(&[planned(12)]).contains("more"));
    }

    #[test]
    fn nothing_to_ask_is_said() {
        let text = shown(&[Planned { window: None, file: None, ..planned(0) }]);
        assert!(text.contains("window   nothing to ask yet") && text.contains("output   stdout"));
    }
}
