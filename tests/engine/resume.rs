//! Going on: what one engine leaves, the next one takes up, within a query and over the parts of a report.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cxtract::mock::{CallKind, Fault, FaultRule, Matcher, MockReport};
use cxtract::model::{FailureClass, ParkReason, Position, WallClock};
use cxtract::sink::{Deliverable, Publication, SinkError};
use cxtract::state::{SqliteStore, Store};
use cxtract::{Ending, Engine, EngineHandle, Extract, Manifest, Sink};
use parking_lot::Mutex;

use crate::bench::{A_MOMENT, LONG, asked_for, complete, hold, stand, tenant_of};
use crate::support::{Stand, run, with_engine};

/// A stand whose report takes its time, and comes in pages of 100 rows.
pub fn slow(n_rows: u64) -> Stand {
    stand(tenant_of(n_rows).latency(Duration::from_millis(10))).set("max_in_flight", "2")
}

/// Extracts until that page is asked for, then parks.
pub fn park_at(stand: &Stand, nth_query: usize, page: u64) {
    hold(stand, nth_query, page, LONG);
    let ending = with_engine(stand.config(), async |engine: EngineHandle| {
        let ending = begin(&engine);
        asked_for(stand, nth_query, page).await;
        assert!(engine.cancel("calls").await);
        ending.await.unwrap()
    });
    stand.parked(ending, ParkReason::Stopped).says(&["next run"]);
}

/// How often each page of the nth query was asked for.
pub fn times_asked(stand: &Stand, nth_query: usize) -> BTreeMap<u64, usize> {
    let query = stand.mock.with(|tenant| tenant.queries()[nth_query].id.clone());
    stand.mock.ledger().times_asked(&query).into_iter().collect()
}

#[test]
fn a_parked_report_goes_on_with_the_page_after_its_last() {
    let stand = slow(3950);
    park_at(&stand, 0, 20);
    let manifest = stand.extract_all();
    assert_eq!((manifest.resumed, manifest.pages, manifest.output.rows), (1, 40, 3950));
    assert_eq!(stand.n_queries(), 1);
    // What was on its way when the report was parked is asked for again; what was written is not.
    let asked = times_asked(&stand, 0);
    let twice: Vec<_> = asked.iter().filter(|(_, n)| **n > 1).collect();
    assert!(twice.len() <= 8 && twice.iter().all(|(page, _)| **page > 8), "asked for twice: {twice:?}");
    assert!(manifest.http.requests >= stand.mock.ledger().len() as u64 - 3, "calls of the first run are missing");
}

#[test]
fn a_report_may_be_parked_again_and_again() {
    let stand = slow(3950);
    for page in [5, 12, 20, 31] {
        park_at(&stand, 0, page);
    }
    assert_eq!(stand.extract_all().resumed, 4);
    assert_eq!(stand.n_queries(), 1);
}

#[test]
fn a_complete_report_is_not_asked_for_again() {
    let stand = slow(250);
    stand.extract_all();
    let n_calls = stand.mock.ledger().len();
    let Ending::Skipped(why) = stand.extract() else { panic!("not skipped") };
    assert!(why.contains("complete"), "{why}");
    assert_eq!(stand.mock.ledger().len(), n_calls);
}

#[test]
fn a_fresh_start_forgets_what_is_stored() {
    let stand = slow(3950);
    park_at(&stand, 0, 20);
    let fresh = || Extract { fresh: true, ..Extract::report("calls") };
    let config = stand.config();
    let manifest = complete(with_engine(config, |engine| async move { engine.extract_with(fresh()).await.unwrap() }));
    assert_eq!((manifest.resumed, stand.n_queries()), (0, 2));
    assert!(stand.delivered() == stand.mock.expected_csv("detail"));
}

#[test]
fn k5_a_report_that_one_engine_works_on_is_left_alone_by_another() {
    let stand = slow(1950);
    hold(&stand, 0, 2, A_MOMENT);
    let first = with_engine(stand.config(), async |engine: EngineHandle| {
        let ending = begin(&engine);
        asked_for(&stand, 0, 2).await;
        let second = Engine::builder().config(stand.config()).start().unwrap();
        let refused = second.extract("calls").await.unwrap();
        second.shutdown().await;
        stand.parked(refused, ParkReason::Busy).says(&["another process"]);
        ending.await.unwrap()
    });
    complete(first);
    assert_eq!(stand.n_queries(), 1);
}

