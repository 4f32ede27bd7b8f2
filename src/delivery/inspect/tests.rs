//! Files on a real disk, verified and repaired.

mod repairing;
mod verifying;

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{Unwatched, Verified, VerifyRules, Watch, verify};

/// A folder that goes with its test.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The names in it.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn verified(path: &Path) -> Verified {
    let rules = VerifyRules { hash: true, ..VerifyRules::default() };
    verify(path, &rules, &mut Unwatched).unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, bytes).unwrap();
    encoder.finish().unwrap()
}

/// Ends the work, or does something else, at its n-th step.
struct AtStep<F> {
    step: usize,
    act: F,
}

impl<F: FnMut() -> ControlFlow<()>> Watch for AtStep<F> {
    fn begin(&mut self, _: &'static str, _: u64) {}

    fn at(&mut self, _: u64) -> ControlFlow<()> {
        self.step = self.step.saturating_sub(1);
        if self.step == 0 { (self.act)() } else { ControlFlow::Continue(()) }
    }
}
