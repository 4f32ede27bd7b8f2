//! The settings of an embedded mock tenant: how much data it has and how it behaves.
//!
//! Plain figures, or the path of a plan that says all of it; whoever starts the mock tenant hands them over and reads
//! the plan.

use std::path::PathBuf;
use std::time::Duration;

use super::kind::{count, duration, text};
use super::reader::Section;

/// What a mock tenant holds and how it answers.
#[derive(Clone, Debug, PartialEq)]
pub struct MockSettings {
    /// The plan file that describes it; then nothing else here counts.
    pub plan: Option<PathBuf>,
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
            plan: None,
            total_rows: 50_000,
            seed: 1,
            requests_per_second: 20.0,
            latency: Duration::from_millis(20),
            ready_after: Duration::from_secs(1),
        }
    }
}

const BESIDE_A_PLAN: [&str; 5] = ["total_rows", "seed", "requests_per_second", "latency", "ready_after"];

impl MockSettings {
    pub(super) fn read(section: &Section<'_>) -> Self {
        let default = Self::default();
        let plan = section.optional("plan", text).map(|path| section.log.folder.join(path));
        if plan.is_some() {
            for key in BESIDE_A_PLAN.iter().filter(|key| section.has(key)) {
                let expected = "plan alone, or figures without one";
                section.problem(key, "a figure beside plan", expected, "write it into the plan, or remove plan");
            }
        }
        let rate = section.get("requests_per_second", count(1..=1_000_000));
        Self {
            plan,
            total_rows: section.or("total_rows", count(0..=1_000_000_000), default.total_rows),
            seed: section.or("seed", count(0..=u64::MAX), default.seed),
            requests_per_second: rate.map_or(default.requests_per_second, |n| n as f64),
            latency: section.or("latency", duration(Duration::ZERO), default.latency),
            ready_after: section.or("ready_after", duration(Duration::ZERO), default.ready_after),
        }
    }
}
