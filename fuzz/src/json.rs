//! JSON bodies of the token, submission and status answers: read for what they say, and shown without any secret.

use cxtract::model::Outcome;
use cxtract::policy::token::{ExpiresIn, Grant, TokenAnswer};
use cxtract::tenant::{Call, CallFault, QueryBody, QueryStatus, StatusAnswer};
use serde_json::Value;

use crate::wire::{CLIENT_SECRET, Heard, TOKEN, answer, answered, query, token};

const STATUSES: [u16; 10] = [200, 201, 202, 400, 401, 403, 404, 410, 429, 503];

/// More than any message needs to show of a body.
const LONGEST_MESSAGE: usize = 1000;

/// The input: a byte that picks the status code (most pick 200), then the body.
pub fn holds(data: &[u8]) {
    let Some((pick, body)) = data.split_first() else { return };
    let status = STATUSES.get(usize::from(*pick)).copied().unwrap_or(200);
    let bytes = answer(status, b"Content-Type: application/json\r\n", body);
    let value = serde_json::from_slice::<Value>(body).ok();
    answered(bytes, async |client| {
        let (token, heard) = (token(), Heard::default());
        let call = || Call { token: &token, watch: &heard };
        let from = cxtract::model::Timestamp(0);
        let asked = QueryBody::new("t", cxtract::model::Window { from, to: from }, Vec::new(), 1);

        let submitted = client.submit(call(), &asked).await;
        let id = value.as_ref().and_then(|v| v.get("queryId")?.as_str()).filter(|id| !id.is_empty());
        match (status, submitted) {
            (200..=202, submitted) => match (id, submitted) {
                (Some(id), Ok(query)) => assert_eq!(query.as_str(), id),
                (None, Err(fault)) => is_of_the_wrong_kind(&fault),
                (id, submitted) => panic!("{id:?} was read as {:?}", submitted.map_err(|f| f.message)),
            },
            (_, Err(fault)) => can_be_shown(&fault),
            (_, Ok(_)) => panic!("a query was taken for submitted with status {status}"),
        }
        match client.status(call(), &query()).await {
            Ok(StatusAnswer::Gone) => assert!(matches!(status, 404 | 410)),
            Ok(StatusAnswer::Known(known)) => {
                assert_eq!(status, 200);
                is_status(value.as_ref(), &known);
            }
            Err(fault) if status == 200 => {
                let word = value.as_ref().and_then(|v| v.get("status")?.as_str());
                assert_eq!(word, None, "a status was not read");
                is_of_the_wrong_kind(&fault);
            }
            Err(fault) => can_be_shown(&fault),
        }
        // Last: the client hides whatever token it is given from then on.
        match client.token(&Grant::ClientCredentials, &heard).await {
            Ok(answer) => {
                assert_eq!(status, 200);
                is_token(value.as_ref(), &answer);
            }
            Err(fault) if status == 200 => {
                let text = value.as_ref().and_then(|v| v.get("access_token")?.as_str());
                assert_eq!(text, None, "a token was not read");
                is_of_the_wrong_kind(&fault);
            }
            Err(fault) => can_be_shown(&fault),
        }
    });
}

fn is_status(value: Option<&Value>, known: &QueryStatus) {
    let value = value.expect("only JSON can be read");
    match (value["status"].as_str(), known) {
        (Some("queued" | "running"), QueryStatus::Working) => {}
        (Some("complete"), QueryStatus::Complete { total_rows }) => {
            assert_eq!(*total_rows, value.get("totalRows").and_then(Value::as_u64));
        }
        (Some("failed"), QueryStatus::Failed(reason)) => {
            assert_eq!(reason.is_some(), value.get("errorMessage").is_some_and(Value::is_string));
            reason.iter().for_each(|words| is_fit_to_be_shown(words));
        }
        (Some(word), QueryStatus::Unknown(shown)) => {
            assert!(!["queued", "running", "complete", "failed"].contains(&word), "{word} was not known");
            is_fit_to_be_shown(shown);
        }
        (word, known) => panic!("{word:?} was read as {known:?}"),
    }
}

fn is_token(value: Option<&Value>, answer: &TokenAnswer) {
    let value = value.expect("only JSON can be read");
    assert_eq!(value["access_token"].as_str(), Some(answer.access_token.expose()));
    let refresh = value.get("refresh_token").and_then(Value::as_str);
    assert_eq!(refresh, answer.refresh_token.as_ref().map(|token| token.expose()));
    let digits = |text: &str| text.parse().ok().filter(|n| *n < 1 << 53 && text.bytes().all(|b| b.is_ascii_digit()));
    let due = match value.get("expires_in") {
        None | Some(Value::Null) => Some(ExpiresIn::Missing),
        Some(Value::Number(n)) => n.as_u64().filter(|n| *n < 1 << 53).map(ExpiresIn::Seconds),
        Some(Value::String(text)) => digits(text).map(ExpiresIn::Seconds),
        Some(_) => None,
    };
    if let Some(due) = due {
        assert_eq!(answer.expires_in, due);
    }
    if let ExpiresIn::Invalid(text) = &answer.expires_in {
        is_fit_to_be_shown(text);
    }
    let shown = format!("{answer:?}");
    assert!(!holds_secret(&shown), "{shown}");
}

fn is_of_the_wrong_kind(fault: &CallFault) {
    assert_eq!(fault.outcome, Outcome::WrongKind, "{}", fault.message);
    can_be_shown(fault);
}

fn can_be_shown(fault: &CallFault) {
    is_fit_to_be_shown(&fault.message);
    fault.oauth_error.iter().for_each(|error| is_fit_to_be_shown(error));
}

/// Short, without control characters, and without what must stay hidden.
fn is_fit_to_be_shown(text: &str) {
    assert!(text.chars().count() <= LONGEST_MESSAGE, "{} characters are shown", text.chars().count());
    assert!(!text.contains(char::is_control), "control characters are shown: {text:?}");
    assert!(!holds_secret(text), "a secret is shown: {text}");
}

fn holds_secret(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    [CLIENT_SECRET, TOKEN].iter().any(|secret| text.contains(&secret.to_ascii_lowercase()))
}
