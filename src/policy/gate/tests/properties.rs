//! What holds of a gate whatever happens: pauses, the log of calls, and turns, each by itself.
//!
//! The tests beside these drive everything at once and judge the end; these go to the corners of one promise each, and
//! judge every call at the moment when it goes out. They use only what a gate's owner can.

use std::collections::HashMap;

use proptest::prelude::*;

use super::super::*;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

fn settings(requests_per_second: f64, burst: u32, max_in_flight: usize) -> GateSettings {
    GateSettings {
        pace: PaceSettings { requests_per_second, burst, adaptive: true, jitter: Duration::ZERO, told_most: None },
        max_in_flight,
        max_wait: Duration::from_secs(100 * 365 * 86_400),
        probe_deadline: 90 * SECOND,
    }
}

/// A gate whose calls are over at once, and what went out.
struct World {
    gate: GatePolicy,
    ceiling: f64,
    now: Instant,
    n_tickets: u64,
    sent: Vec<Instant>,
    /// When each pause was heard of, and until when the gate said it would keep it.
    pauses: Vec<(Instant, Instant)>,
    /// When answers come, after calls.
    latency: Duration,
    out: Vec<(Instant, u64)>,
}

impl World {
    fn new(settings: GateSettings, latency: Duration) -> Self {
        let now = Instant::now();
        let gate = GatePolicy::new(settings, now);
        let ceiling = settings.pace.requests_per_second;
        Self { gate, ceiling, now, n_tickets: 0, sent: Vec::new(), pauses: Vec::new(), latency, out: Vec::new() }
    }

    fn ask(&mut self, lane: Lane, n: usize) {
        for _ in 0..n {
            self.n_tickets += 1;
            self.gate.ask(self.n_tickets, lane, Some(ExtractionId(self.n_tickets % 4)));
        }
    }

    /// Lets out what may go out now; answers when to look again.
    fn pump(&mut self) -> Option<Instant> {
        loop {
            match self.gate.next(self.now, true, self.out.len(), |_| true) {
                Decision::Admit { ticket, .. } => self.sent(ticket),
                Decision::NeedTurn => self.gate.turn_given(self.now + TURN_LIFE),
                Decision::Wait(until) => {
                    assert!(until > self.now, "a wait that is over");
                    return Some(until);
                }
                Decision::Idle => return None,
                other => panic!("{other:?}"),
            }
        }
    }

    fn sent(&mut self, ticket: u64) {
        let now = self.now;
        let broken = self.pauses.iter().find(|(told, until)| (*told..*until).contains(&now));
        assert!(broken.is_none(), "a call inside a pause");
        self.sent.push(now);
        let pace = self.gate.pace(now);
        assert!(pace > 0.0 && pace <= self.ceiling, "a pace of {pace}");
        let window = if pace < 1.0 { Duration::from_secs_f64(1.0 / pace) } else { SECOND };
        let n = self.sent.iter().rev().take_while(|at| now - **at < window).count();
        assert!(n <= (pace + 1e-6).max(1.0) as usize, "{n} calls in {window:?} at a pace of {pace}");
        self.out.push((now + self.latency, ticket));
    }

    /// Time goes by; now and then nobody looks when something is due.
    fn pass(&mut self, time: Duration, late: Duration) {
        let end = self.now + time;
        loop {
            let wake = self.pump().map(|wake| wake + late);
            let due = self.out.iter().map(|(at, _)| *at).chain(wake).min().filter(|due| *due <= end);
            let Some(due) = due else { break };
            self.now = due;
            let (over, out) = std::mem::take(&mut self.out).into_iter().partition(|(at, _)| *at <= due);
            self.out = out;
            let over: Vec<(Instant, u64)> = over;
            over.into_iter().for_each(|(_, ticket)| self.gate.ended(ticket, Outcome::Ok));
        }
        self.now = end;
        self.pump();
    }

