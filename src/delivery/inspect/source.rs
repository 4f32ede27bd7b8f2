//! A file on its way through memory: unpacked, without its byte order mark, a chunk at a time.
//!
//! What lies on the disk is counted (and hashed, where that is asked for) as it is; what is handed on is the text in
//! it. The two differ in a compressed file alone. A text that breaks off is an error, and the rest of the file is still
//! counted and hashed after it.

use std::fs::{File, Metadata};
use std::io::{self, ErrorKind, Read};
use std::ops::ControlFlow;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;

use super::hashing::Hashing;
use super::watch::Watch;
use crate::csv::BOM;
use crate::delivery::unpacked;

const CHUNK_BYTES: usize = 256 * 1024;

/// What tells one state of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    id: (u64, u64),
    len: u64,
    changed: (i64, i64),
}

impl Stamp {
    fn of(facts: &Metadata) -> io::Result<Self> {
        if facts.is_dir() {
            return Err(ErrorKind::IsADirectory.into());
        }
        if !facts.is_file() {
            let why = "it is no regular file, and it has to be read more than once";
            return Err(io::Error::new(ErrorKind::InvalidInput, why));
        }
        let changed = (facts.mtime(), facts.mtime_nsec());
        Ok(Self { id: (facts.dev(), facts.ino()), len: facts.len(), changed })
    }
}

/// Why a reading ended early.
#[derive(Debug)]
pub(super) enum Cut<E> {
    /// The file can't be read on.
    Unreadable(io::Error),
    /// Whoever looks on wants no more.
    Interrupted,
    /// Whoever takes the text can take no more.
    Taker(E),
}

/// The file as it lies on the disk.
struct Stored {
    file: File,
    n_bytes: u64,
    hashing: Option<Hashing>,
}

/// One handle goes into the unpacking, the other one stays to see what it has read.
#[derive(Clone)]
struct SharedStored(Arc<Mutex<Stored>>);

impl SharedStored {
    fn stamp(&self) -> io::Result<Stamp> {
        Stamp::of(&self.0.lock().file.metadata()?)
    }
}

impl Read for SharedStored {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let stored = &mut *self.0.lock();
        let n = stored.file.read(into)?;
        stored.n_bytes += n as u64;
        if let Some(hashing) = &mut stored.hashing {
            hashing.update(&into[..n]);
        }
        Ok(n)
    }
}

/// What was read of a file as it lies on the disk.
pub(super) struct Seen {
    pub(super) n_bytes: u64,
    pub(super) sha256: Option<String>,
    /// Whether it is still as it was when it was opened.
    pub(super) is_unchanged: bool,
}

/// A file that is being read.
pub(super) struct Source {
    stamp: Stamp,
    stored: SharedStored,
    text: Box<dyn Read + Send>,
    chunk: Vec<u8>,
    // Bytes at the start of the text that turned out to be no byte order mark.
    n_held: usize,
    has_bom: bool,
}

impl Source {
    /// Opens a file, to be hashed if `is_hashed`.
    pub(super) fn open(path: &Path, is_hashed: bool) -> io::Result<Opened> {
        // Looked at before it is opened: opening a pipe would wait for its writer.
        Stamp::of(&std::fs::metadata(path)?)?;
        let file = File::open(path)?;
        let stamp = Stamp::of(&file.metadata()?)?;
        let hashing = is_hashed.then(Hashing::start);
        Ok(Opened { stamp, stored: SharedStored(Arc::new(Mutex::new(Stored { file, n_bytes: 0, hashing }))) })
    }

    /// The length of the byte order mark at the start of the text.
    pub(super) fn bom_len(&self) -> usize {
        if self.has_bom { BOM.len() } else { 0 }
    }

    /// The next chunk of the text; an empty one is its end.
    pub(super) fn next(&mut self) -> io::Result<&[u8]> {
        let held = std::mem::take(&mut self.n_held);
        let n = read(&mut self.text, &mut self.chunk[held..])?;
        Ok(&self.chunk[..held + n])
    }

    /// Hands on the whole text.
    pub(super) fn each<E>(
        &mut self,
        doing: &'static str,
        watch: &mut dyn Watch,
        mut take: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), Cut<E>> {
        watch.begin(doing, self.stamp.len);
        let stored = self.stored.clone();
        loop {
            let chunk = self.next().map_err(Cut::Unreadable)?;
            if chunk.is_empty() {
                return Ok(());
            }
            take(chunk).map_err(Cut::Taker)?;
            go_on(watch, &stored)?;
        }
    }

    /// Reads what the unpacking has left of the file.
    pub(super) fn finish(self, watch: &mut dyn Watch) -> Result<Seen, Cut<io::Error>> {
        let Self { stamp, stored, text, chunk, .. } = self;
        drop(text);
        drain(stamp, stored, chunk, watch)
    }

    /// Which file it is, and which state of it.
    pub(super) fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// Fails unless the file still is what it was at that stamp.
    pub(super) fn is_still(&self, stamp: Stamp) -> io::Result<()> {
        if self.stamp == stamp && self.stored.stamp()? == stamp { Ok(()) } else { Err(changed()) }
    }
}

/// A file that was opened and not yet read.
pub(super) struct Opened {
    stamp: Stamp,
    stored: SharedStored,
}

impl Opened {
    /// Which file it is, and which state of it.
    pub(super) fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// Begins to read its text.
    pub(super) fn text(&self) -> io::Result<Source> {
        let (_, mut text) = unpacked(self.stored.clone())?;
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut n_held = 0;
        while n_held < BOM.len() {
            match read(&mut text, &mut chunk[n_held..BOM.len()])? {
                0 => break,
                n => n_held += n,
            }
        }
        let has_bom = chunk[..n_held] == BOM;
        if has_bom {
            n_held = 0;
        }
        Ok(Source { stamp: self.stamp, stored: self.stored.clone(), text, chunk, n_held, has_bom })
    }

    /// Reads all of it as it lies on the disk, where its text can't be read.
    pub(super) fn finish(self, watch: &mut dyn Watch) -> Result<Seen, Cut<io::Error>> {
        drain(self.stamp, self.stored, vec![0; CHUNK_BYTES], watch)
    }
}

fn drain(
    stamp: Stamp,
    mut stored: SharedStored,
    mut chunk: Vec<u8>,
    watch: &mut dyn Watch,
) -> Result<Seen, Cut<io::Error>> {
    while read(&mut stored, &mut chunk).map_err(Cut::Unreadable)? > 0 {
        go_on(watch, &stored)?;
    }
    let is_unchanged = stored.stamp().map_err(Cut::Unreadable)? == stamp;
    let stored = &mut *stored.0.lock();
    let sha256 = stored.hashing.take().map(Hashing::finish).transpose().map_err(Cut::Unreadable)?;
    Ok(Seen { n_bytes: stored.n_bytes, sha256, is_unchanged })
}

/// What is said of a file that is not what it was.
pub(super) fn changed() -> io::Error {
    io::Error::other("it was changed while it was being read; try again when nobody writes to it")
}

fn go_on<E>(watch: &mut dyn Watch, stored: &SharedStored) -> Result<(), Cut<E>> {
    let n_bytes = stored.0.lock().n_bytes;
    match watch.at(n_bytes) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(Cut::Interrupted),
    }
}

fn read(from: &mut impl Read, into: &mut [u8]) -> io::Result<usize> {
    loop {
        match from.read(into) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}
