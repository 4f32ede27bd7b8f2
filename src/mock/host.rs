//! Many tenants in one process.
//!
//! Each has its own settings, limits, data and ledger; they share a few threads and nothing else. Every tenant has a
//! port, or all have one port and are told apart by the host's name. Tenants stand in the order in which they were
//! named.

use std::fmt;
use std::io::{self, Error, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;

use super::builder::MockTenantBuilder;
use super::house::{Door, House};
use super::listen::{Listening, Threads, TlsFront, listen};
use super::running::{RunningMock, acceptor, base_url, resident};
use super::tenant::Tenant;
use super::tls::Authority;

/// The way to many mock tenants.
#[derive(Debug)]
pub struct MockHost;

impl MockHost {
    /// Starts without a tenant.
    pub fn builder() -> MockHostBuilder {
        MockHostBuilder::default()
    }
}

/// Collects tenants.
#[derive(Clone, Debug)]
pub struct MockHostBuilder {
    tenants: Vec<(String, MockTenantBuilder)>,
    address: IpAddr,
    port: u16,
    threads: Option<usize>,
    /// What follows a tenant's name, where the host's name tells them apart.
    suffix: Option<String>,
}

impl Default for MockHostBuilder {
    fn default() -> Self {
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Self { tenants: Vec::new(), address, port: 0, threads: None, suffix: None }
    }
}

impl MockHostBuilder {
    /// Adds a tenant of that name.
    #[must_use]
    pub fn tenant(mut self, name: &str, tenant: MockTenantBuilder) -> Self {
        self.tenants.push((name.to_owned(), tenant));
        self
    }

    /// Adds tenants.
    #[must_use]
    pub fn tenants(mut self, tenants: impl IntoIterator<Item = (String, MockTenantBuilder)>) -> Self {
        self.tenants.extend(tenants);
        self
    }

    /// The port of the first tenant; the others get those after it, unless a tenant was given one of its own. 0, the
    /// default, lets the system choose each.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// The address to listen on. Default loopback.
    #[must_use]
    pub fn bind(mut self, address: IpAddr) -> Self {
        self.address = address;
        self
    }

    /// How many threads serve all connections. Default one for each processor.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = Some(threads);
        self
    }

    /// Puts all tenants behind one port, told apart by the first label of the `Host` header: `acme.localhost:8080` is
    /// the tenant `acme`. A host that names none is answered 421.
    #[must_use]
    pub fn by_host_name(self) -> Self {
        self.host_suffix("localhost")
    }

    /// The same, with base URLs that end so instead of in `localhost`. Whatever follows the first label, the tenant is
    /// found.
    #[must_use]
    pub fn host_suffix(mut self, suffix: &str) -> Self {
        self.suffix = Some(suffix.to_owned());
        self
    }

    /// Listens.
    ///
    /// # Errors
    /// If two tenants have one name (letter case aside), if a port can't be had, or if tenants that share a port are to
    /// speak TLS.
    pub fn start(self) -> io::Result<RunningHost> {
        self.check()?;
        let ports = self.ports()?;
        let tenants: Vec<(String, Tenant)> =
            self.tenants.iter().cloned().map(|(name, builder)| (name, builder.into_started())).collect();
        let with_tls = tenants.iter().any(|(_, tenant)| tenant.settings.tls.is_some());
        let authority = with_tls.then(Authority::new).transpose()?;
        let mut fronts: Vec<Option<TlsFront>> = Vec::new();
        let mut residents = Vec::new();
        let mut addresses = Vec::new();
        for (nth, (name, tenant)) in tenants.into_iter().enumerate() {
            let address = ports[nth.min(ports.len() - 1)].local_addr()?;
            let front = acceptor(&tenant, address, authority.as_ref())?;
            let url = match &self.suffix {
                Some(suffix) => format!("http://{}.{suffix}:{}", name.to_ascii_lowercase(), address.port()),
                None => base_url(address, front.is_some()),
            };
            residents.push(resident(&name, url, tenant));
            addresses.push(address);
            fronts.push(front);
        }
        let house = Arc::new(House { residents });
        let door = |nth| Door { house: house.clone(), only: self.suffix.is_none().then_some(nth) };
        let doors = ports.into_iter().zip(fronts).enumerate().map(|(nth, (port, front))| (port, door(nth), front));
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        let threads = Threads::Several(self.threads.unwrap_or_else(cores));
        let listening = listen(doors.collect(), threads)?;
        let ca: Option<Arc<str>> = authority.map(|authority| authority.pem().into());
        let running = addresses.into_iter().enumerate();
        let tenants = running.map(|(nth, address)| RunningMock::of_house(address, house.clone(), nth, ca.clone()));
        let names = house.residents.iter().map(|resident| resident.name.clone());
        Ok(RunningHost { listening: Some(listening), tenants: names.zip(tenants).collect() })
    }

    fn check(&self) -> io::Result<()> {
        let wrong = |why: String| Err(Error::new(ErrorKind::InvalidInput, why));
        if self.tenants.is_empty() {
            return wrong("there is no tenant to start".to_owned());
        }
        for (nth, (name, builder)) in self.tenants.iter().enumerate() {
            if self.tenants[..nth].iter().any(|(other, _)| other.eq_ignore_ascii_case(name)) {
                return wrong(format!("two tenants are called {name}; give each a name of its own"));
            }
            if self.suffix.is_some() && builder.speaks_tls() {
                return wrong(format!("{name} speaks TLS and can't share a port; give each tenant a port"));
            }
        }
        Ok(())
    }

    fn ports(&self) -> io::Result<Vec<TcpListener>> {
        let bind = |port: u16, whom: &str| {
            TcpListener::bind((self.address, port)).map_err(|error| {
                let address = SocketAddr::new(self.address, port);
                Error::new(error.kind(), format!("{whom} can't listen on {address}: {error}"))
            })
        };
        if self.suffix.is_some() {
            return Ok(vec![bind(self.port, "the host")?]);
        }
        let port_of = |nth: usize, builder: &MockTenantBuilder| match (builder.own_port(), self.port) {
            (0, 0) => Some(0),
            (0, first) => u16::try_from(nth).ok().and_then(|nth| first.checked_add(nth)),
            (own, _) => Some(own),
        };
        let all = self.tenants.iter().enumerate();
        all.map(|(nth, (name, builder))| match port_of(nth, builder) {
            Some(port) => bind(port, name),
            None => Err(Error::new(ErrorKind::InvalidInput, format!("there is no port left for {name} after 65535"))),
        })
        .collect()
    }
}

