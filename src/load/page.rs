//! The report as one page: figures, plots and tables, with nothing to be fetched from anywhere.
//!
//! What tenants and plans have said is escaped like any other text; only the plots, which are drawn here, go in as they
//! are.

use askama::Template;

use super::percentiles::{KindLatency, Percentiles};
use super::plots::{Line, over_percentiles, over_time};
use super::report::LoadReport;
use super::samples::Sample;
use super::table::shown;

/// A plot with what is said of it.
struct Plot {
    title: &'static str,
    unit: &'static str,
    legend: Vec<(String, u8)>,
    svg: Option<String>,
}

/// A figure that stands at the top.
struct Card {
    name: &'static str,
    value: String,
    more: String,
}

/// Latencies of one kind of call, or of the waits for its turn.
struct Row<'a> {
    name: String,
    counts: Option<&'a KindLatency>,
    /// p50, p90, p99, p99.9 and the longest.
    ms: [Option<f64>; 5],
}

#[derive(Template)]
#[template(path = "load/page.html")]
struct Page<'a> {
    report: &'a LoadReport,
    fault: Option<&'static str>,
    cards: Vec<Card>,
    plots: Vec<Plot>,
    figures: Vec<(&'static str, String, &'static str, &'static str)>,
}

/// The whole page.
pub(super) fn html(report: &LoadReport) -> String {
    let page = Page {
        report,
        fault: report.fault(),
        cards: cards(report),
        plots: plots(report),
        figures: report
            .listed()
            .map(|(figure, value)| (figure.name, value.map_or_else(dash, shown), figure.unit, figure.meaning))
            .collect(),
    };
    // Writing to a text fails for want of memory alone.
    page.render().unwrap_or_else(|error| format!("<!doctype html><p>the page can't be made: {error}</p>"))
}

impl Page<'_> {
    fn ms(&self, value: &Option<f64>) -> String {
        value.map_or_else(dash, |ms| format!("{ms:.1}"))
    }

    fn percent(&self, share: Option<f64>) -> String {
        share.map_or_else(dash, |share| format!("{:.1} %", share * 100.0))
    }

    fn count(&self, count: Option<u64>) -> String {
        count.map_or_else(dash, |n| shown(n as f64))
    }

    /// The percentiles of each kind of call, with its counts, then those of its turns.
    fn rows(&self) -> Vec<Row<'_>> {
        let five = |found: &Option<Percentiles>| {
            let at = |of: fn(&Percentiles) -> f64| found.as_ref().map(of);
            [at(|p| p.p50), at(|p| p.p90), at(|p| p.p99), at(|p| p.p999), at(|p| p.max)]
        };
        let calls = self.report.latency.iter().map(|kind| Row {
            name: kind.kind.to_owned(),
            counts: Some(kind),
            ms: five(&kind.took),
        });
        let turns = self.report.latency.iter().map(|kind| Row {
            name: format!("turn of a {}", kind.kind),
            counts: None,
            ms: five(&kind.waited),
        });
        calls.chain(turns).collect()
    }
}

fn dash() -> String {
    "–".to_owned()
}

fn cards(report: &LoadReport) -> Vec<Card> {
    let figure = |name: &str| report.figure(name).map_or_else(dash, shown);
    let percent = |name: &str| report.figure(name).map_or_else(dash, |share| format!("{:.1} %", share * 100.0));
    let card = |name, value, more| Card { name, value, more };
    vec![
        card(
            "outputs right",
            figure("verified"),
            format!("{} wrong, {} unchecked", figure("wrong"), figure("unchecked")),
        ),
        card(
            "reports complete",
            figure("complete"),
            format!("{} parked, {} failed, {} cut off", figure("parked"), figure("failed"), figure("cut_off")),
        ),
        card("MB/s", figure("throughput_mb_s"), format!("{} rows/s", figure("rows_per_second"))),
        card(
            "requests/s",
            figure("requests_per_second"),
            report.mean_allowed().map_or_else(|| "no limit".to_owned(), |rate| format!("{} allowed", shown(rate))),
        ),
        card("rate use", percent("rate_use"), format!("budget use {}", percent("budget_use"))),
        card("told to wait", figure("throttled"), format!("{} calls all the same", figure("told_to_wait"))),
        card("page p99, ms", figure("p99_page_ms"), format!("p50 {}", figure("p50_page_ms"))),
        card("memory, MB", figure("memory_mb"), format!("{} CPU s/GB", figure("cpu_s_per_gb"))),
    ]
}

