//! What stands between engine and tenant in some tests: a port that takes calls over TLS or records them.
//!
//! A front passes bytes on and knows no HTTP. When the tenant closes in order, so does the front, with close_notify
//! under TLS; when the tenant resets, the front only drops the connection.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;

use parking_lot::Mutex;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

/// A port in front of a tenant.
pub struct Front {
    address: SocketAddr,
    sent: Arc<Mutex<Vec<u8>>>,
    n_connections: Arc<Mutex<usize>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Front {
    /// Passes on what comes in plain.
    pub fn plain(target: SocketAddr) -> Self {
        Self::start(target, None)
    }

    /// Passes on what comes over TLS.
    pub fn tls(target: SocketAddr, acceptor: TlsAcceptor) -> Self {
        Self::start(target, Some(acceptor))
    }

    fn start(target: SocketAddr, acceptor: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (sent, n_connections) = (Arc::<Mutex<Vec<u8>>>::default(), Arc::<Mutex<usize>>::default());
        let (stop, stopped) = oneshot::channel();
        let (record, count) = (sent.clone(), n_connections.clone());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                let accept = async {
                    loop {
                        let (client, _) = listener.accept().await.unwrap();
                        *count.lock() += 1;
                        let (acceptor, record) = (acceptor.clone(), record.clone());
                        tokio::spawn(async move {
                            match acceptor {
                                None => pass(client, target, record).await,
                                Some(acceptor) => {
                                    if let Ok(client) = acceptor.accept(client).await {
                                        pass(client, target, record).await;
                                    }
                                }
                            }
                        });
                    }
                };
                tokio::select! {
                    () = accept => {}
                    _ = stopped => {}
                }
            });
        });
        Self { address, sent, n_connections, stop: Some(stop), thread: Some(thread) }
    }

    /// Its address under that scheme and host.
    pub fn url(&self, scheme: &str, host: &str) -> String {
        format!("{scheme}://{host}:{}", self.address.port())
    }

    /// Everything that clients sent, connection by connection as it came.
    pub fn sent(&self) -> String {
        String::from_utf8_lossy(&self.sent.lock()).into_owned()
    }

    /// How many connections were made.
    pub fn n_connections(&self) -> usize {
        *self.n_connections.lock()
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

async fn pass<S: AsyncRead + AsyncWrite + Unpin>(client: S, target: SocketAddr, record: Arc<Mutex<Vec<u8>>>) {
    let Ok(mut server) = TcpStream::connect(target).await else { return };
    server.set_nodelay(true).ok();
    let (mut from_server, mut to_server) = server.split();
    let (mut from_client, mut to_client) = tokio::io::split(client);
    let up = async {
        let mut bytes = vec![0; 16 << 10];
        while let Ok(n) = from_client.read(&mut bytes).await
            && n > 0
        {
            record.lock().extend_from_slice(&bytes[..n]);
            if to_server.write_all(&bytes[..n]).await.is_err() {
                break;
            }
        }
        to_server.shutdown().await.ok();
        std::future::pending::<()>().await;
    };
    let down = async {
        if tokio::io::copy(&mut from_server, &mut to_client).await.is_ok() {
            to_client.shutdown().await.ok();
        }
    };
    tokio::select! {
        () = up => {}
        () = down => {}
    }
}

/// Signs certificates.
pub struct Authority {
    params: CertificateParams,
    key: KeyPair,
    /// Its own certificate.
    pub pem: String,
}

impl Authority {
    /// One that nobody knows yet.
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Authorities are told apart by their names: under one name, the wrong one is only a bad signature.
        let name = fastrand::u64(..).to_string();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { params, key, pem }
    }

    /// Takes connections with a certificate for that host, changed by `shape`.
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
