//! The manifest: what a delivered file is and where it came from.
//!
//! Field order is that of the published format.

use serde::{Deserialize, Serialize};

use super::{QueryId, ReportName, TenantName, Timestamp, Window};

/// A window as the manifest writes it.
pub type WindowRecord = Window;

/// The manifest of a delivered output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The format's version, 1.
    pub version: u32,
    /// The report's name.
    pub report: ReportName,
    /// The tenant's name.
    pub tenant: TenantName,
    /// The query that the rows came from; none where there were several parts.
    pub query_id: Option<QueryId>,
    /// What was asked for.
    pub window: WindowRecord,
    /// The file.
    pub output: OutputRecord,
    /// The names in the header; empty where there was none.
    pub columns: Vec<String>,
    /// Pages with rows.
    pub pages: u64,
    /// Rows against the tenant's counts.
    pub reconciliation: Reconciliation,
    /// What was done to records.
    pub csv: CsvCounts,
    /// What it took.
    pub http: HttpCounts,
    /// How often the extraction went on from a stored position.
    pub resumed: u64,
    /// When the extraction began.
    pub started_at: Timestamp,
    /// When its output was whole.
    pub finished_at: Timestamp,
    /// The parts of a split report, in order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parts: Option<Vec<PartRecord>>,
}

impl Manifest {
    /// The manifest as it stands in its file: indented JSON that ends with a newline.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("a manifest holds only text, numbers and text keys");
        text.push('\n');
        text
    }
}

/// The delivered file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OutputRecord {
    /// Its name, relative to the manifest.
    pub path: String,
    /// Its size as delivered.
    pub bytes: u64,
    /// Delivered rows; the header isn't one.
    pub rows: u64,
    /// SHA-256 of the file as delivered, in lower-case hexadecimal.
    pub sha256: String,
}

/// One part of a split report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PartRecord {
    /// The part's query.
    pub query_id: QueryId,
    /// The part's window.
    pub window: WindowRecord,
    /// Pages with rows.
    pub pages: u64,
    /// Rows.
    pub rows: u64,
    /// Bytes of its records.
    pub bytes: u64,
}

/// Rows received against the tenant's own counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reconciliation {
    /// Rows received: delivered and rejected.
    pub rows: u64,
    /// The first `X-Total-Count` seen.
    pub total_count_first: Option<u64>,
    /// The last `X-Total-Count` seen.
    pub total_count_last: Option<u64>,
    /// `totalRows` of the status answer.
    pub total_rows: Option<u64>,
    /// What comes of the comparison.
    pub verdict: Verdict,
}

/// Whether the rows received are as many as the tenant said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As many.
    Match,
    /// More or fewer.
    Mismatch,
    /// The tenant gave no count.
    Unknown,
}

/// What was done to records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CsvCounts {
    /// Records mended.
    pub repaired: u64,
    /// Records set aside.
    pub rejected: u64,
    /// Fields neutralised for spreadsheets, where that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub excel_safe: Option<u64>,
    /// Invalid UTF-8 sequences replaced, where that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub utf8_replaced: Option<u64>,
}

/// What an extraction took in calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpCounts {
    /// Calls sent for this extraction.
    pub requests: u64,
    /// Of these, repetitions.
    pub retries: u64,
    /// Answers that asked for a pause.
    pub throttled: u64,
    /// Tokens fetched for the tenant while the extraction ran.
    pub token_refreshes: u64,
    /// Openings of the tenant's circuit breaker while the extraction ran.
    pub breaker_opens: u64,
}
