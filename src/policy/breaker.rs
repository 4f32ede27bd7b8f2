//! The circuit breaker: when a tenant is taken to be down, and when it is tried again.
//!
//! Closed lets calls pass, open lets none, half-open lets a few probes. Every transition starts a new generation, and a
//! result counts only in the generation that its call was admitted in: what was under way when the breaker opened can
//! neither close it nor open it twice. The breaker decides; only the gate admits.

use std::time::Duration;

use tokio::time::Instant;

use crate::model::Outcome;

/// The longest opening, as a multiple of the first one.
const MAX_FACTOR: u32 = 4;

/// When a breaker opens and closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerSettings {
    /// It opens after so many failures in a row.
    pub failure_threshold: u32,
    /// How long it is open at first; doubles with each failed probe, up to four times that.
    pub open_for: Duration,
    /// Probes that may be under way in a half-open breaker.
    pub half_open_requests: u32,
    /// After so many failed probes in a row the tenant is given up.
    pub max_failed_probes: u32,
}

/// Where a breaker stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Position {
    /// Calls pass.
    Closed,
    /// None passes before then.
    Open {
        /// When it becomes half-open.
        until: Instant,
        /// The last error.
        error: String,
    },
    /// So many probes may be under way.
    HalfOpen {
        /// How many.
        probes: u32,
    },
    /// None passes any more; whoever asks is sent away. After a long while a probe is allowed again.
    GivenUp {
        /// The last error.
        error: String,
    },
}

/// The breaker of one tenant.
#[derive(Debug)]
pub struct BreakerPolicy {
    settings: BreakerSettings,
    position: Position,
    generation: u64,
    n_failures: u32,
    n_failed_probes: u32,
    /// When a tenant that was given up may be probed again.
    retry_at: Option<Instant>,
}

impl BreakerPolicy {
    /// A closed breaker. A rebuilt one goes on counting generations where the one before it stopped.
    pub fn new(settings: BreakerSettings, generation: u64) -> Self {
        Self { settings, position: Position::Closed, generation, n_failures: 0, n_failed_probes: 0, retry_at: None }
    }

    /// Where it stands.
    pub fn position(&self) -> &Position {
        &self.position
    }

    /// Counts its transitions.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Takes the result of a call that was admitted in `generation`; tells whether the breaker moved.
    pub fn saw(&mut self, now: Instant, outcome: Outcome, error: Option<&str>, generation: u64) -> bool {
        if generation != self.generation || outcome == Outcome::Local {
            return false;
        }
        let failed = outcome.counts_against_tenant();
        match self.position {
            Position::Closed if failed => {
                self.n_failures += 1;
                self.n_failures >= self.settings.failure_threshold && self.open(now, error)
            }
            // These say that the tenant's door is manned, not that the house behind it stands.
            Position::Closed if matches!(outcome, Outcome::Throttled { .. } | Outcome::AuthExpired) => false,
            Position::Closed => {
                self.n_failures = 0;
                false
            }
            Position::HalfOpen { .. } if failed => {
                self.n_failed_probes += 1;
                if self.n_failed_probes >= self.settings.max_failed_probes {
                    // Who was waiting is sent away now. Who comes long after must not be told old news for ever.
                    self.retry_at = Some(now + self.settings.open_for.saturating_mul(MAX_FACTOR));
                    self.shift(Position::GivenUp { error: worded(error) })
                } else {
                    self.open(now, error)
                }
            }
            Position::HalfOpen { .. } => {
                self.n_failures = 0;
                self.n_failed_probes = 0;
                self.shift(Position::Closed)
            }
            // Nothing is admitted in these generations.
            Position::Open { .. } | Position::GivenUp { .. } => false,
        }
    }

    /// Takes note of the time; tells whether the breaker moved.
    pub fn tick(&mut self, now: Instant) -> bool {
        match self.next_tick() {
            Some(due) if due <= now => {
                self.shift(Position::HalfOpen { probes: self.settings.half_open_requests.max(1) })
            }
            _ => false,
        }
    }

    /// When [`Self::tick`] is due.
    pub fn next_tick(&self) -> Option<Instant> {
        match self.position {
            Position::Open { until, .. } => Some(until),
            Position::GivenUp { .. } => self.retry_at,
            Position::Closed | Position::HalfOpen { .. } => None,
        }
    }

