//! The calls of the reporting API, each as one function.
//!
//! An answer is judged by [`classify`] alone; this file puts requests together and reads bodies. Tokens and
//! credentials go to their own origins only: every URL is built here from the configured ones, none is taken from an
//! answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;

use super::call::{Call, Watch};
use super::credentials::{ClientAuth, Credentials, basic_credentials, credentials_mask};
use super::error::{CallFault, Sent};
use super::json::{self, QueryBody, QueryStatus, StatusAnswer};
use super::link::link_hint;
use super::mask::{Issued, Mask};
use crate::model::{AccessToken, AnswerHead, LinkHint, Outcome, PageNumber, QueryId, TransportFault, WallClock};
use crate::policy::classify::{Expecting, classify_fault, classify_head, shown_url};
use crate::policy::rate_limit::rate_limit;
use crate::policy::retry_after::skew;
use crate::policy::token::{ExpiresIn, Grant, TokenAnswer};
use crate::transport::{Answer, Body, Expected, HeaderText, HttpClient, Method, Request};

/// JSON answers are small; one that is larger than this is of the wrong kind.
const MAX_JSON: usize = 1 << 20;

/// The words that a token endpoint may refuse with (RFC 6749, 5.2).
const OAUTH_ERRORS: [&str; 6] = [
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_scope",
];

/// Where a tenant is and who we are to it.
#[derive(Clone, Debug)]
pub struct TenantSettings {
    /// The API, without a slash at its end.
    pub base_url: String,
    /// The token endpoint.
    pub token_url: String,
    /// Who we are.
    pub credentials: Credentials,
    /// For dates in answers that bring none of their own.
    pub clock: WallClock,
    /// What the tenant gave out, to be masked where it comes back.
    pub issued: Issued,
    /// Whether it was said already that the tenant's clock and this machine's differ. Clones share it.
    pub skew_told: Arc<AtomicBool>,
}

impl TenantSettings {
    /// Hides the credentials, and whatever the tenant gave out.
    pub fn mask(&self) -> Mask {
        credentials_mask(&self.credentials).with_issued(self.issued.clone())
    }
}

/// What came for a page.
pub enum PageAnswer {
    /// The head of a page; its body follows.
    Page(Box<PageStream>),
    /// 404: past the end, or the query is gone.
    Missing {
        /// What `X-Total-Count` said.
        total_count: Option<u64>,
    },
}

/// A page under way.
pub struct PageStream {
    /// The decoded body.
    pub body: Body,
    /// What `Link` said.
    pub link: LinkHint,
    /// What `X-Total-Count` said.
    pub total_count: Option<u64>,
}

/// One tenant's API over one arbiter's connections.
#[derive(Clone)]
pub struct TenantClient {
    http: HttpClient,
    token_http: HttpClient,
    settings: TenantSettings,
    mask: Mask,
}

impl TenantClient {
    /// A client that calls the API over `http` and the token endpoint, which may be reached another way, over
    /// `token_http`.
    pub fn new(http: HttpClient, token_http: HttpClient, settings: TenantSettings) -> Self {
        let mask = settings.mask();
        Self { http, token_http, settings, mask }
    }

    /// Has a connection made for a call of that method that will be let out soon; see [`HttpClient::prepare`].
    pub async fn prepare(&self, method: Method, most: usize) -> Option<Expected> {
        self.http.prepare(method, &self.settings.base_url, most).await
    }

    /// The same for a token call.
    pub async fn prepare_token(&self) -> Option<Expected> {
        self.token_http.prepare(Method::Post, &self.settings.token_url, 1).await
    }

