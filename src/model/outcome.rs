//! How a call ended, as far as pacing, breaker and retries are concerned.

use std::time::Duration;

/// What a call's ending means to those who decide about further calls.
///
/// Made by [`crate::policy::classify`] alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The tenant answered as it should. A page's 404 is one of these: it is an answer.
    Ok,
    /// 429, or 503 with a usable `Retry-After`: the tenant is asking for a pause.
    Throttled {
        /// The pause asked for; none where there was no hint or a useless one.
        wait: Option<Duration>,
    },
    /// A failure that may pass: network, 408, 500, 502, 503, 504.
    Transient,
    /// 401: the token is expired or revoked.
    AuthExpired,
    /// Refused in a way that no repetition will change.
    Permanent,
    /// An answer of the wrong kind. Tried again like a transient failure, but a report whose tries run out has failed.
    WrongKind,
    /// The contract is broken in a way that no repetition will mend (an unframed body, a limit passed).
    Contract,
    /// This side's own affair: cancelled, local trust, local disk. Says nothing of the tenant.
    Local,
}

impl Outcome {
    /// Whether the circuit breaker counts it as a failure of the tenant.
    pub fn counts_against_tenant(self) -> bool {
        matches!(self, Self::Transient | Self::WrongKind)
    }
}
