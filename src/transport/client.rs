//! Sends requests and judges heads.
//!
//! One client per arbiter and tenant: it holds the pools of connections and never leaves its thread. It keeps one pool
//! for each origin, and drops the pool in which a GET met a connection that the peer had closed while it was idle. It
//! never sends anything twice: that costs a permit, which is for the caller to get. A POST never rides a connection
//! that was used before, so that staleness can't leave its outcome unknown. Any status is an answer: what it means is
//! decided elsewhere.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use awc::error::SendRequestError;
use awc::http::Uri;
use awc::http::header::{ACCEPT_ENCODING, HOST, HeaderValue, USER_AGENT};

use super::body::{Body, over_page_limit};
use super::connector::{Origin, Route, StrictConnector};
use super::dial::Dial;
use super::exchange::Exchange;
use super::head::Framing;
use super::request::{Method, Request};
use super::settings::{TransportSettings, port_of};
use super::standby::{Busy, Expected};
use crate::model::{AnswerHead, TransportFault};

const AGENT: &str = concat!("cxtract/", env!("CARGO_PKG_VERSION"));

/// Sends requests to one tenant. Cheap to clone; the clones share their connections.
#[derive(Clone)]
pub struct HttpClient(Rc<Inner>);

struct Inner {
    settings: Rc<TransportSettings>,
    dial: Arc<dyn Dial>,
    pools: RefCell<HashMap<Origin, awc::Client>>,
    routes: RefCell<HashMap<Origin, Rc<Route>>>,
}

/// An answer: its head, and its body as it comes in.
#[derive(Debug)]
pub struct Answer {
    /// Status and headers.
    pub head: AnswerHead,
    /// The body, still on its way.
    pub body: Body,
}

impl HttpClient {
    /// A client without connections yet.
    pub fn new(settings: TransportSettings, dial: Arc<dyn Dial>) -> Self {
        Self(Rc::new(Inner {
            settings: Rc::new(settings),
            dial,
            pools: RefCell::default(),
            routes: RefCell::default(),
        }))
    }

    /// Has a connection made for a request to that address that will be let out soon, unless there is one. Call this
    /// before asking for the right to send it, and keep what it returns until then; that it fails shows when the request
    /// is sent. `most` bounds the connections that there are at once.
    pub async fn prepare(&self, method: Method, url: &str, most: usize) -> Option<Expected> {
        let target = Target::parse(url).ok()?;
        let route = self.route(&target.origin);
        Some(match method {
            Method::Get => route.standby.prepare(most, || route.open_in_time()).await,
            Method::Post => route.standby.prepare_unused(most, || route.open_in_time()).await,
        })
    }

    /// Sends it, once, and waits for the head of the answer. A GET that meets a connection which the peer closed while
    /// it was idle is a [`TransportFault::Stale`], and the next request gets a fresh connection.
    ///
    /// After `Dns`, `Connect`, `Untrusted`, `Proxy` and `Late` nothing of the request was sent; after any other fault the
    /// peer may have received and acted on it.
    pub async fn send(&self, request: Request) -> Result<Answer, TransportFault> {
        self.send_heeding(request).await.0
    }

    /// The same, and with a fault what could be read of a head that was refused: it may ask for a pause.
    pub async fn send_heeding(&self, request: Request) -> (Result<Answer, TransportFault>, Option<AnswerHead>) {
        let exchange = Rc::new(Exchange::new(request.may_go.clone()));
        let outcome = self.sent(request, &exchange).await;
        (outcome, exchange.take_refused())
    }

    async fn sent(&self, request: Request, exchange: &Rc<Exchange>) -> Result<Answer, TransportFault> {
        let target = Target::parse(&request.url)?;
        match request.method {
            Method::Post => self.attempt(&self.unpooled(&target.origin), &target, &request, exchange).await,
            Method::Get => match self.attempt(&self.pooled(&target.origin), &target, &request, exchange).await {
                Err(TransportFault::NoAnswer(reason)) if exchange.is_stale() => {
                    self.repooled(&target.origin);
                    Err(TransportFault::Stale(reason))
                }
                outcome => outcome,
            },
        }
    }

    async fn attempt(
        &self,
        client: &awc::Client,
        target: &Target,
        request: &Request,
        exchange: &Rc<Exchange>,
    ) -> Result<Answer, TransportFault> {
        let busy = self.route(&target.origin).standby.busy();
        let call = exchange.around(prepare(client, target, request)?);
        let mut call = pin!(call);
        let allowed = self.0.settings.response;
        let outcome = tokio::select! {
            biased;
            outcome = &mut call => outcome,
            () = exchange.head_is_late(allowed) => return Err(TransportFault::HeadTimeout(allowed)),
        };
        match outcome {
            Ok(response) => self.accept(response, busy, exchange),
            Err(error) => Err(exchange.take_fault().unwrap_or_else(|| unexplained(&error, target, exchange))),
        }
    }

    fn accept(&self, response: awc::ClientResponse, busy: Busy, exchange: &Exchange) -> Result<Answer, TransportFault> {
        let received = exchange.take_head().ok_or_else(|| TransportFault::NoAnswer("no head was read".to_owned()))?;
        let (head, framing) = (received.head, received.framing);
        let settings = &self.0.settings;
        let coding = coding(&head);
        if (200..300).contains(&head.status) {
            if let Coding::Unknown(name) = &coding {
                return Err(TransportFault::WrongKind(format!(
                    "its Content-Encoding is `{name}`, only gzip was asked for"
                )));
            }
            match (head.status, framing) {
                (204..=206, _) => {
                    let status = head.status;
                    return Err(TransportFault::WrongKind(format!("its status is {status}, which nobody asked for")));
                }
                (_, Framing::Unframed) => return Err(TransportFault::Unframed),
                (_, Framing::Length(n)) if n > settings.max_decoded && matches!(coding, Coding::Identity) => {
                    return Err(over_page_limit(settings.max_decoded));
                }
                _ => {}
            }
        }
        let body = Body::new(response, busy, framing, matches!(coding, Coding::Gzip), Rc::clone(settings));
        Ok(Answer { head, body })
    }

