//! A file: written under a name of its own, shown under its final name only when it is whole.
//!
//! The writer's thread only writes. Hashing and syncing run beside it where threads are allowed. What is found on
//! going on is believed only after it has been read again: its checksum must be the one in the position.

use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::model::{Disk, DiskFile, FileId, FileMark, Manifest, OpenMode, OutputNames, Position};

use super::digest::{Backstage, Digester};
use super::names::{dir_of, refuse_what_is_no_file};
use super::publish::{Deliverable, Publication};
use super::sync::{Checkpoint, Fate, Syncer};
use super::{Sealed, Sink, SinkError, WhenDurable};

/// Smaller writes are gathered to this size: the cost of a write is mostly per call.
const WRITE_SIZE: usize = 256 * 1024;
/// How much is read at a time when a part is checked.
const READ_SIZE: usize = 256 * 1024;

/// An output in a file, or a side file of one.
pub struct FileSink {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    part: PathBuf,
    side: Option<String>,
    backstage: Backstage,
    open: Option<Open>,
    sealed: Option<Sealed>,
    fate: Fate,
    n_writes: u64,
}

struct Open {
    file: Box<dyn DiskFile>,
    id: FileId,
    /// Bytes taken that are not written yet.
    gathered: BytesMut,
    /// Where the output stands, what is gathered included.
    mark: FileMark,
    digester: Digester,
    syncer: Option<Syncer>,
    is_name_durable: bool,
}

impl FileSink {
    /// The output that ends up under the final name of `names`.
    pub fn new(disk: Arc<dyn Disk>, names: &OutputNames, backstage: Backstage) -> Self {
        let (path, part) = (names.path().to_owned(), names.part());
        Self { disk, path, part, side: None, backstage, open: None, sealed: None, fate: Fate::default(), n_writes: 0 }
    }

    /// A side file, whose place in a position is that of `suffix`. It is not published by itself: what it
    /// [holds](Self::deliverable) goes into the [`Publication`] of its output.
    pub fn side(disk: Arc<dyn Disk>, path: PathBuf, suffix: &str, backstage: Backstage) -> Self {
        let names = OutputNames::of(path);
        Self { side: Some(suffix.to_owned()), ..Self::new(disk, &names, backstage) }
    }

    /// How many times the disk was written to.
    pub fn n_writes(&self) -> u64 {
        self.n_writes
    }

    /// Where the output stands: what the position of the next commit has to say of this file.
    pub fn mark(&self) -> FileMark {
        self.open.as_ref().map_or(FileMark::START, |open| open.mark)
    }

    /// What there is to publish, once sealed.
    pub fn deliverable(&self) -> Option<Deliverable> {
        self.sealed.as_ref().map(|sealed| Deliverable {
            path: self.path.clone(),
            bytes: sealed.bytes,
            sha256: sealed.sha256.clone(),
        })
    }

    fn mark_in(&self, position: &Position) -> FileMark {
        match &self.side {
            None => position.output,
            Some(suffix) => position.sides.get(suffix).copied().unwrap_or_default(),
        }
    }

    fn lost(&self, why: impl Into<String>) -> SinkError {
        SinkError::lost(self.part.display(), why)
    }

    fn failed(&self, doing: &str, error: io::Error) -> SinkError {
        SinkError::failed(self.part.display(), doing, error)
    }

    fn start_anew(&mut self) -> Result<(), SinkError> {
        let dir = dir_of(&self.path);
        self.disk.create_dir_all(dir).map_err(|error| {
            SinkError::unusable(dir, format!("the directory can't be made: {error}; choose another output.dir"))
        })?;
        refuse_what_is_no_file(&*self.disk, &self.path)?;
        refuse_what_is_no_file(&*self.disk, &self.part)?;
        self.disk.remove(&self.part).map_err(|error| self.failed("removing what an earlier run left", error))?;
        let file = self.disk.open(&self.part, OpenMode::CreateNew).map_err(|error| self.failed("making it", error))?;
        self.take_up(file, FileMark::START, Digester::new(&self.backstage), false)
    }

