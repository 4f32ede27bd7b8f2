//! One tenant's settings as a plan has them, and how they are laid over a builder.
//!
//! Every key is optional: what is not written stays as it was, and lists add to what there is.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::path::Path;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde_saphyr::{Location, Spanned};

use crate::mock::tls::Tls;
use crate::mock::{MockReport, MockTenantBuilder};
use crate::model::Timestamp;

use super::error::PlanError;
use super::fates::{self, FateText, ReadyText};
use super::faults::Rule;
use super::limits::{
    self, HeadersText, JsonKindText, LicenceText, OutageText, PermissionText, QuotaText, RateText, RetryAfterText,
};
use super::report::Report;
use super::token::TokenText;
use super::words::{Positive, Rate, Shift, Span, Time};

/// What may stand at the top of a plan and under a tenant's name; where a key is out of place is found afterwards.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TenantText {
    pub(super) about: Option<Spanned<String>>,
    pub(super) tenants: Option<Spanned<Named>>,
    pub(super) count: Option<Spanned<usize>>,
    pub(super) seed: Option<u64>,
    id_salt: Option<u64>,
    requests_per_second: Option<Rate>,
    rate_changes: Vec<RateText>,
    quotas: Vec<QuotaText>,
    rate_limit_headers: Option<HeadersText>,
    retry_after: Option<RetryAfterText>,
    block: Option<Time>,
    max_open_queries: Option<Positive>,
    licence: Option<LicenceText>,
    lacks: Vec<PermissionText>,
    json_kind: Option<JsonKindText>,
    latency: Option<Span>,
    ready_after: Option<ReadyText>,
    query_life: Option<Time>,
    remembers_queries: Option<bool>,
    token: Option<TokenText>,
    clock: Option<ClockText>,
    tls: Option<Tls>,
    strict: Option<bool>,
    default_report: Option<Report>,
    reports: HashMap<String, Report>,
    only_named_reports: Option<Spanned<bool>>,
    outages: Vec<OutageText>,
    fates: Vec<Spanned<FateText>>,
    faults: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClockText {
    at: Option<MomentText>,
    skew: Option<Shift>,
}

/// From 1900 up to 3000, in milliseconds: whatever is added to it has a year of four digits, as dates in heads must.
const CLOCKS: Range<i64> = -2_208_988_800_000..32_503_680_000_000;

struct MomentText(Timestamp);

impl<'de> Deserialize<'de> for MomentText {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        let text = String::deserialize(source)?;
        let moment = Timestamp::parse(&text).filter(|moment| CLOCKS.contains(&moment.0)).map(Self);
        let due = "no moment from 1900 to 2999, such as 2024-02-01T00:00:00Z";
        moment.ok_or_else(|| D::Error::custom(format!("`{text}` is {due}")))
    }
}

/// Tenants in the order of the file, each with the place where it stands.
pub(super) struct Named(pub(super) Vec<(Spanned<String>, TenantText)>);

impl<'de> Deserialize<'de> for Named {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Named;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("tenants by their names, such as `acme: {requests_per_second: 10}`")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Named, A::Error> {
                let mut tenants = Vec::new();
                while let Some(name) = map.next_key()? {
                    // A name alone is a tenant without settings of its own.
                    let settings: Option<TenantText> = map.next_value()?;
                    tenants.push((name, settings.unwrap_or_default()));
                }
                Ok(Named(tenants))
            }
        }

        source.deserialize_map(InOrder)
    }
}

impl TenantText {
    /// Where it asks for named reports alone, if it does; `shared` is where that is asked for all tenants.
    pub(super) fn only_named(&self, shared: Option<Location>) -> Option<Location> {
        match &self.only_named_reports {
            Some(only) => only.value.then_some(only.referenced),
            None => shared,
        }
    }

    /// Lays what is written over what is set so far. Files that it names stand in `folder`.
    pub(super) fn lay(self, mut builder: MockTenantBuilder, folder: &Path) -> Result<MockTenantBuilder, PlanError> {
        builder = builder.with(self.seed, MockTenantBuilder::seed);
        builder = builder.with(self.id_salt, MockTenantBuilder::id_salt);
        builder = builder.with(self.requests_per_second, |b, Rate(rate)| b.requests_per_second(rate));
        builder = limits::lay_rates(self.rate_changes, builder)?;
        builder = self.quotas.into_iter().fold(builder, |b, quota| quota.lay(b));
        builder = builder.with(self.rate_limit_headers, |b, form| b.rate_limit_style(form.read()));
        builder = builder.with(self.retry_after, |b, form| b.retry_after(form.read()));
        builder = builder.with(self.block, |b, Time(block)| b.block_for(block));
        builder = builder.with(self.max_open_queries, |b, Positive(most)| {
            b.max_open_queries(usize::try_from(most).unwrap_or(usize::MAX))
        });
        builder = builder.with(self.licence, |b, licence| b.licence(licence.read()));
        builder = self.lacks.into_iter().fold(builder, |b, permission| b.lacks(permission.read()));
        builder = builder.with(self.json_kind, |b, json| b.json_kind(json.convert.0));
        builder = builder.with(self.latency, |b, Span { least, most }| b.latency(least).latency_spread(most - least));
        builder = builder.with(self.ready_after, |b, ready| b.ready(ready.read()));
        builder = builder.with(self.query_life, |b, Time(life)| b.query_life(life));
        builder = builder.with(self.remembers_queries, |b, yes| b.set(|s| s.remembers_queries = yes));
        if let Some(token) = self.token {
            builder = token.lay(builder)?;
        }
        builder = builder.with(self.clock, |b, clock| clock.lay(b));
        builder = builder.with(self.tls, MockTenantBuilder::tls);
        builder = builder.with(self.strict, |b, yes| b.set(|s| s.strict = yes));
        builder = match (self.default_report, self.only_named_reports) {
            (Some(_), Some(Spanned { value: true, referenced, .. })) => {
                let what = "`only_named_reports` and `default_report` exclude each other: leave one out";
                return Err(PlanError::at(referenced, what));
            }
            (Some(report), _) => builder.default_report(report.read(folder)?),
            (None, Some(Spanned { value: true, .. })) => builder.only_named_reports(),
            (None, Some(_)) if !builder.has_default_report() => builder.default_report(MockReport::default()),
            (None, _) => builder,
        };
        for (template, report) in self.reports {
            builder = builder.report(&template, report.read(folder)?);
        }
        builder = fates::lay(self.fates, builder)?;
        for outage in self.outages {
            builder = builder.outage(outage.read()?);
        }
        for rule in self.faults {
            builder = builder.fault(rule.read()?);
        }
        Ok(builder)
    }
}

impl ClockText {
    fn lay(self, mut builder: MockTenantBuilder) -> MockTenantBuilder {
        builder = builder.with(self.at, |b, MomentText(at)| b.wall_start(at));
        builder.with(self.skew, |b, Shift { by, back }| {
            let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
            b.clock_skew(if back { -by } else { by })
        })
    }
}

impl MockTenantBuilder {
    pub(super) fn with<T>(self, value: Option<T>, set: impl FnOnce(Self, T) -> Self) -> Self {
        match value {
            Some(value) => set(self, value),
            None => self,
        }
    }
}
