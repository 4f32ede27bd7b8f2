//! The sections `engine` and `state`: what the process may use, and where it keeps what it knows.

use std::path::{Path, PathBuf};

use super::kind::{self, Mismatch, Read};
use super::reader::Section;
use super::tree::Node;

/// Most arbiters that fetch.
const MOST_THREADS: u64 = 64;
/// Least memory for pages: one page's share.
const LEAST_MEMORY: u64 = 1 << 20;
/// Memory for pages where nothing is said.
const DEFAULT_MEMORY: u64 = 32 << 20;
const DEFAULT_STATE: &str = ".cxtract/state.db";

/// What the engine may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineConfig {
    /// Arbiters that fetch; 0 does everything on the caller's arbiter.
    pub threads: usize,
    /// Page bytes held in memory, over all extractions.
    pub memory_limit: u64,
    /// Where pages go that find no room in memory.
    pub scratch_dir: PathBuf,
}

/// Where positions, watermarks and results are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateConfig {
    /// The SQLite file.
    pub path: PathBuf,
}

impl StateConfig {
    /// The store in that folder's usual place.
    pub fn in_folder(folder: &Path) -> Self {
        Self { path: folder.join(DEFAULT_STATE) }
    }

    pub(super) fn read(section: &Section<'_>) -> Self {
        let path = section.or("url", sqlite_path, PathBuf::from(DEFAULT_STATE));
        Self { path: section.log.folder.join(path) }
    }
}

impl EngineConfig {
    /// The defaults beside that state store.
    pub fn beside(state: &StateConfig) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
        Self {
            threads: (cores - 1).clamp(1, 4),
            memory_limit: DEFAULT_MEMORY,
            scratch_dir: state.path.parent().unwrap_or(Path::new("")).join("scratch"),
        }
    }

    pub(super) fn read(section: &Section<'_>, state: &StateConfig) -> Self {
        let default = Self::beside(state);
        let scratch = section.optional("scratch_dir", kind::text);
        Self {
            threads: section.get("threads", kind::count(0..=MOST_THREADS)).map_or(default.threads, |n| n as usize),
            memory_limit: section.or("memory_limit", kind::size(LEAST_MEMORY), default.memory_limit),
            scratch_dir: scratch.map_or(default.scratch_dir, |dir| section.log.folder.join(dir)),
        }
    }
}

fn sqlite_path(node: &Node) -> Read<PathBuf> {
    let text = kind::text(node)?;
    match text.strip_prefix("sqlite://") {
        Some(path) if !path.is_empty() && !path.contains(['?', '#']) && !path.ends_with('/') => Ok(path.into()),
        _ => Err(Mismatch::new(
            "sqlite:// and the path of a file, without parameters",
            "write sqlite://.cxtract/state.db or sqlite:///var/lib/cxtract/state.db",
        )),
    }
}
