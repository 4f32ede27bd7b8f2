//! Keeps a tenant supplied with an access token.
//!
//! It renews the token ahead of its end, one renewal at a time, and pushes each one to the gate; nobody asks it for a
//! token while holding a permit. A token is never logged, and never stored outside this actor and the gate.

use std::any::Any;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix::prelude::*;
use futures::future::LocalBoxFuture;
use tokio::time::Instant;

use crate::actors::permit::MAX_LATE;
use crate::actors::{
    Admit, CallKind, CallObserver, Line, Permit, Refused, TokenRejected, TokenRenewed, TokenUnavailable, TokenWanted,
};
use crate::model::{Failure, FailureClass, Outcome, TenantName, TokenGeneration};
use crate::policy::token::{Grant, NoToken, Step, TokenAnswer, TokenFault, TokenPolicy, TokenSettings};
use crate::tenant::Watch;
use crate::transport::Expected;

/// Timers are set no farther ahead than this, and set again.
const LONGEST_TIMER: Duration = Duration::from_secs(3600);

/// Where tokens come from.
pub trait TokenEndpoint {
    /// Has a connection made for a request that will be let out soon.
    fn prepare(&self) -> LocalBoxFuture<'static, Option<Expected>> {
        Box::pin(std::future::ready(None))
    }

    /// Asks for one token, once.
    fn fetch(&self, grant: Grant, watch: Rc<dyn Watch>) -> LocalBoxFuture<'static, Result<TokenAnswer, TokenFault>>;
}

/// What an auth actor is built from.
pub struct AuthParts {
    /// Whose tokens they are.
    pub tenant: TenantName,
    /// The tenant's configuration.
    pub settings: TokenSettings,
    /// Where tokens come from.
    pub endpoint: Rc<dyn TokenEndpoint>,
    /// Whom it talks to.
    pub lines: AuthLines,
    /// Whether the gate paces token calls too, as it must where they go to the tenant's own host.
    pub through_gate: bool,
    /// The last token's generation; kept over a rebuild, so that an old token's rejection is known for what it is.
    pub generation: Arc<AtomicU64>,
    /// Counts tokens.
    pub n_tokens: Arc<AtomicU64>,
    /// Who is told of calls that the gate doesn't pace.
    pub observer: CallObserver,
    /// Randomness.
    pub seed: u64,
    /// Dropped with the actor.
    pub guard: Option<Box<dyn Any + Send>>,
}

/// Whom an auth actor talks to: the gate.
#[derive(Clone, Debug, Default)]
pub struct AuthLines {
    /// Asks for the right to call.
    pub admit: Line<Admit>,
    /// Hands out tokens.
    pub renewed: Line<TokenRenewed>,
    /// Tells that there are none.
    pub unavailable: Line<TokenUnavailable>,
}

/// The auth of one tenant.
pub struct AuthActor {
    policy: TokenPolicy,
    parts: AuthParts,
    random: fastrand::Rng,
    timer: Option<SpawnHandle>,
}

/// How a try at a renewal ended.
enum Tried {
    Answered(Instant, TokenAnswer),
    Faulted(Grant, TokenFault),
    NotAdmitted(NoToken),
}

impl AuthActor {
    /// Without a token; the first one is fetched when one is wanted.
    pub fn new(parts: AuthParts) -> Self {
        let generation = TokenGeneration(parts.generation.load(Ordering::Acquire));
        Self {
            policy: TokenPolicy::new(parts.settings, generation),
            random: fastrand::Rng::with_seed(parts.seed),
            parts,
            timer: None,
        }
    }

    fn take(&mut self, step: Step, ctx: &mut Context<Self>) {
        match step {
            Step::Fetch(grant) => self.fetch(grant, ctx),
            Step::Use(token, expires_at) => self.parts.lines.renewed.tell(TokenRenewed { token, expires_at }),
            Step::Refuse(why) => {
                let refused = match why {
                    NoToken::Parked(park) => Refused::Parked(park),
                    NoToken::Failed(failure) => Refused::Failed(failure),
                };
                self.parts.lines.unavailable.tell(TokenUnavailable(refused));
            }
            Step::At(_) | Step::Nothing => {}
        }
        self.set_alarm(ctx);
    }

    fn set_alarm(&mut self, ctx: &mut Context<Self>) {
        if let Some(timer) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        self.timer = self.policy.renew_at().map(|at| {
            let delay = at.saturating_duration_since(Instant::now()).min(LONGEST_TIMER);
            ctx.run_later(delay, |auth, ctx| {
                auth.timer = None;
                if ctx.connected() {
                    let step = auth.policy.due(Instant::now());
                    auth.take(step, ctx);
                } else {
                    // Its tenant has been taken down; otherwise it would renew tokens for ever.
                    ctx.stop();
                }
            })
        });
    }

