//! Pages in which a record does not end, read by the framer that goes on all the same.

use super::*;
use crate::model::FirstRecord;

fn first(framed: &Framed) -> (&[u8], Vec<&[u8]>) {
    let FirstRecord { raw, fields } = framed.first.as_ref().unwrap();
    (raw, fields.iter().map(Vec::as_slice).collect())
}

/// Whatever has no end is told of at the same place, and the facts speak of the records before it alone.
#[track_caller]
fn assert_tells_what_came_before(page: &[u8], record_bytes: u64) {
    let facts = lenient_cut(&[page], record_bytes);
    let context = String::from_utf8_lossy(page);
    assert_eq!(frame_cut(&[page], record_bytes).err(), facts.broken, "{context:?}");
    let Some(FramingFault::RecordTooLong { record, line, .. } | FramingFault::OpenQuote { record, line }) =
        facts.broken
    else {
        return;
    };
    assert_eq!((facts.n_records, facts.n_bytes), (record, page.len() as u64), "{context:?}");
    assert_eq!(facts.digest, PageDigest(xxhash_rust::xxh3::xxh3_128(page)));
    assert_eq!(facts.ends_with_newline, matches!(page.last(), Some(b'\n' | b'\r')), "{context:?}");
    if record == 1 {
        assert!(facts.first.is_some(), "{context:?}");
        return;
    }
    // The page cut off where the record begins, found by its line and its number.
    let mut starts = (0..page.len()).rev().filter(|&at| {
        let above = &page[..at];
        let n_above = 1 + above.iter().filter(|&&b| b == b'\n').count() as u64;
        n_above == line && matches!(above.last(), Some(b'\n' | b'\r'))
    });
    let before = starts
        .find_map(|at| {
            let before = lenient_cut(&[&page[..at]], record_bytes);
            let is_it = before.broken.is_none() && before.n_records == record - 1 && before.ends_with_newline;
            is_it.then_some(before)
        })
        .expect("the record begins behind the one before it");
    let expected = Framed {
        n_bytes: facts.n_bytes,
        n_records: record,
        ends_with_newline: facts.ends_with_newline,
        broken: facts.broken,
        digest: facts.digest,
        ..before
    };
    assert_eq!(facts, expected, "{context:?}");
}

#[test]
fn every_short_text_with_an_open_quote_or_a_long_record_tells_what_came_before() {
    for text in short_texts(5) {
        assert_tells_what_came_before(&[b"h,h\n".as_slice(), &text].concat(), 1 << 20);
        let page = [b"h\n".as_slice(), &[b'x'; BLOCK - 5], b"\n", &text, b"\n\"", &[b'y'; BLOCK]].concat();
        assert_tells_what_came_before(&page, 61);
    }
}

