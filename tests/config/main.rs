//! What the configuration does about each fault that a user or a machine can put into it.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, which is what it is for")]

mod faults;
mod paths;
mod secrets;
mod support;
