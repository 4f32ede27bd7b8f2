//! The one door to a tenant.
//!
//! Whoever wants to call asks here and is answered at the moment when the call may go out, with everything it needs: a
//! permit that holds its place and the token to send. The answer is kept open meanwhile, so that an asker that has gone
//! away is noticed and costs nothing. The gate itself calls nobody and decides nothing: [`GatePolicy`] does. What other
//! processes call counts as well, so that each call takes a turn in the state store first (see `shared`).

use std::any::Any;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix::dev::{MessageResponse, OneshotSender};
use actix::prelude::*;
use tokio::time::Instant;

use crate::actors::{
    Admit, BreakerShifted, CallEnded, CallKind, InFlight, Line, OutcomeSeen, Permit, PermitLines, Refused, TenantHeld,
    TokenRejected, TokenRenewed, TokenUnavailable, TokenWanted, ToldQuotas, ToldToWait,
};
use crate::model::{MachineClock, Outcome, Park, ParkReason, TenantName, TokenGeneration, WaitReason, WallClock};
use crate::policy::gate::{Decision, GatePolicy, GateSettings, Held, Lane, Refusal};
use crate::policy::rate_limit::cap;
use crate::state::StoreHandle;

mod shared;

/// A wish for a token that was lost with a dead stage is repeated after so long.
const TOKEN_PATIENCE: Duration = Duration::from_secs(5);

/// After a failure nothing goes out for so long: the breaker may open because of it, and is told only now.
const BREAKER_HEARS: Duration = Duration::from_millis(2);

/// Timers are set no farther ahead than this, and set again.
const LONGEST_TIMER: Duration = Duration::from_secs(3600);

/// What a gate is built from.
pub struct GateParts {
    /// Whose gate it is.
    pub tenant: TenantName,
    /// The tenant's limits.
    pub settings: GateSettings,
    /// Whom it talks to.
    pub lines: GateLines,
    /// Calls under way; kept over a rebuild.
    pub in_flight: InFlight,
    /// Numbers of permits; kept over a rebuild, so that no number is used twice.
    pub numbers: Arc<AtomicU64>,
    /// For telling people until when a pause lasts.
    pub clock: WallClock,
    /// The clock that turns are given by.
    pub ticks: MachineClock,
    /// Where all who call the tenant take their turns.
    pub store: StoreHandle,
    /// Randomness.
    pub seed: u64,
    /// A pause that the tenant asked an earlier gate for: with which status code, and what is left of it.
    pub stored_wait: Option<(u16, Duration)>,
    /// Whether calls may have gone out in the last second that this gate knows nothing of.
    pub careful_start: bool,
    /// What it counts.
    pub tallies: GateTallies,
    /// Dropped with the actor.
    pub guard: Option<Box<dyn Any + Send>>,
}

/// Whom a gate talks to.
#[derive(Clone, Debug, Default)]
pub struct GateLines {
    /// Back to the gate itself, for permits.
    pub permits: PermitLines,
    /// To auth.
    pub token_wanted: Line<TokenWanted>,
    /// To auth.
    pub token_rejected: Line<TokenRejected>,
    /// To the breaker.
    pub outcome: Line<OutcomeSeen>,
    /// To the supervisor.
    pub held: Line<TenantHeld>,
}

/// What a gate counts.
#[derive(Clone, Debug, Default)]
pub struct GateTallies {
    /// Calls admitted, token calls included.
    pub n_admitted: Arc<AtomicU64>,
    /// Answers that asked for a pause.
    pub n_throttled: Arc<AtomicU64>,
}

type Answer = OneshotSender<Result<Permit, Refused>>;

/// Somebody who waits to be let out.
struct Waiting {
    call: CallKind,
    since: Instant,
    answer: Answer,
}

