//! A disk and a store that fail together at a chosen operation.
//!
//! Operations of both are counted in one row, so that "for every n" means every moment at which the machine can lose
//! its power. What is lost then is decided by the simulated disk and the modelled store; here only the moment is.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cxtract::delivery::{DiskFault, SimDisk};
use cxtract::model::{Disk, DiskFile, FileFacts, OpenMode, ReportName, TenantName, Timestamp};
use cxtract::state::{
    Begun, Claim, Complaint, ExtractionKey, MemoryStore, Store, StoreError, StoreFault, StoredExtraction, TenantWait,
    Turn, TurnAsked,
};
use parking_lot::Mutex;

/// What happens at the chosen operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Blow {
    /// The power goes before the operation is done; of a write, half is.
    PowerCut,
    /// The power goes when the operation is done, before anybody is told.
    PowerCutAfter,
    /// The operation fails, and others work.
    Error,
    /// The operation finds no room, and others work. A store has no room either.
    Full,
}

/// A machine's disk and store.
#[derive(Clone)]
pub struct Machine {
    /// The disk itself.
    pub disk: SimDisk,
    /// The store itself.
    pub store: MemoryStore,
    fate: Arc<Mutex<Fate>>,
}

#[derive(Default)]
struct Fate {
    n_operations: u64,
    blow: Option<(u64, Blow)>,
    is_dead: bool,
    /// What the operations were, for the story of a failure.
    names: Vec<&'static str>,
}

impl Machine {
    /// A machine that was never used.
    pub fn new(store: MemoryStore) -> Self {
        Self { disk: SimDisk::new(), store, fate: Arc::default() }
    }

    /// Counts from the beginning, and strikes at the nth operation if that is said.
    pub fn arm(&self, blow: Option<(u64, Blow)>) {
        *self.fate.lock() = Fate { blow, ..Fate::default() };
    }

    /// Operations since the counting began.
    pub fn n_operations(&self) -> u64 {
        self.fate.lock().n_operations
    }

    /// What the nth operation was.
    pub fn operation(&self, n: u64) -> &'static str {
        usize::try_from(n).ok().and_then(|n| self.fate.lock().names.get(n).copied()).unwrap_or("none")
    }

    /// Whether the power is gone.
    pub fn is_dead(&self) -> bool {
        self.fate.lock().is_dead
    }

    fn step(&self, name: &'static str) -> Option<Blow> {
        let mut fate = self.fate.lock();
        let nth = fate.n_operations;
        fate.n_operations += 1;
        fate.names.push(name);
        let blow = fate.blow.filter(|(n, _)| *n == nth).map(|(_, blow)| blow);
        fate.is_dead |= matches!(blow, Some(Blow::PowerCut | Blow::PowerCutAfter));
        blow
    }

    fn on_disk<R>(&self, name: &'static str, act: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        match self.step(name) {
            None => act(),
            Some(Blow::PowerCut) => {
                self.store.fail_nth(0, StoreFault::PowerCut);
                self.disk.fail_nth(0, DiskFault::PowerCut);
                act()
            }
            Some(Blow::PowerCutAfter) => {
                self.store.fail_nth(0, StoreFault::PowerCut);
                let _ = act();
                self.disk.fail_nth(0, DiskFault::PowerCut);
                Err(io::Error::other("the power is gone"))
            }
            Some(Blow::Error) => {
                self.disk.fail_nth(0, DiskFault::Io);
                act()
            }
            Some(Blow::Full) => {
                self.disk.fail_nth(0, DiskFault::Full);
                act()
            }
        }
    }

    fn on_store<R>(
        &self,
        name: &'static str,
        act: impl FnOnce(&MemoryStore) -> Result<R, StoreError>,
    ) -> Result<R, StoreError> {
        let fault = match self.step(name) {
            None => return act(&self.store),
            Some(Blow::PowerCut) => StoreFault::PowerCut,
            Some(Blow::PowerCutAfter) => StoreFault::PowerCutAfter,
            Some(Blow::Error | Blow::Full) => StoreFault::Refused,
        };
        self.store.fail_nth(0, fault);
        if fault != StoreFault::Refused {
            self.disk.fail_nth(0, DiskFault::PowerCut);
        }
        act(&self.store)
    }
}

