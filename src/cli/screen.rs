//! The one way to stderr: lines, log events and bars share it without garbling each other.
//!
//! Bars are taken off for the moment in which a line is written. A stderr that is gone is ignored: nobody is left to
//! tell.

use std::io::{self, Write};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget};
use tracing_subscriber::fmt::MakeWriter;

/// Writes to stderr around the bars, if there are any.
#[derive(Clone, Debug)]
pub(crate) struct Screen {
    bars: Option<MultiProgress>,
    silent: bool,
}

impl Screen {
    /// A screen that draws bars.
    pub(crate) fn with_bars() -> Self {
        Self { bars: Some(MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10))), silent: false }
    }

    /// A screen for lines alone.
    pub(crate) fn plain() -> Self {
        Self { bars: None, silent: false }
    }

    /// A screen that nobody sees.
    #[cfg(test)]
    pub(crate) fn hidden() -> Self {
        Self { bars: Some(MultiProgress::with_draw_target(ProgressDrawTarget::hidden())), silent: true }
    }

    /// Writes lines.
    pub(crate) fn lines(&self, lines: Vec<String>) {
        if lines.is_empty() {
            return;
        }
        let mut text = lines.join("\n");
        text.push('\n');
        self.write(text.as_bytes());
    }

    /// Whether bars are drawn.
    pub(crate) fn has_bars(&self) -> bool {
        self.bars.is_some()
    }

    /// Adds a bar below the others.
    pub(crate) fn add_bar(&self, bar: ProgressBar) -> ProgressBar {
        match &self.bars {
            Some(bars) => bars.add(bar),
            None => bar,
        }
    }

    /// Takes a bar away.
    pub(crate) fn remove_bar(&self, bar: &ProgressBar) {
        if let Some(bars) = &self.bars {
            bars.remove(bar);
        }
    }

    fn write(&self, bytes: &[u8]) {
        if self.silent {
            return;
        }
        let write = || {
            let mut stderr = io::stderr().lock();
            let _ = stderr.write_all(bytes);
        };
        match &self.bars {
            Some(bars) => bars.suspend(write),
            None => write(),
        }
    }
}

/// One log event on its way to the screen. It is written whole when it is dropped.
pub(crate) struct EventWriter {
    screen: Screen,
    bytes: Vec<u8>,
}

impl Write for EventWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for EventWriter {
    fn drop(&mut self) {
        if !self.bytes.is_empty() {
            self.screen.write(&self.bytes);
        }
    }
}

impl<'a> MakeWriter<'a> for Screen {
    type Writer = EventWriter;

    fn make_writer(&'a self) -> Self::Writer {
        EventWriter { screen: self.clone(), bytes: Vec::new() }
    }
}
