mod properties;

use proptest::prelude::*;

use super::*;

const SETTINGS: GateSettings = GateSettings {
    pace: PaceSettings { requests_per_second: 10.0, burst: 5, adaptive: true, jitter: Duration::ZERO, told_most: None },
    max_in_flight: 4,
    max_wait: Duration::from_secs(1800),
    probe_deadline: Duration::from_secs(90),
};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// A gate and callers that wait for it. Time only passes through [`World::pass`].
struct World {
    settings: GateSettings,
    gate: GatePolicy,
    now: Instant,
    wake: Option<Instant>,
    has_token: bool,
    n_tickets: u64,
    lanes: HashMap<u64, Lane>,
    /// Calls under way: ticket and whether it is a probe.
    out: Vec<(u64, bool)>,
    admitted: Vec<(Instant, u64)>,
    refused: Vec<(u64, Refusal)>,
}

impl World {
    fn new(settings: GateSettings) -> Self {
        let now = Instant::now();
        Self {
            settings,
            gate: GatePolicy::new(settings, now),
            now,
            wake: None,
            has_token: true,
            n_tickets: 0,
            lanes: HashMap::new(),
            out: Vec::new(),
            admitted: Vec::new(),
            refused: Vec::new(),
        }
    }

    fn in_flight(&self) -> usize {
        self.out.iter().filter(|(ticket, _)| self.lanes[ticket] != Lane::Token).count()
    }

    fn ask(&mut self, lane: Lane, whose: u64) -> u64 {
        self.n_tickets += 1;
        self.lanes.insert(self.n_tickets, lane);
        self.gate.ask(self.n_tickets, lane, Some(ExtractionId(whose)));
        self.settle();
        self.n_tickets
    }

    fn ask_pages(&mut self, n: usize) {
        for _ in 0..n {
            self.ask(Lane::Page, 1);
        }
    }

    fn settle(&mut self) -> Decision {
        loop {
            let decision = self.gate.next(self.now, self.has_token, self.in_flight(), |_| true);
            self.wake = None;
            match decision {
                Decision::Admit { ticket, probe } => {
                    self.out.push((ticket, probe));
                    self.admitted.push((self.now, ticket));
                    assert!(self.in_flight() <= self.settings.max_in_flight, "too many calls under way");
                }
                Decision::Refuse { ticket, ref why } => self.refused.push((ticket, why.clone())),
                Decision::Wait(until) => {
                    assert!(until > self.now, "a wait that is over");
                    self.wake = Some(until);
                    return decision;
                }
                Decision::NeedTurn => self.gate.turn_given(self.now + TURN_LIFE),
                Decision::NeedToken | Decision::Idle => return decision,
            }
        }
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(wake) = self.wake.filter(|wake| *wake <= end) {
            self.now = wake;
            self.settle();
        }
        self.now = end;
        self.settle();
    }

    fn end(&mut self, which: usize, outcome: Outcome) {
        if !self.out.is_empty() {
            let (ticket, _) = self.out.remove(which % self.out.len());
            self.gate.ended(ticket, outcome);
            self.settle();
        }
    }

    fn told(&mut self, wait: Option<Duration>) {
        self.gate.told_to_wait(self.now, 429, wait, 1.0);
        self.settle();
    }

    fn shift(&mut self, position: Position) {
        self.gate.breaker_shifted(position);
        self.settle();
    }

    fn millis(&self) -> Vec<u64> {
        let start = self.admitted[0].0;
        self.admitted.iter().map(|(at, _)| (*at - start).as_millis() as u64).collect()
    }
}

fn open(world: &World) -> Position {
    Position::Open { until: world.now + 30 * SECOND, error: "status 500".to_owned() }
}

#[test]
fn no_more_calls_are_under_way_than_allowed_and_a_place_that_is_freed_is_taken_at_once() {
    let mut world = World::new(SETTINGS);
    world.ask_pages(6);
    assert_eq!(world.out.len(), 4);
    world.pass(60 * SECOND);
    assert_eq!(world.out.len(), 4);
    world.end(0, Outcome::Transient);
    assert_eq!((world.out.len(), world.admitted.len()), (4, 5));
}

#[test]
fn a_token_call_takes_no_place_and_goes_first() {
    let mut world = World::new(SETTINGS);
    world.ask_pages(6);
    let token = world.ask(Lane::Token, 0);
    assert_eq!(world.admitted.last().unwrap().1, token);
    assert_eq!(world.in_flight(), 4);
}

