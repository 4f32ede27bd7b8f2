//! How a report ends: delivered, parked or failed, and why.

use std::fmt;
use std::sync::Arc;

use super::{Manifest, Timestamp};

/// Which promise or party a failed report failed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureClass {
    /// Credentials were refused.
    Auth,
    /// The tenant refused for good.
    Denied,
    /// The tenant's data broke the contract.
    Data,
    /// The destination failed for good.
    Sink,
    /// What is configured and what is stored don't fit together.
    Config,
    /// This machine is at fault: a directory, TLS trust.
    Local,
    /// The program is at fault: a stage died and could not be rebuilt.
    Internal,
}

impl fmt::Display for FailureClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auth => "credentials refused",
            Self::Denied => "refused by the tenant",
            Self::Data => "broken contract",
            Self::Sink => "destination failed",
            Self::Config => "configuration",
            Self::Local => "this machine",
            Self::Internal => "internal fault",
        })
    }
}

/// Why a report ended for good without a result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{class}: {message}")]
pub struct Failure {
    /// Which kind it is.
    pub class: FailureClass,
    /// What happened, where, and what to do; free of secrets and control characters.
    pub message: String,
}

impl Failure {
    /// A failure of that class with these words.
    pub fn new(class: FailureClass, message: impl Into<String>) -> Self {
        Self { class, message: message.into() }
    }
}

/// What a parked report is waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParkReason {
    /// The tenant asked for a longer pause than we are told to sit out.
    TenantPause,
    /// The tenant is down: tries or probes are exhausted.
    TenantDown,
    /// The query was not ready in time.
    NotReady,
    /// No room on the disk.
    DiskFull,
    /// The disk could not make durable what was written.
    DiskFailed,
    /// Another process works on the same report.
    Busy,
    /// What has to be remembered can't be stored.
    StateStore,
    /// The engine was told to stop.
    Stopped,
}

/// Why a report can't go on now. The next run goes on with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Park {
    /// Which kind it is.
    pub reason: ParkReason,
    /// What happened and what to do.
    pub message: String,
    /// When it is worth trying again, where that is known.
    pub until: Option<Timestamp>,
}

/// The end of an extraction.
#[derive(Clone, Debug)]
pub enum Ending {
    /// Delivered whole.
    Complete(Arc<Manifest>),
    /// There was nothing to ask for, or the same window is delivered already.
    Skipped(String),
    /// Could not be finished now.
    Parked(Park),
    /// Failed for good.
    Failed(Failure),
}
