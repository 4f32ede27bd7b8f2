//! How a connection to one origin is made: dial, tunnel, TLS, guard.
//!
//! The HTTP library is told plain `http` addresses and so never does TLS itself: its own TLS streams end cleanly where
//! a body was cut. One connector serves one origin, which keeps `http` and `https` of the same host apart.
//! Whatever fails here, nothing of the request has been sent. A request whose connection was not made ahead is asked
//! whether it may still go out once it stands: meanwhile its turn may be over, or the tenant ask for a pause.

use std::rc::Rc;
use std::sync::Arc;

use actix_service::Service;
use actix_tls::connect::{ConnectError, ConnectInfo, Connection};
use awc::http::Uri;
use futures::future::LocalBoxFuture;
use tokio::time::timeout;

use super::dial::{ByteStream, Dial, DialError};
use super::exchange::Exchange;
use super::guard::Guard;
use super::settings::{ProxyChoice, TransportSettings};
use super::standby::{DeadAtOnce, Ready, Standby};
use super::tunnel;
use crate::model::TransportFault;

/// Where requests go: all of an address but its path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Origin {
    pub(super) is_https: bool,
    /// A name or an address; an IPv6 address without its brackets.
    pub(super) host: String,
    pub(super) port: u16,
}

impl Origin {
    /// `host:port`, as it stands in addresses and in faults.
    pub(super) fn place(&self) -> String {
        format!("{}:{}", bracketed(&self.host), self.port)
    }

    /// The value of `Host`: the port only where it is not the scheme's own.
    pub(super) fn host_header(&self) -> String {
        match (self.is_https, self.port) {
            (true, 443) | (false, 80) => bracketed(&self.host),
            _ => self.place(),
        }
    }
}

fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

/// Makes the connections to one origin.
#[derive(Clone)]
pub(super) struct StrictConnector(Rc<Route>);

/// The way to one origin, and the connections that stand ready.
pub(super) struct Route {
    origin: Origin,
    settings: Rc<TransportSettings>,
    dial: Arc<dyn Dial>,
    pub(super) standby: Rc<Standby>,
}

impl StrictConnector {
    pub(super) fn new(route: Rc<Route>) -> Self {
        Self(route)
    }
}

impl Service<ConnectInfo<Uri>> for StrictConnector {
    type Response = Connection<Uri, Guard>;
    type Error = ConnectError;
    type Future = LocalBoxFuture<'static, Result<Self::Response, Self::Error>>;

    actix_service::always_ready!();

    fn call(&self, info: ConnectInfo<Uri>) -> Self::Future {
        let route = Rc::clone(&self.0);
        Box::pin(async move {
            match route.connection().await {
                Ok((io, alive)) => {
                    if route.standby.lacks_one() {
                        actix_rt::spawn(async move { route.standby.open_one(route.open_in_time()).await });
                    }
                    Ok(Connection::new(info.request().clone(), Guard::new(io, alive)))
                }
                Err(fault) => {
                    let error = std::io::Error::other(fault.to_string());
                    if let Some(exchange) = Exchange::current() {
                        exchange.note_fault(fault);
                    }
                    Err(ConnectError::Io(error))
                }
            }
        })
    }
}

impl Route {
    pub(super) fn new(origin: Origin, settings: Rc<TransportSettings>, dial: Arc<dyn Dial>) -> Self {
        let standby = Rc::new(Standby::new(settings.keep_alive));
        Self { origin, settings, dial, standby }
    }

    async fn connection(&self) -> Result<Ready, TransportFault> {
        match self.standby.take() {
            Ok(Some(ready)) => return Ok(ready),
            Ok(None) => {}
            Err(DeadAtOnce) => {
                let reason = "it was closed as soon as it stood".to_owned();
                return Err(TransportFault::Connect { host: self.origin.place(), reason });
            }
        }
        if let Some(fault) = self.standby.take_fault() {
            return Err(fault);
        }
        let io = self.open_in_time().await?;
        let alive = self.standby.alive();
        if Exchange::current().is_none_or(|exchange| exchange.may_go()) {
            return Ok((io, alive));
        }
        self.standby.keep(io, alive);
        Err(TransportFault::Late(self.origin.place()))
    }

    /// A connection that can carry a request.
    pub(super) async fn open_in_time(&self) -> Result<Box<dyn ByteStream>, TransportFault> {
        let allowed = self.settings.connect;
        timeout(allowed, self.open()).await.unwrap_or_else(|_| {
            Err(TransportFault::Connect {
                host: self.origin.place(),
                reason: format!("none was established within {allowed:?}"),
            })
        })
    }

    async fn open(&self) -> Result<Box<dyn ByteStream>, TransportFault> {
        let place = self.origin.place();
        let io = match &self.settings.proxy {
            ProxyChoice::None => self.dial(&self.origin.host, self.origin.port).await?,
            ProxyChoice::Http { host, port, authorization } => {
                let mut io = self.dial(host, *port).await?;
                let proxy = format!("{}:{port}", bracketed(host));
                tunnel::open(&mut io, &proxy, authorization.as_ref(), &place).await?;
                io
            }
        };
        if self.origin.is_https { self.settings.tls.secure(io, &self.origin.host, &place).await } else { Ok(io) }
    }

    async fn dial(&self, host: &str, port: u16) -> Result<Box<dyn ByteStream>, TransportFault> {
        self.dial.dial(host, port).await.map_err(|error| match error {
            DialError::Dns(reason) => TransportFault::Dns { host: host.to_owned(), reason },
            DialError::Connect(reason) => {
                TransportFault::Connect { host: format!("{}:{port}", bracketed(host)), reason }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_header_names_a_port_only_where_it_is_not_the_schemes_own() {
        let header = |is_https, host: &str, port| Origin { is_https, host: host.into(), port }.host_header();
        assert_eq!(header(true, "a.example", 443), "a.example");
        assert_eq!(header(true, "a.example", 80), "a.example:80");
        assert_eq!(header(false, "a.example", 443), "a.example:443");
        assert_eq!(header(false, "::1", 8080), "[::1]:8080");
    }
}
