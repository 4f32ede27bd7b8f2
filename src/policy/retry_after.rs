//! Reads `Retry-After`, whatever form it comes in.
//!
//! A date is measured against the answer's own `Date`, so that a wrong clock on either side does no harm. Only a pause
//! that is provably asked for counts: anything else is no hint, and the caller falls back to its own backoff. Zero and
//! dates in the past are no pause either: obeying them would mean to send again at once, uncounted and for ever.

use std::time::{Duration, SystemTime};

use crate::model::{AnswerHead, Timestamp};

/// The pause that the answer asks for; the longest one where it names several.
pub fn retry_after(head: &AnswerHead, now_wall: Timestamp) -> Option<Duration> {
    let answered = answered_at(head, now_wall);
    head.headers_named("retry-after").filter_map(|value| pause(value, answered)).max()
}

/// When the answer was made, by the clock that wrote its dates as far as that is known.
pub(super) fn answered_at(head: &AnswerHead, now_wall: Timestamp) -> Timestamp {
    date(head).unwrap_or(now_wall)
}

/// Clocks that are farther apart than this are worth a word.
const TELLING_SKEW: Duration = Duration::from_secs(60);

/// How far the answer's `Date` is from this machine's clock, and whether it is ahead of it; none where that is too
/// little to matter. Pauses and tokens don't depend on it: they run on the monotonic clock.
pub fn skew(head: &AnswerHead, now_wall: Timestamp) -> Option<(Duration, bool)> {
    let date = date(head)?;
    let (apart, is_ahead) = (date.since(now_wall).max(now_wall.since(date)), date > now_wall);
    (apart > TELLING_SKEW).then_some((apart, is_ahead))
}

fn date(head: &AnswerHead) -> Option<Timestamp> {
    head.headers_named("date").find_map(http_date)
}

fn pause(value: &str, answered: Timestamp) -> Option<Duration> {
    // Intermediaries join repeated headers with commas, and two of the three forms of a date hold one themselves.
    let parts: Vec<&str> = value.split(',').collect();
    let whole = parts.iter().map(|part| (*part).to_owned());
    let dates = parts.windows(2).map(|pair| pair.join(","));
    let read = |text: String| {
        let text = text.trim();
        seconds(text).or_else(|| http_date(text).map(|date| date.since(answered)))
    };
    whole.chain(dates).filter_map(read).max().filter(|asked| *asked > Duration::ZERO)
}

/// Digits only; more than fit are the most that fit.
fn seconds(text: &str) -> Option<Duration> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| Duration::from_secs(text.parse().unwrap_or(u64::MAX)))
}

/// A date in any of the three forms that HTTP knows.
fn http_date(text: &str) -> Option<Timestamp> {
    let (text, leap) = without_leap_second(text);
    let since_1970 = httpdate::parse_http_date(&text).ok()?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(Timestamp(i64::try_from(since_1970.as_millis()).ok()?).plus(leap))
}

