//! The power goes at the nth operation on disk or store, for every n; the next engine must end with the same bytes.
//!
//! Operations of both are counted in one row. After each cut the disk is put together from what was synced, from all
//! that was written, and from a drawn part of it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cxtract::delivery::Survival;
use cxtract::mock::{MockReport, MockTenant};

use crate::forms::{Due, Form, Formed, Packing, undisturbed};
use crate::lives::{Life, Lives};
use crate::mortal::Blow;
use crate::recovery::{Between, is_done, judge_calls, judge_submissions, look_at_the_end, look_at_the_folder};
use crate::spread::{over_all_cores, without_panic};
use crate::world::World;

/// Requests under way at once in these worlds.
const MAX_IN_FLIGHT: usize = 4;

/// Pages that may be written and not yet durable: a batch that is filled while one is being synced.
const PAGES_NOT_DURABLE: usize = 32;

/// A 50-page report whose query is ready soon.
pub fn fifty_pages() -> World {
    of_pages(50, None, "page_size: 20")
}

/// Three parts of 17 pages, two of them open at once.
pub fn three_parts() -> World {
    of_pages(17, None, "page_size: 20\nsplit: 11d")
}

fn of_pages(pages: u64, flaw_every: Option<u64>, report: &str) -> World {
    let mock = MockTenant::builder()
        .requests_per_second(f64::INFINITY)
        .ready_after(Duration::from_millis(300))
        // So slow that sixteen pages take long enough to be made durable together, and no longer.
        .latency(Duration::from_millis(80))
        .report("detail", MockReport { flaw_every, ..MockReport::with_rows(pages * 20) });
    let lines = format!(
        "rate_limit: {{requests_per_second: 1000, burst: 1000}}\nmax_in_flight: {MAX_IN_FLIGHT}\nmax_queries: 2\n\
         poll: {{initial_delay: 200ms, max_delay: 400ms}}\nretry: {{base_delay: 50ms, max_delay: 200ms}}"
    );
    World { bound: Duration::from_secs(600), ..World::of_one(mock, &lines, report) }
}

/// What must come of reports that ask for more than their bytes as they come.
type Dues = BTreeMap<String, (Form, Due)>;

/// A report of that form, spoiled here and there, and what must come of it.
fn spoiled(pages: u64, form: Form, more_lines: &str) -> (World, Dues) {
    let lines = format!("page_size: 20\n{}{more_lines}", form.lines());
    let world = of_pages(pages, Some(9), &lines);
    let formed = Formed { asked: world.asked[0].clone(), form, lines };
    let due = undisturbed(&world, &[formed]).expect("undisturbed, it ends as it must");
    assert!(due.values().all(|due| due.files.len() == 3), "rejects and receipts are part of it");
    (world, due.into_iter().map(|(report, due)| (report, (form, due))).collect())
}

/// Which moment, and what survives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Cut {
    nth: u64,
    blow: Blow,
    survival: u64,
}

fn survival_of(cut: Cut) -> Survival {
    match cut.survival {
        0 => Survival::Least,
        1 => Survival::Most,
        seed => Survival::Drawn(seed * 1000 + cut.nth),
    }
}

/// Whether there was a position to go on from comes back.
fn crash_and_go_on(world: &World, due: &Dues, n_parts: usize, cut: Cut) -> Result<bool, String> {
    let mut lives = Lives::of(world).with_due(due.clone());
    let first = lives.live(Some((cut.nth, cut.blow)))?;
    let what = lives.machine.operation(cut.nth);
    let told = |why: String| format!("{what}: {why}");
    if !matches!(first, Life::Died) {
        return Err(told(format!("the power stayed on: {first:?}")));
    }
    lives.restart(survival_of(cut)).map_err(told)?;
    look_at_the_folder(&lives).map_err(told)?;
    let between = Between::now(&lives);
    let second = lives.live(None).map_err(told)?;
    if !is_done(&second) {
        return Err(told(format!("the second life ended with {second:?}")));
    }
    look_at_the_end(&lives).map_err(told)?;
    let again = judge_calls(&lives, &between).map_err(told)?;
    let is_packed = due.values().any(|(form, _)| form.packing != Packing::None);
    // A frame that was not ended is fetched again from its beginning.
    if !is_packed && again > PAGES_NOT_DURABLE + 4 * MAX_IN_FLIGHT {
        return Err(told(format!("{again} pages were fetched again")));
    }
    judge_submissions(&lives, &lives.asked()[0], n_parts, between.n_in_doubt("calls")).map_err(told)?;
    Ok(between.stored.iter().any(|stored| stored.checkpoint.is_some()))
}

