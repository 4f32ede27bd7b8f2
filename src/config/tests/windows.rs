//! From what is configured to the two moments that a query asks for.

use super::*;
use crate::model::{Timestamp, Window};

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).expect("a time")
}

fn spec(window: &str) -> WindowSpec {
    let text = SMALL.replace(
        "window: {from: 2024-01-01, to: 2024-01-31}",
        &format!("window: {{{window}}}, output: {{path: '{{from}}'}}"),
    );
    load(&text).unwrap_or_else(|errors| panic!("{errors}")).reports[0].window.clone()
}

fn refused(window: &str) -> String {
    let text = SMALL.replace("window: {from: 2024-01-01, to: 2024-01-31}", &format!("window: {{{window}}}"));
    load(&text).expect_err("refused").to_string()
}

fn resolved(window: &str, now: &str) -> (String, String) {
    let window = spec(window).resolve(at(now), None, &WindowOverrides::default()).unwrap().unwrap();
    (window.from.to_string(), window.to.to_string())
}

fn pair(from: &str, to: &str) -> (String, String) {
    (from.to_owned(), to.to_owned())
}

const NOW: &str = "2024-04-01T10:20:30.456Z";

#[test]
fn dates_are_whole_days_of_the_zone_with_both_ends_included() {
    assert_eq!(
        resolved("from: 2024-01-01, to: 2024-01-31", NOW),
        pair("2024-01-01T00:00:00.000Z", "2024-01-31T23:59:59.999Z")
    );
    assert_eq!(
        resolved("from: 2024-03-31, to: 2024-03-31, timezone: Europe/Berlin", NOW),
        pair("2024-03-30T23:00:00.000Z", "2024-03-31T21:59:59.999Z")
    );
    assert_eq!(
        resolved("from: 2024-10-27, to: 2024-10-27, timezone: Europe/Berlin", NOW),
        pair("2024-10-26T22:00:00.000Z", "2024-10-27T22:59:59.999Z")
    );
}

#[test]
fn a_day_whose_midnight_is_skipped_begins_at_its_first_moment() {
    assert_eq!(
        resolved("from: 2018-11-04, to: 2018-11-04, timezone: America/Sao_Paulo", NOW),
        pair("2018-11-04T03:00:00.000Z", "2018-11-05T01:59:59.999Z")
    );
}

#[test]
fn times_with_an_offset_are_moments_and_times_without_are_the_zones() {
    assert_eq!(
        resolved("from: 2024-01-01T00:00:00+02:00, to: '2024-01-01T12:00:00.1239Z'", NOW),
        pair("2023-12-31T22:00:00.000Z", "2024-01-01T12:00:00.123Z")
    );
    assert_eq!(
        resolved("from: 2024-07-01T08:00, to: 2024-07-01T09:00:00, timezone: Europe/Berlin", NOW),
        pair("2024-07-01T06:00:00.000Z", "2024-07-01T07:00:00.000Z")
    );
}

#[test]
fn a_time_that_the_clocks_skip_or_show_twice_is_refused() {
    for time in ["2024-03-31T02:30", "2024-10-27T02:30"] {
        let window = format!("from: 2024-01-01, to: {time}, timezone: Europe/Berlin");
        assert!(refused(&window).contains("skip or show twice"), "{time}");
    }
}

#[test]
fn the_last_days_end_at_the_last_midnight_of_the_zone() {
    assert_eq!(resolved("last: 1d", NOW), pair("2024-03-31T00:00:00.000Z", "2024-03-31T23:59:59.999Z"));
    assert_eq!(
        resolved("last: 2d, timezone: Europe/Berlin", NOW),
        pair("2024-03-29T23:00:00.000Z", "2024-03-31T21:59:59.999Z")
    );
    assert_eq!(
        resolved("last: 1d, timezone: Pacific/Auckland", "2024-04-01T11:59:00Z"),
        pair("2024-03-31T11:00:00.000Z", "2024-04-01T10:59:59.999Z"),
    );
}

#[test]
fn other_units_count_back_from_now() {
    assert_eq!(resolved("last: 6h", NOW), pair("2024-04-01T04:20:30.456Z", NOW));
    assert_eq!(resolved("last: 24h", NOW), pair("2024-03-31T10:20:30.456Z", NOW));
}

#[test]
fn since_goes_on_one_millisecond_after_the_watermark_and_asks_nothing_before_there_is_something() {
    let spec = spec("since: 2024-03-01, lag: 30m");
    let none = WindowOverrides::default();
    let first = spec.resolve(at(NOW), None, &none).unwrap().unwrap();
    assert_eq!(first.from, at("2024-03-01T00:00:00Z"));
    assert_eq!(first.to, at("2024-04-01T09:50:30.456Z"));
    assert_eq!(spec.resolve(at(NOW), Some(first.to), &none).unwrap(), None);
    let next = spec.resolve(Timestamp(at(NOW).0 + 1), Some(first.to), &none).unwrap().unwrap();
    assert_eq!(next, Window { from: Timestamp(first.to.0 + 1), to: Timestamp(first.to.0 + 1) });
    assert_eq!(spec.resolve(at("2024-02-01T00:00:00Z"), None, &none).unwrap(), None);
}

