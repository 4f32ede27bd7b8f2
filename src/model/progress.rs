//! What the outside sees of a running extraction.

use serde::Serialize;

use super::{ExtractionId, ReportName, TenantName, Timestamp};

/// Where an extraction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ReportState {
    /// Waits for its turn.
    Queued,
    /// The query is accepted; the first poll is due.
    Submitted,
    /// The tenant is working on the query.
    Polling,
    /// Pages are coming in.
    Fetching,
    /// Delivered.
    Complete,
    /// Can't go on now.
    Parked,
    /// Failed for good.
    Failed,
}

impl ReportState {
    /// Every state.
    const ALL: [Self; 7] =
        [Self::Queued, Self::Submitted, Self::Polling, Self::Fetching, Self::Complete, Self::Parked, Self::Failed];

    /// The state that goes by this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }

    /// The word for it in events, tables and the state store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Submitted => "submitted",
            Self::Polling => "polling",
            Self::Fetching => "fetching",
            Self::Complete => "complete",
            Self::Parked => "parked",
            Self::Failed => "failed",
        }
    }
}

/// What an extraction is held up by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WaitReason {
    /// The tenant asked for a pause; the status code it did so with.
    ToldToWait(u16),
    /// The circuit breaker is open; the last error.
    BreakerOpen(String),
    /// The next poll is due then.
    NextPoll,
    /// A request is tried again then; the last error.
    Retry(String),
    /// The host paused it.
    Paused,
}

impl WaitReason {
    /// The word for it in events.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::ToldToWait(_) => "told_to_wait",
            Self::BreakerOpen(_) => "breaker_open",
            Self::NextPoll => "next_poll",
            Self::Retry(_) => "retry",
            Self::Paused => "paused",
        }
    }
}

/// The newest snapshot of one extraction. Each one is complete in itself: a slow
/// subscriber misses steps, never facts.
#[derive(Clone, Debug)]
pub struct Progress {
    /// Which extraction of this engine.
    pub extraction: ExtractionId,
    /// Its report.
    pub report: ReportName,
    /// Its tenant.
    pub tenant: TenantName,
    /// Where it stands.
    pub state: ReportState,
    /// Pages written.
    pub n_pages: u64,
    /// Pages expected, where counts allow a guess. Never decides anything.
    pub n_pages_expected: Option<u64>,
    /// Rows written.
    pub n_rows: u64,
    /// Bytes written.
    pub n_bytes: u64,
    /// What it waits for, if it does.
    pub waiting: Option<(WaitReason, Timestamp)>,
    /// A remark for people: the reason of an end, a warning.
    pub message: Option<String>,
    /// When this was true.
    pub at: Timestamp,
}

impl Progress {
    /// An extraction of which nothing has been done.
    pub fn queued(extraction: ExtractionId, report: ReportName, tenant: TenantName, at: Timestamp) -> Self {
        Self {
            extraction,
            report,
            tenant,
            state: ReportState::Queued,
            n_pages: 0,
            n_pages_expected: None,
            n_rows: 0,
            n_bytes: 0,
            waiting: None,
            message: None,
            at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_read_back_from_its_word() {
        for state in ReportState::ALL {
            assert_eq!(ReportState::parse(state.as_str()), Some(state));
        }
        assert_eq!(ReportState::parse("Queued"), None);
    }
}
