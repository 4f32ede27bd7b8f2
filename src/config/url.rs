//! Addresses of tenants: http or https, a host, perhaps a port and a path, and nothing else.
//!
//! A query, a fragment or a user's name in an address is an error rather than something to drop in silence; and
//! because such parts may be secrets, a problem never shows them.

use std::fmt;
use std::net::IpAddr;

use super::kind::{Mismatch, Read, any_text};
use super::tree::Node;

/// How an address is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// In the clear.
    Http,
    /// Over TLS.
    Https,
}

/// A checked address without trailing slash.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BaseUrl {
    scheme: Scheme,
    host: String,
    port: u16,
    path: String,
}

impl BaseUrl {
    /// Reads `http://host[:port][/path]` or the same with https; the error says what is wrong without quoting it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let (scheme, rest) = text.split_once("://").ok_or("it has no http:// or https:// in front")?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return Err("its scheme is neither http nor https"),
        };
        if rest.contains('?') || rest.contains('#') {
            return Err("it has a query or a fragment");
        }
        let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        if authority.contains('@') {
            return Err("it has a user name or password");
        }
        let (host, port) = split_authority(authority)?;
        let port = port.unwrap_or(match scheme {
            Scheme::Http => 80,
            Scheme::Https => 443,
        });
        if !path.bytes().all(|b| b.is_ascii_graphic() && !br#""<>\^`{|}"#.contains(&b)) {
            return Err("its path has characters that have to be percent-encoded");
        }
        if path.split('/').any(|part| part == "." || part == "..") {
            return Err("its path has . or .. in it");
        }
        Ok(Self { scheme, host, port, path: path.trim_end_matches('/').to_owned() })
    }

    /// http or https.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host's name or address in small letters, an IPv6 address without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, the scheme's own where none was written.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether the host is this machine, by its name or address alone.
    pub fn is_loopback(&self) -> bool {
        match self.host.parse::<IpAddr>() {
            Ok(address) => address.is_loopback(),
            Err(_) => self.host == "localhost" || self.host.ends_with(".localhost"),
        }
    }

    /// The address with more path behind it; `path` begins with a slash.
    #[must_use]
    pub fn join(&self, path: &str) -> Self {
        Self { path: format!("{}{path}", self.path), ..self.clone() }
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, default) = match self.scheme {
            Scheme::Http => ("http", 80),
            Scheme::Https => ("https", 443),
        };
        write!(f, "{scheme}://")?;
        if self.host.contains(':') {
            write!(f, "[{}]", self.host)?;
        } else {
            f.write_str(&self.host)?;
        }
        if self.port != default {
            write!(f, ":{}", self.port)?;
        }
        f.write_str(&self.path)
    }
}

/// Host and port of `host[:port]`, IPv6 addresses in brackets.
pub(super) fn split_authority(authority: &str) -> Result<(String, Option<u16>), &'static str> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or("its IPv6 address lacks the closing bracket")?;
            host.parse::<std::net::Ipv6Addr>().map_err(|_| "its IPv6 address can't be read")?;
            (host, if port.is_empty() { None } else { Some(port.strip_prefix(':').ok_or("its port can't be read")?) })
        }
        None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
    };
    let port = match port {
        None => None,
        Some(digits) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
            Some(digits.parse::<u16>().ok().filter(|p| *p > 0).ok_or("its port is not from 1 to 65535")?)
        }
        Some(_) => return Err("its port can't be read"),
    };
    if host.is_empty() {
        return Err("it has no host");
    }
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    if !authority.starts_with('[') && (!host.bytes().all(allowed) || host.len() > 253) {
        return Err("its host has characters that no host name has");
    }
    Ok((host.to_ascii_lowercase(), port))
}

/// Reads an address from the tree.
pub(super) fn url(node: &Node) -> Read<BaseUrl> {
    let text = any_text(node)?;
    BaseUrl::parse(&text).map_err(|fault| {
        Mismatch::new("an address such as https://acme.example.com", format!("correct the address: {fault}"))
            .hiding(text.contains(['@', '?']))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_kept_without_its_trailing_slash() {
        let url = BaseUrl::parse("HTTPS://Acme.Example.com/api/").unwrap();
        assert_eq!(url.to_string(), "https://acme.example.com/api");
        assert_eq!(url.port(), 443);
        assert_eq!(url.join("/oauth2/token").to_string(), "https://acme.example.com/api/oauth2/token");
        assert_eq!(BaseUrl::parse("http://[::1]:8080/").unwrap().to_string(), "http://[::1]:8080");
        assert_eq!(BaseUrl::parse("https://a:443").unwrap().to_string(), "https://a");
    }

    #[test]
    fn what_is_no_plain_address_is_refused() {
        for text in [
            "acme.example.com",
            "ftp://a",
            "https://",
            "https://a?x=1",
            "https://a/#f",
            "https://user:pass@a",
            "https://a:0",
            "https://a:99999",
            "https://a:x",
            "https://a b",
            "https://[::1",
            "https://a/../b",
            "https://a\r\nHost: b",
            "https://ä.example",
        ] {
            assert!(BaseUrl::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn only_this_machine_is_loopback() {
        for text in ["http://localhost:1", "http://127.0.0.1", "http://127.9.9.9", "http://[::1]", "http://a.localhost"]
        {
            assert!(BaseUrl::parse(text).unwrap().is_loopback(), "{text}");
        }
        for text in ["http://10.0.0.1", "http://localhost.example.com", "http://127.0.0.1.example.com"] {
            assert!(!BaseUrl::parse(text).unwrap().is_loopback(), "{text}");
        }
    }
}
