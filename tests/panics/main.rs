//! Makes every stage die, once and for ever, and looks at what becomes of its report and of the others.
//!
//! Runs with `cargo test --features failpoints --test panics`.

mod always;
mod once;
mod sinks;
mod storms;
mod support;
