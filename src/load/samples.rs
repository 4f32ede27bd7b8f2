//! A load over time: what happened in each second.
//!
//! Counters only grow; a sample is how much they have grown since the last one, as a rate. Long loads are thinned, two
//! neighbours made one, so that a night fits onto a page as well as a minute.

use std::time::Duration;

use serde::Serialize;

use super::meter::Totals;

/// More samples than this are thinned.
const MOST: usize = 1_200;

/// No stretch is shorter, in seconds, unless the load itself is.
const SHORTEST: f64 = 0.5;

/// What happened in one stretch of time, a second unless the load is long. Rates are by the second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Sample {
    /// Its end, in seconds since the load began.
    pub at_s: f64,
    /// Bytes of pages received whole.
    pub bytes_per_second: f64,
    /// Rows written.
    pub rows_per_second: f64,
    /// Pages received whole with more than one record.
    pub pages_per_second: f64,
    /// Calls of all kinds that ended.
    pub requests_per_second: f64,
    /// Answers that told to wait.
    pub throttled_per_second: f64,
    /// Memory of the process at its end; none where the system doesn't tell.
    pub resident_bytes: Option<u64>,
}

/// Takes samples.
#[derive(Debug, Default)]
pub(super) struct Samples {
    taken: Vec<Sample>,
    before: (Duration, Totals, u64),
    /// How many seconds go into one sample.
    stretch: u32,
    n_skipped: u32,
}

impl Samples {
    /// So much there is after that time.
    pub(super) fn take(&mut self, at: Duration, totals: Totals, rows: u64, resident: Option<u64>) -> Option<Sample> {
        self.n_skipped += 1;
        if self.n_skipped < self.stretch {
            return None;
        }
        self.n_skipped = 0;
        // The rest of a second at the end would look like a leap or a fall.
        let seconds = at.saturating_sub(self.before.0).as_secs_f64();
        if seconds <= 0.0 || seconds < SHORTEST && !self.taken.is_empty() {
            return None;
        }
        let (_, old, old_rows) = std::mem::replace(&mut self.before, (at, totals, rows));
        let rate = |new: u64, old: u64| new.saturating_sub(old) as f64 / seconds;
        let sample = Sample {
            at_s: at.as_secs_f64(),
            bytes_per_second: rate(totals.bytes, old.bytes),
            rows_per_second: rate(rows, old_rows),
            pages_per_second: rate(totals.pages, old.pages),
            requests_per_second: rate(totals.requests, old.requests),
            throttled_per_second: rate(totals.throttled, old.throttled),
            resident_bytes: resident,
        };
        self.taken.push(sample);
        if self.taken.len() > MOST {
            self.thin();
        }
        Some(sample)
    }

    /// All of them, in order.
    pub(super) fn into_all(self) -> Vec<Sample> {
        self.taken
    }

    fn thin(&mut self) {
        let mut begin = 0.0;
        let pairs = self.taken.chunks(2).map(|pair| {
            let merged = merged(begin, pair);
            begin = merged.at_s;
            merged
        });
        self.taken = pairs.collect();
        self.stretch = self.stretch.max(1) * 2;
    }
}

/// Neighbours as one, each with the weight of its length.
fn merged(begin: f64, pair: &[Sample]) -> Sample {
    let [first, second] = pair else { return pair.first().copied().unwrap_or_default() };
    let (a, b) = (first.at_s - begin, second.at_s - first.at_s);
    let mean = |x: f64, y: f64| if a + b > 0.0 { (x * a + y * b) / (a + b) } else { y };
    Sample {
        at_s: second.at_s,
        bytes_per_second: mean(first.bytes_per_second, second.bytes_per_second),
        rows_per_second: mean(first.rows_per_second, second.rows_per_second),
        pages_per_second: mean(first.pages_per_second, second.pages_per_second),
        requests_per_second: mean(first.requests_per_second, second.requests_per_second),
        throttled_per_second: mean(first.throttled_per_second, second.throttled_per_second),
        resident_bytes: first.resident_bytes.max(second.resident_bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(n: u64) -> Totals {
        Totals { requests: n, pages: n, bytes: n * 100, ..Totals::default() }
    }

    #[test]
    fn a_sample_is_what_came_since_the_last_one() {
        let mut samples = Samples::default();
        let seconds = Duration::from_secs;
        samples.take(seconds(1), totals(10), 50, Some(7));
        let second = samples.take(seconds(3), totals(30), 250, None).unwrap();
        assert_eq!((second.requests_per_second, second.bytes_per_second), (10.0, 1000.0));
        assert_eq!((second.rows_per_second, second.at_s, second.resident_bytes), (100.0, 3.0, None));
        let short = Duration::from_millis(3_400);
        assert_eq!(samples.take(short, totals(30), 250, None), None, "too little time has passed");
        assert_eq!(samples.into_all().len(), 2);
    }

    #[test]
    fn a_long_load_is_thinned_and_loses_nothing() {
        let mut samples = Samples::default();
        let n = 5_000;
        for second in 1..=n {
            samples.take(Duration::from_secs(second), totals(second * second), 0, Some(second));
        }
        let all = samples.into_all();
        assert!((MOST / 2..=MOST).contains(&all.len()), "{}", all.len());
        let mut begin = 0.0;
        let counted: f64 = all
            .iter()
            .map(|sample| sample.requests_per_second * (sample.at_s - std::mem::replace(&mut begin, sample.at_s)))
            .sum();
        let due = (all.last().unwrap().at_s as u64).pow(2);
        assert!((counted - due as f64).abs() < 1.0, "{counted} of {due}");
    }
}
