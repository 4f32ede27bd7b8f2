//! The books of a finished extraction: rows against the tenant's counts, and the manifest that says so.

use crate::actors::ExtractionContext;
use crate::actors::assembly::Assembly;
use crate::actors::output::Written;
use crate::config::OnMismatch;
use crate::model::{
    CsvCounts, Failure, FailureClass, Manifest, OutputRecord, QueryId, Reconciliation, Timestamp, Verdict,
};
use crate::sink::Sealed;

/// Where an extraction stood when it began.
#[derive(Clone, Debug)]
pub struct Account {
    /// When it began.
    pub started_at: Timestamp,
    /// How often it was taken up again.
    pub n_resumed: u64,
    /// The tenant's tokens so far.
    pub tokens_before: u64,
    /// The openings of the tenant's breaker so far.
    pub opens_before: u64,
    /// The output's name as the manifest gives it.
    pub output_name: String,
}

impl Account {
    /// What people should know of a delivery that is not as plain as it might be.
    pub fn remark(&self, manifest: &Manifest, n_discarded: u64) -> Option<String> {
        let books = &manifest.reconciliation;
        if n_discarded > 0 {
            tracing::debug!(n_discarded, "pages beyond the end were fetched and dropped");
        }
        (books.verdict == Verdict::Mismatch).then(|| {
            format!(
                "{} rows were received, but the tenant counted {}; the manifest has both",
                books.rows,
                books.total_rows.or(books.total_count_last).unwrap_or_default()
            )
        })
    }
}

/// Compares what came with what was counted, and writes the manifest.
///
/// # Errors
/// If they differ and the report's configuration makes that a failure.
pub fn reconcile(
    context: &ExtractionContext,
    account: &Account,
    query: &QueryId,
    assembly: &Assembly,
    (written, total_rows): (Written, Option<u64>),
    sealed: Sealed,
) -> Result<Manifest, Failure> {
    let counts = assembly.counts();
    let verdict = verdict(written.n_rows, total_rows.or(counts.last));
    if verdict == Verdict::Mismatch && context.report.on_mismatch == OnMismatch::Fail {
        let counted = total_rows.or(counts.last).unwrap_or_default();
        return Err(Failure::new(
            FailureClass::Data,
            format!(
                "{} rows were received, but the tenant counted {counted}; nothing is published, because \
                 total_count.on_mismatch is fail",
                written.n_rows
            ),
        ));
    }
    Ok(Manifest {
        version: 1,
        report: context.report.name.clone(),
        tenant: context.tenant.name().clone(),
        query_id: Some(query.clone()),
        window: context.window,
        output: OutputRecord {
            path: account.output_name.clone(),
            bytes: sealed.bytes,
            rows: written.n_rows,
            sha256: sealed.sha256,
        },
        columns: assembly.columns(),
        pages: written.n_pages,
        reconciliation: Reconciliation {
            rows: written.n_rows,
            total_count_first: counts.first,
            total_count_last: counts.last,
            total_rows,
            verdict,
        },
        csv: CsvCounts::default(),
        http: context.http_counts(account.tokens_before, account.opens_before),
        resumed: account.n_resumed,
        started_at: account.started_at,
        finished_at: context.clock.now(),
        parts: None,
    })
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
