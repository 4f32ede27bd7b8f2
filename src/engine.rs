//! The library's face: an engine is configured, started inside a running actix System, and asked for reports.
//!
//! It installs no signal handler and no global subscriber, prints nothing and never stops the System. Everything it
//! does is behind an [`EngineHandle`], which any thread may hold.

mod prepare;

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix::prelude::*;
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::actors::opening::plan;
use crate::actors::supervisor::SupervisorActor;
pub use crate::actors::workshop::{Seams, SinkFactory};
use crate::actors::workshop::{SupervisorLines, Workshop};
use crate::actors::{
    Admit, Books, CallKind, CallObserver, CallSeen, Cancel, DeathNotice, Extract, LineDead, Pause, Permit, Refused,
    Resume, Shutdown, Status, Subscribe, Tell, TenantLink,
};
use crate::config::{Config, ConfigErrors};
use crate::model::{Ending, Failure, FailureClass, Outcome, Progress, ReportName, ReportState, TenantName};
use crate::policy::backoff::{Retry, RetryBudget};
use crate::policy::token::Grant;
use crate::sink::Sink;
use crate::state::StoreError;
use crate::state::agenda::Agenda;
use crate::tenant::CallFault;
use prepare::Prepared;

/// How often the supervisor itself is rebuilt before the engine gives up.
const MAX_SUPERVISORS: u32 = 16;

/// Why an engine can't start. All of these are found before any request.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Credentials can't be had.
    #[error("{0}")]
    Credentials(ConfigErrors),
    /// A tenant's certificates can't be read.
    #[error("tenants.{tenant}.tls.ca_file: {why}")]
    Trust {
        /// Which tenant.
        tenant: TenantName,
        /// What is wrong.
        why: String,
    },
    /// The state store can't be opened.
    #[error("state.url: {0}")]
    State(StoreError),
    /// A mock tenant that nobody has started.
    #[error("tenants.{0}: a mock tenant is started by the host, which then tells its address to the configuration")]
    Mock(TenantName),
    /// Keys that don't go with where the output goes.
    #[error("{}", .0.join("\n"))]
    OutOfPlace(Vec<String>),
    /// A folder or a thread can't be had.
    #[error("{what}: {why}")]
    Machine {
        /// What was wanted.
        what: String,
        /// The system's words.
        why: String,
    },
    /// A sink for a report that is not configured: its rows would go elsewhere unnoticed.
    #[error("a sink was given for {0}, but there is no report of that name in the configuration")]
    NoSuchReport(ReportName),
    /// There is no System on this thread.
    #[error("the engine starts inside a running actix System")]
    NoSystem,
}

/// Extracts reports.
///
/// ```no_run
/// # async fn demo(config: cxtract::Config) -> Result<(), Box<dyn std::error::Error>> {
/// let engine = cxtract::Engine::builder().config(config).start()?;
/// let ending = engine.extract("interactions").await?;
/// println!("{ending:?}");
/// # Ok(()) }
/// ```
pub struct Engine;

impl Engine {
    /// An engine to be configured.
    pub fn builder() -> EngineBuilder {
        EngineBuilder {
            config: None,
            sinks: Vec::new(),
            seams: None,
            environment: None,
            observer: None,
            all_tenants: false,
        }
    }

    /// Whether what the configuration asks for goes together. [`EngineBuilder::start`] looks too; this is for those who
    /// want to know without starting.
    ///
    /// # Errors
    /// [`StartError::OutOfPlace`], with every key that doesn't go with where its report's output goes.
    pub fn supports(config: &Config) -> Result<(), StartError> {
        prepare::supports(config, |_| false)
    }
}

/// An engine that is not started yet.
pub struct EngineBuilder {
    config: Option<Config>,
    sinks: Vec<(ReportName, SinkFactory)>,
    seams: Option<Seams>,
    environment: Option<Vec<(String, String)>>,
    observer: Option<Tell>,
    all_tenants: bool,
}

