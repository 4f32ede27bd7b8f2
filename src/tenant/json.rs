//! The JSON that a tenant is sent and answers with.

use serde::Serialize;
use serde_json::Value;

use crate::model::Secret;
use crate::model::{QueryId, Window};
use crate::policy::token::{ExpiresIn, TokenAnswer};

/// One filter of a query.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SubmitFilter {
    /// The field.
    pub field: String,
    /// The operator.
    pub operator: String,
    /// What it is compared with.
    pub value: Value,
}

/// The body of a submission. `format: csv` is always declared: without it the tenant makes slow, damaged JSON.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QueryBody {
    template_id: String,
    format: &'static str,
    query: Query,
    page_size: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Query {
    start_date: String,
    end_date: String,
    filters: Vec<SubmitFilter>,
}

impl QueryBody {
    /// The query for `window`, both ends included.
    pub fn new(template_id: &str, window: Window, filters: Vec<SubmitFilter>, page_size: u64) -> Self {
        let query = Query { start_date: window.from.to_string(), end_date: window.to.to_string(), filters };
        Self { template_id: template_id.to_owned(), format: "csv", query, page_size }
    }
}

/// Where a query stands, in the tenant's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueryStatus {
    /// `queued` or `running`.
    Working,
    /// `complete`.
    Complete {
        /// `totalRows`, where it was a count.
        total_rows: Option<u64>,
    },
    /// `failed`, with the tenant's reason (neither masked nor escaped yet).
    Failed(Option<String>),
    /// A word that the protocol doesn't have.
    Unknown(String),
}

/// What the status endpoint says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StatusAnswer {
    /// The query is there.
    Known(QueryStatus),
    /// 404 or 410: unknown or expired.
    Gone,
}

/// Reads a submission's answer; `None` where it can't be read.
pub(super) fn query_id(body: &[u8]) -> Option<QueryId> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    let id = answer.get("queryId")?.as_str()?;
    (!id.is_empty()).then(|| QueryId::new(id))
}

/// Reads a status answer; `None` where it can't be read.
pub(super) fn query_status(body: &[u8]) -> Option<QueryStatus> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    Some(match answer.get("status")?.as_str()? {
        "queued" | "running" => QueryStatus::Working,
        "complete" => QueryStatus::Complete { total_rows: answer.get("totalRows").and_then(Value::as_u64) },
        "failed" => QueryStatus::Failed(answer.get("errorMessage").and_then(Value::as_str).map(str::to_owned)),
        word => QueryStatus::Unknown(word.to_owned()),
    })
}

/// Reads a token answer; `None` where it can't be read or holds no token.
pub(super) fn token(body: &[u8]) -> Option<TokenAnswer> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    let access_token = Secret::new(answer.get("access_token")?.as_str()?);
    let expires_in = match answer.get("expires_in") {
        None | Some(Value::Null) => ExpiresIn::Missing,
        Some(Value::Number(n)) => n.as_f64().map_or_else(|| ExpiresIn::Invalid(n.to_string()), ExpiresIn::from_number),
        Some(Value::String(text)) => ExpiresIn::from_text(text),
        Some(other) => ExpiresIn::Invalid(other.to_string()),
    };
    let refresh_token = answer.get("refresh_token").and_then(Value::as_str).map(Secret::new);
    Some(TokenAnswer { access_token, expires_in, refresh_token })
}

/// OAuth's `error` and `error_description`.
pub(super) fn oauth_error(body: &[u8]) -> Option<(String, Option<String>)> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    let error = answer.get("error")?.as_str()?.to_owned();
    Some((error, answer.get("error_description").and_then(Value::as_str).map(str::to_owned)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;

    #[test]
    fn a_submission_has_exactly_the_published_fields() {
        let window = Window {
            from: Timestamp::parse("2024-01-01T00:00:00Z").unwrap(),
            to: Timestamp::parse("2024-01-31T23:59:59.999Z").unwrap(),
        };
        let filter = SubmitFilter { field: "channel".into(), operator: "eq".into(), value: "voice".into() };
        let body = serde_json::to_string(&QueryBody::new("t", window, vec![filter], 5000)).unwrap();
        assert_eq!(
            body,
            r#"{"templateId":"t","format":"csv","query":{"startDate":"2024-01-01T00:00:00.000Z","endDate":"2024-01-31T23:59:59.999Z","filters":[{"field":"channel","operator":"eq","value":"voice"}]},"pageSize":5000}"#
        );
    }

    #[test]
    fn status_words_are_read_as_they_are() {
        assert_eq!(query_status(br#"{"status":"queued"}"#), Some(QueryStatus::Working));
        let complete = query_status(br#"{"status":"complete","totalRows":7}"#);
        assert_eq!(complete, Some(QueryStatus::Complete { total_rows: Some(7) }));
        let odd_count = query_status(br#"{"status":"complete","totalRows":"many"}"#);
        assert_eq!(odd_count, Some(QueryStatus::Complete { total_rows: None }));
        assert_eq!(query_status(br#"{"status":"Complete"}"#), Some(QueryStatus::Unknown("Complete".into())));
        assert_eq!(query_status(b"<html>"), None);
        assert_eq!(query_status(br#"{"state":"complete"}"#), None);
    }

    #[test]
    fn an_answer_without_a_query_id_is_no_answer() {
        assert_eq!(query_id(br#"{"queryId":"q-1"}"#), Some(QueryId::new("q-1")));
        assert_eq!(query_id(br#"{"queryId":""}"#), None);
        assert_eq!(query_id(br#"{}"#), None);
    }
}
