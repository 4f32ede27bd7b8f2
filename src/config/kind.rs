//! What a scalar may be read as: text, count, number, boolean, word, duration, size.
//!
//! Each reader takes a node and gives the value or says what would have been right. Readers never convert: a number
//! where text is due is a mismatch, and so is text where a count is due.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::tree::{Node, Scalar, Tree};

/// Why a node is not what is due. What was found is told by whoever knows whether it may be shown.
#[derive(Debug)]
pub(super) struct Mismatch {
    pub expected: String,
    pub remedy: String,
    /// The value may hold a secret, whatever its key.
    pub hide: bool,
}

impl Mismatch {
    pub(super) fn new(expected: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { expected: expected.into(), remedy: remedy.into(), hide: false }
    }

    /// The same, the value not to be shown if `hide`.
    pub(super) fn hiding(mut self, hide: bool) -> Self {
        self.hide = hide;
        self
    }
}

pub(super) type Read<T> = Result<T, Mismatch>;

/// What YAML readers of either generation might take an unquoted scalar for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    Null,
    Boolean,
    Number,
    Date,
    Text,
}

pub(super) fn look(scalar: &Scalar) -> Look {
    let text = scalar.text.as_str();
    if scalar.quoted {
        return Look::Text;
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Look::Null,
        "true" | "True" | "TRUE" | "false" | "False" | "FALSE" => return Look::Boolean,
        ".nan" | ".NaN" | ".NAN" => return Look::Number,
        _ => {}
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let digits = unsigned.replace('_', "");
    let radix = |prefix: &str, radix: u32| {
        digits.strip_prefix(prefix).is_some_and(|d| !d.is_empty() && d.chars().all(|c| c.is_digit(radix)))
    };
    let starts_right = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    if matches!(unsigned, ".inf" | ".Inf" | ".INF")
        || radix("0x", 16)
        || radix("0o", 8)
        || radix("0b", 2)
        || starts_right && digits.parse::<f64>().is_ok()
    {
        return Look::Number;
    }
    let bytes = text.as_bytes();
    let dated = bytes.len() >= 10
        && bytes[..10].iter().enumerate().all(|(i, b)| if i == 4 || i == 7 { *b == b'-' } else { b.is_ascii_digit() })
        && bytes.get(10).is_none_or(|b| matches!(b, b'T' | b't' | b' '));
    if dated { Look::Date } else { Look::Text }
}

fn scalar<'n>(node: &'n Node, expected: &str) -> Read<&'n Scalar> {
    match &node.tree {
        Tree::Scalar(scalar) => Ok(scalar),
        _ => Err(Mismatch::new(expected, "write a single value")),
    }
}

/// Text as it was written, whatever is in it.
pub(super) fn any_text(node: &Node) -> Read<String> {
    let scalar = scalar(node, "text")?;
    let what = match look(scalar) {
        Look::Text => return Ok(scalar.text.clone()),
        Look::Null => return Err(Mismatch::new("text", "write the text, or remove the key")),
        Look::Boolean => "a boolean",
        Look::Number => "a number",
        Look::Date => "a date",
    };
    Err(Mismatch::new("text", format!("quote it: without quotes YAML has {what} here")))
}

/// Text of at least one character and without control characters.
pub(super) fn text(node: &Node) -> Read<String> {
    let text = any_text(node)?;
    if text.trim().is_empty() {
        return Err(Mismatch::new("text that is not empty", "write the text"));
    }
    if text.chars().any(char::is_control) {
        return Err(Mismatch::new("text without control characters", "remove line breaks and the like"));
    }
    Ok(text)
}

