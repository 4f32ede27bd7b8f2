//! The tenant's limit: so many calls in any sliding second, and a block for those who keep calling when told to wait.
//!
//! Refused calls don't use up the quota. A call is an offence if it comes more than the grace time after an answer that
//! named a wait, and before that wait is over; the first offence starts the block. Knows no HTTP.

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

#[derive(Clone, Copy, Debug)]
struct Wait {
    told_at: Duration,
    until: Duration,
    block: bool,
}

/// The calls of the last second, and the wait that is running.
#[derive(Clone, Debug)]
pub(super) struct Limiter {
    calls: usize,
    window: Duration,
    block: Duration,
    recent: VecDeque<Duration>,
    wait: Option<Wait>,
}

impl Limiter {
    /// Fewer than one call a second is one call in a longer window; infinity is no limit.
    pub(super) fn new(per_second: f64, block: Duration) -> Self {
        let (calls, window) = if per_second.is_finite() {
            let calls = per_second.floor().max(1.0);
            (calls as usize, Duration::from_secs_f64((calls / per_second.max(1e-6)).min(1e6)))
        } else {
            (usize::MAX, Duration::from_secs(1))
        };
        Self { calls, window, block, recent: VecDeque::new(), wait: None }
    }

    /// Judges a call that arrives now.
    pub(super) fn admit(&mut self, now: Duration) -> Admission {
        if let Some(wait) = self.wait.filter(|w| now < w.until) {
            let offence = now > wait.told_at + GRACE;
            if offence && !wait.block {
                self.wait = Some(Wait { until: now + self.block, block: true, ..wait });
            }
            let rest = self.wait.map_or(Duration::ZERO, |w| w.until - now);
            return Admission::Waiting { rest, offence };
        }
        self.wait = None;
        if self.calls == usize::MAX {
            return Admission::Admitted;
        }
        while self.recent.front().is_some_and(|&at| at + self.window <= now) {
            self.recent.pop_front();
        }
        if self.recent.len() < self.calls {
            self.recent.push_back(now);
            return Admission::Admitted;
        }
        Admission::TooFast(self.recent.front().map_or(self.window, |&at| at + self.window - now))
    }

    /// How many more calls the window has room for.
    pub(super) fn remaining(&self) -> usize {
        self.calls.saturating_sub(self.recent.len())
    }

    /// How many calls the window has room for in all.
    pub(super) fn calls(&self) -> usize {
        self.calls
    }

    /// The client was told at `sent` to wait so long. A later, longer wait extends a running one.
    pub(super) fn told_to_wait(&mut self, sent: Duration, wait: Duration) {
        let until = sent.saturating_add(wait);
        match &mut self.wait {
            Some(running) if sent < running.until => {
                if !running.block {
                    running.until = running.until.max(until);
                }
            }
            _ => self.wait = Some(Wait { told_at: sent, until, block: false }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn the_window_slides() {
        let mut limiter = Limiter::new(2.0, ms(60_000));
        assert_eq!(limiter.admit(ms(0)), Admission::Admitted);
        assert_eq!(limiter.admit(ms(700)), Admission::Admitted);
        assert_eq!(limiter.admit(ms(900)), Admission::TooFast(ms(100)));
        assert_eq!(limiter.admit(ms(1000)), Admission::Admitted);
        assert_eq!(limiter.admit(ms(1699)), Admission::TooFast(ms(1)));
        assert_eq!(limiter.admit(ms(1700)), Admission::Admitted);
    }

    #[test]
    fn a_fraction_of_a_call_a_second_is_one_call_in_a_longer_window() {
        let mut limiter = Limiter::new(0.5, ms(0));
        assert_eq!(limiter.admit(ms(0)), Admission::Admitted);
        assert_eq!(limiter.admit(ms(1500)), Admission::TooFast(ms(500)));
        assert_eq!(limiter.admit(ms(2000)), Admission::Admitted);
    }

    #[test]
    fn a_call_that_was_under_way_when_the_wait_was_told_is_no_offence() {
        let mut limiter = Limiter::new(10.0, ms(900_000));
        limiter.told_to_wait(ms(1000), ms(2000));
        assert_eq!(limiter.admit(ms(1300)), Admission::Waiting { rest: ms(1700), offence: false });
        assert_eq!(limiter.admit(ms(3000)), Admission::Admitted);
    }

    #[test]
    fn a_call_inside_the_wait_starts_a_block_that_further_calls_do_not_extend() {
        let mut limiter = Limiter::new(10.0, ms(900_000));
        limiter.told_to_wait(ms(1000), ms(2000));
        assert_eq!(limiter.admit(ms(1301)), Admission::Waiting { rest: ms(900_000), offence: true });
        assert_eq!(limiter.admit(ms(5301)), Admission::Waiting { rest: ms(896_000), offence: true });
        limiter.told_to_wait(ms(5301), ms(896_001));
        assert_eq!(limiter.admit(ms(901_301)), Admission::Admitted);
    }

    #[test]
    fn without_a_limit_everything_is_admitted() {
        let mut limiter = Limiter::new(f64::INFINITY, ms(0));
        assert!((0..10_000).all(|_| limiter.admit(ms(1)) == Admission::Admitted));
    }
}
