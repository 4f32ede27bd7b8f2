//! No secret is written anywhere, and none is sent to anybody but its owner.
//!
//! The real binary, at its most talkative, against tenants that send back all they were sent in every writing; and then
//! a search through everything that it wrote. A new outcome is a new line in [`outcomes`].

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod canary;
mod configurations;
mod hostile;
mod library;
mod origins;
mod outcomes;
#[cfg(feature = "failpoints")]
mod panics;
mod place;
