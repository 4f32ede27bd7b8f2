use std::io::Write as _;

use crate::model::{Timestamp, Window};

use super::super::report::{End, MockReport, OnPages};
use super::*;

fn file(text: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text).unwrap();
    file
}

fn window() -> Window {
    Window { from: Timestamp(0), to: Timestamp(86_399_999) }
}

/// Every page's bytes.
fn pages(report: &MockReport, page_size: u64) -> Vec<Vec<u8>> {
    let n_pages = (1..).take_while(|&page| !report.rows_on(page, page_size).is_empty()).count() as u64;
    (1..=n_pages).map(|page| report.page(report.source(1, "t", window()), page, page_size).whole()).collect()
}

fn expected(report: &MockReport) -> Vec<u8> {
    super::super::Expected::new(report.clone(), vec![report.source(1, "t", window())]).bytes()
}

const HARD: &[u8] = b"id,\"na,me\",note\r\n1,\"a\r\nb\",x\r\n2,\"\"\"q\"\"\",\r\n\r\n3,\xFF\xFE,z\r\n4,,\"\n\"\r\n";

#[test]
fn records_keep_their_bytes_in_pages_of_any_size() {
    let file = file(HARD);
    let report = MockReport { header: OnPages::First, ..MockReport::of_file(file.path()).unwrap() };
    assert_eq!(report.rows, 4);
    for page_size in [1, 2, 3, 4, 100] {
        assert_eq!(pages(&report, page_size).concat(), HARD, "{page_size}");
    }
    assert_eq!(expected(&report), HARD);
    assert_eq!(pages(&report, 2)[1], b"3,\xFF\xFE,z\r\n4,,\"\n\"\r\n");
}

#[test]
fn every_page_may_repeat_the_header_and_a_mark_and_lack_the_last_line_ending() {
    let file = file(b"\xEF\xBB\xBFa,b\n1,2\n3,4\n5,6");
    let report = MockReport::of_file(file.path()).unwrap();
    assert_eq!(pages(&report, 2), [b"a,b\n1,2\n3,4\n".as_slice(), b"a,b\n5,6"]);
    let bare = MockReport { bom: OnPages::Every, final_newline: false, ..report.clone() };
    assert!(bare.check().is_ok());
    assert_eq!(pages(&bare, 2), [b"\xEF\xBB\xBFa,b\n1,2\n3,4".as_slice(), b"\xEF\xBB\xBFa,b\n5,6"]);
    assert_eq!(expected(&bare), b"a,b\n1,2\n3,4\n5,6\n");
    let without = MockReport { header: OnPages::Never, ..report };
    assert_eq!(expected(&without), b"1,2\n3,4\n5,6\n");
}

#[test]
fn rows_cap_the_file_and_never_go_beyond_it() {
    let file = file(b"a,b\n1,2\n3,4\n5,6\n");
    let all = MockReport::of_file(file.path()).unwrap();
    let two = MockReport { rows: 2, ..all.clone() };
    assert_eq!(expected(&two), b"a,b\n1,2\n3,4\n");
    let many = MockReport { rows: 99, ..all };
    assert_eq!((many.n_rows(), pages(&many, 2).len()), (3, 2));
    assert!(many.is_last(2, 2));
}

#[test]
fn a_file_of_a_header_alone_is_a_report_without_rows() {
    for text in [b"a,b".as_slice(), b"a,b\n", b"\xEF\xBB\xBFa,b\n"] {
        let file = file(text);
        let report = MockReport { end: End::HeaderOnly, ..MockReport::of_file(file.path()).unwrap() };
        assert_eq!(report.rows, 0);
        assert_eq!(report.page(report.source(1, "t", window()), 1, 10).whole(), b"a,b\n");
        assert_eq!(expected(&report), b"a,b\n");
    }
}

#[test]
fn what_can_not_be_served_is_named_with_the_remedy() {
    let said = |path: &Path| CsvFile::open(path).unwrap_err().to_string();
    let missing = said(Path::new("/nowhere/calls.csv"));
    assert!(missing.contains("/nowhere/calls.csv") && missing.contains("name a file that can be read"), "{missing}");
    for text in [b"".as_slice(), b"\xEF\xBB\xBF", b"\n\r\n\n"] {
        let empty = said(file(text).path());
        assert!(empty.contains("empty") && empty.contains("header"), "{empty}");
    }
    let ragged = said(file(b"a,b,c\n1,2\n").path());
    assert!(ragged.contains("3 fields and its first row 2"), "{ragged}");
    assert!(said(&std::env::temp_dir()).contains("can't be served"));
}

