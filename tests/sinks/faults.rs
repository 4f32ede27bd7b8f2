//! Rows of the table of faults that end at a destination.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use cxtract::delivery::{DiskFault, RealDisk, SimDisk};
use cxtract::sink::{Backstage, FileSink, OutputNames, Sink, SinkError, StdoutSink, preflight};

use super::support::{blocks, joined, manifest, position_after, sealed, small_pages};

/// What somebody else does to a part.
type Harm = fn(&Path);

fn real(path: &Path, backstage: Backstage) -> FileSink {
    FileSink::new(Arc::new(RealDisk), &OutputNames::of(path), backstage)
}

fn simulated(disk: &SimDisk, backstage: Backstage) -> FileSink {
    FileSink::new(Arc::new(disk.clone()), &OutputNames::of("out/o.csv"), backstage)
}

#[test]
fn s2_a_link_where_the_output_should_stand_is_refused_and_its_target_untouched() {
    let tmp = tempfile::tempdir().unwrap();
    let (path, precious) = (tmp.path().join("o.csv"), tmp.path().join("precious"));
    std::fs::write(&precious, "precious").unwrap();
    for name in ["o.csv", "o.csv.part", "o.csv.manifest.json"] {
        let link = tmp.path().join(name);
        symlink(&precious, &link).unwrap();
        let error = preflight(&RealDisk, &OutputNames::of(&path)).unwrap_err();
        assert!(matches!(&error, SinkError::Unusable { why, .. } if why.contains("link")), "{error}");
        std::fs::remove_file(&link).unwrap();
    }
    preflight(&RealDisk, &OutputNames::of(&path)).unwrap();
    for name in ["o.csv", "o.csv.part"] {
        let link = tmp.path().join(name);
        symlink(&precious, &link).unwrap();
        real(&path, Backstage::inline()).begin(None).unwrap_err();
        std::fs::remove_file(&link).unwrap();
    }
    assert_eq!(std::fs::read(&precious).unwrap(), b"precious");
}

#[test]
fn s2_a_link_put_in_the_place_of_the_part_between_two_runs_is_not_followed() {
    let tmp = tempfile::tempdir().unwrap();
    let (path, part) = (tmp.path().join("o.csv"), tmp.path().join("o.csv.part"));
    let pages = small_pages(2);
    let mut sink = real(&path, Backstage::inline());
    sink.begin(None).unwrap();
    sink.write(&pages[0]).unwrap();
    sink.commit(&position_after(&pages[..1])).unwrap();
    drop(sink);
    let moved = tmp.path().join("moved");
    std::fs::rename(&part, &moved).unwrap();
    symlink(&moved, &part).unwrap();
    real(&path, Backstage::inline()).begin(Some(&position_after(&pages[..1]))).unwrap_err();
}

#[test]
fn s2_a_directory_a_long_name_or_a_nul_is_refused_before_anything_is_written() {
    let tmp = tempfile::tempdir().unwrap();
    std::fs::create_dir(tmp.path().join("o.csv")).unwrap();
    std::fs::write(tmp.path().join("file"), "").unwrap();
    let long = "x".repeat(300);
    for bad in ["o.csv", "file/o.csv", &long, "a\0b.csv"] {
        let error = preflight(&RealDisk, &OutputNames::of(tmp.path().join(bad))).unwrap_err();
        assert!(matches!(error, SinkError::Unusable { .. }), "{bad:?}: {error}");
    }
    assert_eq!(std::fs::read_dir(tmp.path()).unwrap().count(), 2);
}

#[test]
fn d7_a_file_system_that_takes_no_file_is_refused_before_anything_is_fetched() {
    let disk = SimDisk::new();
    let names = OutputNames::of("out/o.csv");
    for n in 0..6 {
        disk.fail_nth(n, DiskFault::Full);
        let error = preflight(&disk, &names).unwrap_err();
        assert!(matches!(error, SinkError::Unusable { .. }), "{error}");
    }
    preflight(&disk, &names).unwrap();
    assert_eq!(disk.names(), Vec::<std::path::PathBuf>::new());
}

#[test]
fn d1_a_full_disk_is_told_apart_from_other_faults() {
    for (fault, is_full) in [(DiskFault::Full, true), (DiskFault::Io, false)] {
        let disk = SimDisk::new();
        let mut sink = simulated(&disk, Backstage::inline());
        sink.begin(None).unwrap();
        disk.fail_nth(0, fault);
        let error = sink.write(&Bytes::from(vec![b'x'; 300_000])).unwrap_err();
        assert_eq!(matches!(error, SinkError::Full { .. }), is_full, "{error}");
        assert!(error.to_string().contains("out/o.csv.part"), "{error}");
    }
}

