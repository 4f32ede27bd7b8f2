//! Ten large reports of one tenant: who is served when, and what becomes of polls and submissions meanwhile.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use cxtract::mock::{CallKind, Fault, FaultRule, Ledger, Matcher, MockReport, MockTenant, MockTenantBuilder, Tenant};

use crate::measure::{extremes, longest_silence, pages_by_query, seconds, within};
use crate::world::World;

/// Calls a second.
const RATE: usize = 20;

/// Reports that fetch.
const N_LARGE: usize = 10;

/// Their pages.
const N_PAGES: u64 = 400;

/// How much later slow answers come.
const SLOW: Duration = Duration::from_millis(500);

const TEN_SECONDS: Duration = Duration::from_secs(10);

fn large(nth: usize) -> String {
    format!("large{nth}")
}

fn mock() -> MockTenantBuilder {
    let mock = MockTenant::builder().requests_per_second(RATE as f64).latency(Duration::from_millis(20));
    (0..N_LARGE).fold(mock, |mock, nth| mock.report(&large(nth), MockReport::with_rows(N_PAGES * 5)))
}

fn world(mock: MockTenantBuilder, lines: &str) -> World {
    let mut world = World::new(3);
    world.tenants.insert("acme".to_owned(), mock);
    world.add_tenant_lines("acme", &format!("rate_limit: {{requests_per_second: {RATE}}}\n{lines}"));
    world.yaml.push_str("reports:\n");
    for nth in 0..N_LARGE {
        world.add_report_lines(&large(nth), "acme", &large(nth), "page_size: 5");
    }
    world.with_even_network()
}

/// The large reports' queries.
fn large_queries(tenant: &Tenant) -> Vec<String> {
    let is_large = |template: &str| template.starts_with("large");
    tenant.queries().iter().filter(|query| is_large(&query.template)).map(|query| query.id.clone()).collect()
}

/// From the first page of the last of these queries to the last page of the first of them that is read to its end.
fn all_fetching(ledger: &Ledger, queries: &[String]) -> Range<Duration> {
    let mut spans: BTreeMap<&str, Range<Duration>> = BTreeMap::new();
    for call in ledger.iter().filter(|call| call.kind == CallKind::Page && call.page <= Some(N_PAGES)) {
        let Some(query) = call.query.as_deref() else { continue };
        spans.entry(query).and_modify(|span| span.end = call.at).or_insert(call.at..call.at);
    }
    let mut spans = queries.iter().map(|query| spans.remove(query.as_str()).expect("it was fetched"));
    let first = spans.next().expect("there are queries");
    spans.fold(first, |all, span| all.start.max(span.start)..all.end.min(span.end))
}

#[test]
fn ten_reports_of_400_pages_are_served_alike_in_every_second() {
    let after = world(mock(), "max_queries: 10").run().expect("every report ends");
    for nth in 0..N_LARGE {
        assert!(after.is_delivered(&large(nth), "acme", &large(nth)), "{:?}", after.ending(&large(nth)));
    }
    let ledger = after.ledger("acme");
    let queries = large_queries(&after.tenants["acme"].lock());
    let time = all_fetching(&ledger, &queries);
    let (mut worst_second, mut worst_total, mut worst_share) = (0, 0, 0.0_f64);
    for second in seconds(&time).skip(5) {
        let (most, least) = extremes(&pages_by_query(&ledger, &queries, &second));
        assert!(most - least <= 2, "in {second:?}: {most} and {least}");
        worst_second = worst_second.max(most - least);
        let so_far = time.start..second.end;
        let (most, least) = extremes(&pages_by_query(&ledger, &queries, &so_far));
        assert!(most - least <= 2.max(most / 10), "until {:?}: {most} and {least}", second.end);
        worst_total = worst_total.max(most - least);
        worst_share = worst_share.max((most - least) as f64 / most as f64);
    }
    let (most, least) = extremes(&pages_by_query(&ledger, &queries, &(Duration::ZERO..time.start)));
    println!(
        "ten reports: at most {worst_second} pages apart in a second, {worst_total} in all ({:.1} %); {} s; when the \
         last of them began, {most} and {least} pages had been served",
        worst_share * 100.0,
        (time.end - time.start).as_secs()
    );
    assert!(time.end - time.start > Duration::from_secs(150), "{time:?}");
}

