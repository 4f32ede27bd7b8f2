//! `cxtract mock`: tenants to try a client on, until somebody says that it is enough.
//!
//! Where they listen is told at once, to people on stderr and to scripts on stdout; what they found out about their
//! clients is told at the end. A server that is told to stop has done its work: SIGINT and SIGTERM end it with 0, and not
//! with the codes of work that was cut short.

use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use cxtract::config::parse_duration;
use cxtract::mock::{
    CsvFile, DataSet, Grade, MockHost, MockPlan, MockReport, MockTenant, MockTenantBuilder, RunningHost, Scorecard,
};
use serde_json::json;

use crate::cli::exit::Exit;
use crate::cli::screen::Screen;
use crate::cli::signals::Signals;
use crate::cli::table::{Side, aligned};
use crate::cli::{limits, refuse, setup, words};

/// How it ends.
pub(crate) const ENDS: &str = "Ends with 0 when it is told to stop (SIGINT, SIGTERM) or its time is over; with 1 if a \
                               tenant whose plan is `strict` was called while it had told to wait; with 2 if something \
                               can't be served.";

/// How many tenants people are told of one by one.
const TENANTS_SHOWN: usize = 12;

/// The arguments of `cxtract mock`.
#[derive(Debug, Args)]
pub(crate) struct MockArgs {
    /// The port of the first tenant, the next ones follow; 0: any that is free
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    port: u16,
    /// A plan of tenants, limits, data and faults; examples are in examples/plans
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// How many tenants; those of the plan in turn, each with data of its own
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    tenants: Option<u16>,
    /// Rows of each query's result [default: 10000]
    #[arg(long, value_name = "N")]
    rows: Option<u64>,
    /// Serve the rows of that CSV file, in pages; its first record is the header. With --rows, so many of them
    #[arg(long, value_name = "CSV")]
    file: Option<PathBuf>,
    /// Requests allowed in any second [default: 20]
    #[arg(long, value_name = "N", value_parser = per_second)]
    rate: Option<f64>,
    /// How long each answer takes, as in 20ms [default: none]
    #[arg(long, value_name = "TIME", value_parser = time)]
    latency: Option<Duration>,
    /// How long a query takes, as in 5s [default: none]
    #[arg(long, value_name = "TIME", value_parser = time)]
    ready_after: Option<Duration>,
    /// What the data is made from; the same seed gives the same bytes [default: 1]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// One port for all tenants, told apart by the host's name: acme.localhost is the tenant acme
    #[arg(long)]
    host_names: bool,
    /// Threads that serve [default: one for each processor]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Where to write the certificate that clients have to trust, for plans with TLS
    #[arg(long, value_name = "PATH")]
    ca_file: Option<PathBuf>,
    /// The address to listen on; whoever reaches it may call
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1")]
    bind: IpAddr,
    /// Stop after that time, as in 30s [default: when told to]
    #[arg(long = "for", value_name = "TIME", value_parser = time)]
    lasts: Option<Duration>,
    /// A line of JSON for each tenant on stdout as soon as all listen, so that scripts can wait for it
    #[arg(long)]
    json: bool,
}

fn time(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| "write a time such as 250ms, 30s or 5m".to_owned())
}

fn per_second(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate: &f64| rate.is_finite() && *rate > 0.0);
    rate.ok_or_else(|| "write a number of requests in a second, such as 20 or 0.5".to_owned())
}

/// Runs the command.
pub(crate) fn serve(args: &MockArgs, screen: &Screen) -> Exit {
    if let Err(problem) = limits::open_files() {
        return refuse(screen, &problem);
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return refuse(screen, &format!("the system gives no runtime: {error}")),
    };
    runtime.block_on(async {
        // Before anything listens: whoever is told where it is may tell it to stop.
        let mut signals = match Signals::catch() {
            Ok(signals) => signals,
            Err(error) => return refuse(screen, &format!("signals can't be caught: {error}")),
        };
        let (about, host) = match start(args) {
            Ok(started) => started,
            Err(problem) => return refuse(screen, &problem),
        };
        if args.json && setup::print(&places(&host), screen) != Exit::Done {
            return Exit::Failed;
        }
        screen.lines(welcome(&about, &host));
        let lasts = args.lasts.unwrap_or(Duration::MAX);
        tokio::select! {
            _ = signals.next() => {}
            () = tokio::time::sleep(lasts) => {}
        }
        farewell(host, screen)
    })
}

