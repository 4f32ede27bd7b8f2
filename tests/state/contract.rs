//! The calls of a store, one by one, over every kind of store.

use cxtract::model::{QueryId, ReportName, ReportState, TenantName, Timestamp};
use cxtract::state::{ExtractionKey, Origin, Store, StoreError, StoredExtraction};

use super::support::{Place, Subject, acme, at, begun, calls, complain, fill, key, still, subjects, view, wait};

fn load(subject: &Subject, report: &str) -> StoredExtraction {
    // Another handle each time: what counts is what the next process finds.
    subject.store().load(&key(report, 1, "h")).unwrap().unwrap()
}

/// A store of each kind in which extraction `calls` has begun.
fn each(check: impl Fn(&Subject, &dyn Store)) {
    for subject in subjects() {
        let store = subject.store();
        store.begin(&key("calls", 1, "h"), &begun("/out/calls.csv")).unwrap();
        check(&subject, &*store);
    }
}

#[test]
fn a_beginning_is_found_under_its_key_alone() {
    each(|subject, store| {
        let found = load(subject, "calls");
        assert_eq!(found, StoredExtraction::new(key("calls", 1, "h"), begun("/out/calls.csv"), found.created_at));
        for other in [key("calls", 2, "h"), key("calls", 1, "g"), key("agents", 1, "h")] {
            assert_eq!(store.load(&other), Ok(None), "{}", subject.name);
        }
        let mut of_other_tenant = key("calls", 1, "h");
        of_other_tenant.tenant = TenantName::new("other");
        assert_eq!(store.load(&of_other_tenant), Ok(None));
    });
}

#[test]
fn a_beginning_replaces_everything_that_was_stored_under_its_key() {
    each(|subject, store| {
        let key = key("calls", 1, "h");
        store.save_query(&key, 0, &QueryId::new("q"), Timestamp(5)).unwrap();
        store.begin_submission(&key, 1).unwrap();
        store.save_checkpoint(&key, &at(0, 9)).unwrap();
        store.drop_expired_query(&key, 4, Some(&at(0, 9))).unwrap();
        store.save_delivery(&key, "{}", "{}").unwrap();
        let mut other = begun("-");
        other.origin = Origin::Given;
        store.begin(&key, &other).unwrap();
        let found = load(subject, "calls");
        assert_eq!(found, StoredExtraction::new(key, other, found.created_at));
        assert_eq!(store.list().unwrap().len(), 1);
    });
}

#[test]
fn a_query_is_known_from_its_submission_to_the_position_behind_its_part() {
    each(|subject, store| {
        let key = key("calls", 1, "h");
        for part in [0, 1, 2, 7] {
            store.begin_submission(&key, part).unwrap();
        }
        store.drop_submission(&key, 7).unwrap();
        assert_eq!(load(subject, "calls").submissions.into_iter().collect::<Vec<_>>(), [0, 1, 2]);
        store.save_query(&key, 0, &QueryId::new("q0"), Timestamp(5)).unwrap();
        store.save_query(&key, 1, &QueryId::new("q1"), Timestamp(6)).unwrap();
        store.save_query(&key, 1, &QueryId::new("q1, instead"), Timestamp(7)).unwrap();
        let found = load(subject, "calls");
        assert_eq!(found.submissions.into_iter().collect::<Vec<_>>(), [2]);
        assert_eq!((&*found.queries[&0].id.to_string(), &*found.queries[&1].id.to_string()), ("q0", "q1, instead"));
        assert_eq!(found.queries[&1].submitted_at, Timestamp(7));
        store.save_checkpoint(&key, &at(1, 3)).unwrap();
        let found = load(subject, "calls");
        assert_eq!(found.queries.into_keys().collect::<Vec<_>>(), [1]);
        assert_eq!(found.checkpoint, Some(at(1, 3)));
    });
}