#[test]
fn every_split_of_a_short_broken_page_gives_the_same_facts() {
    for text in short_texts(3) {
        for lead in [&b""[..], b"\xef\xbb\xbf", b"\r\nid,x\r"] {
            let page = [lead, &text, b"\""].concat();
            for record_bytes in [2, 1 << 20] {
                let whole = lenient_cut(&[&page], record_bytes);
                for cut in 0..=page.len() {
                    assert_eq!(lenient_cut(&[&page[..cut], &page[cut..]], record_bytes), whole, "{page:?} at {cut}");
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_broken_page_tells_what_came_before(page in pieces(), record_bytes in prop_oneof![Just(1 << 20), 1..200u64]) {
        prop_assume!(!page.starts_with(&BOM));
        assert_tells_what_came_before(&page, record_bytes);
    }

    #[test]
    fn an_open_quote_leaves_as_many_records_as_the_csv_crate_reads(page in pieces()) {
        prop_assume!(!page.starts_with(&[BOM, BOM].concat()));
        let facts = lenient(&page);
        prop_assert_eq!(facts.n_records, by_csv_crate(&page).0.len() as u64);
    }
}

#[test]
fn a_first_record_without_an_end_shows_its_first_line_with_the_open_quote_as_it_stands() {
    for (page, raw, fields) in [
        (&b"id,\"no,te\n1,x\n"[..], &b"id,\"no,te\n"[..], vec![&b"id"[..], b"\"no", b"te"]),
        (b"\n\r\nid,\"note\r\n1,x\r\n", b"\n\r\nid,\"note\r\n", vec![b"id", b"\"note"]),
        (b"id,\"note\r1,x", b"id,\"note\r", vec![b"id", b"\"note"]),
        (b"\xef\xbb\xbfid,\"note", b"id,\"note", vec![b"id", b"\"note"]),
    ] {
        for cut in 0..=page.len() {
            let facts = lenient_cut(&[&page[..cut], &page[cut..]], 1 << 20);
            assert_eq!(first(&facts), (raw, fields.clone()), "{:?}", String::from_utf8_lossy(page));
            assert_eq!((facts.n_records, facts.n_fields, facts.n_uneven), (1, None, 0));
        }
    }
}

#[test]
fn the_line_ending_of_a_first_line_of_just_the_longest_length_is_whole() {
    for ending in ["\n", "\r", "\r\n"] {
        let line = format!("a,\"{}", "b".repeat(BLOCK - 4));
        let page = format!("{line}{ending}{}", "c".repeat(200));
        for chunk_bytes in [1, 63, 64, 65, 1000] {
            let chunks: Vec<&[u8]> = page.as_bytes().chunks(chunk_bytes).collect();
            let facts = lenient_cut(&chunks, line.len() as u64);
            assert_eq!(first(&facts).0, format!("{line}{ending}").as_bytes());
            assert_eq!(first(&facts).1.len(), 2);
        }
    }
}

mod faults {
    use super::*;

    #[test]
    fn c6_an_endless_first_line_keeps_a_little_more_than_the_limit_and_equals_no_header() {
        for lead in ["", "\n\n", "a,\"b\n"] {
            let mut framer = Framer::lenient(limits(1000));
            framer.push(lead.as_bytes()).unwrap();
            for _ in 0..100 {
                framer.push(&[b'x'; 640]).unwrap();
            }
            let facts = framer.finish().unwrap();
            assert_eq!(facts.n_bytes, 64_000 + lead.len() as u64);
            assert_eq!(
                facts.broken,
                Some(FramingFault::RecordTooLong {
                    record: 1,
                    line: 1 + lead.bytes().take_while(|b| *b == b'\n').count() as u64,
                    limit: 1000
                })
            );
            let (raw, fields) = first(&facts);
            if lead.starts_with('a') {
                assert_eq!((raw, fields), (&b"a,\"b\n"[..], vec![&b"a"[..], b"\"b"]));
            } else {
                assert_eq!((raw.len(), fields), (lead.len() + 1001, vec![raw]));
            }
        }
    }

    #[test]
    fn c6_endless_blank_lines_are_told_of_and_not_kept() {
        let facts = lenient_cut(&[&[b'\n'; 64_000]], 1000);
        assert_eq!(facts.broken, Some(FramingFault::RecordTooLong { record: 1, line: 1, limit: 1000 }));
        let (raw, fields) = first(&facts);
        assert!((1001..1100).contains(&raw.len()));
        assert_eq!(fields, [raw]);
    }

    #[test]
    fn c6_an_open_quote_deep_in_a_page_leaves_the_facts_of_the_records_before_it() {
        let before = "id,note\n\n1,2,3\n".to_owned() + &"1,\"two\nlines\"\n".repeat(20);
        let page = format!("{before}2,\"cut here\n1,2,3\"\"x\n5\"\" pipe,6\n\n");
        let facts = lenient(page.as_bytes());
        let expected = frame(before.as_bytes()).unwrap();
        assert_eq!(facts.broken, Some(FramingFault::OpenQuote { record: 23, line: 44 }));
        assert_eq!((facts.n_records, facts.n_uneven, facts.n_blank_lines), (23, 1, 1));
        assert_eq!((facts.n_fields, facts.uneven, facts.first), (expected.n_fields, expected.uneven, expected.first));
    }
}
