//! Plans as text: what they set, and what is said of those that can't be used.

use std::path::Path;
use std::time::Duration;

use super::super::limit::Rates;
use super::super::{
    Fate, Licence, MockRequest, MockTenant, MockTenantBuilder, OutageKind, PageSizes, Permission, Ready, RetryAfter,
    Script, Tenant, WireFault,
};
use super::*;

const MS: fn(u64) -> Duration = Duration::from_millis;

fn tenant(plan: &str) -> Tenant {
    MockTenant::builder().plan(plan).unwrap_or_else(|error| panic!("{error}\n{plan}")).build()
}

fn form() -> MockRequest {
    let form = "grant_type=client_credentials&client_id=i&client_secret=s&scope=a";
    MockRequest::post("/oauth2/token", "application/x-www-form-urlencoded", form)
}

fn error(plan: &str) -> String {
    MockPlan::parse(plan, Path::new("")).unwrap_err().to_string()
}

fn retry_after(script: &Script) -> Vec<&str> {
    script.headers.iter().filter(|(name, _)| name == "Retry-After").map(|(_, value)| value.as_str()).collect()
}

#[test]
fn a_plan_sets_reports_limits_and_faults() {
    let mut tenant = tenant(
        "
        seed: 7
        requests_per_second: 2
        latency: 30ms
        reports:
          detail: {rows: 12, header: first, end: not_found, total_count: {stale: -2}, page_sizes: {at_most: 5}}
        fates: [{query: 1, then: {fails: no licence}}, {template: late, then: never_ready}]
        outages: [{from: 5s, until: 6s, then: unavailable}]
        faults:
          - {on: {kind: token, first: 1}, then: {wait: {status: 503, for: 2s}}}
          - {on: {page: 2, each: true, first: 1}, then: reset}
        ",
    );
    let script = tenant.answer(&form(), Duration::ZERO);
    assert_eq!((script.status, script.header("Retry-After")), (503, Some("2")));
    assert_eq!(script.delay, MS(30));
    assert_eq!(tenant.answer(&form(), MS(5500)).status, 503);
    assert_eq!(tenant.answer(&form(), MS(6500)).status, 200);
    assert_eq!(tenant.settings.report("detail").unwrap().page_sizes, PageSizes::AtMost(5));
    assert_eq!(tenant.settings.fates[&1], Fate::Fails("no licence".into()));
    assert_eq!(tenant.settings.fates_of["late"], Fate::NeverReady);
}

#[test]
fn a_plan_sets_rates_that_change_quotas_and_how_they_are_told() {
    let mut tenant = tenant(
        "
        requests_per_second: 20
        rate_changes: [{at: 1s, requests_per_second: 5}]
        quotas: [{calls: 600, per: 1m}]
        rate_limit_headers: structured
        ",
    );
    let mut told = |at| {
        let script = tenant.answer(&MockRequest::get("/", "none"), MS(at));
        script.header("RateLimit").unwrap().to_owned()
    };
    assert_eq!(told(0), "\"default\";r=19;t=1, \"quota-1\";r=599;t=60");
    assert_eq!(told(1000), "\"default\";r=4;t=1, \"quota-1\";r=598;t=59");
}

