//! Scratch files: where pages wait that have no room in memory.
//!
//! A scratch file loses its name as soon as it is open, so that the system takes its bytes back when the handle
//! goes, even after `kill -9`. A name can be left behind only by a kill between the two calls; those are
//! cleared away at the next start, and nothing else in the directory is ever touched.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};

use crate::model::{Disk, DiskFile, OpenMode};

const PREFIX: &str = "cxtract-";
const SUFFIX: &str = ".spill";

/// Hands out scratch files and knows how many bytes are in them. Clones share the count.
#[derive(Clone)]
pub struct Scratch {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    n_bytes: AtomicU64,
    next: AtomicU64,
}

/// A nameless file, gone when dropped.
pub struct ScratchFile {
    file: Box<dyn DiskFile>,
    len: u64,
    /// A failed write left bytes behind that could not be cut off: nothing may be added any more.
    is_torn: bool,
    shared: Arc<Shared>,
}

impl Scratch {
    /// Makes the directory where it is missing and clears away what killed runs left there.
    pub fn open(disk: Arc<dyn Disk>, dir: impl Into<PathBuf>) -> io::Result<Self> {
        let dir = dir.into();
        disk.create_dir_all(&dir)?;
        for path in disk.list(&dir)? {
            if is_ours(&path) {
                // One that a living process is just opening loses its name here instead of there: no harm.
                disk.remove(&path)?;
            }
        }
        Ok(Self { disk, dir, shared: Arc::default() })
    }

    /// A new, empty scratch file.
    pub fn create(&self) -> io::Result<ScratchFile> {
        loop {
            let n = self.shared.next.fetch_add(1, Ordering::Relaxed);
            let path = self.dir.join(format!("{PREFIX}{}-{n}{SUFFIX}", std::process::id()));
            match self.disk.open(&path, OpenMode::CreateNew) {
                Ok(file) => {
                    self.disk.remove(&path)?;
                    return Ok(ScratchFile { file, len: 0, is_torn: false, shared: self.shared.clone() });
                }
                // Another engine of this process, or of one with the same number elsewhere, was quicker.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Bytes in all scratch files together.
    pub fn n_bytes(&self) -> u64 {
        self.shared.n_bytes.load(Ordering::Relaxed)
    }
}

impl ScratchFile {
    /// Writes at the end. After an error the file holds what it held before the call, and can be read or dropped.
    pub fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.is_torn {
            return Err(io::Error::other("an earlier write to this scratch file failed"));
        }
        if let Err(error) = self.file.write_all(bytes) {
            self.is_torn = self.file.set_len(self.len).is_err();
            return Err(error);
        }
        self.len += bytes.len() as u64;
        self.shared.n_bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    /// Bytes written.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether nothing has been written.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Reads up to `n` bytes from `offset`; fewer only at the end.
    pub fn read(&self, offset: u64, n: usize) -> io::Result<Bytes> {
        let n = n.min(usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX));
        let mut bytes = BytesMut::zeroed(n);
        let mut filled = 0;
        while filled < n {
            match self.file.read_at(&mut bytes[filled..], offset + filled as u64)? {
                0 => {
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "a scratch file is shorter than written"));
                }
                k => filled += k,
            }
        }
        Ok(bytes.freeze())
    }
}

impl Drop for ScratchFile {
    fn drop(&mut self) {
        self.shared.n_bytes.fetch_sub(self.len, Ordering::Relaxed);
    }
}

fn is_ours(path: &Path) -> bool {
    let middle = path.file_name().and_then(|name| name.to_str());
    let middle = middle.and_then(|name| name.strip_prefix(PREFIX)).and_then(|name| name.strip_suffix(SUFFIX));
    let numbers = middle.and_then(|middle| middle.split_once('-'));
    numbers.is_some_and(|(pid, n)| pid.parse::<u32>().is_ok() && n.parse::<u64>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::super::{DiskFault, RealDisk, SimDisk};
    use super::*;

    #[test]
    fn a_scratch_file_has_no_name_and_reads_back_in_pieces() {
        let tmp = tempfile::tempdir().unwrap();
        let scratch = Scratch::open(Arc::new(RealDisk), tmp.path().join("scratch")).unwrap();
        let mut file = scratch.create().unwrap();
        assert_eq!(std::fs::read_dir(tmp.path().join("scratch")).unwrap().count(), 0);
        file.append(b"hello ").unwrap();
        file.append(b"world").unwrap();
        assert_eq!(file.read(0, 6).unwrap(), "hello ");
        assert_eq!(file.read(6, 100).unwrap(), "world");
        assert_eq!(file.read(11, 100).unwrap(), "");
        assert_eq!(scratch.n_bytes(), 11);
        drop(file);
        assert_eq!(scratch.n_bytes(), 0);
    }

    #[test]
    fn only_what_killed_runs_left_is_cleared_away() {
        let disk = SimDisk::new();
        for name in
            ["s/cxtract-12-0.spill", "s/cxtract-x-0.spill", "s/cxtract-12.spill", "s/other.spill", "s/notes.txt"]
        {
            disk.put(Path::new(name), b"x");
        }
        Scratch::open(Arc::new(disk.clone()), "s").unwrap();
        let left = ["s/cxtract-12.spill", "s/cxtract-x-0.spill", "s/notes.txt", "s/other.spill"];
        assert_eq!(disk.names(), left.map(PathBuf::from));
    }

    #[test]
    fn a_full_disk_leaves_the_scratch_file_as_it_was() {
        let disk = SimDisk::new();
        let scratch = Scratch::open(Arc::new(disk.clone()), "s").unwrap();
        let mut file = scratch.create().unwrap();
        file.append(b"kept").unwrap();
        disk.fail_nth(0, DiskFault::Full);
        assert_eq!(file.append(b"too much").unwrap_err().kind(), io::ErrorKind::StorageFull);
        file.append(b"!").unwrap();
        assert_eq!(file.read(0, 100).unwrap(), "kept!");
        assert_eq!(scratch.n_bytes(), 5);
    }
}
