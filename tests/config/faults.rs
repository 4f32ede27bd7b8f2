//! Faults of the configuration, each test named by its row in the table of faults.

use cxtract::config::{Config, Sources};

use crate::support::{GOOD, load, problems, set};

#[test]
fn f1_an_impossible_value_is_refused_with_its_key_and_remedy() {
    let tenant = |key: &str| format!("tenants.acme.{key}");
    let report = |key: &str| format!("reports.calls.{key}");
    let cases = [
        ("engine.threads".to_owned(), "-1"),
        ("engine.threads".into(), "65"),
        ("engine.memory_limit".into(), "1KiB"),
        ("engine.memory_limit".into(), "64"),
        ("engine.scratch_dir".into(), "[a]"),
        ("state.url".into(), "postgres://db"),
        ("state.url".into(), "sqlite://"),
        ("output.dir".into(), "7"),
        ("output.encoding".into(), "latin-1"),
        ("output.newlines".into(), "true"),
        ("output.compression".into(), "zip"),
        (tenant("base_url"), "acme.example.com"),
        (tenant("base_url"), "http://acme.example.com"),
        (tenant("base_url"), "https://acme.example.com?x=1"),
        (tenant("auth.token_url"), "http://acme.example.com/token"),
        (tenant("auth.client_auth"), "digest"),
        (tenant("auth.scopes"), "reporting:read"),
        (tenant("auth.scopes"), "['a b']"),
        (tenant("auth.refresh_before"), "300"),
        (tenant("rate_limit.requests_per_second"), "0"),
        (tenant("rate_limit.requests_per_second"), "-5"),
        (tenant("rate_limit.burst"), "0"),
        (tenant("rate_limit.adaptive"), "yes"),
        (tenant("max_in_flight"), "0"),
        (tenant("max_queries"), "0"),
        (tenant("max_wait_for_tenant"), "-1m"),
        (tenant("timeouts.connect"), "0s"),
        (tenant("timeouts.response"), "soon"),
        (tenant("timeouts.idle"), "30"),
        (tenant("retry.max_attempts"), "0"),
        (tenant("retry.base_delay"), "0ms"),
        (tenant("circuit_breaker.failure_threshold"), "0"),
        (tenant("circuit_breaker.open_for"), "0s"),
        (tenant("circuit_breaker.half_open_requests"), "0"),
        (tenant("poll.multiplier"), "0.5"),
        (tenant("poll.jitter"), "1.5"),
        (tenant("poll.max_wait"), "4000d"),
        (tenant("tls.ca_file"), "no-such-file.pem"),
        (tenant("proxy"), "socks5://proxy:1080"),
        (tenant("proxy"), "http://proxy"),
        (tenant("limits.page_bytes"), "0B"),
        (report("tenant"), "acne"),
        (report("template_id"), "''"),
        (report("split"), "0d"),
        (report("split"), "30"),
        (report("filters"), "{field: a}"),
        (report("page_size"), "0"),
        (report("page_size"), "-100"),
        (report("csv.repair"), "always"),
        (report("csv.ragged"), "keep"),
        (report("csv.invalid_utf8"), "drop"),
        (report("csv.excel_safe"), "1"),
        (report("pages.repeated"), "warn"),
        (report("total_count.on_mismatch"), "ignore"),
        (report("output.path"), "{when}.csv"),
        (report("window.timezone"), "Berlin"),
        (report("window.from"), "2024-13-01"),
    ];
    for (key, value) in cases {
        let found = set(&key, value);
        let problem = found.iter().find(|p| p.key == key).unwrap_or_else(|| panic!("{key}={value}: {found:?}"));
        assert_eq!(problem.source, "--set", "{key}={value}");
        assert!(!problem.expected.is_empty() && !problem.remedy.is_empty(), "{key}={value}");
    }
}

#[test]
fn f1_an_inverted_window_is_refused() {
    let found = problems(&GOOD.replace("to: 2024-01-31", "to: 2023-12-30"));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].key, "reports.calls.window");
    assert!(found[0].found.contains("ends before it begins"));
}

