//! The report as a table for people: what came through, how fast, how well behaved, at what cost.
//!
//! Only what somebody would read; every figure is in the JSON.

use std::fmt::Write as _;

use crate::model::count;

use super::percentiles::Percentiles;
use super::report::{LoadReport, TenantResult, rounded};

/// So many tenants and troubles are shown.
const MOST_SHOWN: usize = 20;

/// The whole table.
pub(super) fn table(report: &LoadReport) -> String {
    let mut text = String::new();
    let figure = |name: &str| report.figure(name).map_or_else(|| "-".to_owned(), shown);
    let percent =
        |name: &str| report.figure(name).map_or_else(|| "-".to_owned(), |share| format!("{:.1} %", share * 100.0));
    let allowed = report.mean_allowed().map(|rate| format!(" of {} allowed", shown(rate))).unwrap_or_default();
    let lines = [
        (
            "reports",
            format!(
                "{} complete, {} parked, {} failed, {} cut off",
                figure("complete"),
                figure("parked"),
                figure("failed"),
                figure("cut_off")
            ),
        ),
        (
            "outputs",
            format!(
                "{} right, {} wrong, {} unchecked ({})",
                figure("verified"),
                figure("wrong"),
                figure("unchecked"),
                report.check.words()
            ),
        ),
        (
            "throughput",
            format!(
                "{} MB/s, {} rows/s, {} pages/s over {} s",
                figure("throughput_mb_s"),
                figure("rows_per_second"),
                figure("pages_per_second"),
                figure("duration_s")
            ),
        ),
        ("requests", format!("{} in all, {} a second{allowed}", figure("requests"), figure("requests_per_second"))),
        ("rate use", format!("{} of the calls that the tenants allowed in that time", percent("rate_use"))),
        (
            "budget use",
            format!(
                "while a tenant is read: mean {}, median {}, least {}",
                percent("budget_use"),
                percent("budget_use_median"),
                percent("budget_use_least")
            ),
        ),
        (
            "conduct",
            format!(
                "{} answers told to wait, {} calls while told to wait, {} too fast, {} with a dead token, {} duplicate \
                 submissions, {} pages again",
                figure("throttled"),
                figure("told_to_wait"),
                figure("refused_too_fast"),
                figure("dead_token_calls"),
                figure("duplicate_submissions"),
                figure("pages_again")
            ),
        ),
        (
            "trouble",
            format!(
                "{} calls failed otherwise, {} broken off or of no use, breakers opened {} times",
                figure("failed_calls"),
                figure("unused_calls"),
                figure("breaker_opens")
            ),
        ),
        ("memory", format!("{} MB at most, {} MB at the end", figure("memory_mb"), figure("resident_mb"))),
        (
            "CPU",
            format!(
                "engine {} s ({} s/GB), mock tenants {} s",
                figure("cpu_s"),
                figure("cpu_s_per_gb"),
                figure("cpu_mock_s")
            ),
        ),
    ];
    for (name, line) in lines {
        let _ = writeln!(text, "{name:<11} {line}");
    }
    latencies(&mut text, report);
    tenants(&mut text, &report.tenants);
    troubles(&mut text, report);
    if report.stopped {
        text.push_str("\nstopped before it was done: the figures are those up to then\n");
    }
    if let Some(kept) = &report.kept {
        let _ = writeln!(text, "\noutputs are in {}", kept.display());
    }
    text
}

fn latencies(text: &mut String, report: &LoadReport) {
    let _ = writeln!(
        text,
        "\n{:<12} {:>9} {:>8} {:>8} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "ms", "calls", "failed", "429/503", "p50", "p90", "p99", "p99.9", "max"
    );
    let mut line = |name: &str, counts: [String; 3], found: Option<&Percentiles>| {
        let [calls, failed, throttled] = counts;
        let _ = write!(text, "{name:<12} {calls:>9} {failed:>8} {throttled:>8}");
        match found {
            Some(p) => {
                let all = [p.p50, p.p90, p.p99, p.p999, p.max].map(|ms| format!("{ms:>9.1}")).join(" ");
                let _ = writeln!(text, " {all}");
            }
            None => text.push_str("         -\n"),
        }
    };
    for kind in &report.latency {
        let counts = [kind.calls, kind.failed, kind.throttled].map(count);
        line(kind.kind, counts, kind.took.as_ref());
    }
    for kind in report.latency.iter().filter(|kind| kind.kind == "page") {
        line("page's turn", Default::default(), kind.waited.as_ref());
    }
    let seconds = ["p50_report_s", "p90_report_s", "p99_report_s", "max_report_s"].map(|name| report.figure(name));
    if let [Some(p50), Some(p90), Some(p99), Some(max)] = seconds {
        let _ =
            writeln!(text, "\na report took {p50:.1} s (p50), {p90:.1} s (p90), {p99:.1} s (p99), {max:.1} s at most");
    }
}

