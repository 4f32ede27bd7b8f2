//! Mock tenants and an engine on one simulated network, and what is left when every report has ended.
//!
//! Each host keeps its own paused clock; turmoil moves them together, tick by tick. The engine runs without threads,
//! on a disk and a store in memory. Nothing here judges.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use cxtract::config::{Config, Sources};
use cxtract::delivery::SimDisk;
use cxtract::mock::{Ledger, MockTenantBuilder, SharedTenant, TenantClock, serve_connection};
use cxtract::model::{BootId, MachineClock, Ticks, Timestamp, WallClock};
use cxtract::sink::Backstage;
use cxtract::state::{MemoryStore, StoreHandle};
use cxtract::transport::{ByteStream, Dial, DialError};
use cxtract::{Ending, Engine, Failure, Progress, Seams};
use futures::future::LocalBoxFuture;
use parking_lot::Mutex;
use tokio::time::Instant;

/// The engine's wall clock at its start. The tenants' clocks start elsewhere: nobody may rely on a common time.
pub const WALL_START: Timestamp = Timestamp(1_717_200_000_000);

/// The host that the engine runs on.
pub const ENGINE: &str = "engine";

/// Connects over the simulated network. Names that nobody bears don't resolve.
pub struct SimDial(Arc<BTreeSet<String>>);

impl Dial for SimDial {
    fn dial(&self, host: &str, port: u16) -> LocalBoxFuture<'static, Result<Box<dyn ByteStream>, DialError>> {
        let (host, is_known) = (host.to_owned(), self.0.contains(host));
        Box::pin(async move {
            if !is_known {
                return Err(DialError::Dns("no such host".to_owned()));
            }
            let stream = turmoil::net::TcpStream::connect((host, port)).await?;
            Ok(Box::new(stream) as Box<dyn ByteStream>)
        })
    }
}

/// A time during which nothing passes between the engine and a tenant.
#[derive(Clone, Debug)]
pub struct Partition {
    /// Which tenant is cut off.
    pub tenant: String,
    /// From when on.
    pub from: Duration,
    /// For how long.
    pub lasts: Duration,
}

/// A report that is extracted.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Its name.
    pub report: String,
    /// Its tenant.
    pub tenant: String,
    /// Its template.
    pub template: String,
}

/// Everything that a simulation starts from.
#[derive(Clone)]
pub struct World {
    /// Decides everything that is left to chance.
    pub seed: u64,
    /// The mock tenants by the names of their hosts.
    pub tenants: BTreeMap<String, MockTenantBuilder>,
    /// Hosts that can be found but where nobody listens.
    pub deaf: Vec<String>,
    /// The engine's configuration.
    pub yaml: String,
    /// What is extracted, all at once.
    pub asked: Vec<Asked>,
    /// Reports that are asked for so much later.
    pub later: BTreeMap<String, Duration>,
    /// The shortest way of a message.
    pub least_latency: Duration,
    /// The longest way of a message.
    pub latency: Duration,
    /// The step of simulated time. Messages arrive at its ends only.
    pub tick: Duration,
    /// Cut cables.
    pub partitions: Vec<Partition>,
    /// By when everything must have ended.
    pub bound: Duration,
}

/// What is left of a simulation.
pub struct Aftermath {
    /// How each report ended.
    pub endings: BTreeMap<String, Result<Ending, Failure>>,
    /// The tenants, with their ledgers.
    pub tenants: BTreeMap<String, SharedTenant>,
    /// When connections to each tenant were made, since its start.
    pub connections: BTreeMap<String, Vec<Duration>>,
    /// The disk.
    pub disk: SimDisk,
    /// Every snapshot that the engine published, with its time.
    pub events: Vec<String>,
    /// When the last report had ended.
    pub took: Duration,
}

