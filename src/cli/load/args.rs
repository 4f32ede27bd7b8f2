//! The arguments of `cxtract load`, and the load that they mean.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args};
use cxtract::config::parse_duration;
use cxtract::load::{Amount, Expectation, Load, OwnTenants, Target, check_url};
use cxtract::mock::{MockPlan, MockReport, MockTenant};

use crate::cli::args::{ProgressMode, size};

/// Pages of a report, where nothing else is said.
const PAGES: u64 = 20;

/// The mock tenants' own limit.
const RATE: u32 = 20;

/// The arguments of `cxtract load`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Without --url the mock tenants are started in this process. The result goes to stdout, progress to stderr.

Exit codes:
  0    outputs were delivered, all of them are checked and right, and every expectation is met
  1    an output is wrong or unchecked, none was delivered, a report failed for good, or an expectation was missed
  2    usage error, found before any request
  75   nothing of that, but a report was parked: it could not be finished now
  130  ended by SIGINT, 143 by SIGTERM, with what was measured so far

An expectation of failed or of parked, as in --expect 'parked<=2', is judged instead of that figure.")]
pub(crate) struct LoadArgs {
    /// Mock tenants to start [default: 5, with --plan as many as it has]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000), conflicts_with = "url")]
    pub(crate) tenants: Option<u32>,
    /// Reports of each tenant, all asked for at once
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) reports: u32,
    /// Rows of a report [default: 20 pages of them]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..),
        conflicts_with_all = ["pages", "plan", "url"])]
    pub(crate) rows: Option<u64>,
    /// Pages of a report
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..),
        conflicts_with_all = ["plan", "url"])]
    pub(crate) pages: Option<u64>,
    /// Rows asked for in a page
    #[arg(long, value_name = "N", default_value_t = 5000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(crate) page_size: u64,
    /// Calls that a tenant allows in a second, or `none` for no limit [default: 20, with --plan what it says; with --url
    /// it must be given]
    #[arg(long, value_name = "N", value_parser = rate)]
    pub(crate) rate: Option<Rate>,
    /// How long a tenant takes to answer: a time, or two for anything in between, as in 20ms..200ms
    #[arg(long, value_name = "T", value_parser = latency, conflicts_with = "url")]
    pub(crate) latency: Option<Latency>,
    /// Mock tenants from this plan, in turn
    #[arg(long, value_name = "FILE", conflicts_with = "url")]
    pub(crate) plan: Option<PathBuf>,
    /// A mock tenant that runs already; repeatable
    #[arg(long, value_name = "URL", action = ArgAction::Append)]
    pub(crate) url: Vec<String>,
    /// The template that is asked for at a --url [default: load]
    #[arg(long, value_name = "TEMPLATE", requires = "url")]
    pub(crate) template: Option<String>,
    /// Allows addresses on this host although it is not this machine; repeatable
    #[arg(long, value_name = "HOST", action = ArgAction::Append, requires = "url")]
    pub(crate) allow_host: Vec<String>,
    /// Extract each report again and again for so long
    #[arg(long = "for", value_name = "T", value_parser = time, conflicts_with = "rounds")]
    pub(crate) time: Option<Duration>,
    /// Extract each report so often [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) rounds: Option<u32>,
    /// Arbiters of the engine that fetch
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=64))]
    pub(crate) threads: Option<u32>,
    /// Requests under way at one tenant at once
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) max_in_flight: u32,
    /// Page bytes that the engine holds in memory; one report for every 2 MiB fetches at once [default: room for two
    /// reports of each tenant, and 32MiB at least]
    #[arg(long, value_name = "SIZE", value_parser = memory)]
    pub(crate) memory_limit: Option<u64>,
    /// What the tenants' data is drawn from; each tenant has the next number
    #[arg(long, value_name = "N", default_value_t = 1, conflicts_with = "url")]
    pub(crate) seed: u64,
    /// Everything that was measured as JSON; "-" is stdout, instead of the table
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// One page with plots that needs nothing else
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// What it is expected to come to, as in 'budget_use>=0.97'; repeatable
    #[arg(long, value_name = "EXPECTATION", action = ArgAction::Append)]
    pub(crate) expect: Vec<Expectation>,
    /// Leave the outputs where they are
    #[arg(long)]
    pub(crate) keep: bool,
    /// Where outputs go, into a folder of their own [default: the system's temporary folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) output_dir: Option<PathBuf>,
    /// How to show progress
    #[arg(long, value_enum, default_value = "auto", value_name = "HOW")]
    pub(crate) progress: ProgressMode,
}

/// Calls in a second; none for no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate(Option<u32>);

/// A latency, and how much longer it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Latency {
    least: Duration,
    spread: Duration,
}

