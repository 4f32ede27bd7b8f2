//! What the supervisor knows: the extractions under way, who waits for them, and who watches.
//!
//! The books outlive the supervisor: if it dies, its successor opens them where they lie. They hold handles and facts
//! and start nothing.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use actix::dev::SendError;
use actix::{Addr, Recipient};
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use crate::actors::context::{HttpTally, Opening, QueryPermits, Trace};
use crate::actors::poller::PollerActor;
use crate::actors::reconcile::Account;
use crate::actors::writer::WriterActor;
use crate::actors::{Extract, ExtractionContext, ExtractionStep, Lane};
use crate::config::ReportConfig;
use crate::model::{
    Ending, ExtractionId, Failure, Park, ParkReason, Progress, ReportName, ReportState, TenantName, Timestamp,
    WaitReason, WallClock,
};
use crate::state::{Claim, agenda::Task};

/// Who asked for an extraction.
pub type Asker = oneshot::Sender<Result<Ending, Failure>>;

/// One report under way: the window that is extracted now, and those that follow it.
pub struct Running {
    /// The present incarnation.
    pub id: ExtractionId,
    /// What was asked for.
    pub order: Extract,
    /// What is extracted.
    pub report: Arc<ReportConfig>,
    /// Keeps other processes away from the report.
    pub claim: Option<Claim>,
    /// Holds new submissions to the tenant back until it is known whether this report has queries there.
    pub opening: Option<Opening>,
    /// The window that is extracted now; none until it is found out.
    pub task: Option<Task>,
    /// The windows that follow.
    pub rest: VecDeque<Task>,
    /// The rights to have queries open, whichever incarnation got them.
    pub query_permits: QueryPermits,
    /// The thread that its sink is driven from, if it has one of its own.
    pub own_lane: Arc<OnceLock<Lane>>,
    /// How often its stages were rebuilt.
    pub n_rebuilt: u32,
    /// Where it stood when it began.
    pub account: Account,
    /// Its calls, over all incarnations.
    pub tally: Arc<HttpTally>,
    /// What must not get lost with a stage.
    pub trace: Arc<Trace>,
    /// Calls the present incarnation off.
    pub cancel: watch::Sender<bool>,
    /// Holds it up.
    pub pause: watch::Sender<bool>,
    /// Its stages, once they are built.
    pub stages: Option<Stages>,
    /// What is to be done once the writer has let go of the output.
    pub after: Option<AfterWriter>,
    /// The newest snapshot.
    pub progress: Progress,
    /// Who wants to know its end.
    pub askers: Vec<Asker>,
    /// Other orders for the same report, which are carried out after this one.
    pub later: VecDeque<(Extract, Asker)>,
    /// Who wants to know that it is gone.
    pub leavers: Vec<oneshot::Sender<()>>,
}

/// The stages of one incarnation.
pub struct Stages {
    /// Looks after the queries.
    pub poller: Addr<PollerActor>,
    /// Drives the output.
    pub writer: Addr<WriterActor>,
    /// What they share.
    pub context: Arc<ExtractionContext>,
}

/// What follows when a writer that was called off has saved how far it is.
#[derive(Debug)]
pub enum AfterWriter {
    /// The extraction ends.
    End(Ending),
    /// It goes on from what is stored, with new stages.
    Build,
    /// The query of that part has expired.
    Expire(u32),
}

impl Running {
    /// Whether a stage of it is gone without a word.
    pub fn has_lost_a_stage(&self) -> bool {
        self.stages.as_ref().is_some_and(|stages| !stages.poller.connected() || !stages.writer.connected())
    }

    /// Takes a step into the snapshot.
    pub fn step(&mut self, step: ExtractionStep, clock: &WallClock) {
        let now = clock.now();
        let progress = &mut self.progress;
        progress.at = now;
        match step {
            ExtractionStep::Submitted if progress.state == ReportState::Fetching => {}
            ExtractionStep::Submitted => progress.state = ReportState::Submitted,
            // Of a later part's query while an earlier part is read.
            ExtractionStep::Polled(_) if progress.state == ReportState::Fetching => {}
            ExtractionStep::Polled(next) => {
                progress.state = ReportState::Polling;
                progress.waiting = Some((WaitReason::NextPoll, moment(next, clock)));
            }
            ExtractionStep::Fetching => {
                progress.state = ReportState::Fetching;
                progress.waiting = None;
            }
            ExtractionStep::Written { n_pages, n_pages_expected, n_rows, n_bytes } => {
                progress.state = ReportState::Fetching;
                progress.waiting = None;
                progress.n_pages = n_pages;
                progress.n_pages_expected = n_pages_expected;
                progress.n_rows = n_rows;
                progress.n_bytes = n_bytes;
            }
            ExtractionStep::Retrying(until, why) => {
                progress.waiting = Some((WaitReason::Retry(why), moment(until, clock)));
            }
            // It stays until there is another: who looks seldom must find it, too.
            ExtractionStep::Remark(remark) => progress.message = Some(remark),
        }
    }