    fn pooled(&self, origin: &Origin) -> awc::Client {
        let known = self.0.pools.borrow().get(origin).cloned();
        known.unwrap_or_else(|| self.repooled(origin))
    }

    /// Replaces the origin's pool: where one idle connection was closed, the others most likely were too.
    fn repooled(&self, origin: &Origin) -> awc::Client {
        let client = self.unpooled(origin);
        self.0.pools.borrow_mut().insert(origin.clone(), client.clone());
        client
    }

    fn route(&self, origin: &Origin) -> Rc<Route> {
        let make = || Rc::new(Route::new(origin.clone(), Rc::clone(&self.0.settings), Arc::clone(&self.0.dial)));
        Rc::clone(self.0.routes.borrow_mut().entry(origin.clone()).or_insert_with(make))
    }

    /// A new pool, which takes the connections that stand ready.
    fn unpooled(&self, origin: &Origin) -> awc::Client {
        let settings = &self.0.settings;
        let connector = StrictConnector::new(self.route(origin));
        let connector = awc::Connector::new()
            .connector(connector)
            // How much may be under way is the gate's decision, and a wait for a slot would eat the response's time.
            .limit(0)
            .conn_keep_alive(settings.keep_alive)
            .conn_lifetime(settings.lifetime)
            // Ours comes first and says what happened.
            .timeout(settings.connect * 2 + Duration::from_secs(1));
        awc::ClientBuilder::new()
            .connector(connector)
            .disable_redirects()
            .disable_timeout()
            .no_default_headers()
            .finish()
    }
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient").field("settings", &self.0.settings).finish_non_exhaustive()
    }
}

/// An address taken apart.
struct Target {
    origin: Origin,
    path: String,
}

impl Target {
    fn parse(url: &str) -> Result<Self, TransportFault> {
        // The address is not repeated: one that can't be read might hold anything.
        let unusable = |reason: &str| TransportFault::Connect { host: "-".to_owned(), reason: reason.to_owned() };
        let uri: Uri = url.parse().map_err(|_| unusable("the request's address can't be read"))?;
        let is_https = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(unusable("the request's address is neither http nor https")),
        };
        let authority = uri.authority().ok_or_else(|| unusable("the request's address names no host"))?;
        if authority.as_str().contains('@') {
            return Err(unusable("the request's address holds credentials"));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        let port = port_of(authority, if is_https { 443 } else { 80 });
        let port = port.ok_or_else(|| unusable("the request's address has an impossible port"))?;
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        Ok(Self { origin: Origin { is_https, host, port }, path })
    }
}

fn prepare(client: &awc::Client, target: &Target, request: &Request) -> Result<awc::SendClientRequest, TransportFault> {
    let method = match request.method {
        Method::Get => awc::http::Method::GET,
        Method::Post => awc::http::Method::POST,
    };
    // Always `http`: TLS is done by our connector, and the scheme belongs to the pool already.
    let mut call = client
        .request(method, format!("http://{}{}", target.origin.place(), target.path))
        .insert_header((HOST, target.origin.host_header()))
        .insert_header((USER_AGENT, AGENT))
        .insert_header((ACCEPT_ENCODING, "gzip"));
    for (name, value) in &request.headers {
        let unusable = || TransportFault::Connect {
            host: target.origin.place(),
            reason: format!("the header `{name}` can't be sent"),
        };
        let mut value = HeaderValue::from_str(value.expose()).map_err(|_| unusable())?;
        value.set_sensitive(true);
        let name = awc::http::header::HeaderName::try_from(*name).map_err(|_| unusable())?;
        call = call.append_header((name, value));
    }
    Ok(match (&request.method, &request.body) {
        (_, Some(body)) => call.send_body(body.clone()),
        (Method::Post, None) => call.send_body(bytes::Bytes::new()),
        // Not `send`, which would state a length of zero.
        (Method::Get, None) => call.send_body(awc::body::None::new()),
    })
}

enum Coding {
    Identity,
    Gzip,
    Unknown(String),
}

fn coding(head: &AnswerHead) -> Coding {
    let mut names = head
        .headers_named("content-encoding")
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .filter(|name| !name.is_empty() && name != "identity");
    match (names.next(), names.next()) {
        (None, _) => Coding::Identity,
        (Some(name), None) if name == "gzip" || name == "x-gzip" => Coding::Gzip,
        (Some(name), None) => Coding::Unknown(printable(&name)),
        (Some(_), Some(_)) => Coding::Unknown("several".to_owned()),
    }
}

fn printable(text: &str) -> String {
    text.chars().take(40).map(|c| if (' '..='~').contains(&c) { c } else { '?' }).collect()
}

/// A failure that neither connector nor guard had a hand in.
fn unexplained(error: &SendRequestError, target: &Target, exchange: &Exchange) -> TransportFault {
    match error {
        SendRequestError::Response(error) => TransportFault::WrongKind(format!("its head can't be read ({error})")),
        other if exchange.has_been_sent() => TransportFault::NoAnswer(other.to_string()),
        other => TransportFault::Connect { host: target.origin.place(), reason: other.to_string() },
    }
}
