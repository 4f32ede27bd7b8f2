//! Bad records and other forms of output, from the tenant's pages to the files that are left.

use std::io::Read;

use cxtract::mock::{MockReport, Tenant};
use cxtract::model::{FailureClass, ParkReason, WallClock};
use cxtract::state::{SqliteStore, Store};
use cxtract::{Engine, EngineHandle, Manifest, Sink};

use crate::bench::{LONG, complete, held, hold, stand};
use crate::results::{saying_in, tenant_saying, tenant_uncounted};
use crate::resume::{park_at, slow};
use crate::support::{Stand, names_in, run, with_engine};

/// A header, and rows of which the second has a raw newline in its middle column.
const BROKEN: &str = "id,note,queue\n1,fine,a\n2,two\nlines,b\n3,fine,c\n";

fn saying(pages: &[&str], lines: &str) -> Stand {
    stand(tenant_saying(pages)).report(lines)
}

impl Stand {
    /// A file beside the output; none where there is none.
    fn beside(&self, suffix: &str) -> Option<String> {
        std::fs::read_to_string(self.folder.path().join(format!("out/calls.csv{suffix}"))).ok()
    }

    fn text(&self) -> String {
        String::from_utf8(self.delivered()).unwrap()
    }
}

/// The rows of a rejects file: page, line, reason, record.
fn rows(rejects: &str) -> Vec<[String; 4]> {
    let mut reader = csv::Reader::from_reader(rejects.as_bytes());
    assert_eq!(reader.headers().unwrap(), vec!["page", "line", "reason", "record"]);
    reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect::<Vec<_>>().try_into().unwrap()).collect()
}

#[test]
fn c2_a_raw_newline_fails_the_report_with_its_place() {
    let stand = saying(&[BROKEN], "csv: {}");
    stand.fails(FailureClass::Data).says(&["page 1", "record 3", "line 3", "2 fields", "has 3", "ragged: reject"]);
    assert_eq!(names_in(&stand.folder.path().join("out")), ["calls.csv.part"]);
}

#[test]
fn c2_a_raw_newline_is_mended_with_a_receipt_where_one_reading_is_possible() {
    let stand = saying(&[BROKEN, "id,note,queue\n4,fine,d\n5,three\n\nlines,e\n"], "csv: {repair: join}");
    let manifest = complete(stand.extract());
    let second = "4,fine,d\n5,\"three\n\nlines\",e\n";
    assert_eq!(stand.text(), format!("id,note,queue\n1,fine,a\n2,\"two\nlines\",b\n3,fine,c\n{second}"));
    assert_eq!((manifest.csv.repaired, manifest.csv.rejected, manifest.output.rows), (2, 0, 5));
    let receipts: Vec<serde_json::Value> =
        stand.beside(".repairs.jsonl").unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(receipts.len(), 2);
    assert_eq!((&receipts[0]["page"], &receipts[0]["line"]), (&1.into(), &3.into()));
    assert_eq!(receipts[0]["before"], "2,two\nlines,b");
    assert_eq!(receipts[0]["after"], "2,\"two\nlines\",b");
    assert_eq!((&receipts[1]["page"], &receipts[1]["line"]), (&2.into(), &3.into()));
    assert_eq!(stand.beside(".rejects.csv"), None);
}

#[test]
fn c2_notes_in_the_last_column_are_mended_only_where_the_first_column_tells() {
    let told = saying(&["id,note\n1,fine\n2,two\nlines\n3,fine\n"], "csv: {repair: join, ragged: reject}");
    assert_eq!(complete(told.extract()).csv.repaired, 1);
    assert_eq!(told.text(), "id,note\n1,fine\n2,\"two\nlines\"\n3,fine\n");
    let untold =
        saying(&["name,note\nann,fine\nbob,two\nlines\ncid,fine\ndan,fine\n"], "csv: {repair: join, ragged: reject}");
    let manifest = complete(untold.extract());
    // The line may be bob's or cid's, and so neither of them may be whole.
    assert_eq!(untold.text(), "name,note\nann,fine\ndan,fine\n");
    assert_eq!((manifest.csv.rejected, manifest.output.rows, manifest.reconciliation.rows), (3, 2, 5));
    let rejects = rows(&untold.beside(".rejects.csv").unwrap());
    assert_eq!(rejects.iter().map(|row| row[3].as_str()).collect::<Vec<_>>(), ["bob,two", "lines", "cid,fine"]);
    assert!(rejects.iter().all(|row| row[0] == "1"), "{rejects:?}");
    let strict = saying(&["name,note\nann,fine\nbob,two\nlines\ncid,fine\n"], "csv: {repair: join}");
    strict.fails(FailureClass::Data).says(&["page 1", "record 3", "line 3"]);
}

