//! Seeded worlds with all that tenants do, in which the power goes again and again, at drawn operations.
//!
//! The worlds are those of the seeds in `scenario.rs` in which every report must arrive; some of them get split. What
//! a drawn cut does to each of them is not known beforehand: the last life must deliver all the same.

use fastrand::Rng;

use cxtract::delivery::Survival;

use crate::crashes::assert_none;
use crate::forms::Form;
use crate::lives::{Life, Lives};
use crate::mortal::Blow;
use crate::recovery::{Between, is_done, judge_calls, judge_submissions, look_at_the_end, look_at_the_folder};
use crate::scenario::{Fortune, ReportPlan, Scenario};
use crate::spread::{over_all_cores, without_panic};

/// Seeds that a run of the tests takes; `CXTRACT_SIM_SEEDS` says otherwise.
const N_SEEDS: u64 = 80;

/// Lives that end by a power cut, at most.
const MAX_CUTS: u32 = 4;

/// Lives that a world may need without any cut: one may park before a tenant that is down.
const MAX_LIVES: u32 = 4;

/// What splits a report into three parts.
const SPLIT: &str = "split: 11d";

/// The scenario of a seed, if every report in it must arrive; and into how many parts reports are split.
fn fit_scenario(seed: u64) -> Option<(Scenario, usize)> {
    let mut scenario = Scenario::of(seed);
    let Scenario { world, tenants, reports, .. } = &mut scenario;
    let arrives = |fortune: Fortune| matches!(fortune, Fortune::Complete | Fortune::CompleteOrParked);
    let is_fit = reports.iter().all(|report| arrives(report.fortune)) && world.partitions.is_empty();
    if !is_fit || tenants.iter().any(|tenant| tenant.loses_submissions) {
        return None;
    }
    let is_split = seed.is_multiple_of(3);
    if is_split {
        world.yaml = world.yaml.replace("    page_size:", &format!("    {SPLIT}\n    page_size:"));
    }
    Some((scenario, if is_split { 3 } else { 1 }))
}

fn story(n_cuts: u32, n_others: u32) -> impl Fn(String) -> String {
    move |why| format!("after {n_cuts} cuts and {n_others} other lives: {why}")
}

fn live_and_die(seed: u64) -> Result<(), String> {
    let Some((scenario, n_parts)) = fit_scenario(seed) else { return Ok(()) };
    let mut due = scenario.due(if n_parts > 1 { SPLIT } else { "" }, |form| form != Form::PLAIN)?;
    let with_form = |report: &ReportPlan| Some((report.name.clone(), (report.form, due.remove(&report.name)?)));
    let due = scenario.reports.iter().filter_map(with_form).collect();
    let world = scenario.world;
    let mut rng = Rng::with_seed(seed);
    let mut lives = Lives::of(&world).with_due(due);
    let mut in_doubt = vec![0; world.asked.len()];
    let mut between = Between::now(&lives);
    let (mut n_cuts, mut n_others) = (0, 0);
    loop {
        let blow = [Blow::PowerCut, Blow::PowerCutAfter][rng.usize(..2)];
        let life = lives.live((n_cuts < MAX_CUTS).then(|| (rng.u64(0..120), blow)))?;
        let told = story(n_cuts, n_others);
        judge_calls(&lives, &between).map_err(&told)?;
        if is_done(&life) {
            break;
        }
        if let Life::Died = life {
            n_cuts += 1;
        } else {
            n_others += 1;
            if n_others > MAX_LIVES {
                return Err(told(format!("{life:?}")));
            }
        }
        let survival = [Survival::Least, Survival::Most, Survival::Drawn(rng.u64(..))][rng.usize(..3)];
        lives.restart(survival)?;
        look_at_the_folder(&lives).map_err(&told)?;
        between = Between::now(&lives);
        for (asked, in_doubt) in world.asked.iter().zip(&mut in_doubt) {
            *in_doubt += between.n_in_doubt(&asked.report);
        }
    }
    look_at_the_end(&lives)?;
    for (asked, in_doubt) in world.asked.iter().zip(&in_doubt) {
        judge_submissions(&lives, asked, n_parts, *in_doubt)?;
    }
    Ok(())
}

#[test]
fn k1_whatever_a_seed_brings_and_however_often_the_power_goes_the_last_life_delivers() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect(name));
    let seeds: Vec<u64> = match number("CXTRACT_SIM_SEED") {
        Some(seed) => vec![seed],
        None => (0..number("CXTRACT_SIM_SEEDS").unwrap_or(N_SEEDS)).collect(),
    };
    let n_seeds = seeds.len();
    let n_fit = seeds.iter().filter(|seed| fit_scenario(**seed).is_some()).count();
    let failed = over_all_cores(seeds, |seed| without_panic(|| live_and_die(seed)));
    println!("{n_fit} of {n_seeds} seeds are worlds in which every report must arrive");
    assert_none(&failed, n_seeds);
}
