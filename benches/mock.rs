//! What it costs to make the pages that a mock tenant serves.
//!
//! Pages are made piece by piece into one buffer, as the server does, and counted in bytes. `copied` moves as many bytes
//! from one place of memory to another: the least that any server has to do. `a file of one's own` is read from the
//! system's cache.
//!
//! Run it with `cargo bench --bench mock`. Where others share the machine, compare figures of one run only.

use std::io::Write as _;
use std::time::Duration;

use cxtract::mock::{BodyPlan, Column, ColumnKind, Columns, FreeText, MockReport, MockRequest, MockTenant, PageBody};
use divan::counter::BytesCount;
use divan::{Bencher, black_box};

const ROWS: u64 = 20_000;

fn main() {
    divan::main();
}

/// What stands on the page.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// The interaction report that is served unless something else is asked for.
    Standard,
    /// Ten columns without free text.
    Columns,
    /// An id and long free text with all that is hard in it.
    Text,
    /// A file of one's own.
    File,
}

const KINDS: [Kind; 4] = [Kind::Standard, Kind::Columns, Kind::Text, Kind::File];

fn columns(columns: Vec<Column>) -> MockReport {
    MockReport::with_columns(1_000_000, Columns::new(columns).expect("columns that make a table"))
}

/// One page out of the middle of a report, as it is handed to the server's loop.
fn page_of(report: MockReport) -> PageBody {
    let mut tenant = MockTenant::builder().requests_per_second(f64::INFINITY).default_report(report).build();
    let mut answer = |request: &MockRequest| tenant.answer(request, Duration::ZERO);
    let said = |script: &cxtract::mock::Script, key: &str| {
        let json: serde_json::Value = serde_json::from_slice(&script.body_bytes()).expect("JSON");
        json[key].as_str().expect("text").to_owned()
    };
    let form = "grant_type=client_credentials&client_id=i&client_secret=s";
    let token =
        said(&answer(&MockRequest::post("/oauth2/token", "application/x-www-form-urlencoded", form)), "access_token");
    let body = format!(
        r#"{{"templateId":"t","format":"csv","query":{{"startDate":"2024-01-01T00:00:00.000Z",
            "endDate":"2024-01-31T23:59:59.999Z","filters":[]}},"pageSize":{ROWS}}}"#
    );
    let mut submission = MockRequest::post("/api/v2/reporting/queries", "application/json", body);
    submission = submission.with_header("authorization", &format!("Bearer {token}"));
    let query = said(&answer(&submission), "queryId");
    let path = format!("/api/v2/reporting/queries/{query}/results?format=csv&page=3&pageSize={ROWS}");
    match answer(&MockRequest::get(&path, &token)).body {
        BodyPlan::Generated(page) => page,
        other => panic!("no page: {other:?}"),
    }
}

/// The file, if there is one, lives as long as the page is read.
fn page(kind: Kind) -> (PageBody, Option<tempfile::NamedTempFile>) {
    match kind {
        Kind::Standard => (page_of(MockReport::with_rows(1_000_000)), None),
        Kind::Columns => {
            let seconds = ColumnKind::duration_up_to(Duration::from_secs(1800));
            let report = columns(vec![
                Column::new("contactId", ColumnKind::id_from(100_000_000_000)),
                Column::new("startedAt", ColumnKind::timestamp()),
                Column::new("skill", ColumnKind::Skill),
                Column::new("agent", ColumnKind::Agent).empty(0.05),
                Column::new("agentId", ColumnKind::AgentId),
                Column::new("from", ColumnKind::Phone(None)),
                Column::new("disposition", ColumnKind::Disposition),
                Column::new("handleSeconds", seconds),
                Column::new("transferred", ColumnKind::Boolean(0.2)),
                Column::new("check", ColumnKind::Hex { digits: 16 }),
            ]);
            (page_of(report), None)
        }
        Kind::Text => {
            let text = FreeText { length: 200..=600, quotes: 0.5, newlines: 0.3, crlf: 0.3, ..FreeText::default() };
            let report = columns(vec![
                Column::new("contactId", ColumnKind::id_from(1)),
                Column::new("notes", ColumnKind::Text(text)),
            ]);
            (page_of(report), None)
        }
        Kind::File => {
            let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
            file.write_all(b"id,startedAt,agent,note\n").expect("room on the disk");
            for id in 0..4 * ROWS {
                let row =
                    format!("{id},2024-01-01T00:00:00.000Z,\"Smith, John\",\"said \"\"never {id}\"\" and hung up\"\n");
                file.write_all(row.as_bytes()).expect("room on the disk");
            }
            (page_of(MockReport::of_file(file.path()).expect("a CSV file")), Some(file))
        }
    }
}

#[divan::bench(args = KINDS)]
fn made(bencher: Bencher<'_, '_>, kind: Kind) {
    let (page, _file) = page(kind);
    let mut piece = Vec::new();
    bencher.counter(BytesCount::new(page.n_bytes())).bench_local(|| {
        let mut page = black_box(&page).clone();
        let mut n_bytes = 0;
        while page.next_piece(&mut piece) {
            n_bytes += black_box(&piece).len();
            piece.clear();
        }
        n_bytes
    });
}

#[divan::bench(args = KINDS)]
fn copied(bencher: Bencher<'_, '_>, kind: Kind) {
    let bytes = page(kind).0.whole();
    let mut piece = Vec::new();
    bencher.counter(BytesCount::of_slice(&bytes)).bench_local(|| {
        for part in black_box(&bytes).chunks(128 * 1024) {
            piece.clear();
            piece.extend_from_slice(part);
            black_box(&piece);
        }
    });
}
