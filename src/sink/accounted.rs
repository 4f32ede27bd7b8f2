//! Keeps account of size and SHA-256 for a sink that doesn't, such as a host's own.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::model::{FileMark, Manifest, Position};

use super::digest::{Backstage, Digester};
use super::{Publication, Sealed, Side, Sink, SinkError, WhenDurable};

/// A sink, and the account of what went into it.
pub struct Accounted {
    sink: Box<dyn Sink>,
    backstage: Backstage,
    digester: Option<Digester>,
    n_bytes: u64,
}

impl Accounted {
    /// Keeps account of `sink`.
    pub fn new(sink: Box<dyn Sink>, backstage: &Backstage) -> Self {
        Self { sink, backstage: backstage.clone(), digester: None, n_bytes: 0 }
    }
}

impl Sink for Accounted {
    fn begin(&mut self, position: Option<&Position>) -> Result<(), SinkError> {
        // What a host's sink holds from before can't be read back, so its SHA-256 can't be taken up.
        self.digester = position.is_none().then(|| Digester::new(&self.backstage));
        self.n_bytes = position.map_or(0, |position| position.output.offset);
        self.sink.begin(position)
    }

    fn write(&mut self, block: &Bytes) -> Result<(), SinkError> {
        self.n_bytes += block.len() as u64;
        if let Some(digester) = &mut self.digester {
            digester.update(block);
        }
        self.sink.write(block)
    }

    fn commit(&mut self, position: &Position) -> Result<(), SinkError> {
        self.sink.commit(position)
    }

    fn commit_later(&mut self, position: &Position, then: WhenDurable) {
        self.sink.commit_later(position, then);
    }

    fn mark(&self) -> Option<FileMark> {
        self.sink.mark()
    }

    fn page_ended(&mut self) -> Result<bool, SinkError> {
        self.sink.page_ended()
    }

    fn part_ended(&mut self) -> Result<(), SinkError> {
        self.sink.part_ended()
    }

    fn has_sides(&self) -> bool {
        self.sink.has_sides()
    }

    fn write_side(&mut self, side: Side, bytes: &[u8]) -> Result<(), SinkError> {
        self.sink.write_side(side, bytes)
    }

    fn side_marks(&self) -> BTreeMap<String, FileMark> {
        self.sink.side_marks()
    }

    fn seal(&mut self) -> Result<Option<Sealed>, SinkError> {
        if let Some(sealed) = self.sink.seal()? {
            return Ok(Some(sealed));
        }
        let sha256 = self.digester.take().map_or(Ok(String::new()), Digester::finish)?;
        Ok(Some(Sealed { bytes: self.n_bytes, sha256 }))
    }

    fn publication(&self, manifest: &Manifest) -> Result<Option<Publication>, SinkError> {
        self.sink.publication(manifest)
    }

    fn finish(&mut self, manifest: &Manifest) -> Result<(), SinkError> {
        self.sink.finish(manifest)
    }

    fn abort(&mut self) {
        self.sink.abort();
    }
}
