//! How single values are written in a plan: durations, ranges of them, sizes, counts, lines of a header.
//!
//! Each is text with its unit, so that no figure stands without one. What can't be read is an error that shows how it
//! is written; nothing is guessed.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};

/// As in `250ms`, `30s`, `15m`, `4h`, `2d`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd)]
pub(super) struct Time(pub(super) Duration);

/// As in `20ms`, or `20ms..200ms` for anything between the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) least: Duration,
    pub(super) most: Duration,
}

/// As in `10m`, `-10m`: ahead or behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shift {
    pub(super) by: Duration,
    pub(super) back: bool,
}

/// Bytes, as in `700`, `64KiB`, `2MB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size(pub(super) u64);

/// As in `5000`, `10M`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Amount(pub(super) u64);

/// A count of 1 or more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Positive(pub(super) u64);

/// A duration of more than nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lasting(pub(super) Duration);

/// Calls in a second: more than none, perhaps without end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rate(pub(super) f64);

/// Of more than 0, up to 1, which is always.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Chance(pub(super) f64);

/// The status code of an answer that ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Status(pub(super) u16);

/// The status code of an answer that tells to wait, and that clients are held to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WaitStatus(pub(super) u16);

impl Default for WaitStatus {
    fn default() -> Self {
        Self(429)
    }
}

/// What stands behind the name in a line of a head: one line of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line(pub(super) String);

/// The name of a line of a head.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LineName(pub(super) String);

/// How many interim answers stand before an answer. They are made at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hints(pub(super) u32);

/// Bytes of which there is one at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Portion(pub(super) u64);

/// One line of text or a list of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Texts(pub(super) Vec<String>);

fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    Some((text[..digits].parse().ok()?, &text[digits..]))
}

/// No plan has use for more, and every moment that is reckoned with stays in the years of four digits.
const LONGEST: Duration = Duration::from_secs(36_500 * 86_400);

fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = number_and_unit(text.trim())?;
    let millis: u64 = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(millis).map(Duration::from_millis).filter(|time| *time <= LONGEST)
}

pub(super) fn span(text: &str) -> Option<Span> {
    let (least, most) = match text.split_once("..") {
        Some((least, most)) => (duration(least)?, duration(most)?),
        None => (duration(text)?, duration(text)?),
    };
    (least <= most).then_some(Span { least, most })
}

fn shift(text: &str) -> Option<Shift> {
    let (back, rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    duration(rest).map(|by| Shift { by, back })
}

fn size(text: &str) -> Option<u64> {
    let (number, unit) = number_and_unit(text)?;
    let bytes: u64 = match unit {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "KB" => 1000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        _ => return None,
    };
    number.checked_mul(bytes)
}

fn amount(text: &str) -> Option<u64> {
    let (number, unit) = number_and_unit(text)?;
    let times: u64 = match unit {
        "" => 1,
        "k" => 1000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        _ => return None,
    };
    number.checked_mul(times)
}

/// Reads one written value, a number by its digits. The error comes behind the value, where its line is known.
fn written<'de, T, D: Deserializer<'de>>(
    source: D,
    due: &'static str,
    read: impl FnOnce(&str) -> Option<T>,
) -> Result<T, D::Error> {
    let text = String::deserialize(source)?;
    read(&text).ok_or_else(|| D::Error::custom(format!("`{text}` is not {due}")))
}

fn rate(text: &str) -> Option<f64> {
    if text == "unlimited" {
        return Some(f64::INFINITY);
    }
    text.parse().ok().filter(|rate: &f64| rate.is_finite() && *rate > 0.0)
}

fn chance(text: &str) -> Option<f64> {
    text.parse().ok().filter(|chance| *chance > 0.0 && *chance <= 1.0)
}

fn status(text: &str) -> Option<u16> {
    text.parse().ok().filter(|code| (200..=599).contains(code))
}

fn positive(text: &str) -> Option<u64> {
    text.parse().ok().filter(|count| *count > 0)
}

/// A text that would end its line of the head, and begin one that nobody asked for.
fn splits_a_head(text: &str) -> bool {
    text.contains(['\r', '\n', '\0'])
}

fn line<E: Error>(text: String) -> Result<String, E> {
    match splits_a_head(&text) {
        false => Ok(text),
        true => {
            Err(E::custom(format!("{text:?} is not one line of a head: write it without line breaks and zero bytes")))
        }
    }
}

fn is_line_name(text: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_letter)
}

const A_DURATION: &str = "a duration such as 250ms, 30s, 15m, 4h or 2d, at most 36500d";

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        written(source, A_DURATION, duration).map(Self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        let due = "a duration such as 30s, or a range such as 20ms..200ms, at most 36500d";
        written(source, due, span)
    }
}

