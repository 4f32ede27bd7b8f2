use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;
use crate::model::BootId;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);
const PACE: PaceSettings =
    PaceSettings { requests_per_second: 20.0, burst: 5, adaptive: true, jitter: Duration::ZERO, told_most: None };

fn moment(boot: u128, ticks: Duration, wall_ms: i64) -> Moment {
    Moment { wall: Timestamp(wall_ms), ticks: Ticks(0).plus(ticks), boot: (boot > 0).then_some(BootId(boot)) }
}

fn wait(received: Moment, seconds: u32) -> TenantWait {
    TenantWait { status: 429, received, asked: SECOND * seconds, pause: SECOND * seconds + 500 * MS }
}

#[test]
fn l1_while_the_machine_runs_a_wait_ends_when_it_must_whatever_the_wall_clock_does() {
    let wait = wait(moment(7, DAY, 1_000_000), 900);
    for wall in [1_000_000, 1_000_000 + 86_400_000, 1_000_000 - 86_400_000] {
        assert_eq!(wait.rest(&moment(7, DAY + SECOND, wall)), 899 * SECOND + 500 * MS);
        assert_eq!(wait.asked_rest(&moment(7, DAY + SECOND, wall)), 899 * SECOND);
        assert_eq!(wait.rest(&moment(7, DAY + 901 * SECOND, wall)), Duration::ZERO);
    }
}

#[test]
fn l1_after_another_start_the_wall_clock_counts_and_never_makes_a_wait_longer_than_it_was_received() {
    for boots in [(7, 8), (0, 0), (7, 0)] {
        let wait = wait(moment(boots.0, DAY, 1_000_000), 900);
        let rest = |wall| wait.rest(&moment(boots.1, SECOND, wall));
        assert_eq!(rest(1_000_000 + 300_000), 600 * SECOND + 500 * MS);
        assert_eq!(rest(1_000_000 - 86_400_000), wait.pause);
        assert_eq!(rest(i64::MAX), Duration::ZERO);
    }
}

#[test]
fn l1_a_wall_clock_that_was_set_back_makes_everybody_wait_no_longer_than_once() {
    for boot in [0, 8] {
        let mut kept = Kept { wait: Some(wait(moment(7, DAY, 1_000_000_000), 900)), ..Kept::default() };
        let asked = asked(PACE);
        // A day back, and an hour after the start of the machine.
        let start = (3600 * SECOND, 1_000_000_000 - 86_400_000);
        let mut turn = |after: Duration| {
            let now = moment(boot, start.0 + after, start.1 + after.as_millis() as i64);
            kept.take_turn(&asked, &now, &mut PaceLog::default()).unwrap()
        };
        assert!(matches!(turn(Duration::ZERO), Turn::ToldToWait(_)));
        assert!(matches!(turn(900 * SECOND), Turn::ToldToWait(_)));
        assert!(matches!(turn(901 * SECOND), Turn::Given(_)));
    }
}

#[test]
fn a_wait_is_never_shortened_by_another_one() {
    let at = |seconds: u32| moment(7, SECOND * seconds, i64::from(seconds) * 1000);
    let mut kept = Kept::default();
    for (received, seconds) in [(0, 900), (10, 5), (20, 870)] {
        let received = at(received);
        kept.complained(&Complaint { pace: PACE, received, wait: Some(wait(received, seconds)) });
    }
    assert_eq!(kept.wait.unwrap().rest(&at(30)), 870 * SECOND + 500 * MS);
    kept.complained(&Complaint { pace: PACE, received: at(40), wait: Some(wait(at(40), 900)) });
    assert_eq!(kept.wait.unwrap().rest(&at(40)), 900 * SECOND + 500 * MS);
}

#[test]
fn a_record_of_another_start_of_the_machine_starts_anew_with_a_window_in_hand() {
    let (mut kept, mut log) = (Kept::default(), PaceLog::default());
    let mut turn = |boot, ticks| kept.take_turn(&asked(PACE), &moment(boot, ticks, 0), &mut log).unwrap();
    assert!(matches!(turn(7, DAY), Turn::Given(_)));
    assert_eq!(turn(8, SECOND), Turn::NotBefore(Ticks(2_020_000)));
    assert!(matches!(turn(8, 3 * SECOND), Turn::Given(_)));
    // Where starts are not known, the clock betrays them.
    assert_eq!(turn(0, SECOND), Turn::NotBefore(Ticks(2_020_000)));
    assert!(matches!(turn(0, DAY), Turn::Given(_)));
    assert!(matches!(turn(0, SECOND), Turn::NotBefore(_)));
}

#[test]
fn a_place_that_was_lost_counts_as_a_call_just_made() {
    let (mut kept, mut log) = (Kept::default(), PaceLog::default());
    let pace =
        PaceSettings { requests_per_second: 2.0, burst: 2, adaptive: true, jitter: Duration::ZERO, told_most: None };
    for _ in 0..2 {
        assert!(matches!(kept.take_turn(&asked(pace), &moment(7, DAY, 0), &mut log), Ok(Turn::Given(_))));
    }
    let turn = kept.take_turn(&asked(pace), &moment(7, DAY + 900 * MS, 0), &mut PaceLog::default());
    assert_eq!(turn, Ok(Turn::NotBefore(Ticks(0).plus(DAY + 1020 * MS))));
}

