//! An output and its side files as one destination: the contract of every sink, then a power cut at every operation, with
//! side files that appear late, and with a packed output that can be gone on from at few places only.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use cxtract::delivery::{DiskFault, RealDisk, SimDisk, Survival};
use cxtract::model::{FileMark, PageNumber, Position};
use cxtract::sink::{Backstage, Bundle, FileSink, OutputNames, Packed, Packing, Publication, Side, Sink, SinkError};
use parking_lot::Mutex;

use super::contract::{self, Subject};
use super::support::{joined, manifest, position_after, small_pages};

const OUTPUT: &str = "out/o.csv";
const MANIFEST: &str = "out/o.csv.manifest.json";
const REJECTS: &str = "out/o.csv.rejects.csv";
const REPAIRS: &str = "out/o.csv.repairs.jsonl";

fn bundle(disk: &SimDisk, packing: Option<Packing>, backstage: Backstage) -> Bundle {
    let (disk, names) = (Arc::new(disk.clone()), OutputNames::of(OUTPUT));
    let file = Box::new(FileSink::new(disk.clone(), &names, backstage.clone()));
    let output: Box<dyn Sink> = match packing {
        Some(packing) => Box::new(Packed::new(file, packing)),
        None => file,
    };
    Bundle::new(output, disk, names, backstage)
}

#[derive(Default)]
struct SimBundle(SimDisk);

impl Subject for SimBundle {
    fn sink(&self) -> Box<dyn Sink> {
        Box::new(bundle(&self.0, None, Backstage::inline()))
    }

    fn shown(&self) -> Option<Vec<u8>> {
        self.0.contents(OUTPUT.as_ref())
    }
}

struct RealBundle(tempfile::TempDir);

impl Subject for RealBundle {
    fn sink(&self) -> Box<dyn Sink> {
        let (disk, names) = (Arc::new(RealDisk), OutputNames::of(self.0.path().join("deep/o.csv")));
        let backstage = Backstage::threads(1 << 20);
        let file = Box::new(FileSink::new(disk.clone(), &names, backstage.clone()));
        Box::new(Bundle::new(file, disk, names, backstage))
    }

    fn shown(&self) -> Option<Vec<u8>> {
        std::fs::read(self.0.path().join("deep/o.csv")).ok()
    }
}

#[test]
fn a_file_that_may_have_side_files_keeps_the_contract() {
    contract::check(SimBundle::default);
    contract::check(|| RealBundle(tempfile::tempdir().unwrap()));
}

#[test]
fn commits_of_several_files_are_answered_once_each_and_in_order() {
    for backstage in [Backstage::inline(), Backstage::threads(1 << 20)] {
        let disk = SimDisk::new();
        let mut sink = bundle(&disk, None, backstage);
        sink.begin(None).unwrap();
        let answers = Arc::new(Mutex::new(Vec::new()));
        let pages = small_pages(40);
        for n in 1..=pages.len() {
            sink.write(&pages[n - 1]).unwrap();
            // The first commits are of the output alone.
            if n > 10 {
                sink.write_side(Side::Rejects, b"reject\n").unwrap();
            }
            if n > 20 {
                sink.write_side(Side::Repairs, b"{}\n").unwrap();
            }
            let (answers, on) = (answers.clone(), disk.clone());
            let position = Position { sides: sink.side_marks(), ..position_after(&pages[..n]) };
            let marks = position.sides.clone();
            sink.commit_later(
                &position,
                Box::new(move |durable| {
                    let len =
                        |name: &str| on.contents(format!("{name}.part").as_ref()).map_or(0, |text| text.len() as u64);
                    let reached = |suffix: &str, name| marks.get(suffix).is_none_or(|mark| mark.offset <= len(name));
                    answers
                        .lock()
                        .push((n, durable.is_ok() && reached("rejects", REJECTS) && reached("repairs", REPAIRS)));
                }),
            );
        }
        sink.seal().unwrap();
        assert_eq!(*answers.lock(), (1..=pages.len()).map(|n| (n, true)).collect::<Vec<_>>());
    }
}

/// What a run has to write: pages, and what goes beside the output with each of them.
struct Work {
    packing: Option<Packing>,
    pages: Vec<Bytes>,
    sides: Vec<Vec<(Side, &'static [u8])>>,
}

impl Work {
    /// Rejects come with the fourth page and later ones, the one receipt with the last but one.
    fn new(packing: Option<Packing>, pages: Vec<Bytes>, has_sides: bool) -> Self {
        let sides = |n: usize| -> Vec<(Side, &'static [u8])> {
            match n {
                _ if !has_sides || n < 3 => vec![],
                _ if n + 2 == pages.len() => vec![(Side::Rejects, b"late,1\n"), (Side::Repairs, b"{\"page\":9}\n")],
                _ => vec![(Side::Rejects, b"page,row\n")],
            }
        };
        let sides = (0..pages.len()).map(sides).collect();
        Self { packing, pages, sides }
    }