impl World {
    /// An empty world with a near network.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            tenants: BTreeMap::new(),
            deaf: Vec::new(),
            yaml: "engine: {threads: 0}\ntenants:\n".to_owned(),
            asked: Vec::new(),
            later: BTreeMap::new(),
            least_latency: Duration::from_millis(1),
            latency: Duration::from_millis(8),
            tick: Duration::from_millis(10),
            partitions: Vec::new(),
            bound: Duration::from_secs(4 * 3600),
        }
    }

    /// A world of one tenant `acme` with one report `calls` of template `detail`, and these lines of configuration.
    pub fn of_one(mock: MockTenantBuilder, tenant: &str, report: &str) -> Self {
        let mut world = Self::new(1);
        world.tenants.insert("acme".to_owned(), mock);
        world.add_tenant_lines("acme", tenant);
        world.yaml.push_str("reports:\n");
        world.add_report_lines("calls", "acme", "detail", report);
        world
    }

    /// Writes a tenant into the configuration.
    pub fn add_tenant_lines(&mut self, name: &str, lines: &str) {
        let base = format!("base_url: http://{name}\n    allow_plain_http: true");
        let auth = "auth: {client_id: id, client_secret: \"canary-secret\"}";
        self.yaml.push_str(&format!("  {name}:\n    {base}\n    {auth}\n"));
        for line in lines.lines() {
            self.yaml.push_str(&format!("    {}\n", line.trim()));
        }
    }

    /// Writes a report into the configuration, and extracts it.
    pub fn add_report_lines(&mut self, name: &str, tenant: &str, template: &str, lines: &str) {
        self.yaml.push_str(&format!("  {name}:\n    tenant: {tenant}\n    template_id: {template}\n"));
        self.yaml.push_str("    window: {from: 2024-01-01, to: 2024-01-31}\n");
        for line in lines.lines() {
            self.yaml.push_str(&format!("    {}\n", line.trim()));
        }
        let [report, tenant, template] = [name, tenant, template].map(str::to_owned);
        self.asked.push(Asked { report, tenant, template });
    }

    /// The network with its tenants; the engine is still to come.
    pub fn network<'a>(&self) -> (turmoil::Sim<'a>, BTreeMap<String, SharedTenant>) {
        let (sim, tenants, _) = self.watched_network();
        (sim, tenants)
    }

    fn watched_network<'a>(&self) -> (turmoil::Sim<'a>, BTreeMap<String, SharedTenant>, Connections) {
        let mut sim = turmoil::Builder::new()
            .simulation_duration(self.bound)
            .tick_duration(self.tick)
            .min_message_latency(self.least_latency)
            .max_message_latency(self.latency)
            .tcp_capacity(4096)
            .rng_seed(self.seed)
            .build();
        let (mut tenants, connections) = (BTreeMap::new(), Connections::default());
        for (name, builder) in &self.tenants {
            let tenant: SharedTenant = Arc::new(Mutex::new(builder.clone().build()));
            tenants.insert(name.clone(), tenant.clone());
            let (host, connections) = (name.clone(), connections.clone());
            sim.host(name.clone(), move || serve(host.clone(), tenant.clone(), connections.clone()));
        }
        for name in &self.deaf {
            sim.host(name.clone(), std::future::pending);
        }
        (sim, tenants, connections)
    }

    /// The way from the engine to the tenants.
    pub fn dial(&self) -> SimDial {
        SimDial(Arc::new(self.tenants.keys().chain(&self.deaf).cloned().collect()))
    }

    /// The configuration.
    pub fn config(&self) -> Result<Config, String> {
        Config::load(&Sources::text("/sim/config.yaml", &self.yaml))
            .map_err(|problems| format!("{problems}\n{}", self.yaml))
    }

    /// The same with a network whose ways all take the same five milliseconds, so that what one tenant is asked does
    /// not depend on how much passes between others.
    #[must_use]
    pub fn with_even_network(mut self) -> Self {
        let five = Duration::from_millis(5);
        (self.least_latency, self.latency, self.tick) = (five, five, five);
        self
    }

    /// The same with a network whose ways take next to nothing.
    #[must_use]
    pub fn nearby(mut self) -> Self {
        let one = Duration::from_millis(1);
        (self.least_latency, self.latency, self.tick) = (one, one, one);
        self
    }

    /// Runs it until every report has ended.
    ///
    /// # Errors
    /// If that does not happen within the bound, in turmoil's words.
    pub fn run(&self) -> Result<Aftermath, String> {
        self.run_as(std::slice::from_ref(&self.asked))
    }

    /// Like [`run`](Self::run), with an engine for each of these groups of reports. They share the disk and the store.
    pub fn run_as(&self, processes: &[Vec<Asked>]) -> Result<Aftermath, String> {
        let (mut sim, tenants, connections) = self.watched_network();
        let disk = SimDisk::new();
        let found = Arc::new(Mutex::new(Found::default()));
        let clock = WallClock::new(|| WALL_START.plus(turmoil::sim_elapsed().unwrap_or_default()));
        let store = MemoryStore::new(clock);
        for (nth, asked) in processes.iter().enumerate() {
            let host = if nth == 0 { ENGINE.to_owned() } else { format!("{ENGINE}-{nth}") };
            let partitions = if nth == 0 { self.partitions.clone() } else { Vec::new() };
            let world = World { asked: asked.clone(), partitions, ..self.clone() };
            sim.client(host, extract(world, disk.clone(), store.clone(), found.clone()));
        }
        sim.run().map_err(|error| error.to_string())?;
        drop(sim);
        let Found { endings, events, took } = std::mem::take(&mut *found.lock());
        let connections = std::mem::take(&mut *connections.lock());
        Ok(Aftermath { endings, tenants, connections, disk, events, took })
    }
}

