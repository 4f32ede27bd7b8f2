mod crowd;

use std::cell::RefCell;
use std::collections::VecDeque;

use tokio::time::sleep;

use super::*;
use crate::actors::gate::tests::{Ear, paused};
use crate::actors::{InFlight, PermitLines};
use crate::model::{ParkReason, Secret};
use crate::policy::backoff::RetrySettings;
use crate::policy::token::ExpiresIn;

const SECOND: Duration = Duration::from_secs(1);

/// What the body of a complaint takes to come.
const BODY: Duration = Duration::from_secs(2);

/// Answers from a script, after a second; then with tokens that live for an hour.
#[derive(Clone, Default)]
struct Scripted {
    script: Rc<RefCell<VecDeque<Result<TokenAnswer, TokenFault>>>>,
    asked: Rc<RefCell<Vec<(Instant, Grant)>>>,
    /// What an answer takes less than a second.
    sooner: Rc<RefCell<Duration>>,
}

impl TokenEndpoint for Scripted {
    fn fetch(&self, grant: Grant, watch: Rc<dyn Watch>) -> LocalBoxFuture<'static, Result<TokenAnswer, TokenFault>> {
        self.asked.borrow_mut().push((Instant::now(), grant));
        let answer = self.script.borrow_mut().pop_front().unwrap_or_else(|| Ok(lives(3600)));
        let takes = SECOND - *self.sooner.borrow();
        Box::pin(async move {
            sleep(takes).await;
            if let Err(TokenFault { told_to_wait: Some((status, wait)), .. }) = &answer {
                watch.told_to_wait(*status, *wait);
                sleep(BODY).await;
            }
            answer
        })
    }
}

fn lives(secs: u64) -> TokenAnswer {
    TokenAnswer { access_token: Secret::new("t"), expires_in: ExpiresIn::Seconds(secs), refresh_token: None }
}

fn fault(outcome: Outcome, oauth_error: Option<&str>) -> TokenFault {
    let told_to_wait = match outcome {
        Outcome::Throttled { wait } => Some((429, wait)),
        _ => None,
    };
    TokenFault {
        outcome,
        oauth_error: oauth_error.map(str::to_owned),
        message: "status 400".to_owned(),
        told_to_wait,
        status: None,
        late: false,
    }
}

struct Scene {
    auth: Addr<AuthActor>,
    endpoint: Scripted,
    renewed: Ear<TokenRenewed>,
    unavailable: Ear<TokenUnavailable>,
    n_tokens: Arc<AtomicU64>,
    lines: AuthLines,
    start: Instant,
}

impl Scene {
    fn new(script: Vec<Result<TokenAnswer, TokenFault>>) -> Self {
        Self::with_gate(script, None)
    }

    fn with_gate(script: Vec<Result<TokenAnswer, TokenFault>>, gate: Option<Line<Admit>>) -> Self {
        let endpoint = Scripted { script: Rc::new(RefCell::new(script.into())), ..Scripted::default() };
        let (renewed, unavailable) = (Ear::new(), Ear::new());
        let n_tokens = Arc::new(AtomicU64::new(0));
        let through_gate = gate.is_some();
        let lines =
            AuthLines { admit: gate.unwrap_or_default(), renewed: renewed.line(), unavailable: unavailable.line() };
        let auth = AuthActor::new(AuthParts {
            tenant: TenantName::new("acme"),
            settings: TokenSettings {
                refresh_before: 300 * SECOND,
                retry: RetrySettings { max_attempts: 3, base_delay: SECOND, max_delay: 60 * SECOND },
                max_wait: 1800 * SECOND,
            },
            endpoint: Rc::new(endpoint.clone()),
            through_gate,
            lines: lines.clone(),
            generation: Arc::default(),
            n_tokens: n_tokens.clone(),
            observer: CallObserver::default(),
            seed: 7,
            guard: None,
        });
        Self { auth: auth.start(), endpoint, renewed, unavailable, n_tokens, lines, start: Instant::now() }
    }

    async fn want(&self) {
        self.auth.send(TokenWanted).await.unwrap();
    }

