//! The settings of an embedded mock tenant: how much data it has and how it behaves.
//!
//! Plain figures; whoever starts the mock tenant hands them over.

use std::time::Duration;

use super::kind::{count, duration};
use super::reader::Section;

/// What a mock tenant holds and how it answers.
#[derive(Clone, Debug, PartialEq)]
pub struct MockSettings {
    /// Rows of each query's result.
    pub total_rows: u64,
    /// What the rows are made from; the same seed gives the same bytes.
    pub seed: u64,
    /// Requests that it answers in any second before it says 429.
    pub requests_per_second: f64,
    /// From a request to its answer.
    pub latency: Duration,
    /// From a submission to its result.
    pub ready_after: Duration,
}

impl Default for MockSettings {
    fn default() -> Self {
        Self {
            total_rows: 50_000,
            seed: 1,
            requests_per_second: 20.0,
            latency: Duration::from_millis(20),
            ready_after: Duration::from_secs(1),
        }
    }
}

impl MockSettings {
    pub(super) fn read(section: &Section<'_>) -> Self {
        let default = Self::default();
        let rate = section.get("requests_per_second", count(1..=1_000_000));
        Self {
            total_rows: section.or("total_rows", count(0..=1_000_000_000), default.total_rows),
            seed: section.or("seed", count(0..=u64::MAX), default.seed),
            requests_per_second: rate.map_or(default.requests_per_second, |n| n as f64),
            latency: section.or("latency", duration(Duration::ZERO), default.latency),
            ready_after: section.or("ready_after", duration(Duration::ZERO), default.ready_after),
        }
    }
}