impl EngineBuilder {
    /// The configuration, from YAML or built in code.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = Some(config);
        self
    }

    /// A host's own destination for a report, made anew for each extraction of it.
    #[must_use]
    pub fn sink<S: Sink>(mut self, report: &str, factory: impl Fn() -> S + Send + Sync + 'static) -> Self {
        self.sinks.push((ReportName::new(report), Arc::new(move || Box::new(factory()))));
        self
    }

    /// Another world than the real one, for simulation.
    #[must_use]
    pub fn seams(mut self, seams: Seams) -> Self {
        self.seams = Some(seams);
        self
    }

    /// Where secrets given as `{env: NAME}` come from; the process's environment if not said.
    #[must_use]
    pub fn environment(mut self, environment: Vec<(String, String)>) -> Self {
        self.environment = Some(environment);
        self
    }

    /// Tells of every call to a tenant once it has ended: a token, a submission, a look at a query's status, a page.
    ///
    /// It is called from the arbiter that made the call, while other calls wait for that arbiter: it must be done in
    /// microseconds, and never block or wait. Counting is what it is for; whoever wants to do more sends what it was told
    /// to a thread of its own. What it does changes nothing for the engine, not even by a panic, which is logged. A call
    /// that never went out is not told of, nor one that met a kept connection which was closed, and is made again.
    ///
    /// ```no_run
    /// # use std::sync::atomic::{AtomicU64, Ordering};
    /// static PAGES: AtomicU64 = AtomicU64::new(0);
    ///
    /// let engine = cxtract::Engine::builder().observe_calls(|call| {
    ///     PAGES.fetch_add(call.bytes.map_or(0, |_| 1), Ordering::Relaxed);
    /// });
    /// ```
    #[must_use]
    pub fn observe_calls(mut self, observer: impl Fn(&CallSeen) + Send + Sync + 'static) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// Prepares every tenant, also those that no report uses, for [`EngineHandle::check_tenant`].
    #[must_use]
    pub fn all_tenants(mut self) -> Self {
        self.all_tenants = true;
        self
    }

    /// Starts the engine on the calling arbiter.
    ///
    /// # Errors
    /// Where configuration or machine don't allow it.
    pub fn start(self) -> Result<EngineHandle, StartError> {
        if System::try_current().is_none() && self.seams.is_none() {
            return Err(StartError::NoSystem);
        }
        let config = self.config.unwrap_or_else(|| Config::empty(std::path::Path::new(".")));
        if let Some((report, _)) = self.sinks.iter().find(|(report, _)| config.report(report.as_str()).is_none()) {
            return Err(StartError::NoSuchReport(report.clone()));
        }
        prepare::supports(&config, |report| self.sinks.iter().any(|(name, _)| *name == report.name))?;
        let environment = self.environment.unwrap_or_else(|| std::env::vars().collect());
        let mut prepared = Prepared::new(config, self.seams, &environment, self.all_tenants)?;
        if let Some(observer) = &self.observer {
            prepared.observe(observer);
        }
        let (workshop, closed) = prepared.workshop(self.sinks);
        for nth in 0..workshop.fetchers.len() {
            workshop.start_fetcher(nth);
        }
        let books = Arc::default();
        keep_supervised(workshop.clone(), books);
        let core = HandleCore { lines: workshop.lines.clone(), closed, workshop };
        Ok(EngineHandle(Arc::new(core)))
    }
}

/// Starts a supervisor, and another one over the same books whenever it dies.
fn keep_supervised(workshop: Arc<Workshop>, books: Arc<Mutex<Books>>) {
    let (died, mut deaths) = mpsc::unbounded_channel();
    let (last_workshop, last_books) = (workshop.clone(), books.clone());
    let start = move || {
        let died = died.clone();
        let notice = DeathNotice::calling(move || {
            let _ = died.send(());
        });
        let supervisor = SupervisorActor::new(workshop.clone(), books.clone(), notice).start();
        // Its own start comes a turn later: a host that subscribes right after this one must not be lost till then.
        workshop.lines.connect(&supervisor);
        workshop.closed.subscribe()
    };
    let mut closed = start();
    actix_rt::spawn(async move {
        for n_died in 1.. {
            let is_closed = tokio::select! {
                _ = deaths.recv() => false,
                _ = closed.wait_for(|closed| *closed) => true,
            };
            if is_closed || *closed.borrow() {
                return;
            }
            if n_died > MAX_SUPERVISORS {
                return give_up(&last_workshop, &last_books);
            }
            tracing::error!("the supervisor died and is rebuilt");
            closed = start();
        }
    });
}

/// Fails whatever is under way: nobody will supervise it any more.
fn give_up(workshop: &Workshop, books: &Mutex<Books>) {
    tracing::error!("the supervisor died too often; the engine stops");
    let mut books = books.lock();
    books.is_closing = true;
    for mut running in books.running.drain(..) {
        running.cancel.send_replace(true);
        let message = format!("{}: the supervisor died {MAX_SUPERVISORS} times and again", running.report.name);
        running.progress.message = Some(message.clone());
        running.progress.state = ReportState::Failed;
        workshop.store_state(&running);
        running.answer(&Ok(Ending::Failed(Failure::new(FailureClass::Internal, message))));
    }
    drop(books);
    workshop.close();
}

