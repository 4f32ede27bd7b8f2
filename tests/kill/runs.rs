//! What one run leaves for the next: queries that take long or expire, tokens, a changed configuration, another
//! version.

use std::fs;
use std::time::{Duration, Instant};

use cxtract::mock::{CallKind, Fate, LedgerEntry, MockReport};

use crate::judge::{Between, judge_calls, judge_end, n_queries};
use crate::place::{Place, Running};
use crate::signals::{mock, park_after};

#[test]
fn t2_a_query_that_is_not_ready_in_time_is_polled_by_the_next_run_with_the_whole_time_again() {
    let max_wait = Duration::from_millis(1200);
    let mut place = Place::new(mock(100).fate(0, Fate::NeverReady)).report("calls", "");
    place.tenant = place.tenant.replace("max_delay: 100ms}", "max_delay: 100ms, max_wait: 1200ms}");
    for _ in 0..2 {
        let n_before = place.n_calls();
        assert_eq!(place.run(&[]), 75, "{}", place.said());
        let polls: Vec<_> =
            place.mock.ledger()[n_before..].iter().filter(|call| call.kind == CallKind::Status).map(|c| c.at).collect();
        let polled_for = *polls.last().unwrap() - polls[0];
        assert!(polled_for > max_wait / 2, "polled for {polled_for:?} of {max_wait:?}");
        assert!(polled_for < max_wait * 3 / 2, "polled for {polled_for:?}");
    }
    place.mock.with(|tenant| tenant.change_fate(0, None));
    assert_eq!(place.run(&[]), 0, "{}", place.said());
    judge_end(&place);
    assert_eq!(n_queries(&place, "calls"), 1);
    assert_eq!(place.mock.ledger().submissions().len(), 1);
}

#[test]
fn t6_a_query_that_expired_between_two_runs_is_submitted_again_and_its_output_starts_again() {
    let place = Place::new(mock(1200)).report("calls", "");
    park_after(&place, 25);
    place.mock.with(|tenant| tenant.expire_query(0));
    let n_before = place.n_calls();
    assert_eq!(place.run(&[]), 0, "{}", place.said());
    judge_end(&place);
    assert_eq!(n_queries(&place, "calls"), 2);
    let pages = place.mock.with(|tenant| {
        let second = tenant.queries()[1].id.clone();
        tenant.ledger()[n_before..]
            .iter()
            .filter(|call| call.query.as_deref() == Some(&*second))
            .filter_map(|c| c.page)
            .min()
    });
    assert_eq!(pages, Some(1), "rows of two queries are never joined");
}

#[test]
fn t6_a_second_query_that_expires_fails_the_report_also_in_a_later_run() {
    let place = Place::new(mock(1200)).report("calls", "");
    park_after(&place, 25);
    place.mock.with(|tenant| tenant.expire_query(0));
    park_after(&place, 25);
    assert_eq!(n_queries(&place, "calls"), 2);
    place.mock.with(|tenant| tenant.expire_query(1));
    assert_eq!(place.run(&[]), 1, "{}", place.said());
    assert!(place.said().contains("expired"), "{}", place.said());
    assert_eq!(n_queries(&place, "calls"), 2);
    assert!(!place.output("calls").exists());
    // A failed report starts again under a new query.
    assert_eq!(place.run(&[]), 0, "{}", place.said());
    judge_end(&place);
    assert_eq!(n_queries(&place, "calls"), 3);
}

#[test]
fn t6_in_a_split_report_only_the_part_starts_again_whose_query_expired() {
    let place = Place::new(mock(600)).report("calls", "split: 11d");
    // The first part has 30 pages, and the second is under way.
    park_after(&place, 45);
    let between = Between::now(&place);
    let position = place.stored()[0].checkpoint.clone().expect("a position").position;
    assert_eq!(position.part, 1, "{position:?}");
    place.mock.with(|tenant| tenant.expire_query(1));
    assert_eq!(place.run(&[]), 0, "{}", place.said());
    judge_end(&place);
    judge_calls(&place, &between);
    assert_eq!(n_queries(&place, "calls"), 4);
}

#[test]
fn o7_a_run_after_a_kill_has_no_refresh_token_and_falls_back_to_its_credentials() {
    let mock = mock(3000).refresh_tokens().token_life(Duration::from_secs(1));
    let place = Place::new(mock).report("calls", "");
    let mut run = place.start(&[]);
    place.until("the refresh token was rotated", || place.mock.ledger().token_calls() >= 2);
    run.kill();
    let n_before = place.n_calls();
    assert_eq!(place.run(&[]), 0, "{}", place.said());
    judge_end(&place);
    let ledger = place.mock.ledger();
    // Pages that the killed run had asked for may be counted after it.
    let old = ledger[..n_before].iter().filter_map(|call| call.generation).max();
    let is_old = |call: &&LedgerEntry| call.kind == CallKind::Page && call.generation == old;
    let first = ledger[n_before..].iter().find(|call| !is_old(call)).unwrap();
    assert_eq!((first.kind, first.status), (CallKind::Token, 200));
    assert!(ledger.iter().all(|call| call.status != 400), "a refresh token was used twice");
    assert_eq!(n_queries(&place, "calls"), 1);
}