    fn go_on(&mut self, from: FileMark) -> Result<(), SinkError> {
        let mut file = match self.disk.open(&self.part, OpenMode::Append) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(self.lost("it is gone")),
            Err(error) => return Err(self.failed("opening it to go on", error)),
            Ok(file) => file,
        };
        let len = file.facts().map_err(|error| self.failed("looking at it", error))?.len;
        if len < from.offset {
            return Err(self.lost(format!("it has {len} bytes, but {} were written", from.offset)));
        }
        let mut digester = Digester::new(&self.backstage);
        let mark = self.read_again(&*file, from.offset, |block| digester.update(&Bytes::copy_from_slice(block)))?;
        if mark != from {
            return Err(self.lost("its contents are not what was written"));
        }
        if len > from.offset {
            file.set_len(from.offset).map_err(|error| self.failed("cutting off what was not committed", error))?;
        }
        // The position is only stored after the name was made durable.
        self.take_up(file, mark, digester, true)
    }

    /// Reads the first `len` bytes; the mark behind them.
    fn read_again(&self, file: &dyn DiskFile, len: u64, mut each: impl FnMut(&[u8])) -> Result<FileMark, SinkError> {
        let mut buffer = vec![0; READ_SIZE];
        let mut mark = FileMark::START;
        while mark.offset < len {
            let due = usize::try_from(len - mark.offset).unwrap_or(usize::MAX).min(READ_SIZE);
            let read = file.read_at(&mut buffer[..due], mark.offset);
            let block = &buffer[..read.map_err(|error| self.failed("reading it again", error))?];
            if block.is_empty() {
                return Err(self.lost("it was cut short while it was being read"));
            }
            mark = mark.after(block);
            each(block);
        }
        Ok(mark)
    }

    fn take_up(
        &mut self,
        file: Box<dyn DiskFile>,
        mark: FileMark,
        digester: Digester,
        is_name_durable: bool,
    ) -> Result<(), SinkError> {
        let id = file.facts().map_err(|error| self.failed("looking at it", error))?.id;
        let gathered = BytesMut::new();
        self.open = Some(Open { file, id, gathered, mark, digester, syncer: None, is_name_durable });
        Ok(())
    }

    /// Writes what is gathered, and says where the output stands.
    fn flush(&mut self) -> Result<FileMark, SinkError> {
        let open = self.open.as_mut().ok_or_else(|| not_begun(&self.part))?;
        if !open.gathered.is_empty() {
            self.n_writes += 1;
            let written = open.file.write_all(&open.gathered);
            written.map_err(|error| SinkError::failed(self.part.display(), "writing", error))?;
            open.gathered.clear();
        }
        Ok(open.mark)
    }

    fn take(&mut self, block: &Bytes) -> Result<(), SinkError> {
        let open = self.open.as_mut().ok_or_else(|| not_begun(&self.part))?;
        open.digester.update(block);
        open.mark = open.mark.after(block);
        if open.gathered.len() + block.len() < WRITE_SIZE {
            open.gathered.extend_from_slice(block);
            return Ok(());
        }
        self.flush()?;
        let open = self.open.as_mut().ok_or_else(|| not_begun(&self.part))?;
        self.n_writes += 1;
        open.file.write_all(block).map_err(|error| SinkError::failed(self.part.display(), "writing", error))
    }

    /// Writes what is gathered, if the position speaks of just that.
    fn flush_for(&mut self, position: &Position) -> Result<u64, SinkError> {
        let due = self.mark_in(position);
        let mark = self.flush()?;
        if mark != due {
            let what = format!("the position is at {} bytes, the file at {}", due.offset, mark.offset);
            return Err(SinkError::out_of_step(self.part.display(), &what));
        }
        Ok(mark.offset)
    }

    fn checkpoint(&self) -> Result<Checkpoint, SinkError> {
        let open = self.open.as_ref().ok_or_else(|| not_begun(&self.part))?;
        Ok(Checkpoint {
            disk: self.disk.clone(),
            path: self.part.clone(),
            file: open.file.try_clone().map_err(|error| self.failed("opening it a second time", error))?,
            id: open.id,
            is_name_durable: open.is_name_durable,
        })
    }

    fn sync_now(&mut self, len: u64) -> Result<(), SinkError> {
        self.checkpoint()?.sync(len)?;
        if let Some(open) = &mut self.open {
            open.is_name_durable = true;
        }
        Ok(())
    }

    fn close_up(&mut self) -> Result<Sealed, SinkError> {
        let mark = self.flush()?;
        if let Some(open) = &mut self.open {
            // Its last answers, and with them its last failure, come before ours.
            open.syncer.take();
        }
        self.fate.check()?;
        self.sync_now(mark.offset)?;
        let open = self.open.take().ok_or_else(|| not_begun(&self.part))?;
        let len = open.file.facts().map_err(|error| self.failed("looking at it", error))?.len;
        if len != mark.offset {
            return Err(self.lost(format!("it has {len} bytes, but {} were written", mark.offset)));
        }
        // The digest is of what was handed over; that it is also what lies there, only a look can tell.
        if self.read_again(&*open.file, len, |_| ())? != mark {
            return Err(self.lost("its contents are not what was written"));
        }
        Ok(Sealed { bytes: len, sha256: open.digester.finish()? })
    }

    fn to_publish(&self, manifest: &Manifest) -> Result<Publication, SinkError> {
        let output = self.deliverable().ok_or_else(|| SinkError::out_of_step(self.part.display(), "not sealed yet"))?;
        if self.side.is_some() {
            return Err(SinkError::out_of_step(self.part.display(), "a side file is published with its output"));
        }
        if (manifest.output.bytes, &manifest.output.sha256) != (output.bytes, &output.sha256) {
            return Err(SinkError::out_of_step(self.part.display(), "the manifest tells of another file"));
        }
        let manifest = manifest.to_json();
        Ok(Publication { output, sides: Vec::new(), stale: Vec::new(), manifest })
    }
}

