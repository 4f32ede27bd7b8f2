//! What a run remembers for the next one: queries, positions, watermarks and the tenants' waits.
//!
//! A store keeps values and decides nothing. What a call acknowledged survives a power cut; a call is all or
//! nothing. Calls block, so that they belong on the store's own thread: see [`StoreHandle`].

pub mod agenda;
mod handle;
mod memory;
mod pace;
mod record;
mod sqlite;

pub use handle::StoreHandle;
pub use memory::{MemoryStore, StoreFault};
pub use pace::{Complaint, TenantWait, Turn, TurnAsked};
pub use record::{Begun, Checkpoint, ExtractionKey, Origin, StoredExtraction, StoredQuery};
pub use sqlite::SqliteStore;

use std::any::Any;

use crate::model::{QueryId, ReportName, ReportState, TenantName, Timestamp};

/// Why the store did not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// What is stored can't be what was stored: nothing may be built on it.
    #[error(
        "the state store is damaged: {what}; put a copy of it in its place and remove its -wal and -shm, or move all \
         three away and run with --fresh"
    )]
    Damaged {
        /// What was found, and where.
        what: String,
    },
    /// The call failed; what was asked for has not happened, or can't be known to have.
    #[error("the state store failed while {doing}: {reason}")]
    Failed {
        /// What was being done.
        doing: String,
        /// The system's words.
        reason: String,
    },
    /// There is no room for what was to be stored; it has not happened.
    #[error("the state store failed while {doing}: its disk is full; make room and run again")]
    Full {
        /// What was being done.
        doing: String,
    },
    /// A newer program has written the store. Nothing was changed.
    #[error(
        "the state store {path} is of version {found}, and this program knows none above {known}: run a newer program, \
         or use another state store"
    )]
    TooNew {
        /// The file.
        path: String,
        /// The store's version.
        found: u32,
        /// The newest version that this program knows.
        known: u32,
    },
}

impl StoreError {
    /// The call failed.
    pub fn failed(doing: impl Into<String>, reason: impl std::fmt::Display) -> Self {
        Self::Failed { doing: doing.into(), reason: reason.to_string() }
    }
}

/// The right to work on a report, until it is dropped. The system takes it back from a process that is killed.
pub struct Claim(Box<dyn Any + Send>);

impl Claim {
    /// A claim that holds as long as `guard` lives.
    pub fn new(guard: impl Any + Send) -> Self {
        Self(Box::new(guard))
    }
}

impl std::fmt::Debug for Claim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Claim({:p})", self.0)
    }
}

/// A store of state. Each call is one transaction; those that change an extraction fail where there is none.
pub trait Store: Send + Sync {
    /// Claims a report for this process; none where somebody else works on it.
    fn claim(&self, report: &ReportName, tenant: &TenantName) -> Result<Option<Claim>, StoreError>;

    /// What is known of an extraction.
    fn load(&self, key: &ExtractionKey) -> Result<Option<StoredExtraction>, StoreError>;

    /// All extractions, by report, tenant and window.
    fn list(&self) -> Result<Vec<StoredExtraction>, StoreError>;

    /// The extractions of one report, by window.
    fn of_report(&self, report: &ReportName, tenant: &TenantName) -> Result<Vec<StoredExtraction>, StoreError>;

    /// An extraction begins, in place of whatever was stored under its key.
    fn begin(&self, key: &ExtractionKey, begun: &Begun) -> Result<(), StoreError>;

    /// Changes what is known of an extraction, all or nothing; what is known then.
    fn alter(
        &self,
        doing: &'static str,
        key: &ExtractionKey,
        act: &mut dyn FnMut(&mut StoredExtraction),
    ) -> Result<StoredExtraction, StoreError>;

    /// A later run goes on with an extraction: counts that, if there is something to go on from, and answers with what
    /// is known of it.
    fn take_up(&self, key: &ExtractionKey) -> Result<StoredExtraction, StoreError> {
        self.alter("taking an extraction up again", key, &mut StoredExtraction::taken_up)
    }

