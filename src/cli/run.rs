//! `cxtract run`: extracts reports through the engine's public face, and nothing else.
//!
//! All reports start at once; the engine decides what runs when. The first signal parks everything, the second ends
//! the program where it stands.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use cxtract::config::{ReportConfig, WindowOverrides};
use cxtract::model::{Asked, ReportName, WallClock, Window};
use cxtract::{Config, Ending, Engine, EngineHandle, Extract};
use futures::future::join_all;
use tokio::time::{Instant, timeout};

use crate::cli::args::{ProgressMode, RunArgs};
use crate::cli::exit::{Exit, Signal};
use crate::cli::progress::{self, Ended};
use crate::cli::screen::Screen;
use crate::cli::signals::Signals;
use crate::cli::watcher::{ReportEnded, RunEnded, Watcher};
use crate::cli::{dry_run, plan, refuse, setup};

/// How long saving positions may take after a signal.
const GRACE: Duration = Duration::from_secs(4);

/// Runs the command. `mode` is what the option `--progress` came to.
pub(crate) fn run(file: Option<&Path>, args: &RunArgs, mode: ProgressMode, screen: &Screen) -> Exit {
    let (config, jobs) = match prepare(file, args) {
        Ok(prepared) => prepared,
        Err(problem) => return refuse(screen, &problem),
    };
    if args.dry_run {
        return match plan::of(&jobs, WallClock::system().now()) {
            Ok(plan) => {
                // A reader that has seen enough and went away is no failure.
                let _ = std::io::stdout().write_all(dry_run::shown(&plan).as_bytes());
                Exit::Done
            }
            Err(problem) => refuse(screen, &problem),
        };
    }
    extract(config, jobs, mode, screen)
}

/// One report to extract.
#[derive(Clone)]
pub(crate) struct Job {
    pub(crate) report: Arc<ReportConfig>,
    /// What the command line makes of the window; none where it is the configured one.
    pub(crate) window: Option<Window>,
    pub(crate) fresh: bool,
}

fn prepare(file: Option<&Path>, args: &RunArgs) -> Result<(Config, Vec<Job>), String> {
    let config = setup::narrow(setup::load(file, &args.set)?, args)?;
    Engine::supports(&config).map_err(|error| error.to_string())?;
    let overrides = WindowOverrides { from: args.from.clone(), to: args.to.clone(), until: args.until.clone() };
    let now = WallClock::system().now();
    let mut jobs = Vec::with_capacity(config.reports.len());
    for report in &config.reports {
        let window = if overrides.is_empty() {
            None
        } else {
            report.resolve_window(now, None, &overrides).map_err(|problem| problem.to_string())?
        };
        jobs.push(Job { report: report.clone(), window, fresh: args.fresh });
    }
    apart(&jobs)?;
    Ok((config, jobs))
}

/// Reports whose windows the command line makes equal must still go to files of their own.
fn apart(jobs: &[Job]) -> Result<(), String> {
    let mut taken: HashMap<PathBuf, &ReportName> = HashMap::new();
    for job in jobs {
        let Some(file) = job.window.and_then(|window| job.report.output_file(&window)) else { continue };
        if let Some(other) = taken.insert(file, &job.report.name) {
            return Err(format!(
                "with this window, {other} and {} would write to one file; extract one at a time, or put {{report}} \
                 into their paths",
                job.report.name
            ));
        }
    }
    Ok(())
}

fn extract(mut config: Config, jobs: Vec<Job>, mode: ProgressMode, screen: &Screen) -> Exit {
    let _mocks = match setup::start_mocks(&mut config) {
        Ok(mocks) => mocks,
        Err(problem) => return refuse(screen, &problem),
    };
    System::new().block_on(async {
        let engine = match Engine::builder().config(config).start() {
            Ok(engine) => engine,
            Err(error) => return refuse(screen, &error.to_string()),
        };
        let signals = match Signals::catch() {
            Ok(signals) => signals,
            Err(error) => return refuse(screen, &format!("signals can't be caught: {error}")),
        };
        // Held until the end: with its last handle an arbiter's thread would go on, but unowned.
        let arbiter = Arbiter::new();
        let reporter = progress::reporter(mode, screen);
        let watcher = Watcher::start_in_arbiter(&arbiter.handle(), |_| Watcher::new(reporter));
        engine.subscribe(watcher.clone().recipient());
        let (ended, signal) = until_the_end(&engine, &jobs, signals, &watcher, screen).await;
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

/// Extracts until all reports have ended, or until a signal and the grace after it.
async fn until_the_end(
    engine: &EngineHandle,
    jobs: &[Job],
    mut signals: Signals,
    watcher: &Addr<Watcher>,
    screen: &Screen,
) -> (Vec<Ended>, Option<Signal>) {
    let ended = Rc::new(RefCell::new(Vec::with_capacity(jobs.len())));
    let mut all = Box::pin(join_all(jobs.iter().map(|job| {
        let ended = ended.clone();
        async move {
            let end = one(engine, job).await;
            watcher.do_send(ReportEnded(end.clone()));
            ended.borrow_mut().push(end);
        }
    })));
    let signal = tokio::select! {
        _ = &mut all => None,
        signal = signals.next() => Some(signal),
    };
    if signal.is_some() {
        screen.lines(vec!["stopping; what is under way is parked (again to stop at once)".to_owned()]);
        actix::spawn(async move {
            let again = signals.next().await;
            std::process::exit(Exit::from(again).code().into());
        });
        let parked = async {
            engine.shutdown().await;
            all.await;
        };
        if timeout(GRACE, parked).await.is_err() {
            tracing::warn!("not every report could be parked in time; the next run starts those again");
        }
    } else {
        drop(all);
        if timeout(GRACE, engine.shutdown()).await.is_err() {
            tracing::warn!("the engine did not stop in time");
        }
    }
    let mut ended = ended.take();
    let place = |name: &ReportName| jobs.iter().position(|job| job.report.name == *name);
    ended.sort_by_key(|end: &Ended| place(&end.report));
    (ended, signal)
}

/// Extracts one report.
async fn one(engine: &EngineHandle, job: &Job) -> Ended {
    let report = &job.report;
    let began = Instant::now();
    let asked = job.window.map_or(Asked::Due, Asked::Given);
    let request = Extract { asked, fresh: job.fresh, ..Extract::report(report.name.as_str()) };
    let ending = engine.extract_with(request).await.unwrap_or_else(Ending::Failed);
    let mut took = began.elapsed();
    let mut file = None;
    if let Ending::Complete(manifest) = &ending {
        // Time spent waiting for its turn says nothing of this report.
        took = took.min(manifest.finished_at.since(manifest.started_at));
        file = report.output_file(&manifest.window);
    }
    Ended {
        report: report.name.clone(),
        tenant: report.tenant.clone(),
        ending,
        file: file.map(setup::shown_path),
        took,
        at: WallClock::system().now(),
    }
}
