//! What an OpenAPI document has to be, whatever it describes: references that lead somewhere, operations with a name of
//! their own, examples that fit, and no keyword that nothing here holds.

use serde_json::{Map, Value};

use super::document::{At, Document, Findings, HELD, Places};

/// Keywords of a schema that say something to people only.
const TOLD: [&str; 3] = ["description", "example", "format"];

impl Document {
    /// What is wrong with it.
    pub(super) fn misshapen(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut used = Places::new();
        self.walk(&self.0, "", &mut |place, value| {
            if let Some(target) = value.get("$ref") {
                let pointer = target.as_str().and_then(|text| text.strip_prefix('#')).unwrap_or_default();
                if pointer.is_empty() || self.0.pointer(pointer).is_none() {
                    wrong.push(format!("{place} refers to {target}"));
                }
                used.insert(pointer.to_owned());
            }
        });
        for (kind, parts) in self.0["components"].as_object().into_iter().flatten() {
            for name in parts.as_object().into_iter().flat_map(Map::keys).filter(|_| kind != "securitySchemes") {
                let place = format!("/components/{kind}/{name}");
                if !used.contains(&place) {
                    wrong.push(format!("{place} is never used"));
                }
            }
        }
        let mut ids = Places::new();
        for (path, method, operation) in self.operations() {
            let name = format!("{method} {path}");
            if !ids.insert(operation.text("operationId").to_owned()) || operation.text("operationId").is_empty() {
                wrong.push(format!("{name} has no operationId of its own"));
            }
            if operation.text("summary").is_empty() || operation.entries("responses").is_empty() {
                wrong.push(format!("{name} lacks a summary or responses"));
            }
            let stated: Vec<&str> = self.parameters(&path, &operation).iter().map(|p| p.text("name")).collect();
            for part in path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
                if !stated.contains(&part) {
                    wrong.push(format!("{name} does not say what {part} is"));
                }
            }
            for (status, response) in operation.entries("responses") {
                if self.resolved(response).text("description").is_empty() {
                    wrong.push(format!("{name} {status} is not described"));
                }
            }
        }
        self.walk(&self.0, "", &mut |place, value| self.misshapen_part(place, value, &mut wrong));
        wrong
    }

    fn misshapen_part(&self, place: &str, value: &Value, wrong: &mut Vec<String>) {
        let Some(parts) = value.as_object() else { return };
        let parent = place.rsplit('/').nth(1).unwrap_or_default();
        let is_schema = place.ends_with("/schema")
            || place.ends_with("/items")
            || parent == "schemas"
            || parent == "properties" && !place.contains("/example");
        if !is_schema {
            // An example stands beside its schema.
            if let (Some(example), Some(_)) = (parts.get("example"), parts.get("schema")) {
                let at = At { place: place.to_owned(), value };
                let mut findings = Findings::default();
                let mut own = Vec::new();
                let schema = at.key("schema").unwrap_or(at);
                if !(example.is_string() && place.contains("ndjson")) {
                    self.hold_value(schema, example, &mut findings, &mut own);
                }
                wrong.extend(own.into_iter().map(|what| format!("the example of {place}: {what}")));
            }
            return;
        }
        for key in parts.keys().filter(|key| !HELD.contains(&key.as_str()) && !TOLD.contains(&key.as_str())) {
            wrong.push(format!("{place} says {key}, which nothing here holds"));
        }
        if value["type"] == "object" && parts.get("additionalProperties").is_none() {
            wrong.push(format!("{place} does not say whether there may be other keys"));
        }
        for key in parts.get("required").and_then(Value::as_array).into_iter().flatten() {
            if value["properties"].get(key.as_str().unwrap_or_default()).is_none() {
                wrong.push(format!("{place} requires {key}, which it does not describe"));
            }
        }
    }

    fn walk(&self, value: &Value, place: &str, each: &mut impl FnMut(&str, &Value)) {
        each(place, value);
        for (key, inner) in value.as_object().into_iter().flatten() {
            self.walk(inner, &format!("{place}/{key}"), each);
        }
        for (nth, inner) in value.as_array().into_iter().flatten().enumerate() {
            self.walk(inner, &format!("{place}/{nth}"), each);
        }
    }
}
