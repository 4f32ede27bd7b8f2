//! Scripted servers on loopback, plain and TLS, and clients for them.
//!
//! A server takes one script per connection, the last one over and over; a script is a list of answers, each given to
//! one request. What was asked is recorded, so that a test can also say what was *not* sent.

use std::cell::RefCell;
use std::io::Write as _;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cxtract::model::TransportFault;
use cxtract::transport::{HttpClient, Request, TcpDial, TlsTrust, TransportSettings};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// Runs a test on one thread, as an arbiter would.
pub fn run<F: Future>(test: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let whole = async { tokio::time::timeout(Duration::from_secs(120), test).await };
    tokio::task::LocalSet::new().block_on(&runtime, whole).expect("the test hangs")
}

/// What follows the bytes of an answer.
#[derive(Clone, Copy, Debug)]
pub enum Then {
    /// The connection stays open for the next request.
    Keep,
    /// An orderly end (over TLS with close_notify).
    Close,
    /// The TCP connection ends without close_notify.
    CloseWithoutNotify,
    /// The connection is reset.
    Reset,
    /// Silence.
    Hang,
}

#[derive(Clone, Debug)]
pub struct Step {
    /// Sent one after the other, with this pause before each but the first.
    pub pieces: Vec<Vec<u8>>,
    pub pause: Duration,
    pub then: Then,
}

pub fn say(bytes: impl Into<Vec<u8>>, then: Then) -> Step {
    Step { pieces: vec![bytes.into()], pause: Duration::ZERO, then }
}

pub fn drip(bytes: impl AsRef<[u8]>, size: usize, pause: Duration, then: Then) -> Step {
    Step { pieces: bytes.as_ref().chunks(size).map(<[u8]>::to_vec).collect(), pause, then }
}

pub struct Server {
    pub address: SocketAddr,
    is_tls: bool,
    /// Each connection's requests, heads and bodies as they came.
    pub seen: Rc<RefCell<Vec<Vec<String>>>>,
}

impl Server {
    pub async fn plain(scripts: Vec<Vec<Step>>) -> Self {
        Self::start(scripts, None).await
    }

    pub async fn tls(acceptor: TlsAcceptor, scripts: Vec<Vec<Step>>) -> Self {
        Self::start(scripts, Some(acceptor)).await
    }

    async fn start(scripts: Vec<Vec<Step>>, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            is_tls: tls.is_some(),
            seen: Rc::new(RefCell::new(Vec::new())),
        };
        let seen = Rc::clone(&server.seen);
        tokio::task::spawn_local(async move {
            for n in 0.. {
                let (tcp, _) = listener.accept().await.unwrap();
                seen.borrow_mut().push(Vec::new());
                let script = scripts[n.min(scripts.len() - 1)].clone();
                tokio::task::spawn_local(serve(tcp, tls.clone(), script, Rc::clone(&seen), n));
            }
        });
        server
    }

    pub fn url(&self, path: &str) -> String {
        let (scheme, host) = if self.is_tls { ("https", "localhost") } else { ("http", "127.0.0.1") };
        format!("{scheme}://{host}:{}{path}", self.address.port())
    }

    pub fn n_connections(&self) -> usize {
        self.seen.borrow().len()
    }

    pub fn requests(&self) -> Vec<String> {
        self.seen.borrow().concat()
    }
}

trait Wire: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Wire for T {}

async fn serve(
    tcp: TcpStream,
    tls: Option<TlsAcceptor>,
    script: Vec<Step>,
    seen: Rc<RefCell<Vec<Vec<String>>>>,
    n: usize,
) {
    tcp.set_nodelay(true).unwrap();
    let end = match tls {
        None => {
            let mut tcp = tcp;
            let end = play(&mut tcp, script, &seen, n).await;
            finish(tcp, end).await;
            return;
        }
        Some(tls) => {
            // A client that refuses the certificate ends the handshake: nothing more to serve.
            let Ok(mut stream) = tls.accept(tcp).await else { return };
            let end = play(&mut stream, script, &seen, n).await;
            if matches!(end, Then::Close) {
                let _ = stream.shutdown().await;
            }
            (stream.into_inner().0, end)
        }
    };
    finish(end.0, end.1).await;
}

