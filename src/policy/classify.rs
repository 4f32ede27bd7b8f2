//! Judges the head of an answer, or the lack of one: what it means for pacing, and what for the caller.
//!
//! The one place that knows which failures are ever tried again: 408, 429, 500, 502, 503, 504, network failures, and
//! 401 once. Every other refusal is final. It judges heads only: a body that turns out to be of the wrong kind is the
//! reader's finding.

use std::fmt;

use super::retry_after::retry_after;
use crate::model::{AnswerHead, Outcome, Timestamp, TransportFault};

/// How much of a text from outside a message shows.
const SHOWN_CHARS: usize = 200;

/// What kind of answer is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expecting {
    /// A token.
    Token,
    /// The acceptance of a query.
    Submit,
    /// A query's status.
    Status,
    /// A result page.
    Page,
}

/// What the head of an answer comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// For gate, breaker and retries.
    pub outcome: Outcome,
    /// For the caller; displays as the words of an error message.
    pub meaning: Meaning,
}

/// What the head of an answer says to the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// What was asked for: read the body.
    Expected,
    /// No such page: past the end, or the query is gone.
    Missing,
    /// No such query (any more).
    Gone,
    /// The token is expired or revoked.
    TokenRejected,
    /// The tenant asks for a pause, or refuses for want of one.
    Throttled {
        /// The status code.
        status: u16,
    },
    /// The tenant is unwell; it may pass.
    Unwell {
        /// The status code.
        status: u16,
    },
    /// The tenant refuses for good; its words are in the body.
    Denied {
        /// The status code.
        status: u16,
    },
    /// The tenant sends us elsewhere. Nothing is sent there.
    Moved {
        /// The status code.
        status: u16,
        /// Where to, fit to be shown.
        to: Option<String>,
    },
    /// Not what was asked for.
    Unasked {
        /// What came instead, fit to be shown.
        what: String,
    },
}

impl fmt::Display for Meaning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expected => f.write_str("the answer is as expected"),
            Self::Missing => f.write_str("status 404: no such page"),
            Self::Gone => f.write_str("the tenant no longer knows the query"),
            Self::TokenRejected => f.write_str("status 401: the access token was rejected"),
            Self::Throttled { status } => write!(f, "status {status}: the tenant asks for a pause"),
            Self::Unwell { status } => write!(f, "status {status}: the tenant is unwell"),
            Self::Denied { status } => write!(f, "status {status}: the tenant refuses, and will again"),
            Self::Moved { status, to: Some(to) } => {
                write!(f, "status {status}: redirected to {to}; redirects are not followed, correct the configured URL")
            }
            Self::Moved { status, to: None } => {
                write!(f, "status {status}: redirected without saying where to; correct the configured URL")
            }
            Self::Unasked { what } => write!(f, "answer of the wrong kind: {what}"),
        }
    }
}

/// Judges the head of an answer. `now_wall` only matters where a date stands without the answer's own.
pub fn classify_head(expecting: Expecting, head: &AnswerHead, now_wall: Timestamp) -> Verdict {
    let status = head.status;
    let (outcome, meaning) = match status {
        200..=299 => return classify_success(expecting, head),
        300..=399 => (Outcome::Permanent, Meaning::Moved { status, to: head.header("location").map(shown_url) }),
        // A token request carries no token that could have expired: there, 401 refuses the credentials.
        401 if expecting != Expecting::Token => (Outcome::AuthExpired, Meaning::TokenRejected),
        404 if expecting == Expecting::Page => (Outcome::Ok, Meaning::Missing),
        404 | 410 if expecting == Expecting::Status => (Outcome::Ok, Meaning::Gone),
        408 | 500 | 502 | 504 => (Outcome::Transient, Meaning::Unwell { status }),
        429 => (Outcome::Throttled { wait: retry_after(head, now_wall) }, Meaning::Throttled { status }),
        503 => match retry_after(head, now_wall) {
            Some(wait) => (Outcome::Throttled { wait: Some(wait) }, Meaning::Throttled { status }),
            None => (Outcome::Transient, Meaning::Unwell { status }),
        },
        400..=599 => (Outcome::Permanent, Meaning::Denied { status }),
        _ => (Outcome::WrongKind, Meaning::Unasked { what: format!("status {status}") }),
    };
    Verdict { outcome, meaning }
}

