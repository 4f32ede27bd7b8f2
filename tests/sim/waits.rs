//! A tenant that tells everybody to wait, in every form there is, in the middle of several extractions.
//!
//! Two tenants are called by one engine; one of them is told to wait, at a page that is drawn. The same world without
//! that answer shows what the other tenant would have been asked.

use std::collections::BTreeMap;
use std::time::Duration;

use cxtract::mock::{CallKind, Fate, Fault, FaultRule, Ledger, Matcher, MockReport, MockTenant, MockTenantBuilder};
use cxtract::model::Timestamp;
use fastrand::Rng;

use crate::measure::within;
use crate::world::{Aftermath, WALL_START, World};

const N_REPORTS: usize = 3;

/// Tenants overlook calls that come so soon after they asked for a pause: they were under way.
const GRACE: Duration = Duration::from_millis(300);

/// When the wait that a date names is over, since the tenant's start. Dates are fixed; the answer comes at about 15 s.
const DATE_AT: Duration = Duration::from_secs(60);

fn mock(page_latency_ms: u64) -> MockTenantBuilder {
    let reports = (0..N_REPORTS).map(|nth| (format!("r{nth}"), MockReport::with_rows(100 * 5)));
    let mock = MockTenant::builder().requests_per_second(10.0).latency(Duration::from_millis(page_latency_ms));
    reports.fold(mock, |mock, (name, report)| mock.report(&name, report))
}

/// Both tenants, the angry one with that clock and, if any, that answer to its `nth` page.
fn world(wall: Timestamp, answer: Option<(u64, Fault)>) -> World {
    let mut angry = mock(80).wall_start(wall);
    if let Some((nth, fault)) = answer {
        angry = angry.fault(FaultRule::new(Matcher::pages().matches(nth..nth + 1), fault));
    }
    let mut world = World::new(9);
    world.tenants = BTreeMap::from([("angry".to_owned(), angry), ("other".to_owned(), mock(80))]);
    for name in ["angry", "other"] {
        world.add_tenant_lines(name, "rate_limit: {requests_per_second: 10}\nmax_queries: 3");
    }
    world.yaml.push_str("reports:\n");
    for name in ["angry", "other"] {
        for nth in 0..N_REPORTS {
            world.add_report_lines(&format!("{name}{nth}"), name, &format!("r{nth}"), "page_size: 5");
        }
    }
    World { bound: Duration::from_secs(1800), ..world.with_even_network() }
}

fn run(world: &World) -> Aftermath {
    let after = world.run().expect("every report ends");
    for asked in &world.asked {
        let ending = after.ending(&asked.report);
        assert!(after.is_delivered(&asked.report, &asked.tenant, &asked.template), "{}: {ending:?}", asked.report);
    }
    after
}

fn moments(ledger: &Ledger) -> Vec<(Duration, String)> {
    ledger.iter().map(|call| (call.at, call.path.to_string())).collect()
}

/// What stands in `Retry-After`, and how long that lasts: from the answer on, or until then, since the tenant's start.
struct Told {
    what: &'static str,
    clock: Timestamp,
    status: u16,
    values: Vec<String>,
    lasts: Lasts,
}

enum Lasts {
    For(Duration),
    Until(Duration),
}

fn dated(what: &'static str, clock: Timestamp, pattern: &str) -> Told {
    let date =
        jiff::Timestamp::from_millisecond(clock.plus(DATE_AT).0).expect("a near year").strftime(pattern).to_string();
    Told { what, clock, status: 429, values: vec![date], lasts: Lasts::Until(DATE_AT) }
}

fn in_seconds(what: &'static str, status: u16, values: &[&str], secs: u64) -> Told {
    let values = values.iter().map(|&value| value.to_owned()).collect();
    Told { what, clock: WALL_START, status, values, lasts: Lasts::For(Duration::from_secs(secs)) }
}

fn forms() -> Vec<Told> {
    const IMF: &str = "%a, %d %b %Y %H:%M:%S GMT";
    let day = Duration::from_secs(86_400);
    vec![
        in_seconds("seconds", 429, &["20"], 20),
        in_seconds("seconds with a 503", 503, &["20"], 20),
        in_seconds("several headers, the longest last", 429, &["3", "25"], 25),
        in_seconds("several headers, the longest first", 429, &["25", "3"], 25),
        in_seconds("headers that a proxy joined", 429, &["3, 25"], 25),
        dated("a date", WALL_START, IMF),
        dated("a date in the form of RFC 850", WALL_START, "%A, %d-%b-%y %H:%M:%S GMT"),
        dated("a date in the form of asctime", WALL_START, "%a %b %e %H:%M:%S %Y"),
        dated("a date by a clock a day ahead", WALL_START.plus(day), IMF),
        dated("a date by a clock an hour behind", Timestamp(WALL_START.0 - 3_600_000), IMF),
        dated("a date by a clock years behind", Timestamp(1_000_000_000_000), IMF),
    ]
}

