//! The parts of a split report that are in its output, as plain values.
//!
//! They change where the output does: on its thread, in the job that ends a part. Whoever stores a position stores with
//! it what holds at that very point.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::actors::Counts;
use crate::actors::assembly::AssemblyMemo;
use crate::actors::output::Standing;
use crate::model::{FileMark, PartRecord, QueryId, Window};

/// A part whose pages are all handed on.
#[derive(Clone, Debug)]
pub struct EndedPart {
    /// Its query.
    pub query: QueryId,
    /// Its window.
    pub window: Window,
    /// What the tenant's counts said.
    pub counts: Counts,
    /// `totalRows` of its query.
    pub total_rows: Option<u64>,
}

/// A part that is in the output whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FinishedPart {
    /// What the manifest says of it.
    pub record: PartRecord,
    /// What the tenant's counts said.
    pub counts: Counts,
    /// `totalRows` of its query.
    pub total_rows: Option<u64>,
}

/// Where the part that is being read began.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PartStart {
    /// The output at its beginning.
    pub output: FileMark,
    /// The files beside it then.
    #[serde(default)]
    pub sides: BTreeMap<String, FileMark>,
    /// The output's state then.
    pub standing: Standing,
    /// The pages' state then.
    pub assembly: AssemblyMemo,
}

/// The parts before the present one, and where that began.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PartsRead {
    /// The finished ones. Shared, since every point in the output that may be gone back to has them.
    pub finished: Arc<Vec<FinishedPart>>,
    /// None while the first part is being read.
    pub start: Option<Arc<PartStart>>,
}

impl PartsRead {
    /// What is to be said of the present part, if it ends where the output stands now.
    pub fn ending(&self, ended: EndedPart, now: &Standing) -> FinishedPart {
        let beginning = Standing::default();
        let then = self.start.as_ref().map_or(&beginning, |start| &start.standing);
        let n_records = |standing: &Standing| standing.written.n_bytes.saturating_sub(standing.n_header_bytes);
        FinishedPart {
            record: PartRecord {
                query_id: ended.query,
                window: ended.window,
                pages: now.written.n_pages - then.written.n_pages,
                rows: now.written.n_rows - then.written.n_rows,
                bytes: n_records(now) - n_records(then),
            },
            counts: ended.counts,
            total_rows: ended.total_rows,
        }
    }
}
