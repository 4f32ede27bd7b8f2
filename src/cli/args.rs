//! The command line as types: what `clap` accepts, and nothing that does not work.
//!
//! Rules that `clap` can't express (they need the configuration) are checked where the configuration is known. Every
//! misuse found here ends with exit code 2 before any request.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use cxtract::config::{Span, WindowOverrides, parse_size};

/// Extracts very large reports from a contact-centre cloud: submits, polls, fetches pages in parallel under the
/// tenant's limits, and delivers one correct file.
#[derive(Debug, Parser)]
#[command(name = "cxtract", version, propagate_version = true, after_help = EXIT_CODES, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
  0    all that was asked for is done
  1    some report failed for good, or a check found faults
  2    usage or configuration error, or a state store that can't be used, found before any request
  75   nothing failed for good, but some report is parked: nothing is lost, the next run goes on
  130  ended by SIGINT, 143 by SIGTERM, after saving the position: the next run goes on";

/// What every command takes.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// The configuration; else ./config.yaml, else $CXTRACT_CONFIG
    #[arg(short, long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// How much to log on stderr; RUST_LOG says it in more detail [default: info]
    #[arg(long, global = true, value_enum, value_name = "LEVEL")]
    pub(crate) log_level: Option<LogLevel>,
    /// How to write log lines
    #[arg(long, global = true, value_enum, default_value = "text", value_name = "FORMAT")]
    pub(crate) log_format: LogFormat,
}

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogLevel {
    Off,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// What a log line looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Extract reports; goes on with what an earlier run left unfinished, skips what is complete
    Run(RunArgs),
    /// Validate the configuration and get a token from each tenant; submits nothing
    Check,
    /// Show the extractions that the state store knows
    Status {
        /// As JSON on stdout
        #[arg(long)]
        json: bool,
    },
    /// Check delivered files: against their manifests where there are any, and their CSV structure
    Verify(VerifyArgs),
    /// Write a structurally valid copy of a CSV file; what can't be mended for certain is set aside
    Repair(RepairArgs),
    /// Drop a report's unfinished work; delivered files and the record of what is complete stay
    Forget {
        /// The report
        #[arg(value_name = "REPORT")]
        report: String,
        /// Only this window: a day such as 2024-01-31, or FROM..TO with both ends included, as `status` shows it
        #[arg(long, value_name = "FROM..TO")]
        window: Option<String>,
    },
    /// Put a load of many reports on mock tenants, check every output, and say how fast and how well it went
    #[cfg(feature = "mock")]
    Load(super::load::LoadArgs),
    /// Serve mock tenants: the whole reporting API with its limits and faults, and a scorecard of whoever calls
    #[cfg(feature = "mock")]
    #[command(after_help = crate::cli::mock::ENDS)]
    Mock(crate::cli::mock::MockArgs),
    /// Write a commented starter configuration
    Init {
        /// Where to; an existing file is never replaced
        #[arg(default_value = "config.yaml")]
        file: PathBuf,
    },
}

/// The arguments of `cxtract run`.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The reports to extract; none named: all
    #[arg(value_name = "REPORT")]
    pub(crate) reports: Vec<String>,
    /// Where to write the one report asked for; "-" is stdout
    #[arg(short, long, value_name = "PATH", conflicts_with = "output_dir")]
    pub(crate) output: Option<PathBuf>,
    /// The folder to write into, instead of the configured one
    #[arg(long, value_name = "DIR")]
    pub(crate) output_dir: Option<PathBuf>,
    /// Where the window begins: a date, or a date and time
    #[arg(long, value_name = "T")]
    pub(crate) from: Option<String>,
    /// Where the window ends, included
    #[arg(long, value_name = "T", conflicts_with = "until")]
    pub(crate) to: Option<String>,
    /// Where the window ends, not included
    #[arg(long, value_name = "T")]
    pub(crate) until: Option<String>,
    /// One file for each such piece of the window, as in 1d; the path needs {from} or {to}
    #[arg(long, value_name = "SPAN", value_parser = span)]
    pub(crate) each: Option<Span>,
    /// Start again, whatever is stored
    #[arg(long)]
    pub(crate) fresh: bool,
    /// Show queries, windows and paths; send nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Override a configuration key, as in tenants.acme.max_in_flight=4
    #[arg(long, value_name = "KEY=VALUE", action = ArgAction::Append, value_parser = key_and_value)]
    pub(crate) set: Vec<String>,
    /// How to show progress
    #[arg(long, value_enum, default_value = "auto", value_name = "HOW")]
    pub(crate) progress: ProgressMode,
}

