//! Which proxy a connection goes through: the one that the tenant's section names, else the environment's.
//!
//! The environment's proxy never applies to this machine itself, nor to what `NO_PROXY` names; one that was
//! configured for a tenant applies always.

use std::fmt;

use crate::model::Secret;

use super::kind::{Mismatch, Read, any_text};
use super::tree::Node;
use super::url::{BaseUrl, Scheme, split_authority};

/// A proxy that opens tunnels with CONNECT.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyUrl {
    /// Its host's name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// `user:password`, percent-encoded as written, where it asks for them.
    pub userinfo: Option<Secret>,
}

impl ProxyUrl {
    /// Reads `http://[user:password@]host:port`; the error says what is wrong without quoting it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let rest = text.strip_prefix("http://").ok_or("it has no http:// in front")?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (userinfo, authority) = rest.rsplit_once('@').map_or((None, rest), |(user, rest)| (Some(user), rest));
        if authority.contains(['/', '?', '#']) {
            return Err("it has a path, a query or a fragment");
        }
        let (host, port) = split_authority(authority)?;
        let port = port.ok_or("it has no port")?;
        if userinfo.is_some_and(|user| user.chars().any(|c| c.is_control() || c.is_whitespace())) {
            return Err("its user name or password has characters that have to be percent-encoded");
        }
        Ok(Self { host, port, userinfo: userinfo.map(Secret::new) })
    }
}

impl fmt::Display for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "http://[{}]:{}", self.host, self.port)
        } else {
            write!(f, "http://{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How a tenant's connections leave this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProxyRule {
    /// Straight to the tenant.
    Direct,
    /// Through this proxy, whatever the target.
    Always(ProxyUrl),
    /// Through the environment's proxy, but for the targets that it excepts.
    Environment {
        /// The proxy.
        proxy: ProxyUrl,
        /// The entries of `NO_PROXY`.
        except: Vec<String>,
    },
}

impl ProxyRule {
    /// The rule that `HTTPS_PROXY` and `NO_PROXY` make, small letters first as curl has it. The error names the
    /// variable and the fault.
    pub fn from_environment(variables: &[(String, String)]) -> Result<Self, (String, &'static str)> {
        let look = |small: &str, large: &str| {
            let find = |name: &str| variables.iter().find(|(n, v)| n == name && !v.trim().is_empty());
            find(small).or_else(|| find(large)).map(|(n, v)| (n.clone(), v.trim().to_owned()))
        };
        let Some((name, text)) = look("https_proxy", "HTTPS_PROXY") else { return Ok(Self::Direct) };
        let text = if text.contains("://") { text } else { format!("http://{text}") };
        let proxy = ProxyUrl::parse(&text).map_err(|fault| (name, fault))?;
        let except = look("no_proxy", "NO_PROXY").map_or_else(Vec::new, |(_, list)| {
            list.split(',').map(|e| e.trim().to_ascii_lowercase()).filter(|e| !e.is_empty()).collect()
        });
        Ok(Self::Environment { proxy, except })
    }

    /// The proxy for that target, if any.
    pub fn for_target(&self, target: &BaseUrl) -> Option<&ProxyUrl> {
        match self {
            Self::Direct => None,
            Self::Always(proxy) => Some(proxy),
            Self::Environment { proxy, except } => {
                let straight = target.scheme() == Scheme::Http
                    || target.is_loopback()
                    || except.iter().any(|entry| excepts(entry, target));
                (!straight).then_some(proxy)
            }
        }
    }
}

/// Whether an entry of `NO_PROXY` covers the target: `*`, a host, a domain with all below it, each perhaps with a port.
fn excepts(entry: &str, target: &BaseUrl) -> bool {
    if entry == "*" {
        return true;
    }
    let (domain, port) = match split_authority(entry.trim_start_matches(['*', '.'])) {
        Ok(parts) => parts,
        // An IPv6 address without brackets.
        Err(_) => (entry.to_owned(), None),
    };
    let host = target.host();
    port.is_none_or(|p| p == target.port())
        && (host == domain || host.strip_suffix(domain.as_str()).is_some_and(|head| head.ends_with('.')))
}

/// Reads `proxy`: an address, or `none` for none at all.
pub(super) fn proxy(node: &Node) -> Read<ProxyRule> {
    let text = any_text(node)?;
    if text == "none" {
        return Ok(ProxyRule::Direct);
    }
    let expected = "http://host:port, or none for no proxy at all";
    ProxyUrl::parse(&text).map(ProxyRule::Always).map_err(|fault| {
        Mismatch::new(expected, format!("correct the proxy's address: {fault}")).hiding(text.contains(['@', '?']))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> ProxyRule {
        let variables: Vec<_> = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        ProxyRule::from_environment(&variables).unwrap()
    }

    fn goes_through(rule: &ProxyRule, target: &str) -> bool {
        rule.for_target(&BaseUrl::parse(target).unwrap()).is_some()
    }

    #[test]
    fn the_environments_proxy_serves_all_but_its_exceptions_and_this_machine() {
        let rule = environment(&[
            ("HTTPS_PROXY", "proxy:3128"),
            ("NO_PROXY", "internal.example, .corp, 10.0.0.1, p.example:444"),
        ]);
        for target in ["https://acme.example.com", "https://notinternal.example", "https://p.example"] {
            assert!(goes_through(&rule, target), "{target}");
        }
        for target in [
            "https://internal.example",
            "https://a.internal.example",
            "https://x.corp",
            "https://10.0.0.1",
            "https://p.example:444",
            "https://localhost",
            "https://127.0.0.1:8443",
            "http://acme.example.com",
        ] {
            assert!(!goes_through(&rule, target), "{target}");
        }
        assert_eq!(environment(&[]), ProxyRule::Direct);
        assert!(!goes_through(&environment(&[("https_proxy", "http://p:1"), ("no_proxy", "*")]), "https://a"));
    }

    #[test]
    fn a_configured_proxy_serves_every_target() {
        let rule = ProxyRule::Always(ProxyUrl::parse("http://127.0.0.1:3128").unwrap());
        assert!(goes_through(&rule, "http://127.0.0.1:80"));
    }

    #[test]
    fn a_proxys_password_is_not_shown() {
        let proxy = ProxyUrl::parse("http://user:canary@proxy:3128").unwrap();
        assert!(!format!("{proxy:?} {proxy}").contains("canary"));
        assert_eq!(proxy.userinfo.unwrap().expose(), "user:canary");
        for text in ["proxy:3128", "https://proxy:3128", "http://proxy", "http://proxy:3128/path", "http://a b:1"] {
            assert!(ProxyUrl::parse(text).is_err(), "{text}");
        }
    }
}