#[test]
fn without_a_token_the_gate_asks_for_one_and_lets_only_token_calls_pass() {
    let mut world = World::new(SETTINGS);
    world.has_token = false;
    world.ask_pages(1);
    assert_eq!(world.settle(), Decision::NeedToken);
    world.ask(Lane::Token, 0);
    assert_eq!(world.admitted.len(), 1);
    world.has_token = true;
    world.settle();
    assert_eq!(world.admitted.len(), 2);
}

#[test]
fn h1_nothing_goes_out_inside_a_wait_and_then_one_call_after_the_other() {
    let mut world = World::new(SETTINGS);
    world.ask_pages(1);
    world.end(0, Outcome::Throttled { wait: Some(60 * SECOND) });
    world.told(Some(60 * SECOND));
    world.ask_pages(8);
    world.ask(Lane::Token, 0);
    world.pass(65 * SECOND - MS);
    assert_eq!(world.admitted.len(), 1, "five seconds of jitter are added at most");
    world.pass(SECOND);
    assert_eq!(world.admitted.len(), 2, "the first call feels its way");
    world.end(0, Outcome::Ok);
    world.pass(SECOND);
    assert_eq!(world.out.len(), 2);
    world.end(0, Outcome::Ok);
    world.pass(SECOND);
    assert_eq!(world.out.len(), 3);
}

#[test]
fn a_slow_first_call_after_a_wait_holds_the_others_back_for_a_while_only() {
    let mut world = World::new(SETTINGS);
    world.told(Some(SECOND));
    world.ask_pages(3);
    world.pass(2 * SECOND);
    assert_eq!(world.out.len(), 1);
    world.pass(RAMP_PATIENCE);
    assert_eq!(world.out.len(), 2);
}

#[test]
fn h1_a_wait_is_never_shortened() {
    let mut world = World::new(SETTINGS);
    world.told(Some(60 * SECOND));
    world.told(Some(SECOND));
    world.told(None);
    world.ask_pages(1);
    world.pass(60 * SECOND);
    assert!(world.admitted.is_empty());
}

#[test]
fn h3_a_wait_longer_than_we_sit_out_refuses_everybody_until_it_has_shrunk() {
    for wait in [1801 * SECOND, Duration::MAX] {
        let mut world = World::new(SETTINGS);
        world.ask_pages(5);
        world.told(Some(wait));
        world.ask(Lane::Token, 0);
        assert_eq!(world.refused.len(), 2);
        assert!(matches!(world.refused[0].1, Refusal::LongPause { status: 429, .. }));
    }
    let mut world = World::new(SETTINGS);
    world.told(Some(1801 * SECOND));
    world.pass(2 * SECOND);
    world.ask_pages(1);
    assert!(world.refused.is_empty());
    let mut exact = World::new(SETTINGS);
    exact.told(Some(SETTINGS.max_wait));
    exact.ask_pages(1);
    assert!(exact.refused.is_empty(), "what we add ourselves must not tip the scale");
}

#[test]
fn h4_a_complaint_without_a_wait_cuts_the_pace_and_holds_up_nobody() {
    let mut world = World::new(SETTINGS);
    world.told(None);
    world.ask_pages(1);
    assert_eq!(world.admitted.len(), 1);
    assert!((world.gate.pace(world.now) - 7.0).abs() < 1e-6);
    assert_eq!(world.gate.held(world.now), None);
}

#[test]
fn what_the_tenants_answers_say_of_its_quotas_lowers_the_pace_never_raises_it_and_never_stops_it() {
    let in_a_minute = |told: f64| {
        let mut world = World::new(GateSettings { max_in_flight: usize::MAX, ..SETTINGS });
        world.gate.told_most(world.now, Some((told, 60 * SECOND)));
        world.ask_pages(1000);
        world.pass(59 * SECOND);
        let first_minute = world.admitted.len();
        world.pass(61 * SECOND);
        (first_minute, world.admitted.len() - first_minute)
    };
    assert_eq!(in_a_minute(2.0), (116, 592), "two a second, then ten again");
    assert_eq!(in_a_minute(0.0), (30, 587), "the least there is");
    assert_eq!(in_a_minute(1000.0).0, 580);
    let rate_of = |told: f64| {
        let mut world = World::new(SETTINGS);
        world.gate.told_most(world.now, Some((told, 60 * SECOND)));
        world.gate.pace(world.now)
    };
    assert_eq!([2.0, 1000.0, 0.0, f64::INFINITY].map(rate_of), [2.0, 10.0, 0.5, 10.0]);
}

