//! The circuit breaker: when a tenant is taken to be down, and when it is tried again.
//!
//! Closed lets calls pass, open lets none, half-open lets a few probes. Every transition starts a new generation, and a
//! result counts only in the generation that its call was admitted in: what was under way when the breaker opened can
//! neither close it nor open it twice. The breaker decides; only the gate admits.

use std::time::Duration;

use tokio::time::Instant;

use crate::model::Outcome;

/// The longest opening, as a multiple of the first one.
const MAX_FACTOR: u32 = 4;

/// When a breaker opens and closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerSettings {
    /// It opens after so many failures in a row.
    pub failure_threshold: u32,
    /// How long it is open at first; doubles with each failed probe, up to four times that.
    pub open_for: Duration,
    /// Probes that may be under way in a half-open breaker.
    pub half_open_requests: u32,
    /// After so many failed probes in a row the tenant is given up.
    pub max_failed_probes: u32,
}

/// Where a breaker stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Position {
    /// Calls pass.
    Closed,
    /// None passes before then.
    Open {
        /// When it becomes half-open.
        until: Instant,
        /// The last error.
        error: String,
    },
    /// So many probes may be under way.
    HalfOpen {
        /// How many.
        probes: u32,
    },
    /// None passes any more; whoever asks is sent away. After a long while a probe is allowed again.
    GivenUp {
        /// The last error.
        error: String,
    },
}

/// The breaker of one tenant.
#[derive(Debug)]
pub struct BreakerPolicy {
    settings: BreakerSettings,
    position: Position,
    generation: u64,
    n_failures: u32,
    n_failed_probes: u32,
    /// When a tenant that was given up may be probed again.
    retry_at: Option<Instant>,
}

impl BreakerPolicy {
    /// A closed breaker. A rebuilt one goes on counting generations where the one before it stopped.
    pub fn new(settings: BreakerSettings, generation: u64) -> Self {
        Self { settings, position: Position::Closed, generation, n_failures: 0, n_failed_probes: 0, retry_at: None }
    }

    /// Where it stands.
    pub fn position(&self) -> &Position {
        &self.position
    }

    /// Counts its transitions.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Takes the result of a call that was admitted in `generation`; tells whether the breaker moved.
    pub fn saw(&mut self, now: Instant, outcome: Outcome, error: Option<&str>, generation: u64) -> bool {
        if generation != self.generation || outcome == Outcome::Local {
            return false;
        }
        let failed = outcome.counts_against_tenant();
        match self.position {
            Position::Closed if failed => {
                self.n_failures += 1;
                self.n_failures >= self.settings.failure_threshold && self.open(now, error)
            }
            // These say that the tenant's door is manned, not that the house behind it stands.
            Position::Closed if matches!(outcome, Outcome::Throttled { .. } | Outcome::AuthExpired) => false,
            Position::Closed => {
                self.n_failures = 0;
                false
            }
            Position::HalfOpen { .. } if failed => {
                self.n_failed_probes += 1;
                if self.n_failed_probes >= self.settings.max_failed_probes {
                    // Who was waiting is sent away now. Who comes long after must not be told old news for ever.
                    self.retry_at = Some(now + self.settings.open_for.saturating_mul(MAX_FACTOR));
                    self.shift(Position::GivenUp { error: worded(error) })
                } else {
                    self.open(now, error)
                }
            }
            Position::HalfOpen { .. } => {
                self.n_failures = 0;
                self.n_failed_probes = 0;
                self.shift(Position::Closed)
            }
            // Nothing is admitted in these generations.
            Position::Open { .. } | Position::GivenUp { .. } => false,
        }
    }

    /// Takes note of the time; tells whether the breaker moved.
    pub fn tick(&mut self, now: Instant) -> bool {
        match self.next_tick() {
            Some(due) if due <= now => {
                self.shift(Position::HalfOpen { probes: self.settings.half_open_requests.max(1) })
            }
            _ => false,
        }
    }

    /// When [`Self::tick`] is due.
    pub fn next_tick(&self) -> Option<Instant> {
        match self.position {
            Position::Open { until, .. } => Some(until),
            Position::GivenUp { .. } => self.retry_at,
            Position::Closed | Position::HalfOpen { .. } => None,
        }
    }

    fn open(&mut self, now: Instant, error: Option<&str>) -> bool {
        let factor = 2_u32.saturating_pow(self.n_failed_probes).min(MAX_FACTOR);
        let until = now + self.settings.open_for.saturating_mul(factor);
        self.shift(Position::Open { until, error: worded(error) })
    }

    fn shift(&mut self, position: Position) -> bool {
        self.position = position;
        self.generation += 1;
        true
    }
}

fn worded(error: Option<&str>) -> String {
    error.unwrap_or("the tenant did not answer as it should").to_owned()
}

#[cfg(test)]
mod tests;
