//! Pages as a tenant cuts them, put together by the public face of `cxtract::csv`, against the `csv` crate.

use cxtract::csv::{Framed, Framer, FramingLimits, HeaderRule, HeaderVerdict};
use cxtract::model::PageNumber;
use proptest::prelude::*;

const LIMITS: FramingLimits = FramingLimits { record_bytes: 1 << 20 };

fn frame(page: &[u8], chunk_bytes: usize) -> Framed {
    let mut framer = Framer::new(LIMITS);
    for chunk in page.chunks(chunk_bytes) {
        framer.push(chunk).expect("the page is well framed");
    }
    framer.finish().expect("the page is whole")
}

/// How one page is dressed around its rows.
#[derive(Clone, Debug)]
struct Dress {
    bom: bool,
    header: bool,
    final_newline: bool,
}

type Row = Vec<Vec<u8>>;

fn written(rows: &[Row], crlf: bool) -> Vec<u8> {
    let end = if crlf { csv::Terminator::CRLF } else { csv::Terminator::Any(b'\n') };
    let mut writer = csv::WriterBuilder::new().terminator(end).from_writer(Vec::new());
    for row in rows {
        writer.write_record(row).expect("rows have one length");
    }
    writer.into_inner().expect("memory takes every write")
}

fn read(bytes: &[u8]) -> Vec<Row> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(bytes);
    reader
        .byte_records()
        .map(|record| record.expect("rows have one length").iter().map(<[u8]>::to_vec).collect())
        .collect()
}

fn dress() -> impl Strategy<Value = Dress> {
    (any::<bool>(), any::<bool>(), any::<bool>()).prop_map(|(bom, header, final_newline)| Dress {
        bom,
        header,
        final_newline,
    })
}

fn pages_of_rows() -> impl Strategy<Value = (usize, Vec<(Vec<Row>, Dress)>)> {
    (2..6usize).prop_flat_map(|n_fields| {
        let field = prop_oneof![
            3 => "[0-9]{1,9}",
            2 => "[ -~é,\"\r\n]{0,40}",
        ];
        let row = prop::collection::vec(field.prop_map(String::into_bytes), n_fields);
        let page = (prop::collection::vec(row, 1..30), dress());
        (Just(n_fields), prop::collection::vec(page, 1..6))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pages_joined_by_the_header_rule_hold_every_row_once_and_the_header_once(
        (n_fields, pages) in pages_of_rows(), crlf in any::<bool>(), chunk_bytes in 1..300usize,
    ) {
        let header: Row = (0..n_fields).map(|i| format!("\"column\", {i}").into_bytes()).collect();
        // Where every page repeats the header, none may leave it out later: that would be another schema.
        let repeats = pages.iter().skip(1).all(|(_, dress)| dress.header);
        let mut joined = Vec::new();
        let mut rule = HeaderRule::new();
        let mut n_rows = 0;
        for ((rows, dress), number) in pages.iter().zip(1..) {
            let has_header = number == 1 || (dress.header && (repeats || number > 2));
            let records: Vec<Row> =
                if has_header { std::iter::once(&header).chain(rows).cloned().collect() } else { rows.clone() };
            let mut page = written(&records, crlf);
            if dress.bom {
                page.splice(0..0, cxtract::csv::BOM);
            }
            if !dress.final_newline {
                page.truncate(page.len() - if crlf { 2 } else { 1 });
            }

            let framed = frame(&page, chunk_bytes);
            prop_assert_eq!(framed.n_records, records.len() as u64);
            prop_assert_eq!(framed.ragged_against(n_fields as u64), None);
            prop_assert_eq!(framed.ends_with_newline, dress.final_newline);
            prop_assert!(!framed.stray_quotes);
            let body = &page[usize::from(framed.bom_len)..];
            let skip = match rule.judge(PageNumber(number), framed.first.as_ref().unwrap()) {
                HeaderVerdict::Repeated { n_bytes } => n_bytes as usize,
                HeaderVerdict::Header | HeaderVerdict::Row => 0,
                HeaderVerdict::Changed { message } => return Err(TestCaseError::fail(message)),
            };
            joined.extend_from_slice(&body[skip..]);
            if !framed.ends_with_newline {
                joined.push(b'\n');
            }
            n_rows += rows.len();
        }
        let expected: Vec<Row> = std::iter::once(&header).chain(pages.iter().flat_map(|(rows, _)| rows)).cloned().collect();
        prop_assert_eq!(expected.len(), n_rows + 1);
        prop_assert_eq!(read(&joined), expected);
    }
}

/// A page much larger than any buffer, with everything that may stand in a field.
fn large_page(n_rows: usize) -> Vec<u8> {
    let rows: Vec<Row> = (0..n_rows)
        .map(|i| {
            let note = match i % 7 {
                0 => "said \"yes\", then left\r\nand called again".repeat(i % 5 + 1),
                3 => "\n".to_owned(),
                5 => String::new(),
                _ => "plain".to_owned(),
            };
            vec![i.to_string().into_bytes(), note.into_bytes(), b"2024-01-01T00:00:00.000Z".to_vec()]
        })
        .collect();
    written(&rows, true)
}

#[test]
fn a_large_page_reads_alike_in_network_chunks_and_in_one_piece() {
    let page = large_page(40_000);
    let whole = frame(&page, page.len());
    assert_eq!((whole.n_records, whole.n_fields), (40_000, Some(3)));
    for chunk_bytes in [1, 63, 64, 65, 1460, 32 * 1024] {
        assert_eq!(frame(&page, chunk_bytes), whole, "chunks of {chunk_bytes}");
    }
}

#[test]
fn a_ragged_record_deep_in_a_large_page_is_named_by_the_line_an_editor_shows() {
    let mut page = large_page(30_000);
    let line = page.iter().filter(|&&b| b == b'\n').count() as u64 + 1;
    page.extend_from_slice(b"one,too,many,fields\r\n");
    page.extend_from_slice(&large_page(1000));
    let uneven = frame(&page, 8192).uneven.unwrap();
    assert_eq!((uneven.record, uneven.line, uneven.n_fields, uneven.expected), (30_001, line, 4, 3));
}
