//! Numbers, times and sizes in the form that people read; pure functions, used by every rendering.
//!
//! A time of day is local and carries its date only where that is not today's. Text that came from elsewhere is shown
//! with its control characters escaped, so that nothing a tenant says can steer a terminal.

use std::fmt::Write as _;
use std::time::Duration;

use cxtract::model::{ReportName, Timestamp};
pub(crate) use cxtract::model::{bytes, count, n_of};
use jiff::tz::TimeZone;

/// Bytes a second; nothing where too little time passed to tell.
pub(crate) fn rate(n: u64, took: Duration) -> Option<String> {
    let seconds = took.as_secs_f64();
    (seconds >= 0.05).then(|| format!("{}/s", bytes((n as f64 / seconds) as u64)))
}

/// The two largest units of a span: `2 m 40 s`, `3 h 5 m`, `850 ms`.
pub(crate) fn span(d: Duration) -> String {
    if d < Duration::from_secs(1) {
        return format!("{} ms", d.as_millis());
    }
    if d < Duration::from_secs(10) {
        let tenths = d.as_millis() / 100;
        return match tenths % 10 {
            0 => format!("{} s", tenths / 10),
            rest => format!("{}.{rest} s", tenths / 10),
        };
    }
    let s = d.as_secs();
    let (large, small, units) = match s {
        0..60 => return format!("{s} s"),
        60..3_600 => (s / 60, s % 60, ["m", "s"]),
        3_600..86_400 => (s / 3_600, s % 3_600 / 60, ["h", "m"]),
        _ => (s / 86_400, s % 86_400 / 3_600, ["d", "h"]),
    };
    if small == 0 { format!("{large} {}", units[0]) } else { format!("{large} {} {small} {}", units[0], units[1]) }
}

/// The local time of day, with the date where it isn't that of `now`.
pub(crate) fn clock(at: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
    let local = |t: Timestamp| jiff::Timestamp::from_millisecond(t.0).map(|t| t.to_zoned(zone.clone()));
    let (Ok(at_local), Ok(now)) = (local(at), local(now)) else { return at.to_string() };
    let form = if at_local.date() == now.date() { "%H:%M:%S" } else { "%Y-%m-%d %H:%M:%S" };
    at_local.strftime(form).to_string()
}

/// `14:03:10 (2 m 40 s)`: when, and how long that is from now.
pub(crate) fn until(at: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
    // Whole seconds: a countdown in tenths is restless.
    let left = Duration::from_secs(at.since(now).as_millis().div_ceil(1_000) as u64);
    format!("{} ({})", clock(at, now, zone), span(left))
}

/// What is said of a report, where its name stands beside it already.
pub(crate) fn without_name<'a>(text: &'a str, report: &ReportName) -> &'a str {
    text.strip_prefix(report.as_str()).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(text)
}

/// The text on one line, with every control character escaped.
pub(crate) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        // The bidirectional controls reorder what stands around them, which is steering too.
        if c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}') {
            let _ = write!(safe, "{}", c.escape_default());
        } else {
            safe.push(c);
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_needs_time_to_be_told() {
        assert_eq!(rate(3_000_000, Duration::from_secs(2)), Some("1.5 MB/s".into()));
        assert_eq!(rate(3_000_000, Duration::ZERO), None);
    }

    #[test]
    fn spans_show_their_two_largest_units() {
        let cases = [
            (0, "0 ms"),
            (850, "850 ms"),
            (4_000, "4 s"),
            (1_550, "1.5 s"),
            (59_999, "59 s"),
            (160_000, "2 m 40 s"),
            (3_600_000, "1 h"),
            (11_100_000, "3 h 5 m"),
            (90_000_000, "1 d 1 h"),
        ];
        for (ms, text) in cases {
            assert_eq!(span(Duration::from_millis(ms)), text);
        }
    }

    #[test]
    fn a_time_of_another_day_carries_its_date() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let now = Timestamp::parse("2024-01-31T13:00:30Z").unwrap();
        let soon = Timestamp::parse("2024-01-31T13:03:10Z").unwrap();
        let tomorrow = Timestamp::parse("2024-01-31T23:00:00Z").unwrap();
        assert_eq!(until(soon, now, &berlin), "14:03:10 (2 m 40 s)");
        assert_eq!(until(tomorrow, now, &berlin), "2024-02-01 00:00:00 (9 h 59 m)");
        assert_eq!(until(now, soon, &berlin), "14:00:30 (0 ms)");
    }

    #[test]
    fn a_name_that_stands_beside_the_text_is_not_said_twice() {
        let calls = ReportName::new("calls");
        assert_eq!(without_name("calls: page 3: gone", &calls), "page 3: gone");
        assert_eq!(without_name("calls2: gone", &calls), "calls2: gone");
    }

    #[test]
    fn s5_control_characters_are_shown_and_never_sent_to_the_terminal() {
        let hostile = "a\r\nb\u{1b}[2Jc\u{7}d\u{9b}e\u{202e}f";
        let safe = escaped(hostile);
        assert!(safe.chars().all(|c| !c.is_control() && c != '\u{202e}'), "{safe:?}");
        assert_eq!(escaped("grün, \"ok\" 😀"), "grün, \"ok\" 😀");
    }
}
