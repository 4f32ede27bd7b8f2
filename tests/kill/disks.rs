//! Outputs that were touched, disks that are full or closed, and too few open files.

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use cxtract::mock::{MockReport, MockTenant};
use cxtract::model::ReportState;

use crate::judge::{Between, judge_calls, judge_end, judge_folder, manifest, n_queries};
use crate::place::{Place, Running};
use crate::signals::{mock, park_after};

/// What somebody does to a `.part`.
type Touch = fn(&Path);

/// A parked report whose output has a position, in the state that `touch` leaves it in.
fn touched(touch: Touch) -> Place {
    let place = Place::new(mock(1200)).report("calls", "");
    park_after(&place, 25);
    touch(&place.path("out/calls.csv.part"));
    place.hush();
    place
}

#[test]
fn d6_an_output_that_was_deleted_shortened_edited_or_replaced_fails_by_name_and_is_extracted_anew_with_fresh() {
    let touches: [(&str, Touch); 5] = [
        ("deleted", |part| fs::remove_file(part).unwrap()),
        ("shortened", |part| fs::File::options().write(true).open(part).unwrap().set_len(100).unwrap()),
        ("emptied", |part| fs::write(part, "").unwrap()),
        ("edited", |part| {
            let mut file = fs::File::options().write(true).open(part).unwrap();
            file.seek(SeekFrom::Start(200)).unwrap();
            file.write_all(b"~").unwrap();
        }),
        ("replaced", |part| {
            let len = fs::read(part).unwrap().len();
            fs::remove_file(part).unwrap();
            fs::write(part, "x".repeat(len)).unwrap();
        }),
    ];
    for (how, touch) in touches {
        let place = touched(touch);
        let n_pages = place.n_pages_served();
        assert_eq!(place.run(&[]), 1, "{how}: {}", place.said());
        assert!(place.said().contains("calls.csv"), "{how}: it is not named: {}", place.said());
        assert!(place.said().contains("--fresh"), "{how}: no remedy is named: {}", place.said());
        assert_eq!(place.n_pages_served(), n_pages, "{how}: it was gone on with");
        assert!(!place.output("calls").exists(), "{how}");
        assert_eq!(place.run(&["--fresh"]), 0, "{how}: {}", place.said());
        judge_end(&place);
        assert_eq!(n_queries(&place, "calls"), 2, "{how}");
    }
}

#[test]
fn d6_the_run_after_a_lost_output_starts_it_again_also_without_fresh() {
    let place = touched(|part| fs::remove_file(part).unwrap());
    assert_eq!(place.run(&[]), 1, "{}", place.said());
    assert_eq!(place.run(&[]), 0, "{}", place.said());
    judge_end(&place);
}

#[test]
fn d6_what_stands_behind_the_position_is_cut_off() {
    let place = touched(|part| {
        let mut file = fs::File::options().append(true).open(part).unwrap();
        file.write_all(b"half a record that a kill left").unwrap();
    });
    let between = Between::now(&place);
    assert_eq!(place.run(&[]), 0, "{}", place.said());
    judge_calls(&place, &between);
    judge_end(&place);
    assert_eq!(n_queries(&place, "calls"), 1);
}

