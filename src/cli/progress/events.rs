//! Progress as JSON events, one a line: the face for programs.
//!
//! Every event has `event`, `report`, `tenant` and `at`; the last is `summary`. Names and fields are published: adding
//! is fine, renaming is not.

use std::collections::HashMap;

use cxtract::model::{Ending, ExtractionId, Progress, Timestamp, WaitReason};
use serde_json::{Map, Value, json};

use super::Ended;
use super::board::is_over;

/// Turns snapshots into the events between them.
#[derive(Debug, Default)]
pub(crate) struct Events {
    known: HashMap<ExtractionId, Progress>,
}

impl Events {
    /// What a snapshot adds to the one before it. Ends are told by [`ended`], which knows more.
    pub(crate) fn seen(&mut self, progress: &Progress) -> Vec<Value> {
        if is_over(progress.state) {
            self.known.remove(&progress.extraction);
            return Vec::new();
        }
        let before = self.known.insert(progress.extraction, progress.clone());
        let before = before.as_ref();
        let mut events = Vec::new();
        let mut tell = |name, fields| events.push(event(name, progress, fields));
        if before.is_none() {
            tell("started", json!({}));
        }
        if before.is_none_or(|b| b.state != progress.state || b.message != progress.message) {
            let mut fields = json!({ "state": progress.state });
            if let Some(message) = &progress.message {
                fields["message"] = json!(message);
            }
            tell("state", fields);
        }
        if before.map_or(0, |b| b.n_pages) != progress.n_pages {
            tell(
                "page",
                json!({
                    "pages": progress.n_pages,
                    "pages_expected": progress.n_pages_expected,
                    "rows": progress.n_rows,
                    "bytes": progress.n_bytes,
                }),
            );
        }
        if let Some((reason, until)) = &progress.waiting
            && before.is_none_or(|b| b.waiting != progress.waiting)
        {
            tell("waiting", waiting(reason, *until));
        }
        events
    }
}

/// The event of a report's end.
pub(crate) fn ended(ended: &Ended) -> Value {
    let seconds = ended.took.as_millis() as f64 / 1_000.0;
    let (name, fields) = match &ended.ending {
        Ending::Complete(manifest) => (
            "complete",
            json!({
                "skipped": false,
                "rows": manifest.output.rows,
                "bytes": manifest.output.bytes,
                "pages": manifest.pages,
                "sha256": manifest.output.sha256,
                "file": ended.file,
                "manifest": ended.manifest_path(),
                "seconds": seconds,
            }),
        ),
        Ending::Skipped(why) => ("complete", json!({ "skipped": true, "message": why })),
        Ending::Parked(park) => ("parked", json!({ "message": park.message, "until": park.until, "seconds": seconds })),
        Ending::Failed(failure) => {
            ("failed", json!({ "class": failure.class.to_string(), "message": failure.message, "seconds": seconds }))
        }
    };
    let mut event = with_head(name, json!(ended.report), json!(ended.tenant), ended.at, fields);
    event["window"] = json!(ended.window);
    event
}

/// The last event.
pub(crate) fn summary(all: &[Ended], at: Timestamp) -> Value {
    let reports: Vec<Value> = all
        .iter()
        .map(|e| {
            json!({
                "report": e.report,
                "tenant": e.tenant,
                "window": e.window,
                "outcome": e.outcome(),
                "rows": e.manifest().map(|m| m.output.rows),
                "manifest": e.manifest_path(),
            })
        })
        .collect();
    with_head("summary", Value::Null, Value::Null, at, json!({ "reports": reports }))
}

fn waiting(reason: &WaitReason, until: Timestamp) -> Value {
    let mut fields = json!({ "reason": reason.as_str(), "until": until });
    match reason {
        WaitReason::ToldToWait(status) => fields["status"] = json!(status),
        WaitReason::BreakerOpen(error) | WaitReason::Retry(error) => fields["error"] = json!(error),
        WaitReason::NextPoll | WaitReason::Paused => {}
    }
    fields
}