#[test]
fn t6_a_query_that_expires_again_in_a_later_run_fails_the_report() {
    let stand = slow(3950);
    park_at(&stand, 0, 10);
    stand.mock.with(|tenant| tenant.expire_query(0));
    park_at(&stand, 1, 10);
    stand.mock.with(|tenant| tenant.expire_query(1));
    stand.fails(FailureClass::Denied).says(&["expired again"]);
    // A failed report starts again, under a new query.
    assert_eq!(stand.extract_all().resumed, 0);
    assert_eq!(stand.n_queries(), 3);
}

#[test]
fn t2_a_query_that_is_not_ready_in_time_is_polled_on_by_the_next_run() {
    let stand = stand(tenant_of(250).ready_after(Duration::from_millis(400)))
        .set("poll", "{initial_delay: 5ms, max_delay: 20ms, max_wait: 150ms}");
    stand.parks(ParkReason::NotReady).says(&["poll.max_wait", "next run"]);
    let n_polls = stand.n_calls(CallKind::Status);
    run(async { tokio::time::sleep(Duration::from_millis(300)).await });
    stand.extract_all();
    assert!(stand.n_calls(CallKind::Status) > n_polls);
    assert_eq!(stand.n_queries(), 1);
}

/// A host's sink that survives its engine: it keeps what it has acknowledged and drops the rest when it begins again.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    /// How long each write takes.
    pause: Duration,
    /// Which write, counted from 1, does not end before this is none.
    held_at: Option<usize>,
    /// How long the last step takes.
    finishing: Duration,
    is_finishing: bool,
    n_writes: usize,
    bytes: Vec<u8>,
    acknowledged: usize,
    begun_at: Vec<u64>,
    manifest: Option<Manifest>,
}

/// A sink has a thread of its own and may block it.
fn busy_for(pause: Duration) {
    let (_busy, done) = std::sync::mpsc::channel::<()>();
    done.recv_timeout(pause).ok();
}

impl Kept {
    fn is_held(&self) -> bool {
        let inner = self.0.lock();
        inner.held_at.is_some_and(|nth| inner.n_writes >= nth)
    }

    /// Lets the write end that is held.
    fn let_go(&self) {
        self.0.lock().held_at = None;
    }
}

impl Sink for Kept {
    fn begin(&mut self, position: Option<&Position>) -> Result<(), SinkError> {
        let mut inner = self.0.lock();
        let offset = position.map_or(0, |position| position.output.offset);
        assert!(position.is_none() || offset as usize <= inner.acknowledged, "it never acknowledged that much");
        inner.begun_at.push(offset);
        inner.bytes.truncate(offset as usize);
        inner.acknowledged = offset as usize;
        Ok(())
    }

    fn write(&mut self, block: &Bytes) -> Result<(), SinkError> {
        let pause = {
            let mut inner = self.0.lock();
            inner.n_writes += 1;
            inner.bytes.extend_from_slice(block);
            inner.pause
        };
        busy_for(pause);
        while self.is_held() {
            busy_for(Duration::from_millis(1));
        }
        Ok(())
    }

    fn commit(&mut self, position: &Position) -> Result<(), SinkError> {
        let mut inner = self.0.lock();
        assert_eq!(position.output.offset, inner.bytes.len() as u64);
        inner.acknowledged = inner.bytes.len();
        Ok(())
    }

    fn finish(&mut self, manifest: &Manifest) -> Result<(), SinkError> {
        let finishing = {
            let mut inner = self.0.lock();
            inner.is_finishing = true;
            inner.manifest = Some(manifest.clone());
            inner.finishing
        };
        busy_for(finishing);
        Ok(())
    }

    fn abort(&mut self) {}
}

