//! Where quotes stand out of place, against a reading of the whole page that keeps every record's course.

use super::*;
use crate::csv::grammar::{Event, State};
use crate::csv::mend::Place;

/// What a page says about its stray quotes: any at all, the first record misquoted, any record entangled.
type Quotes = (bool, Option<Place>, bool);

fn quotes(framed: &Framed) -> Quotes {
    (framed.stray_quotes, framed.misquoted, framed.is_entangled)
}

/// The same read plainly: each record is gone through on its own, with all of its states before us.
fn read_plainly(page: &[u8]) -> Quotes {
    let text = page.strip_prefix(&BOM).unwrap_or(page);
    let mut course = vec![State::RecordStart];
    for &byte in text {
        course.push(course.last().unwrap().step(byte).0);
    }
    let mut found: Quotes = (false, None, false);
    let mut record = 0;
    let mut spans_lines = false;
    for (at, &byte) in text.iter().enumerate() {
        let is_line_end = matches!(byte, b'\n' | b'\r');
        if course[at] == State::RecordStart && !is_line_end {
            record += 1;
            spans_lines = false;
        }
        spans_lines |= course[at] == State::Quoted && is_line_end;
        if course[at].step(byte).1 == Event::StrayQuote {
            found.0 = true;
            if course[at] == State::QuoteInQuoted {
                let begins = (0..=at).rfind(|&i| course[i] == State::RecordStart).unwrap();
                let line = 1 + text[..begins].iter().filter(|&&b| b == b'\n').count() as u64;
                found.1 = found.1.or(Some(Place { record, line }));
            } else {
                found.2 |= spans_lines;
            }
        }
    }
    found
}

#[test]
fn every_short_text_shows_its_stray_quotes_in_any_place_of_a_block_and_however_it_is_cut() {
    for text in short_texts(5) {
        let page = [b"h,h\n\"\n\",", text.as_slice(), b"\"\n"].concat();
        for page in [page.clone(), [b"h\n".as_slice(), &[b'x'; BLOCK - 9], b"\n1,", &text, &[b'\n'; BLOCK]].concat()] {
            let whole = lenient(&page);
            if whole.broken.is_none() {
                assert_eq!(quotes(&whole), read_plainly(&page), "{:?}", String::from_utf8_lossy(&page));
            }
        }
    }
}

#[test]
fn every_split_of_a_short_page_tells_the_same_of_its_quotes() {
    for text in short_texts(4) {
        let page = [b"h\n".as_slice(), &[b'x'; BLOCK - 7], b"\n\"\n", &text, b"\n", &[b'y'; 9]].concat();
        let whole = lenient(&page);
        for cut in BLOCK - 4..=BLOCK + 4 {
            let facts = lenient_cut(&[&page[..cut], &page[cut..]], 1 << 20);
            assert_eq!(facts, whole, "{:?} cut at {cut}", String::from_utf8_lossy(&page));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn stray_quotes_anywhere_in_any_bytes_show_as_in_a_plain_reading(page in pieces()) {
        let framed = lenient(&page);
        if framed.broken.is_none() {
            prop_assert_eq!(quotes(&framed), read_plainly(&page));
        }
    }
}

mod faults {
    use super::*;

    #[test]
    fn c5_text_behind_a_closing_quote_is_named_by_record_and_line() {
        for pad in 0..BLOCK {
            let page = format!("id,note\n\n\"{}\n\",x\n1,\"a\"b\n2,\"c\"d\n{}", "y".repeat(pad), "3,4\n".repeat(40));
            let framed = frame(page.as_bytes()).unwrap();
            assert_eq!(quotes(&framed), (true, Some(Place { record: 3, line: 5 }), false), "{page:?}");
        }
    }

    #[test]
    fn c5_a_quote_in_an_unquoted_field_entangles_only_a_record_that_spans_lines() {
        for (row, is_entangled) in [
            ("1,5\" pipe,x", false),
            ("1,\"two\nlines\",x", false),
            ("1,\"two\nlines\",5\" pipe", true),
            ("1,\"two\rlines\",5\" pipe", true),
            ("1,5\" pipe,\"two\nlines\"", false),
            ("1,\"two\nlines\",x\n2,5\" pipe,y", false),
            ("1,\"open,x\n2,5\" pipe,\"y\"", false),
            ("1,\"open,x\n2,\"\"\",5\" pipe", true),
        ] {
            for pad in 0..BLOCK {
                let page = format!("id,note,more\n0,{},0\n{row}\n{}", "y".repeat(pad), "3,4,5\n".repeat(40));
                assert_eq!(frame(page.as_bytes()).unwrap().is_entangled, is_entangled, "{row:?} behind {pad}");
            }
        }
    }

    #[test]
    fn c5_quoted_lines_and_a_stray_quote_far_apart_entangle_their_record() {
        for far in [30, 3000] {
            let between = "y".repeat(far);
            let page = format!("id,note,more\n1,\"a\n{between}\",{between}5\" pipe\n2,3,4\n");
            assert!(frame(page.as_bytes()).unwrap().is_entangled);
            let apart = format!("id,note,more\n1,\"a\n{between}\",{between}\n5\" pipe,3,4\n");
            assert!(!frame(apart.as_bytes()).unwrap().is_entangled);
        }
    }
}
