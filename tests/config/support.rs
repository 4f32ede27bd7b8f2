//! A good configuration, and the faults of what it is turned into.

use cxtract::config::{Config, ConfigErrors, Problem, Sources};

/// A configuration without a fault.
pub const GOOD: &str = r#"
engine: {threads: 1}
tenants:
  acme:
    base_url: https://acme.example.com
    auth: {client_id: {env: ID}, client_secret: {env: SECRET}}
    max_in_flight: 8
reports:
  calls:
    tenant: acme
    template_id: detail
    window: {from: 2024-01-01, to: 2024-01-31}
"#;

/// Reads a configuration as if it stood in `conf/`.
pub fn load(text: &str) -> Result<Config, ConfigErrors> {
    Config::load(&Sources::text("conf/config.yaml", text))
}

/// The faults of a configuration that has some.
pub fn problems(text: &str) -> Vec<Problem> {
    match load(text) {
        Ok(_) => panic!("no fault found in {text}"),
        Err(errors) => errors.0,
    }
}

/// The faults of one key of the good configuration once it is set to `value`.
pub fn set(key: &str, value: &str) -> Vec<Problem> {
    let mut sources = Sources::text("conf/config.yaml", GOOD);
    sources.overrides = vec![format!("{key}={value}")];
    match Config::load(&sources) {
        Ok(_) => panic!("{key}={value} was accepted"),
        Err(errors) => errors.0,
    }
}
