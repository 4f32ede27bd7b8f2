//! The command line: arguments in, exit code out.
//!
//! Messages for people go to stderr; stdout carries only what was asked for. Everything that touches the world (files,
//! signals, the engine) is called from here; what to say and how to exit is decided by plain functions beside it.

mod args;
mod check;
mod dry_run;
mod exit;
mod init;
mod logging;
mod plan;
mod progress;
mod run;
mod screen;
mod select;
mod setup;
mod signals;
mod watcher;
mod words;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;

use self::args::{Cli, Command, ProgressMode};
use self::exit::Exit;
use self::screen::Screen;

/// Runs the program.
pub(crate) fn main() -> ExitCode {
    // Misuse, `--help` and `--version` end here, by clap's own codes: 2, 0 and 0.
    let Cli { global, command } = Cli::parse();
    let mode = match &command {
        Command::Run(run) if !run.dry_run => progress::decide(run.progress, std::io::stderr().is_terminal()),
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

/// Says what is wrong with the call or the configuration.
fn refuse(screen: &Screen, problem: &str) -> Exit {
    screen.lines(vec![format!("error: {problem}")]);
    Exit::Usage
}
