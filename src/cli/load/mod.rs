//! `cxtract load`: a load test from the command line.
//!
//! The load itself is the library's; here are its arguments, its progress, and what its end means for the exit code.

mod args;
mod live;
mod results;

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use actix::System;
use cxtract::load::{Expectation, Load, LoadReport, run_until};
use tokio::sync::oneshot;
use tokio::time::Instant;

pub(crate) use self::args::LoadArgs;
use self::live::Live;
use self::results::Results;
use crate::cli::args::ProgressMode;
use crate::cli::exit::{Exit, Signal};
use crate::cli::screen::Screen;
use crate::cli::signals::Signals;
use crate::cli::words::n_of;
use crate::cli::{limits, refuse, setup};

/// Who stops a program often sends the same signal twice, to it and to its group: that is one wish.
const ONE_WISH: Duration = Duration::from_secs(1);

/// How a load has ended.
enum Ended {
    /// With a report, and perhaps because of a signal.
    Measured(Box<LoadReport>, Option<Signal>),
    /// At once, by a second signal; with the folder of outputs where that stays.
    Dropped(Signal, Option<PathBuf>),
}

/// Carries a load out and says what it has come to. A configuration takes no part in it.
pub(crate) fn run(config: Option<&Path>, args: &LoadArgs, mode: ProgressMode, screen: &Screen) -> Exit {
    let prepared = || -> Result<(Load, Results), String> {
        limits::open_files()?;
        can_be_told(config, args)?;
        Ok((args.load()?, Results::open(args)?))
    };
    let (load, results) = match prepared() {
        Ok(prepared) => prepared,
        Err(problem) => return refuse(screen, &problem),
    };
    let (report, signal) = match carried_out(&load, mode, screen) {
        Ok(Ended::Measured(report, signal)) => (report, signal),
        Ok(Ended::Dropped(signal, kept)) => {
            screen.lines(vec![dropped(kept.as_deref())]);
            return signal.into();
        }
        Err(problem) => return refuse(screen, &problem),
    };
    let mut exits = vec![told(args, results, mode, &report, screen)];
    exits.extend(signal.map(Exit::from));
    if let Some(fault) = report.fault() {
        exits.push(Exit::Failed);
        screen.lines(vec![format!("not all right: {fault}")]);
    }
    for (exit, words) in undelivered(&report, &args.expect) {
        exits.push(exit);
        screen.lines(vec![words]);
    }
    let missed = report.missed(&args.expect);
    if !missed.is_empty() {
        exits.push(Exit::Failed);
        screen.lines(missed.iter().map(|missed| format!("missed: {missed}")).collect());
    }
    Exit::worst(exits)
}

/// What reports that were not delivered mean for the exit code, as they do for a run; an expectation of their number is
/// judged instead. Those that were cut off are none of them.
fn undelivered(report: &LoadReport, expected: &[Expectation]) -> Vec<(Exit, String)> {
    let ends = [("failed", Exit::Failed, "failed for good"), ("parked", Exit::Parked, "could not be finished now")];
    let is_expected = |name: &str| expected.iter().any(|expected| expected.figure() == name);
    let unexpected = ends.into_iter().filter(|(name, ..)| !is_expected(name));
    let counted = unexpected.filter_map(|(name, exit, how)| {
        let n = report.figure(name).unwrap_or(0.0) as u64;
        let words = || format!("{} {how}; if that is as it should be, add --expect {name}=={n}", n_of(n, "report"));
        (n > 0).then(|| (exit, words()))
    });
    counted.collect()
}

/// What is said where there is no result.
fn dropped(kept: Option<&Path>) -> String {
    match kept {
        Some(folder) => format!("stopped at once: nothing is told, and the outputs so far are in {}", folder.display()),
        None => "stopped at once: nothing is told, and the folder of outputs is removed".to_owned(),
    }
}

fn carried_out(load: &Load, mode: ProgressMode, screen: &Screen) -> Result<Ended, String> {
    System::new().block_on(async {
        let mut signals = Signals::catch().map_err(|error| format!("signals can't be caught: {error}"))?;
        let caught = Rc::new(Cell::new(None));
        let (at_once, is_at_once) = oneshot::channel();
        let stop = async {
            caught.set(Some(signals.next().await));
            screen.lines(vec!["stopping, with what was measured so far (again to stop at once)".to_owned()]);
            let since = Instant::now();
            actix::spawn(async move {
                loop {
                    let again = signals.next().await;
                    if since.elapsed() >= ONE_WISH {
                        // Nobody listens any more where the load has just ended.
                        let _ = at_once.send(again);
                        return;
                    }
                }
            });
        };
        let mut live = Live::new(mode, screen, load.n_asked());
        let folder = Arc::new(OnceLock::new());
        let made = folder.clone();
        // There is but one.
        let on_folder = move |path: &Path| drop(made.set(path.to_owned()));
        let load = Load { on_folder: Some(Arc::new(on_folder)), ..load.clone() };
        // Whatever is dropped here removes its folder, unless that is to stay.
        let done = tokio::select! {
            done = run_until(&load, stop, |tick| live.tick(tick)) => Some(done),
            Ok(signal) = is_at_once => {
                caught.set(Some(signal));
                None
            }
        };
        live.end(done.as_ref().and_then(|done| done.as_ref().ok()));
        match (done, caught.get()) {
            (Some(report), signal) => Ok(Ended::Measured(Box::new(report.map_err(|error| error.to_string())?), signal)),
            (None, signal) => {
                let kept = folder.get().filter(|_| load.keep).cloned();
                Ok(Ended::Dropped(signal.unwrap_or(Signal::Interrupt), kept))
            }
        }
    })
}

/// Whether the result can be told as it is asked for.
fn can_be_told(config: Option<&Path>, args: &LoadArgs) -> Result<(), String> {
    if config.is_some() {
        return Err("a load test has no configuration; leave --config away".to_owned());
    }
    if args.json.as_deref() == Some(Path::new("-")) && args.progress == ProgressMode::Json {
        return Err("--json - and --progress json both want stdout; give one of them a file".to_owned());
    }
    Ok(())
}

/// Puts the result where it is asked for.
fn told(args: &LoadArgs, results: Results, mode: ProgressMode, report: &LoadReport, screen: &Screen) -> Exit {
    let mut exits = vec![Exit::Done];
    let json = || format!("{:#}\n", report.json());
    let files = [(results.html, report.html()), (results.json, json())];
    for (file, text) in files {
        if let Some(mut file) = file
            && let Err(problem) = file.fill(&text)
        {
            screen.lines(vec![problem]);
            exits.push(Exit::Failed);
        }
    }
    if args.json.as_deref() == Some(Path::new("-")) {
        exits.push(setup::print(&json(), screen));
    } else if mode == ProgressMode::Json {
        screen.lines(report.table().lines().map(str::to_owned).collect());
    } else {
        exits.push(setup::print(&report.table(), screen));
    }
    Exit::worst(exits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_stops_at_once_is_told_what_becomes_of_the_outputs() {
        assert!(dropped(None).ends_with("the folder of outputs is removed"));
        assert!(dropped(Some(Path::new("/kept/here"))).ends_with("the outputs so far are in /kept/here"));
    }
}
