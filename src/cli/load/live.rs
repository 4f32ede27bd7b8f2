//! How a load goes, while it goes: a bar, plain lines or events.

use std::io::Write as _;
use std::time::Duration;

use cxtract::load::{LoadReport, Tick};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::cli::args::ProgressMode;
use crate::cli::screen::Screen;
use crate::cli::words;

/// Between two plain lines.
const QUIET: Duration = Duration::from_secs(5);

/// Shows progress.
pub(crate) struct Live {
    mode: ProgressMode,
    screen: Screen,
    bar: Option<ProgressBar>,
    said: Option<Duration>,
    was_checking: bool,
}

impl Live {
    pub(crate) fn new(mode: ProgressMode, screen: &Screen, asked: Option<u64>) -> Self {
        let bar = (mode == ProgressMode::Bar).then(|| {
            let (bar, form) = match asked {
                Some(asked) => (ProgressBar::new(asked), "[{bar:24}] {msg}"),
                None => (ProgressBar::new_spinner(), "{spinner} {msg}"),
            };
            bar.set_style(style(form));
            screen.add_bar(bar)
        });
        Self { mode, screen: screen.clone(), bar, said: None, was_checking: false }
    }

    /// A second has passed.
    pub(crate) fn tick(&mut self, tick: &Tick) {
        match (self.mode, &self.bar) {
            (ProgressMode::None, _) => {}
            (ProgressMode::Json, _) => {
                // Whoever reads the events may go away: the load goes on.
                let _ = writeln!(std::io::stdout().lock(), "{}", event(tick));
            }
            (_, Some(bar)) => {
                bar.set_position(tick.complete + tick.troubled);
                bar.set_message(line(tick));
                bar.tick();
            }
            (_, None) => {
                let is_due = self.said.is_none_or(|said| tick.elapsed.saturating_sub(said) >= QUIET);
                let begins_checking = tick.checked.is_some() && !self.was_checking;
                if is_due || begins_checking {
                    self.was_checking |= begins_checking;
                    self.said = Some(tick.elapsed);
                    self.screen.lines(vec![line(tick)]);
                }
            }
        }
    }

    /// The load is over; none where it could not be carried out.
    pub(crate) fn end(&mut self, report: Option<&LoadReport>) {
        if let (ProgressMode::Json, Some(report)) = (self.mode, report) {
            let _ = writeln!(std::io::stdout().lock(), "{}", done(report));
        }
        if let Some(bar) = self.bar.take() {
            self.screen.remove_bar(&bar);
        }
    }
}

/// How the load stands, on one line.
fn line(tick: &Tick) -> String {
    let whole = Duration::from_secs(tick.elapsed.as_secs());
    let reports = match tick.asked {
        Some(asked) => format!("{} of {}", words::count(tick.complete), words::n_of(asked, "report")),
        None => words::n_of(tick.complete, "report"),
    };
    let troubled = match tick.troubled {
        0 => String::new(),
        n => format!(", {} not delivered", words::count(n)),
    };
    if let Some((checked, of)) = tick.checked {
        return format!("{}: {reports}{troubled}; outputs checked: {checked} of {of}", words::span(whole));
    }
    format!(
        "{}: {reports}{troubled}, {}/s, {} requests/s, {} told to wait",
        words::span(whole),
        words::bytes(tick.bytes_per_second as u64),
        words::count(tick.requests_per_second as u64),
        words::count(tick.throttled)
    )
}

fn event(tick: &Tick) -> serde_json::Value {
    json!({
        "event": if tick.checked.is_some() { "checking" } else { "load" },
        "elapsed_s": (tick.elapsed.as_secs_f64() * 10.0).round() / 10.0,
        "complete": tick.complete,
        "troubled": tick.troubled,
        "asked": tick.asked,
        "bytes_per_second": tick.bytes_per_second as u64,
        "requests_per_second": tick.requests_per_second as u64,
        "throttled": tick.throttled,
        "checked": tick.checked.map(|(checked, _)| checked),
    })
}

/// The last event: nothing comes after it.
fn done(report: &LoadReport) -> serde_json::Value {
    let all = report.json();
    let figure = |name: &str| all["metrics"][name].clone();
    json!({
        "event": "done",
        "elapsed_s": figure("duration_s"),
        "stopped": report.stopped,
        "complete": figure("complete"),
        "verified": figure("verified"),
        "wrong": figure("wrong"),
        "unchecked": figure("unchecked"),
        "all_right": report.all_right(),
    })
}

fn style(template: &'static str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tick() -> Tick {
        Tick {
            elapsed: Duration::from_millis(75_300),
            complete: 12,
            troubled: 1,
            asked: Some(1000),
            bytes_per_second: 12_345_678.0,
            requests_per_second: 987.0,
            throttled: 3,
            checked: None,
        }
    }

    #[test]
    fn a_line_says_how_far_and_how_fast() {
        let due = "1 m 15 s: 12 of 1,000 reports, 1 not delivered, 12.3 MB/s, 987 requests/s, 3 told to wait";
        assert_eq!(line(&tick()), due);
        let endless = Tick { asked: None, troubled: 0, ..tick() };
        assert!(line(&endless).starts_with("1 m 15 s: 12 reports, 12.3 MB/s"));
        let checking = Tick { checked: Some((5, 12)), ..tick() };
        assert!(line(&checking).ends_with("outputs checked: 5 of 12"));
    }

    #[test]
    fn an_event_has_what_a_line_has() {
        let event = event(&tick());
        assert_eq!((&event["event"], &event["complete"], &event["asked"]), (&json!("load"), &json!(12), &json!(1000)));
        assert_eq!(event["elapsed_s"], 75.3);
    }

    #[test]
    fn every_template_is_sound() {
        for template in ["[{bar:24}] {msg}", "{spinner} {msg}"] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }
}
