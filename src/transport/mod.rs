//! The strict HTTP/1.1 transport: an answer is handed on whole, or a fault says why it is not.
//!
//! The HTTP library below is lenient: it ends a body that was cut short as if it were complete, and takes interim
//! answers for final ones. So it is given a connection of our own making (the guard), which reads every head itself,
//! turns the end of the connection into an error, and shows the library nothing but how the body is framed.
//! No other folder uses that library. Nothing here retries, follows redirects, keeps cookies or knows of
//! tenants.

mod body;
mod client;
mod connector;
mod dial;
mod exchange;
mod guard;
mod head;
mod inflate;
mod meter;
mod request;
mod settings;
mod standby;
mod tls;
mod tunnel;

pub use body::Body;
pub use client::{Answer, HttpClient};
pub use dial::{ByteStream, Dial, DialError, TcpDial};
pub use request::{BadHeaderText, HeaderText, MayGo, Method, Request};
pub use settings::{BadProxy, ProxyChoice, TransportSettings};
pub use standby::Expected;
pub use tls::{TlsProblem, TlsTrust};