#[test]
fn d2_a_failed_sync_is_final_and_never_tried_again() {
    for backstage in [Backstage::inline(), Backstage::threads(1 << 20)] {
        let (disk, pages) = (SimDisk::new(), small_pages(2));
        let mut sink = simulated(&disk, backstage);
        sink.begin(None).unwrap();
        sink.write(&pages[0]).unwrap();
        // The operations of a commit: the write, the look by name, the sync.
        disk.fail_nth(2, DiskFault::Io);
        let (tell, told) = crossbeam_channel::unbounded();
        sink.commit_later(&position_after(&pages[..1]), Box::new(move |result| tell.send(result).unwrap()));
        let error = told.recv().unwrap().unwrap_err();
        assert!(matches!(&error, SinkError::Unsynced { .. }), "{error}");
        let n_operations = disk.n_operations();
        sink.write(&pages[1]).unwrap_err();
        sink.commit(&position_after(&pages)).unwrap_err();
        sink.seal().unwrap_err();
        sink.finish(&manifest(&sealed(&pages))).unwrap_err();
        assert_eq!(disk.n_operations(), n_operations, "the disk was touched again");
        assert_eq!(disk.contents("out/o.csv".as_ref()), None);
    }
}

#[test]
fn d6_a_part_that_was_deleted_cut_or_edited_while_parked_is_lost_by_name() {
    let all = blocks();
    let position = position_after(&all[..9]);
    let harm: [(&str, Harm); 4] = [
        ("gone", |part| std::fs::remove_file(part).unwrap()),
        ("bytes", |part| std::fs::OpenOptions::new().write(true).open(part).unwrap().set_len(100).unwrap()),
        ("contents", |part| {
            let mut contents = std::fs::read(part).unwrap();
            contents[777] ^= 1;
            std::fs::write(part, contents).unwrap();
        }),
        ("contents", |part| {
            let len = std::fs::metadata(part).unwrap().len();
            std::fs::write(part, vec![0; usize::try_from(len).unwrap()]).unwrap();
        }),
    ];
    for (word, harm) in harm {
        let tmp = tempfile::tempdir().unwrap();
        let path = tmp.path().join("o.csv");
        let mut sink = real(&path, Backstage::threads(1 << 20));
        sink.begin(None).unwrap();
        all[..9].iter().for_each(|block| sink.write(block).unwrap());
        sink.commit(&position).unwrap();
        drop(sink);
        harm(&tmp.path().join("o.csv.part"));
        let error = real(&path, Backstage::inline()).begin(Some(&position)).unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, SinkError::Lost { .. }), "{text}");
        assert!(text.contains("o.csv.part") && text.contains(word) && text.contains("--fresh"), "{text}");
    }
}

#[test]
fn d6_a_part_that_is_deleted_exchanged_or_cut_while_it_is_written_is_lost_at_the_next_commit() {
    let all = blocks();
    let harm: [Harm; 3] = [
        |part| std::fs::remove_file(part).unwrap(),
        |part| {
            std::fs::rename(part, part.with_extension("moved")).unwrap();
            std::fs::copy(part.with_extension("moved"), part).unwrap();
        },
        |part| std::fs::OpenOptions::new().write(true).open(part).unwrap().set_len(1).unwrap(),
    ];
    for harm in harm {
        for seals in [false, true] {
            let tmp = tempfile::tempdir().unwrap();
            let mut sink = real(&tmp.path().join("o.csv"), Backstage::threads(1 << 20));
            sink.begin(None).unwrap();
            all[..9].iter().for_each(|block| sink.write(block).unwrap());
            sink.commit_later(&position_after(&all[..9]), Box::new(|result| result.unwrap()));
            sink.commit(&position_after(&all[..9])).unwrap();
            harm(&tmp.path().join("o.csv.part"));
            sink.write(&all[9]).unwrap();
            let result = if seals { sink.seal().map(drop) } else { sink.commit(&position_after(&all[..10])) };
            let error = result.unwrap_err();
            assert!(matches!(error, SinkError::Lost { .. }), "{error}");
            assert!(!tmp.path().join("o.csv").exists());
        }
    }
}