/// The parser knows no second 60; the second after 59 is the same moment.
fn without_leap_second(text: &str) -> (String, Duration) {
    match text.find(":60 ") {
        Some(at) => (format!("{}:59{}", &text[..at], &text[at + 3..]), Duration::from_secs(1)),
        None => (text.to_owned(), Duration::ZERO),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

    fn now_wall() -> Timestamp {
        http_date(NOW).unwrap()
    }

    fn answer(headers: &[(&str, &str)]) -> AnswerHead {
        AnswerHead {
            status: 429,
            headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        }
    }

    fn read(value: &str) -> Option<u64> {
        retry_after(&answer(&[("retry-after", value)]), now_wall()).map(|pause| pause.as_secs())
    }

    mod faults {
        use super::*;

        #[test]
        fn l3_a_tenant_s_clock_that_is_minutes_off_is_told_and_seconds_are_not() {
            let head = |date: &str| answer(&[("date", date)]);
            let told = |date| skew(&head(date), now_wall());
            assert_eq!(told(NOW), None);
            assert_eq!(told("Sun, 06 Nov 1994 08:50:30 GMT"), None);
            assert_eq!(told("Sun, 06 Nov 1994 08:59:37 GMT"), Some((Duration::from_secs(600), true)));
            assert_eq!(told("Sun, 06 Nov 1994 08:39:37 GMT"), Some((Duration::from_secs(600), false)));
            assert_eq!(told("yesterday"), None);
        }

        #[test]
        fn h1_seconds_are_taken_as_they_are() {
            for (value, secs) in [("1", 1), (" 120 ", 120), ("0042", 42), ("900", 900)] {
                assert_eq!(read(value), Some(secs), "{value}");
            }
        }

        #[test]
        fn h2_a_date_in_each_of_the_three_forms_is_read() {
            for value in ["Sun, 06 Nov 1994 08:50:37 GMT", "Sunday, 06-Nov-94 08:50:37 GMT", "Sun Nov  6 08:50:37 1994"]
            {
                assert_eq!(read(value), Some(60), "{value}");
            }
        }

        #[test]
        fn h2_a_date_counts_from_the_answers_own_date_and_not_from_the_local_clock() {
            let head = answer(&[("date", NOW), ("retry-after", "Sun, 06 Nov 1994 08:49:47 GMT")]);
            for skew in [-86_400_000, 0, 86_400_000, 1_000_000_000_000] {
                let local = Timestamp(now_wall().0 + skew);
                assert_eq!(retry_after(&head, local), Some(Duration::from_secs(10)), "{skew}");
            }
        }

        #[test]
        fn l3_an_unreadable_date_of_the_answer_leaves_the_local_clock() {
            let head = answer(&[("date", "some day"), ("retry-after", "Sun, 06 Nov 1994 08:49:47 GMT")]);
            assert_eq!(retry_after(&head, now_wall()), Some(Duration::from_secs(10)));
            let twice =
                answer(&[("date", "some day"), ("date", NOW), ("retry-after", "Sun, 06 Nov 1994 08:49:47 GMT")]);
            assert_eq!(retry_after(&twice, Timestamp(0)), Some(Duration::from_secs(10)));
        }

        #[test]
        fn h3_what_is_no_pause_is_no_hint() {
            for value in [
                "",
                " ",
                "soon",
                "-5",
                "+5",
                "1.5",
                "1e3",
                "0x10",
                "5s",
                "0",
                "000",
                "٣",
                "1 2",
                "Sun, 06 Nov 1994 08:49:36 GMT",
                "Mon, 06 Nov 1994 08:50:37 GMT",
                "Sun, 31 Feb 1994 08:50:37 GMT",
                "Sun, 06 Nov 1994 08:50:37 CET",
            ] {
                assert_eq!(read(value), None, "{value}");
            }
        }

        #[test]
        fn h3_a_number_too_large_for_any_clock_is_the_largest_pause_there_is() {
            assert_eq!(read("1180591620717411303424"), Some(u64::MAX));
            assert_eq!(read("18446744073709551615"), Some(u64::MAX));
        }

        #[test]
        fn h3_of_several_the_largest_valid_one_wins() {
            let head = answer(&[("retry-after", "5"), ("retry-after", "never"), ("retry-after", "30")]);
            assert_eq!(retry_after(&head, now_wall()), Some(Duration::from_secs(30)));
            let head = answer(&[("retry-after", "5"), ("retry-after", "Sun, 06 Nov 1994 08:51:37 GMT")]);
            assert_eq!(retry_after(&head, now_wall()), Some(Duration::from_secs(120)));
            assert_eq!(read("5, 70, x"), Some(70));
        }

        #[test]
        fn h3_seconds_and_dates_that_were_joined_are_all_read() {
            let table = [
                ("5, Sun, 06 Nov 1994 08:51:37 GMT", Some(120)),
                ("Sun, 06 Nov 1994 08:51:37 GMT, 5", Some(120)),
                ("Sun, 06 Nov 1994 08:51:37 GMT, 500", Some(500)),
                ("Sun, 06 Nov 1994 08:50:37 GMT, Sunday, 06-Nov-94 08:51:37 GMT", Some(120)),
                ("Sunday, 06-Nov-94 08:51:37 GMT,5,Sun Nov  6 08:52:37 1994", Some(180)),
                ("soon, Sun, 06 Nov 1994 08:51:37 GMT,", Some(120)),
                ("Sun, 06 Nov 1994 08:49:36 GMT, 0", None),
                ("Sun,, 06 Nov 1994 08:51:37 GMT", None),
                (",,,", None),
            ];
            for (value, secs) in table {
                assert_eq!(read(value), secs, "{value}");
            }
        }

        #[test]
        fn h4_rate_limit_headers_alone_ask_for_no_pause() {
            let head = answer(&[("ratelimit-reset", "30"), ("x-ratelimit-reset", "30")]);
            assert_eq!(retry_after(&head, now_wall()), None);
        }

        #[test]
        fn l2_leap_seconds_far_years_and_two_digit_years_are_read() {
            let table = [
                ("Sat, 31 Dec 2016 23:59:50 GMT", "Sat, 31 Dec 2016 23:59:60 GMT", Some(10)),
                ("Sat, 31 Dec 2016 23:59:50 GMT", "Saturday, 31-Dec-16 23:59:60 GMT", Some(10)),
                ("Sat, 31 Dec 2016 23:59:50 GMT", "Sat Dec 31 23:59:60 2016", Some(10)),
                ("Wed, 28 Feb 2024 23:59:50 GMT", "Thu, 29 Feb 2024 00:00:00 GMT", Some(10)),
                ("Tue, 28 Feb 2023 23:59:50 GMT", "Wed, 29 Feb 2023 00:00:00 GMT", None),
                ("Fri, 31 Dec 1999 23:59:59 GMT", "Saturday, 01-Jan-00 00:00:09 GMT", Some(10)),
                ("Tue, 19 Jan 2038 03:14:00 GMT", "Tue, 19 Jan 2038 03:14:08 GMT", Some(8)),
                ("Thu, 31 Dec 2026 23:59:59 GMT", "Friday, 01-Jan-27 00:00:09 GMT", Some(10)),
                ("Sun, 29 Mar 2026 00:59:59 GMT", "Sun, 29 Mar 2026 01:00:00 GMT", Some(1)),
                ("Thu, 01 Jan 2026 00:00:00 GMT", "Thursday, 01-Jan-70 00:00:10 GMT", None),
            ];
            for (date, value, secs) in table {
                let head = answer(&[("date", date), ("retry-after", value)]);
                assert_eq!(retry_after(&head, Timestamp(0)).map(|p| p.as_secs()), secs, "{value}");
            }
        }
    }

    fn value() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            prop::sample::select(vec![
                ",", " ", "-", ":60 ", "Sun", "Sunday", "Nov", "06", "1994", "08:49:60", "GMT", NOW, "00", "١",
            ])
            .prop_map(str::to_owned),
            any::<u64>().prop_map(|n| n.to_string()),
            any::<char>().prop_map(String::from),
        ];
        prop_oneof![any::<String>(), prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())]
    }

    proptest! {
        #[test]
        fn h3_no_header_makes_a_panic_or_a_pause_of_nothing(
            date in value(), values in prop::collection::vec(value(), 0..4), now in any::<i64>(),
        ) {
            let mut head = answer(&[("date", &date)]);
            head.headers.extend(values.into_iter().map(|value| ("retry-after".to_owned(), value)));
            prop_assert!(retry_after(&head, Timestamp(now)).is_none_or(|pause| !pause.is_zero()));
            skew(&head, Timestamp(now));
        }

        #[test]
        fn h3_what_is_joined_asks_for_no_less_than_its_parts(
            waits in prop::collection::vec((any::<bool>(), 1..1_000_000_u32), 1..5),
        ) {
            let at = |secs: &u32| httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777 + u64::from(*secs)));
            let values: Vec<String> =
                waits.iter().map(|(dated, secs)| if *dated { at(secs) } else { secs.to_string() }).collect();
            let longest = waits.iter().map(|(_, secs)| u64::from(*secs)).max();
            prop_assert_eq!(read(&values.join(", ")), longest);
            let lines: Vec<(&str, &str)> = values.iter().map(|value| ("retry-after", value.as_str())).collect();
            prop_assert_eq!(retry_after(&answer(&lines), now_wall()).map(|pause| pause.as_secs()), longest);
        }
    }
}
