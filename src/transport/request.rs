//! What is sent: a method, an address, headers and perhaps a body.
//!
//! Header values and bodies may carry tokens and client secrets, so that `Debug` shows neither. A header's text is
//! checked when it is made: nothing with a line break can reach the wire.

use std::fmt;
use std::rc::Rc;

use bytes::Bytes;

use crate::model::Secret;

/// The methods that the reporting API needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Reads; may be sent again when a pooled connection turns out to be stale.
    Get,
    /// Changes something; never sent twice, and always on a connection of its own.
    Post,
}

/// One request.
#[derive(Clone)]
pub struct Request {
    /// GET or POST.
    pub method: Method,
    /// The absolute `http` or `https` address.
    pub url: String,
    /// Headers beyond `Host`, `User-Agent`, `Accept-Encoding` and those of the framing, which are set here.
    pub headers: Vec<(&'static str, HeaderText)>,
    /// The body of a POST.
    pub body: Option<Bytes>,
    /// Asked where a connection had to be made for it first: whether it may still go out. If not, it is a
    /// [`TransportFault::Late`](crate::model::TransportFault::Late), and the connection is kept for the next one.
    pub may_go: Option<MayGo>,
}

/// Tells whether a request may still go out.
pub type MayGo = Rc<dyn Fn() -> bool>;

impl Request {
    /// A GET of that address, without headers of its own.
    pub fn get(url: impl Into<String>) -> Self {
        Self { method: Method::Get, url: url.into(), headers: Vec::new(), body: None, may_go: None }
    }

    /// A POST of that body to that address, without headers of its own.
    pub fn post(url: impl Into<String>, body: impl Into<Bytes>) -> Self {
        Self { method: Method::Post, url: url.into(), headers: Vec::new(), body: Some(body.into()), may_go: None }
    }

    /// The same request with one more header.
    pub fn with_header(mut self, name: &'static str, value: HeaderText) -> Self {
        self.headers.push((name, value));
        self
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("url", &self.url)
            .field("headers", &self.headers)
            .field("n_body_bytes", &self.body.as_ref().map_or(0, Bytes::len))
            .finish()
    }
}

/// The value of a header: visible ASCII, spaces and tabs, hidden from `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct HeaderText(Secret);

/// A header's value holds a line break, another control character, or something outside ASCII.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a header's value may hold visible ASCII characters, spaces and tabs only")]
pub struct BadHeaderText;

impl HeaderText {
    /// Checks the text and hides it.
    pub fn new(text: &str) -> Result<Self, BadHeaderText> {
        let allowed = |b: u8| b == b'\t' || (b' '..=b'~').contains(&b);
        if text.bytes().all(allowed) { Ok(Self(Secret::new(text))) } else { Err(BadHeaderText) }
    }

    /// A value that stands in the program's text.
    ///
    /// # Panics
    /// When the text could not be a header's value.
    pub fn fixed(text: &'static str) -> Self {
        Self::new(text).expect("a fixed header value is plain ASCII")
    }

    pub(super) fn expose(&self) -> &str {
        self.0.expose()
    }
}

impl fmt::Debug for HeaderText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_value_with_a_line_break_or_beyond_ascii_is_refused() {
        for text in ["a\r\nX-Evil: 1", "a\nb", "a\0b", "caf\u{e9}", "\u{7f}"] {
            assert_eq!(HeaderText::new(text), Err(BadHeaderText), "{text:?}");
        }
        assert!(HeaderText::new("Bearer abc.def-123~+/=").is_ok());
    }

    #[test]
    fn debug_output_of_a_request_shows_neither_header_values_nor_body() {
        let request = Request::post("http://tenant.example/token", "client_secret=canary-1")
            .with_header("authorization", HeaderText::fixed("Basic canary-2"));
        let shown = format!("{request:?}");
        assert!(shown.contains("authorization") && !shown.contains("canary"), "{shown}");
    }
}
