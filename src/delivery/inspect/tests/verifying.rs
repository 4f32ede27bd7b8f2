use serde_json::{Value, json};

use super::*;

/// Line and kind of each fault.
fn faults(text: impl AsRef<[u8]>) -> Vec<(Option<u64>, &'static str)> {
    let place = Place::new();
    let verified = verified(&place.write("a.csv", text));
    verified.faults.listed().iter().map(|fault| (fault.line, fault.kind)).collect()
}

fn manifest(bytes: u64, rows: u64, sha256: &str, columns: &[&str]) -> Value {
    json!({"version": 1, "output": {"path": "a.csv", "bytes": bytes, "rows": rows, "sha256": sha256}, "columns": columns})
}

/// What is wrong with a file beside a manifest, and the rows that are told.
fn against(text: &[u8], manifest: &Value) -> (Vec<String>, Option<u64>) {
    let place = Place::new();
    let path = place.write("a.csv", text);
    place.write("a.csv.manifest.json", manifest.to_string());
    let verified = verified(&path);
    assert_eq!(verified.has_manifest, verified.faults.listed().iter().all(|f| !f.message.contains("can't be used")));
    (
        verified.faults.listed().iter().map(|fault| format!("{}: {}", fault.kind, fault.message)).collect(),
        verified.n_rows,
    )
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn files_that_any_reader_reads_alike_are_ok() {
    let cases: [(&str, u64); 9] = [
        ("", 0),
        ("\u{feff}", 0),
        ("a,b\n", 0),
        ("a,b", 0),
        ("\u{feff}a,b\r\n1,2\r\n", 1),
        ("a,b\n1,2\n\n3,4", 2),
        ("a,b\n1,\"two\nlines\"\n2,\"say \"\"hi\"\"\"\n", 2),
        ("a,b\r1,2\r", 1),
        ("a,b\n1,5\" pipe\n", 1),
    ];
    for (text, rows) in cases {
        let place = Place::new();
        let verified = verified(&place.write("a.csv", text));
        assert_eq!((verified.faults.listed(), verified.n_rows), (&[][..], Some(rows)), "{text:?}");
        assert_eq!(verified.n_bytes, Some(text.len() as u64));
        assert_eq!(verified.sha256.as_deref(), Some(&*sha256(text.as_bytes())));
    }
}

#[test]
fn a_hash_is_computed_only_where_somebody_asks_for_it() {
    let place = Place::new();
    let path = place.write("a.csv", "a,b\n1,2\n");
    assert_eq!(verify(&path, &VerifyRules::default(), &mut Unwatched).unwrap().sha256, None);
    place.write("a.csv.manifest.json", manifest(8, 1, &sha256(b"a,b\n1,2\n"), &["a", "b"]).to_string());
    let verified = verify(&path, &VerifyRules::default(), &mut Unwatched).unwrap();
    assert!(verified.is_ok() && verified.sha256.is_some(), "{verified:?}");
}

#[test]
fn a_file_that_is_not_there_or_is_none_is_a_fault() {
    let place = Place::new();
    for (path, kind) in [(place.path("none.csv"), "missing"), (place.path(""), "unreadable")] {
        let verified = verified(&path);
        let listed = verified.faults.listed();
        assert_eq!((listed.len(), listed[0].kind, listed[0].line), (1, kind, None));
        assert_eq!((verified.n_bytes, verified.n_rows, verified.sha256), (None, None, None));
    }
}

#[test]
fn every_difference_from_the_manifest_is_named_with_both_values() {
    let text = b"a,b\n1,2\n3,4\n";
    let hash = sha256(text);
    assert_eq!(against(text, &manifest(12, 2, &hash, &["a", "b"])), (vec![], Some(2)));
    let (told, _) = against(text, &manifest(13, 3, "00ff", &["a", "c"]));
    assert_eq!(
        told,
        [
            "manifest: it has 12 bytes, and its manifest says 13".to_owned(),
            format!("manifest: its sha256 is {hash}, and its manifest says 00ff"),
            "manifest: it has 2 rows, and its manifest says 3".to_owned(),
            "manifest: its column 2 is \"b\", and its manifest says \"c\"".to_owned(),
        ]
    );
    let (told, _) = against(text, &manifest(12, 2, &hash, &["a"]));
    assert_eq!(told, ["manifest: its header has 2 columns, and its manifest says 1"]);
}

#[test]
fn a_manifest_that_can_not_be_used_is_a_fault_and_the_file_is_still_looked_at() {
    for broken in [
        json!("none"),
        json!({"version": 1}),
        json!({"version": 2, "output": {"bytes": 1, "rows": 1, "sha256": ""}, "columns": []}),
    ] {
        let (told, rows) = against(b"a\n1\n", &broken);
        assert_eq!((told.len(), rows), (1, Some(1)), "{told:?}");
        assert!(told[0].starts_with("manifest: its manifest can't be used"), "{told:?}");
    }
}

#[test]
fn a_blank_line_in_a_table_of_one_column_may_be_a_row() {
    let text = b"a\n1\n\n3\n";
    for rows in [2, 3] {
        assert_eq!(against(text, &manifest(7, rows, &sha256(text), &["a"])), (vec![], Some(rows)));
    }
    let (told, _) = against(text, &manifest(7, 4, &sha256(text), &["a"]));
    assert_eq!(told, ["manifest: it has 3 rows, and its manifest says 4"]);
    let (told, _) = against(b"a,b\n1,2\n\n", &manifest(9, 2, &sha256(b"a,b\n1,2\n\n"), &["a", "b"]));
    assert_eq!(told, ["manifest: it has 1 rows, and its manifest says 2"]);
}

#[test]
fn the_header_is_known_in_every_form_in_which_it_is_delivered() {
    for (text, columns) in [
        (&b"\xef\xbb\xbfa,b\n"[..], ["a", "b"]),
        (b"\"a\",b\n", ["a", "b"]),
        (b"a,\xff\n", ["a", "\u{fffd}"]),
        (b"a,'=b\n", ["a", "=b"]),
        (b"a,\"two\\nlines\"\n", ["a", "two\r\nlines"]),
        (b"a,\"'-\\\\n\\n\"\n", ["a", "-\\n\n"]),
    ] {
        let (told, _) = against(text, &manifest(text.len() as u64, 0, &sha256(text), &columns));
        let told: Vec<_> = told.iter().filter(|told| told.starts_with("manifest")).collect();
        assert!(told.is_empty(), "{columns:?}: {told:?}");
    }
}

#[test]
fn c5_a_ragged_record_is_told_with_its_line_and_kind() {
    assert_eq!(faults("id,a,b\n1,2,3\n2,x,y,z\n3,4,5\n"), [(Some(3), "ragged")]);
    assert_eq!(faults("id,a,b\n1,\"2\n2\",3\n\n2,x,y,z\n"), [(Some(5), "ragged")]);
}

#[test]
fn c2_a_raw_newline_is_told_on_the_line_where_the_record_breaks() {
    assert_eq!(faults("id,a,b\n1,2,3\n2,x\ny,z\n3,4,5\n"), [(Some(3), "raw_newline")]);
    assert_eq!(faults("id,a,b\n1,2,3\n2,x\r\n\r\ny,z\r\n3,4,5\r\n"), [(Some(3), "raw_newline")]);
}

#[test]
fn what_can_be_read_in_several_ways_is_told_and_not_guessed() {
    let kinds: Vec<_> = faults("a,b,c\nu,v,w\nx\ny,1,2\n").into_iter().map(|(_, kind)| kind).collect();
    assert!(!kinds.is_empty() && !kinds.contains(&"raw_newline"), "{kinds:?}");
}

#[test]
fn c6_a_quote_that_is_never_closed_is_one_fault_and_hides_no_other() {
    let told = faults("id,a,b\n1,\"2,3\n2,3,4\n3,4,5\n4,x,y,z\n5,6,7\n");
    assert_eq!((told.len(), told[0], told[1]), (2, (Some(2), "open_quote"), (Some(5), "ragged")));
}

#[test]
fn text_behind_a_closing_quote_is_told() {
    assert_eq!(faults("id,a,b\n1,\"2\"x,3\n2,3,4\n"), [(Some(2), "misquoted")]);
}

#[test]
fn c3_bytes_that_are_no_utf8_are_told_by_line_and_record() {
    let place = Place::new();
    let path = place.write("a.csv", b"id,a\n1,gr\xfcn \xfc\n2,\"x\ny\xff\"\n3,4\n5,6,\xfe\n");
    let verified = verified(&path);
    let told: Vec<_> = verified.faults.listed().iter().map(|f| (f.line.unwrap(), f.record.unwrap(), f.kind)).collect();
    assert_eq!(
        told,
        [(2, 2, "invalid_utf8"), (4, 3, "invalid_utf8"), (6, 5, "ragged"), (6, 5, "invalid_utf8")],
        "{verified:?}"
    );
    assert_eq!(verified.faults.listed()[0].message, "byte 5 of the line, 0xFC, is no UTF-8");
}

#[test]
fn lines_and_records_are_counted_on_behind_every_fault() {
    for ending in ["\n", "\r\n", "\r"] {
        let text = ["id,a,b", "1,2,3", "2,x", "", "y,z", "3", "4,x,y,z", "5,6,7", "8,~,9", ""].join(ending);
        let text: Vec<u8> = text.bytes().map(|byte| if byte == b'~' { 0xff } else { byte }).collect();
        let place = Place::new();
        let verified = verified(&place.write("a.csv", text));
        let last = verified.faults.listed().last().unwrap();
        let line = if ending == "\r" { 1 } else { 10 - 1 };
        assert_eq!(
            (last.kind, last.line, last.record),
            ("invalid_utf8", Some(line), Some(8)),
            "{ending:?}: {verified:?}"
        );
    }
}

#[test]
fn compressed_files_are_unpacked_and_compared_as_they_lie_there() {
    let text = b"id,a\n1,2\n2,x,y\n";
    let packed = [gzip(&text[..7]), gzip(&text[7..])].concat();
    for packed in [packed, zstd::encode_all(&text[..], 1).unwrap()] {
        let place = Place::new();
        let path = place.write("a.csv.gz", &packed);
        place.write(
            "a.csv.gz.manifest.json",
            manifest(packed.len() as u64, 2, &sha256(&packed), &["id", "a"]).to_string(),
        );
        let verified = verified(&path);
        let kinds: Vec<_> = verified.faults.listed().iter().map(|fault| fault.kind).collect();
        assert_eq!((kinds, verified.n_rows), (vec!["ragged"], Some(2)), "{verified:?}");
        assert_eq!(verified.n_bytes, Some(packed.len() as u64));
    }
}

#[test]
fn a_compressed_file_that_breaks_off_is_unreadable_and_still_compared() {
    let packed = gzip(&b"id,a\n1,2\n".repeat(1_000));
    for cut in [1, 5, packed.len() / 2, packed.len() - 1] {
        let place = Place::new();
        let path = place.write("a.csv.gz", &packed[..cut]);
        place.write("a.csv.gz.manifest.json", manifest(packed.len() as u64, 1, &sha256(&packed), &[]).to_string());
        let verified = verified(&path);
        let kinds: Vec<_> = verified.faults.listed().iter().map(|fault| fault.kind).collect();
        assert!(kinds.starts_with(&["manifest", "manifest"]), "{cut}: {verified:?}");
        assert_eq!((verified.n_bytes, verified.sha256), (Some(cut as u64), Some(sha256(&packed[..cut]))));
        // One byte alone is no sign of compression.
        assert_eq!((verified.n_rows.is_none(), kinds.contains(&"unreadable")), (cut > 1, cut > 1), "{cut}");
    }
}

#[test]
fn a_file_that_changes_between_two_readings_is_not_judged() {
    let place = Place::new();
    let path = place.write("a.csv", "id,a\n1,2,3\n");
    let changed = path.clone();
    let mut watch = AtStep {
        step: 1,
        act: || {
            fs::write(&changed, "id,a\n1,2\n").unwrap();
            ControlFlow::Continue(())
        },
    };
    let verified = verify(&path, &VerifyRules::default(), &mut watch).unwrap();
    let fault = verified.faults.listed().last().unwrap();
    assert!(fault.kind == "unreadable" && fault.message.contains("changed"), "{verified:?}");
}

#[test]
fn whoever_looks_on_can_end_the_reading() {
    let place = Place::new();
    let path = place.write("a.csv", "id,a\n1,2\n");
    let mut watch = AtStep { step: 1, act: || ControlFlow::Break(()) };
    assert!(verify(&path, &VerifyRules::default(), &mut watch).is_err());
}
