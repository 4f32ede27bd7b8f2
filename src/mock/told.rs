//! How a tenant tells of its limits: the wait of a refusal, and what is left of its quotas.
//!
//! The forms only: what is true is the limiter's business. A tenant may say nothing at all.

use std::fmt::Write as _;
use std::time::Duration;

use crate::model::Timestamp;

use super::limit::Standing;
use super::script::Script;
use super::settings::{RateLimitHeaders, RetryAfter};

/// Adds what is left of the quotas, in that form. Where only one can be named, it is the one with the least left.
pub(super) fn tell_quotas(script: &mut Script, form: RateLimitHeaders, standings: &[Standing]) {
    let Some(scarcest) = standings.iter().min_by_key(|standing| standing.remaining) else { return };
    let prefix = match form {
        RateLimitHeaders::None => return,
        RateLimitHeaders::Prefixed => "X-RateLimit",
        RateLimitHeaders::Separate => "RateLimit",
        RateLimitHeaders::Structured => return tell_all(script, standings),
    };
    script.set(&format!("{prefix}-Limit"), &scarcest.quota.calls.to_string());
    script.set(&format!("{prefix}-Remaining"), &scarcest.remaining.to_string());
    script.set(&format!("{prefix}-Reset"), &seconds_of_time(scarcest.reset).to_string());
}

fn tell_all(script: &mut Script, standings: &[Standing]) {
    let (mut policy, mut left) = (String::new(), String::new());
    for (nth, standing) in standings.iter().enumerate() {
        let name = if nth == 0 { "default".to_owned() } else { format!("quota-{nth}") };
        let comma = if nth == 0 { "" } else { ", " };
        let (calls, per) = (standing.quota.calls, seconds_of_time(standing.quota.per));
        let reset = seconds_of_time(standing.reset);
        // Writing to memory does not fail.
        write!(policy, "{comma}\"{name}\";q={calls};w={per}").ok();
        write!(left, "{comma}\"{name}\";r={};t={reset}", standing.remaining).ok();
    }
    script.set("RateLimit-Policy", &policy);
    script.set("RateLimit", &left);
}

fn seconds_of_time(time: Duration) -> u64 {
    whole_seconds(time).max(1)
}

/// Rounded up: a wait may be told too long and never too short.
pub(super) fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

/// The wait that an answer names, by a wall clock that shows `own` as it is sent.
///
/// Of several, on lines of their own or joined by commas, it is the longest.
pub(super) fn wait_in(script: &Script, own: Timestamp) -> Option<Duration> {
    let lines = script.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("Retry-After"));
    lines.filter_map(|(_, value)| longest_in(value, own)).max()
}

fn longest_in(value: &str, own: Timestamp) -> Option<Duration> {
    let parts: Vec<&str> = value.split(',').collect();
    // The date of two of the three forms has a comma of its own, behind its first word.
    let single = parts.iter().filter_map(|part| wait_of(part.trim(), own));
    let pairs = parts.windows(2).filter_map(|pair| wait_of(pair.join(",").trim(), own));
    single.chain(pairs).max()
}

/// Longer waits are as good as for ever, and easier to reckon with.
const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 86_400);

fn wait_of(value: &str, own: Timestamp) -> Option<Duration> {
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(value.parse().map_or(FOR_EVER, Duration::from_secs).min(FOR_EVER));
    }
    let date = httpdate::parse_http_date(value).ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    date.checked_sub(Duration::from_secs(u64::try_from(own.0).ok()? / 1000))
}

/// The lines of `Retry-After` that tell of a wait which is over at `until`.
pub(super) fn wait_lines(form: &RetryAfter, wait: Duration, until: Timestamp) -> Vec<String> {
    match form {
        RetryAfter::Seconds => vec![whole_seconds(wait).to_string()],
        RetryAfter::Missing => Vec::new(),
        RetryAfter::Garbage(text) => vec![text.clone()],
        RetryAfter::Lines(texts) => texts.clone(),
        form => vec![http_date(until, form)],
    }
}

pub(super) fn http_date(time: Timestamp, form: &RetryAfter) -> String {
    let pattern = match form {
        RetryAfter::Rfc850 => "%A, %d-%b-%y %H:%M:%S GMT",
        RetryAfter::Asctime => "%a %b %e %H:%M:%S %Y",
        _ => "%a, %d %b %Y %H:%M:%S GMT",
    };
    jiff::Timestamp::from_millisecond(time.0).unwrap_or_default().strftime(pattern).to_string()
}

#[cfg(test)]
mod tests {
    use super::super::limit::Quota;
    use super::*;

    fn told(form: RateLimitHeaders) -> Vec<(String, String)> {
        let standing = |calls, seconds, remaining, reset| {
            let quota = Quota { calls, per: Duration::from_secs(seconds) };
            Standing { quota, remaining, reset: Duration::from_millis(reset) }
        };
        let mut script = Script::new(200, "", "");
        tell_quotas(&mut script, form, &[standing(20, 1, 12, 400), standing(600, 60, 3, 20_500)]);
        script.headers
    }

    fn lines(lines: &[(&str, &str)]) -> Vec<(String, String)> {
        lines.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn a_form_that_names_one_quota_names_the_scarcest() {
        let left = |prefix: &str| {
            ["Limit", "Remaining", "Reset"].map(|name| format!("{prefix}-{name}")).into_iter().zip(["600", "3", "21"])
        };
        let owned = |prefix| left(prefix).map(|(name, value)| (name, value.to_owned())).collect::<Vec<_>>();
        assert_eq!(told(RateLimitHeaders::Prefixed), owned("X-RateLimit"));
        assert_eq!(told(RateLimitHeaders::Separate), owned("RateLimit"));
        assert_eq!(told(RateLimitHeaders::None), []);
    }

    #[test]
    fn the_structured_form_names_them_all() {
        let expected = lines(&[
            ("RateLimit-Policy", "\"default\";q=20;w=1, \"quota-1\";q=600;w=60"),
            ("RateLimit", "\"default\";r=12;t=1, \"quota-1\";r=3;t=21"),
        ]);
        assert_eq!(told(RateLimitHeaders::Structured), expected);
    }
}
