//! Reads what an answer says of the tenant's quotas, in each of the forms that servers use.
//!
//! These headers describe, they don't ask for anything: they may lower the pace, and that is all. What can't be read or
//! can't be true is passed over, for a quota that was made up would slow everybody down. Pauses are read elsewhere.

mod fields;

use std::time::Duration;

use self::fields::{Item, digits, items};
use crate::model::{AnswerHead, Timestamp};
use crate::policy::retry_after::answered_at;

/// What happens within a shorter time is in the log of our own calls, and more exactly: who uses a quota of so many
/// calls a second to the full has none left all the time.
const TELLING: Duration = Duration::from_secs(2);

/// Policies stand on every answer; one that no answer has named for so long is no longer taken to hold.
const POLICY_HOLDS: Duration = Duration::from_secs(60);

/// What is left of a quota for longer than this is spent as it is needed, and more slowly only as it runs out: spread
/// over a day, even a large one would leave no pace to speak of.
const AHEAD: Duration = Duration::from_secs(60);

/// No quota runs longer than a month; what claims to is in some other unit.
const LONGEST: Duration = Duration::from_secs(31 * 86_400);

/// From here on a number of seconds is a date: as a time to come it would be decades.
const FIRST_DATE: u64 = 1_000_000_000;

/// What an answer says of the tenant's quotas.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RateHint {
    /// Calls a second that the quotas allow: those of the strictest one.
    pub ceiling: Option<f64>,
    /// Calls that are left until so much later; of several, those that allow the fewest a second. One that ends too
    /// soon to tell anything stands here only if there is no other.
    pub remaining: Option<(u64, Duration)>,
}

/// What the answer says of quotas; none where it says nothing that can be used. `now_wall` only matters where a date
/// stands without the answer's own.
pub fn rate_limit(head: &AnswerHead, now_wall: Timestamp) -> Option<RateHint> {
    if !head.headers.iter().any(|(name, _)| name.starts_with("ratelimit") || name.starts_with("x-ratelimit")) {
        return None;
    }
    let policy = joined(head, "ratelimit-policy");
    let policies = items(&policy);
    let (counted, foreign): (Vec<&Item<'_>>, Vec<&Item<'_>>) = policies.iter().partition(|item| counts_calls(item));

    let limits = [joined(head, "ratelimit-limit"), joined(head, "x-ratelimit-limit")];
    let limits: Vec<Item<'_>> = limits.iter().flat_map(|limit| items(limit)).collect();
    let ceiling = counted.into_iter().chain(&limits).filter_map(per_second).min_by(f64::total_cmp);

    let state = joined(head, "ratelimit");
    let states = items(&state);
    let is_foreign = |item: &&Item<'_>| foreign.iter().any(|policy| policy.name == item.name);
    let answered = answered_at(head, now_wall);
    let mut left: Vec<(u64, Duration)> = states
        .iter()
        .filter(|item| !is_foreign(item))
        .filter_map(|item| Some((digits(item.param("r")?)?, until(item.param("t")?, answered)?)))
        .collect();
    let member = |name| states.iter().rev().find(|item| item.name == name)?.value;
    left.extend(member("remaining").zip(member("reset")).and_then(|(n, reset)| calls_left(n, reset, answered)));
    for prefix in ["", "x-"] {
        let remaining = joined(head, &format!("{prefix}ratelimit-remaining"));
        let reset = joined(head, &format!("{prefix}ratelimit-reset"));
        // Several stand in the same order, else nobody knows which belong together.
        if remaining.split(',').count() == reset.split(',').count() {
            let pairs = remaining.split(',').zip(reset.split(','));
            left.extend(pairs.filter_map(|(n, reset)| calls_left(n, reset, answered)));
        }
    }
    let strictness = |(n, time): &(u64, Duration)| (*time < TELLING, spread(*n, *time));
    let remaining = left.into_iter().min_by(|a, b| {
        let (a, b) = (strictness(a), strictness(b));
        a.0.cmp(&b.0).then(a.1.total_cmp(&b.1))
    });
    (ceiling.is_some() || remaining.is_some()).then_some(RateHint { ceiling, remaining })
}

/// The calls a second that a hint leaves at most, and for how long; a newer hint takes the place of an older one.
///
/// None left makes it 0. Since the tenant didn't ask for a pause, that is no reason to stop: the caller goes on at the
/// least pace there is.
pub fn cap(hint: &RateHint) -> Option<(f64, Duration)> {
    let by_policy = hint.ceiling.filter(|ceiling| ceiling.is_finite() && *ceiling >= 0.0);
    let by_policy = by_policy.map(|ceiling| (ceiling, POLICY_HOLDS));
    let by_state = hint.remaining.filter(|(_, time)| (TELLING..=LONGEST).contains(time));
    let by_state = by_state.map(|(n, time)| (spread(n, time), time));
    by_policy.into_iter().chain(by_state).min_by(|a, b| a.0.total_cmp(&b.0))
}

/// Calls a second that use up what is left, or a minute's worth of it at once.
fn spread(n: u64, time: Duration) -> f64 {
    n as f64 / time.min(AHEAD).as_secs_f64()
}

/// A header that stands on several lines is one list.
fn joined(head: &AnswerHead, name: &str) -> String {
    head.headers_named(name).collect::<Vec<_>>().join(",")
}

/// There are quotas of bytes and of calls at a time as well.
fn counts_calls(policy: &Item<'_>) -> bool {
    policy.param("qu").is_none_or(|unit| unit.trim_matches('"').eq_ignore_ascii_case("requests"))
}

/// A quota stands in a parameter, and in older drafts in the place of the name. Without its window, over a long one, or
/// if it is 0 (some mean "no limit" by that), it tells no pace.
fn per_second(policy: &Item<'_>) -> Option<f64> {
    let quota = digits(policy.param("q").unwrap_or(policy.name))?;
    let window = seconds(policy.param("w")?)?;
    (quota > 0 && window <= AHEAD).then(|| quota as f64 / window.as_secs_f64())
}

fn calls_left(n: &str, reset: &str, answered: Timestamp) -> Option<(u64, Duration)> {
    Some((digits(n.trim())?, until(reset.trim(), answered)?))
}

/// How long until a reset that is given in seconds, or as the second since 1970 at which it comes.
fn until(reset: &str, answered: Timestamp) -> Option<Duration> {
    let number = digits(reset)?;
    if number < FIRST_DATE {
        return seconds(reset);
    }
    let date = Timestamp(i64::try_from(number).ok()?.checked_mul(1000)?);
    Some(date.since(answered)).filter(is_possible)
}

fn seconds(text: &str) -> Option<Duration> {
    digits(text).map(Duration::from_secs).filter(is_possible)
}

fn is_possible(time: &Duration) -> bool {
    !time.is_zero() && *time <= LONGEST
}

#[cfg(test)]
mod tests;
