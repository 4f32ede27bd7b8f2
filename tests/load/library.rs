//! Loads that a program puts on its tenants through the library.

use std::sync::Arc;
use std::time::Duration;

use cxtract::load::{Amount, FIGURES, Load, LoadReport, OwnTenants, Target, run, run_until};
use cxtract::mock::{Fault, FaultRule, Matcher, MockPlan, MockReport, MockTenant, MockTenantBuilder};

fn tenant(n_rows: u64) -> MockTenantBuilder {
    MockTenant::builder().requests_per_second(f64::INFINITY).default_report(MockReport::with_rows(n_rows))
}

/// Two such tenants with two reports each, in pages of 500 rows.
fn load_on(tenant: &MockTenantBuilder) -> Load {
    let target = Target::Own(OwnTenants::alike(2, tenant, 1));
    Load { reports: 2, page_size: 500, ..Load::on(target) }
}

fn within_a_minute<T>(work: impl Future<Output = T>) -> T {
    actix_rt::System::new()
        .block_on(async { tokio::time::timeout(Duration::from_secs(60), work).await.expect("done within a minute") })
}

fn carried_out(load: &Load) -> LoadReport {
    within_a_minute(run(load, |_| ())).unwrap()
}

fn figure(report: &LoadReport, name: &str) -> f64 {
    report.figure(name).unwrap_or_else(|| panic!("{name} was not measured: {report:#?}"))
}

#[test]
fn a_load_delivers_every_report_and_finds_every_output_right() {
    let report = carried_out(&load_on(&tenant(2_000)));
    let due =
        [("complete", 4.0), ("verified", 4.0), ("wrong", 0.0), ("failed", 0.0), ("rows", 8_000.0), ("pages", 16.0)];
    for (name, due) in due {
        assert_eq!(figure(&report, name), due, "{name}");
    }
    for name in ["throughput_mb_s", "requests_per_second", "p99_page_ms", "p50_token_ms", "max_report_s"] {
        assert!(figure(&report, name) > 0.0, "{name}");
    }
    assert_eq!((figure(&report, "duplicate_submissions"), figure(&report, "told_to_wait")), (0.0, 0.0));
    assert!(report.all_right() && !report.stopped && report.troubles.is_empty());
    // A token and two submissions for each tenant; looks at the queries and pages besides.
    assert_eq!(
        report.latency.iter().map(|kind| (kind.kind, kind.calls)).take(2).collect::<Vec<_>>(),
        [("token", 2), ("submit", 4)]
    );
    let calls: u64 = report.latency.iter().map(|kind| kind.calls).sum();
    assert_eq!(calls as f64, figure(&report, "requests"));
    assert!(!report.samples.is_empty());
}

#[test]
fn a_page_that_is_the_header_alone_is_no_page_with_rows() {
    let pages = |n_rows: u64| {
        let plan = format!("default_report: {{rows: {n_rows}, end: header_only}}");
        figure(&carried_out(&load_on(&MockTenant::builder().plan(&plan).unwrap())), "pages")
    };
    assert_eq!((pages(1_000), pages(0)), (8.0, 0.0));
}