/// The tenants; of many, those first that something happened to, and then those that were used least.
fn tenants(text: &mut String, tenants: &[TenantResult]) {
    let mut order: Vec<&TenantResult> = tenants.iter().collect();
    if tenants.len() > MOST_SHOWN {
        let bad = |t: &TenantResult| t.failed + t.parked + t.wrong;
        let used = |t: &TenantResult| t.budget_use.unwrap_or(1.0);
        order.sort_by(|a, b| bad(b).cmp(&bad(a)).then(used(a).total_cmp(&used(b))));
    }
    let width = order.iter().take(MOST_SHOWN).map(|t| t.name.chars().count()).max().unwrap_or(0).max(6);
    let _ = writeln!(
        text,
        "\n{:<width$} {:>8} {:>7} {:>7} {:>9} {:>8} {:>7} {:>8} {:>8}",
        "tenant", "complete", "parked", "failed", "requests", "429/503", "failed", "breaker", "budget"
    );
    for tenant in order.iter().take(MOST_SHOWN) {
        let budget = tenant.budget_use.map_or_else(|| "-".to_owned(), |share| format!("{:.1} %", share * 100.0));
        let _ = writeln!(
            text,
            "{:<width$} {:>8} {:>7} {:>7} {:>9} {:>8} {:>7} {:>8} {budget:>8}",
            tenant.name,
            tenant.complete,
            tenant.parked,
            tenant.failed,
            count(tenant.requests),
            tenant.throttled,
            tenant.failed_calls,
            tenant.breaker_opens.map_or_else(|| "-".to_owned(), count),
        );
    }
    if tenants.len() > MOST_SHOWN {
        let _ = writeln!(text, "and {} more; --json and --html have all of them", tenants.len() - MOST_SHOWN);
    }
}

fn troubles(text: &mut String, report: &LoadReport) {
    if report.troubles.is_empty() {
        return;
    }
    text.push('\n');
    for trouble in report.troubles.iter().take(MOST_SHOWN) {
        let _ = writeln!(text, "{} {}: {}", trouble.how, trouble.report, escaped(&trouble.words));
    }
    let more = report.troubles.len().saturating_sub(MOST_SHOWN) as u64 + report.more_troubles;
    if more > 0 {
        let _ = writeln!(text, "and {more} more");
    }
}

/// Words that came from a tenant can't steer a terminal.
fn escaped(words: &str) -> String {
    words.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

/// A number as people read it: grouped where it is large, with fewer digits the larger it is.
pub(super) fn shown(value: f64) -> String {
    match value.abs() {
        v if value.fract() == 0.0 && v < 9e15 => count(value as u64),
        v if v >= 1000.0 => count(value.round() as u64),
        v if v >= 10.0 => format!("{value:.1}"),
        v if v >= 0.1 => format!("{value:.2}"),
        _ => rounded(value),
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::sample;
    use super::*;

    #[test]
    fn a_table_says_what_came_through_and_how() {
        let text = sample().table();
        for due in ["0 wrong", "every byte", "MB/s", "of 20 allowed", "page", "p99.9", "120.0", "a<b>", "98.0 %"] {
            assert!(text.contains(due), "{due}: {text}");
        }
        assert!(text.contains("failed a_1: page 3: status 500") && text.contains("and 3 more"), "{text}");
        assert!(text.contains("- calls while told to wait"), "what was not measured is no zero: {text}");
        assert!(text.contains("1.50 too fast, 1.50 with a dead token"), "{text}");
    }

    #[test]
    fn of_many_tenants_those_with_trouble_are_shown() {
        let mut report = sample();
        let tenant = |n: u64| TenantResult { name: format!("t{n}"), failed: u64::from(n == 77), ..Default::default() };
        report.tenants = (0..100).map(tenant).collect();
        let text = report.table();
        assert!(text.contains("t77") && text.contains("and 80 more"), "{text}");
    }

    #[test]
    fn words_of_a_tenant_can_not_steer_a_terminal() {
        assert_eq!(escaped("a\u{1b}[2Jb\n"), "a\\u{1b}[2Jb\\n");
    }

    #[test]
    fn numbers_are_as_long_as_they_need_to_be() {
        let cases =
            [(0.0, "0"), (1234.0, "1,234"), (1234.6, "1,235"), (97.126, "97.1"), (0.972, "0.97"), (0.0123, "0.0123")];
        for (value, due) in cases {
            assert_eq!(shown(value), due);
        }
    }
}
