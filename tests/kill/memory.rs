//! Little memory: a limit that is kept, and one that can't be.

use std::time::Duration;

use cxtract::mock::{MockReport, MockTenant};

use crate::judge::{Between, judge_end, judge_folder, n_queries};
use crate::place::{PATIENCE, Place, Running};

/// Rows of the report that is held in little memory.
const ROWS: u64 = 30_000;

/// Pages of a quarter of a megabyte, under the smallest budget: most of them find no room and go to scratch.
fn place(n_rows: u64) -> Place {
    let mock = MockTenant::builder()
        .requests_per_second(f64::INFINITY)
        .latency(Duration::from_millis(2))
        .report("calls", MockReport::with_rows(n_rows));
    let mut place =
        Place::new(mock).report_with("calls", "window: {from: 2024-01-01, to: 2024-01-31}\n    page_size: 1000");
    place.top = "engine: {memory_limit: 2MiB}".to_owned();
    place
}

#[test]
fn k4_a_process_that_runs_out_of_memory_anywhere_is_gone_on_with() {
    let place = place(ROWS);
    let (mut ends, mut n_lost) = (Vec::new(), 0);
    // Address space in KiB, from too little to begin with up to enough.
    for limit in (30_000..600_000).step_by(1_000) {
        let n_before = place.n_calls();
        let mut limited =
            Running::start(place.command_after(&format!("ulimit -v {limit}"), &["run", "--progress", "json"]));
        let ended = limited.end_within(PATIENCE).expect("it ends");
        judge_folder(&place, "calls");
        if ended == Some(0) {
            break;
        }
        ends.push((limit, ended, place.n_calls() - n_before));
        // Nobody knows what became of its submission, or it failed and starts again under a new query.
        n_lost += usize::from(ended == Some(1) || Between::now(&place).n_in_doubt("calls") > 0);
    }
    assert!(place.output("calls").exists(), "no limit was enough: {ends:?}");
    assert!(ends.iter().any(|(.., n_calls)| *n_calls > 0), "no limit was felt once it was under way: {ends:?}");
    assert_eq!(place.run(&[]), 0, "{}", place.said());
    judge_end(&place);
    // Whoever ran out of it between sending and storing leaves one behind, and the next one says so.
    let n_queries = n_queries(&place, "calls");
    assert!((1..=1 + n_lost).contains(&n_queries), "{n_queries} queries, {n_lost} lost: {ends:?}");
}

#[test]
fn k4_a_small_budget_is_kept_whatever_the_size_of_the_report() {
    let (small, large) = (most_resident(ROWS / 10), most_resident(ROWS));
    println!("at most {small} KiB resident for a tenth of the report, {large} KiB for the whole");
    assert!(small > 0 && large <= small + (16 << 10), "{large} KiB resident, and {small} for a tenth of the report");
}

/// How many KiB a run for so many rows has resident at most.
fn most_resident(n_rows: u64) -> u64 {
    let place = place(n_rows);
    let mut run = Running::start(place.command(&["run", "--progress", "json"]));
    let (mut most, start) = (0, std::time::Instant::now());
    while run.ended().is_none() {
        most = most.max(run.resident_kib().unwrap_or(0));
        assert!(start.elapsed() < PATIENCE, "it does not end: {}", place.said());
        std::thread::sleep(Duration::from_millis(2));
    }
    judge_end(&place);
    most
}