#[test]
fn c5_records_of_another_length_are_set_aside_and_the_others_stay_where_they_are() {
    let pages = ["a,b\r\n1,2\r\n3\r\n4,5,6\r\n7,8\r\n", "9,\"1\n0\"\r\n11\r\n12,13"];
    let stand = saying(&pages, "csv: {ragged: reject}");
    let manifest = complete(stand.extract());
    assert_eq!(stand.text(), "a,b\r\n1,2\r\n7,8\r\n9,\"1\n0\"\r\n12,13\r\n");
    assert_eq!((manifest.csv.rejected, manifest.output.rows, manifest.reconciliation.rows), (3, 4, 7));
    let rejects = rows(&stand.beside(".rejects.csv").unwrap());
    let places: Vec<_> = rejects.iter().map(|[page, line, _, record]| (&**page, &**line, &**record)).collect();
    assert_eq!(places, [("1", "3", "3"), ("1", "4", "4,5,6"), ("2", "3", "11")]);
}

#[test]
fn c5_a_stray_quote_costs_its_own_record_and_no_other() {
    let pages =
        ["id,note,n\n1,fine,1\n2,\"open,2\n3,fine,3\n4,\"quo\"ted,4\n5,fine,5\n", "id,note,n\n6,\"x,6\n7,y,7\n"];
    saying(&pages[..1], "csv: {}").fails(FailureClass::Data).says(&["page 1", "record 3"]);
    let stand = saying(&pages, "csv: {ragged: reject}");
    assert_eq!(complete(stand.extract()).csv.rejected, 3);
    assert_eq!(stand.text(), "id,note,n\n1,fine,1\n3,fine,3\n5,fine,5\n7,y,7\n");
}

#[test]
fn c5_nul_bytes_lone_carriage_returns_and_a_missing_last_line_ending_shift_nothing() {
    let stand = saying(&["a,b\n1,x\0y\n2,z", "3,lone\rreturn\n4,w"], "csv: {ragged: reject}");
    assert_eq!(complete(stand.extract()).csv.rejected, 1);
    assert_eq!(stand.text(), "a,b\n1,x\0y\n2,z\n3,lone\r4,w\n");
}

#[test]
fn c5_side_files_of_an_older_delivery_go_with_it() {
    let stand = saying(&[BROKEN], "csv: {ragged: reject}");
    complete(stand.extract());
    assert!(stand.beside(".rejects.csv").is_some());
    let config = Stand { report: "page_size: 100\n    csv: {repair: join}".to_owned(), ..stand };
    complete(config.extract());
    assert_eq!(
        names_in(&config.folder.path().join("out")),
        ["calls.csv", "calls.csv.manifest.json", "calls.csv.repairs.jsonl"]
    );
}

#[test]
fn c6_a_quote_that_never_closes_and_a_field_without_end_name_the_limit() {
    let endless = format!("id,note\n1,\"{}\n2,b\n3,c\n", "x".repeat(4000));
    let limit = |stand: Stand| stand.set("limits", "{record_bytes: 1KiB}");
    limit(saying(&[&endless], "csv: {}")).fails(FailureClass::Data).says(&[
        "page 1",
        "record 2",
        "1024 bytes",
        "quote",
    ]);
    let stand = limit(saying(&[&endless], "csv: {ragged: reject}"));
    complete(stand.extract());
    assert_eq!(stand.text(), "id,note\n2,b\n3,c\n");
    // What passes the limit is never held whole, and so it is set aside in pieces.
    let rejects = rows(&stand.beside(".rejects.csv").unwrap());
    let record: String = rejects.iter().map(|row| row[3].as_str()).collect();
    assert_eq!(record, endless.lines().nth(1).unwrap());
    assert!(rejects.iter().all(|row| row[1] == "2" && row[2].contains("1024")), "{rejects:?}");
}