/// Mock tenants that are listening. They stop, and every connection is closed, when this is dropped.
pub struct RunningHost {
    listening: Option<Listening>,
    tenants: Vec<(String, RunningMock)>,
}

impl fmt::Debug for RunningHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.tenants).finish()
    }
}

impl RunningHost {
    /// The tenants by their names, in order.
    pub fn tenants(&self) -> impl Iterator<Item = (&str, &RunningMock)> {
        self.tenants.iter().map(|(name, tenant)| (name.as_str(), tenant))
    }

    /// The tenant of that name.
    pub fn tenant(&self, name: &str) -> Option<&RunningMock> {
        self.tenants().find(|(known, _)| *known == name).map(|(_, tenant)| tenant)
    }

    /// The certificate of the authority that clients have to trust, as PEM; none where no tenant speaks TLS.
    pub fn ca_pem(&self) -> Option<&str> {
        self.tenants.first().and_then(|(_, tenant)| tenant.ca_pem())
    }

    /// Stops, and answers with the tenants as they were left. What a strict one would have complained of is left to
    /// whoever reads their scorecards.
    pub fn stop(mut self) -> StoppedHost {
        drop(self.listening.take());
        let mut tenants = std::mem::take(&mut self.tenants);
        let strict = tenants.iter_mut().map(|(_, tenant)| std::mem::take(&mut tenant.strict)).collect();
        StoppedHost { tenants, strict }
    }
}

impl Drop for RunningHost {
    fn drop(&mut self) {
        // Before the tenants: nobody is to be judged while he still calls.
        drop(self.listening.take());
    }
}

/// Mock tenants that listen no more.
#[derive(Debug)]
pub struct StoppedHost {
    tenants: Vec<(String, RunningMock)>,
    strict: Vec<bool>,
}

impl StoppedHost {
    /// The tenants by their names, in order.
    pub fn tenants(&self) -> impl Iterator<Item = (&str, &RunningMock)> {
        self.tenants.iter().map(|(name, tenant)| (name.as_str(), tenant))
    }

    /// The names of strict tenants that were called while they had told to wait.
    pub fn offended(&self) -> impl Iterator<Item = &str> {
        let all = self.tenants.iter().zip(&self.strict).filter(|(_, strict)| **strict);
        all.filter(|((_, tenant), _)| tenant.verdict().calls_while_told_to_wait > 0).map(|((name, _), _)| name.as_str())
    }
}
