//! Progress as plain lines: one for each noteworthy change, and not too many of them.
//!
//! A step (submitted, fetching) is said at once, growth in pages at most every few seconds per report, a tenant's wait
//! once. The clock is an argument.

use std::collections::HashMap;
use std::time::Duration;

use cxtract::model::{Progress, ReportName, ReportState, TenantName, Timestamp, WaitReason};
use jiff::tz::TimeZone;

use super::Ended;
use super::board::{Board, is_over, own_wait};
use super::summary;
use crate::cli::words;

/// Between two lines about the growth, or about a wait, of one report.
const QUIET: Duration = Duration::from_secs(5);

/// Waits shorter than that are not worth a line.
const SHORT_WAIT: Duration = Duration::from_secs(2);

/// Two ends of a wait nearer than that are the same wait.
const SAME_WAIT: Duration = Duration::from_secs(1);

/// Decides which lines to write.
pub(crate) struct Plain {
    zone: TimeZone,
    board: Board,
    last_said: HashMap<ReportName, Timestamp>,
    holds_said: HashMap<TenantName, Timestamp>,
}

impl Plain {
    pub(crate) fn new(zone: TimeZone) -> Self {
        Self { zone, board: Board::default(), last_said: HashMap::new(), holds_said: HashMap::new() }
    }

    /// The lines that a snapshot is worth.
    pub(crate) fn seen(&mut self, progress: &Progress, now: Timestamp) -> Vec<String> {
        let before = self.board.observe(progress);
        if is_over(progress.state) {
            // The end is said in full by `ended`.
            return Vec::new();
        }
        let mut lines = Vec::new();
        if before.as_ref().is_none_or(|b| b.state != progress.state) {
            lines.push(format!("{}: {}", progress.report, step(progress)));
        }
        if let Some(message) = &progress.message
            && before.as_ref().is_none_or(|b| b.message.as_ref() != Some(message))
        {
            lines.push(format!("{}: {}", progress.report, words::escaped(message)));
        }
        let said = !lines.is_empty();
        if !said && self.is_due(&progress.report, now) {
            lines.extend(self.moved(before.as_ref(), progress, now));
        }
        if !lines.is_empty() {
            self.last_said.insert(progress.report.clone(), now);
        }
        lines
    }

    /// The line for a report's end.
    pub(crate) fn ended(&mut self, ended: &Ended, _: Timestamp) -> Vec<String> {
        self.board.remove(&ended.report);
        self.last_said.remove(&ended.report);
        vec![summary::line(ended)]
    }

    /// Lines that are due because time has passed. Tenants' waits are said here and not on sight, so that the number
    /// of reports behind them is known.
    pub(crate) fn tick(&mut self, now: Timestamp) -> Vec<String> {
        let mut lines = Vec::new();
        let holds = self.board.holds(now);
        for hold in &holds {
            let known = self.holds_said.get(&hold.tenant).is_some_and(|said| hold.until.since(*said) < SAME_WAIT);
            if !known && hold.until.since(now) >= SHORT_WAIT {
                lines.push(hold.line(now, &self.zone));
                self.holds_said.insert(hold.tenant.clone(), hold.until);
            }
        }
        self.holds_said.retain(|_, until| *until > now);
        lines
    }

    fn is_due(&self, report: &ReportName, now: Timestamp) -> bool {
        self.last_said.get(report).is_none_or(|said| now.since(*said) >= QUIET)
    }

    fn moved(&self, before: Option<&Progress>, progress: &Progress, now: Timestamp) -> Option<String> {
        if before.is_some_and(|b| b.n_pages < progress.n_pages) {
            return Some(format!("{}: {}", progress.report, growth(progress)));
        }
        let (reason, until) = progress.waiting.as_ref()?;
        if *reason != WaitReason::Paused && until.since(now) < SHORT_WAIT {
            return None;
        }
        Some(format!("{}: {}", progress.report, own_wait(reason, *until, now, &self.zone)?))
    }
}

/// The step that a report has reached, in words.
fn step(progress: &Progress) -> String {
    match progress.state {
        ReportState::Queued => format!("waiting for its turn at {}", progress.tenant),
        ReportState::Submitted => format!("query submitted to {}", progress.tenant),
        ReportState::Polling => "query running".to_owned(),
        ReportState::Fetching if progress.n_pages > 0 => format!("fetching pages, so far {}", growth(progress)),
        ReportState::Fetching => "fetching pages".to_owned(),
        other => other.as_str().to_owned(),
    }
}