#[test]
fn a_plan_sets_the_token_endpoint_and_the_wire() {
    let mut tenant = tenant(
        "
        token:
          path: /oauth2/token
          client: {id: i, secret: s}
          life: 5s
          expires_in: '3600'
          refresh: rotating_or_revoked
          delay: 40ms
          revoked_at: [3s]
          scopes: [a]
          outages:
            - {until: 10ms, then: {wait: {for: 20ms}}}
            - {from: 10ms, until: 30ms, then: {status: 500}}
            - {from: 30ms, until: 40ms, then: reset}
        faults:
          - {on: {kind: status}, then: {wire: {drip: {from: 3, bytes: 1, every: 5ms}}}}
          - {on: {kind: submit}, then: {wire: {stop_reading: 70ms}}}
        ",
    );
    let statuses = [30, 10].map(|at| tenant.answer(&form(), MS(at)).status_sent());
    assert_eq!(statuses, [0, 500]);
    let granted = tenant.answer(&form(), MS(100));
    assert_eq!(granted.delay, MS(40));
    let answer: serde_json::Value = serde_json::from_slice(&granted.body_bytes()).unwrap();
    assert_eq!(answer["expires_in"], "3600");
    assert!(answer["refresh_token"].is_string());
    assert_eq!(tenant.ledger().token_lives()[0].until, MS(3000));
    let told = tenant.answer(&form(), MS(0));
    assert_eq!((told.status, told.header("Retry-After")), (429, Some("1")));
    let status = MockRequest::get("/api/v2/reporting/queries/q", "none");
    let drip = WireFault::Drip { from: 3, bytes: 1, every: MS(5) };
    assert_eq!(tenant.answer(&status, MS(2000)).wire, Some(drip));
    let submission = MockRequest::post("/api/v2/reporting/queries", "application/json", "{}");
    assert_eq!(tenant.stops_reading(&submission, MS(2000)), Some(MS(70)));
}

#[test]
fn a_plan_that_says_null_of_a_life_says_nothing() {
    let said = |plan| format!("{:?}", tenant(plan).settings.token.expires_in);
    assert_eq!(said("token: {expires_in: null}"), "Missing");
    assert_eq!(said("token: {expires_in: 7}"), "Literal(\"7\")");
    assert_eq!(said("token: {expires_in: 1000000000000}"), "Literal(\"1000000000000\")");
    assert_eq!(said("token: {}"), "Right");
}

