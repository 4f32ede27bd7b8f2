//! From a configuration to everything that an engine is made of, with every obstacle found before any request.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use actix::prelude::*;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::{Seams, SinkFactory, StartError};
use crate::actors::seat::Packers;
use crate::actors::workshop::{SupervisorLines, Workshop};
use crate::actors::{ByteBudget, CallObserver, Incarnation, Lane, Line, Tell, TenantParts, Turns};
use crate::config::{self, Config, Endpoint, Ragged, Remote, Repair, ReportConfig, TenantConfig};
use crate::delivery::{RealDisk, Scratch};
use crate::model::{MachineClock, ReportName, TenantName, WallClock};
use crate::sink::Backstage;
use crate::state::{SqliteStore, StoreHandle};
use crate::tenant::{ClientAuth, Credentials, Issued, TenantSettings};
use crate::transport::{ProxyChoice, TcpDial, TlsTrust, TransportSettings};

/// Bytes that may wait to be hashed. They come on top of the memory limit.
const HASHING_BYTES: usize = 4 << 20;

/// Everything that an engine is made of, before its actors start.
pub struct Prepared {
    config: Config,
    seams: Seams,
    scratch: Scratch,
    files: Lane,
    tenants: HashMap<TenantName, TenantParts>,
}

impl Prepared {
    /// Reads secrets and certificates, makes folders, starts threads.
    pub fn new(
        config: Config,
        seams: Option<Seams>,
        environment: &[(String, String)],
        all_tenants: bool,
    ) -> Result<Self, StartError> {
        if seams.is_none() {
            enough_open_files(&config)?;
        }
        let is_inline = config.engine.threads == 0;
        let seams = match seams {
            Some(seams) => seams,
            None => real_world(&config, is_inline)?,
        };
        let tenants = tenant_parts(&config, environment, all_tenants, &seams.clock)?;
        let scratch =
            Scratch::open(seams.disk.clone(), &config.engine.scratch_dir).map_err(|e| StartError::Machine {
                what: format!("engine.scratch_dir {}", config.engine.scratch_dir.display()),
                why: e.to_string(),
            })?;
        let files = match is_inline {
            true => Lane::inline(),
            false => Lane::start("cxtract-files")
                .map_err(|e| StartError::Machine { what: "a thread for files".to_owned(), why: e.to_string() })?,
        };
        Ok(Self { config, seams, scratch, files, tenants })
    }

    /// Has every call told of.
    pub fn observe(&mut self, tell: &Tell) {
        for (tenant, parts) in &mut self.tenants {
            parts.observer = CallObserver::new(tenant.clone(), tell.clone());
        }
    }

    /// The workshop, and the news of its closing.
    pub fn workshop(self, sinks: Vec<(ReportName, SinkFactory)>) -> (Arc<Workshop>, watch::Receiver<bool>) {
        let memory = ByteBudget::new(self.config.engine.memory_limit);
        let arbiters: Vec<_> = (0..self.config.engine.threads).map(|_| Arbiter::new()).collect();
        let (closed, is_closed) = watch::channel(false);
        let workshop = Workshop {
            turns: Turns::new(memory.n_shares()),
            memory,
            fetchers: (0..arbiters.len().max(1)).map(|_| Line::new()).collect(),
            fetchers_alive: (0..arbiters.len().max(1)).map(|_| Incarnation::default()).collect(),
            arbiters: Mutex::new(arbiters),
            config: self.config,
            seams: self.seams,
            lines: SupervisorLines::default(),
            scratch: self.scratch,
            packers: Packers::beside(&self.files),
            files: self.files,
            tenant_parts: self.tenants,
            tenants: Mutex::default(),
            sinks: sinks.into_iter().collect(),
            n_built: AtomicU64::new(0),
            is_leaving: AtomicBool::new(false),
            closed,
        };
        (Arc::new(workshop), is_closed)
    }
}

fn real_world(config: &Config, is_inline: bool) -> Result<Seams, StartError> {
    let clock = WallClock::system();
    let store = SqliteStore::open(&config.state.path, clock.clone()).map_err(StartError::State)?;
    store.open_pace().map_err(StartError::State)?;
    let store = Arc::new(store);
    let store = match is_inline {
        true => StoreHandle::inline(store),
        false => StoreHandle::threaded(store)
            .map_err(|e| StartError::Machine { what: "a thread for the store".to_owned(), why: e.to_string() })?,
    };
    Ok(Seams {
        dial: Arc::new(TcpDial),
        disk: Arc::new(RealDisk),
        store,
        clock,
        ticks: MachineClock::system(),
        seed: fastrand::u64(..),
        backstage: if is_inline { Backstage::inline() } else { Backstage::threads(HASHING_BYTES) },
    })
}