    fn due_beside(&self, side: Side) -> Option<Vec<u8>> {
        let texts = self.sides.iter().flatten().filter(|(of, _)| *of == side).map(|(_, text)| *text);
        Some(texts.collect::<Vec<_>>().concat()).filter(|text| !text.is_empty())
    }
}

/// What a store would keep: acknowledged values outlive every crash.
#[derive(Default)]
struct Stored {
    position: Option<Position>,
    publication: Option<Publication>,
    is_complete: bool,
}

struct Delivery<'a> {
    work: &'a Work,
    disk: SimDisk,
    stored: Stored,
}

impl<'a> Delivery<'a> {
    /// An older delivery stands at the destination already, with side files of its own.
    fn over_an_older_one(work: &'a Work) -> Self {
        let disk = SimDisk::new();
        for path in [OUTPUT, MANIFEST, REJECTS, REPAIRS] {
            disk.put(path.as_ref(), b"old");
        }
        Self { work, disk, stored: Stored::default() }
    }

    fn run(&mut self) -> Result<(), SinkError> {
        if let Some(publication) = &self.stored.publication {
            if !self.stored.is_complete {
                publication.redo(&self.disk)?;
            }
        } else {
            let publication = self.write()?;
            self.stored.publication = Some(publication.clone());
            publication.publish(&self.disk)?;
        }
        self.stored.is_complete = true;
        Ok(())
    }

    fn write(&mut self) -> Result<Publication, SinkError> {
        let mut sink = bundle(&self.disk, self.work.packing, Backstage::inline());
        sink.begin(self.stored.position.as_ref())?;
        let first = self.stored.position.as_ref().map_or(0, |at| usize::try_from(at.next_page.0 - 1).unwrap());
        for n in first..self.work.pages.len() {
            sink.write(&self.work.pages[n])?;
            for (side, text) in &self.work.sides[n] {
                sink.write_side(*side, text)?;
            }
            if sink.page_ended()? && (self.work.packing.is_some() || n % 2 == 1) {
                self.commit(&mut sink, n)?;
            }
        }
        sink.part_ended()?;
        self.commit(&mut sink, self.work.pages.len() - 1)?;
        let sealed = sink.seal()?.unwrap();
        Ok(sink.publication(&manifest(&sealed))?.unwrap())
    }

    fn commit(&mut self, sink: &mut Bundle, n: usize) -> Result<(), SinkError> {
        let (output, sides) = (sink.mark().unwrap(), sink.side_marks());
        let position = Position { next_page: PageNumber(n as u64 + 2), output, sides, ..Position::start() };
        sink.commit(&position)?;
        self.stored.position = Some(position);
        Ok(())
    }

    fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        self.disk.names().into_iter().map(|name| (name.clone(), self.disk.contents(&name).unwrap())).collect()
    }

    /// Whoever sees the old manifest sees the old files, and whoever sees the new one sees the new.
    fn assert_manifest_tells_the_truth(&self, due: &BTreeMap<PathBuf, Vec<u8>>, when: &str) {
        match self.disk.contents(MANIFEST.as_ref()) {
            None => {}
            Some(old) if old == b"old" => {
                for path in [OUTPUT, REJECTS, REPAIRS] {
                    assert_eq!(self.disk.contents(path.as_ref()).unwrap(), b"old", "{when}: {path}");
                }
            }
            Some(_) => {
                assert!(due.iter().all(|(path, text)| self.disk.contents(path).as_ref() == Some(text)), "{when}");
                for side in Side::ALL.map(|side| OutputNames::of(OUTPUT).side(side)) {
                    assert_eq!(self.disk.contents(&side).is_some(), due.contains_key(&side), "{when}: {side:?}");
                }
            }
        }
    }
}

/// What an undisturbed run leaves, and how many operations it takes.
fn undisturbed(work: &Work) -> (BTreeMap<PathBuf, Vec<u8>>, u64) {
    let mut delivery = Delivery::over_an_older_one(work);
    delivery.run().unwrap();
    let files = delivery.files();
    let sides = Side::ALL.map(|side| (OutputNames::of(OUTPUT).side(side), work.due_beside(side)));
    for (path, due) in &sides {
        assert_eq!(files.get(path), due.as_ref(), "{path:?}");
    }
    if work.packing.is_none() {
        assert!(files[Path::new(OUTPUT)] == joined(&work.pages));
    }
    assert_eq!(files.len(), 2 + sides.iter().filter(|(_, due)| due.is_some()).count(), "{:?}", files.keys());
    (files, delivery.disk.n_operations())
}