#[test]
fn f1_a_report_or_tenant_is_never_left_out_in_silence() {
    for value in ["null", "[]", "''", "5", "{}"] {
        for key in
            ["tenants.acme", "tenants.acme.auth", "tenants.acme.base_url", "reports.calls.window", "reports.calls"]
        {
            let mut text = GOOD.to_owned();
            let last = key.rsplit('.').next().unwrap();
            let at = text.find(&format!("{last}:")).unwrap();
            let indent = at - text[..at].rfind('\n').unwrap() - 1;
            let end = text[at..]
                .lines()
                .skip(1)
                .find(|line| line.len() - line.trim_start().len() <= indent)
                .map_or(text.len(), |line| at + text[at..].find(line).unwrap());
            text.replace_range(at..end, &format!("{last}: {value}\n"));
            match load(&text) {
                Ok(_) => panic!("{key}: {value} was accepted"),
                Err(errors) => assert!(!errors.0.is_empty(), "{key}: {value}"),
            }
        }
    }
}

#[test]
fn a_filter_of_many_values_is_no_fault() {
    let list: Vec<_> = (0..30_000).map(|n| n.to_string()).collect();
    let filters = format!("template_id: d\n    filters: [{{field: a, operator: in, value: [{}]}}]", list.join(", "));
    let config = load(&GOOD.replace("template_id: detail", &filters)).unwrap();
    assert_eq!(config.reports[0].filters[0].value.as_array().unwrap().len(), 30_000);
}

#[test]
fn f1_an_unknown_key_is_told_with_the_nearest_known_one() {
    for (line, with, key, near) in [
        ("engine: {threads", "engine: {thread", "engine.thread", "threads"),
        ("max_in_flight: 8", "max_inflight: 8", "tenants.acme.max_inflight", "max_in_flight"),
        ("template_id: detail", "template_id: detail\n    page_zise: 5", "reports.calls.page_zise", "page_size"),
        ("\ntenants:", "\ntenant: {}\ntenants:", "tenant", "tenants"),
        ("{from: 2024-01-01,", "{start: 1, from: 2024-01-01,", "reports.calls.window.start", ""),
    ] {
        let found = problems(&GOOD.replace(line, with));
        assert_eq!(found[0].key, key, "{found:?}");
        assert!(found[0].remedy.contains(near), "{found:?}");
    }
}

#[test]
fn f1_every_fault_is_told_at_once_in_the_order_of_the_file() {
    let text = r#"
engine: {threads: many, memory: 1GiB}
tenants:
  acme:
    base_url: acme.example.com
    auth: {client_id: {env: ID}}
    rate_limit: {requests_per_second: 0}
  demo: {}
reports:
  calls: {tenant: nobody, template_id: 7, window: {from: 2024-02-01, to: 2024-01-01}, filters: [{field: a}]}
"#;
    let keys: Vec<_> = problems(text).into_iter().map(|p| p.key).collect();
    assert_eq!(
        keys,
        [
            "engine.threads",
            "engine.memory",
            "tenants.acme.base_url",
            "tenants.acme.auth.client_secret",
            "tenants.acme.rate_limit.requests_per_second",
            "tenants.demo",
            "reports.calls.tenant",
            "reports.calls.template_id",
            "reports.calls.window",
            "reports.calls.filters[0].operator",
            "reports.calls.filters[0].value",
        ]
    );
}

#[test]
fn f1_a_fault_shows_file_line_key_value_expectation_and_remedy() {
    let shown = load(&GOOD.replace("max_in_flight: 8", "max_in_flight: none")).unwrap_err().to_string();
    assert!(shown.starts_with("conf/config.yaml, line 7: tenants.acme.max_in_flight: found none\n"), "{shown}");
    assert!(shown.contains("expected: a whole number from 1") && shown.contains("remedy: "), "{shown}");
}

#[test]
fn f1_a_tenant_has_one_of_base_url_and_mock() {
    let both = problems(&GOOD.replace("max_in_flight: 8", "mock: {}"));
    assert!(both[0].found.contains("both base_url and mock"), "{both:?}");
    let neither = problems("tenants: {t: {max_queries: 1}}");
    assert!(neither[0].found.contains("neither"), "{neither:?}");
}

#[test]
fn f1_a_missing_file_and_broken_yaml_are_configuration_faults() {
    let missing = Config::load(&Sources::file("/no/such/config.yaml")).unwrap_err();
    assert!(missing.to_string().starts_with("/no/such/config.yaml: found "), "{missing}");
    for text in ["tenants: [", "a: b: c", "- 1\n- 2", "just text", "tenants: 5", "reports: [1]"] {
        assert!(!problems(text).is_empty(), "{text}");
    }
}

