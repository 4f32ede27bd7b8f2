//! A request and its answer as they are held against the document.

use std::cell::OnceCell;
use std::fmt;

use serde_json::Value;

#[derive(Clone, Debug)]
pub(super) struct Exchange {
    pub(super) method: String,
    /// The path as the document writes it, as in `/queries/{queryId}`.
    pub(super) template: String,
    /// Where each parameter stands (`path`, `query`, `header`), its name and its value.
    pub(super) parameters: Vec<(&'static str, String, String)>,
    /// Header lines of the request that are no parameters.
    pub(super) request_headers: Vec<(String, String)>,
    /// The type of the request's body, and the body as a value; a form is an object of strings.
    pub(super) sent: Option<(String, Value)>,
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    pub(super) read: OnceCell<Vec<Result<Value, String>>>,
}

impl fmt::Display for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} answered {}", self.method, self.template, self.status)
    }
}

impl Exchange {
    pub(super) fn succeeded(&self) -> bool {
        (200..300).contains(&self.status)
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        named(&self.request_headers, name)
    }

    pub(super) fn answer_header(&self, name: &str) -> Option<&str> {
        named(&self.headers, name)
    }

    /// The answer's body as JSON.
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The body as the values that a schema is about: JSON, each line of JSON lines, or text.
    pub(super) fn values(&self, media_type: &str) -> &[Result<Value, String>] {
        let json = |text: &[u8]| serde_json::from_slice(text).map_err(|error| error.to_string());
        self.read.get_or_init(|| match media_type {
            "application/json" => vec![json(&self.body)],
            "application/x-ndjson" => self.body.split(|&b| b == b'\n').filter(|l| !l.is_empty()).map(json).collect(),
            _ => vec![Ok(Value::from(String::from_utf8_lossy(&self.body)))],
        })
    }
}

fn named<'a>(lines: &'a [(String, String)], name: &str) -> Option<&'a str> {
    lines.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}
