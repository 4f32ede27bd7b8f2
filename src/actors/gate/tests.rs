mod shared;

use std::future::Future;

use tokio::time::sleep;

use super::*;
use crate::actors::{BreakerState, LineDead};
use crate::model::{AccessToken, BootId, ExtractionId, Failure, FailureClass, Secret, Ticks, Timestamp};
use crate::policy::gate::PaceSettings;
use crate::state::MemoryStore;
use crate::tenant::Watch as _;

const SECOND: Duration = Duration::from_secs(1);

/// Runs under a clock that only moves when everybody waits.
pub(in crate::actors) fn paused<F: Future>(test: F) -> F::Output {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime");
    tokio::task::LocalSet::new().block_on(&runtime, test)
}

/// Hears messages of one type and remembers when they came.
pub(in crate::actors) struct Ear<M>(Rc<RefCell<Vec<(Instant, M)>>>);

impl<M> Clone for Ear<M> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<M: Message<Result = ()> + Send + Clone + Unpin + 'static> Ear<M> {
    pub(in crate::actors) fn new() -> Self {
        Self(Rc::default())
    }

    pub(in crate::actors) fn line(&self) -> Line<M> {
        let line = Line::new();
        line.connect(self.clone().start().recipient());
        line
    }

    pub(in crate::actors) fn heard(&self) -> Vec<(Instant, M)> {
        self.0.borrow().clone()
    }
}

impl<M: Unpin + 'static> Actor for Ear<M> {
    type Context = Context<Self>;
}

impl<M: Message<Result = ()> + Unpin + 'static> Handler<M> for Ear<M> {
    type Result = ();

    fn handle(&mut self, message: M, _: &mut Self::Context) {
        self.0.borrow_mut().push((Instant::now(), message));
    }
}

/// A gate with ears at its lines, and a token.
struct Scene {
    gate: Addr<GateActor>,
    in_flight: InFlight,
    wanted: Ear<TokenWanted>,
    rejected: Ear<TokenRejected>,
    outcomes: Ear<OutcomeSeen>,
    held: Ear<TenantHeld>,
    permits: PermitLines,
    start: Instant,
}

fn settings() -> GateSettings {
    GateSettings {
        pace: PaceSettings {
            requests_per_second: 10.0,
            burst: 5,
            adaptive: true,
            jitter: Duration::ZERO,
            told_most: None,
        },
        max_in_flight: 4,
        max_wait: Duration::from_secs(1800),
        probe_deadline: Duration::from_secs(90),
    }
}

/// A machine that was started with the test.
fn ticks() -> MachineClock {
    let start = Instant::now();
    MachineClock::new(Some(BootId(1)), move || Ticks(0).plus(start.elapsed()))
}

fn renewed(generation: u64, life: Duration) -> TokenRenewed {
    let token = AccessToken { value: Secret::new("t"), generation: TokenGeneration(generation), asked: Instant::now() };
    TokenRenewed { token, expires_at: Instant::now() + life }
}

impl Scene {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut GateParts)) -> Self {
        let scene = Self::without_token(change);
        scene.gate.send(renewed(1, 24 * 3600 * SECOND)).await.unwrap();
        scene
    }

    fn without_token(change: impl FnOnce(&mut GateParts)) -> Self {
        let (wanted, rejected, outcomes, held) = (Ear::new(), Ear::new(), Ear::new(), Ear::new());
        let lines = GateLines {
            permits: PermitLines::default(),
            token_wanted: wanted.line(),
            token_rejected: rejected.line(),
            outcome: outcomes.line(),
            held: held.line(),
        };
        let mut parts = GateParts {
            tenant: TenantName::new("acme"),
            settings: settings(),
            lines: lines.clone(),
            in_flight: InFlight::default(),
            numbers: Arc::default(),
            clock: WallClock::new(|| Timestamp(0)),
            ticks: ticks(),
            store: StoreHandle::inline(Arc::new(MemoryStore::new(WallClock::new(|| Timestamp(0))))),
            seed: 7,
            stored_wait: None,
            careful_start: false,
            tallies: GateTallies::default(),
            guard: None,
        };
        change(&mut parts);
        let in_flight = parts.in_flight.clone();
        let gate = GateActor::new(parts).start();
        lines.permits.told_to_wait.connect(gate.clone().recipient());
        lines.permits.ended.connect(gate.clone().recipient());
        Self { gate, in_flight, wanted, rejected, outcomes, held, permits: lines.permits, start: Instant::now() }
    }

    async fn admit(&self, call: CallKind) -> Result<Permit, Refused> {
        self.gate.send(Admit { call, extraction: Some(ExtractionId(1)), is_replay: false }).await.unwrap()
    }

    async fn page(&self) -> Permit {
        self.admit(CallKind::Page).await.unwrap()
    }

    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    async fn shift(&self, generation: u64, state: BreakerState) {
        self.gate.send(BreakerShifted { state, generation }).await.unwrap();
    }
}

