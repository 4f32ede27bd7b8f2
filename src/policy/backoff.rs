//! When to send a failed request again, and when to stop trying.
//!
//! Tries are counted per request. What the tenant itself asks for (a pause) and what says nothing of this request (a
//! failed probe of the breaker) is no try. Randomness comes in as a number from 0 to 1, so that a decision can be
//! repeated.

use std::time::Duration;

use tokio::time::Instant;

use crate::model::Outcome;

/// Past so many doublings every sensible delay has met its maximum.
const MAX_DOUBLINGS: u32 = 32;

/// A token that is sent so soon after it was asked for has had no time to end.
const FRESH_TOKEN: Duration = Duration::from_secs(2);

/// So many 401s end a request, however old their tokens were.
const MAX_REFUSED: u32 = 4;

/// How a tenant's requests are tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetrySettings {
    /// Tries of one request, the first one included.
    pub max_attempts: u32,
    /// The most that the first repetition waits.
    pub base_delay: Duration,
    /// The most that any repetition waits.
    pub max_delay: Duration,
}

/// Full jitter: any time from nothing to the doubled-up delay, so that requests that failed together come back apart.
///
/// `n_before` counts the delays before this one; `random` is from 0 to 1.
pub fn full_jitter(settings: &RetrySettings, n_before: u32, random: f64) -> Duration {
    let factor = 2_u32.saturating_pow(n_before.min(MAX_DOUBLINGS));
    settings.base_delay.saturating_mul(factor).min(settings.max_delay).mul_f64(random.clamp(0.0, 1.0))
}

/// What to do about a request after a try of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Ask the gate for another try at once; it holds the request for as long as the tenant wants.
    Now,
    /// Ask the gate for another try after that time.
    After(Duration),
    /// The tries are used up.
    Exhausted,
    /// No repetition will help (or none is needed).
    Never,
}

/// The tries of one request.
#[derive(Clone, Debug)]
pub struct RetryBudget {
    settings: RetrySettings,
    n_charged: u32,
    n_delays: u32,
    /// When a token was first refused.
    refused_at: Option<Instant>,
    n_refused: u32,
}

impl RetryBudget {
    /// A request that has not been tried yet.
    pub fn new(settings: RetrySettings) -> Self {
        Self { settings, n_charged: 0, n_delays: 0, refused_at: None, n_refused: 0 }
    }

    /// Tries that counted so far.
    pub fn n_charged(&self) -> u32 {
        self.n_charged
    }

    /// Decides after a try that ended so. `probe` tells that it went out as a probe of a half-open breaker.
    /// For a 401 to a call with a token see [`refused`](Self::refused).
    pub fn after(&mut self, outcome: Outcome, probe: bool, random: f64) -> Retry {
        if outcome != Outcome::Local {
            // The replay was let past the door: by now its token is old, too, and the next 401 a first one.
            self.refused_at = None;
        }
        match outcome {
            Outcome::Throttled { wait: Some(_) } => Retry::Now,
            Outcome::Throttled { wait: None } => self.back_off(random),
            // The breaker has opened again and holds the request back.
            Outcome::Transient | Outcome::WrongKind if probe => Retry::Now,
            Outcome::Transient | Outcome::WrongKind => {
                self.n_charged += 1;
                if self.n_charged < self.settings.max_attempts { self.back_off(random) } else { Retry::Exhausted }
            }
            Outcome::Ok | Outcome::AuthExpired | Outcome::Permanent | Outcome::Contract | Outcome::Local => {
                Retry::Never
            }
        }
    }

    /// Decides after a 401 that came now, to a call that was sent with a token asked for at `asked`: it is replayed once.
    ///
    /// The replay is no replay yet if its token is older than the first 401, or was not fresh any more when it was sent:
    /// whatever ended the token before may have ended this one, too. Only a fresh one tells whether tokens are the
    /// matter. A request has so many chances in all.
    pub fn refused(&mut self, now: Instant, asked: Instant, sent: Instant) -> Retry {
        self.n_refused += 1;
        let is_fresh = sent.saturating_duration_since(asked) <= FRESH_TOKEN;
        match self.refused_at {
            Some(first) if asked >= first && is_fresh => Retry::Never,
            _ if self.n_refused >= MAX_REFUSED => Retry::Never,
            _ => {
                self.refused_at.get_or_insert(now);
                Retry::Now
            }
        }
    }