#[test]
fn f1_two_reports_with_one_file_are_refused_and_windows_tell_files_apart() {
    let two = |first: &str, second: &str| {
        format!(
            "{}\n  two: {{tenant: acme, template_id: t, window: {second}}}",
            GOOD.trim_end().replace("window: {from: 2024-01-01, to: 2024-01-31}", &format!("window: {first}"))
        )
    };
    let january = "{from: 2024-01-01, to: 2024-01-31}, output: {path: 'x-{from}.csv'}";
    let february = "{from: 2024-02-01, to: 2024-02-29}, output: {path: 'x-{from}.csv'}";
    let block = |flow: &str| flow.replace(", output:", "\n    output:");
    assert!(load(&two(&block(january), february)).is_ok());
    assert!(problems(&two(&block(january), january))[0].found.contains("which report calls writes as well"));
    let stdout = "{last: 1d}, output: {path: '-'}";
    assert_eq!(problems(&two(&block(stdout), stdout))[0].key, "reports.two.output.path");
    let manifest = "{last: 1d}, output: {path: calls.csv.manifest.json}";
    assert_eq!(problems(&two("{last: 1d}", manifest)).len(), 1);
    let packed = "{last: 1d}, output: {path: calls.csv.gz}";
    let gzip = "{last: 1d}\n    output: {path: calls.csv, compression: gzip}";
    assert_eq!(problems(&two(gzip, packed)).len(), 1);
    assert!(load(&two("{last: 1d}", "{last: 1d}, output: {path: Calls.csv}")).is_ok(), "case tells files apart");
}

#[test]
fn f4_an_unquoted_number_boolean_date_or_null_is_no_text() {
    for value in ["007", "1.10", "0x1F", "1_000", "true", "False", "2024-01-31", "-5", "1e3", ".inf"] {
        for key in ["reports.calls.template_id", "reports.calls.tenant", "output.dir"] {
            let problem = &set(key, value)[0];
            assert!(problem.remedy.contains("quote it"), "{key}={value}: {problem}");
            assert!(problem.found.contains(value), "{key}={value}: {problem}");
        }
    }
    assert_eq!(set("reports.calls.template_id", "null")[0].key, "reports.calls.template_id");
    let quoted = load(&GOOD.replace("template_id: detail", "template_id: '007'")).unwrap();
    assert_eq!(quoted.reports[0].template_id, "007");
}

#[test]
fn f4_only_a_plain_whole_number_is_a_count() {
    for value in [
        "3.7",
        "5.0",
        "true",
        "'5'",
        "\"5\"",
        "007",
        "0x10",
        "1_000",
        "1e3",
        "+5",
        "five",
        "null",
        "[5]",
        "99999999999999999999",
    ] {
        for key in
            ["tenants.acme.max_in_flight", "tenants.acme.rate_limit.requests_per_second", "reports.calls.page_size"]
        {
            assert_eq!(set(key, value)[0].key, key, "{key}={value}");
        }
    }
}

#[test]
fn f4_a_name_that_comes_twice_in_whatever_case_is_refused() {
    let twin = GOOD.replace("\nreports:", "\n  ACME: {mock: {}}\nreports:");
    let found = problems(&twin);
    assert_eq!(found[0].key, "tenants.ACME", "{found:?}");
    assert!(found[0].found.contains("first as acme"));
    let exact = problems("tenants: {a: {mock: {}}, a: {mock: {}}}");
    assert_eq!(exact[0].key, "tenants.a");
    let report =
        problems(&format!("{}\n  Calls: {{tenant: acme, template_id: t, window: {{last: 1d}}}}", GOOD.trim_end()));
    assert_eq!(report[0].key, "reports.Calls");
}

#[test]
fn f4_a_filters_value_goes_out_as_it_was_written_or_not_at_all() {
    let with = |value: &str| {
        let filters = format!("template_id: detail\n    filters: [{{field: a, operator: eq, value: {value}}}]");
        load(&GOOD.replace("template_id: detail", &filters)).map(|c| c.reports[0].filters[0].value.to_string())
    };
    for (written, sent) in [
        ("voice", "\"voice\""),
        ("7", "7"),
        ("-2.5", "-2.5"),
        ("true", "true"),
        ("'007'", "\"007\""),
        ("[1, a]", "[1,\"a\"]"),
    ] {
        assert_eq!(with(written).unwrap(), sent);
    }
    for value in ["007", "1.10", "1_000", "0x1F", "True", "null", "{a: 1}", "[[1]]"] {
        assert!(with(value).is_err(), "{value}");
    }
}
