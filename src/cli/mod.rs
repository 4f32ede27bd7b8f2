//! The command line: arguments in, exit code out.
//!
//! Messages for people go to stderr; stdout carries only what was asked for. Everything that touches the world (files,
//! signals, the engine) is called from here; what to say and how to exit is decided by plain functions beside it.

mod args;
mod check;
mod dry_run;
mod exit;
mod forget;
mod init;
mod limits;
#[cfg(feature = "mock")]
mod load;
mod logging;
#[cfg(feature = "mock")]
mod mock;
mod plan;
mod progress;
mod repair;
mod run;
mod screen;
mod select;
mod setup;
mod signals;
mod status;
mod table;
mod verify;
mod verify_watch;
mod watcher;
mod windows;
mod words;

use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use cxtract::delivery::RealDisk;
use cxtract::model::WallClock;
use cxtract::state::Store;
use jiff::tz::TimeZone;

use self::args::{Cli, Command, ProgressMode};
use self::exit::{Exit, Trouble};
use self::forget::Forget;
use self::screen::Screen;

/// Runs the program.
pub(crate) fn main() -> ExitCode {
    // Misuse, `--help` and `--version` end here, by clap's own codes: 2, 0 and 0.
    let Cli { global, command } = Cli::parse();
    let mode = match &command {
        Command::Run(run) if !run.dry_run => progress::decide(run.progress, std::io::stderr().is_terminal()),
        #[cfg(feature = "mock")]
        Command::Load(load) => progress::decide(load.progress, std::io::stderr().is_terminal()),
        Command::Verify(_) | Command::Repair(_) => {
            progress::decide(ProgressMode::Auto, std::io::stderr().is_terminal())
        }
        _ => ProgressMode::None,
    };
    let screen = if mode == ProgressMode::Bar { Screen::with_bars() } else { Screen::plain() };
    if let Err(problem) = logging::start(global.log_level, global.log_format, &screen) {
        return refuse(&screen, &problem).into();
    }
    let file = global.config.as_deref();
    let exit = match &command {
        Command::Run(args) => run::run(file, args, mode, &screen),
        Command::Check => check::check(file, &screen),
        Command::Status { json } => status(file, *json, &screen),
        Command::Verify(args) => verify::run(args, &screen),
        Command::Repair(args) => repair::run(args, &screen),
        Command::Forget { report, window } => forget(file, report, window.as_deref(), &screen),
        #[cfg(feature = "mock")]
        Command::Load(args) => load::run(file, args, mode, &screen),
        #[cfg(feature = "mock")]
        Command::Mock(args) => mock::serve(args, &screen),
        Command::Init { file } => match init::write(file) {
            Ok(done) => {
                screen.lines(vec![done]);
                Exit::Done
            }
            Err(problem) => refuse(&screen, &problem),
        },
    };
    exit.into()
}

/// Shows what is stored.
fn status(file: Option<&Path>, as_json: bool, screen: &Screen) -> Exit {
    let shown = || -> Result<String, Trouble> {
        let config = setup::load(file, &[]).map_err(|problem| Trouble::refused(&problem))?;
        let stored = match setup::stored(&config)? {
            Some(store) => store.list()?,
            None => Vec::new(),
        };
        let entries = status::entries(stored)?;
        let now = WallClock::system().now();
        Ok(if as_json { status::json(&entries) } else { status::table(&entries, &config, now, &TimeZone::system()) })
    };
    match shown() {
        Ok(text) => setup::print(&text, screen),
        Err(trouble) => told(screen, &trouble),
    }
}

/// Drops what is unfinished.
fn forget(file: Option<&Path>, report: &str, window: Option<&str>, screen: &Screen) -> Exit {
    let forgotten = || -> Result<(), Trouble> {
        let config = setup::load(file, &[]).map_err(|problem| Trouble::refused(&problem))?;
        let configured = config.reports.iter().find(|known| known.name.as_str().eq_ignore_ascii_case(report));
        let mut forget = Forget { report, configured: configured.map(|report| &**report), window: None };
        forget.window = match window {
            Some(text) => Some(windows::parse(text, &forget.zone()).map_err(|problem| Trouble::refused(&problem))?),
            None => None,
        };
        let mut say = |done| screen.lines(vec![done]);
        match setup::stored(&config)? {
            Some(store) => forget.carry_out(&store, &RealDisk, &mut say),
            None => forget.without_store(&mut say),
        }
    };
    match forgotten() {
        Ok(()) => Exit::Done,
        Err(trouble) => told(screen, &trouble),
    }
}

/// Says why something can't be done, and ends so.
fn told(screen: &Screen, trouble: &Trouble) -> Exit {
    refuse(screen, &trouble.message);
    trouble.exit
}

/// Says what is wrong with the call or the configuration.
fn refuse(screen: &Screen, problem: &str) -> Exit {
    screen.lines(vec![format!("error: {problem}")]);
    Exit::Usage
}