    /// A query is about to be submitted for that part (0 without a split). Until one of the next two calls, nobody
    /// knows whether the tenant has it.
    fn begin_submission(&self, key: &ExtractionKey, part: u32) -> Result<(), StoreError> {
        let mut begin = |extraction: &mut StoredExtraction| extraction.submissions.extend([part]);
        self.alter("announcing a submission", key, &mut begin).map(drop)
    }

    /// The tenant has certainly not taken the submission.
    fn drop_submission(&self, key: &ExtractionKey, part: u32) -> Result<(), StoreError> {
        let mut forget = |extraction: &mut StoredExtraction| extraction.submissions.retain(|other| *other != part);
        self.alter("dropping a submission", key, &mut forget).map(drop)
    }

    /// A query was accepted for that part of the extraction, in place of any earlier one.
    fn save_query(
        &self,
        key: &ExtractionKey,
        part: u32,
        query: &QueryId,
        submitted_at: Timestamp,
    ) -> Result<(), StoreError> {
        self.alter("storing a query", key, &mut |extraction| extraction.submitted(part, query, submitted_at)).map(drop)
    }

    /// The query of a part has expired: forgets it, goes back to `checkpoint`, and counts the loss.
    fn drop_expired_query(
        &self,
        key: &ExtractionKey,
        part: u32,
        checkpoint: Option<&Checkpoint>,
    ) -> Result<(), StoreError> {
        self.alter("dropping an expired query", key, &mut |extraction| extraction.expired(part, checkpoint)).map(drop)
    }

    /// Everything before the position is durable. Queries of parts before the position's are forgotten.
    fn save_checkpoint(&self, key: &ExtractionKey, checkpoint: &Checkpoint) -> Result<(), StoreError> {
        self.alter("storing a position", key, &mut |extraction| extraction.reached(checkpoint)).map(drop)
    }

    /// Where the extraction stands now, with a remark for people. One that is complete stays so.
    fn save_state(&self, key: &ExtractionKey, state: ReportState, message: Option<&str>) -> Result<(), StoreError> {
        self.alter("storing a state", key, &mut |extraction| extraction.stands(state, message)).map(drop)
    }

    /// The output is whole and about to be published; `delivery` tells how to finish that, `manifest` what is
    /// published.
    fn save_delivery(&self, key: &ExtractionKey, delivery: &str, manifest: &str) -> Result<(), StoreError> {
        self.alter("storing a delivery", key, &mut |extraction| extraction.delivering(delivery, manifest)).map(drop)
    }

    /// The extraction is delivered: only its manifest stays of it. Where a watermark is given, it becomes the
    /// report's, unless that is further already.
    fn complete(&self, key: &ExtractionKey, manifest: &str, watermark: Option<Timestamp>) -> Result<(), StoreError>;

    /// Forgets an extraction; watermarks stay.
    fn forget(&self, key: &ExtractionKey) -> Result<(), StoreError>;

    /// The end of the last complete extraction of a report, where it keeps one.
    fn watermark(&self, report: &ReportName, tenant: &TenantName) -> Result<Option<Timestamp>, StoreError>;

    /// The last pause that a tenant asked for.
    fn tenant_wait(&self, tenant: &TenantName) -> Result<Option<TenantWait>, StoreError>;

    /// A tenant complained. Everybody who asks for a turn from now on hears of it; a wait is never shortened, and it
    /// survives a power cut.
    fn tenant_complained(&self, tenant: &TenantName, complaint: &Complaint) -> Result<(), StoreError>;

    /// Somebody wants to call a tenant: gives a turn, or tells when to ask again. What it notes may be lost in a power
    /// cut.
    fn take_turn(&self, tenant: &TenantName, asked: &TurnAsked) -> Result<Turn, StoreError>;
}