fn classify_success(expecting: Expecting, head: &AnswerHead) -> Verdict {
    let asked_for = match expecting {
        Expecting::Submit => matches!(head.status, 200..=202),
        Expecting::Token | Expecting::Status | Expecting::Page => head.status == 200,
    };
    if !asked_for {
        return unasked(format!("status {}", head.status));
    }
    match head.header("content-type") {
        Some(media_type) if expecting == Expecting::Page && !may_be_csv(media_type) => {
            unasked(format!("content type {} where CSV was due", shown(media_type)))
        }
        _ => Verdict { outcome: Outcome::Ok, meaning: Meaning::Expected },
    }
}

fn unasked(what: String) -> Verdict {
    Verdict { outcome: Outcome::WrongKind, meaning: Meaning::Unasked { what } }
}

fn may_be_csv(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    matches!(essence.as_str(), "" | "text/csv" | "application/csv" | "application/octet-stream")
}

/// Judges a call that got no whole answer.
pub fn classify_fault(fault: &TransportFault) -> Outcome {
    match fault {
        TransportFault::Untrusted { .. } | TransportFault::Late(_) => Outcome::Local,
        TransportFault::Unframed | TransportFault::OverLimit { .. } => Outcome::Contract,
        TransportFault::WrongKind(_) => Outcome::WrongKind,
        TransportFault::Dns { .. }
        | TransportFault::Connect { .. }
        | TransportFault::Proxy { .. }
        | TransportFault::HeadTimeout(_)
        | TransportFault::Stalled(_)
        | TransportFault::TooSlow { .. }
        | TransportFault::Cut { .. }
        | TransportFault::NoAnswer(_)
        | TransportFault::Stale(_)
        | TransportFault::Inflate(_) => Outcome::Transient,
    }
}

/// A URL without what may hold a secret: user, password, query and fragment.
pub(crate) fn shown_url(url: &str) -> String {
    let (place, rest) = url.split_at(url.find(['?', '#']).unwrap_or(url.len()));
    let (scheme, place) = match place.find("//") {
        Some(at) => place.split_at(at + 2),
        None => ("", place),
    };
    // Whatever stands before an `@` may be a password, even where a slash makes it a path by the letter.
    let place = place.rsplit('@').next().unwrap_or_default();
    let hidden = if rest.len() > 1 { format!("{}[hidden]", &rest[..1]) } else { String::new() };
    shown(&format!("{scheme}{place}{hidden}"))
}

