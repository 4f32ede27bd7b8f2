use std::collections::HashSet;
use std::time::Duration;

use crate::model::{Timestamp, Window};

use super::super::Expected;
use super::super::report::{MockReport, OnPages};
use super::*;

const WINDOW: Window = Window { from: Timestamp(1_704_067_200_000), to: Timestamp(1_706_745_599_999) };

fn every_kind() -> Vec<Column> {
    let ms = Duration::from_millis;
    let id = ColumnKind::Id { start: Some(7), step: 3, prefix: "C-".into(), width: 6 };
    let later = ColumnKind::Timestamp { form: TimeForm::Rfc3339, later: ms(1)..=ms(60_000) };
    let time = |form| ColumnKind::Timestamp { form, later: Duration::ZERO..=Duration::ZERO };
    let duration = |form, most| ColumnKind::Duration { form, range: ms(5)..=ms(most) };
    vec![
        Column::new("own id", id),
        Column::new("id", ColumnKind::Id { start: None, step: 1, prefix: String::new(), width: 0 }),
        Column::new("uuid", ColumnKind::Uuid),
        Column::new("startedAt", ColumnKind::timestamp()),
        Column::new("endedAt", later),
        Column::new("date", time(TimeForm::Date)),
        Column::new("dateTime", time(TimeForm::DateTime)),
        Column::new("unix", time(TimeForm::Unix)),
        Column::new("seconds", duration(DurationForm::Seconds, 20_000_000)),
        Column::new("clock", duration(DurationForm::Clock, 500_000_000)),
        Column::new("skill", ColumnKind::Skill),
        Column::new("agent", ColumnKind::Agent).empty(0.05),
        Column::new("agentId", ColumnKind::AgentId),
        Column::new("disposition", ColumnKind::Disposition),
        Column::new("channel", ColumnKind::Channel),
        Column::new("phone", ColumnKind::Phone(None)),
        Column::new("from", ColumnKind::Phone(Some("+49".into()))),
        Column::new("boolean", ColumnKind::Boolean(0.25)),
        Column::new("integer", ColumnKind::Integer(-5..=5)),
        Column::new("decimal", ColumnKind::Decimal { range: -1..=2, decimals: 2 }),
        Column::new("hex", ColumnKind::Hex { digits: 37 }),
        Column::new("constant, with \"quotes\"", ColumnKind::Constant("a, \"b\"".into())),
        Column::new("choice", ColumnKind::Choice(vec![("x".into(), 3.0), ("y,z".into(), 1.0), ("never".into(), 0.0)])),
        Column::new("text", ColumnKind::Text(every_text())),
        Column::new("json", ColumnKind::Json),
        Column::new("url", ColumnKind::Url),
        Column::new("utf8", ColumnKind::Utf8),
    ]
}

fn every_text() -> FreeText {
    FreeText { length: 90..=400, quotes: 0.2, commas: 0.3, newlines: 0.1, crlf: 0.15, emoji: 0.05, cjk: 0.5 }
}

fn report(rows: u64, columns: Vec<Column>) -> MockReport {
    MockReport::with_columns(rows, Columns::new(columns).unwrap())
}

fn page(report: &MockReport, page: u64, size: u64) -> Vec<u8> {
    report.page(report.source(7, "t", WINDOW), page, size).whole()
}

/// The records as another reader sees them; each must have as many fields as there are columns.
fn records(report: &MockReport, n_columns: usize) -> Vec<csv::StringRecord> {
    let bytes = Expected::new(report.clone(), vec![report.source(7, "t", WINDOW)]).bytes();
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(bytes.as_slice());
    let records: Vec<_> = reader.records().collect::<Result<_, _>>().unwrap();
    assert!(records.iter().all(|record| record.len() == n_columns));
    assert_eq!(records.len() as u64, report.rows + 1);
    records
}

fn share(found: usize, of: usize) -> f64 {
    found as f64 / of as f64
}

