//! What every state store must do, and what the SQLite store does about damage, other versions, other processes and
//! unfit places.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, which is what it is for")]

mod contract;
mod damage;
mod pace;
mod places;
mod processes;
mod support;
mod versions;