#[test]
fn forty_reports_that_submit_and_poll_are_never_starved_and_leave_the_pages_their_share() {
    const N_SMALL: usize = 40;
    // They are asked for one after the other, and are not ready before the large ones are read.
    let not_ready = Duration::from_secs(120);
    let mut mock = mock();
    for nth in 0..N_SMALL {
        mock = mock
            .report(&format!("small{nth}"), MockReport::with_rows(5))
            .fate(N_LARGE + nth, cxtract::mock::Fate::NeverReady);
    }
    let lines = "max_queries: 50\npoll: {initial_delay: 1s, max_delay: 1s, max_wait: 150s}";
    let mut world = world(mock, lines);
    for nth in 0..N_SMALL {
        let name = format!("small{nth}");
        world.add_report_lines(&name, "acme", &name, "page_size: 5");
        world.later.insert(name, Duration::from_secs(20));
    }
    let after = world.run().expect("every report ends");
    let ledger = after.ledger("acme");
    let tenant = after.tenants["acme"].lock();
    let queries = large_queries(&tenant);
    let all = all_fetching(&ledger, &queries);
    let time = Duration::from_secs(20)..all.end.min(Duration::from_secs(20) + not_ready);
    let submitted = ledger.iter().filter(|call| call.kind == CallKind::Submit).map(|call| call.at).max();
    let last = submitted.expect("they were submitted") - time.start;
    let small: Vec<_> = tenant.queries().iter().filter(|query| query.template.starts_with("small")).collect();
    assert_eq!(small.len(), N_SMALL);
    let silences = small.iter().map(|query| {
        let polls =
            ledger.iter().filter(|call| call.kind == CallKind::Status && call.query.as_deref() == Some(&*query.id));
        longest_silence(polls, &(query.submitted..time.end))
    });
    let silence = silences.max().expect("there are some");
    let shares = seconds(&time).map(|second| {
        let n_pages = within(&ledger, &second).filter(|call| call.kind == CallKind::Page).count();
        n_pages as f64 / within(&ledger, &second).count() as f64
    });
    let shares: Vec<_> = shares.collect();
    let least = shares.iter().copied().fold(1.0, f64::min);
    let mean = shares.iter().sum::<f64>() / shares.len() as f64;
    println!(
        "forty more reports: all submitted after {last:?}; polled at least every {silence:?}; pages have {:.0} % of a \
         second's calls at least, {:.0} % on average, over {} s",
        least * 100.0,
        mean * 100.0,
        shares.len()
    );
    assert!(last <= Duration::from_secs(10), "the last one is submitted after {last:?}");
    assert!(silence <= Duration::from_secs(12), "one was not polled for {silence:?}");
    // Pages have three turns of four while there are both.
    assert!(least >= 0.7 && mean >= 0.74, "{least} and {mean}");
}

#[test]
fn reports_whose_answers_take_long_are_served_like_the_others() {
    let slow = |nth: usize| FaultRule::new(Matcher::pages().of_template(&large(nth)), Fault::Delay(SLOW));
    let after = world(mock().fault(slow(0)).fault(slow(1)), "max_queries: 10").run().expect("every report ends");
    let ledger = after.ledger("acme");
    let queries = large_queries(&after.tenants["acme"].lock());
    let start = all_fetching(&ledger, &queries).start + Duration::from_secs(5);
    for nth in 0..10 {
        let span = start + nth * TEN_SECONDS..start + (nth + 1) * TEN_SECONDS;
        let (most, least) = extremes(&pages_by_query(&ledger, &queries, &span));
        println!("with slow ones, in {span:?}: at most {most} pages, at least {least}");
        assert!(most - least <= 2.max(most / 10), "in {span:?}: {most} and {least}");
    }
}
