//! An output in a file, and the files beside it, as one destination.
//!
//! A side file is made when the first bytes come for it; from then on it is committed, sealed and published with the
//! output, so that a position speaks of all of them or of none. Side files of an older delivery that have no successor
//! go when the new output appears.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use crate::model::{Disk, FileMark, Manifest, OutputNames, Position, with};

use super::digest::Backstage;
use super::file::FileSink;
use super::{Publication, Sealed, Side, Sink, SinkError, WhenDurable};

/// An output and its side files.
pub struct Bundle {
    output: Box<dyn Sink>,
    names: OutputNames,
    disk: Arc<dyn Disk>,
    backstage: Backstage,
    sides: BTreeMap<Side, FileSink>,
}

impl Bundle {
    /// The output that ends up under the final name of `names`, through `output`, which writes there.
    pub fn new(output: Box<dyn Sink>, disk: Arc<dyn Disk>, names: OutputNames, backstage: Backstage) -> Self {
        Self { output, names, disk, backstage, sides: BTreeMap::new() }
    }

    fn new_side(&self, side: Side) -> FileSink {
        FileSink::side(self.disk.clone(), self.names.side(side), side.suffix(), self.backstage.clone())
    }

    /// Takes up the side files of a position, and takes away what an earlier run left of others.
    fn begin_sides(&mut self, position: Option<&Position>) -> Result<(), SinkError> {
        self.sides.clear();
        for side in Side::ALL {
            let marks = position.map(|position| &position.sides);
            if marks.and_then(|marks| marks.get(side.suffix())).is_some_and(|mark| *mark != FileMark::START) {
                let mut file = self.new_side(side);
                file.begin(position)?;
                self.sides.insert(side, file);
            } else {
                let part = with(&self.names.side(side), ".part");
                self.disk
                    .remove(&part)
                    .map_err(|error| SinkError::failed(part.display(), "removing what an earlier run left", error))?;
            }
        }
        Ok(())
    }
}

impl Sink for Bundle {
    fn begin(&mut self, position: Option<&Position>) -> Result<(), SinkError> {
        self.output.begin(position)?;
        self.begin_sides(position)
    }

    fn write(&mut self, block: &Bytes) -> Result<(), SinkError> {
        self.output.write(block)
    }

    fn commit(&mut self, position: &Position) -> Result<(), SinkError> {
        for file in self.sides.values_mut() {
            file.commit(position)?;
        }
        self.output.commit(position)
    }

    fn commit_later(&mut self, position: &Position, then: WhenDurable) {
        if self.sides.is_empty() {
            return self.output.commit_later(position, then);
        }
        let all = Together::new(self.sides.len() + 1, then);
        for file in self.sides.values_mut() {
            file.commit_later(position, all.one());
        }
        self.output.commit_later(position, all.one());
    }

    fn mark(&self) -> Option<FileMark> {
        self.output.mark()
    }

    fn page_ended(&mut self) -> Result<bool, SinkError> {
        self.output.page_ended()
    }

    fn part_ended(&mut self) -> Result<(), SinkError> {
        self.output.part_ended()
    }

    fn has_sides(&self) -> bool {
        true
    }

    fn write_side(&mut self, side: Side, bytes: &[u8]) -> Result<(), SinkError> {
        if !self.sides.contains_key(&side) {
            let mut file = self.new_side(side);
            file.begin(None)?;
            self.sides.insert(side, file);
        }
        self.sides.get_mut(&side).map_or(Ok(()), |file| file.write(&Bytes::copy_from_slice(bytes)))
    }

    fn side_marks(&self) -> BTreeMap<String, FileMark> {
        let marks = self.sides.iter().map(|(side, file)| (side.suffix().to_owned(), file.mark()));
        marks.filter(|(_, mark)| *mark != FileMark::START).collect()
    }

    fn seal(&mut self) -> Result<Option<Sealed>, SinkError> {
        for file in self.sides.values_mut() {
            file.seal()?;
        }
        self.output.seal()
    }

    fn publication(&self, manifest: &Manifest) -> Result<Option<Publication>, SinkError> {
        let Some(mut publication) = self.output.publication(manifest)? else { return Ok(None) };
        for side in Side::ALL {
            match self.sides.get(&side).map(FileSink::deliverable) {
                Some(Some(file)) => publication.sides.push(file),
                Some(None) => return Err(SinkError::out_of_step(self.names.side(side).display(), "not sealed yet")),
                None => {
                    let path = self.names.side(side);
                    // An earlier run's part is gone already, but not for sure: a power cut could bring it back.
                    let part = with(&path, ".part");
                    publication.stale.extend([path, part]);
                }
            }
        }
        Ok(Some(publication))
    }

    fn finish(&mut self, manifest: &Manifest) -> Result<(), SinkError> {
        self.seal()?;
        match self.publication(manifest)? {
            Some(publication) => publication.publish(&*self.disk),
            None => self.output.finish(manifest),
        }
    }

    fn abort(&mut self) {
        self.sides.values_mut().for_each(FileSink::abort);
        self.output.abort();
    }
}

/// Several commits that count as one: who waits is told when the last of them is durable, or that one has failed.
#[derive(Clone)]
struct Together(Arc<Mutex<Waiting>>);

struct Waiting {
    n_left: usize,
    failed: Option<SinkError>,
    then: Option<WhenDurable>,
}

impl Together {
    fn new(n_left: usize, then: WhenDurable) -> Self {
        Self(Arc::new(Mutex::new(Waiting { n_left, failed: None, then: Some(then) })))
    }

    fn one(&self) -> WhenDurable {
        let waiting = self.0.clone();
        Box::new(move |durable| {
            let mut waiting = waiting.lock();
            waiting.n_left -= 1;
            if let Err(error) = durable {
                waiting.failed.get_or_insert(error);
            }
            if waiting.n_left == 0
                && let Some(then) = waiting.then.take()
            {
                then(waiting.failed.take().map_or(Ok(()), Err));
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_that_belong_together_are_answered_once_when_the_last_is_durable() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let told_later = told.clone();
        let all = Together::new(2, Box::new(move |durable| told_later.lock().push(durable.is_ok())));
        all.one()(Ok(()));
        assert!(told.lock().is_empty());
        all.one()(Err(SinkError::Closed));
        assert_eq!(*told.lock(), [false]);
    }
}
