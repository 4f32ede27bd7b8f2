//! Configuration: the file, the environment and `--set` become types that can't hold a wrong value.
//!
//! Reading has three steps: layers are laid over one another as they were written ([`Sources`]), typed readers walk
//! the result and collect every problem, and only a configuration without any is handed out. Secrets stay where they
//! are until their tenant is used. Nothing here knows who uses it, or reads a clock.

mod conflict;
mod engine;
mod kind;
mod layers;
mod mock;
mod output;
mod problem;
mod proxy;
mod reader;
mod report;
mod secret;
mod tenant;
#[cfg(test)]
mod tests;
mod tree;
mod url;
mod window;

use std::path::Path;
use std::sync::Arc;

use crate::model::TenantName;

pub use conflict::path_conflicts;
pub use engine::{EngineConfig, StateConfig};
pub use kind::{parse_duration, parse_size};
pub use layers::Sources;
pub use mock::MockSettings;
pub use output::{Compression, Encoding, Newlines, OutputSpec, PathTemplate};
pub use problem::{ConfigErrors, Problem, Warning};
pub use proxy::{ProxyRule, ProxyUrl};
pub use report::{CsvOptions, Filter, InvalidUtf8, OnMismatch, Ragged, Repair, Repeated, ReportConfig};
pub use secret::{Credentials, SecretPlace, SecretSource};
pub use tenant::{Auth, Breaker, ClientAuth, Endpoint, Limits, Poll, RateLimit, Remote, Retry, TenantConfig, Timeouts};
pub use url::{BaseUrl, Scheme};
pub use window::{Bound, Span, WindowForm, WindowOverrides, WindowSpec, Zone, from_text, pieces, to_text};

use reader::{Log, Section};

/// A configuration without faults.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// What the engine may use.
    pub engine: EngineConfig,
    /// Where positions are kept.
    pub state: StateConfig,
    /// The tenants, in the order of the file.
    pub tenants: Vec<Arc<TenantConfig>>,
    /// The reports, in the order of the file.
    pub reports: Vec<Arc<ReportConfig>>,
    /// What works, but probably not as meant.
    pub warnings: Vec<Warning>,
}

impl Config {
    /// Reads all sources; the error holds every problem there is.
    pub fn load(sources: &Sources) -> Result<Self, ConfigErrors> {
        let mut problems = Vec::new();
        let tree = layers::read(sources, &mut problems);
        let log = Log::new(&sources.file.to_string_lossy(), sources.folder());
        let config = read(&log, &tree, &sources.environment);
        problems.extend(log.problems.into_inner());
        if problems.is_empty() {
            return Ok(Self { warnings: log.warnings.into_inner(), ..config });
        }
        problems.sort_by_key(|ranked| ranked.rank);
        Err(ConfigErrors(problems.into_iter().map(|ranked| ranked.problem).collect()))
    }

    /// A configuration without tenants and reports that keeps everything in that folder; for building one in code.
    pub fn empty(folder: &Path) -> Self {
        let state = StateConfig::in_folder(folder);
        let engine = EngineConfig::beside(&state);
        Self { engine, state, tenants: Vec::new(), reports: Vec::new(), warnings: Vec::new() }
    }

    /// The tenant of that name.
    pub fn tenant(&self, name: &TenantName) -> Option<&Arc<TenantConfig>> {
        self.tenants.iter().find(|tenant| tenant.name == *name)
    }

    /// The report of that name.
    pub fn report(&self, name: &str) -> Option<&Arc<ReportConfig>> {
        self.reports.iter().find(|report| report.name.as_str() == name)
    }