impl Disk for Machine {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.on_disk("making a folder", || self.disk.create_dir_all(dir))
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn DiskFile>> {
        let file = self.on_disk("opening a file", || self.disk.open(path, mode))?;
        Ok(Box::new(MachineFile { machine: self.clone(), file }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.on_disk("renaming", || self.disk.rename(from, to))
    }

    fn remove(&self, path: &Path) -> io::Result<bool> {
        self.on_disk("removing", || self.disk.remove(path))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.on_disk("syncing a folder", || self.disk.sync_dir(dir))
    }

    fn facts(&self, path: &Path) -> io::Result<Option<FileFacts>> {
        self.on_disk("looking up a name", || self.disk.facts(path))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        self.on_disk("listing a folder", || self.disk.list(dir))
    }
}

struct MachineFile {
    machine: Machine,
    file: Box<dyn DiskFile>,
}

impl DiskFile for MachineFile {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.machine.clone().on_disk("writing", || self.file.write_all(bytes))
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        self.machine.on_disk("reading", || self.file.read_at(into, offset))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.machine.on_disk("syncing a file", || self.file.sync_data())
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        self.machine.clone().on_disk("cutting a file", || self.file.set_len(len))
    }

    fn facts(&self) -> io::Result<FileFacts> {
        self.machine.on_disk("looking at a file", || self.file.facts())
    }

    fn try_clone(&self) -> io::Result<Box<dyn DiskFile>> {
        let file = self.file.try_clone()?;
        Ok(Box::new(Self { machine: self.machine.clone(), file }))
    }
}

impl Store for Machine {
    fn claim(&self, report: &ReportName, tenant: &TenantName) -> Result<Option<Claim>, StoreError> {
        self.on_store("claim", |store| store.claim(report, tenant))
    }

    fn load(&self, key: &ExtractionKey) -> Result<Option<StoredExtraction>, StoreError> {
        self.on_store("load", |store| store.load(key))
    }

    fn list(&self) -> Result<Vec<StoredExtraction>, StoreError> {
        self.on_store("list", Store::list)
    }

    fn of_report(&self, report: &ReportName, tenant: &TenantName) -> Result<Vec<StoredExtraction>, StoreError> {
        self.on_store("of_report", |store| store.of_report(report, tenant))
    }

    fn begin(&self, key: &ExtractionKey, begun: &Begun) -> Result<(), StoreError> {
        self.on_store("begin", |store| store.begin(key, begun))
    }

    fn alter(
        &self,
        doing: &'static str,
        key: &ExtractionKey,
        act: &mut dyn FnMut(&mut StoredExtraction),
    ) -> Result<StoredExtraction, StoreError> {
        self.on_store(doing, |store| store.alter(doing, key, act))
    }

    fn complete(&self, key: &ExtractionKey, manifest: &str, watermark: Option<Timestamp>) -> Result<(), StoreError> {
        self.on_store("complete", |store| store.complete(key, manifest, watermark))
    }

    fn forget(&self, key: &ExtractionKey) -> Result<(), StoreError> {
        self.on_store("forget", |store| store.forget(key))
    }

    fn watermark(&self, report: &ReportName, tenant: &TenantName) -> Result<Option<Timestamp>, StoreError> {
        self.on_store("watermark", |store| store.watermark(report, tenant))
    }

    fn tenant_wait(&self, tenant: &TenantName) -> Result<Option<TenantWait>, StoreError> {
        self.on_store("tenant_wait", |store| store.tenant_wait(tenant))
    }

    fn tenant_complained(&self, tenant: &TenantName, complaint: &Complaint) -> Result<(), StoreError> {
        self.on_store("tenant_complained", |store| store.tenant_complained(tenant, complaint))
    }

    fn take_turn(&self, tenant: &TenantName, asked: &TurnAsked) -> Result<Turn, StoreError> {
        self.on_store("take_turn", |store| store.take_turn(tenant, asked))
    }
}
