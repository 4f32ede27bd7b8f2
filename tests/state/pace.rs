//! A tenant's pace and pause over several users of one store.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use cxtract::model::{BootId, MachineClock, TenantName, Ticks, Timestamp, WallClock};
use cxtract::policy::gate::TURN_LIFE;
use cxtract::state::{SqliteStore, Store, StoreError, TenantWait, Turn, TurnAsked};

use super::processes::{CHILD, say, start, words};
use super::support::{PACE, Place, acme, complain, fill, still, subjects, view, wait};

const SECOND: i64 = 1_000_000;
const DAY_MS: i64 = 86_400_000;

/// A machine whose clocks stand where a test puts them.
fn asked(boot: u128, ticks: i64, wall_ms: i64) -> TurnAsked {
    let clock = MachineClock::new(Some(BootId(boot)), move || Ticks(ticks));
    TurnAsked { pace: PACE, ahead: Duration::ZERO, clock, wall: WallClock::new(move || Timestamp(wall_ms)) }
}

fn turn(store: &dyn Store, boot: u128, ticks: i64, wall_ms: i64) -> Turn {
    store.take_turn(&acme(), &asked(boot, ticks, wall_ms)).unwrap()
}

#[test]
fn turns_are_given_at_the_pace_and_each_tenant_has_its_own() {
    for subject in subjects() {
        let now = 1_000 * SECOND;
        for n in 0..5 {
            assert_eq!(turn(&*subject.store(), 1, now, 0), Turn::Given(Ticks(now)), "{} {n}", subject.name);
        }
        assert_eq!(turn(&*subject.store(), 1, now, 0), Turn::NotBefore(Ticks(now + SECOND / 20)));
        let other = subject.store().take_turn(&TenantName::new("other"), &asked(1, now, 0)).unwrap();
        assert_eq!(other, Turn::Given(Ticks(now)));
        for n in 1..16 {
            let later = now + n * SECOND / 20;
            assert_eq!(turn(&*subject.store(), 1, later, 0), Turn::Given(Ticks(later)), "{}", subject.name);
        }
        let full = Turn::NotBefore(Ticks(now + SECOND + SECOND / 50));
        assert_eq!(turn(&*subject.store(), 1, now + SECOND, 0), full);
    }
}

#[test]
fn x6_threads_with_a_handle_each_are_together_one_client() {
    for subject in subjects() {
        let handles = [(); 4].map(|()| subject.store());
        // Whoever looks moves the time on, so that it goes by with the transactions.
        let now = Arc::new(AtomicI64::new(SECOND));
        let given: Vec<Ticks> = std::thread::scope(|scope| {
            let threads = handles.map(|store| {
                let ticking = now.clone();
                let clock =
                    MachineClock::new(Some(BootId(1)), move || Ticks(ticking.fetch_add(7_000, Ordering::Relaxed)));
                let asked = TurnAsked { pace: PACE, ahead: Duration::ZERO, clock, wall: still() };
                scope.spawn(move || {
                    let taken = (0..150).map(|_| store.take_turn(&acme(), &asked).unwrap());
                    taken.filter_map(|turn| if let Turn::Given(at) = turn { Some(at) } else { None }).collect()
                })
            });
            threads.into_iter().flat_map(|thread| -> Vec<Ticks> { thread.join().unwrap() }).collect()
        });
        one_client(given, 1_020_000, 18, subject.name);
        let passed = now.load(Ordering::Relaxed) - SECOND;
        assert!(passed >= 600 * 7_000, "a look at the clock for each turn");
    }
}

/// Never more than twenty within that time, and in each second at least so many.
fn one_client(mut given: Vec<Ticks>, within: i64, at_least: i64, whose: &str) {
    given.sort_unstable();
    assert!(given.windows(21).all(|w| w[20].0 - w[0].0 >= within), "{whose}: too many at once");
    let took = given[given.len() - 1].0 - given[0].0;
    assert!(given.len() as i64 >= at_least * took / SECOND, "{whose}: {} turns in {took} µs", given.len());
}

