//! Tells whoever wants to know of each call that has ended: how long it waited for its turn, how long it took, and how
//! it ended.
//!
//! It is told where a permit ends, so that none is told twice. What it hears changes nothing; a call that never went out
//! is none, and neither is one on a kept connection that turned out to be closed and that is made again at once. Without
//! an observer there is nothing here but an empty option.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use crate::actors::CallKind;
use crate::model::{Outcome, TenantName};

/// A call that has ended, as this side saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallSeen {
    /// Whom it went to.
    pub tenant: TenantName,
    /// Which kind of call it was.
    pub kind: CallKind,
    /// How long it waited at the tenant's gate, from the moment when the gate took its question up to its turn. Zero for
    /// a token call to a host that the gate does not pace.
    pub waited: Duration,
    /// From its turn until its whole answer was read and checked, or until it failed.
    pub took: Duration,
    /// How it ended. [`Outcome::Local`] where this side broke it off, or could not use what came.
    pub outcome: Outcome,
    /// The decoded bytes of a page that came whole; none for any other call.
    pub bytes: Option<u64>,
    /// The records of that page, the header among them where it begins with one; none for any other call.
    pub records: Option<u64>,
}

/// Who is told, of the calls to one tenant. None by default.
#[derive(Clone, Default)]
pub struct CallObserver(Option<(TenantName, Tell)>);

/// What a host does with a call that it hears of.
pub type Tell = Arc<dyn Fn(&CallSeen) + Send + Sync>;

impl fmt::Debug for CallObserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CallObserver").field(&self.0.as_ref().map(|(tenant, _)| tenant)).finish()
    }
}

impl CallObserver {
    /// Has the host told of that tenant's calls.
    pub fn new(tenant: TenantName, tell: Tell) -> Self {
        Self(Some((tenant, tell)))
    }

    /// A call has ended; of a page that came whole `page` has the bytes and the records.
    pub fn tell(&self, kind: CallKind, waited: Duration, took: Duration, outcome: Outcome, page: Option<(u64, u64)>) {
        let Some((tenant, tell)) = &self.0 else { return };
        let (bytes, records) = page.unzip();
        let seen = CallSeen { tenant: tenant.clone(), kind, waited, took, outcome, bytes, records };
        // Permits end in drops, and a second panic in one of those would end the process.
        if catch_unwind(AssertUnwindSafe(|| tell(&seen))).is_err() {
            tracing::error!(%tenant, "the observer of calls panicked");
        }
    }
}
