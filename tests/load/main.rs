//! The load test as a library and as a command, over mock tenants of its own and over somebody's.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod command;
mod library;
