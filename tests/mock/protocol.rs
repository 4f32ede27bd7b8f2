//! The API as a client without faults meets it.

use std::io::Read;
use std::time::Duration;

use cxtract::mock::{
    CallKind, Count, End, Fate, Fault, FaultRule, LinkStyle, Matcher, MockHost, MockReport, MockTenant,
    MockTenantBuilder, OnPages, PageSizes, RetryAfter,
};
use cxtract::model::{Timestamp, Window};

use crate::client::{Client, Ended, SUBMISSION, page_path};

fn open_tenant(report: MockReport) -> MockTenantBuilder {
    MockTenant::builder().requests_per_second(f64::INFINITY).report("detail", report)
}

/// Reads pages until one shows the end, and joins them as a deliverer must.
fn delivered(client: &mut Client, query: &str) -> Vec<u8> {
    let header = "contactId,";
    let mut file: Vec<u8> = Vec::new();
    for page in 1.. {
        let answer = client.page(query, page);
        if answer.status() == 404 || answer.body.is_empty() {
            break;
        }
        let mut body = answer.body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&answer.body);
        let has_header = body.starts_with(header.as_bytes());
        if has_header && page > 1 {
            let end = body.iter().position(|&b| b == b'\n').map_or(body.len(), |at| at + 1);
            body = &body[end..];
        }
        if body.is_empty() {
            break;
        }
        file.extend_from_slice(body);
        if file.last() != Some(&b'\n') {
            file.push(b'\n');
        }
    }
    file
}

#[test]
fn a_report_is_token_submission_status_and_pages() {
    let mock = open_tenant(MockReport::with_rows(250)).ready_after(Duration::from_secs(2)).start().unwrap();
    let mut client = Client::connect(&mock);
    let accepted = client.submit();
    assert_eq!(accepted.status(), 202);
    let query = accepted.json()["queryId"].as_str().unwrap().to_owned();
    assert_eq!(client.status(&query).json()["status"], "queued");
    assert_eq!(client.page(&query, 1).status(), 409);
    while client.status(&query).json()["status"] != "complete" {
        std::thread::park_timeout(Duration::from_millis(5));
    }
    assert_eq!(client.status(&query).json()["totalRows"], 250);
    let page = client.page(&query, 3);
    assert_eq!(page.header("content-type"), Some("text/csv; charset=utf-8"));
    assert_eq!(page.header("x-total-count"), Some("250"));
    assert_eq!(delivered(&mut client, &query), mock.expected_csv("detail"));
    let ledger = mock.ledger();
    assert_eq!(ledger.pages_asked(&query), [1, 3, 1, 2, 3, 4]);
    assert_eq!((ledger.token_calls(), ledger.submissions().len()), (1, 1));
    assert!(ledger.iter().filter(|e| e.kind == CallKind::Page && e.status == 200).all(|e| e.generation == Some(1)));
    assert_eq!(ledger.last().unwrap().bytes, 0);
    assert_eq!(ledger[ledger.len() - 2].bytes, page.body.len() as u64);
}

#[test]
fn every_style_of_pages_delivers_the_expected_file() {
    let styles = [
        MockReport { header: OnPages::First, ..MockReport::with_rows(1000) },
        MockReport { header: OnPages::Random, bom: OnPages::Random, ..MockReport::with_rows(1000) },
        MockReport { bom: OnPages::Every, final_newline: false, chunked: false, ..MockReport::with_rows(1000) },
        MockReport { end: End::NotFound404, page_sizes: PageSizes::Varying, ..MockReport::with_rows(1000) },
        MockReport { end: End::HeaderOnly, page_sizes: PageSizes::AtMost(33), ..MockReport::with_rows(1000) },
        MockReport { end: End::HeaderOnly, ..MockReport::with_rows(0) },
        MockReport { end: End::EmptyBody, ..MockReport::with_rows(0) },
    ];
    for style in styles {
        let mock = open_tenant(style.clone()).start().unwrap();
        let mut client = Client::connect(&mock);
        let query = client.submitted();
        let file = delivered(&mut client, &query);
        let expected = mock.expected_csv("detail");
        let month = Window { from: Timestamp(1_704_067_200_000), to: Timestamp(1_706_745_599_999) };
        assert_eq!(mock.expected_for("detail", month).bytes(), expected);
        if style.rows == 0 && style.end == End::HeaderOnly {
            assert!(expected.starts_with(b"contactId") && file.starts_with(b"contactId"));
        } else {
            assert_eq!(file, expected, "{style:?}");
        }
    }
}