/// The tenants that the arguments describe. What they say of the data goes over the plan's default report.
fn tenants(args: &MockArgs, plan: Option<MockPlan>, file: Option<&CsvFile>) -> Vec<(String, MockTenantBuilder)> {
    let planned = plan.map(|plan| plan.tenants);
    let planned = planned.unwrap_or_else(|| vec![("mock".to_owned(), MockTenant::builder())]);
    let n_kinds = planned.len();
    let wanted = args.tenants.map_or(n_kinds, usize::from);
    let all = planned.iter().cycle().take(wanted).enumerate();
    all.map(|(nth, (name, tenant))| {
        let name = if wanted > n_kinds { format!("{name}-{}", nth / n_kinds + 1) } else { name.clone() };
        let mut tenant = tenant.clone();
        tenant = match args.seed {
            Some(seed) => tenant.seed(seed.wrapping_add(nth as u64)),
            // The first of each kind is as the plan has it.
            None => tenant.one_of_several((nth / n_kinds * n_kinds) as u64),
        };
        if let Some(rate) = args.rate {
            tenant = tenant.requests_per_second(rate);
        }
        if let Some(latency) = args.latency {
            tenant = tenant.latency(latency).latency_spread(Duration::ZERO);
        }
        if let Some(after) = args.ready_after {
            tenant = tenant.ready_after(after);
        }
        let tenant = tenant.change_default_report(|report: &mut MockReport| {
            if let Some(file) = file {
                (report.data, report.rows) = (DataSet::File(file.clone()), file.rows());
            }
            report.rows = args.rows.unwrap_or(report.rows);
        });
        (name, tenant)
    })
    .collect()
}

fn start(args: &MockArgs) -> Result<(String, RunningHost), String> {
    let plan = args.plan.as_deref().map(MockPlan::read).transpose().map_err(|error| error.to_string())?;
    let about = plan.as_ref().map(|plan| plan.about.trim().to_owned()).unwrap_or_default();
    let file = args.file.as_deref().map(CsvFile::open).transpose().map_err(|error| error.to_string())?;
    let tenants = tenants(args, plan, file.as_ref());
    for (name, tenant) in &tenants {
        tenant.check().map_err(|error| format!("{name}: {error}"))?;
        if !tenant.has_default_report() && (args.rows.is_some() || args.file.is_some()) {
            return Err(format!("--rows and --file describe every report, and the plan's {name} has named ones alone"));
        }
    }
    let mut host = MockHost::builder().tenants(tenants).port(args.port).bind(args.bind);
    if args.host_names {
        host = host.by_host_name();
    }
    if let Some(threads) = args.threads {
        host = host.threads(threads.into());
    }
    let host = host.start().map_err(|error| error.to_string())?;
    if let Some(path) = &args.ca_file {
        let shown = words::escaped(&path.to_string_lossy());
        let pem = host.ca_pem().ok_or("--ca-file: no tenant speaks TLS; say so in a plan, as in `tls: good`")?;
        fs::write(path, pem).map_err(|error| format!("the certificate can't be written to {shown}: {error}"))?;
    }
    Ok((about, host))
}

/// Where each tenant is, a line of JSON each.
fn places(host: &RunningHost) -> String {
    let line = |(name, tenant): (&str, &cxtract::mock::RunningMock)| {
        let base = tenant.base_url();
        let place = json!({
            "tenant": name,
            "base_url": base,
            "token_url": tenant.token_url(),
            "scorecard": format!("{base}/__mock/scorecard"),
        });
        format!("{place}\n")
    };
    host.tenants().map(line).collect()
}

/// What people are told at the beginning.
fn welcome(about: &str, host: &RunningHost) -> Vec<String> {
    let mut lines: Vec<String> = about.lines().map(words::escaped).collect();
    let n_tenants = host.tenants().count();
    let mut rows = vec![];
    for (name, tenant) in host.tenants().take(TENANTS_SHOWN) {
        rows.push([name.to_owned(), tenant.base_url()]);
    }
    lines.extend(aligned(&rows, [Side::Left, Side::Left]));
    if n_tenants > TENANTS_SHOWN {
        lines.push(format!("and {} more", words::n_of((n_tenants - TENANTS_SHOWN) as u64, "tenant")));
    }
    let Some((_, first)) = host.tenants().next() else { return lines };
    let base = first.base_url();
    lines.push(format!("a token:    curl -u ID:SECRET -d grant_type=client_credentials {}", first.token_url()));
    lines.push(format!("scorecard:  {base}/__mock/scorecard"));
    lines.push(format!("every call: {base}/__mock/ledger"));
    lines.push(format!("all there is: {base}/__mock/ (ends with Ctrl-C)"));
    lines
}

