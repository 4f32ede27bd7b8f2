//! Runs a load: starts tenants and an engine, asks for reports until there were enough, and gathers what is known.
//!
//! All reports are asked for at once, the first of every tenant before the second of any, so that no tenant waits for
//! another's. It runs inside an actix System, as the engine does, and can be stopped at any moment with what was
//! measured so far.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::pending;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix::prelude::*;
use futures::future::join_all;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep, timeout};

use crate::model::{Asked, ExtractionId, ParkReason, Progress, ReportName, TenantName, Window};
use crate::{Ending, Engine, EngineHandle, Extract};

use super::gather::{Measured, gathered};
use super::machine::{self, Cpu};
use super::meter::Meter;
use super::outcome::Outcomes;
use super::place::{self, Place};
use super::report::LoadReport;
use super::samples::Samples;
use super::settings::{Amount, Load, LoadError};
use super::targets::Targets;
use super::verify::{Checker, Delivered};

/// How often a load is looked at.
const TICK: Duration = Duration::from_secs(1);

/// A report that did not get through is asked for again after so long, where time is what the load is for.
const BREATH: Duration = Duration::from_secs(1);

/// How long the engine may take to let go of what is under way.
const GRACE: Duration = Duration::from_secs(20);

/// How a load stands.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tick {
    /// Since its beginning.
    pub elapsed: Duration,
    /// Reports delivered.
    pub complete: u64,
    /// Reports that failed for good or could not be finished.
    pub troubled: u64,
    /// Reports that will be extracted; none where only time decides.
    pub asked: Option<u64>,
    /// Bytes of pages received in the last second.
    pub bytes_per_second: f64,
    /// Calls in the last second.
    pub requests_per_second: f64,
    /// Answers that told to wait so far.
    pub throttled: u64,
    /// Outputs checked, of so many, once the load itself is over.
    pub checked: Option<(u64, u64)>,
}

/// Runs a load to its end.
///
/// # Errors
/// If it can't be run, found before any request.
pub async fn run(load: &Load, on_tick: impl FnMut(&Tick)) -> Result<LoadReport, LoadError> {
    run_until(load, pending(), on_tick).await
}

/// Runs a load to its end, or until `stop` resolves: then the report is of what was measured so far, and outputs that
/// are not checked yet stay unchecked if it resolves while they are.
///
/// # Errors
/// If it can't be run, found before any request.
pub async fn run_until(
    load: &Load,
    stop: impl Future<Output = ()>,
    mut on_tick: impl FnMut(&Tick),
) -> Result<LoadReport, LoadError> {
    let targets = Targets::of(load)?;
    let mut place = Place::new(load)?;
    let config = place::config(load, &targets.tenants, place.path())?;
    let is_one_round = load.amount == Amount::Rounds(1);
    let checker = Checker::start(is_one_round, load.keep, load.before_check.clone())?;
    let meter = Arc::new(Meter::new(targets.tenants.iter().map(|tenant| tenant.name.as_str())));
    let observer = meter.clone();
    let engine = Engine::builder()
        .config(config)
        .environment(Vec::new())
        .observe_calls(move |call| observer.seen(call))
        .start()
        .map_err(LoadError::Start)?;
    let rows = Arc::new(AtomicU64::new(0));
    engine.subscribe(RowCounter { rows: rows.clone(), of: Heights::default() }.start().recipient());
    let run = Run {
        load,
        targets: &targets,
        engine,
        meter: &meter,
        rows: &rows,
        folder: place.path(),
        began: Instant::now(),
        cpu_before: machine::cpu(),
        is_stopping: Cell::new(false),
        outcomes: RefCell::new(Outcomes::new(
            targets.tenants.iter().map(|tenant| tenant.name.clone()).collect(),
            checker,
        )),
    };
    let mut stop = std::pin::pin!(stop);
    let mut measured = run.measure(stop.as_mut(), &mut on_tick).await;
    let outcomes = run.check(&mut measured, stop, &mut on_tick).await;
    drop(run);
    let has_wrong = outcomes.has_wrong();
    let mut report = gathered(load, &targets, measured, outcomes);
    if has_wrong {
        // Whoever has to find out why needs the file.
        place.keep();
    }
    report.kept = (load.keep || has_wrong).then(|| place.path().to_owned());
    Ok(report)
}

/// A load under way.
struct Run<'a> {
    load: &'a Load,
    targets: &'a Targets,
    engine: EngineHandle,
    meter: &'a Meter,
    rows: &'a AtomicU64,
    folder: &'a Path,
    began: Instant,
    cpu_before: Option<Cpu>,
    is_stopping: Cell<bool>,
    outcomes: RefCell<Outcomes>,
}