#[test]
fn c3_bytes_that_are_no_utf8_fail_the_report_or_are_replaced_and_counted() {
    let stand_with = |csv: &str| stand(tenant_first(b"id,note\n1,caf\xe9\n2,ok\n")).report(csv);
    stand_with("csv: {invalid_utf8: fail}").fails(FailureClass::Data).says(&["page 1", "offset 13", "line 2"]);
    let replaced = stand_with("csv: {invalid_utf8: replace}");
    assert_eq!(complete(replaced.extract()).csv.utf8_replaced, Some(1));
    assert_eq!(replaced.text(), "id,note\n1,caf\u{fffd}\n2,ok\n");
}

fn tenant_first(bytes: &[u8]) -> cxtract::mock::MockTenantBuilder {
    use cxtract::mock::{Count, Fault, FaultRule, Matcher, MockReport};
    let report = MockReport { total_count: Count::Absent, total_rows: Count::Absent, ..MockReport::with_rows(0) };
    let body = Fault::ReplaceBody(bytes::Bytes::copy_from_slice(bytes));
    crate::bench::tenant_with(report).fault(FaultRule::new(Matcher::page(1), body))
}

#[test]
fn s4_formulas_are_neutralised_where_that_is_asked_for_and_verbatim_otherwise() {
    let page = "id,note,n\n1,=cmd()|'x',-5\n2,\"@SUM(1,2)\",+4.5e3\n3,\"-\n1\",5\n";
    let plain = saying(&[page], "csv: {}");
    assert_eq!(complete(plain.extract()).csv.excel_safe, None);
    assert_eq!(plain.text(), page);
    let safe = saying(&[page], "csv: {excel_safe: true}");
    assert_eq!(complete(safe.extract()).csv.excel_safe, Some(3));
    assert_eq!(safe.text(), "id,note,n\n1,'=cmd()|'x',-5\n2,\"'@SUM(1,2)\",+4.5e3\n3,\"'-\n1\",5\n");
}

#[test]
fn newlines_within_fields_are_written_as_two_characters_where_that_is_asked_for() {
    let stand = saying(&["id,note\n1,\"a\r\nb\nc\"\n2,C:\\new\n"], "output: {newlines: escape}");
    complete(stand.extract());
    assert_eq!(stand.text(), "id,note\n1,\"a\\nb\\nc\"\n2,C:\\\\new\n");
}

fn unpacked(stand: &Stand, suffix: &str) -> Vec<u8> {
    let file = std::fs::read(stand.folder.path().join(format!("out/calls.csv{suffix}"))).unwrap();
    match suffix {
        ".zst" => zstd::decode_all(&*file).unwrap(),
        _ => {
            let mut all = Vec::new();
            flate2::read::MultiGzDecoder::new(&*file).read_to_end(&mut all).unwrap();
            all
        }
    }
}

fn packed_as_it_should(stand: &Stand, suffix: &str, manifest: &Manifest) -> Vec<u8> {
    let bytes = std::fs::read(stand.folder.path().join(format!("out/calls.csv{suffix}"))).unwrap();
    assert_eq!(manifest.output.path, format!("calls.csv{suffix}"));
    assert_eq!(manifest.output.bytes, bytes.len() as u64);
    assert!(unpacked(stand, suffix) == stand.mock.expected_csv("detail"), "other bytes come out than went in");
    bytes
}

#[test]
fn a_compressed_output_is_the_same_file_however_often_its_run_was_broken_off() {
    for (word, suffix) in [("gzip", ".gz"), ("zstd", ".zst")] {
        let of = |n_rows| slow(n_rows).report(&format!("split: 3d\n    output: {{compression: {word}}}"));
        let undisturbed = of(1950);
        let whole = packed_as_it_should(&undisturbed, suffix, &complete(undisturbed.extract()));
        let broken = of(1950);
        park_at(&broken, 2, 3);
        park_at(&broken, 5, 2);
        let manifest = complete(broken.extract());
        assert_eq!(manifest.resumed, 2);
        assert!(packed_as_it_should(&broken, suffix, &manifest) == whole, "{word}: other bytes than undisturbed");
    }
}