#[test]
fn a_query_after_an_expired_one_is_marked_and_the_position_goes_back() {
    each(|subject, store| {
        let key = key("calls", 1, "h");
        store.save_query(&key, 0, &QueryId::new("q0"), Timestamp(5)).unwrap();
        store.save_query(&key, 1, &QueryId::new("q1"), Timestamp(5)).unwrap();
        store.save_checkpoint(&key, &at(0, 9)).unwrap();
        store.drop_expired_query(&key, 0, None).unwrap();
        store.save_query(&key, 0, &QueryId::new("q2"), Timestamp(6)).unwrap();
        let found = load(subject, "calls");
        assert_eq!((found.expired, found.checkpoint), ([0].into(), None));
        assert!(found.queries[&0].after_loss && !found.queries[&1].after_loss);
        store.drop_expired_query(&key, 1, Some(&at(1, 1))).unwrap();
        store.save_query(&key, 2, &QueryId::new("q3"), Timestamp(7)).unwrap();
        let found = load(subject, "calls");
        assert_eq!((found.expired, found.checkpoint, found.queries.len()), ([0, 1].into(), Some(at(1, 1)), 2));
        assert!(!found.queries[&2].after_loss, "of that part none has expired");
    });
}

#[test]
fn taking_up_counts_only_where_there_is_something_to_go_on_from() {
    each(|subject, store| {
        let key = key("calls", 1, "h");
        store.begin_submission(&key, 0).unwrap();
        assert_eq!(store.take_up(&key).unwrap().n_resumed, 0);
        store.save_query(&key, 0, &QueryId::new("q"), Timestamp(5)).unwrap();
        let taken_up = store.take_up(&key).unwrap();
        assert_eq!(taken_up.n_resumed, 1);
        assert_eq!(taken_up, load(subject, "calls"));
    });
}

#[test]
fn a_completion_leaves_the_manifest_and_moves_the_watermark_on_but_never_back() {
    each(|subject, store| {
        let key = key("calls", 1, "h");
        store.save_query(&key, 0, &QueryId::new("q"), Timestamp(5)).unwrap();
        store.begin_submission(&key, 1).unwrap();
        store.save_checkpoint(&key, &at(0, 9)).unwrap();
        store.save_state(&key, ReportState::Fetching, Some("a remark")).unwrap();
        store.save_delivery(&key, "steps", "manifest of the delivery").unwrap();
        let found = load(subject, "calls");
        assert_eq!((found.delivery.as_deref(), found.message.as_deref()), (Some("steps"), Some("a remark")));
        assert_eq!((found.manifest.as_deref(), found.state), (Some("manifest of the delivery"), ReportState::Fetching));
        assert_eq!(store.watermark(&calls(), &acme()), Ok(None));
        for (given, kept) in [(None, None), (Some(50), Some(50)), (Some(20), Some(50)), (Some(51), Some(51))] {
            store.complete(&key, "manifest", given.map(Timestamp)).unwrap();
            assert_eq!(store.watermark(&calls(), &acme()), Ok(kept.map(Timestamp)), "{}", subject.name);
        }
        assert_eq!(store.watermark(&calls(), &TenantName::new("other")), Ok(None));
        let found = load(subject, "calls");
        assert_eq!((found.state, found.manifest.as_deref()), (ReportState::Complete, Some("manifest")));
        assert!(!found.has_something() && found.submissions.is_empty() && found.message.is_none());
    });
}

type Change = fn(&dyn Store, &ExtractionKey) -> Result<(), StoreError>;

/// Everything that changes an extraction.
const CHANGES: [Change; 9] = [
    |store, key| store.begin_submission(key, 0),
    |store, key| store.drop_submission(key, 0),
    |store, key| store.save_query(key, 0, &QueryId::new("q"), Timestamp(5)),
    |store, key| store.save_checkpoint(key, &at(0, 1)),
    |store, key| store.take_up(key).map(drop),
    |store, key| store.drop_expired_query(key, 0, None),
    |store, key| store.save_state(key, ReportState::Parked, None),
    |store, key| store.save_delivery(key, "", ""),
    |store, key| store.complete(key, "", Some(Timestamp(5))),
];