/// The gate of one tenant.
pub struct GateActor {
    policy: GatePolicy,
    parts: GateParts,
    random: fastrand::Rng,
    /// Questions whose answers have been laid open since the last look, in the order of asking.
    arrivals: Rc<RefCell<Vec<(Admit, Answer)>>>,
    waiting: HashMap<u64, Waiting>,
    token: Option<TokenRenewed>,
    /// The newest token that was refused. News of it may still be on the way, and must not bring it back.
    rejected: TokenGeneration,
    token_asked: Option<Instant>,
    /// Whether the store has been asked for a turn and has not answered yet.
    turn_asked: bool,
    /// How late its answers have come of late.
    turn_ahead: Duration,
    breaker_generation: u64,
    told_held: Option<(Held, Instant)>,
    timer: Option<(Instant, SpawnHandle)>,
}

impl GateActor {
    /// A gate, with nobody waiting.
    pub fn new(parts: GateParts) -> Self {
        let now = Instant::now();
        let mut policy = GatePolicy::new(parts.settings, now);
        if parts.careful_start {
            policy.start_carefully(now);
        }
        let asked = parts.lines.permits.pause.left(now);
        if let Some((status, left)) = parts.stored_wait.into_iter().chain(asked).max_by_key(|(_, left)| *left) {
            policy.go_on_waiting(now, status, left, left);
        }
        Self {
            policy,
            random: fastrand::Rng::with_seed(parts.seed),
            parts,
            arrivals: Rc::default(),
            waiting: HashMap::new(),
            token: None,
            rejected: TokenGeneration::default(),
            token_asked: None,
            turn_asked: false,
            turn_ahead: Duration::ZERO,
            breaker_generation: 0,
            told_held: None,
            timer: None,
        }
    }

    /// Lets out whatever may go out now, and sets the alarm for the rest.
    fn pump(&mut self, ctx: &mut Context<Self>) {
        let now = Instant::now();
        self.policy.set_jitter(self.parts.lines.permits.path.lock().spread());
        let wake = loop {
            let has_token = self.token.as_ref().is_some_and(|token| token.expires_at > now);
            let waiting = &mut self.waiting;
            let waits = |ticket| match waiting.get(&ticket) {
                Some(Waiting { answer, .. }) if !answer.is_closed() => true,
                _ => {
                    waiting.remove(&ticket);
                    false
                }
            };
            match self.policy.next(now, has_token, self.parts.in_flight.count(), waits) {
                Decision::Admit { ticket, probe } => self.admit(ticket, probe),
                Decision::Refuse { ticket, why } => {
                    let refused = Refused::Parked(self.worded(now, why));
                    self.refuse(ticket, refused);
                }
                Decision::Wait(until) => break Some(until),
                Decision::NeedToken => break Some(self.want_token(now)),
                Decision::NeedTurn => {
                    if !self.ask_turn(ctx) {
                        break None;
                    }
                }
                Decision::Idle => break None,
            }
        };
        let held_until = self.tell_held(now);
        self.set_alarm(now, wake.into_iter().chain(held_until).min(), ctx);
    }

    fn admit(&mut self, ticket: u64, probe: bool) {
        let Some(Waiting { call, since, answer }) = self.waiting.remove(&ticket) else { return };
        let token = (call != CallKind::Token).then(|| self.token.as_ref().map(|t| t.token.clone())).flatten();
        let lines = self.parts.lines.permits.clone();
        let permit =
            Permit::new(ticket, call, token, self.breaker_generation, lines, &self.parts.in_flight).asked(since);
        let permit = if probe { permit.as_probe() } else { permit };
        self.parts.tallies.n_admitted.fetch_add(1, Ordering::Relaxed);
        // If the asker has just gone, the permit comes back here, and its drop frees the place.
        drop(answer.send(Ok(permit)));
    }

    fn refuse(&mut self, ticket: u64, refused: Refused) {
        if let Some(Waiting { answer, .. }) = self.waiting.remove(&ticket) {
            drop(answer.send(Err(refused)));
        }
    }

