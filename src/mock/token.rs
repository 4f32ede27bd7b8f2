//! The token endpoint: who may have a token, how long it lives, when it is taken back.
//!
//! A token's life in truth and what is said of it are two things. Tokens that came of one sign-in, by renewal after
//! renewal, are a family, and may be taken back together.
//!
//! Tokens are counted from 1; a token's number is its generation in the ledger. Secrets are compared and never shown:
//! no answer and no `Debug` repeats one.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::data::mix;
use super::ledger::TokenLife;
use super::request::MockRequest;
use super::script::Script;

/// What the token answer says of the token's life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExpiresIn {
    /// The true number of seconds.
    Right,
    /// Nothing.
    Missing,
    /// This JSON value, whatever the truth.
    Literal(String),
}

#[derive(Clone)]
pub(super) struct TokenSettings {
    pub(super) client: Option<(String, String)>,
    pub(super) life: Duration,
    pub(super) expires_in: ExpiresIn,
    pub(super) scopes: Option<Vec<String>>,
    pub(super) refresh: bool,
    pub(super) refuse_refresh: bool,
    pub(super) rotate: bool,
    pub(super) reuse_revokes: bool,
    pub(super) error: Option<String>,
    pub(super) text: Option<String>,
}

impl fmt::Debug for TokenSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenSettings").field("life", &self.life).field("scopes", &self.scopes).finish_non_exhaustive()
    }
}

#[derive(Clone)]
struct Issued {
    at: Duration,
    until: Duration,
    family: usize,
}

#[derive(Clone)]
struct RefreshToken {
    family: usize,
    good: bool,
}

/// Issues tokens and judges them.
#[derive(Clone)]
pub(super) struct TokenOffice {
    settings: TokenSettings,
    seed: u64,
    issued: Vec<Issued>,
    refresh_tokens: Vec<RefreshToken>,
    /// Which of those issued has that text; the newest one, where they all have the same.
    by_text: HashMap<String, usize>,
    refresh_by_text: HashMap<String, usize>,
    n_families: usize,
    revocations: Vec<Duration>,
    took_back: bool,
}

impl TokenOffice {
    pub(super) fn new(settings: TokenSettings, seed: u64, revocations: Vec<Duration>) -> Self {
        Self {
            settings,
            seed,
            issued: Vec::new(),
            refresh_tokens: Vec::new(),
            by_text: HashMap::new(),
            refresh_by_text: HashMap::new(),
            n_families: 0,
            revocations,
            took_back: false,
        }
    }

    /// Takes back every token issued before `now`.
    pub(super) fn revoke(&mut self, now: Duration) {
        self.revocations.push(now);
        self.took_back = true;
        self.issued.iter_mut().filter(|token| token.at < now).for_each(|token| token.until = token.until.min(now));
    }

    /// Whether lives were cut short since somebody last asked.
    pub(super) fn took_back(&mut self) -> bool {
        std::mem::take(&mut self.took_back)
    }

    /// The lives of the tokens behind the first so many, in the order of issue.
    pub(super) fn lives(&self, known: usize) -> impl Iterator<Item = TokenLife> {
        self.issued.iter().skip(known).map(|token| TokenLife { from: token.at, until: token.until })
    }

    pub(super) fn settings_mut(&mut self) -> &mut TokenSettings {
        &mut self.settings
    }

    /// The number of the token that a request carries, and whether it is still good.
    pub(super) fn judge(&self, request: &MockRequest, now: Duration) -> Option<(u64, bool)> {
        let text = request.bearer()?;
        let index = *self.by_text.get(text)?;
        Some((index as u64 + 1, now < self.issued[index].until))
    }

    /// Answers a token request. The second value is the generation issued.
    pub(super) fn answer(&mut self, request: &MockRequest, now: Duration) -> (Script, Option<u64>) {
        match self.grant(request, now) {
            Ok((script, generation)) => (script, Some(generation)),
            Err(refusal) => (refusal.script(), None),
        }
    }

