//! What a load test has come to.
//!
//! Figures by their names, what they were taken from beside them, and every report that was not delivered with its
//! words. What could not be measured is absent, never zero.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::expect::{Expectation, Missed};
use super::figures::FIGURES;
use super::percentiles::KindLatency;
use super::samples::Sample;
use super::{page, table};

/// More troubles than that are only counted.
pub(super) const MOST_TROUBLES: usize = 100;

/// So many wrong outputs are named, whatever else there is.
pub(super) const MOST_WRONG: usize = 10_000;

/// What became of one tenant.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct TenantResult {
    /// Its name.
    pub name: String,
    /// Where it was.
    pub url: String,
    /// What it allowed in a second; none for no limit.
    pub allowed_per_second: Option<f64>,
    /// Reports delivered.
    pub complete: u64,
    /// Reports that could not be finished now.
    pub parked: u64,
    /// Reports that failed for good.
    pub failed: u64,
    /// Reports under way at the end.
    pub cut_off: u64,
    /// Outputs found right.
    pub verified: u64,
    /// Outputs that are not what it had.
    pub wrong: u64,
    /// Calls.
    pub requests: u64,
    /// Pages received whole with more than one record.
    pub pages: u64,
    /// Answers that told to wait.
    pub throttled: u64,
    /// Calls that failed otherwise.
    pub failed_calls: u64,
    /// The share used of what it allowed while it was read.
    pub budget_use: Option<f64>,
    /// Calls made while it had told to wait.
    pub told_to_wait: Option<u64>,
    /// Calls refused because its rate or a quota was used up.
    pub refused_too_fast: Option<u64>,
    /// Queries accepted beyond the first for the same template, window, filters and page size.
    pub duplicate_submissions: Option<u64>,
    /// Pages served whole once more.
    pub pages_again: Option<u64>,
    /// Calls with a token that was good no more.
    pub dead_token_calls: Option<u64>,
    /// Openings of its circuit breaker; none where it was never needed.
    pub breaker_opens: Option<u64>,
}

/// A report that was not delivered, or not rightly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Trouble {
    /// Its tenant.
    pub tenant: String,
    /// Its name.
    pub report: String,
    /// `failed`, `parked`, `wrong` or `unchecked`.
    pub how: &'static str,
    /// The engine's words, or what is wrong with the output, or why it could not be checked.
    pub words: String,
}

/// How outputs were checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// Byte for byte against what the tenant had.
    Bytes,
    /// The file's records against its manifest and the tenant's counts.
    Counts,
}

impl Check {
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Bytes => "every byte against what the tenant had",
            Self::Counts => "the file's rows against its manifest and the tenant's counts",
        }
    }
}

/// What a load test has come to.
#[derive(Clone, Debug, Serialize)]
pub struct LoadReport {
    /// What it was run with.
    pub settings: Vec<(String, String)>,
    /// Whether it was stopped before it was done.
    pub stopped: bool,
    /// How outputs were checked.
    pub check: Check,
    /// Outputs that were left unchecked, because it was stopped or there was nothing to hold them against.
    pub unchecked: u64,
    /// Where outputs were left: because they were to stay, or because one is wrong.
    pub kept: Option<std::path::PathBuf>,
    /// The figures, in the order of [`FIGURES`]; none where one was not measured.
    #[serde(skip)]
    pub figures: Vec<(&'static str, Option<f64>)>,
    /// What all tenants together allow in a second at the start; none where one has no limit.
    pub allowed_per_second: Option<f64>,
    /// The same over time: from so many seconds on, so many calls. Empty where one has no limit.
    pub allowed_over_time: Vec<(f64, f64)>,
    /// What each kind of call took.
    pub latency: Vec<KindLatency>,
    /// The load over time.
    pub samples: Vec<Sample>,
    /// Each tenant.
    pub tenants: Vec<TenantResult>,
    /// Reports that were not delivered, or not rightly: the wrong outputs first, then the first hundred of the rest.
    pub troubles: Vec<Trouble>,
    /// Troubles beyond those.
    pub more_troubles: u64,
}

impl LoadReport {
    /// The figure of that name; none where there is none, or it was not measured.
    pub fn figure(&self, name: &str) -> Option<f64> {
        self.figures.iter().find(|(known, _)| *known == name).and_then(|(_, value)| *value)
    }

    /// Whether something was delivered, and every output that was is checked and right.
    pub fn all_right(&self) -> bool {
        self.fault().is_none()
    }

    /// What keeps the load from being all right, in words.
    pub fn fault(&self) -> Option<&'static str> {
        let is = |name: &str| self.figure(name).unwrap_or(0.0) > 0.0;
        match () {
            () if is("wrong") => Some("outputs are wrong"),
            () if self.unchecked > 0 => Some("outputs were left unchecked"),
            () if !is("verified") => Some("no output was delivered and checked"),
            () => None,
        }
    }

    /// What all tenants together allowed in a second, in the mean over the duration.
    pub(super) fn mean_allowed(&self) -> Option<f64> {
        let end = self.figure("duration_s")?;
        let ends = self.allowed_over_time.iter().skip(1).map(|(at, _)| at.min(end)).chain([end]);
        let parts = self.allowed_over_time.iter().zip(ends).map(|((from, rate), to)| (to - from).max(0.0) * rate);
        (end > 0.0 && !self.allowed_over_time.is_empty()).then(|| parts.sum::<f64>() / end)
    }

    /// The expectations that were missed.
    pub fn missed(&self, expectations: &[Expectation]) -> Vec<Missed> {
        expectations.iter().filter_map(|expected| expected.check(self).err()).collect()
    }