    /// Asks for a token.
    ///
    /// # Errors
    /// Where none came; `oauth_error` has the endpoint's own code.
    pub async fn token(&self, grant: &Grant, watch: &dyn Watch) -> Result<TokenAnswer, CallFault> {
        let credentials = &self.settings.credentials;
        let mut headers =
            vec![("Content-Type", HeaderText::fixed("application/x-www-form-urlencoded")), accept("application/json")];
        let mut form = form_urlencoded::Serializer::new(String::new());
        match grant {
            Grant::ClientCredentials => form.append_pair("grant_type", "client_credentials"),
            Grant::Refresh(refresh_token) => {
                self.settings.issued.note(refresh_token);
                form.append_pair("grant_type", "refresh_token").append_pair("refresh_token", refresh_token.expose())
            }
        };
        if !credentials.scopes.is_empty() {
            form.append_pair("scope", &credentials.scopes.join(" "));
        }
        match credentials.client_auth {
            ClientAuth::Basic => {
                headers.push(authorization("Basic", &basic_credentials(credentials))?);
            }
            ClientAuth::Body => {
                form.append_pair("client_id", credentials.client_id.expose());
                form.append_pair("client_secret", credentials.client_secret.expose());
            }
        }
        let request = Request {
            method: Method::Post,
            url: self.settings.token_url.clone(),
            headers,
            body: Some(Bytes::from(form.finish())),
            may_go: watch.may_go(),
        };
        let answer = self.send(&self.token_http, request, "the token request", watch).await?;
        let (body, _) = self.small_body(Expecting::Token, answer, "the token request", watch).await?;
        let mut answer = json::token(&body).ok_or_else(|| {
            let message = format!("the token answer can't be read{}", shown(Expecting::Token, &body, &self.mask));
            CallFault::answered(Outcome::WrongKind, message)
        })?;
        self.settings.issued.note(&answer.access_token);
        if let Some(refresh_token) = &answer.refresh_token {
            self.settings.issued.note(refresh_token);
        }
        if let ExpiresIn::Invalid(text) = &mut answer.expires_in {
            *text = self.mask.words(text);
        }
        Ok(answer)
    }

    /// Submits a query.
    ///
    /// # Errors
    /// Where it was not accepted, or its acceptance not seen; [`CallFault::sent`] tells which.
    pub async fn submit(&self, call: Call<'_>, query: &QueryBody) -> Result<QueryId, CallFault> {
        let body = serde_json::to_vec(query).map_err(|e| CallFault::answered(Outcome::Local, e.to_string()))?;
        let request = Request {
            method: Method::Post,
            url: format!("{}/api/v2/reporting/queries", self.settings.base_url),
            headers: vec![
                self.bearer(call.token)?,
                ("Content-Type", HeaderText::fixed("application/json")),
                accept("application/json"),
            ],
            body: Some(Bytes::from(body)),
            may_go: call.watch.may_go(),
        };
        let answer = self.send(&self.http, request, "the submission", call.watch).await?;
        let (body, _) = self.small_body(Expecting::Submit, answer, "the submission", call.watch).await?;
        json::query_id(&body).ok_or_else(|| wrong_kind("the submission's answer has no queryId", &body, &self.mask))
    }

    /// Asks where a query stands.
    ///
    /// # Errors
    /// Where no readable answer came.
    pub async fn status(&self, call: Call<'_>, query: &QueryId) -> Result<StatusAnswer, CallFault> {
        let request = Request {
            method: Method::Get,
            url: self.query_url(query),
            headers: vec![self.bearer(call.token)?, accept("application/json")],
            body: None,
            may_go: call.watch.may_go(),
        };
        let what = format!("the status of query {}", self.mask.text(query.as_str()));
        let answer = self.send(&self.http, request, &what, call.watch).await?;
        if matches!(answer.head.status, 404 | 410) {
            answer.body.drain().await;
            return Ok(StatusAnswer::Gone);
        }
        let (body, _) = self.small_body(Expecting::Status, answer, &what, call.watch).await?;
        match json::query_status(&body) {
            Some(QueryStatus::Failed(reason)) => {
                Ok(StatusAnswer::Known(QueryStatus::Failed(reason.map(|words| self.mask.words(&words)))))
            }
            Some(QueryStatus::Unknown(word)) => Ok(StatusAnswer::Known(QueryStatus::Unknown(self.mask.words(&word)))),
            Some(status) => Ok(StatusAnswer::Known(status)),
            None => Err(wrong_kind("the status answer can't be read", &body, &self.mask)),
        }
    }