#[test]
fn f2_an_unfinished_report_with_another_question_is_refused_by_key_before_any_request() {
    let mut place = Place::new(mock(1200)).report("calls", "");
    park_after(&place, 25);
    let lines = place.reports[0].2.clone();
    let n_calls = place.n_calls();
    let changes = [
        ("page_size", lines.replace("page_size: 20", "page_size: 25")),
        ("filters", format!("{lines}\n    filters: [{{field: channel, operator: eq, value: voice}}]")),
        ("split", format!("{lines}\n    split: 11d")),
    ];
    for (key, changed) in changes {
        place.hush();
        place.reports[0].2 = changed;
        assert_eq!(place.run(&[]), 2, "{key}: {}", place.said());
        assert!(place.said().contains(key) && place.said().contains("--fresh"), "{key}: {}", place.said());
        assert_eq!(place.n_calls(), n_calls, "{key}: the tenant was called");
    }
    // Back to the question it was, and other tuning: it goes on.
    place.reports[0].2 = lines;
    place.tenant = place.tenant.replace("max_in_flight: 2", "max_in_flight: 4");
    assert_eq!(place.run(&[]), 0, "{}", place.said());
    judge_end(&place);
    assert_eq!(n_queries(&place, "calls"), 1);
}

#[test]
fn f2_with_fresh_an_unfinished_report_starts_again_with_the_new_question() {
    let mut place = Place::new(mock(800)).report("calls", "");
    park_after(&place, 20);
    place.reports[0].2 = place.reports[0].2.replace("page_size: 20", "page_size: 25");
    assert_eq!(place.run(&["--fresh"]), 0, "{}", place.said());
    judge_end(&place);
    assert_eq!(n_queries(&place, "calls"), 2);
}

#[test]
fn f5_a_complete_report_is_skipped_and_with_a_corrected_filter_extracted_again() {
    let mut place = Place::new(mock(100)).report("calls", "");
    assert_eq!((place.run(&[]), place.run(&[])), (0, 0), "{}", place.said());
    assert_eq!(n_queries(&place, "calls"), 1, "the second run had nothing to do");
    place.reports[0].2.push_str("\n    filters: [{field: channel, operator: eq, value: voice}]");
    assert_eq!(place.run(&[]), 0, "{}", place.said());
    judge_end(&place);
    assert_eq!(n_queries(&place, "calls"), 2);
    // And a file that somebody shortened is no delivery any more.
    fs::write(place.output("calls"), "short").unwrap();
    assert_eq!(place.run(&[]), 0, "{}", place.said());
    judge_end(&place);
    assert_eq!(n_queries(&place, "calls"), 3);
}

#[test]
fn k7_a_store_of_a_newer_version_is_refused_by_its_version_and_left_as_it_is() {
    let place = Place::new(mock(100)).report("calls", "");
    assert_eq!(place.run(&[]), 0, "{}", place.said());
    let path = place.path(".cxtract/state.db");
    let store = rusqlite::Connection::open(&path).unwrap();
    // The version stands in the header twice, the second time within the application's id.
    let read = |name: &str| store.pragma_query_value(None, name, |row| row.get::<_, u32>(0)).unwrap();
    let (version, application) = (read("user_version"), read("application_id"));
    store.pragma_update(None, "user_version", 9999).unwrap();
    store.pragma_update(None, "application_id", application - version + 9999).unwrap();
    drop(store);
    let (bytes, n_calls) = (fs::read(&path).unwrap(), place.n_calls());
    place.hush();
    assert_eq!(place.run(&[]), 2, "{}", place.said());
    assert!(place.said().contains("9999"), "{}", place.said());
    assert!(fs::read(&path).unwrap() == bytes, "it was changed");
    assert_eq!(place.n_calls(), n_calls);
}

#[test]
fn d5_a_damaged_store_is_told_with_the_remedy_before_any_request() {
    let place = Place::new(mock(1200)).report("calls", "");
    park_after(&place, 25);
    let n_calls = place.n_calls();
    for name in ["state.db-wal", "state.db-shm"] {
        let _ = fs::remove_file(place.path(".cxtract").join(name));
    }
    let path = place.path(".cxtract/state.db");
    let whole = fs::read(&path).unwrap();
    let damages: [(&str, Vec<u8>); 3] = [
        ("empty", Vec::new()),
        ("half", whole[..whole.len() / 2].to_vec()),
        ("no database", b"this is no database, and it is long enough to be read as one".repeat(100)),
    ];
    for (how, bytes) in damages {
        fs::write(&path, bytes).unwrap();
        place.hush();
        let start = Instant::now();
        assert_eq!(place.run(&[]), 2, "{how}: {}", place.said());
        assert!(place.said().contains("state.db") && place.said().contains("--fresh"), "{how}: {}", place.said());
        assert_eq!(place.n_calls(), n_calls, "{how}: the tenant was called");
        assert!(start.elapsed() < Duration::from_secs(5));
    }
    fs::write(&path, whole).unwrap();
    assert_eq!(Running::start(place.command(&["run"])).code(), 0, "{}", place.said());
    judge_end(&place);
}

#[test]
fn nothing_is_asked_again_of_a_part_that_is_read_to_its_end() {
    let place = Place::new(mock(300).report("calls", MockReport::with_rows(300))).report("calls", "split: 11d");
    park_after(&place, 20);
    let between = Between::now(&place);
    assert_eq!(place.run(&[]), 0, "{}", place.said());
    judge_calls(&place, &between);
    judge_end(&place);
    assert_eq!(n_queries(&place, "calls"), 3);
}
