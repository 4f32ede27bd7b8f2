//! Which windows an order comes to.

use super::*;

const SINCE: &str = "window: {since: 2024-03-01, lag: 30m}, output: {path: '{report}-{from}-{to}.csv'}";
const LAST: &str = "window: {last: 1d}, output: {path: '{report}-{from}.csv'}";

fn window(from: &str, to: &str) -> Window {
    Window { from: at(from), to: at(to) }
}

#[test]
fn a_changed_fixed_window_drops_the_unfinished_one_and_says_so() {
    let mut world = World::new("window: {from: 2024-01-01, to: 2024-01-31}");
    world.park(&world.due());
    world.is_now("window: {from: 2024-02-01, to: 2024-02-29}, page_size: 10");
    let agenda = world.due();
    assert_eq!(steps(&agenda), [(days("2024-02-01", "2024-02-29"), "start")]);
    assert_eq!(drops(&agenda), [(days("2024-01-01", "2024-01-31"), "/etc/cx/out/calls.csv")]);
    let told = &agenda.remarks[0];
    assert!(
        told.starts_with("calls: the unfinished extraction of 2024-01-01T00") && told.contains("dropped"),
        "{told}"
    );
    assert_eq!(world.ask(agenda.tasks[0].asked(), false).unwrap(), agenda, "asked for by its window it is the same");
}

#[test]
fn pieces_of_a_fixed_window_leave_each_other_alone() {
    let mut world = World::new("window: {from: 2024-01-01, to: 2024-01-02}, output: {path: '{from}.csv'}");
    let (first, second) = (days("2024-01-01", "2024-01-01"), days("2024-01-02", "2024-01-02"));
    world.park(&world.ask(Asked::Configured(first), false).unwrap());
    let agenda = world.ask(Asked::Configured(second), false).unwrap();
    assert_eq!((steps(&agenda), drops(&agenda)), (vec![(second, "start")], vec![]));
    assert_eq!(steps(&world.ask(Asked::Configured(first), false).unwrap()), [(first, "go on")]);
}

#[test]
fn a_given_window_leaves_what_is_unfinished_alone() {
    let mut world = World::new("window: {from: 2024-01-01, to: 2024-01-31}, output: {path: '{from}.csv'}");
    world.park(&world.due());
    let other = days("2024-02-01", "2024-02-02");
    let agenda = world.given(other);
    assert_eq!((steps(&agenda), drops(&agenda)), (vec![(other, "start")], vec![]));
    assert_eq!(agenda.tasks[0].begun.origin, Origin::Given);
    world.park(&agenda);
    assert_eq!(steps(&world.given(other)), [(other, "go on")]);
    let due = world.due();
    assert_eq!((steps(&due), drops(&due)), (vec![(days("2024-01-01", "2024-01-31"), "go on")], vec![]));
}

#[test]
fn two_windows_never_share_one_unfinished_file() {
    for end in [World::park, World::fail] {
        let mut world = World::new("window: {from: 2024-01-01, to: 2024-01-31}");
        let due = world.due();
        end(&mut world, &due);
        let agenda = world.given(days("2024-02-01", "2024-02-02"));
        assert_eq!(drops(&agenda), [(days("2024-01-01", "2024-01-31"), "/etc/cx/out/calls.csv")]);
        assert!(agenda.remarks[0].contains("/etc/cx/out/calls.csv is to be written for 2024-02-01"));
    }
}

#[test]
fn an_unfinished_last_window_is_finished_first_and_the_present_one_follows() {
    let mut world = World::new(LAST);
    let (old, present) = (days("2024-03-31", "2024-03-31"), days("2024-04-01", "2024-04-01"));
    world.park(&world.due());
    assert_eq!(steps(&world.due()), [(old, "go on")], "the present window is that one");
    world.set_now("2024-04-02T01:00:00Z");
    assert_eq!(steps(&world.due()), [(old, "go on"), (present, "start")]);
    world.complete(&world.due());
    assert_eq!(steps(&world.due()), [(present, "start")]);
    world.complete(&world.due());
    assert_eq!(steps(&world.due()), [(present, "skip")]);
    assert_eq!(world.watermark(), None);
}

#[test]
fn fresh_drops_the_unfinished_last_windows_and_repeats_the_present_one() {
    let mut world = World::new(LAST);
    world.park(&world.due());
    world.set_now("2024-04-02T01:00:00Z");
    let agenda = world.fresh();
    assert_eq!(steps(&agenda), [(days("2024-04-01", "2024-04-01"), "start")]);
    assert_eq!(drops(&agenda), [(days("2024-03-31", "2024-03-31"), "/etc/cx/out/calls-2024-03-31.csv")]);
    assert_eq!(world.ask(agenda.tasks[0].asked(), true).unwrap(), agenda);
}