    /// Asks for a page and returns once its head is there.
    ///
    /// # Errors
    /// Where no page came.
    pub async fn page(
        &self,
        call: Call<'_>,
        query: &QueryId,
        number: PageNumber,
        page_size: u64,
    ) -> Result<PageAnswer, CallFault> {
        let request = Request {
            method: Method::Get,
            url: format!("{}/results?format=csv&page={number}&pageSize={page_size}", self.query_url(query)),
            headers: vec![self.bearer(call.token)?, accept("text/csv")],
            body: None,
            may_go: call.watch.may_go(),
        };
        let what = format!("page {number}");
        let answer = self.send(&self.http, request, &what, call.watch).await?;
        if answer.head.status == 404 {
            let total_count = total_count(&answer.head);
            answer.body.drain().await;
            return Ok(PageAnswer::Missing { total_count });
        }
        let answer = self.judged(Expecting::Page, answer, &what, call.watch).await?;
        let total_count = total_count(&answer.head);
        let link = link_hint(&answer.head);
        Ok(PageAnswer::Page(Box::new(PageStream { body: answer.body, link, total_count })))
    }

    /// The fault of a page body that broke off.
    pub fn body_fault(&self, number: PageNumber, fault: &TransportFault) -> CallFault {
        CallFault::transport(
            fault,
            classify_fault(fault),
            format!("page {number}: {}", self.mask.text(&fault.to_string())),
        )
    }

    /// Passes a good answer through; turns any other into a fault with the start of what came.
    async fn judged(
        &self,
        expecting: Expecting,
        answer: Answer,
        what: &str,
        watch: &dyn Watch,
    ) -> Result<Answer, CallFault> {
        let now = self.settings.clock.now();
        let outcome = classify_head(expecting, &answer.head, now).outcome;
        if let Some(hint) = rate_limit(&answer.head, now) {
            watch.told_quotas(&hint);
        }
        if let Some((apart, is_ahead)) = skew(&answer.head, now)
            && !self.settings.skew_told.swap(true, Ordering::Relaxed)
        {
            let (url, whose) = (&self.settings.base_url, if is_ahead { "ahead of" } else { "behind" });
            tracing::warn!(
                "the clock of {url} is {apart:.0?} {whose} this machine's; pauses told as dates follow its own"
            );
        }
        let status = answer.head.status;
        let mut throttle = None;
        match outcome {
            Outcome::Ok => return Ok(answer),
            Outcome::Throttled { wait } => {
                // Before the body is read: a slow error body must not keep the news from the gate.
                watch.told_to_wait(status, wait);
                throttle = Some((status, wait));
            }
            _ => {}
        }
        let led_to = answer.head.header("location").filter(|_| (300..400).contains(&status));
        let led_to = led_to.map(|to| shown_target(to, &self.mask));
        let kind = answer.head.header("content-type").map(|kind| self.mask.words(kind));
        let body = answer.body.drain().await;
        let mut message = match (&led_to, outcome) {
            (Some(target), _) => format!(
                "{what}: redirected ({status}) to {target}, which is not followed; correct base_url or token_url"
            ),
            (None, Outcome::WrongKind) => format!(
                "{what}: answer of the wrong kind (status {status}, content type {})",
                kind.as_deref().unwrap_or("none")
            ),
            (None, _) => format!("{what}: status {status}"),
        };
        message.push_str(&shown(expecting, &body, &self.mask));
        let mut fault = CallFault::answered(outcome, message);
        fault.status = Some(status);
        fault.throttle = throttle;
        if expecting == Expecting::Token
            && let Some((error, description)) = json::oauth_error(&body)
        {
            fault.message = format!("{what}: status {status}: {}", self.mask.words(&error));
            if let Some(description) = description {
                fault.message = format!("{}: {}", fault.message, self.mask.words(&description));
            }
            // Whatever is no word of the standard may be an echo, and others show it.
            let is_known = OAUTH_ERRORS.contains(&error.as_str());
            fault.oauth_error = Some(if is_known { error } else { self.mask.words(&error) });
        }
        Err(fault)
    }

    async fn small_body(
        &self,
        expecting: Expecting,
        answer: Answer,
        what: &str,
        watch: &dyn Watch,
    ) -> Result<(Bytes, AnswerHead), CallFault> {
        let Answer { head, body } = self.judged(expecting, answer, what, watch).await?;
        match body.collect(MAX_JSON).await {
            Ok(body) => Ok((body, head)),
            Err(TransportFault::OverLimit { what: part, limit }) => Err(CallFault::answered(
                Outcome::WrongKind,
                format!("{what}: answer of the wrong kind: {part} is larger than {limit}"),
            )),
            Err(fault) => {
                let outcome = classify_fault(&fault);
                Err(CallFault::transport(&fault, outcome, format!("{what}: {}", self.mask.text(&fault.to_string()))))
            }
        }
    }

