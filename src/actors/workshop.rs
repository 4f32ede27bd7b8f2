//! What the supervisor builds with: configuration, threads, arbiters, tenants, sinks.
//!
//! It knows how to make a stage from what lies around; when to make one is the supervisor's to decide. It outlives
//! any supervisor.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use actix::prelude::*;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::actors::books::{Asker, Running, Stages};
use crate::actors::context::{HttpTally, Opening, QueryPermits, Trace};
use crate::actors::memo::{Memo, taken_up};
use crate::actors::opening::unreadable;
use crate::actors::page_fetcher::PageFetcherActor;
use crate::actors::poller::{PollerActor, PollerParts};
use crate::actors::reconcile::Account;
use crate::actors::seat::{Packers, Seat};
pub use crate::actors::supervisor_lines::SupervisorLines;
use crate::actors::tenant_stage::{Shared, TenantParts, TenantStage};
use crate::actors::writer::{WriterActor, WriterParts};
use crate::actors::{
    ByteBudget, DeathNotice, Extract, ExtractionContext, FetchPage, Incarnation, Journal, Lane, Line, Stage, Turns,
};
use crate::config::{Config, ReportConfig};
use crate::delivery::Scratch;
use crate::model::{
    Disk, Ending, ExtractionId, Failure, FailureClass, MachineClock, Progress, ReportName, TenantName, WallClock,
    Window,
};
use crate::sink::{Backstage, OutputNames, Sink, SinkError, preflight, refuse_links_between};
use crate::state::agenda::{Destination, Task};
use crate::state::{Claim, StoreHandle, StoredExtraction};
use crate::tenant::Mask;
use crate::transport::Dial;

/// Everything that touches the world outside, so that a simulation can put its own in place.
#[derive(Clone)]
pub struct Seams {
    /// Makes connections.
    pub dial: Arc<dyn Dial>,
    /// Holds files.
    pub disk: Arc<dyn Disk>,
    /// Keeps positions.
    pub store: StoreHandle,
    /// Tells the wall-clock time.
    pub clock: WallClock,
    /// Tells the time that all processes of the machine agree on.
    pub ticks: MachineClock,
    /// Where all randomness comes from.
    pub seed: u64,
    /// Hashes and syncs.
    pub backstage: Backstage,
}

/// Makes a host's own sink.
pub type SinkFactory = Arc<dyn Fn() -> Box<dyn Sink> + Send + Sync>;

/// What one incarnation of an extraction is built from.
pub struct ExtractionOrder {
    /// Its number.
    pub id: ExtractionId,
    /// What is extracted.
    pub report: Arc<ReportConfig>,
    /// For which window.
    pub task: Task,
    /// The rights to its queries.
    pub query_permits: QueryPermits,
    /// The thread that its sink is driven from, if it has one of its own.
    pub own_lane: Arc<OnceLock<Lane>>,
    /// Where it stood when it began.
    pub account: Account,
    /// Its calls.
    pub tally: Arc<HttpTally>,
    /// What must not get lost.
    pub trace: Arc<Trace>,
    /// Calls it off.
    pub cancelled: watch::Receiver<bool>,
    /// Holds it up.
    pub paused: watch::Receiver<bool>,
}

/// What the supervisor builds with.
pub struct Workshop {
    /// The configuration.
    pub config: Config,
    /// The world outside.
    pub seams: Seams,
    /// Lines to the supervisor.
    pub lines: SupervisorLines,
    /// Room for page bytes.
    pub memory: ByteBudget,
    /// Where pages wait that find none.
    pub scratch: Scratch,
    /// The thread that writes files.
    pub files: Lane,
    /// The threads that compress them.
    pub packers: Packers,
    /// Turns at fetching.
    pub turns: Turns,
    /// Which incarnations of the fetchers are the present ones.
    pub fetchers_alive: Vec<Incarnation>,
    /// Where pages are fetched; none means on the caller's arbiter.
    pub arbiters: Mutex<Vec<Arbiter>>,
    /// The fetchers' lines, one per arbiter.
    pub fetchers: Vec<Line<FetchPage>>,
    /// What the tenants' stages are made of.
    pub tenant_parts: HashMap<TenantName, TenantParts>,
    /// The tenants whose stages are started.
    pub tenants: Mutex<HashMap<TenantName, TenantStage>>,
    /// The host's own sinks.
    pub sinks: HashMap<ReportName, SinkFactory>,
    /// Grows with every incarnation, so that each draws other random numbers.
    pub n_built: AtomicU64,
    /// Set when the host has asked for the end, should the message that asks for it get lost with a supervisor.
    pub is_leaving: AtomicBool,
    /// Turns true when everything is parked or done and nothing new is taken in.
    pub closed: watch::Sender<bool>,
}