#[test]
fn f2_an_unfinished_last_window_of_another_configuration_is_a_conflict() {
    let mut world = World::new(LAST);
    world.park(&world.due());
    world.set_now("2024-04-02T01:00:00Z");
    world.is_now(&format!("{LAST}, page_size: 10"));
    assert!(world.conflict().contains("page_size was 5000, is 10"));
    assert_eq!(world.fresh().tasks.len(), 1);
}

#[test]
fn an_unfinished_since_window_is_finished_first_and_the_present_one_follows_on_it() {
    let mut world = World::new(SINCE);
    let first = window("2024-03-01T00:00:00Z", "2024-04-01T09:30:00Z");
    world.park(&world.due());
    world.set_now("2024-04-01T11:00:00Z");
    let due = world.due();
    let second = window("2024-04-01T09:30:00.001Z", "2024-04-01T10:30:00Z");
    assert_eq!(steps(&due), [(first, "go on"), (second, "start")]);
    assert_eq!(due.tasks[1].watermark(&world.report), Some(second.to));
    world.complete(&due);
    assert_eq!(world.watermark(), Some(first.to));
    world.set_now("2024-04-01T11:00:00Z");
    assert_eq!(steps(&world.due()), [(second, "start")]);
}

#[test]
fn what_follows_on_an_unfinished_since_window_waits_for_it() {
    let mut world = World::new(SINCE);
    world.park(&world.due());
    world.set_now("2024-04-01T11:00:00Z");
    let second = world.due().tasks[1].asked();
    let agenda = world.ask(second, false).unwrap();
    assert!(matches!(&agenda.tasks[0].step, Step::Skip(why) if why.contains("not complete yet")), "{agenda:?}");
    world.complete(&world.due());
    assert_eq!(world.ask(second, false).unwrap().tasks[0].step, Step::Start);
}

#[test]
fn a_since_report_with_nothing_to_ask_yet_asks_nothing_and_says_from_when_on() {
    let mut world = World::new(SINCE);
    world.complete(&world.due());
    world.set_now("2024-04-01T10:00:00Z");
    let agenda = world.due();
    assert_eq!((agenda.tasks.len(), agenda.drops.len()), (0, 0));
    assert!(agenda.remarks[0].contains("begins at 2024-04-01T09:30:00.001Z"), "{:?}", agenda.remarks);
    world.set_now("2023-01-01T00:00:00Z");
    assert!(world.due().tasks.is_empty(), "a clock set back asks nothing");
}

#[test]
fn a_failed_since_window_is_covered_by_the_present_one() {
    let mut world = World::new(SINCE);
    let failed = world.fail(&world.due());
    world.set_now("2024-04-01T12:00:00Z");
    let agenda = world.due();
    assert_eq!(steps(&agenda), [(window("2024-03-01T00:00:00Z", "2024-04-01T11:30:00Z"), "start")]);
    assert_eq!(agenda.drops[0].key, failed);
    assert_eq!(world.ask(agenda.tasks[0].asked(), false).unwrap(), agenda);
}

#[test]
fn fresh_repeats_the_last_since_window_and_leaves_the_watermark() {
    let mut world = World::new(SINCE);
    assert_eq!(world.fresh().tasks, world.due().tasks, "nothing is stored: the first window");
    let first = world.complete(&world.due()).window;
    world.set_now("2024-04-02T00:00:00Z");
    let second = world.complete(&world.due()).window;
    world.set_now("2024-04-03T00:00:00Z");
    let fresh = world.fresh();
    assert_eq!((steps(&fresh), fresh.drops.len()), (vec![(second, "start")], 0));
    world.complete(&fresh);
    assert_eq!(world.watermark(), Some(second.to));
    world.is_now(&format!("{SINCE}, page_size: 10"));
    let fresh = world.fresh();
    assert_eq!(steps(&fresh), [(second, "start")], "with the present configuration");
    world.fail(&fresh);
    assert_eq!(steps(&world.fresh()), [(second, "start")], "a repetition that failed is still the last one");
    assert_eq!(steps(&world.due())[0], (second, "start"), "and starts again on the next run");
    assert_eq!(world.due().tasks.len(), 2, "before the present window");
    assert_ne!(first, second);
}

#[test]
fn fresh_starts_an_unfinished_or_failed_since_window_again_and_nothing_further() {
    for end in [World::park, World::fail] {
        let mut world = World::new(SINCE);
        world.complete(&world.due());
        world.set_now("2024-04-02T00:00:00Z");
        let agenda = world.due();
        let key = end(&mut world, &agenda);
        world.set_now("2024-04-03T00:00:00Z");
        world.is_now(&format!("{SINCE}, page_size: 10"));
        let fresh = world.fresh();
        assert_eq!(steps(&fresh), [(key.window, "start")]);
        assert_eq!(fresh.drops.len(), 1, "what is stored with the old configuration");
        assert_eq!(world.ask(fresh.tasks[0].asked(), true).unwrap(), fresh);
    }
}

