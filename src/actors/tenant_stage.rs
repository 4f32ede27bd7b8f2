//! The three actors of one tenant (gate, breaker, auth) and what survives each of them.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use actix::prelude::*;
use futures::future::LocalBoxFuture;
use parking_lot::Mutex;
use tokio::sync::{Semaphore, watch};

use crate::actors::auth::{AuthActor, AuthLines, AuthParts, TokenEndpoint};
use crate::actors::breaker::{BreakerParts, CircuitBreakerActor};
use crate::actors::gate::{GateActor, GateLines, GateParts, GateTallies};
use crate::actors::{
    Admit, BreakerShifted, CallObserver, InFlight, Incarnation, Line, PermitLines, Stage, StageDied, TenantHeld,
    TenantLink, TokenRenewed, TokenUnavailable, TokenWanted,
};
use crate::config::TenantConfig;
use crate::model::{MachineClock, WallClock};
use crate::policy::backoff::RetrySettings;
use crate::policy::breaker::BreakerSettings;
use crate::policy::gate::{GateSettings, PaceSettings};
use crate::policy::token::{Grant, TokenAnswer, TokenFault, TokenSettings};
use crate::state::StoreHandle;
use crate::tenant::{TenantClient, TenantSettings, Watch};
use crate::transport::{Dial, Expected, TransportSettings};

/// How often one tenant's stages are rebuilt before its reports fail.
const MAX_REBUILDS: u32 = 8;

/// One tenant's stages. The lines stay, whoever is at their ends.
pub struct TenantStage {
    /// The way to the tenant.
    pub link: Arc<TenantLink>,
    gate: GateLines,
    auth: AuthLines,
    shifted: Line<BreakerShifted>,
    in_flight: InFlight,
    permit_numbers: Arc<AtomicU64>,
    breaker_generation: Arc<AtomicU64>,
    token_generation: Arc<AtomicU64>,
    incarnations: Incarnations,
    died: Line<StageDied>,
    shared: Shared,
    seed: u64,
    n_rebuilt: Mutex<u32>,
}

#[derive(Default)]
struct Incarnations {
    gate: Incarnation,
    breaker: Incarnation,
    auth: Incarnation,
}

/// What a tenant's callers have in common, whichever process they live in.
#[derive(Clone)]
pub struct Shared {
    /// Where they take their turns.
    pub store: StoreHandle,
    /// The clock that turns are given by.
    pub ticks: MachineClock,
    /// The wall clock.
    pub clock: WallClock,
}

/// What a tenant's stages are made of.
pub struct TenantParts {
    /// Its configuration.
    pub config: Arc<TenantConfig>,
    /// Where it is and who we are to it.
    pub settings: TenantSettings,
    /// The way to its API.
    pub transport: TransportSettings,
    /// The way to its token endpoint.
    pub token_transport: TransportSettings,
    /// Whether the token endpoint is the API's own host, so that its calls are paced too.
    pub paces_tokens: bool,
    /// How long before its end a token is renewed.
    pub refresh_before: Duration,
    /// Who is told of its calls.
    pub observer: CallObserver,
}

impl TenantStage {
    /// Starts the three actors on the calling arbiter. `before` is what they replace: calls may have gone out from it
    /// just now, and a pause that the tenant asked it for still holds.
    pub fn start(
        parts: &TenantParts,
        dial: Arc<dyn Dial>,
        held: Line<TenantHeld>,
        died: Line<StageDied>,
        shared: Shared,
        seed: u64,
        before: Option<&TenantStage>,
    ) -> Self {
        let config = &parts.config;
        let admit: Line<Admit> = Line::new();
        let link = TenantLink {
            config: config.clone(),
            settings: parts.settings.clone(),
            transport: parts.transport.clone(),
            token_transport: parts.token_transport.clone(),
            dial,
            gate: admit.clone(),
            retry: retry_settings(config),
            queries: Arc::new(Semaphore::new(config.max_queries.get())),
            n_opening: watch::channel(0).0,
            reached: AtomicBool::new(false),
            n_tokens: Arc::default(),
            n_breaker_opens: Arc::default(),
        };
        let pause = before.map(|before| before.gate.permits.pause.clone()).unwrap_or_default();
        let permits = PermitLines { pause, observer: parts.observer.clone(), ..PermitLines::default() };
        let stage = Self {
            link: Arc::new(link),
            gate: GateLines { held, permits, ..GateLines::default() },
            auth: AuthLines { admit, ..AuthLines::default() },
            shifted: Line::new(),
            in_flight: InFlight::default(),
            permit_numbers: Arc::default(),
            breaker_generation: Arc::default(),
            token_generation: Arc::default(),
            incarnations: Incarnations::default(),
            died,
            shared,
            seed,
            n_rebuilt: Mutex::new(0),
        };
        stage.start_breaker();
        stage.start_auth(parts);
        stage.start_gate(before.is_some(), None);
        stage
    }

    /// Starts a stage anew; false if that was done too often. `wait` is what is left of a pause that the tenant asked
    /// the dead gate for.
    pub fn rebuild(&self, which: &Stage, parts: &TenantParts, wait: Option<(u16, Duration)>) -> bool {
        let mut n_rebuilt = self.n_rebuilt.lock();
        *n_rebuilt += 1;
        if *n_rebuilt > MAX_REBUILDS {
            return false;
        }
        match which {
            Stage::Gate(_) => self.start_gate(true, wait),
            Stage::Breaker(_) => self.start_breaker(),
            Stage::Auth(_) => {
                self.start_auth(parts);
                // The wish for a token may have died with it, and so did the alarm for the next one.
                self.gate.token_wanted.tell(TokenWanted);
            }
            _ => {}
        }
        true
    }

