//! A store that is not as it was left: it is refused as damaged, or everything in it is right. It is never read as
//! something else, never as empty, and never overwritten.

use std::fs;
use std::path::{Path, PathBuf};

use cxtract::state::{SqliteStore, Store, StoreError};

use super::support::{Place, View, complain, fill, still, view, wait};

/// A filled store as bytes, and what is in it.
fn sound() -> (Vec<u8>, View) {
    let place = Place::new();
    let store = place.open();
    fill(&store);
    let seen = view(&store).unwrap();
    drop(store);
    // The other one is the tenants' pace, of which nothing has to last.
    assert_eq!(fs::read_dir(place.0.path()).unwrap().count(), 2, "a closed store is one file");
    (fs::read(place.path()).unwrap(), seen)
}

fn open_and_view(path: &Path) -> Result<View, StoreError> {
    view(&SqliteStore::open(path, still())?)
}

/// Whether damage was noticed; anything but that or the right content is a failure.
fn is_noticed(place: &Place, bytes: &[u8], content: &View, what: &str) -> bool {
    let path = place.path();
    for suffix in ["-wal", "-shm"] {
        drop(fs::remove_file(beside(&path, suffix)));
    }
    fs::write(&path, bytes).unwrap();
    match open_and_view(&path) {
        Ok(found) => {
            assert_eq!(&found, content, "{what}");
            false
        }
        Err(error) => {
            let told = error.to_string();
            // A bit of the version alone makes a store a newer one; as such it is refused, too.
            let is_newer = matches!(error, StoreError::TooNew { .. });
            assert!(is_newer || matches!(error, StoreError::Damaged { .. }), "{what}: {error}");
            assert!(told.contains(&path.display().to_string()), "{told}");
            assert!(is_newer || told.contains("--fresh"), "{told}");
            assert!(!told.contains('\n'), "{told}");
            assert!(fs::read(&path).unwrap() == bytes, "{what}: a damaged store was written to");
            true
        }
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[test]
fn d5_a_flipped_bit_is_noticed_or_harmless() {
    let (bytes, content) = sound();
    let place = Place::new();
    let (mut n_tried, mut n_noticed) = (0, 0);
    // Bytes that are zero are mostly room that nothing uses; every other one is tried.
    for at in (0..bytes.len()).filter(|at| bytes[*at] != 0 || at % 61 == 0) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        n_noticed += u32::from(is_noticed(&place, &flipped, &content, &format!("bit {} of byte {at}", at % 8)));
        n_tried += 1;
    }
    assert!(n_tried > 1_000 && n_noticed > n_tried / 2, "{n_noticed} of {n_tried}");
}

#[test]
fn d5_a_store_with_a_flipped_bit_in_its_header_is_refused_or_takes_what_is_written() {
    let (bytes, content) = sound();
    let place = Place::new();
    for (at, bit) in (0..100).flat_map(|at| [0, 1, 7].map(|bit| (at, bit))) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << bit;
        let what = format!("bit {bit} of byte {at}");
        if !is_noticed(&place, &flipped, &content, &what) {
            let new = wait(i64::from(i32::MAX) * 1_000, 1);
            complain(&place.open(), new).unwrap_or_else(|error| panic!("{what}: {error}"));
            let (all, found, watermark, _) = content.clone();
            assert_eq!(open_and_view(&place.path()), Ok((all, found, watermark, Some(new))), "{what}");
        }
    }
}

#[test]
fn d5_a_flipped_bit_in_a_value_is_always_noticed() {
    let (bytes, content) = sound();
    let place = Place::new();
    let find = |text: &str| bytes.windows(text.len()).position(|window| window == text.as_bytes()).unwrap();
    let values = ["query-2-of-the-tenant", "/out/calls.csv", "a51c", "told to wait", "columns and counts", "12345"];
    for value in values {
        for at in find(value)..find(value) + value.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            assert!(is_noticed(&place, &flipped, &content, value), "byte {at}, in {value}");
        }
    }
}

#[test]
fn d5_a_store_cut_short_is_damaged_and_never_begun_anew() {
    let (bytes, content) = sound();
    let place = Place::new();
    let lengths = [0, 1, 15, 16, 99, 100, 101, 511, 512, 1024, 4095].into_iter();
    for length in lengths.chain((4096..bytes.len()).step_by(1024)).chain([bytes.len() - 1]) {
        assert!(is_noticed(&place, &bytes[..length], &content, &format!("cut to {length}")), "cut to {length}");
        assert!(matches!(SqliteStore::open_existing(&place.path(), still()), Err(StoreError::Damaged { .. })));
    }
}