    fn told(&mut self, ago: Duration, wait: Option<Duration>, random: f64) {
        let received = self.now - ago;
        let told = self.gate.told_to_wait(received, 429, wait, random);
        assert_eq!(told.is_some(), wait.is_some());
        if let Some((asked, gets)) = told {
            assert!(gets >= asked && gets <= asked + asked / 10 && gets <= asked + 5 * SECOND);
            self.pauses.push((self.now, received + gets));
        }
        self.check_hold();
    }

    /// The tenant told another process.
    fn heard(&mut self, left: Duration) {
        self.gate.go_on_waiting(self.now, 503, left, left);
        // By another clock the same pause may end a little later; its turn then waits for that in the store.
        let known_until = self.pauses.iter().map(|(_, until)| *until).max().unwrap_or(self.now);
        if known_until + SAME_PAUSE < self.now + left {
            self.pauses.push((self.now, self.now + left));
        }
        self.check_hold();
    }

    fn check_hold(&self) {
        let due = self.pauses.iter().map(|(_, until)| *until).max().filter(|until| *until > self.now);
        let held = self.gate.held(self.now).map(|(_, until)| until);
        assert_eq!(held, due, "pauses are neither shortened nor made up");
    }
}

#[derive(Clone, Debug)]
enum Event {
    Ask(bool, usize),
    Pass(u64, u64),
    Told(u64, Option<u64>, f64),
    Heard(u64),
    Most(f64, u64),
    Jitter(u64),
    Careful,
}

fn events(longest_wait: u64) -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        6 => (any::<bool>(), 0..40_usize).prop_map(|(token, n)| Event::Ask(token, n)),
        8 => (prop_oneof![0..40_u64, 900..1100_u64, 0..20_000_u64], prop_oneof![Just(0), 0..30_u64, 0..3000_u64])
            .prop_map(|(ms, late)| Event::Pass(ms, late)),
        2 => (0..2000_u64, prop::option::of(0..longest_wait), 0.0..=1.0_f64)
            .prop_map(|(ago, wait, random)| Event::Told(ago, wait, random)),
        1 => (0..longest_wait).prop_map(Event::Heard),
        1 => (prop_oneof![Just(0.0), 0.0..50.0_f64], 0..20_000_u64).prop_map(|(most, ms)| Event::Most(most, ms)),
        1 => (0..200_u64).prop_map(Event::Jitter),
        1 => Just(Event::Careful),
    ];
    prop::collection::vec(event, 1..60)
}

fn run(world: &mut World, events: Vec<Event>) {
    for event in events {
        match event {
            Event::Ask(token, n) => world.ask(if token { Lane::Token } else { Lane::Page }, n),
            Event::Pass(ms, late) => world.pass(MS * ms as u32, MS * late as u32),
            Event::Told(ago, wait, random) => {
                world.told(Duration::from_millis(ago), wait.map(Duration::from_millis), random);
            }
            Event::Heard(left) => world.heard(Duration::from_millis(left)),
            Event::Most(most, holds) => world.gate.told_most(world.now, Some((most, Duration::from_millis(holds)))),
            Event::Jitter(ms) => world.gate.set_jitter(Duration::from_millis(ms)),
            Event::Careful => world.gate.start_carefully(world.now),
        }
    }
}

#[test]
fn h4_a_complaint_while_answers_tell_of_a_low_quota_leaves_the_least_pace_there_is() {
    let mut world = World::new(settings(10.0, 5, 8), MS);
    world.gate.told_most(world.now, Some((0.0, 60 * SECOND)));
    world.pump();
    world.told(Duration::ZERO, None, 0.0);
    assert!(world.gate.pace(world.now) >= 0.5, "{}", world.gate.pace(world.now));
}

