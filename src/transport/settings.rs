//! How a tenant is reached: how long to wait for what, how much to take, whom to trust, and through which proxy.
//!
//! All of it is decided by the configuration; nothing here reads the environment.

use std::sync::Arc;
use std::time::Duration;

use awc::http::uri::Authority;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::request::HeaderText;
use super::tls::TlsTrust;

/// Everything an [`HttpClient`](super::HttpClient) needs to know about one tenant.
#[derive(Clone, Debug)]
pub struct TransportSettings {
    /// From the first packet until the connection can carry a request: TCP, the proxy's tunnel, TLS.
    pub connect: Duration,
    /// From the moment the request is being sent until the head of the answer is complete.
    pub response: Duration,
    /// Between two pieces of a body, counted only while someone waits for the next one.
    pub idle: Duration,
    /// The least rate of a body that is put up with.
    pub min_bytes_per_second: u64,
    /// The time over which that rate is measured, counted like `idle`.
    pub min_rate_over: Duration,
    /// The most bytes a body may have once decoded (`limits.page_bytes`).
    pub max_decoded: u64,
    /// How long an unused connection is kept for the next request.
    pub keep_alive: Duration,
    /// How long a connection is used at all.
    pub lifetime: Duration,
    /// Whose certificates count.
    pub tls: Arc<TlsTrust>,
    /// The proxy, if any.
    pub proxy: ProxyChoice,
}

impl TransportSettings {
    /// The documented defaults, with no proxy.
    pub fn new(tls: Arc<TlsTrust>) -> Self {
        Self {
            connect: Duration::from_secs(10),
            response: Duration::from_secs(60),
            idle: Duration::from_secs(30),
            min_bytes_per_second: 1024,
            min_rate_over: Duration::from_secs(30),
            max_decoded: 1 << 30,
            keep_alive: Duration::from_secs(15),
            lifetime: Duration::from_secs(600),
            tls,
            proxy: ProxyChoice::None,
        }
    }
}

/// Whether connections go straight to the tenant or through a tunnel that a proxy opens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ProxyChoice {
    /// Straight to the tenant.
    #[default]
    None,
    /// Through an HTTP proxy, by CONNECT, for `https` and `http` alike.
    Http {
        /// The proxy's name or address.
        host: String,
        /// Its port.
        port: u16,
        /// The value of `Proxy-Authorization`, where the proxy wants one.
        authorization: Option<HeaderText>,
    },
}

/// A proxy's address that can't be used. It never repeats the address, which may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadProxy {
    /// Another scheme than `http`.
    #[error("a proxy's address starts with http:// (https and socks proxies are not supported)")]
    Scheme,
    /// The rest is no host and port.
    #[error("a proxy's address is written http://host:port or http://user:password@host:port")]
    Address,
}

impl ProxyChoice {
    /// Reads `http://[user:password@]host[:port]`; `host:port` alone is taken as `http`.
    pub fn parse(text: &str) -> Result<Self, BadProxy> {
        let rest = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
            Some(_) => return Err(BadProxy::Scheme),
            None => text,
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (user, address) = match rest.rsplit_once('@') {
            Some((user, address)) => (Some(user), address),
            None => (None, rest),
        };
        let authority: Authority = address.parse().map_err(|_| BadProxy::Address)?;
        let port = port_of(&authority, 80).ok_or(BadProxy::Address)?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() {
            return Err(BadProxy::Address);
        }
        let authorization = match user {
            Some(user) => {
                let plain = percent_decoded(user).ok_or(BadProxy::Address)?;
                let text = format!("Basic {}", STANDARD.encode(plain));
                Some(HeaderText::new(&text).map_err(|_| BadProxy::Address)?)
            }
            None => None,
        };
        Ok(Self::Http { host, port, authorization })
    }
}

/// The port, or the default where none is named; `None` for what is no port, such as 99999.
pub(super) fn port_of(authority: &Authority, default: u16) -> Option<u16> {
    let names_none = authority.host().len() == authority.as_str().len();
    authority.port_u16().or(names_none.then_some(default))
}

fn percent_decoded(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let high = char::from(bytes.next()?).to_digit(16)?;
            let low = char::from(bytes.next()?).to_digit(16)?;
            out.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            out.push(byte);
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> (String, u16, Option<String>) {
        match ProxyChoice::parse(text) {
            Ok(ProxyChoice::Http { host, port, authorization }) => {
                (host, port, authorization.map(|a| a.expose().to_owned()))
            }
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn a_proxy_address_gives_host_port_and_decoded_credentials() {
        assert_eq!(parts("http://proxy.example:3128/"), ("proxy.example".into(), 3128, None));
        assert_eq!(parts("proxy.example"), ("proxy.example".into(), 80, None));
        assert_eq!(parts("http://[::1]:8080"), ("::1".into(), 8080, None));
        let basic = format!("Basic {}", STANDARD.encode("me:p@ss"));
        assert_eq!(parts("http://me:p%40ss@proxy:1"), ("proxy".into(), 1, Some(basic)));
    }

    #[test]
    fn an_unusable_proxy_address_is_refused_without_repeating_it() {
        for text in
            ["https://me:canary@proxy:1", "socks5://proxy:1", "http://", "http://me:canary%4@p:1", "http://p:99999"]
        {
            let problem = ProxyChoice::parse(text).expect_err(text);
            assert!(!problem.to_string().contains("canary"));
        }
    }

    #[test]
    fn debug_output_of_a_proxy_hides_its_credentials() {
        let proxy = ProxyChoice::parse("http://me:canary@proxy:1").expect("usable");
        assert!(!format!("{proxy:?}").contains(&STANDARD.encode("me:canary")));
    }
}
