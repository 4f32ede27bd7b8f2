//! A tenant to test against: the whole reporting API with its limits, its vagaries and its faults.
//!
//! The heart is a pure function, [`Tenant::answer`], from a request and the present moment to a [`Script`]. It has two
//! faces, and both are the same small HTTP/1.1 loop, [`serve_connection`]: a TCP port ([`RunningMock`]) and whatever
//! simulated stream a test hands it. No web framework stands in front, because faults have to happen below one.
//!
//! This folder judges the rest of the program: it uses the shared vocabulary and nothing else of it, parses no CSV, and
//! makes what it expects from the same rows as what it serves.

mod builder;
mod columns;
mod data;
mod desk;
mod digits;
mod expected;
mod fault;
mod file;
mod flaws;
mod host;
mod house;
mod ledger;
mod limit;
mod listen;
mod mangle;
mod openapi;
mod page;
mod plan;
mod player;
mod query;
mod report;
mod request;
mod running;
mod script;
mod serve;
mod server;
mod settings;
mod standard;
mod tally;
mod tenant;
mod tls;
mod token;
mod told;
mod verdict;
mod wire;
mod words;

pub use builder::{MockTenant, MockTenantBuilder};
pub use columns::{Column, ColumnKind, Columns, DurationForm, FreeText, TimeForm};
pub use data::{DataError, DataSet};
pub use desk::{CallsByKind, CallsOverTime, Figures, Finding, Grade, QueryLine, Scorecard};
pub use expected::Expected;
pub use fault::{Fault, FaultRule, Matcher};
pub use file::CsvFile;
pub use flaws::{Flaw, Oddity};
pub use host::{MockHost, MockHostBuilder, RunningHost, StoppedHost};
pub use ledger::{CallKind, Ledger, LedgerEntry, Refused, TokenLife};
pub use openapi::openapi;
pub use page::PageBody;
pub use plan::{MockPlan, PlanError};
pub use query::{Fate, MockQuery, Ready};
pub use report::{Count, End, LinkStyle, MockReport, Newline, OnPages, PageSizes};
pub use request::MockRequest;
pub use running::RunningMock;
pub use script::{BodyPlan, Framing, Script, StreamFault};
pub use server::{Hangup, SharedTenant, TenantClock, serve_connection};
pub use settings::{Licence, Outage, OutageKind, Permission, RateLimitHeaders, RetryAfter, TokenOutage, TokenTrouble};
pub use tenant::Tenant;
pub use tls::Tls;
pub use token::ExpiresIn;
pub use verdict::{FairSecond, Verdict};
pub use wire::WireFault;