async fn settled() {
    sleep(Duration::from_millis(1)).await;
}

#[test]
fn calls_go_out_at_the_tenants_rate_and_never_faster() {
    paused(async {
        let scene = Scene::new().await;
        let mut times = Vec::new();
        for _ in 0..100 {
            let permit = scene.page().await;
            times.push(scene.elapsed());
            permit.end(Outcome::Ok, None);
        }
        assert!(times.windows(11).all(|w| w[10] - w[0] > SECOND));
        assert!(times[99] < 11 * SECOND, "{:?}", times[99]);
    });
}

#[test]
fn a_permit_carries_the_token_and_a_place_that_it_gives_back_when_dropped() {
    paused(async {
        let scene = Scene::new().await;
        let mut permits = vec![scene.page().await, scene.page().await, scene.page().await, scene.page().await];
        assert_eq!(permits[0].token().unwrap().generation, TokenGeneration(1));
        assert_eq!(scene.in_flight.count(), 4);
        assert!(tokio::time::timeout(60 * SECOND, scene.page()).await.is_err(), "there are four places");
        drop(permits.pop());
        assert!(tokio::time::timeout(SECOND, scene.page()).await.is_ok());
        drop(permits);
        settled().await;
        assert_eq!(scene.in_flight.count(), 0);
        assert!(scene.outcomes.heard().get(1).is_none(), "a dropped permit tells the breaker nothing");
    });
}

#[test]
fn x1_an_asker_that_has_gone_away_costs_neither_place_nor_turn() {
    paused(async {
        let scene = Scene::without_token(|_| {});
        for _ in 0..50 {
            let asked = tokio::time::timeout(Duration::from_millis(10), scene.page());
            assert!(asked.await.is_err());
        }
        scene.gate.send(renewed(1, SECOND * 600)).await.unwrap();
        let before = scene.elapsed();
        let _permit = scene.page().await;
        assert_eq!(scene.elapsed(), before);
        assert_eq!(scene.in_flight.count(), 1);
    });
}

#[test]
fn h1_a_pause_holds_everybody_and_is_told_to_the_supervisor_with_its_end() {
    paused(async {
        let scene = Scene::new().await;
        let permit = scene.page().await;
        permit.told_to_wait(429, Some(60 * SECOND));
        permit.end(Outcome::Throttled { wait: Some(60 * SECOND) }, Some("status 429".to_owned()));
        let _permit = scene.page().await;
        assert!(scene.elapsed() >= 60 * SECOND && scene.elapsed() <= 66 * SECOND, "{:?}", scene.elapsed());
        settled().await;
        let held = scene.held.heard();
        assert_eq!(held.len(), 2);
        assert!(
            matches!(held[0].1.wait, Some((WaitReason::ToldToWait(429), until)) if until >= scene.start + 60 * SECOND)
        );
        assert!(held[1].1.wait.is_none());
    });
}

#[test]
fn h3_a_pause_longer_than_allowed_parks_and_names_its_end() {
    paused(async {
        let scene = Scene::new().await;
        scene.page().await.told_to_wait(503, Some(7200 * SECOND));
        let Err(Refused::Parked(park)) = scene.admit(CallKind::Page).await else { panic!("not parked") };
        assert_eq!(park.reason, ParkReason::TenantPause);
        assert!(park.until.is_some_and(|until| until.0 >= 7_200_000));
        assert!(park.message.contains("acme") && park.message.contains("1970-01-01T02:0"), "{}", park.message);
    });
}

#[test]
fn a_stored_pause_is_honoured_after_a_restart() {
    paused(async {
        let scene = Scene::with(|parts| {
            parts.stored_wait = Some((503, 30 * SECOND));
            parts.careful_start = true;
        });
        let scene = scene.await;
        let _permit = scene.page().await;
        assert!(scene.elapsed() >= 30 * SECOND);
    });
}

#[test]
fn a_pause_that_a_dead_gate_never_heard_of_is_honoured_by_the_next_one() {
    paused(async {
        // Nobody is at the end of these lines.
        let lines = PermitLines::default();
        let permit = Permit::new(1, CallKind::Page, None, 0, lines.clone(), &InFlight::default());
        permit.told_to_wait(503, Some(30 * SECOND));
        permit.told_to_wait(429, Some(10 * SECOND));
        permit.told_to_wait(429, None);
        let scene = Scene::with(|parts| {
            parts.lines.permits.pause = lines.pause.clone();
            parts.stored_wait = Some((429, 20 * SECOND));
        })
        .await;
        assert!(matches!(&scene.held.heard()[0].1.wait, Some((WaitReason::ToldToWait(503), _))));
        let _permit = scene.page().await;
        assert!(scene.elapsed() >= 30 * SECOND && scene.elapsed() < 31 * SECOND, "{:?}", scene.elapsed());
    });
}

