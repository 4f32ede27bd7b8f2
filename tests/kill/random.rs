//! `kill -9` at random moments, again and again until a run ends by itself.
//!
//! A moment is drawn as a time after the start, or as a number of calls that the tenant has seen and a few
//! milliseconds more, so that starting, submitting, polling, fetching and finishing are all met.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cxtract::mock::{MockReport, MockTenant, MockTenantBuilder};
use fastrand::Rng;

use crate::judge::{Between, judge_calls, judge_end, judge_folder, n_queries};
use crate::place::{PATIENCE, Place};

/// Kills in all, if nothing is said.
const N_KILLS: usize = 60;

/// Worlds that share them.
const N_WORLDS: usize = 5;

/// Places that a world works in at once.
const N_AT_ONCE: usize = 2;

/// Pages that may have come and not be durable yet: a batch, what is on its way into one that is being synced, and
/// what lies ahead of the page that is written next.
const MAX_AGAIN: usize = 32;

fn number(name: &str, usual: usize) -> usize {
    let Ok(text) = std::env::var(name) else { return usual };
    text.parse().unwrap_or_else(|_| panic!("{name} must be a whole number, not {text}"))
}

/// A tenant whose pages take a while, so that a run has many moments.
fn mock() -> MockTenantBuilder {
    MockTenant::builder()
        .requests_per_second(f64::INFINITY)
        .ready_after(Duration::from_millis(150))
        .latency(Duration::from_millis(30))
}

/// What an undisturbed run takes.
#[derive(Clone, Copy)]
struct Span {
    time: Duration,
    n_calls: usize,
}

fn undisturbed(place: &Place) -> Span {
    let start = Instant::now();
    assert_eq!(place.run(&[]), 0, "{}", place.said());
    judge_end(place);
    Span { time: start.elapsed(), n_calls: place.n_calls() }
}

enum Moment {
    After(Duration),
    AtCall(usize, Duration),
}

impl Moment {
    fn draw(rng: &mut Rng, span: Span) -> Self {
        let share = |whole: Duration, rng: &mut Rng| whole.mul_f64(rng.f64());
        match rng.u32(0..10) {
            0..4 => Self::After(share(span.time, rng)),
            _ => Self::AtCall(rng.usize(0..span.n_calls + 2), share(Duration::from_millis(40), rng)),
        }
    }
}