impl Sink for FileSink {
    fn begin(&mut self, position: Option<&Position>) -> Result<(), SinkError> {
        self.abort();
        self.fate = Fate::default();
        self.sealed = None;
        let result = match position.map(|position| self.mark_in(position)) {
            // Where nothing was written nothing can be lost: a side file may never have been made.
            None | Some(FileMark::START) => self.start_anew(),
            Some(mark) => self.go_on(mark),
        };
        self.fate.seal_with(result)
    }

    fn write(&mut self, block: &Bytes) -> Result<(), SinkError> {
        self.fate.check()?;
        let result = self.take(block);
        self.fate.seal_with(result)
    }

    fn commit(&mut self, position: &Position) -> Result<(), SinkError> {
        if self.open.as_ref().is_some_and(|open| open.syncer.is_some()) {
            // Behind the requests that are under way, so that answers come in order.
            let (answer, answered) = crossbeam_channel::bounded(1);
            self.commit_later(position, Box::new(move |result| drop(answer.send(result))));
            return answered.recv().unwrap_or_else(|_| {
                let died = self.failed("making it durable", io::Error::other("the thread that does so died"));
                self.fate.seal_with(Err(died))
            });
        }
        self.fate.check()?;
        let result = self.flush_for(position).and_then(|len| self.sync_now(len));
        self.fate.seal_with(result)
    }

    fn commit_later(&mut self, position: &Position, then: WhenDurable) {
        if !self.backstage.has_threads() {
            return then(self.commit(position));
        }
        let ready = self.fate.check().and_then(|()| {
            let result = self.flush_for(position).and_then(|len| Ok((len, self.needed_checkpoint()?)));
            self.fate.seal_with(result)
        });
        let (len, checkpoint) = match ready {
            Ok(ready) => ready,
            Err(error) => return then(Err(error)),
        };
        let Some(open) = &mut self.open else { return then(self.fate.check()) };
        if let Some(checkpoint) = checkpoint {
            open.syncer = Syncer::start(checkpoint, self.fate.clone());
        }
        match &open.syncer {
            Some(syncer) => syncer.request(len, then),
            None => then(self.commit(position)),
        }
    }

    fn mark(&self) -> Option<FileMark> {
        Some(FileSink::mark(self))
    }

    fn seal(&mut self) -> Result<Option<Sealed>, SinkError> {
        self.fate.check()?;
        if self.sealed.is_none() {
            let result = self.close_up();
            self.sealed = Some(self.fate.seal_with(result)?);
        }
        Ok(self.sealed.clone())
    }

    fn publication(&self, manifest: &Manifest) -> Result<Option<Publication>, SinkError> {
        self.to_publish(manifest).map(Some)
    }

    fn finish(&mut self, manifest: &Manifest) -> Result<(), SinkError> {
        self.seal()?;
        let result = self.to_publish(manifest).and_then(|publication| publication.publish(&*self.disk));
        self.fate.seal_with(result)
    }

    /// Lets go of the `.part`, which stays as it is.
    fn abort(&mut self) {
        self.open = None;
    }
}

impl FileSink {
    fn needed_checkpoint(&self) -> Result<Option<Checkpoint>, SinkError> {
        match &self.open {
            Some(open) if open.syncer.is_none() => self.checkpoint().map(Some),
            _ => Ok(None),
        }
    }
}

fn not_begun(part: &std::path::Path) -> SinkError {
    SinkError::out_of_step(part.display(), "it is not open for writing")
}
