//! Many seeds, each a world of its own, each held to what was drawn for it.

use crate::judge::breaches;
use crate::scenario::Scenario;
use crate::spread::{over_all_cores, without_panic};

/// Seeds that a run of the tests takes.
const N_SEEDS: u64 = 100;

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} must be a whole number, not {text}")))
}

/// Runs a seed's scenario; every breach in words. `tells_all`: and the whole story behind it.
fn run(scenario: &Scenario, tells_all: bool) -> Result<(), Vec<String>> {
    let due = without_panic(|| scenario.due("", |form| form.mends)).map_err(|why| vec![why])?;
    let after = without_panic(|| scenario.world.run()).map_err(|why| vec![why])?;
    let mut found = breaches(scenario, &due, &after);
    if found.is_empty() {
        return Ok(());
    }
    if tells_all {
        found.push(scenario.world.yaml.clone());
        found.extend(scenario.world.partitions.iter().map(|partition| format!("{partition:?}")));
        found.extend(after.log());
    }
    Err(found)
}

#[test]
fn whatever_a_seed_brings_every_report_ends_as_it_must() {
    let seeds = match number("CXTRACT_SIM_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("CXTRACT_SIM_SEEDS").unwrap_or(N_SEEDS),
    };
    let is_alone = seeds.end - seeds.start == 1;
    let failed = over_all_cores(seeds.clone().collect(), |seed| run(&Scenario::of(seed), is_alone));
    let told: Vec<_> = failed
        .iter()
        .map(|(seed, found)| {
            let again = format!("CXTRACT_SIM_SEED={seed} cargo test --test sim whatever");
            format!("seed {seed} (alone: {again}):\n    {}", found.join("\n    "))
        })
        .collect();
    assert!(failed.is_empty(), "{} of {} seeds failed:\n{}", failed.len(), seeds.end - seeds.start, told.join("\n"));
}

#[test]
fn a_pause_told_to_a_page_past_the_end_holds_for_the_reports_that_go_on() {
    // In this world a report ends while a page past its end is still out, and that page is answered with a pause.
    assert_eq!(run(&Scenario::plain(198), false), Ok(()));
}

#[test]
fn the_same_seed_tells_the_same_story_call_by_call() {
    for seed in [2, 53, 55] {
        let log = || Scenario::of(seed).world.run().expect("it ends").log();
        let (first, second) = (log(), log());
        let differs = first.iter().zip(&second).position(|(a, b)| a != b);
        if let Some(at) = differs {
            panic!("seed {seed} differs at {at}:\n{}\n{}", first[at], second[at]);
        }
        assert_eq!(first.len(), second.len());
        assert!(first.len() > 20);
    }
}