    fn open(&mut self, now: Instant, error: Option<&str>) -> bool {
        let factor = 2_u32.saturating_pow(self.n_failed_probes).min(MAX_FACTOR);
        let until = now + self.settings.open_for.saturating_mul(factor);
        self.shift(Position::Open { until, error: worded(error) })
    }

    fn shift(&mut self, position: Position) -> bool {
        self.position = position;
        self.generation += 1;
        true
    }
}

fn worded(error: Option<&str>) -> String {
    error.unwrap_or("the tenant did not answer as it should").to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SETTINGS: BreakerSettings = BreakerSettings {
        failure_threshold: 3,
        open_for: Duration::from_secs(30),
        half_open_requests: 1,
        max_failed_probes: 4,
    };

    fn fail(breaker: &mut BreakerPolicy, now: Instant) -> bool {
        breaker.saw(now, Outcome::Transient, Some("status 500"), breaker.generation())
    }

    fn opened(now: Instant) -> BreakerPolicy {
        let mut breaker = BreakerPolicy::new(SETTINGS, 0);
        assert_eq!([fail(&mut breaker, now), fail(&mut breaker, now), fail(&mut breaker, now)], [false, false, true]);
        breaker
    }

    #[test]
    fn h5_it_opens_after_so_many_failures_in_a_row_and_names_the_last_error() {
        let now = Instant::now();
        let until = now + SETTINGS.open_for;
        assert_eq!(opened(now).position(), &Position::Open { until, error: "status 500".to_owned() });
    }

    #[test]
    fn a_success_between_failures_starts_the_count_again() {
        let now = Instant::now();
        let mut breaker = BreakerPolicy::new(SETTINGS, 0);
        for _ in 0..10 {
            fail(&mut breaker, now);
            fail(&mut breaker, now);
            breaker.saw(now, Outcome::Ok, None, 0);
        }
        assert_eq!(breaker.position(), &Position::Closed);
    }

    #[test]
    fn pauses_rejected_tokens_and_local_affairs_are_no_failures() {
        let now = Instant::now();
        let mut breaker = BreakerPolicy::new(SETTINGS, 0);
        for outcome in [Outcome::Throttled { wait: None }, Outcome::AuthExpired, Outcome::Local, Outcome::Permanent] {
            for _ in 0..10 {
                assert!(!breaker.saw(now, outcome, None, 0));
            }
        }
        assert_eq!(breaker.generation(), 0);
    }

    #[test]
    fn each_failed_probe_doubles_the_pause_up_to_four_times() {
        let mut now = Instant::now();
        let mut breaker = BreakerPolicy::new(BreakerSettings { max_failed_probes: 20, ..SETTINGS }, 0);
        for _ in 0..3 {
            fail(&mut breaker, now);
        }
        for due in [30, 60, 120, 120, 120] {
            let until = breaker.next_tick().unwrap();
            assert_eq!(until - now, Duration::from_secs(due));
            assert!(!breaker.tick(until - Duration::from_millis(1)));
            assert!(breaker.tick(until));
            assert_eq!(breaker.position(), &Position::HalfOpen { probes: 1 });
            now = until;
            fail(&mut breaker, now);
        }
    }

    #[test]
    fn n10_default_limits_give_a_tenant_up_after_thirty_seven_and_a_half_minutes() {
        let start = Instant::now();
        let settings = BreakerSettings { failure_threshold: 5, max_failed_probes: 20, ..SETTINGS };
        let mut breaker = BreakerPolicy::new(settings, 0);
        let mut now = start;
        while !matches!(breaker.position(), Position::GivenUp { .. }) {
            if let Some(due) = breaker.next_tick() {
                now = due;
                breaker.tick(now);
            }
            fail(&mut breaker, now);
        }
        assert_eq!(now - start, Duration::from_secs(2250));
        assert!(!breaker.saw(now, Outcome::Ok, None, breaker.generation()));
    }

    #[test]
    fn n10_a_tenant_that_was_given_up_is_probed_again_after_four_openings_and_one_failure_gives_it_up_anew() {
        let mut now = Instant::now();
        let mut breaker = BreakerPolicy::new(BreakerSettings { max_failed_probes: 1, ..SETTINGS }, 0);
        for _ in 0..3 {
            fail(&mut breaker, now);
        }
        now = breaker.next_tick().unwrap();
        breaker.tick(now);
        for _ in 0..3 {
            fail(&mut breaker, now);
            assert!(matches!(breaker.position(), Position::GivenUp { .. }));
            let due = now + 4 * SETTINGS.open_for;
            assert!(!breaker.tick(due - Duration::from_millis(1)));
            assert!(breaker.tick(due));
            assert_eq!(breaker.position(), &Position::HalfOpen { probes: 1 });
            now = due;
        }
        breaker.saw(now, Outcome::Ok, None, breaker.generation());
        assert_eq!(breaker.position(), &Position::Closed);
        assert!(breaker.next_tick().is_none());
    }

    #[test]
    fn a_probe_that_is_told_to_wait_closes_the_breaker_since_the_tenant_lives() {
        for alive in [Outcome::Ok, Outcome::Throttled { wait: None }, Outcome::AuthExpired, Outcome::Permanent] {
            let mut breaker = opened(Instant::now());
            let until = breaker.next_tick().unwrap();
            breaker.tick(until);
            assert!(breaker.saw(until, alive, None, breaker.generation()));
            assert_eq!(breaker.position(), &Position::Closed);
        }
    }

    #[test]
    fn a_cancelled_probe_decides_nothing() {
        let mut breaker = opened(Instant::now());
        let until = breaker.next_tick().unwrap();
        breaker.tick(until);
        assert!(!breaker.saw(until, Outcome::Local, None, breaker.generation()));
        assert_eq!(breaker.position(), &Position::HalfOpen { probes: 1 });
    }

    #[test]
    fn x2_a_result_from_before_a_transition_is_ignored() {
        let mut breaker = opened(Instant::now());
        let until = breaker.next_tick().unwrap();
        for late in [Outcome::Ok, Outcome::Transient] {
            assert!(!breaker.saw(until, late, None, 0));
        }
        breaker.tick(until);
        for late in [Outcome::Ok, Outcome::Transient] {
            assert!(!breaker.saw(until, late, None, 0));
            assert_eq!(breaker.position(), &Position::HalfOpen { probes: 1 });
        }
    }

    proptest! {
        /// Calls end in any order, long after transitions; the model is a caller that admits what the position allows.
        #[test]
        fn x2_every_first_probe_result_decides_and_no_later_one_does(
            steps in prop::collection::vec((0..4_u8, 0..8_usize, any::<bool>()), 1..200),
        ) {
            let mut now = Instant::now();
            let mut breaker = BreakerPolicy::new(BreakerSettings { half_open_requests: 2, ..SETTINGS }, 0);
            let mut out: Vec<u64> = Vec::new();
            for (step, which, good) in steps {
                let before = breaker.generation();
                match step {
                    0 | 1 if !out.is_empty() => {
                        let admitted_in = out.swap_remove(which % out.len());
                        let outcome = if good { Outcome::Ok } else { Outcome::Transient };
                        let half_open = matches!(breaker.position(), Position::HalfOpen { .. });
                        let moved = breaker.saw(now, outcome, None, admitted_in);
                        if admitted_in != before {
                            prop_assert!(!moved, "a late result moved the breaker");
                        } else if half_open {
                            prop_assert!(moved, "a probe's result was lost");
                            prop_assert_eq!(good, breaker.position() == &Position::Closed);
                        }
                        prop_assert_eq!(moved, breaker.generation() == before + 1);
                    }
                    2 => {
                        now += Duration::from_secs(40);
                        breaker.tick(now);
                    }
                    _ => {
                        let probes = out.iter().filter(|g| **g == before).count();
                        let allowed = match breaker.position() {
                            Position::Closed => usize::MAX,
                            Position::HalfOpen { probes } => *probes as usize,
                            Position::Open { .. } | Position::GivenUp { .. } => 0,
                        };
                        if probes < allowed {
                            out.push(before);
                        }
                    }
                }
            }
        }
    }
}