fn rate(text: &str) -> Result<Rate, String> {
    match text {
        // The word that plans have for it.
        "none" | "unlimited" => Ok(Rate(None)),
        number => number
            .parse()
            .ok()
            .filter(|n| (1..=1_000_000).contains(n))
            .map(|n| Rate(Some(n)))
            .ok_or_else(|| "write a whole number from 1 on, or none for no limit".to_owned()),
    }
}

/// The engine takes no less than a MiB.
fn memory(text: &str) -> Result<u64, String> {
    size(text).and_then(|n| if n < 1 << 20 { Err("write 1MiB or more".to_owned()) } else { Ok(n) })
}

fn time(text: &str) -> Result<Duration, String> {
    parse_duration(text).filter(|time| !time.is_zero()).ok_or_else(|| "write a time such as 30s, 5m or 1h".to_owned())
}

fn latency(text: &str) -> Result<Latency, String> {
    let parsed = || {
        let (least, most) = text.split_once("..").unwrap_or((text, text));
        let (least, most) = (parse_duration(least.trim())?, parse_duration(most.trim())?);
        Some(Latency { least, spread: most.checked_sub(least)? })
    };
    parsed().ok_or_else(|| "write a time such as 20ms, or two in order such as 20ms..200ms".to_owned())
}

impl LoadArgs {
    /// The load that they mean.
    ///
    /// # Errors
    /// If they make no sense together, or the plan can't be used.
    pub(crate) fn load(&self) -> Result<Load, String> {
        let mut notes = Vec::new();
        let mut note = |key: &str, value: String| notes.push((key.to_owned(), value));
        let target = if self.url.is_empty() {
            let tenants = match &self.plan {
                Some(file) => {
                    note("plan", file.display().to_string());
                    let plan = read_plan(file)?;
                    OwnTenants::in_turn(&plan, self.tenants.map(|n| n as usize), self.seed)
                }
                None => {
                    let rows = self.rows.unwrap_or_else(|| self.pages.unwrap_or(PAGES).saturating_mul(self.page_size));
                    note("rows of a report", rows.to_string());
                    let tenant = MockTenant::builder()
                        .default_report(MockReport::with_rows(rows))
                        .requests_per_second(f64::from(RATE));
                    OwnTenants::alike(self.tenants.unwrap_or(5) as usize, &tenant, self.seed)
                }
            };
            note("seed", self.seed.to_string());
            if let Some(Latency { least, spread }) = self.latency {
                note("latency", format!("{least:?} to {:?}", least + spread));
            }
            let told = tenants.into_iter().map(|(name, mut tenant)| {
                if let Some(Latency { least, spread }) = self.latency {
                    tenant = tenant.latency(least).latency_spread(spread);
                }
                if let Some(Rate(rate)) = self.rate {
                    tenant = tenant.only_requests_per_second(rate.map_or(f64::INFINITY, f64::from));
                }
                (name, tenant)
            });
            Target::Own(told.collect())
        } else {
            for url in &self.url {
                check_url(url, &self.allow_host).map_err(|error| error.to_string())?;
            }
            note("url", self.url.join(", "));
            let Some(Rate(requests_per_second)) = self.rate else {
                return Err(
                    "a tenant at --url allows what nobody here knows: give the calls a second with --rate N, or \
                            --rate none; too many would be refused, and that would be the load's own doing"
                        .to_owned(),
                );
            };
            let template = self.template.clone().unwrap_or_else(|| "load".to_owned());
            note("template", template.clone());
            Target::Urls {
                urls: self.url.clone(),
                requests_per_second,
                allowed_hosts: self.allow_host.clone(),
                template,
            }
        };
        if let Some(Rate(rate)) = self.rate {
            note("rate", rate.map_or_else(|| "no limit".to_owned(), |rate| format!("{rate} a second")));
        }
        Ok(Load {
            reports: self.reports as usize,
            page_size: self.page_size,
            amount: match self.time {
                Some(time) => Amount::For(time),
                None => Amount::Rounds(self.rounds.unwrap_or(1)),
            },
            threads: self.threads.map(|n| n as usize),
            max_in_flight: self.max_in_flight as usize,
            memory_limit: self.memory_limit,
            output_dir: self.output_dir.clone(),
            keep: self.keep,
            notes,
            ..Load::on(target)
        })
    }
}

