//! A compressed output: the contract of every sink, frames that end where pages do, and the same bytes however the input
//! was cut and wherever a run was taken up.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;

use bytes::Bytes;
use cxtract::delivery::{Coding, DiskFault, SimDisk, unpacked};
use cxtract::model::{FileMark, Manifest, Position};
use cxtract::sink::{
    Backstage, FileSink, OutputNames, Packed, Packing, Publication, Sealed, Sink, SinkError, WhenDurable,
};
use parking_lot::Mutex;

use super::contract::{self, Subject};
use super::support::manifest;

const PACKINGS: [(Packing, Coding); 2] = [(Packing::Gzip, Coding::Gzip), (Packing::Zstd, Coding::Zstd)];
const MIB: usize = 1024 * 1024;

fn packed(disk: &SimDisk, packing: Packing) -> Packed {
    let names = OutputNames::of("out/o.csv");
    Packed::new(Box::new(FileSink::new(Arc::new(disk.clone()), &names, Backstage::inline())), packing)
}

fn unpack(bytes: Vec<u8>) -> (Coding, Vec<u8>) {
    let (coding, mut reader) = unpacked(std::io::Cursor::new(bytes)).unwrap();
    let mut out = Vec::new();
    reader.read_to_end(&mut out).unwrap();
    (coding, out)
}

/// A page of rows, each page other ones.
fn page(n: u64, len: usize) -> Vec<u8> {
    let mut rng = fastrand::Rng::with_seed(n);
    let mut page = Vec::with_capacity(len + 64);
    while page.len() < len {
        page.extend_from_slice(format!("{},agent {},{:x}\n", rng.u32(..), rng.u8(..), rng.u64(..)).as_bytes());
    }
    page.truncate(len);
    page
}

fn write(sink: &mut dyn Sink, page: &[u8], block_len: usize) {
    page.chunks(block_len).for_each(|block| sink.write(&Bytes::copy_from_slice(block)).unwrap());
}

fn position_at(mark: FileMark) -> Position {
    Position { output: mark, ..Position::start() }
}

/// The sink's file, finished.
fn finished(mut sink: Packed, disk: &SimDisk) -> Vec<u8> {
    let sealed = sink.seal().unwrap().unwrap();
    sink.finish(&manifest(&sealed)).unwrap();
    disk.contents("out/o.csv".as_ref()).unwrap()
}

fn file_of(packing: Packing, pages: &[Vec<u8>], block_len: usize) -> Vec<u8> {
    let disk = SimDisk::default();
    let mut sink = packed(&disk, packing);
    sink.begin(None).unwrap();
    for page in pages {
        write(&mut sink, page, block_len);
        sink.page_ended().unwrap();
    }
    sink.part_ended().unwrap();
    finished(sink, &disk)
}

#[test]
fn how_blocks_are_cut_does_not_show() {
    let pages = [page(1, 3 * MIB), page(2, 1_100_003), page(3, 7), page(4, 130_000)];
    for (packing, coding) in PACKINGS {
        let whole = file_of(packing, &pages, usize::MAX);
        for block_len in [997, 65_537, 262_144] {
            assert!(file_of(packing, &pages, block_len) == whole, "{packing:?} in blocks of {block_len}");
        }
        assert!(unpack(whole) == (coding, pages.concat()));
    }
    let small = [page(6, 5_000)];
    for (packing, _) in PACKINGS {
        assert_eq!(file_of(packing, &small, 1), file_of(packing, &small, 4_999));
    }
}

#[test]
fn a_frame_ends_with_the_first_page_past_four_mebibytes_and_only_there() {
    for (packing, _) in PACKINGS {
        let disk = SimDisk::default();
        let mut sink = packed(&disk, packing);
        sink.begin(None).unwrap();
        assert!(sink.page_ended().unwrap(), "nothing is written yet");
        let lens = [4 * MIB - 1, 1, 0, 1, 4 * MIB - 2, 0, 1, 6 * MIB, 5];
        let mut said = Vec::new();
        for (n, len) in (1..).zip(lens) {
            let before = sink.mark();
            write(&mut sink, &page(n, len), 100_000);
            said.push(sink.page_ended().unwrap());
            assert!(len == 0 || !said.last().unwrap() || sink.mark() != before);
        }
        assert_eq!(said, [false, true, true, false, false, false, true, true, false], "{packing:?}");
        sink.part_ended().unwrap();
        assert!(sink.page_ended().unwrap());
        sink.commit(&position_at(sink.mark().unwrap())).unwrap();
    }
}

