//! The words every other folder speaks: names, numbers, times, outcomes, endings, and what is asked of a clock or a
//! disk.
//!
//! Values only. Nothing here does I/O, reads a clock or decides anything, and no library's type appears in a public
//! signature, so that any folder may use it.

mod answer;
mod asked;
mod disk;
mod ending;
mod ids;
mod manifest;
mod names;
mod outcome;
mod page;
mod position;
mod progress;
mod secret;
mod shown;
mod time;

pub use answer::{AnswerHead, TransportFault};
pub use asked::Asked;
pub use disk::{Disk, DiskFile, FileFacts, FileId, FileKind, OpenMode};
pub use ending::{Ending, Failure, FailureClass, Park, ParkReason};
pub use ids::{ExtractionId, PageNumber, QueryId, ReportName, TenantName};
pub use manifest::{CsvCounts, HttpCounts, Manifest, OutputRecord, PartRecord, Reconciliation, Verdict, WindowRecord};
pub use names::{OutputNames, Side, with};
pub use outcome::Outcome;
pub use page::{FirstRecord, LinkHint, PageDigest};
pub use position::{FileMark, Position};
pub use progress::{Progress, ReportState, WaitReason};
pub use secret::{AccessToken, Secret, TokenGeneration};
pub use shown::{bytes, count, n_of};
pub use time::{BootId, MachineClock, Moment, Ticks, Timestamp, WallClock, Window};
