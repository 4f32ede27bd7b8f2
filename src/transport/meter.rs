//! Tells a body that is merely slow from one that hardly moves.
//!
//! Only time spent waiting for bytes is counted, so that a slow reader on our side is no slow server. The rate is taken
//! over a sliding span of that time, kept as a few slices; there is no clock in here.

use std::collections::VecDeque;
use std::time::Duration;

/// Into how many slices the span is cut.
const N_SLICES: u32 = 8;

/// Measures one body.
pub(super) struct RateMeter {
    min_bytes_per_second: u64,
    over: Duration,
    slices: VecDeque<Slice>,
    waited: Duration,
    n_bytes: u64,
}

#[derive(Clone, Copy, Default)]
struct Slice {
    waited: Duration,
    n_bytes: u64,
}

impl RateMeter {
    pub(super) fn new(min_bytes_per_second: u64, over: Duration) -> Self {
        Self { min_bytes_per_second, over, slices: VecDeque::new(), waited: Duration::ZERO, n_bytes: 0 }
    }

    /// Notes that these bytes came after that much waiting; `false` when the span is full and its rate too low.
    pub(super) fn keeps_up(&mut self, waited: Duration, n_bytes: u64) -> bool {
        match self.slices.back_mut() {
            Some(slice) if slice.waited < self.over / N_SLICES => {
                slice.waited += waited;
                slice.n_bytes += n_bytes;
            }
            _ => self.slices.push_back(Slice { waited, n_bytes }),
        }
        self.waited += waited;
        self.n_bytes += n_bytes;
        while let Some(oldest) = self.slices.front().copied().filter(|s| self.waited - s.waited >= self.over) {
            self.slices.pop_front();
            self.waited -= oldest.waited;
            self.n_bytes -= oldest.n_bytes;
        }
        self.waited < self.over || self.n_bytes as f64 >= self.min_bytes_per_second as f64 * self.waited.as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn meter() -> RateMeter {
        RateMeter::new(1024, 30 * SECOND)
    }

    #[test]
    fn a_body_at_the_least_rate_is_put_up_with_for_ever() {
        let mut meter = meter();
        assert!((0..1000).all(|_| meter.keeps_up(SECOND, 1024)));
    }

    #[test]
    fn a_body_below_the_least_rate_is_given_up_when_the_span_is_full_and_not_before() {
        let mut meter = meter();
        let n_good = (0..1000).take_while(|_| meter.keeps_up(SECOND, 1023)).count();
        assert_eq!(n_good, 29);
    }

    #[test]
    fn a_fast_start_does_not_pay_for_a_slow_rest() {
        let mut meter = meter();
        assert!(meter.keeps_up(SECOND, 1 << 30));
        let n_good = (0..1000).take_while(|_| meter.keeps_up(SECOND, 1)).count();
        assert!((29..40).contains(&n_good), "{n_good}");
    }

    #[test]
    fn bytes_that_were_there_already_cost_no_waiting() {
        let mut meter = meter();
        assert!((0..10_000).all(|_| meter.keeps_up(Duration::ZERO, 1)));
    }

    #[test]
    fn the_memory_of_a_long_body_stays_small() {
        let mut meter = meter();
        for _ in 0..100_000 {
            meter.keeps_up(Duration::from_millis(7), 4096);
        }
        assert!(meter.slices.len() <= 2 * N_SLICES as usize);
    }
}
