//! A thousand callers at one gate with one auth behind it: each loss of the token costs one token call.

use tokio::time::timeout;

use super::*;
use crate::actors::gate::{GateActor, GateLines, GateParts};
use crate::actors::{Admit, PermitLines};
use crate::model::{BootId, ExtractionId, MachineClock, Ticks, Timestamp, WallClock};
use crate::policy::gate::{GateSettings, PaceSettings};
use crate::state::{MemoryStore, StoreHandle};

const CROWD: usize = 1000;

/// A gate without limits and the auth of [`Scene`], connected as the tenant's stages are.
struct Crowd {
    admit: Line<Admit>,
    scene: Scene,
    _gate: Addr<GateActor>,
}

impl Crowd {
    fn new(script: Vec<Result<TokenAnswer, TokenFault>>) -> Self {
        let scene = Scene::new(script);
        let start = Instant::now();
        let clock = WallClock::new(|| Timestamp(0));
        let lines = GateLines { permits: PermitLines::default(), ..GateLines::default() };
        lines.token_wanted.connect(scene.auth.clone().recipient());
        lines.token_rejected.connect(scene.auth.clone().recipient());
        let gate = GateActor::new(GateParts {
            tenant: TenantName::new("acme"),
            settings: GateSettings {
                pace: PaceSettings {
                    requests_per_second: 1e6,
                    burst: 1_000_000,
                    adaptive: false,
                    jitter: Duration::ZERO,
                    told_most: None,
                },
                max_in_flight: CROWD,
                max_wait: 1800 * SECOND,
                probe_deadline: 90 * SECOND,
            },
            lines: lines.clone(),
            in_flight: InFlight::default(),
            numbers: Arc::default(),
            clock: clock.clone(),
            ticks: MachineClock::new(Some(BootId(1)), move || Ticks(0).plus(start.elapsed())),
            store: StoreHandle::inline(Arc::new(MemoryStore::new(clock))),
            seed: 7,
            stored_wait: None,
            careful_start: false,
            tallies: Default::default(),
            guard: None,
        })
        .start();
        lines.permits.ended.connect(gate.clone().recipient());
        scene.lines.renewed.connect(gate.clone().recipient());
        scene.lines.unavailable.connect(gate.clone().recipient());
        let admit = Line::new();
        admit.connect(gate.clone().recipient());
        Self { admit, scene, _gate: gate }
    }

    /// That many ask at once and wait for so long at most.
    async fn ask(&self, n: usize, patience: Duration) -> Vec<Permit> {
        let question = Admit { call: CallKind::Page, extraction: Some(ExtractionId(1)), is_replay: false };
        let all = (0..n).map(|_| timeout(patience, self.admit.ask(question)));
        let answers = futures::future::join_all(all).await;
        answers.into_iter().flatten().map(|answer| answer.expect("a gate").expect("a permit")).collect()
    }

    /// Some of the crowd lose patience while the token is on its way, the others don't.
    async fn ask_with_quitters(&self, n: usize, n_quitters: usize) -> Vec<Permit> {
        let quitters = self.ask(n_quitters, SECOND / 10);
        let (quit, permits) = futures::future::join(quitters, self.ask(n - n_quitters, 60 * SECOND)).await;
        assert!(quit.is_empty(), "they did not wait for a token");
        permits
    }
}

fn generations(permits: &[Permit]) -> Vec<u64> {
    let mut all: Vec<u64> = permits.iter().map(|permit| permit.token().expect("a token").generation.0).collect();
    all.dedup();
    all
}

#[test]
fn x1_a_thousand_refusals_at_once_cost_one_token_call_though_many_give_up_meanwhile() {
    paused(async {
        let crowd = Crowd::new(vec![]);
        let mut permits = crowd.ask_with_quitters(CROWD, 300).await;
        assert_eq!((permits.len(), crowd.scene.n_asked()), (700, 1));
        for generation in 1..=3 {
            assert_eq!(generations(&permits), [generation]);
            for permit in permits {
                permit.end(Outcome::AuthExpired, None);
            }
            permits = crowd.ask_with_quitters(700, 200).await;
            permits.extend(crowd.ask(200, SECOND).await);
            assert_eq!((permits.len(), crowd.scene.n_asked()), (700, 1 + generation as usize));
        }
    });
}

#[test]
fn x1_if_all_of_them_give_up_the_token_that_comes_serves_the_next() {
    paused(async {
        let crowd = Crowd::new(vec![]);
        assert!(crowd.ask(CROWD, SECOND / 10).await.is_empty());
        sleep(5 * SECOND).await;
        assert_eq!(crowd.ask(CROWD, SECOND).await.len(), CROWD);
        assert_eq!(crowd.scene.n_asked(), 1);
    });
}

#[test]
fn o4_refusals_that_end_their_reports_fetch_no_token() {
    paused(async {
        let crowd = Crowd::new(vec![]);
        for permit in crowd.ask(CROWD, 60 * SECOND).await {
            permit.end(Outcome::AuthExpired, None);
        }
        sleep(2 * 3600 * SECOND).await;
        assert_eq!(crowd.scene.n_asked(), 1, "nobody has asked for a call since");
    });
}

#[test]
fn o2_whoever_waits_hears_of_every_token_that_can_t_be_had() {
    paused(async {
        let crowd = Crowd::new((0..3).map(|_| Err(fault(Outcome::Transient, None))).collect());
        let question = Admit { call: CallKind::Page, extraction: Some(ExtractionId(1)), is_replay: false };
        let all = (0..CROWD).map(|_| timeout(300 * SECOND, crowd.admit.ask(question)));
        let answers = futures::future::join_all(all).await;
        assert!(answers.into_iter().all(|answer| matches!(answer, Ok(Ok(Err(Refused::Parked(_)))))));
        assert_eq!(crowd.scene.n_asked(), 3);
    });
}
