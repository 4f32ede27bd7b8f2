//! A call that did not bring what it was made for.

use std::time::Duration;

use crate::model::{Failure, FailureClass, Outcome, TransportFault};
use crate::policy::token::TokenFault;

/// Whether the tenant may have seen the request. Decides whether a submission may be repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// No byte of it left: there was no connection.
    Nothing,
    /// It may have arrived, but no answer came.
    Unknown,
    /// It was answered.
    Answered,
}

/// Why a call failed, and how that counts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CallFault {
    /// How it counts for retries, breaker and gate.
    pub outcome: Outcome,
    /// What happened, with the start of the answer where that helps; secrets masked, control characters escaped.
    pub message: String,
    /// Whether the request may have been acted upon.
    pub sent: Sent,
    /// Whether the tenant could not be reached at all, as in an outage of the network.
    pub unreachable: bool,
    /// Whether a kept connection turned out to be closed: such a try is not charged, once.
    pub stale: bool,
    /// Whether it was not sent because its connection stood too late. It is simply to be let out again.
    pub late: bool,
    /// The status code, where there was an answer.
    pub status: Option<u16>,
    /// OAuth's `error`, where the token endpoint gave one.
    pub oauth_error: Option<String>,
    /// The pause asked for, with the status code.
    pub throttle: Option<(u16, Option<Duration>)>,
}

impl CallFault {
    /// No answer, because of `fault`.
    pub(super) fn transport(fault: &TransportFault, outcome: Outcome, message: String) -> Self {
        let sent = match fault {
            TransportFault::Dns { .. }
            | TransportFault::Connect { .. }
            | TransportFault::Untrusted { .. }
            | TransportFault::Proxy { .. }
            | TransportFault::Late(_) => Sent::Nothing,
            _ => Sent::Unknown,
        };
        let unreachable = matches!(
            fault,
            TransportFault::Dns { .. }
                | TransportFault::Connect { .. }
                | TransportFault::Proxy { .. }
                | TransportFault::NoAnswer(_)
                | TransportFault::Stale(_)
                | TransportFault::HeadTimeout(_)
        );
        let stale = matches!(fault, TransportFault::Stale(_));
        let late = matches!(fault, TransportFault::Late(_));
        Self { outcome, message, sent, unreachable, stale, late, status: None, oauth_error: None, throttle: None }
    }

    /// An answer that is not what was due.
    pub(super) fn answered(outcome: Outcome, message: String) -> Self {
        Self {
            outcome,
            message,
            sent: Sent::Answered,
            unreachable: false,
            stale: false,
            late: false,
            status: None,
            oauth_error: None,
            throttle: None,
        }
    }

    /// Whether a submission that ended so may have opened a query. A 429 or 503 says that it has not; the error page of
    /// a gateway says nothing about what became of the request behind it.
    pub fn may_have_acted(&self) -> bool {
        match self.sent {
            Sent::Nothing => false,
            Sent::Unknown => true,
            Sent::Answered => {
                self.status != Some(503) && matches!(self.outcome, Outcome::Transient | Outcome::WrongKind)
            }
        }
    }

    /// The same as the token policy takes it.
    pub fn into_token_fault(self) -> TokenFault {
        let Self { outcome, oauth_error, message, throttle, status, late, .. } = self;
        TokenFault { outcome, oauth_error, message, told_to_wait: throttle, status, late }
    }

    /// The failure that a report ends with when this is not tried again.
    pub fn into_failure(self, context: &str) -> Failure {
        let class = match self.outcome {
            Outcome::AuthExpired => FailureClass::Auth,
            Outcome::Permanent => FailureClass::Denied,
            Outcome::Local => FailureClass::Local,
            _ => FailureClass::Data,
        };
        Failure::new(class, format!("{context}: {}", self.message))
    }
}
