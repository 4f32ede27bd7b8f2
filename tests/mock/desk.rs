//! What a tenant tells of its client under `/__mock/`.

use std::time::Duration;

use cxtract::mock::{
    Finding, Grade, MockHost, MockReport, MockRequest, MockTenant, MockTenantBuilder, RateLimitHeaders, RunningMock,
    Scorecard,
};
use serde_json::Value;

use crate::client::{Answer, Client, SUBMISSION, page_path};

const SOON: Duration = Duration::from_millis(1);

fn busy() -> MockTenantBuilder {
    MockTenant::builder().requests_per_second(f64::INFINITY).default_report(MockReport::with_rows(1000))
}

fn ask(mock: &RunningMock, target: &str, headers: &str) -> Answer {
    Client::to(mock.address()).send(&format!("GET {target} HTTP/1.1\r\nHost: x\r\n{headers}\r\n"))
}

fn card(mock: &RunningMock) -> Value {
    ask(mock, "/__mock/scorecard", "").json()
}

fn lines(mock: &RunningMock) -> Vec<Value> {
    let answer = ask(mock, "/__mock/ledger", "");
    assert_eq!(answer.header("Content-Type"), Some("application/x-ndjson"));
    answer.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A client that does as it should, to the end of one report.
fn polite(mock: &RunningMock) -> Client {
    let mut client = Client::connect(mock);
    let query = client.submitted();
    assert_eq!(client.status(&query).json()["status"], "complete");
    for page in 1..=11 {
        assert_eq!(client.page(&query, page).status(), 200);
    }
    client
}

#[test]
fn looking_on_uses_nothing_up_and_leaves_no_line() {
    let mock = MockTenant::builder().requests_per_second(2.0).start().unwrap();
    let paths = ["", "/", "/ledger", "/scorecard", "/scorecard.json", "/scorecard.html", "/openapi.json"];
    for path in paths.iter().cycle().take(21) {
        assert_eq!(ask(&mock, &format!("/__mock{path}"), "").status(), 200, "{path}");
    }
    assert!(mock.ledger().is_empty());
    assert_eq!([(); 2].map(|()| ask(&mock, "/elsewhere", "").status()), [404; 2]);
    assert_eq!(mock.verdict().refused_too_fast, 0);
}

#[test]
fn the_ledger_is_a_line_of_json_for_each_call() {
    let mock = busy().start().unwrap();
    polite(&mock);
    let lines = lines(&mock);
    let kinds: Vec<&str> = lines.iter().map(|line| line["kind"].as_str().unwrap()).collect();
    assert_eq!((&kinds[..4], kinds.len()), (&["token", "submit", "status", "page"][..], 14));
    let (submit, page, past) = (&lines[1], &lines[3], &lines[13]);
    assert_eq!((submit["status"].as_u64(), submit["template"].as_str()), (Some(202), Some("detail")));
    assert_eq!(submit["from"], "2024-01-01T00:00:00.000Z");
    assert_eq!((page["page"].as_u64(), page["rows"].as_u64(), past["rows"].as_u64()), (Some(1), Some(100), Some(0)));
    assert_eq!(page["query"], submit["query"]);
    assert!(page["took_ms"].as_f64().is_some() && page["bytes"].as_u64() > Some(1000));
    let times: Vec<f64> = lines.iter().map(|line| line["at_ms"].as_f64().unwrap()).collect();
    assert!(times.is_sorted());
    assert_eq!(lines.iter().filter_map(|line| line["nth"].as_u64()).collect::<Vec<_>>(), (0..14).collect::<Vec<_>>());
}

#[test]
fn a_long_ledger_is_told_whole() {
    let mock = busy().start().unwrap();
    mock.with(|tenant| {
        for n in 0..3000 {
            let request = cxtract::mock::MockRequest::get(&format!("/elsewhere/{n}"), "none");
            tenant.answer(&request, std::time::Duration::from_millis(n));
        }
    });
    let lines = lines(&mock);
    assert_eq!(lines.len(), 3000);
    assert!(lines.iter().enumerate().all(|(n, line)| line["path"] == format!("/elsewhere/{n}")));
}

#[test]
fn s1_no_credential_is_shown_anywhere() {
    let mock = busy().client("id", "secret").start().unwrap();
    let client = polite(&mock);
    for path in ["", "/ledger", "/scorecard.json", "/scorecard.html", "/openapi.json"] {
        let text = ask(&mock, &format!("/__mock{path}"), "").text();
        for canary in [client.token.as_str(), "aWQ6c2VjcmV0"] {
            assert!(!text.contains(canary), "{path} shows a credential");
        }
    }
    assert!(!ask(&mock, "/__mock/ledger", "").text().contains("secret"));
}

#[test]
fn a_scorecard_is_a_page_for_browsers_and_json_for_everybody_else() {
    let mock = busy().start().unwrap();
    polite(&mock);
    let kind = |accept: &str| ask(&mock, "/__mock/scorecard", accept).header("Content-Type").unwrap().to_owned();
    assert_eq!(kind("Accept: text/html,*/*;q=0.8\r\n"), "text/html; charset=utf-8");
    assert_eq!(kind("Accept: */*\r\n"), "application/json");
    assert_eq!(kind(""), "application/json");
    let page = ask(&mock, "/__mock/scorecard.html", "Accept: application/json\r\n").text();
    assert!(page.contains("A well-behaved client") && page.contains("</html>"));
    for outside in ["<script", "src=", "href=\"http", "@import", "url("] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert_eq!(ask(&mock, "/__mock/scorecard.json", "Accept: text/html\r\n").json()["tenant"], "mock");
}

fn wrong(card: &Scorecard) -> Vec<&str> {
    card.findings.iter().filter(|finding| !finding.ok).map(|finding| finding.name).collect()
}

#[test]
fn a_client_that_does_as_it_should_is_good_in_every_respect() {
    let mock = busy().start().unwrap();
    assert_eq!(mock.scorecard().grade, Grade::Unjudged);
    polite(&mock);
    let card = mock.scorecard();
    assert_eq!((wrong(&card), card.grade), (vec![], Grade::Good));
    assert!(card.findings.iter().all(|finding| finding.advice.is_none()));
    assert_eq!((card.figures.rows_served, card.queries[0].pages_served, card.queries[0].state), (1000, 10, "read"));
    assert_eq!((card.figures.queries_accepted, card.figures.sent_429, card.figures.calls_by_kind.page), (1, 0, 11));
}

#[test]
fn a_query_is_read_when_its_end_was_shown_and_every_page_before_it_was_served() {
    let mock = busy().start().unwrap();
    let mut client = Client::connect(&mock);
    let query = client.submitted();
    let mut state_after = |page| {
        assert_eq!(client.page(&query, page).status(), 200);
        mock.scorecard().queries[0].state
    };
    assert_eq!([1, 3, 5, 7, 11].map(&mut state_after), ["reading"; 5]);
    assert_eq!([2, 4, 6, 8, 9, 10].map(state_after), ["reading", "reading", "reading", "reading", "reading", "read"]);
    // What was read before the books were begun anew is not asked for again.
    mock.with(|tenant| tenant.forget_ledger(mock.now()));
    assert_eq!(client.page(&query, 11).status(), 200);
    assert_eq!(mock.scorecard().queries[0].state, "read");
}

#[test]
fn what_was_left_is_told_after_a_minute_and_at_once_when_all_is_over() {
    // It stops in the middle of one query, skips pages of another, never polls a third, and reads the last one whole.
    // All of it at the very beginning, or the clock of the tenant that is shown might not have come that far yet.
    let mut tenant = busy().default_report(MockReport::with_rows(300)).build();
    let body = SUBMISSION.to_owned();
    let form = "grant_type=client_credentials&client_id=i";
    let request = MockRequest::post("/oauth2/token", "application/x-www-form-urlencoded", form);
    let answer: Value = serde_json::from_slice(&tenant.answer(&request, ms(0)).body_bytes()).unwrap();
    let bearer = format!("Bearer {}", answer["access_token"].as_str().unwrap());
    for (nth, pages) in [&[1, 2][..], &[1, 3, 4], &[], &[1, 2, 3, 4]].into_iter().enumerate() {
        let body = body.replace("detail", &format!("t{nth}"));
        let request = MockRequest::post("/api/v2/reporting/queries", "application/json", body);
        assert_eq!(tenant.answer(&request.with_header("Authorization", &bearer), ms(0)).status, 202);
        let query = tenant.queries()[nth].id.clone();
        for &page in pages {
            let request =
                MockRequest { method: "GET".into(), target: page_path(&query, page), ..MockRequest::default() };
            assert_eq!(tenant.answer(&request.with_header("Authorization", &bearer), ms(0)).status, 200);
        }
    }
    let mock = busy().start().unwrap();
    mock.with(|shown| *shown = tenant);
    assert_eq!(wrong(&mock.scorecard()), Vec::<&str>::new());
    let card = mock.final_scorecard();
    assert_eq!(wrong(&card), ["reads_to_the_end", "reads_every_page"]);
    let found = |name: &str| card.findings.iter().find(|finding| finding.name == name).unwrap().found.clone();
    assert_eq!([found("reads_to_the_end"), found("reads_every_page")], ["2 queries", "1 query"]);
    assert_eq!(
        card.queries.iter().map(|query| query.state).collect::<Vec<_>>(),
        ["reading", "reading", "ready", "read"]
    );
}

#[test]
fn what_the_endpoint_tells_is_the_verdict_and_more() {
    let mock = busy().start().unwrap();
    polite(&mock);
    let told = card(&mock);
    for (name, value) in serde_json::to_value(mock.verdict()).unwrap().as_object().unwrap() {
        assert_eq!(&told[name], value, "{name}");
    }
    assert_eq!(told["rows_served"], 1000);
    assert_eq!(told["answers"]["200"], 13);
    assert_eq!(told["calls_over_time"]["calls"].as_array().unwrap().iter().filter_map(Value::as_u64).sum::<u64>(), 14);
}

/// What a client does, and the name of the finding for it.
type Slip = (&'static str, fn(&mut Client));

#[test]
fn each_slip_is_found_by_its_name() {
    let slips: [Slip; 6] = [
        ("submits_once", |client| {
            (0..3).for_each(|_| assert_eq!(client.submit().status(), 202));
        }),
        ("fetches_pages_once", |client| {
            let query = client.submitted();
            (0..6).for_each(|_| assert_eq!(client.page(&query, 1).status(), 200));
        }),
        ("polls_patiently", |client| {
            let query = client.submitted();
            (0..9).for_each(|_| assert_eq!(client.status(&query).status(), 200));
        }),
        ("uses_its_token", |client| (0..5).for_each(|_| assert_eq!(client.ask_token().status(), 200))),
        ("speaks_the_protocol", |client| {
            let query = client.submitted();
            let other_size = page_path(&query, 1).replace("pageSize=100", "pageSize=7");
            assert_eq!(client.get(&other_size, "").status(), 400);
        }),
        ("spends_calls_on_pages", |client| {
            let query = client.submitted();
            for page in 1..=60 {
                client.page(&query, page % 10 + 1);
                client.status(&query);
            }
        }),
    ];
    for (name, slip) in slips {
        let mock = busy().start().unwrap();
        slip(&mut Client::connect(&mock));
        let card = mock.scorecard();
        assert!(wrong(&card).contains(&name), "{name}: {:?}", wrong(&card));
        let finding = card.findings.iter().find(|finding| finding.name == name).unwrap();
        assert!(finding.advice.is_some() && finding.grade > Grade::Good);
        assert!(ask(&mock, "/__mock/scorecard.html", "").text().contains(finding.what));
    }
}

#[test]
fn haste_and_open_queries_and_calls_while_told_to_wait_are_found() {
    let mock = MockTenant::builder().requests_per_second(5.0).start().unwrap();
    let mut client = Client::connect(&mock);
    assert!((0..30).map(|_| client.submit().status()).any(|status| status == 429));
    assert_eq!(client.calls_on(&mock).status(), 429);
    let card = mock.scorecard();
    assert!(wrong(&card).contains(&"waits_when_told") && wrong(&card).contains(&"keeps_to_the_rate"));
    assert_eq!(card.grade, Grade::Poor);
    let mock = busy().max_open_queries(1).start().unwrap();
    let mut client = Client::connect(&mock);
    assert_eq!([client.submit().status(), client.submit().status()], [202, 429]);
    assert_eq!(wrong(&mock.scorecard()), ["minds_open_queries"]);
}

#[test]
fn only_the_same_submission_is_a_repetition() {
    let submission = |page_size: u64, filters: &str| {
        format!(
            "{{\"templateId\":\"t\",\"format\":\"csv\",\"pageSize\":{page_size},\"query\":{{\"startDate\":\
             \"2024-01-01T00:00:00.000Z\",\"endDate\":\"2024-01-31T23:59:59.999Z\"{filters}}}}}"
        )
    };
    let filter =
        |value: &str| format!(",\"filters\":[{{\"field\":\"skill\",\"operator\":\"eq\",\"value\":\"{value}\"}}]");
    let reordered = ",\"filters\":[{\"value\":\"a\",\"operator\":\"eq\",\"field\":\"skill\"}]";
    let submissions = [
        (submission(100, ""), 0),
        (submission(100, &filter("a")), 0),
        (submission(100, &filter("b")), 0),
        (submission(50, &filter("b")), 0),
        (submission(100, reordered), 1),
        (submission(100, ",\"filters\":[]"), 2),
    ];
    let mock = busy().start().unwrap();
    let mut client = Client::connect(&mock);
    for (submission, n_repeated) in submissions {
        let answer = client.send(&format!(
            "POST /api/v2/reporting/queries HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: \
             application/json\r\nContent-Length: {}\r\n\r\n{submission}",
            client.token,
            submission.len()
        ));
        assert_eq!(answer.status(), 202, "{}", answer.text());
        assert_eq!(mock.verdict().duplicate_submissions, n_repeated, "{submission}");
    }
}

#[test]
fn what_a_client_could_not_help_is_no_slip() {
    // The query expires under way, and is submitted again.
    let mock = busy().start().unwrap();
    let mut client = Client::connect(&mock);
    client.submit();
    mock.with(|tenant| tenant.expire_query(0));
    client.submit();
    assert!(!wrong(&mock.scorecard()).contains(&"submits_once"));
    client.submit();
    assert!(wrong(&mock.scorecard()).contains(&"submits_once"));
}

#[test]
fn refusals_by_a_limit_that_fell_are_no_slip_and_those_after_it_are() {
    let fallen = |n_calls: u64| {
        let mut tenant = busy().requests_per_second(5.0).requests_per_second_from(SOON, 1.0).build();
        let mut ask =
            |ms| tenant.answer(&MockRequest::get("/api/v2/reporting/queries/q", "none"), Duration::from_millis(ms));
        (0..5).for_each(|_| assert_eq!(ask(0).status, 401));
        assert_eq!(ask(500).status, 429);
        // It waits as it is told, and then goes on as before.
        (0..n_calls).for_each(|n| drop(ask(4000 + n * 1100 / 2)));
        tenant
    };
    let hasty = |n_calls| {
        let mock = busy().start().unwrap();
        mock.with(|tenant| *tenant = fallen(n_calls));
        let finding = |card: Scorecard| card.findings.into_iter().find(|finding| finding.name == "keeps_to_the_rate");
        let finding = finding(mock.scorecard()).unwrap();
        assert!(finding.allowed.starts_with("1 to 5 in any second, 1 refusal"), "{}", finding.allowed);
        finding.ok
    };
    assert_eq!([hasty(1), hasty(4)], [true, false]);
}

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// How a tenant with a quota of five calls in a second judges a client that asks twelve times at once, three times over.
fn over_the_quota(builder: MockTenantBuilder, until: Duration) -> Finding {
    let plan = "{requests_per_second: 100, quotas: [{calls: 5, per: 1s}], retry_after: missing}";
    let mut tenant = builder.plan(plan).unwrap().build();
    for n in 0..36 {
        let at = Duration::from_millis(n / 12 * 1500 + n % 12);
        tenant.answer(&MockRequest::get("/api/v2/reporting/queries/q", "none"), at);
    }
    let mock = busy().start().unwrap();
    mock.with(|shown| *shown = tenant);
    while mock.now() < until {
        std::thread::park_timeout(SOON);
    }
    let card = mock.scorecard();
    card.findings.into_iter().find(|finding| finding.name == "keeps_to_the_rate").unwrap()
}

#[test]
fn a_grade_does_not_change_while_nothing_is_called() {
    let [early, late] = [0, 300].map(|ms| over_the_quota(MockTenant::builder(), Duration::from_millis(ms)));
    assert_eq!(early, late);
    assert_eq!((early.grade, early.found.as_str()), (Grade::Poor, "21 refused of 36 calls, 12 in the busiest second"));
}

#[test]
fn a_refusal_that_nobody_could_foresee_is_allowed_for_once_and_not_where_headers_foretell_it() {
    let allowed = |told| over_the_quota(MockTenant::builder().rate_limit_style(told), Duration::ZERO).allowed;
    let untold = "100 in any second, 3 refusals by limits that nobody told of";
    assert_eq!(allowed(RateLimitHeaders::None), untold);
    for told in [RateLimitHeaders::Structured, RateLimitHeaders::Prefixed, RateLimitHeaders::Separate] {
        assert_eq!(allowed(told), "100 in any second");
    }
}

#[test]
fn a_seconds_calls_are_held_against_what_was_allowed_in_that_second() {
    let most = |calls: &[(u64, u64)], keeps: usize| {
        let change = |builder: MockTenantBuilder, (at, rate)| builder.requests_per_second_from(ms(at), rate);
        let changes = [(3000, 5.0), (6000, 100.0)];
        let builder = changes.into_iter().fold(busy().requests_per_second(20.0), change);
        let mut tenant = builder.ledger_keeps(keeps).build();
        for &(at, n) in calls {
            (0..n).for_each(|_| drop(tenant.answer(&MockRequest::get("/elsewhere", "none"), ms(at))));
        }
        let mock = busy().start().unwrap();
        mock.with(|shown| *shown = tenant);
        mock.scorecard().figures.most_against_allowed
    };
    assert_eq!(most(&[], 1000), None);
    assert_eq!(most(&[(0, 20), (1600, 10), (2500, 20)], 1000), Some(1.5));
    assert_eq!(most(&[(0, 20), (7000, 100)], 1000), Some(1.0));
    // Once the rate has fallen, what was right before is three times too much; later it is little.
    assert_eq!(most(&[(4500, 15)], 1000), Some(3.0));
    assert_eq!(most(&[(4500, 15), (8000, 150)], 100), Some(3.0));
    assert_eq!(most(&[(6000, 50)], 1000), Some(0.5));
}

#[test]
fn who_calls_on_while_told_to_wait_does_not_keep_to_the_rate_either() {
    let found = |n_calls: u64| {
        let mut tenant = MockTenant::builder().requests_per_second(5.0).build();
        let mut ask = |at| tenant.answer(&MockRequest::get("/elsewhere", "none"), ms(at)).status;
        (0..500).for_each(|n| assert_eq!(ask(n * 200), 404));
        assert_eq!(ask(499 * 200), 429);
        (0..n_calls).for_each(|n| assert_eq!(ask(499 * 200 + 301 + n), 429));
        let mock = busy().start().unwrap();
        mock.with(|shown| *shown = tenant);
        let card = mock.scorecard();
        card.findings.into_iter().find(|finding| finding.name == "keeps_to_the_rate").unwrap()
    };
    let (once, on) = (found(0), found(80));
    assert_eq!((once.grade, once.found.as_str()), (Grade::Fair, "1 refused of 501 calls, 6 in the busiest second"));
    let said = "1 refused for haste and 80 while a wait was running, of 581 calls, 85 in the busiest second";
    assert_eq!((on.grade, on.found.as_str()), (Grade::Poor, said));
}

#[test]
fn the_right_file_can_be_had_for_what_was_submitted() {
    let mock = busy().default_report(MockReport::with_rows(20_000)).start().unwrap();
    let of = |template: &str| ask(&mock, &format!("/__mock/expected?template={template}"), "");
    assert_eq!(of("detail").status(), 404);
    Client::connect(&mock).submit();
    let file = of("detail");
    assert_eq!((file.status(), file.whole), (200, true));
    assert_eq!(file.body, mock.expected_csv("detail"));
    let unknown = of("other");
    assert!(unknown.status() == 404 && unknown.text().contains("detail"), "{}", unknown.text());
    assert_eq!(ask(&mock, "/__mock/expected", "").status(), 400);
}

#[test]
fn books_begin_anew_when_they_are_told_to_and_nothing_else_changes() {
    let mock = busy().start().unwrap();
    let mut client = polite(&mock);
    let query = mock.with(|tenant| tenant.queries()[0].id.clone());
    let mut desk = Client::to(mock.address());
    let answer = desk.send("POST /__mock/reset HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert_eq!((answer.status(), answer.body.len()), (204, 0));
    assert!(lines(&mock).is_empty());
    assert_eq!(card(&mock)["grade"], "unjudged");
    assert_eq!(client.page(&query, 3).status(), 200);
    let told = card(&mock);
    assert_eq!((told["calls"].as_u64(), told["queries"][0]["pages_served"].as_u64()), (Some(1), Some(1)));
    assert!(told["since_ms"].as_f64().unwrap() > 0.0);
    assert_eq!(lines(&mock)[0]["nth"], 14);
}

#[test]
fn the_first_page_names_every_tenant_of_the_host() {
    let tenants = ["acme", "other"].map(|name| (name.to_owned(), busy()));
    let host = MockHost::builder().tenants(tenants.clone()).start().unwrap();
    let named = MockHost::builder().tenants(tenants).by_host_name().start().unwrap();
    for host in [&host, &named] {
        let page = ask(host.tenant("acme").unwrap(), "/__mock/", "").text();
        for (name, mock) in host.tenants() {
            assert!(page.contains(name) && page.contains(&format!("{}/__mock/scorecard.html", mock.base_url())));
        }
    }
    // Everything else is one tenant's.
    let mock = named.tenant("acme").unwrap();
    assert_eq!(ask(mock, "/__mock/scorecard", "").status(), 421);
}

#[test]
fn what_the_desk_does_not_know_is_refused_with_what_there_is() {
    let mock = busy().start().unwrap();
    let unknown = ask(&mock, "/__mock/score", "");
    assert!(unknown.status() == 404 && unknown.text().contains("/__mock/scorecard"), "{}", unknown.text());
    let mut client = Client::to(mock.address());
    let length = SUBMISSION.len();
    let wrong = client
        .send(&format!("POST /__mock/ledger HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{SUBMISSION}"));
    assert_eq!((wrong.status(), wrong.header("Allow")), (405, Some("GET")));
    assert!(mock.ledger().is_empty());
    assert_eq!(client.get("/__mocked", "").status(), 404);
    assert_eq!(mock.ledger().len(), 1);
}

#[test]
fn text_of_a_client_is_shown_as_text() {
    let mock = busy().start().unwrap();
    let mut client = Client::connect(&mock);
    let hostile = SUBMISSION.replace("detail", "<script>alert(1)</script>\\u001b[2J");
    client.send(&format!(
        "POST /api/v2/reporting/queries HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: \
         application/json\r\nContent-Length: {}\r\n\r\n{hostile}",
        client.token,
        hostile.len()
    ));
    let page = ask(&mock, "/__mock/scorecard.html", "").text();
    assert!(!page.contains("<script>") && page.contains("&#60;script&#62;"));
    assert!(!page.contains('\u{1b}') && page.contains("␛[2J"));
}