/// A small file system at a folder, where this user is root: nobody else may mount one.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: PathBuf, options: &str) -> Option<Self> {
        fs::create_dir_all(&at).unwrap();
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(&at).output();
        match mount {
            Ok(mount) if mount.status.success() => Some(Self(at)),
            _ if !rustix::process::geteuid().is_root() => {
                eprintln!("nothing shown: only root may mount a tmpfs");
                None
            }
            failed => panic!("a tmpfs can't be mounted, and this is root: {failed:?}; give this machine the right to"),
        }
    }

    fn remount(&self, options: &str) {
        let options = format!("remount,{options}");
        assert!(Command::new("mount").args(["-o", &options]).arg(&self.0).status().unwrap().success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn d1_a_full_disk_parks_the_report_and_with_room_the_next_run_ends_with_the_same_bytes() {
    let mock = MockTenant::builder().requests_per_second(f64::INFINITY).report("calls", MockReport::with_rows(60_000));
    let mut place =
        Place::new(mock).report_with("calls", "window: {from: 2024-01-01, to: 2024-01-31}\n    page_size: 1000");
    place.tenant = crate::place::QUICK.replace("max_in_flight: 2", "max_in_flight: 4");
    let Some(disk) = SmallDisk::mount(place.path("out"), "size=2m,mode=700") else { return };
    assert_eq!(place.run(&[]), 75, "{}", place.said());
    assert!(place.said().contains("no room left"), "{}", place.said());
    let stored = place.stored();
    assert_eq!(stored[0].state, ReportState::Parked);
    assert!(!place.output("calls").exists() && manifest(&place, "calls").is_none());
    let part = fs::read(place.path("out/calls.csv.part")).unwrap();
    if let Some(checkpoint) = &stored[0].checkpoint {
        let offset = usize::try_from(checkpoint.position.output.offset).unwrap();
        assert!(part.len() >= offset, "{} bytes are left, the position is {offset}", part.len());
    }
    // Still full: parked again, and nothing is lost by it.
    assert_eq!(place.run(&[]), 75, "{}", place.said());
    disk.remount("size=64m");
    assert_eq!(place.run(&[]), 0, "{}", place.said());
    judge_end(&place);
    assert_eq!(n_queries(&place, "calls"), 1);
    assert!(place.expected("calls").len() > 4 << 20);
}

#[test]
fn d7_a_folder_that_can_not_be_written_fails_its_report_by_name_before_any_submission() {
    let mock = MockTenant::builder().requests_per_second(f64::INFINITY).default_report(MockReport::with_rows(100));
    let mut place = Place::new(mock).report("calls", "output: {path: \"closed/calls.csv\"}").report("queues", "");
    // Below a file there is no folder, not even for root.
    fs::create_dir_all(place.path("out")).unwrap();
    fs::write(place.path("out/closed"), "").unwrap();
    assert_eq!(place.run(&[]), 1, "{}", place.said());
    assert!(place.said().contains("closed"), "it is not named: {}", place.said());
    assert_eq!((n_queries(&place, "calls"), n_queries(&place, "queues")), (0, 1));
    judge_folder(&place, "queues");
    assert!(place.output("queues").exists(), "the other report is delivered");
    // A file system that takes nothing.
    fs::remove_file(place.path("out/closed")).unwrap();
    let Some(disk) = SmallDisk::mount(place.path("out/closed"), "size=1m,ro") else { return };
    place.hush();
    assert_eq!(place.run(&["calls"]), 1, "{}", place.said());
    assert!(place.said().contains("closed"), "it is not named: {}", place.said());
    assert_eq!(n_queries(&place, "calls"), 0);
    disk.remount("rw");
    place.reports.truncate(1);
    assert_eq!(place.run(&["calls"]), 0, "{}", place.said());
    assert!(fs::read(place.path("out/closed/calls.csv")).unwrap() == place.expected("calls"));
}

#[test]
fn d1_a_limit_on_the_size_of_files_parks_the_report_like_a_full_disk() {
    let mock = MockTenant::builder().requests_per_second(f64::INFINITY).report("calls", MockReport::with_rows(20_000));
    let place =
        Place::new(mock).report_with("calls", "window: {from: 2024-01-01, to: 2024-01-31}\n    page_size: 1000");
    // In blocks of 512 bytes: room for the state store, not for the output.
    let mut limited = Running::start(place.command_after("ulimit -f 2000", &["run"]));
    assert_eq!(limited.end(), Some(75), "{}", place.said());
    assert!(place.said().contains("no room left"), "{}", place.said());
    judge_folder(&place, "calls");
    // What was whole before there was no room is kept, though no commit was due yet.
    let stored = place.stored();
    let position = &stored[0].checkpoint.as_ref().expect("a position").position;
    assert!((2..16).contains(&position.n_pages), "{position:?}");
    assert_eq!(position.output.offset, fs::metadata(place.path("out/calls.csv.part")).unwrap().len());
    assert_eq!(place.run(&[]), 0, "{}", place.said());
    judge_end(&place);
    assert_eq!(n_queries(&place, "calls"), 1);
}

#[test]
fn d7_with_too_few_open_files_nothing_is_submitted_or_everything_is_delivered() {
    let (mut refused, mut n_delivered, mut breaches) = (0, 0, Vec::new());
    for n_files in [6, 7, 8, 10, 12, 16, 20, 24, 32, 40, 48, 52, 55, 56, 57, 60, 64, 80] {
        let mock = MockTenant::builder().requests_per_second(f64::INFINITY).report("calls", MockReport::with_rows(100));
        let place = Place::new(mock).report("calls", "");
        let limited = place.command_after(&format!("ulimit -n {n_files}"), &["run", "--progress", "json"]);
        let mut run = Running::start(limited);
        let Some(code) = run.end_within(Duration::from_secs(20)) else {
            breaches.push(format!("{n_files} files: it does not end: {}", place.said()));
            continue;
        };
        judge_folder(&place, "calls");
        if code == Some(0) {
            judge_end(&place);
            n_delivered += 1;
            continue;
        }
        refused += 1;
        let (said, n_queries) = (place.said(), n_queries(&place, "calls"));
        let is_named = said.contains("open files") || said.contains("os error 24");
        if !matches!(code, Some(1 | 2 | 75)) || !is_named || n_queries > 0 {
            breaches.push(format!("{n_files} files: {code:?}, {n_queries} queries, {said}"));
        }
        assert_eq!(place.run(&[]), 0, "{}", place.said());
        judge_end(&place);
    }
    assert!(refused > 2 && n_delivered > 2, "{refused} refused, {n_delivered} delivered");
    assert!(breaches.is_empty(), "{}", breaches.join("\n"));
}