impl Workshop {
    /// The books' entry for a new order; none where there is no such report, which its asker is told.
    pub fn running(&self, order: Extract, id: ExtractionId, asker: Asker) -> Option<Running> {
        let name = &order.report;
        let Some(report) = self.config.report(name.as_str()).cloned() else {
            let message = format!("{name}: there is no report of that name in the configuration");
            let _ = asker.send(Err(Failure::new(FailureClass::Local, message)));
            return None;
        };
        let opening = self.link(&report.tenant).map(Opening::new);
        Some(Running { askers: vec![asker], opening, ..self.queued(id, order, report) })
    }

    /// The books' entry for the window that follows on one which has ended.
    pub fn successor(&self, ended: Running, id: ExtractionId) -> Running {
        Running {
            claim: ended.claim,
            rest: ended.rest,
            query_permits: ended.query_permits,
            pause: ended.pause,
            askers: ended.askers,
            later: ended.later,
            leavers: ended.leavers,
            ..self.queued(id, ended.order, ended.report)
        }
    }

    /// Hides a tenant's secrets.
    fn mask(&self, tenant: &TenantName) -> Mask {
        self.tenant_parts.get(tenant).map(|parts| parts.settings.mask()).unwrap_or_default()
    }

    fn queued(&self, id: ExtractionId, order: Extract, report: Arc<ReportConfig>) -> Running {
        let now = self.seams.clock.now();
        Running {
            id,
            order,
            claim: None,
            opening: None,
            task: None,
            rest: VecDeque::new(),
            query_permits: QueryPermits::default(),
            own_lane: Arc::default(),
            n_rebuilt: 0,
            account: Account::beginning(now),
            tally: Arc::default(),
            trace: Arc::new(Trace::new(self.mask(&report.tenant))),
            cancel: watch::channel(false).0,
            pause: watch::channel(false).0,
            stages: None,
            after: None,
            progress: Progress::queued(id, report.name.clone(), report.tenant.clone(), now),
            report,
            askers: Vec::new(),
            later: VecDeque::new(),
            leavers: Vec::new(),
        }
    }

    /// Takes places for the queries that an earlier run has left open, in the order of the parts, as far as there are
    /// any.
    pub fn take_places(&self, running: &Running, stored: &StoredExtraction) {
        let Some(link) = self.link(&running.report.tenant) else { return };
        let mut permits = running.query_permits.lock();
        for part in stored.queries.keys() {
            let Ok(permit) = link.queries.clone().try_acquire_owned() else { return };
            permits.insert(*part, permit);
        }
    }

    /// Where an extraction stands as it begins, or is taken up again.
    ///
    /// # Errors
    /// The ending, where what is stored can't be read.
    pub fn account(&self, running: &Running, stored: &StoredExtraction) -> Result<Account, Ending> {
        let report = &running.report;
        let memo = stored.checkpoint.as_ref().map(|checkpoint| Memo::parse(&checkpoint.memo)).transpose();
        let memo = memo.map_err(|why| unreadable(report, "its position", &why))?;
        let link = self.link(&report.tenant);
        let path = report.output_file(&stored.key.window);
        let name = path.and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
        Ok(Account {
            started_at: stored.created_at,
            n_resumed: stored.n_resumed,
            http_before: memo.map(|memo| memo.http).unwrap_or_default(),
            tokens_before: link.as_ref().map_or(0, |link| link.n_tokens.load(Ordering::Relaxed)),
            opens_before: link.as_ref().map_or(0, |link| link.n_breaker_opens.load(Ordering::Relaxed)),
            output_name: name.unwrap_or_else(|| "-".to_owned()),
        })
    }

    /// Finds out whether the output could be finished, before anything is asked of the tenant.
    pub fn preflight(
        &self,
        report: &ReportConfig,
        window: Window,
    ) -> impl Future<Output = Result<(), Failure>> + use<> {
        let names = match self.sinks.contains_key(&report.name) {
            true => None,
            false => report.output_file(&window).map(OutputNames::of),
        };
        let disk = self.seams.disk.clone();
        let base = report.output.dir.clone();
        let check = move |names: OutputNames| {
            refuse_links_between(&*disk, &base, &names)?;
            preflight(&*disk, &names)
        };
        let checked = self.files.run(move || names.map_or(Ok(()), check));
        let report = report.name.clone();
        async move {
            let checked: Result<Result<(), SinkError>, _> = checked.await;
            match checked {
                Ok(Ok(())) => Ok(()),
                Ok(Err(error)) => Err(Failure::new(FailureClass::Local, format!("{report}: {error}"))),
                Err(dead) => Err(Failure::new(FailureClass::Internal, format!("{report}: {dead}"))),
            }
        }
    }

