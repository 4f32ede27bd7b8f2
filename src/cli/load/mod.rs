//! `cxtract load`: a load test from the command line.
//!
//! The load itself is the library's; here are its arguments, its progress, and what its end means for the exit code.

mod args;
mod live;

use std::cell::Cell;
use std::io::Write as _;
use std::path::Path;
use std::rc::Rc;

use actix::System;
use cxtract::load::{Load, LoadReport, run_until};

pub(crate) use self::args::LoadArgs;
use self::live::Live;
use crate::cli::args::ProgressMode;
use crate::cli::exit::{Exit, Signal};
use crate::cli::screen::Screen;
use crate::cli::signals::Signals;
use crate::cli::{limits, refuse, setup};

/// Carries a load out and says what it has come to.
pub(crate) fn run(args: &LoadArgs, mode: ProgressMode, screen: &Screen) -> Exit {
    let load = match limits::open_files().and_then(|()| can_be_told(args)).and_then(|()| args.load()) {
        Ok(load) => load,
        Err(problem) => return refuse(screen, &problem),
    };
    let (report, signal) = match carried_out(&load, mode, screen) {
        Ok(done) => done,
        Err(problem) => return refuse(screen, &problem),
    };
    let mut exits = vec![told(args, mode, &report, screen)];
    exits.extend(signal.map(Exit::from));
    if !report.all_right() {
        exits.push(Exit::Failed);
    }
    let missed = report.missed(&args.expect);
    if !missed.is_empty() {
        exits.push(Exit::Failed);
        screen.lines(missed.iter().map(|missed| format!("missed: {missed}")).collect());
    }
    Exit::worst(exits)
}

fn carried_out(load: &Load, mode: ProgressMode, screen: &Screen) -> Result<(LoadReport, Option<Signal>), String> {
    System::new().block_on(async {
        let mut signals = Signals::catch().map_err(|error| format!("signals can't be caught: {error}"))?;
        let caught = Rc::new(Cell::new(None));
        let stop = async {
            caught.set(Some(signals.next().await));
            screen.lines(vec!["stopping, with what was measured so far (again to stop at once)".to_owned()]);
            actix::spawn(async move {
                let again = signals.next().await;
                std::process::exit(Exit::from(again).code().into());
            });
        };
        let mut live = Live::new(mode, screen, load.n_asked());
        let report = run_until(load, stop, |tick| live.tick(tick)).await;
        live.end();
        Ok((report.map_err(|error| error.to_string())?, caught.get()))
    })
}

/// Whether the result can be put where it is asked for; after an hour it would be too late to learn that it can't.
fn can_be_told(args: &LoadArgs) -> Result<(), String> {
    if args.json.as_deref() == Some(Path::new("-")) && args.progress == ProgressMode::Json {
        return Err("--json - and --progress json both want stdout; give one of them a file".to_owned());
    }
    for (option, file) in [("--json", &args.json), ("--html", &args.html)] {
        let Some(file) = file.as_deref().filter(|file| *file != Path::new("-")) else { continue };
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if !folder.is_dir() || file.is_dir() {
            return Err(format!("{option}: {} can't be written: its folder must be there", file.display()));
        }
    }
    Ok(())
}

/// Puts the result where it is asked for.
fn told(args: &LoadArgs, mode: ProgressMode, report: &LoadReport, screen: &Screen) -> Exit {
    let mut exits = vec![Exit::Done];
    let mut write = |file: &Path, text: &str| {
        let written = std::fs::File::create(file).and_then(|mut file| file.write_all(text.as_bytes()));
        if let Err(error) = written {
            screen.lines(vec![format!("error: {} can't be written: {error}", file.display())]);
            exits.push(Exit::Failed);
        }
    };
    if let Some(file) = &args.html {
        write(file, &report.html());
    }
    let json = || format!("{:#}\n", report.json());
    match &args.json {
        Some(file) if file == Path::new("-") => {
            setup::print(&json());
            return Exit::worst(exits);
        }
        Some(file) => write(file, &json()),
        None => {}
    }
    if mode == ProgressMode::Json {
        screen.lines(report.table().lines().map(str::to_owned).collect());
    } else {
        setup::print(&report.table());
    }
    Exit::worst(exits)
}
