//! Pure decisions: each takes the present moment, randomness and what was seen as arguments, and answers what to do.
//!
//! Everything that is hard to get right about pacing, pausing, retrying, tokens and the end of results stands here,
//! where a test can hold it to its rules without a network, a clock or an actor. Nothing here does I/O or reads a
//! clock.

pub mod backoff;
pub mod breaker;
pub mod classify;
pub mod ends;
pub mod gate;
pub mod rate_limit;
pub mod retry_after;
pub mod token;
pub mod window;