    /// Builds the stages of one incarnation, downstream first.
    ///
    /// # Errors
    /// The ending, if there is no thread for its sink, or what is stored can't be read.
    pub fn build_extraction(&self, order: ExtractionOrder, stored: StoredExtraction) -> Result<Stages, Ending> {
        let report = order.report.clone();
        let window = order.task.key.window;
        let Some(link) = self.link(&report.tenant) else {
            let message = format!("{}: its tenant {} has no address", report.name, report.tenant);
            return Err(Ending::Failed(Failure::new(FailureClass::Local, message)));
        };
        let windows = report.parts(window).map_err(|problem| {
            Ending::Failed(Failure::new(FailureClass::Config, format!("{}: {problem}", report.name)))
        })?;
        let from = taken_up(&stored).map_err(|why| unreadable(&report, "its position", &why))?;
        let Seat { sink, lane, may_get_stuck } = self.seat(&report, window, &order.own_lane).map_err(Ending::Failed)?;
        let journal = Journal::new(self.seams.store.clone(), order.task.key.clone());
        place_for_head(&order.query_permits, stored.checkpoint.as_ref().map_or(0, |from| from.position.part));
        let nth = self.n_built.fetch_add(1, Ordering::Relaxed);
        let context = Arc::new(ExtractionContext {
            id: order.id,
            window,
            windows: windows.into(),
            tenant: link.clone(),
            memory: self.memory.clone(),
            scratch: self.scratch.clone(),
            files: self.files.clone(),
            output_backlog: Arc::default(),
            tally: order.tally,
            trace: order.trace,
            clock: self.seams.clock.clone(),
            random: Mutex::new(fastrand::Rng::with_seed(self.seams.seed ^ (nth << 32))),
            cancelled: order.cancelled,
            paused: order.paused,
            query_permits: order.query_permits,
            journal,
            watermark: order.task.watermark(&report),
            submissions_out: watch::channel(0).0,
            moved: self.lines.moved.clone(),
            ended: self.lines.ended.clone(),
            report,
        });
        let (ready, checked, check) = (Line::new(), Line::new(), Line::new());
        let writer_parts = WriterParts {
            context: context.clone(),
            fetchers: self.fetchers.clone(),
            poller: check.clone(),
            may_get_stuck,
            lane,
            turns: self.turns.clone(),
            account: order.account,
            from,
            destination: self.destination(&context.report),
        };
        let writer = WriterActor::new(writer_parts, sink, self.notice(Stage::Writer(order.id))).start();
        ready.connect(writer.clone().recipient());
        checked.connect(writer.clone().recipient());
        let poller_parts = PollerParts { context: context.clone(), stored, ready, checked };
        let poller = PollerActor::new(poller_parts, link.client(), self.notice(Stage::Poller(order.id))).start();
        check.connect(poller.clone().recipient());
        Ok(Stages { poller, writer, context })
    }

    /// Starts a stage anew that belongs to no extraction.
    ///
    /// # Errors
    /// If that was done too often; with the tenant whose reports fail of it. Later ones find new stages.
    pub fn rebuild(&self, stage: &Stage, wait: Option<(u16, Duration)>) -> Result<(), TenantName> {
        match stage {
            Stage::Fetcher(nth) => self.start_fetcher(*nth),
            Stage::Gate(tenant) | Stage::Breaker(tenant) | Stage::Auth(tenant) => {
                let mut tenants = self.tenants.lock();
                let (Some(stages), Some(parts)) = (tenants.get(tenant), self.tenant_parts.get(tenant)) else {
                    return Ok(());
                };
                if !stages.rebuild(stage, parts, wait) {
                    stages.cut();
                    let anew = self.tenant_stage(parts, Some(stages));
                    tenants.insert(tenant.clone(), anew);
                    return Err(tenant.clone());
                }
            }
            Stage::Poller(_) | Stage::Writer(_) | Stage::Supervisor => {}
        }
        Ok(())
    }