impl Run<'_> {
    /// Extracts until there was enough, and measures.
    async fn measure<S: Future<Output = ()>>(
        &self,
        mut stop: Pin<&mut S>,
        on_tick: &mut impl FnMut(&Tick),
    ) -> Measured {
        let each = (0..self.load.reports).flat_map(|nth| (0..self.targets.tenants.len()).map(move |t| (t, nth)));
        let mut all = Box::pin(join_all(each.map(|(tenant, nth)| self.again_and_again(tenant, nth))));
        let mut time_over = std::pin::pin!(async {
            match self.load.amount {
                Amount::For(time) => sleep(time).await,
                Amount::Rounds(_) => pending().await,
            }
        });
        let mut ticks = each_tick().await;
        let mut samples = Samples::default();
        let mut before = (Instant::now(), self.meter.totals());
        let mut stopped = false;
        let is_done = loop {
            tokio::select! {
                _ = &mut all => break true,
                () = &mut time_over => break false,
                () = stop.as_mut() => {
                    stopped = true;
                    break false;
                }
                _ = ticks.tick() => {
                    let totals = self.meter.totals();
                    self.sample(&mut samples);
                    let seconds = before.0.elapsed().as_secs_f64().max(1e-3);
                    on_tick(&Tick {
                        bytes_per_second: (totals.bytes - before.1.bytes) as f64 / seconds,
                        requests_per_second: (totals.requests - before.1.requests) as f64 / seconds,
                        ..self.tick()
                    });
                    before = (Instant::now(), totals);
                }
            }
        };
        self.is_stopping.set(true);
        self.sample(&mut samples);
        let duration = self.began.elapsed();
        let mut measured = Measured {
            duration,
            calls_allowed: self.targets.calls_allowed(duration),
            stopped,
            samples,
            cpu: machine::cpu().zip(self.cpu_before).map(|(now, before)| now.since(before)),
            memory: machine::memory(),
            totals: self.meter.totals(),
            latency: self.meter.latencies(),
            tenants: self.meter.tenants(),
            breaker_opens: self
                .targets
                .tenants
                .iter()
                .map(|tenant| self.engine.breaker_opens(&TenantName::new(&tenant.name)))
                .collect(),
        };
        let the_rest = async {
            self.engine.shutdown().await;
            if !is_done {
                all.await;
            }
        };
        if !is_over_in_time(the_rest, stop, &mut measured.stopped).await {
            tracing::warn!("the engine did not stop in time");
            self.outcomes.borrow_mut().cut_off_the_rest();
        }
        measured
    }

    /// Has the outputs checked that were delivered.
    async fn check<S: Future<Output = ()>>(
        &self,
        measured: &mut Measured,
        mut stop: Pin<&mut S>,
        on_tick: &mut impl FnMut(&Tick),
    ) -> Outcomes {
        let mut outcomes = self.outcomes.take();
        let tick = self.tick_of(&outcomes);
        outcomes.close();
        // A large output may take long to check, and nothing comes of it until then.
        let mut ticks = each_tick().await;
        loop {
            tokio::select! {
                is_one = outcomes.take_checked() => {
                    if !is_one {
                        return outcomes;
                    }
                }
                // Where it has stopped the load it must not be asked again.
                () = stop.as_mut(), if !measured.stopped => {
                    measured.stopped = true;
                    return outcomes;
                }
                _ = ticks.tick() => {
                    let (elapsed, checked) = (self.began.elapsed(), Some(outcomes.checked()));
                    on_tick(&Tick { elapsed, checked, ..tick });
                }
            }
        }
    }

    fn sample(&self, samples: &mut Samples) {
        let rows = self.rows.load(Ordering::Relaxed);
        samples.take(self.began.elapsed(), self.meter.totals(), rows, machine::memory().resident);
    }

    fn tick(&self) -> Tick {
        self.tick_of(&self.outcomes.borrow())
    }

    fn tick_of(&self, outcomes: &Outcomes) -> Tick {
        Tick {
            elapsed: self.began.elapsed(),
            complete: outcomes.n_complete(),
            troubled: outcomes.n_troubled(),
            asked: self.load.n_asked(),
            throttled: self.meter.totals().throttled,
            ..Tick::default()
        }
    }

    /// Extracts one report until there was enough of it.
    async fn again_and_again(&self, tenant: usize, nth: usize) {
        let name = place::report_name(&self.targets.tenants[tenant].name, nth + 1);
        let mut round = 0;
        while self.goes_on(round) {
            let window = place::window(self.load, self.targets.begins, nth, round);
            let order = Extract { report: ReportName::new(&name), asked: Asked::Given(window), fresh: false };
            let asked = Instant::now();
            self.outcomes.borrow_mut().tenants[tenant].begun += 1;
            let ending = self.engine.extract_with(order).await.unwrap_or_else(Ending::Failed);
            let is_complete = matches!(ending, Ending::Complete(_));
            self.ended(tenant, nth, window, asked.elapsed(), ending);
            round += 1;
            if !is_complete && self.goes_on(round) {
                sleep(BREATH).await;
            }
        }
    }

    fn ended(&self, tenant: usize, nth: usize, window: Window, took: Duration, ending: Ending) {
        let facts = &self.targets.tenants[tenant];
        let report = place::report_name(&facts.name, nth + 1);
        let mut outcomes = self.outcomes.borrow_mut();
        match ending {
            Ending::Complete(manifest) => {
                let path = self.folder.join("out").join(&facts.name).join(file_name(&manifest.output.path));
                let template = &facts.templates[nth % facts.templates.len()];
                let running = self.targets.host.as_ref().and_then(|host| host.tenant(&facts.name));
                let expected = running.map(|running| running.expected_for(template, window));
                outcomes.complete(took, Delivered { tenant, report, path, manifest, window, expected });
            }
            Ending::Parked(park) if park.reason == ParkReason::Stopped && self.is_stopping.get() => {
                outcomes.tenants[tenant].cut_off += 1;
            }
            Ending::Parked(park) => outcomes.parked(tenant, &report, &park.message),
            Ending::Failed(failure) => outcomes.failed(tenant, &report, &failure.message),
            Ending::Skipped(why) => outcomes.failed(tenant, &report, &why),
        }
    }

    fn goes_on(&self, round: u64) -> bool {
        let enough = match self.load.amount {
            Amount::Rounds(rounds) => round >= u64::from(rounds),
            Amount::For(_) => false,
        };
        !enough && !self.is_stopping.get()
    }
}

