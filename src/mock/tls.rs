//! TLS in front of a tenant, with certificates that are good or bad in one way.
//!
//! The authority is made when a host starts and is nowhere in any list of trusted ones: whoever wants to be trusted by
//! a client has to hand the client [`Authority::pem`]. What is bad about a certificate is all that is bad about it.

use std::io;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde::Deserialize;
use tokio_rustls::TlsAcceptor;

/// How a tenant speaks TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tls {
    /// As it should.
    Good,
    /// With a certificate that has expired.
    Expired,
    /// With a certificate of another host.
    WrongHost,
    /// With a certificate of an authority that nobody can know.
    UnknownCa,
    /// With a good certificate, but connections end without close_notify, as if they were cut.
    NoCloseNotify,
}

impl Tls {
    /// Whether the end of a connection is told.
    pub(super) fn says_goodbye(self) -> bool {
        self != Self::NoCloseNotify
    }
}

/// Signs certificates.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

fn other(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::other(error)
}

impl Authority {
    /// Another one each time.
    pub(super) fn new() -> io::Result<Self> {
        Self::called("mock tenants of cxtract")
    }

    fn called(name: &str) -> io::Result<Self> {
        let mut params = CertificateParams::new(Vec::new()).map_err(other)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().map_err(other)?;
        let pem = params.self_signed(&key).map_err(other)?.pem();
        Ok(Self { issuer: Issuer::new(params, key), pem })
    }

    /// What a client has to trust.
    pub(super) fn pem(&self) -> &str {
        &self.pem
    }

    /// A server for these names and addresses.
    pub(super) fn acceptor(&self, tls: Tls, hosts: &[&str]) -> io::Result<TlsAcceptor> {
        let named =
            |hosts: &[&str]| CertificateParams::new(hosts.iter().map(|&host| host.to_owned()).collect::<Vec<_>>());
        let mut params = named(if tls == Tls::WrongHost { &["another-host.example"] } else { hosts }).map_err(other)?;
        if tls == Tls::Expired {
            (params.not_before, params.not_after) = (date_time_ymd(2019, 1, 1), date_time_ymd(2020, 1, 1));
        }
        let key = KeyPair::generate().map_err(other)?;
        let stranger;
        let issuer = if tls == Tls::UnknownCa {
            stranger = Self::called("nobody that anybody knows")?;
            &stranger.issuer
        } else {
            &self.issuer
        };
        let certificate = params.signed_by(&key, issuer).map_err(other)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(other)?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .map_err(other)?;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}