#[test]
fn two_tenants_of_one_seed_serve_the_same_bytes() {
    let read = |seed| {
        let mock = open_tenant(MockReport::with_rows(300)).seed(seed).start().unwrap();
        let mut client = Client::connect(&mock);
        let query = client.submitted();
        client.page(&query, 2).body
    };
    assert_eq!(read(3), read(3));
    assert_ne!(read(3), read(4));
}

#[test]
fn links_and_counts_say_what_they_are_told_to() {
    let told = |report: MockReport, page| {
        let mock = open_tenant(MockReport { rows: 250, ..report }).start().unwrap();
        let mut client = Client::connect(&mock);
        let query = client.submitted();
        let answer = client.page(&query, page);
        (answer.header("link").map(str::to_owned), answer.header("x-total-count").map(str::to_owned))
    };
    let next = |link: &Option<String>| link.as_ref().is_some_and(|l| l.contains("rel=\"next\""));
    let proper = MockReport { link: LinkStyle::Proper, total_count: Count::Stale(-50), ..MockReport::default() };
    assert!(next(&told(proper.clone(), 2).0));
    assert!(!next(&told(proper.clone(), 3).0) && told(proper.clone(), 3).0.is_some());
    assert_eq!(told(proper, 1).1.as_deref(), Some("200"));
    let early = MockReport { link: LinkStyle::EndsEarly(2), total_count: Count::Absent, ..MockReport::default() };
    assert!(!next(&told(early.clone(), 2).0) && next(&told(early.clone(), 1).0));
    assert_eq!(told(early, 1).1, None);
    assert!(told(MockReport { link: LinkStyle::Looping, ..MockReport::default() }, 3).0.unwrap().contains("page=1&"));
    let ending = MockReport { end: End::LinkWithoutNext, ..MockReport::default() };
    assert!(next(&told(ending.clone(), 2).0) && !next(&told(ending, 3).0));
    assert_eq!(told(MockReport::default(), 1).0, None);
}

#[test]
fn gzip_is_sent_to_those_who_accept_it_with_chunks_or_a_length() {
    for chunked in [true, false] {
        let mock = open_tenant(MockReport { gzip: true, chunked, ..MockReport::with_rows(5000) }).start().unwrap();
        let mut client = Client::connect(&mock);
        let query = client.submitted();
        let plain = client.page(&query, 7);
        assert_eq!(plain.header("content-encoding"), None);
        let packed = client.get(&page_path(&query, 7), "Accept-Encoding: gzip\r\n");
        assert_eq!(packed.header("content-encoding"), Some("gzip"));
        assert_eq!(packed.header("content-length").is_some(), !chunked);
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(packed.body.as_slice()).read_to_end(&mut unpacked).unwrap();
        assert_eq!(unpacked, plain.body);
    }
}

#[test]
fn without_a_good_token_nothing_is_served() {
    let mock = open_tenant(MockReport::default()).client("id", "other").start().unwrap();
    let mut client = Client::without_token(&mock);
    assert_eq!(client.submit().status(), 401);
    let refused = client.ask_token();
    assert_eq!((refused.status(), refused.json()["error"].as_str()), (401, Some("invalid_client")));
    assert!(!refused.text().contains("secret") && !refused.text().contains("other"));
}

#[test]
fn a_revoked_token_is_refused_and_the_next_one_works() {
    let mock = open_tenant(MockReport::default()).start().unwrap();
    let mut client = Client::connect(&mock);
    let query = client.submitted();
    let now = mock.now();
    mock.with(|tenant| tenant.revoke_tokens(now));
    assert_eq!(client.status(&query).status(), 401);
    client.token = client.ask_token().json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(client.status(&query).status(), 200);
    assert_eq!(mock.ledger().last().unwrap().generation, Some(2));
}

