//! The framer against the `csv` crate, and against itself for every way of cutting a page.

use proptest::prelude::*;

use super::*;
use crate::csv::RaggedRecord;

mod broken;
mod quotes;

fn limits(record_bytes: u64) -> FramingLimits {
    FramingLimits { record_bytes }
}

fn frame_cut(chunks: &[&[u8]], record_bytes: u64) -> Result<Framed, FramingFault> {
    let mut framer = Framer::new(limits(record_bytes));
    for chunk in chunks {
        framer.push(chunk)?;
    }
    framer.finish()
}

fn lenient_cut(chunks: &[&[u8]], record_bytes: u64) -> Framed {
    let mut framer = Framer::lenient(limits(record_bytes));
    for chunk in chunks {
        framer.push(chunk).expect("a lenient framer takes everything");
    }
    framer.finish().expect("a lenient framer takes everything")
}

/// A lenient framer's facts, after the strict one was seen to agree with them.
#[track_caller]
fn lenient(page: &[u8]) -> Framed {
    let facts = lenient_cut(&[page], 1 << 20);
    match (frame(page), facts.broken) {
        (Ok(strict), None) => assert_eq!(strict, facts),
        (Err(fault), broken) => assert_eq!(Some(fault), broken),
        (Ok(_), Some(fault)) => panic!("only the lenient framer found that {fault}"),
    }
    facts
}

/// Every text of so many bytes over what matters.
fn short_texts(len: u32) -> impl Iterator<Item = Vec<u8>> {
    let alphabet = *b"a,\"\n\r";
    (0..5usize.pow(len)).map(move |n| (0..len).map(|i| alphabet[n / 5usize.pow(i) % 5]).collect())
}

fn frame(page: &[u8]) -> Result<Framed, FramingFault> {
    frame_cut(&[page], 1 << 20)
}

/// Field counts of the page's records, and the first record's fields, as the `csv` crate reads them.
fn by_csv_crate(page: &[u8]) -> (Vec<u64>, Vec<Vec<u8>>) {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(page);
    let records: Vec<csv::ByteRecord> = reader.byte_records().map(Result::unwrap).collect();
    let first = records.first().map(|r| r.iter().map(<[u8]>::to_vec).collect()).unwrap_or_default();
    (records.iter().map(|r| r.len() as u64).collect(), first)
}

#[track_caller]
fn assert_reads_as_the_csv_crate(page: &[u8]) {
    let (counts, first) = by_csv_crate(page);
    let framed = match frame(page) {
        Ok(framed) => framed,
        // The `csv` crate closes an open quote at the end of its input; a page must not end there.
        Err(FramingFault::OpenQuote { record, .. }) => {
            assert_eq!(record, counts.len() as u64, "{:?}", String::from_utf8_lossy(page));
            return;
        }
        Err(fault) => panic!("{fault}: {:?}", String::from_utf8_lossy(page)),
    };
    let context = String::from_utf8_lossy(page);
    assert_eq!(framed.n_records, counts.len() as u64, "records of {context:?}");
    assert_eq!(framed.first.map(|f| f.fields).unwrap_or_default(), first, "first record of {context:?}");
    let rest = counts.get(1..).unwrap_or_default();
    let alike = rest.first().copied().filter(|n| rest.iter().all(|m| m == n));
    assert_eq!(framed.n_fields, alike, "fields of {context:?}");
    let uneven = counts.iter().position(|n| n != &counts[0]).map(|i| (i as u64 + 1, counts[i]));
    assert_eq!(framed.uneven.map(|r| (r.record, r.n_fields)), uneven, "uneven record of {context:?}");
    assert_eq!(framed.n_uneven, counts.iter().filter(|n| *n != &counts[0]).count() as u64);
}

/// Text rich in what matters: quotes in and out of place, line endings, commas, marks of byte order.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => Just(b",".to_vec()),
        3 => Just(b"\n".to_vec()),
        2 => Just(b"\r\n".to_vec()),
        1 => Just(b"\r".to_vec()),
        2 => Just(b"\"".to_vec()),
        2 => Just(b"\"\"".to_vec()),
        4 => Just(b"\"a,\nb\"\"c\"".to_vec()),
        4 => "[a-zé ]{0,30}".prop_map(String::into_bytes),
        1 => Just(BOM.to_vec()),
        1 => Just(vec![0, 0xff]),
    ];
    prop::collection::vec(piece, 0..120).prop_map(|pieces| pieces.concat())
}

