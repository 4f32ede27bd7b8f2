//! Making a file's bytes durable, on the spot or on a thread beside the writer.
//!
//! A sync that failed is final: the system may have dropped the bytes it could not write, and a second try would
//! answer "done". So the first failure answers every later call too. Before each sync the file is looked up by
//! its name, because a position in a file that nobody can find again is worth nothing.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender};
use parking_lot::Mutex;

use crate::model::{Disk, DiskFile, FileId};

use super::names::dir_of;
use super::{SinkError, WhenDurable};

/// The first failure of a sink, which is also its last.
#[derive(Clone, Default)]
pub(super) struct Fate(Arc<Mutex<Option<SinkError>>>);

impl Fate {
    pub(super) fn check(&self) -> Result<(), SinkError> {
        self.0.lock().clone().map_or(Ok(()), Err)
    }

    pub(super) fn seal_with<T>(&self, result: Result<T, SinkError>) -> Result<T, SinkError> {
        result.map_err(|error| self.0.lock().get_or_insert(error).clone())
    }
}

/// One file's way to durability.
pub(super) struct Checkpoint {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) path: PathBuf,
    pub(super) file: Box<dyn DiskFile>,
    pub(super) id: FileId,
    pub(super) is_name_durable: bool,
}

impl Checkpoint {
    /// Makes the first `len` bytes durable.
    pub(super) fn sync(&mut self, len: u64) -> Result<(), SinkError> {
        self.look(len)?;
        let failed = |error| SinkError::unsynced(self.path.display(), error);
        self.file.sync_data().map_err(failed)?;
        if !self.is_name_durable {
            self.disk.sync_dir(dir_of(&self.path)).map_err(failed)?;
            self.is_name_durable = true;
        }
        Ok(())
    }

    /// Sees to it that the name still leads to the file that is being written.
    fn look(&self, len: u64) -> Result<(), SinkError> {
        let place = self.path.display();
        let facts = self.disk.facts(&self.path).map_err(|error| SinkError::failed(place, "looking it up", error))?;
        let place = self.path.display();
        match facts {
            None => Err(SinkError::lost(place, "it was deleted while it was being written")),
            Some(facts) if facts.id != self.id => {
                Err(SinkError::lost(place, "it was exchanged for another file while it was being written"))
            }
            Some(facts) if facts.len < len => {
                let why = format!("it was cut to {} bytes while it was being written, {len} are due", facts.len);
                Err(SinkError::lost(place, why))
            }
            Some(_) => Ok(()),
        }
    }
}

/// The thread that syncs while the writer goes on.
pub(super) struct Syncer {
    requests: Option<Sender<Request>>,
    thread: Option<JoinHandle<()>>,
}

struct Request {
    len: u64,
    then: WhenDurable,
}

impl Syncer {
    /// None where the system has no thread to give.
    pub(super) fn start(checkpoint: Checkpoint, fate: Fate) -> Option<Self> {
        let (requests, arriving) = crossbeam_channel::unbounded();
        let run = move || serve(&arriving, checkpoint, &fate);
        let thread = std::thread::Builder::new().name("cxtract-sync".into()).spawn(run).ok()?;
        Some(Self { requests: Some(requests), thread: Some(thread) })
    }

    pub(super) fn request(&self, len: u64, then: WhenDurable) {
        if let Some(Err(refused)) = self.requests.as_ref().map(|requests| requests.send(Request { len, then })) {
            let gone = std::io::Error::other("its thread died");
            (refused.0.then)(Err(SinkError::failed("output", "making it durable", gone)));
        }
    }
}

impl Drop for Syncer {
    /// Waits until every request is answered, so that nothing touches the file any more.
    fn drop(&mut self) {
        self.requests.take();
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn serve(arriving: &Receiver<Request>, mut checkpoint: Checkpoint, fate: &Fate) {
    while let Ok(first) = arriving.recv() {
        // One sync answers all that were asked for meanwhile: their bytes were written before.
        let mut due = vec![first];
        due.extend(arriving.try_iter());
        let len = due.iter().map(|request| request.len).max().unwrap_or(0);
        let result = fate.check().and_then(|()| fate.seal_with(checkpoint.sync(len)));
        for request in due {
            (request.then)(result.clone());
        }
    }
}