#[test]
fn too_many_calls_are_throttled_and_calling_on_is_blocked() {
    // One call in 50 seconds, so that a slow machine can't slip a second one in.
    let mock = MockTenant::builder().requests_per_second(0.02).start().unwrap();
    let mut client = Client::connect(&mock);
    let throttled = client.submit();
    assert_eq!(throttled.status(), 429);
    assert!((40..=50).contains(&throttled.header("retry-after").unwrap().parse::<u64>().unwrap()));
    let blocked = client.calls_on(&mock);
    assert_eq!((blocked.status(), blocked.header("retry-after")), (429, Some("900")));
    let ledger = mock.ledger();
    let (last, before) = ledger.split_last().unwrap();
    assert!(last.told_to_wait && before.iter().all(|entry| !entry.told_to_wait));
    assert!(ledger.max_in_any_second() >= 1);
}

#[test]
fn a_wait_is_told_in_every_form_of_date() {
    for (form, mark) in
        [(RetryAfter::HttpDate, "Thu, "), (RetryAfter::Rfc850, "Thursday, "), (RetryAfter::Asctime, "Thu ")]
    {
        let start = Timestamp::parse("2024-02-01T00:00:00.000Z").unwrap();
        let mock = MockTenant::builder().requests_per_second(0.02).retry_after(form).wall_start(start).start().unwrap();
        let mut client = Client::connect(&mock);
        let throttled = client.submit();
        let value = throttled.header("retry-after").unwrap();
        assert!(value.starts_with(mark), "{value}");
        let (wait, date) = (httpdate::parse_http_date(value).unwrap(), throttled.header("date").unwrap());
        let seconds = wait.duration_since(httpdate::parse_http_date(date).unwrap()).unwrap().as_secs();
        assert!((40..=50).contains(&seconds), "{value} against {date}");
    }
}

#[test]
fn open_queries_are_limited_until_one_is_read_to_its_end() {
    let mock =
        open_tenant(MockReport::with_rows(10)).max_open_queries(1).retry_after(RetryAfter::Missing).start().unwrap();
    let mut client = Client::connect(&mock);
    let query = client.submitted();
    assert_eq!(client.submit().status(), 429);
    client.page(&query, 1);
    client.page(&query, 2);
    assert_eq!(client.submit().status(), 202);
}

#[test]
fn a_query_is_read_to_its_end_where_a_link_names_no_next_page() {
    for end in [End::EmptyBody, End::HeaderOnly, End::NotFound404, End::LinkWithoutNext] {
        let report = MockReport { link: LinkStyle::Proper, end, ..MockReport::with_rows(250) };
        let mock = open_tenant(report).max_open_queries(1).retry_after(RetryAfter::Missing).start().unwrap();
        let mut client = Client::connect(&mock);
        let query = client.submitted();
        assert_eq!([1, 2].map(|page| client.page(&query, page).status()), [200, 200]);
        assert_eq!(client.submit().status(), 429);
        let last = client.page(&query, 3);
        assert!(!last.header("link").unwrap().contains("next"));
        assert_eq!(client.submit().status(), 202, "{end:?}");
    }
    // Without links, the last page looks like any other.
    let mock = open_tenant(MockReport::with_rows(10)).max_open_queries(1).retry_after(RetryAfter::Missing);
    let mock = mock.start().unwrap();
    let mut client = Client::connect(&mock);
    let query = client.submitted();
    client.page(&query, 1);
    assert_eq!(client.submit().status(), 429);
}

