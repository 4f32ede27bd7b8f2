//! Whom to trust, and the TLS handshake.
//!
//! Platform roots, or the bundled ones where the platform has none, and the tenant's own `ca_file` on top. TLS 1.2 at
//! least, HTTP/1.1 only. There is no switch that turns the checks off, and no answer to a failed check but the fault.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{AlertDescription, CertificateError, ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

use super::dial::ByteStream;
use crate::model::TransportFault;

/// The certificates that count, ready for use by any number of clients.
#[derive(Clone)]
pub struct TlsTrust {
    config: Arc<ClientConfig>,
    n_roots: usize,
}

/// Why the trust can't be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsProblem {
    /// The file can't be read.
    #[error("the CA file {} can't be read: {reason}; check tls.ca_file", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's words.
        reason: String,
    },
    /// The file holds no certificate that could be trusted.
    #[error("the CA file {} holds no usable certificate in PEM form ({reason}); check tls.ca_file", .path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
        /// What was found instead.
        reason: String,
    },
    /// The TLS library refused its settings.
    #[error("TLS can't be set up: {0}")]
    Setup(String),
}

impl TlsTrust {
    /// Reads the roots of this machine and those of the file, if one is given.
    pub fn load(ca_file: Option<&Path>) -> Result<Self, TlsProblem> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        if let Some(path) = ca_file {
            for certificate in certificates(path)? {
                let refusal = |e: rustls::Error| TlsProblem::NoCertificate { path: path.into(), reason: e.to_string() };
                roots.add(certificate).map_err(refusal)?;
            }
        }
        let n_roots = roots.len();
        let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(|error| TlsProblem::Setup(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { config: Arc::new(config), n_roots })
    }

    /// Shakes hands with that host (an IPv6 address without brackets); `place` is how faults name it.
    pub(super) async fn secure(
        &self,
        io: Box<dyn ByteStream>,
        host: &str,
        place: &str,
    ) -> Result<Box<dyn ByteStream>, TransportFault> {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| TransportFault::Untrusted {
            host: place.to_owned(),
            reason: "no certificate can be made out to such a name".to_owned(),
        })?;
        match TlsConnector::from(Arc::clone(&self.config)).connect(name, io).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(error) => Err(handshake_fault(&error, place)),
        }
    }
}

impl fmt::Debug for TlsTrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsTrust").field("n_roots", &self.n_roots).finish_non_exhaustive()
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsProblem> {
    let unreadable = |error: io::Error| TlsProblem::Unreadable { path: path.into(), reason: error.to_string() };
    let none = |reason: String| TlsProblem::NoCertificate { path: path.into(), reason };
    let pem = std::fs::read(path).map_err(unreadable)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match found {
        Ok(certificates) if certificates.is_empty() => Err(none("none found".to_owned())),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(none(error.to_string())),
    }
}

fn handshake_fault(error: &io::Error, place: &str) -> TransportFault {
    let untrusted = |reason: String| TransportFault::Untrusted { host: place.to_owned(), reason };
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match tls {
        Some(rustls::Error::InvalidCertificate(problem)) => untrusted(certificate_problem(problem)),
        Some(rustls::Error::NoCertificatesPresented) => untrusted("it presents no certificate".to_owned()),
        Some(rustls::Error::PeerIncompatible(why)) => {
            untrusted(format!("it has no TLS in common with this program, which needs 1.2 at least ({why:?})"))
        }
        Some(rustls::Error::AlertReceived(
            alert @ (AlertDescription::ProtocolVersion
            | AlertDescription::HandshakeFailure
            | AlertDescription::InsufficientSecurity
            | AlertDescription::CertificateRequired
            | AlertDescription::UnrecognisedName
            | AlertDescription::NoApplicationProtocol),
        )) => untrusted(format!("it refuses TLS as this program speaks it, 1.2 at least ({alert:?})")),
        _ => TransportFault::Connect { host: place.to_owned(), reason: format!("the TLS handshake failed: {error}") },
    }
}

fn certificate_problem(problem: &CertificateError) -> String {
    use CertificateError as C;
    match problem {
        C::Expired | C::ExpiredContext { .. } => format!("its certificate has expired ({problem})"),
        C::NotValidYet | C::NotValidYetContext { .. } => format!("its certificate is not valid yet ({problem})"),
        C::NotValidForName | C::NotValidForNameContext { .. } => {
            format!("its certificate is made out to another host ({problem})")
        }
        C::UnknownIssuer => "its certificate comes from an unknown authority; if that is a company's own, \
            give its certificate as tls.ca_file"
            .to_owned(),
        C::Revoked => "its certificate was revoked".to_owned(),
        other => format!("its certificate is not valid: {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ca_file_adds_to_the_roots_of_the_machine() {
        let issued = rcgen::generate_simple_self_signed(["tenant.example".to_owned()]).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), issued.cert.pem()).unwrap();
        let (with, without) = (TlsTrust::load(Some(file.path())).unwrap(), TlsTrust::load(None).unwrap());
        assert!(without.n_roots > 0);
        assert_eq!(with.n_roots, without.n_roots + 1);
    }

    #[test]
    fn a_ca_file_that_is_missing_or_holds_no_certificate_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing.pem");
        assert!(matches!(TlsTrust::load(Some(&missing)), Err(TlsProblem::Unreadable { path, .. }) if path == missing));
        let wrong = folder.path().join("wrong.pem");
        std::fs::write(&wrong, "not a certificate").unwrap();
        assert!(matches!(TlsTrust::load(Some(&wrong)), Err(TlsProblem::NoCertificate { path, .. }) if path == wrong));
    }
}