fn event(name: &str, progress: &Progress, fields: Value) -> Value {
    with_head(name, json!(progress.report), json!(progress.tenant), progress.at, fields)
}

fn with_head(name: &str, report: Value, tenant: Value, at: Timestamp, fields: Value) -> Value {
    let mut all = Map::new();
    all.insert("event".into(), json!(name));
    all.insert("report".into(), report);
    all.insert("tenant".into(), tenant);
    all.insert("at".into(), json!(at));
    if let Value::Object(fields) = fields {
        all.extend(fields);
    }
    Value::Object(all)
}

#[cfg(test)]
mod tests {
    use cxtract::model::ReportState;

    use super::super::board::samples::{NOW, progress, waiting};
    use super::super::ended::samples;
    use super::*;

    fn names(events: &[Value]) -> Vec<&str> {
        events.iter().map(|e| e["event"].as_str().unwrap()).collect()
    }

    #[test]
    fn every_event_begins_with_its_four_fixed_fields() {
        let mut events = Events::default().seen(&waiting("a", WaitReason::NextPoll, 4));
        events.extend(
            [samples::complete("a"), samples::skipped("a"), samples::parked("a"), samples::failed("a")]
                .map(|e| ended(&e)),
        );
        events.push(summary(&[], NOW));
        for event in events {
            let keys: Vec<&str> = event.as_object().unwrap().keys().map(String::as_str).take(4).collect();
            assert_eq!(keys, ["event", "report", "tenant", "at"]);
        }
    }

    #[test]
    fn a_snapshot_tells_only_what_is_new() {
        let mut events = Events::default();
        let fetching = progress("a", ReportState::Fetching);
        assert_eq!(names(&events.seen(&progress("a", ReportState::Queued))), ["started", "state"]);
        assert_eq!(names(&events.seen(&fetching)), ["state"]);
        assert_eq!(names(&events.seen(&fetching)), [] as [&str; 0]);
        assert_eq!(names(&events.seen(&Progress { n_pages: 2, ..fetching })), ["page"]);
    }

    #[test]
    fn a_wait_tells_its_reason_and_its_end() {
        let mut events = Events::default();
        events.seen(&progress("a", ReportState::Fetching));
        let told = events.seen(&waiting("a", WaitReason::ToldToWait(429), 160));
        assert_eq!(names(&told), ["waiting"]);
        assert_eq!(told[0]["reason"], "told_to_wait");
        assert_eq!(told[0]["status"], 429);
        assert_eq!(told[0]["until"], "2024-01-31T13:03:10.000Z");
        assert_eq!(events.seen(&waiting("a", WaitReason::ToldToWait(429), 160)).len(), 0);
    }

    #[test]
    fn an_end_is_told_once_and_with_its_figures() {
        let mut events = Events::default();
        assert_eq!(events.seen(&progress("a", ReportState::Complete)).len(), 0);
        let complete = ended(&samples::complete("a"));
        assert_eq!((complete["event"].as_str(), complete["rows"].as_u64()), (Some("complete"), Some(1_234_567)));
        assert_eq!(complete["manifest"], "out/a.csv.manifest.json");
    }

    #[test]
    fn the_summary_lists_each_report_with_outcome_rows_and_manifest() {
        let all = [samples::complete("a"), samples::parked("b")];
        let summary = summary(&all, NOW);
        assert_eq!(summary["reports"][0]["outcome"], "complete");
        assert_eq!(summary["reports"][0]["window"]["to"], "1970-01-01T23:59:59.999Z");
        assert_eq!(summary["reports"][0]["rows"], 1_234_567);
        assert_eq!(summary["reports"][0]["manifest"], "out/a.csv.manifest.json");
        assert_eq!(summary["reports"][1]["outcome"], "parked");
        assert_eq!(summary["reports"][1]["rows"], Value::Null);
    }

    #[test]
    fn s5_an_event_is_one_line_whatever_the_tenant_said() {
        let remark = Progress { message: Some("a\r\nb".into()), ..progress("a", ReportState::Fetching) };
        for event in Events::default().seen(&remark) {
            assert!(!event.to_string().contains(['\r', '\n']));
        }
    }
}
