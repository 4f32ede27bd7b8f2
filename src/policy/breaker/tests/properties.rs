//! What holds of breaker and gate together, whatever happens, and what an outage costs.

mod system;

use std::time::Duration;

use proptest::prelude::*;

use self::system::{Settings, System, Tenant};
use crate::model::Outcome;
use crate::policy::breaker::{BreakerSettings, MAX_FACTOR, Position};
use crate::policy::gate::{GateSettings, Lane, PaceSettings};

const SECOND: Duration = Duration::from_secs(1);

/// What pacing may take at the least pace of these tenants: a quarter of a call a second, twice over.
const PACING: Duration = Duration::from_secs(10);

fn settings() -> impl Strategy<Value = Settings> {
    (1..6_u32, 1..40_u64, 1..4_u32, 1..6_u32, 1..9_usize).prop_map(
        |(threshold, open_for, probes, failed, in_flight)| Settings {
            breaker: BreakerSettings {
                failure_threshold: threshold,
                open_for: SECOND * open_for as u32,
                half_open_requests: probes,
                max_failed_probes: failed,
            },
            gate: GateSettings {
                pace: PaceSettings {
                    requests_per_second: 5.0,
                    burst: 5,
                    adaptive: true,
                    jitter: Duration::ZERO,
                    told_most: None,
                },
                max_in_flight: in_flight,
                max_wait: Duration::from_secs(1800),
                probe_deadline: 90 * SECOND,
            },
        },
    )
}

#[derive(Clone, Debug)]
enum Event {
    Ask(u8),
    End(usize, Outcome),
    Lose(usize, bool),
    ToBreaker,
    ToGate,
    Told(u64, Option<u64>),
    Pass(u64),
    Jump(u64),
    Token(bool),
    RebuildGate,
    RebuildBreaker,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let outcome = prop_oneof![
        6 => Just(Outcome::Transient),
        2 => Just(Outcome::WrongKind),
        4 => Just(Outcome::Ok),
        1 => Just(Outcome::Local),
        1 => Just(Outcome::AuthExpired),
        1 => Just(Outcome::Permanent),
        1 => prop::option::of((0..20_u64).prop_map(Duration::from_secs)).prop_map(|wait| Outcome::Throttled { wait }),
    ];
    let event = prop_oneof![
        10 => (0..10_u8).prop_map(Event::Ask),
        10 => (any::<usize>(), outcome).prop_map(|(which, outcome)| Event::End(which, outcome)),
        2 => (any::<usize>(), any::<bool>()).prop_map(|(which, gate_hears)| Event::Lose(which, gate_hears)),
        3 => Just(Event::ToBreaker),
        3 => Just(Event::ToGate),
        1 => (0..3000_u64, prop::option::of(0..20_u64)).prop_map(|(ago, wait)| Event::Told(ago, wait)),
        8 => prop_oneof![0..300_u64, 0..60_000_u64].prop_map(Event::Pass),
        1 => prop_oneof![0..60_000_u64, 0..10_000_000_u64].prop_map(Event::Jump),
        1 => any::<bool>().prop_map(Event::Token),
        1 => prop_oneof![Just(Event::RebuildGate), Just(Event::RebuildBreaker)],
    ];
    prop::collection::vec(event, 1..200)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn x2_whatever_happens_between_gate_and_breaker_no_call_slips_through_and_nothing_is_stuck(
        settings in settings(), events in events(),
    ) {
        let mut system = System::new(settings);
        for event in events {
            match event {
                Event::Ask(0) => system.ask(Lane::Token),
                Event::Ask(1..4) => system.ask(Lane::Control),
                Event::Ask(_) => system.ask(Lane::Page),
                Event::End(which, outcome) => system.end(which, outcome),
                Event::Lose(which, gate_hears) => system.lose(which, gate_hears),
                Event::ToBreaker => system.deliver_to_breaker(),
                Event::ToGate => system.deliver_to_gate(),
                Event::Told(ago, wait) => system.told(Duration::from_millis(ago), wait.map(Duration::from_secs)),
                Event::Pass(ms) => system.pass(Duration::from_millis(ms)),
                Event::Jump(ms) => system.jump(Duration::from_millis(ms)),
                Event::Token(there) => {
                    system.has_token = there;
                    system.pump();
                }
                Event::RebuildGate => system.rebuild_gate(),
                Event::RebuildBreaker => system.rebuild_breaker(),
            }
        }
        system.must_recover();
    }

    #[test]
    fn t7_no_storm_of_complaints_and_rejected_tokens_opens_the_breaker(
        settings in settings(), storm in prop::collection::vec((0..6_u8, 0..2000_u64), 1..200),
    ) {
        let mut system = System::new(settings);
        let generation = system.breaker.generation();
        let mut n_failures = 1;
        for (kind, ms) in storm {
            system.ask(Lane::Page);
            system.pass(Duration::from_millis(ms));
            let outcome = match kind {
                0 => Outcome::Throttled { wait: Some(SECOND) },
                1 => Outcome::AuthExpired,
                2 => Outcome::Local,
                // Fewer than it takes, whatever comes between them.
                3 if n_failures < settings.breaker.failure_threshold => {
                    n_failures += u32::from(!system.out.is_empty());
                    Outcome::Transient
                }
                _ => Outcome::Throttled { wait: None },
            };
            system.end(0, outcome);
        }
        system.deliver_all();
        prop_assert_eq!(system.breaker.generation(), generation);
    }

    #[test]
    fn n10_an_outage_costs_the_failures_that_tell_of_it_what_is_under_way_by_then_and_the_probes(
        settings in settings(),
        latencies in prop::collection::vec((1..4000_u64).prop_map(Duration::from_millis), 1..20),
        healthy in 0..20_000_u64,
        outage in 60..1200_u64,
    ) {
        let settings = Settings {
            breaker: BreakerSettings { max_failed_probes: 1000, ..settings.breaker },
            ..settings
        };
        let mut system = System::new(settings);
        let down = system.now + Duration::from_millis(healthy);
        let up = down + Duration::from_secs(outage);
        system.tenant = Some(Tenant::new(latencies, (down, up)));
        for _ in 0..20 {
            system.ask(Lane::Page);
        }
        system.pass(down - system.now);
        let (n_under_way, n_before) = (system.in_flight(), system.sent.len());
        let opening_before = system.breaker.generation();
        system.pass(up - system.now);
        prop_assert!(n_under_way <= settings.gate.max_in_flight);

        let n_sent = n_under_way + system.sent[n_before..].iter().filter(|(_, probe)| !probe).count();
        let most = settings.gate.max_in_flight + settings.breaker.failure_threshold as usize;
        prop_assert!(n_sent <= most, "{} calls, {} at most", n_sent, most);
        let n_probes = system.sent[n_before..].iter().filter(|(_, probe)| *probe).count() as u64;
        // Open, half-open, open and so on.
        let n_half_open = (system.breaker.generation() - opening_before) / 2;
        prop_assert!(n_probes <= n_half_open * u64::from(settings.breaker.half_open_requests));

        system.pass(settings.breaker.open_for * MAX_FACTOR + PACING);
        prop_assert!(system.breaker.position() == &Position::Closed);
        let n_sent = system.sent.len();
        system.pass(PACING);
        prop_assert!(system.sent.len() > n_sent, "it has closed, and nothing goes out");
    }
}
