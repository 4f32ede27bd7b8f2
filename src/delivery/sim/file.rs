//! The files of the simulated disk: their bytes, now and after a power cut, and the handles on them.

use std::io::{self, ErrorKind};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::model::{DiskFile, FileFacts, FileId, FileKind};

use super::{SimDisk, Survival};

#[derive(Clone)]
pub(super) struct Inode {
    pub(super) number: u64,
    pub(super) bytes: Arc<Mutex<Bytes>>,
}

#[derive(Default)]
pub(super) struct Bytes {
    pub(super) now: Vec<u8>,
    pub(super) durable: Vec<u8>,
    /// Whether `now` was cut below what is durable, so that the one is no longer a beginning of the other.
    pub(super) is_recut: bool,
}

impl Bytes {
    pub(super) fn settle(&mut self, survival: Survival, draw: Option<&mut fastrand::Rng>) {
        match (survival, draw) {
            (Survival::Least, _) => self.now.clone_from(&self.durable),
            (Survival::Drawn(_), Some(rng)) => self.settle_by_lot(rng),
            _ => {}
        }
        self.sync();
    }

    fn settle_by_lot(&mut self, rng: &mut fastrand::Rng) {
        if !self.is_recut {
            self.now.truncate(rng.usize(self.durable.len()..=self.now.len()));
        } else if rng.bool() {
            self.now.clone_from(&self.durable);
        }
    }

    fn sync(&mut self) {
        if self.is_recut {
            self.durable.clone_from(&self.now);
        } else {
            let known = self.durable.len();
            self.durable.extend_from_slice(&self.now[known..]);
        }
        self.is_recut = false;
    }
}

impl Inode {
    pub(super) fn facts(&self) -> FileFacts {
        let len = self.bytes.lock().now.len() as u64;
        FileFacts { kind: FileKind::File, id: FileId(0, self.number), len }
    }
}

pub(super) struct SimFile {
    pub(super) disk: SimDisk,
    pub(super) inode: Inode,
    pub(super) life: u64,
    pub(super) is_writable: bool,
}

impl SimFile {
    fn step(&self) -> io::Result<()> {
        let mut inner = self.disk.0.lock();
        inner.step()?;
        if inner.life != self.life {
            return Err(io::Error::other("this handle is from before the power cut"));
        }
        Ok(())
    }

    fn step_to_write(&self) -> io::Result<()> {
        self.step()?;
        if self.is_writable { Ok(()) } else { Err(ErrorKind::PermissionDenied.into()) }
    }
}

impl DiskFile for SimFile {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let result = self.step_to_write();
        let n = match &result {
            Ok(()) => bytes.len(),
            // What a full disk or a power cut leaves of a write is some of it.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => 0,
            Err(_) if self.disk.0.lock().life != self.life => 0,
            Err(_) => bytes.len() / 2,
        };
        self.inode.bytes.lock().now.extend_from_slice(&bytes[..n]);
        result
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        self.step()?;
        let bytes = self.inode.bytes.lock();
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.now.len());
        let n = into.len().min(bytes.now.len() - from);
        into[..n].copy_from_slice(&bytes.now[from..from + n]);
        Ok(n)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.step()?;
        self.inode.bytes.lock().sync();
        Ok(())
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        self.step_to_write()?;
        let len = usize::try_from(len).map_err(io::Error::other)?;
        let mut bytes = self.inode.bytes.lock();
        bytes.is_recut |= len < bytes.durable.len();
        bytes.now.resize(len, 0);
        Ok(())
    }

    fn facts(&self) -> io::Result<FileFacts> {
        self.step()?;
        Ok(self.inode.facts())
    }

    fn try_clone(&self) -> io::Result<Box<dyn DiskFile>> {
        let Self { disk, inode, life, is_writable } = self;
        let (disk, inode, life, is_writable) = (disk.clone(), inode.clone(), *life, *is_writable);
        Ok(Box::new(Self { disk, inode, life, is_writable }))
    }
}
