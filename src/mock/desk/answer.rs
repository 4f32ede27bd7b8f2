//! Answers of the desk on their way: whole, or in pieces as they are made.

use std::io;

use serde_json::json;
use tokio::io::{AsyncWrite, AsyncWriteExt};

use crate::mock::player::reason;
use crate::mock::request::MockRequest;

/// An answer that is at hand as a whole.
pub(super) struct Answer {
    status: u16,
    content_type: &'static str,
    further: String,
    body: Vec<u8>,
}

impl Answer {
    pub(super) fn new(status: u16, content_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self { status, content_type, further: String::new(), body: body.into() }
    }

    pub(super) fn html(page: Result<String, askama::Error>) -> Self {
        match page {
            Ok(page) => Self::new(200, "text/html; charset=utf-8", page),
            Err(error) => Self::refusal(500, &format!("the page can't be made: {error}")),
        }
    }

    /// A refusal in the words of the API.
    pub(super) fn refusal(status: u16, message: &str) -> Self {
        let body = json!({ "error": { "code": status, "message": message } });
        Self::new(status, "application/json", body.to_string())
    }

    /// The same with a further header line.
    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self.further.push_str(&format!("{name}: {value}\r\n"));
        self
    }
}

/// Sends an answer.
pub(super) async fn send<S: AsyncWrite + Unpin>(stream: &mut S, answer: Answer, last: bool) -> io::Result<()> {
    let length =
        if answer.status == 204 { String::new() } else { format!("Content-Length: {}\r\n", answer.body.len()) };
    let mut bytes = head(answer.status, answer.content_type, &(answer.further + &length), last).into_bytes();
    bytes.extend_from_slice(&answer.body);
    stream.write_all(&bytes).await?;
    stream.flush().await
}

fn head(status: u16, content_type: &str, further: &str, last: bool) -> String {
    let content_type =
        if content_type.is_empty() { String::new() } else { format!("Content-Type: {content_type}\r\n") };
    let close = if last { "Connection: close\r\n" } else { "" };
    let reason = reason(status);
    format!("HTTP/1.1 {status} {reason}\r\n{content_type}Cache-Control: no-store\r\n{further}{close}\r\n")
}

/// An answer that is made while it is sent. One that is dropped before its end was not told to its end, and the client
/// sees that.
pub(super) struct Pieces<'a, S> {
    stream: &'a mut S,
}

impl<'a, S: AsyncWrite + Unpin> Pieces<'a, S> {
    pub(super) async fn begin(stream: &'a mut S, content_type: &str, last: bool) -> io::Result<Self> {
        let head = head(200, content_type, "Transfer-Encoding: chunked\r\n", last);
        stream.write_all(head.as_bytes()).await?;
        Ok(Self { stream })
    }

    pub(super) async fn piece(&mut self, piece: &[u8]) -> io::Result<()> {
        if piece.is_empty() {
            return Ok(());
        }
        self.stream.write_all(format!("{:x}\r\n", piece.len()).as_bytes()).await?;
        self.stream.write_all(piece).await?;
        self.stream.write_all(b"\r\n").await
    }

    pub(super) async fn end(self) -> io::Result<()> {
        self.stream.write_all(b"0\r\n\r\n").await?;
        self.stream.flush().await
    }
}

/// Whether a browser sends the request for a page that is not of this very host and port. Other clients name no origin.
pub(super) fn is_of_another_page(request: &MockRequest) -> bool {
    let host = request.header("host").unwrap_or_default();
    let is_own = |origin: &str| origin.split_once("://").is_some_and(|(_, from)| from.eq_ignore_ascii_case(host));
    request.header("origin").is_some_and(|origin| !is_own(origin.trim()))
}

/// Whether the client would rather have HTML than JSON.
pub(super) fn prefers_html(request: &MockRequest) -> bool {
    let accept = request.header("accept").unwrap_or("*/*");
    weight(accept, "text", "text/html") > weight(accept, "application", "application/json")
}

/// How much a client likes a media type; what names it exactly counts before what names its kind.
fn weight(accept: &str, kind: &str, media_type: &str) -> f32 {
    let wanted = [media_type.to_owned(), format!("{kind}/*"), "*/*".to_owned()];
    let of = |wanted: &String| {
        accept.split(',').find_map(|range| {
            let mut parts = range.split(';').map(str::trim);
            let named = parts.next()?.eq_ignore_ascii_case(wanted);
            let q = parts.find_map(|part| part.strip_prefix("q=")?.parse().ok());
            named.then(|| q.unwrap_or(1.0))
        })
    };
    wanted.iter().find_map(of).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_another_host_or_port_is_another_one() {
        let asks = |origin: &str| {
            let request = MockRequest::get("/", "t").with_header("Host", "127.0.0.1:8080");
            is_of_another_page(&if origin.is_empty() { request } else { request.with_header("Origin", origin) })
        };
        assert_eq!(["", "http://127.0.0.1:8080"].map(asks), [false; 2]);
        let foreign = ["https://elsewhere.example", "http://127.0.0.1:8081", "http://127.0.0.1", "null", "://"];
        assert_eq!(foreign.map(asks), [true; 5]);
    }

    fn html(accept: &str) -> bool {
        prefers_html(&MockRequest::get("/", "t").with_header("Accept", accept))
    }

    #[test]
    fn a_browser_gets_a_page_and_a_program_gets_json() {
        assert!(html("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"));
        assert!(html("application/json;q=0.5, text/*;q=0.6"));
        for accept in ["*/*", "application/json", "application/json, text/html;q=0.9", "text/html;q=0, */*", ""] {
            assert!(!html(accept), "{accept}");
        }
        assert!(!prefers_html(&MockRequest::get("/", "t")));
    }
}