impl<'de> Deserialize<'de> for Shift {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        let due = "a duration such as 10m, or -10m for a clock that is behind, at most 36500d";
        written(source, due, shift)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        written(source, "bytes such as 700, 64KiB or 2MB", size).map(Self)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        written(source, "a count such as 5000, 20k or 10M", amount).map(Self)
    }
}

impl<'de> Deserialize<'de> for Positive {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        written(source, "a whole number of 1 or more", positive).map(Self)
    }
}

impl<'de> Deserialize<'de> for Lasting {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        let due = "a duration of more than nothing, such as 250ms, 30s, 15m, 4h or 2d, at most 36500d";
        written(source, due, |text| duration(text).filter(|time| !time.is_zero())).map(Self)
    }
}

impl<'de> Deserialize<'de> for Line {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        line(String::deserialize(source)?).map(Self)
    }
}

impl<'de> Deserialize<'de> for LineName {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        let name = String::deserialize(source)?;
        match is_line_name(&name) {
            true => Ok(Self(name)),
            false => Err(D::Error::custom(format!("{name:?} is no name of a line of a head, such as X-Total-Count"))),
        }
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        let due = "calls a second such as 20 or 0.5, more than 0, or unlimited";
        written(source, due, rate).map(Self)
    }
}

impl<'de> Deserialize<'de> for Status {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        written(source, "a status code from 200 to 599", status).map(Self)
    }
}

impl<'de> Deserialize<'de> for WaitStatus {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        let due = "429 or 503, the answers whose wait a client is held to; `answer` gives any other";
        written(source, due, |text| status(text).filter(|code| matches!(code, 429 | 503))).map(Self)
    }
}

impl<'de> Deserialize<'de> for Hints {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        let due = "a number of interim answers from 1 to 10000";
        written(source, due, |text| text.parse().ok().filter(|n| (1..=10_000).contains(n))).map(Self)
    }
}

impl<'de> Deserialize<'de> for Portion {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        written(source, "bytes such as 1, 700 or 64KiB", |text| size(text).filter(|n| *n > 0)).map(Self)
    }
}

impl<'de> Deserialize<'de> for Chance {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        written(source, "a chance of more than 0 and up to 1, such as 0.2", chance).map(Self)
    }
}

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        struct OneOrMany;

        impl<'de> Visitor<'de> for OneOrMany {
            type Value = Vec<String>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, or a list of texts")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(vec![text.to_owned()])
            }

            // A number is shown as it was written only between quotes; these are the ones for which it is the same.
            fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
                Ok(vec![number.to_string()])
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                let mut texts = Vec::new();
                while let Some(text) = items.next_element::<String>()? {
                    texts.push(text);
                }
                Ok(texts)
            }
        }

        let texts = source.deserialize_any(OneOrMany)?;
        texts.into_iter().map(line).collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_need_their_units_and_nothing_is_guessed() {
        assert_eq!(duration("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(duration("2d"), Some(Duration::from_secs(172_800)));
        for text in ["", "5", "s", "1.5s", "-1s", "5 s", "5sec", "99999999999999999999s", "18446744073709551615d"] {
            assert_eq!(duration(text), None, "{text}");
        }
        assert_eq!(duration("36500d"), Some(LONGEST));
        for text in ["36501d", "3153600001s", "99999999999d"] {
            assert_eq!((duration(text), span(text), shift(&format!("-{text}"))), (None, None, None), "{text}");
        }
        assert_eq!((size("64KiB"), size("700"), size("2MB")), (Some(65_536), Some(700), Some(2_000_000)));
        assert_eq!((size("64kb"), size("KiB")), (None, None));
        assert_eq!(
            (amount("10M"), amount("20k"), amount("7"), amount("1m")),
            (Some(10_000_000), Some(20_000), Some(7), None)
        );
    }

    #[test]
    fn a_range_begins_before_it_ends() {
        let ms = Duration::from_millis;
        assert_eq!(span("20ms..2s"), Some(Span { least: ms(20), most: ms(2000) }));
        assert_eq!(span("20ms"), Some(Span { least: ms(20), most: ms(20) }));
        assert_eq!((span("2s..20ms"), span("2s.."), span("..2s")), (None, None, None));
        assert_eq!(shift("-10m"), Some(Shift { by: Duration::from_secs(600), back: true }));
    }

    #[test]
    fn an_error_says_what_was_found_and_how_it_is_written() {
        let error = serde_saphyr::from_str::<Vec<Time>>("[30]").unwrap_err();
        let text = error.without_snippet().to_string();
        assert!(text.contains("30") && text.contains("250ms"), "{text}");
    }
}