#[test]
fn every_kind_is_what_it_says_it_is() {
    let columns = every_kind();
    let records = records(&report(4000, columns.clone()), columns.len());
    assert!(records[0].iter().eq(columns.iter().map(|column| column.name.as_str())));
    let is = |name: &str, what: &dyn Fn(&str) -> bool| {
        let place = columns.iter().position(|column| column.name == name).unwrap();
        let wrong = records[1..].iter().map(|record| &record[place]).find(|field| !what(field));
        assert_eq!(wrong, None, "{name}");
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is("own id", &|id| id.len() == 8 && id.starts_with("C-0") && id[2..].parse::<u64>().unwrap() % 3 == 1);
    is("id", &|id| id.len() == 12 && digits(id));
    is("uuid", &|uuid| uuid.len() == 36 && &uuid[14..15] == "4" && "89ab".contains(&uuid[19..20]));
    let in_january = |time: &str| Timestamp::parse(time).is_some_and(|time| (WINDOW.from..=WINDOW.to).contains(&time));
    is("startedAt", &in_january);
    is("date", &|date| in_january(&format!("{date}T00:00:00.000Z")));
    is("dateTime", &|time| in_january(&format!("{}.000Z", time.replace(' ', "T"))));
    is("unix", &|seconds| (1_704_067_200..1_706_745_600).contains(&seconds.parse::<i64>().unwrap()));
    is("seconds", &|seconds| {
        let (whole, part) = seconds.split_once('.').unwrap();
        digits(whole) && part.len() == 3 && (0.005..=20_000.0).contains(&seconds.parse::<f64>().unwrap())
    });
    is("clock", &|clock| {
        let parts: Vec<u64> = clock.split(':').map(|part| part.parse().unwrap()).collect();
        parts.len() == 3 && parts[0] < 139 && parts[1] < 60 && parts[2] < 60
    });
    is("agentId", &|id| id.len() == 5 && digits(id));
    is("phone", &|phone| phone.starts_with('+') && digits(&phone[1..]) && (11..=13).contains(&phone.len()));
    is("from", &|phone| phone.starts_with("+49") && phone.len() == 13);
    is("integer", &|number| (-5..=5).contains(&number.parse::<i64>().unwrap()));
    is("decimal", &|number| {
        number.split_once('.').unwrap().1.len() == 2 && (-1.0..=2.0).contains(&number.parse::<f64>().unwrap())
    });
    is("hex", &|hex| hex.len() == 37 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
    is("constant, with \"quotes\"", &|text| text == "a, \"b\"");
    is("text", &|text| (90..=400).contains(&text.len()) && text.starts_with("ref "));
    is("json", &|json| serde_json::from_str::<serde_json::Value>(json).unwrap()["attempt"].is_u64());
    is("url", &|url| url.starts_with("https://recordings.example.com/"));
    is("utf8", &|text| text.starts_with('u') && text.chars().count() > 1);
}

#[test]
fn shares_are_about_as_asked() {
    let columns = every_kind();
    let records = records(&report(8000, columns.clone()), columns.len());
    let about = |name: &str, what: &dyn Fn(&str) -> bool, asked: f64| {
        let place = columns.iter().position(|column| column.name == name).unwrap();
        let found = share(records[1..].iter().filter(|record| what(&record[place])).count(), 8000);
        assert!((found - asked).abs() < 0.02, "{name}: {found} instead of {asked}");
    };
    about("agent", &str::is_empty, 0.05);
    about("agent", &|name| name.contains(','), 0.95 * 3.0 / 256.0);
    about("boolean", &|text| text == "true", 0.25);
    about("integer", &|text| text == "5", 1.0 / 11.0);
    about("choice", &|text| text == "y,z", 0.25);
    about("choice", &|text| text == "never", 0.0);
    let text = every_text();
    about("text", &|text| text.contains('"'), text.quotes);
    about("text", &|text| text.contains("\r\n"), text.crlf);
    about("text", &|text| text.replace("\r\n", "").contains('\n'), text.newlines);
    about("text", &|text| text.contains(['🙂', '📞', '👍', '👩']), text.emoji);
    about("text", &|text| text.contains(['返', '请', '배', '再']), text.cjk);
    let mean = records[1..].iter().map(|record| record[23].len()).sum::<usize>() as f64 / 8000.0;
    assert!((mean - 245.0).abs() < 5.0, "{mean}");
}

#[test]
fn ids_and_moments_rise_and_what_ends_has_begun() {
    let columns = every_kind();
    let records = records(&report(3000, columns.clone()), columns.len());
    for pair in records[1..].windows(2) {
        assert!(pair[0][0] < pair[1][0] && pair[0][1] < pair[1][1] && pair[0][3] < pair[1][3]);
        assert!(pair[0][3] < pair[0][4]);
    }
    assert!(records[1..90].iter().all(|record| record[3].starts_with("2024-01-01")));
    assert!(records[2990..].iter().all(|record| record[3].starts_with("2024-01-31")));
}

#[test]
fn an_agent_has_one_number() {
    let columns = every_kind();
    let records = records(&report(3000, columns.clone()), columns.len());
    let pairs: HashSet<_> = records[1..].iter().filter(|r| !r[11].is_empty()).map(|r| (&r[11], &r[12])).collect();
    let names: HashSet<_> = pairs.iter().map(|pair| pair.0).collect();
    let numbers: HashSet<_> = pairs.iter().map(|pair| pair.1).collect();
    assert_eq!((names.len(), numbers.len()), (pairs.len(), pairs.len()));
    assert!(names.len() > 200 && names.contains("Smith, John") && names.contains("山田 太郎"));
}

#[test]
fn a_row_does_not_depend_on_the_page_it_stands_in() {
    let report = MockReport { header: OnPages::Never, ..report(u64::MAX >> 20, every_kind()) };
    let whole = page(&report, 1, 700);
    for size in [1, 7, 100, 350] {
        let pages: Vec<u8> = (1..=700 / size).flat_map(|n| page(&report, n, size)).collect();
        assert!(pages == whole, "{size}");
    }
}

#[test]
fn a_page_behind_three_billion_rows_costs_what_the_first_one_does() {
    // Were rows made one after the other, this would take an hour.
    let report = MockReport { header: OnPages::Never, ..report(4_000_000_000, every_kind()) };
    let far = page(&report, 30_000_001, 100);
    let row = page(&report, 3_000_000_001, 1);
    assert!(far.starts_with(&row));
    assert!(row.starts_with(b"C-9000000007,"));
    assert!(String::from_utf8(row).unwrap().contains(",2024-01-24T"));
}

#[test]
fn no_two_pages_are_alike_where_a_single_column_tells_rows_apart() {
    for kind in [
        ColumnKind::id_from(0),
        ColumnKind::Uuid,
        ColumnKind::timestamp(),
        ColumnKind::Text(FreeText::plain(24..=24)),
        ColumnKind::Hex { digits: 12 },
        ColumnKind::Url,
    ] {
        let columns = vec![Column::new("one", kind.clone()), Column::new("same", ColumnKind::Constant("s".into()))];
        let report = MockReport { header: OnPages::First, ..report(5000, columns) };
        let pages: HashSet<_> = (1..=5000).map(|n| page(&report, n, 1)).collect();
        assert_eq!(pages.len(), 5000, "{kind:?}");
    }
}

#[test]
fn a_table_that_can_repeat_itself_is_refused_with_the_remedy() {
    let said = |columns| Columns::new(columns).unwrap_err().to_string();
    let agents = Column::new("agent", ColumnKind::Agent);
    let alike = said(vec![agents.clone()]);
    assert!(alike.contains("alike") && alike.contains("uuid"), "{alike}");
    assert!(said(vec![Column::new("id", ColumnKind::Uuid).empty(0.1)]).contains("alike"));
    assert!(said(vec![Column::new("t", ColumnKind::Text(FreeText::plain(1..=50)))]).contains("alike"));
    assert!(said(Vec::new()).contains("at least one"));
    assert!(said(vec![agents.clone(), agents.clone()]).contains("agent stands there twice"));
    assert!(said(vec![agents.empty(1.5)]).contains("agent: empty is a share from 0 to 1, not 1.5"));
}

#[test]
fn impossible_figures_are_refused_by_the_columns_name() {
    let text = |change: fn(&mut FreeText)| {
        let mut text = FreeText::default();
        change(&mut text);
        ColumnKind::Text(text)
    };
    let second = Duration::from_secs(1);
    for kind in [
        ColumnKind::Id { start: None, step: 0, prefix: String::new(), width: 0 },
        ColumnKind::Id { start: None, step: 1, prefix: String::new(), width: 21 },
        ColumnKind::Id { start: None, step: 1, prefix: "a,b".into(), width: 0 },
        #[expect(clippy::reversed_empty_ranges, reason = "that is what is refused")]
        ColumnKind::Integer(5..=4),
        ColumnKind::Decimal { range: 0..=1, decimals: 10 },
        ColumnKind::Decimal { range: 0..=i64::MAX, decimals: 2 },
        ColumnKind::Duration { form: DurationForm::Clock, range: second..=Duration::ZERO },
        ColumnKind::Timestamp { form: TimeForm::Date, later: second..=Duration::ZERO },
        ColumnKind::Phone(Some("49".into())),
        ColumnKind::Boolean(-0.1),
        ColumnKind::Hex { digits: 0 },
        ColumnKind::Choice(Vec::new()),
        ColumnKind::Choice(vec![("a".into(), 0.0)]),
        text(|text| text.emoji = 1.01),
        #[expect(clippy::reversed_empty_ranges, reason = "that is what is refused")]
        text(|text| text.length = 9..=8),
    ] {
        let columns = vec![Column::new("id", ColumnKind::Uuid), Column::new("odd", kind.clone())];
        let error = Columns::new(columns).expect_err(&format!("{kind:?}")).to_string();
        assert!(error.starts_with("the columns can't be used: odd: "), "{error}");
    }
}

#[test]
fn a_text_has_exactly_the_length_that_was_asked_for() {
    for length in [0, 1, 17, 18, 24, 60, 500] {
        let text = FreeText { length: length..=length, quotes: 1.0, newlines: 1.0, emoji: 1.0, ..FreeText::default() };
        let columns = vec![Column::new("id", ColumnKind::Uuid), Column::new("text", ColumnKind::Text(text))];
        let records = records(&report(200, columns), 2);
        assert!(records[1..].iter().all(|record| record[1].len() == length));
        assert!(length < 60 || records[1..].iter().all(|record| record[1].contains('\n') && record[1].contains('"')));
    }
}

#[test]
fn what_is_wrong_with_a_row_stands_in_its_text_and_the_others_stay() {
    let plain = MockReport { header: OnPages::Never, ..report(100, every_kind()) };
    let flawed = MockReport { flaw_every: Some(5), ..plain.clone() };
    let broken = MockReport { raw_newline_every: Some(5), ..plain.clone() };
    let source = flawed.source(7, "t", WINDOW);
    for row in 0..100 {
        let [plain, flawed, broken] = [&plain, &flawed, &broken].map(|report| page(report, row + 1, 1));
        assert_eq!(source.flaw(row).is_some(), row % 5 == 4);
        assert_eq!((plain == flawed, plain == broken), (row % 5 != 4, row % 5 != 4));
    }
    let row = String::from_utf8(page(&broken, 5, 1)).unwrap();
    let without_quoted: String = row.split('"').step_by(2).collect();
    assert!(without_quoted.trim_end().contains('\n'), "{row}");
    let narrow = vec![Column::new("id", ColumnKind::Uuid), Column::new("agent", ColumnKind::Agent)];
    let narrow = MockReport { flaw_every: Some(2), ..report(10, narrow) };
    assert!(narrow.check().unwrap_err().to_string().contains("three columns"));
    assert!((0..10).all(|row| narrow.source(7, "t", WINDOW).flaw(row).is_none()));
}

#[test]
fn a_page_that_is_unstable_shows_other_rows() {
    let ids = report(100, vec![Column::new("id", ColumnKind::id_from(1))]);
    let source = ids.source(7, "t", WINDOW);
    let shown = |source| ids.page(source, 2, 2).whole();
    assert_eq!((shown(source.clone()), shown(source.changed())), (b"id\n3\n4\n".to_vec(), b"id\n4\n5\n".to_vec()));
}

#[test]
fn another_window_template_or_seed_holds_other_rows() {
    let report = report(10, every_kind());
    let later = Window { from: WINDOW.to, to: WINDOW.to.plus(Duration::from_secs(60)) };
    let page = |seed, template, window| report.page(report.source(seed, template, window), 1, 10).whole();
    let usual = page(7, "t", WINDOW);
    for other in [page(8, "t", WINDOW), page(7, "u", WINDOW), page(7, "t", later)] {
        assert_ne!(usual, other);
    }
    assert_eq!(usual, page(7, "t", WINDOW));
}