#[test]
fn a_pause_without_end_overflows_no_clock_and_one_that_is_over_is_forgotten() {
    paused(async {
        let (endless, short) = (PermitLines::default(), PermitLines::default());
        for (lines, wait) in [(&endless, Duration::MAX), (&short, SECOND)] {
            let permit = Permit::new(1, CallKind::Page, None, 0, lines.clone(), &InFlight::default());
            permit.told_to_wait(429, Some(wait));
        }
        sleep(SECOND).await;
        assert!(endless.pause.left(Instant::now()).is_some_and(|(_, left)| left > 365 * 24 * 3600 * SECOND));
        assert_eq!(short.pause.left(Instant::now()), None);
    });
}

#[test]
fn o1_calls_wait_for_a_token_that_is_asked_for_once_and_again_if_it_does_not_come() {
    paused(async {
        let scene = Scene::without_token(|_| {});
        let asked = async {
            let pages = futures::future::join(scene.page(), scene.page());
            pages.await;
            scene.elapsed()
        };
        let token = async {
            sleep(7 * SECOND).await;
            assert_eq!(scene.wanted.heard().len(), 2, "one wish may be lost with a stage that dies");
            scene.gate.send(renewed(1, 600 * SECOND)).await.unwrap();
        };
        let (elapsed, ()) = futures::future::join(asked, token).await;
        assert_eq!(elapsed.as_secs(), 7);
    });
}

#[test]
fn o1_a_rejected_token_is_sent_with_no_other_call() {
    paused(async {
        let scene = Scene::new().await;
        let (first, second) = (scene.page().await, scene.page().await);
        first.end(Outcome::AuthExpired, None);
        second.end(Outcome::AuthExpired, None);
        settled().await;
        assert_eq!(scene.rejected.heard()[0].1.0, TokenGeneration(1));
        assert!(tokio::time::timeout(SECOND, scene.page()).await.is_err());
        scene.gate.send(renewed(2, 600 * SECOND)).await.unwrap();
        assert_eq!(scene.page().await.token().unwrap().generation, TokenGeneration(2));
    });
}

#[test]
fn o1_late_news_does_not_bring_a_rejected_token_back() {
    paused(async {
        let scene = Scene::new().await;
        scene.page().await.end(Outcome::AuthExpired, None);
        settled().await;
        scene.gate.send(renewed(1, 600 * SECOND)).await.unwrap();
        assert!(tokio::time::timeout(SECOND, scene.page()).await.is_err());
    });
}

#[test]
fn a_gate_that_nobody_can_reach_any_more_lets_go_of_whoever_waits() {
    paused(async {
        let scene = Scene::without_token(|_| {});
        let asked = scene.gate.send(Admit { call: CallKind::Page, extraction: None, is_replay: false });
        let asked = tokio::task::spawn_local(asked);
        settled().await;
        scene.permits.told_to_wait.cut();
        scene.permits.ended.cut();
        drop(scene.gate);
        assert!(asked.await.unwrap().is_err());
    });
}

#[test]
fn k6_a_token_that_expired_while_nobody_looked_is_not_sent() {
    paused(async {
        let scene = Scene::without_token(|_| {});
        scene.gate.send(renewed(1, 5 * SECOND)).await.unwrap();
        sleep(7200 * SECOND).await;
        assert!(tokio::time::timeout(SECOND, scene.page()).await.is_err());
        assert_eq!(scene.wanted.heard().len(), 1);
    });
}

#[test]
fn o3_without_a_token_to_be_had_everybody_is_refused_but_a_valid_one_goes_on_being_used() {
    paused(async {
        let refused = Refused::Failed(Failure::new(FailureClass::Auth, "invalid_client"));
        let scene = Scene::without_token(|_| {});
        let unavailable = async {
            settled().await;
            scene.gate.send(TokenUnavailable(refused.clone())).await.unwrap();
        };
        let (answer, ()) = futures::future::join(scene.admit(CallKind::Page), unavailable).await;
        assert_eq!(answer.unwrap_err(), refused);

        let scene = Scene::new().await;
        scene.gate.send(TokenUnavailable(refused)).await.unwrap();
        assert!(scene.admit(CallKind::Page).await.is_ok());
    });
}