    fn back_off(&mut self, random: f64) -> Retry {
        let delay = full_jitter(&self.settings, self.n_delays, random);
        self.n_delays += 1;
        Retry::After(delay)
    }
}

/// How a query's status is polled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PollSettings {
    /// From the submission to the first poll.
    pub initial_delay: Duration,
    /// What each delay is multiplied by to get the next, 1 or more.
    pub multiplier: f64,
    /// Where growth ends.
    pub max_delay: Duration,
    /// The largest random share that is added.
    pub jitter: f64,
}

/// The delay before poll `n`, from 0; `random` is from 0 to 1.
pub fn poll_delay(settings: &PollSettings, n: u32, random: f64) -> Duration {
    let factor = settings.multiplier.powi(i32::try_from(n).unwrap_or(i32::MAX));
    let grown = settings.initial_delay.as_secs_f64() * factor;
    // A product past what a Duration holds is past the maximum as well.
    let delay = Duration::try_from_secs_f64(grown).unwrap_or(Duration::MAX).min(settings.max_delay);
    delay.saturating_add(delay.mul_f64(settings.jitter * random.clamp(0.0, 1.0)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SETTINGS: RetrySettings =
        RetrySettings { max_attempts: 5, base_delay: Duration::from_secs(1), max_delay: Duration::from_secs(60) };

    fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn a_delay_doubles_up_to_its_maximum() {
        let longest: Vec<u64> = (0..9).map(|n| full_jitter(&SETTINGS, n, 1.0).as_secs()).collect();
        assert_eq!(longest, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(full_jitter(&SETTINGS, u32::MAX, 1.0), secs(60));
        assert_eq!(full_jitter(&SETTINGS, 3, 0.0), Duration::ZERO);
        assert_eq!(full_jitter(&SETTINGS, 3, 0.25), secs(2));
    }

    #[test]
    fn h5_a_request_is_tried_as_often_as_granted_and_no_oftener() {
        for failure in [Outcome::Transient, Outcome::WrongKind] {
            let mut budget = RetryBudget::new(SETTINGS);
            for n in 0..4 {
                assert_eq!(budget.after(failure, false, 1.0), Retry::After(secs(1 << n)));
            }
            assert_eq!(budget.after(failure, false, 1.0), Retry::Exhausted);
        }
        let mut once = RetryBudget::new(RetrySettings { max_attempts: 1, ..SETTINGS });
        assert_eq!(once.after(Outcome::Transient, false, 1.0), Retry::Exhausted);
    }

    #[test]
    fn h1_a_pause_that_the_tenant_asks_for_is_no_try() {
        let mut budget = RetryBudget::new(SETTINGS);
        for _ in 0..100 {
            assert_eq!(budget.after(Outcome::Throttled { wait: Some(secs(3)) }, false, 1.0), Retry::Now);
        }
        assert_eq!(budget.n_charged(), 0);
    }

    #[test]
    fn h4_a_refusal_without_a_hint_is_no_try_but_lengthens_the_backoff() {
        let mut budget = RetryBudget::new(SETTINGS);
        for due in [1, 2, 4, 8, 16, 32, 60, 60] {
            assert_eq!(budget.after(Outcome::Throttled { wait: None }, false, 1.0), Retry::After(secs(due)));
        }
        assert_eq!(budget.n_charged(), 0);
        assert_eq!(budget.after(Outcome::Transient, false, 1.0), Retry::After(secs(60)));
    }

    /// A 401 at the first of these seconds, to a call with a token that was asked for at the second and sent at the third.
    fn refused(budget: &mut RetryBudget, start: Instant, at: [u64; 3]) -> Retry {
        let [now, asked, sent] = at.map(|second| start + secs(second));
        budget.refused(now, asked, sent)
    }

    #[test]
    fn o4_a_rejected_token_is_replayed_once_and_the_replay_is_no_try() {
        let (mut budget, start) = (RetryBudget::new(SETTINGS), Instant::now());
        assert_eq!(refused(&mut budget, start, [9, 0, 0]), Retry::Now);
        assert_eq!(budget.n_charged(), 0);
        assert_eq!(refused(&mut budget, start, [11, 10, 11]), Retry::Never);
    }

    #[test]
    fn o4_a_refusal_after_another_answer_is_a_first_one_again() {
        let (mut budget, start) = (RetryBudget::new(SETTINGS), Instant::now());
        assert_eq!(refused(&mut budget, start, [9, 0, 0]), Retry::Now);
        assert_eq!(budget.after(Outcome::Throttled { wait: Some(secs(20)) }, false, 1.0), Retry::Now);
        assert_eq!(refused(&mut budget, start, [31, 10, 30]), Retry::Now, "it may have died in the pause");
        assert_eq!(refused(&mut budget, start, [33, 32, 32]), Retry::Never);
    }

    #[test]
    fn o4_a_token_that_was_old_when_it_was_sent_may_have_died_and_the_fourth_refusal_is_final_all_the_same() {
        let (mut budget, start) = (RetryBudget::new(SETTINGS), Instant::now());
        for n in [0, 20, 40] {
            assert_eq!(refused(&mut budget, start, [n + 18, n + 1, n + 17]), Retry::Now, "{n}");
        }
        assert_eq!(refused(&mut budget, start, [78, 61, 77]), Retry::Never);
    }

    #[test]
    fn o4_a_token_that_is_older_than_the_first_refusal_may_have_been_taken_back_with_the_one_before() {
        let (mut budget, start) = (RetryBudget::new(SETTINGS), Instant::now());
        assert_eq!(refused(&mut budget, start, [9, 0, 0]), Retry::Now);
        assert_eq!(refused(&mut budget, start, [11, 8, 9]), Retry::Now, "renewed ahead of its end");
        assert_eq!(refused(&mut budget, start, [13, 12, 12]), Retry::Never);
    }

    #[test]
    fn a_failed_probe_is_no_try() {
        let mut budget = RetryBudget::new(SETTINGS);
        for _ in 0..19 {
            assert_eq!(budget.after(Outcome::Transient, true, 1.0), Retry::Now);
        }
        assert_eq!(budget.n_charged(), 0);
    }

    #[test]
    fn h7_what_is_final_is_never_tried_again() {
        for outcome in [Outcome::Ok, Outcome::Permanent, Outcome::Contract, Outcome::Local] {
            assert_eq!(RetryBudget::new(SETTINGS).after(outcome, false, 1.0), Retry::Never, "{outcome:?}");
        }
    }

    #[test]
    fn polls_grow_apart_by_the_multiplier_up_to_the_maximum_plus_jitter() {
        let settings = PollSettings { initial_delay: secs(4), multiplier: 1.5, max_delay: secs(60), jitter: 0.2 };
        let plain: Vec<u64> = (0..9).map(|n| poll_delay(&settings, n, 0.0).as_millis() as u64).collect();
        assert_eq!(plain, [4000, 6000, 9000, 13_500, 20_250, 30_375, 45_562, 60_000, 60_000]);
        assert_eq!(poll_delay(&settings, 0, 1.0), Duration::from_millis(4800));
        assert_eq!(poll_delay(&settings, u32::MAX, 1.0), secs(72));
    }

    proptest! {
        #[test]
        fn no_delay_is_longer_than_allowed_and_a_budget_always_runs_out(
            outcomes in prop::collection::vec(0..3_u8, 0..60), random in 0.0..1.0_f64,
        ) {
            let mut budget = RetryBudget::new(SETTINGS);
            let mut n_failures = 0;
            for outcome in outcomes {
                let outcome = match outcome {
                    0 => Outcome::Transient,
                    1 => Outcome::WrongKind,
                    _ => Outcome::Throttled { wait: None },
                };
                n_failures += u32::from(outcome.counts_against_tenant());
                match budget.after(outcome, false, random) {
                    Retry::After(delay) => prop_assert!(delay <= SETTINGS.max_delay),
                    Retry::Exhausted => {
                        prop_assert_eq!(n_failures, SETTINGS.max_attempts);
                        break;
                    }
                    other => prop_assert!(false, "{:?}", other),
                }
                prop_assert!(n_failures < SETTINGS.max_attempts);
            }
        }
    }
}