async fn finish(tcp: TcpStream, end: Then) {
    match end {
        Then::Reset => tcp.set_zero_linger().unwrap(),
        Then::Hang => std::future::pending().await,
        Then::Keep | Then::Close | Then::CloseWithoutNotify => {}
    }
}

/// Answers requests by the script; gives how the connection ends.
async fn play(wire: &mut dyn Wire, script: Vec<Step>, seen: &Rc<RefCell<Vec<Vec<String>>>>, n: usize) -> Then {
    for step in script {
        let Some(request) = read_request(wire).await else { return Then::Close };
        seen.borrow_mut()[n].push(request);
        for (i, piece) in step.pieces.iter().enumerate() {
            if i > 0 {
                tokio::time::sleep(step.pause).await;
            }
            // The client may have gone: that is what some tests are about.
            if wire.write_all(piece).await.is_err() || wire.flush().await.is_err() {
                return Then::Close;
            }
        }
        if !matches!(step.then, Then::Keep) {
            return step.then;
        }
    }
    let _ = read_request(wire).await;
    Then::Close
}

async fn read_request(wire: &mut dyn Wire) -> Option<String> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        bytes.push(wire.read_u8().await.ok()?);
    }
    let head = String::from_utf8(bytes).unwrap();
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    wire.read_exact(&mut body).await.ok()?;
    Some(head + &String::from_utf8(body).unwrap())
}

/// A certificate authority of one test, its servers' certificates, and a file that makes clients trust it.
pub struct Authority {
    params: CertificateParams,
    key: KeyPair,
    pub file: tempfile::NamedTempFile,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(certificate.pem().as_bytes()).unwrap();
        Self { params, key, file }
    }

    pub fn trust(&self) -> Arc<TlsTrust> {
        Arc::new(TlsTrust::load(Some(self.file.path())).unwrap())
    }

    /// A server with a certificate for that host, changed by `shape`.
    pub fn acceptor(&self, host: &str, shape: impl FnOnce(&mut CertificateParams)) -> TlsAcceptor {
        let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        shape(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &Issuer::from_params(&self.params, &self.key)).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// Limits that no honest loopback server meets, so that only the fault under test can strike.
pub fn patient(tls: Arc<TlsTrust>) -> TransportSettings {
    let mut settings = TransportSettings::new(tls);
    settings.connect = Duration::from_secs(20);
    settings.response = Duration::from_secs(20);
    settings.idle = Duration::from_secs(20);
    settings
}

pub fn client() -> HttpClient {
    client_with(|_| {})
}

pub fn client_with(shape: impl FnOnce(&mut TransportSettings)) -> HttpClient {
    let mut settings = patient(Arc::new(TlsTrust::load(None).unwrap()));
    shape(&mut settings);
    HttpClient::new(settings, Arc::new(TcpDial))
}

/// Asks and reads to the end.
pub async fn fetch(client: &HttpClient, url: String) -> Result<Bytes, TransportFault> {
    client.send(Request::get(url)).await?.body.collect(usize::MAX).await
}

pub fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// A 200 with Content-Length and these further header lines.
pub fn sized(headers: &str, body: &[u8]) -> Vec<u8> {
    [format!("HTTP/1.1 200 OK\r\n{headers}Content-Length: {}\r\n\r\n", body.len()).as_bytes(), body].concat()
}

/// A 200 in chunks of that size.
pub fn chunked(headers: &str, body: &[u8], size: usize) -> Vec<u8> {
    let mut all = format!("HTTP/1.1 200 OK\r\n{headers}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
    for chunk in body.chunks(size) {
        all.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        all.extend_from_slice(chunk);
        all.extend_from_slice(b"\r\n");
    }
    all.extend_from_slice(b"0\r\n\r\n");
    all
}
