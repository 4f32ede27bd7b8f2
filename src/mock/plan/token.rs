//! A plan's words for the token endpoint: who gets tokens, how long they live, when they are taken back.
//!
//! What is said of a token's life is any JSON value, since what clients meet is any JSON value.

use serde::de::Error;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_saphyr::Spanned;

use crate::mock::MockTenantBuilder;
use crate::mock::desk::is_meant;
use crate::mock::ledger::CallKind;
use crate::mock::request::{Call, MockRequest};
use crate::mock::settings::{TokenOutage, TokenTrouble};
use crate::mock::token::ExpiresIn;

use super::error::PlanError;
use super::limits::Between;
use super::words::{Status, Time, WaitStatus};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TokenText {
    path: Option<TokenPath>,
    client: Option<ClientText>,
    life: Option<Time>,
    text: Option<String>,
    /// What is said of a token's life; `null` for nothing.
    #[serde(default, deserialize_with = "said")]
    expires_in: Option<Value>,
    refresh: Option<RefreshText>,
    error: Option<String>,
    scopes: Option<Vec<String>>,
    delay: Option<Time>,
    #[serde(default)]
    revoked_at: Vec<Time>,
    #[serde(default)]
    outages: Vec<TokenOutageText>,
}

/// A path of the tenant's own that nothing else stands at.
struct TokenPath(String);

impl<'de> Deserialize<'de> for TokenPath {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        let path = String::deserialize(source)?;
        let is_plain = path.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#'));
        let is_of_the_api = [MockRequest::get(&path, ""), MockRequest::post(&path, "", "")]
            .iter()
            .any(|request| Call::read(request, "").kind != CallKind::Other);
        if !path.starts_with('/') || !is_plain {
            let due = "it begins with `/` and has no `?`, `#` or blank, such as /oauth2/token";
            return Err(D::Error::custom(format!("{path:?} is no path of a token endpoint: {due}")));
        }
        if is_meant(&path) || is_of_the_api {
            let due = "write another one, such as /oauth2/token";
            return Err(D::Error::custom(format!("{path:?} is taken, tokens can't be had there: {due}")));
        }
        Ok(Self(path))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClientText {
    id: String,
    secret: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum RefreshText {
    None,
    Rotating,
    RotatingOrRevoked,
    Kept,
    Refused,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenOutageText {
    from: Option<Time>,
    until: Option<Spanned<Time>>,
    then: TroubleText,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum TroubleText {
    Status(Status),
    Wait(WaitText),
    Reset,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WaitText {
    #[serde(default)]
    status: WaitStatus,
    #[serde(rename = "for")]
    wait: Time,
}

// Null is said like any other value; only a key that is left out is none.
fn said<'de, D: Deserializer<'de>>(source: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(source).map(Some)
}

impl TokenText {
    pub(super) fn lay(self, mut builder: MockTenantBuilder) -> Result<MockTenantBuilder, PlanError> {
        builder = builder.with(self.path, |b, TokenPath(path)| b.token_path(&path));
        builder = builder.with(self.client, |b, client| b.client(&client.id, &client.secret));
        builder = builder.with(self.life, |b, Time(life)| b.token_life(life));
        builder = builder.with(self.text, |b, text| b.token_text(&text));
        builder = builder.with(self.expires_in, |b, said| {
            b.expires_in(match said {
                Value::Null => ExpiresIn::Missing,
                said => ExpiresIn::Literal(said.to_string()),
            })
        });
        builder = builder.with(self.refresh, |b, refresh| {
            // Whatever was said of all tenants.
            let none = b.no_refresh_tokens();
            match refresh {
                RefreshText::None => none,
                RefreshText::Rotating => none.refresh_tokens(),
                RefreshText::RotatingOrRevoked => none.reuse_revokes_family(),
                RefreshText::Kept => none.refresh_without_rotation(),
                RefreshText::Refused => none.refuse_refresh(),
            }
        });
        builder = builder.with(self.error, |b, error| b.token_error(&error));
        builder =
            builder.with(self.scopes, |b, scopes| b.scopes(&scopes.iter().map(String::as_str).collect::<Vec<_>>()));
        builder = builder.with(self.delay, |b, Time(delay)| b.token_delay(delay));
        builder = self.revoked_at.into_iter().fold(builder, |b, Time(at)| b.revoke_tokens_at(at));
        self.outages.into_iter().try_fold(builder, |b, outage| Ok(b.token_outage(outage.read()?)))
    }
}

impl TokenOutageText {
    fn read(self) -> Result<TokenOutage, PlanError> {
        let Between { from, to } = Between::of(self.from, self.until)?;
        let kind = match self.then {
            TroubleText::Status(Status(status)) => TokenTrouble::Status(status),
            TroubleText::Wait(WaitText { status: WaitStatus(status), wait: Time(wait) }) => {
                TokenTrouble::Wait(status, wait)
            }
            TroubleText::Reset => TokenTrouble::Reset,
        };
        Ok(TokenOutage { from, to, kind })
    }
}