    /// The stages that belong to no extraction and are gone.
    pub fn dead_stages(&self) -> Vec<Stage> {
        let fetchers = self.fetchers.iter().enumerate().filter(|(_, line)| line.is_dead());
        let mut dead: Vec<_> = fetchers.map(|(nth, _)| Stage::Fetcher(nth)).collect();
        dead.extend(self.tenants.lock().values().flat_map(TenantStage::dead));
        dead
    }

    /// Whether the output can be taken up again by other stages. What went down a stream can't be taken back.
    pub fn can_start_again(&self, running: &Running) -> bool {
        self.destination(&running.report) != Destination::Stdout || !running.trace.has_written.load(Ordering::Acquire)
    }

    /// Where a report's records go.
    pub fn destination(&self, report: &ReportConfig) -> Destination {
        Destination::of(report, self.sinks.contains_key(&report.name))
    }

    fn tenant_stage(&self, parts: &TenantParts, before: Option<&TenantStage>) -> TenantStage {
        let seed = self.seams.seed ^ xxhash_rust::xxh3::xxh3_64(parts.config.name.as_str().as_bytes());
        let (held, died) = (self.lines.held.clone(), self.lines.died.clone());
        let Seams { store, ticks, clock, .. } = self.seams.clone();
        TenantStage::start(parts, self.seams.dial.clone(), held, died, Shared { store, ticks, clock }, seed, before)
    }

    /// Starts the fetcher of an arbiter.
    pub fn start_fetcher(&self, nth: usize) {
        let notice = self.fetchers_alive[nth].notice(self.lines.died.clone(), Stage::Fetcher(nth));
        let arbiters = self.arbiters.lock();
        let fetcher = match arbiters.get(nth) {
            Some(arbiter) => PageFetcherActor::start_in_arbiter(&arbiter.handle(), |_| PageFetcherActor::new(notice)),
            None => PageFetcherActor::new(notice).start(),
        };
        self.fetchers[nth].connect(fetcher.recipient());
    }

    /// The way to a tenant, its stages started if they were not.
    pub fn link(&self, tenant: &TenantName) -> Option<Arc<crate::actors::TenantLink>> {
        let parts = self.tenant_parts.get(tenant)?;
        let mut tenants = self.tenants.lock();
        let stage = tenants.entry(tenant.clone()).or_insert_with(|| self.tenant_stage(parts, None));
        Some(stage.link.clone())
    }

    /// The way to a tenant whose stages are started.
    pub fn known_link(&self, tenant: &TenantName) -> Option<Arc<crate::actors::TenantLink>> {
        self.tenants.lock().get(tenant).map(|stage| stage.link.clone())
    }

    /// Has stored where an extraction stands, for people to see.
    pub fn store_state(&self, running: &Running) {
        self.store_last(running, None);
    }

    /// The same as its last entry: the report is another process's to claim once that is stored, and not before.
    pub fn store_last(&self, running: &Running, claim: Option<Claim>) {
        let Some(key) = running.task.as_ref().map(|task| task.key.clone()) else { return };
        let (state, message) = (running.progress.state, running.progress.message.clone());
        drop(self.seams.store.call(move |store| {
            let stored = store.save_state(&key, state, message.as_deref());
            drop(claim);
            stored
        }));
    }

    /// Has forgotten what is stored of an extraction that nothing is left to do for.
    pub fn forget(&self, running: &Running, claim: Option<Claim>) {
        let Some(key) = running.task.as_ref().map(|task| task.key.clone()) else { return };
        drop(self.seams.store.call(move |store| {
            let forgotten = store.forget(&key);
            drop(claim);
            forgotten
        }));
    }

    /// Takes everything down. The last thing that a workshop does.
    pub fn close(&self) {
        self.lines.cut();
        for stage in self.tenants.lock().values() {
            stage.cut();
        }
        for fetcher in &self.fetchers {
            fetcher.cut();
        }
        for arbiter in self.arbiters.lock().drain(..) {
            arbiter.stop();
        }
        self.closed.send_replace(true);
    }

    fn notice(&self, stage: Stage) -> DeathNotice {
        DeathNotice::new(self.lines.died.clone(), stage)
    }
}

/// The part that is read first is served first: where a predecessor had gone on to later ones, one of their places is
/// its own again. It could wait for ever for what its own successor holds.
fn place_for_head(permits: &QueryPermits, head: u32) {
    let mut permits = permits.lock();
    if !permits.contains_key(&head)
        && let Some((_, permit)) = permits.pop_last()
    {
        permits.insert(head, permit);
    }
}
