//! The mock tenant, checked from outside with plain sockets and requests written by hand.
//!
//! Nothing of the program takes part but in `data`: whoever judges must be judged by other means.

#![allow(clippy::unwrap_used)]

mod books;
mod client;
mod clients;
mod data;
mod desk;
mod faults;
mod giving_up;
mod host;
mod limits;
mod openapi;
mod plans;
mod protocol;
mod simulated;
mod tokens;
mod wire;
