//! How much of what a tenant allows was used, by the client's own count.
//!
//! From the first page that came whole to the last one, and by the moments when calls ended: that is what this side
//! knows. A mock tenant of our own is asked instead, because it counts calls as they arrive. Of a few seconds there is no
//! share: the burst at their beginning would be more than what they allow.

use std::time::Duration;

use tokio::time::Instant;

/// Nothing shorter has a share.
pub(super) const SHORTEST: Duration = Duration::from_secs(5);

/// A tenant's calls, counted from its first page on.
#[derive(Clone, Debug, Default)]
pub(super) struct Used {
    first: Option<Instant>,
    /// The last page, and how many calls had been let in before it.
    last: Option<(Instant, u64)>,
    n_let_in: u64,
}

impl Used {
    /// A call that was not told to wait has ended.
    pub(super) fn let_in(&mut self, now: Instant, is_page: bool) {
        if is_page {
            self.first.get_or_insert(now);
            self.last = Some((now, self.n_let_in));
        }
        self.n_let_in += u64::from(self.first.is_some());
    }

    /// The share used of so many calls in a second; none where pages came for less than five seconds.
    pub(super) fn share(&self, allowed: f64) -> Option<f64> {
        let (last, n_before) = self.last?;
        let time = last.saturating_duration_since(self.first?);
        (time >= SHORTEST && allowed > 0.0).then(|| n_before as f64 / (allowed * time.as_secs_f64()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_that_of_the_time_between_the_first_page_and_the_last() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut used = Used::default();
        used.let_in(at(0), false);
        assert_eq!(used.share(10.0), None);
        for n in 0..=40 {
            used.let_in(at(1000 + n * 125), true);
        }
        used.let_in(at(9000), false);
        assert_eq!(used.share(10.0), Some(0.8));
        assert_eq!(used.share(0.0), None);
    }

    #[test]
    fn a_burst_of_pages_is_no_share_of_anything() {
        let start = Instant::now();
        let mut used = Used::default();
        for n in 0..200 {
            used.let_in(start + Duration::from_millis(n * 25), true);
        }
        assert_eq!(used.share(20.0), None, "it was read for less than five seconds");
        used.let_in(start + SHORTEST, true);
        assert_eq!(used.share(20.0), Some(2.0));
    }
}