    /// Points a mock tenant at the address where its host has started it. No credentials are needed there.
    ///
    /// # Errors
    /// What is wrong with the address.
    pub fn point_mock(&mut self, tenant: &TenantName, base_url: &str) -> Result<(), &'static str> {
        let base_url = BaseUrl::parse(base_url)?;
        let auth = Auth::new(&base_url, SecretSource::plain("mock"), SecretSource::plain("mock"));
        if let Some(tenant) = self.tenants.iter_mut().find(|t| t.name == *tenant) {
            let remote = Remote { base_url, auth };
            *tenant = Arc::new(TenantConfig { endpoint: Endpoint::Remote(Box::new(remote)), ..(**tenant).clone() });
        }
        Ok(())
    }

    /// Fetches the credentials of those tenants; mock tenants need none and are passed over.
    pub fn resolve_secrets(
        &self,
        tenants: &[TenantName],
        environment: &[(String, String)],
    ) -> Result<(Vec<Credentials>, Vec<Warning>), ConfigErrors> {
        let (mut credentials, mut warnings, mut problems) = (Vec::new(), Vec::new(), Vec::new());
        let mut fetch = |source: &SecretSource| match source.resolve(environment) {
            Ok((secret, warning)) => {
                warnings.extend(warning);
                Some(secret)
            }
            Err(problem) => {
                problems.push(problem);
                None
            }
        };
        for tenant in self.tenants.iter().filter(|tenant| tenants.contains(&tenant.name)) {
            let Endpoint::Remote(remote) = &tenant.endpoint else { continue };
            let (id, secret) = (fetch(&remote.auth.client_id), fetch(&remote.auth.client_secret));
            if let (Some(client_id), Some(client_secret)) = (id, secret) {
                credentials.push(Credentials { tenant: tenant.name.clone(), client_id, client_secret });
            }
        }
        if problems.is_empty() { Ok((credentials, warnings)) } else { Err(ConfigErrors(problems)) }
    }

    /// Every key that is read, in order; `*` stands for the name of a tenant or report.
    pub fn known_keys() -> Vec<String> {
        let log = Log::new("", Path::new(""));
        let tree = tree::parse(EVERY_SHAPE, &"".into(), 0, &mut Vec::new());
        read(&log, &tree, &[]);
        log.keys.into_inner().into_iter().collect()
    }
}

/// One of everything that has keys of its own only where it is there.
const EVERY_SHAPE: &str = "
tenants: {t: {base_url: 'https://h', auth: {client_id: {env: A}, client_secret: {env: A}}}}
reports: {r: {tenant: t, template_id: x, window: {last: 1d}, filters: [{field: a, operator: b, value: c}]}}
";

/// Reads everything. What is wrong or missing is in the log, and left out or at its default here.
fn read(log: &Log, tree: &tree::Node, environment: &[(String, String)]) -> Config {
    let root = Section::root(log, tree);
    let state = StateConfig::read(&root.section("state"));
    let engine = EngineConfig::read(&root.section("engine"), &state);
    let output = OutputSpec::read(&root.section("output"), &OutputSpec::in_dir(log.folder.join("out")));
    let sections = root.named("tenants");
    let mut tenants: Vec<_> = sections.iter().filter_map(|(name, s)| TenantConfig::read(name, s)).collect();
    use_environments_proxy(log, &mut tenants, environment, &sections);
    let names: Vec<&str> = sections.iter().map(|(name, _)| name.as_str()).collect();
    let reports: Vec<_> = root
        .named("reports")
        .iter()
        .filter_map(|(name, section)| ReportConfig::read(name, section, &names, &output).map(Arc::new))
        .collect();
    if reports.is_empty() && log.problems.borrow().is_empty() {
        log.warn(format!("{}: no report is configured", log.source));
    }
    log.problems.borrow_mut().extend(path_conflicts(&reports).into_iter().map(Problem::last));
    let tenants = tenants.into_iter().map(Arc::new).collect();
    Config { engine, state, tenants, reports, warnings: Vec::new() }
}

/// Tenants that name no proxy get the environment's. A faulty variable matters only if somebody would use it.
fn use_environments_proxy(
    log: &Log,
    tenants: &mut [TenantConfig],
    environment: &[(String, String)],
    sections: &[(String, Section<'_>)],
) {
    let silent = |tenant: &TenantConfig| {
        sections.iter().any(|(name, s)| name == tenant.name.as_str() && s.raw("proxy").is_none_or(tree::Node::is_null))
    };
    let remote = |tenant: &&mut TenantConfig| !tenant.is_mock() && silent(tenant);
    let mut users = tenants.iter_mut().filter(remote).peekable();
    if users.peek().is_none() {
        return;
    }
    match ProxyRule::from_environment(environment) {
        Ok(rule) => users.for_each(|tenant| tenant.proxy = rule.clone()),
        Err((variable, fault)) => log.problems.borrow_mut().push(
            Problem::new(
                format!("environment variable {variable}"),
                "",
                format!("an address that can't be used: {fault}"),
                "http://host:port",
                "correct the variable, or set proxy for each tenant",
            )
            .last(),
        ),
    }
}
