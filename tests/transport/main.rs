//! The strict transport against raw servers that say exactly what a test tells them to, byte for byte, and then close,
//! break off or fall silent.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

mod ahead;
mod client;
mod faults;
mod proxy;
mod simulated;
mod support;
