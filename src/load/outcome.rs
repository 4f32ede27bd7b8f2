//! What becomes of reports and their outputs while a load runs.
//!
//! Counts by tenant, the words of everything that did not come through, and the outputs on their way to the check.

use std::time::Duration;

use super::report::{MOST_TROUBLES, MOST_WRONG, Trouble};
use super::verify::{Checked, Checker, Delivered, Finding};

/// What became of one tenant's reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct OfTenant {
    /// Reports asked for, whatever became of them.
    pub(super) begun: u64,
    pub(super) complete: u64,
    pub(super) parked: u64,
    pub(super) failed: u64,
    pub(super) cut_off: u64,
    pub(super) verified: u64,
    pub(super) wrong: u64,
}

/// What became of all reports.
#[derive(Default)]
pub(super) struct Outcomes {
    pub(super) tenants: Vec<OfTenant>,
    names: Vec<String>,
    /// Seconds from the order to delivery.
    pub(super) took: Vec<f64>,
    /// Rows of delivered outputs.
    pub(super) rows: u64,
    /// Outputs that are wrong, apart from the rest: however much else went amiss, they must be named.
    wrong: Vec<Trouble>,
    others: Vec<Trouble>,
    pub(super) more_troubles: u64,
    checker: Option<Checker>,
    n_checked: u64,
}

impl Outcomes {
    pub(super) fn new(names: Vec<String>, checker: Checker) -> Self {
        let tenants = vec![OfTenant::default(); names.len()];
        Self { tenants, names, checker: Some(checker), ..Self::default() }
    }

    /// A report was delivered.
    pub(super) fn complete(&mut self, took: Duration, delivered: Delivered) {
        self.tenants[delivered.tenant].complete += 1;
        self.took.push(took.as_secs_f64());
        self.rows += delivered.manifest.output.rows;
        if let Some(checker) = &mut self.checker {
            checker.add(delivered);
        }
    }

    /// A report could not be finished now.
    pub(super) fn parked(&mut self, tenant: usize, report: &str, words: &str) {
        self.tenants[tenant].parked += 1;
        self.trouble(tenant, report, "parked", words);
    }

    /// A report failed for good.
    pub(super) fn failed(&mut self, tenant: usize, report: &str, words: &str) {
        self.tenants[tenant].failed += 1;
        self.trouble(tenant, report, "failed", words);
    }

    /// Nobody waits any longer for the reports that are still under way.
    pub(super) fn cut_off_the_rest(&mut self) {
        for tenant in &mut self.tenants {
            tenant.cut_off = tenant.begun.saturating_sub(tenant.complete + tenant.parked + tenant.failed);
        }
    }

    fn trouble(&mut self, tenant: usize, report: &str, how: &'static str, words: &str) {
        let (list, most) =
            if how == "wrong" { (&mut self.wrong, MOST_WRONG) } else { (&mut self.others, MOST_TROUBLES) };
        if list.len() >= most {
            self.more_troubles += 1;
            return;
        }
        let tenant = &self.names[tenant];
        // The engine says whose words they are; here that stands beside them.
        let rest = words.strip_prefix(report).unwrap_or(words);
        let rest = rest.strip_prefix(" of ").and_then(|rest| rest.strip_prefix(tenant.as_str())).unwrap_or(rest);
        let words = rest.strip_prefix(": ").unwrap_or(words).to_owned();
        list.push(Trouble { tenant: tenant.clone(), report: report.to_owned(), how, words });
    }

    /// What did not come through, the wrong outputs first.
    pub(super) fn troubles(&self) -> Vec<Trouble> {
        self.wrong.iter().chain(&self.others).cloned().collect()
    }

    /// Whether there is a wrong output.
    pub(super) fn has_wrong(&self) -> bool {
        !self.wrong.is_empty()
    }

    /// How many reports were delivered.
    pub(super) fn n_complete(&self) -> u64 {
        self.tenants.iter().map(|tenant| tenant.complete).sum()
    }

    /// How many failed or were parked.
    pub(super) fn n_troubled(&self) -> u64 {
        self.tenants.iter().map(|tenant| tenant.failed + tenant.parked).sum()
    }

    /// Outputs checked, of so many.
    pub(super) fn checked(&self) -> (u64, u64) {
        (self.n_checked, self.checker.as_ref().map_or(self.n_checked, Checker::n_added))
    }

    /// Nothing more is delivered.
    pub(super) fn close(&mut self) {
        if let Some(checker) = &mut self.checker {
            checker.close();
        }
    }

    /// Takes the next result of the check; false once there are no more.
    pub(super) async fn take_checked(&mut self) -> bool {
        let Some(checker) = &mut self.checker else { return false };
        let Some(Checked { tenant, report, finding }) = checker.next().await else { return false };
        self.n_checked += 1;
        match finding {
            Finding::Right => self.tenants[tenant].verified += 1,
            Finding::Wrong(words) => {
                self.tenants[tenant].wrong += 1;
                self.trouble(tenant, &report, "wrong", &words);
            }
            Finding::Unchecked(why) => self.trouble(tenant, &report, "unchecked", &why),
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_that_is_wrong_is_named_first_whatever_came_before_it() {
        let mut outcomes = Outcomes::new(vec!["a".into()], Checker::start(true, true, None).unwrap());
        (0..150).for_each(|_| outcomes.failed(0, "a_1", "status 400"));
        outcomes.trouble(0, "a_2", "wrong", "the file differs");
        let troubles = outcomes.troubles();
        assert_eq!((troubles[0].how, troubles[0].report.as_str()), ("wrong", "a_2"));
        assert_eq!((troubles.len(), outcomes.more_troubles), (MOST_TROUBLES + 1, 50));
        assert!(outcomes.has_wrong());
    }

    #[test]
    fn reports_that_did_not_end_in_time_are_cut_off_and_none_is_lost() {
        let names = vec!["a".into(), "b".into()];
        let mut outcomes = Outcomes::new(names, Checker::start(true, true, None).unwrap());
        outcomes.failed(0, "a_1", "status 400");
        outcomes.parked(0, "a_2", "no room");
        (outcomes.tenants[0].begun, outcomes.tenants[0].cut_off, outcomes.tenants[1].begun) = (5, 1, 2);
        outcomes.cut_off_the_rest();
        assert_eq!((outcomes.tenants[0].cut_off, outcomes.tenants[1].cut_off), (3, 2));
    }

    #[test]
    fn words_do_not_repeat_whose_they_are() {
        let mut outcomes = Outcomes::new(vec!["mock".into()], Checker::start(true, true, None).unwrap());
        for words in ["mock_1: page 1", "mock_1 of mock: page 1", "page 1"] {
            outcomes.failed(0, "mock_1", words);
        }
        assert!(outcomes.troubles().iter().all(|trouble| trouble.words == "page 1"), "{:?}", outcomes.troubles());
    }

    #[test]
    fn troubles_beyond_the_first_hundred_are_only_counted() {
        let checker = Checker::start(true, true, None).unwrap();
        let mut outcomes = Outcomes::new(vec!["a".into(), "b".into()], checker);
        for _ in 0..150 {
            outcomes.failed(1, "b_1", "b_1: status 400");
        }
        outcomes.parked(0, "a_1", "no room");
        let troubles = outcomes.troubles();
        assert_eq!((troubles.len(), outcomes.more_troubles), (MOST_TROUBLES, 51));
        assert_eq!((troubles[0].tenant.as_str(), troubles[0].words.as_str()), ("b", "status 400"));
        assert_eq!((outcomes.tenants[1].failed, outcomes.tenants[0].parked, outcomes.n_troubled()), (150, 1, 151));
    }
}
