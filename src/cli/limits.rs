//! How many files this process may have open: as many as the system lets it, and enough to begin with.
//!
//! A runtime that finds no file left for its own needs panics; so this is looked at before there is one. What the
//! configured reports need besides is the engine's to know.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What the runtimes of the engine, of progress and of embedded mock tenants open before anything else.
const LEAST: u64 = 40;

/// Raises the limit to what the system allows.
///
/// # Errors
/// If that is too little for anything.
pub(crate) fn open_files() -> Result<(), String> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    // A limit that can't be raised is used as it is.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    let most = getrlimit(Resource::Nofile).current.or(current).unwrap_or(u64::MAX);
    if most >= LEAST {
        return Ok(());
    }
    Err(format!("this process may have {most} open files at once, and needs {LEAST} or more; raise `ulimit -n`"))
}
