//! The `cxtract` program: a thin face on the library.
//!
//! The command line lives in this binary and not in the library, so that the compiler itself sees to it that `cxtract
//! run` uses nothing but what any host may use.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    // What the environment's FAILPOINTS names goes wrong, in builds for tests.
    #[cfg(feature = "failpoints")]
    let _scenario = fail::FailScenario::setup();
    cli::main()
}
