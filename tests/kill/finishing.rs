//! Kills at each step of finishing: between the files' renames, before the manifest's, and after it; and around a
//! submission.
//!
//! A step is held up by a fail point of the binary, so that the kill falls just there. Needs the feature `failpoints`.

use std::time::{Duration, Instant};

use cxtract::mock::{CallKind, MockReport, MockTenant};
use rustix::process::Signal;

use crate::judge::{Between, judge_calls, judge_end, judge_folder, n_queries};
use crate::place::{Place, Running};

/// A fail point, and how the output's folder looks when it is reached or about to be.
struct Step {
    point: &'static str,
    present: &'static [&'static str],
    absent: &'static [&'static str],
}

const OUTPUT: &str = "calls.csv";
const PART: &str = "calls.csv.part";
const MANIFEST: &str = "calls.csv.manifest.json";
const ASIDE: &str = "calls.csv.manifest.json.part";

const STEPS: [Step; 4] = [
    Step { point: "publish-before-files", present: &[PART, ASIDE], absent: &[MANIFEST] },
    Step { point: "publish-between-files", present: &[OUTPUT, ASIDE], absent: &[PART, MANIFEST] },
    Step { point: "publish-before-manifest", present: &[OUTPUT, ASIDE], absent: &[PART, MANIFEST] },
    Step { point: "publish-done", present: &[OUTPUT, MANIFEST], absent: &[PART, ASIDE] },
];

/// Longer than from a name to the fail point behind it.
const A_MOMENT: Duration = Duration::from_millis(150);

fn place() -> Place {
    let mock = MockTenant::builder().requests_per_second(f64::INFINITY).report("calls", MockReport::with_rows(300));
    Place::new(mock).report("calls", "")
}

impl Step {
    /// A run that stops there.
    fn hold_up(&self, place: &Place, arguments: &[&str]) -> Running {
        let mut command = place.command(&[&["run", "--progress", "json"], arguments].concat());
        command.env("FAILPOINTS", format!("{}=sleep(60000)", self.point));
        Running::start(command)
    }

    /// Waits until the run has got there.
    fn wait(&self, place: &Place) {
        let exists = |name: &&str| place.path("out").join(name).exists();
        place.until(self.point, || self.present.iter().all(exists) && !self.absent.iter().any(exists));
        std::thread::sleep(A_MOMENT);
    }
}

#[test]
fn k7b_killed_at_any_step_of_finishing_once_or_twice_the_next_run_does_the_rest() {
    for step in &STEPS {
        for n_kills in 1..=2 {
            let (place, point) = (place(), step.point);
            let mut between = Between::now(&place);
            for _ in 0..n_kills {
                let mut run = step.hold_up(&place, &[]);
                step.wait(&place);
                run.kill();
                judge_folder(&place, "calls");
                between = Between::now(&place);
            }
            assert_eq!(place.run(&[]), 0, "{point}: {}", place.said());
            judge_end(&place);
            assert_eq!(n_queries(&place, "calls"), 1, "{point}");
            assert!(judge_calls(&place, &between).is_empty(), "{point}: pages were fetched again");
        }
    }
}

#[test]
fn k7b_killed_while_a_fresh_extraction_replaces_an_older_delivery_nothing_is_mixed() {
    for step in &STEPS {
        let (place, point) = (place(), step.point);
        assert_eq!(place.run(&[]), 0, "{}", place.said());
        let before = place.mock.ledger().of(CallKind::Page).len();
        let mut run = step.hold_up(&place, &["--fresh"]);
        // Of the older delivery there are names already: the pages come first, and the steps after them.
        place.until("the pages came again", || place.mock.ledger().of(CallKind::Page).len() >= before * 2);
        step.wait(&place);
        run.kill();
        judge_folder(&place, "calls");
        assert_eq!(place.run(&[]), 0, "{point}: {}", place.said());
        judge_end(&place);
        assert_eq!(n_queries(&place, "calls"), 2, "{point}");
    }
}

#[test]
fn k2_a_second_signal_ends_a_run_at_once_that_is_busy_finishing() {
    for (first, second, code) in
        [(Signal::TERM, Signal::TERM, 143), (Signal::INT, Signal::TERM, 143), (Signal::INT, Signal::INT, 130)]
    {
        let place = place();
        let mut run = STEPS[2].hold_up(&place, &[]);
        STEPS[2].wait(&place);
        run.signal(first);
        place.until("the signal is heard", || place.said().contains("again to stop at once"));
        assert!(run.ended().is_none(), "the first signal waits for what is being finished");
        let start = Instant::now();
        run.signal(second);
        assert_eq!(run.end(), Some(code));
        assert!(start.elapsed() < Duration::from_secs(5), "it took {:?}", start.elapsed());
        assert_eq!(place.run(&[]), 0, "{}", place.said());
        judge_end(&place);
    }
}

#[test]
fn t5_killed_while_a_submission_is_on_its_way_the_next_run_submits_and_names_the_orphan() {
    // Announced and not yet sent; and accepted by the tenant, but not yet stored.
    for (point, n_due) in [("submission-begins", 1), ("submission-answered", 2)] {
        let place = place();
        let mut command = place.command(&["run", "--progress", "json"]);
        command.env("FAILPOINTS", format!("{point}=sleep(60000)"));
        let mut run = Running::start(command);
        place.until(point, || place.stored().iter().any(|stored| !stored.submissions.is_empty()));
        place.until(point, || n_queries(&place, "calls") == n_due - 1);
        run.kill();
        assert_eq!(place.run(&[]), 0, "{point}: {}", place.said());
        assert!(place.said().contains("possible orphan"), "{point}: {}", place.said());
        judge_end(&place);
        assert_eq!(n_queries(&place, "calls"), n_due, "{point}");
    }
}
