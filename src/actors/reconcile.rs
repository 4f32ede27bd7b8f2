//! The books of a finished extraction: rows against the tenant's counts, and the manifest that says so.

use crate::actors::ExtractionContext;
use crate::actors::output::{Tally, Written};
use crate::actors::parts::FinishedPart;
use crate::config::{InvalidUtf8, OnMismatch, ReportConfig};
use crate::model::{
    CsvCounts, Failure, FailureClass, HttpCounts, Manifest, OutputRecord, Reconciliation, Timestamp, Verdict,
};
use crate::sink::Sealed;

/// Where an extraction stood when it began.
#[derive(Clone, Debug)]
pub struct Account {
    /// When it began.
    pub started_at: Timestamp,
    /// How often a later run went on with it.
    pub n_resumed: u64,
    /// The calls of earlier runs.
    pub http_before: HttpCounts,
    /// The tenant's tokens so far.
    pub tokens_before: u64,
    /// The openings of the tenant's breaker so far.
    pub opens_before: u64,
    /// The output's name as the manifest gives it.
    pub output_name: String,
}

impl Account {
    /// That of an extraction which has done nothing yet.
    pub fn beginning(now: Timestamp) -> Self {
        Self {
            started_at: now,
            n_resumed: 0,
            http_before: HttpCounts::default(),
            tokens_before: 0,
            opens_before: 0,
            output_name: "-".to_owned(),
        }
    }

    /// What people should know of a delivery that is not as plain as it might be.
    pub fn remark(&self, manifest: &Manifest) -> Option<String> {
        let books = &manifest.reconciliation;
        let mismatch = (books.verdict == Verdict::Mismatch).then(|| {
            format!(
                "{} rows were received, but the tenant counted {}; the manifest has both",
                books.rows,
                books.total_rows.or(books.total_count_last).unwrap_or_default()
            )
        });
        let CsvCounts { repaired, rejected, .. } = manifest.csv;
        let mended = (repaired > 0).then(|| format!("records mended, each with a receipt: {repaired}"));
        let rejects = (rejected > 0).then(|| format!("records set aside in the rejects file: {rejected}"));
        let remarks: Vec<String> = [mismatch, rejects, mended].into_iter().flatten().collect();
        (!remarks.is_empty()).then(|| remarks.join("; "))
    }
}

/// Compares what came with what was counted, and writes the manifest.
///
/// # Errors
/// If they differ and the report's configuration makes that a failure.
pub fn reconcile(
    context: &ExtractionContext,
    account: &Account,
    parts: &[FinishedPart],
    columns: Vec<String>,
    (written, tally): (Written, Tally),
    sealed: Sealed,
) -> Result<Manifest, Failure> {
    let total_rows = sum(parts, |part| part.total_rows);
    let total_count_last = sum(parts, |part| part.counts.last);
    let n_received = written.n_rows + tally.n_rejected;
    let verdict = verdict(n_received, total_rows.or(total_count_last));
    if verdict == Verdict::Mismatch && context.report.on_mismatch == OnMismatch::Fail {
        let counted = total_rows.or(total_count_last).unwrap_or_default();
        return Err(Failure::new(
            FailureClass::Data,
            format!(
                "{n_received} rows were received, but the tenant counted {counted}; nothing is published, because \
                 total_count.on_mismatch is fail"
            ),
        ));
    }
    let is_split = parts.len() > 1;
    let query_id = parts.first().filter(|_| !is_split).map(|part| part.record.query_id.clone());
    Ok(Manifest {
        version: 1,
        report: context.report.name.clone(),
        tenant: context.tenant.name().clone(),
        query_id,
        window: context.window,
        output: OutputRecord {
            path: account.output_name.clone(),
            bytes: sealed.bytes,
            rows: written.n_rows,
            sha256: sealed.sha256,
        },
        columns,
        pages: written.n_pages,
        reconciliation: Reconciliation {
            rows: n_received,
            total_count_first: sum(parts, |part| part.counts.first),
            total_count_last,
            total_rows,
            verdict,
        },
        csv: csv_counts(&context.report, tally),
        http: context.http_counts(account.http_before, account.tokens_before, account.opens_before),
        resumed: account.n_resumed,
        started_at: account.started_at,
        finished_at: context.clock.now(),
        parts: is_split.then(|| parts.iter().map(|part| part.record.clone()).collect()),
    })
}

/// What was done to records; what was not asked for is not said.
fn csv_counts(report: &ReportConfig, tally: Tally) -> CsvCounts {
    CsvCounts {
        repaired: tally.n_repaired,
        rejected: tally.n_rejected,
        excel_safe: report.csv.excel_safe.then_some(tally.n_excel_safe),
        utf8_replaced: (report.csv.invalid_utf8 == InvalidUtf8::Replace).then_some(tally.n_replaced),
    }
}

/// The sum over all parts; unknown where one is.
fn sum(parts: &[FinishedPart], count: impl Fn(&FinishedPart) -> Option<u64>) -> Option<u64> {
    parts.iter().map(count).sum()
}

fn verdict(n_rows: u64, counted: Option<u64>) -> Verdict {
    match counted {
        None => Verdict::Unknown,
        Some(counted) if counted == n_rows => Verdict::Match,
        Some(_) => Verdict::Mismatch,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_without_any_count_to_compare_them_with_are_neither_right_nor_wrong() {
        assert_eq!(verdict(7, None), Verdict::Unknown);
        assert_eq!(verdict(7, Some(7)), Verdict::Match);
        assert_eq!(verdict(7, Some(8)), Verdict::Mismatch);
    }
}
