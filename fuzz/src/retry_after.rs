//! `Retry-After`: a pause that was asked for is found, however it is written, and no other.

use std::time::{Duration, SystemTime};

use cxtract::model::{AnswerHead, Timestamp};
use cxtract::policy::retry_after::{retry_after, skew};

use crate::heads::{clock, head, only, with_first};

/// The input: eight bytes of local clock, then header lines; where the first line has no colon, it is a value.
pub fn holds(data: &[u8]) {
    let (now, lines) = clock(data);
    let head = head(429, lines);
    let pause = retry_after(&head, now);
    assert!(pause.is_none_or(|pause| !pause.is_zero()), "a pause of nothing");
    let own = only(&head, |name| name == "retry-after" || name == "date");
    assert_eq!(retry_after(&own, now), pause, "another header mattered");

    let dates = only(&head, |name| name == "date");
    let values: Vec<&str> = head.headers_named("retry-after").collect();
    let alone = |value: &str| retry_after(&with_first(&dates, "retry-after", value), now);
    assert_eq!(pause, values.iter().filter_map(|value| alone(value)).max(), "not the longest of its lines");
    for value in &values {
        plain_seconds(value, alone(value));
    }
    if values.len() < 8 {
        let joined = values.join(", ");
        assert!(alone(&joined) >= pause, "lines that were joined ask for less");
    }
    own_date_counts(&head, &values, now);
    a_date_is_found(lines, now);
    if let Some((apart, _)) = skew(&head, now) {
        assert!(apart > Duration::from_secs(60));
    }
}

/// A number alone is so many seconds.
fn plain_seconds(value: &str, pause: Option<Duration>) {
    let text = value.trim();
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        let secs = text.bytes().fold(0u64, |n, d| n.saturating_mul(10).saturating_add(u64::from(d - b'0')));
        assert_eq!(pause, (secs > 0).then(|| Duration::from_secs(secs)), "{value:?}");
    }
    if !value.bytes().any(|b| b.is_ascii_digit()) {
        assert_eq!(pause, None, "a pause without a digit: {value:?}");
    }
}

/// Where the answer brings a date of its own, the local clock is nothing.
fn own_date_counts(head: &AnswerHead, values: &[&str], now: Timestamp) {
    let dated = with_first(head, "date", "Sun, 06 Nov 1994 08:49:37 GMT");
    let here = retry_after(&dated, now);
    for there in [Timestamp(0), Timestamp(i64::MAX), Timestamp(i64::MIN)] {
        assert_eq!(retry_after(&dated, there), here, "the local clock counted: {values:?}");
    }
}

/// A date so much later than the answer's, among whatever else, is no shorter pause than that.
fn a_date_is_found(lines: &[u8], now: Timestamp) {
    let Some((seed, rest)) = lines.split_first_chunk::<4>() else { return };
    let secs = 1 + u64::from(u32::from_le_bytes(*seed) % 100_000_000);
    let answered = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
    let date = httpdate::fmt_http_date(answered + Duration::from_secs(secs));
    let junk: String = rest.iter().take(20).map(|&b| char::from(b)).filter(|c| !c.is_control()).collect();
    let headers = vec![("date".to_owned(), httpdate::fmt_http_date(answered))];
    let dated = AnswerHead { status: 503, headers };
    let pause = |value: &str| retry_after(&with_first(&dated, "retry-after", value), now);
    assert_eq!(pause(&date), Some(Duration::from_secs(secs)));
    assert!(pause(&format!("{junk}, {date}")) >= Some(Duration::from_secs(secs)), "{date} behind {junk:?}");
}
