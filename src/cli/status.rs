//! `cxtract status`: the extractions that the state store knows, for people and for programs.
//!
//! Figures come from one place each: of a complete extraction from its manifest, of any other from the position that
//! is durable. Nothing is made or changed here, so that it can be asked for while a run is under way.

use cxtract::Config;
use cxtract::config::{ReportConfig, Zone};
use cxtract::model::{Manifest, QueryId, ReportState, Timestamp};
use cxtract::state::{StoreError, StoredExtraction};
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};

use crate::cli::table::{Side, aligned};
use crate::cli::{windows, words};

/// An extraction with its figures.
#[derive(Debug)]
pub(crate) struct Entry {
    stored: StoredExtraction,
    manifest: Option<Manifest>,
}

struct Figures {
    query: Option<QueryId>,
    n_pages: u64,
    n_rows: u64,
    n_bytes: u64,
}

/// The entries of what is stored.
///
/// # Errors
/// If a manifest that is stored is none.
pub(crate) fn entries(stored: Vec<StoredExtraction>) -> Result<Vec<Entry>, StoreError> {
    stored.into_iter().map(entry).collect()
}

fn entry(stored: StoredExtraction) -> Result<Entry, StoreError> {
    let manifest = match (&stored.manifest, stored.state) {
        (Some(text), ReportState::Complete) => Some(serde_json::from_str(text).map_err(|error| {
            let key = &stored.key;
            StoreError::Damaged {
                what: format!("the manifest of {} at {} can't be read: {error}", key.report, key.tenant),
            }
        })?),
        _ => None,
    };
    Ok(Entry { stored, manifest })
}

impl Entry {
    fn figures(&self) -> Figures {
        if let Some(manifest) = &self.manifest {
            return Figures {
                query: manifest.query_id.clone(),
                n_pages: manifest.pages,
                n_rows: manifest.output.rows,
                n_bytes: manifest.output.bytes,
            };
        }
        let position = self.stored.checkpoint.as_ref().map(|checkpoint| &checkpoint.position);
        let query = if self.is_split() {
            None
        } else {
            let stored = self.stored.queries.get(&0).map(|query| query.id.clone());
            stored.or_else(|| position.and_then(|position| position.query_id.clone()))
        };
        Figures {
            query,
            n_pages: position.map_or(0, |p| p.n_pages),
            n_rows: position.map_or(0, |p| p.n_rows),
            n_bytes: position.map_or(0, |p| p.output.offset),
        }
    }

    fn is_split(&self) -> bool {
        let form: Option<Value> = serde_json::from_str(&self.stored.begun.form).ok();
        form.and_then(|form| form.get("split").map(|split| !split.is_null())).unwrap_or(false)
    }

    fn to_json(&self) -> Value {
        let Figures { query, n_pages, n_rows, n_bytes } = self.figures();
        let StoredExtraction { key, begun, state, message, updated_at, .. } = &self.stored;
        let mut entry = Map::new();
        let mut put = |name: &str, value| drop(entry.insert(name.to_owned(), value));
        put("report", json!(key.report));
        put("tenant", json!(key.tenant));
        put("window", json!(key.window));
        put("state", json!(state.as_str()));
        put("query_id", json!(query));
        put("pages", json!(n_pages));
        put("rows", json!(n_rows));
        put("bytes", json!(n_bytes));
        put("updated_at", json!(updated_at));
        put("message", json!(message));
        if begun.output == "-" {
            put("manifest", json!(self.manifest));
        }
        Value::Object(entry)
    }

    /// Where a later run would go on.
    fn position(&self, configured: Option<&ReportConfig>) -> String {
        if self.stored.state == ReportState::Complete {
            return "-".to_owned();
        }
        if self.stored.delivery.is_some() {
            return "being delivered".to_owned();
        }
        let Some(checkpoint) = &self.stored.checkpoint else { return "at its beginning".to_owned() };
        let page = format!("page {}", words::count(checkpoint.position.next_page.0));
        if !self.is_split() {
            return page;
        }
        let part = words::count(u64::from(checkpoint.position.part) + 1);
        // As many as there were: another split would be another extraction.
        let parts = configured
            .filter(|report| report.extraction_hash() == self.stored.key.hash)
            .and_then(|report| report.parts(self.stored.key.window).ok());
        match parts {
            Some(parts) => format!("part {part} of {}, {page}", words::count(parts.len() as u64)),
            None => format!("part {part}, {page}"),
        }
    }

    fn cells(&self, config: &Config, now: Timestamp, zone: &TimeZone) -> [String; 9] {
        let StoredExtraction { key, state, message, updated_at, .. } = &self.stored;
        let Figures { n_pages, n_rows, n_bytes, .. } = self.figures();
        let configured = config.report(key.report.as_str());
        let days = configured.map_or(Zone::UTC, |report| report.window.zone.clone());
        [
            key.report.to_string(),
            key.tenant.to_string(),
            windows::shown(&key.window, &days),
            state.as_str().to_owned(),
            words::count(n_pages),
            words::count(n_rows),
            words::bytes(n_bytes),
            words::clock(*updated_at, now, zone),
            match (self.position(configured.map(|report| &**report)), message) {
                (position, Some(message)) => {
                    format!("{position}; {}", words::escaped(words::without_name(message, &key.report)))
                }
                (position, None) => position,
            },
        ]
    }
}

/// The entries as JSON.
pub(crate) fn json(entries: &[Entry]) -> String {
    let entries: Vec<Value> = entries.iter().map(Entry::to_json).collect();
    format!("{:#}\n", Value::Array(entries))
}

