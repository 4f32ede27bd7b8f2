//! The OpenAPI 3.1 document of what a tenant serves: the reporting API, and what the mock tells of its clients.
//!
//! The document stands in `openapi.json` beside this file and is written by hand. What holds it true is a test that sees
//! every kind of answer: a field that only one of the two knows, document or answer, fails it.

use serde_json::{Value, json};

const DOCUMENT: &str = include_str!("openapi.json");

/// The document, for a tenant at that address (`http://127.0.0.1:8080`).
pub fn openapi(base_url: &str) -> String {
    let mut document: Value = serde_json::from_str(DOCUMENT).expect("the document is JSON, as its tests have read");
    document["servers"][0]["url"] = json!(base_url);
    format!("{document:#}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_names_the_server_that_serves_it_and_nothing_else_changes() {
        let read = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        let mut served = read(&openapi("http://127.0.0.1:4711"));
        assert_eq!(served["servers"][0]["url"], "http://127.0.0.1:4711");
        let written = read(DOCUMENT);
        served["servers"][0]["url"] = written["servers"][0]["url"].clone();
        assert_eq!(served, written);
    }
}