/// Runs until the moment has come; whether the run was killed then, and had not ended by itself.
fn run_until(place: &Place, moment: &Moment) -> bool {
    let (start, n_before) = (Instant::now(), place.n_calls());
    let mut run = place.start(&[]);
    let mut seen_at = None;
    loop {
        if let Some(status) = run.ended() {
            assert_eq!(status.code(), Some(0), "{}", place.said());
            return false;
        }
        let is_due = match moment {
            Moment::After(delay) => start.elapsed() >= *delay,
            Moment::AtCall(n, more) => {
                if seen_at.is_none() && place.n_calls() - n_before >= *n {
                    seen_at = Some(Instant::now());
                }
                seen_at.is_some_and(|at| at.elapsed() >= *more)
            }
        };
        if is_due {
            run.kill();
            return true;
        }
        assert!(start.elapsed() < PATIENCE, "it does not end: {}", place.said());
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// What a chain of kills came to.
#[derive(Default)]
struct Tally {
    n_kills: AtomicUsize,
    n_chains: AtomicUsize,
    n_resumed: AtomicUsize,
    n_in_doubt: AtomicUsize,
    most_again: AtomicUsize,
}

/// Kills until a run ends by itself.
fn chain(place: &Place, n_parts: &[usize], rng: &mut Rng, span: Span, most: usize, tally: &Tally) {
    let mut in_doubt = vec![0; n_parts.len()];
    let mut n_kills = 0;
    let mut between = Between::now(place);
    loop {
        let moment = if n_kills < most { Moment::draw(rng, span) } else { Moment::After(Duration::MAX) };
        let was_killed = run_until(place, &moment);
        for (report, again) in judge_calls(place, &between) {
            assert!(again <= MAX_AGAIN, "{report}: {again} pages were fetched again after one kill");
            tally.most_again.fetch_max(again, Ordering::Relaxed);
        }
        if !was_killed {
            break;
        }
        n_kills += 1;
        between = Between::now(place);
        for ((report, ..), in_doubt) in place.reports.iter().zip(&mut in_doubt) {
            judge_folder(place, report);
            *in_doubt += between.n_in_doubt(report);
        }
    }
    judge_end(place);
    for (((report, ..), n_parts), in_doubt) in place.reports.iter().zip(n_parts).zip(&in_doubt) {
        let n_queries = n_queries(place, report);
        assert!(
            (*n_parts..=n_parts + in_doubt).contains(&n_queries),
            "{report}: {n_queries} queries for {n_parts} parts, {in_doubt} kills fell between sending and storing"
        );
        assert!(*in_doubt == 0 || place.said().contains("owner"), "nobody was told of a possible orphan");
        let resumed = crate::judge::manifest(place, report).unwrap().resumed;
        assert!(resumed <= n_kills as u64, "{report}: resumed {resumed} times after {n_kills} kills");
        tally.n_resumed.fetch_add(usize::try_from(resumed).unwrap(), Ordering::Relaxed);
        tally.n_in_doubt.fetch_add(*in_doubt, Ordering::Relaxed);
    }
    tally.n_kills.fetch_add(n_kills, Ordering::Relaxed);
    tally.n_chains.fetch_add(1, Ordering::Relaxed);
}

fn kill_at_random(name: &str, n_parts: &[usize], build: impl Fn() -> Place + Sync) {
    let wanted = number("CXTRACT_KILLS", N_KILLS).div_ceil(N_WORLDS);
    let seed = number("CXTRACT_KILL_SEED", 1) as u64;
    let span = undisturbed(&build());
    let (tally, start) = (Tally::default(), Instant::now());
    std::thread::scope(|scope| {
        for nth in 0..N_AT_ONCE {
            let (build, tally) = (&build, &tally);
            scope.spawn(move || {
                let mut rng = Rng::with_seed(seed * 1000 + nth as u64);
                while tally.n_kills.load(Ordering::Relaxed) < wanted {
                    chain(&build(), n_parts, &mut rng, span, 30, tally);
                }
            });
        }
    });
    let [kills, chains, resumed, in_doubt, again] =
        [tally.n_kills, tally.n_chains, tally.n_resumed, tally.n_in_doubt, tally.most_again]
            .map(AtomicUsize::into_inner);
    println!(
        "{name}: {kills} kills in {chains} chains and {:.0?}, {resumed} resumptions, {in_doubt} between sending and \
         storing, at most {again} pages fetched again; undisturbed: {:.1?}, {} calls",
        start.elapsed(),
        span.time,
        span.n_calls
    );
    assert!(resumed * 4 > kills, "only {resumed} of {kills} kills were gone on from: they don't show much");
}

#[test]
fn k1_whenever_a_plain_report_is_killed_the_next_run_ends_with_the_same_bytes() {
    kill_at_random("plain", &[1], || {
        Place::new(mock().report("calls", MockReport::with_rows(1200))).report("calls", "")
    });
}

#[test]
fn k1_whenever_a_split_report_is_killed_the_next_run_ends_with_the_same_bytes() {
    let split = "split: 11d";
    kill_at_random("split", &[3], || {
        Place::new(mock().report("calls", MockReport::with_rows(400))).report("calls", split)
    });
}

#[test]
fn k1_whenever_two_reports_are_killed_at_once_the_next_run_ends_with_the_same_bytes() {
    kill_at_random("two reports", &[1, 1], || {
        let mock = mock().report("calls", MockReport::with_rows(500)).report("queues", MockReport::with_rows(700));
        Place::new(mock).report("calls", "").report("queues", "")
    });
}

#[test]
fn k1_whenever_a_report_is_killed_while_its_query_is_slow_the_next_run_ends_with_the_same_bytes() {
    kill_at_random("slow polls", &[1], || {
        let mock = mock().ready_after(Duration::from_millis(900)).report("calls", MockReport::with_rows(500));
        Place::new(mock).report("calls", "")
    });
}

/// Rows of which every ninth is spoiled, in frames that end with the report's 13th and 26th page or so.
fn packed() -> Place {
    let spoiled = MockReport { flaw_every: Some(9), ..MockReport::with_rows(44_000) };
    let lines = "window: {from: 2024-01-01, to: 2024-01-31}\n    page_size: 1500\n    output: {compression: zstd}\n    \
                 csv: {repair: join, ragged: reject}";
    Place::new(mock().report("calls", spoiled)).report_with("calls", lines)
}

/// What an undisturbed run leaves: every good row, each other one mended or set aside, in three frames at least.
fn packed_due() -> BTreeMap<String, Vec<u8>> {
    let place = packed();
    assert_eq!(place.run(&[]), 0, "{}", place.said());
    let names = ["out/calls.csv.rejects.csv", "out/calls.csv.repairs.jsonl", "out/calls.csv.zst"];
    let due: BTreeMap<_, _> = names.map(|name| (name.to_owned(), std::fs::read(place.path(name)).unwrap())).into();
    let plain = zstd::decode_all(&due["out/calls.csv.zst"][..]).unwrap();
    let n_frames = due["out/calls.csv.zst"].windows(4).filter(|bytes| *bytes == [0x28, 0xB5, 0x2F, 0xFD]).count();
    assert!(n_frames >= 3, "{n_frames} frames for {} bytes", plain.len());
    let (mut rest, mut n_good) = (&plain[..], 0);
    place.mock.expected("calls").each_row(|row, flaw| {
        if flaw.is_none() {
            let at = memchr::memmem::find(rest, row).expect("every good row stands in its place");
            rest = &rest[at + row.len()..];
            n_good += 1;
        }
    });
    let manifest = crate::judge::manifest(&place, "calls").unwrap();
    assert_eq!(manifest.output.rows, n_good + manifest.csv.repaired);
    assert!(manifest.csv.repaired > 0 && manifest.csv.rejected > 0, "{:?}", manifest.csv);
    due
}

#[test]
fn k1_whenever_a_packed_report_with_bad_records_is_killed_the_next_run_leaves_the_same_files() {
    let due = packed_due();
    kill_at_random("packed, with bad records", &[1], || {
        let mut place = packed();
        place.due.insert("calls".to_owned(), due.clone());
        place
    });
}