#[derive(Default)]
struct Found {
    endings: BTreeMap<String, Result<Ending, Failure>>,
    events: Vec<String>,
    took: Duration,
}

/// When each host was connected to.
type Connections = Arc<Mutex<BTreeMap<String, Vec<Duration>>>>;

async fn serve(host: String, tenant: SharedTenant, connections: Connections) -> turmoil::Result {
    let clock = TenantClock::start_now();
    let listener = turmoil::net::TcpListener::bind("0.0.0.0:80").await?;
    loop {
        let (stream, _) = listener.accept().await?;
        connections.lock().entry(host.clone()).or_default().push(clock.now());
        tokio::task::spawn_local(serve_connection(stream, tenant.clone(), clock));
    }
}

async fn extract(world: World, disk: SimDisk, store: MemoryStore, found: Arc<Mutex<Found>>) -> turmoil::Result {
    let start = Instant::now();
    let clock = WallClock::new(move || WALL_START.plus(start.elapsed()));
    let config = world.config()?;
    let seams = Seams {
        dial: Arc::new(world.dial()),
        disk: Arc::new(disk),
        store: StoreHandle::inline(Arc::new(store)),
        clock,
        ticks: MachineClock::new(Some(BootId(1)), move || Ticks(0).plus(start.elapsed())),
        seed: world.seed,
        backstage: Backstage::inline(),
    };
    let engine = Engine::builder().config(config).environment(Vec::new()).seams(seams).start()?;
    engine.subscribe(Listener { start, found: found.clone() }.start().recipient());
    for partition in world.partitions {
        tokio::task::spawn_local(async move {
            tokio::time::sleep(partition.from).await;
            turmoil::partition(ENGINE, partition.tenant.as_str());
            tokio::time::sleep(partition.lasts).await;
            turmoil::repair(ENGINE, partition.tenant.as_str());
        });
    }
    let extractions = world.asked.iter().map(|Asked { report, .. }| {
        let (engine, later) = (engine.clone(), world.later.get(report).copied());
        async move {
            // Who need not wait asks in the first turn.
            if let Some(later) = later {
                tokio::time::sleep(later).await;
            }
            (report.clone(), engine.extract(report).await)
        }
    });
    let endings = futures::future::join_all(extractions).await;
    // The last snapshots and the last cleaning up take a turn or two.
    tokio::time::sleep(Duration::from_secs(1)).await;
    engine.shutdown().await;
    let mut found = found.lock();
    found.endings.extend(endings);
    found.took = found.took.max(start.elapsed());
    Ok(())
}

struct Listener {
    start: Instant,
    found: Arc<Mutex<Found>>,
}

impl Actor for Listener {
    type Context = Context<Self>;
}

impl Handler<Progress> for Listener {
    type Result = ();

    fn handle(&mut self, progress: Progress, _: &mut Self::Context) {
        self.found.lock().events.push(format!("{:?} {progress:?}", self.start.elapsed()));
    }
}

impl Aftermath {
    /// How a report ended.
    pub fn ending(&self, report: &str) -> &Ending {
        self.endings[report].as_ref().unwrap_or_else(|failure| panic!("{report} did not start: {failure}"))
    }

    /// A tenant's ledger.
    pub fn ledger(&self, tenant: &str) -> Ledger {
        self.tenants[tenant].lock().ledger().clone()
    }

    /// Where a report's output ends up.
    pub fn output(&self, report: &str) -> PathBuf {
        Path::new("/sim/out").join(format!("{report}.csv"))
    }

    /// Whether that report is delivered, byte for byte what the tenant has.
    pub fn is_delivered(&self, report: &str, tenant: &str, template: &str) -> bool {
        let expected = self.tenants[tenant].lock().expected_csv(template);
        matches!(self.ending(report), Ending::Complete(_))
            && self.disk.contents(&self.output(report)).as_ref() == Some(&expected)
    }

    /// Everything that was asked, answered and told, with times: two runs are the same if these are.
    pub fn log(&self) -> Vec<String> {
        let calls = self.tenants.iter().flat_map(|(name, tenant)| {
            let tenant = tenant.lock();
            let lines: Vec<_> = tenant.ledger().iter().map(|entry| format!("{name} {entry:?}")).collect();
            lines
        });
        calls.chain(self.events.iter().cloned()).collect()
    }
}
