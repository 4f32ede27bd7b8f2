//! A tenant's settings as text: the plan files of `cxtract mock`.
//!
//! JSON, read strictly (an unknown key is an error that names it) and laid over whatever the builder already holds.
//! Durations are milliseconds and say so in their names. Only what a person would write by hand is here; the builder
//! can do more.

mod faults;
mod limits;
mod report;

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use self::faults::{FateText, Rule};
use self::limits::{HeadersText, OutageText, QuotaText, RateText, TokenText};
use self::report::Report;

use super::builder::MockTenantBuilder;

/// Why a plan can't be used; the text names line, key and what is known.
#[derive(Debug, thiserror::Error)]
#[error("the plan can't be read: {0}")]
pub struct PlanError(#[from] serde_json::Error);

/// What a plan file describes: tenants with their names.
#[derive(Clone, Debug)]
pub struct MockPlan {
    /// What it shows, for people.
    pub about: String,
    /// The tenants, in the order of the file. One that stands for itself is called `mock`.
    pub tenants: Vec<(String, MockTenantBuilder)>,
}

impl MockPlan {
    /// Reads the text of a plan. Files that it names stand in `folder`.
    ///
    /// # Errors
    /// If it can't be used.
    pub fn parse(text: &str, folder: &Path) -> Result<Self, PlanError> {
        let _ = folder;
        Ok(Self { about: String::new(), tenants: vec![("mock".to_owned(), MockTenantBuilder::default().plan(text)?)] })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Plan {
    seed: Option<u64>,
    requests_per_second: Option<f64>,
    #[serde(default)]
    requests_per_second_from: Vec<RateText>,
    #[serde(default)]
    quotas: Vec<QuotaText>,
    rate_limit_headers: Option<HeadersText>,
    latency_ms: Option<u64>,
    latency_spread_ms: Option<u64>,
    ready_after_ms: Option<u64>,
    token_life_ms: Option<u64>,
    token: Option<TokenText>,
    block_ms: Option<u64>,
    max_open_queries: Option<usize>,
    default_report: Option<Report>,
    #[serde(default)]
    reports: HashMap<String, Report>,
    #[serde(default)]
    outages: Vec<OutageText>,
    #[serde(default)]
    fates: Vec<FateText>,
    #[serde(default)]
    faults: Vec<Rule>,
}

impl MockTenantBuilder {
    /// Lays a plan over what is set so far.
    ///
    /// ```
    /// use cxtract::mock::MockTenant;
    ///
    /// let plan = r#"{
    ///     "requests_per_second": 20, "requests_per_second_from": [{"from_ms": 60000, "calls": 5}],
    ///     "quotas": [{"calls": 600, "per_ms": 60000}], "rate_limit_headers": "structured",
    ///     "token_life_ms": 600000,
    ///     "token": {"refresh": "rotating", "expires_in": 3600, "delay_ms": 200, "revoked_at_ms": [90000],
    ///               "outages": [{"from_ms": 0, "to_ms": 5000, "then": {"wait": {"status": 429, "ms": 2000}}}]},
    ///     "default_report": {"rows": 5000, "link": "proper"},
    ///     "faults": [{"on": {"kind": "page", "each": true, "first": 1}, "then": {"wire": {"cut_at": 700}}}]
    /// }"#;
    /// let tenant = MockTenant::builder().plan(plan)?.build();
    /// # Ok::<(), cxtract::mock::PlanError>(())
    /// ```
    pub fn plan(mut self, text: &str) -> Result<Self, PlanError> {
        let plan: Plan = serde_json::from_str(text)?;
        let ms = Duration::from_millis;
        self = self.with(plan.seed, Self::seed);
        self = self.with(plan.requests_per_second, Self::requests_per_second);
        self = plan.requests_per_second_from.into_iter().fold(self, |builder, rate| rate.lay(builder));
        self = plan.quotas.into_iter().fold(self, |builder, quota| quota.lay(builder));
        self = self.with(plan.rate_limit_headers.map(HeadersText::read), Self::rate_limit_style);
        self = self.with(plan.latency_ms.map(ms), Self::latency);
        self = self.with(plan.latency_spread_ms.map(ms), Self::latency_spread);
        self = self.with(plan.ready_after_ms.map(ms), Self::ready_after);
        self = self.with(plan.token_life_ms.map(ms), Self::token_life);
        self = self.with(plan.token, |builder, token| token.lay(builder));
        self = self.with(plan.block_ms.map(ms), Self::block_for);
        self = self.with(plan.max_open_queries, Self::max_open_queries);
        self = self.with(plan.default_report.map(Report::read), Self::default_report);
        for (template, report) in plan.reports {
            self = self.report(&template, report.read());
        }
        for outage in plan.outages {
            self = self.outage(outage.read());
        }
        for fate in plan.fates {
            let then = fate.then.read();
            self = match fate.query {
                Some(nth) => self.fate(nth, then),
                None => self.every_fate(then),
            };
        }
        for rule in plan.faults {
            self = self.fault(rule.read());
        }
        Ok(self)
    }

    fn with<T>(self, value: Option<T>, set: impl FnOnce(Self, T) -> Self) -> Self {
        match value {
            Some(value) => set(self, value),
            None => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Fate, MockRequest, MockTenant, PageSizes, WireFault};
    use super::*;

    #[test]
    fn a_plan_sets_reports_limits_and_faults() {
        let plan = r#"{
            "seed": 7, "requests_per_second": 2, "latency_ms": 30,
            "reports": {"detail": {"rows": 12, "header": "first", "end": "not_found", "total_count": {"stale": -2},
                                   "page_sizes": {"at_most": 5}, "link": {"ends_early": 2}}},
            "fates": [{"query": 1, "then": {"fails": "no licence"}}],
            "outages": [{"from_ms": 5000, "to_ms": 6000, "unavailable": true}],
            "faults": [{"on": {"kind": "token", "first": 1}, "then": {"wait": {"status": 503, "seconds": 2}}},
                       {"on": {"page": 2, "each": true, "first": 1}, "then": "reset"}]
        }"#;
        let mut tenant = MockTenant::builder().plan(plan).unwrap().build();
        let form = MockRequest::post("/oauth2/token", "application/x-www-form-urlencoded", "grant_type=x");
        let script = tenant.answer(&form, Duration::ZERO);
        assert_eq!((script.status, script.header("Retry-After")), (503, Some("2")));
        assert_eq!(script.delay, Duration::from_millis(30));
        assert_eq!(tenant.answer(&form, Duration::from_millis(5500)).status, 503);
        assert_eq!(tenant.answer(&form, Duration::from_millis(6500)).status, 401);
        assert_eq!(tenant.settings.report("detail").unwrap().page_sizes, PageSizes::AtMost(5));
        assert_eq!(tenant.settings.fates[&1], Fate::Fails("no licence".into()));
    }

    #[test]
    fn a_plan_sets_rates_that_change_quotas_and_how_they_are_told() {
        let plan = r#"{
            "requests_per_second": 20, "requests_per_second_from": [{"from_ms": 1000, "calls": 5}],
            "quotas": [{"calls": 600, "per_ms": 60000}], "rate_limit_headers": "structured"
        }"#;
        let mut tenant = MockTenant::builder().plan(plan).unwrap().build();
        let mut told = |at| {
            let script = tenant.answer(&MockRequest::get("/", "none"), Duration::from_millis(at));
            script.header("RateLimit").unwrap().to_owned()
        };
        assert_eq!(told(0), "\"default\";r=19;t=1, \"quota-1\";r=599;t=60");
        assert_eq!(told(1000), "\"default\";r=4;t=1, \"quota-1\";r=598;t=59");
    }

    #[test]
    fn a_plan_sets_the_token_endpoint_and_the_wire() {
        let plan = r#"{
            "token_life_ms": 5000,
            "token": {"expires_in": "3600", "refresh": "rotating_or_revoked", "delay_ms": 40, "revoked_at_ms": [3000],
                      "scopes": ["a"], "outages": [{"from_ms": 0, "to_ms": 10, "then": {"wait": {"status": 429, "ms": 20}}},
                                  {"from_ms": 10, "to_ms": 30, "then": {"status": 500}},
                                  {"from_ms": 30, "to_ms": 40, "then": "reset"}]},
            "faults": [{"on": {"kind": "status"}, "then": {"wire": {"drip": {"from": 3, "bytes": 1, "every_ms": 5}}}},
                       {"on": {"kind": "submit"}, "then": {"wire": {"stop_reading_ms": 70}}}]
        }"#;
        let mut tenant = MockTenant::builder().plan(plan).unwrap().build();
        let form = "grant_type=client_credentials&client_id=i&client_secret=s&scope=a";
        let form = MockRequest::post("/oauth2/token", "application/x-www-form-urlencoded", form);
        let ms = Duration::from_millis;
        let statuses = [30, 10].map(|at| tenant.answer(&form, ms(at)).status_sent());
        assert_eq!(statuses, [0, 500]);
        let granted = tenant.answer(&form, ms(100));
        assert_eq!(granted.delay, ms(40));
        let answer: serde_json::Value = serde_json::from_slice(&granted.body_bytes()).unwrap();
        assert_eq!(answer["expires_in"], "3600");
        assert!(answer["refresh_token"].is_string());
        assert_eq!(tenant.ledger().token_lives()[0].until, ms(3000));
        let told = tenant.answer(&form, ms(0));
        assert_eq!((told.status, told.header("Retry-After")), (429, Some("1")));
        let status = MockRequest::get("/api/v2/reporting/queries/q", "none");
        let drip = WireFault::Drip { from: 3, bytes: 1, every: ms(5) };
        assert_eq!(tenant.answer(&status, ms(2000)).wire, Some(drip));
        let submission = MockRequest::post("/api/v2/reporting/queries", "application/json", "{}");
        assert_eq!(tenant.stops_reading(&submission, ms(2000)), Some(ms(70)));
    }

    #[test]
    fn a_plan_that_says_null_of_a_life_says_nothing() {
        let said = |plan| format!("{:?}", MockTenant::builder().plan(plan).unwrap().build().settings.token.expires_in);
        assert_eq!(said(r#"{"token": {"expires_in": null}}"#), "Missing");
        assert_eq!(said(r#"{"token": {"expires_in": 7}}"#), "Literal(\"7\")");
        assert_eq!(said(r#"{"token": {}}"#), "Right");
    }

    #[test]
    fn an_unknown_key_is_named() {
        let error = MockTenant::builder().plan(r#"{"rows": 5}"#).unwrap_err();
        assert!(error.to_string().contains("`rows`"), "{error}");
        assert!(MockTenant::builder().plan(r#"{"faults": [{"then": "explode"}]}"#).is_err());
    }
}