fn with(window: &str, from: Option<&str>, to: Option<&str>, until: Option<&str>) -> Result<Option<Window>, Problem> {
    let own = |text: Option<&str>| text.map(str::to_owned);
    spec(window).resolve(at(NOW), None, &WindowOverrides { from: own(from), to: own(to), until: own(until) })
}

#[test]
fn to_is_included_and_until_is_not() {
    let base = "from: 2024-01-01, to: 2024-01-31";
    assert_eq!(with(base, None, Some("2024-02-10"), None).unwrap().unwrap().to, at("2024-02-10T23:59:59.999Z"));
    assert_eq!(with(base, None, None, Some("2024-02-10")).unwrap().unwrap().to, at("2024-02-09T23:59:59.999Z"));
    let moment = "2024-02-10T06:00:00Z";
    assert_eq!(with(base, None, Some(moment), None).unwrap().unwrap().to, at(moment));
    assert_eq!(with(base, None, None, Some(moment)).unwrap().unwrap().to, at("2024-02-10T05:59:59.999Z"));
    assert!(with(base, None, Some(moment), Some(moment)).is_err());
}

#[test]
fn a_bound_of_the_command_line_takes_the_place_of_the_configured_one() {
    let window = with("last: 1d", Some("2024-03-01"), None, None).unwrap().unwrap();
    assert_eq!((window.from, window.to), (at("2024-03-01T00:00:00Z"), at("2024-03-31T23:59:59.999Z")));
    assert!(with("from: 2024-01-01, to: 2024-01-31", Some("2024-02-01"), None, None).is_err());
    assert!(with("since: 2024-01-01", Some("yesterday"), None, None).is_err());
    let window = with("since: 2024-01-01", Some("2024-01-02"), Some("2024-01-03"), None).unwrap().unwrap();
    assert_eq!(window.to, at("2024-01-03T23:59:59.999Z"));
}

#[test]
fn impossible_windows_are_refused() {
    for (window, reason) in [
        ("from: 2024-02-01, to: 2024-01-01", "ends before it begins"),
        ("from: 2024-02-30, to: 2024-03-01", "2024-02-30"),
        ("from: 24-01-01, to: 24-01-31", "four digits"),
        ("from: 2024-01-01", "without to"),
        ("to: 2024-01-01", "without from"),
        ("last: 1.5d", "1.5d"),
        ("last: 0d", "0d"),
        ("last: 3", "add a unit"),
        ("lag: 30m", "lag without since"),
        ("last: 1d, lag: 30m", "several forms"),
        ("since: 2024-01-01, lag: -1m", "-1m"),
        ("last: 1d, timezone: Mars/Olympus", "Mars/Olympus"),
        ("timezone: UTC", "no form"),
        ("since: 2024-01-01", "{from} or {to}"),
    ] {
        let text = refused(window);
        assert!(text.contains(reason), "{window}: {text}");
    }
}

#[test]
fn parts_leave_no_gap_and_do_not_overlap() {
    let zone = Zone::named("Europe/Berlin").unwrap();
    let window = Window { from: at("2024-03-29T23:00:00Z"), to: at("2024-04-02T12:00:00Z") };
    let parts = pieces(window, Span::Days(1), &zone).unwrap();
    assert_eq!(parts.len(), 4);
    assert_eq!(parts[1].to, at("2024-03-31T21:59:59.999Z"), "the day of the change has 23 hours");
    assert_eq!((parts[0].from, parts[3].to), (window.from, window.to));
    assert!(parts.windows(2).all(|two| two[1].from.0 == two[0].to.0 + 1));
    let hours = pieces(window, Span::Time(Duration::from_secs(3600)), &zone).unwrap();
    assert_eq!(hours.len(), 86, "the window's last millisecond is the first of an hour of its own");
    assert!(pieces(window, Span::Time(Duration::from_millis(1)), &zone).is_err());
}

fn zoned_parts(zone: &str, from: &str, to: &str, days: u32) -> Vec<(String, String)> {
    let zone = Zone::named(zone).unwrap();
    let window = Window { from: at(from), to: at(to) };
    let parts = pieces(window, Span::Days(days), &zone).unwrap();
    assert!(parts.windows(2).all(|two| two[1].from.0 == two[0].to.0 + 1), "{parts:?}");
    assert_eq!((parts[0].from, parts[parts.len() - 1].to), (window.from, window.to));
    parts.iter().map(|part| (from_text(part, &zone), to_text(part, &zone))).collect()
}

