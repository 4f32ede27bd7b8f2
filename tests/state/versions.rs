//! Stores that another version of the program has written.

use cxtract::state::{SqliteStore, Store, StoreError};
use rusqlite::Connection;

use super::support::{Place, acme, complain, fill, still, view, wait};

/// Where a version stands in the header of a database, besides SQLite's own place for it.
const APPLICATION: u32 = 0x6378_0000;

fn set_version(database: &Connection, version: u32) {
    database.pragma_update(None, "user_version", version).unwrap();
    database.pragma_update(None, "application_id", APPLICATION + version).unwrap();
}

fn version_of(place: &Place) -> u32 {
    let database = Connection::open(place.path()).unwrap();
    database.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
}

/// A filled store as the first version left it: it knew no waits.
fn of_version_1() -> Place {
    let place = Place::new();
    fill(&place.open());
    let database = Connection::open(place.path()).unwrap();
    database.execute_batch("DROP TABLE tenant_wait").unwrap();
    set_version(&database, 1);
    place
}

#[test]
fn k7_a_store_of_an_older_version_is_migrated_with_everything_in_it() {
    let whole = Place::new();
    fill(&whole.open());
    let before = view(&whole.open()).unwrap();
    let place = of_version_1();
    let store = place.open();
    let after = view(&store).unwrap();
    assert_eq!((&after.0, &after.1, after.2, after.3), (&before.0, &before.1, before.2, None));
    complain(&store, wait(5, 6)).unwrap();
    drop(store);
    assert_eq!(version_of(&place), version_of(&whole));
    assert_eq!(place.open().tenant_wait(&acme()), Ok(Some(wait(5, 6))));
}

#[test]
fn k7_two_that_migrate_at_once_migrate_once() {
    let place = of_version_1();
    std::thread::scope(|scope| {
        let opening = [(); 4].map(|()| scope.spawn(|| place.open().list().unwrap().len()));
        for opened in opening {
            assert_eq!(opened.join().unwrap(), 2);
        }
    });
}

#[test]
fn k7_a_store_of_a_newer_version_is_refused_and_left_as_it_is() {
    let place = Place::new();
    fill(&place.open());
    let known = version_of(&place);
    let database = Connection::open(place.path()).unwrap();
    database.execute_batch("ALTER TABLE extraction ADD COLUMN of_the_future TEXT").unwrap();
    set_version(&database, known + 3);
    drop(database);
    let before = std::fs::read(place.path()).unwrap();
    let path = place.path().display().to_string();
    let refusal = StoreError::TooNew { path: path.clone(), found: known + 3, known };
    assert_eq!(SqliteStore::open(&place.path(), still()).err(), Some(refusal.clone()));
    assert_eq!(SqliteStore::open_existing(&place.path(), still()).err(), Some(refusal.clone()));
    assert_eq!(std::fs::read(place.path()).unwrap(), before);
    let told = refusal.to_string();
    for word in [&path, &format!("version {}", known + 3), &format!("none above {known}"), "a newer program"] {
        assert!(told.contains(word), "{told}");
    }
}

#[test]
fn k7_an_older_program_that_still_runs_writes_nothing_once_a_newer_one_has_migrated() {
    let place = Place::new();
    let store = place.open();
    fill(&store);
    let known = version_of(&place);
    set_version(&Connection::open(place.path()).unwrap(), known + 1);
    let refused = complain(&store, wait(i64::from(i32::MAX), 1)).unwrap_err();
    assert!(matches!(refused, StoreError::TooNew { .. }), "{refused}");
}
