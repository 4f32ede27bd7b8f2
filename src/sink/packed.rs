//! A destination whose bytes are compressed on their way.
//!
//! The output is a row of frames, each of which can be unpacked by itself, so that it can be gone on from wherever one
//! ends; and only there. What comes out depends on the pages alone: frames end where pages end, and the encoder is fed in
//! pieces of one size, since how it is fed can show in what it makes. Nothing here knows time, threads or records.

use std::collections::BTreeMap;
use std::io::{self, Write};

use bytes::Bytes;
use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};
use zstd::stream::write::Encoder as ZstdEncoder;

use super::{FileMark, Manifest, Position, Publication, Sealed, Side, Sink, SinkError, WhenDurable};

/// A frame ends with the first page that brings it to so much input: far more than what an encoder looks back on, so that
/// beginning anew costs little, and little enough that few pages are fetched again after a crash.
const FRAME_BYTES: u64 = 4 * 1024 * 1024;
/// What the encoder is fed at a time.
const PIECE_BYTES: usize = 64 * 1024;
/// At 3 a core packs 111 MB/s of rows to 1/3.2; higher levels cost more time than they save room.
const GZIP_LEVEL: u32 = 3;
/// At 1 a core packs 207 MB/s of rows to 1/3.3.
const ZSTD_LEVEL: i32 = 1;
/// The system that a gzip header names: none, so that every machine makes the same bytes.
const NO_SYSTEM: u8 = 255;

/// How an output is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// Gzip: one member for each frame.
    Gzip,
    /// Zstandard, with checksums.
    Zstd,
}

impl Packing {
    fn place(self) -> &'static str {
        match self {
            Self::Gzip => "gzip output",
            Self::Zstd => "zstd output",
        }
    }

    fn encoder(self) -> io::Result<Encoder> {
        match self {
            Self::Gzip => {
                let header = GzBuilder::new().mtime(0).operating_system(NO_SYSTEM);
                Ok(Encoder::Gzip(header.write(Vec::new(), Compression::new(GZIP_LEVEL))))
            }
            Self::Zstd => {
                let mut encoder = ZstdEncoder::new(Vec::new(), ZSTD_LEVEL)?;
                encoder.include_checksum(true)?;
                Ok(Encoder::Zstd(encoder))
            }
        }
    }
}

/// The encoder of one frame.
enum Encoder {
    Gzip(GzEncoder<Vec<u8>>),
    Zstd(ZstdEncoder<'static, Vec<u8>>),
}

impl Encoder {
    /// Takes a piece; what has come out since the last one.
    fn take(&mut self, piece: &[u8]) -> io::Result<Vec<u8>> {
        let packed = match self {
            Self::Gzip(encoder) => {
                encoder.write_all(piece)?;
                encoder.get_mut()
            }
            Self::Zstd(encoder) => {
                encoder.write_all(piece)?;
                encoder.get_mut()
            }
        };
        Ok(std::mem::take(packed))
    }

    fn finish(self) -> io::Result<Vec<u8>> {
        match self {
            Self::Gzip(encoder) => encoder.finish(),
            Self::Zstd(encoder) => encoder.finish(),
        }
    }
}

/// Compresses what goes to another sink.
///
/// Marks, positions, size and SHA-256 are those of the compressed output. A commit is possible only where a frame has
/// ended: where [`page_ended`](Sink::page_ended) has said so, or behind [`part_ended`](Sink::part_ended).
pub struct Packed {
    sink: Box<dyn Sink>,
    packing: Packing,
    frame: Frame,
    /// Whether the whole output, earlier runs included, is still without a byte.
    is_blank: bool,
    /// What went wrong; it answers every later call, since part of a frame is lost with it.
    failed: Option<SinkError>,
}

#[derive(Default)]
struct Frame {
    encoder: Option<Encoder>,
    /// Less than a piece, not yet encoded.
    gathered: Vec<u8>,
    n_bytes: u64,
}

impl Packed {
    /// Compresses what goes to `sink`.
    pub fn new(sink: Box<dyn Sink>, packing: Packing) -> Self {
        Self { sink, packing, frame: Frame::default(), is_blank: false, failed: None }
    }

    /// Whether the output can be gone on from here.
    fn is_between_frames(&self) -> bool {
        self.frame.n_bytes == 0
    }

    fn check(&self) -> Result<(), SinkError> {
        self.failed.clone().map_or(Ok(()), Err)
    }

    /// Does `what`, unless something went wrong before, and remembers if it goes wrong.
    fn guarded<T>(&mut self, what: impl FnOnce(&mut Self) -> Result<T, SinkError>) -> Result<T, SinkError> {
        self.check()?;
        let result = what(self);
        self.failed = result.as_ref().err().cloned();
        result
    }

