//! What is stored, as values.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{Position, QueryId, ReportName, ReportState, TenantName, Timestamp, Window};

/// Which extraction. A report whose question or output form has changed is another extraction.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ExtractionKey {
    /// The report.
    pub report: ReportName,
    /// The tenant.
    pub tenant: TenantName,
    /// What it asks for.
    pub window: Window,
    /// Hash of all that decides about the bytes of the output.
    pub hash: String,
}

/// A query that the tenant accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredQuery {
    /// What the tenant calls it.
    pub id: QueryId,
    /// When it was submitted.
    pub submitted_at: Timestamp,
}

/// What is known of one extraction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredExtraction {
    /// Which one.
    pub key: ExtractionKey,
    /// Where it stands.
    pub state: ReportState,
    /// A remark for people.
    pub message: Option<String>,
    /// The queries, by part.
    pub queries: BTreeMap<u32, StoredQuery>,
    /// How many queries have expired on it.
    pub n_expired: u32,
    /// Where to go on.
    pub position: Option<Position>,
    /// What the writer stored with the position.
    pub memo: Option<String>,
    /// How to finish a publication that was begun.
    pub delivery: Option<String>,
    /// The manifest, once it is complete.
    pub manifest: Option<String>,
    /// When it was first stored.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl StoredExtraction {
    /// An extraction that nothing is known of yet.
    pub fn new(key: ExtractionKey, now: Timestamp) -> Self {
        Self {
            key,
            state: ReportState::Queued,
            message: None,
            queries: BTreeMap::new(),
            n_expired: 0,
            position: None,
            memo: None,
            delivery: None,
            manifest: None,
            created_at: now,
            updated_at: now,
        }
    }

    /// Whether there is something to go on with.
    pub fn is_unfinished(&self) -> bool {
        !matches!(self.state, ReportState::Complete | ReportState::Failed)
    }
}

/// A pause that a tenant asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantWait {
    /// When it was asked for.
    pub received_at: Timestamp,
    /// How long it is.
    pub pause: Duration,
}

impl TenantWait {
    /// When it ends by the clock that it was received by.
    pub fn until(&self) -> Timestamp {
        self.received_at.plus(self.pause)
    }

    /// What is left of it. A clock that was set back since never makes it longer than it was asked for.
    pub fn rest(&self, now: Timestamp) -> Duration {
        self.until().since(now).min(self.pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_jumps_back_never_makes_a_wait_longer_than_asked_for() {
        let wait = TenantWait { received_at: Timestamp(1_000_000), pause: Duration::from_secs(900) };
        assert_eq!(wait.rest(Timestamp(1_000_000)), Duration::from_secs(900));
        assert_eq!(wait.rest(Timestamp(1_600_000)), Duration::from_secs(300));
        assert_eq!(wait.rest(Timestamp(1_000_000 - 86_400_000)), Duration::from_secs(900));
        assert_eq!(wait.rest(Timestamp(i64::MAX)), Duration::ZERO);
    }
}
