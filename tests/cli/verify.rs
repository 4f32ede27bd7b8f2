//! `cxtract verify`.

use std::process::Stdio;

use serde_json::Value;

use crate::support::{Place, code, err, out};

fn faulty() -> Place {
    let place = Place::empty();
    place.write("good.csv", "id,name,note\n1,a,b\n2,\"two\nlines\",c\n");
    place.write("bad.csv", "id,name,note\n1,a,b\n2,bro\nken,c\n3,a,b,c\n4,d,e\n");
    place
}

#[test]
fn what_a_run_delivers_verifies_in_every_form() {
    let place = Place::usual();
    let run = place.run(&["run", "--progress", "none"]);
    assert_eq!(code(&run), 0, "{}", err(&run));
    let verify = place.run(&["verify", "out/calls.csv", "out/queues.csv", "--json"]);
    assert_eq!(code(&verify), 0, "{}", out(&verify));
    let all: Value = serde_json::from_str(&out(&verify)).unwrap();
    for (i, report) in ["calls", "queues"].into_iter().enumerate() {
        let manifest: Value = serde_json::from_str(&place.read(&format!("out/{report}.csv.manifest.json"))).unwrap();
        for field in ["bytes", "rows", "sha256"] {
            assert_eq!(all[i][field], manifest["output"][field], "{report}: {field}");
        }
        assert_eq!((&all[i]["ok"], &all[i]["faults"]), (&true.into(), &Value::Array(vec![])));
    }
    let people = place.run(&["verify", "out/calls.csv"]);
    assert!(out(&people).starts_with("out/calls.csv: ok, 2,500 rows"), "{}", out(&people));
    assert!(out(&people).contains("as its manifest says"), "{}", out(&people));
    assert_eq!((code(&people), err(&people)), (0, String::new()));

    let text = place.read("out/calls.csv").replacen("2024", "2025", 1);
    place.write("out/calls.csv", &text);
    let changed = place.run(&["verify", "out/calls.csv"]);
    assert_eq!(code(&changed), 1);
    assert!(out(&changed).contains("its sha256 is") && out(&changed).contains("(manifest)"), "{}", out(&changed));
}

#[test]
fn faults_are_told_with_their_lines_and_exit_1() {
    let verify = faulty().run(&["verify", "good.csv", "bad.csv"]);
    assert_eq!(code(&verify), 1);
    let told = out(&verify);
    let lines: Vec<&str> = told.lines().collect();
    assert!(lines[0].starts_with("good.csv: ok, 2 rows"), "{told}");
    assert!(lines[1].starts_with("bad.csv: 2 faults"), "{told}");
    assert!(lines[2].starts_with("  line 3, record 3: ") && lines[2].ends_with("(raw_newline)"), "{told}");
    assert!(lines[3].starts_with("  line 5, record 5: 4 fields") && lines[3].ends_with("(ragged)"), "{told}");
}

#[test]
fn json_is_one_list_also_where_files_are_missing() {
    let verify = faulty().run(&["verify", "none.csv", "bad.csv", "good.csv", "--json"]);
    assert_eq!(code(&verify), 1);
    let all: Value = serde_json::from_str(&out(&verify)).unwrap();
    let keys: Vec<&str> = all[1].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["path", "ok", "bytes", "rows", "sha256", "faults"]);
    assert_eq!((&all[0]["path"], &all[0]["faults"][0]["kind"]), (&"none.csv".into(), &"missing".into()));
    let fault = &all[1]["faults"][0];
    assert_eq!((&fault["line"], &fault["record"], &fault["kind"]), (&3.into(), &3.into(), &"raw_newline".into()));
    assert!(fault["message"].is_string());
    assert_eq!((&all[2]["ok"], &all[2]["rows"]), (&true.into(), &2.into()));
}

#[test]
fn a_reader_that_went_away_is_no_failure() {
    let place = faulty();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let status = place.command(&["verify", "good.csv"]).stdout(writer).stderr(Stdio::null()).status().unwrap();
    assert_eq!(status.code(), Some(0));
}

#[test]
fn a_result_that_does_not_get_to_stdout_is_a_failure() {
    let place = faulty();
    for args in [&["verify", "good.csv"][..], &["verify", "--json", "good.csv"], &["repair", "--json", "good.csv", "b"]]
    {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let ended = place.command(args).stdout(full).output().unwrap();
        assert_eq!(ended.status.code(), Some(1), "{args:?}");
        assert!(String::from_utf8_lossy(&ended.stderr).contains("can't be written to stdout"), "{args:?}");
    }
}
