//! How evenly the network carries calls to a tenant, as far as answers and connections show.
//!
//! Two calls that go out a second apart arrive closer together if the second one has the faster way. Nobody tells how
//! long a way took, but the time to the head of an answer holds it, and where these times are alike the ways are, too.
//! Where they are not, it may be the tenant's own work that differs: nobody knows, and the network is taken to be uneven.

use std::collections::VecDeque;
use std::time::Duration;

/// So many of the last answers tell.
const N_KEPT: usize = 64;

/// Fewer tell nothing.
const N_TELLING: usize = 8;

/// One answer of so many may take as long as it likes.
const LEFT_OUT: usize = 10;

/// As long as nothing is known, the network is taken to be this uneven.
const UNKNOWN: Duration = Duration::from_millis(100);

/// The times to the heads of a tenant's last answers of one kind.
#[derive(Clone, Debug, Default)]
pub struct PathTimes(VecDeque<Duration>);

impl PathTimes {
    /// The head of an answer came so long after its call was let out.
    pub fn note(&mut self, took: Duration) {
        self.0.push_back(took);
        if self.0.len() > N_KEPT {
            self.0.pop_front();
        }
    }

    /// How far the times lie apart: from the shortest to the one that nine of ten stay below.
    pub fn spread(&self) -> Duration {
        if self.0.len() < N_TELLING {
            return UNKNOWN;
        }
        let mut times: Vec<Duration> = self.0.iter().copied().collect();
        times.sort_unstable();
        times[times.len() - 1 - times.len() / LEFT_OUT] - times[0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(times: impl IntoIterator<Item = u64>) -> u64 {
        let mut path = PathTimes::default();
        times.into_iter().for_each(|ms| path.note(Duration::from_millis(ms)));
        u64::try_from(path.spread().as_millis()).unwrap()
    }

    #[test]
    fn a_network_is_uneven_until_answers_show_that_it_is_not() {
        assert_eq!(spread([]), 100);
        assert_eq!(spread([20; 7]), 100);
        assert_eq!(spread([20; 8]), 0);
        assert_eq!(spread((20..=60).step_by(2)), 36);
    }

    #[test]
    fn one_slow_answer_of_ten_says_nothing() {
        assert_eq!(spread([20, 20, 20, 900, 20, 20, 20, 20, 20, 20]), 0);
        assert_eq!(spread([20, 20, 900, 900, 20, 20, 20, 20, 20, 20]), 880);
    }

    #[test]
    fn what_was_long_ago_is_forgotten() {
        assert_eq!(spread([500; 8].into_iter().chain([20; 64])), 0);
    }
}