#[test]
fn l2_parts_of_days_follow_the_calendar_whatever_the_clocks_do() {
    let day = |day: &str| pair(day, day);
    assert_eq!(
        zoned_parts("America/Sao_Paulo", "2018-11-04T03:00:00Z", "2018-11-07T01:59:59.999Z", 1),
        [day("2018-11-04"), day("2018-11-05"), day("2018-11-06")],
        "midnight is skipped on the first day"
    );
    assert_eq!(
        zoned_parts("Europe/Berlin", "2024-10-25T22:00:00Z", "2024-10-28T22:59:59.999Z", 2),
        [pair("2024-10-26", "2024-10-27"), day("2024-10-28")],
        "a day of 25 hours"
    );
    assert_eq!(
        zoned_parts("Pacific/Apia", "2011-12-29T10:00:00Z", "2012-01-01T09:59:59.999Z", 1),
        [day("2011-12-29"), day("2011-12-31"), day("2012-01-01")],
        "a day that there was not"
    );
    assert_eq!(
        zoned_parts("UTC", "2024-02-28T00:00:00Z", "2024-03-01T23:59:59.999Z", 1),
        [day("2024-02-28"), day("2024-02-29"), day("2024-03-01")]
    );
    assert_eq!(zoned_parts("UTC", "2038-01-18T12:00:00Z", "2038-01-20T11:59:59.999Z", 1).len(), 2);
}

#[test]
fn l2_dates_and_times_at_the_edges_of_the_calendar_are_read_or_refused() {
    let day = |day: &str| pair(&format!("{day}T00:00:00.000Z"), &format!("{day}T23:59:59.999Z"));
    for date in ["2024-02-29", "2000-02-29", "2038-01-19", "2038-01-20", "1969-12-31", "9999-12-29"] {
        assert_eq!(resolved(&format!("from: {date}, to: {date}"), NOW), day(date));
    }
    for date in ["2023-02-29", "1900-02-29", "2024-13-01", "2024-00-10", "2024-04-31", "24-04-01", "12024-04-01"] {
        assert!(refused(&format!("from: 1800-01-01, to: {date}")).contains(date), "{date}");
    }
    for date in ["9999-12-31", "9999-12-31T23:59:59+02:00", "9999-12-31T23:59:59"] {
        let told = refused(&format!("from: 2024-01-01, to: {date}"));
        assert!(told.contains("calendar") || told.contains("one of these forms"), "{date}: {told}");
    }
}

#[test]
fn l2_a_leap_second_is_the_moment_after_second_59_and_no_other_minute_has_60() {
    let to = |text: &str| resolved(&format!("from: 2016-01-01, to: '{text}'"), NOW).1;
    assert_eq!(to("2016-12-31T23:59:60Z"), "2017-01-01T00:00:00.000Z");
    assert_eq!(to("2017-01-01T00:59:60+01:00"), "2017-01-01T00:00:00.000Z");
    assert_eq!(
        with("last: 1d", Some("2016-01-01"), None, Some("2016-12-31T23:59:60Z")).unwrap().unwrap().to,
        at("2016-12-31T23:59:59.999Z")
    );
    for text in ["2016-12-31T12:00:60Z", "2016-12-30T23:59:60Z", "2016-12-31T23:59:60", "2016-12-31T23:59:61Z"] {
        assert!(Bound::parse(text).is_none(), "{text}");
    }
}

#[test]
fn a_bound_is_a_date_or_a_time_and_nothing_like_it() {
    for text in [
        "",
        "2024-01-31 ",
        " 2024-01-31",
        "20240131",
        "2024-1-31",
        "2024-01-31+02:00",
        "2024-01-31T",
        "now",
        "2024-01-31T12:00Z[UTC]",
        "2024-01-31T24:00:00Z",
        "31.01.2024",
        "2024-01-31T12:00:00 +02:00",
        "1704067200",
        "２０２４-01-31",
        "2024-01-31T12:00:00+26:00",
    ] {
        assert!(Bound::parse(text).is_none(), "{text:?}");
    }
    for text in ["2024-01-31T12:00Z", "2024-01-31 12:00:00.5", "2024-01-31t12:00:00z", "2024-01-31T12:00:00-05:00"] {
        assert!(Bound::parse(text).is_some(), "{text:?}");
    }
}