#[test]
fn queries_fail_expire_and_speak_strange_words() {
    let mock = open_tenant(MockReport::with_rows(1000))
        .fate(0, Fate::Fails("no licence".into()))
        .fate(1, Fate::ExpiresAfterPages(2))
        .fate(2, Fate::UnknownWord("paused".into()))
        .start()
        .unwrap();
    let mut client = Client::connect(&mock);
    let queries: Vec<String> = (0..4).map(|_| client.submitted()).collect();
    let failed = client.status(&queries[0]).json();
    assert_eq!((&failed["status"], &failed["errorMessage"]), (&"failed".into(), &"no licence".into()));
    assert_eq!([1, 2, 3].map(|page| client.page(&queries[1], page).status()), [200, 200, 404]);
    assert_eq!(client.status(&queries[1]).status(), 404);
    assert_eq!(client.status(&queries[2]).json()["status"], "paused");
    mock.with(|tenant| tenant.expire_query(3));
    assert_eq!(client.status(&queries[3]).status(), 404);
    assert_eq!(client.status("unknown").status(), 404);
}

#[test]
fn a_tenant_that_remembers_serves_the_queries_of_its_earlier_life() {
    let tenant = || open_tenant(MockReport::with_rows(500)).remembers_queries();
    let before = tenant().start().unwrap();
    let mut client = Client::connect(&before);
    let query = client.submitted();
    let page = client.page(&query, 4).body;
    drop(before);
    let after = tenant().start().unwrap();
    let mut client = Client::connect(&after);
    assert_eq!(client.status(&query).json()["status"], "complete");
    assert_eq!(client.page(&query, 4).body, page);
    assert_ne!(client.submitted(), query);
    let forgetful = open_tenant(MockReport::with_rows(500)).start().unwrap();
    assert_eq!(Client::connect(&forgetful).status(&query).status(), 404);
}

#[test]
fn an_absolute_target_is_served_like_its_path_and_its_host_counts() {
    let tenants = ["acme", "other"].map(|name| (name.to_owned(), open_tenant(MockReport::with_rows(10))));
    let host = MockHost::builder().tenants(tenants).by_host_name().start().unwrap();
    let mock = host.tenant("acme").unwrap();
    let mut client = Client::to(mock.address());
    let get = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: other.localhost\r\n\r\n");
    assert_eq!(client.send(&get("http://acme.localhost/api/v2/reporting/queries/q")).status(), 401);
    assert_eq!(client.send(&get("http://acme.localhost/__mock/scorecard.json")).json()["tenant"], "acme");
    assert_eq!(client.send(&get("http://acme.localhost?a=b")).status(), 404);
    let ledger = mock.ledger();
    assert_eq!(ledger.iter().map(|call| &*call.path).collect::<Vec<_>>(), ["/api/v2/reporting/queries/q", "/"]);
}

#[test]
fn a_secret_that_was_sent_in_an_address_is_written_down_nowhere() {
    let mock = open_tenant(MockReport::with_rows(10)).start().unwrap();
    let mut client = Client::connect(&mock);
    for target in [
        "http://id:CANARY@mock.localhost/oauth2/token",
        "http://id:CANARY@mock.localhost/elsewhere",
        "/oauth2/token;client_secret=CANARY",
        "/oauth2/token#client_secret=CANARY",
        "/oauth2/token?client_secret=CANARY",
        "/api/v2/reporting/queries/q;client_secret=CANARY",
        "/api/v2/reporting/queries/q%3Fclient_secret=CANARY",
        "/api/v2/reporting/queries/client_secret=CANARY/results?page=1",
        "id:CANARY@mock.localhost:80",
    ] {
        assert!((400..500).contains(&client.get(target, "").status()), "{target}");
    }
    assert_eq!(mock.ledger().len(), 10);
    for shown in ["ledger", "scorecard.json", "scorecard.html"] {
        assert!(!client.get(&format!("/__mock/{shown}"), "").text().contains("CANARY"), "{shown}");
    }
}

