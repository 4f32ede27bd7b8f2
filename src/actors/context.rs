//! What the stages of one extraction share: plain values and handles, no actor.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::actors::{
    Admit, ByteBudget, ExtractionEnd, ExtractionEnded, ExtractionMoved, ExtractionStep, Journal, Lane, Line,
};
use crate::config::{ReportConfig, TenantConfig};
use crate::delivery::Scratch;
use crate::model::{
    Ending, ExtractionId, Failure, HttpCounts, PageNumber, Park, QueryId, TenantName, Timestamp, WallClock, Window,
};
use crate::policy::backoff::RetrySettings;
use crate::tenant::{Mask, TenantClient, TenantSettings};
use crate::transport::{Dial, HttpClient, TransportSettings};

/// The way to one tenant, for every arbiter and extraction that calls it.
pub struct TenantLink {
    /// Its configuration.
    pub config: Arc<TenantConfig>,
    /// Where it is and who we are to it.
    pub settings: TenantSettings,
    /// Trust, timeouts, limits and the proxy for the API.
    pub transport: TransportSettings,
    /// The same for the token endpoint, which may be elsewhere.
    pub token_transport: TransportSettings,
    /// How connections are made.
    pub dial: Arc<dyn Dial>,
    /// The one door.
    pub gate: Line<Admit>,
    /// How its requests are tried again.
    pub retry: RetrySettings,
    /// Queries that may still be opened.
    pub queries: Arc<Semaphore>,
    /// Reports of which it is not known yet whether they have queries open from an earlier run. These take their places
    /// before anything new is submitted.
    pub n_opening: watch::Sender<u32>,
    /// Whether it has ever answered in this run. A tenant that was reached and is not any more has an outage;
    /// one that never was is more likely a wrong address.
    pub reached: AtomicBool,
    /// Tokens fetched so far.
    pub n_tokens: Arc<AtomicU64>,
    /// Openings of the breaker so far.
    pub n_breaker_opens: Arc<AtomicU64>,
}

impl TenantLink {
    /// The tenant's name.
    pub fn name(&self) -> &TenantName {
        &self.config.name
    }

    /// Resolves when no report is being opened.
    pub async fn all_opened(&self) {
        let _ = self.n_opening.subscribe().wait_for(|n| *n == 0).await;
    }

    /// A client for the calling arbiter.
    pub fn client(&self) -> TenantClient {
        let http = HttpClient::new(self.transport.clone(), self.dial.clone());
        let token_http = HttpClient::new(self.token_transport.clone(), self.dial.clone());
        TenantClient::new(http, token_http, self.settings.clone())
    }
}

/// A report that is being opened; over when dropped.
pub struct Opening(Arc<TenantLink>);

impl Opening {
    /// Of a report of that tenant.
    pub fn new(link: Arc<TenantLink>) -> Self {
        link.n_opening.send_modify(|n| *n += 1);
        Self(link)
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        self.0.n_opening.send_modify(|n| *n -= 1);
    }
}

/// What an extraction's calls amounted to.
#[derive(Debug, Default)]
pub struct HttpTally {
    /// Calls sent.
    pub requests: AtomicU64,
    /// Of these, repetitions.
    pub retries: AtomicU64,
    /// Answers that asked for a pause.
    pub throttled: AtomicU64,
}

/// Facts about an extraction that must not get lost with an actor or a message. Kept over incarnations.
#[derive(Debug, Default)]
pub struct Trace {
    /// Whether bytes went to the sink.
    pub has_written: AtomicBool,
    mask: Mask,
    ending: Mutex<Option<ExtractionEnded>>,
}

impl Trace {
    /// Of an extraction from a tenant whose secrets `mask` hides.
    pub fn new(mask: Mask) -> Self {
        Self { mask, ..Self::default() }
    }

    /// Notes the end, and gives the news of it. Pages and names of columns may be quoted in its words, and a tenant may
    /// have written anything there.
    pub fn ended(&self, extraction: ExtractionId, how: ExtractionEnd, is_released: bool) -> ExtractionEnded {
        let how = match how {
            ExtractionEnd::Ended(Ending::Failed(failure)) => {
                let message = self.mask.text(&failure.message);
                ExtractionEnd::Ended(Ending::Failed(Failure { message, ..failure }))
            }
            ExtractionEnd::Ended(Ending::Parked(park)) => {
                let message = self.mask.text(&park.message);
                ExtractionEnd::Ended(Ending::Parked(Park { message, ..park }))
            }
            other => other,
        };
        let ended = ExtractionEnded { extraction, how, is_released };
        *self.ending.lock() = Some(ended.clone());
        ended
    }

    /// The end of that incarnation, if it has ended: the news of it may have got lost.
    pub fn ending_of(&self, extraction: ExtractionId) -> Option<ExtractionEnded> {
        self.ending.lock().clone().filter(|ended| ended.extraction == extraction)
    }
}

