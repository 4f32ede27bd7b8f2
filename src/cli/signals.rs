//! SIGINT and SIGTERM. The library installs no handlers: signals belong to the program.

use std::io;

use tokio::signal::unix::{SignalKind, signal};

use crate::cli::exit::Signal;

/// The signal of a file that may not grow any more. Unheard it ends the process; heard, the write fails like one on a
/// full disk, and the report parks.
const FILE_TOO_LARGE: i32 = 25;

/// Both signals that ask the program to end, caught from the moment this is made.
pub(crate) struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    _too_large: Option<tokio::signal::unix::Signal>,
}

impl Signals {
    /// Catches both.
    pub(crate) fn catch() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            // Of another number elsewhere, where such limits are not heard of either.
            _too_large: cfg!(target_os = "linux").then(|| signal(SignalKind::from_raw(FILE_TOO_LARGE)).ok()).flatten(),
        })
    }

    /// The next one.
    pub(crate) async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::Interrupt,
            _ = self.terminate.recv() => Signal::Terminate,
        }
    }
}
