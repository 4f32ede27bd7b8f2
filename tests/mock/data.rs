//! What the engine delivers of every kind of data, held to what the mock tenant says must come of it.
//!
//! The other tests of this folder use no part of the program; here it is the data that is tried out, and the engine is
//! its first reader.

use std::path::Path;
use std::time::Duration;

use cxtract::config::{Config, Sources};
use cxtract::mock::{
    Column, ColumnKind, Columns, Count, End, FreeText, LinkStyle, MockReport, MockTenant, Newline, Oddity, OnPages,
    PageSizes,
};
use cxtract::{Ending, Engine, Failure};

/// Extracts that report in pages of so many rows; the ending, the output and what is expected.
fn extract(report: MockReport, lines: &str, page_size: u64) -> (Ending, Vec<u8>, Vec<u8>) {
    let tenant = MockTenant::builder().requests_per_second(f64::INFINITY).default_report(report);
    let mock = tenant.strict().start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let yaml = format!(
        "tenants:\n  acme:\n    base_url: {}\n    auth: {{client_id: id, client_secret: secret}}\n    rate_limit: \
         {{requests_per_second: 1000, burst: 1000}}\n    poll: {{initial_delay: 10ms, max_delay: 50ms}}\n    retry: \
         {{base_delay: 10ms, max_delay: 50ms}}\n    limits: {{record_bytes: 64KiB}}\nreports:\n  calls:\n    tenant: acme\n    template_id: detail\n    \
         window: {{from: 2024-01-01, to: 2024-01-31}}\n    page_size: {page_size}\n    {lines}\n",
        mock.base_url(),
    );
    let config = Config::load(&Sources::text(folder.path().join("config.yaml"), yaml)).unwrap();
    let ending = actix_rt::System::new().block_on(async {
        let engine = Engine::builder().config(config).start().unwrap();
        let ending = tokio::time::timeout(Duration::from_secs(60), engine.extract("calls")).await.unwrap().unwrap();
        engine.shutdown().await;
        ending
    });
    let output = std::fs::read(folder.path().join("out/calls.csv")).unwrap_or_default();
    let expected = mock.expected_csv("detail");
    (ending, output, expected)
}

fn delivers(report: MockReport, lines: &str, page_size: u64) -> Vec<u8> {
    let told = format!("{report:?}");
    let (ending, output, expected) = extract(report, lines, page_size);
    assert!(matches!(ending, Ending::Complete(_)), "{ending:?} of {told}");
    assert!(output == expected, "the output is not what the tenant has: {told}");
    output
}

fn fails(report: MockReport, lines: &str, page_size: u64) -> Failure {
    match extract(report, lines, page_size).0 {
        Ending::Failed(failure) => failure,
        other => panic!("{other:?}"),
    }
}

fn table(rows: u64) -> MockReport {
    let text = FreeText { length: 30..=300, quotes: 0.5, newlines: 0.3, crlf: 0.2, emoji: 0.2, ..FreeText::default() };
    let columns = vec![
        Column::new("contactId", ColumnKind::id_from(100_000_000_000)),
        Column::new("startedAt", ColumnKind::timestamp()),
        Column::new("agent, name", ColumnKind::Agent).empty(0.05),
        Column::new("phone", ColumnKind::Phone(None)),
        Column::new("notes", ColumnKind::Text(text)),
        Column::new("context", ColumnKind::Json),
        Column::new("fragile", ColumnKind::Utf8),
    ];
    MockReport::with_columns(rows, Columns::new(columns).unwrap())
}

/// Every end, and with it another way to cut pages and to tell of them.
fn ways(report: &MockReport) -> Vec<MockReport> {
    vec![
        MockReport { end: End::EmptyBody, ..report.clone() },
        MockReport { end: End::HeaderOnly, page_sizes: PageSizes::AtMost(17), ..report.clone() },
        MockReport { end: End::NotFound404, gzip: true, ..report.clone() },
        MockReport {
            end: End::LinkWithoutNext,
            page_sizes: PageSizes::Varying,
            bom: OnPages::Random,
            ..report.clone()
        },
        MockReport { header: OnPages::First, total_count: Count::Stale(-40), chunked: false, ..report.clone() },
        MockReport { link: LinkStyle::Proper, final_newline: false, bom: OnPages::Every, ..report.clone() },
    ]
}

