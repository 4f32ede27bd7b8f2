//! The engine as a host meets it: orders, snapshots, pauses, and what is left when the host lets go.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use cxtract::mock::{CallKind, Fault, FaultRule, Matcher};
use cxtract::model::{FailureClass, ParkReason, ReportState};
use cxtract::{Ending, Engine, EngineHandle, Extract, Progress};
use parking_lot::Mutex;

use crate::bench::{A_MOMENT, LONG, complete, hold, stand, tenant_of};
use crate::support::{Stand, run, with_engine};

/// A stand whose calls take their time.
fn slow(n_rows: u64) -> Stand {
    stand(tenant_of(n_rows).latency(Duration::from_millis(20))).set("max_in_flight", "2")
}

/// The same, held at that page for so long.
fn held_at(page: u64, time: Duration, n_rows: u64) -> Stand {
    let stand = slow(n_rows);
    hold(&stand, 0, page, time);
    stand
}

/// Resolves once the tenant has been asked for that page.
async fn asked_for(stand: &Stand, page: u64) {
    while stand.n_asked(page) == 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Starts the extraction of `calls` beside the caller.
fn begin(engine: &EngineHandle) -> tokio::task::JoinHandle<Ending> {
    let engine = engine.clone();
    actix_rt::spawn(async move { engine.extract("calls").await.unwrap() })
}

struct Listener {
    heard: Arc<Mutex<Vec<Progress>>>,
    /// How long each snapshot keeps it busy.
    busy: Duration,
    /// How many snapshots may wait for it.
    capacity: usize,
}

impl Actor for Listener {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(self.capacity);
    }
}

impl Handler<Progress> for Listener {
    type Result = AtomicResponse<Self, ()>;

    fn handle(&mut self, progress: Progress, _: &mut Self::Context) -> Self::Result {
        self.heard.lock().push(progress);
        AtomicResponse::new(Box::pin(tokio::time::sleep(self.busy).into_actor(self)))
    }
}

/// Extracts while a listener that slow listens, for whom so many snapshots may wait; what it heard.
fn heard_by(busy: Duration, capacity: usize, stand: &Stand) -> (Ending, Vec<Progress>) {
    let heard = Arc::<Mutex<Vec<Progress>>>::default();
    let listener = heard.clone();
    let ending = with_engine(stand.config(), |engine| async move {
        engine.subscribe(Listener { heard: listener, busy, capacity }.start().recipient());
        let ending = engine.extract("calls").await.unwrap();
        // A slow listener is brought up to date once it has time.
        tokio::time::sleep(busy * 4 + Duration::from_millis(250)).await;
        ending
    });
    let heard = heard.lock().clone();
    (ending, heard)
}

#[test]
fn a_subscriber_hears_every_state_up_to_the_end() {
    let stand = slow(950);
    let (ending, heard) = heard_by(Duration::ZERO, 16, &stand);
    let manifest = complete(ending);
    let mut states: Vec<_> = heard.iter().map(|progress| progress.state).collect();
    states.dedup();
    let due = [ReportState::Submitted, ReportState::Polling, ReportState::Fetching, ReportState::Complete];
    assert!(states.ends_with(&due), "{states:?}");
    let last = heard.last().unwrap();
    assert_eq!((last.n_pages, last.n_rows, last.n_bytes), (10, 950, manifest.output.bytes));
    assert!(heard.windows(2).all(|two| two[0].n_rows <= two[1].n_rows), "rows go back");
}

#[test]
fn a_slow_subscriber_holds_nobody_up_and_hears_of_the_end() {
    let stand = slow(1950);
    let (ending, heard) = heard_by(Duration::from_millis(300), 1, &stand);
    complete(ending);
    assert!(heard.len() < 10, "{} snapshots", heard.len());
    assert_eq!(heard.last().unwrap().state, ReportState::Complete);
}

#[test]
fn a_subscriber_that_has_gone_is_forgotten() {
    let stand = slow(250);
    let ending = with_engine(stand.config(), |engine| async move {
        let listener = Listener { heard: Arc::default(), busy: Duration::ZERO, capacity: 1 };
        let arbiter = Arbiter::new();
        let gone = Listener::start_in_arbiter(&arbiter.handle(), |_| listener);
        arbiter.stop();
        tokio::time::sleep(Duration::from_millis(20)).await;
        engine.subscribe(gone.recipient());
        engine.extract("calls").await.unwrap()
    });
    complete(ending);
}

#[test]
fn status_shows_reports_under_way_and_ended() {
    let stand = held_at(4, A_MOMENT, 950);
    let config = stand.config();
    with_engine(config, async |engine: EngineHandle| {
        let ending = begin(&engine);
        asked_for(&stand, 4).await;
        let under_way = engine.status().await;
        assert_eq!((under_way.len(), under_way[0].state), (1, ReportState::Fetching));
        complete(ending.await.unwrap());
        let ended = engine.status().await;
        assert_eq!((ended.len(), ended[0].state, ended[0].n_rows), (1, ReportState::Complete, 950));
    });
}

