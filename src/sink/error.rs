//! Why a sink can't go on. One variant for each thing that the caller does differently.

use std::fmt::Display;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;

/// Why a sink can't go on. Clones are cheap: the same error answers every later call.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SinkError {
    /// There is no room. Nothing is lost: the report parks.
    #[error("{place}: no room left: {source}; make room, then run again")]
    Full {
        /// Which file.
        place: String,
        /// The system's words.
        #[source]
        source: Arc<io::Error>,
    },
    /// What was written could not be made durable. A second try would prove nothing; a later run goes on from what was
    /// durable before.
    #[error("{place}: could not be made durable: {source}; look after the disk, then run again")]
    Unsynced {
        /// Which file.
        place: String,
        /// The system's words.
        #[source]
        source: Arc<io::Error>,
    },
    /// What was written earlier is gone or has been changed by somebody else.
    #[error("{place}: {why}; what was extracted so far can't be trusted, the next run (or --fresh) starts again")]
    Lost {
        /// Which file.
        place: String,
        /// What was found.
        why: String,
    },
    /// The destination can't be used at all; said before anything is extracted.
    #[error("{place}: {why}")]
    Unusable {
        /// Which file or directory.
        place: String,
        /// What is wrong with it, and what to do.
        why: String,
    },
    /// It failed in some other way.
    #[error("{place}: {doing}: {source}")]
    Failed {
        /// Which file.
        place: String,
        /// What was being done.
        doing: String,
        /// The system's words.
        #[source]
        source: Arc<io::Error>,
    },
    /// The reader at the other end went away, which ends the matter without a complaint.
    #[error("the reader of the output went away")]
    Closed,
}

impl SinkError {
    /// What was written earlier is gone or changed.
    pub fn lost(place: impl Display, why: impl Into<String>) -> Self {
        Self::Lost { place: place.to_string(), why: why.into() }
    }

    /// It failed, for want of room or otherwise; the error's kind tells.
    pub fn failed(place: impl Display, doing: impl Into<String>, source: io::Error) -> Self {
        let (place, source) = (place.to_string(), Arc::new(source));
        match source.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => Self::Full { place, source },
            _ => Self::Failed { place, doing: doing.into(), source },
        }
    }

    /// It could not be made durable, whatever the system says why.
    pub fn unsynced(place: impl Display, source: io::Error) -> Self {
        Self::Unsynced { place: place.to_string(), source: Arc::new(source) }
    }

    /// The caller and the sink disagree about where they are.
    pub fn out_of_step(place: impl Display, what: &str) -> Self {
        Self::failed(place, "keeping in step with the writer", io::Error::other(what.to_owned()))
    }

    pub(super) fn unusable(place: &Path, why: impl Into<String>) -> Self {
        Self::Unusable { place: place.display().to_string(), why: why.into() }
    }
}
