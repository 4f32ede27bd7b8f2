//! What the commands make of a state store: `status`, `forget`, and a dry run.

use cxtract::Config;
use cxtract::config::Sources;
use cxtract::model::{FileMark, PageNumber, Position, QueryId, ReportState, Timestamp, WallClock, Window};
use cxtract::state::{Begun, Checkpoint, ExtractionKey, Origin, SqliteStore, Store};
use serde_json::{Value, json};

use crate::support::{Place, USUAL, code, err, out};

fn january() -> Window {
    let moment = |text| Timestamp::parse(text).unwrap();
    Window { from: moment("2024-01-01T00:00:00Z"), to: moment("2024-01-31T23:59:59.999Z") }
}

impl Place {
    fn store(&self) -> SqliteStore {
        SqliteStore::open(&self.path(".cxtract/state.db"), WallClock::system()).unwrap()
    }

    /// As if an earlier run had stopped in the midst of that report.
    fn unfinished(&self, store: &SqliteStore, report: &str) -> ExtractionKey {
        let config = Config::load(&Sources::file(self.path("config.yaml"))).unwrap();
        let report = config.report(report).unwrap();
        let key = ExtractionKey {
            report: report.name.clone(),
            tenant: report.tenant.clone(),
            window: january(),
            hash: report.extraction_hash(),
        };
        let form: serde_json::Map<_, _> =
            report.extraction_form().into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        let output = report.output_file(&key.window).unwrap();
        let output = std::fs::canonicalize(self.path("")).unwrap().join(output.strip_prefix(self.path("")).unwrap());
        std::fs::create_dir_all(output.parent().unwrap()).unwrap();
        std::fs::write(output.with_extension("csv.part"), "id\n").unwrap();
        let begun = Begun {
            origin: Origin::Configured,
            form: Value::Object(form).to_string(),
            output: output.to_string_lossy().into_owned(),
        };
        store.begin(&key, &begun).unwrap();
        store.save_query(&key, 0, &QueryId::new("q-1"), Timestamp(0)).unwrap();
        let output = FileMark { offset: 3, crc32: crc32fast::hash(b"id\n") };
        let position = Position { next_page: PageNumber(3), n_pages: 2, n_rows: 1000, output, ..Position::start() };
        store.save_checkpoint(&key, &Checkpoint { position, memo: "{}".into() }).unwrap();
        store.save_state(&key, ReportState::Parked, Some("demo is down")).unwrap();
        key
    }
}

#[test]
fn without_a_store_status_is_empty_and_makes_none() {
    let place = Place::usual();
    let status = place.run(&["status", "--json"]);
    assert_eq!((code(&status), out(&status).as_str()), (0, "[]\n"), "{}", err(&status));
    let status = place.run(&["status"]);
    assert_eq!((code(&status), out(&status).as_str()), (0, "nothing is stored yet\n"));
    assert!(!place.path(".cxtract").exists());
}

#[test]
fn status_shows_what_is_stored_while_others_have_the_store_open() {
    let place = Place::usual();
    let store = place.store();
    place.unfinished(&store, "calls");
    let status = place.run(&["status", "--json"]);
    assert_eq!(code(&status), 0, "{}", err(&status));
    let mut all: Value = serde_json::from_str(&out(&status)).unwrap();
    let changed = all[0].as_object_mut().unwrap().remove("updated_at").unwrap();
    assert!(Timestamp::parse(changed.as_str().unwrap()).is_some());
    assert_eq!(
        all,
        json!([{
            "report": "calls", "tenant": "demo",
            "window": {"from": "2024-01-01T00:00:00.000Z", "to": "2024-01-31T23:59:59.999Z"},
            "state": "parked", "query_id": "q-1", "pages": 2, "rows": 1000, "bytes": 3, "message": "demo is down"
        }])
    );
    let table = out(&place.run(&["status"]));
    assert!(table.contains("2024-01-01..2024-01-31") && table.contains("page 3; demo is down"), "{table}");
}

#[test]
fn forget_drops_what_is_unfinished_and_its_part() {
    let place = Place::usual();
    let store = place.store();
    place.unfinished(&store, "calls");
    place.unfinished(&store, "queues");
    let forget = place.run(&["forget", "Calls", "--window", "2024-01-01..2024-01-31"]);
    assert_eq!((code(&forget), out(&forget).as_str()), (0, ""), "{}", err(&forget));
    assert!(err(&forget).contains("out/calls.csv.part"), "{}", err(&forget));
    assert!(!place.path("out/calls.csv.part").exists() && place.path("out/queues.csv.part").exists());
    assert_eq!(store.list().unwrap().len(), 1);
    let again = place.run(&["forget", "calls"]);
    assert_eq!(code(&again), 0);
    assert!(err(&again).contains("nothing unfinished"), "{}", err(&again));
}

#[test]
fn forget_refuses_what_makes_no_sense_and_makes_no_store() {
    let place = Place::usual();
    for (arguments, told) in [
        (&["forget", "nothing"][..], "no report named nothing"),
        (&["forget", "calls", "--window", "january"], "2024-01-01..2024-01-31"),
    ] {
        let forget = place.run(arguments);
        assert_eq!(code(&forget), 2, "{}", err(&forget));
        assert!(err(&forget).contains(told), "{}", err(&forget));
    }
    assert_eq!(code(&place.run(&["forget", "calls"])), 0);
    assert!(!place.path(".cxtract").exists());
}

