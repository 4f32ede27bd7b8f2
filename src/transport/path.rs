//! How evenly the network carries what is sent to a tenant.
//!
//! Two calls that go out a second apart arrive closer together if the second one has the faster way. How much so shows
//! in the times that connections take to be made: one way there and back each, and no work of the tenant's in them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

/// So many of the last connections tell.
const N_KEPT: usize = 16;

/// Fewer tell nothing.
const N_TELLING: usize = 4;

/// The times that the last connections to one place took. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct PathTimes(Arc<Mutex<VecDeque<Duration>>>);

impl PathTimes {
    /// A connection was made in that time, handshakes above TCP left out.
    pub fn note(&self, took: Duration) {
        let mut times = self.0.lock();
        times.push_back(took);
        if times.len() > N_KEPT {
            times.pop_front();
        }
    }

    /// How far the times lie apart, the longest one left out: a single slow look-up of a name or one lost packet says
    /// nothing. Zero as long as there are too few.
    pub fn spread(&self) -> Duration {
        let mut times: Vec<Duration> = self.0.lock().iter().copied().collect();
        if times.len() < N_TELLING {
            return Duration::ZERO;
        }
        times.sort_unstable();
        times[times.len() - 2] - times[0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(times: &[u64]) -> u64 {
        let path = PathTimes::default();
        times.iter().for_each(|ms| path.note(Duration::from_millis(*ms)));
        u64::try_from(path.spread().as_millis()).unwrap()
    }

    #[test]
    fn even_ways_have_no_spread_and_uneven_ones_have_theirs() {
        assert_eq!(spread(&[20; 8]), 0);
        assert_eq!(spread(&[20, 60, 40, 30, 80, 70, 50, 90]), 60);
    }

    #[test]
    fn one_slow_connection_says_nothing_and_neither_do_three() {
        assert_eq!(spread(&[20, 20, 900, 20, 20, 20, 20, 20]), 0);
        assert_eq!(spread(&[20, 90, 200]), 0);
    }

    #[test]
    fn what_was_long_ago_is_forgotten() {
        let mut times = vec![500; 8];
        times.extend([20; 16]);
        assert_eq!(spread(&times), 0);
    }
}