#[test]
fn h2_every_form_of_a_wait_holds_all_of_one_tenant_and_none_of_another() {
    let alone = run(&world(WALL_START, None));
    let mut rng = Rng::with_seed(4);
    for Told { what, clock, status, values, lasts } in forms() {
        let headers = values.into_iter().map(|value| ("Retry-After".to_owned(), value)).collect();
        let nth = rng.u64(40..160);
        let fault = Fault::Status { code: status, headers, body: String::new() };
        let after = run(&world(clock, Some((nth, fault))));
        let ledger = after.ledger("angry");
        let told = ledger.iter().find(|call| call.faulted && call.status == status).expect("it was told");
        let told_at = told.ended.expect("it was answered");
        let until = match lasts {
            Lasts::For(wait) => told_at + wait,
            // Dates have whole seconds, and so has the one that they are measured against.
            Lasts::Until(date) => date - Duration::from_secs(1),
        };
        let wait = until - told_at;
        assert!(wait > Duration::from_secs(10), "{what}: {wait:?}");
        assert!(ledger.calls_while_told_to_wait().is_empty(), "{what}");
        let inside = told_at + GRACE..until;
        assert_eq!(within(&ledger, &inside).next(), None, "{what}");
        // What we add ourselves is a tenth, and five seconds at most.
        let next = ledger.iter().map(|call| call.at).find(|at| *at >= until).expect("it goes on");
        let late = next - until;
        println!("{what}: told at {told_at:?} to wait {wait:?}, called again {late:?} after that");
        assert!(late <= (wait / 10).min(Duration::from_secs(5)) + Duration::from_secs(2), "{what}: {late:?} late");
        // Those that were under way are told the same.
        let complaints: Vec<_> = ledger.iter().filter(|call| call.status == 429 || call.status == 503).collect();
        assert!(complaints.len() <= 8 && complaints.iter().all(|call| call.at <= told_at + GRACE), "{what}");
        assert_eq!(moments(&after.ledger("other")), moments(&alone.ledger("other")), "{what}: the other one felt it");
    }
}

/// A report that fails while its second part is polled, and one that polls and does nothing else, begun so much later:
/// what the tenant was asked. `fails` has the first part's page or query fail.
fn one_fails_while_another_polls(
    later: Duration,
    fails: impl FnOnce(MockTenantBuilder) -> MockTenantBuilder,
) -> Ledger {
    let mock = MockTenant::builder()
        .requests_per_second(20.0)
        .latency(Duration::from_millis(400))
        .report("fails", MockReport::with_rows(500))
        .fate(1, Fate::NeverReady)
        .fate(2, Fate::NeverReady);
    let mut world = World::new(5);
    world.tenants.insert("acme".to_owned(), fails(mock));
    let poll = "poll: {initial_delay: 2s, max_delay: 2s, jitter: 0, max_wait: 20s}";
    world.add_tenant_lines(
        "acme",
        &format!("rate_limit: {{requests_per_second: 10}}\nmax_queries: 3\nmax_in_flight: 3\n{poll}"),
    );
    world.yaml.push_str("reports:\n");
    world.add_report_lines("fails", "acme", "fails", "page_size: 5\nsplit: 16d");
    world.add_report_lines("polls", "acme", "polls", "page_size: 5");
    world.later.insert("polls".to_owned(), later);
    let way = Duration::from_millis(20);
    (world.least_latency, world.latency, world.tick) = (way, way, Duration::from_millis(10));
    world.run().expect("both end").ledger("acme")
}

/// The nth poll of the report that fails is told to wait.
fn told_to_wait(nth: u64) -> FaultRule {
    FaultRule::new(
        Matcher::kind(CallKind::Status).of_template("fails").matches(nth..nth + 1),
        Fault::told_to_wait(429, 20),
    )
}

fn no_call_inside(ledger: &Ledger, failed: Duration, told: Duration) {
    assert!(failed < told, "the report was to be over when the pause is told, at {failed:?} and {told:?}");
    let inside = told + GRACE..told + Duration::from_secs(20);
    assert_eq!(within(ledger, &inside).next(), None, "told at {told:?}");
}

#[test]
fn x5_a_pause_told_to_a_poll_of_a_report_that_has_just_failed_holds_for_the_others() {
    for nth in 0..5 {
        let ledger = one_fails_while_another_polls(Duration::from_millis(1800 + 200 * nth), |mock| {
            let page = FaultRule::new(Matcher::page(14).of_template("fails"), Fault::status(403));
            mock.fault(page).fault(told_to_wait(2))
        });
        let answered = |status: u16| ledger.iter().find(|call| call.status == status)?.ended;
        no_call_inside(&ledger, answered(403).expect("it fails"), answered(429).expect("it is told"));
    }
}

#[test]
fn x5_a_pause_told_to_a_poll_that_is_out_when_another_part_has_failed_holds_for_the_others() {
    for nth in 0..5 {
        let ledger = one_fails_while_another_polls(Duration::from_millis(600 + 200 * nth), |mock| {
            // The first part's poll comes back while the second one's is out.
            let slow = Matcher::kind(CallKind::Status).of_template("fails").first(1);
            let slow = FaultRule::new(slow, Fault::Delay(Duration::from_millis(100)));
            mock.fate(0, Fate::Fails("out of memory".to_owned())).fault(slow).fault(told_to_wait(1))
        });
        let told = ledger.iter().find(|call| call.status == 429).expect("it is told");
        let fatal = ledger.iter().find(|call| call.kind == CallKind::Status).expect("the first part is polled");
        no_call_inside(&ledger, fatal.ended.expect("it was answered"), told.ended.expect("it was answered"));
    }
}
