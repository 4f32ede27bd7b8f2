//! The power goes at every single operation of a delivery, and the next run ends with the same bytes.

use std::path::Path;
use std::sync::Arc;

use cxtract::delivery::{DiskFault, SimDisk, Survival};
use cxtract::model::Position;
use cxtract::sink::{Backstage, Deliverable, FileSink, OutputNames, Publication, Sink, SinkError};

use super::support::{joined, manifest, position_after, sealed, small_pages};

const OUTPUT: &str = "out/o.csv";
const MANIFEST: &str = "out/o.csv.manifest.json";
const REJECTS: &str = "out/o.csv.rejects.csv";
const N_PAGES: u64 = 10;
const PAGES_PER_COMMIT: usize = 2;

/// What a store would keep: acknowledged values outlive every crash.
#[derive(Default)]
struct Stored {
    position: Option<Position>,
    delivery: Option<Publication>,
    is_complete: bool,
}

struct Delivery {
    disk: SimDisk,
    stored: Stored,
    has_rejects: bool,
}

impl Delivery {
    /// An older delivery stands at the destination already.
    fn over_an_older_one(has_rejects: bool) -> Self {
        let disk = SimDisk::new();
        for path in [OUTPUT, MANIFEST, REJECTS] {
            disk.put(path.as_ref(), b"old");
        }
        Self { disk, stored: Stored::default(), has_rejects }
    }

    fn sinks(&self) -> (FileSink, Option<FileSink>) {
        let (disk, names) = (Arc::new(self.disk.clone()), OutputNames::of(OUTPUT));
        let side = || FileSink::side(disk.clone(), names.rejects(), "rejects", Backstage::inline());
        (FileSink::new(disk.clone(), &names, Backstage::inline()), self.has_rejects.then(side))
    }

    /// What a run does: go on from what is stored, write, commit, seal, publish.
    fn run(&mut self) -> Result<(), SinkError> {
        if let Some(publication) = &self.stored.delivery {
            if !self.stored.is_complete {
                publication.redo(&self.disk)?;
            }
        } else {
            let publication = self.write()?;
            self.stored.delivery = Some(publication.clone());
            publication.publish(&self.disk)?;
        }
        self.stored.is_complete = true;
        Ok(())
    }

    fn write(&mut self) -> Result<Publication, SinkError> {
        let pages = small_pages(N_PAGES);
        let (mut output, mut rejects) = self.sinks();
        let from = self.stored.position.clone();
        output.begin(from.as_ref())?;
        if let Some(rejects) = &mut rejects {
            rejects.begin(from.as_ref())?;
        }
        let first = from.map_or(0, |position| usize::try_from(position.next_page.0 - 1).unwrap());
        for n in first..pages.len() {
            output.write(&pages[n])?;
            // Only the later pages have rejected records, so that the side file begins late.
            if let Some(rejects) = rejects.as_mut().filter(|_| n >= 4) {
                rejects.write(&pages[n].slice(0..5))?;
            }
            if (n + 1) % PAGES_PER_COMMIT == 0 {
                let mut position = position_after(&pages[..=n]);
                if let Some(rejects) = &mut rejects {
                    position.sides.insert("rejects".into(), rejects.mark());
                    rejects.commit(&position)?;
                }
                output.commit(&position)?;
                self.stored.position = Some(position);
            }
        }
        self.seal(output, rejects)
    }

    fn seal(&self, mut output: FileSink, rejects: Option<FileSink>) -> Result<Publication, SinkError> {
        let sealed = output.seal()?.unwrap();
        let mut sides: Vec<Deliverable> = Vec::new();
        if let Some(mut rejects) = rejects {
            rejects.seal()?;
            sides.extend(rejects.deliverable());
        }
        let stale = if self.has_rejects { vec![] } else { vec![REJECTS.into()] };
        let manifest = manifest(&sealed).to_json();
        Ok(Publication { output: output.deliverable().unwrap(), sides, stale, manifest })
    }

    fn assert_manifest_tells_the_truth(&self, when: &str) {
        match self.disk.contents(MANIFEST.as_ref()) {
            None => {}
            Some(old) if old == b"old" => {
                assert_eq!(self.disk.contents(OUTPUT.as_ref()).unwrap(), b"old", "{when}: old manifest, new output");
                assert_eq!(self.disk.contents(REJECTS.as_ref()).unwrap(), b"old", "{when}: old manifest, new rejects");
            }
            Some(_) => self.assert_delivered(when),
        }
    }

    fn assert_delivered(&self, when: &str) {
        let pages = small_pages(N_PAGES);
        assert_eq!(self.disk.contents(OUTPUT.as_ref()).unwrap(), joined(&pages), "{when}: output");
        let told = manifest(&sealed(&pages)).to_json();
        assert_eq!(self.disk.contents(MANIFEST.as_ref()).unwrap(), told.as_bytes(), "{when}: manifest");
        let rejected: Vec<_> = pages[4..].iter().map(|page| page.slice(0..5)).collect();
        let due = self.has_rejects.then(|| joined(&rejected));
        assert_eq!(self.disk.contents(REJECTS.as_ref()), due, "{when}: rejects");
    }