fn cut_everywhere(work: &Work, survivals: impl Fn(u64) -> Vec<Survival>) {
    let (due, n_operations) = undisturbed(work);
    let mut n_resumed = 0;
    for n in 0..n_operations {
        for survival in survivals(n) {
            let when = format!("operation {n}, {survival:?}");
            let mut delivery = Delivery::over_an_older_one(work);
            delivery.disk.fail_nth(n, DiskFault::PowerCut);
            delivery.run().unwrap_err();
            delivery.disk.restart(survival);
            delivery.assert_manifest_tells_the_truth(&due, &when);
            n_resumed += u64::from(delivery.stored.position.is_some());
            delivery.run().unwrap_or_else(|error| panic!("{when}: {error}"));
            assert!(delivery.files() == due, "{when}: {:?}", delivery.disk.names());
            delivery.disk.restart(Survival::Least);
            assert!(delivery.files() == due, "{when}: not durable");
        }
    }
    assert!(n_resumed > n_operations / 2, "only {n_resumed} went on from a position");
}

#[test]
fn d4_a_power_cut_at_any_operation_leaves_output_and_side_files_of_one_run() {
    let survivals = |n| vec![Survival::Least, Survival::Most, Survival::Drawn(n), Survival::Drawn(n + 1000)];
    for has_sides in [true, false] {
        cut_everywhere(&Work::new(None, small_pages(10), has_sides), survivals);
    }
}

/// Pages of which two fill a frame.
static LARGE_PAGES: LazyLock<Vec<Bytes>> = LazyLock::new(|| {
    let page = |n: u32| Bytes::from(format!("{n},row of page {n},and some more of it\n").repeat(60_000));
    (1..=5).map(page).collect()
});

#[test]
fn d4_a_power_cut_at_any_operation_leaves_packed_output_and_side_files_of_one_run() {
    for packing in [Packing::Gzip, Packing::Zstd] {
        let work = Work::new(Some(packing), LARGE_PAGES.clone(), true);
        cut_everywhere(&work, |n| vec![if n % 3 == 0 { Survival::Least } else { Survival::Drawn(n) }]);
    }
}

#[test]
fn d4_a_second_power_cut_while_recovering_costs_the_side_files_nothing_either() {
    let work = Work::new(None, small_pages(8), true);
    let (due, n_operations) = undisturbed(&work);
    for n in (0..n_operations).step_by(3) {
        for m in 0..40 {
            let when = format!("operation {n}, then {m}");
            let mut delivery = Delivery::over_an_older_one(&work);
            delivery.disk.fail_nth(n, DiskFault::PowerCut);
            delivery.run().unwrap_err();
            delivery.disk.restart(Survival::Drawn(n));
            delivery.disk.fail_nth(m, DiskFault::PowerCut);
            drop(delivery.run());
            delivery.disk.restart(Survival::Drawn(m));
            delivery.assert_manifest_tells_the_truth(&due, &when);
            delivery.run().unwrap_or_else(|error| panic!("{when}: {error}"));
            assert!(delivery.files() == due, "{when}: {:?}", delivery.disk.names());
        }
    }
}

#[test]
fn d1_a_full_disk_at_any_operation_leaves_parts_that_the_next_run_goes_on_with() {
    let work = Work::new(None, small_pages(8), true);
    let (due, n_operations) = undisturbed(&work);
    for n in 0..n_operations {
        let mut delivery = Delivery::over_an_older_one(&work);
        delivery.disk.fail_nth(n, DiskFault::Full);
        let error = delivery.run().unwrap_err();
        delivery.assert_manifest_tells_the_truth(&due, &format!("operation {n}"));
        delivery.run().unwrap_or_else(|again| panic!("operation {n}: {error}, then {again}"));
        assert!(delivery.files() == due, "operation {n}");
    }
}

/// A run up to the end of page `n`, whose position is stored, and what it wrote and committed of two more pages.
fn parked_after(work: &Work, n: usize) -> (SimDisk, Position, Position) {
    let disk = SimDisk::new();
    let mut sink = bundle(&disk, None, Backstage::inline());
    sink.begin(None).unwrap();
    let mut positions = Vec::new();
    for page in 0..n + 2 {
        sink.write(&work.pages[page]).unwrap();
        work.sides[page].iter().for_each(|(side, text)| sink.write_side(*side, text).unwrap());
        let position = Position { sides: sink.side_marks(), ..position_after(&work.pages[..=page]) };
        sink.commit(&position).unwrap();
        positions.push(position);
    }
    (disk, positions[n - 1].clone(), positions[n + 1].clone())
}

/// Goes on there and writes the rest of the pages.
fn go_on(disk: &SimDisk, from: &Position, work: &Work) -> Bundle {
    let mut sink = bundle(disk, None, Backstage::inline());
    sink.begin(Some(from)).unwrap();
    for page in usize::try_from(from.next_page.0 - 1).unwrap()..work.pages.len() {
        sink.write(&work.pages[page]).unwrap();
        work.sides[page].iter().for_each(|(side, text)| sink.write_side(*side, text).unwrap());
    }
    sink
}

