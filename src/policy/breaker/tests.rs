//! The breaker by itself, one rule after the other.

mod properties;

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