#[test]
fn a_host_s_sink_is_taken_up_where_it_has_acknowledged() {
    let stand = slow(3950);
    let kept = Kept::default();
    let start = |kept: &Kept| {
        let kept = kept.clone();
        Engine::builder().config(stand.config()).sink("calls", move || kept.clone()).start().unwrap()
    };
    hold(&stand, 0, 20, LONG);
    run(async {
        let engine = start(&kept);
        let ending = begin(&engine);
        asked_for(&stand, 0, 20).await;
        assert!(engine.cancel("calls").await);
        assert!(matches!(ending.await.unwrap(), Ending::Parked(_)));
        engine.shutdown().await;
        let acknowledged = kept.0.lock().acknowledged as u64;
        assert!(acknowledged > 0, "parking did not save anything");
        let engine = start(&kept);
        complete(engine.extract("calls").await.unwrap());
        engine.shutdown().await;
        assert_eq!(kept.0.lock().begun_at, [0, acknowledged]);
    });
    let inner = kept.0.lock();
    assert!(inner.bytes == stand.mock.expected_csv("detail"));
    assert_eq!(inner.manifest.as_ref().unwrap().output.bytes, inner.bytes.len() as u64);
}

#[test]
fn a_since_report_goes_on_from_where_the_last_one_ended() {
    let stand = slow(50);
    let yaml = stand
        .yaml()
        .replace("window: {from: 2024-01-01, to: 2024-01-31}", "window: {since: 2024-01-01, lag: 1h}")
        .replace("page_size: 100", "page_size: 100\n    output: {path: \"{report}-{from}-{to}.csv\"}");
    let config = || {
        let sources = cxtract::config::Sources::text(stand.folder.path().join("config.yaml"), &yaml);
        cxtract::Config::load(&sources).unwrap()
    };
    let extract = || complete(with_engine(config(), |engine| async move { engine.extract("calls").await.unwrap() }));
    let first = extract();
    assert_eq!(first.window.from.to_string(), "2024-01-01T00:00:00.000Z");
    run(async { tokio::time::sleep(Duration::from_millis(1100)).await });
    let second = extract();
    assert_eq!(second.window.from.0, first.window.to.0 + 1);
    assert!(second.window.to > first.window.to);
}

#[test]
fn queries_of_an_earlier_run_have_their_places_before_anything_new_is_submitted() {
    let mock = tenant_of(2950).latency(Duration::from_millis(10)).max_open_queries(1);
    let stand = stand(mock).set("max_in_flight", "2").set("max_queries", "1");
    park_at(&stand, 0, 10);
    // Another report is asked for first; the tenant would answer a second query with 429.
    let yaml = format!(
        "{}  another:\n    tenant: acme\n    template_id: other\n    window: {{from: 2024-01-01, to: 2024-01-31}}\n",
        stand.yaml()
    );
    let sources = cxtract::config::Sources::text(stand.folder.path().join("config.yaml"), &yaml);
    let config = cxtract::Config::load(&sources).unwrap();
    let (other, calls) =
        with_engine(config, |engine| async move { tokio::join!(engine.extract("another"), engine.extract("calls")) });
    assert_eq!((complete(calls.unwrap()).resumed, complete(other.unwrap()).http.throttled), (1, 0));
    assert!(stand.delivered() == stand.mock.expected_csv("detail"));
    assert_eq!(stand.mock.ledger().iter().filter(|call| call.status == 429).count(), 0);
}

#[test]
fn d7_a_folder_that_can_not_be_written_for_a_while_costs_nothing_of_what_was_extracted() {
    let stand = slow(3950);
    park_at(&stand, 0, 20);
    // A directory where the part's neighbour has to be made is no place to write into, for whomever it is.
    let blocked = stand.output().with_extension("csv.manifest.json");
    std::fs::create_dir(&blocked).unwrap();
    assert!(matches!(stand.extract(), Ending::Failed(_)));
    std::fs::remove_dir(&blocked).unwrap();
    assert_eq!(stand.extract_all().resumed, 2);
    assert_eq!(stand.n_queries(), 1);
}

/// A split report on its way into a sink that takes its time, so that pages queue up there when something happens.
fn into_slow_sink(stand: &Stand, kept: &Kept) -> EngineHandle {
    kept.0.lock().pause = Duration::from_millis(15);
    let kept = kept.clone();
    Engine::builder().config(stand.config()).sink("calls", move || kept.clone()).start().unwrap()
}

/// Starts the extraction of `calls` beside the caller.
pub fn begin(engine: &EngineHandle) -> tokio::task::JoinHandle<Ending> {
    let engine = engine.clone();
    actix_rt::spawn(async move { engine.extract("calls").await.unwrap() })
}