    fn assert_nothing_else_is_left(&self, when: &str) {
        let mut due = vec![OUTPUT, MANIFEST, REJECTS];
        due.truncate(if self.has_rejects { 3 } else { 2 });
        let names = self.disk.names();
        assert_eq!(
            names.iter().map(|path| path.as_path()).collect::<Vec<_>>(),
            due.iter().map(Path::new).collect::<Vec<_>>(),
            "{when}"
        );
    }
}

/// Runs until the fault no longer comes; says how many operations that took.
fn for_every_operation(has_rejects: bool, mut then: impl FnMut(u64, Delivery, Result<(), SinkError>)) -> u64 {
    for n in 0.. {
        let mut delivery = Delivery::over_an_older_one(has_rejects);
        delivery.disk.fail_nth(n, DiskFault::PowerCut);
        let result = delivery.run();
        if result.is_ok() {
            delivery.assert_delivered("undisturbed");
            delivery.assert_nothing_else_is_left("undisturbed");
            return n;
        }
        then(n, delivery, result);
    }
    unreachable!("the range has no end")
}

fn survivals(n: u64) -> impl Iterator<Item = Survival> {
    [Survival::Least, Survival::Most].into_iter().chain((0..6).map(move |k| Survival::Drawn(n * 100 + k)))
}

#[test]
fn d4_a_power_cut_at_any_operation_costs_nothing_but_work() {
    for has_rejects in [false, true] {
        let n_operations = for_every_operation(has_rejects, |_, _, _| {});
        assert!(n_operations > 30, "a delivery has more operations than {n_operations}");
        for n in 0..n_operations {
            for survival in survivals(n) {
                let when = format!("operation {n}, {survival:?}");
                let mut delivery = Delivery::over_an_older_one(has_rejects);
                delivery.disk.fail_nth(n, DiskFault::PowerCut);
                delivery.run().unwrap_err();
                delivery.disk.restart(survival);
                delivery.assert_manifest_tells_the_truth(&when);
                delivery.run().unwrap_or_else(|error| panic!("{when}: {error}"));
                delivery.assert_delivered(&when);
                delivery.assert_nothing_else_is_left(&when);
                // What is complete stays so through another cut.
                delivery.disk.restart(Survival::Least);
                delivery.assert_delivered(&when);
            }
        }
    }
}

#[test]
fn d4_a_second_power_cut_while_recovering_from_the_first_costs_nothing_either() {
    for_every_operation(true, |n, _, _| {
        for m in 0..40 {
            let when = format!("operation {n}, then {m}");
            let mut delivery = Delivery::over_an_older_one(true);
            delivery.disk.fail_nth(n, DiskFault::PowerCut);
            delivery.run().unwrap_err();
            delivery.disk.restart(Survival::Drawn(n));
            delivery.disk.fail_nth(m, DiskFault::PowerCut);
            drop(delivery.run());
            delivery.disk.restart(Survival::Drawn(m));
            delivery.assert_manifest_tells_the_truth(&when);
            delivery.run().unwrap_or_else(|error| panic!("{when}: {error}"));
            delivery.assert_delivered(&when);
        }
    });
}

#[test]
fn d1_a_full_disk_at_any_operation_leaves_a_part_that_the_next_run_goes_on_with() {
    let n_operations = for_every_operation(true, |_, _, _| {});
    for n in 0..n_operations {
        let mut delivery = Delivery::over_an_older_one(true);
        delivery.disk.fail_nth(n, DiskFault::Full);
        let error = delivery.run().unwrap_err();
        delivery.assert_manifest_tells_the_truth(&format!("operation {n}"));
        // Room is made; the same system lives on.
        delivery.run().unwrap_or_else(|again| panic!("operation {n}: {error}, then {again}"));
        delivery.assert_delivered(&format!("operation {n}"));
    }
}

#[test]
fn k7b_a_publication_can_be_done_again_after_its_last_step() {
    let mut delivery = Delivery::over_an_older_one(true);
    delivery.run().unwrap();
    let publication = delivery.stored.delivery.clone().unwrap();
    let stored = serde_json::to_string(&publication).unwrap();
    let read: Publication = serde_json::from_str(&stored).unwrap();
    assert_eq!(read, publication);
    read.redo(&delivery.disk).unwrap();
    delivery.assert_delivered("done again");
    delivery.assert_nothing_else_is_left("done again");
}

#[test]
fn k7b_a_publication_of_which_a_file_is_gone_is_lost_by_name() {
    let mut delivery = Delivery::over_an_older_one(true);
    delivery.run().unwrap();
    delivery.disk.put(REJECTS.as_ref(), b"edited meanwhile");
    let error = delivery.stored.delivery.unwrap().redo(&delivery.disk).unwrap_err();
    assert!(matches!(&error, SinkError::Lost { place, .. } if place == REJECTS), "{error}");
}