/// The entries as a table.
pub(crate) fn table(entries: &[Entry], config: &Config, now: Timestamp, zone: &TimeZone) -> String {
    if entries.is_empty() {
        return "nothing is stored yet\n".to_owned();
    }
    let head = ["report", "tenant", "window", "state", "pages", "rows", "size", "changed", "position"];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(entries.iter().map(|entry| entry.cells(config, now, zone)));
    use Side::{Left, Right};
    let mut text = aligned(&rows, [Left, Left, Left, Left, Right, Right, Right, Left, Left]).join("\n");
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use cxtract::model::{FileMark, PageNumber, Position, ReportName, TenantName, WallClock, Window};
    use cxtract::state::{Begun, Checkpoint, ExtractionKey, MemoryStore, Origin, Store};

    use super::*;
    use crate::cli::progress::samples;

    const NOW: Timestamp = Timestamp(1_706_706_030_000); // 2024-01-31T13:00:30Z

    fn key(report: &str) -> ExtractionKey {
        let window = Window { from: Timestamp(0), to: Timestamp(86_399_999) };
        ExtractionKey { report: ReportName::new(report), tenant: TenantName::new("acme"), window, hash: "h".into() }
    }

    fn store() -> MemoryStore {
        MemoryStore::new(WallClock::new(|| NOW))
    }

    fn begin(store: &MemoryStore, report: &str, form: &str, output: &str) -> ExtractionKey {
        let begun = Begun { origin: Origin::Configured, form: form.into(), output: output.into() };
        store.begin(&key(report), &begun).unwrap();
        key(report)
    }

    fn fetching(store: &MemoryStore, report: &str, form: &str) {
        let key = begin(store, report, form, "/out/a.csv");
        store.save_query(&key, 0, &QueryId::new("q-1"), NOW).unwrap();
        let output = FileMark { offset: 1_500_000, crc32: 0 };
        let position = Position { next_page: PageNumber(13), n_pages: 12, n_rows: 60_000, output, ..Position::start() };
        store.save_checkpoint(&key, &Checkpoint { position, memo: "{}".into() }).unwrap();
        store.save_state(&key, ReportState::Fetching, Some("slow\u{1b}[2J")).unwrap();
    }

    fn complete(store: &MemoryStore, report: &str, output: &str) {
        let key = begin(store, report, "{}", output);
        let manifest = samples::complete(report).manifest().unwrap().to_json();
        store.complete(&key, &manifest, None).unwrap();
    }

    fn known(store: &MemoryStore) -> Vec<Entry> {
        entries(store.list().unwrap()).unwrap()
    }

    fn shown(store: &MemoryStore) -> String {
        table(&known(store), &Config::empty(Path::new("/")), NOW, &TimeZone::UTC)
    }

    #[test]
    fn nothing_stored_is_an_empty_list_and_said_to_people() {
        assert_eq!(json(&[]), "[]\n");
        assert_eq!(shown(&store()), "nothing is stored yet\n");
    }

    #[test]
    fn an_unfinished_extraction_shows_its_position() {
        let store = store();
        fetching(&store, "calls", "{\"split\":null}");
        let all: Value = serde_json::from_str(&json(&known(&store))).unwrap();
        assert_eq!(
            all,
            json!([{
                "report": "calls", "tenant": "acme",
                "window": {"from": "1970-01-01T00:00:00.000Z", "to": "1970-01-01T23:59:59.999Z"},
                "state": "fetching", "query_id": "q-1", "pages": 12, "rows": 60_000, "bytes": 1_500_000,
                "updated_at": "2024-01-31T13:00:30.000Z", "message": "slow\u{1b}[2J"
            }])
        );
        assert_eq!(
            shown(&store),
            "report  tenant  window      state     pages    rows    size  changed   position\n\
             calls   acme    1970-01-01  fetching     12  60,000  1.5 MB  13:00:30  page 13; slow\\u{1b}[2J\n"
        );
    }

    #[test]
    fn a_split_extraction_has_no_one_query_and_names_its_part() {
        let store = store();
        fetching(&store, "calls", "{\"split\":\"30d in UTC\"}");
        let all: Value = serde_json::from_str(&json(&known(&store))).unwrap();
        assert_eq!(all[0]["query_id"], Value::Null);
        assert!(shown(&store).contains("part 1, page 13"), "{}", shown(&store));
    }

    #[test]
    fn a_complete_extraction_has_the_figures_of_its_manifest() {
        let store = store();
        complete(&store, "calls", "/out/calls.csv");
        let all: Value = serde_json::from_str(&json(&known(&store))).unwrap();
        assert_eq!((&all[0]["state"], &all[0]["query_id"]), (&json!("complete"), &json!("q-1")));
        assert_eq!((&all[0]["rows"], &all[0]["bytes"]), (&json!(1_234_567), &json!(512_300_000)));
        assert!(all[0].get("manifest").is_none());
    }

    #[test]
    fn what_went_to_standard_output_shows_its_manifest_here() {
        let store = store();
        complete(&store, "calls", "-");
        begin(&store, "queues", "{}", "-");
        let all: Value = serde_json::from_str(&json(&known(&store))).unwrap();
        assert_eq!(all[0]["manifest"]["output"]["rows"], 1_234_567);
        assert_eq!(all[1].get("manifest"), Some(&Value::Null));
    }

    #[test]
    fn d5_a_manifest_that_is_none_is_damage_that_is_named() {
        let store = store();
        let key = begin(&store, "calls", "{}", "/out/calls.csv");
        store.complete(&key, "{}", None).unwrap();
        let told = entries(store.list().unwrap()).unwrap_err().to_string();
        assert!(told.contains("calls") && told.contains("damaged"), "{told}");
    }
}
