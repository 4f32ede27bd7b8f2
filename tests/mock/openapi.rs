//! The OpenAPI document against what a tenant answers, both ways: nothing in an answer that the document does not name,
//! and nothing in the document that no answer shows.
//!
//! The last tests turn on the judge itself: with any one field taken out of the document, out of the answers, or added
//! to them, it has to find something wrong.

mod desk;
mod document;
mod exchange;
mod scenes;
mod shape;

use std::cell::OnceCell;

use cxtract::mock::openapi;
use serde_json::{Value, json};

use document::{Document, Findings, Places};
use exchange::Exchange;
use scenes::{RESULTS, Stage, page_parameters, submission, unhurried};

fn document() -> Document {
    Document(serde_json::from_str(&openapi("http://127.0.0.1:4711")).unwrap())
}

/// Every kind of exchange.
fn seen() -> Vec<Exchange> {
    [scenes::all(), desk::all()].concat()
}

/// The fewest exchanges that show everything: those that show what none before them did, and what that is.
fn telling(document: &Document) -> Vec<(Exchange, Places)> {
    let mut shown = Places::new();
    let mut telling = Vec::new();
    for exchange in seen() {
        let mut findings = Findings::default();
        document.hold(&exchange, &mut findings);
        let first_shown: Places = findings.seen.difference(&shown).cloned().collect();
        shown.extend(first_shown.iter().cloned());
        if !first_shown.is_empty() {
            telling.push((exchange, first_shown));
        }
    }
    telling
}

fn is_at_odds(document: &Document, exchange: &Exchange, blind_to: Option<&str>) -> bool {
    let mut findings = Findings { blind_to: blind_to.map(str::to_owned), ..Findings::default() };
    document.hold(exchange, &mut findings);
    !findings.wrong.is_empty()
}

/// What is wrong between the document and the exchanges.
fn complaints(document: &Document, exchanges: &[Exchange]) -> Vec<String> {
    let mut findings = Findings::default();
    for exchange in exchanges {
        document.hold(exchange, &mut findings);
    }
    let unseen: Places = document.places().difference(&findings.seen).cloned().collect();
    findings.wrong.extend(unseen.into_iter().map(|place| format!("{place} was never seen")));
    findings.wrong
}

