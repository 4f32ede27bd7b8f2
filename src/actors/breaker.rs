//! Tells the gate of a tenant when to hold calls back because the tenant is down.
//!
//! It sees how data calls end and keeps the time between openings; it neither holds nor sends a call. Whoever reports
//! from another generation than the present one is told what holds now: that is how a rebuilt gate learns of an open
//! breaker.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use actix::prelude::*;
use tokio::time::Instant;

use crate::actors::{BreakerShifted, BreakerState, Line, OutcomeSeen};
use crate::model::TenantName;
use crate::policy::breaker::{BreakerPolicy, BreakerSettings, Position};

/// What a breaker is built from.
pub struct BreakerParts {
    /// Whose breaker it is.
    pub tenant: TenantName,
    /// The tenant's configuration.
    pub settings: BreakerSettings,
    /// To the gate.
    pub shifted: Line<BreakerShifted>,
    /// The last generation; kept over a rebuild, so that results from before it are ignored.
    pub generation: Arc<AtomicU64>,
    /// Counts openings.
    pub n_opens: Arc<AtomicU64>,
    /// Dropped with the actor.
    pub guard: Option<Box<dyn Any + Send>>,
}

/// The circuit breaker of one tenant.
pub struct CircuitBreakerActor {
    policy: BreakerPolicy,
    parts: BreakerParts,
    timer: Option<SpawnHandle>,
}

impl CircuitBreakerActor {
    /// A closed breaker, in a generation of its own.
    pub fn new(parts: BreakerParts) -> Self {
        let generation = parts.generation.fetch_add(1, Ordering::AcqRel) + 1;
        Self { policy: BreakerPolicy::new(parts.settings, generation), parts, timer: None }
    }

    fn shifted(&mut self, ctx: &mut Context<Self>) {
        self.parts.generation.store(self.policy.generation(), Ordering::Release);
        if let Position::Open { error, .. } = self.policy.position() {
            self.parts.n_opens.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(tenant = %self.parts.tenant, %error, "circuit breaker opened");
        }
        self.tell();
        self.arm(ctx);
    }

    fn tell(&self) {
        let state = self.policy.position().clone().into();
        self.parts.shifted.tell(BreakerShifted { state, generation: self.policy.generation() });
    }

    fn arm(&mut self, ctx: &mut Context<Self>) {
        if let Some(timer) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        self.timer = self.policy.next_tick().map(|at| {
            ctx.run_later(at.saturating_duration_since(Instant::now()), |breaker, ctx| {
                breaker.timer = None;
                if breaker.policy.tick(Instant::now()) {
                    breaker.shifted(ctx);
                } else {
                    breaker.arm(ctx);
                }
            })
        });
    }
}

impl Actor for CircuitBreakerActor {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Self::Context) {
        self.tell();
    }
}

impl Handler<OutcomeSeen> for CircuitBreakerActor {
    type Result = ();

    fn handle(&mut self, seen: OutcomeSeen, ctx: &mut Self::Context) {
        fail::fail_point!(&format!("breaker/{}", self.parts.tenant));
        if seen.generation != self.policy.generation() {
            self.tell();
        } else if self.policy.saw(Instant::now(), seen.outcome, seen.error.as_deref(), seen.generation) {
            self.shifted(ctx);
        }
    }
}

impl From<Position> for BreakerState {
    fn from(position: Position) -> Self {
        match position {
            Position::Closed => Self::Closed,
            Position::Open { until, error } => Self::Open { until, error },
            Position::HalfOpen { probes } => Self::HalfOpen { probes },
            Position::GivenUp { error } => Self::GivenUp { error },
        }
    }
}

