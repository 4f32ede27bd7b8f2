//! `cxtract run`: extracts reports through the engine's public face, and nothing else.
//!
//! First the engine tells what becomes of each order, so that whatever stands against one is known before any request.
//! Then all reports start at once, each with its windows in turn; the engine decides what runs when. The first signal
//! parks everything, the second ends the program where it stands.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use cxtract::config::{ConfigErrors, ReportConfig, WindowOverrides};
use cxtract::model::{ReportName, Timestamp, WallClock, Window};
use cxtract::state::Store;
use cxtract::state::agenda::Step;
use cxtract::{Config, Ending, Engine, EngineHandle, Extract, StartError};
use futures::FutureExt;
use futures::future::join_all;
use tokio::time::{Instant, timeout};

use crate::cli::args::{ProgressMode, RunArgs};
use crate::cli::exit::{Exit, Signal, Trouble};
use crate::cli::plan::{self, Job, Planned, Turn};
use crate::cli::progress::{self, Ended};
use crate::cli::screen::Screen;
use crate::cli::signals::Signals;
use crate::cli::watcher::{ReportEnded, RunEnded, Watcher};
use crate::cli::{dry_run, limits, refuse, setup, told, words};

/// How long saving positions may take after a signal.
const GRACE: Duration = Duration::from_secs(4);

/// Runs the command. `mode` is what the option `--progress` came to.
pub(crate) fn run(file: Option<&Path>, args: &RunArgs, mode: ProgressMode, screen: &Screen) -> Exit {
    let now = WallClock::system().now();
    let (config, jobs) = match prepare(file, args, now) {
        Ok(prepared) => prepared,
        Err(trouble) => return told(screen, &trouble),
    };
    if args.dry_run {
        return match dry(&config, &jobs, now) {
            Ok(text) => setup::print(&text, screen),
            Err(trouble) => told(screen, &trouble),
        };
    }
    extract(config, jobs, mode, screen)
}

/// The configuration as far as it is used, and what the call makes of it. Every problem of every report is told at
/// once.
fn prepare(file: Option<&Path>, args: &RunArgs, now: Timestamp) -> Result<(Config, Vec<Job>), Trouble> {
    let config = setup::load(file, &args.set).and_then(|config| setup::narrow(config, args));
    let config = config.map_err(|problem| Trouble::refused(&problem))?;
    Engine::supports(&config).map_err(|error| Trouble::refused(&error))?;
    let overrides = args.overrides();
    let (mut jobs, mut problems) = (Vec::with_capacity(config.reports.len()), Vec::new());
    // Only an end without a beginning takes the latter from what is stored.
    let store = match &overrides {
        WindowOverrides { from: None, to, until } if to.is_some() || until.is_some() => setup::stored(&config)?,
        _ => None,
    };
    for report in &config.reports {
        let watermark = match &store {
            Some(store) if report.window.is_since() => store.watermark(&report.name, &report.tenant)?,
            _ => None,
        };
        match Job::new(report, &overrides, args.each, args.fresh, now, watermark) {
            Ok(job) => jobs.push(job),
            Err(problem) => problems.push(problem),
        }
    }
    if !problems.is_empty() {
        return Err(Trouble::refused(&ConfigErrors(problems)));
    }
    apart(jobs.iter().map(|job| (&job.report, job.windows())))?;
    Ok((config, jobs))
}

/// Reports must go to files of their own, whatever windows they get.
fn apart<'a>(reports: impl Iterator<Item = (&'a Arc<ReportConfig>, Vec<Window>)>) -> Result<(), Trouble> {
    let mut taken: HashMap<PathBuf, &ReportName> = HashMap::new();
    for (report, windows) in reports {
        for file in windows.iter().filter_map(|window| report.output_file(window)) {
            if let Some(other) = taken.insert(file, &report.name).filter(|other| **other != report.name) {
                return Err(Trouble::refused(&format_args!(
                    "with this window, {other} and {} would write to one file; extract one at a time, or put {{report}} \
                     into their paths",
                    report.name
                )));
            }
        }
    }
    Ok(())
}

