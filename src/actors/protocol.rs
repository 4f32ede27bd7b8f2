//! Everything that crosses actors, in the order data flows.
//!
//! A request is a verb (`FetchPage`), news is a past participle (`PageFetched`). Mailboxes carry control only: page
//! bytes wait in a [`FetchedPage`]'s body, which is a handle. What an actor sends to itself stays private in its file.

use std::sync::Arc;
use std::time::Duration;

use actix::{Message, Recipient};
use tokio::time::Instant;

use crate::actors::{ExtractionContext, FetchedPage, OpenPart, PageNewsGuard, Permit, Slot};
use crate::model::{
    AccessToken, Asked, Ending, ExtractionId, Failure, Outcome, PageNumber, Park, Progress, QueryId, ReportName,
    TenantName, TokenGeneration, WaitReason,
};
use crate::policy::ends::QueryCheck;
use crate::policy::rate_limit::RateHint;

// ---- The host and the supervisor -------------------------------------------------------------------------------

/// Host → supervisor: extract a report; answered when it ends. An order equal to one under way joins it; another one
/// for the same report waits for that to end.
#[derive(Clone, Debug, PartialEq, Eq, Message)]
#[rtype(result = "Result<Ending, Failure>")]
pub struct Extract {
    /// The report's name in the configuration.
    pub report: ReportName,
    /// Which windows.
    pub asked: Asked,
    /// Start again, whatever is stored.
    pub fresh: bool,
}

impl Extract {
    /// Extracts what is due of the report, going on where an earlier run stopped.
    pub fn report(name: &str) -> Self {
        Self { report: ReportName::new(name), asked: Asked::Due, fresh: false }
    }
}

/// Host → supervisor: send nothing more for that report until [`Resume`]; what is under way ends by itself.
#[derive(Clone, Debug, Message)]
#[rtype(result = "bool")]
pub struct Pause(pub ReportName);

/// Host → supervisor: go on after [`Pause`].
#[derive(Clone, Debug, Message)]
#[rtype(result = "bool")]
pub struct Resume(pub ReportName);

/// Host → supervisor: park that report now.
#[derive(Clone, Debug, Message)]
#[rtype(result = "bool")]
pub struct Cancel(pub ReportName);

/// Host → supervisor: where does every extraction stand?
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Vec<Progress>")]
pub struct Status;

/// Host → supervisor: send snapshots there from now on. Whoever is slow gets the newest.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct Subscribe(pub Recipient<Progress>);

/// Supervisor → subscriber: the newest snapshot of one extraction is a message as it is.
impl Message for Progress {
    type Result = ();
}

/// Host → supervisor: park everything, save positions, then answer.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Shutdown;

// ---- Admission: gate, breaker, tokens --------------------------------------------------------------------------

/// The kinds of calls that a tenant sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallKind {
    /// A token request. Carries no token, doesn't count as under way.
    Token,
    /// Submission of a query.
    Submit,
    /// A look at a query's status.
    Status,
    /// A result page.
    Page,
}

/// Caller → gate: may this call go out? Answered at the moment when it may.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<Permit, Refused>")]
pub struct Admit {
    /// What kind of call it is.
    pub call: CallKind,
    /// Whose turn it takes. Token calls belong to no extraction.
    pub extraction: Option<ExtractionId>,
    /// Whether it is the one replay of a call whose token was refused. It goes first: the longer it waits, the older is
    /// its next token, and a second refusal is final.
    pub is_replay: bool,
}

/// Why no permit is to be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Not now: the tenant is down, or asks for a longer pause than we sit out.
    Parked(Park),
    /// Never: credentials were refused, or the engine is at fault.
    Failed(Failure),
}

/// Permit → gate, as soon as the head of a 429 (or of a 503 with `Retry-After`) is judged, ahead of [`CallEnded`].
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct ToldToWait {
    /// The status code.
    pub status: u16,
    /// How long; none where the tenant gave no usable hint.
    pub wait: Option<Duration>,
    /// When the head arrived.
    pub received: Instant,
}

/// Permit → gate: the head of an answer tells of the tenant's quotas.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct ToldQuotas {
    /// What it tells.
    pub hint: RateHint,
    /// When the head arrived.
    pub received: Instant,
}

/// Permit → gate: the call is over and its place is free.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct CallEnded {
    /// The permit's number.
    pub permit: u64,
    /// What kind of call it was.
    pub call: CallKind,
    /// How it ended; [`Outcome::Local`] where the permit was dropped unused.
    pub outcome: Outcome,
    /// The error in words, where there was one.
    pub error: Option<String>,
    /// The token it carried.
    pub token: Option<TokenGeneration>,
    /// The breaker's generation when it was admitted.
    pub breaker: u64,
}

/// Gate → breaker: a data call ended.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct OutcomeSeen {
    /// How.
    pub outcome: Outcome,
    /// The error in words, where there was one.
    pub error: Option<String>,
    /// The breaker's generation when the call was admitted; an older one is ignored.
    pub generation: u64,
}

/// What the breaker lets pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Requests pass.
    Closed,
    /// None passes before then.
    Open {
        /// The moment from which probes may pass.
        until: Instant,
        /// The last error.
        error: String,
    },
    /// So many probes may be under way.
    HalfOpen {
        /// How many.
        probes: u32,
    },
    /// The tenant is given up for this run.
    GivenUp {
        /// The last error.
        error: String,
    },
}