/// One incarnation of one extraction. A rebuild makes a new one and cancels the old.
pub struct ExtractionContext {
    /// Which extraction.
    pub id: ExtractionId,
    /// What is extracted.
    pub report: Arc<ReportConfig>,
    /// For which window.
    pub window: Window,
    /// The windows of its parts: that one, unless the report is split.
    pub windows: Arc<[Window]>,
    /// From whom.
    pub tenant: Arc<TenantLink>,
    /// Room for page bytes.
    pub memory: ByteBudget,
    /// Where pages wait that find no room.
    pub scratch: Scratch,
    /// Where blocking work on files is done.
    pub files: Lane,
    /// Bytes handed to the output and not yet written.
    pub output_backlog: Arc<AtomicU64>,
    /// What its calls amounted to; kept over incarnations.
    pub tally: Arc<HttpTally>,
    /// What must not get lost.
    pub trace: Arc<Trace>,
    /// The wall clock.
    pub clock: WallClock,
    /// Randomness for jitter.
    pub random: Mutex<fastrand::Rng>,
    /// Turns true when this incarnation must send nothing more.
    pub cancelled: watch::Receiver<bool>,
    /// Turns true while the host has paused the report.
    pub paused: watch::Receiver<bool>,
    /// The rights to have queries open, by part; each is given back when the part is read to its end.
    pub query_permits: QueryPermits,
    /// Its entries in the state store.
    pub journal: Journal,
    /// The watermark that its completion leaves, where the report keeps one.
    pub watermark: Option<Timestamp>,
    /// Submissions whose answer is still to come: each may be a query that the tenant has.
    pub submissions_out: watch::Sender<u32>,
    /// Steps, for the supervisor.
    pub moved: Line<ExtractionMoved>,
    /// The end, for the supervisor.
    pub ended: Line<ExtractionEnded>,
}

impl ExtractionContext {
    /// Tells the supervisor of a step.
    pub fn tell(&self, step: ExtractionStep) {
        self.moved.tell(ExtractionMoved { extraction: self.id, step });
    }

    /// The name of a place where a test can make this report's stage die. Each place has one per report, so that the
    /// k-th page of one report can be met while others are under way.
    #[cfg(feature = "failpoints")]
    pub(crate) fn place(&self, stage: &str) -> String {
        format!("{stage}/{}", self.report.name)
    }

    /// A random number from 0 to 1.
    pub fn draw(&self) -> f64 {
        self.random.lock().f64()
    }

    /// Resolves when nothing more must be sent.
    pub async fn cancelled(&self) {
        let mut cancelled = self.cancelled.clone();
        // A sender that is gone means the same: whoever built this extraction has let go of it.
        let _ = cancelled.wait_for(|cancelled| *cancelled).await;
    }

    /// Resolves when no submission is out.
    pub async fn no_submission_out(&self) {
        let _ = self.submissions_out.subscribe().wait_for(|n_out| *n_out == 0).await;
    }

    /// Resolves when the host doesn't hold the report up.
    pub async fn unpaused(&self) {
        let mut paused = self.paused.clone();
        let _ = paused.wait_for(|paused| !*paused).await;
    }

    /// What the manifest says of calls, `before` included.
    pub fn http_counts(&self, before: HttpCounts, tokens_before: u64, opens_before: u64) -> HttpCounts {
        let tokens = self.tenant.n_tokens.load(Ordering::Relaxed).saturating_sub(tokens_before);
        let opens = self.tenant.n_breaker_opens.load(Ordering::Relaxed).saturating_sub(opens_before);
        HttpCounts {
            requests: before.requests + self.tally.requests.load(Ordering::Relaxed),
            retries: before.retries + self.tally.retries.load(Ordering::Relaxed),
            throttled: before.throttled + self.tally.throttled.load(Ordering::Relaxed),
            token_refreshes: before.token_refreshes + tokens,
            breaker_opens: before.breaker_opens + opens,
        }
    }
}

/// The rights to have queries open, by part. Kept over incarnations, as the queries are.
pub type QueryPermits = Arc<Mutex<BTreeMap<u32, OwnedSemaphorePermit>>>;

/// A part of a report whose query's pages are being fetched.
#[derive(Debug)]
pub struct OpenPart {
    /// Which one, from 0.
    pub nth: u32,
    /// Its query.
    pub query: QueryId,
    /// The last page that is of use by what is known so far: falls when the end is claimed, and to 0 when it is
    /// decided.
    last_useful: watch::Sender<u64>,
}

impl OpenPart {
    /// A part all of whose pages are of use.
    pub fn new(nth: u32, query: QueryId) -> Self {
        Self { nth, query, last_useful: watch::channel(u64::MAX).0 }
    }

    /// No page after that one is of use.
    pub fn useful_up_to(&self, page: u64) {
        self.last_useful.send_if_modified(|last| std::mem::replace(last, page) != page);
    }

    /// Resolves when the end of the part is decided.
    pub async fn is_over(&self) {
        let _ = self.last_useful.subscribe().wait_for(|last| *last == 0).await;
    }

    /// Resolves when that page lies past a claimed end.
    pub async fn beyond_use(&self, page: PageNumber) {
        let _ = self.last_useful.subscribe().wait_for(|last| *last < page.0).await;
    }
}

impl fmt::Debug for ExtractionContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ExtractionContext({} {} of {})", self.id, self.report.name, self.tenant.name())
    }
}