#[test]
fn a_plan_sets_permissions_the_licence_and_everything_else_that_a_builder_can() {
    let tenant = tenant(
        "
        id_salt: 9
        requests_per_second: unlimited
        retry_after: {text: [soon, '7']}
        block: 15m
        max_open_queries: 3
        licence: {days: 90, rows: 10M}
        lacks: [query_read, results_read]
        json_kind: {convert: 20s}
        latency: 20ms..200ms
        ready_after: {at_least: 5s, per_million_rows: 20s}
        query_life: 4h
        remembers_queries: true
        token: {text: \"a\\r\\nb\", error: invalid_client}
        clock: {at: '2024-02-01T00:00:00Z', skew: -10m}
        strict: true
        only_named_reports: true
        outages: [{from: 1h, then: silent}]
        fates: [{then: {status_words: [queued, complete]}}]
        ",
    );
    let settings = &tenant.settings;
    assert_eq!(settings.salt, 9);
    assert_eq!(settings.rates, Rates::constant(f64::INFINITY));
    assert_eq!(settings.retry_after, RetryAfter::Lines(vec!["soon".into(), "7".into()]));
    assert_eq!((settings.block, settings.max_open_queries), (Duration::from_secs(900), 3));
    assert_eq!(settings.licence, Licence { days: Some(90), rows: Some(10_000_000) });
    assert_eq!(settings.lacks, [Permission::QueryRead, Permission::ResultsRead]);
    assert_eq!(settings.json_kind, Some(MS(20_000)));
    assert_eq!((settings.latency, settings.latency_spread), (MS(20), MS(180)));
    assert_eq!(settings.ready, Ready::ByRows { at_least: MS(5000), per_million: MS(20_000) });
    assert_eq!(settings.query_life, Duration::from_secs(4 * 3600));
    assert!(settings.remembers_queries && settings.strict && settings.default_report.is_none());
    assert_eq!(settings.token.text.as_deref(), Some("a\r\nb"));
    assert_eq!(tenant.wall(MS(0)).to_string(), "2024-01-31T23:50:00.000Z");
    assert_eq!((settings.outages[0].kind, settings.outages[0].to), (OutageKind::Silent, Duration::MAX));
    assert_eq!(settings.every_fate, Some(Fate::Words(vec!["queued".into(), "complete".into()])));
}

#[test]
fn waits_are_told_in_the_tenants_form_or_in_the_rules_own() {
    let mut tenant = tenant(
        "
        retry_after: asctime
        clock: {at: '1994-11-06T08:49:37Z'}
        faults:
          - {on: {kind: other, first: 1}, then: {wait: {for: 20s}}}
          - {on: {kind: other, first: 2}, then: {wait: {for: 20s, told_as: rfc850}}}
          - {on: {kind: other, first: 3}, then: {wait: {for: 20s, told_as: {text: ['3', '1.5']}}}}
          - {on: {kind: other}, then: {answer: {status: 429, headers: {Retry-After: ['-1', '1.5']}, body: no}}}
        ",
    );
    let mut told = |at: u64| {
        let script = tenant.answer(&MockRequest::get("/", "none"), Duration::from_secs(at));
        retry_after(&script).join(" and ")
    };
    assert_eq!(told(0), "Sun Nov  6 08:49:57 1994");
    assert_eq!(told(100), "Sunday, 06-Nov-94 08:51:37 GMT");
    assert_eq!(told(200), "3 and 1.5");
    assert_eq!(told(300), "-1 and 1.5");
}

#[test]
fn what_stands_beside_several_tenants_holds_for_each_and_each_has_a_seed_of_its_own() {
    let plan = "
        about: three of a kind and another
        seed: 10
        requests_per_second: 3
        tenants:
          calm: {count: 3}
          loud: {requests_per_second: 8}
          plain:
    ";
    let plan = MockPlan::parse(plan, Path::new("")).unwrap();
    assert_eq!(plan.about, "three of a kind and another");
    let of = |builder: &MockTenantBuilder| {
        let settings = builder.clone().build().settings;
        (settings.seed, settings.rates.at(Duration::ZERO))
    };
    let tenants: Vec<_> = plan.tenants.iter().map(|(name, builder)| (name.as_str(), of(builder))).collect();
    let due = [
        ("calm-1", (10, 3.0)),
        ("calm-2", (11, 3.0)),
        ("calm-3", (12, 3.0)),
        ("loud", (13, 8.0)),
        ("plain", (14, 3.0)),
    ];
    assert_eq!(tenants, due);
}

#[test]
fn a_plan_without_a_word_is_one_usual_tenant() {
    for text in ["", "# nothing\n", "{}"] {
        let plan = MockPlan::parse(text, Path::new("")).unwrap();
        assert_eq!(plan.tenants.len(), 1, "{text:?}");
        assert_eq!(plan.tenants[0].0, "mock");
    }
}

#[test]
fn an_error_names_line_key_and_what_is_known() {
    let cases: &[(&str, &[&str])] = &[
        ("seed: 1\nrows: 5\n", &["line 2", "`rows`", "requests_per_second"]),
        ("faults:\n  - then: explode\n", &["line 2", "`explode`", "no_answer"]),
        ("faults:\n  - on: {pages: 3}\n    then: reset\n", &["line 2", "`pages`", "template"]),
        ("seed: 1\nlatency: 30\n", &["line 2", "(latency: 30)", "range", "20ms..200ms"]),
        ("seed: 1\nblock: 15 minutes\n", &["line 2", "15 minutes", "15m"]),
        ("latency: 2s..1s\n", &["line 1", "2s..1s"]),
        ("seed: 1\nready_after: 5\n", &["line 2", "`5`", "30s..2m"]),
        ("seed: 1\nready_after: soon\n", &["line 2", "`soon`", "30s..2m"]),
        ("seed: 1\nready_after:\n  at_least: 5s\n", &["line 3", "per_million_rows"]),
        ("fates:\n  - query: 0\n    then:\n      explodes: 1\n", &["line 4", "`explodes`", "status_words"]),
        ("seed: -1\n", &["line 1", "(seed: -1)", "whole number"]),
        ("seed: 1\nstrict: 5\n", &["line 2"]),
        ("seed: 1\nseed2: 7\n", &["line 2", "unknown key `seed2`"]),
        ("seed: 1\nrequests_per_second: 0\n", &["line 2", "more than 0"]),
        ("requests_per_second: -3\n", &["line 1", "more than 0"]),
        ("seed: 1\nseed: 2\n", &["line 2", "`seed` is written twice"]),
        ("faults:\n  - on: {chance: 1.5}\n    then: reset\n", &["line 2", "1.5", "up to 1"]),
        ("faults:\n  - then:\n      status: 42\n", &["line 3", "42", "200 to 599"]),
        ("faults:\n  - on: {page: 0}\n    then: reset\n", &["line 2", "counted from 1"]),
        ("clock: {at: yesterday}\n", &["line 1", "yesterday", "2024-02-01T00:00:00Z"]),
        ("outages:\n  - {from: 5s, until: 4s, then: reset}\n", &["line 2", "until"]),
        ("faults:\n  - on: {from: 5s, until: 5s}\n    then: reset\n", &["line 2", "until"]),
        ("count: 3\n", &["line 1", "`count`", "under a tenant's name"]),
        ("tenants:\n  a: {count: 0}\n", &["line 2", "`count`", "10000"]),
        ("tenants:\n  a: {about: me}\n", &["line 2", "`about`", "top"]),
        ("tenants:\n  a b: {}\n", &["line 2", "`a b`"]),
        ("tenants:\n  a-1: {}\n  A: {count: 1}\n", &["line 3", "`A-1`", "already"]),
        ("tenants: {}\n", &["line 1", "none"]),
        ("- a\n", &["line 1"]),
        ("seed: [1\n", &["line"]),
    ];
    for (plan, due) in cases {
        let said = error(plan);
        for part in *due {
            assert!(said.contains(part), "{plan}: `{part}` is not in: {said}");
        }
        assert!(!said.contains('\n'), "{said}");
    }
    let several = MockTenant::builder().plan("tenants: {a: {}}").unwrap_err();
    assert!(several.to_string().contains("one tenant"), "{several}");
}

/// Each with the line that is at fault and parts of what is said.
fn is_refused(cases: &[(&str, &str, &[&str])]) {
    for (plan, line, due) in cases {
        let said = match MockPlan::parse(plan, Path::new("")) {
            Ok(_) => panic!("accepted:\n{plan}"),
            Err(error) => error.to_string(),
        };
        for part in due.iter().chain([line]) {
            assert!(said.contains(part), "{plan}: `{part}` is not in: {said}");
        }
        assert!(!said.contains(['\n', '\r']), "{said}");
    }
}

#[test]
fn a_rule_that_meets_no_call_or_does_nothing_to_it_is_refused() {
    is_refused(&[
        ("faults:\n  - on: {kind: status, page: 2}\n    then: reset", "line 2", &["`kind: status`", "`page`"]),
        ("faults:\n  - on: {page: 2, kind: token}\n    then: reset", "line 2", &["`kind: token`", "leave one"]),
        ("faults:\n  - on: {kind: submit, template: t}\n    then: reset", "line 2", &["`template`", "`kind: page`"]),
        ("faults:\n  - on: {kind: token, query: 0}\n    then: reset", "line 2", &["`query`", "`kind: page`"]),
        ("faults:\n  - on: {kind: other, query: 0}\n    then: reset", "line 2", &["`query`", "leave"]),
        ("faults:\n  - on: {kind: page, first: 0}\n    then: reset", "line 2", &["`0`", "1 or more"]),
        ("faults:\n  - on: {kind: status}\n    then: header_only", "line 3", &["header_only", "`kind: page`"]),
        ("faults:\n  - on: {kind: submit}\n    then: {same_page_as: 1}", "line 3", &["same_page_as", "`kind: page`"]),
        ("faults:\n  - on: {kind: token}\n    then: other_rows", "line 3", &["other_rows", "`kind: page`"]),
        ("faults:\n  - on: {kind: other}\n    then: {other_header: a}", "line 3", &["other_header", "`kind: page`"]),
    ]);
    for good in [
        "faults: [{on: {kind: page, page: 2, template: t, query: 0}, then: header_only}]",
        "faults: [{on: {kind: status, template: t}, then: reset}, {then: other_rows}]",
    ] {
        tenant(good);
    }
}

#[test]
fn a_fate_that_would_be_passed_over_is_refused() {
    let never = "then: never_ready";
    is_refused(&[
        (&format!("fates:\n  - {{query: 0, template: t, {never}}}"), "line 2", &["`query`", "`template`", "leave one"]),
        (&format!("fates:\n  - {{query: 1, {never}}}\n  - {{query: 1, {never}}}"), "line 3", &["query 1", "already"]),
        (
            &format!("fates:\n  - {{template: t, {never}}}\n  - {{template: t, {never}}}"),
            "line 3",
            &["\"t\"", "already"],
        ),
        (&format!("fates:\n  - {{{never}}}\n  - {{{never}}}"), "line 3", &["all queries", "already"]),
        ("fates:\n  - then:\n      status_words: []", "line 3", &["status_words", "[queued, complete]"]),
    ]);
    // A tenant's own fate goes over the one that holds for all of them.
    let over = "{fates: [{query: 0, then: never_ready}], tenants: {a: {fates: [{query: 0, then: {flaps: 1}}]}}}";
    let plan = MockPlan::parse(over, Path::new("")).unwrap();
    assert_eq!(plan.tenants[0].1.clone().build().settings.fates[&0], Fate::Flaps(1));
}

#[test]
fn a_token_path_is_one_that_can_be_called_and_that_nothing_else_stands_at() {
    for path in ["oauth", "''", "/a?b=c", "/a#b", "/a b", "\"/a\\r\\nb\"", "/ö"] {
        is_refused(&[(&format!("token:\n  path: {path}"), "line 2", &["path", "begins with `/`", "/oauth2/token"])]);
    }
    for path in ["/__mock", "/__mock/token", "/api/v2/reporting/queries", "/api/v2/reporting/queries/q/results"] {
        is_refused(&[(&format!("token:\n  path: {path}"), "line 2", &[path, "taken", "another one"])]);
    }
    assert_eq!(tenant("token: {path: /auth/v1/token}").settings.token_path, "/auth/v1/token");
}

#[test]
fn limits_and_reports_of_nothing_are_refused() {
    let positive: &[&str] = &["`0`", "1 or more"];
    is_refused(&[
        ("quotas:\n  - {calls: 0, per: 1m}", "line 2", positive),
        ("quotas:\n  - {calls: 5, per: 0s}", "line 2", &["`0s`", "more than nothing", "15m"]),
        ("seed: 1\nmax_open_queries: 0", "line 2", positive),
        ("default_report:\n  page_sizes: {at_most: 0}", "line 2", positive),
        ("default_report:\n  link: {ends_early: 0}", "line 2", &["counted from 1"]),
        ("default_report:\n  rows: 100\n  huge_field: {row: 500, size: 1MiB}", "line 3", &["row 500", "100 rows"]),
        ("default_report:\n  rows: 100\n  huge_field: {row: 0, size: 1MiB}", "line 3", positive),
        ("default_report:\n  rows: 5\n  cut_record_on: 6", "line 3", &["page 6", "5 rows"]),
        ("default_report:\n  open_quote_on: 900\n  rows: 5", "line 2", &["page 900", "5 rows"]),
        ("rate_changes:\n  - {at: 0s, requests_per_second: 5}", "line 2", &["`0s`", "more than nothing"]),
        (
            "rate_changes:\n  - {at: 1m, requests_per_second: 5}\n  - {at: 60s, requests_per_second: 6}",
            "line 3",
            &["at that moment already"],
        ),
        ("faults:\n  - {on: {chance: 0}, then: reset}", "line 2", &["`0`", "more than 0"]),
        ("faults:\n  - then: {drip_body: {bytes: 0, every: 1s}}", "line 2", &["`0`", "bytes such as 1"]),
        ("faults:\n  - then: {wire: {drip: {from: 0, bytes: 0, every: 1s}}}", "line 2", &["`0`", "bytes such as 1"]),
        ("faults:\n  - then: {informational: 4294967295}", "line 2", &["from 1 to 10000"]),
        ("seed: 1\nonly_named_reports: true", "line 2", &["only_named_reports", "`reports: {TEMPLATE:"]),
        ("tenants:\n  a:\n    only_named_reports: true", "line 3", &["only_named_reports", "leave it out"]),
        ("only_named_reports: true\ntenants: {a: {reports: {t: {}}}, b: {}}", "line 1", &["only_named_reports"]),
        ("default_report: {rows: 5}\nonly_named_reports: true\nreports: {t: {}}", "line 2", &["exclude each other"]),
    ]);
    for good in [
        "default_report: {rows: 100, huge_field: {row: 100, size: 1KiB}}",
        "{only_named_reports: true, reports: {t: {rows: 5}}}",
        "{only_named_reports: true, tenants: {a: {reports: {t: {}}}, b: {default_report: {rows: 1}}}}",
    ] {
        MockPlan::parse(good, Path::new("")).unwrap_or_else(|error| panic!("{error}\n{good}"));
    }
}

#[test]
fn a_tenant_may_take_back_what_is_said_of_all() {
    let text = "{only_named_reports: true, token: {refresh: rotating_or_revoked}, reports: {t: {}}, tenants: \
                {a: {only_named_reports: false, token: {refresh: none}}, b: {token: {refresh: kept}}, c: {}}}";
    let plan = MockPlan::parse(text, Path::new("")).unwrap();
    let found = plan.tenants.into_iter().map(|(_, tenant)| {
        let has_default = tenant.has_default_report();
        let token = tenant.build().settings.token;
        (has_default, token.refresh, token.rotate, token.reuse_revokes)
    });
    let due = [(true, false, true, false), (false, true, false, false), (false, true, true, true)];
    assert_eq!(found.collect::<Vec<_>>(), due);
}

#[test]
fn s1_a_line_that_may_hold_a_secret_is_not_shown() {
    for text in [
        "token:\n  client:\n    id: a\n    secret: [CANARY]",
        "token:\n  client:\n    id: a\n    secret:\n      - CANARY",
        "token: {client: {id: a, secret: CANARY}, path: X}",
        "token:\n  client: {id: a, secret: CANARY, other: 1}",
    ] {
        let error = MockPlan::parse(text, Path::new("")).unwrap_err();
        assert!(error.line().is_some() && !format!("{error} {error:?}").contains("CANARY"), "{error}");
    }
    let shown = MockPlan::parse("seed: 1\nlatency: soon", Path::new("")).unwrap_err().to_string();
    assert!(shown.contains("(latency: soon)"), "{shown}");
}

#[test]
fn what_would_split_the_head_of_an_answer_is_refused() {
    let due: &[&str] = &["\\r\\n", "without line breaks"];
    is_refused(&[
        ("faults:\n  - then: {header: {name: X, value: \"a\\r\\nb: c\"}}", "line 2", due),
        ("faults:\n  - then: {header: {name: \"X\\r\\nY\", value: a}}", "line 2", &["\\r\\n", "name", "X-Total-Count"]),
        ("faults:\n  - then: {header: {name: 'X Y', value: a}}", "line 2", &["X Y", "X-Total-Count"]),
        ("faults:\n  - then: {redirect: \"http://a/\\r\\nSet-Cookie: b\"}", "line 2", due),
        ("faults:\n  - then: {answer: {status: 403, headers: {X: \"a\\r\\nb\"}}}", "line 2", due),
        ("faults:\n  - then: {answer: {status: 403, headers: {\"X\\n\": a}}}", "line 2", &["\\n", "X-Total-Count"]),
        ("faults:\n  - then: {wait: {for: 1s, told_as: {text: [\"1\", \"2\\r\\n3\"]}}}", "line 2", due),
        ("retry_after:\n  text: \"5\\r\\nX: y\"", "line 2", due),
    ]);
}

#[test]
fn a_wait_is_told_with_an_answer_that_clients_are_held_to() {
    let due: &[&str] = &["429 or 503", "held to"];
    is_refused(&[
        ("faults:\n  - then: {wait: {for: 3s, status: 500}}", "line 2", due),
        ("faults:\n  - then: {wait: {for: 3s, status: 200}}", "line 2", due),
        ("token:\n  outages:\n    - then: {wait: {for: 3s, status: 500}}", "line 3", due),
    ]);
    for status in [429, 503] {
        let rule = format!("faults: [{{on: {{first: 1}}, then: {{wait: {{for: 3s, status: {status}}}}}}}]");
        let outage = format!("token: {{outages: [{{then: {{wait: {{for: 3s, status: {status}}}}}}}]}}");
        for plan in [rule, outage] {
            let mut tenant = tenant(&plan);
            let told = tenant.answer(&form(), Duration::ZERO);
            assert_eq!((told.status, told.header("Retry-After")), (status, Some("3")), "{plan}");
            tenant.answer(&form(), MS(2000));
            assert_eq!(tenant.ledger().calls_while_told_to_wait().len(), 1, "{plan}");
        }
    }
}

#[test]
fn durations_and_clocks_have_an_end() {
    let longest: &[&str] = &["at most 36500d"];
    is_refused(&[
        ("seed: 1\nlatency: 99999999999d", "line 2", longest),
        ("seed: 1\nlatency: 1s..36501d", "line 2", longest),
        ("seed: 1\nready_after: 99999999999999d", "line 2", longest),
        ("faults:\n  - then: {delay: 99999999999999d}", "line 2", longest),
        ("quotas:\n  - {calls: 1, per: 36501d}", "line 2", longest),
        ("clock: {skew: 999999d}", "line 1", longest),
        ("clock: {skew: -999999d}", "line 1", longest),
        ("clock: {at: '1899-12-31T23:59:59Z'}", "line 1", &["1900 to 2999", "2024-02-01T00:00:00Z"]),
        ("clock: {at: '3000-01-01T00:00:00Z'}", "line 1", &["1900 to 2999"]),
        ("clock: {at: '9999-12-31T23:59:59Z'}", "line 1", &["1900 to 2999"]),
    ]);
    let date = |plan: &str, at| {
        let script = tenant(plan).answer(&MockRequest::get("/", "none"), at);
        script.header("Date").unwrap().to_owned()
    };
    let longest = Duration::from_secs(36_500 * 86_400);
    let early = date("clock: {at: '1900-01-01T00:00:00Z', skew: -36500d}", Duration::ZERO);
    assert_eq!(early, "Sat, 25 Jan 1800 00:00:00 GMT");
    let late = date("{clock: {at: '2999-12-31T23:59:59Z', skew: 36500d}, latency: 36500d}", longest);
    assert_eq!(late, "Mon, 19 Oct 3299 23:59:59 GMT");
}

#[test]
fn a_file_that_can_t_be_read_or_used_is_named() {
    let missing = MockPlan::read(Path::new("/nowhere/night.yaml")).unwrap_err().to_string();
    assert!(missing.contains("/nowhere/night.yaml"), "{missing}");
}
