//! Where a store is kept: who may read it, and places that won't do.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use cxtract::state::{SqliteStore, Store};

use super::support::{Place, acme, calls, fill, still, view};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn refusal(path: &Path) -> String {
    let error = SqliteStore::open(path, still()).err().unwrap().to_string();
    assert!(error.contains(&path.display().to_string()), "{error}");
    assert!(!SqliteStore::open_existing(path, still()).is_ok_and(|found| found.is_some()));
    error
}

#[test]
fn only_the_owner_can_read_anything_of_a_store() {
    let place = Place::new();
    let folder = place.0.path().join("a/b");
    let path = folder.join("state.db");
    let store = SqliteStore::open(&path, still()).unwrap();
    let _claim = store.claim(&calls(), &acme()).unwrap().unwrap();
    fill(&store);
    assert_eq!((mode(&folder), mode(folder.parent().unwrap())), (0o700, 0o700));
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).unwrap().map(Result::unwrap) {
        let is_folder = entry.file_type().unwrap().is_dir();
        assert_eq!(mode(&entry.path()), if is_folder { 0o700 } else { 0o600 }, "{:?}", entry.path());
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort();
    let pace = ["state.db-pace", "state.db-pace-shm", "state.db-pace-wal"];
    assert_eq!(names, [&["state.db"], &pace[..], &["state.db-shm", "state.db-wal", "state.db.locks"]].concat());
    assert_eq!(mode(&folder.join("state.db.locks/calls@acme.lock")), 0o600);
}

#[test]
fn looking_for_a_store_makes_nothing() {
    let place = Place::new();
    let path = place.0.path().join("not there/state.db");
    assert!(SqliteStore::open_existing(&path, still()).unwrap().is_none());
    assert_eq!(fs::read_dir(place.0.path()).unwrap().count(), 0);
}

#[test]
fn a_path_at_which_no_database_can_be_is_named_with_the_reason() {
    let place = Place::new();
    let inside = |name: &str| place.0.path().join(name);
    fs::create_dir(inside("folder")).unwrap();
    assert!(refusal(&inside("folder")).contains("that is a folder"));
    fs::write(inside("file"), "text").unwrap();
    assert!(refusal(&inside("file/state.db")).contains("opening"));
    symlink(inside("nowhere"), inside("link")).unwrap();
    assert!(refusal(&inside("link")).contains("leads nowhere"));
    assert_eq!(fs::read_dir(place.0.path()).unwrap().count(), 3, "nothing was made");
}

#[test]
fn a_folder_that_may_not_be_written_to_is_named() {
    let place = Place::new();
    let folder = place.0.path().join("folder");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o500)).unwrap();
    // The superuser may write there all the same; a file system without files of its own takes nobody's.
    let is_super = fs::write(folder.join("probe"), "").is_ok();
    let path = if is_super { "/proc/self/state.db".into() } else { folder.join("state.db") };
    assert!(refusal(&path).contains("the state store failed while opening"));
}

#[test]
fn a_store_behind_a_link_is_the_same_store() {
    let place = Place::new();
    fill(&place.open());
    let link = place.0.path().join("link.db");
    symlink(place.path(), &link).unwrap();
    let behind = SqliteStore::open(&link, still()).unwrap();
    let there = place.open();
    assert_eq!(view(&behind), view(&there));
    let claim = there.claim(&calls(), &acme()).unwrap();
    assert!(claim.is_some() && behind.claim(&calls(), &acme()).unwrap().is_none());
}
