//! Reads an OpenAPI document and holds exchanges against it.
//!
//! Strict where validators are lax: an object has no key that the document does not name, not even where there may be
//! others, and an answer no header; whatever was seen is written down by its place in the document, so that what was never seen can be named.
//! Only the few keywords are understood that the document uses; `shape.rs` reports any other.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::exchange::Exchange;

/// Headers that belong to HTTP and that OpenAPI leaves to it.
const OF_HTTP: [&str; 5] = ["connection", "content-length", "content-type", "date", "transfer-encoding"];

/// Keywords of a schema that are held.
pub(super) const HELD: [&str; 10] = [
    "$ref",
    "type",
    "enum",
    "required",
    "properties",
    "additionalProperties",
    "items",
    "minimum",
    "maximum",
    "minLength",
];

/// Places in the document, as JSON pointers.
pub(super) type Places = BTreeSet<String>;

#[derive(Clone)]
pub(super) struct Document(pub(super) Value);

/// What holding exchanges against the document came to.
#[derive(Default)]
pub(super) struct Findings {
    pub(super) seen: Places,
    pub(super) wrong: Vec<String>,
    /// A place whose values are taken for missing, to try whether that is noticed.
    pub(super) blind_to: Option<String>,
}

/// A place and what stands there.
#[derive(Clone)]
pub(super) struct At<'a> {
    pub(super) place: String,
    pub(super) value: &'a Value,
}

impl<'a> At<'a> {
    pub(super) fn key(&self, key: &str) -> Option<At<'a>> {
        let place = format!("{}/{}", self.place, key.replace('~', "~0").replace('/', "~1"));
        self.value.get(key).map(|value| At { place, value })
    }

    pub(super) fn entries(&self, key: &str) -> Vec<(&'a str, At<'a>)> {
        let Some(inner) = self.key(key) else { return Vec::new() };
        let keys = inner.value.as_object().into_iter().flat_map(Map::keys);
        keys.filter_map(|key| Some((key.as_str(), inner.key(key)?))).collect()
    }

    pub(super) fn text(&self, key: &str) -> &'a str {
        self.value.get(key).and_then(Value::as_str).unwrap_or_default()
    }
}