#[test]
fn a_quote_that_is_never_closed_is_refused_and_its_record_named() {
    let said = |text: &[u8]| CsvFile::open(file(text).path()).unwrap_err().to_string();
    let row = said(b"\xEF\xBB\xBFa,b\n1,\"x\ny\"\n2,\"z\n3,w\n");
    assert!(row.contains("row 2, which begins in line 4") && row.contains("close it"), "{row}");
    let header = said(b"a,\"b\n1,2\n");
    assert!(header.contains("its header, which begins in line 1"), "{header}");
    // A quote within a bare field opens nothing.
    assert_eq!(CsvFile::open(file(b"a,b\n5\" pipe,x\n1,2\n").path()).unwrap().rows(), 2);
}

#[test]
fn a_file_in_utf_16_is_refused_with_or_without_its_mark() {
    let units = |of: fn(u16) -> [u8; 2]| "a,b\n1,2\n".encode_utf16().flat_map(of).collect::<Vec<u8>>();
    let (little, big) = (units(u16::to_le_bytes), units(u16::to_be_bytes));
    for text in [[b"\xFF\xFE", little.as_slice()].concat(), [b"\xFE\xFF", big.as_slice()].concat(), little, big] {
        let said = CsvFile::open(file(&text).path()).unwrap_err().to_string();
        assert!(said.contains("UTF-16") && said.contains("save it as UTF-8"), "{said}");
    }
}

#[test]
fn a_blank_line_is_refused_where_it_might_be_a_row() {
    for text in [b"a\n1\n\n2\n".as_slice(), b"a\r\n1\r\n\r\n2\r\n", b"a\n1\n\n"] {
        let said = CsvFile::open(file(text).path()).unwrap_err().to_string();
        assert!(said.contains("line 3 is blank") && said.contains("leave the line out"), "{said}");
    }
    assert_eq!(CsvFile::open(file(b"a\n1\n\"\"\n2\n").path()).unwrap().rows(), 3);
    assert_eq!(CsvFile::open(file(b"a,b\n1,2\n\n3,4\n").path()).unwrap().rows(), 2);
}

#[test]
fn settings_that_a_file_can_not_have_are_refused() {
    let (plain, mixed) = (file(b"a,b\n1,2\n3,4\n"), file(b"a,b\n1,2\r\n3,4\n"));
    let report = |path: &Path| MockReport::of_file(path).unwrap();
    let flawed = MockReport { flaw_every: Some(2), ..report(plain.path()) };
    assert!(flawed.check().unwrap_err().to_string().contains("leave out flaw_every"));
    let bare = |path| MockReport { final_newline: false, ..report(path) };
    assert!(bare(plain.path()).check().is_ok());
    assert!(bare(mixed.path()).check().unwrap_err().to_string().contains("line ending"));
}

#[test]
fn more_records_than_places_are_kept_are_found_all_the_same() {
    let n_rows = 2 * MOST_PLACES as u64 + 77;
    let mut text = b"n,note\n".to_vec();
    for n in 0..n_rows {
        writeln!(text, "{n},\"{}\n\"", "x".repeat((n % 7) as usize)).unwrap();
    }
    let file = file(&text);
    let opened = CsvFile::open(file.path()).unwrap();
    assert_eq!(opened.rows(), n_rows);
    assert!(opened.0.places.len() <= MOST_PLACES && opened.0.stride >= 2);
    for row in [0, 1, 2, 3, 5, 8, n_rows / 2 + 1, n_rows - 2, n_rows - 1] {
        let mut bytes = Vec::new();
        opened.row(row, &mut bytes).unwrap();
        assert_eq!(bytes, format!("{row},\"{}\n\"\n", "x".repeat((row % 7) as usize)).into_bytes());
    }
    let report = MockReport { header: OnPages::First, ..MockReport::of_file(file.path()).unwrap() };
    assert!(pages(&report, 9_973).concat() == text);
}

#[test]
fn a_file_that_shrinks_while_it_is_served_breaks_the_page_off() {
    let file = file(b"a,b\n1,2\n3,4\n5,6\n");
    let report = MockReport::of_file(file.path()).unwrap();
    file.as_file().set_len(9).unwrap();
    let mut page = report.page(report.source(1, "t", window()), 1, 10);
    while page.next_piece(&mut Vec::new()) {}
    assert!(page.broke());
}

#[test]
fn other_rows_are_those_that_have_moved_by_one() {
    let file = file(b"a,b\n1,2\n3,4\n5,6\n");
    let report = MockReport { header: OnPages::First, ..MockReport::of_file(file.path()).unwrap() };
    let page = report.page(report.source(1, "t", window()).changed(), 2, 1);
    assert_eq!(page.whole(), b"5,6\n");
}
