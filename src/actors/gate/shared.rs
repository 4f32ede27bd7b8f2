//! What a gate has to do with the other processes that call its tenant: turns and pauses, by way of the state store.
//!
//! One question is under way at a time. By the time of the answer much may have changed, so that a turn only counts if
//! the policy still wants to send something; one that is not used soon is lost, which costs pace and nothing else. A
//! store that can't answer stops the tenant's calls: what is not known to be allowed is not sent.

use std::time::Duration;

use actix::prelude::*;
use futures::FutureExt;
use tokio::time::Instant;

use super::GateActor;
use crate::actors::Refused;
use crate::model::{Park, ParkReason};
use crate::policy::gate::{Held, MAX_AHEAD, TURN_LIFE};
use crate::state::{Complaint, StoreError, TenantWait, Turn, TurnAsked};

/// What a turn in time leaves of the care that late ones made necessary.
const AHEAD_KEPT: f64 = 0.9;

impl GateActor {
    /// Asks for a turn, if that has not been done yet. Whether the answer is here already.
    pub(super) fn ask_turn(&mut self, ctx: &mut Context<Self>) -> bool {
        if self.turn_asked {
            return false;
        }
        let tenant = self.parts.tenant.clone();
        let (clock, wall) = (self.parts.ticks.clone(), self.parts.clock.clone());
        let pace = self.policy.pace_settings(Instant::now());
        let asked = TurnAsked { pace, ahead: self.turn_ahead, clock, wall };
        let mut answer = Box::pin(self.parts.store.call_aside(move |store| store.take_turn(&tenant, &asked)));
        if let Some(answer) = (&mut answer).now_or_never() {
            self.turn_answered(answer);
            return true;
        }
        self.turn_asked = true;
        ctx.spawn(answer.into_actor(self).map(|answer, gate, ctx| {
            gate.turn_asked = false;
            gate.turn_answered(answer);
            gate.pump(ctx);
        }));
        false
    }

    fn turn_answered(&mut self, answer: Result<Turn, StoreError>) {
        let (now, ticks) = (Instant::now(), self.parts.ticks.now());
        match answer {
            // By the machine's clock, since it knows of times in which nobody looked.
            Ok(Turn::Given(at)) => {
                let left = at.plus(TURN_LIFE).since(ticks);
                if left.is_zero() {
                    // Or else a machine that is always as late would never send anything.
                    self.turn_ahead = (self.turn_ahead * 2).clamp(TURN_LIFE, MAX_AHEAD);
                } else {
                    self.turn_ahead = self.turn_ahead.mul_f64(AHEAD_KEPT);
                    self.policy.turn_given(now + left);
                }
            }
            Ok(Turn::NotBefore(then)) => self.policy.no_turn_before(now + then.since(ticks)),
            Ok(Turn::ToldToWait(wait)) => {
                let moment = self.parts.ticks.moment(&self.parts.clock);
                self.policy.go_on_waiting(now, wait.status, wait.asked_rest(&moment), wait.rest(&moment));
            }
            Err(error) => self.refuse_all(&error),
        }
    }

    fn refuse_all(&mut self, error: &StoreError) {
        let tenant = &self.parts.tenant;
        let message = format!("tenant {tenant} can't be called without the state store: {error}; run again");
        let park = Park { reason: ParkReason::StateStore, message, until: None };
        for ticket in self.policy.clear_calls() {
            self.refuse(ticket, Refused::Parked(park.clone()));
        }
    }

    /// Lets the tenant's other callers know that it complained: with which status, what it asked for, what it gets.
    pub(super) fn tell_others(&mut self, received: Instant, wait: Option<(u16, Duration, Duration)>) {
        let pace = self.parts.settings.pace;
        if wait.is_none() && !pace.adaptive {
            return;
        }
        let ago = Instant::now().saturating_duration_since(received);
        let received = self.parts.ticks.moment(&self.parts.clock).minus(ago);
        let wait = wait.map(|(status, asked, pause)| TenantWait { status, received, asked, pause });
        let (tenant, complaint) = (self.parts.tenant.clone(), Complaint { pace, received, wait });
        let told = move |told: Result<(), StoreError>| {
            if let Err(error) = told {
                tracing::error!(%error, "the tenant's wait could not be stored: other processes don't know of it");
            }
        };
        self.parts.store.call_aside_then(move |store| store.tenant_complained(&tenant, &complaint), told);
    }

    /// A pause that an earlier gate was told of may not have got as far as the store.
    pub(super) fn tell_what_was_left(&mut self, now: Instant) {
        if let Some((Held::ToldToWait(status), until)) = self.policy.held(now) {
            let left = until.saturating_duration_since(now);
            self.tell_others(now, Some((status, left, left)));
        }
    }
}
