//! The newest snapshot of every report that is under way, and who is held up by what.
//!
//! A wait that a tenant imposes holds all its reports alike: it is said once for the tenant, with the number of reports
//! behind it, and never once per report.

use cxtract::model::{Progress, ReportName, ReportState, TenantName, Timestamp, WaitReason};
use jiff::tz::TimeZone;

use crate::cli::words;

/// What is known of the reports under way, in the order in which they appeared.
#[derive(Debug, Default)]
pub(crate) struct Board {
    reports: Vec<Progress>,
}

/// A tenant that holds its reports up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hold {
    pub(crate) tenant: TenantName,
    pub(crate) reason: WaitReason,
    pub(crate) until: Timestamp,
    pub(crate) n_reports: u64,
}

impl Board {
    /// Takes a snapshot in and gives back the one that it replaces.
    pub(crate) fn observe(&mut self, progress: &Progress) -> Option<Progress> {
        if is_over(progress.state) {
            return self.remove(&progress.report);
        }
        match self.reports.iter_mut().find(|p| p.report == progress.report) {
            Some(known) => Some(std::mem::replace(known, progress.clone())),
            None => {
                self.reports.push(progress.clone());
                None
            }
        }
    }

    /// Forgets a report that is over.
    pub(crate) fn remove(&mut self, report: &ReportName) -> Option<Progress> {
        let at = self.reports.iter().position(|p| &p.report == report)?;
        Some(self.reports.remove(at))
    }

    /// Every report under way.
    pub(crate) fn reports(&self) -> &[Progress] {
        &self.reports
    }

    /// The tenants that hold reports up at `now`. The longest wait speaks for all of one tenant.
    pub(crate) fn holds(&self, now: Timestamp) -> Vec<Hold> {
        let mut holds: Vec<Hold> = Vec::new();
        for progress in &self.reports {
            let Some((reason, until)) = &progress.waiting else { continue };
            if !is_the_tenants(reason) || *until <= now {
                continue;
            }
            match holds.iter_mut().find(|h| h.tenant == progress.tenant) {
                Some(hold) => {
                    hold.n_reports += 1;
                    if hold.until < *until {
                        hold.until = *until;
                        hold.reason = reason.clone();
                    }
                }
                None => holds.push(Hold {
                    tenant: progress.tenant.clone(),
                    reason: reason.clone(),
                    until: *until,
                    n_reports: 1,
                }),
            }
        }
        holds
    }
}

impl Hold {
    /// The hold on one line.
    pub(crate) fn line(&self, now: Timestamp, zone: &TimeZone) -> String {
        let until = words::until(self.until, now, zone);
        let held = match &self.reason {
            WaitReason::ToldToWait(status) => format!("told to wait ({status}) until {until}"),
            WaitReason::BreakerOpen(error) => {
                format!("not called until {until}, it keeps failing: {}", words::escaped(error))
            }
            _ => format!("waiting until {until}"),
        };
        format!("{}: {held}, {} waiting", self.tenant, words::n_of(self.n_reports, "report"))
    }
}

/// A wait of one report alone, in words.
pub(crate) fn own_wait(reason: &WaitReason, until: Timestamp, now: Timestamp, zone: &TimeZone) -> Option<String> {
    match reason {
        WaitReason::NextPoll => Some(format!("query not ready, next look at {}", words::until(until, now, zone))),
        WaitReason::Retry(error) => {
            Some(format!("trying again at {}: {}", words::until(until, now, zone), words::escaped(error)))
        }
        WaitReason::Paused => Some("paused".to_owned()),
        WaitReason::ToldToWait(_) | WaitReason::BreakerOpen(_) => None,
    }
}

/// Whether the whole tenant is held up, and not one report alone.
pub(crate) fn is_the_tenants(reason: &WaitReason) -> bool {
    matches!(reason, WaitReason::ToldToWait(_) | WaitReason::BreakerOpen(_))
}

/// Whether nothing more is to come.
pub(crate) fn is_over(state: ReportState) -> bool {
    matches!(state, ReportState::Complete | ReportState::Parked | ReportState::Failed)
}

#[cfg(test)]
pub(crate) mod samples {
    use cxtract::model::ExtractionId;

    use super::*;

    pub(crate) const NOW: Timestamp = Timestamp(1_706_706_030_000); // 2024-01-31T13:00:30Z

    pub(crate) fn progress(report: &str, state: ReportState) -> Progress {
        let queued = Progress::queued(ExtractionId(1), ReportName::new(report), TenantName::new("acme"), NOW);
        Progress { state, ..queued }
    }

    pub(crate) fn waiting(report: &str, reason: WaitReason, seconds: u64) -> Progress {
        let until = NOW.plus(std::time::Duration::from_secs(seconds));
        Progress { waiting: Some((reason, until)), ..progress(report, ReportState::Fetching) }
    }
}

#[cfg(test)]
mod tests {
    use super::samples::{NOW, progress, waiting};
    use super::*;

    #[test]
    fn a_tenants_wait_is_said_once_for_all_its_reports() {
        let mut board = Board::default();
        for report in ["a", "b", "c"] {
            board.observe(&waiting(report, WaitReason::ToldToWait(429), 160));
        }
        board.observe(&waiting("d", WaitReason::NextPoll, 160));
        let holds = board.holds(NOW);
        assert_eq!(holds.len(), 1);
        assert_eq!(
            holds[0].line(NOW, &TimeZone::UTC),
            "acme: told to wait (429) until 13:03:10 (2 m 40 s), 3 reports waiting"
        );
    }

    #[test]
    fn a_wait_that_is_over_holds_nobody() {
        let mut board = Board::default();
        board.observe(&waiting("a", WaitReason::ToldToWait(429), 0));
        assert_eq!(board.holds(NOW), []);
    }

    #[test]
    fn an_open_breaker_names_the_last_error_with_control_characters_escaped() {
        let mut board = Board::default();
        board.observe(&waiting("a", WaitReason::BreakerOpen("no connection\n".into()), 30));
        assert_eq!(
            board.holds(NOW)[0].line(NOW, &TimeZone::UTC),
            "acme: not called until 13:01:00 (30 s), it keeps failing: no connection\\n, 1 report waiting"
        );
    }

    #[test]
    fn a_report_that_is_over_leaves_the_board() {
        let mut board = Board::default();
        board.observe(&progress("a", ReportState::Fetching));
        board.observe(&progress("b", ReportState::Fetching));
        board.observe(&progress("a", ReportState::Complete));
        assert_eq!(board.reports().len(), 1);
        assert_eq!(board.reports()[0].report.as_str(), "b");
    }
}