/// The operations that an undisturbed life takes, by name.
pub fn operations(world: &World) -> Vec<&'static str> {
    operations_to(world, &Dues::new())
}

fn operations_to(world: &World, due: &Dues) -> Vec<&'static str> {
    let mut lives = Lives::of(world).with_due(due.clone());
    let life = lives.live(None).expect("it ends");
    assert!(is_done(&life), "undisturbed, it ends with {life:?}");
    look_at_the_end(&lives).expect("undisturbed, it leaves what it must");
    (0..lives.machine.n_operations()).map(|nth| lives.machine.operation(nth)).collect()
}

/// All ways in which the power can go at an operation. A turn at the tenant's gate changes nothing on the disk, so that
/// one way is enough there.
fn cuts_at(nth: u64, operation: &str) -> Vec<Cut> {
    let cut = |blow, survival| Cut { nth, blow, survival };
    match operation {
        "take_turn" => vec![cut(Blow::PowerCut, nth % 3)],
        _ => (0..3).map(|survival| cut(Blow::PowerCut, survival)).chain([cut(Blow::PowerCutAfter, 0)]).collect(),
    }
}

/// All that failed, in words, and how one of them is run alone.
pub fn assert_none<C: std::fmt::Debug>(failed: &[(C, String)], n_cases: usize) {
    let told: Vec<_> = failed.iter().take(20).map(|(case, why)| format!("{case:?}: {why}")).collect();
    assert!(failed.is_empty(), "{} of {n_cases} failed, the first of them:\n  {}", failed.len(), told.join("\n  "));
}

fn crash_everywhere(world: &World, due: &Dues, n_parts: usize, step: usize) {
    let cuts: Vec<_> =
        (0..).zip(operations_to(world, due)).step_by(step).flat_map(|(nth, name)| cuts_at(nth, name)).collect();
    let n_cuts = cuts.len();
    let n_resumed = AtomicUsize::new(0);
    let failed = over_all_cores(cuts, |cut| {
        let has_resumed = without_panic(|| crash_and_go_on(world, due, n_parts, cut))?;
        n_resumed.fetch_add(usize::from(has_resumed), Ordering::Relaxed);
        Ok(())
    });
    assert_none(&failed, n_cuts);
    let n_resumed = n_resumed.into_inner();
    assert!(n_resumed > n_cuts / 10, "only {n_resumed} of {n_cuts} went on from a position");
    println!("{n_cuts} power cuts, {n_resumed} of them with a position to go on from");
}

#[test]
fn d4_after_a_power_cut_at_any_operation_of_a_50_page_report_the_next_run_delivers_the_same_bytes() {
    crash_everywhere(&fifty_pages(), &Dues::new(), 1, 1);
}

#[test]
fn d4_after_a_power_cut_in_a_split_report_the_next_run_delivers_the_same_bytes() {
    crash_everywhere(&three_parts(), &Dues::new(), 3, 4);
}

#[test]
fn d4_after_a_power_cut_in_a_packed_report_with_bad_records_the_next_run_leaves_the_same_files() {
    let (world, due) = spoiled(6, Form { packing: Packing::Zstd, mends: true }, "split: 11d");
    crash_everywhere(&world, &due, 3, 5);
}

#[test]
fn d4_after_a_power_cut_in_a_report_with_bad_records_the_next_run_leaves_the_same_files() {
    let (world, due) = spoiled(24, Form { packing: Packing::None, mends: true }, "");
    crash_everywhere(&world, &due, 1, 9);
}
