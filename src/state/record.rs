//! What is stored, as values.

use std::collections::{BTreeMap, BTreeSet};

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

impl ExtractionKey {
    /// By report, tenant and window.
    pub(super) fn order(&self) -> impl Ord + '_ {
        (&self.report, &self.tenant, self.window.from, self.window.to, &self.hash)
    }
}

/// Where a window came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// It follows from the report's configuration; completed, it moves the watermark of a `since` report.
    Configured,
    /// Somebody asked for just that window. It never moves a watermark.
    Given,
}

/// What is stored of an extraction before anything is asked of the tenant. It stays as it is until the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Begun {
    /// Where its window came from.
    pub origin: Origin,
    /// What its hash was made of: a JSON object by configuration key, so that a later change can be named.
    pub form: String,
    /// The file that it ends up in, `-` for standard output, empty for a host's own sink.
    pub output: String,
}

/// A query that the tenant accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredQuery {
    /// What the tenant calls it.
    pub id: QueryId,
    /// When it was submitted.
    pub submitted_at: Timestamp,
    /// Whether that was in place of one that had expired. If such a one expires too, the extraction fails.
    pub after_loss: bool,
}

/// A position, with what the writer needs besides to go on from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Everything before it is durable.
    pub position: Position,
    /// The writer's own: columns, counts, finished parts.
    pub memo: String,
}

/// What is known of one extraction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredExtraction {
    /// Which one.
    pub key: ExtractionKey,
    /// What it began with.
    pub begun: Begun,
    /// Where it stands.
    pub state: ReportState,
    /// A remark for people.
    pub message: Option<String>,
    /// The queries, by part.
    pub queries: BTreeMap<u32, StoredQuery>,
    /// The parts for which a submission may be on its way to the tenant, its outcome not known.
    pub submissions: BTreeSet<u32>,
    /// The parts of which a query has expired.
    pub expired: BTreeSet<u32>,
    /// Where to go on; none where nothing is durable yet.
    pub checkpoint: Option<Checkpoint>,
    /// How often a later run has gone on with it.
    pub n_resumed: u64,
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
    /// An extraction that has just begun.
    pub fn new(key: ExtractionKey, begun: Begun, now: Timestamp) -> Self {
        Self {
            key,
            begun,
            state: ReportState::Queued,
            message: None,
            queries: BTreeMap::new(),
            submissions: BTreeSet::new(),
            expired: BTreeSet::new(),
            checkpoint: None,
            n_resumed: 0,
            delivery: None,
            manifest: None,
            created_at: now,
            updated_at: now,
        }
    }

    /// Whether a later run has anything to go on from: a query at the tenant, or a position.
    pub fn has_something(&self) -> bool {
        !self.queries.is_empty() || self.checkpoint.is_some() || self.delivery.is_some()
    }

    /// A later run goes on with it.
    pub(super) fn taken_up(&mut self) {
        self.n_resumed += u64::from(self.has_something());
    }

    /// A query was accepted for a part.
    pub(super) fn submitted(&mut self, part: u32, query: &QueryId, submitted_at: Timestamp) {
        let after_loss = self.expired.contains(&part);
        self.queries.insert(part, StoredQuery { id: query.clone(), submitted_at, after_loss });
        self.submissions.remove(&part);
    }

    /// The query of a part is lost, and with it what is behind `checkpoint`.
    pub(super) fn expired(&mut self, part: u32, checkpoint: Option<&Checkpoint>) {
        self.queries.remove(&part);
        self.checkpoint = checkpoint.cloned();
        self.expired.insert(part);
    }

    /// Everything before the position is durable; queries of parts that are behind it have served.
    pub(super) fn reached(&mut self, checkpoint: &Checkpoint) {
        self.queries.retain(|part, _| *part >= checkpoint.position.part);
        self.checkpoint = Some(checkpoint.clone());
    }

    /// It stands there now. What is delivered stays delivered, whatever a late word says.
    pub(super) fn stands(&mut self, state: ReportState, message: Option<&str>) {
        if self.state != ReportState::Complete {
            self.state = state;
            self.message = message.map(str::to_owned);
        }
    }

    /// It is about to be delivered.
    pub(super) fn delivering(&mut self, delivery: &str, manifest: &str) {
        self.delivery = Some(delivery.to_owned());
        self.manifest = Some(manifest.to_owned());
    }

    /// It is delivered: what was needed to get there is of no more use.
    pub fn completed(&mut self, manifest: &str) {
        self.state = ReportState::Complete;
        self.message = None;
        self.queries.clear();
        self.submissions.clear();
        self.checkpoint = None;
        self.delivery = None;
        self.manifest = Some(manifest.to_owned());
    }

    /// Whether there is something to go on with.
    pub fn is_unfinished(&self) -> bool {
        !matches!(self.state, ReportState::Complete | ReportState::Failed)
    }
}