#[test]
fn d6_a_part_that_is_edited_in_place_while_it_is_written_is_lost_before_it_is_delivered() {
    let all = blocks();
    for commits in [false, true] {
        let tmp = tempfile::tempdir().unwrap();
        let mut sink = real(&tmp.path().join("o.csv"), Backstage::threads(1 << 20));
        sink.begin(None).unwrap();
        all.iter().for_each(|block| sink.write(block).unwrap());
        if commits {
            sink.commit(&position_after(&all)).unwrap();
        }
        let part = std::fs::OpenOptions::new().write(true).open(tmp.path().join("o.csv.part")).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&part, b"~~~~~", 30).unwrap();
        let error = sink.seal().unwrap_err();
        assert!(matches!(error, SinkError::Lost { .. }), "{error}");
        assert!(!tmp.path().join("o.csv").exists());
    }
}

#[test]
fn d6_a_part_that_is_taken_away_between_seal_and_finish_is_lost_and_nothing_is_published() {
    let (disk, pages) = (SimDisk::new(), small_pages(2));
    disk.put("out/o.csv.manifest.json".as_ref(), b"old");
    disk.put("out/o.csv".as_ref(), b"old");
    let mut sink = simulated(&disk, Backstage::inline());
    sink.begin(None).unwrap();
    pages.iter().for_each(|page| sink.write(page).unwrap());
    sink.seal().unwrap();
    disk.put("out/o.csv.part".as_ref(), b"other");
    let error = sink.finish(&manifest(&sealed(&pages))).unwrap_err();
    assert!(matches!(error, SinkError::Lost { .. }), "{error}");
    assert_eq!(disk.contents("out/o.csv".as_ref()).unwrap(), b"old");
    assert_eq!(disk.contents("out/o.csv.manifest.json".as_ref()).unwrap(), b"old");
}

#[test]
fn a_position_that_is_not_where_the_file_is_is_never_committed() {
    let (disk, pages) = (SimDisk::new(), small_pages(2));
    let mut sink = simulated(&disk, Backstage::inline());
    sink.begin(None).unwrap();
    sink.write(&pages[0]).unwrap();
    let error = sink.commit(&position_after(&pages)).unwrap_err();
    assert!(matches!(error, SinkError::Failed { .. }), "{error}");
}

#[test]
fn a_manifest_of_other_bytes_is_never_published() {
    let (disk, pages) = (SimDisk::new(), small_pages(2));
    let mut sink = simulated(&disk, Backstage::inline());
    sink.begin(None).unwrap();
    sink.write(&pages[0]).unwrap();
    sink.finish(&manifest(&sealed(&pages))).unwrap_err();
    assert_eq!(disk.contents("out/o.csv".as_ref()), None);
}

#[test]
fn small_blocks_reach_the_disk_in_large_writes() {
    let mut sink = simulated(&SimDisk::new(), Backstage::inline());
    sink.begin(None).unwrap();
    let block = Bytes::from(vec![b'x'; 1024]);
    (0..2048).for_each(|_| sink.write(&block).unwrap());
    sink.seal().unwrap();
    assert!(sink.n_writes() <= 18, "{} writes for 2 MiB", sink.n_writes());
}

#[test]
fn output_and_manifest_are_readable_by_their_owner_only() {
    let tmp = tempfile::tempdir().unwrap();
    let path = tmp.path().join("new/o.csv");
    let pages = small_pages(3);
    let mut sink = real(&path, Backstage::threads(1 << 20));
    sink.begin(None).unwrap();
    pages.iter().for_each(|page| sink.write(page).unwrap());
    sink.finish(&manifest(&sealed(&pages))).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(&tmp.path().join("new/o.csv.manifest.json"))), (0o600, 0o600));
    assert_eq!(mode(&tmp.path().join("new")), 0o700);
    assert_eq!(std::fs::read(&path).unwrap(), joined(&pages));
    assert_eq!(std::fs::read_dir(tmp.path().join("new")).unwrap().count(), 2);
}

#[test]
fn a_reader_that_went_away_is_an_end_of_its_own_kind() {
    struct Broken;
    impl std::io::Write for Broken {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut sink = StdoutSink::over(Broken, Backstage::inline());
    sink.begin(None).unwrap();
    assert!(matches!(sink.write(&Bytes::from_static(b"x")), Err(SinkError::Closed)));
}

#[test]
fn the_manifest_s_fields_stand_in_the_published_order() {
    let text = manifest(&sealed(&small_pages(1))).to_json();
    let order = ["version", "report", "tenant", "query_id", "window", "output", "columns", "pages", "reconciliation"];
    let order = order.into_iter().chain(["csv", "http", "resumed", "started_at", "finished_at"]);
    let at: Vec<_> = order.map(|field| text.find(&format!("\n  \"{field}\":")).unwrap()).collect();
    assert!(at.is_sorted() && text.ends_with("}\n"), "{text}");
}
