//! Work on a file, watched: how far it is on stderr, and a signal that ends it.
//!
//! The work has a thread of its own. A first signal asks it to end, so that it takes away what it has begun; a second
//! one ends the program at once.

use std::io;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix::System;
use cxtract::delivery::inspect::Watch;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::Instant;

use crate::cli::exit::{Exit, Signal};
use crate::cli::screen::Screen;
use crate::cli::signals::Signals;
use crate::cli::words;

/// How often lines tell how far it is, where no bars are drawn.
const BETWEEN_LINES: Duration = Duration::from_secs(10);
const TEMPLATE: &str =
    "{prefix:<24!} [{bar:24}] {msg} {decimal_bytes} of {decimal_total_bytes}, {decimal_bytes_per_sec}";

/// Does the work on a thread of its own; also tells by which signal it was asked to end, if it was.
///
/// # Errors
/// If signals can't be caught.
pub(crate) fn watched<T: Send + 'static>(
    screen: &Screen,
    work: impl FnOnce(Onlooker) -> T + Send + 'static,
) -> io::Result<(T, Option<Signal>)> {
    let stop = Arc::new(AtomicBool::new(false));
    let onlooker = Onlooker { screen: screen.clone(), stop: stop.clone(), name: String::new(), shown: Shown::Nothing };
    System::new().block_on(async {
        let mut signals = Signals::catch()?;
        let mut work = tokio::task::spawn_blocking(move || work(onlooker));
        let mut asked = None;
        loop {
            tokio::select! {
                done = &mut work => match done {
                    Ok(done) => return Ok((done, asked)),
                    Err(died) => std::panic::resume_unwind(died.into_panic()),
                },
                signal = signals.next() => {
                    if asked.replace(signal).is_some() {
                        std::process::exit(Exit::from(signal).code().into());
                    }
                    stop.store(true, Ordering::Relaxed);
                }
            }
        }
    })
}

/// Shows how far the reading of files is.
pub(crate) struct Onlooker {
    screen: Screen,
    stop: Arc<AtomicBool>,
    name: String,
    shown: Shown,
}

enum Shown {
    Nothing,
    Bar(ProgressBar),
    Lines { doing: &'static str, n_bytes: u64, last: Instant },
}

impl Onlooker {
    /// The next file begins.
    pub(crate) fn file(&mut self, path: &Path) {
        self.name = words::escaped(&path.to_string_lossy());
    }

    /// It is over, and its bar makes room for what came of it.
    pub(crate) fn over(&mut self) {
        if let Shown::Bar(bar) = std::mem::replace(&mut self.shown, Shown::Nothing) {
            bar.finish_and_clear();
            self.screen.remove_bar(&bar);
        }
    }
}

impl Watch for Onlooker {
    fn begin(&mut self, doing: &'static str, n_bytes: u64) {
        self.over();
        if !self.screen.has_bars() {
            self.shown = Shown::Lines { doing, n_bytes, last: Instant::now() };
            return;
        }
        let bar = self.screen.add_bar(ProgressBar::new(n_bytes));
        let style = ProgressStyle::with_template(TEMPLATE).unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style.progress_chars("=> "));
        // The end of a path tells more than its beginning.
        let n_chars = self.name.chars().count();
        bar.set_prefix(self.name.chars().skip(n_chars.saturating_sub(24)).collect::<String>());
        bar.set_message(doing);
        self.shown = Shown::Bar(bar);
    }

    fn at(&mut self, n_bytes: u64) -> ControlFlow<()> {
        if self.stop.load(Ordering::Relaxed) {
            return ControlFlow::Break(());
        }
        match &mut self.shown {
            Shown::Nothing => {}
            Shown::Bar(bar) => bar.set_position(n_bytes),
            Shown::Lines { doing, n_bytes: all, last } => {
                if last.elapsed() >= BETWEEN_LINES {
                    *last = Instant::now();
                    let (at, all) = (words::bytes(n_bytes), words::bytes(*all));
                    self.screen.lines(vec![format!("{}: {doing}, {at} of {all}", self.name)]);
                }
            }
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_is_sound() {
        assert!(ProgressStyle::with_template(TEMPLATE).is_ok());
    }

    #[test]
    fn whoever_looks_on_can_end_the_work() {
        let stop = Arc::new(AtomicBool::new(false));
        let screen = Screen::hidden();
        let mut onlooker = Onlooker { screen, stop: stop.clone(), name: "a.csv".to_owned(), shown: Shown::Nothing };
        onlooker.begin("reading", 10);
        assert_eq!(onlooker.at(5), ControlFlow::Continue(()));
        stop.store(true, Ordering::Relaxed);
        assert_eq!(onlooker.at(6), ControlFlow::Break(()));
        onlooker.over();
        assert!(matches!(onlooker.shown, Shown::Nothing));
    }
}