#[test]
fn going_on_from_the_end_of_any_frame_gives_the_file_of_an_undisturbed_run() {
    let pages: Vec<_> = (0..5).map(|n| page(n, [2 * MIB + 5, 2_100_000, 4 * MIB, 900_001][n as usize % 4])).collect();
    for (packing, _) in PACKINGS {
        let due = file_of(packing, &pages, 262_144);
        let disk = SimDisk::default();
        let mut sink = packed(&disk, packing);
        sink.begin(None).unwrap();
        let mut ends = vec![(0, FileMark::START)];
        for (n, page) in pages.iter().enumerate() {
            write(&mut sink, page, 50_000);
            if sink.page_ended().unwrap() {
                sink.commit(&position_at(sink.mark().unwrap())).unwrap();
                ends.push((n + 1, sink.mark().unwrap()));
            }
        }
        sink.abort();
        assert!(ends.len() >= 3, "{packing:?}: {ends:?}");
        // The last ones first, since going on from one drops what is behind it.
        for (n_pages, mark) in ends.into_iter().rev() {
            let mut sink = packed(&disk, packing);
            sink.begin(Some(&position_at(mark))).unwrap();
            // What was left of a frame that was never ended must not show.
            write(&mut sink, b"part of a row", 9);
            sink.begin(Some(&position_at(mark))).unwrap();
            for page in &pages[n_pages..] {
                write(&mut sink, page, 70_001);
                if sink.page_ended().unwrap() {
                    sink.commit(&position_at(sink.mark().unwrap())).unwrap();
                }
            }
            sink.part_ended().unwrap();
            sink.seal().unwrap();
            assert!(
                disk.contents(&OutputNames::of("out/o.csv").part()).unwrap() == due,
                "{packing:?} after {n_pages} pages"
            );
        }
    }
}

#[test]
fn a_position_within_a_frame_is_refused() {
    for (packing, _) in PACKINGS {
        let mut sink = packed(&SimDisk::default(), packing);
        sink.begin(None).unwrap();
        write(&mut sink, b"id\n", 3);
        assert!(!sink.page_ended().unwrap());
        let position = position_at(sink.mark().unwrap());
        let error = sink.commit(&position).unwrap_err();
        assert!(error.to_string().contains("within a frame"), "{error}");
        let told = Arc::new(Mutex::new(None));
        let note = told.clone();
        sink.commit_later(&position, Box::new(move |result| *note.lock() = Some(result)));
        assert!(told.lock().take().unwrap().is_err());
        // Nothing is lost by having asked.
        sink.part_ended().unwrap();
        sink.commit(&position_at(sink.mark().unwrap())).unwrap();
    }
}

#[test]
fn c7_an_output_without_a_byte_can_be_unpacked_too() {
    for (packing, coding) in PACKINGS {
        let file = file_of(packing, &[Vec::new()], 1);
        assert_eq!(unpack(file.clone()), (coding, Vec::new()));
        let disk = SimDisk::default();
        let mut sink = packed(&disk, packing);
        sink.begin(Some(&Position::start())).unwrap();
        sink.seal().unwrap();
        assert_eq!(finished(sink, &disk), file, "sealed twice, it has one empty frame all the same");
    }
}