/// Whether the rest of a load is over before the engine's time is up. A wish to stop is noted meanwhile, and changes
/// nothing else: what is under way is being let go already.
async fn is_over_in_time<S: Future<Output = ()>>(
    rest: impl Future<Output = ()>,
    mut stop: Pin<&mut S>,
    stopped: &mut bool,
) -> bool {
    let mut rest = std::pin::pin!(timeout(GRACE, rest));
    loop {
        tokio::select! {
            is_over = &mut rest => return is_over.is_ok(),
            // It must not be asked again.
            () = stop.as_mut(), if !*stopped => *stopped = true,
        }
    }
}

/// Ticks, the first of them after one stretch.
async fn each_tick() -> Interval {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    ticks.tick().await;
    ticks
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Adds up the rows that are written, over all reports.
struct RowCounter {
    rows: Arc<AtomicU64>,
    of: Heights,
}

impl Actor for RowCounter {
    type Context = Context<Self>;
}

impl Handler<Progress> for RowCounter {
    type Result = ();

    fn handle(&mut self, progress: Progress, _: &mut Self::Context) {
        let grown = self.of.grown(progress.report, progress.extraction, progress.n_rows);
        self.rows.fetch_add(grown, Ordering::Relaxed);
    }
}

/// How many rows each report's newest extraction has: one number for a report, however often it is extracted.
#[derive(Default)]
struct Heights(HashMap<ReportName, (ExtractionId, u64)>);

impl Heights {
    /// By how much that extraction has grown. An output that starts again has fewer: rows that were written were
    /// written.
    fn grown(&mut self, report: ReportName, extraction: ExtractionId, rows: u64) -> u64 {
        let before = self.0.insert(report, (extraction, rows)).filter(|(known, _)| *known == extraction);
        rows.saturating_sub(before.map_or(0, |(_, rows)| rows))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_wish_to_stop_is_heard_while_the_engine_lets_go_and_the_rest_is_waited_for() {
        let second = Duration::from_secs(1);
        for (rest, wish, due) in [(5, 2, (true, true)), (5, 9, (true, false)), (99, 2, (false, true))] {
            let began = Instant::now();
            let mut stop = std::pin::pin!(sleep(second * wish));
            let mut stopped = false;
            let in_time = is_over_in_time(sleep(second * rest), stop.as_mut(), &mut stopped).await;
            assert_eq!((in_time, stopped), due);
            assert!(began.elapsed() >= (second * rest).min(GRACE));
        }
        let mut stop = std::pin::pin!(std::future::ready(()));
        stop.as_mut().await;
        assert!(is_over_in_time(sleep(second), stop, &mut true).await, "who has stopped it is not asked again");
    }

    #[test]
    fn a_report_that_is_extracted_again_and_again_takes_up_one_place() {
        let mut heights = Heights::default();
        let mut grown = |extraction, rows| heights.grown(ReportName::new("a"), ExtractionId(extraction), rows);
        assert_eq!([grown(1, 5), grown(1, 9), grown(1, 9), grown(1, 3)], [5, 4, 0, 0]);
        assert_eq!([grown(2, 4), grown(2, 6)], [4, 2]);
        assert_eq!(heights.0.len(), 1);
    }
}
