//! What framing costs beside other ways to read the same bytes.
//!
//! `counting quotes with memchr` finds no fields, `csv-core` keeps nothing and `simd-csv` only finds where fields end:
//! all do less than the framer, which also hashes each page. `digest alone` is the hash by itself.
//!
//! Run it with `cargo bench --bench framing`. Where others share the machine, compare figures of one run only.

mod common;

use cxtract::csv::{Framer, FramingLimits};
use divan::counter::BytesCount;
use divan::{Bencher, black_box};

/// As much as the HTTP client hands over at once.
const CHUNK_BYTES: usize = 32 * 1024;
/// Small enough to stay in a processor's cache, as what was just received does.
const PAGE_BYTES: usize = 1024 * 1024;
/// Too large for that.
const LARGE_BYTES: usize = 16 * 1024 * 1024;

fn main() {
    divan::main();
}

/// What the fields of a generated page look like.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Numbers, times and words.
    Plain,
    /// One field in six is quoted, with commas, doubled quotes and newlines.
    Quoted,
    /// Quotes inside unquoted fields, so that the bit scan can't be used in many blocks.
    Stray,
}

const KINDS: [Kind; 3] = [Kind::Plain, Kind::Quoted, Kind::Stray];

fn page(kind: Kind) -> Vec<u8> {
    page_of(PAGE_BYTES, kind)
}

fn page_of(n_bytes: usize, kind: Kind) -> Vec<u8> {
    common::records(n_bytes, |id| match kind {
        Kind::Plain => common::plain(),
        Kind::Quoted => common::quoted(id),
        Kind::Stray => format!("a 5\" pipe for order {id} was not delivered"),
    })
}

fn framed(bencher: Bencher<'_, '_>, page: &[u8]) {
    bencher.counter(BytesCount::of_slice(page)).bench_local(|| {
        let mut framer = Framer::new(FramingLimits { record_bytes: 16 << 20 });
        for chunk in black_box(page).chunks(CHUNK_BYTES) {
            framer.push(chunk).expect("the page is well framed");
        }
        framer.finish().expect("the page is whole").n_records
    });
}

#[divan::bench(args = KINDS)]
fn framer(bencher: Bencher<'_, '_>, kind: Kind) {
    framed(bencher, &page(kind));
}

#[divan::bench(args = KINDS)]
fn framer_from_memory(bencher: Bencher<'_, '_>, kind: Kind) {
    framed(bencher, &page_of(LARGE_BYTES, kind));
}

#[divan::bench(args = KINDS)]
fn digest_alone(bencher: Bencher<'_, '_>, kind: Kind) {
    let page = page(kind);
    bencher.counter(BytesCount::of_slice(&page)).bench_local(|| {
        let mut digest = xxhash_rust::xxh3::Xxh3::new();
        for chunk in black_box(&page).chunks(CHUNK_BYTES) {
            digest.update(chunk);
        }
        digest.digest128()
    });
}

#[divan::bench(args = KINDS)]
fn counting_quotes_with_memchr(bencher: Bencher<'_, '_>, kind: Kind) {
    let page = page(kind);
    bencher.counter(BytesCount::of_slice(&page)).bench_local(|| {
        let mut quoted = false;
        let mut n_records = 0u64;
        for at in memchr::memchr2_iter(b'"', b'\n', black_box(&page)) {
            if page[at] == b'"' {
                quoted = !quoted;
            } else {
                n_records += u64::from(!quoted);
            }
        }
        n_records
    });
}

#[divan::bench(args = KINDS)]
fn csv_core(bencher: Bencher<'_, '_>, kind: Kind) {
    let page = page(kind);
    bencher.counter(BytesCount::of_slice(&page)).bench_local(|| {
        let mut reader = csv_core::Reader::new();
        let (mut out, mut ends) = (vec![0; 1 << 16], vec![0; 64]);
        let mut rest: &[u8] = black_box(&page);
        let mut n_records = 0u64;
        loop {
            let (result, n_read, ..) = reader.read_record(rest, &mut out, &mut ends);
            rest = &rest[n_read..];
            match result {
                csv_core::ReadRecordResult::Record => n_records += 1,
                csv_core::ReadRecordResult::End => break n_records,
                _ => {}
            }
        }
    });
}

#[divan::bench(args = KINDS)]
fn simd_csv_fields(bencher: Bencher<'_, '_>, kind: Kind) {
    let page = page(kind);
    bencher.counter(BytesCount::of_slice(&page)).bench_local(|| {
        let mut builder = simd_csv::ZeroCopyReaderBuilder::with_capacity(CHUNK_BYTES);
        let mut reader = builder.has_headers(false).flexible(true).from_reader(black_box(page.as_slice()));
        let mut n_records = 0u64;
        while let Ok(Some(record)) = reader.read_byte_record() {
            black_box(&record);
            n_records += 1;
        }
        n_records
    });
}

#[divan::bench(args = KINDS)]
fn simd_csv_records(bencher: Bencher<'_, '_>, kind: Kind) {
    let page = page(kind);
    bencher.counter(BytesCount::of_slice(&page)).bench_local(|| {
        let mut builder = simd_csv::SplitterBuilder::with_capacity(CHUNK_BYTES);
        let mut splitter = builder.has_headers(false).from_reader(black_box(page.as_slice()));
        splitter.count_records().expect("memory gives every read")
    });
}