    /// As JSON: the figures as `metrics`, and everything that they were taken from.
    pub fn json(&self) -> Value {
        let metrics: Map<String, Value> =
            self.figures.iter().map(|(name, value)| ((*name).to_owned(), value.map_or(Value::Null, number))).collect();
        let mut all = serde_json::to_value(self).unwrap_or_else(|_| json!({}));
        if let Value::Object(all) = &mut all {
            let settings = self.settings.iter().map(|(key, value)| (key.clone(), Value::from(value.as_str())));
            all.insert("settings".into(), settings.collect::<Map<_, _>>().into());
            all.insert("version".into(), 1.into());
            all.insert("metrics".into(), metrics.into());
        }
        all
    }

    /// As a table for people.
    pub fn table(&self) -> String {
        table::table(self)
    }

    /// As one page with plots that needs nothing else.
    pub fn html(&self) -> String {
        page::html(self)
    }

    /// The figures with their units and meanings.
    pub(super) fn listed(&self) -> impl Iterator<Item = (&'static super::Figure, Option<f64>)> + '_ {
        FIGURES.iter().map(|figure| (figure, self.figure(figure.name)))
    }
}

/// A number with four digits behind the point at most, and none where it is whole.
fn number(value: f64) -> Value {
    let value = (value * 1e4).round() / 1e4;
    if value.fract() == 0.0 && value.abs() < 9e15 { Value::from(value as i64) } else { Value::from(value) }
}

/// The same as text.
pub(super) fn rounded(value: f64) -> String {
    number(value).to_string()
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::percentiles::Percentiles;
    use super::*;

    /// A report with something of everything in it.
    pub(in super::super) fn sample() -> LoadReport {
        let curve = vec![(0.0, 10.0), (0.5, 20.0), (0.9, 40.0), (0.99, 80.5)];
        let took = Percentiles { p50: 20.0, p90: 40.0, p99: 80.5, p999: 80.5, max: 120.0, curve };
        let kind = |kind, took| KindLatency { kind, calls: 300, failed: 1, throttled: 2, took, waited: None };
        let samples = (1..=30).map(|n| Sample {
            at_s: f64::from(n),
            bytes_per_second: 2e6 + f64::from(n) * 1e4,
            rows_per_second: 9_000.0,
            pages_per_second: 18.5,
            requests_per_second: 19.5,
            throttled_per_second: if n == 7 { 3.0 } else { 0.0 },
            resident_bytes: Some(60_000_000 + n as u64 * 100_000),
        });
        let tenant =
            TenantResult { name: "a<b>".into(), complete: 2, budget_use: Some(0.98), ..TenantResult::default() };
        let words = "page 3: status 500 <script>".to_owned();
        let trouble = Trouble { tenant: "a<b>".into(), report: "a_1".into(), how: "failed", words };
        LoadReport {
            settings: vec![("rows".into(), "1000 & more".into())],
            stopped: false,
            check: Check::Bytes,
            unchecked: 0,
            kept: None,
            figures: FIGURES
                .iter()
                .map(|figure| (figure.name, (figure.name != "told_to_wait").then_some(1.5)))
                .map(|(name, value)| (name, if name == "wrong" { Some(0.0) } else { value }))
                .collect(),
            allowed_per_second: Some(20.0),
            allowed_over_time: vec![(0.0, 20.0)],
            latency: vec![kind("token", None), kind("page", Some(took))],
            samples: samples.collect(),
            tenants: vec![tenant],
            troubles: vec![trouble],
            more_troubles: 3,
        }
    }

    #[test]
    fn json_has_every_figure_by_its_name_and_null_for_what_was_not_measured() {
        let json = sample().json();
        let metrics = json["metrics"].as_object().unwrap();
        assert_eq!(metrics.len(), FIGURES.len());
        assert!(FIGURES.iter().all(|figure| metrics.contains_key(figure.name)));
        assert_eq!(metrics["told_to_wait"], Value::Null);
        assert_eq!((&metrics["wrong"], &metrics["bytes"]), (&json!(0), &json!(1.5)));
        assert_eq!(json["settings"]["rows"], "1000 & more");
        assert_eq!(json["latency"][1]["took"]["p99"], 80.5);
        assert_eq!(json["check"], "bytes");
    }

    #[test]
    fn a_load_is_all_right_only_where_everything_was_looked_at() {
        let mut report = sample();
        assert!(report.all_right());
        report.unchecked = 1;
        assert_eq!((report.all_right(), report.fault()), (false, Some("outputs were left unchecked")));
        assert!(report.html().contains("outputs were left unchecked") && !report.html().contains("Checked:"));
        report.unchecked = 0;
        let set = |report: &mut LoadReport, name: &str, value| {
            report.figures.iter_mut().filter(|(known, _)| *known == name).for_each(|(_, found)| *found = Some(value));
        };
        set(&mut report, "verified", 0.0);
        assert_eq!(report.fault(), Some("no output was delivered and checked"));
        set(&mut report, "wrong", 1.0);
        assert_eq!(report.fault(), Some("outputs are wrong"));
    }

    #[test]
    fn expectations_are_held_against_the_figures() {
        let expected = ["wrong==0", "rows>2", "told_to_wait==0"].map(|text| text.parse().unwrap());
        let missed: Vec<_> = sample().missed(&expected).iter().map(ToString::to_string).collect();
        let due = ["expected rows > 2, found 1.5", "expected told_to_wait == 0, but that was not measured"];
        assert_eq!(missed, due);
    }

    #[test]
    fn every_figure_has_a_name_of_its_own() {
        let names: std::collections::HashSet<_> = FIGURES.iter().map(|figure| figure.name).collect();
        assert_eq!(names.len(), FIGURES.len());
        assert!(FIGURES.iter().all(|figure| !figure.meaning.is_empty()));
    }
}
