//! The tenants of a load test: made from a plan or from a few numbers, or found at addresses.
//!
//! No two of them share a seed, so that a row of one delivered as another's is a wrong output and not a lucky one. An
//! address that is not this machine's is refused unless its host was named.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use crate::config::BaseUrl;
use crate::mock::{MockHost, MockPlan, MockTenantBuilder, RunningHost};
use crate::model::{Timestamp, WallClock};

use super::place;
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
    let parsed = BaseUrl::parse(url).map_err(|why| {
        // A password may stand in front of the host.
        let shown = url.rsplit('@').next().unwrap_or_default();
        LoadError::Settings(format!("{shown} is no address of a tenant: {why}"))
    })?;
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
    /// Where it gives tokens; none for the usual path.
    pub(super) token_url: Option<String>,
    /// Who has signed its certificate, in PEM.
    pub(super) ca_pem: Option<String>,
    /// What it allows in a second, from which time since its start on; empty where nobody here knows.
    pub(super) steps: Vec<(Duration, f64)>,
}

/// All tenants, those that are ours running.
pub(super) struct Targets {
    pub(super) tenants: Vec<TenantFacts>,
    pub(super) host: Option<Arc<RunningHost>>,
    /// Where its windows begin.
    pub(super) begins: Timestamp,
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
        let begins = place::begins(load, WallClock::system().now());
        match &load.target {
            Target::Own(tenants) => {
                tenants.iter().try_for_each(|(name, tenant)| check_rate(name, tenant.allowed_per_second()))?;
                // `told_to_wait` tells of it: a tenant that panicked for it would take the figures with it.
                let own = |(name, tenant): &(String, MockTenantBuilder)| {
                    (name.clone(), tenant.clone().client(CLIENT.0, CLIENT.1).not_strict())
                };
                let host = MockHost::builder().tenants(tenants.iter().map(own)).start().map_err(LoadError::Mock)?;
                let facts = tenants.iter().zip(host.tenants()).map(|((name, tenant), (_, running))| TenantFacts {
                    name: name.clone(),
                    url: running.base_url(),
                    allowed: Some(tenant.allowed_per_second()).filter(|rate| rate.is_finite()),
                    templates: Some(tenant.templates()).filter(|t| !t.is_empty()).unwrap_or_else(usual_template),
                    max_queries: tenant.most_open_queries().map_or(load.reports, |most| most.min(load.reports)).max(1),
                    token_url: Some(running.token_url()),
                    ca_pem: running.ca_pem().map(str::to_owned),
                    steps: tenant.rate_steps(),
                });
                Ok(Self { tenants: facts.collect(), host: Some(Arc::new(host)), begins })
            }
            Target::Urls { urls, requests_per_second, allowed_hosts, template } => {
                urls.iter().try_for_each(|url| check_url(url, allowed_hosts))?;
                let facts = urls.iter().enumerate().map(|(nth, url)| TenantFacts {
                    name: format!("tenant-{}", nth + 1),
                    url: url.trim_end_matches('/').to_owned(),
                    allowed: requests_per_second.map(f64::from),
                    templates: vec![template.clone()],
                    max_queries: load.reports,
                    token_url: None,
                    ca_pem: None,
                    steps: requests_per_second.map(|rate| (Duration::ZERO, f64::from(rate))).into_iter().collect(),
                });
                Ok(Self { tenants: facts.collect(), host: None, begins })
            }
        }
    }

    /// What each has allowed in so much time up to now; none where it has no limit, or is not ours.
    pub(super) fn calls_allowed(&self, time: Duration) -> Vec<Option<f64>> {
        let running = |name: &str| self.host.as_ref().and_then(|host| host.tenant(name));
        let allowed = |facts: &TenantFacts| {
            let now = running(&facts.name)?.now();
            Some(facts.calls_allowed(now.saturating_sub(time), now)).filter(|calls| calls.is_finite())
        };
        self.tenants.iter().map(allowed).collect()
    }

    /// What all of them allow in a second, from so many seconds on; nothing where one has no limit.
    pub(super) fn allowed_over(&self, time: Duration) -> Vec<(f64, f64)> {
        let all = self.tenants.iter().flat_map(|facts| &facts.steps);
        let mut moments: Vec<Duration> = all.map(|(at, _)| *at).filter(|at| *at < time).collect();
        moments.sort_unstable();
        moments.dedup();
        let rate = |at: &Duration| self.tenants.iter().map(|facts| facts.rate_at(*at)).sum::<f64>();
        let steps: Vec<_> = moments.iter().map(|at| (at.as_secs_f64(), rate(at))).collect();
        if steps.iter().all(|(_, rate)| rate.is_finite()) { steps } else { Vec::new() }
    }

    /// What the engine was told otherwise than it is, in words for people.
    pub(super) fn rounded(&self) -> Vec<(String, String)> {
        let rounded = self.tenants.iter().filter_map(|facts| Some((facts, facts.allowed?)));
        rounded
            .filter(|(_, rate)| rate.fract() != 0.0)
            .map(|(facts, rate)| {
                let words = format!("{} a second, of {rate}: the engine takes whole numbers", facts.pace());
                (format!("rate told for {}", facts.name), words)
            })
            .collect()
    }

    /// What all of them allow in a second; none where one has no limit.
    pub(super) fn allowed(&self) -> Option<f64> {
        self.tenants.iter().map(|tenant| tenant.allowed).sum()
    }
}

