//! The tenant's limits: so many calls in any sliding second, longer quotas beside it, and a block for those who keep
//! calling when told to wait.
//!
//! What a second allows may change with time. Refused calls don't use anything up. A call is an offence if it comes more
//! than the grace time after an answer that named a wait, and before that wait is over; the first offence starts the
//! block. The grace is longer by as much as the tenant itself was late in reading. A wait counts as told once its answer
//! is sent, which a face reports. Knows no HTTP.

use std::collections::VecDeque;
use std::time::Duration;

/// How long after being told to wait a call may still arrive: it may have been under way.
pub(super) const GRACE: Duration = Duration::from_millis(300);

/// What the limit says to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// Go on.
    Admitted,
    /// Too many within the window; a place is free after so long.
    TooFast(Duration),
    /// A wait is running; it has so long to go.
    Waiting { rest: Duration, offence: bool },
}

/// What a second allows, from which moment on.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rates {
    /// In the order of time; the first one begins at zero.
    steps: Vec<(Duration, f64)>,
}

impl Rates {
    pub(super) fn constant(per_second: f64) -> Self {
        Self { steps: vec![(Duration::ZERO, per_second)] }
    }

    /// From that moment on it is another rate.
    pub(super) fn change(&mut self, from: Duration, per_second: f64) {
        self.steps.retain(|&(at, _)| at != from);
        let place = self.steps.partition_point(|&(at, _)| at < from);
        self.steps.insert(place, (from, per_second));
    }

    /// Each rate with the time that it holds from.
    pub(super) fn steps(&self) -> &[(Duration, f64)] {
        &self.steps
    }

    /// The rates in force between two moments, in the order of time. There is one at least.
    pub(super) fn between(&self, from: Duration, to: Duration) -> impl Iterator<Item = f64> {
        let later = self.steps.iter().filter(move |(at, _)| from < *at && *at <= to);
        std::iter::once(self.at(from)).chain(later.map(|&(_, rate)| rate))
    }

    pub(super) fn at(&self, now: Duration) -> f64 {
        let begun = self.steps.partition_point(|&(from, _)| from <= now);
        self.steps[begun.saturating_sub(1)].1
    }

    /// How long the window of the rate is at that moment, and how many calls it allows: those of the window's own time,
    /// or of the moment itself where that is more. None without a limit. Before zero the rate was what it is at zero.
    pub(super) fn window_until(&self, now: Duration) -> Option<(Duration, f64)> {
        let at_once = Quota::of_rate(self.at(now))?;
        let missing = at_once.per.saturating_sub(now).as_secs_f64() * self.at(Duration::ZERO);
        let before = self.allowed(now.saturating_sub(at_once.per), now);
        let before = if missing > 0.0 { before + missing } else { before };
        Some((at_once.per, before.max(at_once.calls as f64)))
    }

    /// How many calls fit between two moments.
    pub(super) fn allowed(&self, from: Duration, to: Duration) -> f64 {
        let ends = self.steps.iter().skip(1).map(|&(at, _)| at).chain([Duration::MAX]);
        let parts = self.steps.iter().zip(ends);
        let within = |begin: Duration, end: Duration| end.min(to).saturating_sub(begin.max(from)).as_secs_f64();
        parts
            .map(|(&(begin, rate), end)| (within(begin, end), rate))
            .filter(|(s, _)| *s > 0.0)
            .map(|(s, r)| s * r)
            .sum()
    }
}

/// So many calls within any such time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Quota {
    pub(super) calls: usize,
    pub(super) per: Duration,
}

impl Quota {
    /// Fewer than one call a second is one call in a longer window; infinity is none.
    fn of_rate(per_second: f64) -> Option<Self> {
        let calls = per_second.floor().max(1.0);
        let per = Duration::from_secs_f64((calls / per_second.max(1e-6)).min(1e6));
        per_second.is_finite().then_some(Self { calls: calls as usize, per })
    }
}

/// A quota and what is left of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) quota: Quota,
    pub(super) remaining: usize,
    /// No more than `remaining` calls fit into that time.
    pub(super) reset: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Wait {
    /// None while its answer is still on its way out.
    told_at: Option<Duration>,
    until: Duration,
    block: bool,
    /// The line of the ledger whose answer told it; none if that was lost on its way.
    told_by: Option<usize>,
}