impl Document {
    fn root(&self) -> At<'_> {
        At { place: String::new(), value: &self.0 }
    }

    /// Follows references.
    pub(super) fn resolved<'a>(&'a self, mut at: At<'a>) -> At<'a> {
        while let Some(pointer) = at.value.get("$ref").and_then(Value::as_str).and_then(|r| r.strip_prefix('#')) {
            let value = self.0.pointer(pointer).unwrap_or(&Value::Null);
            at = At { place: pointer.to_owned(), value };
        }
        at
    }

    /// Every operation with its path and method.
    pub(super) fn operations(&self) -> Vec<(String, String, At<'_>)> {
        let mut all = Vec::new();
        for (path, item) in self.root().entries("paths") {
            let methods = item.value.as_object().into_iter().flat_map(Map::keys).filter(|key| *key != "parameters");
            all.extend(methods.filter_map(|m| Some((path.to_owned(), m.clone(), item.key(m)?))));
        }
        all
    }

    fn operation(&self, exchange: &Exchange) -> Option<At<'_>> {
        let method = exchange.method.to_ascii_lowercase();
        self.root().key("paths")?.key(&exchange.template)?.key(&method)
    }

    /// The parameters of an operation, those of its path included.
    pub(super) fn parameters(&self, path: &str, operation: &At<'_>) -> Vec<At<'_>> {
        let of_path = self.0["paths"][path]["parameters"].as_array();
        let own = operation.value["parameters"].as_array();
        let known = self.0.pointer("/components/parameters").and_then(Value::as_object);
        let all: Vec<&Value> = of_path.into_iter().chain(own).flatten().collect();
        let names = known.into_iter().flat_map(Map::keys);
        names
            .map(|name| format!("/components/parameters/{name}"))
            .filter(|place| all.iter().any(|p| p["$ref"].as_str() == Some(&format!("#{place}"))))
            .filter_map(|place| Some(At { value: self.0.pointer(&place)?, place }))
            .collect()
    }

    /// The schema of a request body of that operation.
    pub(super) fn request_schema<'a>(&'a self, operation: &At<'a>, media_type: &str) -> Option<At<'a>> {
        operation.key("requestBody")?.key("content")?.key(media_type)?.key("schema")
    }

    /// Holds one exchange.
    pub(super) fn hold(&self, exchange: &Exchange, findings: &mut Findings) {
        let mut own = Vec::new();
        match self.operation(exchange) {
            None => own.push("no such operation".to_owned()),
            Some(operation) => {
                findings.seen.insert(operation.place.clone());
                self.hold_security(exchange, &operation, &mut own);
                self.hold_request(exchange, &operation, findings, &mut own);
                self.hold_answer(exchange, &operation, findings, &mut own);
            }
        }
        findings.wrong.extend(own.into_iter().map(|what| format!("{exchange}: {what}")));
    }

    fn hold_security(&self, exchange: &Exchange, operation: &At<'_>, wrong: &mut Vec<String>) {
        let needs = operation.value.get("security").unwrap_or(&self.0["security"]);
        let needs_token = needs.as_array().is_some_and(|all| all.iter().any(|one| one.get("bearer").is_some()));
        if !needs_token && exchange.header("authorization").is_some_and(|value| value.starts_with("Bearer ")) {
            wrong.push("a token was sent where none is asked for".into());
        }
        if needs_token && exchange.succeeded() && exchange.header("authorization").is_none() {
            wrong.push("it was served without a token".into());
        }
    }

    fn hold_request(&self, exchange: &Exchange, operation: &At<'_>, findings: &mut Findings, wrong: &mut Vec<String>) {
        if !exchange.succeeded() {
            return;
        }
        let parameters = self.parameters(&exchange.template, operation);
        for (place, name, value) in &exchange.parameters {
            match parameters.iter().find(|p| p.text("name") == name && p.text("in") == *place) {
                None => wrong.push(format!("the parameter {name} is not in the document")),
                Some(parameter) => {
                    findings.seen.insert(parameter.place.clone());
                    self.hold_text(parameter, value, findings, wrong);
                }
            }
        }
        for parameter in parameters.iter().filter(|p| p.value["required"] == true) {
            if !exchange.parameters.iter().any(|(_, name, _)| name == parameter.text("name")) {
                wrong.push(format!("the parameter {} was not needed", parameter.text("name")));
            }
        }
        let Some((media_type, body)) = &exchange.sent else { return };
        match self.request_schema(operation, media_type) {
            Some(schema) => self.hold_value(schema, body, findings, wrong),
            None => wrong.push(format!("a request of {media_type} is not in the document")),
        }
    }

    fn hold_answer(&self, exchange: &Exchange, operation: &At<'_>, findings: &mut Findings, wrong: &mut Vec<String>) {
        let status = exchange.status.to_string();
        let Some(response) = operation.key("responses").and_then(|all| all.key(&status)) else {
            return wrong.push("the status is not in the document".into());
        };
        findings.seen.insert(response.place.clone());
        let response = self.resolved(response);
        for (name, value) in &exchange.headers {
            if OF_HTTP.contains(&name.to_ascii_lowercase().as_str()) {
                continue;
            }
            match response.key("headers").and_then(|known| known.key(name)) {
                None => wrong.push(format!("the header {name} is not in the document")),
                Some(header) if findings.blind_to.as_ref() == Some(&header.place) => {}
                Some(header) => {
                    findings.seen.insert(header.place.clone());
                    self.hold_text(&self.resolved(header), value, findings, wrong);
                }
            }
        }
        let stated = exchange.answer_header("content-type").unwrap_or_default();
        let media_type = stated.split(';').next().unwrap_or_default().trim();
        if response.key("content").is_none() && media_type.is_empty() && exchange.body.is_empty() {
            return;
        }
        let Some(content) = response.key("content").and_then(|content| content.key(media_type)) else {
            return wrong.push(format!("an answer of type {media_type:?} is not in the document"));
        };
        findings.seen.insert(content.place.clone());
        let Some(schema) = content.key("schema") else { return wrong.push("it has no schema".into()) };
        for value in exchange.values(media_type) {
            match value {
                Ok(value) => self.hold_value(schema.clone(), value, findings, wrong),
                Err(error) => wrong.push(format!("the body can't be read: {error}")),
            }
        }
    }

    /// A parameter or a header: text that stands for a value.
    fn hold_text(&self, at: &At<'_>, text: &str, findings: &mut Findings, wrong: &mut Vec<String>) {
        let Some(schema) = at.key("schema") else { return wrong.push(format!("{} has no schema", at.place)) };
        let value = match schema.text("type") {
            "integer" => text.parse::<u64>().map_or(Value::from(text), Value::from),
            _ => Value::from(text),
        };
        self.hold_value(schema, &value, findings, wrong);
    }

    pub(super) fn hold_value(&self, schema: At<'_>, value: &Value, findings: &mut Findings, wrong: &mut Vec<String>) {
        let schema = self.resolved(schema);
        let is = |kind: &str| match kind {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "integer" => value.is_i64() || value.is_u64(),
            "number" => value.is_number(),
            "boolean" => value.is_boolean(),
            "null" => value.is_null(),
            _ => false,
        };
        let kinds = match schema.value.get("type") {
            Some(Value::String(kind)) => vec![kind.as_str()],
            Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let mut say = |what: String| wrong.push(format!("{}: {what}", schema.place));
        match kinds.iter().find(|kind| is(kind)) {
            Some(kind) if kinds.len() > 1 => drop(findings.seen.insert(format!("{}/type/{kind}", schema.place))),
            None if !kinds.is_empty() => return say(format!("{value} is no {kinds:?}")),
            _ => {}
        }
        if let Some(words) = schema.value.get("enum").and_then(Value::as_array) {
            match words.iter().position(|word| word == value) {
                Some(_) => drop(findings.seen.insert(format!("{}/enum/{value}", schema.place))),
                None => say(format!("{value} is none of {words:?}")),
            }
        }
        let bound = |key: &str| schema.value.get(key).and_then(Value::as_f64);
        let size = value.as_f64().or_else(|| value.as_str().map(|text| text.chars().count() as f64));
        let least = bound("minimum").or(bound("minLength"));
        if least.is_some_and(|least| size.is_some_and(|n| n < least)) {
            say(format!("{value} is too small"));
        }
        if bound("maximum").is_some_and(|most| size.is_some_and(|n| n > most)) {
            say(format!("{value} is too large"));
        }
        if let Some(object) = value.as_object().filter(|_| !kinds.is_empty()) {
            self.hold_object(&schema, object, findings, wrong);
        }
        for item in value.as_array().into_iter().flatten() {
            if let Some(items) = schema.key("items") {
                self.hold_value(items, item, findings, wrong);
            }
        }
    }

    fn hold_object(
        &self,
        schema: &At<'_>,
        object: &Map<String, Value>,
        findings: &mut Findings,
        wrong: &mut Vec<String>,
    ) {
        let mut say = |what: String| wrong.push(format!("{}: {what}", schema.place));
        let place = |key: &str| format!("{}/properties/{key}", schema.place);
        let blind_to = |key: &str, findings: &Findings| findings.blind_to.as_ref() == Some(&place(key));
        for key in schema.value.get("required").and_then(Value::as_array).into_iter().flatten() {
            let key = key.as_str().unwrap_or_default();
            if !object.contains_key(key) || blind_to(key, findings) {
                say(format!("{key} is missing"));
            }
        }
        for (key, value) in object {
            if blind_to(key, findings) {
                continue;
            }
            if let Some(known) = schema.key("properties").and_then(|all| all.key(key)) {
                findings.seen.insert(known.place.clone());
                self.hold_value(known, value, findings, wrong);
            } else if let Some(others) = schema.key("additionalProperties").filter(|at| at.value.is_object()) {
                self.hold_value(others, value, findings, wrong);
            } else {
                wrong.push(format!("{}: {key} is not in the document", schema.place));
            }
        }
    }

    /// Every place that an exchange could show: operations, parameters, statuses, headers, types of content, properties,
    /// words of an enumeration.
    pub(super) fn places(&self) -> Places {
        let mut places = Places::new();
        for (path, _, operation) in self.operations() {
            places.insert(operation.place.clone());
            for parameter in self.parameters(&path, &operation) {
                places.insert(parameter.place.clone());
                parameter.key("schema").into_iter().for_each(|schema| self.places_of(schema, &mut places));
            }
            let sent = operation.key("requestBody").map(|body| body.entries("content")).unwrap_or_default();
            for schema in sent.into_iter().filter_map(|(_, content)| content.key("schema")) {
                self.places_of(schema, &mut places);
            }
            for (_, response) in operation.entries("responses") {
                places.insert(response.place.clone());
                let response = self.resolved(response);
                for (_, header) in response.entries("headers") {
                    places.insert(header.place.clone());
                    self.resolved(header).key("schema").into_iter().for_each(|s| self.places_of(s, &mut places));
                }
                for (_, content) in response.entries("content") {
                    places.insert(content.place.clone());
                    content.key("schema").into_iter().for_each(|schema| self.places_of(schema, &mut places));
                }
            }
        }
        places
    }

    fn places_of(&self, schema: At<'_>, places: &mut Places) {
        let schema = self.resolved(schema);
        for word in schema.value.get("enum").and_then(Value::as_array).into_iter().flatten() {
            places.insert(format!("{}/enum/{word}", schema.place));
        }
        for kind in schema.value.get("type").and_then(Value::as_array).into_iter().flatten() {
            places.insert(format!("{}/type/{}", schema.place, kind.as_str().unwrap_or_default()));
        }
        for (_, property) in schema.entries("properties") {
            places.insert(property.place.clone());
            self.places_of(property, places);
        }
        for key in ["items", "additionalProperties"] {
            schema.key(key).into_iter().for_each(|inner| self.places_of(inner, places));
        }
    }
}
