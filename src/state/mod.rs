//! What a run remembers for the next one: queries, positions, watermarks and the tenants' waits.
//!
//! A store keeps values and decides nothing. What a call acknowledged survives a power cut; a call is all or
//! nothing. Calls block, so that they belong on the store's own thread: see [`StoreHandle`].

mod handle;
mod memory;
mod record;

pub use handle::StoreHandle;
pub use memory::{MemoryStore, StoreFault};
pub use record::{ExtractionKey, StoredExtraction, StoredQuery, TenantWait};

use crate::model::{Position, QueryId, ReportName, ReportState, TenantName, Timestamp};

/// Why the store did not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// What is stored can't be what was stored: nothing may be built on it.
    #[error("the state store is damaged: {what}; restore it from a copy, or move it away and run with --fresh")]
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
}

impl StoreError {
    /// The call failed.
    pub fn failed(doing: impl Into<String>, reason: impl std::fmt::Display) -> Self {
        Self::Failed { doing: doing.into(), reason: reason.to_string() }
    }
}

/// A store of state. Each call is one transaction.
pub trait Store: Send + Sync {
    /// What is known of an extraction.
    fn load(&self, key: &ExtractionKey) -> Result<Option<StoredExtraction>, StoreError>;

    /// All extractions, by report, tenant and window.
    fn list(&self) -> Result<Vec<StoredExtraction>, StoreError>;

    /// A query was accepted for that part of the extraction (0 without a split), in place of any earlier one.
    fn save_query(
        &self,
        key: &ExtractionKey,
        part: u32,
        query: &QueryId,
        submitted_at: Timestamp,
    ) -> Result<(), StoreError>;

    /// The query of a part has expired: forgets it, goes back to `position`, and counts the loss.
    fn drop_expired_query(&self, key: &ExtractionKey, part: u32, position: Option<&Position>)
    -> Result<(), StoreError>;

    /// Everything before `position` is durable. `memo` is the writer's own: what it needs to go on besides, such as
    /// the columns and counts that the manifest will tell.
    fn save_position(&self, key: &ExtractionKey, position: &Position, memo: &str) -> Result<(), StoreError>;

    /// Where the extraction stands now, with a remark for people.
    fn save_state(&self, key: &ExtractionKey, state: ReportState, message: Option<&str>) -> Result<(), StoreError>;

    /// The output is whole and about to be published; `delivery` tells how to finish that.
    fn save_delivery(&self, key: &ExtractionKey, delivery: &str) -> Result<(), StoreError>;

    /// The extraction is delivered. Where a watermark is given, it becomes the report's.
    fn complete(&self, key: &ExtractionKey, manifest: &str, watermark: Option<Timestamp>) -> Result<(), StoreError>;

    /// Forgets an extraction; watermarks stay.
    fn forget(&self, key: &ExtractionKey) -> Result<(), StoreError>;

    /// The end of the last complete extraction of a report, where it keeps one.
    fn watermark(&self, report: &ReportName, tenant: &TenantName) -> Result<Option<Timestamp>, StoreError>;

    /// Until when a tenant asked to be left alone.
    fn tenant_wait(&self, tenant: &TenantName) -> Result<Option<TenantWait>, StoreError>;

    /// A tenant asked to be left alone. A wait is never shortened: the one that ends later stays.
    fn save_tenant_wait(&self, tenant: &TenantName, wait: TenantWait) -> Result<(), StoreError>;
}