/// The calls of late, and the wait that is running.
#[derive(Clone, Debug)]
pub(super) struct Limiter {
    rates: Rates,
    quotas: Vec<Quota>,
    block: Duration,
    /// How long calls are remembered.
    memory: Duration,
    /// In the order of time. A call whose body came late is decided late, and stands where its head arrived.
    recent: VecDeque<Duration>,
    wait: Option<Wait>,
    /// How long a call that is judged now may have waited to be read.
    lag: Duration,
}

impl Limiter {
    pub(super) fn new(rates: Rates, quotas: Vec<Quota>, block: Duration) -> Self {
        let windows = rates.steps.iter().filter_map(|&(_, rate)| Quota::of_rate(rate)).map(|quota| quota.per);
        let memory = windows.chain(quotas.iter().map(|quota| quota.per)).max().unwrap_or_default();
        Self { rates, quotas, block, memory, recent: VecDeque::new(), wait: None, lag: Duration::ZERO }
    }

    /// Judges a call that arrives now.
    pub(super) fn admit(&mut self, now: Duration) -> Admission {
        if let Some(wait) = self.wait.filter(|w| now < w.until) {
            let offence = self.is_offence(now);
            if offence && !wait.block {
                self.wait = Some(Wait { until: now + self.block, block: true, ..wait });
            }
            let rest = self.wait.map_or(Duration::ZERO, |w| w.until - now);
            return Admission::Waiting { rest, offence };
        }
        self.wait = None;
        while self.recent.front().is_some_and(|&at| at + self.memory <= now) {
            self.recent.pop_front();
        }
        let wait = self.in_force(now).filter_map(|quota| self.full_for(quota, now)).max();
        match wait {
            Some(wait) => Admission::TooFast(wait),
            None => {
                if !self.memory.is_zero() {
                    self.recent.insert(self.recent.partition_point(|&at| at <= now), now);
                }
                Admission::Admitted
            }
        }
    }

    /// Whether a call that arrives now is made while told to wait.
    pub(super) fn is_offence(&self, now: Duration) -> bool {
        let told = self.wait.filter(|wait| now < wait.until).and_then(|wait| wait.told_at);
        told.is_some_and(|told_at| now > told_at + GRACE + self.lag)
    }

    /// What is judged from now on may have waited so long before it was read, by no fault of the client's.
    pub(super) fn reads_late(&mut self, lag: Duration) {
        self.lag = lag;
    }

    /// Every quota at this moment, with what is left of it.
    pub(super) fn standings(&self, now: Duration) -> Vec<Standing> {
        let standing = |quota: Quota| {
            let used = self.used(quota, now);
            let oldest = used.clone().next().map_or(quota.per, |at| at + quota.per - now);
            Standing { quota, remaining: quota.calls.saturating_sub(used.count()), reset: oldest }
        };
        self.in_force(now).map(standing).collect()
    }

    pub(super) fn rates(&self) -> &Rates {
        &self.rates
    }

    fn in_force(&self, now: Duration) -> impl Iterator<Item = Quota> {
        Quota::of_rate(self.rates.at(now)).into_iter().chain(self.quotas.iter().copied())
    }

    /// The calls that a quota counts at this moment.
    fn used(&self, quota: Quota, now: Duration) -> impl Iterator<Item = Duration> + Clone {
        let first = self.recent.partition_point(|&at| at + quota.per <= now);
        let end = self.recent.partition_point(|&at| at <= now).max(first);
        self.recent.range(first..end).copied()
    }

    /// How long until there is a place again, if there is none.
    fn full_for(&self, quota: Quota, now: Duration) -> Option<Duration> {
        let surplus = self.used(quota, now).count().checked_sub(quota.calls)?;
        self.used(quota, now).nth(surplus).map(|at| at + quota.per - now)
    }

    /// The client is told at `sent` to wait so long. A later, longer wait extends a running one.
    pub(super) fn told_to_wait(&mut self, sent: Duration, wait: Duration, told_by: usize) {
        let until = sent.saturating_add(wait);
        match &mut self.wait {
            Some(running) if sent < running.until => {
                if !running.block {
                    running.until = running.until.max(until);
                }
                if running.told_by.is_none() {
                    (running.told_at, running.told_by) = (Some(sent), Some(told_by));
                }
            }
            _ => self.wait = Some(Wait { told_at: Some(sent), until, block: false, told_by: Some(told_by) }),
        }
    }

