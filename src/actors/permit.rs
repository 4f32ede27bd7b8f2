//! The right to make one call, as a value that travels with the call.
//!
//! It reports how the call ended when it is ended or dropped, so that a place in flight can't leak, whatever happens
//! to the task that holds it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::actors::{CallEnded, CallKind, Line, ToldToWait};
use crate::model::{AccessToken, Outcome};

/// Calls of one tenant that are under way. Shared by the permits and the gate, and kept over a rebuild of the gate.
#[derive(Clone, Debug, Default)]
pub struct InFlight(Arc<AtomicUsize>);

impl InFlight {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }
}

/// Where a permit reports to.
#[derive(Clone, Debug, Default)]
pub struct PermitLines {
    /// Pauses, as soon as they are known.
    pub told_to_wait: Line<ToldToWait>,
    /// Ends.
    pub ended: Line<CallEnded>,
}

/// The right to make one call now.
#[derive(Debug)]
pub struct Permit {
    report: CallEnded,
    token: Option<AccessToken>,
    lines: PermitLines,
    in_flight: Option<InFlight>,
    probe: bool,
}

impl Permit {
    /// Made by the gate alone. Token calls are not counted as under way.
    pub fn new(
        number: u64,
        call: CallKind,
        token: Option<AccessToken>,
        breaker: u64,
        lines: PermitLines,
        in_flight: &InFlight,
    ) -> Self {
        let counted = (call != CallKind::Token).then(|| in_flight.clone());
        if let Some(in_flight) = &counted {
            in_flight.0.fetch_add(1, Ordering::AcqRel);
        }
        let report = CallEnded {
            permit: number,
            call,
            outcome: Outcome::Local,
            error: None,
            token: token.as_ref().map(|t| t.generation),
            breaker,
        };
        Self { report, token, lines, in_flight: counted, probe: false }
    }

    /// The same right, as a probe of a half-open breaker.
    #[must_use]
    pub fn as_probe(mut self) -> Self {
        self.probe = true;
        self
    }

    /// Whether it is a probe of a half-open breaker: such a call's failure is not charged to its tries.
    pub fn is_probe(&self) -> bool {
        self.probe
    }

    /// The token to send. Every call but a token call has one.
    pub fn token(&self) -> Option<&AccessToken> {
        self.token.as_ref()
    }

    /// Tells the gate of a pause at once, before the answer's body is read.
    pub fn told_to_wait(&self, status: u16, wait: Option<Duration>) {
        self.lines.told_to_wait.tell(ToldToWait { status, wait, received: Instant::now() });
    }

    /// Ends the call.
    pub fn end(mut self, outcome: Outcome, error: Option<String>) {
        self.report.outcome = outcome;
        self.report.error = error;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(in_flight) = &self.in_flight {
            in_flight.0.fetch_sub(1, Ordering::AcqRel);
        }
        self.lines.ended.tell(self.report.clone());
    }
}
