//! A tenant to test against: the whole reporting API with its limits, its vagaries and its faults.
//!
//! The heart is a pure function, [`Tenant::answer`], from a request and the present moment to a [`Script`]. It has two
//! faces, and both are the same small HTTP/1.1 loop, [`serve_connection`]: a TCP port ([`RunningMock`]) and whatever
//! simulated stream a test hands it. No web framework stands in front, because faults have to happen below one.
//!
//! This folder judges the rest of the program: it uses the shared vocabulary and nothing else of it, parses no CSV, and
//! makes what it expects from the same rows as what it serves.
//!
//! # Testing an embedding
//!
//! [`MockTenant::builder`] takes what the tenant is to be like, `start` listens on a port of loopback that the system
//! chooses, and [`RunningMock`] tells afterwards what the file should have been and how the tenant was treated. Whoever
//! embeds the engine needs no account for a test:
//!
//! ```
//! use cxtract::config::{Config, Sources};
//! use cxtract::mock::{Fault, FaultRule, Matcher, MockReport, MockTenant};
//! use cxtract::{Ending, Engine};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // The body of page 2 is cut at its 500th byte, once.
//! let mock = MockTenant::builder()
//!     .report("detail", MockReport::with_rows(300))
//!     .fault(FaultRule::new(Matcher::page(2).first(1), Fault::CutAt(500)))
//!     .start()?;
//!
//! let folder = tempfile::tempdir()?;
//! let text = format!(
//!     "tenants:
//!   acme:
//!     base_url: {}
//!     auth: {{client_id: id, client_secret: secret}}
//!     poll: {{initial_delay: 50ms}}
//! reports:
//!   calls: {{tenant: acme, template_id: detail, window: {{from: 2024-01-01, to: 2024-01-31}}, page_size: 100}}
//! ",
//!     mock.base_url()
//! );
//! let config = Config::load(&Sources::text(folder.path().join("config.yaml"), &text))?;
//! let ending = actix_rt::System::new().block_on(async {
//!     let engine = Engine::builder().config(config).start()?;
//!     let ending = engine.extract("calls").await?;
//!     engine.shutdown().await;
//!     Ok::<_, Box<dyn std::error::Error>>(ending)
//! })?;
//!
//! assert!(matches!(ending, Ending::Complete(_)));
//! assert_eq!(std::fs::read(folder.path().join("out/calls.csv"))?, mock.expected_csv("detail"));
//! let verdict = mock.verdict();
//! assert_eq!((verdict.calls_while_told_to_wait, verdict.duplicate_submissions), (0, 0));
//! # Ok(())
//! # }
//! ```
//!
//! `examples/mock_tenant.rs` goes on from there: waits, a token that is taken back during a run, the ledger. Any other
//! client can be judged the same way: give it [`RunningMock::base_url`]. `docs/MOCK_TENANT.md` is for those who would
//! rather start a program than write one.

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
mod lag;
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
mod surprise;
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
pub use ledger::{Asked, CallKind, Ledger, LedgerEntry, Refused, TokenLife};
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