    fn want_token(&mut self, now: Instant) -> Instant {
        let asked = match self.token_asked {
            Some(asked) if now < asked + TOKEN_PATIENCE => asked,
            _ => {
                self.parts.lines.token_wanted.tell(TokenWanted);
                now
            }
        };
        self.token_asked = Some(asked);
        asked + TOKEN_PATIENCE
    }

    fn worded(&self, now: Instant, refusal: Refusal) -> Park {
        let tenant = &self.parts.tenant;
        match refusal {
            Refusal::LongPause { status, until } => {
                let until = self.parts.clock.now().plus(until.saturating_duration_since(now));
                let message = format!(
                    "tenant {tenant} asked for a pause until {until} (status {status}), longer than \
                     max_wait_for_tenant; run again after that"
                );
                Park { reason: ParkReason::TenantPause, message, until: Some(until) }
            }
            Refusal::GivenUp { error } => {
                let message =
                    format!("tenant {tenant} is down: every probe failed, the last one with: {error}; run again later");
                Park { reason: ParkReason::TenantDown, message, until: None }
            }
        }
    }

    /// Tells the supervisor what holds the tenant up, if that has changed; answers until when it does.
    fn tell_held(&mut self, now: Instant) -> Option<Instant> {
        let held = self.policy.held(now);
        if held != self.told_held {
            let wait = held.clone().map(|(why, until)| match why {
                Held::ToldToWait(status) => (WaitReason::ToldToWait(status), until),
                Held::BreakerOpen(error) => (WaitReason::BreakerOpen(error), until),
            });
            self.parts.lines.held.tell(TenantHeld { tenant: self.parts.tenant.clone(), wait });
            self.told_held = held;
        }
        self.told_held.as_ref().map(|(_, until)| *until)
    }

    fn set_alarm(&mut self, now: Instant, at: Option<Instant>, ctx: &mut Context<Self>) {
        let Some(at) = at.map(|at| at.min(now + LONGEST_TIMER)) else { return };
        match self.timer {
            // An alarm that comes too early does no harm.
            Some((set, _)) if set <= at => return,
            Some((_, timer)) => {
                ctx.cancel_future(timer);
            }
            None => {}
        }
        let timer = ctx.run_later(at.saturating_duration_since(now), |gate, ctx| {
            gate.timer = None;
            if ctx.connected() {
                gate.pump(ctx);
            } else {
                // Nobody can tell it anything any more: whoever still waits is told so by its end.
                ctx.stop();
            }
        });
        self.timer = Some((at, timer));
    }
}

impl Actor for GateActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        // The breaker tells whoever reports from an old generation what holds now: a rebuilt gate has to learn it.
        self.parts.lines.outcome.tell(OutcomeSeen { outcome: Outcome::Local, error: None, generation: 0 });
        self.tell_what_was_left(Instant::now());
        self.pump(ctx);
    }
}

/// Keeps the answer to [`Admit`] open until the call may go out.
pub struct AnsweredLater {
    question: Admit,
    arrivals: Rc<RefCell<Vec<(Admit, Answer)>>>,
}

impl MessageResponse<GateActor, Admit> for AnsweredLater {
    fn handle(self, ctx: &mut Context<GateActor>, answer: Option<Answer>) {
        let Some(answer) = answer else { return };
        let mut arrivals = self.arrivals.borrow_mut();
        if arrivals.is_empty() {
            ctx.notify(Arrived);
        }
        arrivals.push((self.question, answer));
    }
}

/// Gate → itself: there are arrivals.
#[derive(Message)]
#[rtype(result = "()")]
struct Arrived;

impl Handler<Admit> for GateActor {
    type Result = AnsweredLater;

    fn handle(&mut self, question: Admit, _: &mut Self::Context) -> AnsweredLater {
        fail::fail_point!(&format!("gate/{}", self.parts.tenant));
        AnsweredLater { question, arrivals: self.arrivals.clone() }
    }
}