/// Stops, and tells what the tenants found out about their clients.
fn farewell(host: RunningHost, screen: &Screen) -> Exit {
    let host = host.stop();
    let cards: Vec<Scorecard> = host.tenants().map(|(_, tenant)| tenant.final_scorecard()).collect();
    screen.lines(summary(&cards));
    let offended: Vec<&str> = host.offended().collect();
    if offended.is_empty() {
        return Exit::Done;
    }
    screen.lines(vec![format!("called while told to wait, which the plan forbids: {}", offended.join(", "))]);
    Exit::Failed
}

/// A line for each tenant that was called, and below it what there is to find fault with.
fn summary(cards: &[Scorecard]) -> Vec<String> {
    let called: Vec<&Scorecard> = cards.iter().filter(|card| card.grade != Grade::Unjudged).collect();
    if called.is_empty() {
        return vec!["nobody called".to_owned()];
    }
    let row = |card: &&Scorecard| {
        [
            card.tenant.clone(),
            card.grade.word().to_owned(),
            words::n_of(card.verdict.calls as u64, "call"),
            words::n_of(card.verdict.pages_served as u64, "page"),
            words::n_of(card.figures.rows_served, "row"),
        ]
    };
    let rows = aligned(&called.iter().map(row).collect::<Vec<_>>(), [Side::Left; 5]);
    let mut lines = vec![];
    for (card, row) in called.iter().zip(rows) {
        lines.push(row);
        for finding in card.findings.iter().filter(|finding| !finding.ok) {
            let (grade, what) = (finding.grade.word(), finding.what);
            lines.push(format!("  {grade}: {what}: found {}, allowed {}", finding.found, finding.allowed));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        mock: MockArgs,
    }

    fn args(line: &str) -> MockArgs {
        Line::try_parse_from(["mock"].into_iter().chain(line.split_whitespace())).unwrap().mock
    }

    fn names(line: &str, plan: &str) -> Vec<String> {
        let plan = MockPlan::parse(plan, std::path::Path::new(".")).unwrap();
        tenants(&args(line), Some(plan), None).into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn as_many_tenants_start_as_are_asked_for_the_plans_in_turn() {
        let two = "tenants: {calm: {}, angry: {}}";
        assert_eq!(names("", two), ["calm", "angry"]);
        assert_eq!(names("--tenants 1", two), ["calm"]);
        assert_eq!(names("--tenants 5", two), ["calm-1", "angry-1", "calm-2", "angry-2", "calm-3"]);
        assert_eq!(names("--tenants 2", "{}"), ["mock-1", "mock-2"]);
    }

    /// The file that a tenant of that description has for any window.
    fn data(tenant: &MockTenantBuilder) -> Vec<u8> {
        let time = cxtract::model::Timestamp;
        let window = cxtract::model::Window { from: time(0), to: time(86_399_999) };
        tenant.clone().build().expected_for("t", window).bytes()
    }

    #[test]
    fn tenants_that_are_otherwise_alike_have_data_of_their_own_by_the_seed() {
        let of =
            |line: &str| -> Vec<Vec<u8>> { tenants(&args(line), None, None).iter().map(|(_, t)| data(t)).collect() };
        let plain = of("--tenants 3 --rows 20");
        assert!(plain[0] != plain[1] && plain[1] != plain[2] && plain[0] != plain[2]);
        assert_eq!(of("--rows 20")[0], plain[0]);
        assert_eq!(of("--tenants 3 --rows 20 --seed 2")[..2], plain[1..]);
    }

    #[test]
    fn what_the_call_says_of_the_data_goes_over_the_plan() {
        let plan = MockPlan::parse("default_report: {rows: 7, header: never}", std::path::Path::new(".")).unwrap();
        let lines = |line: &str| {
            let bytes = data(&tenants(&args(line), Some(plan.clone()), None)[0].1);
            bytes.iter().filter(|byte| **byte == b'\n').count()
        };
        // Fields may hold newlines, so that there are more of these than rows.
        assert!(lines("") < lines("--rows 70"));
        let header = data(&tenants(&args("--rows 3"), Some(plan), None).remove(0).1);
        assert!(!header.starts_with(b"contactId"), "the plan's header rule is gone");
    }

    #[test]
    fn every_misuse_is_refused_with_its_remedy() {
        let refusal = |line: &str| {
            let line = ["mock"].into_iter().chain(line.split_whitespace());
            Line::try_parse_from(line).err().unwrap_or_else(|| panic!("accepted")).to_string()
        };
        assert!(refusal("--for 30").contains("30s"));
        assert!(refusal("--rate 0").contains("0.5") && refusal("--rate inf").contains("0.5"));
        for line in ["--tenants 0", "--port 70000", "--bind here", "--threads 0", "--rows -1", "--latency soon", "x"] {
            assert!(!refusal(line).is_empty());
        }
    }
}