    fn grant(&mut self, request: &MockRequest, now: Duration) -> Result<(Script, u64), Refusal> {
        if let Some(error) = &self.settings.error {
            let status = if error == "invalid_client" { 401 } else { 400 };
            return Err(refused(status, error, "refused by the tenant"));
        }
        if !request.has_type("application/x-www-form-urlencoded") {
            return Err(refused(400, "invalid_request", "the body must be application/x-www-form-urlencoded"));
        }
        let form: Vec<(String, String)> =
            form_urlencoded::parse(&request.body).map(|(k, v)| (k.into_owned(), v.into_owned())).collect();
        let field = |name: &str| form.iter().find(|(k, _)| k == name).map(|(_, v)| v.as_str());
        let in_body = field("client_id").map(|id| (id.to_owned(), field("client_secret").unwrap_or("").to_owned()));
        let Some(client) = basic_credentials(request).or(in_body) else {
            return Err(refused(401, "invalid_client", "client authentication is missing"));
        };
        if self.settings.client.as_ref().is_some_and(|known| *known != client) {
            return Err(refused(401, "invalid_client", "client authentication failed"));
        }
        let renews = match field("grant_type") {
            Some("client_credentials") => None,
            Some("refresh_token") => match self.redeem(field("refresh_token").unwrap_or_default(), now) {
                Some(shown) => Some(shown),
                None => return Err(refused(400, "invalid_grant", "the refresh token is not valid")),
            },
            _ => return Err(refused(400, "unsupported_grant_type", "client_credentials or refresh_token")),
        };
        let asked = field("scope").unwrap_or_default();
        if let Some(known) = &self.settings.scopes
            && asked.split(' ').any(|scope| !scope.is_empty() && !known.iter().any(|k| k == scope))
        {
            return Err(refused(400, "invalid_scope", "a scope that this client may not have"));
        }
        Ok(self.issue(asked, renews, now))
    }

    /// Which refresh token that is, if it is still good. Showing one that is not may have consequences.
    fn redeem(&mut self, text: &str, now: Duration) -> Option<usize> {
        let shown = *self.refresh_by_text.get(text)?;
        let RefreshToken { family, good } = self.refresh_tokens[shown];
        if !good && self.settings.reuse_revokes {
            self.refresh_tokens.iter_mut().filter(|token| token.family == family).for_each(|token| token.good = false);
            let family = self.issued.iter_mut().filter(|token| token.family == family);
            family.for_each(|token| token.until = token.until.min(now));
            self.took_back = true;
        }
        (good && !self.settings.refuse_refresh).then_some(shown)
    }

    /// Issues a token for a sign-in, or for the refresh token that was shown.
    fn issue(&mut self, scope: &str, renews: Option<usize>, now: Duration) -> (Script, u64) {
        let generation = self.issued.len() as u64 + 1;
        let draw = |salt: u64| mix(self.seed ^ mix(generation) ^ salt);
        let text = self.settings.text.clone().unwrap_or_else(|| format!("mock-access-{generation}-{:016x}", draw(1)));
        let mut answer = json!({ "access_token": text, "token_type": "Bearer" });
        match &self.settings.expires_in {
            ExpiresIn::Right => answer["expires_in"] = json!(self.settings.life.as_secs()),
            ExpiresIn::Missing => {}
            ExpiresIn::Literal(value) => {
                answer["expires_in"] = serde_json::from_str(value).unwrap_or_else(|_| json!(value));
            }
        }
        if !scope.is_empty() {
            answer["scope"] = json!(scope);
        }
        let family = renews.map_or(self.n_families, |shown| self.refresh_tokens[shown].family);
        self.n_families = self.n_families.max(family + 1);
        if self.settings.refresh && (self.settings.rotate || renews.is_none()) {
            let refresh = format!("mock-refresh-{generation}-{:016x}", draw(2));
            answer["refresh_token"] = json!(refresh);
            self.refresh_by_text.entry(refresh).or_insert(self.refresh_tokens.len());
            self.refresh_tokens.push(RefreshToken { family, good: true });
            renews.into_iter().for_each(|shown| self.refresh_tokens[shown].good = false);
        }
        let revoked = self.revocations.iter().copied().filter(|&at| at > now).min();
        let until = now.saturating_add(self.settings.life).min(revoked.unwrap_or(Duration::MAX));
        self.by_text.insert(text, self.issued.len());
        self.issued.push(Issued { at: now, until, family });
        let mut script = Script::json(200, &answer);
        script.set("Cache-Control", "no-store");
        (script, generation)
    }
}

struct Refusal {
    status: u16,
    error: String,
    description: &'static str,
}

fn refused(status: u16, error: &str, description: &'static str) -> Refusal {
    Refusal { status, error: error.to_owned(), description }
}

impl Refusal {
    fn script(self) -> Script {
        let answer = json!({ "error": self.error, "error_description": self.description });
        let mut script = Script::json(self.status, &answer);
        if self.status == 401 {
            script.set("WWW-Authenticate", "Basic realm=\"mock\"");
        }
        script
    }
}

/// Basic credentials are form-encoded before they are joined (RFC 6749, 2.3.1).
fn basic_credentials(request: &MockRequest) -> Option<(String, String)> {
    let encoded = request.credentials("Basic")?;
    let joined = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = joined.split_once(':')?;
    Some((form_decoded(id), form_decoded(secret)))
}

