//! Numbers in the form that people read.

use std::time::Duration;

pub(super) use crate::model::{bytes, count, n_of};

/// A share in hundredths, never rounded up to the whole.
pub(super) fn percent(share: f64) -> String {
    // A hair more, since 0.57 is a little less than it says.
    let tenths = (share * 1000.0 + 1e-6).floor() / 10.0;
    if tenths.fract() == 0.0 { format!("{tenths:.0} %") } else { format!("{tenths:.1} %") }
}

/// A rate without needless digits; none is told as having no end.
pub(super) fn rate(per_second: f64) -> String {
    match per_second {
        r if !r.is_finite() => "no limit".to_owned(),
        r if r.fract() == 0.0 => count(r as u64),
        r => format!("{r:.2}"),
    }
}

/// A text in which nothing stands that can't be seen: control characters become their pictures.
pub(super) fn shown(text: &str) -> String {
    let picture = |c: char| match c as u32 {
        code @ 0..0x20 => char::from_u32(0x2400 + code).unwrap_or(char::REPLACEMENT_CHARACTER),
        0x7F => '␡',
        // The rest of the control characters, and those that turn the direction of writing.
        0x80..0xA0 | 0x200E | 0x200F | 0x202A..=0x202E | 0x2066..=0x2069 => char::REPLACEMENT_CHARACTER,
        _ => c,
    };
    text.chars().map(picture).collect()
}

/// A span: `850 ms`, `12.3 s`, `4 min 5 s`, `2 h 3 min`.
pub(super) fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0 => format!("{} ms", time.as_millis()),
        1..60 => format!("{:.1} s", time.as_millis() as f64 / 1000.0),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_shown() {
        assert_eq!(shown("a\u{1b}[31mb\u{0}\t\u{7f}\u{85}\u{202e}ü 漢"), "a␛[31mb␀␉␡\u{fffd}\u{fffd}ü 漢");
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!([percent(0.9999), percent(0.5), percent(1.0)], ["99.9 %", "50 %", "100 %"]);
        assert_eq!([rate(20.0), rate(0.5), rate(f64::INFINITY)], ["20", "0.50", "no limit"]);
        let spans = [0, 850, 12_345, 245_000, 7_380_000].map(|ms| span(Duration::from_millis(ms)));
        assert_eq!(spans, ["0 ms", "850 ms", "12.3 s", "4 min 5 s", "2 h 3 min"]);
    }
}
