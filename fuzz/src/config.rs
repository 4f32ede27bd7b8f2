//! Configuration: any text is read or its problems are named, and no secret ever stands in what is said of it.

use cxtract::Config;
use cxtract::config::{ConfigErrors, Sources};

/// What must not be shown.
const CANARY: &str = "kanariE93x";

/// The input: a byte that picks how it is used, then text. Where it picks a secret's place, the text is what stands
/// around a secret there; else it is a file, and after each zero byte one `--set` or, with a `$` before it, a variable.
pub fn holds(data: &[u8]) {
    let Some((pick, text)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    match pick {
        b'f' | b'e' | b's' => a_secret_is_not_shown(*pick, text),
        _ => reads_or_says_why(text),
    }
}

fn reads_or_says_why(text: &str) {
    let mut parts = text.split('\0');
    let mut sources = Sources::text("/nowhere/config.yaml", parts.next().unwrap_or_default());
    for part in parts {
        match part.strip_prefix('$') {
            Some(variable) => sources.environment.extend(variable.split_once('=').map(|(k, v)| (k.into(), v.into()))),
            None => sources.overrides.push(part.to_owned()),
        }
    }
    let read = Config::load(&sources);
    match &read {
        Ok(config) => fits_together(config),
        Err(errors) => says_why(errors),
    }
    assert_eq!(Config::load(&sources), read, "read twice, it is something else");
}

fn says_why(errors: &ConfigErrors) {
    assert!(!errors.0.is_empty(), "refused without a reason");
    for problem in &errors.0 {
        for part in [&problem.found, &problem.expected, &problem.remedy] {
            assert!(!part.trim().is_empty(), "half a problem: {problem:?}");
        }
        let shown = problem.to_string();
        assert!(!shown.contains(|c: char| c.is_control() && c != '\n'), "control characters are shown: {shown:?}");
        assert!(shown.chars().count() < 4000, "{} characters are shown", shown.chars().count());
    }
}

/// What everybody who is given a configuration relies on.
fn fits_together(config: &Config) {
    let tenants: Vec<&str> = config.tenants.iter().map(|tenant| tenant.name.as_str()).collect();
    let reports: Vec<&str> = config.reports.iter().map(|report| report.name.as_str()).collect();
    for names in [&tenants, &reports] {
        for (nth, name) in names.iter().enumerate() {
            let allowed = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
            assert!((1..=64).contains(&name.len()) && name.chars().all(allowed), "the name {name:?}");
            assert!(!names[..nth].iter().any(|other| other.eq_ignore_ascii_case(name)), "{name:?} stands twice");
        }
    }
    for report in &config.reports {
        assert!(config.tenant(&report.tenant).is_some(), "{} has no tenant", report.name.as_str());
        assert!(report.page_size > 0, "{} asks for pages of nothing", report.name.as_str());
    }
    for tenant in &config.tenants {
        let numbers = [tenant.rate.requests_per_second, tenant.poll.multiplier];
        assert!(numbers.iter().all(|n| n.is_finite() && *n > 0.0), "{} has no pace", tenant.name.as_str());
        assert!(
            tenant.retry.max_attempts > 0 && tenant.limits.record_bytes > 0,
            "{} never tries",
            tenant.name.as_str()
        );
    }
}

fn a_secret_is_not_shown(pick: u8, around: &str) {
    // On one line, so that all of it stands under the secret's key. YAML once had more line breaks than two.
    if around.contains(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}', '\0']) {
        return;
    }
    let (before, after) = around.split_once('|').unwrap_or((around, ""));
    let value = format!("{before}{CANARY}{after}");
    let tenant = "tenants:\n  a:\n    base_url: https://tenant.example\n    auth:\n      client_id: me\n";
    let in_file = if pick == b'f' { format!("      client_secret: {value}\n") } else { String::new() };
    let mut sources = Sources::text("/nowhere/config.yaml", format!("{tenant}{in_file}"));
    match pick {
        b'e' => sources.environment.push(("CXTRACT__TENANTS__A__AUTH__CLIENT_SECRET".to_owned(), value)),
        b's' => sources.overrides.push(format!("tenants.a.auth.client_secret={value}")),
        _ => {}
    }
    let shown = match Config::load(&sources) {
        Ok(config) if is_a_place(&config) => return,
        Ok(config) => format!("{config:?}"),
        Err(errors) => format!("{errors}{errors:?}"),
    };
    assert!(!shown.contains(CANARY), "a secret is shown: {shown}");
}

/// Whether the text came to name the variable or file that holds the secret: then it is none itself.
fn is_a_place(config: &Config) -> bool {
    use cxtract::config::{Endpoint, SecretPlace};
    config.tenants.iter().any(|tenant| match &tenant.endpoint {
        Endpoint::Remote(remote) => !matches!(remote.auth.client_secret.place, SecretPlace::Plain(_)),
        _ => false,
    })
}