#[test]
fn the_document_says_what_is_answered_and_nothing_else() {
    let wrong = complaints(&document(), &seen());
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_document_is_well_formed() {
    assert_eq!(document().0["openapi"], "3.1.1");
    let wrong = document().misshapen();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_guide_names_every_field_of_the_ledger_and_every_finding() {
    let guide = include_str!("../../docs/MOCK_TENANT.md");
    let schemas = document().0["components"]["schemas"].clone();
    let fields = schemas["Call"]["properties"].as_object().unwrap().keys();
    let findings = schemas["Finding"]["properties"]["name"]["enum"].as_array().unwrap().iter();
    let names = fields.map(String::as_str).chain(findings.filter_map(Value::as_str));
    let rows: String = guide.lines().filter(|line| line.starts_with("| `")).collect();
    let missing: Vec<&str> = names.filter(|name| !rows.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn what_the_document_requires_of_a_submission_the_tenant_requires() {
    let document = document();
    let schema = |name: &str| document.0["components"]["schemas"][name].clone();
    let tried = [("Submission", ""), ("Query", "/query"), ("Filter", "/query/filters/0")];
    for (name, place) in tried {
        let schema = schema(name);
        for key in schema["properties"].as_object().unwrap().keys() {
            let mut without = submission();
            let part = without.pointer_mut(place).unwrap().as_object_mut().unwrap();
            assert!(part.remove(key).is_some(), "the submission lacks {name}.{key}");
            let required = schema["required"].as_array().unwrap().contains(&json!(key));
            assert_eq!(is_accepted(&without), !required, "{name}.{key}");
        }
        let mut with = submission();
        with.pointer_mut(place).unwrap()["unheardOf"] = json!(1);
        assert!(!is_accepted(&with), "{name} takes any key");
    }
    let size = schema("Submission")["properties"]["pageSize"].clone();
    let (least, most) = (size["minimum"].as_u64().unwrap(), size["maximum"].as_u64().unwrap());
    let accepted = [least - 1, least, most, most + 1].map(|size| {
        let mut sized = submission();
        sized["pageSize"] = json!(size);
        is_accepted(&sized)
    });
    assert_eq!(accepted, [false, true, true, false]);
}

fn is_accepted(submission: &Value) -> bool {
    let mut stage = Stage::new(unhurried());
    stage.sign_in();
    stage.accepts(submission)
}

#[test]
fn what_the_document_requires_of_a_page_request_the_tenant_requires() {
    let document = document();
    let (path, _, operation) = document.operations().into_iter().find(|(path, _, _)| path == RESULTS).unwrap();
    for parameter in document.parameters(&path, &operation) {
        let (name, place) = (parameter.text("name").to_owned(), parameter.text("in"));
        if place != "query" {
            continue;
        }
        assert_eq!(parameter.value["required"], true, "{name}");
        let mut stage = Stage::new(unhurried());
        stage.sign_in();
        let query = stage.submitted();
        let mut parameters = page_parameters(&query, "1");
        stage.ask(200, ("GET", RESULTS), parameters.clone(), None);
        parameters.retain(|(_, known, _)| *known != name);
        stage.ask(400, ("GET", RESULTS), parameters, None);
    }
}

#[test]
fn a_field_taken_out_of_the_document_is_missed() {
    let whole = document();
    let mut n_tried = 0;
    for (exchange, shown) in telling(&whole) {
        assert!(!is_at_odds(&whole, &exchange, None));
        for place in shown {
            let (parent, key) = place.rsplit_once('/').unwrap();
            let Some(taken) = taken_out(&whole, parent, key) else { continue };
            assert!(is_at_odds(&taken, &exchange, None), "nobody misses {place}");
            n_tried += 1;
        }
    }
    assert!(n_tried > 300, "{n_tried}");
}

/// The document without that place; none where the place is no key of an object, but a word or a kind.
fn taken_out(whole: &Document, parent: &str, key: &str) -> Option<Document> {
    let mut document = whole.clone();
    let key = key.replace("~1", "/").replace("~0", "~");
    document.0.pointer_mut(parent)?.as_object_mut()?.remove(&key)?;
    let required = parent.strip_suffix("/properties").and_then(|schema| document.0.pointer_mut(schema));
    if let Some(required) = required.and_then(|schema| schema["required"].as_array_mut()) {
        required.retain(|name| name.as_str() != Some(&key));
    }
    Some(document)
}

#[test]
fn a_field_taken_out_of_an_answer_is_missed_where_the_document_requires_it() {
    let document = document();
    let mut n_tried = 0;
    for (exchange, shown) in telling(&document).into_iter().filter(|(exchange, _)| exchange.sent.is_none()) {
        for place in shown {
            let Some((schema, key)) = place.rsplit_once("/properties/") else { continue };
            let required = document.0.pointer(schema).and_then(|schema| schema["required"].as_array());
            let is_required = required.is_some_and(|all| all.iter().any(|name| name == key));
            assert_eq!(is_at_odds(&document, &exchange, Some(&place)), is_required, "{place}");
            n_tried += 1;
        }
    }
    assert!(n_tried > 80, "{n_tried}");
}

#[test]
fn a_field_added_to_an_answer_is_noticed() {
    let document = document();
    for (exchange, _) in telling(&document) {
        let json_type = exchange.answer_header("content-type") == Some("application/json");
        let Some(mut body) = json_type.then(|| exchange.json()).filter(Value::is_object) else { continue };
        if exchange.template == "/__mock/openapi.json" || matches!(exchange.status, 408 | 410 | 500 | 502 | 504) {
            // The document does not describe itself, and whatever stands in front of a tenant may say what it likes.
            continue;
        }
        body["unheardOf"] = json!(true);
        let changed = Exchange { body: body.to_string().into_bytes(), read: OnceCell::new(), ..exchange };
        assert!(is_at_odds(&document, &changed, None), "{changed}: nobody notices another field");
    }
}
