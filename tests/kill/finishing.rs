//! Kills at each step of finishing: between the files' renames, before the manifest's, and after it.
//!
//! A step is held up by a fail point of the binary, so that the kill falls just there. Needs the feature `failpoints`.

use std::time::{Duration, Instant};

use cxtract::mock::{CallKind, MockReport, MockTenant};

use crate::judge::{Between, judge_calls, judge_end, judge_folder, n_queries};
use crate::place::{Place, Running};

/// A fail point, and the name whose appearance in the output's folder tells that it is reached or about to be.
const STEPS: [(&str, &str); 4] = [
    ("publish-before-files", "calls.csv.manifest.json.part"),
    ("publish-between-files", "calls.csv"),
    ("publish-before-manifest", "calls.csv"),
    ("publish-done", "calls.csv.manifest.json"),
];

/// Longer than from a name to the fail point behind it.
const A_MOMENT: Duration = Duration::from_millis(150);

fn place() -> Place {
    let mock = MockTenant::builder().requests_per_second(f64::INFINITY).report("calls", MockReport::with_rows(300));
    Place::new(mock).report("calls", "")
}

/// A run that stops at a fail point, and has reached it.
fn held_up_at(place: &Place, step: &str, name: &str) -> Running {
    let mut command = place.command(&["run", "--progress", "json"]);
    command.env("FAILPOINTS", format!("{step}=sleep(60000)"));
    let run = Running::start(command);
    place.until(step, || place.path("out").join(name).exists());
    std::thread::sleep(A_MOMENT);
    run
}

#[test]
fn k7b_killed_at_any_step_of_finishing_once_or_twice_the_next_run_does_the_rest() {
    for (step, name) in STEPS {
        for n_kills in 1..=2 {
            let place = place();
            let mut between = Between::now(&place);
            for _ in 0..n_kills {
                held_up_at(&place, step, name).kill();
                judge_folder(&place, "calls");
                between = Between::now(&place);
            }
            assert_eq!(place.run(&[]), 0, "{step}: {}", place.said());
            judge_end(&place);
            assert_eq!(n_queries(&place, "calls"), 1, "{step}");
            assert!(judge_calls(&place, &between).is_empty(), "{step}: pages were fetched again");
        }
    }
}

#[test]
fn k7b_killed_while_a_fresh_extraction_replaces_an_older_delivery_nothing_is_mixed() {
    for (step, name) in STEPS {
        let place = place();
        assert_eq!(place.run(&[]), 0, "{}", place.said());
        let before = place.mock.ledger().of(CallKind::Page).len();
        let mut command = place.command(&["run", "--fresh", "--progress", "json"]);
        command.env("FAILPOINTS", format!("{step}=sleep(60000)"));
        let mut run = Running::start(command);
        // Older names are there already: this waits for the calls first, then for the steps after them.
        place.until("the pages came again", || place.mock.ledger().of(CallKind::Page).len() >= before * 2);
        place.until(name, || place.path("out").join(name).exists());
        std::thread::sleep(A_MOMENT * 2);
        run.kill();
        judge_folder(&place, "calls");
        assert_eq!(place.run(&[]), 0, "{step}: {}", place.said());
        judge_end(&place);
        assert_eq!(n_queries(&place, "calls"), 2, "{step}");
    }
}

#[test]
fn k2_a_second_signal_ends_a_run_at_once_that_is_busy_finishing() {
    for (first, second, code) in [("TERM", "TERM", 143), ("INT", "TERM", 143), ("INT", "INT", 130)] {
        let place = place();
        let mut run = held_up_at(&place, "publish-before-manifest", "calls.csv");
        run.signal(first);
        place.until("the signal is heard", || place.said().contains("again to stop at once"));
        assert!(run.ended().is_none(), "the first signal waits for what is being finished");
        let start = Instant::now();
        run.signal(second);
        assert_eq!(run.end(), Some(code));
        assert!(start.elapsed() < Duration::from_secs(1), "it took {:?}", start.elapsed());
        assert_eq!(place.run(&[]), 0, "{}", place.said());
        judge_end(&place);
    }
}
