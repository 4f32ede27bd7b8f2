//! The words every other folder speaks: names, numbers, times, outcomes, endings.
//!
//! Values only. Nothing here does I/O, reads a clock or decides anything, and no
//! library's type appears in a public signature, so that any folder may use it.

mod answer;
mod ending;
mod ids;
mod manifest;
mod outcome;
mod page;
mod progress;
mod secret;
mod time;

pub use answer::{AnswerHead, TransportFault};
pub use ending::{Ending, Failure, FailureClass, Park, ParkReason};
pub use ids::{ExtractionId, PageNumber, QueryId, ReportName, TenantName};
pub use manifest::{CsvCounts, HttpCounts, Manifest, OutputRecord, PartRecord, Reconciliation, Verdict, WindowRecord};
pub use outcome::Outcome;
pub use page::{FirstRecord, LinkHint, PageDigest, PageSummary};
pub use progress::{Progress, ReportState, WaitReason};
pub use secret::{AccessToken, Secret, TokenGeneration};
pub use time::{Timestamp, WallClock, Window};
