//! Files of CSV that lie on a disk: what is wrong with one, and a copy with nothing wrong.
//!
//! A file is read from its beginning to its end, as often as it takes and never kept, so that memory stays the same
//! whatever its size. The first reading only asks whether anything is wrong; only then is it asked what. Nothing here
//! ever writes to the file that is looked at.

mod classify;
mod faults;
mod hashing;
mod manifest;
mod mending;
mod names;
mod repair;
mod source;
mod structure;
#[cfg(test)]
mod tests;
mod verify;
mod watch;
mod written;

pub use faults::{Fault, Faults};
pub use repair::{RepairError, Repaired, repair};
pub use verify::{Verified, VerifyRules, verify};
pub use watch::{Interrupted, Unwatched, Watch};

/// The longest record where nobody says otherwise, as a tenant's `limits.record_bytes` has it.
pub const RECORD_BYTES: u64 = 16 << 20;
