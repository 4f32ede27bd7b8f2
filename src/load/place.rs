//! The folder that a load works in, and the engine's configuration for it.
//!
//! It is always a new folder with a name of its own, also below one that was named: what is removed at the end was made
//! here.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use crate::config::{Config, Sources};
use crate::model::{Timestamp, Window};

use super::settings::{Load, LoadError, Target};
use super::targets::{CLIENT, TenantFacts};

/// 2024-01-01, where the windows begin.
const FIRST_DAY: i64 = 1_704_067_200_000;
const DAY: i64 = 86_400_000;

/// How often the folder is tried to be removed, since something may still be written to it.
const TRIES: usize = 5;

/// A folder that goes when this is dropped, unless it is to stay.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
    keep: bool,
}

impl Place {
    /// Makes the folder.
    ///
    /// # Errors
    /// If it can't be made.
    pub(super) fn new(load: &Load) -> Result<Self, LoadError> {
        let beside = load.output_dir.clone().unwrap_or_else(std::env::temp_dir);
        let path = beside.join(format!("cxtract-load-{}-{:08x}", std::process::id(), fastrand::u32(..)));
        let path = std::path::absolute(&path).unwrap_or(path);
        fs::create_dir_all(&path).map_err(|why| LoadError::Folder { path: path.clone(), why })?;
        if let Some(tell) = &load.on_folder {
            tell(&path);
        }
        Ok(Self { path, keep: load.keep })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves the folder where it is.
    pub(super) fn keep(&mut self) {
        self.keep = true;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.keep {
            return;
        }
        let mut removed = Ok(());
        for _ in 0..TRIES {
            removed = fs::remove_dir_all(&self.path);
            if removed.is_ok() {
                return;
            }
        }
        if let Err(error) = removed {
            tracing::warn!(%error, "{} can't be removed", self.path.display());
        }
    }
}

/// A tenant's report, counted from 1, in the configuration.
pub(super) fn report_name(tenant: &str, nth: usize) -> String {
    format!("{tenant}_{nth}")
}

/// Where the windows begin. A tenant that runs on may know those of an earlier load, so that its days begin at the
/// millisecond of the day at which this load does.
pub(super) fn begins(load: &Load, now: Timestamp) -> Timestamp {
    match load.target {
        Target::Own(_) => Timestamp(FIRST_DAY),
        Target::Urls { .. } => Timestamp(FIRST_DAY + now.0.rem_euclid(DAY)),
    }
}

/// The window of a report's extraction: a day that no other of that tenant asks for, because the same window asked for
/// twice would be a query submitted twice.
pub(super) fn window(load: &Load, begins: Timestamp, nth: usize, round: u64) -> Window {
    let day = round * load.reports as u64 + nth as u64;
    let from = begins.0 + i64::try_from(day).unwrap_or(0) * DAY;
    Window { from: Timestamp(from), to: Timestamp(from + DAY - 1) }
}

/// The engine's configuration.
///
/// # Errors
/// If a tenant's name can't stand in one, or there is no room for its certificate.
pub(super) fn config(load: &Load, tenants: &[TenantFacts], folder: &Path) -> Result<Config, LoadError> {
    for (tenant, pem) in tenants.iter().filter_map(|tenant| Some((tenant, tenant.ca_pem.as_deref()?))) {
        let path = folder.join(ca_file(&tenant.name));
        fs::write(&path, pem).map_err(|why| LoadError::Folder { path, why })?;
    }
    let text = yaml(load, tenants);
    Config::load(&Sources::text(folder.join("config.yaml"), text)).map_err(LoadError::Config)
}

fn ca_file(tenant: &str) -> String {
    format!("{tenant}.ca.pem")
}

fn yaml(load: &Load, tenants: &[TenantFacts]) -> String {
    let mut text = String::from("engine:\n  scratch_dir: scratch\n");
    // Writing to a text does not fail.
    let mut line = |args: std::fmt::Arguments<'_>| {
        let _ = text.write_fmt(args);
        text.push('\n');
    };
    if let Some(threads) = load.threads {
        line(format_args!("  threads: {threads}"));
    }
    line(format_args!("  memory_limit: {}B", load.memory()));
    line(format_args!("state: {{url: \"sqlite://state.db\"}}\noutput: {{dir: out}}\ntenants:"));
    for tenant in tenants {
        let (pace, (id, secret)) = (tenant.pace(), CLIENT);
        line(format_args!("  {}:\n    base_url: \"{}\"", tenant.name, tenant.url));
        let token_url = tenant.token_url.as_ref().map(|url| format!(", token_url: \"{url}\"")).unwrap_or_default();
        line(format_args!("    auth: {{client_id: \"{id}\", client_secret: \"{secret}\"{token_url}}}"));
        if tenant.ca_pem.is_some() {
            line(format_args!("    tls: {{ca_file: {}}}", ca_file(&tenant.name)));
        }
        line(format_args!("    allow_plain_http: true"));
        line(format_args!("    rate_limit: {{requests_per_second: {pace}, burst: {}}}", (pace / 4).clamp(5, 1000)));
        line(format_args!("    max_in_flight: {}\n    max_queries: {}", load.max_in_flight, tenant.max_queries));
        line(format_args!("    poll: {{initial_delay: 250ms, max_delay: 10s}}"));
    }
    line(format_args!("reports:"));
    for tenant in tenants {
        for nth in 0..load.reports {
            let template = &tenant.templates[nth % tenant.templates.len()];
            let template = serde_json::Value::from(template.as_str());
            line(format_args!("  {}:\n    tenant: {}", report_name(&tenant.name, nth + 1), tenant.name));
            line(format_args!("    template_id: {template}\n    page_size: {}", load.page_size));
            line(format_args!("    window: {{from: 2024-01-01, to: 2024-01-01}}"));
            line(format_args!("    output: {{path: \"{{tenant}}/{{report}}-{{from}}.csv\"}}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mock::MockTenant;

    fn load() -> Load {
        let tenant = ("a".to_owned(), MockTenant::builder());
        Load { reports: 3, threads: Some(2), memory_limit: Some(64 << 20), ..Load::on(Target::Own(vec![tenant])) }
    }

    fn facts(name: &str) -> TenantFacts {
        TenantFacts {
            name: name.into(),
            url: "http://127.0.0.1:8080".into(),
            allowed: None,
            templates: vec!["calls".into(), "a \"quoted\" one".into()],
            max_queries: 3,
            token_url: None,
            ca_pem: None,
            steps: Vec::new(),
        }
    }

    #[test]
    fn a_load_has_room_for_two_reports_of_each_tenant_at_once() {
        let own = |n: usize| Target::Own(vec![("a".to_owned(), MockTenant::builder()); n]);
        let memory = |n, reports| Load { reports, ..Load::on(own(n)) }.memory();
        assert_eq!([memory(1, 1), memory(44, 1), memory(50, 20)].map(|bytes| bytes >> 20), [32, 88, 200]);
        assert_eq!(load().memory(), 64 << 20);
    }

    #[test]
    fn a_load_on_a_tenant_that_runs_on_asks_for_other_days_than_the_last_one() {
        let urls = Target::Urls {
            urls: Vec::new(),
            requests_per_second: None,
            allowed_hosts: Vec::new(),
            template: "load".into(),
        };
        let load = Load::on(urls);
        let windows =
            |now| (0..9).map(|nth| super::window(&load, begins(&load, Timestamp(now)), nth, 0)).collect::<Vec<_>>();
        let (first, second) = (windows(1_790_000_000_123), windows(1_790_000_000_124));
        assert!(first.iter().all(|window| !second.contains(window)), "{first:?} {second:?}");
    }

    #[test]
    fn the_configuration_is_one_that_the_engine_takes() {
        let config = config(&load(), &[facts("a"), facts("b-1")], Path::new("/nowhere")).unwrap();
        assert_eq!((config.tenants.len(), config.reports.len(), config.engine.threads), (2, 6, 2));
        assert_eq!(config.engine.memory_limit, 64 << 20);
        assert_eq!(config.report("b-1_2").unwrap().template_id, "a \"quoted\" one");
        assert_eq!(config.report("b-1_3").unwrap().template_id, "calls");
    }

    #[test]
    fn a_name_that_no_tenant_can_have_is_refused() {
        let error = config(&load(), &[facts("a b")], Path::new("/nowhere")).unwrap_err();
        assert!(error.to_string().contains("a b"), "{error}");
    }

    #[test]
    fn no_window_of_a_tenant_is_asked_for_twice() {
        let load = load();
        let mut windows: Vec<_> = (0..3).flat_map(|nth| (0..4).map(move |round| (nth, round))).collect();
        windows.sort_unstable();
        let mut days: Vec<_> =
            windows.iter().map(|(nth, round)| super::window(&load, Timestamp(FIRST_DAY), *nth, *round).from).collect();
        days.sort_unstable();
        days.dedup();
        assert_eq!(days.len(), 12);
        assert_eq!(super::window(&load, Timestamp(FIRST_DAY), 0, 0).to.to_string(), "2024-01-01T23:59:59.999Z");
    }

    #[test]
    fn the_folder_goes_with_its_load_unless_it_is_kept() {
        let beside = tempfile::tempdir().unwrap();
        for keep in [false, true] {
            let (tell, told) = std::sync::mpsc::channel();
            let on_folder: Option<super::super::settings::Inspect> =
                Some(std::sync::Arc::new(move |path: &Path| tell.send(path.to_owned()).unwrap()));
            let load = Load { keep, on_folder, output_dir: Some(beside.path().to_owned()), ..load() };
            let place = Place::new(&load).unwrap();
            let path = place.path().to_owned();
            assert_eq!(told.try_recv(), Ok(path.clone()));
            fs::write(path.join("a"), "b").unwrap();
            drop(place);
            assert_eq!(path.exists(), keep);
        }
        assert!(beside.path().exists());
    }
}