    fn n_asked(&self) -> usize {
        self.endpoint.asked.borrow().len()
    }
}

#[test]
fn x1_many_who_want_a_token_cost_one_token_call() {
    paused(async {
        let scene = Scene::new(vec![]);
        for _ in 0..20 {
            scene.want().await;
        }
        sleep(10 * SECOND).await;
        assert_eq!(scene.n_asked(), 1);
        let renewed = scene.renewed.heard();
        assert_eq!(renewed.len(), 1);
        assert_eq!(renewed[0].1.expires_at, scene.start + 3599 * SECOND, "its life counts from the request");
        assert_eq!(scene.n_tokens.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn o1_many_rejections_of_one_token_cost_one_renewal_and_a_late_one_costs_none() {
    paused(async {
        let scene = Scene::new(vec![]);
        scene.want().await;
        sleep(2 * SECOND).await;
        for _ in 0..8 {
            scene.auth.send(TokenRejected(TokenGeneration(1))).await.unwrap();
            scene.want().await;
        }
        sleep(2 * SECOND).await;
        scene.auth.send(TokenRejected(TokenGeneration(1))).await.unwrap();
        sleep(2 * SECOND).await;
        assert_eq!(scene.n_asked(), 2);
        assert_eq!(scene.renewed.heard().last().unwrap().1.token.generation, TokenGeneration(2));
    });
}

#[test]
fn o1_a_token_is_renewed_before_its_end_without_being_asked_for() {
    paused(async {
        let scene = Scene::new(vec![Ok(lives(3600)), Ok(lives(10_000))]);
        scene.want().await;
        sleep(3302 * SECOND).await;
        let asked: Vec<u64> =
            scene.endpoint.asked.borrow().iter().map(|(at, _)| (*at - scene.start).as_secs()).collect();
        assert_eq!(asked, [0, 3300]);
        sleep(9700 * SECOND).await;
        assert_eq!(scene.n_asked(), 3, "a renewal farther ahead than one timer reaches comes as well");
    });
}

#[test]
fn o6_tokens_that_live_for_five_seconds_are_renewed_once_a_life() {
    paused(async {
        let scene = Scene::new((0..40).map(|_| Ok(lives(5))).collect());
        *scene.endpoint.sooner.borrow_mut() = SECOND / 4;
        scene.want().await;
        sleep(102 * SECOND).await;
        assert_eq!(scene.n_asked(), 26);
        let renewed = scene.renewed.heard();
        assert!(renewed.windows(2).all(|w| w[1].0 <= w[0].1.expires_at), "there is always a valid one");
    });
}

#[test]
fn a_tenant_that_was_taken_down_gets_no_more_tokens() {
    paused(async {
        let Scene { auth, endpoint, .. } = Scene::new(vec![]);
        auth.send(TokenWanted).await.unwrap();
        sleep(2 * SECOND).await;
        drop(auth);
        sleep(24 * 3600 * SECOND).await;
        assert_eq!(endpoint.asked.borrow().len(), 1);
    });
}

#[test]
fn o2_a_failing_endpoint_is_tried_again_while_the_token_lasts() {
    paused(async {
        let mut script = vec![Ok(lives(1000))];
        script.extend((0..4).map(|_| Err(fault(Outcome::Transient, None))));
        let scene = Scene::new(script);
        scene.want().await;
        sleep(990 * SECOND).await;
        assert_eq!(scene.renewed.heard().len(), 2);
        assert_eq!(scene.n_asked(), 6);
        assert!(scene.unavailable.heard().is_empty());
    });
}

#[test]
fn o2_without_a_token_an_endpoint_that_is_down_parks_and_is_tried_anew_when_wanted() {
    paused(async {
        let scene = Scene::new((0..3).map(|_| Err(fault(Outcome::Transient, None))).collect());
        scene.want().await;
        sleep(60 * SECOND).await;
        let unavailable = scene.unavailable.heard();
        assert_eq!(unavailable.len(), 1);
        assert!(matches!(&unavailable[0].1.0, Refused::Parked(park) if park.reason == ParkReason::TenantDown));
        scene.want().await;
        sleep(2 * SECOND).await;
        assert_eq!(scene.renewed.heard().len(), 1);
    });
}

#[test]
fn o2_an_endpoint_that_asks_for_a_pause_is_left_alone_for_that_long() {
    paused(async {
        let scene = Scene::new(vec![Err(fault(Outcome::Throttled { wait: Some(90 * SECOND) }, None))]);
        scene.want().await;
        sleep(200 * SECOND).await;
        let asked = scene.endpoint.asked.borrow();
        assert_eq!(asked.len(), 2);
        assert!(asked[1].0 - asked[0].0 >= 91 * SECOND);
    });
}

#[test]
fn o3_refused_credentials_cost_exactly_one_attempt() {
    for error in ["invalid_client", "invalid_scope"] {
        paused(async {
            let scene = Scene::new(vec![Err(fault(Outcome::Permanent, Some(error)))]);
            for _ in 0..5 {
                scene.want().await;
                sleep(60 * SECOND).await;
            }
            assert_eq!(scene.n_asked(), 1);
            let unavailable = scene.unavailable.heard();
            assert_eq!(unavailable.len(), 5);
            assert!(
                unavailable.iter().all(|(_, u)| matches!(&u.0, Refused::Failed(f) if f.class == FailureClass::Auth))
            );
        });
    }
}

/// A gate that admits after three seconds, or refuses.
struct Porter {
    lines: PermitLines,
    refuse: Option<Refused>,
}

impl Actor for Porter {
    type Context = Context<Self>;
}

impl Handler<Admit> for Porter {
    type Result = ResponseFuture<Result<Permit, Refused>>;

    fn handle(&mut self, admit: Admit, _: &mut Self::Context) -> Self::Result {
        assert_eq!(admit.call, CallKind::Token);
        let (refuse, lines) = (self.refuse.clone(), self.lines.clone());
        Box::pin(async move {
            sleep(3 * SECOND).await;
            refuse.map_or_else(|| Ok(Permit::new(1, admit.call, None, 0, lines, &InFlight::default())), Err)
        })
    }
}

fn porter(lines: PermitLines, refuse: Option<Refused>) -> Line<Admit> {
    let line = Line::new();
    line.connect(Porter { lines, refuse }.start().recipient());
    line
}

#[test]
fn a_token_call_to_the_tenants_own_host_waits_for_the_gate_and_tells_it_of_a_pause() {
    paused(async {
        let (told, ended) = (Ear::new(), Ear::new());
        let gate =
            porter(PermitLines { told_to_wait: told.line(), ended: ended.line(), ..PermitLines::default() }, None);
        let wait = Outcome::Throttled { wait: Some(10 * SECOND) };
        let scene = Scene::with_gate(vec![Err(fault(wait, None))], Some(gate));
        scene.want().await;
        sleep(30 * SECOND).await;
        assert_eq!(scene.endpoint.asked.borrow()[0].0 - scene.start, 3 * SECOND);
        let told = told.heard();
        assert_eq!(told.len(), 1, "told once");
        assert_eq!(told[0].1.wait, Some(10 * SECOND));
        assert_eq!(told[0].0 - scene.start, 4 * SECOND, "as soon as the head is there, not its body");
        let outcomes: Vec<Outcome> = ended.heard().iter().map(|(_, ended)| ended.outcome).collect();
        assert_eq!(outcomes, [wait, Outcome::Ok]);
        assert_eq!(scene.renewed.heard().len(), 1);
    });
}

#[test]
fn a_gate_that_refuses_leaves_everybody_without_a_token_for_the_gates_reason() {
    paused(async {
        let refused = Refused::Failed(Failure::new(FailureClass::Internal, "no gate"));
        let scene = Scene::with_gate(vec![], Some(porter(PermitLines::default(), Some(refused.clone()))));
        scene.want().await;
        sleep(10 * SECOND).await;
        assert_eq!(scene.n_asked(), 0);
        assert_eq!(scene.unavailable.heard()[0].1.0, refused);
    });
}
