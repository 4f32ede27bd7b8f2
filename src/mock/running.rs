//! A tenant that is listening, as whoever started it sees it.
//!
//! It shares nothing with them but the tenant behind a lock, which is held for decisions only and never while bytes
//! move. Dropping the handle of a tenant that was started on its own stops it and closes every connection; one of
//! several goes with their host. A strict one then says if it was called while it had told to wait.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::model::Window;

use super::desk::Scorecard;
use super::expected::Expected;
use super::house::{Door, House, Resident};
use super::ledger::Ledger;
use super::listen::{Listening, Threads, listen};
use super::server::{SharedTenant, TenantClock};
use super::tenant::Tenant;
use super::tls::Authority;
use super::verdict::Verdict;

/// A mock tenant that is listening.
///
/// Dropping it stops it, unless it belongs to a [`RunningHost`](super::RunningHost).
pub struct RunningMock {
    address: SocketAddr,
    house: Arc<House>,
    nth: usize,
    token_path: String,
    pub(super) strict: bool,
    ca: Option<Arc<str>>,
    /// None where a host listens for it.
    listening: Option<Listening>,
}

impl fmt::Debug for RunningMock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunningMock").field("base_url", &self.base_url()).finish_non_exhaustive()
    }
}

/// A tenant that is to be put up somewhere.
pub(super) fn resident(name: &str, base_url: String, tenant: Tenant) -> Resident {
    let tenant: SharedTenant = Arc::new(Mutex::new(tenant));
    Resident { name: name.to_owned(), base_url, tenant, clock: TenantClock::start_now() }
}

/// Where clients find what listens at that address.
pub(super) fn base_url(address: SocketAddr, is_tls: bool) -> String {
    let scheme = if is_tls { "https" } else { "http" };
    // One that listens everywhere is found on loopback as well.
    let ip = if address.ip().is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { address.ip() };
    format!("{scheme}://{}", SocketAddr::new(ip, address.port()))
}

impl RunningMock {
    pub(super) fn start(port: u16, tenant: Tenant) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        let address = listener.local_addr()?;
        let authority = tenant.settings.tls.map(|_| Authority::new()).transpose()?;
        let acceptor = acceptor(&tenant, address, authority.as_ref())?;
        let url = base_url(address, acceptor.is_some());
        let house = Arc::new(House { residents: vec![resident("mock", url, tenant)] });
        let door = Door { house: house.clone(), only: Some(0) };
        let listening = listen(vec![(listener, door, acceptor)], Threads::Own)?;
        let ca = authority.map(|authority| authority.pem().into());
        let mut running = Self::of_house(address, house, 0, ca);
        running.listening = Some(listening);
        Ok(running)
    }

    pub(super) fn of_house(address: SocketAddr, house: Arc<House>, nth: usize, ca: Option<Arc<str>>) -> Self {
        let (strict, token_path) = {
            let tenant = house.residents[nth].tenant.lock();
            (tenant.settings.strict, tenant.settings.token_path.clone())
        };
        Self { address, house, nth, token_path, strict, ca, listening: None }
    }

    fn resident(&self) -> &Resident {
        &self.house.residents[self.nth]
    }

    /// Where it listens. Tenants that are told apart by the host's name share an address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What goes into a configuration as `base_url`.
    pub fn base_url(&self) -> String {
        self.resident().base_url.clone()
    }

    /// Where tokens are to be had; `{base_url}/oauth2/token` unless the tenant was told otherwise.
    pub fn token_url(&self) -> String {
        format!("{}{}", self.resident().base_url, self.token_path)
    }

    /// The certificate of the authority that a client has to trust, as PEM; none where no tenant speaks TLS.
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca.as_deref()
    }

    /// What it was asked so far.
    pub fn ledger(&self) -> Ledger {
        self.resident().tenant.lock().ledger().clone()
    }

    /// See [`Tenant::verdict`].
    pub fn verdict(&self) -> Verdict {
        self.resident().tenant.lock().verdict()
    }

    /// How its client behaves, in findings and figures: what `GET /__mock/scorecard` shows.
    pub fn scorecard(&self) -> Scorecard {
        self.resident().scorecard(false)
    }

    /// The same for a client that is done: a query that it has not read to its end by now is left unread, where
    /// [`RunningMock::scorecard`] waits for a minute of silence.
    pub fn final_scorecard(&self) -> Scorecard {
        self.resident().scorecard(true)
    }

    /// The time on its clock.
    pub fn now(&self) -> Duration {
        self.resident().now()
    }

    /// Looks at the tenant or changes it while it runs.
    pub fn with<R>(&self, act: impl FnOnce(&mut Tenant) -> R) -> R {
        act(&mut self.resident().tenant.lock())
    }

    /// See [`Tenant::expected`].
    pub fn expected(&self, template: &str) -> Expected {
        self.resident().tenant.lock().expected(template)
    }

    /// See [`Tenant::expected_for`].
    pub fn expected_for(&self, template: &str, window: Window) -> Expected {
        self.resident().tenant.lock().expected_for(template, window)
    }

    /// The bytes of [`RunningMock::expected`].
    pub fn expected_csv(&self, template: &str) -> Vec<u8> {
        // Made outside the lock: a large file would hold up the answers.
        self.expected(template).bytes()
    }
}

/// What a tenant at that address speaks TLS with, if it does.
pub(super) fn acceptor(
    tenant: &Tenant,
    address: SocketAddr,
    authority: Option<&Authority>,
) -> io::Result<Option<super::listen::TlsFront>> {
    let (Some(tls), Some(authority)) = (tenant.settings.tls, authority) else { return Ok(None) };
    let hosts = ["localhost", "127.0.0.1", "::1", &address.ip().to_string()];
    Ok(Some((authority.acceptor(tls, &hosts)?, tls.says_goodbye())))
}

impl Drop for RunningMock {
    fn drop(&mut self) {
        drop(self.listening.take());
        if !self.strict || std::thread::panicking() {
            return;
        }
        let early = self.resident().tenant.lock().ledger().calls_while_told_to_wait();
        assert!(early.is_empty(), "the client called while it was told to wait: {early:#?}");
    }
}
