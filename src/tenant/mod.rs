//! The protocol of one tenant: what is asked, and what its answers mean.
//!
//! One call per function. Nothing here paces, retries or knows of actors: a caller brings a token and gets either the
//! answer's meaning or a [`CallFault`] that says how the call counts.

mod call;
mod client;
mod credentials;
mod error;
mod excerpt;
mod json;
mod link;
mod mask;
mod views;

pub use call::{Call, Watch};
pub use client::{PageAnswer, PageStream, TenantClient, TenantSettings};
pub use credentials::{ClientAuth, Credentials};
pub use error::{CallFault, Sent};
pub use excerpt::escape;
pub use json::{QueryBody, QueryStatus, StatusAnswer, SubmitFilter};
pub use mask::{Issued, Mask};
