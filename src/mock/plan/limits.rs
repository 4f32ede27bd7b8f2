//! A plan's words for limits and for service: rates that change, quotas, outages, the token endpoint.

use std::time::Duration;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::mock::MockTenantBuilder;
use crate::mock::settings::{Outage, OutageKind, RateLimitHeaders, TokenOutage, TokenTrouble};
use crate::mock::token::ExpiresIn;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OutageText {
    from_ms: u64,
    to_ms: u64,
    #[serde(default)]
    unavailable: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RateText {
    from_ms: u64,
    calls: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct QuotaText {
    calls: usize,
    per_ms: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum HeadersText {
    None,
    Prefixed,
    Separate,
    Structured,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TokenText {
    /// What is said of a token's life; `null` for nothing.
    #[serde(default, deserialize_with = "said")]
    expires_in: Option<Value>,
    refresh: Option<RefreshText>,
    error: Option<String>,
    scopes: Option<Vec<String>>,
    delay_ms: Option<u64>,
    #[serde(default)]
    revoked_at_ms: Vec<u64>,
    #[serde(default)]
    outages: Vec<TokenOutageText>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum RefreshText {
    Rotating,
    RotatingOrRevoked,
    Kept,
    Refused,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenOutageText {
    from_ms: u64,
    to_ms: u64,
    then: TroubleText,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum TroubleText {
    Status(u16),
    Wait { status: u16, ms: u64 },
    Reset,
}

// Null is said like any other value; only a key that is left out is none.
fn said<'de, D: Deserializer<'de>>(source: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(source).map(Some)
}

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

impl OutageText {
    pub(super) fn read(self) -> Outage {
        let kind = if self.unavailable { OutageKind::Unavailable } else { OutageKind::Reset };
        Outage { from: ms(self.from_ms), to: ms(self.to_ms), kind }
    }
}

impl RateText {
    pub(super) fn lay(self, builder: MockTenantBuilder) -> MockTenantBuilder {
        builder.requests_per_second_from(ms(self.from_ms), self.calls)
    }
}

impl QuotaText {
    pub(super) fn lay(self, builder: MockTenantBuilder) -> MockTenantBuilder {
        builder.quota(self.calls, ms(self.per_ms))
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

impl TokenText {
    pub(super) fn lay(self, mut builder: MockTenantBuilder) -> MockTenantBuilder {
        if let Some(said) = self.expires_in {
            builder = builder.expires_in(match said {
                Value::Null => ExpiresIn::Missing,
                said => ExpiresIn::Literal(said.to_string()),
            });
        }
        builder = match self.refresh {
            None => builder,
            Some(RefreshText::Rotating) => builder.refresh_tokens(),
            Some(RefreshText::RotatingOrRevoked) => builder.reuse_revokes_family(),
            Some(RefreshText::Kept) => builder.refresh_without_rotation(),
            Some(RefreshText::Refused) => builder.refuse_refresh(),
        };
        if let Some(error) = &self.error {
            builder = builder.token_error(error);
        }
        if let Some(scopes) = &self.scopes {
            builder = builder.scopes(&scopes.iter().map(String::as_str).collect::<Vec<_>>());
        }
        if let Some(delay) = self.delay_ms {
            builder = builder.token_delay(ms(delay));
        }
        builder = self.revoked_at_ms.into_iter().fold(builder, |builder, at| builder.revoke_tokens_at(ms(at)));
        self.outages.into_iter().fold(builder, |builder, outage| builder.token_outage(outage.read()))
    }
}

impl TokenOutageText {
    fn read(self) -> TokenOutage {
        let kind = match self.then {
            TroubleText::Status(status) => TokenTrouble::Status(status),
            TroubleText::Wait { status, ms: wait } => TokenTrouble::Wait(status, ms(wait)),
            TroubleText::Reset => TokenTrouble::Reset,
        };
        TokenOutage { from: ms(self.from_ms), to: ms(self.to_ms), kind }
    }
}