#[test]
fn quotas_that_answers_tell_of_are_nothing_to_a_pace_that_is_not_to_learn() {
    let pace = PaceSettings { adaptive: false, ..SETTINGS.pace };
    let mut world = World::new(GateSettings { pace, ..SETTINGS });
    world.gate.told_most(world.now, Some((2.0, 60 * SECOND)));
    assert_eq!(world.gate.pace(world.now), 10.0);
}

#[test]
fn an_open_breaker_holds_data_calls_and_lets_token_calls_pass() {
    let mut world = World::new(SETTINGS);
    world.shift(open(&world));
    world.ask_pages(2);
    world.ask(Lane::Token, 0);
    world.pass(SECOND);
    assert_eq!(world.admitted.len(), 1);
    assert!(matches!(world.gate.held(world.now), Some((Held::BreakerOpen(_), _))));
    world.shift(Position::Closed);
    assert_eq!(world.in_flight(), 1, "the first call feels its way");
    world.pass(RAMP_PATIENCE);
    assert_eq!(world.in_flight(), 2);
}

#[test]
fn x2_a_half_open_breaker_gets_its_probes_and_no_second_one_before_it_has_judged() {
    let mut world = World::new(SETTINGS);
    world.ask_pages(8);
    world.shift(open(&world));
    while !world.out.is_empty() {
        world.end(0, Outcome::Transient);
    }
    world.shift(Position::HalfOpen { probes: 1 });
    assert_eq!(world.out.iter().map(|(_, probe)| *probe).collect::<Vec<_>>(), [true]);
    world.end(0, Outcome::Transient);
    world.pass(SECOND);
    assert!(world.out.is_empty(), "its result is on the way to the breaker");
    world.shift(open(&world));
    assert!(world.out.is_empty());
}

#[test]
fn a_probe_that_is_cancelled_or_lost_gives_its_place_to_another() {
    let mut world = World::new(SETTINGS);
    world.shift(Position::HalfOpen { probes: 1 });
    world.ask_pages(3);
    world.end(0, Outcome::Local);
    world.pass(SECOND);
    assert_eq!(world.out.len(), 1);
    world.pass(SETTINGS.probe_deadline - 2 * SECOND);
    assert_eq!(world.out.len(), 1);
    world.pass(2 * SECOND);
    assert_eq!(world.out.len(), 2);
}

#[test]
fn a_tenant_that_is_given_up_refuses_data_calls_with_the_last_error() {
    let mut world = World::new(SETTINGS);
    world.ask_pages(5);
    world.shift(Position::GivenUp { error: "status 502".to_owned() });
    world.ask(Lane::Control, 1);
    assert_eq!(world.refused.len(), 2);
    assert_eq!(world.refused[1].1, Refusal::GivenUp { error: "status 502".to_owned() });
}

#[test]
fn a_careful_start_leaves_a_second_for_calls_that_went_out_before() {
    let mut world = World::new(SETTINGS);
    world.gate.start_carefully(world.now);
    world.ask_pages(2);
    world.pass(SECOND);
    assert!(world.admitted.is_empty());
    world.pass(20 * MS);
    assert_eq!(world.admitted.len(), 1);
}

#[test]
fn x1_tickets_that_nobody_waits_for_cost_nothing() {
    let now = Instant::now();
    let mut gate = GatePolicy::new(SETTINGS, now);
    for ticket in 0..100 {
        gate.ask(ticket, Lane::Page, None);
    }
    assert_eq!(gate.next(now, true, 0, |ticket| ticket == 99), Decision::NeedTurn);
    gate.turn_given(now + TURN_LIFE);
    assert_eq!(gate.next(now, true, 0, |ticket| ticket == 99), Decision::Admit { ticket: 99, probe: false });
    assert_eq!(gate.next(now, true, 1, |_| true), Decision::Idle);
}

#[test]
fn twenty_busy_extractions_get_their_calls_within_one_of_each_other() {
    let mut world = World::new(GateSettings { max_in_flight: 1000, ..SETTINGS });
    for whose in 0..20 {
        for _ in 0..10 {
            world.ask(Lane::Page, whose);
        }
    }
    // The first extraction's burst has gone out before the others have asked.
    let n_before = world.admitted.len();
    world.pass(5 * SECOND);
    let mut n_by_extraction = [0; 20];
    for (_, ticket) in &world.admitted[n_before..] {
        n_by_extraction[((ticket - 1) / 10) as usize] += 1;
    }
    let (least, most) = (n_by_extraction.iter().min().unwrap(), n_by_extraction.iter().max().unwrap());
    assert!(most - least <= 1, "{n_by_extraction:?}");
}