/// Well-formed records, as a tenant writes them.
fn table() -> impl Strategy<Value = Vec<u8>> {
    let field = prop_oneof![
        3 => "[a-z0-9 ]{0,12}",
        1 => Just("\"a \"\"quoted\"\", long\r\nfield\"".to_owned()),
        1 => Just("\"\"".to_owned()),
    ];
    (1..8usize, prop_oneof![Just("\n"), Just("\r\n")])
        .prop_flat_map(move |(n, end)| {
            prop::collection::vec(prop::collection::vec(field.clone(), n), 0..40)
                .prop_map(move |rows| rows.iter().map(|row| row.join(",") + end).collect::<String>())
        })
        .prop_map(String::into_bytes)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_read_as_the_csv_crate_reads_them(page in pieces()) {
        prop_assume!(!page.starts_with(&[BOM, BOM].concat()));
        assert_reads_as_the_csv_crate(&page);
    }

    #[test]
    fn a_well_formed_table_has_no_stray_quotes_and_reads_as_the_csv_crate_reads_it(page in table()) {
        assert_reads_as_the_csv_crate(&page);
        prop_assert!(!frame(&page).unwrap().stray_quotes);
    }

    #[test]
    fn any_cutting_of_a_page_gives_the_same_facts(
        page in pieces(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        record_bytes in prop_oneof![Just(1u64 << 20), 1..200u64],
    ) {
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(page.len() + 1)).collect();
        at.extend([0, page.len()]);
        at.sort_unstable();
        let chunks: Vec<&[u8]> = at.windows(2).map(|w| &page[w[0]..w[1]]).collect();
        prop_assert_eq!(frame_cut(&chunks, record_bytes), frame_cut(&[&page], record_bytes));
        prop_assert_eq!(lenient_cut(&chunks, record_bytes), lenient_cut(&[&page], record_bytes));
    }

    #[test]
    fn the_block_scan_and_the_grammar_alone_give_the_same_facts(
        page in pieces(), record_bytes in 1..300u64, is_lenient: bool,
    ) {
        let bytes = PageBytes { n_bytes: 0, bom_len: 0, last: page.last().copied(), digest: PageDigest(0) };
        let mut by_bytes = Scan::new(record_bytes, is_lenient);
        let mut by_blocks = Scan::new(record_bytes, is_lenient);
        let (blocks, rest) = page.as_chunks::<BLOCK>();
        let slow = blocks.iter().try_for_each(|b| by_bytes.bytes(b)).and_then(|()| by_bytes.bytes(rest))
            .and_then(|()| by_bytes.finish(bytes));
        let fast = by_blocks.blocks(blocks).and_then(|()| by_blocks.bytes(rest))
            .and_then(|()| by_blocks.finish(bytes));
        prop_assert_eq!(fast, slow);
    }
}

/// Some MiB of what `pieces` and `table` are made of; now and then a field longer than what is read at once.
fn long_page(random: &mut fastrand::Rng, is_sound: bool) -> Vec<u8> {
    const SOUND: [&str; 6] =
        ["12345", "", "\"a \"\"quoted\"\", long\r\nfield\"", "café 🙂", "2024-01-31 09:30", "\"\""];
    const ODD: [&str; 5] = ["5\" pipe", "\"said\" so", "a\rb", "\u{feff}x", "\"\"\"\",b"];
    let mut page = if random.bool() { BOM.to_vec() } else { Vec::new() };
    while page.len() < 2 << 20 {
        for field in 0..6 {
            page.extend_from_slice(if field > 0 { b"," } else { b"" });
            match random.u32(..20_000) {
                0..2 => page.extend(std::iter::repeat_n(b'x', random.usize(..100_000))),
                2..20 if !is_sound => page.extend_from_slice(ODD[random.usize(..ODD.len())].as_bytes()),
                _ => page.extend_from_slice(SOUND[random.usize(..SOUND.len())].as_bytes()),
            }
        }
        page.extend_from_slice(if random.u8(..) > 3 { b"\n" } else { b"\r\n" });
    }
    page
}

#[test]
fn c1_a_large_page_has_the_same_facts_however_it_is_cut() {
    for seed in 0..6 {
        let mut random = fastrand::Rng::with_seed(seed);
        let page = long_page(&mut random, seed % 2 == 0);
        let whole = lenient_cut(&[&page], 1 << 20);
        let strict = frame(&page);
        if seed % 2 == 0 {
            assert_reads_as_the_csv_crate(&page);
        }
        for longest in [1 << 6, 1 << 12, 32 << 10, 1 << 20] {
            let mut chunks = Vec::new();
            let mut rest = &page[..];
            while !rest.is_empty() {
                let (chunk, behind) = rest.split_at(random.usize(..=longest).min(rest.len()));
                chunks.push(chunk);
                rest = behind;
            }
            assert!(lenient_cut(&chunks, 1 << 20) == whole, "seed {seed}, chunks of up to {longest} bytes");
            assert!(frame_cut(&chunks, 1 << 20) == strict, "seed {seed}, chunks of up to {longest} bytes");
        }
    }
}

