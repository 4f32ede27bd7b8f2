//! What a load test is told.
//!
//! Plain values with defaults; what can't be carried out is an error before any request.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::StartError;
use crate::actors::FETCHING_BYTES;
use crate::config::ConfigErrors;
use crate::mock::MockTenantBuilder;

/// Whom the load is put on.
#[derive(Clone, Debug)]
pub enum Target {
    /// Mock tenants that are started in this process, with their names.
    Own(Vec<(String, MockTenantBuilder)>),
    /// Mock tenants that somebody else has started.
    Urls {
        /// Their addresses, as in `http://127.0.0.1:8080`.
        urls: Vec<String>,
        /// What each of them allows in a second; none for no limit.
        requests_per_second: Option<u32>,
        /// Hosts that may be called although they are not this machine.
        allowed_hosts: Vec<String>,
        /// The template that is asked for.
        template: String,
    },
}

/// When enough was extracted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// Each report so often.
    Rounds(u32),
    /// Each report again and again until that time is over; what is under way then is cut off.
    For(Duration),
}

/// What is done with a path.
pub type Inspect = Arc<dyn Fn(&Path) + Send + Sync>;

/// A load test.
#[derive(Clone)]
pub struct Load {
    /// Whom it is put on.
    pub target: Target,
    /// Reports of each tenant, all asked for at once. Default 4.
    pub reports: usize,
    /// Rows asked for in a page. Default 5,000.
    pub page_size: u64,
    /// When enough was extracted. Default one round.
    pub amount: Amount,
    /// Arbiters of the engine that fetch; none for the engine's own default.
    pub threads: Option<usize>,
    /// Requests under way at one tenant at once. Default 8.
    pub max_in_flight: usize,
    /// Bytes of pages that the engine holds in memory. It is also what bounds how many reports fetch at once, one for
    /// each 2 MiB. Default: room for two reports of each tenant, and 32 MiB at least.
    pub memory_limit: Option<u64>,
    /// Where outputs and the engine's state go, into a folder of their own; none for the system's temporary folder.
    pub output_dir: Option<PathBuf>,
    /// Leaves that folder where it is at the end.
    pub keep: bool,
    /// Is told of that folder once it is made. A load that is dropped says nothing else of it.
    pub on_folder: Option<Inspect>,
    /// More that stands beside the figures, as in what the tenants were made from.
    pub notes: Vec<(String, String)>,
    /// Sees every delivered file before it is checked, from the checking thread. For tests of the check itself.
    pub before_check: Option<Inspect>,
}

impl Load {
    /// A load on those tenants, with the defaults.
    pub fn on(target: Target) -> Self {
        Self {
            target,
            reports: 4,
            page_size: 5000,
            amount: Amount::Rounds(1),
            threads: None,
            max_in_flight: 8,
            memory_limit: None,
            output_dir: None,
            keep: false,
            on_folder: None,
            notes: Vec::new(),
            before_check: None,
        }
    }

    /// How many reports will be extracted; none where only time decides.
    pub fn n_asked(&self) -> Option<u64> {
        match self.amount {
            Amount::Rounds(rounds) => Some(self.n_tenants() as u64 * self.reports as u64 * u64::from(rounds)),
            Amount::For(_) => None,
        }
    }

    /// Bytes of pages that the engine may hold in memory: by default as many as two reports of each tenant need to be
    /// read at once.
    pub fn memory(&self) -> u64 {
        let at_once = self.n_tenants() as u64 * self.reports.min(2) as u64;
        self.memory_limit.unwrap_or_else(|| (at_once * FETCHING_BYTES).max(32 << 20))
    }

    /// How many tenants there are.
    pub fn n_tenants(&self) -> usize {
        match &self.target {
            Target::Own(tenants) => tenants.len(),
            Target::Urls { urls, .. } => urls.len(),
        }
    }

    /// What it is run with, in words for people.
    pub fn described(&self) -> Vec<(String, String)> {
        let own = matches!(self.target, Target::Own(_));
        let mut all = vec![
            ("tenants".to_owned(), format!("{}{}", self.n_tenants(), if own { "" } else { ", started elsewhere" })),
            ("reports of each".to_owned(), self.reports.to_string()),
            ("page size".to_owned(), self.page_size.to_string()),
            match self.amount {
                Amount::Rounds(rounds) => ("rounds".to_owned(), rounds.to_string()),
                Amount::For(time) => ("for".to_owned(), format!("{time:?}")),
            },
            ("max_in_flight".to_owned(), self.max_in_flight.to_string()),
        ];
        all.extend(self.threads.map(|threads| ("threads".to_owned(), threads.to_string())));
        all.push(("memory_limit".to_owned(), format!("{} bytes", self.memory())));
        all.extend(self.notes.iter().cloned());
        all
    }
}

impl fmt::Debug for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Load").field("amount", &self.amount).field("settings", &self.described()).finish()
    }
}

/// Why a load test can't be run. All of these are found before any request.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The settings make no sense.
    #[error("{0}")]
    Settings(String),
    /// A host that is not this machine, and was not allowed.
    #[error("{url} is not on this machine; to put a load on it all the same, name its host with --allow-host {host}")]
    Elsewhere {
        /// The address.
        url: String,
        /// Its host.
        host: String,
    },
    /// A mock tenant can't be started.
    #[error("the mock tenants can't listen on the loopback address: {0}")]
    Mock(std::io::Error),
    /// There is no folder to work in.
    #[error("{}: {why}; name another folder with --output-dir", path.display())]
    Folder {
        /// Which one.
        path: PathBuf,
        /// The system's words.
        why: std::io::Error,
    },
    /// What the engine was to be configured with is refused.
    #[error("the engine can't be configured so\n{0}")]
    Config(ConfigErrors),
    /// The engine does not start.
    #[error("{0}")]
    Start(StartError),
}