fn form_decoded(text: &str) -> String {
    let pair = format!("x={text}");
    form_urlencoded::parse(pair.as_bytes()).next().map(|(_, value)| value.into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn office(change: impl FnOnce(&mut TokenSettings)) -> TokenOffice {
        let mut settings = TokenSettings {
            client: Some(("id:1 ü".into(), "s&c=%".into())),
            life: Duration::from_secs(100),
            expires_in: ExpiresIn::Right,
            scopes: None,
            refresh: true,
            refuse_refresh: false,
            rotate: true,
            reuse_revokes: false,
            error: None,
            text: None,
        };
        change(&mut settings);
        TokenOffice::new(settings, 1, vec![Duration::from_secs(50)])
    }

    fn ask(office: &mut TokenOffice, form: &str, now: u64) -> (u16, serde_json::Value) {
        let basic = STANDARD.encode("id%3A1+%C3%BC:s%26c%3D%25");
        let request = MockRequest::post("/oauth2/token", "application/x-www-form-urlencoded", form)
            .with_header("Authorization", &format!("Basic {basic}"));
        let (script, _) = office.answer(&request, Duration::from_secs(now));
        (script.status, serde_json::from_slice(&script.body_bytes()).unwrap())
    }

    fn good(office: &TokenOffice, text: &serde_json::Value, now: u64) -> Option<(u64, bool)> {
        office.judge(&MockRequest::get("/", text.as_str().unwrap()), Duration::from_secs(now))
    }

    #[test]
    fn basic_credentials_are_form_encoded_first() {
        let (status, answer) = ask(&mut office(|_| {}), "grant_type=client_credentials&scope=a+b", 0);
        assert_eq!((status, answer["expires_in"].as_u64(), answer["scope"].as_str()), (200, Some(100), Some("a b")));
    }

    #[test]
    fn credentials_may_stand_in_the_body_and_wrong_ones_are_refused() {
        let body = |secret: &str| {
            let form = format!("grant_type=client_credentials&client_id=id%3A1+%C3%BC&client_secret={secret}");
            MockRequest::post("/oauth2/token", "application/x-www-form-urlencoded", form)
        };
        assert_eq!(office(|_| {}).answer(&body("s%26c%3D%25"), Duration::ZERO).0.status, 200);
        assert_eq!(office(|_| {}).answer(&body("wrong"), Duration::ZERO).0.status, 401);
    }

    #[test]
    fn a_refresh_token_works_once_and_is_replaced() {
        let mut office = office(|_| {});
        let (_, first) = ask(&mut office, "grant_type=client_credentials", 0);
        let form = format!("grant_type=refresh_token&refresh_token={}", first["refresh_token"].as_str().unwrap());
        let (status, second) = ask(&mut office, &form, 1);
        assert_eq!(status, 200);
        assert_ne!(first["refresh_token"], second["refresh_token"]);
        assert_eq!(ask(&mut office, &form, 2).1["error"], "invalid_grant");
    }

    #[test]
    fn a_token_ends_with_its_life_or_its_revocation() {
        let mut office = office(|_| {});
        let (_, early) = ask(&mut office, "grant_type=client_credentials", 0);
        let (_, late) = ask(&mut office, "grant_type=client_credentials", 60);
        assert_eq!(good(&office, &early["access_token"], 49), Some((1, true)));
        assert_eq!(good(&office, &early["access_token"], 50), Some((1, false)));
        assert_eq!(good(&office, &late["access_token"], 159), Some((2, true)));
        assert_eq!(good(&office, &late["access_token"], 160), Some((2, false)));
        assert_eq!(good(&office, &json!("made up"), 0), None);
    }

    #[test]
    fn what_is_said_of_the_life_need_not_be_true() {
        let said = |expires_in| {
            let mut office = office(|s| s.expires_in = expires_in);
            ask(&mut office, "grant_type=client_credentials", 0).1["expires_in"].clone()
        };
        assert_eq!(said(ExpiresIn::Missing), json!(null));
        assert_eq!(said(ExpiresIn::Literal("\"3600\"".into())), json!("3600"));
        assert_eq!(said(ExpiresIn::Literal("1000000000000".into())), json!(1_000_000_000_000_u64));
    }

    #[test]
    fn scopes_grants_and_bodies_outside_the_protocol_are_refused() {
        let mut strict = office(|s| s.scopes = Some(vec!["a".into()]));
        assert_eq!(ask(&mut strict, "grant_type=client_credentials&scope=a", 0).0, 200);
        assert_eq!(ask(&mut strict, "grant_type=client_credentials&scope=a+b", 0).1["error"], "invalid_scope");
        assert_eq!(ask(&mut strict, "grant_type=password", 0).1["error"], "unsupported_grant_type");
        let json_body = MockRequest::post("/oauth2/token", "application/json", "{}");
        assert_eq!(strict.answer(&json_body, Duration::ZERO).0.status, 400);
    }
}
