use std::os::unix::fs::{PermissionsExt, symlink};

use super::super::{RECORD_BYTES, RepairError, Repaired, repair};
use super::*;

/// A good record, one that can be joined, one that can't, and a last one without its newline.
const BROKEN: &[u8] = b"id,name,note\r\n1,a,b\r\n2,bro\r\nken,c\r\n3,a,b,c\r\n4,d,e";

fn repaired(place: &Place, input: &str, output: &str) -> Result<Repaired, RepairError> {
    repair(&place.path(input), &place.path(output), RECORD_BYTES, &mut Unwatched)
}

fn refusal(place: &Place, input: &str, output: &str) -> String {
    match repaired(place, input, output) {
        Err(RepairError::Refused(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn c2_what_can_be_joined_is_joined_and_the_rest_set_aside() {
    let place = Place::new();
    place.write("in.csv", BROKEN);
    let done = repaired(&place, "in.csv", "out.csv").unwrap();
    assert_eq!((done.n_rows, done.n_joined, done.n_rejected, done.bad_utf8_line), (3, 1, 1, None));
    assert_eq!(
        String::from_utf8(place.read("out.csv")).unwrap(),
        "id,name,note\r\n1,a,b\r\n2,\"bro\r\nken\",c\r\n4,d,e\r\n"
    );
    let rejects = String::from_utf8(place.read("out.csv.rejects.csv")).unwrap();
    assert!(rejects.starts_with("page,line,reason,record\n1,5,") && rejects.ends_with(",\"3,a,b,c\"\n"), "{rejects}");
    let receipt: serde_json::Value = serde_json::from_slice(&place.read("out.csv.repairs.jsonl")).unwrap();
    assert_eq!((&receipt["page"], &receipt["record"], &receipt["line"]), (&1.into(), &3.into(), &3.into()));
    assert_eq!((&receipt["before"], &receipt["after"]), (&"2,bro\r\nken,c".into(), &"2,\"bro\r\nken\",c".into()));
    assert_eq!(place.names(), ["in.csv", "out.csv", "out.csv.rejects.csv", "out.csv.repairs.jsonl"]);
    assert!(verified(&place.path("out.csv")).is_ok());
    assert!(verified(&place.path("out.csv.rejects.csv")).is_ok());
    assert_eq!(place.read("in.csv"), BROKEN);
    let mode = fs::metadata(place.path("out.csv")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_good_file_is_copied_byte_for_byte_but_for_a_missing_last_newline() {
    let cases: [(&[u8], &[u8]); 8] = [
        (b"", b""),
        (b"\n\n", b""),
        (b"a,b\n1,2\n", b""),
        (b"\xef\xbb\xbfa,b\r\n1,2", b"\r\n"),
        (b"a,b\r1,2", b"\r"),
        (b"a,b", b"\n"),
        (b"\na,b\n\n1,\"x\ny\"", b"\n"),
        (b"a,b\n1,5\" pipe \xff\n", b""),
    ];
    for (text, added) in cases {
        let place = Place::new();
        place.write("in.csv", text);
        place.write("out.csv.rejects.csv", "of an earlier repair");
        place.write("out.csv.repairs.jsonl", "of an earlier repair");
        let done = repaired(&place, "in.csv", "out.csv").unwrap();
        assert_eq!(place.read("out.csv"), [text, added].concat());
        assert_eq!((done.n_joined, done.n_rejected), (0, 0));
        assert_eq!(place.names(), ["in.csv", "out.csv"], "nothing is left of an earlier repair");
    }
}

#[test]
fn bytes_that_are_no_utf8_are_kept_and_told() {
    let place = Place::new();
    place.write("in.csv", b"a,b\n1,\xff\n");
    assert_eq!(repaired(&place, "in.csv", "out.csv").unwrap().bad_utf8_line, Some(2));
}

#[test]
fn the_copy_is_compressed_as_its_name_says_and_unpacked_as_its_content_does() {
    let place = Place::new();
    place.write("in.csv", gzip(BROKEN));
    repaired(&place, "in.csv", "plain.csv").unwrap();
    for name in ["out.csv.gz", "out.csv.zst"] {
        repaired(&place, "in.csv", name).unwrap();
        let verified = verified(&place.path(name));
        assert!(verified.is_ok() && verified.n_rows == Some(3), "{verified:?}");
        assert_ne!(place.read(name), place.read("plain.csv"));
        repaired(&place, name, "again.csv").unwrap();
        assert_eq!(place.read("again.csv"), place.read("plain.csv"));
    }
    assert_eq!(place.read("out.csv.rejects.csv"), place.read("plain.csv.rejects.csv"));
    assert!(!place.names().iter().any(|name| name.ends_with(".gz.rejects.csv")));
}

#[test]
fn a_repair_never_writes_over_what_it_reads() {
    let place = Place::new();
    place.write("in.csv", BROKEN);
    symlink(place.path("in.csv"), place.path("link.csv")).unwrap();
    fs::hard_link(place.path("in.csv"), place.path("twin.csv")).unwrap();
    for (input, output) in
        [("in.csv", "in.csv"), ("in.csv", "link.csv"), ("link.csv", "in.csv"), ("in.csv", "twin.csv")]
    {
        let why = refusal(&place, input, output);
        assert!(why.contains("to be read"), "{input} {output}: {why}");
    }
    fs::rename(place.path("twin.csv"), place.path("out.csv.rejects.csv")).unwrap();
    assert!(refusal(&place, "in.csv", "out.csv").contains("to be read"));
    assert_eq!(place.read("in.csv"), BROKEN);
}

#[test]
fn names_that_something_else_needs_are_refused() {
    let place = Place::new();
    place.write("in.csv", BROKEN);
    place.write("out.csv.part", "of an extraction");
    assert!(refusal(&place, "in.csv", "out.csv").contains("out.csv.part"));
    assert_eq!(place.read("out.csv.part"), b"of an extraction");
    place.write("delivered.csv.manifest.json", "{}");
    assert!(refusal(&place, "in.csv", "delivered.csv").contains("delivered.csv.manifest.json"));
    fs::create_dir(place.path("folder")).unwrap();
    assert!(refusal(&place, "in.csv", "folder").contains("no regular file"));
    symlink(place.path("nowhere"), place.path("dangling.csv")).unwrap();
    assert!(refusal(&place, "in.csv", "dangling.csv").contains("no regular file"));
}

#[test]
fn a_header_that_is_damaged_ends_the_repair() {
    let place = Place::new();
    place.write("in.csv", "id,\"name\"x,note\n1,a,b\n");
    let error = repaired(&place, "in.csv", "out.csv").unwrap_err();
    assert!(matches!(error, RepairError::Header { line: 1, .. }), "{error}");
    assert_eq!(place.names(), ["in.csv"]);
}

#[test]
fn nothing_is_left_of_a_repair_that_was_ended_or_failed() {
    let place = Place::new();
    place.write("in.csv", BROKEN);
    place.write("out.csv", "as it was");
    place.write("cut.csv", &gzip(BROKEN)[..30]);
    for step in 1..=3 {
        let mut watch = AtStep { step, act: || ControlFlow::Break(()) };
        let ended = repair(&place.path("in.csv"), &place.path("out.csv"), RECORD_BYTES, &mut watch);
        assert!(matches!(ended, Err(RepairError::Interrupted)), "{step}: {ended:?}");
    }
    assert!(matches!(repaired(&place, "cut.csv", "out.csv"), Err(RepairError::Unreadable { .. })));
    assert!(matches!(repaired(&place, "none.csv", "out.csv"), Err(RepairError::Unreadable { .. })));
    assert!(matches!(repaired(&place, "in.csv", "none/out.csv"), Err(RepairError::Unwritable { .. })));
    assert_eq!(place.names(), ["cut.csv", "in.csv", "out.csv"]);
    assert_eq!(place.read("out.csv"), b"as it was");
}

#[test]
fn nothing_is_written_from_a_file_that_changes_meanwhile() {
    let place = Place::new();
    let path = place.write("in.csv", BROKEN);
    for step in 1..=3 {
        let mut watch = AtStep {
            step,
            act: || {
                fs::write(&path, [BROKEN, &[b'x'; 7][..]].concat()).unwrap();
                ControlFlow::Continue(())
            },
        };
        fs::write(&path, BROKEN).unwrap();
        let ended = repair(&place.path("in.csv"), &place.path("out.csv"), RECORD_BYTES, &mut watch);
        assert!(matches!(ended, Err(RepairError::Unreadable { .. })), "{step}: {ended:?}");
    }
    assert_eq!(place.names(), ["in.csv"]);
}

#[test]
fn c5_whatever_is_repaired_verifies_and_reads_back_with_the_columns_of_its_header() {
    let alphabet = [b'1', b'2', b'a', b',', b',', b',', b'"', b'\n', b'\n', b'\r', b' '];
    let mut random = fastrand::Rng::with_seed(7);
    let place = Place::new();
    let (mut n_copies, mut n_rejected, mut n_joined) = (0, 0, 0);
    for _ in 0..100 {
        let body = (0..random.usize(..40)).map(|_| *random.choice(&alphabet).unwrap());
        let text: Vec<u8> = b"id,a,b\n1,2,3\n".iter().copied().chain(body).collect();
        place.write("in.csv", &text);
        let done = repaired(&place, "in.csv", "out.csv").unwrap();
        let verified = verified(&place.path("out.csv"));
        let shown = String::from_utf8_lossy(&text).into_owned();
        assert!(verified.is_ok() && verified.n_rows == Some(done.n_rows), "{shown:?}: {verified:?}");
        let copy = place.read("out.csv");
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(&copy[..]);
        let widths: Vec<usize> = reader.byte_records().map(|record| record.unwrap().len()).collect();
        assert_eq!(widths, vec![3; done.n_rows as usize], "{shown:?}");
        // Nothing is taken for damage that the first reading has not seen.
        let was_ok = super::verified(&place.path("in.csv")).is_ok();
        assert_eq!(was_ok, done.n_joined + done.n_rejected == 0, "{shown:?}");
        n_copies += u64::from(was_ok);
        n_joined += done.n_joined;
        n_rejected += done.n_rejected;
    }
    assert!(n_copies > 3 && n_rejected > 30 && n_joined > 0, "{n_copies} {n_rejected} {n_joined}");
}
