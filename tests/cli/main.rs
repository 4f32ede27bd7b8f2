//! The real binary: arguments, exit codes, streams, and signals, against embedded tenants.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod exits;
mod faults;
mod init;
mod mock;
mod plans;
mod repair;
mod resume;
mod running;
mod signals;
mod store;
mod streams;
mod support;
mod verify;
mod windows;