impl From<BreakerState> for Position {
    fn from(state: BreakerState) -> Self {
        match state {
            BreakerState::Closed => Self::Closed,
            BreakerState::Open { until, error } => Self::Open { until, error },
            BreakerState::HalfOpen { probes } => Self::HalfOpen { probes },
            BreakerState::GivenUp { error } => Self::GivenUp { error },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::sleep;

    use super::*;
    use crate::actors::gate::tests::{Ear, paused};
    use crate::model::Outcome;

    const SETTINGS: BreakerSettings = BreakerSettings {
        failure_threshold: 2,
        open_for: Duration::from_secs(30),
        half_open_requests: 1,
        max_failed_probes: 2,
    };

    fn failed(generation: u64) -> OutcomeSeen {
        OutcomeSeen { outcome: Outcome::Transient, error: Some("status 500".to_owned()), generation }
    }

    fn parts(ear: &Ear<BreakerShifted>) -> BreakerParts {
        BreakerParts {
            tenant: TenantName::new("acme"),
            settings: SETTINGS,
            shifted: ear.line(),
            generation: Arc::default(),
            n_opens: Arc::default(),
            guard: None,
        }
    }

    #[test]
    fn n10_it_opens_probes_and_gives_up_by_the_clock() {
        paused(async {
            let ear = Ear::new();
            let parts = parts(&ear);
            let n_opens = parts.n_opens.clone();
            let start = Instant::now();
            let breaker = CircuitBreakerActor::new(parts).start();
            breaker.send(failed(1)).await.unwrap();
            breaker.send(failed(1)).await.unwrap();
            sleep(Duration::from_millis(30_100)).await;
            breaker.send(failed(3)).await.unwrap();
            sleep(Duration::from_millis(60_100)).await;
            breaker.send(failed(5)).await.unwrap();
            sleep(Duration::from_secs(600)).await;

            let heard = ear.heard();
            let generations: Vec<u64> = heard.iter().map(|(_, shifted)| shifted.generation).collect();
            assert_eq!(generations, [1, 2, 3, 4, 5, 6, 7]);
            let seconds: Vec<u64> = heard.iter().map(|(at, _)| (*at - start).as_secs()).collect();
            assert_eq!(seconds, [0, 0, 30, 30, 90, 90, 210]);
            assert_eq!(heard[0].1.state, BreakerState::Closed);
            assert_eq!(heard[2].1.state, BreakerState::HalfOpen { probes: 1 });
            assert_eq!(heard[5].1.state, BreakerState::GivenUp { error: "status 500".to_owned() });
            assert_eq!(heard[6].1.state, BreakerState::HalfOpen { probes: 1 }, "who comes later may probe");
            assert_eq!(n_opens.load(Ordering::Relaxed), 2);
        });
    }

    #[test]
    fn x2_who_reports_from_an_older_generation_is_told_what_holds_now() {
        paused(async {
            let ear = Ear::new();
            let breaker = CircuitBreakerActor::new(parts(&ear)).start();
            breaker.send(failed(1)).await.unwrap();
            breaker.send(failed(1)).await.unwrap();
            breaker.send(failed(0)).await.unwrap();
            sleep(Duration::from_millis(1)).await;
            let heard = ear.heard();
            assert_eq!(heard.len(), 3);
            assert_eq!((heard[2].1.generation, &heard[2].1.state), (2, &heard[1].1.state));
        });
    }

    #[test]
    fn an_opening_of_decades_overflows_no_clock() {
        paused(async {
            let ear = Ear::new();
            let open_for = Duration::from_secs(3650 * 86_400);
            let settings = BreakerSettings { open_for, max_failed_probes: 1, ..SETTINGS };
            let start = Instant::now();
            let breaker = CircuitBreakerActor::new(BreakerParts { settings, ..parts(&ear) }).start();
            breaker.send(failed(1)).await.unwrap();
            breaker.send(failed(1)).await.unwrap();
            sleep(Duration::from_secs(86_400)).await;
            let heard = ear.heard();
            assert!(matches!(&heard[1].1.state, BreakerState::Open { until, .. } if *until == start + open_for));
            assert_eq!(heard.len(), 2, "no alarm went off early");
        });
    }

    #[test]
    fn a_rebuilt_breaker_takes_no_results_from_before() {
        paused(async {
            let ear = Ear::new();
            let parts = parts(&ear);
            parts.generation.store(7, Ordering::Release);
            let breaker = CircuitBreakerActor::new(parts).start();
            for _ in 0..5 {
                breaker.send(failed(7)).await.unwrap();
            }
            sleep(Duration::from_millis(1)).await;
            assert!(ear.heard().iter().all(|(_, s)| s.state == BreakerState::Closed && s.generation == 8));
        });
    }
}