/// A text from outside in one line, cut to a fit length, its control characters escaped.
fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN_CHARS).flat_map(char::escape_debug).collect();
    if text.chars().count() > SHOWN_CHARS {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const ALL: [Expecting; 4] = [Expecting::Token, Expecting::Submit, Expecting::Status, Expecting::Page];

    fn head(status: u16, headers: &[(&str, &str)]) -> AnswerHead {
        AnswerHead {
            status,
            headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        }
    }

    fn outcome(expecting: Expecting, head: &AnswerHead) -> Outcome {
        classify_head(expecting, head, Timestamp(0)).outcome
    }

    /// Written apart from the code: a table by status, without its ranges.
    fn due(expecting: Expecting, status: u16) -> Outcome {
        let transient = [408, 500, 502, 503, 504];
        let success: &[u16] = if expecting == Expecting::Submit { &[200, 201, 202] } else { &[200] };
        let answers: &[u16] = match expecting {
            Expecting::Page => &[404],
            Expecting::Status => &[404, 410],
            _ => &[],
        };
        if success.contains(&status) || answers.contains(&status) {
            Outcome::Ok
        } else if transient.contains(&status) {
            Outcome::Transient
        } else if status == 429 {
            Outcome::Throttled { wait: None }
        } else if status == 401 && expecting != Expecting::Token {
            Outcome::AuthExpired
        } else if status < 300 {
            Outcome::WrongKind
        } else {
            Outcome::Permanent
        }
    }

    #[test]
    fn h5_every_status_has_its_outcome_for_every_kind_of_call() {
        for expecting in ALL {
            for status in 100..=599 {
                assert_eq!(outcome(expecting, &head(status, &[])), due(expecting, status), "{expecting:?} {status}");
            }
        }
    }

    #[test]
    fn a_status_outside_the_protocol_is_an_answer_of_the_wrong_kind() {
        for status in [0, 99, 600, 999, u16::MAX] {
            assert_eq!(outcome(Expecting::Page, &head(status, &[])), Outcome::WrongKind, "{status}");
        }
    }

    #[test]
    fn a_hint_turns_503_into_a_pause_and_leaves_every_other_status_alone() {
        let pause = Outcome::Throttled { wait: Some(Duration::from_secs(7)) };
        for status in 100..=599 {
            let with_hint = outcome(Expecting::Status, &head(status, &[("retry-after", "7")]));
            let due = if matches!(status, 429 | 503) { pause } else { due(Expecting::Status, status) };
            assert_eq!(with_hint, due, "{status}");
        }
        assert_eq!(outcome(Expecting::Page, &head(503, &[("retry-after", "soon")])), Outcome::Transient);
    }

    #[test]
    fn h6_a_page_of_a_type_that_is_no_csv_is_an_answer_of_the_wrong_kind() {
        for good in ["text/csv", "TEXT/CSV; charset=utf-8", "application/csv", " application/octet-stream ;x", ""] {
            assert_eq!(outcome(Expecting::Page, &head(200, &[("content-type", good)])), Outcome::Ok, "{good}");
        }
        for bad in ["text/html", "application/json", "text/csvx", "text", "multipart/mixed; boundary=text/csv"] {
            assert_eq!(outcome(Expecting::Page, &head(200, &[("content-type", bad)])), Outcome::WrongKind, "{bad}");
        }
        assert_eq!(outcome(Expecting::Status, &head(200, &[("content-type", "text/html")])), Outcome::Ok);
    }

    #[test]
    fn h8_a_redirect_names_its_target_without_secrets_or_control_characters() {
        let table = [
            ("https://user:canary@evil.example/a?token=canary#x", "https://evil.example/a?[hidden]"),
            ("https://user:can/ary@evil.example/a", "https://evil.example/a"),
            ("/login#canary", "/login#[hidden]"),
            ("http://x/\u{1b}[31m\r\nred", "http://x/\\u{1b}[31m\\r\\nred"),
        ];
        for (location, due) in table {
            let verdict = classify_head(Expecting::Page, &head(302, &[("location", location)]), Timestamp(0));
            assert_eq!(verdict.meaning, Meaning::Moved { status: 302, to: Some(due.to_owned()) });
            assert!(verdict.meaning.to_string().contains(due));
            assert!(!verdict.meaning.to_string().contains("canary"));
        }
        let long = classify_head(Expecting::Page, &head(301, &[("location", &"x".repeat(5000))]), Timestamp(0));
        assert!(long.meaning.to_string().len() < 400);
    }

    #[test]
    fn each_meaning_says_what_the_caller_acts_on() {
        let meaning = |expecting, status| classify_head(expecting, &head(status, &[]), Timestamp(0)).meaning;
        assert_eq!(meaning(Expecting::Page, 404), Meaning::Missing);
        assert_eq!(meaning(Expecting::Status, 404), Meaning::Gone);
        assert_eq!(meaning(Expecting::Status, 410), Meaning::Gone);
        assert_eq!(meaning(Expecting::Page, 410), Meaning::Denied { status: 410 });
        assert_eq!(meaning(Expecting::Submit, 404), Meaning::Denied { status: 404 });
        assert_eq!(meaning(Expecting::Token, 401), Meaning::Denied { status: 401 });
        assert_eq!(meaning(Expecting::Page, 401), Meaning::TokenRejected);
        assert_eq!(meaning(Expecting::Submit, 202), Meaning::Expected);
        assert_eq!(meaning(Expecting::Page, 202), Meaning::Unasked { what: "status 202".to_owned() });
    }

    #[test]
    fn every_fault_of_the_transport_has_its_outcome() {
        let text = || "x".to_owned();
        let second = Duration::from_secs(1);
        let table = [
            (TransportFault::Dns { host: text(), reason: text() }, Outcome::Transient),
            (TransportFault::Connect { host: text(), reason: text() }, Outcome::Transient),
            (TransportFault::Untrusted { host: text(), reason: text() }, Outcome::Local),
            (TransportFault::Proxy { proxy: text(), host: text(), reason: text() }, Outcome::Transient),
            (TransportFault::HeadTimeout(second), Outcome::Transient),
            (TransportFault::Stalled(second), Outcome::Transient),
            (TransportFault::TooSlow { bytes_per_second: 1, over: second }, Outcome::Transient),
            (TransportFault::Cut { got: 1, expected: None, reason: text() }, Outcome::Transient),
            (TransportFault::NoAnswer(text()), Outcome::Transient),
            (TransportFault::Stale(text()), Outcome::Transient),
            (TransportFault::Late(text()), Outcome::Local),
            (TransportFault::Inflate(text()), Outcome::Transient),
            (TransportFault::Unframed, Outcome::Contract),
            (TransportFault::WrongKind(text()), Outcome::WrongKind),
            (TransportFault::OverLimit { what: "x", limit: text() }, Outcome::Contract),
        ];
        for (fault, due) in table {
            assert_eq!(classify_fault(&fault), due, "{fault}");
        }
    }
}
