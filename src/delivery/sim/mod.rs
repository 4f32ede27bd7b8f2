//! A disk in memory that can lose its power.
//!
//! It keeps two truths apart: what a reader sees now, and what would still be there after a power cut. Bytes
//! cross over at `sync_data`, names at `sync_dir`; of the un-synced changes of names each may survive without the
//! others, which is harsher than most file systems. Every operation has a number, and the same calls with the same
//! seed always end the same way. Directories, once made, are durable: nothing here tests that.

mod file;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::model::{Disk, DiskFile, FileFacts, FileId, FileKind, OpenMode};

use file::{Bytes, Inode, SimFile};

/// What goes wrong at an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskFault {
    /// No room: a write stops halfway.
    Full,
    /// An input/output error.
    Io,
    /// The power goes: this and every later operation fails until [`SimDisk::restart`].
    PowerCut,
}

impl DiskFault {
    fn error(self) -> io::Error {
        match self {
            Self::Full => ErrorKind::StorageFull.into(),
            Self::Io => io::Error::other("input/output error"),
            Self::PowerCut => io::Error::other("the power is gone"),
        }
    }
}

/// What of the un-synced is still there after a power cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Survival {
    /// Nothing.
    Least,
    /// Everything: what a killed process leaves, as the system itself lives on.
    Most,
    /// Some of it, drawn from this seed.
    Drawn(u64),
}

/// A disk in memory. Clones are the same disk.
#[derive(Clone, Default)]
pub struct SimDisk(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    names: BTreeMap<PathBuf, Inode>,
    durable_names: BTreeMap<PathBuf, Inode>,
    journal: Vec<NameChange>,
    dirs: BTreeSet<PathBuf>,
    faults: BTreeMap<u64, DiskFault>,
    n_operations: u64,
    n_inodes: u64,
    /// Counts restarts, so that a handle from before one is refused.
    life: u64,
    is_off: bool,
}

enum NameChange {
    Made(PathBuf, Inode),
    Renamed(PathBuf, PathBuf),
    Removed(PathBuf),
}

impl NameChange {
    fn dir(&self) -> &Path {
        let (Self::Made(path, _) | Self::Renamed(path, _) | Self::Removed(path)) = self;
        dir_of(path)
    }

    fn apply(self, names: &mut BTreeMap<PathBuf, Inode>) {
        match self {
            Self::Made(path, inode) => {
                names.insert(path, inode);
            }
            Self::Renamed(from, to) => {
                if let Some(inode) = names.remove(&from) {
                    names.insert(to, inode);
                }
            }
            Self::Removed(path) => {
                names.remove(&path);
            }
        }
    }
}

impl SimDisk {
    /// An empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    /// Operations so far, failed ones included.
    pub fn n_operations(&self) -> u64 {
        self.0.lock().n_operations
    }

    /// Makes an operation fail, counted from now: 0 is the next one.
    pub fn fail_nth(&self, n: u64, fault: DiskFault) {
        let mut inner = self.0.lock();
        let nth = inner.n_operations + n;
        inner.faults.insert(nth, fault);
    }

    /// Cuts the power if it is still on, then starts again with what survived. Handles from before are useless,
    /// faults that were still to come are forgotten.
    pub fn restart(&self, survival: Survival) {
        let mut inner = self.0.lock();
        let mut draw = match survival {
            Survival::Drawn(seed) => Some(fastrand::Rng::with_seed(seed)),
            _ => None,
        };
        let journal = std::mem::take(&mut inner.journal);
        let mut names = std::mem::take(&mut inner.durable_names);
        for change in journal {
            let survives = match (survival, &mut draw) {
                (Survival::Least, _) => false,
                (_, Some(rng)) => rng.bool(),
                _ => true,
            };
            if survives {
                change.apply(&mut names);
            }
        }
        for inode in names.values() {
            inode.bytes.lock().settle(survival, draw.as_mut());
        }
        inner.durable_names = names.clone();
        inner.names = names;
        inner.faults.clear();
        inner.is_off = false;
        inner.life += 1;
    }