/// A started engine. Clones speak to the same one; when the last is dropped, what is under way is parked.
#[derive(Clone)]
pub struct EngineHandle(Arc<HandleCore>);

struct HandleCore {
    lines: SupervisorLines,
    closed: watch::Receiver<bool>,
    workshop: Arc<Workshop>,
}

impl Drop for HandleCore {
    fn drop(&mut self) {
        self.workshop.is_leaving.store(true, Ordering::Release);
        self.lines.shutdown.tell(Shutdown);
    }
}

impl EngineHandle {
    /// Extracts a report's configured window and resolves when that has ended.
    ///
    /// # Errors
    /// Where there was nothing to start: no such report, or the engine is gone. A report that fails is an [`Ending`].
    pub async fn extract(&self, report: &str) -> Result<Ending, Failure> {
        self.extract_with(Extract::report(report)).await
    }

    /// The same, with more to say.
    ///
    /// # Errors
    /// As for [`extract`](Self::extract).
    pub async fn extract_with(&self, order: Extract) -> Result<Ending, Failure> {
        self.0.lines.extract.ask(order).await.unwrap_or_else(|dead| Err(gone(dead)))
    }

    /// What an order would mean now: windows to begin, to go on with, to skip or to give up. Changes nothing.
    ///
    /// # Errors
    /// How the order would end at once: [`FailureClass::Config`] where what is stored and what is configured don't fit
    /// together.
    pub async fn agenda(&self, order: &Extract) -> Result<Agenda, Ending> {
        self.agendas(&order.report, vec![order.clone()]).await?.pop().unwrap_or_else(|| Ok(Agenda::default()))
    }

    /// The same for many orders for one report, each by itself, with one look at what is stored.
    ///
    /// # Errors
    /// How each of them would end at once.
    pub async fn agendas(
        &self,
        report: &ReportName,
        orders: Vec<Extract>,
    ) -> Result<Vec<Result<Agenda, Ending>>, Ending> {
        let Some(report) = self.0.workshop.config.report(report.as_str()) else {
            let message = format!("{report}: there is no report of that name in the configuration");
            return Err(Ending::Failed(Failure::new(FailureClass::Config, message)));
        };
        plan(&self.0.workshop, report, orders).await
    }

    /// How often a tenant's circuit breaker has opened since the engine started; none where no report has needed that
    /// tenant yet.
    pub fn breaker_opens(&self, tenant: &TenantName) -> Option<u64> {
        self.0.workshop.known_link(tenant).map(|link| link.n_breaker_opens.load(Ordering::Relaxed))
    }

    /// Sends nothing more for that report until [`resume`](Self::resume). False if it isn't under way.
    pub async fn pause(&self, report: &str) -> bool {
        self.0.lines.pause.ask(Pause(ReportName::new(report))).await.unwrap_or(false)
    }

    /// Goes on with a paused report.
    pub async fn resume(&self, report: &str) -> bool {
        self.0.lines.resume.ask(Resume(ReportName::new(report))).await.unwrap_or(false)
    }

    /// Parks a report now.
    pub async fn cancel(&self, report: &str) -> bool {
        self.0.lines.cancel.ask(Cancel(ReportName::new(report))).await.unwrap_or(false)
    }

    /// Where every extraction of this engine stands.
    pub async fn status(&self) -> Vec<Progress> {
        self.0.lines.status.ask(Status).await.unwrap_or_default()
    }

    /// Sends snapshots there from now on. A slow subscriber gets the newest and never holds the engine up.
    pub fn subscribe(&self, recipient: Recipient<Progress>) {
        self.0.lines.subscribe.tell(Subscribe(recipient));
    }

    /// Parks everything and resolves when that is done.
    pub async fn shutdown(&self) {
        // Told, it may be lost with a supervisor that dies; then the next one finds this.
        self.0.workshop.is_leaving.store(true, Ordering::Release);
        self.0.lines.shutdown.tell(Shutdown);
        let mut closed = self.0.closed.clone();
        let _ = closed.wait_for(|closed| *closed).await;
        // Writers let go of their files on the next turn of the loop; then the threads have nothing left.
        tokio::task::yield_now().await;
        let _ = self.0.workshop.files.run(|| ()).await;
        self.0.workshop.packers.settled().await;
        let store = &self.0.workshop.seams.store;
        let _ = store.call(|_| Ok(())).await;
        let _ = store.call_aside(|_| Ok(())).await;
    }

