//! From files and arguments to a configuration that the engine can start with.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cxtract::Manifest;
use cxtract::config::{Config, ConfigErrors, Sources, path_conflicts};
use cxtract::model::{ReportName, TenantName, WallClock};
use cxtract::sink::OutputNames;
use cxtract::state::SqliteStore;

use crate::cli::args::{self, RunArgs};
use crate::cli::exit::{Exit, Trouble};
use crate::cli::screen::Screen;
use crate::cli::select;

/// Reads the configuration; its warnings are logged.
///
/// # Errors
/// With every problem at once.
pub(crate) fn load(file: Option<&Path>, overrides: &[String]) -> Result<Config, String> {
    let file = args::config_file(file, std::env::var_os("CXTRACT_CONFIG"), Path::exists)?;
    let mut sources = Sources::file(file).with_process_environment();
    sources.overrides = overrides.to_vec();
    let mut config =
        Config::load(&sources).map_err(|problems| format!("the configuration can't be used\n{problems}"))?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    config.state.path = absolute(config.state.path)?;
    for report in &mut config.reports {
        let dir = absolute(report.output.dir.clone())?;
        Arc::make_mut(report).output.dir = dir;
    }
    Ok(config)
}

/// The path as it is, wherever the program was started and by whatever name the configuration was found: what is
/// stored of it must mean the same to the next run.
fn absolute(path: PathBuf) -> Result<PathBuf, String> {
    let failed = |error: std::io::Error| format!("{} can't be made out: {error}", path.display());
    let mut here = std::env::current_dir().map_err(failed)?;
    here.push(&path);
    // What is not there yet has no links and no other names.
    let there =
        here.ancestors().find_map(|folder| Some((folder.canonicalize().ok()?, here.strip_prefix(folder).ok()?)));
    Ok(match there {
        Some((real, rest)) if !rest.as_os_str().is_empty() => real.join(rest),
        Some((real, _)) => real,
        None => here,
    })
}

/// Cuts the configuration down to what `run` is asked for, with outputs where they are asked to go. Tenants that no
/// chosen report uses are left out, so that their secrets are not needed.
///
/// # Errors
/// If the call makes no sense with this configuration.
pub(crate) fn narrow(mut config: Config, args: &RunArgs) -> Result<Config, String> {
    let known: Vec<ReportName> = config.reports.iter().map(|r| r.name.clone()).collect();
    let chosen = select::reports(&args.reports, &known)?;
    let mut reports = Vec::with_capacity(chosen.len());
    for name in &chosen {
        reports.extend(config.reports.iter().find(|r| r.name == *name).cloned());
    }
    select::streams(args, reports.len(), reports.iter().any(|r| r.output.is_stdout()))?;
    let path = match &args.output {
        Some(path) => Some(path.to_str().ok_or("-o is no valid UTF-8; use a path that is")?),
        None => None,
    };
    if path.is_some() || args.output_dir.is_some() {
        for report in &mut reports {
            // Relative paths start at the working folder.
            let mut output = report.output.redirected(path, args.output_dir.as_deref()).map_err(|p| p.to_string())?;
            output.dir = absolute(output.dir)?;
            Arc::make_mut(report).output = output;
        }
        // In one folder, paths may meet that were apart before.
        let conflicts = path_conflicts(&reports);
        if !conflicts.is_empty() {
            return Err(ConfigErrors(conflicts).to_string());
        }
    }
    config.tenants.retain(|tenant| reports.iter().any(|r| r.tenant == tenant.name));
    config.reports = reports;
    Ok(config)
}

/// The embedded tenants of a run. They stop when this is dropped.
#[cfg(feature = "mock")]
pub(crate) struct Mocks {
    _running: Vec<cxtract::mock::RunningMock>,
}