#[test]
fn an_open_breaker_holds_calls_and_lets_one_probe_pass_when_half_open() {
    paused(async {
        let scene = Scene::new().await;
        let until = Instant::now() + 30 * SECOND;
        scene.shift(1, BreakerState::Open { until, error: "status 500".to_owned() }).await;
        assert!(tokio::time::timeout(60 * SECOND, scene.page()).await.is_err());
        scene.shift(2, BreakerState::HalfOpen { probes: 1 }).await;
        let probe = scene.page().await;
        assert!(probe.is_probe());
        assert!(tokio::time::timeout(60 * SECOND, scene.page()).await.is_err());
        scene.shift(2, BreakerState::HalfOpen { probes: 1 }).await;
        assert!(tokio::time::timeout(SECOND, scene.page()).await.is_err(), "the same news gives no second probe");
        probe.end(Outcome::Ok, None);
        settled().await;
        let seen = scene.outcomes.heard().last().cloned().unwrap().1;
        assert_eq!((seen.outcome, seen.generation), (Outcome::Ok, 2));
        scene.shift(3, BreakerState::Closed).await;
        assert!(!scene.page().await.is_probe());
        assert!(matches!(scene.held.heard()[0].1.wait, Some((WaitReason::BreakerOpen(_), _))));
    });
}

#[test]
fn n10_a_tenant_that_is_given_up_parks_its_reports_with_the_last_error() {
    paused(async {
        let scene = Scene::new().await;
        scene.shift(5, BreakerState::GivenUp { error: "status 502".to_owned() }).await;
        let Err(Refused::Parked(park)) = scene.admit(CallKind::Submit).await else { panic!("not parked") };
        assert_eq!(park.reason, ParkReason::TenantDown);
        assert!(park.message.contains("acme") && park.message.contains("status 502"));
    });
}

#[test]
fn a_token_call_needs_no_token_and_takes_no_place() {
    paused(async {
        let scene = Scene::without_token(|parts| parts.settings.max_in_flight = 1);
        let permit = scene.admit(CallKind::Token).await.unwrap();
        assert!(permit.token().is_none());
        assert_eq!(scene.in_flight.count(), 0);
        permit.end(Outcome::Transient, None);
        settled().await;
        assert_eq!(
            scene.outcomes.heard().len(),
            1,
            "only the greeting: token calls are none of the breaker's business"
        );
    });
}

#[test]
fn calls_of_one_extraction_go_out_in_the_order_of_asking() {
    paused(async {
        let scene = Scene::without_token(|parts| parts.settings.max_in_flight = 1);
        let order = Rc::new(RefCell::new(Vec::new()));
        let calls = (0..6).map(|n| {
            let (scene, order) = (&scene, order.clone());
            async move {
                let permit = scene.page().await;
                order.borrow_mut().push(n);
                permit.end(Outcome::Ok, None);
            }
        });
        let token = async {
            settled().await;
            scene.gate.send(renewed(1, 600 * SECOND)).await.unwrap();
        };
        futures::future::join(futures::future::join_all(calls), token).await;
        assert_eq!(*order.borrow(), [0, 1, 2, 3, 4, 5]);
    });
}

#[test]
fn k8_an_asker_asks_a_rebuilt_gate_again_and_calls_from_before_keep_their_places() {
    paused(async {
        let line = Line::new();
        let in_flight = InFlight::default();
        let build = || async {
            let in_flight = in_flight.clone();
            let scene = Scene::with(|parts| {
                parts.in_flight = in_flight;
                parts.settings.max_in_flight = 1;
            });
            scene.await
        };
        let old = build().await;
        line.connect(old.gate.clone().recipient());
        let permit = old.page().await;
        let asked = line.ask(Admit { call: CallKind::Page, extraction: None, is_replay: false });
        let rebuild = async {
            settled().await;
            old.gate.send(Die).await.unwrap();
            let new = build().await;
            line.connect(new.gate.clone().recipient());
            sleep(SECOND).await;
            assert_eq!(in_flight.count(), 1, "the place is still taken");
            drop(permit);
            // Its line led to the old gate; any event makes the new one look.
            new.gate.send(renewed(2, 600 * SECOND)).await.unwrap();
            new
        };
        let (answer, _new) = futures::future::join(asked, rebuild).await;
        assert!(matches!(answer, Ok(Ok(_))));
        line.cut();
        assert_eq!(
            line.ask(Admit { call: CallKind::Page, extraction: None, is_replay: false }).await.unwrap_err(),
            LineDead
        );
    });
}

/// Stops a gate as a death would, its callers unanswered.
#[derive(Message)]
#[rtype(result = "()")]
struct Die;

impl Handler<Die> for GateActor {
    type Result = ();

    fn handle(&mut self, _: Die, ctx: &mut Self::Context) {
        ctx.terminate();
    }
}
