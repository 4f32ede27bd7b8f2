//! The actors: thin shells over policies. They carry messages to decisions and decisions to each other.
//!
//! [`protocol`] has everything that crosses them. Only the supervisor and its workshop name other actors; the rest hold
//! [`Line`]s, which outlive whoever is at their ends.

mod assembly;
pub mod auth;
mod body;
mod books;
pub mod breaker;
mod call;
mod context;
mod endings;
mod extract_answer;
pub mod gate;
mod guard;
mod journal;
mod lane;
mod lifecycle;
mod line;
mod memo;
mod memory;
mod mishaps;
mod observer;
pub(crate) mod opening;
mod output;
mod page;
mod page_fetcher;
mod parts;
mod permit;
mod poller;
pub mod protocol;
mod reconcile;
pub(crate) mod seat;
pub(crate) mod supervisor;
mod supervisor_lines;
mod tenant_stage;
mod turns;
pub(crate) mod workshop;
mod writer;

pub(crate) use crate::tenant::Call;
pub use assembly::Counts;
pub use body::{Block, PageBody};
pub(crate) use books::Books;
pub use call::Tries;
pub use context::{ExtractionContext, HttpTally, OpenPart, QueryPermits, TenantLink, Trace};
pub use guard::{DeathNotice, Incarnation};
pub use journal::Journal;
pub use lane::{Lane, LaneDead};
pub use line::{Line, LineDead};
pub use memory::{ByteBudget, FETCHING_BYTES, Room, Share, Slot};
pub use observer::{CallObserver, CallSeen, Tell};
pub use page::FetchedPage;
pub use page_fetcher::PageNewsGuard;
pub use permit::{AskedPause, InFlight, Permit, PermitLines};
pub use protocol::*;
pub(crate) use tenant_stage::TenantParts;
pub use turns::{Turn, Turns};