#[test]
fn every_short_text_behind_a_first_record_reads_as_the_csv_crate_reads_it() {
    for text in short_texts(6) {
        // The text straddles the border of two blocks, both of which the bit scan may read.
        let page = [b"h,h\n".as_slice(), &[b'x'; BLOCK * 2 - 7], &text, &[b','; BLOCK]].concat();
        assert_reads_as_the_csv_crate(&page);
    }
}

#[test]
fn an_uneven_record_is_named_by_record_and_line() {
    let long = "\"many\nlines\nhere\",2\n".repeat(30);
    let page = format!("id,name\n{long}only one\n3,4\n");
    let uneven = frame(page.as_bytes()).unwrap().uneven;
    assert_eq!(uneven, Some(RaggedRecord { record: 32, line: 92, n_fields: 1, expected: 2 }));
}

#[test]
fn a_first_record_that_is_ragged_against_the_header_is_named_itself() {
    let framed = frame(b"\n\r\n1,2,3\n1,2\n1,2\n").unwrap();
    assert_eq!(framed.ragged_against(2), Some(RaggedRecord { record: 1, line: 3, n_fields: 3, expected: 2 }));
    assert_eq!(framed.ragged_against(3), Some(RaggedRecord { record: 2, line: 4, n_fields: 2, expected: 3 }));
    assert_eq!((framed.n_fields, framed.n_uneven), (Some(2), 2));
    assert_eq!(frame(b"1,2\n3,4\n").unwrap().ragged_against(2), None);
}

#[test]
fn blank_lines_are_counted_but_are_no_records() {
    let lines = "1\r\n\r\n2\n\n\n3\r\r4\n".repeat(20);
    let framed = frame(format!("h\n{lines}").as_bytes()).unwrap();
    assert_eq!((framed.n_records, framed.n_blank_lines), (81, 80));
}

#[test]
fn raw_bytes_of_the_first_record_hold_its_whole_line_ending_and_blank_lines_before_it() {
    for (page, raw) in [
        ("a,b\r\n1,2\r\n", "a,b\r\n"),
        ("a,b\n\n1,2\n", "a,b\n"),
        ("a,b\r1,2\n", "a,b\r"),
        ("\n\na,b\n1,2\n", "\n\na,b\n"),
        ("a,b", "a,b"),
    ] {
        for cut in 0..=page.len() {
            let (head, tail) = page.as_bytes().split_at(cut);
            let first = frame_cut(&[head, tail], 100).unwrap().first.unwrap();
            assert_eq!(first.raw, raw.as_bytes(), "{page:?} cut at {cut}");
            assert_eq!(first.fields, [b"a", b"b"], "{page:?} cut at {cut}");
        }
    }
}

#[test]
fn the_digest_is_of_the_bytes_with_their_byte_order_mark() {
    let with = frame(b"\xef\xbb\xbfa\n").unwrap();
    let without = frame(b"a\n").unwrap();
    assert_ne!(with.digest, without.digest);
    assert_eq!(without.digest, PageDigest(xxhash_rust::xxh3::xxh3_128(b"a\n")));
    assert_eq!((with.n_bytes, with.bom_len, without.n_bytes, without.bom_len), (5, 3, 2, 0));
}

#[test]
fn a_long_record_is_refused_at_its_exact_length() {
    let row = |n: usize| format!("h\n{}\n1\n", "x".repeat(n));
    assert!(frame_cut(&[row(300).as_bytes()], 300).is_ok());
    let fault = frame_cut(&[row(301).as_bytes()], 300).unwrap_err();
    assert_eq!(fault, FramingFault::RecordTooLong { record: 2, line: 2, limit: 300 });
    assert!(fault.to_string().contains("limits.record_bytes"));
}

mod faults {
    use super::*;

    #[test]
    fn c1_quoted_newlines_commas_and_quotes_read_alike_however_they_are_cut() {
        let page = "\u{feff}id,\"no\"\"te\",x\r\n1,\"a,\r\n\"\"b\"\"\n,\",\r\n\"\",\"\"\"\",\"é\n\"\r\n".repeat(2);
        let page = page.as_bytes();
        let whole = frame(page).unwrap();
        for first in 0..=page.len() {
            for second in first..=page.len() {
                let chunks = [&page[..first], &page[first..second], &page[second..]];
                assert_eq!(frame_cut(&chunks, 1 << 20).unwrap(), whole, "cut at {first} and {second}");
            }
        }
        let bytewise: Vec<&[u8]> = page.chunks(1).collect();
        assert_eq!(frame_cut(&bytewise, 1 << 20).unwrap(), whole);
    }