#[test]
fn an_empty_report_is_a_compressed_file_that_unpacks_to_nothing() {
    let report =
        cxtract::mock::MockReport { end: cxtract::mock::End::EmptyBody, ..cxtract::mock::MockReport::with_rows(0) };
    let stand = stand(crate::bench::tenant_with(report)).report("output: {compression: gzip}");
    complete(stand.extract());
    assert_eq!(unpacked(&stand, ".gz"), b"");
}

#[test]
fn c5_a_header_that_cannot_be_told_for_certain_fails_the_report_under_every_setting() {
    let damaged =
        ["id,\"note\n1,a\n2,b\n", "\"id\"x,note\n1,a\n2,b\n", "\"id\"x,note\n", "id,a,b,\"note\n1,a,b,c\n2,b,c,d\n"];
    for page in damaged {
        for csv in ["csv: {}", "csv: {ragged: reject}", "csv: {repair: join}", "csv: {repair: join, ragged: reject}"] {
            let message = saying(&[page, page], csv).fails(FailureClass::Data);
            message.says(&["page 1", "record 1", "line 1"]);
        }
    }
}

#[test]
fn c8_a_page_cut_off_within_quotes_fails_the_report_though_bad_records_are_set_aside() {
    let stand = saying(&["id,note\n1,a\n", "id,note\n2,b\n3,\"half of a rec"], "csv: {ragged: reject}");
    stand.fails(FailureClass::Data).says(&["page 2", "record 3", "line 3", "part of a record"]);
    // With its line ending the page is whole, and the quote a stray one.
    let stand = saying(&["id,note\n1,a\n", "id,note\n2,b\n3,\"half of a rec\n"], "csv: {ragged: reject}");
    assert_eq!(complete(stand.extract()).csv.rejected, 1);
    assert_eq!(stand.text(), "id,note\n1,a\n2,b\n");
}

#[test]
fn c2_rows_that_all_lack_a_field_are_not_put_together_by_twos() {
    let stand = saying(&["id,y,z\n1,b\n2,d\n3,f\n4,h\n"], "csv: {repair: join, ragged: reject}");
    let manifest = complete(stand.extract());
    assert_eq!((manifest.csv.repaired, manifest.csv.rejected), (0, 4));
    assert_eq!(stand.text(), "id,y,z\n");
}

#[test]
fn blank_lines_before_the_header_of_one_column_are_no_rows_whatever_ends_them() {
    for page in ["\r\rid\r1\r", "\n\nid\n1\n", "\r\n\r\nid\r\n1\r\n"] {
        assert_eq!(complete(saying(&[page], "csv: {}").extract()).output.rows, 1, "{page:?}");
    }
}

