//! Whoever looks on while a file is read, and may end it.

use std::ops::ControlFlow;

/// It was asked to end before it was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("ended before it was done")]
pub struct Interrupted;

/// Is told how far the reading of a file is.
pub trait Watch {
    /// A reading of a file of so many bytes begins. `doing` says what for.
    fn begin(&mut self, doing: &'static str, n_bytes: u64);

    /// So many of its bytes are read by now. Breaking ends everything.
    fn at(&mut self, n_bytes: u64) -> ControlFlow<()>;
}

/// Nobody looks on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unwatched;

impl Watch for Unwatched {
    fn begin(&mut self, _: &'static str, _: u64) {}

    fn at(&mut self, _: u64) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}