/// What would be done, as text.
fn dry(config: &Config, jobs: &[Job], now: Timestamp) -> Result<String, Trouble> {
    let store = setup::stored(config)?;
    let store = store.as_ref().map(|store| store as &dyn Store);
    let ask = async |job: &Job, orders: Vec<Extract>| dry_run::agendas(store, &job.report, &orders, now);
    let plan = plan::of_all(jobs, &ask).now_or_never().expect("what lies on this machine is not waited for")?;
    apart_as_planned(&plan)?;
    dry_run::shown(&plan).map_err(|problem| Trouble::refused(&problem))
}

fn apart_as_planned(plan: &[Planned]) -> Result<(), Trouble> {
    let windows = |planned: &Planned| planned.turns.iter().map(|turn| turn.window).collect();
    apart(plan.iter().map(|planned| (&planned.job.report, windows(planned))))
}

fn extract(mut config: Config, jobs: Vec<Job>, mode: ProgressMode, screen: &Screen) -> Exit {
    if let Err(problem) = limits::open_files() {
        return refuse(screen, &problem);
    }
    let _mocks = match setup::start_mocks(&mut config) {
        Ok(mocks) => mocks,
        Err(problem) => return refuse(screen, &problem),
    };
    System::new().block_on(async {
        let engine = match Engine::builder().config(config).start() {
            Ok(engine) => engine,
            Err(StartError::State(error)) => return told(screen, &error.into()),
            Err(error) => return refuse(screen, &error.to_string()),
        };
        let signals = match Signals::catch() {
            Ok(signals) => signals,
            Err(error) => return refuse(screen, &format!("signals can't be caught: {error}")),
        };
        let plan = match planned(&engine, &jobs).await {
            Ok(plan) => plan,
            Err(trouble) => return told(screen, &trouble),
        };
        // Held until the end: with its last handle an arbiter's thread would go on, but unowned.
        let arbiter = Arbiter::new();
        let reporter = progress::reporter(mode, screen);
        let watcher = Watcher::start_in_arbiter(&arbiter.handle(), |_| Watcher::new(reporter));
        engine.subscribe(watcher.clone().recipient());
        let (ended, signal) = until_the_end(&engine, &plan, signals, &watcher, screen).await;
        let exits: Vec<Exit> = ended.iter().map(Ended::exit).chain(signal.map(Exit::from)).collect();
        // The last words; a watcher that died has none.
        let _ = watcher.send(RunEnded(ended)).await;
        arbiter.stop();
        let exit = Exit::worst(exits);
        if signal.is_some() {
            // The runtime would wait for look-ups of names that may take long, and nothing listens to signals any more.
            std::process::exit(exit.code().into());
        }
        exit
    })
}

async fn planned(engine: &EngineHandle, jobs: &[Job]) -> Result<Vec<Planned>, Trouble> {
    let ask = async |job: &Job, orders: Vec<Extract>| {
        let agendas = engine.agendas(&job.report.name, orders).await.map_err(Trouble::from)?;
        Ok(agendas.into_iter().map(|agenda| agenda.map_err(Trouble::from)).collect())
    };
    let plan = plan::of_all(jobs, &ask).await?;
    apart_as_planned(&plan)?;
    Ok(plan)
}