    #[test]
    fn c2_an_unquoted_newline_shows_as_an_uneven_record() {
        let framed = frame(b"id,note,agent\n1,first line\nsecond line,ann\n2,fine,bob\n").unwrap();
        let ragged = RaggedRecord { record: 2, line: 2, n_fields: 2, expected: 3 };
        assert_eq!(framed.ragged_against(3), Some(ragged));
        assert_eq!(framed.n_uneven, 2);
    }

    #[test]
    fn c3_a_byte_order_mark_is_no_part_of_the_first_field_however_it_is_cut() {
        let page = b"\xef\xbb\xbf\"id\",n\n1,2\n";
        for cut in 0..=page.len() {
            let framed = frame_cut(&[&page[..cut], &page[cut..]], 100).unwrap();
            assert_eq!(framed.bom_len, 3);
            let first = framed.first.unwrap();
            assert_eq!((first.raw.as_slice(), first.fields), (&b"\"id\",n\n"[..], vec![b"id".to_vec(), b"n".to_vec()]));
            assert!(!framed.stray_quotes, "cut at {cut}");
        }
    }

    #[test]
    fn c3_bytes_that_only_begin_like_a_byte_order_mark_are_text() {
        for page in [&b"\xef"[..], b"\xef\xbb", b"\xef\xbba,b\n", b"\xef\xef\xbb\xbf\n"] {
            let framed = frame_cut(&page.chunks(1).collect::<Vec<_>>(), 100).unwrap();
            assert_eq!((framed.bom_len, framed.n_bytes), (0, page.len() as u64));
            assert_eq!(framed.first.unwrap().raw, page);
        }
    }

    #[test]
    fn c5_stray_quotes_nul_bytes_and_a_lone_carriage_return_read_as_the_csv_crate_reads_them() {
        for row in ["5\" pipe,x\n", "\"a\"b,x\n", "a\0b,x\n", "a,x\r", "\"a\" ,x\n", "a\"\n\"b\",x\n"] {
            // Rows on both sides, so that the bit scan meets it.
            let page = format!("id,note\n{}{row}{}1,2", "1,\"plain, quoted\"\n".repeat(9), "3,4\n".repeat(40));
            assert_reads_as_the_csv_crate(page.as_bytes());
            assert_eq!(frame(page.as_bytes()).unwrap().stray_quotes, row.contains('"'), "{row:?}");
        }
    }

    #[test]
    fn c5_a_page_says_whether_it_ends_with_a_line_ending() {
        for (page, ends) in
            [("a\n1\n", true), ("a\n1\r\n", true), ("a\n1\r", true), ("a\n1", false), ("a\n\"1\"", false), ("", false)]
        {
            assert_eq!(frame(page.as_bytes()).unwrap().ends_with_newline, ends, "{page:?}");
        }
        assert_eq!(frame(b"a,b\n1,").unwrap().n_fields, Some(2), "a last empty field counts");
    }

    #[test]
    fn c6_a_quote_that_is_never_closed_is_refused_by_name_before_it_fills_memory() {
        let limit = 64 * 1024;
        let mut framer = Framer::new(limits(limit));
        framer.push(b"id,note\n1,ok\n2,\"open\n").unwrap();
        let mut pushed = 0;
        let fault = loop {
            pushed += 4096;
            if let Err(fault) = framer.push(&[b'x'; 4096]) {
                break fault;
            }
        };
        assert_eq!(fault, FramingFault::RecordTooLong { record: 3, line: 3, limit });
        assert!(pushed <= limit + 4096, "found only after {pushed} bytes");
    }

    #[test]
    fn c6_an_endless_first_record_or_endless_blank_lines_are_refused_too() {
        for byte in [b'x', b'\n'] {
            let mut framer = Framer::new(limits(1000));
            let fault = (0..100).find_map(|_| framer.push(&[byte; 64]).err());
            assert_eq!(fault, Some(FramingFault::RecordTooLong { record: 1, line: 1, limit: 1000 }));
        }
    }

    #[test]
    fn c7_a_page_without_bytes_or_with_the_header_alone_is_whole() {
        for (page, n_records) in [(&b""[..], 0), (b"\xef\xbb\xbf", 0), (b"\r\n", 0), (b"id,note\n", 1), (b"id,note", 1)]
        {
            let framed = frame(page).unwrap();
            assert_eq!((framed.n_records, framed.n_fields), (n_records, None), "{page:?}");
            assert_eq!(framed.first.is_some(), n_records == 1);
        }
    }

    #[test]
    fn c8_a_page_that_ends_inside_a_quoted_field_is_refused() {
        let page = format!("id,note\n{}2,\"cut he", "1,\"two\nlines\"\n".repeat(20));
        let fault = frame(page.as_bytes()).unwrap_err();
        assert_eq!(fault, FramingFault::OpenQuote { record: 22, line: 42 });
        assert!(frame(b"id,note\n1,\"").is_err());
        assert!(frame(b"id,note\n1,\"\"").is_ok());
    }
}