fn tenant_parts(
    config: &Config,
    environment: &[(String, String)],
    all_tenants: bool,
    clock: &WallClock,
) -> Result<HashMap<TenantName, TenantParts>, StartError> {
    let is_used = |name: &TenantName| all_tenants || config.reports.iter().any(|report| report.tenant == *name);
    let used: Vec<_> = config.tenants.iter().map(|tenant| tenant.name.clone()).filter(is_used).collect();
    let (credentials, warnings) = config.resolve_secrets(&used, environment).map_err(StartError::Credentials)?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let mut parts = HashMap::new();
    for tenant in config.tenants.iter().filter(|tenant| used.contains(&tenant.name)) {
        let Endpoint::Remote(remote) = &tenant.endpoint else { return Err(StartError::Mock(tenant.name.clone())) };
        let Some(secret) = credentials.iter().find(|c| c.tenant == tenant.name) else { continue };
        let trust =
            |why: crate::transport::TlsProblem| StartError::Trust { tenant: tenant.name.clone(), why: why.to_string() };
        let trust = Arc::new(TlsTrust::load(tenant.ca_file.as_deref()).map_err(trust)?);
        parts.insert(tenant.name.clone(), parts_of(tenant, remote, secret, &trust, clock)?);
    }
    Ok(parts)
}

fn parts_of(
    tenant: &Arc<TenantConfig>,
    remote: &Remote,
    secret: &config::Credentials,
    trust: &Arc<TlsTrust>,
    clock: &WallClock,
) -> Result<TenantParts, StartError> {
    let transport = |target| -> Result<TransportSettings, StartError> {
        let proxy = match tenant.proxy_for(target) {
            None => ProxyChoice::None,
            Some(proxy) => {
                let user = proxy.userinfo.as_ref().map(|user| format!("{}@", user.expose())).unwrap_or_default();
                ProxyChoice::parse(&format!("http://{user}{}:{}", proxy.host, proxy.port)).map_err(|e| {
                    StartError::Machine { what: format!("tenants.{}.proxy", tenant.name), why: e.to_string() }
                })?
            }
        };
        Ok(TransportSettings {
            connect: tenant.timeouts.connect,
            response: tenant.timeouts.response,
            idle: tenant.timeouts.idle,
            max_decoded: tenant.limits.page_bytes,
            proxy,
            ..TransportSettings::new(trust.clone())
        })
    };
    let auth = &remote.auth;
    let credentials = Credentials {
        client_id: secret.client_id.clone(),
        client_secret: secret.client_secret.clone(),
        client_auth: match auth.client_auth {
            config::ClientAuth::Basic => ClientAuth::Basic,
            config::ClientAuth::Body => ClientAuth::Body,
        },
        scopes: auth.scopes.clone(),
    };
    Ok(TenantParts {
        config: tenant.clone(),
        settings: TenantSettings {
            base_url: remote.base_url.to_string(),
            token_url: auth.token_url.to_string(),
            credentials,
            clock: clock.clone(),
            issued: Issued::default(),
            skew_told: Arc::default(),
        },
        transport: transport(&remote.base_url)?,
        token_transport: transport(&auth.token_url)?,
        paces_tokens: auth.token_url.host() == remote.base_url.host(),
        refresh_before: auth.refresh_before,
        observer: CallObserver::default(),
    })
}

/// Whether what the reports ask for goes together. Who has a sink of its host's is judged by that, later.
pub fn supports(config: &Config, has_sink: impl Fn(&ReportConfig) -> bool) -> Result<(), StartError> {
    let reports = config.reports.iter().filter(|report| !has_sink(report));
    let problems: Vec<_> = reports.flat_map(|report| out_of_place(report)).collect();
    if problems.is_empty() { Ok(()) } else { Err(StartError::OutOfPlace(problems)) }
}

/// Keys that need files beside the output, where there is no output file.
fn out_of_place(report: &ReportConfig) -> Vec<String> {
    let csv = &report.csv;
    let asked = [("ragged: reject", csv.ragged == Ragged::Reject), ("repair: join", csv.repair == Repair::Join)];
    let asked = asked.iter().filter(|(_, asked)| *asked && report.output.is_stdout());
    asked
        .map(|(key, _)| {
            format!(
                "reports.{}.csv.{key} keeps files beside the output, and standard output has no beside; give \
                 output.path a file, or remove the key",
                report.name
            )
        })
        .collect()
}

/// Files that a process opens whatever it extracts: its streams, the store and its locks, what the runtime needs.
const FILES_IN_ANY_CASE: u64 = 48;

/// Files of one report under way: its part twice, its lock, its folder while names are made durable, scratch.
const FILES_PER_REPORT: u64 = 6;

/// Too few files would show in the middle of things, as calls that fail and parts that can't be opened.
fn enough_open_files(config: &Config) -> Result<(), StartError> {
    let most = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
    let in_flight = |tenant: &Arc<TenantConfig>| tenant.max_in_flight.get() as u64;
    let least = FILES_IN_ANY_CASE + config.tenants.iter().map(in_flight).max().unwrap_or(0) + FILES_PER_REPORT;
    let all = FILES_IN_ANY_CASE
        + config.tenants.iter().map(in_flight).sum::<u64>()
        + config.reports.len() as u64 * FILES_PER_REPORT;
    if most < least {
        let why = format!("this process may have {most} open at once, and needs {least} or more; raise `ulimit -n`");
        return Err(StartError::Machine { what: "open files".to_owned(), why });
    }
    if most < all {
        tracing::warn!("this process may have {most} open files at once, and could need {all}; raise `ulimit -n`");
    }
    Ok(())
}
