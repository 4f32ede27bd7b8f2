//! The JSON that the routes answer with.

use serde_json::{Value, json};

use super::desk::Ended;
use crate::model::{Ending, Progress, ReportName};

/// One report in the list of all.
pub(super) fn overview(
    report: &ReportName,
    under_way: bool,
    progress: Option<&Progress>,
    last: Option<&Ended>,
) -> Value {
    json!({
        "report": report,
        "under_way": under_way,
        "progress": progress.map(snapshot),
        "last": last.map(ended),
    })
}

/// A snapshot of an extraction.
fn snapshot(progress: &Progress) -> Value {
    json!({
        "tenant": progress.tenant,
        "state": progress.state,
        "pages": progress.n_pages,
        "pages_expected": progress.n_pages_expected,
        "rows": progress.n_rows,
        "bytes": progress.n_bytes,
        "waiting": progress.waiting.as_ref().map(|(reason, until)| json!({"reason": reason.as_str(), "until": until})),
        "message": progress.message,
        "at": progress.at,
    })
}

/// How a report ended.
pub(super) fn ended(ended: &Ended) -> Value {
    let mut told = json!({ "report": ended.report, "outcome": null, "at": ended.at });
    match &ended.ending {
        Ending::Complete(manifest) => {
            told["outcome"] = json!("complete");
            told["manifest"] = json!(**manifest);
        }
        Ending::Skipped(why) => {
            told["outcome"] = json!("skipped");
            told["message"] = json!(why);
        }
        Ending::Parked(park) => {
            told["outcome"] = json!("parked");
            told["message"] = json!(park.message);
            told["until"] = json!(park.until);
        }
        Ending::Failed(failure) => {
            told["outcome"] = json!("failed");
            told["message"] = json!(failure.to_string());
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ExtractionId, Park, ParkReason, ReportState, TenantName, Timestamp, WaitReason};

    #[test]
    fn a_report_that_nobody_asked_for_has_neither_progress_nor_end() {
        assert_eq!(
            overview(&ReportName::new("a"), false, None, None),
            json!({ "report": "a", "under_way": false, "progress": null, "last": null })
        );
    }

    #[test]
    fn a_waiting_report_says_why_and_until_when() {
        let progress = Progress {
            extraction: ExtractionId(1),
            report: ReportName::new("a"),
            tenant: TenantName::new("acme"),
            state: ReportState::Fetching,
            n_pages: 3,
            n_pages_expected: None,
            n_rows: 15_000,
            n_bytes: 4_500_000,
            waiting: Some((WaitReason::ToldToWait(429), Timestamp(1_000))),
            message: None,
            at: Timestamp(0),
        };
        let told = overview(&progress.report, true, Some(&progress), None);
        assert_eq!(told["progress"]["state"], "fetching");
        assert_eq!(
            told["progress"]["waiting"],
            json!({ "reason": "told_to_wait", "until": "1970-01-01T00:00:01.000Z" })
        );
    }

    #[test]
    fn a_parked_end_says_when_it_is_worth_trying_again() {
        let park = Park { reason: ParkReason::TenantDown, message: "down".into(), until: Some(Timestamp(1_000)) };
        let told = ended(&Ended { report: ReportName::new("a"), ending: Ending::Parked(park), at: Timestamp(0) });
        assert_eq!((told["outcome"].as_str(), told["message"].as_str()), (Some("parked"), Some("down")));
        assert_eq!(told["until"], "1970-01-01T00:00:01.000Z");
    }
}