fn asked(pace: PaceSettings) -> TurnAsked {
    TurnAsked {
        pace,
        ahead: Duration::ZERO,
        clock: MachineClock::new(None, || Ticks(0)),
        wall: WallClock::new(|| Timestamp(0)),
    }
}

/// Processes over one record. Each asks when it was told to, and a little late.
struct Processes {
    kept: Kept,
    log: PaceLog,
    now: Ticks,
    wake: Vec<Ticks>,
    sent: Vec<Ticks>,
    waits: Vec<(Ticks, Ticks)>,
}

impl Processes {
    /// The next process that is due asks, the first one for turns far ahead, which it uses as late as it may; answers
    /// what time it is.
    fn step(&mut self, pace: PaceSettings, late: Duration, ahead: Duration) -> Ticks {
        let which = (0..self.wake.len()).min_by_key(|which| self.wake[*which]).unwrap();
        let ahead = if which == 0 { ahead } else { Duration::ZERO };
        let now = self.wake[which].plus(late).max(self.now);
        self.now = now;
        let moment = Moment { wall: Timestamp(0), ticks: now, boot: Some(BootId(7)) };
        self.wake[which] =
            match self.kept.take_turn(&TurnAsked { ahead, ..asked(pace) }, &moment, &mut self.log).unwrap() {
                Turn::Given(noted) => {
                    assert!(now.plus(ahead).since(noted) <= 2 * MS);
                    self.sent.push(now.plus(ahead));
                    now.plus(ahead)
                }
                Turn::NotBefore(then) => {
                    assert!(then > now);
                    then
                }
                Turn::ToldToWait(wait) => now.plus(wait.rest(&moment)),
            };
        now
    }
}

proptest! {
    #[test]
    fn x6_however_processes_take_turns_they_are_together_one_client(
        n in 1..5_usize,
        ahead in prop_oneof![3 => Just(0), 1 => 1..200_u64],
        rate in prop_oneof![Just(0.5), Just(2.5), Just(10.0), Just(19.9), Just(20.0)],
        burst in 1..12_u32,
        steps in prop::collection::vec((0..3000_u64, prop::option::weighted(0.02, prop::option::of(1..90_u32))), 50..400),
    ) {
        let pace = PaceSettings { requests_per_second: rate, burst, adaptive: true, jitter: Duration::ZERO, told_most: None };
        let (kept, log) = (Kept::default(), PaceLog::default());
        let mut all = Processes { kept, log, now: Ticks(0), wake: vec![Ticks(0); n], sent: Vec::new(), waits: Vec::new() };
        let ahead = Duration::from_millis(ahead);
        for (late, complaint) in steps {
            let now = all.step(pace, Duration::from_micros(late), ahead);
            if let Some(seconds) = complaint {
                let received = Moment { wall: Timestamp(0), ticks: now, boot: Some(BootId(7)) };
                let wait = seconds.map(|seconds| wait(received, seconds));
                all.waits.extend(wait.map(|wait| (now, now.plus(wait.pause))));
                all.kept.complained(&Complaint { pace, received, wait });
            }
        }
        all.sent.sort_unstable();
        let per_window = (rate as usize).max(1);
        let least = if rate < 1.0 { Duration::from_secs_f64(1.0 / rate) } else { SECOND };
        for pair in all.sent.windows(per_window + 1) {
            prop_assert!(pair[per_window].since(pair[0]) > least, "more than {} in {:?}", per_window, least);
        }
        for (i, first) in all.sent.iter().enumerate() {
            for (k, last) in all.sent[i..].iter().enumerate() {
                let fits = f64::from(burst) + (last.since(*first) + 2 * MS).as_secs_f64() * rate + 1e-3;
                prop_assert!((k + 1) as f64 <= fits, "{} calls in {:?}", k + 1, last.since(*first));
            }
        }
        for (from, until) in &all.waits {
            let has_heard = from.plus(ahead);
            prop_assert!(all.sent.iter().all(|at| *at <= has_heard || at >= until), "a call inside a wait");
        }
    }

    #[test]
    fn x6_lateness_costs_no_pace_and_nobody_is_lost(
        n in 1..5_usize,
        lateness in prop::collection::vec(0..2000_u64, 1..50),
    ) {
        let (kept, log) = (Kept::default(), PaceLog::default());
        let mut all = Processes { kept, log, now: Ticks(0), wake: vec![Ticks(0); n], sent: Vec::new(), waits: Vec::new() };
        let mut lateness = VecDeque::from(lateness);
        while all.sent.len() < 401 {
            lateness.rotate_left(1);
            all.step(PACE, Duration::from_micros(lateness[0]), Duration::ZERO);
        }
        // The 400th after the first is due after twenty windows of twenty.
        let took = all.sent[400].since(all.sent[0]);
        prop_assert!(took <= 20 * (SECOND + 20 * MS) + 2 * MS, "{:?}", took);
    }
}