fn read_plan(file: &std::path::Path) -> Result<MockPlan, String> {
    let shown = file.display();
    let text = std::fs::read_to_string(file).map_err(|error| format!("the plan {shown} can't be read: {error}"))?;
    let folder = file.parent().unwrap_or(std::path::Path::new("."));
    let plan = MockPlan::parse(&text, folder).map_err(|error| format!("{shown}: {error}"))?;
    if plan.tenants.is_empty() { Err(format!("{shown}: the plan has no tenant")) } else { Ok(plan) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::{Cli, Command};
    use clap::Parser;

    fn parse(line: &str) -> Result<LoadArgs, clap::Error> {
        match Cli::try_parse_from(line.split_whitespace())?.command {
            Command::Load(load) => Ok(load),
            other => panic!("{other:?}"),
        }
    }

    fn load(line: &str) -> Load {
        parse(line).unwrap().load().unwrap()
    }

    #[test]
    fn a_load_without_arguments_is_a_small_one() {
        let load = load("cxtract load");
        assert_eq!((load.n_tenants(), load.reports, load.n_asked()), (5, 4, Some(20)));
        let Target::Own(tenants) = &load.target else { panic!("{load:?}") };
        assert!(tenants.iter().all(|(_, tenant)| tenant.allowed_per_second() == 20.0));
        assert!(load.described().contains(&("rows of a report".into(), "100000".into())));
    }

    #[test]
    fn amounts_rates_and_latencies_are_those_that_were_asked_for() {
        let load = load("cxtract load --tenants 2 --pages 7 --page-size 10 --rate none --latency 20ms..200ms --for 5m");
        assert_eq!((load.n_tenants(), load.amount), (2, Amount::For(Duration::from_secs(300))));
        let described = load.described();
        for due in [("rows of a report", "70"), ("latency", "20ms to 200ms"), ("rate", "no limit")] {
            assert!(described.contains(&(due.0.into(), due.1.into())), "{due:?} in {described:?}");
        }
        let Target::Own(tenants) = &load.target else { panic!("{load:?}") };
        assert!(tenants[1].1.allowed_per_second().is_infinite());
    }

    #[test]
    fn what_can_not_be_together_or_can_not_be_is_refused() {
        for line in [
            "cxtract load --rows 5 --pages 2",
            "cxtract load --rows 5 --plan a.yaml",
            "cxtract load --url http://127.0.0.1:1 --tenants 3",
            "cxtract load --url http://127.0.0.1:1 --latency 3ms",
            "cxtract load --allow-host a.example",
            "cxtract load --for 5m --rounds 2",
            "cxtract load --for 0s",
            "cxtract load --tenants 0",
            "cxtract load --rate 0",
            "cxtract load --rows 0",
            "cxtract load --pages 0",
            "cxtract load --memory-limit 1B",
            "cxtract load --template calls",
            "cxtract load --url http://127.0.0.1:1 --rate 5 --seed 3",
            "cxtract load --rate 1.5",
            "cxtract load --latency 200ms..20ms",
            "cxtract load --expect speed>3",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn a_tenant_that_runs_already_is_asked_for_what_it_has_and_no_faster_than_was_said() {
        let error = parse("cxtract load --url http://127.0.0.1:1").unwrap().load().unwrap_err();
        assert!(error.contains("--rate N"), "{error}");
        let load = load("cxtract load --url http://127.0.0.1:1 --url http://127.0.0.1:2 --rate 5 --template calls");
        let both = "http://127.0.0.1:1, http://127.0.0.1:2";
        assert!(load.described().contains(&("url".into(), both.into())), "{:?}", load.described());
        let Target::Urls { requests_per_second, template, .. } = load.target else { panic!("{load:?}") };
        assert_eq!((requests_per_second, template.as_str()), (Some(5), "calls"));
    }

    #[test]
    fn a_rate_that_is_given_overrules_every_step_of_a_plan() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("plan.yaml");
        std::fs::write(&file, "requests_per_second: 7\nrate_changes: [{at: 2s, requests_per_second: 3}]\n").unwrap();
        let steps = |line: &str| {
            let load = load(&format!("cxtract load --plan {}{line}", file.display()));
            let Target::Own(tenants) = &load.target else { panic!("{load:?}") };
            tenants[0].1.rate_steps()
        };
        assert_eq!(steps(""), [(Duration::ZERO, 7.0), (Duration::from_secs(2), 3.0)]);
        assert_eq!(steps(" --rate 9"), [(Duration::ZERO, 9.0)]);
    }

    #[test]
    fn a_plan_gives_its_tenants_in_turn() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("plan.yaml");
        std::fs::write(&file, "{\"requests_per_second\": 7, \"default_report\": {\"rows\": 12}}").unwrap();
        let load = load(&format!("cxtract load --tenants 3 --plan {}", file.display()));
        let Target::Own(tenants) = &load.target else { panic!("{load:?}") };
        assert_eq!(tenants.len(), 3);
        assert!(tenants.iter().all(|(_, tenant)| tenant.allowed_per_second() == 7.0));
        let gone = parse(&format!("cxtract load --plan {}", folder.path().join("none.yaml").display())).unwrap();
        assert!(gone.load().unwrap_err().contains("none.yaml can't be read"));
    }
}