/// A whole number in that range, written in plain decimal digits.
pub(super) fn count(range: RangeInclusive<u64>) -> impl Fn(&Node) -> Read<u64> {
    move |node| {
        let expected = match (*range.start(), *range.end()) {
            (low, u64::MAX) => format!("a whole number, {low} or more"),
            (low, high) => format!("a whole number from {low} to {high}"),
        };
        let scalar = scalar(node, &expected)?;
        let text = scalar.text.as_str();
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if digits && scalar.quoted {
            return Err(Mismatch::new(expected, "remove the quotes"));
        }
        if !digits || (text.len() > 1 && text.starts_with('0')) {
            return Err(Mismatch::new(expected, "write it in plain digits, such as 20"));
        }
        match text.parse::<u64>() {
            Ok(n) if range.contains(&n) => Ok(n),
            _ => Err(Mismatch::new(expected, "choose a number in that range, or remove the key for the default")),
        }
    }
}

/// A decimal number in that range.
pub(super) fn number(range: RangeInclusive<f64>) -> impl Fn(&Node) -> Read<f64> {
    move |node| {
        let expected = match (*range.start(), *range.end()) {
            (low, f64::INFINITY) => format!("a number, {low} or more"),
            (low, high) => format!("a number from {low} to {high}"),
        };
        let scalar = scalar(node, &expected)?;
        let plain = !scalar.quoted && is_decimal(&scalar.text);
        match scalar.text.parse::<f64>() {
            Ok(n) if plain && range.contains(&n) && n.is_finite() => Ok(n),
            Ok(_) if plain => Err(Mismatch::new(expected, "choose a number in that range")),
            _ => Err(Mismatch::new(expected, "write it in digits without quotes, such as 1.5")),
        }
    }
}

fn is_decimal(text: &str) -> bool {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    [whole, fraction].iter().all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
}

/// `true` or `false`.
pub(super) fn boolean(node: &Node) -> Read<bool> {
    let scalar = scalar(node, "true or false")?;
    match scalar.text.as_str() {
        "true" if !scalar.quoted => Ok(true),
        "false" if !scalar.quoted => Ok(false),
        _ => Err(Mismatch::new("true or false", "write true or false, in small letters and without quotes")),
    }
}

/// One of a few words.
pub(super) fn word<T: Copy>(words: &'static [(&'static str, T)]) -> impl Fn(&Node) -> Read<T> {
    move |node| {
        let names: Vec<_> = words.iter().map(|(name, _)| *name).collect();
        let expected = format!("one of {}", names.join(", "));
        let text = &scalar(node, &expected)?.text;
        words.iter().find(|(name, _)| name == text).map(|(_, value)| *value).ok_or_else(|| {
            let remedy = match super::problem::nearest(text, names.iter().copied()) {
                Some(name) => format!("did you mean {name}?"),
                None => "choose one of these words".to_owned(),
            };
            Mismatch::new(&expected, remedy)
        })
    }
}

/// A list whose items are read by `item`.
pub(super) fn list<T>(item: impl Fn(&Node) -> Read<T>) -> impl Fn(&Node) -> Read<Vec<T>> {
    move |node| match &node.tree {
        Tree::List(items) => items.iter().map(&item).collect(),
        _ => Err(Mismatch::new("a list", "write it in brackets, such as [a, b]")),
    }
}

/// Longest duration that a key may hold: ten years, so that no sum with a moment can overflow.
const LONGEST: Duration = Duration::from_secs(3650 * 86_400);

/// A duration such as `30s`, at least `least`.
pub(super) fn duration(least: Duration) -> impl Fn(&Node) -> Read<Duration> {
    move |node| {
        let expected = if least.is_zero() { "a duration such as 250ms, 30s, 4h or 30d" } else { MORE_THAN_NOTHING };
        match parse_duration(&quantity(node, expected, "a unit: 250ms, 30s, 15m, 4h or 30d")?) {
            Some(d) if d >= least && d <= LONGEST => Ok(d),
            Some(d) if d > LONGEST => Err(Mismatch::new("a duration of at most 3650d", "choose a shorter one")),
            Some(_) => Err(Mismatch::new(expected, "choose a longer one")),
            None => Err(Mismatch::new(expected, "write a number and one of ms, s, m, h, d, such as 30s")),
        }
    }
}

const MORE_THAN_NOTHING: &str = "a duration such as 250ms, 30s, 4h or 30d, more than nothing";