    /// The stages that are gone, whether anybody has told of it or not.
    pub fn dead(&self) -> Vec<Stage> {
        let tenant = self.link.name();
        let gate = self.link.gate.is_dead().then(|| Stage::Gate(tenant.clone()));
        let breaker = self.gate.outcome.is_dead().then(|| Stage::Breaker(tenant.clone()));
        let auth = self.gate.token_wanted.is_dead().then(|| Stage::Auth(tenant.clone()));
        gate.into_iter().chain(breaker).chain(auth).collect()
    }

    /// Hangs up all lines, so that the actors, who hold each other by them, can go.
    pub fn cut(&self) {
        for incarnation in [&self.incarnations.gate, &self.incarnations.breaker, &self.incarnations.auth] {
            incarnation.retire();
        }
        self.link.gate.cut();
        self.gate.permits.told_to_wait.cut();
        self.gate.permits.told_quotas.cut();
        self.gate.permits.ended.cut();
        self.gate.token_wanted.cut();
        self.gate.token_rejected.cut();
        self.gate.outcome.cut();
        self.auth.renewed.cut();
        self.auth.unavailable.cut();
        self.shifted.cut();
    }

    fn notice(&self, present: &Incarnation, stage: Stage) -> Option<Box<dyn std::any::Any + Send>> {
        Some(Box::new(present.notice(self.died.clone(), stage)))
    }

    fn start_gate(&self, is_rebuild: bool, stored_wait: Option<(u16, Duration)>) {
        let config = &self.link.config;
        let parts = GateParts {
            tenant: config.name.clone(),
            settings: GateSettings {
                pace: PaceSettings {
                    requests_per_second: config.rate.requests_per_second,
                    burst: config.rate.burst,
                    adaptive: config.rate.adaptive,
                    jitter: Duration::ZERO,
                    told_most: None,
                },
                max_in_flight: config.max_in_flight.get(),
                max_wait: config.max_wait_for_tenant,
                probe_deadline: config.timeouts.connect + config.timeouts.response + config.timeouts.idle,
            },
            lines: self.gate.clone(),
            in_flight: self.in_flight.clone(),
            numbers: self.permit_numbers.clone(),
            clock: self.shared.clock.clone(),
            ticks: self.shared.ticks.clone(),
            store: self.shared.store.clone(),
            seed: self.seed,
            stored_wait,
            careful_start: is_rebuild,
            tallies: GateTallies::default(),
            guard: self.notice(&self.incarnations.gate, Stage::Gate(config.name.clone())),
        };
        let gate = GateActor::new(parts).start();
        self.link.gate.connect(gate.clone().recipient());
        self.gate.permits.told_to_wait.connect(gate.clone().recipient());
        self.gate.permits.told_quotas.connect(gate.clone().recipient());
        self.gate.permits.ended.connect(gate.clone().recipient());
        self.auth.renewed.connect(gate.clone().recipient::<TokenRenewed>());
        self.auth.unavailable.connect(gate.clone().recipient::<TokenUnavailable>());
        self.shifted.connect(gate.recipient());
    }

    fn start_breaker(&self) {
        let config = &self.link.config;
        let parts = BreakerParts {
            tenant: config.name.clone(),
            settings: BreakerSettings {
                failure_threshold: config.breaker.failure_threshold,
                open_for: config.breaker.open_for,
                half_open_requests: config.breaker.half_open_requests,
                max_failed_probes: config.breaker.max_failed_probes,
            },
            shifted: self.shifted.clone(),
            generation: self.breaker_generation.clone(),
            n_opens: self.link.n_breaker_opens.clone(),
            guard: self.notice(&self.incarnations.breaker, Stage::Breaker(config.name.clone())),
        };
        self.gate.outcome.connect(CircuitBreakerActor::new(parts).start().recipient());
    }

    fn start_auth(&self, parts: &TenantParts) {
        let config = &self.link.config;
        let parts = AuthParts {
            tenant: config.name.clone(),
            settings: TokenSettings {
                refresh_before: parts.refresh_before,
                retry: retry_settings(config),
                max_wait: config.max_wait_for_tenant,
            },
            endpoint: Rc::new(TenantTokens(self.link.client())),
            lines: self.auth.clone(),
            through_gate: parts.paces_tokens,
            generation: self.token_generation.clone(),
            n_tokens: self.link.n_tokens.clone(),
            observer: parts.observer.clone(),
            seed: self.seed,
            guard: self.notice(&self.incarnations.auth, Stage::Auth(config.name.clone())),
        };
        let auth = AuthActor::new(parts).start();
        self.gate.token_wanted.connect(auth.clone().recipient());
        self.gate.token_rejected.connect(auth.recipient());
    }
}

/// How a tenant's requests are tried again.
pub fn retry_settings(config: &TenantConfig) -> RetrySettings {
    RetrySettings {
        max_attempts: config.retry.max_attempts,
        base_delay: config.retry.base_delay,
        max_delay: config.retry.max_delay,
    }
}

/// The tenant's token endpoint, as auth sees it.
struct TenantTokens(TenantClient);

impl TokenEndpoint for TenantTokens {
    fn prepare(&self) -> LocalBoxFuture<'static, Option<Expected>> {
        let client = self.0.clone();
        Box::pin(async move { client.prepare_token().await })
    }

    fn fetch(&self, grant: Grant, watch: Rc<dyn Watch>) -> LocalBoxFuture<'static, Result<TokenAnswer, TokenFault>> {
        let client = self.0.clone();
        Box::pin(async move { client.token(&grant, &*watch).await.map_err(|fault| fault.into_token_fault()) })
    }
}