#[test]
fn k5_forget_leaves_a_report_alone_that_another_process_works_on() {
    let place = Place::usual();
    let store = place.store();
    let key = place.unfinished(&store, "calls");
    let claim = store.claim(&key.report, &key.tenant).unwrap();
    assert!(claim.is_some());
    let forget = place.run(&["forget", "calls"]);
    assert_eq!(code(&forget), 75, "{}", err(&forget));
    assert!(err(&forget).contains("another process works on calls"), "{}", err(&forget));
    assert!(place.path("out/calls.csv.part").exists());
    assert_eq!(store.list().unwrap().len(), 1);
}

#[test]
fn d5_a_damaged_store_is_exit_2_with_the_remedy_for_every_command_and_stays_as_it_is() {
    let place = Place::usual();
    std::fs::create_dir(place.path(".cxtract")).unwrap();
    place.write(".cxtract/state.db", "this is no database, but it is long enough to be read as one");
    let commands: [&[&str]; 5] =
        [&["status"], &["status", "--json"], &["forget", "calls"], &["run", "--dry-run"], &["run"]];
    for arguments in commands {
        let run = place.run(arguments);
        assert_eq!(code(&run), 2, "{arguments:?}: {}", err(&run));
        assert!(err(&run).contains("state.db") && err(&run).contains("--fresh"), "{arguments:?}: {}", err(&run));
        assert_eq!(out(&run), "");
    }
    assert!(place.read(".cxtract/state.db").starts_with("this is no database"));
    assert!(!place.path("out").exists());
}

#[test]
fn k7_a_store_of_a_newer_program_is_exit_2_for_every_command_and_stays_as_it_is() {
    let place = Place::usual();
    let store = place.store();
    place.unfinished(&store, "calls");
    drop(store);
    // A version is written in two places, which must agree.
    let shift = |by: i64| {
        let database = rusqlite::Connection::open(place.path(".cxtract/state.db")).unwrap();
        for place in ["user_version", "application_id"] {
            let found = database.pragma_query_value(None, place, |row| row.get::<_, i64>(0)).unwrap();
            database.pragma_update(None, place, found + by).unwrap();
        }
    };
    shift(97);
    for arguments in [&["status"][..], &["forget", "calls"], &["run", "--dry-run"], &["run"]] {
        let run = place.run(arguments);
        assert_eq!(code(&run), 2, "{arguments:?}: {}", err(&run));
        assert!(err(&run).contains("run a newer program"), "{arguments:?}: {}", err(&run));
    }
    shift(-97);
    assert_eq!(place.store().list().unwrap().len(), 1);
}

#[test]
fn a_store_that_can_not_be_made_is_exit_2_before_any_request() {
    let place = Place::with_config(&format!("state: {{url: 'sqlite://config.yaml/state.db'}}\n{USUAL}"));
    let run = place.run(&["run"]);
    assert_eq!(code(&run), 2, "{}", err(&run));
    assert!(err(&run).contains("config.yaml/state.db"), "{}", err(&run));
    assert!(!place.path("out").exists());
}

#[test]
fn a_dry_run_shows_what_would_be_gone_on_with_and_changes_nothing() {
    let place = Place::usual();
    let store = place.store();
    place.unfinished(&store, "calls");
    let before = store.list().unwrap();
    let dry = place.run(&["run", "--dry-run"]);
    assert_eq!(code(&dry), 0, "{}", err(&dry));
    let plan = out(&dry);
    let (calls, queues) = plan.split_at(plan.find("queues").unwrap());
    assert!(calls.contains("goes on with what an earlier run left unfinished"), "{plan}");
    assert!(!queues.contains("goes on"), "{plan}");
    let fresh = out(&place.run(&["run", "--dry-run", "--fresh"]));
    assert!(!fresh.contains("goes on"), "{fresh}");
    assert_eq!(store.list().unwrap(), before);
    assert!(place.path("out/calls.csv.part").exists());
}

#[test]
fn f2_a_changed_report_is_exit_2_with_the_key_and_the_remedy_before_any_request() {
    let place = Place::usual();
    let store = place.store();
    place.unfinished(&store, "calls");
    place.unfinished(&store, "queues");
    for arguments in [&["run"][..], &["run", "--dry-run"]] {
        let changed = ["--set", "reports.calls.page_size=7", "--set", "reports.queues.page_size=7"];
        let run = place.run(&[arguments, &changed].concat());
        assert_eq!(code(&run), 2, "{}", err(&run));
        assert_eq!(err(&run).matches("page_size").count(), 2, "{}", err(&run));
        assert!(err(&run).contains("--fresh"), "{}", err(&run));
    }
    assert!(place.path("out/calls.csv.part").exists() && !place.path("out/calls.csv").exists());
}

#[test]
fn what_status_shows_of_a_window_is_what_forget_takes() {
    let place = Place::usual();
    let store = place.store();
    place.unfinished(&store, "calls");
    let table = out(&place.run(&["status"]));
    let window = table.lines().nth(1).unwrap().split_whitespace().nth(2).unwrap().to_owned();
    assert_eq!(code(&place.run(&["forget", "calls", "--window", &window])), 0);
    assert_eq!(store.list().unwrap(), []);
}

#[test]
fn a_store_is_found_from_wherever_the_configuration_is_named() {
    let place = Place::usual();
    place.unfinished(&place.store(), "calls");
    std::fs::create_dir(place.path("below")).unwrap();
    let mut command = place.command(&["run", "calls", "--dry-run", "-c", "../config.yaml"]);
    let dry = command.current_dir(place.path("below")).output().unwrap();
    assert_eq!(code(&dry), 0, "{}", err(&dry));
    assert!(out(&dry).contains("goes on"), "{}", out(&dry));
}
