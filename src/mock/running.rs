//! The tenant behind a TCP port on loopback, on a thread and a runtime of its own.
//!
//! It shares nothing with whoever started it but the tenant behind a lock, which is held for decisions only and never
//! while bytes move. Dropping the handle stops it and closes every connection, and a strict one then says if it was called
//! while it had told to wait.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::model::Window;

use super::expected::Expected;
use super::ledger::Ledger;
use super::server::{Hangup, SharedTenant, TenantClock, serve_connection};
use super::tenant::Tenant;
use super::verdict::Verdict;

/// A mock tenant that is listening.
pub struct RunningMock {
    address: SocketAddr,
    tenant: SharedTenant,
    clock: TenantClock,
    strict: bool,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for RunningMock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunningMock").field("address", &self.address).finish_non_exhaustive()
    }
}

impl RunningMock {
    pub(super) fn start(port: u16, tenant: Tenant) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let strict = tenant.settings.strict;
        let tenant = Arc::new(Mutex::new(tenant));
        let clock = TenantClock::start_now();
        let (stop, stopped) = oneshot::channel();
        let shared = tenant.clone();
        let thread = std::thread::Builder::new().name("mock-tenant".into()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = accept(listener, shared, clock) => {}
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Self { address, strict, tenant, clock, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What goes into a configuration as `base_url`; the token is at `{base_url}/oauth2/token`.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it was asked so far.
    pub fn ledger(&self) -> Ledger {
        self.tenant.lock().ledger().clone()
    }

    /// See [`Tenant::verdict`].
    pub fn verdict(&self) -> Verdict {
        self.tenant.lock().verdict()
    }

    /// The time on its clock.
    pub fn now(&self) -> Duration {
        self.clock.now()
    }

    /// Looks at the tenant or changes it while it runs.
    pub fn with<R>(&self, act: impl FnOnce(&mut Tenant) -> R) -> R {
        act(&mut self.tenant.lock())
    }

    /// See [`Tenant::expected`].
    pub fn expected(&self, template: &str) -> Expected {
        self.tenant.lock().expected(template)
    }

    /// See [`Tenant::expected_for`].
    pub fn expected_for(&self, template: &str, window: Window) -> Expected {
        self.tenant.lock().expected_for(template, window)
    }

    /// The bytes of [`RunningMock::expected`].
    pub fn expected_csv(&self, template: &str) -> Vec<u8> {
        // Made outside the lock: a large file would hold up the answers.
        self.expected(template).bytes()
    }
}

impl Drop for RunningMock {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic over there has been reported by its own hook.
            thread.join().ok();
        }
        if !self.strict || std::thread::panicking() {
            return;
        }
        let early = self.tenant.lock().ledger().calls_while_told_to_wait();
        assert!(early.is_empty(), "the client called while it was told to wait: {early:#?}");
    }
}

async fn accept(listener: TcpListener, tenant: SharedTenant, clock: TenantClock) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "the mock tenant can't listen"),
    };
    loop {
        let Ok((mut stream, _)) = listener.accept().await else {
            // Out of file descriptors, most likely: others may give some back.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        stream.set_nodelay(true).ok();
        let tenant = tenant.clone();
        tokio::spawn(async move {
            if serve_connection(&mut stream, tenant, clock).await == Hangup::Reset {
                stream.set_zero_linger().ok();
            }
        });
    }
}
