//! The configuration as a whole: what a user writes against what comes out.

mod overrides;
mod windows;

use std::num::NonZeroUsize;
use std::time::Duration;

use super::*;

/// A tenant and a report with nothing but what they must have.
pub(super) const SMALL: &str = "
tenants:
  acme:
    base_url: https://acme.example.com
    auth: {client_id: {env: ID}, client_secret: {env: SECRET}}
reports:
  calls: {tenant: acme, template_id: t, window: {from: 2024-01-01, to: 2024-01-31}}
";

pub(super) fn load(text: &str) -> Result<Config, ConfigErrors> {
    Config::load(&Sources::text("/etc/cx/config.yaml", text))
}

#[test]
fn the_configuration_of_the_repository_is_read_without_a_fault() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("config.yaml");
    let config = Config::load(&Sources::file(&file)).unwrap_or_else(|errors| panic!("{errors}"));
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
    assert!(config.reports.len() >= 3 && config.tenants.len() >= 2);
    assert!(config.tenants.iter().all(|tenant| tenant.is_mock()));
    assert_eq!(config.reports[0].output.dir, file.with_file_name("out"));
}

#[test]
fn a_mock_tenant_has_a_plan_beside_the_file_or_figures_and_never_both() {
    let text = |mock: &str| format!("tenants: {{demo: {{mock: {mock}}}}}\nreports: {{}}\n");
    let config = load(&text("{plan: plans/night.yaml}")).unwrap_or_else(|errors| panic!("{errors}"));
    let Endpoint::Mock(settings) = &config.tenants[0].endpoint else { panic!("{:?}", config.tenants[0].endpoint) };
    assert_eq!(settings.plan.as_deref(), Some(Path::new("/etc/cx/plans/night.yaml")));
    let both = load(&text("{plan: night.yaml, total_rows: 5}")).unwrap_err().to_string();
    assert!(both.contains("tenants.demo.mock.total_rows") && both.contains("plan"), "{both}");
    assert!(load(&text("{plan: null, total_rows: 5}")).is_ok());
    // Chosen from outside, a plan replaces the figures.
    let mut sources = Sources::text("/etc/cx/config.yaml", text("{total_rows: 5}"));
    sources.overrides = vec!["tenants.demo.mock.plan=night.yaml".to_owned()];
    assert!(Config::load(&sources).is_ok());
}

#[test]
fn the_configuration_of_the_repository_explains_every_key() {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("config.yaml")).unwrap();
    for key in Config::known_keys() {
        let last = key.rsplit('.').next().unwrap();
        let word = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
        assert!(text.split(word).any(|w| w == last), "{key} is not in config.yaml");
    }
}

#[test]
fn the_reference_names_every_key_and_no_other() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/CONFIGURATION.md");
    let text = std::fs::read_to_string(page).unwrap();
    let known = Config::known_keys();
    let told: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let is_section = |key: &str| known.iter().any(|k| k.strip_prefix(key).is_some_and(|rest| rest.starts_with('.')));
    for key in known.iter().filter(|key| !is_section(key)) {
        assert!(told.contains(&key.as_str()), "{key} is not in docs/CONFIGURATION.md");
    }
    for key in told {
        assert!(known.iter().any(|k| k == key), "{key} is in docs/CONFIGURATION.md, but nothing reads it");
    }
}

#[test]
fn what_is_left_out_has_the_default_of_the_reference() {
    let config = load(SMALL).unwrap();
    let tenant = &config.tenants[0];
    assert_eq!(tenant.rate, RateLimit { requests_per_second: 10.0, burst: 5, adaptive: true });
    assert_eq!((tenant.max_in_flight.get(), tenant.max_queries.get()), (8, 2));
    assert_eq!(tenant.max_wait_for_tenant, Duration::from_secs(1800));
    let Endpoint::Remote(remote) = &tenant.endpoint else { panic!("not remote") };
    assert_eq!(remote.auth.token_url.to_string(), "https://acme.example.com/oauth2/token");
    assert_eq!(remote.auth.scopes.len(), 3);
    assert_eq!(config.state.path, Path::new("/etc/cx/.cxtract/state.db"));
    assert_eq!(config.engine.scratch_dir, Path::new("/etc/cx/.cxtract/scratch"));
    assert_eq!(config.engine.memory_limit, 32 << 20);
    assert!((1..=4).contains(&config.engine.threads));
    let report = &config.reports[0];
    assert_eq!(report.page_size, 5000);
    let window = report.resolve_window(crate::model::Timestamp(0), None, &WindowOverrides::default()).unwrap().unwrap();
    assert_eq!(report.output_file(&window).unwrap(), Path::new("/etc/cx/out/calls.csv"));
}

const FULL: &str = r#"
engine: {threads: 0, memory_limit: 1GiB, scratch_dir: /var/tmp/scratch}
state: {url: "sqlite:///var/lib/cx/state.db"}
output: {dir: /data, encoding: utf-8-sig, newlines: escape, compression: gzip}
tenants:
  acme:
    base_url: https://acme.api.nicecxone.com/
    auth:
      token_url: https://login.example.com/oauth2/token
      client_id: plain-id
      client_secret: {file: secret.txt}
      client_auth: body
      scopes: [reporting:read]
      refresh_before: 60s
    rate_limit: {requests_per_second: 20, burst: 1, adaptive: false}
    max_in_flight: 3
    max_queries: 1
    max_wait_for_tenant: 0s
    timeouts: {connect: 1s, response: 2s, idle: 3s}
    retry: {max_attempts: 1, base_delay: 250ms, max_delay: 1m}
    circuit_breaker: {failure_threshold: 2, open_for: 1m, half_open_requests: 2, max_failed_probes: 3}
    poll: {initial_delay: 1s, multiplier: 1, max_delay: 2s, jitter: 0, max_wait: 1d}
    tls: {ca_file: null}
    proxy: http://user:pass@proxy:3128
    allow_plain_http: true
    limits: {page_bytes: 2GiB, record_bytes: 1MiB}
  demo:
    mock: {}