/// Extracts until all reports have ended, or until a signal and the grace after it.
async fn until_the_end(
    engine: &EngineHandle,
    plan: &[Planned],
    mut signals: Signals,
    watcher: &Addr<Watcher>,
    screen: &Screen,
) -> (Vec<Ended>, Option<Signal>) {
    let is_stopping = Rc::new(Cell::new(false));
    let ended = Rc::new(RefCell::new(Vec::with_capacity(plan.len())));
    let mut all = Box::pin(join_all(plan.iter().map(|planned| {
        let (ended, is_stopping) = (ended.clone(), is_stopping.clone());
        let tell = move |end: Ended| {
            watcher.do_send(ReportEnded(end.clone()));
            ended.borrow_mut().push(end);
        };
        async move { in_turn(engine, planned, &is_stopping, tell, screen).await }
    })));
    let signal = tokio::select! {
        _ = &mut all => None,
        signal = signals.next() => Some(signal),
    };
    if signal.is_some() {
        is_stopping.set(true);
        let told = "stopping; positions are saved, and the next run goes on from there (again to stop at once)";
        screen.lines(vec![told.to_owned()]);
        actix::spawn(async move {
            let again = signals.next().await;
            std::process::exit(Exit::from(again).code().into());
        });
        let parked = async {
            engine.shutdown().await;
            all.await;
        };
        if timeout(GRACE, parked).await.is_err() {
            tracing::warn!(
                "not every position could be saved in time; the next run goes on from the last one that was"
            );
        }
    } else {
        drop(all);
        if timeout(GRACE, engine.shutdown()).await.is_err() {
            tracing::warn!("the engine did not stop in time");
        }
    }
    let mut ended = ended.take();
    let place = |name: &ReportName| plan.iter().position(|planned| planned.job.report.name == *name);
    // Windows of one report stay in the order in which they ended.
    ended.sort_by_key(|end: &Ended| place(&end.report));
    (ended, signal)
}

/// Extracts one report, window after window.
async fn in_turn(
    engine: &EngineHandle,
    planned: &Planned,
    is_stopping: &Cell<bool>,
    tell: impl Fn(Ended),
    screen: &Screen,
) {
    if let Some(why) = planned.why_nothing() {
        return tell(end_of(planned, None, Ending::Skipped(why), Duration::ZERO));
    }
    for (nth, turn) in planned.turns.iter().enumerate() {
        let end = one(engine, planned, turn).await;
        let goes_on = match &end.ending {
            Ending::Complete(_) | Ending::Skipped(_) => true,
            Ending::Failed(_) => !planned.is_a_chain(),
            Ending::Parked(_) => false,
        };
        tell(end);
        if goes_on && !is_stopping.get() {
            continue;
        }
        if let Some(next) = planned.turns.get(nth + 1) {
            let n_left = words::n_of((planned.turns.len() - nth - 1) as u64, "window");
            let (name, from) = (&planned.job.report.name, planned.shown(&next.window));
            screen.lines(vec![format!("{name}: {n_left} not begun, from {from} on; the next run asks for them")]);
        }
        return;
    }
}

/// Extracts one window.
async fn one(engine: &EngineHandle, planned: &Planned, turn: &Turn) -> Ended {
    let job = &planned.job;
    if let (Step::Skip(why), true) = (&turn.step, turn.is_done) {
        return end_of(planned, Some(turn.window), Ending::Skipped(why.clone()), Duration::ZERO);
    }
    let began = Instant::now();
    let request = Extract { asked: turn.asked, fresh: job.fresh, ..Extract::report(job.report.name.as_str()) };
    let ending = engine.extract_with(request).await.unwrap_or_else(Ending::Failed);
    end_of(planned, Some(turn.window), ending, began.elapsed())
}

fn end_of(planned: &Planned, window: Option<Window>, ending: Ending, took: Duration) -> Ended {
    let report = &planned.job.report;
    let label = match window {
        Some(window) if planned.turns.len() > 1 => format!("{} ({})", report.name, planned.shown(&window)),
        _ => report.name.to_string(),
    };
    let (mut file, mut earlier, mut took) = (None, None, took);
    match &ending {
        Ending::Complete(manifest) => {
            // Time spent waiting for its turn says nothing of this report.
            took = took.min(manifest.finished_at.since(manifest.started_at));
            file = report.output_file(&manifest.window);
        }
        Ending::Skipped(_) => {
            let delivered = window.and_then(|window| report.output_file(&window));
            earlier = delivered.as_deref().and_then(setup::delivered_manifest).map(Arc::new);
            file = delivered.filter(|_| earlier.is_some());
        }
        Ending::Parked(_) | Ending::Failed(_) => {}
    }
    Ended {
        report: report.name.clone(),
        tenant: report.tenant.clone(),
        window,
        label,
        ending,
        file: file.map(setup::shown_path),
        earlier,
        took,
        at: WallClock::system().now(),
    }
}