#[test]
fn json_has_every_figure_and_the_page_needs_nothing_from_outside() {
    let report = carried_out(&load_on(&tenant(1_500)));
    let json = report.json();
    let metrics = json["metrics"].as_object().unwrap();
    let missing: Vec<_> = FIGURES.iter().filter(|figure| !metrics.contains_key(figure.name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    // No rate, no budget; everything else is known of own tenants, on a system that tells of CPU and memory.
    let unknown: Vec<_> = metrics.iter().filter(|(_, value)| value.is_null()).map(|(name, _)| name.as_str()).collect();
    if cfg!(target_os = "linux") {
        assert_eq!(unknown, ["rate_use", "budget_use", "budget_use_median", "budget_use_least"]);
    }
    assert_eq!(json["tenants"].as_array().unwrap().len(), 2);
    let page = report.html();
    assert!(page.contains("<svg") && page.contains("tenant-2"));
    for outside in ["src=", "href=", "url(", "@import"] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert!(!page.contains("load-secret") && !json.to_string().contains("load-secret"));
}

#[test]
fn an_output_that_is_wrong_is_found_and_named() {
    let spoil = |path: &std::path::Path| {
        if path.to_string_lossy().contains("tenant-2_1-") {
            let mut bytes = std::fs::read(path).unwrap();
            let last = bytes.len() - 2;
            bytes[last] = bytes[last].wrapping_add(1);
            std::fs::write(path, bytes).unwrap();
        }
    };
    let beside = tempfile::tempdir().unwrap();
    let output_dir = Some(beside.path().to_owned());
    let load = Load { before_check: Some(Arc::new(spoil)), output_dir, ..load_on(&tenant(1_000)) };
    let report = carried_out(&load);
    assert_eq!((figure(&report, "wrong"), figure(&report, "verified"), figure(&report, "complete")), (1.0, 3.0, 4.0));
    assert!(!report.all_right());
    let [trouble] = &report.troubles[..] else { panic!("{:#?}", report.troubles) };
    assert_eq!((trouble.how, trouble.report.as_str(), trouble.tenant.as_str()), ("wrong", "tenant-2_1", "tenant-2"));
    assert!(trouble.words.contains("differs from the tenant's data from byte"), "{}", trouble.words);
    assert!(report.table().contains("1 wrong") && report.html().contains("outputs are wrong"));
    let kept = report.kept.unwrap().join("out");
    let files = |tenant: &str| std::fs::read_dir(kept.join(tenant)).unwrap().count();
    assert_eq!((files("tenant-1"), files("tenant-2")), (0, 2), "the wrong one stays, with its manifest");
}

#[test]
fn a_report_that_the_tenant_makes_fail_is_named_with_its_words_and_is_no_wrong_output() {
    let refused = FaultRule::new(Matcher::page(3).of_query(0), Fault::status(400));
    let report = carried_out(&load_on(&tenant(2_000).fault(refused)));
    assert_eq!((figure(&report, "failed"), figure(&report, "complete"), figure(&report, "verified")), (2.0, 2.0, 2.0));
    assert!(report.all_right());
    assert_eq!(report.troubles.len(), 2);
    assert!(report.troubles.iter().all(|trouble| trouble.how == "failed" && trouble.words.contains("400")));
}

#[test]
fn faults_that_pass_show_in_the_figures_and_leave_the_outputs_right() {
    let wait = FaultRule::new(Matcher::page(2).first(1), Fault::told_to_wait(429, 1));
    let cut = FaultRule::new(Matcher::page(3).of_query(1).first(1), Fault::CutAt(700));
    let report = carried_out(&load_on(&tenant(2_000).fault(wait).fault(cut)));
    assert_eq!((figure(&report, "verified"), figure(&report, "wrong")), (4.0, 0.0));
    assert!(figure(&report, "throttled") >= 2.0 && figure(&report, "failed_calls") >= 2.0);
    assert_eq!(figure(&report, "told_to_wait"), 0.0);
    assert!(figure(&report, "max_page_wait_ms") >= 900.0, "somebody has sat the second out");
}

#[test]
fn outputs_that_nothing_can_be_held_against_are_unchecked_and_not_right() {
    let plan = "default_report: {rows: 900, total_count: absent, total_rows: absent}";
    let running = MockTenant::builder().plan(plan).unwrap().start().unwrap();
    let target = Target::Urls {
        urls: vec![running.base_url()],
        requests_per_second: Some(20),
        allowed_hosts: Vec::new(),
        template: "load".to_owned(),
    };
    let report = carried_out(&Load { reports: 1, page_size: 500, ..Load::on(target) });
    assert_eq!(
        (figure(&report, "complete"), figure(&report, "verified"), figure(&report, "unchecked")),
        (1.0, 0.0, 1.0)
    );
    assert!(!report.all_right());
    assert_eq!(report.troubles[0].how, "unchecked");
}

#[test]
fn a_check_that_is_stopped_leaves_its_outputs_unchecked_and_says_so() {
    let stop = Arc::new(tokio::sync::Notify::new());
    let begun = stop.clone();
    // The first look stops the load, and lasts until long after that.
    let inspect = move |_: &std::path::Path| {
        begun.notify_one();
        std::thread::park_timeout(Duration::from_secs(2));
    };
    let load = Load { before_check: Some(Arc::new(inspect)), ..load_on(&tenant(900)) };
    let report = within_a_minute(run_until(&load, stop.notified(), |_| ())).unwrap();
    assert_eq!(
        (figure(&report, "complete"), figure(&report, "verified"), figure(&report, "unchecked")),
        (4.0, 0.0, 4.0)
    );
    assert!(report.stopped && !report.all_right());
    assert!(report.html().contains("outputs were left unchecked"));
}

#[test]
fn a_check_that_takes_long_shows_how_it_stands_meanwhile() {
    let (told, has_told) = std::sync::mpsc::channel();
    let has_told = std::sync::Mutex::new(has_told);
    let first = std::sync::Once::new();
    // The first look lasts until two ticks have told of the check.
    let inspect = move |_: &std::path::Path| {
        let ticked = || has_told.lock().unwrap().recv_timeout(Duration::from_secs(30)).unwrap();
        first.call_once(|| (0..2).for_each(|_| ticked()));
    };
    let load = Load { reports: 1, before_check: Some(Arc::new(inspect)), ..load_on(&tenant(900)) };
    let ticks = std::cell::RefCell::new(Vec::new());
    let tell = |tick: &cxtract::load::Tick| {
        if let Some(checked) = tick.checked {
            ticks.borrow_mut().push((checked, tick.elapsed));
            // Nobody listens once the first look is over.
            let _ = told.send(());
        }
    };
    let report = actix_rt::System::new().block_on(run(&load, tell)).unwrap();
    assert_eq!(figure(&report, "verified"), 2.0);
    let ticks = ticks.into_inner();
    let [(first, before), (second, after), ..] = &ticks[..] else { panic!("{ticks:?}") };
    assert!((*first, *second) == ((0, 2), (0, 2)) && before < after, "{ticks:?}");
}

#[test]
fn a_check_that_breaks_down_is_not_passed_over() {
    let load = Load { before_check: Some(Arc::new(|_: &std::path::Path| panic!("broken"))), ..load_on(&tenant(900)) };
    let report = carried_out(&load);
    assert_eq!((figure(&report, "unchecked"), report.all_right(), report.stopped), (4.0, false, false));
}

#[test]
fn tenants_with_tls_or_a_token_path_of_their_own_are_played() {
    let plan = "tenants:\n  safe: {tls: good, default_report: {rows: 900}}\n  \
                other: {token: {path: /other/token}, default_report: {rows: 900}}\n";
    let plan = MockPlan::parse(plan, std::path::Path::new(".")).unwrap();
    let target = Target::Own(OwnTenants::in_turn(&plan, None, 1));
    let report = carried_out(&Load { reports: 1, page_size: 500, ..Load::on(target) });
    assert_eq!(figure(&report, "verified"), 2.0, "{:#?}", report.troubles);
}

#[test]
fn rounds_ask_for_other_windows_and_remove_what_was_checked() {
    let beside = tempfile::tempdir().unwrap();
    let load = Load {
        amount: Amount::Rounds(3),
        output_dir: Some(beside.path().to_owned()),
        keep: true,
        ..load_on(&tenant(600))
    };
    let report = carried_out(&load);
    assert_eq!((figure(&report, "verified"), figure(&report, "duplicate_submissions")), (12.0, 0.0));
    let kept = report.kept.unwrap();
    assert_eq!(std::fs::read_dir(kept.join("out/tenant-1")).unwrap().count(), 12, "six outputs and their manifests");
    let report = carried_out(&Load { keep: false, ..load });
    assert_eq!((figure(&report, "verified"), report.kept), (12.0, None));
    assert_eq!(std::fs::read_dir(beside.path()).unwrap().count(), 1, "only what was to stay has stayed");
}

#[test]
fn a_load_that_is_stopped_tells_what_was_measured() {
    let slow = tenant(10_000_000).latency(Duration::from_millis(50));
    let load = load_on(&slow);
    let has_pages = tokio::sync::Notify::new();
    let tell = |tick: &cxtract::load::Tick| {
        if tick.bytes_per_second > 0.0 {
            has_pages.notify_one();
        }
    };
    let stopped = run_until(&load, has_pages.notified(), tell);
    let report = within_a_minute(stopped).unwrap();
    assert!(report.stopped && figure(&report, "pages") > 0.0);
    assert_eq!((figure(&report, "cut_off"), figure(&report, "complete"), figure(&report, "parked")), (4.0, 0.0, 0.0));
    assert!(report.table().contains("stopped before it was done"));
}

#[test]
fn tenants_that_others_have_started_are_checked_by_their_counts() {
    let running = tenant(1_200).start().unwrap();
    let target = |url: String| Target::Urls {
        urls: vec![url],
        requests_per_second: Some(500),
        allowed_hosts: Vec::new(),
        template: "calls".to_owned(),
    };
    let load = Load { reports: 2, page_size: 500, ..Load::on(target(running.base_url())) };
    let report = carried_out(&load);
    assert_eq!((figure(&report, "verified"), figure(&report, "rows")), (2.0, 2_400.0));
    assert!(report.table().contains("rows against its manifest and the tenant's counts"));
    // What only the tenant itself could tell is left out.
    assert_eq!((report.figure("told_to_wait"), report.figure("duplicate_submissions")), (None, None));
    assert_eq!(report.figure("budget_use"), None, "it was over too soon to say");
    assert_eq!(running.ledger().len() as f64, figure(&report, "requests"));
    let report = carried_out(&load);
    assert_eq!((figure(&report, "verified"), running.verdict().duplicate_submissions), (2.0, 0));
    assert_eq!(running.with(|tenant| tenant.expected("calls").rows()), 4 * 1_200, "the template that was named");

    let elsewhere = Load::on(target("http://192.0.2.1:80".to_owned()));
    let error = within_a_minute(run(&elsewhere, |_| ())).unwrap_err();
    assert!(error.to_string().contains("--allow-host 192.0.2.1"), "{error}");
}