/// Breaker → gate.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct BreakerShifted {
    /// What holds from now on.
    pub state: BreakerState,
    /// Counts the transitions.
    pub generation: u64,
}

/// Gate → auth: data calls wait and there is no token for them.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct TokenWanted;

/// Gate → auth: a call was answered 401 with this token.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct TokenRejected(pub TokenGeneration);

/// Auth → gate: use this one from now on.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct TokenRenewed {
    /// The token.
    pub token: AccessToken,
    /// When it expires, on the monotonic clock.
    pub expires_at: Instant,
}

/// Auth → gate: there is no token to be had; whoever waits for one is refused. A later [`TokenWanted`] tries anew
/// where the refusal was a parking one.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct TokenUnavailable(pub Refused);

/// Gate → supervisor: the tenant as a whole is held up (or, with `None`, no longer).
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct TenantHeld {
    /// Which tenant.
    pub tenant: TenantName,
    /// By what, and until when.
    pub wait: Option<(WaitReason, Instant)>,
}

// ---- An extraction: query, pages, output -----------------------------------------------------------------------

/// Poller → writer: pages can be fetched.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct ResultsReady {
    /// Which part of the report it is, from 0.
    pub part: u32,
    /// The query.
    pub query: QueryId,
    /// `totalRows` of the status answer: a hint.
    pub total_rows: Option<u64>,
}

/// Writer → fetcher: fetch this page, with as many tries as the tenant's configuration grants.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct FetchPage {
    /// Whose page.
    pub extraction: Arc<ExtractionContext>,
    /// Of which query.
    pub part: Arc<OpenPart>,
    /// Which one.
    pub number: PageNumber,
    /// Its room in memory, taken in page order.
    pub slot: Slot,
    /// Whom to tell, whatever becomes of the order.
    pub news: PageNewsGuard,
}

/// Where a page's fate is told.
#[derive(Clone, Debug)]
pub struct PageNews {
    /// A whole, checked page.
    pub fetched: Recipient<PageFetched>,
    /// Anything else.
    pub missed: Recipient<PageMissed>,
}

/// Fetcher → writer: the page is whole and checked. Its bytes wait in memory or scratch.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct PageFetched {
    /// Of which part.
    pub part: u32,
    /// The page.
    pub page: FetchedPage,
}

/// Fetcher → writer: there is no such page, or it can't be had.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct PageMissed {
    /// Of which part.
    pub part: u32,
    /// Which page.
    pub number: PageNumber,
    /// Why.
    pub why: Missed,
}

/// Why a page did not come.
#[derive(Debug)]
pub enum Missed {
    /// 404: past the end, or the query is gone.
    NotFound {
        /// What `X-Total-Count` said.
        total_count: Option<u64>,
    },
    /// It was not asked of the tenant, since an end before it is claimed.
    NotWanted,
    /// No room for it, neither in memory nor in scratch: ask again once there is.
    NoRoom,
    /// Its task died.
    Panicked,
    /// The fetcher died before it came to this order.
    Undelivered,
    /// The report can't go on now.
    Parked(Park),
    /// The report has failed.
    Failed(Failure),
}

/// Writer → poller: is the query still there? Answered after one call that settles every 404 so far.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct CheckQuery {
    /// Of which part.
    pub part: u32,
}

/// Poller → writer: the answer to [`CheckQuery`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub struct QueryChecked {
    /// Of which part.
    pub part: u32,
    /// What became of it.
    pub check: QueryCheck,
}

/// Poller or writer → supervisor: where the extraction stands.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct ExtractionMoved {
    /// Which one.
    pub extraction: ExtractionId,
    /// What it is doing.
    pub step: ExtractionStep,
}

/// A step worth telling.
#[derive(Clone, Debug)]
pub enum ExtractionStep {
    /// The tenant has accepted a query.
    Submitted,
    /// Polled; the next poll is due then.
    Polled(Instant),
    /// Pages are coming in.
    Fetching,
    /// So much is written.
    Written {
        /// Pages.
        n_pages: u64,
        /// Pages expected, where counts allow a guess.
        n_pages_expected: Option<u64>,
        /// Rows.
        n_rows: u64,
        /// Bytes.
        n_bytes: u64,
    },
    /// A request is tried again then, because of that.
    Retrying(Instant, String),
    /// A remark for people.
    Remark(String),
}

/// Poller or writer → supervisor: the extraction is over, or its query is gone.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct ExtractionEnded {
    /// Which one.
    pub extraction: ExtractionId,
    /// How.
    pub how: ExtractionEnd,
    /// Whether it's the writer that says so, which has saved how far it is and let go of the output.
    pub is_released: bool,
}

/// How an extraction's stages stopped.
#[derive(Clone, Debug)]
pub enum ExtractionEnd {
    /// For good or for now.
    Ended(Ending),
    /// The tenant has dropped the query of that part: it starts again under a new one, once.
    Expired(u32),
}

/// Drop guard → supervisor: a stage is gone without having been told to go.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct StageDied {
    /// Which one.
    pub stage: Stage,
}

/// A place in the system that can die and be rebuilt.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// A tenant's gate.
    Gate(TenantName),
    /// A tenant's breaker.
    Breaker(TenantName),
    /// A tenant's auth.
    Auth(TenantName),
    /// The fetcher on that arbiter.
    Fetcher(usize),
    /// An extraction's poller.
    Poller(ExtractionId),
    /// An extraction's writer.
    Writer(ExtractionId),
    /// The supervisor itself.
    Supervisor,
}
