//! The nth operation on disk or store fails, for every n, and the machine goes on: nothing wrong is ever shown, and
//! later runs end with the same bytes.

use cxtract::Ending;

use crate::crashes::{assert_none, fifty_pages, operations, three_parts};
use crate::lives::{Life, Lives};
use crate::mortal::Blow;
use crate::recovery::{Between, is_done, look_at_the_end, look_at_the_folder};
use crate::spread::{over_all_cores, without_panic};
use crate::world::World;

/// Runs after the one that met the error: the first of them may find an output that can't be trusted any more.
const MORE_LIVES: usize = 2;

/// Whether an ending says what it is about.
fn is_named(words: &str) -> bool {
    ["calls", "/sim/", "state store", "scratch"].iter().any(|name| words.contains(name))
}

/// A life that met an error ends delivered, parked, or failed by name.
fn judge_life(life: &Life) -> Result<(), String> {
    let endings = match life {
        Life::NotStarted(why) if is_named(why) => return Ok(()),
        Life::NotStarted(why) => return Err(format!("not started, and what it is about is not said: {why}")),
        Life::Died => return Err("it died".to_owned()),
        Life::Over(endings) => endings,
    };
    for ending in endings.values() {
        let words = match ending {
            Ok(Ending::Complete(_) | Ending::Skipped(_)) => continue,
            Ok(Ending::Parked(park)) => &park.message,
            Ok(Ending::Failed(failure)) | Err(failure) => &failure.message,
        };
        if !is_named(words) {
            return Err(format!("what it is about is not said: {words}"));
        }
    }
    Ok(())
}

fn has_failed(life: &Life) -> bool {
    matches!(life, Life::Over(endings) if endings.values().any(|ending| matches!(ending, Ok(Ending::Failed(_)))))
}

fn fail_and_go_on(world: &World, n_parts: usize, nth: u64, blow: Blow) -> Result<(), String> {
    let mut lives = Lives::of(world);
    let first = lives.live(Some((nth, blow)))?;
    let what = lives.machine.operation(nth);
    let told = |why: String| format!("{what}: {why}");
    judge_life(&first).map_err(told)?;
    look_at_the_folder(&lives).map_err(told)?;
    let was_done = is_done(&first);
    let (mut last, mut n_failed, mut in_doubt) = (first, 0, 0);
    for _ in 0..MORE_LIVES {
        n_failed += usize::from(has_failed(&last));
        in_doubt += Between::now(&lives).n_in_doubt("calls");
        // The process has ended and the machine lives on: all that was written is still there.
        lives.restart(cxtract::delivery::Survival::Most).map_err(told)?;
        last = lives.live(None).map_err(told)?;
        look_at_the_folder(&lives).map_err(told)?;
        if is_done(&last) {
            break;
        }
        if was_done {
            return Err(told(format!("it was delivered, and then: {last:?}")));
        }
    }
    if !is_done(&last) {
        return Err(told(format!("after {MORE_LIVES} more runs: {last:?}")));
    }
    look_at_the_end(&lives).map_err(told)?;
    // What was parked goes on with its queries; what has failed starts again under new ones.
    let n_queries = lives.n_queries(&lives.asked()[0]);
    if n_queries > n_parts * (1 + n_failed) + in_doubt {
        return Err(told(format!("{n_queries} queries, after {n_failed} failures and {in_doubt} unknown outcomes")));
    }
    Ok(())
}

fn fail_everywhere(world: &World, n_parts: usize, blow: Blow, step: usize) {
    let nths: Vec<u64> = (0..).take(operations(world).len()).step_by(step).collect();
    let n_cases = nths.len();
    let failed = over_all_cores(nths, |nth| without_panic(|| fail_and_go_on(world, n_parts, nth, blow)));
    assert_none(&failed, n_cases);
    println!("{n_cases} operations failed in turn, by {blow:?}");
}

#[test]
fn d2_an_error_at_any_operation_of_a_50_page_report_never_leads_to_wrong_bytes() {
    fail_everywhere(&fifty_pages(), 1, Blow::Error, 1);
}

#[test]
fn d1_a_full_disk_at_any_operation_of_a_50_page_report_never_leads_to_wrong_bytes() {
    fail_everywhere(&fifty_pages(), 1, Blow::Full, 1);
}

#[test]
fn d2_an_error_in_a_split_report_never_leads_to_wrong_bytes() {
    fail_everywhere(&three_parts(), 3, Blow::Error, 4);
}