#[test]
fn x6_processes_are_together_one_client() {
    const LASTS: Duration = Duration::from_secs(3);
    if let Ok(path) = std::env::var(CHILD) {
        let store = SqliteStore::open(path.as_ref(), still()).unwrap();
        let clock = MachineClock::system();
        let asked = TurnAsked { pace: PACE, ahead: Duration::ZERO, clock: clock.clone(), wall: still() };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        say("ready");
        std::io::stdin().read_line(&mut String::new()).unwrap();
        let end = clock.now().plus(LASTS);
        while clock.now() < end {
            match store.take_turn(&acme(), &asked).unwrap() {
                Turn::Given(at) => {
                    // As a gate does, which lets no call go out on a turn that has taken too long to arrive.
                    let now = clock.now();
                    if now.since(at) <= TURN_LIFE {
                        say(now.0);
                    }
                }
                Turn::NotBefore(then) => runtime.block_on(async { tokio::time::sleep(then.since(clock.now())).await }),
                Turn::ToldToWait(wait) => panic!("{wait:?}"),
            }
        }
        return;
    }
    let place = Place::new();
    drop(place.open());
    let mut children = [(); 2].map(|()| start("pace::x6_processes_are_together_one_client", &place.path()));
    let mut heard = children.each_mut().map(words);
    for words in &mut heard {
        assert_eq!(words.next().as_deref(), Some("ready"));
    }
    children.iter_mut().for_each(|child| drop(child.stdin.take()));
    let given = heard.map(|words| words.map(|word| Ticks(word.parse().unwrap())).collect::<Vec<_>>());
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    assert!(given.iter().all(|of_one| !of_one.is_empty()));
    // What went out, not what was noted: hence less than the log's window.
    one_client(given.concat(), SECOND, 10, "two processes");
}

#[test]
fn l1_a_stored_wait_runs_by_the_machines_clock_and_after_its_start_never_longer_than_received() {
    for subject in subjects() {
        let wall = 1_700_000_000_000;
        let asked_for = wait(wall, 900);
        complain(&*subject.store(), asked_for).unwrap();
        let received = asked_for.received.ticks.0;
        let at = |boot, ticks, wall| turn(&*subject.store(), boot, ticks, wall);
        for jump in [-DAY_MS, 0, DAY_MS] {
            assert!(matches!(at(1, received + 899 * SECOND, wall + jump), Turn::ToldToWait(_)), "{}", subject.name);
        }
        // Another start, with the wall clock a day back: once more from the beginning, and then never again.
        for (after, is_over) in [(0, false), (300, false), (899, false), (901, true)] {
            let found = at(2, (60 + after) * SECOND, wall - DAY_MS + after * 1000);
            assert_eq!(!matches!(found, Turn::ToldToWait(_)), is_over, "{} {after} {found:?}", subject.name);
        }
    }
}

#[test]
fn x6_a_shorter_wait_told_to_another_process_shortens_nothing() {
    for subject in subjects() {
        complain(&*subject.store(), wait(1_000, 900)).unwrap();
        complain(&*subject.store(), wait(2_000, 5)).unwrap();
        assert!(matches!(turn(&*subject.store(), 1, 900 * SECOND, 0), Turn::ToldToWait(_)), "{}", subject.name);
        assert!(matches!(turn(&*subject.store(), 1, 901 * SECOND, 0), Turn::Given(_)));
    }
}

#[test]
fn h1_a_wait_is_told_with_the_status_it_was_asked_with_to_other_processes_and_after_a_restart() {
    for subject in subjects() {
        let unavailable = TenantWait { status: 503, ..wait(1_000, 900) };
        complain(&*subject.store(), unavailable).unwrap();
        complain(&*subject.store(), wait(2_000, 5)).unwrap();
        let status = |boot, ticks| match turn(&*subject.store(), boot, ticks, 2_000) {
            Turn::ToldToWait(wait) => wait.status,
            other => panic!("{}: {other:?}", subject.name),
        };
        assert_eq!(status(1, 2 * SECOND), 503);
        assert_eq!(status(2, 60 * SECOND), 503, "after another start of the machine");
        assert_eq!(subject.store().tenant_wait(&acme()).unwrap().unwrap().status, 503);
    }
}

#[test]
fn a_pause_outlives_the_file_of_the_pace() {
    let place = Place::new();
    complain(&place.open(), wait(1_000, 900)).unwrap();
    std::fs::remove_file(place.0.path().join("state.db-pace")).unwrap();
    assert!(matches!(turn(&place.open(), 1, 900 * SECOND, 0), Turn::ToldToWait(found) if found == wait(1_000, 900)));
    assert!(matches!(turn(&place.open(), 1, 901 * SECOND, 0), Turn::Given(_)));
}

#[test]
fn damage_to_the_pace_is_told_with_its_own_remedy_and_leaves_the_store_usable() {
    let place = Place::new();
    let store = place.open();
    fill(&store);
    drop(store);
    let pace = place.0.path().join("state.db-pace");
    let edited = |pace: &std::path::Path| {
        let database = rusqlite::Connection::open(pace).unwrap();
        database.execute("UPDATE tenant SET kept = replace(kept, '900', '901')", []).unwrap();
    };
    let filled = |pace: &std::path::Path| std::fs::write(pace, [7; 8192]).unwrap();
    for damage in [&edited as &dyn Fn(&std::path::Path), &filled] {
        damage(&pace);
        let store = place.open();
        let refused = store.take_turn(&acme(), &asked(1, 0, 0)).unwrap_err();
        assert!(matches!(refused, StoreError::Failed { .. }));
        for word in [&*pace.display().to_string(), "move it", "run again"] {
            assert!(refused.to_string().contains(word), "{refused}");
        }
        assert!(view(&store).is_ok());
    }
}
