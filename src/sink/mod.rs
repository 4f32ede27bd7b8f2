//! Where records go: the trait of a destination, and the two that are built in.
//!
//! A sink is driven by one thread, never by an arbiter, so that it may block. What it has acknowledged as durable
//! is never sent again; everything else may be, after a crash. A sink knows nothing of pages, tenants or actors.

mod accounted;
mod bundle;
mod digest;
mod error;
mod file;
mod names;
mod packed;
mod publish;
mod stdout;
mod sync;

use std::collections::BTreeMap;

use bytes::Bytes;

pub use crate::model::{FileMark, Manifest, OutputNames, Position, Side};
pub use accounted::Accounted;
pub use bundle::Bundle;
pub use digest::{Backstage, Digester};
pub use error::SinkError;
pub use file::FileSink;
pub use names::{preflight, refuse_links_between, remove_unfinished};
pub use packed::{Packed, Packing};
pub use publish::{Deliverable, Publication};
pub use stdout::StdoutSink;

/// Told once a position is durable, or why it can't be.
pub type WhenDurable = Box<dyn FnOnce(Result<(), SinkError>) + Send>;

/// What a sink holds once everything is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// Bytes in all.
    pub bytes: u64,
    /// Their SHA-256, in lower-case hexadecimal.
    pub sha256: String,
}

/// A destination of records.
///
/// Calls come in order, from a single thread: `begin`, then any mix of `write` and commits, then `seal` and `finish`,
/// or `abort` at any time. After an error only `abort` follows, or `begin` on a new value. Who calls a report off waits two
/// seconds at most for a call that does not return; when it does, only `abort` follows.
///
/// ```
/// use bytes::Bytes;
/// use cxtract::sink::{Manifest, Position, Sink, SinkError};
///
/// /// Counts bytes, keeps none; so it can't go on from an earlier run.
/// struct Counter(u64);
///
/// impl Sink for Counter {
///     fn begin(&mut self, position: Option<&Position>) -> Result<(), SinkError> {
///         match position {
///             None => Ok(self.0 = 0),
///             Some(_) => Err(SinkError::lost("the counter", "counts are not kept")),
///         }
///     }
///     fn write(&mut self, block: &Bytes) -> Result<(), SinkError> {
///         Ok(self.0 += block.len() as u64)
///     }
///     fn commit(&mut self, _position: &Position) -> Result<(), SinkError> {
///         Ok(())
///     }
///     fn finish(&mut self, manifest: &Manifest) -> Result<(), SinkError> {
///         Ok(assert_eq!(manifest.output.bytes, self.0))
///     }
///     fn abort(&mut self) {}
/// }
/// # let mut sink = Counter(1);
/// # sink.begin(None).unwrap();
/// # sink.write(&Bytes::from_static(b"id\n")).unwrap();
/// # assert_eq!(sink.0, 3);
/// ```
pub trait Sink: Send + 'static {
    /// Without a position: starts anew, whatever is there. With one: checks that what is there up to the position is
    /// what was written then ([`SinkError::Lost`] if not), and drops what is behind it.
    fn begin(&mut self, position: Option<&Position>) -> Result<(), SinkError>;

    /// Takes the next bytes; a block may end anywhere in a record.
    fn write(&mut self, block: &Bytes) -> Result<(), SinkError>;

    /// Makes everything so far durable. The position speaks of exactly the bytes written so far.
    fn commit(&mut self, position: &Position) -> Result<(), SinkError>;

    /// As [`commit`](Self::commit), but a sink may let the writer go on meanwhile and call `then` from another thread,
    /// in order. `then` must not wait for the thread that drives the sink.
    fn commit_later(&mut self, position: &Position, then: WhenDurable) {
        then(self.commit(position));
    }

    /// Where the output stands, what is not yet durable included, by a sink that keeps account of it. Of one that
    /// doesn't, the engine keeps its own.
    fn mark(&self) -> Option<FileMark> {
        None
    }

    /// A page ends here. Says whether the output can be gone on from here: a compressed one only at the ends of frames.
    fn page_ended(&mut self) -> Result<bool, SinkError> {
        Ok(true)
    }

    /// As [`page_ended`](Self::page_ended), but the output must be one that can be gone on from here.
    fn part_ended(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    /// Whether it keeps side files.
    fn has_sides(&self) -> bool {
        false
    }

    /// Takes the next bytes of a side file, which becomes durable and visible with the output.
    fn write_side(&mut self, side: Side, _bytes: &[u8]) -> Result<(), SinkError> {
        Err(SinkError::out_of_step(side.suffix(), "this destination keeps no side files"))
    }

    /// Where each side file stands, by its suffix; those that nothing was written to are left out.
    fn side_marks(&self) -> BTreeMap<String, FileMark> {
        BTreeMap::new()
    }

    /// Ends the writing. A sink that keeps account of size and SHA-256 says them here; of one that doesn't, the
    /// engine keeps its own.
    fn seal(&mut self) -> Result<Option<Sealed>, SinkError> {
        Ok(None)
    }

    /// How [`finish`](Self::finish) can be finished by a later run, should a crash come in between: a [`Publication`].
    /// None from a sink that a later run finishes by writing the rest again.
    fn publication(&self, _manifest: &Manifest) -> Result<Option<Publication>, SinkError> {
        Ok(None)
    }

    /// Everything is written and committed: lets the outside see it. After a crash it may be asked for again.
    fn finish(&mut self, manifest: &Manifest) -> Result<(), SinkError>;

    /// The extraction ends here, for now or for good. What is durable stays, for a later `begin` with a position.
    fn abort(&mut self);
}

impl Sink for Box<dyn Sink> {
    fn begin(&mut self, position: Option<&Position>) -> Result<(), SinkError> {
        (**self).begin(position)
    }

    fn write(&mut self, block: &Bytes) -> Result<(), SinkError> {
        (**self).write(block)
    }

    fn commit(&mut self, position: &Position) -> Result<(), SinkError> {
        (**self).commit(position)
    }

    fn commit_later(&mut self, position: &Position, then: WhenDurable) {
        (**self).commit_later(position, then);
    }

    fn mark(&self) -> Option<FileMark> {
        (**self).mark()
    }

    fn page_ended(&mut self) -> Result<bool, SinkError> {
        (**self).page_ended()
    }

    fn part_ended(&mut self) -> Result<(), SinkError> {
        (**self).part_ended()
    }

    fn has_sides(&self) -> bool {
        (**self).has_sides()
    }

    fn write_side(&mut self, side: Side, bytes: &[u8]) -> Result<(), SinkError> {
        (**self).write_side(side, bytes)
    }

    fn side_marks(&self) -> BTreeMap<String, FileMark> {
        (**self).side_marks()
    }

    fn seal(&mut self) -> Result<Option<Sealed>, SinkError> {
        (**self).seal()
    }

    fn publication(&self, manifest: &Manifest) -> Result<Option<Publication>, SinkError> {
        (**self).publication(manifest)
    }

    fn finish(&mut self, manifest: &Manifest) -> Result<(), SinkError> {
        (**self).finish(manifest)
    }

    fn abort(&mut self) {
        (**self).abort();
    }
}