    /// What a file holds now; none if it isn't there. Not an operation.
    pub fn contents(&self, path: &Path) -> Option<Vec<u8>> {
        self.0.lock().names.get(path).map(|inode| inode.bytes.lock().now.clone())
    }

    /// Puts a file there behind everybody's back, durable at once. Not an operation.
    pub fn put(&self, path: &Path, contents: &[u8]) {
        let mut inner = self.0.lock();
        let inode = inner.new_inode();
        *inode.bytes.lock() = Bytes { now: contents.to_vec(), durable: contents.to_vec(), is_recut: false };
        inner.names.insert(path.into(), inode.clone());
        inner.durable_names.insert(path.into(), inode);
    }

    /// Every name on the disk, in order. Not an operation.
    pub fn names(&self) -> Vec<PathBuf> {
        self.0.lock().names.keys().cloned().collect()
    }
}

impl Inner {
    fn step(&mut self) -> io::Result<()> {
        let fault = self.faults.remove(&self.n_operations);
        self.n_operations += 1;
        self.is_off |= fault == Some(DiskFault::PowerCut);
        match fault {
            _ if self.is_off => Err(DiskFault::PowerCut.error()),
            Some(fault) => Err(fault.error()),
            None => Ok(()),
        }
    }

    fn new_inode(&mut self) -> Inode {
        self.n_inodes += 1;
        Inode { number: self.n_inodes, bytes: Arc::default() }
    }

    fn change(&mut self, change: NameChange) {
        match &change {
            NameChange::Made(path, inode) => {
                self.names.insert(path.clone(), inode.clone());
            }
            NameChange::Renamed(from, to) => {
                if let Some(inode) = self.names.remove(from) {
                    self.names.insert(to.clone(), inode);
                }
            }
            NameChange::Removed(path) => {
                self.names.remove(path);
            }
        }
        self.journal.push(change);
    }
}

