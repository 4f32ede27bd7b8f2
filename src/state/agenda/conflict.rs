//! Why what is unfinished can't be gone on with: the changed keys, with what they were and what they are.

use std::path::Path;

use serde_json::{Map, Value};

use crate::config::ReportConfig;

/// Longest value that is shown whole.
const LONGEST_SHOWN: usize = 80;

/// The form of a report as it is stored: one JSON object by configuration key.
pub fn form_of(report: &ReportConfig) -> String {
    let form = report.extraction_form().into_iter().map(|(key, value)| (key.to_owned(), value));
    Value::Object(form.collect()).to_string()
}

/// Each key that differs between two stored forms, with both values.
pub fn changes(was: &str, is: &str) -> Vec<String> {
    let object = |text: &str| serde_json::from_str::<Map<String, Value>>(text).unwrap_or_default();
    let mut changes = Vec::new();
    compare("", &object(was), &object(is), &mut changes);
    changes
}

fn compare(prefix: &str, was: &Map<String, Value>, is: &Map<String, Value>, changes: &mut Vec<String>) {
    let gone = was.keys().filter(|key| !is.contains_key(*key));
    for key in is.keys().chain(gone) {
        let name = format!("{prefix}{key}");
        match (was.get(key).unwrap_or(&Value::Null), is.get(key).unwrap_or(&Value::Null)) {
            (was, is) if was == is => {}
            (Value::Object(was), Value::Object(is)) => compare(&format!("{name}."), was, is, changes),
            (was, is) => changes.push(format!("{name} was {}, is {}", short(was), short(is))),
        }
    }
}

/// The change of the place of the output; `dir` is the present folder.
pub fn moved(was: &str, is: &str, dir: &str) -> String {
    let named = |place: &str| if place.is_empty() { "a host's own sink".to_owned() } else { cut(place) };
    let same_name = Path::new(is).strip_prefix(dir).is_ok_and(|name| Path::new(was).ends_with(name));
    let key = if same_name { "output.dir" } else { "output.path" };
    format!("{key} was {}, is {}", named(was), named(is))
}

fn short(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::String(text) => cut(text),
        other => cut(&other.to_string()),
    }
}

fn cut(text: &str) -> String {
    let mut shown = String::new();
    for c in text.chars().take(LONGEST_SHOWN) {
        if c.is_control() { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    if text.chars().nth(LONGEST_SHOWN).is_some() {
        shown.push('…');
    }
    shown
}
