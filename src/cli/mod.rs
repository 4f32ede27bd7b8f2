//! The command line: arguments in, exit code out.
//!
//! Messages for people go to stderr; stdout carries only what was asked for. Everything that touches the world (files,
//! signals, the engine) is called from here; what to say and how to exit is decided by plain functions beside it.

mod args;
mod dry_run;
mod exit;
mod init;
mod logging;
mod progress;
mod screen;
mod select;
mod words;

use std::process::ExitCode;

use clap::Parser;

use self::args::{Cli, Command};
use self::exit::Exit;
use self::screen::Screen;

/// Runs the program.
pub(crate) fn main() -> ExitCode {
    // Misuse, `--help` and `--version` end here, by clap's own codes: 2, 0 and 0.
    let cli = Cli::parse();
    let screen = Screen::plain();
    let exit = match &cli.command {
        Command::Init { file } => match init::write(file) {
            Ok(done) => {
                screen.lines(vec![done]);
                Exit::Done
            }
            Err(problem) => refuse(&screen, &problem),
        },
        Command::Run(_) | Command::Check => Exit::Done,
    };
    exit.into()
}

/// Says what is wrong with the call or the configuration.
fn refuse(screen: &Screen, problem: &str) -> Exit {
    screen.lines(vec![format!("error: {problem}")]);
    Exit::Usage
}