/// Starts a mock tenant for each tenant that has one instead of an address, and points the configuration at it.
///
/// # Errors
/// If one can't be started.
#[cfg(feature = "mock")]
pub(crate) fn start_mocks(config: &mut Config) -> Result<Mocks, String> {
    use cxtract::config::Endpoint;
    use cxtract::mock::MockPlan;

    let mut running = Vec::new();
    let wanted: Vec<_> = config
        .tenants
        .iter()
        .filter_map(|tenant| match &tenant.endpoint {
            Endpoint::Mock(settings) => Some((tenant.name.clone(), settings.clone())),
            Endpoint::Remote(_) => None,
        })
        .collect();
    for (tenant, settings) in wanted {
        let mock = match &settings.plan {
            Some(file) => of_one(MockPlan::read(file).map_err(|error| format!("tenants.{tenant}.mock.plan: {error}"))?)
                .map_err(|fault| format!("tenants.{tenant}.mock.plan: {}: {fault}", file.display()))?,
            None => by_figures(&settings),
        };
        // A query outlives the process that submitted it, as at a real tenant.
        let mock = mock
            .remembers_queries()
            .start()
            .map_err(|error| format!("the mock tenant {tenant} can't listen on the loopback address: {error}"))?;
        config
            .point_mock(&tenant, &mock.base_url())
            .map_err(|fault| format!("the mock tenant {tenant} has no usable address: {fault}"))?;
        running.push(mock);
    }
    Ok(Mocks { _running: running })
}

#[cfg(feature = "mock")]
fn by_figures(settings: &cxtract::config::MockSettings) -> cxtract::mock::MockTenantBuilder {
    cxtract::mock::MockTenant::builder()
        .seed(settings.seed)
        .default_report(cxtract::mock::MockReport::with_rows(settings.total_rows))
        .requests_per_second(settings.requests_per_second)
        .latency(settings.latency)
        .ready_after(settings.ready_after)
}

/// The tenant of a plan that has one.
#[cfg(feature = "mock")]
fn of_one(plan: cxtract::mock::MockPlan) -> Result<cxtract::mock::MockTenantBuilder, String> {
    let n_tenants = plan.tenants.len();
    let mut tenants = plan.tenants.into_iter().map(|(_, tenant)| tenant);
    match (tenants.next(), tenants.next()) {
        (Some(tenant), None) => Ok(tenant),
        _ => Err(format!(
            "it describes {n_tenants} tenants and is to describe one; start them with `cxtract mock --plan`"
        )),
    }
}

/// This build has no embedded tenants.
#[cfg(not(feature = "mock"))]
pub(crate) struct Mocks;

/// Without embedded tenants in this build, a configuration that asks for one can't be used.
#[cfg(not(feature = "mock"))]
pub(crate) fn start_mocks(config: &mut Config) -> Result<Mocks, String> {
    match config.tenants.iter().find(|tenant| tenant.is_mock()) {
        Some(tenant) => Err(format!(
            "tenants.{}: mock tenants are not part of this build; build with --features mock, or give a base_url",
            tenant.name
        )),
        None => Ok(Mocks),
    }
}

/// The state store, if there is one already.
///
/// # Errors
/// If what is there can't be used.
pub(crate) fn stored(config: &Config) -> Result<Option<SqliteStore>, Trouble> {
    Ok(SqliteStore::open_existing(&config.state.path, WallClock::system())?)
}

/// Writes what was asked for to stdout. A reader that has seen enough and went away is no failure; a disk that is full is
/// one.
#[must_use]
pub(crate) fn print(text: &str, screen: &Screen) -> Exit {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            screen.lines(vec![format!("error: the result can't be written to stdout: {error}")]);
            Exit::Failed
        }
        _ => Exit::Done,
    }
}

/// The path as it is shown: from the working folder where it is below it.
pub(crate) fn shown_path(path: PathBuf) -> PathBuf {
    let here = std::env::current_dir().unwrap_or_default();
    match path.strip_prefix(&here) {
        Ok(below) if !here.as_os_str().is_empty() => below.to_owned(),
        _ => path,
    }
}

/// Every tenant of the configuration.
pub(crate) fn tenants(config: &Config) -> Vec<TenantName> {
    config.tenants.iter().map(|tenant| tenant.name.clone()).collect()
}

/// The manifest beside a delivered output, if there is one that can be read.
pub(crate) fn delivered_manifest(output: &Path) -> Option<Manifest> {
    let text = std::fs::read(OutputNames::of(output).manifest()).ok()?;
    serde_json::from_slice(&text).ok()
}