/// Resolves once the write has begun that is held.
async fn held_up(kept: &Kept) {
    while !kept.is_held() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// The manifest of a report that is whole, whatever it went through.
fn whole(stand: &Stand, kept: &Kept, ending: Ending) -> Manifest {
    let manifest = complete(ending);
    let inner = kept.0.lock();
    assert!(inner.bytes == stand.mock.expected_csv("detail"), "{} bytes", inner.bytes.len());
    let parts = manifest.parts.as_ref().expect("it is split");
    assert_eq!(parts.iter().map(|part| part.rows).collect::<Vec<_>>(), [450; 4]);
    assert_eq!((manifest.output.rows, manifest.pages), (1800, 20));
    assert_eq!(manifest.reconciliation.total_rows, Some(1800));
    manifest
}

#[test]
fn a_part_s_end_and_what_is_stored_of_it_are_one_step_whenever_the_report_is_called_off() {
    for n_writes in [3, 5, 6, 7, 9, 10, 11, 15] {
        for is_lost in [false, true] {
            let stand = stand(tenant_of(450)).report("split: 10d").set("max_queries", "4");
            let kept = Kept::default();
            kept.0.lock().held_at = Some(n_writes);
            run(async {
                let engine = into_slow_sink(&stand, &kept);
                let ending = begin(&engine);
                held_up(&kept).await;
                // It is answered when all is saved, for which the write has to end.
                let let_go = async {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    kept.let_go();
                };
                assert!(tokio::join!(engine.cancel("calls"), let_go).0);
                assert!(matches!(ending.await.unwrap(), Ending::Parked(_)));
                engine.shutdown().await;
                if is_lost {
                    stand.mock.with(|tenant| (0..tenant.queries().len()).for_each(|nth| tenant.expire_query(nth)));
                }
                let engine = into_slow_sink(&stand, &kept);
                let ending = engine.extract("calls").await.unwrap();
                engine.shutdown().await;
                whole(&stand, &kept, ending);
            });
        }
    }
}

#[test]
fn t6_a_query_opened_ahead_that_expires_while_a_part_is_written_loses_nothing() {
    for n_writes in [2, 4, 5, 6, 8, 10] {
        let stand = stand(tenant_of(450)).report("split: 10d").set("max_queries", "4");
        let kept = Kept::default();
        kept.0.lock().held_at = Some(n_writes);
        run(async {
            let engine = into_slow_sink(&stand, &kept);
            let ending = begin(&engine);
            held_up(&kept).await;
            stand.mock.with(|tenant| (0..tenant.queries().len()).skip(1).for_each(|nth| tenant.expire_query(nth)));
            kept.let_go();
            let ending = ending.await.unwrap();
            engine.shutdown().await;
            whole(&stand, &kept, ending);
        });
    }
}

#[test]
fn another_order_for_a_report_under_way_is_carried_out_after_it() {
    let stand = slow(950);
    let moment = |text: &str| cxtract::model::Timestamp::parse(text).unwrap();
    let window =
        cxtract::model::Window { from: moment("2023-01-01T00:00:00Z"), to: moment("2023-01-01T23:59:59.999Z") };
    let given = Extract { asked: cxtract::model::Asked::Given(window), ..Extract::report("calls") };
    let (due, given) = with_engine(stand.config(), async |engine: EngineHandle| {
        tokio::join!(engine.extract("calls"), engine.extract_with(given))
    });
    assert_eq!(complete(due.unwrap()).window.from, moment("2024-01-01T00:00:00Z"));
    assert_eq!(complete(given.unwrap()).window, window);
}

#[test]
fn what_is_called_off_while_one_window_is_delivered_does_not_begin_with_the_next() {
    let stand = slow(950);
    let yaml = stand
        .yaml()
        .replace("{from: 2024-01-01, to: 2024-01-31}", "{since: 2024-01-01}")
        .replace("page_size: 100", "page_size: 100\n    output: {path: \"{report}-{from}-{to}.csv\"}");
    let sources = || cxtract::config::Sources::text(stand.folder.path().join("config.yaml"), &yaml);
    let kept = Kept::default();
    let start = || {
        let kept = kept.clone();
        let config = cxtract::Config::load(&sources()).unwrap();
        Engine::builder().config(config).sink("calls", move || kept.clone()).start().unwrap()
    };
    hold(&stand, 0, 5, LONG);
    run(async {
        let engine = start();
        let ending = begin(&engine);
        asked_for(&stand, 0, 5).await;
        assert!(engine.cancel("calls").await);
        assert!(matches!(ending.await.unwrap(), Ending::Parked(_)));
        engine.shutdown().await;
        // Due are the window that was begun, and behind it the one of the time since.
        kept.0.lock().finishing = Duration::from_millis(300);
        let engine = start();
        assert_eq!(engine.agenda(&Extract::report("calls")).await.unwrap().tasks.len(), 2);
        let ending = begin(&engine);
        while !kept.0.lock().is_finishing {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert!(engine.cancel("calls").await);
        complete(ending.await.unwrap());
        engine.shutdown().await;
    });
    assert_eq!(stand.n_queries(), 1, "the next window was begun");
}

#[test]
fn k7b_a_delivery_whose_files_are_gone_is_no_obstacle_to_a_new_start() {
    let stand = slow(950);
    park_at(&stand, 0, 5);
    {
        let store = SqliteStore::open(&stand.config().state.path, WallClock::system()).unwrap();
        let stored = store.list().unwrap().remove(0);
        let output = Deliverable { path: stand.output(), bytes: 7, sha256: "of nothing that is there".to_owned() };
        let publication = Publication { output, sides: Vec::new(), stale: Vec::new(), manifest: "{}".to_owned() };
        store.save_delivery(&stored.key, &publication.to_text(), "{}").unwrap();
    }
    let stand = stand.report("filters: [{field: channel, operator: eq, value: voice}]");
    let fresh = Extract { fresh: true, ..Extract::report("calls") };
    complete(with_engine(stand.config(), |engine| async move { engine.extract_with(fresh).await.unwrap() }));
    assert!(stand.delivered() == stand.mock.expected_csv("detail"));
}

/// Resolves once all ten pages of query 1 were served.
async fn part_is_read(stand: &Stand) {
    let query = stand.mock.with(|tenant| tenant.queries()[1].id.clone());
    let is_served = |page: u64| {
        let ledger = stand.mock.ledger();
        let mut of_page =
            ledger.iter().filter(|call| call.query.as_deref() == Some(&*query) && call.page == Some(page));
        of_page.any(|call| call.is_page_served() && call.ended.is_some())
    };
    while !(1..=10).all(is_served) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[test]
fn x5_a_store_that_is_slow_sends_no_submission_into_a_pause() {
    let mock = tenant_of(950).report("long", MockReport::with_rows(60_000)).latency(Duration::from_millis(20));
    let stand = stand(mock).set("max_in_flight", "2").report("split: 20d").set("max_queries", "2");
    let other = "window: {from: 2024-02-01, to: 2024-02-28}\n    page_size: 100";
    let yaml = format!("{}  other:\n    tenant: acme\n    template_id: long\n    {other}\n", stand.yaml());
    let sources = cxtract::config::Sources::text(stand.folder.path().join("config.yaml"), &yaml);
    let config = cxtract::Config::load(&sources).unwrap();
    let store = config.state.path.clone();
    let ending = with_engine(config, async |engine: EngineHandle| {
        let asker = engine.clone();
        let long = actix_rt::spawn(async move { asker.extract("other").await.unwrap() });
        asked_for(&stand, 0, 2).await;
        hold(&stand, 1, 6, A_MOMENT);
        let ending = begin(&engine);
        asked_for(&stand, 1, 6).await;
        // Somebody else writes to the store, for longer than it takes to read this part to its end and submit the next.
        let lock = rusqlite::Connection::open(&store).unwrap();
        lock.busy_timeout(Duration::from_secs(5)).unwrap();
        lock.execute_batch("BEGIN IMMEDIATE").unwrap();
        part_is_read(&stand).await;
        let told = FaultRule::new(Matcher::pages().of_query(0).first(1), Fault::told_to_wait(429, 2));
        stand.mock.with(|tenant| tenant.add_fault(told));
        while stand.mock.ledger().iter().all(|call| call.status != 429) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(stand.n_queries(), 2, "the next part's submission went out past the lock");
        lock.execute_batch("ROLLBACK").unwrap();
        let ending = ending.await.unwrap();
        engine.cancel("other").await;
        long.await.unwrap();
        ending
    });
    complete(ending);
    let ledger = stand.mock.ledger();
    assert!(ledger.calls_while_told_to_wait().is_empty(), "{:?}", ledger.calls_while_told_to_wait());
}
