//! How fast a tenant may be called: a sliding log, spacing, and a pace that learns.
//!
//! The log alone keeps the promise (never more than the limit in any second); spacing keeps bursts short, and the pace
//! moves the limit down when the tenant complains and up again when it does not.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// The log looks back a little more than a second: two calls keep that distance even if the network brings them closer.
const SLACK: Duration = Duration::from_millis(20);
const SECOND: Duration = Duration::from_secs(1);

/// What a complaint leaves of the pace.
const CUT: f64 = 0.7;

/// The pace grows by this share of the ceiling each [`GROWTH_EVERY`]; it never falls below the same share.
const GROWTH: f64 = 1.0 / 20.0;
const GROWTH_EVERY: Duration = Duration::from_secs(10);

/// Complaints about calls that were under way when the first one came must not count twice.
const ONE_CUT_PER: Duration = SECOND;

/// Whole numbers of calls that are only just missed by floating-point error count.
const EPSILON: f64 = 1e-6;

#[derive(Debug)]
pub(super) struct Pace {
    ceiling: f64,
    burst: u32,
    adaptive: bool,
    /// Calls a second as of `grows_from`.
    current: f64,
    grows_from: Instant,
    no_cut_before: Option<Instant>,
    /// The moments of the last calls, as many as the ceiling lets into one window.
    log: VecDeque<Instant>,
    /// Calls that may go back to back as of `credit_at`. A bucket, since it keeps its meaning when the pace changes.
    credit: f64,
    credit_at: Instant,
}

impl Pace {
    pub(super) fn new(ceiling: f64, burst: u32, adaptive: bool, now: Instant) -> Self {
        Self {
            ceiling,
            burst: burst.max(1),
            adaptive,
            current: ceiling,
            grows_from: now,
            no_cut_before: None,
            log: VecDeque::new(),
            credit: f64::from(burst.max(1)),
            credit_at: now,
        }
    }

    /// As if as many calls as allowed had gone out just now.
    pub(super) fn exhaust(&mut self, now: Instant) {
        self.log = std::iter::repeat_n(now, n_per_window(self.ceiling)).collect();
    }

    /// Calls a second at present.
    pub(super) fn at(&self, now: Instant) -> f64 {
        let steps = now.saturating_duration_since(self.grows_from).as_secs() / GROWTH_EVERY.as_secs();
        (self.current + steps as f64 * GROWTH * self.ceiling).min(self.ceiling)
    }

    /// The first moment, from `now` on, at which a call may go out.
    pub(super) fn free_at(&self, now: Instant) -> Instant {
        let pace = self.at(now);
        let n = n_per_window(pace);
        let by_log = self.log.len().checked_sub(n).map_or(now, |oldest| self.log[oldest] + window(pace));
        let lacking = 1.0 - self.credit(now);
        let by_spacing = if lacking > EPSILON { now + Duration::from_secs_f64(lacking / pace) } else { now };
        by_log.max(by_spacing).max(now)
    }

    /// A call goes out.
    pub(super) fn sent(&mut self, now: Instant) {
        if self.log.len() == n_per_window(self.ceiling) {
            self.log.pop_front();
        }
        self.log.push_back(now);
        self.credit = (self.credit(now) - 1.0).max(0.0);
        self.credit_at = now;
    }

    /// The tenant complained at `received`, and is left alone until `until`. The wait itself teaches nothing: growth
    /// begins after it.
    pub(super) fn complained(&mut self, received: Instant, until: Instant) {
        if !self.adaptive {
            return;
        }
        let pace = self.at(received);
        let fresh = self.no_cut_before.is_none_or(|before| before <= received);
        self.current = if fresh { (pace * CUT).max(GROWTH * self.ceiling) } else { pace };
        self.grows_from = self.grows_from.max(until).max(received);
        let settled = if fresh { until.max(received + ONE_CUT_PER) } else { until };
        self.no_cut_before = Some(self.no_cut_before.map_or(settled, |before| before.max(settled)));
    }

