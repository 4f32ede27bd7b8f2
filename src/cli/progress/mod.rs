//! Progress for people and programs: bars, plain lines, or events.
//!
//! Snapshots come in, text goes out. What is worth saying and in which words is decided by plain functions over
//! snapshots and the present moment; only [`bars`] and the `Screen` touch a terminal.

mod bars;
mod board;
mod ended;
mod events;
mod plain;
mod summary;

use std::io::{self, Write};

use cxtract::model::{Progress, Timestamp};

#[cfg(test)]
pub(crate) use self::ended::samples;
pub(crate) use self::ended::{Ended, exit_of};
use crate::cli::args::ProgressMode;
use crate::cli::screen::Screen;

/// Someone who is told how a run goes.
pub(crate) trait Reporter: Send {
    /// A new snapshot.
    fn seen(&mut self, progress: &Progress, now: Timestamp);
    /// A report is over.
    fn ended(&mut self, ended: &Ended, now: Timestamp);
    /// Time has passed.
    fn tick(&mut self, now: Timestamp);
    /// The run is over.
    fn finish(&mut self, all: &[Ended], now: Timestamp);
}

/// The reporter for a mode; `auto` has been decided before.
pub(crate) fn reporter(mode: ProgressMode, screen: &Screen) -> Box<dyn Reporter> {
    let zone = jiff::tz::TimeZone::system();
    match mode {
        ProgressMode::Bar => Box::new(bars::Bars::new(screen.clone(), zone)),
        ProgressMode::Auto | ProgressMode::Plain => {
            Box::new(PlainLines { plain: plain::Plain::new(zone), screen: screen.clone() })
        }
        ProgressMode::Json => {
            Box::new(EventLines { events: events::Events::default(), out: io::stdout(), screen: screen.clone() })
        }
        ProgressMode::None => Box::new(Silent { screen: screen.clone() }),
    }
}

/// What `auto` comes to.
pub(crate) fn decide(mode: ProgressMode, stderr_is_terminal: bool) -> ProgressMode {
    match (mode, stderr_is_terminal) {
        (ProgressMode::Auto, true) => ProgressMode::Bar,
        (ProgressMode::Auto, false) => ProgressMode::Plain,
        (mode, _) => mode,
    }
}

struct PlainLines {
    plain: plain::Plain,
    screen: Screen,
}

impl Reporter for PlainLines {
    fn seen(&mut self, progress: &Progress, now: Timestamp) {
        self.screen.lines(self.plain.seen(progress, now));
    }

    fn ended(&mut self, ended: &Ended, now: Timestamp) {
        self.screen.lines(self.plain.ended(ended, now));
    }

    fn tick(&mut self, now: Timestamp) {
        self.screen.lines(self.plain.tick(now));
    }

    fn finish(&mut self, all: &[Ended], _: Timestamp) {
        self.screen.lines(summary::table(all));
    }
}

struct EventLines<W> {
    events: events::Events,
    out: W,
    screen: Screen,
}

impl<W: Write> EventLines<W> {
    /// Whoever reads the events may go away: that is their affair, the extraction goes on.
    fn write(&mut self, events: Vec<serde_json::Value>) {
        for event in events {
            let _ = writeln!(self.out, "{event}");
        }
        let _ = self.out.flush();
    }
}

impl<W: Write + Send> Reporter for EventLines<W> {
    fn seen(&mut self, progress: &Progress, _: Timestamp) {
        let events = self.events.seen(progress);
        self.write(events);
    }

    fn ended(&mut self, ended: &Ended, _: Timestamp) {
        let event = events::ended(ended);
        self.write(vec![event]);
    }

    fn tick(&mut self, _: Timestamp) {}

    fn finish(&mut self, all: &[Ended], now: Timestamp) {
        self.write(vec![events::summary(all, now)]);
        self.screen.lines(summary::troubles(all));
    }
}

struct Silent {
    screen: Screen,
}

impl Reporter for Silent {
    fn seen(&mut self, _: &Progress, _: Timestamp) {}

    fn ended(&mut self, _: &Ended, _: Timestamp) {}

    fn tick(&mut self, _: Timestamp) {}

    fn finish(&mut self, all: &[Ended], _: Timestamp) {
        self.screen.lines(summary::troubles(all));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_drawn_only_on_a_terminal_unless_asked_for() {
        assert_eq!(decide(ProgressMode::Auto, true), ProgressMode::Bar);
        assert_eq!(decide(ProgressMode::Auto, false), ProgressMode::Plain);
        assert_eq!(decide(ProgressMode::Json, true), ProgressMode::Json);
        assert_eq!(decide(ProgressMode::Bar, false), ProgressMode::Bar);
    }

    #[test]
    fn a_closed_stdout_does_not_stop_the_events() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
        }
        let mut lines = EventLines { events: events::Events::default(), out: Closed, screen: Screen::hidden() };
        lines.finish(&[], Timestamp(0));
    }
}
