//! Windows as people write them: `2024-01-01..2024-01-31`, both ends included.
//!
//! What is shown is what is accepted: whole days by their dates in the report's time zone, every other bound as a full
//! moment. `status` and the summary show this form, `forget --window` takes it.

use cxtract::config::{Bound, Span, WindowForm, WindowOverrides, WindowSpec, Zone, from_text, to_text};
use cxtract::model::{Timestamp, Window};

/// The window in its shortest exact form; a single day is its date alone.
pub(crate) fn shown(window: &Window, zone: &Zone) -> String {
    let exact = |text: String, moment: Timestamp| match Bound::parse(&text) {
        Some(Bound::Day(_)) => text,
        _ => moment.to_string(),
    };
    let from = exact(from_text(window, zone), window.from);
    let to = exact(to_text(window, zone), window.to);
    if from == to && window.from != window.to { from } else { format!("{from}..{to}") }
}

/// The window that was written, with days of that zone.
///
/// # Errors
/// If it can't be read, with the form that can.
pub(crate) fn parse(text: &str, zone: &Zone) -> Result<Window, String> {
    let (from, to) = text.split_once("..").unwrap_or((text, text));
    let bounds = WindowOverrides { from: Some(from.to_owned()), to: Some(to.to_owned()), until: None };
    // Both bounds are given, so that the form of the window says nothing.
    let spec = WindowSpec { form: WindowForm::Last(Span::Days(1)), zone: zone.clone() };
    match spec.resolve(Timestamp(0), None, &bounds) {
        Ok(Some(window)) => Ok(window),
        _ => Err(format!(
            "--window {}: write it as `cxtract status` shows it, as in 2024-01-01..2024-01-31",
            text.escape_default()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(from: &str, to: &str) -> Window {
        Window { from: Timestamp::parse(from).unwrap(), to: Timestamp::parse(to).unwrap() }
    }

    #[test]
    fn what_is_shown_is_read_as_the_same_window() {
        let berlin = Zone::named("Europe/Berlin").unwrap();
        let cases = [
            (window("2024-01-01T00:00:00Z", "2024-01-31T23:59:59.999Z"), &Zone::UTC, "2024-01-01..2024-01-31"),
            (window("2024-01-31T00:00:00Z", "2024-01-31T23:59:59.999Z"), &Zone::UTC, "2024-01-31"),
            (window("2024-03-30T23:00:00Z", "2024-03-31T21:59:59.999Z"), &berlin, "2024-03-31"),
            (
                window("2024-01-31T00:00:00Z", "2024-01-31T12:00:00.123Z"),
                &Zone::UTC,
                "2024-01-31..2024-01-31T12:00:00.123Z",
            ),
            (
                window("2024-01-31T00:00:01Z", "2024-01-31T00:00:01Z"),
                &Zone::UTC,
                "2024-01-31T00:00:01.000Z..2024-01-31T00:00:01.000Z",
            ),
        ];
        for (window, zone, text) in cases {
            assert_eq!(shown(&window, zone), text);
            assert_eq!(parse(text, zone), Ok(window), "{text}");
        }
    }

    #[test]
    fn what_is_no_window_is_refused_with_an_example() {
        for text in ["", "..", "2024-01-01..", "yesterday", "2024-02-01..2024-01-01", "2024-1-1..2024-01-31"] {
            assert!(parse(text, &Zone::UTC).unwrap_err().contains("2024-01-01..2024-01-31"), "{text}");
        }
    }
}
