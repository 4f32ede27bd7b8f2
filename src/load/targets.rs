//! The tenants of a load test: made from a plan or from a few numbers, or found at addresses.
//!
//! No two of them share a seed, so that a row of one delivered as another's is a wrong output and not a lucky one. An
//! address that is not this machine's is refused unless its host was named.

use std::collections::HashSet;
use std::sync::Arc;

use crate::config::BaseUrl;
use crate::mock::{MockHost, MockPlan, MockTenantBuilder, RunningHost};

use super::settings::{Load, LoadError, Target};

/// Who a tenant's reports ask to be.
pub(super) const CLIENT: (&str, &str) = ("load", "load-secret");

/// Where no limit is told, the engine is told this one.
const UNLIMITED: f64 = 100_000.0;

/// Makes tenants.
#[derive(Debug)]
pub struct OwnTenants;

impl OwnTenants {
    /// So many of one kind, named `tenant-1` and so on.
    pub fn alike(n_tenants: usize, tenant: &MockTenantBuilder, seed: u64) -> Vec<(String, MockTenantBuilder)> {
        (0..n_tenants).map(|nth| (format!("tenant-{}", nth + 1), seeded(tenant, seed, nth))).collect()
    }

    /// The plan's tenants in turn until there are so many, or each of them once. Those that come round again have the
    /// round behind their name, as in `calm_2`.
    pub fn in_turn(plan: &MockPlan, n_tenants: Option<usize>, seed: u64) -> Vec<(String, MockTenantBuilder)> {
        let n_tenants = n_tenants.unwrap_or(plan.tenants.len());
        let mut taken: HashSet<String> = HashSet::new();
        let all = plan.tenants.iter().cycle().take(n_tenants).enumerate();
        all.map(|(nth, (name, tenant))| {
            let rounds = 2_u64..;
            let mut names = std::iter::once(name.clone()).chain(rounds.map(|round| format!("{name}_{round}")));
            let name = names.find(|name| taken.insert(name.to_ascii_lowercase())).unwrap_or_default();
            (name, seeded(tenant, seed, nth))
        })
        .collect()
    }
}

fn seeded(tenant: &MockTenantBuilder, seed: u64, nth: usize) -> MockTenantBuilder {
    tenant.clone().seed(seed.wrapping_add(nth as u64))
}

/// Whether a load may be put on an address.
///
/// # Errors
/// If it is none, or its host is neither this machine nor named exactly so among those that are allowed.
pub fn check_url(url: &str, allowed_hosts: &[String]) -> Result<(), LoadError> {
    let parsed =
        BaseUrl::parse(url).map_err(|why| LoadError::Settings(format!("{url} is no address of a tenant: {why}")))?;
    let is_allowed = allowed_hosts.iter().any(|host| host.eq_ignore_ascii_case(parsed.host()));
    if parsed.is_loopback() || is_allowed {
        return Ok(());
    }
    Err(LoadError::Elsewhere { url: url.to_owned(), host: parsed.host().to_owned() })
}

/// A tenant as the load knows it.
#[derive(Clone, Debug)]
pub(super) struct TenantFacts {
    /// Its name in the engine's configuration.
    pub(super) name: String,
    /// Where it is.
    pub(super) url: String,
    /// What it allows in a second; none for no limit.
    pub(super) allowed: Option<f64>,
    /// The templates that its reports ask for in turn.
    pub(super) templates: Vec<String>,
    /// Queries that it lets be open at once.
    pub(super) max_queries: usize,
}

/// All tenants, those that are ours running.
pub(super) struct Targets {
    pub(super) tenants: Vec<TenantFacts>,
    pub(super) host: Option<Arc<RunningHost>>,
}

