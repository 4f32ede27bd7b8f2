use super::*;

fn pace(requests_per_second: f64, burst: u32, adaptive: bool, now: Instant) -> Pace {
    Pace::new(PaceSettings { requests_per_second, burst, adaptive, jitter: Duration::ZERO, told_most: None }, now)
}

/// The moments at which a caller that always has something to send may send it, in milliseconds.
fn sent(pace: &mut Pace, start: Instant, n: usize) -> Vec<u64> {
    let mut now = start;
    (0..n)
        .map(|_| {
            now = pace.free_at(now);
            pace.sent(now);
            ((now - start).as_secs_f64() * 1000.0).round() as u64
        })
        .collect()
}

#[test]
fn a_burst_goes_back_to_back_then_calls_keep_their_distance_within_the_window() {
    let now = Instant::now();
    let mut paced = pace(10.0, 5, true, now);
    assert_eq!(sent(&mut paced, now, 12), [0, 0, 0, 0, 0, 100, 200, 300, 400, 500, 1020, 1020]);
}

#[test]
fn a_limit_below_one_a_second_spaces_single_calls() {
    let now = Instant::now();
    assert_eq!(sent(&mut pace(0.5, 5, true, now), now, 3), [0, 2020, 4040]);
}

#[test]
fn a_fraction_of_a_call_is_never_rounded_up() {
    let now = Instant::now();
    let sent = sent(&mut pace(2.5, 9, true, now), now, 5);
    assert_eq!(sent, [0, 0, 1020, 1020, 2040]);
}

#[test]
fn a_complaint_cuts_the_pace_to_seven_tenths_once_per_wait() {
    let now = Instant::now();
    let mut paced = pace(10.0, 5, true, now);
    let until = now + Duration::from_secs(60);
    for ms in [0, 10, 5000, 59_999] {
        paced.complained(now + Duration::from_millis(ms), until);
    }
    assert!((paced.at(&paced.settings, until) - 7.0).abs() < 1e-6);
    paced.complained(until, until + SECOND);
    assert!((paced.at(&paced.settings, until) - 4.9).abs() < 1e-6);
}

#[test]
fn h4_complaints_without_a_wait_that_come_together_cut_once() {
    let now = Instant::now();
    let mut paced = pace(10.0, 5, true, now);
    for _ in 0..8 {
        paced.complained(now, now);
    }
    assert!((paced.at(&paced.settings, now) - 7.0).abs() < 1e-6);
}

#[test]
fn the_pace_grows_by_a_twentieth_of_the_ceiling_every_ten_quiet_seconds() {
    let now = Instant::now();
    let mut paced = pace(10.0, 5, true, now);
    paced.complained(now, now);
    for (secs, due) in [(9, 7.0), (10, 7.5), (19, 7.5), (20, 8.0), (59, 9.5), (60, 10.0), (6000, 10.0)] {
        assert!((paced.at(&paced.settings, now + Duration::from_secs(secs)) - due).abs() < 1e-6, "{secs}");
    }
}

#[test]
fn the_pace_never_falls_to_nothing_and_stays_put_where_it_is_not_adaptive() {
    let now = Instant::now();
    let mut paced = pace(10.0, 5, true, now);
    let mut fixed = pace(10.0, 5, false, now);
    for n in 0..50 {
        paced.complained(now + SECOND * n, now + SECOND * n);
        fixed.complained(now + SECOND * n, now + SECOND * n);
    }
    let later = now + SECOND * 49;
    assert!((paced.at(&paced.settings, later) - 0.5).abs() < 1e-6);
    assert!((fixed.at(&fixed.settings, later) - 10.0).abs() < 1e-6);
}

#[test]
fn the_log_looks_back_farther_where_the_network_is_uneven_and_after_a_complaint() {
    let now = Instant::now();
    let eleventh = |jitter: u64, complains: bool, adaptive: bool| {
        let jitter = Duration::from_millis(jitter);
        let mut paced =
            Pace::new(PaceSettings { requests_per_second: 10.0, burst: 10, adaptive, jitter, told_most: None }, now);
        let begin = if complains {
            paced.complained(now, now);
            // By then the pace has grown again, and ten minutes have not passed.
            now + Duration::from_secs(100)
        } else {
            now
        };
        let mut at = begin;
        for _ in 0..11 {
            at = paced.free_at(at);
            paced.sent(at);
        }
        (at - begin).as_millis()
    };
    assert_eq!([0, 13, 20, 35, 400].map(|jitter| eleventh(jitter, false, true)), [1020, 1020, 1030, 1052, 1052]);
    // The first one is noted as if it had gone out two milliseconds earlier.
    assert_eq!(eleventh(0, true, true), 1050);
    assert_eq!(eleventh(0, true, false), 1018, "who doesn't learn doesn't learn this either");
}

#[test]
fn ten_minutes_after_a_complaint_the_network_is_trusted_again() {
    let now = Instant::now();
    let mut paced = pace(1.0, 1, true, now);
    paced.complained(now, now);
    let later = now + WARY_FOR;
    paced.sent(later);
    assert_eq!(paced.free_at(later) - later, SECOND + SLACK - LATENESS);
}
