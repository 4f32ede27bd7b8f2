//! Which extractions may be taken for each other.

use super::*;

const JANUARY: &str = "window: {from: 2024-01-01, to: 2024-01-31}";

fn january() -> Window {
    days("2024-01-01", "2024-01-31")
}

#[test]
fn what_is_unfinished_goes_on_with_what_it_began_with() {
    let mut world = World::new(JANUARY);
    let first = world.due();
    assert_eq!(steps(&first), [(january(), "start")]);
    assert_eq!(first.tasks[0].begun.output, "/etc/cx/out/calls.csv");
    world.park(&first);
    let second = world.due();
    assert_eq!(steps(&second), [(january(), "go on")]);
    assert_eq!(second.tasks[0].begun, first.tasks[0].begun);
    assert_eq!((&second.drops, &second.remarks), (&vec![], &vec![]));
}

#[test]
fn what_is_complete_is_skipped_while_its_file_has_the_recorded_size() {
    let mut world = World::new(JANUARY);
    world.complete(&world.due());
    assert_eq!(steps(&world.due()), [(january(), "skip")]);
    assert!(world.due().remarks.is_empty());
    let file = PathBuf::from("/etc/cx/out/calls.csv");
    world.files.insert(file.clone(), 99);
    let again = world.due();
    assert_eq!(steps(&again), [(january(), "start")]);
    assert!(again.remarks[0].contains("calls.csv has 99 bytes instead of 100"), "{:?}", again.remarks);
    world.files.remove(&file);
    let again = world.due();
    assert_eq!(steps(&again), [(january(), "start")]);
    assert!(again.remarks[0].contains("is not there"), "{:?}", again.remarks);
}

#[test]
fn a_file_that_another_window_has_replaced_does_not_count_even_if_it_is_as_large() {
    let mut world = World::new(JANUARY);
    world.complete(&world.due());
    world.complete(&world.given(days("2024-02-01", "2024-02-29")));
    let again = world.due();
    assert_eq!(steps(&again), [(january(), "start")]);
    assert!(again.remarks[0].contains("written again for 2024-02-01"), "{:?}", again.remarks);
    world.complete(&again);
    assert_eq!(steps(&world.due()), [(january(), "skip")]);
}

#[test]
fn standard_output_is_never_skipped_and_a_hosts_sink_is_trusted() {
    let mut world = World::new(&format!("{JANUARY}, output: {{path: '-'}}"));
    world.complete(&world.due());
    world.files.clear();
    let again = world.due();
    assert_eq!((steps(&again), again.remarks.len()), (vec![(january(), "start")], 0));
    assert_eq!(again.tasks[0].begun.output, "-");
    let mut world = World::new(JANUARY);
    world.has_host_sink = true;
    world.complete(&world.due());
    world.files.clear();
    assert_eq!(steps(&world.due()), [(january(), "skip")]);
}

#[test]
fn a_failed_one_starts_again() {
    let mut world = World::new(JANUARY);
    world.fail(&world.due());
    let again = world.due();
    assert_eq!((steps(&again), again.drops), (vec![(january(), "start")], vec![]));
}

#[test]
fn fresh_starts_again_whatever_is_stored() {
    for end in [World::park, World::fail, World::complete] {
        let mut world = World::new(JANUARY);
        let agenda = world.due();
        end(&mut world, &agenda);
        let fresh = world.fresh();
        assert_eq!((steps(&fresh), fresh.drops), (vec![(january(), "start")], vec![]));
    }
}

