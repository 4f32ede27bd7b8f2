//! What verifying a file costs beside its SHA-256 alone, read in the same way.
//!
//! `cargo bench --bench verify`. The file lies in a temporary folder and is in the page cache after the first reading.

mod common;

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use cxtract::delivery::inspect::{Unwatched, VerifyRules, verify};
use divan::Bencher;
use divan::counter::BytesCount;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

const FILE_BYTES: usize = 64 * 1024 * 1024;
const CHUNK_BYTES: usize = 256 * 1024;

fn main() {
    divan::main();
}

/// What the fields of a generated file look like.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Numbers, times and words.
    Plain,
    /// One field in six is quoted, with commas, doubled quotes and newlines.
    Quoted,
    /// As quoted, with a record in each thousand that raw newlines have broken.
    Broken,
}

const KINDS: [Kind; 3] = [Kind::Plain, Kind::Quoted, Kind::Broken];

fn file(kind: Kind) -> (TempDir, PathBuf) {
    let text = common::records(FILE_BYTES, |id| match kind {
        Kind::Plain => common::plain(),
        Kind::Broken if id.is_multiple_of(1_000) => "asked about an invoice\nand was called back".to_owned(),
        Kind::Quoted | Kind::Broken => common::quoted(id),
    });
    let folder = tempfile::tempdir().expect("a folder for the file");
    let path = folder.path().join("report.csv");
    std::fs::write(&path, text).expect("room for the file");
    (folder, path)
}

fn verified(bencher: Bencher<'_, '_>, kind: Kind, hash: bool) {
    let (_folder, path) = file(kind);
    let n_bytes = std::fs::metadata(&path).expect("the file is there").len();
    let rules = VerifyRules { hash, ..VerifyRules::default() };
    bencher.counter(BytesCount::new(n_bytes)).bench_local(|| verify(&path, &rules, &mut Unwatched));
}

#[divan::bench(args = KINDS, sample_count = 20)]
fn structure(bencher: Bencher<'_, '_>, kind: Kind) {
    verified(bencher, kind, false);
}

#[divan::bench(args = KINDS, sample_count = 20)]
fn structure_and_sha256(bencher: Bencher<'_, '_>, kind: Kind) {
    verified(bencher, kind, true);
}

#[divan::bench(sample_count = 20)]
fn sha256_alone(bencher: Bencher<'_, '_>) {
    let (_folder, path) = file(Kind::Plain);
    let n_bytes = std::fs::metadata(&path).expect("the file is there").len();
    let mut chunk = vec![0; CHUNK_BYTES];
    bencher.counter(BytesCount::new(n_bytes)).bench_local(|| {
        let mut file = File::open(&path).expect("the file is there");
        let mut hasher = Sha256::new();
        loop {
            match file.read(&mut chunk).expect("the file can be read") {
                0 => return hasher.finalize(),
                n => hasher.update(&chunk[..n]),
            }
        }
    });
}