    /// The answer of that line of the ledger is not out yet, and until it is said to be, nobody was told by it.
    pub(super) fn still_sending(&mut self, told_by: usize) {
        if let Some(wait) = self.wait.as_mut().filter(|wait| wait.told_by == Some(told_by)) {
            wait.told_at = None;
        }
    }

    /// That answer is out.
    pub(super) fn sent(&mut self, told_by: usize, now: Duration) {
        if let Some(wait) = self.wait.as_mut().filter(|wait| wait.told_by == Some(told_by)) {
            wait.told_at = Some(now);
        }
    }

    /// That answer was lost on its way: nobody was told by it.
    pub(super) fn lost(&mut self, told_by: usize) {
        if let Some(wait) = self.wait.as_mut().filter(|wait| wait.told_by == Some(told_by)) {
            (wait.told_at, wait.told_by) = (None, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn limiter(per_second: f64, block: Duration) -> Limiter {
        Limiter::new(Rates::constant(per_second), Vec::new(), block)
    }

    #[test]
    fn the_window_slides() {
        let mut limiter = limiter(2.0, ms(60_000));
        assert_eq!(limiter.admit(ms(0)), Admission::Admitted);
        assert_eq!(limiter.admit(ms(700)), Admission::Admitted);
        assert_eq!(limiter.admit(ms(900)), Admission::TooFast(ms(100)));
        assert_eq!(limiter.admit(ms(1000)), Admission::Admitted);
        assert_eq!(limiter.admit(ms(1699)), Admission::TooFast(ms(1)));
        assert_eq!(limiter.admit(ms(1700)), Admission::Admitted);
    }

    #[test]
    fn a_fraction_of_a_call_a_second_is_one_call_in_a_longer_window() {
        let mut limiter = limiter(0.5, ms(0));
        assert_eq!(limiter.admit(ms(0)), Admission::Admitted);
        assert_eq!(limiter.admit(ms(1500)), Admission::TooFast(ms(500)));
        assert_eq!(limiter.admit(ms(2000)), Admission::Admitted);
    }

    #[test]
    fn a_call_that_was_under_way_when_the_wait_was_told_is_no_offence() {
        let mut limiter = limiter(10.0, ms(900_000));
        limiter.told_to_wait(ms(1000), ms(2000), 0);
        assert_eq!(limiter.admit(ms(1300)), Admission::Waiting { rest: ms(1700), offence: false });
        assert_eq!(limiter.admit(ms(3000)), Admission::Admitted);
    }

    #[test]
    fn a_call_that_may_have_waited_to_be_read_is_held_to_a_wait_by_so_much_less() {
        let mut limiter = limiter(10.0, ms(900_000));
        limiter.told_to_wait(ms(1000), ms(5000), 0);
        limiter.reads_late(ms(1500));
        assert_eq!(limiter.admit(ms(2800)), Admission::Waiting { rest: ms(3200), offence: false });
        limiter.reads_late(ms(40));
        assert_eq!(limiter.admit(ms(2801)), Admission::Waiting { rest: ms(900_000), offence: true });
    }

    #[test]
    fn a_call_inside_the_wait_starts_a_block_that_further_calls_do_not_extend() {
        let mut limiter = limiter(10.0, ms(900_000));
        limiter.told_to_wait(ms(1000), ms(2000), 0);
        assert_eq!(limiter.admit(ms(1301)), Admission::Waiting { rest: ms(900_000), offence: true });
        assert_eq!(limiter.admit(ms(5301)), Admission::Waiting { rest: ms(896_000), offence: true });
        limiter.told_to_wait(ms(5301), ms(896_001), 1);
        assert_eq!(limiter.admit(ms(901_301)), Admission::Admitted);
    }

    #[test]
    fn without_a_limit_everything_is_admitted() {
        let mut limiter = limiter(f64::INFINITY, ms(0));
        assert!((0..10_000).all(|_| limiter.admit(ms(1)) == Admission::Admitted));
    }

    #[test]
    fn a_rate_changes_at_its_moment_and_counts_what_went_before() {
        let mut rates = Rates::constant(20.0);
        rates.change(ms(10_000), 20.0);
        rates.change(ms(5000), 5.0);
        assert_eq!((rates.at(ms(4999)), rates.at(ms(5000)), rates.at(ms(10_000))), (20.0, 5.0, 20.0));
        assert_eq!(rates.allowed(ms(4000), ms(11_000)), 20.0 + 25.0 + 20.0);
        assert_eq!(rates.between(ms(5000), ms(10_000)).collect::<Vec<_>>(), [5.0, 20.0]);
        assert_eq!(rates.between(ms(0), ms(4999)).collect::<Vec<_>>(), [20.0]);
        let mut limiter = Limiter::new(rates, Vec::new(), ms(0));
        for call in 0..20 {
            assert_eq!(limiter.admit(ms(4000 + call * 50)), Admission::Admitted);
        }
        // Of the last second's twenty, sixteen have to be gone before there is room under five.
        assert_eq!(limiter.admit(ms(5000)), Admission::TooFast(ms(750)));
        assert_eq!(limiter.admit(ms(5749)), Admission::TooFast(ms(1)));
        assert_eq!(limiter.admit(ms(5750)), Admission::Admitted);
        assert!((0..20).all(|call| limiter.admit(ms(10_000 + call)) == Admission::Admitted));
    }

    #[test]
    fn a_window_allows_what_its_time_did_or_what_its_end_does() {
        let mut rates = Rates::constant(20.0);
        rates.change(ms(5000), 4.0);
        rates.change(ms(9000), 20.0);
        let allowed = |at| rates.window_until(ms(at)).map(|(per, calls)| (per.as_millis(), calls.round()));
        let second = |calls| Some((1000, calls));
        assert_eq!([0, 300, 4999].map(allowed), [second(20.0); 3]);
        assert_eq!([5500, 6000, 9000].map(allowed), [second(12.0), second(4.0), second(20.0)]);
        assert_eq!(Rates::constant(0.5).window_until(ms(100)), Some((ms(2000), 1.0)));
        assert_eq!(Rates::constant(f64::INFINITY).window_until(ms(100)), None);
    }

    #[test]
    fn a_longer_quota_holds_beside_the_second() {
        let quota = Quota { calls: 3, per: ms(60_000) };
        let mut limiter = Limiter::new(Rates::constant(2.0), vec![quota], ms(0));
        assert_eq!([ms(0), ms(1), ms(1000)].map(|at| limiter.admit(at)), [Admission::Admitted; 3]);
        let standings = limiter.standings(ms(1500));
        assert_eq!((standings[0].remaining, standings[0].reset), (1, ms(500)));
        assert_eq!((standings[1].remaining, standings[1].reset), (0, ms(58_500)));
        assert_eq!(limiter.admit(ms(2000)), Admission::TooFast(ms(58_000)));
        assert_eq!(limiter.admit(ms(60_000)), Admission::Admitted);
    }

    #[test]
    fn a_call_that_is_decided_late_counts_where_its_head_arrived() {
        let mut limiter = limiter(2.0, ms(0));
        assert_eq!([ms(2000), ms(2100)].map(|at| limiter.admit(at)), [Admission::Admitted; 2]);
        assert_eq!(limiter.admit(ms(500)), Admission::Admitted);
        assert_eq!(limiter.admit(ms(2200)), Admission::TooFast(ms(800)));
    }

    #[test]
    fn nobody_is_told_by_an_answer_that_is_still_on_its_way_out() {
        let mut limiter = limiter(10.0, ms(900_000));
        limiter.told_to_wait(ms(1000), ms(5000), 7);
        limiter.still_sending(7);
        assert_eq!(limiter.admit(ms(2000)), Admission::Waiting { rest: ms(4000), offence: false });
        limiter.sent(6, ms(2000));
        assert_eq!(limiter.admit(ms(2400)), Admission::Waiting { rest: ms(3600), offence: false });
        limiter.sent(7, ms(2500));
        assert_eq!(limiter.admit(ms(2800)), Admission::Waiting { rest: ms(3200), offence: false });
        assert_eq!(limiter.admit(ms(2801)), Admission::Waiting { rest: ms(900_000), offence: true });
    }

    #[test]
    fn a_wait_that_was_lost_on_its_way_is_told_by_the_next_refusal() {
        let mut limiter = limiter(10.0, ms(900_000));
        limiter.told_to_wait(ms(1000), ms(5000), 7);
        limiter.lost(7);
        assert_eq!(limiter.admit(ms(2000)), Admission::Waiting { rest: ms(4000), offence: false });
        limiter.told_to_wait(ms(2000), ms(4000), 8);
        assert_eq!(limiter.admit(ms(2300)), Admission::Waiting { rest: ms(3700), offence: false });
        assert!(matches!(limiter.admit(ms(2301)), Admission::Waiting { offence: true, .. }));
    }
}
