//! A stream: standard output, or anything else that can only be written to.
//!
//! What went down a stream can't be looked at again, so a stream never goes on from a position. A reader that
//! went away is an end of its own kind, not a fault.

use std::io::{self, ErrorKind, Write};

use bytes::Bytes;

use crate::model::{FileMark, Manifest, Position};

use super::digest::{Backstage, Digester};
use super::{Sealed, Sink, SinkError};

const PLACE: &str = "output stream";

/// An output that goes to a stream.
pub struct StdoutSink<W = io::Stdout> {
    stream: W,
    mark: FileMark,
    digester: Option<Digester>,
    backstage: Backstage,
    sealed: Option<Sealed>,
}

impl StdoutSink {
    /// Standard output.
    pub fn new(backstage: Backstage) -> Self {
        Self::over(io::stdout(), backstage)
    }
}

impl<W: Write + Send + 'static> StdoutSink<W> {
    /// Any other stream.
    pub fn over(stream: W, backstage: Backstage) -> Self {
        Self { stream, mark: FileMark::START, digester: None, backstage, sealed: None }
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        loop {
            match self.stream.flush() {
                Err(error) if is_passing(&error) => {}
                other => return other.map_err(ended),
            }
        }
    }
}

impl<W: Write + Send + 'static> Sink for StdoutSink<W> {
    fn begin(&mut self, position: Option<&Position>) -> Result<(), SinkError> {
        if position.is_some_and(|position| position.output != FileMark::START) {
            return Err(SinkError::lost(PLACE, "what went down a stream can't be gone on from"));
        }
        self.mark = FileMark::START;
        self.digester = Some(Digester::new(&self.backstage));
        self.sealed = None;
        Ok(())
    }

    fn write(&mut self, block: &Bytes) -> Result<(), SinkError> {
        let digester = self.digester.as_mut().ok_or_else(not_begun)?;
        let mut rest = &block[..];
        while !rest.is_empty() {
            match self.stream.write(rest) {
                Ok(0) => return Err(ended(io::Error::new(ErrorKind::WriteZero, "it took no more bytes"))),
                Ok(n) => rest = &rest[n..],
                Err(error) if is_passing(&error) => {}
                Err(error) => return Err(ended(error)),
            }
        }
        digester.update(block);
        self.mark = self.mark.after(block);
        Ok(())
    }

    fn commit(&mut self, position: &Position) -> Result<(), SinkError> {
        self.digester.as_ref().ok_or_else(not_begun)?;
        if position.output != self.mark {
            return Err(SinkError::out_of_step(PLACE, "the position is not where the stream is"));
        }
        self.flush()
    }

    fn mark(&self) -> Option<FileMark> {
        Some(self.mark)
    }

    fn seal(&mut self) -> Result<Option<Sealed>, SinkError> {
        if self.sealed.is_none() {
            let digester = self.digester.take().ok_or_else(not_begun)?;
            self.flush()?;
            self.sealed = Some(Sealed { bytes: self.mark.offset, sha256: digester.finish()? });
        }
        Ok(self.sealed.clone())
    }

    fn finish(&mut self, manifest: &Manifest) -> Result<(), SinkError> {
        let sealed = self.seal()?;
        let told = Sealed { bytes: manifest.output.bytes, sha256: manifest.output.sha256.clone() };
        if sealed != Some(told) {
            return Err(SinkError::out_of_step(PLACE, "the manifest tells of another output"));
        }
        Ok(())
    }

    fn abort(&mut self) {
        self.digester = None;
    }
}

/// Waits a little where the stream is full and does not block by itself.
fn is_passing(error: &io::Error) -> bool {
    if error.kind() == ErrorKind::WouldBlock {
        std::thread::park_timeout(std::time::Duration::from_millis(2));
    }
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

fn ended(error: io::Error) -> SinkError {
    match error.kind() {
        ErrorKind::BrokenPipe => SinkError::Closed,
        _ => SinkError::failed(PLACE, "writing", error),
    }
}

fn not_begun() -> SinkError {
    SinkError::out_of_step(PLACE, "it is not open for writing")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes a few bytes at a time, and is interrupted or full in between.
    #[derive(Default)]
    struct Fitful {
        taken: Vec<u8>,
        n_calls: usize,
    }

    impl Write for Fitful {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.n_calls += 1;
            match self.n_calls % 3 {
                0 => Err(ErrorKind::Interrupted.into()),
                1 => Err(ErrorKind::WouldBlock.into()),
                _ => {
                    let n = bytes.len().min(7);
                    self.taken.extend_from_slice(&bytes[..n]);
                    Ok(n)
                }
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            self.n_calls += 1;
            if self.n_calls.is_multiple_of(2) { Err(ErrorKind::Interrupted.into()) } else { Ok(()) }
        }
    }

    #[test]
    fn d3_a_stream_that_takes_a_few_bytes_now_and_then_gets_them_all() {
        let mut sink = StdoutSink::over(Fitful::default(), Backstage::inline());
        sink.begin(None).unwrap();
        let block = Bytes::from((0..1000).map(|n| (n % 251) as u8).collect::<Vec<_>>());
        sink.write(&block).unwrap();
        sink.seal().unwrap();
        assert!(sink.stream.taken == block);
    }
}