#[test]
fn a_gzip_header_names_neither_time_nor_machine() {
    let file = file_of(Packing::Gzip, &[page(1, 100)], 100);
    assert_eq!(file[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
}

#[test]
fn a_full_disk_is_told_as_such_and_told_again() {
    for (packing, _) in PACKINGS {
        let disk = SimDisk::default();
        let mut sink = packed(&disk, packing);
        sink.begin(None).unwrap();
        disk.fail_nth(0, DiskFault::Full);
        let page = Bytes::from(page(1, 2 * MIB));
        let error = sink.write(&page).unwrap_err();
        assert!(matches!(error, SinkError::Full { .. }), "{error}");
        for error in [sink.write(&page).unwrap_err(), sink.part_ended().unwrap_err(), sink.seal().unwrap_err()] {
            assert!(matches!(error, SinkError::Full { .. }), "{error}");
        }
        sink.begin(None).unwrap();
        sink.write(&page).unwrap();
    }
}

/// Notes how large the blocks are that it gets.
#[derive(Clone, Default)]
struct Sizes(Arc<Mutex<Vec<usize>>>);

impl Sink for Sizes {
    fn begin(&mut self, _position: Option<&Position>) -> Result<(), SinkError> {
        Ok(())
    }

    fn write(&mut self, block: &Bytes) -> Result<(), SinkError> {
        self.0.lock().push(block.len());
        Ok(())
    }

    fn commit(&mut self, _position: &Position) -> Result<(), SinkError> {
        Ok(())
    }

    fn finish(&mut self, _manifest: &Manifest) -> Result<(), SinkError> {
        Ok(())
    }

    fn abort(&mut self) {}
}

#[test]
fn a_page_of_any_size_streams_through_in_small_blocks() {
    let mut rng = fastrand::Rng::with_seed(3);
    let mut noise = vec![0; MIB];
    for (packing, _) in PACKINGS {
        let sizes = Sizes::default();
        let mut sink = Packed::new(Box::new(sizes.clone()), packing);
        sink.begin(None).unwrap();
        for n in 1..=12 {
            // Noise doesn't get smaller, so that what goes in must be about to come out.
            rng.fill(&mut noise);
            sink.write(&Bytes::from(noise.clone())).unwrap();
            let n_out: usize = sizes.0.lock().iter().sum();
            assert!(n_out + 600_000 >= n * MIB, "{packing:?}: {n_out} bytes after {n} MiB");
        }
        let largest = *sizes.0.lock().iter().max().unwrap();
        assert!(largest <= 300_000, "{packing:?}: {largest}");
    }
}

/// A packed file as its reader sees it: positions are asked for in unpacked bytes, and each commit ends a frame first.
struct Unpacking {
    sink: Packed,
    marks: Arc<Mutex<BTreeMap<(u64, u32), FileMark>>>,
    sealed: Option<Sealed>,
}

impl Unpacking {
    /// The position of a commit in the packed file.
    fn packed_position(&mut self, position: &Position) -> Result<Position, SinkError> {
        self.sink.part_ended()?;
        let mark = self.sink.mark().unwrap();
        self.marks.lock().insert((position.output.offset, position.output.crc32), mark);
        Ok(Position { output: mark, ..position.clone() })
    }

    fn packed_manifest(&self, manifest: &Manifest) -> Manifest {
        let mut manifest = manifest.clone();
        let sealed = self.sealed.clone().unwrap();
        (manifest.output.bytes, manifest.output.sha256) = (sealed.bytes, sealed.sha256);
        manifest
    }
}

impl Sink for Unpacking {
    fn begin(&mut self, position: Option<&Position>) -> Result<(), SinkError> {
        let known = |mark: FileMark| self.marks.lock().get(&(mark.offset, mark.crc32)).copied().unwrap_or(mark);
        let position = position.map(|position| Position { output: known(position.output), ..position.clone() });
        self.sink.begin(position.as_ref())
    }

    fn write(&mut self, block: &Bytes) -> Result<(), SinkError> {
        self.sink.write(block)
    }

    fn commit(&mut self, position: &Position) -> Result<(), SinkError> {
        let position = self.packed_position(position)?;
        self.sink.commit(&position)
    }

    fn commit_later(&mut self, position: &Position, then: WhenDurable) {
        match self.packed_position(position) {
            Ok(position) => self.sink.commit_later(&position, then),
            Err(error) => then(Err(error)),
        }
    }

    fn seal(&mut self) -> Result<Option<Sealed>, SinkError> {
        self.sealed = self.sink.seal()?;
        Ok(None)
    }

    fn publication(&self, manifest: &Manifest) -> Result<Option<Publication>, SinkError> {
        self.sink.publication(&self.packed_manifest(manifest))
    }

    fn finish(&mut self, manifest: &Manifest) -> Result<(), SinkError> {
        let manifest = self.packed_manifest(manifest);
        self.sink.finish(&manifest)
    }

    fn abort(&mut self) {
        self.sink.abort();
    }
}

struct PackedFile {
    disk: SimDisk,
    packing: Packing,
    marks: Arc<Mutex<BTreeMap<(u64, u32), FileMark>>>,
}

impl Subject for PackedFile {
    fn sink(&self) -> Box<dyn Sink> {
        let sink = packed(&self.disk, self.packing);
        Box::new(Unpacking { sink, marks: self.marks.clone(), sealed: None })
    }

    fn shown(&self) -> Option<Vec<u8>> {
        self.disk.contents("out/o.csv".as_ref()).map(|bytes| unpack(bytes).1)
    }

    fn keeps_account(&self) -> bool {
        // Its account is of the packed file, which the contract knows nothing of.
        false
    }
}

#[test]
fn a_packed_file_keeps_the_contract() {
    for (packing, _) in PACKINGS {
        contract::check(|| PackedFile { disk: SimDisk::default(), packing, marks: Arc::default() });
    }
}
