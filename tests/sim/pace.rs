//! A pace that learns: tenants that allow less than they are said to, and whose limits change.

use std::time::Duration;

use cxtract::mock::Ledger;

use crate::measure::{fetching, share_used, within};
use crate::rate::{ledger_of, tenant, world};
use crate::world::World;

const MINUTE: Duration = Duration::from_secs(60);

/// Moments of the answers 429.
fn complaints(ledger: &Ledger) -> Vec<Duration> {
    ledger.iter().filter(|call| call.status == 429).map(|call| call.at).collect()
}

#[test]
fn a_tenant_that_allows_less_than_configured_seldom_has_to_complain_and_most_of_its_rate_is_used() {
    let true_rate = 12.0;
    let mock = tenant(2, 1200).requests_per_second(true_rate);
    let ledger = ledger_of(&World { bound: Duration::from_secs(1200), ..world(mock, 2, 20, "").with_even_network() });
    let time = fetching(&ledger);
    let minutes = (time.end - time.start).as_secs_f64() / 60.0;
    let (complaints, used) = (complaints(&ledger), share_used(&ledger, true_rate, &time));
    println!(
        "12 a second, 20 configured: {} complaints in {minutes:.1} minutes, {:.1} % used; at {complaints:?}",
        complaints.len(),
        used * 100.0
    );
    // Down in two steps; then up by one call a second every ten seconds, and down again, each 40 seconds.
    assert!(complaints.len() as f64 <= 2.0 + 2.0 * minutes);
    assert!(complaints.len() >= 3, "the limit was never felt");
    assert!(used >= 0.8);
}

#[test]
fn a_limit_that_falls_to_a_quarter_and_rises_again_is_followed_down_and_up() {
    let (falls, rises) = (Duration::from_secs(60), Duration::from_secs(240));
    let mock = tenant(2, 2200).requests_per_second(20.0);
    let mock = mock.requests_per_second_from(falls, 5.0).requests_per_second_from(rises, 20.0);
    let ledger = ledger_of(&World { bound: Duration::from_secs(1800), ..world(mock, 2, 20, "").with_even_network() });
    let complaints = complaints(&ledger);
    let phase = |from: Duration, to: Duration| {
        let n = complaints.iter().filter(|at| (from..to).contains(*at)).count();
        (n, share_used(&ledger, 1.0, &(from..to)))
    };
    let end = fetching(&ledger).end;
    let before = phase(fetching(&ledger).start, falls);
    let minutes: Vec<_> = (0..3).map(|nth| phase(falls + MINUTE * nth, falls + MINUTE * (nth + 1))).collect();
    let seconds_after = (rises.as_secs()..end.as_secs()).map(Duration::from_secs);
    let n_in_second = |from: &Duration| within(&ledger, &(*from..*from + Duration::from_secs(1))).count();
    let up_again = seconds_after.clone().find(|from| n_in_second(from) >= 19).map(|from| from - rises);
    let n_after = phase(rises, end).0;
    let down_after = complaints.windows(2).find(|pair| pair[1] - pair[0] > Duration::from_secs(5)).map(|pair| pair[0]);
    println!(
        "20, 5, 20 a second: {} complaints before; in each minute of 5 a second complaints and calls a second {minutes:?}; \
         down {:?} after the fall; {n_after} complaints after the rise, up again after {up_again:?}",
        before.0,
        down_after.map(|at| at - falls)
    );
    assert_eq!((before.0, n_after), (0, 0));
    assert!(down_after.is_some_and(|at| at - falls <= Duration::from_secs(10)), "{complaints:?}");
    assert!(minutes[0].0 <= 7 && minutes[1..].iter().all(|(n, _)| *n <= 4), "{complaints:?}");
    assert!(minutes.iter().all(|(_, calls)| *calls >= 4.0), "{minutes:?}");
    // From 0.7 of 5 to 20, by one call a second every ten seconds.
    assert!(up_again.is_some_and(|after| after <= Duration::from_secs(170)), "{up_again:?}");
}