#[test]
fn given_windows_never_move_the_watermark_of_a_since_report() {
    let mut world = World::new(SINCE);
    let agenda = world.given(days("2024-03-01", "2024-03-15"));
    assert_eq!(agenda.tasks[0].watermark(&world.report), None);
    world.complete(&agenda);
    assert_eq!(world.watermark(), None);
    assert_eq!(world.due().tasks[0].key.window.from, at("2024-03-01T00:00:00Z"));
}

#[test]
fn an_unfinished_since_window_that_somebody_finishes_by_its_bounds_leaves_the_watermark() {
    let mut world = World::new(SINCE);
    let key = world.park(&world.due());
    let agenda = world.given(key.window);
    assert_eq!((steps(&agenda), agenda.tasks[0].watermark(&world.report)), (vec![(key.window, "go on")], None));
    assert_eq!(world.due().tasks[0].watermark(&world.report), Some(key.window.to));
    world.complete(&agenda);
    assert_eq!(world.watermark(), None);
    let again = world.ask(Asked::Configured(key.window), false).unwrap();
    assert_eq!(steps(&again), [(key.window, "start")], "the row of windows is not to wait for ever");
}

#[test]
fn work_of_an_earlier_kind_of_window_never_moves_a_since_report_over_a_gap() {
    let mut world = World::new("window: {from: 2024-03-20, to: 2024-03-21}");
    world.park(&world.due());
    world.is_now(SINCE);
    let agenda = world.due();
    assert_eq!(steps(&agenda), [(window("2024-03-01T00:00:00Z", "2024-04-01T09:30:00Z"), "start")]);
    assert_eq!(drops(&agenda), [(days("2024-03-20", "2024-03-21"), "/etc/cx/out/calls.csv")]);
}

#[test]
fn an_unfinished_first_since_window_is_finished_though_since_has_moved_on() {
    let mut world = World::new(SINCE);
    let first = world.park(&world.due()).window;
    world.is_now(&SINCE.replace("2024-03-01", "2024-03-10"));
    assert_eq!(steps(&world.due()), [(first, "go on")]);
    world.is_now(&SINCE.replace("2024-03-01", "2024-02-01"));
    let agenda = world.due();
    assert_eq!(agenda.tasks[0].key.window.from, at("2024-02-01T00:00:00Z"), "an earlier beginning is asked for");
    assert_eq!((agenda.tasks.len(), agenda.drops.len()), (1, 1));
}

#[test]
fn a_publication_that_was_begun_is_handed_on_with_what_is_dropped() {
    let mut world = World::new("window: {from: 2024-01-01, to: 2024-01-31}");
    let key = world.park(&world.due());
    world.store.save_delivery(&key, "how", "{}").unwrap();
    world.is_now("window: {from: 2024-02-01, to: 2024-02-29}");
    assert_eq!(world.due().drops[0].delivery.as_deref(), Some("how"));
}

#[test]
fn a_window_that_cannot_be_made_out_is_told_with_the_report() {
    let world = World::new("window: {last: 1d}, output: {path: '{from}.csv'}");
    world.now.store(i64::MAX, Ordering::Relaxed);
    let Err(AgendaFault::Window(problem)) = world.ask(Asked::Due, false) else { panic!("made out") };
    assert!(problem.to_string().contains("of report calls"), "{problem}");
}

#[test]
fn a_since_window_never_replaces_the_file_of_the_one_before_it() {
    let mut world = World::new("window: {since: 2024-03-01}, output: {path: '{from}.csv'}");
    for now in ["2024-04-01T10:00:00.100Z", "2024-04-01T10:00:00.400Z"] {
        world.set_now(now);
        world.complete(&world.due());
    }
    world.set_now("2024-04-01T10:00:00.900Z");
    assert!(world.conflict().contains("/etc/cx/out/20240401T100000Z.csv, which is that of 2024-04-01T10:00:00.101Z"));
    world.files.clear();
    assert_eq!(world.due().tasks.len(), 1, "a file that was fetched away is not in danger");
}

#[test]
fn a_since_window_planned_before_another_run_completed_what_it_overlaps_is_skipped() {
    let mut world = World::new(SINCE);
    let planned = world.due().tasks[0].asked();
    world.set_now("2024-04-01T11:00:00Z");
    let of_the_other_run = world.due();
    world.complete(&of_the_other_run);
    let agenda = world.ask(planned, false).unwrap();
    assert_eq!(steps(&agenda).iter().map(|(_, step)| *step).collect::<Vec<_>>(), ["skip"]);
    assert!(matches!(&agenda.tasks[0].step, Step::Skip(why) if why.contains("complete already in another window")));
}