/// The arguments of `cxtract verify`.
#[derive(Clone, Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The files; gzip and zstd are unpacked
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// As JSON on stdout
    #[arg(long)]
    pub(crate) json: bool,
    /// The longest record; a tenant's limits.record_bytes
    #[arg(long, value_name = "SIZE", default_value = "16MiB", value_parser = size)]
    pub(crate) record_bytes: u64,
}

/// The arguments of `cxtract repair`.
#[derive(Clone, Debug, Args)]
pub(crate) struct RepairArgs {
    /// The file to read; gzip and zstd are unpacked
    #[arg(value_name = "IN")]
    pub(crate) input: PathBuf,
    /// The file to write, compressed if it ends in .gz or .zst; what is rejected goes to OUT.rejects.csv, what was
    /// done to OUT.repairs.jsonl
    #[arg(value_name = "OUT")]
    pub(crate) output: PathBuf,
    /// What was done as JSON on stdout
    #[arg(long)]
    pub(crate) json: bool,
    /// The longest record; a tenant's limits.record_bytes
    #[arg(long, value_name = "SIZE", default_value = "16MiB", value_parser = size)]
    pub(crate) record_bytes: u64,
}

impl RunArgs {
    /// The bounds that the call sets.
    pub(crate) fn overrides(&self) -> WindowOverrides {
        WindowOverrides { from: self.from.clone(), to: self.to.clone(), until: self.until.clone() }
    }

    /// Whether the records themselves go to stdout.
    pub(crate) fn output_is_stdout(&self) -> bool {
        self.output.as_deref() == Some(Path::new("-"))
    }
}

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressMode {
    /// Bars where stderr is a terminal, else plain lines
    Auto,
    /// A bar per report, on stderr
    Bar,
    /// A line per step, on stderr
    Plain,
    /// An event a line, on stdout
    Json,
    /// Nothing but the end
    None,
}

fn span(text: &str) -> Result<Span, String> {
    Span::parse(text).ok_or_else(|| "write a whole number of days such as 1d, or another span such as 6h".to_owned())
}

pub(crate) fn size(text: &str) -> Result<u64, String> {
    parse_size(text).filter(|n| *n > 0).ok_or_else(|| "write a size such as 512KiB, 16MiB or 1GiB".to_owned())
}

fn key_and_value(text: &str) -> Result<String, String> {
    match text.split_once('=') {
        Some((key, _)) if !key.trim().is_empty() => Ok(text.to_owned()),
        _ => Err("write it as KEY=VALUE, as in tenants.acme.max_in_flight=4".to_owned()),
    }
}

