//! Progress as bars on a terminal: one per report under way, one line per tenant that makes its reports wait.
//!
//! Only so many bars are drawn as fit on a screen; a report that is over leaves a plain line above them.

use std::collections::HashMap;
use std::time::Duration;

use cxtract::model::{Progress, ReportName, ReportState, Timestamp};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::tz::TimeZone;

use super::board::{Board, is_the_tenants, own_wait};
use super::plain::growth;
use super::{Ended, Reporter, summary};
use crate::cli::screen::Screen;
use crate::cli::words;

/// More would push the first ones off the screen.
const MOST_BARS: usize = 16;

/// Draws the bars.
pub(crate) struct Bars {
    screen: Screen,
    zone: TimeZone,
    board: Board,
    bars: HashMap<ReportName, ProgressBar>,
    footer: Option<ProgressBar>,
}

impl Bars {
    pub(crate) fn new(screen: Screen, zone: TimeZone) -> Self {
        Self { screen, zone, board: Board::default(), bars: HashMap::new(), footer: None }
    }

    /// Draws a report's bar anew; makes one where it has none and there is room.
    fn draw(&mut self, progress: &Progress, now: Timestamp) {
        if !self.bars.contains_key(&progress.report) {
            if self.bars.len() >= MOST_BARS || progress.state == ReportState::Queued {
                return;
            }
            let bar = self.screen.add_bar(ProgressBar::new(0));
            bar.set_prefix(progress.report.to_string());
            self.bars.insert(progress.report.clone(), bar);
        }
        let bar = &self.bars[&progress.report];
        match progress.n_pages_expected {
            Some(expected) if expected > 0 => {
                bar.set_style(style("{prefix:<24!} [{bar:24}] {msg}"));
                bar.set_length(expected.max(progress.n_pages));
            }
            _ => bar.set_style(style("{prefix:<24!} {spinner}{bar:25.hidden} {msg}")),
        }
        bar.set_position(progress.n_pages);
        bar.set_message(text(progress, now, &self.zone));
        bar.tick();
    }

    fn draw_footer(&mut self, now: Timestamp) {
        let mut lines: Vec<String> = self.board.holds(now).iter().map(|h| h.line(now, &self.zone)).collect();
        let unseen = self.board.reports().len().saturating_sub(self.bars.len());
        if unseen > 0 {
            lines.push(format!("and {} more", words::n_of(unseen as u64, "report")));
        }
        if lines.is_empty() {
            if let Some(footer) = self.footer.take() {
                self.screen.remove_bar(&footer);
            }
            return;
        }
        let footer = self.footer.get_or_insert_with(|| {
            let footer = self.screen.add_bar(ProgressBar::new(0));
            footer.set_style(style("{msg}"));
            footer
        });
        footer.set_message(lines.join("\n"));
        footer.tick();
    }

    fn drop_bar(&mut self, report: &ReportName) {
        if let Some(bar) = self.bars.remove(report) {
            self.screen.remove_bar(&bar);
        }
    }
}

impl Reporter for Bars {
    fn seen(&mut self, progress: &Progress, now: Timestamp) {
        self.board.observe(progress);
        if super::board::is_over(progress.state) {
            self.drop_bar(&progress.report);
        } else {
            self.draw(progress, now);
        }
    }

    fn ended(&mut self, ended: &Ended, _: Timestamp) {
        self.board.remove(&ended.report);
        self.drop_bar(&ended.report);
        self.screen.lines(vec![summary::line(ended)]);
    }

    fn tick(&mut self, now: Timestamp) {
        for progress in self.board.reports().to_vec() {
            self.draw(&progress, now);
        }
        self.draw_footer(now);
    }

    fn finish(&mut self, all: &[Ended], _: Timestamp) {
        for report in self.bars.keys().cloned().collect::<Vec<_>>() {
            self.drop_bar(&report);
        }
        if let Some(footer) = self.footer.take() {
            self.screen.remove_bar(&footer);
        }
        self.screen.lines(summary::table(all));
    }
}

/// What stands beside a bar.
fn text(progress: &Progress, now: Timestamp, zone: &TimeZone) -> String {
    let wait = progress.waiting.as_ref().and_then(|(reason, until)| {
        // The next look at a query and a repetition that is due any moment are no news.
        if is_the_tenants(reason) || until.since(now) < Duration::from_secs(1) {
            return None;
        }
        own_wait(reason, *until, now, zone)
    });
    let doing = match progress.state {
        ReportState::Fetching => growth(progress),
        ReportState::Queued => "waiting for its turn".to_owned(),
        other => other.as_str().to_owned(),
    };
    match (progress.state, wait) {
        (ReportState::Fetching, Some(wait)) => format!("{doing}; {wait}"),
        (_, Some(wait)) => wait,
        (_, None) => doing,
    }
}

fn style(template: &'static str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> ")
}

#[cfg(test)]
mod tests {
    use cxtract::model::WaitReason;

    use super::super::board::samples::{NOW, progress, waiting};
    use super::super::ended::samples;
    use super::*;

    #[test]
    fn every_template_is_sound() {
        for template in ["{prefix:<24!} [{bar:24}] {msg}", "{prefix:<24!} {spinner}{bar:25.hidden} {msg}", "{msg}"] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }

    #[test]
    fn the_text_beside_a_bar_says_what_the_report_waits_for() {
        let poll = Progress { state: ReportState::Polling, ..waiting("a", WaitReason::NextPoll, 4) };
        let cases = [
            (poll, "query not ready, next look at 13:00:34 (4 s)"),
            (progress("a", ReportState::Polling), "polling"),
            (
                waiting("a", WaitReason::Retry("status 503".into()), 2),
                "0 pages, 0 rows, 0 B; trying again at 13:00:32 (2 s): status 503",
            ),
            (waiting("a", WaitReason::ToldToWait(429), 60), "0 pages, 0 rows, 0 B"),
        ];
        for (progress, expected) in cases {
            assert_eq!(text(&progress, NOW, &TimeZone::UTC), expected);
        }
    }

    #[test]
    fn no_more_bars_are_drawn_than_fit_and_each_end_makes_room() {
        let mut bars = Bars::new(Screen::hidden(), TimeZone::UTC);
        for i in 0..20 {
            bars.seen(&progress(&format!("r{i}"), ReportState::Fetching), NOW);
        }
        assert_eq!(bars.bars.len(), MOST_BARS);
        bars.ended(&samples::complete("r0"), NOW);
        bars.tick(NOW);
        assert_eq!(bars.bars.len(), MOST_BARS);
        assert!(bars.bars.contains_key(&ReportName::new("r16")));
        bars.finish(&[], NOW);
        assert!(bars.bars.is_empty() && bars.footer.is_none());
    }
}
