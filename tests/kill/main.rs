//! The real binary is killed, stopped and starved, again and again; what the next run leaves is held to the mock
//! tenant's own data, and its calls to the tenant's ledger.
//!
//! `CXTRACT_KILLS` says how many kills at random moments (60 if not said), `CXTRACT_KILL_SEED` which ones.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a process that is killed lives in real time")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "figures are shown by --nocapture")]

mod disks;
#[cfg(feature = "failpoints")]
mod finishing;
mod judge;
mod memory;
mod place;
mod random;
mod runs;
mod signals;
mod together;