#[test]
fn every_change_is_dated_and_the_beginning_keeps_its_date() {
    each(|subject, store| {
        let key = key("calls", 1, "h");
        let mut last = load(subject, "calls");
        assert_eq!(last.created_at, last.updated_at);
        for change in CHANGES {
            change(store, &key).unwrap();
            let now = load(subject, "calls");
            assert!(now.updated_at > last.updated_at && now.created_at == last.created_at, "{}", subject.name);
            last = now;
        }
    });
}

#[test]
fn a_change_of_an_unknown_extraction_fails_and_makes_none() {
    each(|subject, store| {
        let key = key("nobody's", 1, "h");
        for change in CHANGES {
            assert!(matches!(change(store, &key), Err(StoreError::Failed { .. })), "{}", subject.name);
        }
        assert_eq!(store.load(&key), Ok(None));
        assert_eq!(store.watermark(&key.report, &key.tenant), Ok(None), "a completion is all or nothing");
        assert_eq!(store.forget(&key), Ok(()), "what is not there need not be forgotten");
    });
}

#[test]
fn extractions_are_listed_by_report_tenant_and_window() {
    for subject in subjects() {
        let store = subject.store();
        let keys = [key("b", 2, "h"), key("a", 9, "h"), key("b", -3, "h"), key("b", 2, "g")];
        keys.iter().for_each(|key| store.begin(key, &begun("-")).unwrap());
        let listed: Vec<_> = store.list().unwrap().into_iter().map(|extraction| extraction.key).collect();
        let [b2, a9, b_before, b2_other] = keys;
        assert_eq!(listed, [a9, b_before.clone(), b2_other.clone(), b2.clone()], "{}", subject.name);
        let of = |report: &str| store.of_report(&ReportName::new(report), &acme()).unwrap();
        let of_b: Vec<_> = of("b").into_iter().map(|extraction| extraction.key).collect();
        assert_eq!(of_b, [b_before, b2_other, b2]);
        assert!(of("c").is_empty());
    }
}

#[test]
fn forgetting_takes_one_extraction_and_leaves_the_watermark() {
    each(|subject, store| {
        let (key, other) = (key("calls", 1, "h"), key("calls", 2, "h"));
        store.begin(&other, &begun("-")).unwrap();
        store.save_query(&other, 0, &QueryId::new("of the other"), Timestamp(5)).unwrap();
        store.complete(&key, "", Some(Timestamp(99))).unwrap();
        store.forget(&key).unwrap();
        assert_eq!((store.load(&key), store.list().unwrap().len()), (Ok(None), 1), "{}", subject.name);
        assert_eq!(store.load(&other).unwrap().unwrap().queries.len(), 1);
        assert_eq!(store.watermark(&calls(), &acme()), Ok(Some(Timestamp(99))));
    });
}

#[test]
fn a_wait_is_kept_to_the_nanosecond_and_never_shortened() {
    for subject in subjects() {
        let store = subject.store();
        assert_eq!(store.tenant_wait(&acme()), Ok(None));
        let mut long = wait(1_000, 900);
        long.pause += std::time::Duration::from_nanos(1);
        complain(&*store, long).unwrap();
        complain(&*store, wait(2_000, 5)).unwrap();
        assert_eq!(subject.store().tenant_wait(&acme()), Ok(Some(long)), "{}", subject.name);
        complain(&*store, wait(800_000, 200)).unwrap();
        assert_eq!(subject.store().tenant_wait(&acme()), Ok(Some(wait(800_000, 200))));
        assert_eq!(store.tenant_wait(&TenantName::new("other")), Ok(None));
    }
}