reports:
  interactions:
    tenant: acme
    template_id: interaction-detail-report
    window: {from: 2024-01-01, to: 2024-01-31, timezone: Europe/Berlin}
    split: 30d
    filters: [{field: channel, operator: eq, value: voice}, {field: n, operator: in, value: [1, 2.5, true, "7"]}]
    page_size: 100
    csv: {repair: join, ragged: reject, invalid_utf8: replace, excel_safe: true}
    pages: {repeated: accept}
    total_count: {on_mismatch: fail}
    output: {path: "{tenant}-{report}.csv", dir: sub, encoding: utf-8, newlines: keep, compression: zstd}
"#;

#[test]
fn every_key_takes_another_value_than_its_default() {
    let config = load(FULL).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!((config.engine.threads, config.engine.memory_limit), (0, 1 << 30));
    assert_eq!(config.state.path, Path::new("/var/lib/cx/state.db"));
    let tenant = config.tenant(&TenantName::new("acme")).unwrap();
    assert_eq!(tenant.retry.base_delay, Duration::from_millis(250));
    assert_eq!(tenant.max_in_flight, NonZeroUsize::new(3).unwrap());
    assert!(matches!(tenant.proxy, ProxyRule::Always(_)));
    let report = config.report("interactions").unwrap();
    assert_eq!(report.split, Some(Span::Days(30)));
    assert_eq!(report.filters[1].value.to_string(), r#"[1,2.5,true,"7"]"#);
    assert_eq!((report.csv.repair, report.csv.ragged), (Repair::Join, Ragged::Reject));
    assert_eq!((report.repeated, report.on_mismatch), (Repeated::Accept, OnMismatch::Fail));
    let window = report.resolve_window(crate::model::Timestamp(0), None, &WindowOverrides::default()).unwrap().unwrap();
    assert_eq!(window.from.to_string(), "2023-12-31T23:00:00.000Z");
    assert_eq!(report.output_file(&window).unwrap(), Path::new("/etc/cx/sub/acme-interactions.csv.zst"));
    assert!(!format!("{config:?}").contains("pass"), "a secret is in the debug output");
    assert!(!format!("{config:?}").contains("plain-id"));
}

#[test]
fn tenants_and_reports_keep_the_order_of_the_file_and_the_case_of_their_names() {
    let text = "
tenants: {Zeta: {mock: {}}, alpha: {mock: null}, Beta: {mock: {}}}
reports: {Z: {tenant: Zeta, template_id: t, window: {last: 7d}}, a: {tenant: alpha, template_id: t, window: {last: 6h}}}
";
    let config = load(text).unwrap_or_else(|errors| panic!("{errors}"));
    let names: Vec<_> = config.tenants.iter().map(|t| t.name.as_str()).collect();
    assert_eq!(names, ["Zeta", "alpha", "Beta"]);
    assert_eq!(config.reports[0].name.as_str(), "Z");
    assert_eq!(config.warnings.len(), 2, "a `last` window without a bound in its path is worth a warning");
}

#[test]
fn the_hash_follows_what_changes_the_bytes_and_nothing_else() {
    let hash = |extra: &str| {
        let text = SMALL.replace("template_id: t", &format!("template_id: t{extra}"));
        load(&text).unwrap_or_else(|errors| panic!("{errors}")).reports[0].extraction_hash()
    };
    let plain = hash("");
    assert_eq!(plain.len(), 64);
    assert_eq!(plain, hash(", page_size: 5000, pages: {repeated: accept}, output: {path: other.csv}"));
    for change in [
        "2",
        ", page_size: 4999",
        ", split: 1d",
        ", filters: [{field: a, operator: eq, value: 1}]",
        ", csv: {excel_safe: true}",
        ", output: {compression: gzip}",
        ", output: {newlines: escape}",
    ] {
        assert_ne!(plain, hash(change), "{change}");
    }
}

#[test]
fn the_environments_proxy_is_taken_only_where_the_tenant_names_none() {
    let mut sources = Sources::text("c.yaml", SMALL);
    sources.environment = vec![("HTTPS_PROXY".into(), "http://proxy:3128".into())];
    let url = BaseUrl::parse("https://acme.example.com").unwrap();
    assert!(Config::load(&sources).unwrap().tenants[0].proxy_for(&url).is_some());
    sources.overrides = vec!["tenants.acme.proxy=none".into()];
    assert!(Config::load(&sources).unwrap().tenants[0].proxy_for(&url).is_none());
    sources.overrides.clear();
    sources.environment[0].1 = "socks5://user:canary@proxy".into();
    let errors = Config::load(&sources).unwrap_err().to_string();
    assert!(errors.contains("HTTPS_PROXY") && !errors.contains("canary"), "{errors}");
}
