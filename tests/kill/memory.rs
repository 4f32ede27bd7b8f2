//! Little memory: a limit that is kept, and one that can't be.

use std::time::Duration;

use cxtract::mock::{MockReport, MockTenant};

use crate::judge::{judge_end, judge_folder, n_queries};
use crate::place::{PATIENCE, Place, Running};

/// Pages of a quarter of a megabyte, under the smallest budget: most of them find no room and go to scratch.
fn place() -> Place {
    let mock = MockTenant::builder()
        .requests_per_second(f64::INFINITY)
        .latency(Duration::from_millis(2))
        .report("calls", MockReport::with_rows(30_000));
    let mut place =
        Place::new(mock).report_with("calls", "window: {from: 2024-01-01, to: 2024-01-31}\n    page_size: 1000");
    place.top = "engine: {memory_limit: 2MiB}".to_owned();
    place
}

#[test]
fn k4_a_process_that_runs_out_of_memory_anywhere_is_gone_on_with() {
    let place = place();
    let mut ends = Vec::new();
    // Address space in KiB, from too little to begin with up to enough.
    for limit in [20_000, 60_000, 90_000, 120_000, 150_000, 200_000, 300_000, 600_000] {
        let mut limited =
            Running::start(place.command_after(&format!("ulimit -v {limit}"), &["run", "--progress", "json"]));
        let ended = limited.end_within(PATIENCE).expect("it ends");
        judge_folder(&place, "calls");
        ends.push(ended);
    }
    assert!(ends.iter().any(|end| *end != Some(0)), "no limit was felt: {ends:?}");
    assert_eq!(place.run(&[]), 0, "{}", place.said());
    judge_end(&place);
    // Whoever ran out of it between sending and storing leaves one behind, and the next one says so.
    assert!(n_queries(&place, "calls") <= 1 + ends.len());
}

#[test]
fn k4_a_small_budget_is_kept_whatever_the_size_of_the_report() {
    let place = place();
    let mut run = Running::start(place.command(&["run", "--progress", "json"]));
    let (mut most, start) = (0, std::time::Instant::now());
    while run.ended().is_none() {
        most = most.max(run.resident_kib().unwrap_or(0));
        assert!(start.elapsed() < PATIENCE, "it does not end: {}", place.said());
        std::thread::sleep(Duration::from_millis(2));
    }
    judge_end(&place);
    println!("at most {most} KiB resident for a report of {} bytes", place.expected("calls").len());
    assert!((1..64 << 10).contains(&most), "{most} KiB resident");
}
