//! The figures of a load test, by the names that JSON, tables and expectations share.
//!
//! One list: what is not in it is measured nowhere, and what is in it has a meaning that is written down here.

/// A figure that a load test measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figure {
    /// Its name.
    pub name: &'static str,
    /// What it is counted in; empty for a plain number.
    pub unit: &'static str,
    /// What it says.
    pub meaning: &'static str,
}

const fn figure(name: &'static str, unit: &'static str, meaning: &'static str) -> Figure {
    Figure { name, unit, meaning }
}

/// All of them, in the order in which they are shown.
pub const FIGURES: [Figure; 59] = [
    figure("duration_s", "s", "from the first order to the last report's end"),
    figure("tenants", "", "tenants under load"),
    figure("complete", "", "reports delivered whole"),
    figure("parked", "", "reports that could not be finished now"),
    figure("failed", "", "reports that failed for good"),
    figure("cut_off", "", "reports under way when the time was over or the load was stopped"),
    figure("verified", "", "outputs compared with what the tenant had and found right"),
    figure("wrong", "", "outputs that are not what the tenant had"),
    figure("unchecked", "", "outputs found neither right nor wrong: stopped too soon, or nothing to compare with"),
    figure("throughput_mb_s", "MB/s", "decoded bytes of pages received whole, over the duration"),
    figure("rows_per_second", "/s", "rows of delivered outputs, over the duration"),
    figure("pages_per_second", "/s", "pages received whole with more than one record, over the duration"),
    figure("requests_per_second", "/s", "calls of all kinds, over the duration"),
    figure("bytes", "B", "decoded bytes of pages received whole"),
    figure("rows", "", "rows of delivered outputs"),
    figure("pages", "", "pages received whole with more than one record: one alone may be the header"),
    figure("requests", "", "calls of all kinds that ended"),
    figure("rate_use", "", "calls let in, as a share of all that the tenants allowed in the duration; own tenants"),
    figure("budget_use", "", "share used of the calls that a tenant allows while it is read: the mean over those read"),
    figure("budget_use_median", "", "the same of the tenant in the middle"),
    figure("budget_use_least", "", "the same of the tenant that was used least"),
    figure("throttled", "", "answers that told to wait: 429, or 503 with Retry-After"),
    figure("told_to_wait", "", "calls made while a tenant had told to wait"),
    figure("refused_too_fast", "", "calls refused because a rate or quota was used up"),
    figure("failed_calls", "", "calls that failed otherwise on the tenant's side: an error, a cut, a refusal"),
    figure("unused_calls", "", "calls that this side broke off, or whose answer it did not trust or could not use"),
    figure(
        "duplicate_submissions",
        "",
        "queries accepted beyond the first for the same template, window, filters and page size",
    ),
    figure("pages_again", "", "pages served whole once more after they had been, with no fault in either answer"),
    figure("breaker_opens", "", "openings of circuit breakers"),
    figure("token_calls", "", "calls of token endpoints"),
    figure("dead_token_calls", "", "calls with a token that had run out or was taken back"),
    figure("p50_page_ms", "ms", "half of the good page calls took no longer, from their turn to the last byte"),
    figure("p90_page_ms", "ms", "nine of ten"),
    figure("p99_page_ms", "ms", "99 of 100"),
    figure("p999_page_ms", "ms", "999 of 1,000"),
    figure("max_page_ms", "ms", "the slowest"),
    figure("p50_page_wait_ms", "ms", "half of the page calls waited no longer for their turn"),
    figure("p90_page_wait_ms", "ms", "nine of ten"),
    figure("p99_page_wait_ms", "ms", "99 of 100"),
    figure("p999_page_wait_ms", "ms", "999 of 1,000"),
    figure("max_page_wait_ms", "ms", "the longest wait"),
    figure("p50_status_ms", "ms", "the same for looks at a query's status"),
    figure("p99_status_ms", "ms", "99 of 100"),
    figure("max_status_ms", "ms", "the slowest"),
    figure("p50_submit_ms", "ms", "the same for submissions"),
    figure("p99_submit_ms", "ms", "99 of 100"),
    figure("max_submit_ms", "ms", "the slowest"),
    figure("p50_token_ms", "ms", "the same for token calls"),
    figure("p99_token_ms", "ms", "99 of 100"),
    figure("max_token_ms", "ms", "the slowest"),
    figure("p50_report_s", "s", "half of the complete reports took no longer, from the order to delivery"),
    figure("p90_report_s", "s", "nine of ten"),
    figure("p99_report_s", "s", "99 of 100"),
    figure("max_report_s", "s", "the slowest"),
    figure("memory_mb", "MB", "the most memory that the process has held, mock tenants of its own included"),
    figure("resident_mb", "MB", "memory of the process at the end of the load"),
    figure("cpu_s", "s", "CPU seconds of the engine"),
    figure("cpu_mock_s", "s", "CPU seconds of the mock tenants in the same process"),
    figure("cpu_s_per_gb", "s/GB", "CPU seconds of the engine for each GB of pages received"),
];

/// The figure of that name.
pub(super) fn named(name: &str) -> Option<&'static Figure> {
    FIGURES.iter().find(|figure| figure.name == name)
}