#[test]
fn a_busy_tenant_is_called_nearly_as_often_as_it_allows() {
    let mut world = World::new(GateSettings { max_in_flight: 10_000, ..SETTINGS });
    world.ask_pages(700);
    world.pass(60 * SECOND);
    assert!(world.admitted.len() >= 585, "{}", world.admitted.len());
    assert!(world.millis().windows(11).all(|w| w[10] - w[0] > 1000));
}

#[derive(Clone, Debug)]
enum Event {
    Ask(u8, u64),
    Pass(u64),
    End(usize, u8),
    Told(Option<u64>),
    Shift(u8),
    Token(bool),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        6 => (0..8_u8, 0..5_u64).prop_map(|(lane, whose)| Event::Ask(lane, whose)),
        4 => prop_oneof![0..50_u64, 0..3000_u64].prop_map(Event::Pass),
        6 => (any::<usize>(), 0..5_u8).prop_map(|(which, how)| Event::End(which, how)),
        1 => prop::option::of(0..20_u64).prop_map(Event::Told),
        1 => (0..4_u8).prop_map(Event::Shift),
        1 => any::<bool>().prop_map(Event::Token),
    ];
    prop::collection::vec(event, 1..300)
}

proptest! {
    /// X5: the decision is one step, so that no order of events lets a call slip through.
    #[test]
    fn x5_no_order_of_events_breaks_a_limit_or_loses_a_caller(
        events in events(),
        rate in prop_oneof![Just(0.5), Just(1.0), Just(2.5), Just(10.0), Just(19.9)],
        burst in 1..12_u32,
    ) {
        let mut world = World::new(GateSettings { pace: PaceSettings { requests_per_second: rate, burst, ..SETTINGS.pace }, ..SETTINGS });
        let mut waits: Vec<(Instant, Instant)> = Vec::new();
        for event in events {
            match event {
                Event::Ask(0, whose) => { world.ask(Lane::Token, whose); }
                Event::Ask(1..3, whose) => { world.ask(Lane::Control, whose); }
                Event::Ask(_, whose) => { world.ask(Lane::Page, whose); }
                Event::Pass(ms) => world.pass(Duration::from_millis(ms)),
                Event::End(which, how) => world.end(which, match how {
                    0 => Outcome::Transient,
                    1 => Outcome::Local,
                    2 => Outcome::Throttled { wait: None },
                    _ => Outcome::Ok,
                }),
                Event::Told(wait) => {
                    let wait = wait.map(Duration::from_secs);
                    waits.extend(wait.map(|wait| (world.now, world.now + wait)));
                    world.told(wait);
                }
                Event::Shift(0) => { world.shift(open(&world)); }
                Event::Shift(1) => {
                    let n_before = world.out.len();
                    world.shift(Position::HalfOpen { probes: 1 });
                    prop_assert!(world.out[n_before..].iter().filter(|(_, probe)| *probe).count() <= 1);
                }
                Event::Shift(_) => world.shift(Position::Closed),
                Event::Token(there) => {
                    world.has_token = there;
                    world.settle();
                }
            }
        }

        world.has_token = true;
        world.shift(Position::Closed);
        for _ in 0..2000 {
            if world.admitted.len() as u64 == world.n_tickets {
                break;
            }
            world.end(0, Outcome::Ok);
            world.pass(SECOND);
        }
        prop_assert_eq!(world.admitted.len() as u64, world.n_tickets, "a caller was lost");

        let times: Vec<Instant> = world.admitted.iter().map(|(at, _)| *at).collect();
        let n = (rate as usize).max(1);
        let least = if rate < 1.0 { Duration::from_secs_f64(1.0 / rate) } else { SECOND };
        for pair in times.windows(n + 1) {
            prop_assert!(pair[n] - pair[0] > least, "more than {} in {:?}", n, least);
        }
        for (i, first) in times.iter().enumerate() {
            for (k, last) in times[i..].iter().enumerate() {
                // A call that went out late does not hold up the next one, as far as lateness goes.
                let fits = f64::from(burst) + (*last - *first + 2 * MS).as_secs_f64() * rate + 1e-3;
                prop_assert!((k + 1) as f64 <= fits, "{} calls in {:?}", k + 1, *last - *first);
            }
        }
        for (from, until) in waits {
            // A call of the very moment may have gone out before the complaint came.
            prop_assert!(times.iter().all(|at| *at <= from || *at >= until), "a call inside a wait");
        }
    }
}
