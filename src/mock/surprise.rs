//! Which refusals for haste no client could have avoided.
//!
//! A client is taken to know what a second allows. It can't know that this has just become less, nor a quota over a
//! longer time that no header tells of: it learns of them by being refused. The first refusal of each such limit, in each
//! of its windows, is therefore not held against it, and neither is what was under way meanwhile. Refuses nobody itself.

use std::time::Duration;

use super::limit::{GRACE, Rates, Standing};

/// How a refusal came about that could not be foreseen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Surprise {
    /// It told the client of the limit.
    Met,
    /// It came so soon after such a refusal that it may have been under way.
    UnderWay,
}

/// The surprises there were.
#[derive(Clone, Debug, Default)]
pub(super) struct Surprises {
    /// When each longer quota was met last, in the order of the quotas.
    quotas_met: Vec<Option<Duration>>,
    /// How often the rate had fallen when it was met.
    falls_met: usize,
    last: Option<Duration>,
}

impl Surprises {
    /// Judges a refusal for haste. `are_told` says whether headers name the quotas.
    pub(super) fn judge(
        &mut self,
        now: Duration,
        rates: &Rates,
        standings: &[Standing],
        are_told: bool,
    ) -> Option<Surprise> {
        let has_rate = rates.at(now).is_finite();
        let (rate, quotas) = standings.split_at(usize::from(has_rate).min(standings.len()));
        let surprises = match rate.iter().any(|standing| standing.remaining == 0) {
            true => self.meets_fallen_rate(now, rates),
            false => !are_told && self.meets_quota(now, quotas),
        };
        if surprises {
            self.last = Some(now);
            return Some(Surprise::Met);
        }
        self.last.filter(|last| now <= *last + GRACE).map(|_| Surprise::UnderWay)
    }

    fn meets_fallen_rate(&mut self, now: Duration, rates: &Rates) -> bool {
        let rates: Vec<f64> = rates.between(Duration::ZERO, now).collect();
        let n_falls = rates.windows(2).filter(|pair| pair[1] < pair[0]).count();
        let is_news = n_falls > self.falls_met;
        self.falls_met = n_falls;
        is_news
    }

    fn meets_quota(&mut self, now: Duration, quotas: &[Standing]) -> bool {
        self.quotas_met.resize(quotas.len(), None);
        let mut is_news = false;
        for (standing, met) in quotas.iter().zip(&mut self.quotas_met) {
            if standing.remaining == 0 && met.is_none_or(|met| met + standing.quota.per <= now) {
                (*met, is_news) = (Some(now), true);
            }
        }
        is_news
    }
}

#[cfg(test)]
mod tests {
    use super::super::limit::{Admission, Limiter, Quota};
    use super::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    /// What each call at those moments is, for a client that is never told to wait.
    fn judged(rates: Rates, quotas: &[Quota], are_told: bool, calls: &[u64]) -> Vec<Option<Surprise>> {
        let mut limiter = Limiter::new(rates, quotas.to_vec(), Duration::ZERO);
        let mut surprises = Surprises::default();
        let mut refused = Vec::new();
        for &at in calls {
            if matches!(limiter.admit(ms(at)), Admission::TooFast(_)) {
                let standings = limiter.standings(ms(at));
                refused.push(surprises.judge(ms(at), limiter.rates(), &standings, are_told));
            }
        }
        refused
    }

    #[test]
    fn a_quota_that_nobody_told_of_surprises_once_in_each_of_its_windows() {
        let quotas = [Quota { calls: 2, per: ms(10_000) }];
        let rates = || Rates::constant(100.0);
        let calls = [0, 1, 2, 100, 303, 5000, 10_002, 10_003, 10_004, 12_000];
        let (met, under_way) = (Some(Surprise::Met), Some(Surprise::UnderWay));
        assert_eq!(judged(rates(), &quotas, false, &calls), [met, under_way, None, None, met, None]);
        assert_eq!(judged(rates(), &quotas, true, &calls), [None; 6]);
    }

    #[test]
    fn a_rate_that_fell_surprises_once_and_one_that_stands_never() {
        let mut rates = Rates::constant(2.0);
        assert_eq!(judged(rates.clone(), &[], false, &[0, 1, 2, 400, 1001, 1002, 1003]), [None; 3]);
        rates.change(ms(5000), 1.0);
        let calls = [0, 1, 2, 6000, 6001, 6500, 8000, 8001];
        let (met, under_way) = (Some(Surprise::Met), Some(Surprise::UnderWay));
        assert_eq!(judged(rates.clone(), &[], false, &calls), [None, met, None, None]);
        assert_eq!(judged(rates, &[], true, &[6000, 6001, 6002]), [met, under_way]);
    }
}
