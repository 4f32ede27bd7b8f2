//! What the troubles of sinks and of the store make of an extraction: parked, failed, or at a good end.

use crate::model::{Ending, Failure, FailureClass, Park, ParkReason, ReportName};
use crate::sink::SinkError;
use crate::state::StoreError;

/// The end of a report whose sink can't go on.
pub fn of_sink(report: &ReportName, error: &SinkError) -> Ending {
    let message = format!("{report}: {error}");
    match error {
        SinkError::Full { .. } => Ending::Parked(Park { reason: ParkReason::DiskFull, message, until: None }),
        SinkError::Unsynced { .. } => Ending::Parked(Park { reason: ParkReason::DiskFailed, message, until: None }),
        // Whoever reads has seen enough: `… | head` is no failure.
        SinkError::Closed => Ending::Skipped(message),
        SinkError::Unusable { .. } => Ending::Failed(Failure::new(FailureClass::Local, message)),
        SinkError::Lost { .. } | SinkError::Failed { .. } => Ending::Failed(Failure::new(FailureClass::Sink, message)),
    }
}

/// The same for a file, which lies on this machine: what was durable before still is, and a later run goes on from it,
/// or finishes what was begun.
pub fn of_file(report: &ReportName, error: &SinkError) -> Ending {
    match error {
        SinkError::Failed { .. } => {
            let message = format!("{report}: {error}; look after the disk, then run again");
            Ending::Parked(Park { reason: ParkReason::DiskFailed, message, until: None })
        }
        other => of_sink(report, other),
    }
}

/// The end of a report whose progress can't be stored. Nothing is lost: a later run goes on from what was.
pub fn of_store(report: &ReportName, error: &StoreError) -> Ending {
    match error {
        StoreError::Damaged { .. } => Ending::Failed(Failure::new(FailureClass::Config, format!("{report}: {error}"))),
        StoreError::Full { .. } => {
            let message = format!("{report}: {error}");
            Ending::Parked(Park { reason: ParkReason::DiskFull, message, until: None })
        }
        _ => {
            let message = format!("{report}: {error}; put that right, then run again");
            Ending::Parked(Park { reason: ParkReason::StateStore, message, until: None })
        }
    }
}
