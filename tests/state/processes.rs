//! Several users of one store: threads with a connection each, and processes that are killed.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use cxtract::model::{PageNumber, QueryId, ReportName, Timestamp};
use cxtract::state::{SqliteStore, Store};

use super::support::{Place, acme, at, begun, calls, fill, key, still, view};

/// Names the database to the process that a test starts of itself.
pub(crate) const CHILD: &str = "CXTRACT_TEST_STATE_STORE";

/// Runs the test of that name in a process of its own, over the store at `path`.
pub(crate) fn start(test: &str, path: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(CHILD, path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

pub(crate) fn say(word: impl std::fmt::Display) {
    let mut out = std::io::stdout().lock();
    // After a line's end: the test runner writes the name of the test without one.
    writeln!(out, "\nchild {word}").unwrap();
    out.flush().unwrap();
}

/// What the child says, word by word.
pub(crate) fn words(child: &mut Child) -> impl Iterator<Item = String> + use<> {
    let out = BufReader::new(child.stdout.take().unwrap());
    out.lines().map_while(Result::ok).filter_map(|line| line.strip_prefix("child ").map(str::to_owned))
}

#[test]
fn k5_the_claim_of_a_killed_process_is_free_at_once() {
    if let Ok(path) = std::env::var(CHILD) {
        let store = SqliteStore::open(path.as_ref(), still()).unwrap();
        let _claim = store.claim(&calls(), &acme()).unwrap().unwrap();
        say("claimed");
        // Until it is killed.
        std::io::stdin().read_line(&mut String::new()).unwrap();
        return;
    }
    let place = Place::new();
    let store = place.open();
    for _ in 0..3 {
        let mut child = start("processes::k5_the_claim_of_a_killed_process_is_free_at_once", &place.path());
        assert_eq!(words(&mut child).next().as_deref(), Some("claimed"));
        assert!(store.claim(&calls(), &acme()).unwrap().is_none());
        assert!(store.claim(&ReportName::new("agents"), &acme()).unwrap().is_some());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(store.claim(&calls(), &acme()).unwrap().is_some());
    }
}

#[test]
fn what_a_process_was_told_is_stored_outlives_its_kill() {
    let key = key("calls", 1, "h");
    if let Ok(path) = std::env::var(CHILD) {
        let store = SqliteStore::open(path.as_ref(), still()).unwrap();
        for page in 2.. {
            store.save_checkpoint(&key, &at(0, page)).unwrap();
            say(page);
        }
    }
    let place = Place::new();
    place.open().begin(&key, &begun("-")).unwrap();
    for n_heard in [1, 2, 7, 20, 40] {
        let mut child = start("processes::what_a_process_was_told_is_stored_outlives_its_kill", &place.path());
        let mut words = words(&mut child);
        words.nth(n_heard - 1).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        // It went on while it was being killed.
        let told: u64 = words.last().map_or(n_heard as u64 + 1, |word| word.parse().unwrap());
        let stored = place.open().load(&key).unwrap().unwrap().checkpoint.unwrap();
        let stored_page = stored.position.next_page;
        assert_eq!(stored, at(0, stored_page.0));
        assert!((PageNumber(told)..=PageNumber(told + 1)).contains(&stored_page), "{told} {stored_page}");
    }
}

#[test]
fn a_process_killed_while_it_makes_a_store_leaves_a_whole_one_or_none() {
    let name = |n: usize| format!("state-{n}.db");
    if let Ok(folder) = std::env::var(CHILD) {
        for n in 0.. {
            let store = SqliteStore::open(&Path::new(&folder).join(name(n)), still()).unwrap();
            drop(store);
            say(n);
        }
    }
    for n_heard in [1, 4, 9, 15] {
        let place = Place::new();
        let test = "processes::a_process_killed_while_it_makes_a_store_leaves_a_whole_one_or_none";
        let mut child = start(test, place.0.path());
        words(&mut child).nth(n_heard - 1).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        let found = |n| SqliteStore::open_existing(&place.0.path().join(name(n)), still()).unwrap();
        let stores: Vec<_> = (0..).map_while(found).collect();
        assert!(stores.len() >= n_heard);
        assert!(stores.iter().all(|store| store.list().unwrap().is_empty()));
        // Whatever the killed one had begun, the next one makes.
        let next = SqliteStore::open(&place.0.path().join(name(stores.len())), still()).unwrap();
        next.begin(&key("calls", 1, "h"), &begun("-")).unwrap();
    }
}

#[test]
fn two_that_write_at_once_lose_nothing() {
    const N: u32 = 60;
    let place = Place::new();
    let shared = key("shared", 1, "h");
    place.open().begin(&shared, &begun("-")).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..3_u32 {
            let (place, shared) = (&place, &shared);
            scope.spawn(move || {
                let store = place.open();
                let own = key(&format!("of {thread}"), 1, "h");
                store.begin(&own, &begun("-")).unwrap();
                for n in 0..N {
                    store.begin_submission(&own, n).unwrap();
                    let id = QueryId::new(&format!("{thread}-{n}"));
                    store.save_query(shared, thread * N + n, &id, Timestamp(i64::from(n))).unwrap();
                }
            });
        }
    });
    let all = place.open().list().unwrap();
    assert_eq!(all.iter().map(|one| one.submissions.len()).collect::<Vec<_>>(), [60, 60, 60, 0]);
    assert_eq!(all[3].queries.len(), 180);
    assert_eq!(all[3].queries[&(2 * N + 5)].id, QueryId::new("2-5"));
}

#[test]
fn two_that_make_a_store_at_once_make_one() {
    for _ in 0..5 {
        let place = Place::new();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let place = &place;
                scope.spawn(move || place.open().begin(&key("calls", thread, "h"), &begun("-")).unwrap());
            }
        });
        assert_eq!(place.open().list().unwrap().len(), 4);
        let names = std::fs::read_dir(place.0.path()).unwrap().count();
        assert_eq!(names, 1, "no scratch file is left");
    }
}

#[test]
fn one_that_reads_sees_all_of_a_change_or_nothing() {
    let place = Place::new();
    let (reader, writer) = (place.open(), place.open());
    fill(&writer);
    let key = key("calls", 19_800, "a51c");
    std::thread::scope(|scope| {
        let writing = scope.spawn(|| {
            for n in 0..100 {
                writer.save_query(&key, 0, &QueryId::new("more"), Timestamp(n)).unwrap();
                writer.save_checkpoint(&key, &at(1, n.unsigned_abs())).unwrap();
            }
        });
        while !writing.is_finished() {
            view(&reader).unwrap();
        }
    });
}
