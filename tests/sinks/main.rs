//! Every sink passes one contract; the file sink also keeps its promise through faults and power cuts.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should stop there")]

mod contract;
mod crash;
mod faults;
mod packed;
mod support;

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use cxtract::delivery::{RealDisk, SimDisk};
use cxtract::sink::{Backstage, FileSink, OutputNames, Sink, StdoutSink};
use parking_lot::Mutex;

use contract::Subject;
use support::VecSink;

struct RealFile {
    dir: tempfile::TempDir,
    backstage: Backstage,
}

impl RealFile {
    fn new(backstage: Backstage) -> Self {
        Self { dir: tempfile::tempdir().unwrap(), backstage }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("deep/er/out.csv")
    }
}

impl Subject for RealFile {
    fn sink(&self) -> Box<dyn Sink> {
        Box::new(FileSink::new(Arc::new(RealDisk), &OutputNames::of(self.path()), self.backstage.clone()))
    }

    fn shown(&self) -> Option<Vec<u8>> {
        std::fs::read(self.path()).ok()
    }
}

#[derive(Default)]
struct SimFile(SimDisk);

impl Subject for SimFile {
    fn sink(&self) -> Box<dyn Sink> {
        Box::new(FileSink::new(Arc::new(self.0.clone()), &OutputNames::of("out/o.csv"), Backstage::inline()))
    }

    fn shown(&self) -> Option<Vec<u8>> {
        self.0.contents("out/o.csv".as_ref())
    }
}

#[derive(Clone, Default)]
struct Stream(Arc<Mutex<Vec<u8>>>);

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Never more than a little at once, as a pipe may do.
        let n = bytes.len().min(1000);
        self.0.lock().extend_from_slice(&bytes[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Piped {
    stream: Stream,
    backstage: Backstage,
}

impl Subject for Piped {
    fn sink(&self) -> Box<dyn Sink> {
        self.stream.0.lock().clear();
        Box::new(StdoutSink::over(self.stream.clone(), self.backstage.clone()))
    }

    fn shown(&self) -> Option<Vec<u8>> {
        Some(self.stream.0.lock().clone())
    }

    fn goes_on(&self) -> bool {
        false
    }

    fn hides_the_unfinished(&self) -> bool {
        false
    }
}

#[derive(Default)]
struct InMemory(VecSink);

impl Subject for InMemory {
    fn sink(&self) -> Box<dyn Sink> {
        Box::new(self.0.reopened())
    }

    fn shown(&self) -> Option<Vec<u8>> {
        self.0.shown()
    }

    fn keeps_account(&self) -> bool {
        false
    }
}

#[test]
fn a_file_on_a_real_disk_with_threads_keeps_the_contract() {
    contract::check(|| RealFile::new(Backstage::threads(512 * 1024)));
}

#[test]
fn a_file_on_a_real_disk_without_threads_keeps_the_contract() {
    contract::check(|| RealFile::new(Backstage::inline()));
}

#[test]
fn a_file_on_a_simulated_disk_keeps_the_contract() {
    contract::check(SimFile::default);
}

#[test]
fn a_stream_keeps_the_contract() {
    for backstage in [Backstage::inline(), Backstage::threads(100_000)] {
        contract::check(|| Piped { stream: Stream::default(), backstage: backstage.clone() });
    }
}

#[test]
fn a_host_s_own_sink_in_memory_keeps_the_contract() {
    contract::check(InMemory::default);
}