    /// Tells everyone who asked.
    pub fn answer(&mut self, ending: &Result<Ending, Failure>) {
        for asker in self.askers.drain(..) {
            let _ = asker.send(ending.clone());
        }
        for leaver in self.leavers.drain(..) {
            let _ = leaver.send(());
        }
    }
}

/// A moment of the monotonic clock as the wall clock will show it.
pub fn moment(at: Instant, clock: &WallClock) -> Timestamp {
    clock.now().plus(at.saturating_duration_since(Instant::now()))
}

/// The ending of an extraction that the host has called off.
pub fn called_off(report: &ReportName) -> Ending {
    let message = format!("{report}: stopped before its end; the next run goes on with it");
    Ending::Parked(Park { reason: ParkReason::Stopped, message, until: None })
}

struct Subscriber {
    recipient: Recipient<Progress>,
    unsent: BTreeMap<ReportName, Progress>,
}

/// What the supervisor has in hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InHand {
    /// News of an extraction.
    News(ExtractionId),
    /// An order to extract that report.
    Order(ReportName),
}

/// Everything the supervisor knows.
#[derive(Default)]
pub struct Books {
    /// The extractions under way.
    pub running: Vec<Running>,
    /// The newest snapshot of those that have ended.
    pub ended: BTreeMap<ReportName, Progress>,
    /// Tenants that are held up as a whole.
    pub held: BTreeMap<TenantName, (WaitReason, Instant)>,
    /// What is being handled: should the supervisor die of it, that extraction fails and no other.
    pub in_hand: Option<InHand>,
    /// How many supervisors in a row have died of an order to extract that report.
    pub deadly_orders: BTreeMap<ReportName, u32>,
    /// Whether nothing new is taken in.
    pub is_closing: bool,
    subscribers: Vec<Subscriber>,
    last_id: u64,
}

impl Books {
    /// A number for a new incarnation.
    pub fn next_id(&mut self) -> ExtractionId {
        self.last_id += 1;
        ExtractionId(self.last_id)
    }

    /// The extraction whose present incarnation that is.
    pub fn by_id(&mut self, id: ExtractionId) -> Option<&mut Running> {
        self.running.iter_mut().find(|running| running.id == id)
    }

    /// The extraction of that report.
    pub fn by_report(&mut self, report: &ReportName) -> Option<&mut Running> {
        self.running.iter_mut().find(|running| running.report.name == *report)
    }

    /// The pause that a tenant has asked for: with which status code, and what is left of it.
    pub fn asked_wait(&self, tenant: &TenantName) -> Option<(u16, Duration)> {
        match self.held.get(tenant) {
            Some((WaitReason::ToldToWait(status), until)) => {
                Some((*status, until.saturating_duration_since(Instant::now())))
            }
            _ => None,
        }
    }

    /// Where a test can make the supervisor die of that extraction's news.
    #[cfg(feature = "failpoints")]
    pub fn place(&self, id: ExtractionId) -> String {
        let name = self.running.iter().find(|running| running.id == id).map(|running| running.report.name.as_str());
        format!("supervisor/{}", name.unwrap_or_default())
    }

    /// Every snapshot, the tenants' waits included.
    pub fn snapshots(&self, clock: &WallClock) -> Vec<Progress> {
        let running = self.running.iter().map(|running| self.with_wait(running.progress.clone(), clock));
        let ended = self.ended.iter().filter(|(name, _)| self.running.iter().all(|r| r.report.name != **name));
        running.chain(ended.map(|(_, progress)| progress.clone())).collect()
    }

    fn with_wait(&self, mut progress: Progress, clock: &WallClock) -> Progress {
        let is_over = matches!(progress.state, ReportState::Complete | ReportState::Parked | ReportState::Failed);
        if let Some((reason, until)) = self.held.get(&progress.tenant)
            && !is_over
        {
            progress.waiting = Some((reason.clone(), moment(*until, clock)));
        }
        progress
    }

    /// Adds a subscriber and brings it up to date.
    pub fn subscribe(&mut self, recipient: Recipient<Progress>, clock: &WallClock) {
        let unsent = self.snapshots(clock).into_iter().map(|progress| (progress.report.clone(), progress)).collect();
        self.subscribers.push(Subscriber { recipient, unsent });
    }

    /// Notes a snapshot for every subscriber, in place of any older one that is still unsent.
    pub fn publish(&mut self, progress: Progress, clock: &WallClock) {
        let progress = self.with_wait(progress, clock);
        for subscriber in &mut self.subscribers {
            subscriber.unsent.insert(progress.report.clone(), progress.clone());
        }
    }

    /// Sends what subscribers will take; true if some of it is still unsent.
    pub fn flush(&mut self) -> bool {
        self.subscribers.retain_mut(|subscriber| {
            while let Some((report, progress)) = subscriber.unsent.pop_first() {
                match subscriber.recipient.try_send(progress.clone()) {
                    Ok(()) => {}
                    Err(SendError::Full(_)) => {
                        subscriber.unsent.insert(report, progress);
                        return true;
                    }
                    Err(SendError::Closed(_)) => return false,
                }
            }
            true
        });
        self.subscribers.iter().any(|subscriber| !subscriber.unsent.is_empty())
    }
}
