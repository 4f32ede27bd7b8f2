//! Several engines, one after the other, over the same disk, store and tenants.
//!
//! An engine lives on a host of its own that can lose its power. The tenants' clocks and the network go on while it
//! is gone. Nothing here judges.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix::prelude::*;
use cxtract::delivery::Survival;
use cxtract::mock::{Ledger, SharedTenant};
use cxtract::model::{BootId, MachineClock, Ticks, WallClock};
use cxtract::sink::Backstage;
use cxtract::state::{MemoryStore, Store, StoreHandle, StoredExtraction};
use cxtract::{Ending, Engine, Failure, Progress, Seams};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::forms::{Due, Form};
use crate::mortal::{Blow, Machine};
use crate::world::{Asked, ENGINE, WALL_START, World};

/// How a life of the engine ended.
#[derive(Clone, Debug)]
pub enum Life {
    /// Every report ended, and the engine stopped.
    Over(BTreeMap<String, Result<Ending, Failure>>),
    /// The engine did not start, and said why.
    NotStarted(String),
    /// The power went.
    Died,
}

/// A world whose engine may live more than once.
pub struct Lives {
    world: World,
    sim: turmoil::Sim<'static>,
    tenants: BTreeMap<String, SharedTenant>,
    /// The engine's disk and store.
    pub machine: Machine,
    /// What must come of reports that ask for more than their bytes as they come.
    pub due: BTreeMap<String, (Form, Due)>,
    /// Every remark that an engine published, in order, of all lives.
    pub remarks: Arc<Mutex<Vec<String>>>,
    outcome: Arc<Mutex<Option<Life>>>,
    n_lives: u32,
}

impl Lives {
    /// A world in which no engine has lived yet.
    pub fn of(world: &World) -> Self {
        let (mut sim, tenants) = world.network();
        let since_start = Arc::new(AtomicU64::new(0));
        let clock = WallClock::new(move || {
            // Outside of the simulation's steps, as when a dead engine is cleared away, the time stands still.
            let known = since_start.load(Ordering::Relaxed);
            let now = turmoil::sim_elapsed().map_or(known, |at| u64::try_from(at.as_millis()).unwrap_or(known));
            since_start.fetch_max(now, Ordering::Relaxed);
            WALL_START.plus(Duration::from_millis(now))
        });
        let machine = Machine::new(MemoryStore::new(clock.clone()));
        let remarks = Arc::<Mutex<Vec<String>>>::default();
        let outcome = Arc::<Mutex<Option<Life>>>::default();
        let parts = (world.clone(), machine.clone(), clock, remarks.clone(), outcome.clone());
        let n_boots = AtomicU64::new(1);
        sim.host(ENGINE, move || {
            let (world, machine, clock, remarks, outcome) = parts.clone();
            let boot = n_boots.fetch_add(1, Ordering::Relaxed).into();
            async move {
                let life = live(&world, boot, machine, clock, remarks).await;
                *outcome.lock() = Some(life);
                std::future::pending().await
            }
        });
        Self { world: world.clone(), sim, tenants, machine, due: BTreeMap::new(), remarks, outcome, n_lives: 0 }
    }

    /// The same with that to be expected of these reports.
    #[must_use]
    pub fn with_due(self, due: BTreeMap<String, (Form, Due)>) -> Self {
        Self { due, ..self }
    }

    /// Lets an engine live until its reports have ended or the power goes.
    ///
    /// # Errors
    /// Where that takes longer than the world allows.
    pub fn live(&mut self, blow: Option<(u64, Blow)>) -> Result<Life, String> {
        self.machine.arm(blow);
        *self.outcome.lock() = None;
        if self.n_lives > 0 {
            self.sim.bounce(ENGINE);
        }
        self.n_lives += 1;
        let until = self.sim.elapsed() + self.world.bound;
        loop {
            self.sim.step().map_err(|error| error.to_string())?;
            if self.machine.is_dead() {
                self.sim.crash(ENGINE);
                return Ok(Life::Died);
            }
            if let Some(life) = self.outcome.lock().take() {
                self.sim.crash(ENGINE);
                return Ok(life);
            }
            if self.sim.elapsed() > until {
                return Err(format!("life {} did not end within {:?}", self.n_lives, self.world.bound));
            }
        }
    }

    /// Puts the power on again, with what survived on the disk, and lets the tenants go on for a while before.
    ///
    /// # Errors
    /// The simulation's.
    pub fn restart(&mut self, survival: Survival) -> Result<(), String> {
        self.machine.arm(None);
        self.machine.disk.restart(survival);
        self.machine.store.restart();
        for _ in 0..20 {
            self.sim.step().map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// What the store knows.
    pub fn stored(&self) -> Vec<StoredExtraction> {
        self.machine.store.list().expect("the power is on")
    }

    /// What the engine is asked for.
    pub fn asked(&self) -> &[Asked] {
        &self.world.asked
    }

    /// The tenants' names.
    pub fn tenants(&self) -> impl Iterator<Item = &String> {
        self.tenants.keys()
    }

    /// A tenant's ledger.
    pub fn ledger(&self, tenant: &str) -> Ledger {
        self.tenants[tenant].lock().ledger().clone()
    }

    /// What a report's output must be, once its queries are submitted.
    pub fn expected(&self, asked: &Asked) -> Vec<u8> {
        self.tenants[&asked.tenant].lock().expected_csv(&asked.template)
    }

    /// How many queries of a report its tenant has accepted.
    pub fn n_queries(&self, asked: &Asked) -> usize {
        let tenant = self.tenants[&asked.tenant].lock();
        tenant.queries().iter().filter(|query| query.template == asked.template).count()
    }
}

async fn live(world: &World, boot: u128, machine: Machine, clock: WallClock, remarks: Arc<Mutex<Vec<String>>>) -> Life {
    let start = Instant::now();
    let config = match world.config() {
        Ok(config) => config,
        Err(problems) => return Life::NotStarted(problems),
    };
    let seams = Seams {
        dial: Arc::new(world.dial()),
        disk: Arc::new(machine.clone()),
        store: StoreHandle::inline(Arc::new(machine)),
        clock,
        // After a power cut the machine starts anew, and so do its ticks.
        ticks: MachineClock::new(Some(BootId(boot)), move || Ticks(0).plus(start.elapsed())),
        seed: world.seed,
        backstage: Backstage::inline(),
    };
    let engine = match Engine::builder().config(config).environment(Vec::new()).seams(seams).start() {
        Ok(engine) => engine,
        Err(error) => return Life::NotStarted(error.to_string()),
    };
    engine.subscribe(Listener(remarks).start().recipient());
    let extractions = world.asked.iter().map(|Asked { report, .. }| {
        let engine = engine.clone();
        async move { (report.clone(), engine.extract(report).await) }
    });
    let endings = futures::future::join_all(extractions).await;
    // The last snapshots and the last cleaning up take a turn or two.
    tokio::time::sleep(Duration::from_millis(200)).await;
    engine.shutdown().await;
    Life::Over(endings.into_iter().collect())
}

struct Listener(Arc<Mutex<Vec<String>>>);

impl Actor for Listener {
    type Context = Context<Self>;
}

impl Handler<Progress> for Listener {
    type Result = ();

    fn handle(&mut self, progress: Progress, _: &mut Self::Context) {
        let mut remarks = self.0.lock();
        if let Some(message) = progress.message.filter(|message| remarks.last() != Some(message)) {
            remarks.push(message);
        }
    }
}