    fn credit(&self, now: Instant) -> f64 {
        let earned = now.saturating_duration_since(self.credit_at).as_secs_f64() * self.at(now);
        (self.credit + earned).min(f64::from(self.burst))
    }
}

fn n_per_window(pace: f64) -> usize {
    ((pace + EPSILON) as usize).max(1)
}

fn window(pace: f64) -> Duration {
    SLACK + if pace < 1.0 { spacing(pace) } else { SECOND }
}

fn spacing(pace: f64) -> Duration {
    Duration::from_secs_f64(1.0 / pace)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The moments at which a caller that always has something to send may send it, in milliseconds.
    fn sent(pace: &mut Pace, start: Instant, n: usize) -> Vec<u64> {
        let mut now = start;
        (0..n)
            .map(|_| {
                now = pace.free_at(now);
                pace.sent(now);
                ((now - start).as_secs_f64() * 1000.0).round() as u64
            })
            .collect()
    }

    #[test]
    fn a_burst_goes_back_to_back_then_calls_keep_their_distance_within_the_window() {
        let now = Instant::now();
        let mut pace = Pace::new(10.0, 5, true, now);
        assert_eq!(sent(&mut pace, now, 12), [0, 0, 0, 0, 0, 100, 200, 300, 400, 500, 1020, 1020]);
    }

    #[test]
    fn a_limit_below_one_a_second_spaces_single_calls() {
        let now = Instant::now();
        assert_eq!(sent(&mut Pace::new(0.5, 5, true, now), now, 3), [0, 2020, 4040]);
    }

    #[test]
    fn a_fraction_of_a_call_is_never_rounded_up() {
        let now = Instant::now();
        let sent = sent(&mut Pace::new(2.5, 9, true, now), now, 5);
        assert_eq!(sent, [0, 0, 1020, 1020, 2040]);
    }

    #[test]
    fn a_complaint_cuts_the_pace_to_seven_tenths_once_per_wait() {
        let now = Instant::now();
        let mut pace = Pace::new(10.0, 5, true, now);
        let until = now + Duration::from_secs(60);
        for ms in [0, 10, 5000, 59_999] {
            pace.complained(now + Duration::from_millis(ms), until);
        }
        assert!((pace.at(until) - 7.0).abs() < 1e-6);
        pace.complained(until, until + SECOND);
        assert!((pace.at(until) - 4.9).abs() < 1e-6);
    }

    #[test]
    fn h4_complaints_without_a_wait_that_come_together_cut_once() {
        let now = Instant::now();
        let mut pace = Pace::new(10.0, 5, true, now);
        for _ in 0..8 {
            pace.complained(now, now);
        }
        assert!((pace.at(now) - 7.0).abs() < 1e-6);
    }

    #[test]
    fn the_pace_grows_by_a_twentieth_of_the_ceiling_every_ten_quiet_seconds() {
        let now = Instant::now();
        let mut pace = Pace::new(10.0, 5, true, now);
        pace.complained(now, now);
        for (secs, due) in [(9, 7.0), (10, 7.5), (19, 7.5), (20, 8.0), (59, 9.5), (60, 10.0), (6000, 10.0)] {
            assert!((pace.at(now + Duration::from_secs(secs)) - due).abs() < 1e-6, "{secs}");
        }
    }

    #[test]
    fn the_pace_never_falls_to_nothing_and_stays_put_where_it_is_not_adaptive() {
        let now = Instant::now();
        let mut pace = Pace::new(10.0, 5, true, now);
        let mut fixed = Pace::new(10.0, 5, false, now);
        for n in 0..50 {
            pace.complained(now + SECOND * n, now + SECOND * n);
            fixed.complained(now + SECOND * n, now + SECOND * n);
        }
        let later = now + SECOND * 49;
        assert!((pace.at(later) - 0.5).abs() < 1e-6);
        assert!((fixed.at(later) - 10.0).abs() < 1e-6);
    }
}
