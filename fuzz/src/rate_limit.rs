//! `RateLimit` headers: whatever they say, they can only lower the pace, by a number that makes sense.

use std::time::Duration;

use cxtract::model::AnswerHead;
use cxtract::policy::rate_limit::{cap, rate_limit};

use crate::heads::{clock, head, only, with_first};

/// No quota runs longer.
const MONTH: Duration = Duration::from_secs(31 * 86_400);

/// The input: eight bytes of local clock, then header lines.
pub fn holds(data: &[u8]) {
    let (now, lines) = clock(data);
    let head = head(200, lines);
    let hint = rate_limit(&head, now);
    let speaks = |name: &str| name.starts_with("ratelimit") || name.starts_with("x-ratelimit");
    let own = only(&head, |name| speaks(name) || name == "date");
    assert_eq!(rate_limit(&own, now), hint, "another header mattered");
    if !head.headers.iter().any(|(name, _)| speaks(name)) {
        assert_eq!(hint, None, "a hint out of nothing");
    }
    if let Some(hint) = hint {
        assert!(hint.ceiling.is_some() || hint.remaining.is_some(), "a hint without anything in it");
        assert!(hint.ceiling.is_none_or(|ceiling| ceiling.is_finite() && ceiling > 0.0), "{hint:?}");
        assert!(hint.remaining.is_none_or(|(_, time)| !time.is_zero() && time <= MONTH), "{hint:?}");
        if let Some((pace, time)) = cap(&hint) {
            assert!(pace.is_finite() && pace >= 0.0 && !time.is_zero() && time <= MONTH, "{hint:?}: {pace} {time:?}");
            assert!(hint.ceiling.is_none_or(|ceiling| pace <= ceiling), "{hint:?}: {pace} is above the ceiling");
        }
    }
    lines_are_one_list(&head, now);
    // A policy that stands first is always heeded: the strictest one counts.
    let strict = with_first(&head, "x-ratelimit-limit", "1;w=50,");
    let stricter = rate_limit(&strict, now).and_then(|hint| hint.ceiling);
    assert!(stricter.is_some_and(|ceiling| ceiling <= 0.02), "{stricter:?} with one call in 50 s");
}

/// Several lines of one name mean what they mean joined by commas.
fn lines_are_one_list(head: &AnswerHead, now: cxtract::model::Timestamp) {
    let mut headers: Vec<(String, String)> = Vec::new();
    for (name, value) in &head.headers {
        // The date alone is no list.
        match headers.iter_mut().find(|(known, _)| known == name && name != "date") {
            Some((_, whole)) => *whole = format!("{whole},{value}"),
            None => headers.push((name.clone(), value.clone())),
        }
    }
    let joined = AnswerHead { status: head.status, headers };
    assert_eq!(rate_limit(&joined, now), rate_limit(head, now), "joined lines mean something else");
}