impl Disk for SimDisk {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        let mut inner = self.0.lock();
        inner.step()?;
        for dir in dir.ancestors() {
            inner.dirs.insert(dir.into());
        }
        Ok(())
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn DiskFile>> {
        let mut inner = self.0.lock();
        inner.step()?;
        let inode = match (mode, inner.names.get(path)) {
            (OpenMode::CreateNew, Some(_)) => return Err(ErrorKind::AlreadyExists.into()),
            (OpenMode::CreateNew, None) if !inner.dirs.contains(dir_of(path)) => return Err(ErrorKind::NotFound.into()),
            (OpenMode::CreateNew, None) => {
                let inode = inner.new_inode();
                inner.change(NameChange::Made(path.into(), inode.clone()));
                inode
            }
            (_, Some(inode)) => inode.clone(),
            (_, None) => return Err(ErrorKind::NotFound.into()),
        };
        Ok(Box::new(SimFile { disk: self.clone(), inode, life: inner.life, is_writable: mode != OpenMode::Read }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut inner = self.0.lock();
        inner.step()?;
        if dir_of(from) != dir_of(to) {
            return Err(ErrorKind::CrossesDevices.into());
        }
        if !inner.names.contains_key(from) {
            return Err(ErrorKind::NotFound.into());
        }
        inner.change(NameChange::Renamed(from.into(), to.into()));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<bool> {
        let mut inner = self.0.lock();
        inner.step()?;
        let was_there = inner.names.contains_key(path);
        if was_there {
            inner.change(NameChange::Removed(path.into()));
        }
        Ok(was_there)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut inner = self.0.lock();
        inner.step()?;
        let (due, rest) = std::mem::take(&mut inner.journal).into_iter().partition(|change| change.dir() == dir);
        inner.journal = rest;
        for change in due {
            change.apply(&mut inner.durable_names);
        }
        Ok(())
    }

    fn facts(&self, path: &Path) -> io::Result<Option<FileFacts>> {
        let mut inner = self.0.lock();
        inner.step()?;
        if let Some(inode) = inner.names.get(path) {
            return Ok(Some(inode.facts()));
        }
        let directory = FileFacts { kind: FileKind::Directory, id: FileId(1, 0), len: 0 };
        Ok(inner.dirs.contains(path).then_some(directory))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        let mut inner = self.0.lock();
        inner.step()?;
        Ok(inner.names.keys().filter(|path| dir_of(path) == dir).cloned().collect())
    }
}

fn dir_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk() -> SimDisk {
        let disk = SimDisk::new();
        disk.create_dir_all(Path::new("out")).unwrap();
        disk
    }

    #[test]
    fn bytes_and_names_that_were_not_synced_are_lost_with_the_power() {
        let (disk, path) = (disk(), Path::new("out/f"));
        let mut file = disk.open(path, OpenMode::CreateNew).unwrap();
        file.write_all(b"kept").unwrap();
        file.sync_data().unwrap();
        disk.restart(Survival::Least);
        assert_eq!(disk.contents(path), None, "the name was never synced");

        let mut file = disk.open(path, OpenMode::CreateNew).unwrap();
        file.write_all(b"kept").unwrap();
        file.sync_data().unwrap();
        disk.sync_dir(Path::new("out")).unwrap();
        file.write_all(b" lost").unwrap();
        disk.rename(path, Path::new("out/g")).unwrap();
        disk.restart(Survival::Least);
        assert_eq!(disk.contents(path).unwrap(), b"kept");
        assert!(file.write_all(b"x").is_err(), "a handle from before the cut is useless");
    }

    #[test]
    fn a_killed_process_loses_nothing_that_it_wrote() {
        let (disk, path) = (disk(), Path::new("out/f"));
        disk.open(path, OpenMode::CreateNew).unwrap().write_all(b"abc").unwrap();
        disk.restart(Survival::Most);
        assert_eq!(disk.contents(path).unwrap(), b"abc");
    }

    #[test]
    fn an_unsynced_cut_may_be_undone_by_a_power_cut() {
        let (disk, path) = (disk(), Path::new("out/f"));
        disk.put(path, b"0123456789");
        let mut file = disk.open(path, OpenMode::Append).unwrap();
        file.set_len(4).unwrap();
        file.write_all(b"x").unwrap();
        assert_eq!(disk.contents(path).unwrap(), b"0123x");
        disk.restart(Survival::Least);
        assert_eq!(disk.contents(path).unwrap(), b"0123456789");
    }

    #[test]
    fn the_nth_operation_fails_once_and_a_write_to_a_full_disk_stops_halfway() {
        let (disk, path) = (disk(), Path::new("out/f"));
        let mut file = disk.open(path, OpenMode::CreateNew).unwrap();
        disk.fail_nth(1, DiskFault::Full);
        file.write_all(b"ab").unwrap();
        assert_eq!(file.write_all(b"cdef").unwrap_err().kind(), ErrorKind::StorageFull);
        assert_eq!(disk.contents(path).unwrap(), b"abcd");
        file.write_all(b"!").unwrap();
        disk.fail_nth(0, DiskFault::PowerCut);
        assert!(file.sync_data().is_err());
        assert!(disk.sync_dir(Path::new("out")).is_err(), "the power stays off");
    }

    #[test]
    fn the_same_seed_leaves_the_same_remains() {
        let remains = |seed| {
            let (disk, path) = (disk(), Path::new("out/f"));
            disk.put(path, b"durable");
            disk.open(path, OpenMode::Append).unwrap().write_all(&[7; 1000]).unwrap();
            disk.restart(Survival::Drawn(seed));
            disk.contents(path).unwrap()
        };
        assert_eq!(remains(3), remains(3));
        assert!(remains(3).starts_with(b"durable"));
    }
}