#[test]
fn a_side_file_that_reaches_beyond_the_position_is_cut_back_to_it() {
    let work = Work::new(None, small_pages(8), true);
    let (disk, position, beyond) = parked_after(&work, 5);
    assert!(position.sides["rejects"].offset < beyond.sides["rejects"].offset);
    let mut sink = go_on(&disk, &position, &work);
    let sealed = sink.seal().unwrap().unwrap();
    sink.finish(&manifest(&sealed)).unwrap();
    assert_eq!(disk.contents(REJECTS.as_ref()), work.due_beside(Side::Rejects));
    assert_eq!(disk.contents(REPAIRS.as_ref()), work.due_beside(Side::Repairs));
}

#[test]
fn going_back_before_the_first_reject_takes_the_side_file_away_for_good() {
    let noisy = Work::new(None, small_pages(8), true);
    let (disk, position, beyond) = parked_after(&noisy, 3);
    assert!(position.sides.is_empty() && !beyond.sides.is_empty());
    // What is read instead has nothing to reject.
    let quiet = Work::new(None, small_pages(8), false);
    let mut sink = go_on(&disk, &position, &quiet);
    let sealed = sink.seal().unwrap().unwrap();
    let publication = sink.publication(&manifest(&sealed)).unwrap().unwrap();
    // That it was taken away need not have become durable.
    disk.restart(Survival::Least);
    publication.redo(&disk).unwrap();
    disk.restart(Survival::Least);
    assert_eq!(disk.names(), [Path::new(OUTPUT), Path::new(MANIFEST)]);
}

#[test]
fn d6_a_side_file_that_was_deleted_cut_or_edited_meanwhile_is_lost_by_name() {
    let work = Work::new(None, small_pages(8), true);
    for harm in ["gone", "cut", "edited"] {
        let (disk, _, position) = parked_after(&work, 5);
        let part = PathBuf::from(format!("{REJECTS}.part"));
        let text = disk.contents(&part).unwrap();
        match harm {
            "gone" => drop(cxtract::model::Disk::remove(&disk, &part).unwrap()),
            "cut" => disk.put(&part, &text[..text.len() - 1]),
            _ => disk.put(&part, &[b"x", &text[1..]].concat()),
        }
        let error = bundle(&disk, None, Backstage::inline()).begin(Some(&position)).unwrap_err();
        let is_named = |place: &str| Path::new(place) == part;
        assert!(matches!(&error, SinkError::Lost { place, .. } if is_named(place)), "{harm}: {error}");
    }
}

#[test]
fn a_side_file_taken_away_just_before_the_delivery_keeps_everything_from_appearing() {
    let work = Work::new(None, small_pages(8), true);
    let (disk, position, _) = parked_after(&work, 5);
    let mut sink = go_on(&disk, &position, &work);
    let sealed = sink.seal().unwrap().unwrap();
    cxtract::model::Disk::remove(&disk, format!("{REJECTS}.part").as_ref()).unwrap();
    let error = sink.finish(&manifest(&sealed)).unwrap_err();
    assert!(matches!(error, SinkError::Lost { .. }), "{error}");
    assert_eq!(disk.contents(OUTPUT.as_ref()), None);
}

#[test]
fn a_failed_sync_of_a_side_file_fails_the_commit_and_all_that_follow() {
    let disk = SimDisk::new();
    let mut sink = bundle(&disk, None, Backstage::inline());
    let pages = small_pages(2);
    sink.begin(None).unwrap();
    sink.write(&pages[0]).unwrap();
    sink.write_side(Side::Rejects, b"reject\n").unwrap();
    // The operations of a commit, the side file's first: the write, the look by name, the sync.
    disk.fail_nth(2, DiskFault::Io);
    let position = Position { sides: sink.side_marks(), ..position_after(&pages[..1]) };
    let error = sink.commit(&position).unwrap_err();
    assert!(matches!(&error, SinkError::Unsynced { .. }), "{error}");
    sink.write(&pages[1]).unwrap();
    let position = Position { sides: sink.side_marks(), ..position_after(&pages) };
    sink.commit(&position).unwrap_err();
    sink.seal().unwrap_err();
}

#[test]
fn a_side_file_that_nothing_was_written_to_has_no_place_in_a_position() {
    let disk = SimDisk::new();
    let mut sink = bundle(&disk, None, Backstage::inline());
    sink.begin(None).unwrap();
    assert_eq!(sink.side_marks(), BTreeMap::new());
    sink.write_side(Side::Repairs, b"{}\n").unwrap();
    assert_eq!(sink.side_marks(), BTreeMap::from([("repairs".to_owned(), FileMark::START.after(b"{}\n"))]));
}