impl Handler<Arrived> for GateActor {
    type Result = ();

    fn handle(&mut self, _: Arrived, ctx: &mut Self::Context) {
        let since = Instant::now();
        for (question, answer) in self.arrivals.take() {
            let ticket = self.parts.numbers.fetch_add(1, Ordering::Relaxed);
            let lane = match question.call {
                CallKind::Token => Lane::Token,
                _ if question.is_replay => Lane::Replay,
                CallKind::Submit | CallKind::Status => Lane::Control,
                CallKind::Page => Lane::Page,
            };
            self.waiting.insert(ticket, Waiting { call: question.call, since, answer });
            self.policy.ask(ticket, lane, question.extraction);
        }
        self.pump(ctx);
    }
}

impl Handler<ToldToWait> for GateActor {
    type Result = ();

    fn handle(&mut self, told: ToldToWait, ctx: &mut Self::Context) {
        fail::fail_point!(&format!("gate/{}", self.parts.tenant));
        self.parts.tallies.n_throttled.fetch_add(1, Ordering::Relaxed);
        let wait = self.policy.told_to_wait(told.received, told.status, told.wait, self.random.f64());
        self.tell_others(told.received, wait.map(|(asked, pause)| (told.status, asked, pause)));
        self.pump(ctx);
    }
}

impl Handler<ToldQuotas> for GateActor {
    type Result = ();

    fn handle(&mut self, told: ToldQuotas, ctx: &mut Self::Context) {
        self.policy.told_most(told.received, cap(&told.hint));
        self.pump(ctx);
    }
}

impl Handler<CallEnded> for GateActor {
    type Result = ();

    fn handle(&mut self, ended: CallEnded, ctx: &mut Self::Context) {
        fail::fail_point!(&format!("gate/{}", self.parts.tenant));
        self.policy.ended(ended.permit, ended.outcome);
        if ended.outcome == Outcome::AuthExpired
            && let Some(generation) = ended.token
        {
            // Nobody else is sent out with it. A newer one is none the worse.
            self.rejected = self.rejected.max(generation);
            self.token.take_if(|token| token.token.generation <= generation);
            self.token_asked = None;
            self.parts.lines.token_rejected.tell(TokenRejected(generation));
        }
        if ended.call != CallKind::Token && ended.outcome != Outcome::Local {
            let CallEnded { outcome, error, breaker, .. } = ended;
            if outcome.counts_against_tenant() {
                self.policy.no_turn_before(Instant::now() + BREAKER_HEARS);
            }
            self.parts.lines.outcome.tell(OutcomeSeen { outcome, error, generation: breaker });
        }
        self.pump(ctx);
    }
}

impl Handler<BreakerShifted> for GateActor {
    type Result = ();

    fn handle(&mut self, shifted: BreakerShifted, ctx: &mut Self::Context) {
        // Old news again; taking it would give away the probes a second time.
        if shifted.generation != self.breaker_generation {
            self.breaker_generation = shifted.generation;
            self.policy.breaker_shifted(shifted.state.into());
            self.pump(ctx);
        }
    }
}

impl Handler<TokenRenewed> for GateActor {
    type Result = ();

    fn handle(&mut self, renewed: TokenRenewed, ctx: &mut Self::Context) {
        if renewed.token.generation > self.rejected {
            self.token = Some(renewed);
            self.token_asked = None;
            self.pump(ctx);
        }
    }
}

impl Handler<TokenUnavailable> for GateActor {
    type Result = ();

    fn handle(&mut self, unavailable: TokenUnavailable, ctx: &mut Self::Context) {
        self.token_asked = None;
        let now = Instant::now();
        if self.token.as_ref().is_none_or(|token| token.expires_at <= now) {
            for ticket in self.policy.clear_data_calls() {
                self.refuse(ticket, unavailable.0.clone());
            }
        }
        self.pump(ctx);
    }
}

#[cfg(test)]
pub(super) mod tests;