fn rate() -> impl Strategy<Value = f64> {
    prop_oneof![Just(0.3), Just(1.0), Just(2.5), Just(10.0), Just(20.0), 0.5..40.0_f64]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn x5_no_call_goes_out_inside_a_pause_and_none_beyond_the_pace_however_they_overlap(
        events in events(20_000), rate in rate(), burst in 1..30_u32, in_flight in 1..20_usize, latency in 0..3000_u64,
    ) {
        let mut world = World::new(settings(rate, burst, in_flight), MS * latency as u32);
        run(&mut world, events);
        // The pause shows no trace once it is over, and the pace goes back to where it was.
        let pause = world.pauses.iter().map(|(_, until)| until.saturating_duration_since(world.now)).max();
        world.now += pause.unwrap_or_default();
        prop_assert!(world.gate.held(world.now).is_none());
        world.now += 220 * SECOND;
        world.pump();
        prop_assert!((world.gate.pace(world.now) - rate).abs() < 1e-6, "{}", world.gate.pace(world.now));
    }

    #[test]
    fn h3_pauses_of_any_length_overflow_no_clock_and_are_kept(
        waits in prop::collection::vec((any::<u64>(), any::<u32>(), any::<bool>(), 0.0..=1.0_f64), 1..10),
    ) {
        let mut world = World::new(settings(20.0, 5, 8), MS);
        world.ask(Lane::Page, 3);
        for (secs, shift, told, random) in waits {
            let wait = Duration::from_secs(secs >> (shift % 64)).min(LONGEST_WAIT);
            if told { world.told(Duration::ZERO, Some(wait), random) } else { world.heard(wait) }
            world.pass(SECOND, Duration::ZERO);
        }
        world.gate.told_to_wait(world.now, 429, Some(Duration::MAX), 1.0);
        world.gate.go_on_waiting(world.now, 429, Duration::MAX, Duration::MAX);
        let (_, until) = world.gate.held(world.now).expect("it was told to wait");
        prop_assert!(until >= world.now + LONGEST_WAIT);
        world.ask(Lane::Token, 1);
        let decision = world.gate.next(world.now, true, 0, |_| true);
        prop_assert_eq!(decision, Decision::Wait(until));
    }

    #[test]
    fn nobody_is_passed_over_for_long_whoever_else_asks(
        rounds in prop::collection::vec(prop::option::of((any::<bool>(), 0..6_u64)), 1..120),
        watched_lane in any::<bool>(), watched in 0..6_u64, behind in 0..4_u64,
    ) {
        // Calls are let out one at a time while others keep asking in any way they like; one of them is watched.
        let mut gate = GatePolicy::new(settings(1000.0, 1000, 1), Instant::now());
        let mut now = Instant::now() + SECOND;
        let lane = |control| if control { Lane::Control } else { Lane::Page };
        let mut last_of: HashMap<(bool, u64), u64> = HashMap::new();
        let mut whose: HashMap<u64, (bool, u64)> = HashMap::new();
        let mut n_tickets = 0;
        let mut ask = |gate: &mut GatePolicy, whose: &mut HashMap<u64, (bool, u64)>, control, who| {
            n_tickets += 1;
            gate.ask(n_tickets, lane(control), Some(ExtractionId(who)));
            whose.insert(n_tickets, (control, who));
            n_tickets
        };
        for other in 0..6 {
            for control in [false, true] {
                (0..8).for_each(|_| { ask(&mut gate, &mut whose, control, other); });
            }
        }
        let ahead = 8 + behind;
        (0..behind).for_each(|_| { ask(&mut gate, &mut whose, watched_lane, watched); });
        let ticket = ask(&mut gate, &mut whose, watched_lane, watched);
        let mut n_served = 0;
        let mut is_served = false;
        for another in rounds.iter().cycle().take(600) {
            if let Some((control, who)) = another {
                ask(&mut gate, &mut whose, *control, *who);
            }
            now += SECOND;
            gate.turn_given(now + TURN_LIFE);
            let Decision::Admit { ticket: out, .. } = gate.next(now, true, 0, |_| true) else { continue };
            gate.ended(out, Outcome::Ok);
            n_served += 1;
            // Within a lane, an extraction's calls go out in the order of asking.
            let before = last_of.insert(whose[&out], out);
            prop_assert!(before.is_none_or(|before| before < out));
            if out == ticket {
                is_served = true;
                break;
            }
        }
        // Six extractions that take turns, in each of two lanes of which the other one may take three of four calls.
        prop_assert!(is_served && n_served <= 4 * 6 * (ahead + 1), "{} calls, {}", n_served, is_served);
    }
}