#[test]
fn k5_a_report_is_claimed_once_until_the_claim_is_dropped() {
    for subject in subjects() {
        let (store, other) = (subject.store(), subject.store());
        let claim = store.claim(&calls(), &acme()).unwrap();
        assert!(claim.is_some());
        assert!(store.claim(&calls(), &acme()).unwrap().is_none(), "{}", subject.name);
        assert!(other.claim(&calls(), &acme()).unwrap().is_none());
        assert!(other.claim(&calls(), &TenantName::new("other")).unwrap().is_some());
        assert!(other.claim(&ReportName::new("agents"), &acme()).unwrap().is_some());
        drop(claim);
        assert!(other.claim(&calls(), &acme()).unwrap().is_some());
    }
}

#[test]
fn any_text_comes_back_as_it_was_stored() {
    for subject in subjects() {
        let store = subject.store();
        let odd = "'; -- \"\0\u{feff}\n\u{1f600}%";
        let key = key(odd, i64::from(i32::MIN), odd);
        store.begin(&key, &begun(odd)).unwrap();
        store.save_query(&key, u32::MAX, &QueryId::new(odd), Timestamp(i64::MIN)).unwrap();
        store.save_state(&key, ReportState::Failed, Some("")).unwrap();
        store.save_delivery(&key, odd, "").unwrap();
        let found = subject.store().load(&key).unwrap().unwrap();
        assert_eq!((found.key, found.begun), (key, begun(odd)), "{}", subject.name);
        assert_eq!(found.queries[&u32::MAX].id, QueryId::new(odd));
        assert_eq!((found.message.as_deref(), found.delivery.as_deref()), (Some(""), Some(odd)));
    }
}

#[test]
fn both_stores_answer_alike_whatever_is_called_in_whatever_order() {
    let [memory, sqlite] = subjects();
    let (memory, mut store) = (memory.store(), sqlite.store());
    let mut random = fastrand::Rng::with_seed(7);
    for step in 0..600 {
        let key = key(["calls", "agents"][random.usize(..2)], random.i64(0..2), "h");
        let (act, part, time) = (random.u8(..14), random.u32(..3), Timestamp(random.i64(0..1000)));
        let checkpoint = random.bool().then(|| at(part, random.u64(1..9)));
        let call = |store: &dyn Store| match act {
            0 => store.begin(&key, &begun("-")),
            1 => store.take_up(&key).map(drop),
            2 | 3 => store.begin_submission(&key, part),
            4 => store.drop_submission(&key, part),
            5 | 6 => store.save_query(&key, part, &QueryId::new(&time.to_string()), time),
            7 => store.drop_expired_query(&key, part, checkpoint.as_ref()),
            8 | 9 => store.save_checkpoint(&key, &at(part, 5)),
            10 => store.save_state(&key, ReportState::Parked, checkpoint.as_ref().map(|it| &*it.memo)),
            11 => store.save_delivery(&key, "steps", "manifest"),
            12 => store.complete(&key, "manifest", checkpoint.as_ref().map(|_| time)),
            _ => store.forget(&key),
        };
        assert_eq!(call(&*memory).is_ok(), call(&*store).is_ok(), "step {step}");
        if step % 50 == 0 {
            store = sqlite.store();
        }
        let undated = |store: &dyn Store| {
            let mut all = store.list().unwrap();
            for one in &mut all {
                (one.created_at, one.updated_at) = (Timestamp(0), Timestamp(0));
            }
            (all, store.watermark(&calls(), &acme()))
        };
        assert_eq!(undated(&*memory), undated(&*store), "step {step}");
    }
}

#[test]
fn what_was_acknowledged_is_there_when_the_store_is_opened_again() {
    let place = Place::new();
    let store = place.open();
    fill(&store);
    let seen = view(&store).unwrap();
    assert_eq!((seen.0.len(), seen.1.len()), (2, 2));
    drop(store);
    assert_eq!(view(&place.open()).unwrap(), seen);
    let existing = cxtract::state::SqliteStore::open_existing(&place.path(), still()).unwrap().unwrap();
    assert_eq!(view(&existing).unwrap(), seen);
}