/// How far a report has come.
pub(crate) fn growth(progress: &Progress) -> String {
    let pages = match progress.n_pages_expected {
        Some(expected) if expected >= progress.n_pages => {
            format!("{} of about {}", words::count(progress.n_pages), words::n_of(expected, "page"))
        }
        _ => words::n_of(progress.n_pages, "page"),
    };
    format!("{pages}, {}, {}", words::n_of(progress.n_rows, "row"), words::bytes(progress.n_bytes))
}

#[cfg(test)]
mod tests {
    use super::super::board::samples::{NOW, progress, waiting};
    use super::super::ended::samples;
    use super::*;

    fn plain() -> Plain {
        Plain::new(TimeZone::UTC)
    }

    fn pages(n: u64) -> Progress {
        Progress {
            n_pages: n,
            n_pages_expected: Some(100),
            n_rows: n * 5_000,
            n_bytes: n * 1_500_000,
            ..progress("a", ReportState::Fetching)
        }
    }

    fn after(seconds: u64) -> Timestamp {
        NOW.plus(Duration::from_secs(seconds))
    }

    #[test]
    fn every_step_is_said_once() {
        let mut plain = plain();
        let mut lines = Vec::new();
        for state in [
            ReportState::Queued,
            ReportState::Queued,
            ReportState::Submitted,
            ReportState::Polling,
            ReportState::Polling,
            ReportState::Fetching,
        ] {
            lines.extend(plain.seen(&progress("a", state), NOW));
        }
        assert_eq!(
            lines,
            ["a: waiting for its turn at acme", "a: query submitted to acme", "a: query running", "a: fetching pages"]
        );
    }

    #[test]
    fn growth_is_said_only_every_few_seconds() {
        let mut plain = plain();
        plain.seen(&pages(0), NOW);
        assert_eq!(plain.seen(&pages(1), after(1)), [] as [String; 0]);
        assert_eq!(plain.seen(&pages(2), after(5)), ["a: 2 of about 100 pages, 10,000 rows, 3.0 MB"]);
        assert_eq!(plain.seen(&pages(3), after(6)), [] as [String; 0]);
    }

    #[test]
    fn a_page_more_than_expected_drops_the_guess() {
        assert_eq!(growth(&pages(101)), "101 pages, 505,000 rows, 151.5 MB");
    }

    #[test]
    fn a_report_that_goes_on_says_how_far_it_had_come() {
        let lines = plain().seen(&pages(40), NOW);
        assert_eq!(lines, ["a: fetching pages, so far 40 of about 100 pages, 200,000 rows, 60.0 MB"]);
    }

    #[test]
    fn a_tenants_wait_is_said_once_and_again_when_it_grows() {
        let mut plain = plain();
        for report in ["a", "b"] {
            plain.seen(&waiting(report, WaitReason::ToldToWait(429), 160), NOW);
        }
        assert_eq!(plain.tick(NOW), ["acme: told to wait (429) until 13:03:10 (2 m 40 s), 2 reports waiting"]);
        assert_eq!(plain.tick(after(1)), [] as [String; 0]);
        plain.seen(&waiting("a", WaitReason::ToldToWait(429), 300), after(2));
        assert_eq!(plain.tick(after(2)).len(), 1);
    }

    #[test]
    fn a_short_wait_is_not_worth_a_line() {
        let mut plain = plain();
        plain.seen(&waiting("a", WaitReason::ToldToWait(429), 1), NOW);
        assert_eq!(plain.tick(NOW), [] as [String; 0]);
    }

    #[test]
    fn a_retry_names_its_reason_and_its_time() {
        let mut plain = plain();
        plain.seen(&pages(0), NOW);
        let retry = waiting("a", WaitReason::Retry("page 7: status 503".into()), 20);
        assert_eq!(plain.seen(&retry, after(6)), ["a: trying again at 13:00:50 (14 s): page 7: status 503"]);
    }

    #[test]
    fn a_remark_is_said_once_and_cannot_steer_the_terminal() {
        let mut plain = plain();
        plain.seen(&pages(0), NOW);
        let remark = Progress { message: Some("new query\u{1b}[1A".into()), ..pages(0) };
        assert_eq!(plain.seen(&remark, NOW), ["a: new query\\u{1b}[1A"]);
        assert_eq!(plain.seen(&remark, NOW), [] as [String; 0]);
    }

    #[test]
    fn an_end_is_said_once() {
        let mut plain = plain();
        plain.seen(&pages(1), NOW);
        assert_eq!(plain.seen(&progress("a", ReportState::Failed), NOW), [] as [String; 0]);
        assert_eq!(plain.ended(&samples::failed("a"), NOW).len(), 1);
    }
}
