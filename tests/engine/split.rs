//! Reports in parts: one query after the other, one file, and what becomes of a part whose query is lost.

use std::time::Duration;

use cxtract::EngineHandle;
use cxtract::mock::{CallKind, Fault, FaultRule, Matcher};

use crate::bench::{A_MOMENT, asked_for, complete, hold, stand, tenant_of};
use crate::resume::{begin, park_at, slow, times_asked};
use crate::support::{Stand, with_engine};

/// The same in three parts of ten days and one of a day.
fn split(n_rows: u64) -> Stand {
    slow(n_rows).report("split: 10d").set("max_queries", "2")
}

/// Resolves with the query of the part that begins on that day, once some of its pages were asked for.
async fn part_under_way(stand: &Stand, day: &str) -> usize {
    loop {
        let nth = stand.mock.with(|tenant| {
            let is_of_day = |query: &&cxtract::mock::MockQuery| query.window.from.to_string().starts_with(day);
            tenant.queries().iter().find(is_of_day).map(|query| query.nth)
        });
        if let Some(nth) = nth {
            asked_for(stand, nth, 2).await;
            return nth;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[test]
fn parts_stand_in_order_in_one_file_and_in_the_manifest() {
    let stand = split(950);
    let manifest = stand.extract_all();
    let parts = manifest.parts.clone().expect("the manifest tells of parts");
    let windows: Vec<_> = parts.iter().map(|part| part.window.from.to_string()[..10].to_owned()).collect();
    assert_eq!(windows, ["2024-01-01", "2024-01-11", "2024-01-21", "2024-01-31"]);
    assert!(parts.windows(2).all(|two| two[0].window.to.0 + 1 == two[1].window.from.0), "a gap or an overlap");
    assert!(parts.iter().all(|part| (part.pages, part.rows) == (10, 950)));
    let header = stand.delivered().iter().position(|b| *b == b'\n').unwrap() as u64 + 1;
    assert_eq!(parts.iter().map(|part| part.bytes).sum::<u64>() + header, manifest.output.bytes);
    assert_eq!((manifest.query_id, manifest.pages, manifest.output.rows), (None, 40, 3800));
    assert_eq!(manifest.reconciliation.total_rows, Some(3800));
    let ids: Vec<_> = parts.iter().map(|part| part.query_id.as_str().to_owned()).collect();
    assert_eq!(ids, stand.mock.with(|tenant| tenant.queries().iter().map(|q| q.id.clone()).collect::<Vec<_>>()));
}

#[test]
fn no_more_parts_are_open_than_the_tenant_allows() {
    for (most, allowed) in [("1", 1), ("2", 2), ("4", 4)] {
        // A query too many would be answered 429, and told in the manifest.
        let mock = tenant_of(350).max_open_queries(allowed).ready_after(Duration::from_millis(30));
        let stand = stand(mock).report("split: 7d").set("max_queries", most);
        assert_eq!(stand.extract_all().http.throttled, 0, "max_queries: {most}");
    }
}

#[test]
fn a_part_without_rows_adds_nothing_and_loses_nothing() {
    for faults in [vec![0], vec![1], vec![3], vec![0, 1], vec![0, 1, 2, 3]] {
        let mut mock = tenant_of(250);
        for nth in &faults {
            mock = mock.fault(FaultRule::new(Matcher::pages().of_query(*nth), Fault::HeaderOnly));
        }
        let stand = stand(mock).report("split: 10d").set("max_queries", "1");
        let manifest = complete(stand.extract());
        let rows: Vec<_> = manifest.parts.clone().unwrap().iter().map(|part| part.rows).collect();
        let due: Vec<_> = (0..4).map(|nth| if faults.contains(&nth) { 0 } else { 250 }).collect();
        assert_eq!(rows, due);
        let text = String::from_utf8(stand.delivered()).unwrap();
        let header = text.lines().next().unwrap();
        assert_eq!(text.lines().filter(|line| *line == header).count(), 1, "the header stands once");
    }
}

#[test]
fn a_split_report_goes_on_within_its_part() {
    let stand = split(1950);
    park_at(&stand, 1, 12);
    let manifest = stand.extract_all();
    assert_eq!((manifest.resumed, stand.n_queries()), (1, 4));
    assert!(times_asked(&stand, 0).values().all(|n| *n == 1), "the finished part was asked for again");
    let again = times_asked(&stand, 1).iter().filter(|(page, n)| **n > 1 && **page < 4).count();
    assert_eq!(again, 0, "the part was read again from its beginning");
}

#[test]
fn t6_only_the_part_whose_query_has_expired_starts_again() {
    let stand = split(1950);
    park_at(&stand, 1, 12);
    stand.mock.with(|tenant| tenant.expire_query(1));
    let manifest = stand.extract_all();
    assert_eq!(manifest.parts.as_ref().unwrap().len(), 4);
    assert!(times_asked(&stand, 0).values().all(|n| *n == 1), "the finished part was asked for again");
    assert_eq!(stand.n_queries(), 5);
}

#[test]
fn t6_queries_that_expired_in_one_absence_are_one_loss() {
    let stand = split(1950);
    park_at(&stand, 1, 12);
    stand.mock.with(|tenant| (0..tenant.queries().len()).for_each(|nth| tenant.expire_query(nth)));
    stand.extract_all();
}

#[test]
fn t6_an_expired_part_is_not_kept_waiting_by_the_part_after_it() {
    // With one place for all queries, whoever takes it must be the part that is read first.
    for (nth, page) in [(0, 3), (1, 3), (2, 3)] {
        let stand = slow(950).report("split: 10d").set("max_queries", "1");
        hold(&stand, nth, page, A_MOMENT);
        let ending = with_engine(stand.config(), async |engine: EngineHandle| {
            let ending = begin(&engine);
            asked_for(&stand, nth, page).await;
            stand.mock.with(|tenant| tenant.expire_query(nth));
            ending.await.unwrap()
        });
        let manifest = complete(ending);
        assert_eq!((manifest.parts.unwrap().len(), stand.n_queries()), (4, 5), "query {nth}");
        assert!(stand.delivered() == stand.mock.expected_csv("detail"));
    }
}

#[test]
fn a_submission_that_is_out_is_heard_before_a_part_starts_again() {
    let slow_submission =
        FaultRule::new(Matcher::kind(CallKind::Submit).matches(1..2), Fault::Delay(Duration::from_millis(600)));
    let stand = stand(tenant_of(950).latency(Duration::from_millis(10)).fault(slow_submission))
        .set("max_in_flight", "2")
        .set("max_queries", "2")
        .report("split: 10d");
    hold(&stand, 0, 2, A_MOMENT);
    let ending = with_engine(stand.config(), async |engine: EngineHandle| {
        let ending = begin(&engine);
        asked_for(&stand, 0, 2).await;
        stand.mock.with(|tenant| tenant.expire_query(0));
        ending.await.unwrap()
    });
    complete(ending);
    assert_eq!(stand.n_queries(), 5, "one for each part, and one for the one that expired");
    assert!(stand.delivered() == stand.mock.expected_csv("detail"));
}

#[test]
fn t6_each_part_of_a_split_may_lose_its_query_once() {
    for most in ["1", "2"] {
        let stand = slow(950).report("split: 10d").set("max_queries", most);
        // Two parts and one that was asked for again: then the third one's turn comes.
        [0, 3].iter().for_each(|nth| hold(&stand, *nth, 2, A_MOMENT));
        let ending = with_engine(stand.config(), async |engine: EngineHandle| {
            let ending = begin(&engine);
            for day in ["2024-01-01", "2024-01-21"] {
                let query = part_under_way(&stand, day).await;
                stand.mock.with(|tenant| tenant.expire_query(query));
            }
            ending.await.unwrap()
        });
        complete(ending);
        assert_eq!(stand.n_queries(), 6, "max_queries: {most}");
        assert!(stand.delivered() == stand.mock.expected_csv("detail"));
    }
}
