//! A request as the tenant sees it, and which step of the protocol it is.
//!
//! The reading here is strict where the protocol is: what it doesn't name is [`CallKind::Other`]. Of such a path only
//! what is surely harmless goes on: a client that has its addresses wrong may have put a secret there.

use std::fmt;

use super::ledger::CallKind;

const QUERIES: &str = "/api/v2/reporting/queries";

/// A request with its whole body.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct MockRequest {
    /// `GET`, `POST`, …
    pub method: String,
    /// Path and query string, as sent.
    pub target: String,
    /// Header lines in order; names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl fmt::Debug for MockRequest {
    /// Without headers and body: they hold credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MockRequest")
            .field("method", &self.method)
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}

impl MockRequest {
    /// A `GET` with a bearer token.
    pub fn get(target: &str, token: &str) -> Self {
        let headers = vec![("authorization".into(), format!("Bearer {token}"))];
        Self { method: "GET".into(), target: target.into(), headers, body: Vec::new() }
    }

    /// A `POST` of that content type.
    pub fn post(target: &str, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("content-type".into(), content_type.into())];
        Self { method: "POST".into(), target: target.into(), headers, body: body.into() }
    }

    /// The same request with another header line.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_ascii_lowercase(), value.into()));
        self
    }

    /// The first header of that (lower-case) name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    pub(super) fn accepts_gzip(&self) -> bool {
        let codings = self.header("accept-encoding").unwrap_or_default();
        codings.split(',').any(|c| c.split(';').next().is_some_and(|name| name.trim().eq_ignore_ascii_case("gzip")))
    }

    pub(super) fn has_type(&self, media_type: &str) -> bool {
        let stated = self.header("content-type").unwrap_or_default();
        stated.split(';').next().is_some_and(|t| t.trim().eq_ignore_ascii_case(media_type))
    }

    pub(super) fn is_head(&self) -> bool {
        self.method == "HEAD"
    }

    /// Whether its body is sent only once there is leave to.
    pub(super) fn expects_leave(&self) -> bool {
        self.header("expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue"))
    }

    pub(super) fn bearer(&self) -> Option<&str> {
        self.credentials("Bearer")
    }

    /// What follows that scheme in `Authorization`. Schemes have no letter case (RFC 9110, 11.1).
    pub(super) fn credentials(&self, scheme: &str) -> Option<&str> {
        let (named, credentials) = self.header("authorization")?.split_once(' ')?;
        named.eq_ignore_ascii_case(scheme).then(|| credentials.trim_start_matches(' '))
    }
}

/// The host that an absolute target names, without credentials, and its path with the query string (RFC 9112, 3.2.2).
/// The target as it is where it is not of that form.
pub(super) fn origin_form(target: &str) -> (Option<&str>, &str) {
    let absolute = target
        .split_once("://")
        .filter(|(scheme, _)| ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)));
    let Some((_, rest)) = absolute else { return (None, target) };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    (Some(host), if path.is_empty() { "/" } else { path })
}

/// As much of a path as can be written down.
fn harmless(path: &str) -> &str {
    if path.starts_with('/') { plain(path, "-._~/") } else { "" }
}

/// As much of a query's id as can be written down. Those that tenants give are whole.
pub(super) fn harmless_id(id: &str) -> &str {
    plain(id, "-._~")
}

/// The beginning that stands for itself alone (RFC 3986, 2.3).
fn plain<'a>(text: &'a str, signs: &str) -> &'a str {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && !signs.contains(c));
    &text[..end.unwrap_or(text.len())]
}

/// What a request is about, read from its first line alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) kind: CallKind,
    pub(super) path: String,
    pub(super) query: Option<String>,
    pub(super) page: Option<u64>,
    pub(super) page_size: Option<u64>,
    pub(super) format: Option<String>,
}