#[test]
fn a_page_number_may_be_any() {
    let most = u64::MAX;
    let report = MockReport { link: LinkStyle::Proper, end: End::LinkWithoutNext, ..MockReport::with_rows(250) };
    for page_sizes in [PageSizes::AsAsked, PageSizes::Varying, PageSizes::AtMost(7)] {
        let same = FaultRule::new(Matcher::page(2), Fault::SamePageAs(most));
        let mock = open_tenant(MockReport { page_sizes, ..report.clone() }).fault(same).start().unwrap();
        let mut client = Client::connect(&mock);
        let query = client.submitted();
        for page in [most, most - 1, 2] {
            let answer = client.page(&query, page);
            assert_eq!((answer.status(), answer.whole, answer.body.len()), (200, true, 0), "{page}");
        }
        assert_eq!(client.page(&query, 1).status(), 200);
    }
}

#[test]
fn schemes_of_credentials_have_no_letter_case() {
    let mock = open_tenant(MockReport::with_rows(10)).client("id", "secret").start().unwrap();
    let mut client = Client::without_token(&mock);
    let form = "grant_type=client_credentials";
    // `id:secret` in base 64.
    let answer = client.send(&format!(
        "POST /oauth2/token HTTP/1.1\r\nHost: x\r\nAuthorization: basic aWQ6c2VjcmV0\r\nContent-Type: \
         application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    ));
    assert_eq!(answer.status(), 200);
    let token = answer.json()["access_token"].as_str().unwrap().to_owned();
    let status = "GET /api/v2/reporting/queries/q HTTP/1.1\r\nHost: x\r\nAuthorization: bearer";
    assert_eq!(client.send(&format!("{status} {token}\r\n\r\n")).status(), 404);
    assert_eq!(client.send(&format!("{status} {}\r\n\r\n", token.to_uppercase())).status(), 401);
}

#[test]
fn a_body_without_a_length_is_refused_with_the_reason() {
    let mock = open_tenant(MockReport::default()).start().unwrap();
    let chunked = "POST /api/v2/reporting/queries HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    let answer = Client::without_token(&mock).send(chunked);
    assert_eq!(answer.status(), 400);
    assert!(answer.json()["error"]["message"].as_str().unwrap().contains("Content-Length"), "{}", answer.text());
}

#[test]
fn a_client_that_asks_for_leave_to_send_its_body_gets_it() {
    let mock = open_tenant(MockReport::default()).start().unwrap();
    let mut client = Client::connect(&mock);
    let head = format!(
        "POST /api/v2/reporting/queries HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: \
         application/json\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        client.token,
        SUBMISSION.len()
    );
    let leave = b"HTTP/1.1 100 Continue\r\n\r\n";
    assert_eq!(client.exchange(head.as_bytes(), leave.len()), leave);
    assert_eq!(client.send(SUBMISSION).status(), 202);
    // Whose body is there already needs none.
    let answer = client.send(&format!("{head}{SUBMISSION}"));
    assert_eq!((answer.status(), answer.n_raw), (202, answer.head.len() + answer.body.len()));
}

#[test]
fn an_answer_to_head_has_no_body() {
    let mock = open_tenant(MockReport::with_rows(10)).start().unwrap();
    let mut client = Client::connect(&mock);
    for target in ["/api/v2/reporting/queries/q", "/elsewhere", "/__mock/scorecard"] {
        let head = format!("HEAD {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let answer = client.send(&head);
        assert!(matches!(answer.status(), 404 | 405) && answer.body.is_empty(), "{target}: {answer:?}");
        assert_eq!((answer.ended, answer.n_raw), (Ended::Closed, answer.head.len()));
        client.reconnect();
    }
}

#[test]
fn calls_that_break_the_contract_are_refused() {
    let mock = open_tenant(MockReport::default()).only_named_reports().start().unwrap();
    let mut client = Client::connect(&mock);
    let query = client.submitted();
    let base = format!("/api/v2/reporting/queries/{query}/results");
    for parameters in ["page=1&pageSize=100", "format=csv&page=0&pageSize=100", "format=csv&page=1&pageSize=99"] {
        assert_eq!(client.get(&format!("{base}?{parameters}"), "").status(), 400);
    }
    assert_eq!(client.get("/elsewhere", "").status(), 404);
    assert_eq!(client.send("nonsense\r\n\r\n").status(), 400);
}