#[test]
fn a_run_goes_on_at_the_last_frame_of_a_compressed_output() {
    let of = || {
        let report = MockReport::with_rows(60_000);
        let tenant = crate::bench::tenant_with(report).latency(std::time::Duration::from_millis(20));
        let stand = stand(tenant).set("max_in_flight", "2").report("output: {compression: zstd}");
        Stand { report: stand.report.replace("page_size: 100", "page_size: 4000"), ..stand }
    };
    let undisturbed = of();
    let whole = packed_as_it_should(&undisturbed, ".zst", &complete(undisturbed.extract()));
    let broken = of();
    hold(&broken, 0, 14, LONG);
    let ending = with_engine(broken.config(), async |engine: EngineHandle| {
        let ending = engine.extract("calls");
        let frame_is_stored = async {
            let store = SqliteStore::open(&broken.config().state.path, WallClock::system()).unwrap();
            while store.list().unwrap().iter().all(|stored| stored.checkpoint.is_none()) {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
            assert!(engine.cancel("calls").await);
        };
        futures::join!(ending, frame_is_stored).0.unwrap()
    });
    broken.parked(ending, ParkReason::Stopped);
    broken.mock.with(Tenant::clear_faults);
    let at_park = crate::resume::times_asked(&broken, 0);
    let manifest = complete(broken.extract());
    assert_eq!(manifest.resumed, 1);
    assert!(packed_as_it_should(&broken, ".zst", &manifest) == whole, "other bytes than undisturbed");
    // The pages of the first frame, 4 MiB and more, are not asked for again.
    let asked = crate::resume::times_asked(&broken, 0);
    assert!(asked[&1] == at_park[&1] && asked[&2] == at_park[&2], "{asked:?}");
}

/// A host's sink that takes no side files.
struct Plain;

impl Sink for Plain {
    fn begin(&mut self, _: Option<&cxtract::model::Position>) -> Result<(), cxtract::sink::SinkError> {
        Ok(())
    }
    fn write(&mut self, _: &bytes::Bytes) -> Result<(), cxtract::sink::SinkError> {
        Ok(())
    }
    fn commit(&mut self, _: &cxtract::model::Position) -> Result<(), cxtract::sink::SinkError> {
        Ok(())
    }
    fn finish(&mut self, _: &Manifest) -> Result<(), cxtract::sink::SinkError> {
        Ok(())
    }
    fn abort(&mut self) {}
}

#[test]
fn a_destination_without_a_place_for_rejects_is_refused_before_any_call() {
    let stand = saying(&[BROKEN], "csv: {ragged: reject}");
    let ending = run(async {
        let engine = Engine::builder().config(stand.config()).sink("calls", || Plain).start().unwrap();
        let ending = engine.extract("calls").await.unwrap();
        engine.shutdown().await;
        ending
    });
    stand.failed(ending, FailureClass::Config).says(&["csv.ragged: reject"]);
    assert_eq!(stand.n_queries(), 0);
    let packed = saying(&[BROKEN], "output: {compression: gzip}");
    let ending = run(async {
        let engine = Engine::builder().config(packed.config()).sink("calls", || Plain).start().unwrap();
        let ending = engine.extract("calls").await.unwrap();
        engine.shutdown().await;
        ending
    });
    packed.failed(ending, FailureClass::Config).says(&["output.compression"]);
    let to_stdout = saying(&[BROKEN], "csv: {repair: join}\n    output: {path: \"-\"}");
    let error = run(async { Engine::builder().config(to_stdout.config()).start().map(drop).unwrap_err() });
    assert!(error.to_string().contains("standard output"), "{error}");
}

#[test]
fn rejects_and_receipts_survive_a_park_and_a_new_query() {
    let rows = |page: u64| {
        let id = page * 10;
        let good: String = (1..9).map(|n| format!("{},good row,{n}\n", id + n)).collect();
        format!("id,note,n\n{id},two\nlines,0\n{good}{},too,many,fields\n", id + 9)
    };
    let pages: Vec<String> = (1..30).map(rows).collect();
    let pages: Vec<&str> = pages.iter().map(String::as_str).collect();
    // The pages at which it is parked: their bodies are made by rules, too, and the first rule decides.
    let stand_of = |held_at: &[u64]| {
        let mock = held_at.iter().fold(tenant_uncounted(), |mock, page| mock.fault(held(0, *page, LONG)));
        let tenant = saying_in(mock, &pages).latency(std::time::Duration::from_millis(10));
        stand(tenant).set("max_in_flight", "2").report("csv: {repair: join, ragged: reject}")
    };
    let files = |stand: &Stand| (stand.text(), stand.beside(".rejects.csv"), stand.beside(".repairs.jsonl"));
    let whole = stand_of(&[]);
    let manifest = complete(whole.extract());
    assert_eq!((manifest.csv.repaired, manifest.csv.rejected, manifest.output.rows), (29, 29, 29 * 9));
    let parked = stand_of(&[8, 20]);
    park_at(&parked, 0, 8);
    park_at(&parked, 0, 20);
    let resumed = complete(parked.extract());
    assert_eq!((resumed.resumed, resumed.csv), (2, manifest.csv));
    assert!(files(&parked) == files(&whole), "other bytes than undisturbed");
    let expired = stand_of(&[12]);
    park_at(&expired, 0, 12);
    expired.mock.with(|tenant| tenant.expire_query(0));
    let again = with_engine(expired.config(), async |engine: EngineHandle| engine.extract("calls").await.unwrap());
    assert_eq!(complete(again).csv, manifest.csv);
    assert!(files(&expired) == files(&whole), "rows, rejects or receipts of two queries are mixed");
}