/// Where the configuration is.
///
/// # Errors
/// If there is none, in words that say what to do.
pub(crate) fn config_file(
    asked: Option<&Path>,
    environment: Option<OsString>,
    exists: impl Fn(&Path) -> bool,
) -> Result<PathBuf, String> {
    let beside = Path::new("config.yaml");
    match (asked, environment) {
        (Some(file), _) if exists(file) => Ok(file.to_owned()),
        (Some(file), _) => Err(format!(
            "there is no configuration at {}; name another with -c, or write a starter with `cxtract init {0}`",
            file.display()
        )),
        (None, _) if exists(beside) => Ok(beside.to_owned()),
        (None, Some(file)) if !file.is_empty() => {
            let file = PathBuf::from(file);
            if exists(&file) {
                Ok(file)
            } else {
                Err(format!(
                    "CXTRACT_CONFIG names {}, which does not exist; correct it, or write a starter with `cxtract init`",
                    file.display()
                ))
            }
        }
        (None, _) => {
            Err("no configuration: there is no ./config.yaml, and neither -c nor CXTRACT_CONFIG names a file; \
                          write a starter with `cxtract init`"
                .to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use clap::error::ErrorKind;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split_whitespace())
    }

    fn run(line: &str) -> RunArgs {
        match parse(line).unwrap().command {
            Command::Run(run) => run,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_run_takes_all_that_it_promises() {
        let run = run("cxtract run a b --output-dir out --from 2024-01-01 --to 2024-01-31 --fresh --dry-run \
                       --set engine.threads=2 --set reports.a.page_size=10 --progress json -c other.yaml");
        assert_eq!(run.reports, ["a", "b"]);
        assert_eq!(run.set, ["engine.threads=2", "reports.a.page_size=10"]);
        assert_eq!((run.fresh, run.dry_run, run.progress), (true, true, ProgressMode::Json));
        assert_eq!((run.from.as_deref(), run.to.as_deref()), (Some("2024-01-01"), Some("2024-01-31")));
    }

    #[test]
    fn global_options_stand_before_or_after_the_command() {
        for line in ["cxtract -c x.yaml --log-level debug check", "cxtract check -c x.yaml --log-level debug"] {
            let cli = parse(line).unwrap();
            assert_eq!(cli.global.config.as_deref(), Some(Path::new("x.yaml")));
            assert_eq!(cli.global.log_level, Some(LogLevel::Debug));
        }
    }

    #[test]
    fn pieces_are_days_or_plain_time() {
        assert_eq!(run("cxtract run --each 1d").each, Some(Span::Days(1)));
        assert_eq!(run("cxtract run --each 6h").each, Span::parse("6h"));
        assert_eq!(run("cxtract run").each, None);
    }

    #[test]
    fn a_dash_as_output_means_stdout() {
        assert!(run("cxtract run a -o -").output_is_stdout());
        assert!(!run("cxtract run a -o ./-").output_is_stdout());
    }

    #[test]
    fn every_misuse_is_refused_with_exit_code_2() {
        for line in [
            "cxtract run --to 2024-01-31 --until 2024-02-01",
            "cxtract run --each 1",
            "cxtract run --each 0d",
            "cxtract run --set engine.threads",
            "cxtract run --progress loud",
            "cxtract run -o a.csv --output-dir b",
            "cxtract forget",
            "cxtract forget a b",
            "cxtract verify",
            "cxtract verify a.csv --record-bytes 16",
            "cxtract repair a.csv",
            "cxtract repair a.csv b.csv c.csv",
            "cxtract",
        ] {
            let error = parse(line).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{line}");
        }
        let each = parse("cxtract run --each 1").unwrap_err().to_string();
        assert!(each.contains("1d"), "{each}");
    }

    #[test]
    fn help_and_version_are_no_errors() {
        assert_eq!(parse("cxtract --version").unwrap_err().kind(), ErrorKind::DisplayVersion);
        assert_eq!(parse("cxtract run --help").unwrap_err().exit_code(), 0);
    }

    #[test]
    fn help_lists_only_what_works() {
        let help = Cli::command().render_long_help().to_string();
        for command in ["  mock", "  load"] {
            assert_eq!(help.contains(command), cfg!(feature = "mock"), "{command} in {help}");
        }
    }

    #[test]
    fn files_are_looked_through_with_the_limits_of_a_tenant() {
        let Command::Verify(verify) = parse("cxtract verify a.csv b.csv --json").unwrap().command else { panic!() };
        assert_eq!((verify.files.len(), verify.json, verify.record_bytes), (2, true, 16 << 20));
        let Command::Repair(repair) = parse("cxtract repair a b --record-bytes 1GiB").unwrap().command else {
            panic!()
        };
        assert_eq!((repair.input.to_str(), repair.output.to_str()), (Some("a"), Some("b")));
        assert_eq!(repair.record_bytes, 1 << 30);
    }

    #[test]
    fn the_configuration_is_looked_for_in_order() {
        let there = |names: &'static [&'static str]| move |p: &Path| names.iter().any(|n| Path::new(n) == p);
        let asked = Path::new("asked.yaml");
        let all = there(&["asked.yaml", "config.yaml", "env.yaml"]);
        assert_eq!(config_file(Some(asked), Some("env.yaml".into()), all), Ok("asked.yaml".into()));
        assert_eq!(config_file(None, Some("env.yaml".into()), all), Ok("config.yaml".into()));
        assert_eq!(config_file(None, Some("env.yaml".into()), there(&["env.yaml"])), Ok("env.yaml".into()));
    }

    #[test]
    fn a_missing_configuration_names_the_remedy() {
        let nothing = |_: &Path| false;
        for outcome in [
            config_file(Some(Path::new("asked.yaml")), None, nothing),
            config_file(None, Some("env.yaml".into()), nothing),
            config_file(None, Some("".into()), nothing),
            config_file(None, None, nothing),
        ] {
            assert!(outcome.unwrap_err().contains("cxtract init"));
        }
    }
}