#[test]
fn a_paused_report_sends_nothing_and_goes_on_where_it_was() {
    let stand = held_at(3, A_MOMENT, 1950);
    with_engine(stand.config(), async |engine: EngineHandle| {
        let ending = begin(&engine);
        asked_for(&stand, 3).await;
        assert!(engine.pause("calls").await);
        tokio::time::sleep(Duration::from_millis(300)).await;
        let n_calls = stand.mock.ledger().len();
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(stand.mock.ledger().len(), n_calls, "calls went out in the pause");
        assert!(engine.resume("calls").await);
        complete(ending.await.unwrap());
    });
    assert!(stand.delivered() == stand.mock.expected_csv("detail"));
    assert_eq!(stand.n_queries(), 1);
}

#[test]
fn a_cancelled_report_parks_and_sends_nothing_more() {
    let stand = held_at(3, LONG, 1950);
    let ending = with_engine(stand.config(), async |engine: EngineHandle| {
        let ending = begin(&engine);
        asked_for(&stand, 3).await;
        assert!(engine.cancel("calls").await);
        let ending = ending.await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        let n_calls = stand.mock.ledger().len();
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(stand.mock.ledger().len(), n_calls);
        ending
    });
    stand.parked(ending, ParkReason::Stopped).says(&["next run"]);
}

#[test]
fn orders_for_reports_that_are_not_under_way_are_refused() {
    let stand = slow(10);
    with_engine(stand.config(), |engine| async move {
        assert!(!engine.pause("calls").await && !engine.resume("calls").await && !engine.cancel("calls").await);
        let failure = engine.extract("no-such").await.unwrap_err();
        assert_eq!(failure.class, FailureClass::Local);
        assert!(failure.message.contains("no-such"));
    });
    assert!(stand.mock.ledger().is_empty());
}

#[test]
fn two_who_ask_for_the_same_report_get_the_same_extraction() {
    let stand = slow(450);
    with_engine(stand.config(), |engine| async move {
        let (one, other) = tokio::join!(engine.extract("calls"), engine.extract("calls"));
        assert_eq!(complete(one.unwrap()), complete(other.unwrap()));
    });
    assert_eq!(stand.n_queries(), 1);
}

#[test]
fn dropping_the_last_handle_parks_what_is_under_way() {
    let stand = held_at(3, LONG, 4950);
    run(async {
        let engine = Engine::builder().config(stand.config()).start().unwrap();
        let extract = engine.extractor().expect("there is a supervisor");
        let ending = extract.send(Extract::report("calls"));
        let ending = actix_rt::spawn(ending);
        asked_for(&stand, 3).await;
        let clone = engine.clone();
        drop(engine);
        tokio::time::sleep(Duration::from_millis(30)).await;
        assert!(!ending.is_finished(), "a clone is left");
        drop(clone);
        let ending = ending.await.unwrap().unwrap().unwrap();
        stand.parked(ending, ParkReason::Stopped);
        tokio::time::sleep(Duration::from_millis(100)).await;
        let n_calls = stand.mock.ledger().len();
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(stand.mock.ledger().len(), n_calls);
    });
    assert!(stand.output().with_extension("csv.part").exists());
}

#[test]
fn a_handle_dropped_at_once_leaves_nothing_running() {
    let stand = slow(10);
    run(async {
        drop(Engine::builder().config(stand.config()).start().unwrap());
        tokio::time::sleep(Duration::from_millis(100)).await;
    });
    assert!(stand.mock.ledger().is_empty());
}

#[test]
fn an_engine_that_is_shut_down_parks_new_orders_too() {
    let stand = slow(10);
    run(async {
        let engine = Engine::builder().config(stand.config()).start().unwrap();
        engine.shutdown().await;
        let refused = engine.extract("calls").await;
        assert!(!matches!(refused, Ok(Ending::Complete(_))), "{refused:?}");
        assert!(engine.status().await.is_empty());
    });
    assert_eq!(stand.n_calls(CallKind::Submit), 0);
}

#[test]
fn a_report_can_be_asked_for_again_after_its_failure() {
    let mock = tenant_of(250).fault(FaultRule::new(Matcher::page(2), Fault::status(403)));
    let stand = stand(mock);
    with_engine(stand.config(), async |engine: EngineHandle| {
        assert!(matches!(engine.extract("calls").await, Ok(Ending::Failed(_))));
        stand.mock.with(cxtract::mock::Tenant::clear_faults);
        complete(engine.extract("calls").await.unwrap());
    });
    assert_eq!(stand.n_queries(), 2);
    assert!(stand.delivered() == stand.mock.expected_csv("detail"));
}

#[test]
fn a_sink_for_a_report_that_is_not_configured_is_refused_at_the_start() {
    let stand = crate::bench::stand(crate::bench::tenant_of(50));
    let started = run(async {
        Engine::builder()
            .config(stand.config())
            .sink("call", || cxtract::sink::StdoutSink::over(Vec::new(), cxtract::sink::Backstage::inline()))
            .start()
    });
    let Err(error) = started else { panic!("it started") };
    assert!(error.to_string().contains("call"), "{error}");
}