/// A size such as `64MiB`, at least `least` bytes.
pub(super) fn size(least: u64) -> impl Fn(&Node) -> Read<u64> {
    move |node| {
        let expected = format!("a size such as 512KiB, 64MiB or 1GiB, at least {least} bytes");
        match parse_size(&quantity(node, &expected, "a unit: 512KiB, 64MiB or 1GiB")?) {
            Some(n) if n >= least => Ok(n),
            Some(_) => Err(Mismatch::new(expected, "choose a larger one")),
            None => {
                Err(Mismatch::new(expected, "write a number and one of B, KiB, MiB, GiB, KB, MB, GB, such as 64MiB"))
            }
        }
    }
}

/// The text of a number with a unit; a bare number is told to take one.
fn quantity(node: &Node, expected: &str, unit: &str) -> Read<String> {
    let scalar = scalar(node, expected)?;
    if !scalar.quoted && look(scalar) == Look::Number {
        return Err(Mismatch::new(expected, format!("add {unit}")));
    }
    Ok(scalar.text.clone())
}

/// Reads `250ms`, `30s`, `15m`, `4h`, `30d`; decimals too, as long as whole milliseconds come of it.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let units = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
    times_unit(text, &units).map(Duration::from_millis)
}

/// Reads `100B`, `512KiB`, `64MiB`, `1GiB` and the decimal `KB`, `MB`, `GB`, in bytes.
pub fn parse_size(text: &str) -> Option<u64> {
    let units = [
        ("B", 1),
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("TiB", 1 << 40),
        ("KB", 1000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("TB", 1_000_000_000_000),
    ];
    times_unit(text, &units)
}

/// Exact arithmetic: a value that would have to be rounded is no value.
fn times_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let split = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (figure, unit) = text.split_at(split);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    if !is_decimal(figure) || figure.len() > 24 {
        return None;
    }
    let (whole, fraction) = figure.split_once('.').unwrap_or((figure, ""));
    let scale = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let scaled = format!("{whole}{fraction}").parse::<u128>().ok()?.checked_mul(u128::from(*factor))?;
    if scaled % scale != 0 {
        return None;
    }
    u64::try_from(scaled / scale).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> Look {
        look(&Scalar { text: text.to_owned(), quoted: false })
    }

    #[test]
    fn what_any_yaml_reader_takes_for_a_number_does_not_pass_as_text() {
        for text in
            ["7", "007", "1.10", "0x1F", "0o17", "0b11", "1_000", "-3", "+3", ".5", "1e3", ".inf", "-.INF", ".nan"]
        {
            assert_eq!(plain(text), Look::Number, "{text}");
        }
        for text in ["true", "False"] {
            assert_eq!(plain(text), Look::Boolean, "{text}");
        }
        for text in ["2024-01-31", "2024-01-31T00:00:00Z"] {
            assert_eq!(plain(text), Look::Date, "{text}");
        }
        for text in ["yes", "off", "30s", "1.2.3", "inf", "nan", "abc", "e3", "2024-01-31x", "-", "0xzz", "12-34"] {
            assert_eq!(plain(text), Look::Text, "{text}");
        }
        for text in ["", "~", "null"] {
            assert_eq!(plain(text), Look::Null, "{text}");
        }
    }

    #[test]
    fn durations_read_exactly_or_not_at_all() {
        assert_eq!(parse_duration("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(parse_duration("1.5h"), Some(Duration::from_secs(5400)));
        assert_eq!(parse_duration("30d"), Some(Duration::from_secs(30 * 86_400)));
        for text in ["30", "s", "1.s", ".5s", "-1s", "1 s", "1S", "0.0001s", "1w", "1e3s", "99999999999999999999d"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_read_in_binary_and_decimal_units() {
        assert_eq!(parse_size("64MiB"), Some(64 << 20));
        assert_eq!(parse_size("1.5KiB"), Some(1536));
        assert_eq!(parse_size("2MB"), Some(2_000_000));
        assert_eq!(parse_size("64mib"), None);
        assert_eq!(parse_size("1.0001B"), None);
        assert_eq!(parse_size("99999999TiB"), None);
    }
}
