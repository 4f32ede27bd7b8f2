//! Latencies as percentiles, from histograms that keep three digits of every value.
//!
//! A mean hides what hurts: one call in a hundred that takes a second. Nothing is sampled or thrown away, so that the
//! slowest call is in here too.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// Longer than this is kept as this: an hour, in microseconds.
const LONGEST: u64 = 3_600_000_000;

/// Where a curve is drawn, from the median to one call in ten thousand.
const CURVE: [f64; 19] = [
    0.0, 0.25, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.925, 0.95, 0.975, 0.99, 0.995, 0.9975, 0.999, 0.9995, 0.9998,
    0.9999,
];

/// Latencies as they come in.
#[derive(Clone, Debug)]
pub(super) struct Latencies(Histogram<u64>);

impl Default for Latencies {
    fn default() -> Self {
        Self(Histogram::new_with_bounds(1, LONGEST, 3).expect("the bounds are sound"))
    }
}

impl Latencies {
    pub(super) fn note(&mut self, took: Duration) {
        self.0.saturating_record(u64::try_from(took.as_micros()).unwrap_or(LONGEST).max(1));
    }

    /// Their percentiles; none where there is no latency.
    pub(super) fn percentiles(&self) -> Option<Percentiles> {
        if self.0.is_empty() {
            return None;
        }
        let at = |quantile| ms(self.0.value_at_quantile(quantile));
        // Further out than the calls reach, a quantile would only say the slowest one again.
        let reaches = |quantile: &f64| (1.0 - quantile) * self.0.len() as f64 > 1.0 - 1e-9;
        let curve = CURVE.into_iter().filter(reaches).map(|quantile| (quantile, at(quantile))).collect();
        Some(Percentiles { p50: at(0.5), p90: at(0.9), p99: at(0.99), p999: at(0.999), max: ms(self.0.max()), curve })
    }
}

fn ms(micros: u64) -> f64 {
    micros as f64 / 1e3
}

/// Percentiles in milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Percentiles {
    /// Half of the calls took no longer.
    pub p50: f64,
    /// Nine of ten.
    pub p90: f64,
    /// 99 of 100.
    pub p99: f64,
    /// 999 of 1,000.
    pub p999: f64,
    /// The slowest.
    pub max: f64,
    /// Quantiles from 0 on with their latencies, as far out as there are calls to tell them from.
    pub curve: Vec<(f64, f64)>,
}

impl Percentiles {
    /// The one of that name, as in `p99`.
    pub(super) fn named(&self, name: &str) -> Option<f64> {
        match name {
            "p50" => Some(self.p50),
            "p90" => Some(self.p90),
            "p99" => Some(self.p99),
            "p999" => Some(self.p999),
            "max" => Some(self.max),
            _ => None,
        }
    }
}

/// What one kind of call took.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KindLatency {
    /// `token`, `submit`, `status` or `page`.
    pub kind: &'static str,
    /// Calls that ended.
    pub calls: u64,
    /// Those of them that failed: an answer that told to wait is none of these.
    pub failed: u64,
    /// Those of them that were told to wait.
    pub throttled: u64,
    /// From its turn to the whole answer, of calls that were answered as they should; none where there are none.
    pub took: Option<Percentiles>,
    /// From asking for a turn to getting it, of all calls.
    pub waited: Option<Percentiles>,
}

/// The value that such a share of sorted values doesn't pass; none of none.
pub(super) fn at_share(sorted: &[f64], share: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let nth = (share * sorted.len() as f64).ceil() as usize;
    Some(sorted[nth.saturating_sub(1).min(last)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_values_to_three_digits() {
        let mut latencies = Latencies::default();
        for n in 1..=1000 {
            latencies.note(Duration::from_millis(n));
        }
        let found = latencies.percentiles().unwrap();
        for (value, due) in [(found.p50, 500.0), (found.p90, 900.0), (found.p99, 990.0), (found.max, 1000.0)] {
            assert!((value - due).abs() / due < 0.002, "{value} for {due}");
        }
        assert!(found.curve.windows(2).all(|two| two[0].0 < two[1].0 && two[0].1 <= two[1].1));
    }

    #[test]
    fn a_curve_goes_no_further_than_there_are_calls() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.percentiles(), None);
        for _ in 0..10 {
            latencies.note(Duration::from_millis(7));
        }
        let curve = latencies.percentiles().unwrap().curve;
        assert_eq!(curve.last().unwrap().0, 0.9);
    }

    #[test]
    fn a_latency_beyond_all_bounds_is_kept_as_the_longest() {
        let mut latencies = Latencies::default();
        latencies.note(Duration::MAX);
        latencies.note(Duration::ZERO);
        assert!(latencies.percentiles().unwrap().max >= 3_599_000.0);
    }

    #[test]
    fn a_share_of_sorted_values_is_one_of_them() {
        let values = [1.0, 2.0, 3.0, 4.0];
        assert_eq!(at_share(&values, 0.5), Some(2.0));
        assert_eq!(at_share(&values, 0.9), Some(4.0));
        assert_eq!(at_share(&values, 0.0), Some(1.0));
        assert_eq!(at_share(&[], 0.5), None);
    }
}