/// Steps as a line up to that moment.
fn stairs(steps: &[(f64, f64)], end: f64) -> Vec<(f64, f64)> {
    let ends = steps.iter().skip(1).map(|(at, _)| at.min(end)).chain([end]);
    steps
        .iter()
        .zip(ends)
        .filter(|((from, _), to)| from < to)
        .flat_map(|(&(from, y), to)| [(from, y), (to, y)])
        .collect()
}

fn plots(report: &LoadReport) -> Vec<Plot> {
    // A sample stands for the time before it, so that the first one begins with the load.
    let timed = |value: &dyn Fn(&Sample) -> Option<f64>| {
        let mut points: Vec<_> = report.samples.iter().filter_map(|s| Some((s.at_s, value(s)?))).collect();
        if let Some((_, first)) = points.first().copied() {
            points.insert(0, (0.0, first));
        }
        points
    };
    let over = |value: fn(&Sample) -> f64| timed(&|sample| Some(value(sample)));
    let plot = |title, unit, lines: Vec<Line>, draw: fn(&[Line]) -> Option<String>| Plot {
        title,
        unit,
        legend: lines.iter().map(|line| (line.name.clone(), line.colour)).collect(),
        svg: draw(&lines),
    };
    let mut requests = vec![
        Line::new("requests", 1, over(|s| s.requests_per_second)).filled(),
        Line::new("answers that told to wait", 3, over(|s| s.throttled_per_second)),
    ];
    if let Some(last) = report.samples.last().filter(|_| !report.allowed_over_time.is_empty()) {
        requests.push(Line::new("allowed", 2, stairs(&report.allowed_over_time, last.at_s)));
    }
    let curve = |kind: &str, waited: bool| {
        let kind = report.latency.iter().find(|latency| latency.kind == kind)?;
        let found = if waited { &kind.waited } else { &kind.took };
        found.as_ref().map(|found| found.curve.clone())
    };
    let curves = [
        ("page", 1, curve("page", false)),
        ("page's turn at the gate", 2, curve("page", true)),
        ("status", 3, curve("status", false)),
        ("submission", 4, curve("submit", false)),
        ("token", 5, curve("token", false)),
    ];
    let curves = curves.into_iter().filter_map(|(name, colour, curve)| Some(Line::new(name, colour, curve?)));
    let memory = timed(&|sample| sample.resident_bytes.map(|bytes| bytes as f64 / 1e6));
    vec![
        plot("Throughput", "MB/s", vec![Line::new("pages", 1, over(|s| s.bytes_per_second / 1e6)).filled()], over_time),
        plot("Requests", "a second", requests, over_time),
        plot("Latency", "ms, by the share of calls that took no longer", curves.collect(), over_percentiles),
        plot("Memory", "MB resident", vec![Line::new("process", 4, memory).filled()], over_time),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::sample;
    use super::stairs;

    #[test]
    fn a_rate_that_changes_is_drawn_as_it_changes() {
        let steps = [(0.0, 20.0), (10.0, 5.0), (60.0, 9.0)];
        assert_eq!(stairs(&steps, 30.0), [(0.0, 20.0), (10.0, 20.0), (10.0, 5.0), (30.0, 5.0)]);
        let mut report = sample();
        let before = report.html();
        report.allowed_over_time.push((15.0, 40.0));
        assert_ne!(report.html(), before);
    }

    #[test]
    fn a_page_has_its_plots_and_fetches_nothing() {
        let page = sample().html();
        assert_eq!(page.matches("<svg").count(), 4, "{page}");
        for outside in ["src=", "href=", "@import", "url(", "<script", "<link"] {
            assert!(!page.contains(outside), "{outside}");
        }
        assert!(page.contains("prefers-color-scheme: dark"));
    }

    #[test]
    fn what_others_have_said_is_escaped() {
        let page = sample().html();
        assert!(page.contains("1000 &#38; more") && page.contains("a&#60;b&#62;"), "{page}");
        assert!(!page.contains("500 <script>"));
    }

    #[test]
    fn a_load_without_a_call_has_a_page_that_says_so() {
        let mut report = sample();
        (report.samples, report.latency) = (Vec::new(), Vec::new());
        let page = report.html();
        assert_eq!(page.matches("nothing to draw").count(), 4);
    }
}
