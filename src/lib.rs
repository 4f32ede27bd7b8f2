//! Extracts very large reports from a contact-centre cloud's reporting API: submits a query, polls until it is ready,
//! fetches the CSV result pages in parallel under the tenant's rate limit, puts them back in order and delivers one
//! correct file.

pub mod actors;
pub mod config;
pub mod csv;
pub mod delivery;
mod engine;
#[cfg(all(feature = "cli", feature = "mock"))]
pub mod load;
#[cfg(feature = "mock")]
pub mod mock;
pub mod model;
pub mod policy;
#[cfg(feature = "service")]
pub mod service;
pub mod sink;
pub mod state;
pub mod tenant;
pub mod transport;

pub use actors::CallSeen;
pub use actors::protocol::{CallKind, Cancel, Extract, Pause, Resume, Shutdown, Status, Subscribe};
pub use config::Config;
pub use engine::{Engine, EngineBuilder, EngineHandle, Seams, StartError};
pub use model::{Ending, Failure, Manifest, Park, Progress};
pub use sink::Sink;