#[test]
fn d5_a_file_that_is_no_store_is_damaged_and_left_alone() {
    let (bytes, content) = sound();
    let place = Place::new();
    assert!(is_noticed(&place, b"report,tenant\n", &content, "text"));
    assert!(is_noticed(&place, &vec![0; bytes.len()], &content, "zeros"));
    let foreign = Place::new();
    rusqlite::Connection::open(foreign.path()).unwrap().execute_batch("CREATE TABLE theirs (a)").unwrap();
    assert!(is_noticed(&place, &fs::read(foreign.path()).unwrap(), &content, "somebody else's database"));
}

#[test]
fn d5_a_page_that_another_one_was_written_over_is_noticed() {
    let (bytes, content) = sound();
    let place = Place::new();
    let n_pages = bytes.len() / 4096;
    let (mut n_tried, mut n_noticed) = (0, 0);
    for (to, from) in (0..n_pages).flat_map(|to| (0..n_pages).map(move |from| (to, from))).filter(|(a, b)| a != b) {
        let mut mixed = bytes.clone();
        mixed.copy_within(from * 4096..(from + 1) * 4096, to * 4096);
        n_noticed += u32::from(is_noticed(&place, &mixed, &content, &format!("page {from} over page {to}")));
        n_tried += 1;
    }
    assert!(n_noticed > n_tried / 2, "{n_noticed} of {n_tried}");
}

#[test]
fn d5_a_row_that_somebody_edited_is_named() {
    let edits = [
        ("UPDATE extraction SET position = replace(position, '12', '13') WHERE report = 'calls'", "calls@acme"),
        ("UPDATE extraction SET report = 'Calls' WHERE report = 'calls'", "Calls@acme"),
        ("UPDATE extraction SET state = 'done' WHERE report = 'calls'", "of report calls in table extraction"),
        ("UPDATE query SET id = 'other' WHERE part = 2", "calls@acme in table query"),
        ("DELETE FROM query WHERE part = 2", "calls@acme in table extraction"),
        ("UPDATE watermark SET at = at + 1", "agents@acme in table watermark"),
        ("UPDATE tenant_wait SET wait = replace(wait, '900', '9')", "tenant acme in table tenant_wait"),
        ("UPDATE tenant_wait SET tenant = 'acne'", "tenant acne in table tenant_wait"),
    ];
    for (edit, named) in edits {
        let place = Place::new();
        fill(&place.open());
        assert_ne!(rusqlite::Connection::open(place.path()).unwrap().execute(edit, []).unwrap(), 0);
        let told = open_and_view(&place.path()).unwrap_err();
        assert!(matches!(&told, StoreError::Damaged { what } if what.contains(named)), "{edit}: {told}");
    }
}

#[test]
fn d5_damage_while_the_store_is_open_is_noticed_at_the_row() {
    let place = Place::new();
    let store = place.open();
    fill(&store);
    let other = rusqlite::Connection::open(place.path()).unwrap();
    other.execute("UPDATE extraction SET memo = 'x' WHERE report = 'calls'", []).unwrap();
    assert!(matches!(store.list(), Err(StoreError::Damaged { .. })));
    let key = super::support::key("calls", 19_800, "a51c");
    assert!(matches!(store.take_up(&key), Err(StoreError::Damaged { .. })), "nothing is built on it");
}

#[test]
fn d5_the_log_of_a_killed_process_holds_nothing_that_the_database_lacks() {
    let place = Place::new();
    let store = place.open();
    fill(&store);
    let content = view(&store).unwrap();
    // As a kill leaves it: nothing is closed.
    let bytes = fs::read(place.path()).unwrap();
    let left = fs::read(beside(&place.path(), "-wal")).unwrap();
    assert!(left.len() > 4_096, "the last commit is still in it");
    let killed = Place::new();
    assert!(!is_noticed(&killed, &bytes, &content, "without its log"));
    let flipped = (0..left.len()).filter(|at| *at < 60 || at % 97 == 0).map(|at| {
        let mut log = left.clone();
        log[at] ^= 1 << (at % 8);
        log
    });
    let cut = (0..left.len()).step_by(500).map(|length| left[..length].to_vec());
    for log in flipped.chain(cut).chain([left.clone(), vec![0xa5; 5_000]]) {
        fs::write(killed.path(), &bytes).unwrap();
        fs::write(beside(&killed.path(), "-wal"), &log).unwrap();
        assert_eq!(open_and_view(&killed.path()).unwrap(), content);
    }
}

#[test]
fn d5_the_log_of_a_store_that_is_gone_is_not_taken_for_that_of_a_new_one() {
    let place = Place::new();
    let log = beside(&place.path(), "-wal");
    fs::write(&log, vec![1; 5_000]).unwrap();
    for refused in
        [SqliteStore::open(&place.path(), still()).err(), SqliteStore::open_existing(&place.path(), still()).err()]
    {
        assert!(matches!(refused, Some(StoreError::Damaged { what }) if what.contains("-wal")));
    }
    assert!(!place.path().exists());
    fs::remove_file(&log).unwrap();
    assert!(place.open().list().unwrap().is_empty());
}
