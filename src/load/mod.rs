//! The load test: the real engine against many tenants, and the figures of how it went.
//!
//! It embeds the engine as any host would and knows nothing of its insides. Tenants are mock tenants, its own or
//! somebody's; what they saw is asked of them, what the engine did is read from the calls that it tells of. Every output
//! is compared with what the tenant had, because a fast engine that is wrong is no engine. Nothing here prints.

mod budget;
mod drive;
mod expect;
mod figures;
mod gather;
mod machine;
mod meter;
mod outcome;
mod page;
mod percentiles;
mod place;
mod plots;
mod report;
mod samples;
mod settings;
mod table;
mod targets;
mod verify;

pub use drive::{Tick, run, run_until};
pub use expect::{Expectation, Missed};
pub use figures::{FIGURES, Figure};
pub use percentiles::{KindLatency, Percentiles};
pub use report::{Check, LoadReport, TenantResult, Trouble};
pub use samples::Sample;
pub use settings::{Amount, Inspect, Load, LoadError, Target};
pub use targets::{OwnTenants, check_url};