#[test]
fn f2_unfinished_work_whose_question_or_form_changed_is_a_conflict_that_names_the_keys() {
    for (change, told) in [
        ("page_size: 1000", "page_size was 5000, is 1000"),
        (
            "filters: [{field: channel, operator: eq, value: voice}]",
            "filters was [], is [[\"channel\",\"eq\",\"voice\"]]",
        ),
        ("split: 1d", "split was nothing, is 1d in UTC"),
        ("csv: {excel_safe: true}", "csv.excel_safe was false, is true"),
        ("output: {encoding: utf-8-sig}", "output.encoding was utf-8, is utf-8-sig"),
        ("output: {compression: gzip}", "output.compression was none, is gzip"),
        ("output: {path: other.csv}", "output.path was /etc/cx/out/calls.csv, is /etc/cx/out/other.csv"),
        ("output: {dir: away}", "output.dir was /etc/cx/out/calls.csv, is /etc/cx/away/calls.csv"),
        ("output: {path: '-'}", "output.path was /etc/cx/out/calls.csv, is -"),
    ] {
        let mut world = World::new(JANUARY);
        let agenda = world.due();
        world.park(&agenda);
        world.is_now(&format!("{JANUARY}, {change}"));
        let text = world.conflict();
        assert!(text.contains(told) && text.contains("--fresh") && text.starts_with("calls: "), "{change}: {text}");
        assert_eq!(text.matches(" was ").count(), 1, "only what has changed: {text}");
        let fresh = world.fresh();
        assert_eq!(steps(&fresh), [(january(), "start")], "{change}");
        assert_eq!(drops(&fresh), [(january(), "/etc/cx/out/calls.csv")], "the old part goes: {change}");
    }
}

#[test]
fn f2_every_changed_key_is_named_and_the_change_undone_goes_on() {
    let mut world = World::new(JANUARY);
    world.park(&world.due());
    world.is_now(&format!("{JANUARY}, page_size: 10, csv: {{repair: join, ragged: reject}}"));
    let text = world.conflict();
    for key in ["page_size was", "csv.repair was off, is join", "csv.ragged was fail, is reject"] {
        assert!(text.contains(key), "{key}: {text}");
    }
    world.is_now(JANUARY);
    assert_eq!(steps(&world.due()), [(january(), "go on")]);
}

#[test]
fn f2_what_is_tuned_only_goes_on() {
    let mut world = World::new(JANUARY);
    world.park(&world.due());
    world.is_now(&format!("{JANUARY}, pages: {{repeated: accept}}, total_count: {{on_mismatch: fail}}"));
    assert_eq!(steps(&world.due()), [(january(), "go on")]);
}

#[test]
fn f5_a_complete_one_is_extracted_again_when_its_filter_is_corrected_and_again_when_it_is_put_back() {
    let mut world = World::new(JANUARY);
    world.complete(&world.due());
    world.is_now(&format!("{JANUARY}, filters: [{{field: a, operator: eq, value: 1}}]"));
    let corrected = world.due();
    assert_eq!((steps(&corrected), corrected.drops.len()), (vec![(january(), "start")], 0));
    world.complete(&corrected);
    assert_eq!(steps(&world.due()), [(january(), "skip")]);
    world.is_now(JANUARY);
    let back = world.due();
    assert_eq!(steps(&back), [(january(), "start")], "the file holds what the other filter let through");
    assert!(back.remarks[0].contains("another configuration"), "{:?}", back.remarks);
}

#[test]
fn a_failed_one_of_another_configuration_is_given_up() {
    let mut world = World::new(JANUARY);
    world.fail(&world.due());
    world.is_now(&format!("{JANUARY}, page_size: 10"));
    let again = world.due();
    assert_eq!(steps(&again), [(january(), "start")]);
    assert_eq!(drops(&again), [(january(), "/etc/cx/out/calls.csv")]);
}

#[test]
fn one_file_is_one_file_wherever_the_program_is_started() {
    let mut world = World::new(JANUARY);
    let relative = |dir: &str| {
        let mut report = (*report(JANUARY)).clone();
        report.output.dir = PathBuf::from(dir);
        Arc::new(report)
    };
    (world.report, world.here) = (relative("./out"), PathBuf::from("/srv/cx"));
    let agenda = world.due();
    assert_eq!(agenda.tasks[0].begun.output, "/srv/cx/out/calls.csv");
    world.park(&agenda);
    (world.report, world.here) = (relative("cx/out"), PathBuf::from("/srv"));
    assert_eq!(steps(&world.due()), [(january(), "go on")]);
    world.here = PathBuf::from("/");
    assert!(world.conflict().contains("output.dir was /srv/cx/out/calls.csv, is /cx/out/calls.csv"));
}
