//! The seam to the network: how a byte stream to a host comes about.
//!
//! The real one opens TCP connections; a simulation gives streams of its simulated network. Everything above (tunnel,
//! TLS, HTTP) is the same for both. A dialer never waits for ever on its own account: its caller holds the clock.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::LocalBoxFuture;
use futures::stream::FuturesUnordered;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A connection as far as HTTP and TLS care.
pub trait ByteStream: AsyncRead + AsyncWrite + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Unpin + 'static> ByteStream for T {}

/// Opens connections.
pub trait Dial: Send + Sync + 'static {
    /// Connects to the port of that host, a name or an address (an IPv6 one without brackets).
    fn dial(&self, host: &str, port: u16) -> LocalBoxFuture<'static, Result<Box<dyn ByteStream>, DialError>>;
}

/// Why no connection came about, before TLS or a proxy had any part in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DialError {
    /// The name did not resolve.
    #[error("the name did not resolve: {0}")]
    Dns(String),
    /// No address of the host accepted the connection.
    #[error("no connection: {0}")]
    Connect(String),
}

impl From<io::Error> for DialError {
    fn from(error: io::Error) -> Self {
        Self::Connect(error.to_string())
    }
}

/// Real TCP, with TCP_NODELAY. `localhost` and every name below it are this machine, and no resolver is asked for them
/// (RFC 6761, 6.3). Where a name has several addresses, a slow one is raced by the next.
#[derive(Clone, Copy, Debug, Default)]
pub struct TcpDial;

/// How long one address has the field to itself.
const HEAD_START: Duration = Duration::from_millis(250);

impl Dial for TcpDial {
    fn dial(&self, host: &str, port: u16) -> LocalBoxFuture<'static, Result<Box<dyn ByteStream>, DialError>> {
        let host = host.to_owned();
        Box::pin(async move {
            let addresses = addresses(&host, port).await?;
            if addresses.is_empty() {
                return Err(DialError::Dns("it has no address".to_owned()));
            }
            let stream = first_of(addresses).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as Box<dyn ByteStream>)
        })
    }
}

async fn addresses(host: &str, port: u16) -> Result<Vec<SocketAddr>, DialError> {
    if is_this_machine(host) {
        let loopback: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        return Ok(loopback.map(|ip| SocketAddr::new(ip, port)).into());
    }
    let found = tokio::net::lookup_host((host, port)).await.map_err(|error| DialError::Dns(error.to_string()))?;
    Ok(found.collect())
}

/// Whether a name is `localhost` or below it.
fn is_this_machine(host: &str) -> bool {
    let name = host.strip_suffix('.').unwrap_or(host);
    name.rsplit('.').next().is_some_and(|label| label.eq_ignore_ascii_case("localhost"))
}

async fn first_of(addresses: Vec<SocketAddr>) -> Result<TcpStream, DialError> {
    let mut waiting = addresses.into_iter();
    let mut attempts = FuturesUnordered::new();
    let mut refusals: Vec<String> = Vec::new();
    loop {
        if let Some(address) = waiting.next() {
            attempts
                .push(async move { TcpStream::connect(address).await.map_err(|error| format!("{address}: {error}")) });
        }
        match timeout(HEAD_START, attempts.next()).await {
            Ok(Some(Ok(stream))) => return Ok(stream),
            Ok(Some(Err(refusal))) => refusals.push(refusal),
            Ok(None) => return Err(DialError::Connect(refusals.join(", "))),
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_refused_address_does_not_keep_the_next_one_from_being_tried() {
        let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let stream = first_of(vec![closed, free.local_addr().unwrap()]).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), free.local_addr().unwrap());
    }

    #[tokio::test]
    async fn localhost_and_the_names_below_it_are_loopback_in_both_families() {
        let loopback: Vec<SocketAddr> = vec!["127.0.0.1:81".parse().unwrap(), "[::1]:81".parse().unwrap()];
        for host in ["localhost", "LocalHost", "localhost.", "mock-2.localhost", "a.b.LOCALHOST."] {
            assert_eq!(addresses(host, 81).await, Ok(loopback.clone()), "{host}");
        }
        for host in ["notlocalhost", "localhost.example", "127.0.0.1", "::1", "", "."] {
            assert!(!is_this_machine(host), "{host}");
        }
        assert_eq!(addresses("127.0.0.1", 81).await, Ok(vec![loopback[0]]));
    }

    #[tokio::test]
    async fn when_every_address_refuses_each_is_named() {
        let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let Err(DialError::Connect(reason)) = first_of(vec![closed]).await else { panic!("nothing listens there") };
        assert!(reason.contains(&closed.to_string()), "{reason}");
    }
}