impl Call {
    pub(super) fn read(request: &MockRequest, token_path: &str) -> Self {
        let (_, target) = origin_form(&request.target);
        let (path, parameters) = target.split_once('?').unwrap_or((target, ""));
        let mut call = Self {
            kind: CallKind::Other,
            path: path.to_owned(),
            query: None,
            page: None,
            page_size: None,
            format: None,
        };
        for (name, value) in form_urlencoded::parse(parameters.as_bytes()) {
            match name.as_ref() {
                "page" => call.page = value.parse().ok().filter(|&n| n > 0),
                "pageSize" => call.page_size = value.parse().ok().filter(|&n| n > 0),
                "format" => call.format = Some(value.into_owned()),
                _ => {}
            }
        }
        let method = request.method.as_str();
        if path == token_path {
            call.kind = if method == "POST" { CallKind::Token } else { CallKind::Other };
        } else if let Some(rest) = path.strip_prefix(QUERIES) {
            let parts: Vec<&str> = rest.split('/').collect();
            // Fault rules make up ids with anything in them; what stands behind these was never part of one.
            let is_id = |id: &str| !id.is_empty() && !id.contains([';', '#', '&', '@']);
            (call.kind, call.query) = match (method, parts.as_slice()) {
                ("POST", [""]) => (CallKind::Submit, None),
                ("GET", ["", id]) if is_id(id) => (CallKind::Status, Some((*id).to_owned())),
                ("GET", ["", id, "results"]) if is_id(id) => (CallKind::Page, Some((*id).to_owned())),
                _ => (CallKind::Other, None),
            };
        }
        if call.kind != CallKind::Page {
            call.page = None;
        }
        // That of the token endpoint is the tenant's own.
        if call.kind != CallKind::Token {
            call.path = harmless(path).to_owned();
        }
        call
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(method: &str, target: &str) -> CallKind {
        let request = MockRequest { method: method.into(), target: target.into(), ..MockRequest::default() };
        Call::read(&request, "/oauth2/token").kind
    }

    #[test]
    fn each_step_is_known_by_method_and_path() {
        assert_eq!(kind("POST", "/oauth2/token"), CallKind::Token);
        assert_eq!(kind("GET", "/oauth2/token"), CallKind::Other);
        assert_eq!(kind("POST", "/api/v2/reporting/queries"), CallKind::Submit);
        assert_eq!(kind("GET", "/api/v2/reporting/queries/q1"), CallKind::Status);
        assert_eq!(kind("GET", "/api/v2/reporting/queries/q1/results?format=csv&page=2&pageSize=9"), CallKind::Page);
        assert_eq!(kind("DELETE", "/api/v2/reporting/queries/q1"), CallKind::Other);
        assert_eq!(kind("GET", "/api/v2/reporting/queries//results"), CallKind::Other);
        assert_eq!(kind("GET", "/api/v2/reporting/queriesx"), CallKind::Other);
        assert_eq!(kind("GET", "/api/v2/reporting/queries/q%0D%0A:=1"), CallKind::Status);
        assert_eq!(kind("GET", "/api/v2/reporting/queries/q;a=b"), CallKind::Other);
    }

    #[test]
    fn an_absolute_target_is_read_like_its_path() {
        for (target, host, rest) in [
            ("http://a.test:80/b?c=d", Some("a.test:80"), "/b?c=d"),
            ("HTTPS://id:pass@a.test/b", Some("a.test"), "/b"),
            ("http://a.test", Some("a.test"), "/"),
            ("http://id@[::1]:8?b", Some("[::1]:8"), "?b"),
            ("/b?to=http://a.test/", None, "/b?to=http://a.test/"),
            ("ftp://a.test/b", None, "ftp://a.test/b"),
            ("*", None, "*"),
        ] {
            assert_eq!(origin_form(target), (host, rest), "{target}");
        }
        assert_eq!(kind("POST", "http://a.test/oauth2/token"), CallKind::Token);
        assert_eq!(kind("GET", "http://a.test/api/v2/reporting/queries/q1"), CallKind::Status);
    }

    #[test]
    fn no_secret_that_was_put_into_a_target_goes_on() {
        for target in [
            "http://id:CANARY@a.test/elsewhere",
            "http://id:CANARY@a.test",
            "ftp://id:CANARY@a.test/elsewhere",
            "id:CANARY@a.test:443",
            "CANARY",
            "/oauth2/token;client_secret=CANARY",
            "/oauth2/token#client_secret=CANARY",
            "/oauth2/token&client_secret=CANARY",
            "/oauth2/token%3Fclient_secret=CANARY",
            "/oauth2/token?client_secret=CANARY",
            "/id:CANARY@a.test/oauth2/token",
            "/api/v2/reporting/queries;key=CANARY",
            "/api/v2/reporting/queries/q1;key=CANARY",
            "/api/v2/reporting/queries/q1#key=CANARY",
            "/api/v2/reporting/queries/q1/results;key=CANARY",
            "/api/v2/reporting/queries/q1&key=CANARY/results",
            "/api/v2/reporting/queries/q1%3Fkey=CANARY",
            "/api/v2/reporting/queries/key=CANARY/results?page=1",
        ] {
            for method in ["GET", "POST", "CONNECT"] {
                let request = MockRequest { method: method.into(), target: target.into(), ..MockRequest::default() };
                let call = Call::read(&request, "/oauth2/token");
                let query = call.query.as_deref().map(harmless_id);
                let written = format!("{} {query:?}", call.path);
                assert!(!written.contains("CANARY"), "{target}: {written}");
            }
        }
        let unknown = MockRequest::get("/elsewhere/there-1.x;a=b/c", "t");
        assert_eq!(Call::read(&unknown, "/oauth2/token").path, "/elsewhere/there-1.x");
    }

    #[test]
    fn debug_output_shows_no_credentials() {
        let request = MockRequest::post("/oauth2/token", "x", "client_secret=canary");
        let request = request.with_header("Authorization", "Basic canary");
        assert!(!format!("{request:?}").contains("canary"));
    }

    #[test]
    fn credentials_are_found_whatever_the_letter_case_of_their_scheme() {
        let bearer = |value: &str| {
            let request = MockRequest::default().with_header("Authorization", value);
            request.bearer().map(str::to_owned)
        };
        for value in ["Bearer aB-1", "bearer aB-1", "BEARER  aB-1"] {
            assert_eq!(bearer(value).as_deref(), Some("aB-1"), "{value}");
        }
        assert_eq!(["Basic aB-1", "aB-1", "Bearers aB-1"].map(bearer), [None, None, None]);
    }

    #[test]
    fn gzip_is_accepted_only_where_it_is_named() {
        let request = |value| MockRequest::get("/", "t").with_header("Accept-Encoding", value);
        assert!(request("br, gzip;q=1").accepts_gzip());
        assert!(!request("identity").accepts_gzip());
        assert!(!MockRequest::get("/", "t").accepts_gzip());
    }
}