impl TenantFacts {
    /// What it allows in a second at that time since its start; infinity where that is not known.
    fn rate_at(&self, at: Duration) -> f64 {
        self.steps.iter().take_while(|(from, _)| *from <= at).last().map_or(f64::INFINITY, |(_, rate)| *rate)
    }

    /// How many calls it allows between two times since its start.
    fn calls_allowed(&self, from: Duration, to: Duration) -> f64 {
        let ends = self.steps.iter().skip(1).map(|(at, _)| *at).chain([Duration::MAX]);
        let within = |begin: Duration, end: Duration| end.min(to).saturating_sub(begin.max(from)).as_secs_f64();
        let parts = self.steps.iter().zip(ends).map(|((begin, rate), end)| (within(*begin, end), rate));
        parts.filter(|(seconds, _)| *seconds > 0.0).map(|(seconds, rate)| seconds * rate).sum()
    }

    /// The whole calls in a second that the engine is told of.
    pub(super) fn pace(&self) -> u32 {
        self.allowed.unwrap_or(UNLIMITED).clamp(1.0, UNLIMITED) as u32
    }
}

/// The engine is told whole numbers from 1 on.
fn check_rate(name: &str, rate: f64) -> Result<(), LoadError> {
    if rate >= 1.0 {
        return Ok(());
    }
    Err(LoadError::Settings(format!(
        "tenant {name} allows {rate} calls a second at the start, and the engine can't be told less than 1; overrule it \
         with --rate, or change the plan"
    )))
}

fn usual_template() -> Vec<String> {
    vec!["load".to_owned()]
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;

    use super::*;
    use crate::mock::{Fault, FaultRule, Matcher, MockTenant};

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

    fn facts(steps: &[(u64, f64)]) -> TenantFacts {
        TenantFacts {
            name: "a".into(),
            url: "http://127.0.0.1:1".into(),
            allowed: steps.first().map(|(_, rate)| *rate),
            templates: usual_template(),
            max_queries: 1,
            token_url: None,
            ca_pem: None,
            steps: steps.iter().map(|(at, rate)| (Duration::from_secs(*at), *rate)).collect(),
        }
    }

    #[test]
    fn what_tenants_allow_follows_their_rates_over_time() {
        let (a, b) = (facts(&[(0, 20.0), (10, 5.0)]), facts(&[(0, 10.0)]));
        let seconds = Duration::from_secs;
        assert_eq!(a.calls_allowed(seconds(5), seconds(20)), 150.0);
        let targets = Targets { tenants: vec![a, b], host: None, begins: Timestamp(0) };
        assert_eq!(targets.allowed_over(seconds(20)), [(0.0, 30.0), (10.0, 15.0)]);
        assert_eq!(targets.allowed_over(seconds(10)), [(0.0, 30.0)]);
        let unlimited = Targets { tenants: vec![facts(&[(0, f64::INFINITY)])], host: None, begins: Timestamp(0) };
        assert_eq!(unlimited.allowed_over(seconds(9)), []);
    }

    #[test]
    fn a_rate_that_the_engine_can_not_be_told_is_refused_and_a_rounded_one_is_named() {
        let on = |rate| Load::on(Target::Own(vec![("a".into(), MockTenant::builder().requests_per_second(rate))]));
        let error = Targets::of(&on(0.5)).err().unwrap().to_string();
        assert!(error.contains("tenant a allows 0.5 calls") && error.contains("--rate"), "{error}");
        let targets =
            Targets { tenants: vec![facts(&[(0, 2.5)]), facts(&[(0, 3.0)])], host: None, begins: Timestamp(0) };
        let [(name, words)] = &targets.rounded()[..] else { panic!("{:?}", targets.rounded()) };
        assert!(name.ends_with("for a") && words.starts_with("2 a second, of 2.5"), "{name}: {words}");
    }

    #[test]
    fn a_strict_tenant_that_is_called_while_told_to_wait_leaves_the_load_its_figures() {
        let told = FaultRule::new(Matcher::any().first(1), Fault::told_to_wait(429, 30));
        let tenant = MockTenant::builder().fault(told).strict();
        let targets = Targets::of(&Load::on(Target::Own(vec![("a".into(), tenant)]))).unwrap();
        let running = targets.host.as_ref().unwrap().tenant("a").unwrap();
        let call = || {
            let mut stream = TcpStream::connect(running.address()).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            stream.write_all(b"GET /elsewhere HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
            stream.read_to_end(&mut Vec::new()).unwrap();
        };
        while running.verdict().calls_while_told_to_wait == 0 {
            assert!(running.now() < Duration::from_secs(20), "nobody takes offence");
            call();
            std::thread::park_timeout(Duration::from_millis(50));
        }
        drop(targets);
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
        let error = check_url("http://user:hunter2@127.0.0.1", &[]).unwrap_err().to_string();
        assert!(error.contains("127.0.0.1") && !error.contains("hunter2"), "{error}");
    }
}
