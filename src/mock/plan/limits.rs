//! A plan's words for what a tenant allows: rates that change, quotas, permissions, the licence; how it tells of them;
//! and when it is out.

use std::collections::HashSet;
use std::time::Duration;

use serde::Deserialize;
use serde_saphyr::Spanned;

use crate::mock::MockTenantBuilder;
use crate::mock::settings::{Licence, Outage, OutageKind, Permission, RateLimitHeaders, RetryAfter};

use super::error::PlanError;
use super::words::{Amount, Lasting, Positive, Rate, Texts, Time};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OutageText {
    from: Option<Time>,
    until: Option<Spanned<Time>>,
    then: OutageKindText,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum OutageKindText {
    Reset,
    Unavailable,
    Silent,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RateText {
    at: Spanned<Lasting>,
    requests_per_second: Rate,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct QuotaText {
    calls: Positive,
    per: Lasting,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum HeadersText {
    None,
    Prefixed,
    Separate,
    Structured,
}

/// The form of a wait.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum RetryAfterText {
    Seconds,
    HttpDate,
    Rfc850,
    Asctime,
    Missing,
    /// These lines, as they are.
    Text(Texts),
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum PermissionText {
    QueryExecute,
    QueryRead,
    ResultsRead,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LicenceText {
    days: Option<u64>,
    rows: Option<Amount>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct JsonKindText {
    pub(super) convert: Time,
}

/// A time, from the start or some moment on, to another moment or for ever.
#[derive(Clone, Copy)]
pub(super) struct Between {
    pub(super) from: Duration,
    pub(super) to: Duration,
}

impl Between {
    pub(super) fn of(from: Option<Time>, until: Option<Spanned<Time>>) -> Result<Self, PlanError> {
        let Time(from) = from.unwrap_or_default();
        match until {
            None => Ok(Self { from, to: Duration::MAX }),
            Some(Spanned { value: Time(to), .. }) if to > from => Ok(Self { from, to }),
            Some(until) => {
                Err(PlanError::at(until.referenced, "`until` is not after `from` (0s if it is not written)"))
            }
        }
    }
}

impl OutageText {
    pub(super) fn read(self) -> Result<Outage, PlanError> {
        let kind = match self.then {
            OutageKindText::Reset => OutageKind::Reset,
            OutageKindText::Unavailable => OutageKind::Unavailable,
            OutageKindText::Silent => OutageKind::Silent,
        };
        let Between { from, to } = Between::of(self.from, self.until)?;
        Ok(Outage { from, to, kind })
    }
}

/// Lays changes over what is set so far, and refuses one that would be passed over.
pub(super) fn lay_rates(changes: Vec<RateText>, builder: MockTenantBuilder) -> Result<MockTenantBuilder, PlanError> {
    let mut known = HashSet::new();
    changes.into_iter().try_fold(builder, |builder, RateText { at, requests_per_second: Rate(rate) }| {
        if !known.insert(at.value.0) {
            let what = "the rate changes at that moment already: leave one of the two out";
            return Err(PlanError::at(at.referenced, what));
        }
        Ok(builder.requests_per_second_from(at.value.0, rate))
    })
}

impl QuotaText {
    pub(super) fn lay(self, builder: MockTenantBuilder) -> MockTenantBuilder {
        let (Positive(calls), Lasting(per)) = (self.calls, self.per);
        builder.quota(usize::try_from(calls).unwrap_or(usize::MAX), per)
    }
}

impl HeadersText {
    pub(super) fn read(self) -> RateLimitHeaders {
        match self {
            Self::None => RateLimitHeaders::None,
            Self::Prefixed => RateLimitHeaders::Prefixed,
            Self::Separate => RateLimitHeaders::Separate,
            Self::Structured => RateLimitHeaders::Structured,
        }
    }
}

impl RetryAfterText {
    pub(super) fn read(self) -> RetryAfter {
        match self {
            Self::Seconds => RetryAfter::Seconds,
            Self::HttpDate => RetryAfter::HttpDate,
            Self::Rfc850 => RetryAfter::Rfc850,
            Self::Asctime => RetryAfter::Asctime,
            Self::Missing => RetryAfter::Missing,
            Self::Text(Texts(lines)) => RetryAfter::Lines(lines),
        }
    }
}

impl PermissionText {
    pub(super) fn read(self) -> Permission {
        match self {
            Self::QueryExecute => Permission::QueryExecute,
            Self::QueryRead => Permission::QueryRead,
            Self::ResultsRead => Permission::ResultsRead,
        }
    }
}

impl LicenceText {
    pub(super) fn read(self) -> Licence {
        Licence { days: self.days, rows: self.rows.map(|Amount(rows)| rows) }
    }
}