    fn gather(&mut self, block: &[u8]) -> Result<(), SinkError> {
        self.frame.n_bytes += block.len() as u64;
        let mut rest = block;
        while !rest.is_empty() {
            if self.frame.gathered.is_empty() && rest.len() >= PIECE_BYTES {
                let (piece, behind) = rest.split_at(PIECE_BYTES);
                self.encode(piece)?;
                rest = behind;
                continue;
            }
            let n = rest.len().min(PIECE_BYTES - self.frame.gathered.len());
            self.frame.gathered.extend_from_slice(&rest[..n]);
            rest = &rest[n..];
            if self.frame.gathered.len() == PIECE_BYTES {
                self.encode_gathered()?;
            }
        }
        Ok(())
    }

    fn encode_gathered(&mut self) -> Result<(), SinkError> {
        let mut piece = std::mem::take(&mut self.frame.gathered);
        self.encode(&piece)?;
        piece.clear();
        self.frame.gathered = piece;
        Ok(())
    }

    fn encode(&mut self, piece: &[u8]) -> Result<(), SinkError> {
        let packed = self.encoder().and_then(|encoder| encoder.take(piece));
        self.hand_on(packed)
    }

    fn encoder(&mut self) -> io::Result<&mut Encoder> {
        let encoder = match self.frame.encoder.take() {
            Some(encoder) => encoder,
            None => self.packing.encoder()?,
        };
        Ok(self.frame.encoder.insert(encoder))
    }

    fn hand_on(&mut self, packed: io::Result<Vec<u8>>) -> Result<(), SinkError> {
        let packed = packed.map_err(|error| SinkError::failed(self.packing.place(), "compressing", error))?;
        if packed.is_empty() {
            return Ok(());
        }
        self.is_blank = false;
        self.sink.write(&Bytes::from(packed))
    }

    /// Ends the frame, even one without any input.
    fn end_frame(&mut self) -> Result<(), SinkError> {
        if !self.frame.gathered.is_empty() {
            self.encode_gathered()?;
        }
        let encoder = self.frame.encoder.take().map_or_else(|| self.packing.encoder(), Ok);
        self.hand_on(encoder.and_then(Encoder::finish))?;
        self.frame.n_bytes = 0;
        Ok(())
    }

    fn end_open_frame(&mut self) -> Result<(), SinkError> {
        if self.is_between_frames() { Ok(()) } else { self.end_frame() }
    }

    fn check_commit(&self) -> Result<(), SinkError> {
        self.check()?;
        match self.is_between_frames() {
            true => Ok(()),
            false => {
                Err(SinkError::out_of_step(self.packing.place(), "a position within a frame can't be gone on from"))
            }
        }
    }
}

impl Sink for Packed {
    fn begin(&mut self, position: Option<&Position>) -> Result<(), SinkError> {
        (self.frame, self.failed) = (Frame::default(), None);
        self.is_blank = position.is_none_or(|position| position.output.offset == 0);
        self.guarded(|this| this.sink.begin(position))
    }

    fn write(&mut self, block: &Bytes) -> Result<(), SinkError> {
        self.guarded(|this| this.gather(block))
    }

    fn commit(&mut self, position: &Position) -> Result<(), SinkError> {
        self.check_commit()?;
        self.sink.commit(position)
    }

    fn commit_later(&mut self, position: &Position, then: WhenDurable) {
        match self.check_commit() {
            Ok(()) => self.sink.commit_later(position, then),
            Err(error) => then(Err(error)),
        }
    }

    fn mark(&self) -> Option<FileMark> {
        self.sink.mark()
    }

    fn page_ended(&mut self) -> Result<bool, SinkError> {
        self.guarded(|this| {
            if this.frame.n_bytes >= FRAME_BYTES {
                this.end_frame()?;
            }
            Ok(this.is_between_frames() && this.sink.page_ended()?)
        })
    }

    fn part_ended(&mut self) -> Result<(), SinkError> {
        self.guarded(|this| {
            this.end_open_frame()?;
            this.sink.part_ended()
        })
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

    /// An output without a byte gets one empty frame, so that it can be unpacked like any other.
    fn seal(&mut self) -> Result<Option<Sealed>, SinkError> {
        self.guarded(|this| {
            if this.is_blank || !this.is_between_frames() {
                this.end_frame()?;
            }
            this.sink.seal()
        })
    }

    fn publication(&self, manifest: &Manifest) -> Result<Option<Publication>, SinkError> {
        self.sink.publication(manifest)
    }

    fn finish(&mut self, manifest: &Manifest) -> Result<(), SinkError> {
        self.seal()?;
        self.sink.finish(manifest)
    }

    fn abort(&mut self) {
        self.frame = Frame::default();
        self.sink.abort();
    }
}