impl Targets {
    /// Starts or looks at the tenants of a load.
    ///
    /// # Errors
    /// If one can't be started, or may not be called.
    pub(super) fn of(load: &Load) -> Result<Self, LoadError> {
        if load.n_tenants() == 0 || load.reports == 0 || load.page_size == 0 {
            return Err(LoadError::Settings("a load has one tenant, one report and one row to a page at least".into()));
        }
        match &load.target {
            Target::Own(tenants) => {
                let own = |(name, tenant): &(String, MockTenantBuilder)| {
                    (name.clone(), tenant.clone().client(CLIENT.0, CLIENT.1))
                };
                let host = MockHost::builder().tenants(tenants.iter().map(own)).start().map_err(LoadError::Mock)?;
                let facts = tenants.iter().zip(host.tenants()).map(|((name, tenant), (_, running))| TenantFacts {
                    name: name.clone(),
                    url: running.base_url(),
                    allowed: Some(tenant.allowed_per_second()).filter(|rate| rate.is_finite()),
                    templates: Some(tenant.templates()).filter(|t| !t.is_empty()).unwrap_or_else(usual_template),
                    max_queries: tenant.most_open_queries().map_or(load.reports, |most| most.min(load.reports)).max(1),
                });
                Ok(Self { tenants: facts.collect(), host: Some(Arc::new(host)) })
            }
            Target::Urls { urls, requests_per_second, allowed_hosts } => {
                urls.iter().try_for_each(|url| check_url(url, allowed_hosts))?;
                let facts = urls.iter().enumerate().map(|(nth, url)| TenantFacts {
                    name: format!("tenant-{}", nth + 1),
                    url: url.trim_end_matches('/').to_owned(),
                    allowed: requests_per_second.map(f64::from),
                    templates: usual_template(),
                    max_queries: load.reports,
                });
                Ok(Self { tenants: facts.collect(), host: None })
            }
        }
    }

    /// What all of them allow in a second; none where one has no limit.
    pub(super) fn allowed(&self) -> Option<f64> {
        self.tenants.iter().map(|tenant| tenant.allowed).sum()
    }
}

impl TenantFacts {
    /// The whole calls in a second that the engine is told of.
    pub(super) fn pace(&self) -> u32 {
        self.allowed.unwrap_or(UNLIMITED).clamp(1.0, UNLIMITED) as u32
    }
}

fn usual_template() -> Vec<String> {
    vec!["load".to_owned()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mock::MockTenant;

    fn plan(names: &[&str]) -> MockPlan {
        let tenants = names.iter().map(|name| ((*name).to_owned(), MockTenant::builder())).collect();
        MockPlan { about: String::new(), tenants }
    }

    #[test]
    fn a_plans_tenants_come_in_turn_and_no_two_have_one_name() {
        let names = |plan: &MockPlan, n| -> Vec<String> {
            OwnTenants::in_turn(plan, n, 1).into_iter().map(|(name, _)| name).collect()
        };
        assert_eq!(names(&plan(&["a", "b"]), None), ["a", "b"]);
        assert_eq!(names(&plan(&["a", "b"]), Some(5)), ["a", "b", "a_2", "b_2", "a_3"]);
        assert_eq!(names(&plan(&["a", "A_2"]), Some(3)), ["a", "A_2", "a_3"]);
        assert_eq!(names(&plan(&["a", "b"]), Some(1)), ["a"]);
    }

    #[test]
    fn no_two_tenants_have_the_same_rows() {
        let window = crate::model::Window { from: crate::model::Timestamp(0), to: crate::model::Timestamp(999) };
        let tenants = OwnTenants::in_turn(&plan(&["a", "b"]), Some(4), 7);
        let files: HashSet<Vec<u8>> =
            tenants.into_iter().map(|(_, tenant)| tenant.build().expected_for("load", window).bytes()).collect();
        assert_eq!(files.len(), 4);
    }

    #[test]
    fn only_this_machine_and_hosts_that_were_named_are_called() {
        let allowed = ["mock.example".to_owned()];
        for url in ["http://127.0.0.1:80", "http://localhost:8080/", "http://[::1]:9", "https://mock.example/a"] {
            check_url(url, &allowed).unwrap_or_else(|error| panic!("{url}: {error}"));
        }
        for url in ["http://mock.example.org", "http://10.0.0.1", "https://api.example", "http://127.0.0.1.example"] {
            let error = check_url(url, &allowed).unwrap_err().to_string();
            assert!(error.contains("--allow-host "), "{error}");
        }
        assert!(matches!(check_url("ftp://127.0.0.1", &[]), Err(LoadError::Settings(_))));
    }
}