#[test]
fn a_table_of_columns_is_delivered_as_it_is_whatever_its_end_looks_like() {
    let mut outputs = Vec::new();
    for report in ways(&table(333)) {
        outputs.push(delivers(report, "", 50));
    }
    outputs.dedup();
    assert_eq!(outputs.len(), 1);
    let crlf = MockReport { newline: Newline::CrLf, ..table(100) };
    let output = delivers(crlf, "", 30);
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(output.as_slice());
    assert_eq!(reader.records().map(Result::unwrap).filter(|record| record.len() == 7).count(), 101);
}

fn write(path: &Path, text: &[u8]) -> MockReport {
    std::fs::write(path, text).unwrap();
    MockReport::of_file(path).unwrap()
}

#[test]
fn a_file_of_ones_own_is_delivered_as_it_is_whatever_its_end_looks_like() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("calls.csv");
    for newline in ["\n", "\r\n"] {
        let mut text = format!("id,\"agent, name\",note{newline}");
        for id in 0..200 {
            let note = ["plain", "\"two\nlines\"", "\"say \"\"hi\"\"\"", "日本語", ""][id % 5];
            text.push_str(&format!("{id},Ada,{note}{newline}"));
        }
        // How records end has nothing to do with how the results do: one kind sees every way.
        let n_ways = if newline == "\n" { usize::MAX } else { 1 };
        for report in ways(&write(&path, text.as_bytes())).into_iter().take(n_ways) {
            assert!(delivers(report, "", 30) == text.as_bytes());
        }
        // Whoever left out the last line ending, or wrote a mark, meets neither in what is delivered.
        let bare = [b"\xEF\xBB\xBF", text.trim_end().as_bytes()].concat();
        assert!(delivers(write(&path, &bare), "", 30) == text.as_bytes());
        let some = MockReport { rows: 45, ..write(&path, text.as_bytes()) };
        assert!(text.as_bytes().starts_with(&delivers(some, "", 30)));
    }
}

#[test]
fn c3_c5_bytes_that_no_reader_likes_are_delivered_as_they_came() {
    for report in [table(120), MockReport::with_rows(120)] {
        let oddities = vec![Oddity::InvalidUtf8(7), Oddity::Latin1(8), Oddity::Utf16(9), Oddity::Nul(11)];
        let output = delivers(MockReport { oddities, ..report }, "", 40);
        assert!(std::str::from_utf8(&output).is_err());
        assert!(memchr::memchr(0, &output).is_some());
    }
}

#[test]
fn c3_invalid_utf8_fails_a_report_that_is_to_have_none() {
    let odd = MockReport { oddities: vec![Oddity::InvalidUtf8(100)], ..table(120) };
    let failure = fails(odd, "csv: {invalid_utf8: fail}", 40).to_string();
    assert!(failure.contains("UTF-8"), "{failure}");
}

#[test]
fn c5_a_lone_carriage_return_is_never_passed_over_in_silence() {
    let odd = MockReport { oddities: vec![Oddity::LoneCr(90)], ..table(120) };
    let failure = fails(odd, "", 40).to_string();
    assert!(failure.contains("page 3"), "{failure}");
}

#[test]
fn c6_a_field_within_the_limit_is_delivered_and_one_beyond_it_fails_the_report() {
    let odd = |bytes| MockReport { oddities: vec![Oddity::HugeField { row: 15, bytes }], ..table(30) };
    assert!(delivers(odd(60_000), "", 10).len() > 60_000);
    let failure = fails(odd(70_000), "", 10).to_string();
    assert!(failure.contains("65536") && failure.contains("page 2"), "{failure}");
}

#[test]
fn c6_c8_a_page_with_an_open_quote_or_half_a_record_fails_the_report() {
    let folder = tempfile::tempdir().unwrap();
    let file = write(&folder.path().join("calls.csv"), &delivers(table(100), "", 100));
    for report in [table(100), MockReport::with_rows(100), file] {
        for oddity in [Oddity::OpenQuote(2), Oddity::CutRecord(2)] {
            let failure = fails(MockReport { oddities: vec![oddity], ..report.clone() }, "", 40).to_string();
            assert!(failure.contains("page 2"), "{oddity:?}: {failure}");
        }
    }
}