    /// Gets a token from a tenant and submits nothing. The call goes through the tenant's gate wherever its token calls
    /// do.
    ///
    /// # Errors
    /// Why the tenant gave none.
    pub async fn check_tenant(&self, tenant: &TenantName) -> Result<(), Failure> {
        let Some(link) = self.0.workshop.link(tenant) else {
            return Err(Failure::new(FailureClass::Local, format!("{tenant}: there is no tenant of that name")));
        };
        let parts = self.0.workshop.tenant_parts.get(tenant);
        let is_paced = parts.is_some_and(|parts| parts.paces_tokens);
        let observer = parts.map_or_else(CallObserver::default, |parts| parts.observer.clone());
        let client = link.client();
        let mut budget = RetryBudget::new(link.retry);
        loop {
            let permit = if is_paced { Some(Rc::new(admitted(tenant, &link).await?)) } else { None };
            let sent = Instant::now();
            let answer = client.token(&Grant::ClientCredentials, &permit).await;
            let (outcome, error) = match &answer {
                Ok(_) => (Outcome::Ok, None),
                Err(fault) => (fault.outcome, Some(fault.message.clone())),
            };
            match permit.and_then(Rc::into_inner) {
                Some(permit) => permit.end(outcome, error),
                None => observer.tell(CallKind::Token, Duration::ZERO, sent.elapsed(), outcome, None),
            }
            let Err(fault) = answer else { return Ok(()) };
            let is_refusal = matches!(fault.outcome, Outcome::AuthExpired | Outcome::Throttled { .. });
            match budget.after(fault.outcome, false, fastrand::f64()) {
                Retry::After(pause) if !is_refusal => tokio::time::sleep(pause).await,
                _ => {
                    return Err(Failure::new(class_of(&fault), format!("{tenant}: {}", fault.message)));
                }
            }
        }
    }

    /// The address of the messages [`Extract`], for hosts that speak in actors. It is good as long as the present
    /// supervisor lives; ask again after an error.
    pub fn extractor(&self) -> Option<Recipient<Extract>> {
        self.0.lines.extract.recipient()
    }

    /// The address of [`Pause`].
    pub fn pauser(&self) -> Option<Recipient<Pause>> {
        self.0.lines.pause.recipient()
    }

    /// The address of [`Resume`].
    pub fn resumer(&self) -> Option<Recipient<Resume>> {
        self.0.lines.resume.recipient()
    }

    /// The address of [`Cancel`].
    pub fn canceller(&self) -> Option<Recipient<Cancel>> {
        self.0.lines.cancel.recipient()
    }

    /// The address of [`Status`].
    pub fn informant(&self) -> Option<Recipient<Status>> {
        self.0.lines.status.recipient()
    }

    /// The address of [`Subscribe`].
    pub fn publisher(&self) -> Option<Recipient<Subscribe>> {
        self.0.lines.subscribe.recipient()
    }

    /// The address of [`Shutdown`].
    pub fn stopper(&self) -> Option<Recipient<Shutdown>> {
        self.0.lines.shutdown.recipient()
    }
}

/// The right to one token call.
async fn admitted(tenant: &TenantName, link: &TenantLink) -> Result<Permit, Failure> {
    match link.gate.ask(Admit { call: CallKind::Token, extraction: None, is_replay: false }).await {
        Ok(Ok(permit)) => Ok(permit),
        Ok(Err(Refused::Parked(park))) => Err(Failure::new(FailureClass::Denied, park.message)),
        Ok(Err(Refused::Failed(failure))) => Err(failure),
        Err(dead) => Err(Failure::new(FailureClass::Internal, format!("{tenant}: the tenant's gate: {dead}"))),
    }
}

/// Whose affair it is that a tenant gave no token.
fn class_of(fault: &CallFault) -> FailureClass {
    if fault.oauth_error.is_some() {
        return FailureClass::Auth;
    }
    match (fault.outcome, fault.status) {
        (Outcome::AuthExpired, _) | (Outcome::Permanent, Some(400 | 401 | 403)) => FailureClass::Auth,
        // There was no answer: the way to the tenant, which begins at this machine, is what to look at.
        (Outcome::Transient, None) | (Outcome::Local, _) => FailureClass::Local,
        (Outcome::WrongKind | Outcome::Contract, _) => FailureClass::Data,
        _ => FailureClass::Denied,
    }
}

fn gone(dead: LineDead) -> Failure {
    Failure::new(FailureClass::Internal, format!("the engine is gone: {dead}"))
}