    fn fetch(&self, grant: Grant, ctx: &mut Context<Self>) {
        let gate = self.parts.through_gate.then(|| self.parts.lines.admit.clone());
        let tried = try_once(gate, self.parts.endpoint.clone(), grant, self.parts.observer.clone());
        ctx.spawn(tried.into_actor(self).map(|tried, auth, ctx| auth.tried(tried, ctx)));
    }

    fn tried(&mut self, tried: Tried, ctx: &mut Context<Self>) {
        fail::fail_point!(&format!("auth/{}", self.parts.tenant));
        let now = Instant::now();
        let step = match tried {
            Tried::Answered(sent, answer) => {
                self.parts.n_tokens.fetch_add(1, Ordering::Relaxed);
                let step = self.policy.answered(sent, now, answer);
                self.parts.generation.store(self.policy.generation().0, Ordering::Release);
                step
            }
            Tried::Faulted(grant, fault) => {
                tracing::warn!(tenant = %self.parts.tenant, error = %fault.message, "no access token");
                self.policy.faulted(now, &grant, &fault, self.random.f64())
            }
            Tried::NotAdmitted(why) => self.policy.refused_by_gate(now, why),
        };
        self.take(step, ctx);
    }
}

async fn try_once(
    gate: Option<Line<Admit>>,
    endpoint: Rc<dyn TokenEndpoint>,
    grant: Grant,
    observer: CallObserver,
) -> Tried {
    let mut n_late = 0;
    loop {
        let expected = endpoint.prepare().await;
        let permit = match &gate {
            Some(gate) => match admitted(gate).await {
                Ok(permit) => Some(if n_late < MAX_LATE { permit } else { permit.with_patience() }),
                Err(why) => return Tried::NotAdmitted(why),
            },
            None => None,
        };
        drop(expected);
        n_late += 1;
        if permit.as_ref().is_some_and(|permit| !permit.is_still_good()) {
            continue;
        }
        let permit = permit.map(Rc::new);
        let sent = Instant::now();
        let result = endpoint.fetch(grant.clone(), Rc::new(permit.clone())).await;
        // The answer is there, so nobody else holds the permit any more.
        match (permit.and_then(Rc::into_inner), &result) {
            (Some(permit), Ok(_)) => permit.end(Outcome::Ok, None),
            (Some(permit), Err(fault)) if fault.late => permit.end_unsent(),
            (Some(permit), Err(fault)) => permit.end(fault.outcome, Some(fault.message.clone())),
            (None, result) => {
                let outcome = result.as_ref().map_or_else(|fault| fault.outcome, |_| Outcome::Ok);
                observer.tell(CallKind::Token, Duration::ZERO, sent.elapsed(), outcome, None);
            }
        }
        match result {
            Ok(answer) => return Tried::Answered(sent, answer),
            Err(fault) if fault.late => {}
            Err(fault) => return Tried::Faulted(grant, fault),
        }
    }
}

async fn admitted(gate: &Line<Admit>) -> Result<Permit, NoToken> {
    match gate.ask(Admit { call: CallKind::Token, extraction: None, is_replay: false }).await {
        Ok(Ok(permit)) => Ok(permit),
        Ok(Err(Refused::Parked(park))) => Err(NoToken::Parked(park)),
        Ok(Err(Refused::Failed(failure))) => Err(NoToken::Failed(failure)),
        Err(dead) => Err(NoToken::Failed(Failure::new(FailureClass::Internal, format!("the tenant's gate: {dead}")))),
    }
}

impl Actor for AuthActor {
    type Context = Context<Self>;
}

impl Handler<TokenWanted> for AuthActor {
    type Result = ();

    fn handle(&mut self, _: TokenWanted, ctx: &mut Self::Context) {
        fail::fail_point!(&format!("auth/{}", self.parts.tenant));
        let step = self.policy.wanted(Instant::now());
        self.take(step, ctx);
    }
}

impl Handler<TokenRejected> for AuthActor {
    type Result = ();

    fn handle(&mut self, rejected: TokenRejected, ctx: &mut Self::Context) {
        fail::fail_point!(&format!("auth/{}", self.parts.tenant));
        let step = self.policy.rejected(Instant::now(), rejected.0);
        self.take(step, ctx);
    }
}

#[cfg(test)]
mod tests;