#[test]
fn one_bound_of_the_command_line_leaves_the_other_as_configured() {
    let both = |window: &str, from, to, until| {
        let window = with(window, from, to, until).unwrap().unwrap();
        (window.from.to_string(), window.to.to_string())
    };
    let fixed = "from: 2024-01-01, to: 2024-01-31";
    let (day, at_noon) = ("2024-01-10T00:00:00.000Z", "2024-01-10T12:00:00.000Z");
    assert_eq!(both(fixed, Some("2024-01-10"), None, None), pair(day, "2024-01-31T23:59:59.999Z"));
    assert_eq!(both(fixed, None, Some("2024-01-10T12:00Z"), None), pair("2024-01-01T00:00:00.000Z", at_noon));
    assert_eq!(both("last: 6h", Some("2024-01-10"), None, None), pair(day, NOW));
    assert_eq!(
        both("last: 1d", None, Some("2024-04-01"), None),
        pair("2024-03-31T00:00:00.000Z", "2024-04-01T23:59:59.999Z")
    );
    let since = "since: 2024-01-01, lag: 30m";
    assert_eq!(both(since, Some("2024-01-10"), None, None), pair(day, "2024-04-01T09:50:30.456Z"));
    assert_eq!(
        both(since, None, None, Some("2024-01-10")),
        pair("2024-01-01T00:00:00.000Z", "2024-01-09T23:59:59.999Z")
    );
    let follows = WindowOverrides { to: Some("2024-02-10".to_owned()), ..WindowOverrides::default() };
    let mark = at("2024-01-31T23:59:59.999Z");
    let window = spec(since).resolve(at(NOW), Some(mark), &follows).unwrap().unwrap();
    assert_eq!(window.from, at("2024-02-01T00:00:00Z"), "the beginning of a since window is after the watermark");
    assert!(with(fixed, Some("2024-01-10"), None, Some("2024-01-10")).is_err(), "an interval of no length");
}

#[test]
fn days_on_the_command_line_are_days_of_the_reports_zone() {
    let window = with("last: 1d, timezone: America/New_York", Some("2024-03-10"), Some("2024-03-10"), None);
    let window = window.unwrap().unwrap();
    assert_eq!((window.from, window.to), (at("2024-03-10T05:00:00Z"), at("2024-03-11T03:59:59.999Z")));
}

#[test]
fn a_span_that_leads_out_of_the_calendar_is_refused() {
    let spec = spec("last: 99999999h");
    let problem = spec.resolve(at(NOW), None, &WindowOverrides::default()).expect_err("refused");
    assert!(problem.to_string().contains("calendar"), "{problem}");
}

#[test]
fn spans_read_as_they_would_be_written() {
    for text in ["30d", "6h", "36h", "90m", "45s", "1500ms"] {
        assert_eq!(Span::parse(text).unwrap().to_string(), text);
    }
}

fn each(path: &str, span: &str) -> Result<Vec<Window>, Problem> {
    let text = SMALL.replace("template_id: t", &format!("template_id: t, output: {{path: '{path}'}}"));
    let report = load(&text).unwrap_or_else(|errors| panic!("{errors}")).reports[0].clone();
    let window = report.resolve_window(at(NOW), None, &WindowOverrides::default()).unwrap().unwrap();
    let short = Window { from: window.from, to: Timestamp(window.from.0 + 1500) };
    report.pieces(if span.ends_with("ms") { short } else { window }, Span::parse(span).unwrap())
}

#[test]
fn each_makes_pieces_with_files_of_their_own() {
    assert_eq!(each("{from}.csv", "1d").unwrap().len(), 31);
    assert_eq!(each("{to}/calls.csv", "7d").unwrap().len(), 5);
    assert_eq!(each("{from}.csv", "6h").unwrap().len(), 31 * 4);
    for path in ["calls.csv", "-", "{report}-{tenant}.csv"] {
        let problem = each(path, "1d").expect_err("refused").to_string();
        assert!(problem.contains("{from} or {to}") && problem.contains("--each of report calls"), "{problem}");
    }
    let problem = each("{from}.csv", "400ms").expect_err("refused").to_string();
    assert!(problem.contains("both be written to /etc/cx/out/20240101T000000Z.csv"), "{problem}");
    let problem = each("{from}.csv", "1s").expect_err("refused").to_string();
    assert!(problem.contains("--each") && problem.contains("more than 100000 parts"), "{problem}");
}

#[test]
fn bounds_in_a_files_name_are_days_of_the_zone_where_they_are_days() {
    let zone = Zone::named("Europe/Berlin").unwrap();
    let window = Window { from: at("2024-01-30T23:00:00Z"), to: at("2024-01-31T22:59:59.999Z") };
    assert_eq!((from_text(&window, &zone), to_text(&window, &zone)), pair("2024-01-31", "2024-01-31"));
    assert_eq!(
        (from_text(&window, &Zone::UTC), to_text(&window, &Zone::UTC)),
        pair("20240130T230000Z", "20240131T225959Z")
    );
}