    fn bearer(&self, token: &AccessToken) -> Result<Header, CallFault> {
        self.settings.issued.note(&token.value);
        authorization("Bearer", token.value.expose())
    }

    fn query_url(&self, query: &QueryId) -> String {
        format!("{}/api/v2/reporting/queries/{}", self.settings.base_url, path_segment(query.as_str()))
    }

    /// Sends one request. Every call that reaches the tenant has a permit of its own, a repetition too.
    async fn send(
        &self,
        http: &HttpClient,
        request: Request,
        what: &str,
        watch: &dyn Watch,
    ) -> Result<Answer, CallFault> {
        let (outcome, refused) = http.send_heeding(request).await;
        let fault = match outcome {
            Ok(answer) => {
                watch.answered();
                return Ok(answer);
            }
            Err(fault) => fault,
        };
        let message = format!("{what}: {}", self.mask.text(&fault.to_string()));
        let mut failed = CallFault::transport(&fault, classify_fault(&fault), message);
        // An answer that can't be used may still ask for a pause.
        let now = self.settings.clock.now();
        if let Some(head) = refused
            && let outcome @ Outcome::Throttled { wait: Some(wait) } =
                classify_head(Expecting::Page, &head, now).outcome
        {
            watch.told_to_wait(head.status, Some(wait));
            (failed.outcome, failed.status) = (outcome, Some(head.status));
            failed.throttle = Some((head.status, Some(wait)));
        }
        Err(failed)
    }
}

type Header = (&'static str, HeaderText);

fn authorization(scheme: &str, credentials: &str) -> Result<Header, CallFault> {
    HeaderText::new(&format!("{scheme} {credentials}"))
        .map(|value| ("Authorization", value))
        .map_err(|bad| CallFault::answered(Outcome::Local, format!("the credentials can't be sent: {bad}")))
}

fn accept(kind: &'static str) -> Header {
    ("Accept", HeaderText::fixed(kind))
}

/// The start of a body for a message, where there is one. What a token endpoint sends may hold tokens that nobody knows
/// yet and so nobody can mask: then its text is not shown at all.
fn shown(expecting: Expecting, body: &[u8], mask: &Mask) -> String {
    if body.is_empty() {
        return String::new();
    }
    if expecting == Expecting::Token && body.to_ascii_lowercase().windows(5).any(|word| word == b"token") {
        return format!(": its {} bytes are not shown, since they may hold a token", body.len());
    }
    format!(": {}", mask.excerpt(body))
}

fn wrong_kind(what: &str, body: &[u8], mask: &Mask) -> CallFault {
    let mut fault = CallFault::answered(Outcome::WrongKind, format!("{what}: {}", mask.excerpt(body)));
    fault.sent = Sent::Answered;
    fault
}

/// A redirect's target, without what may be another party's secret. Masked before it is cut: half a secret is one too.
fn shown_target(url: &str, mask: &Mask) -> String {
    shown_url(&mask.text(url))
}

/// A query id is opaque: whatever it holds stays within its own path segment.
fn path_segment(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for &byte in text.as_bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    // Dots alone would be taken for a step up the path.
    if out.chars().all(|c| c == '.') { out.replace('.', "%2E") } else { out }
}

fn total_count(head: &AnswerHead) -> Option<u64> {
    head.header("x-total-count").and_then(|count| count.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_id_stays_within_its_path_segment() {
        assert_eq!(path_segment("8f-4_a~.1"), "8f-4_a~.1");
        assert_eq!(path_segment("a/../b?c#d e"), "a%2F..%2Fb%3Fc%23d%20e");
        assert_eq!(path_segment(".."), "%2E%2E");
    }

    #[test]
    fn h8_a_redirects_target_is_shown_without_user_and_query() {
        let mask = Mask::new(["hush"]);
        let shown = shown_target("https://me:pw@sso.example/in/hush?ticket=t0p", &mask);
        assert!(shown.starts_with("https://sso.example/in/[hidden]"), "{shown}");
        assert!(!shown.contains("pw") && !shown.contains("t0p"), "{shown}");
    }
}
