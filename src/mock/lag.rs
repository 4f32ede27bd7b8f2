//! How late the threads are that serve: what has reached a socket may wait for its turn.
//!
//! Nobody can see when bytes came to a socket, only when they were read. A ticker that sleeps a little, takes its place
//! behind everyone who is ready, and looks at the clock is as late as a call is that came in the meantime. Nobody is
//! to be blamed for that time: the limits add it to their grace. Simulated networks are never late and have no ticker.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until};

/// The time between two looks.
const TICK: Duration = Duration::from_millis(20);

/// How long a look counts for calls that are read after it.
const MEMORY: Duration = Duration::from_secs(1);

/// How late a runtime is, and was within the last second.
#[derive(Debug)]
pub(super) struct Lag(Mutex<Ticks>);

#[derive(Debug)]
struct Ticks {
    /// When the next look should be.
    due: Instant,
    /// When somebody looked, and how late that was.
    past: VecDeque<(Instant, Duration)>,
}

impl Lag {
    /// Nothing was late so far.
    pub(super) fn start_now() -> Self {
        Self(Mutex::new(Ticks { due: Instant::now() + TICK, past: VecDeque::new() }))
    }

    /// Looks, again and again. Belongs onto the runtime that serves, and never ends.
    pub(super) async fn watch(&self) {
        loop {
            let due = self.0.lock().due;
            sleep_until(due).await;
            // A sleeper may be let in first; who yields takes his place behind all others.
            yield_now().await;
            let now = Instant::now();
            let mut ticks = self.0.lock();
            ticks.past.retain(|&(at, _)| at + MEMORY >= now);
            ticks.past.push_back((now, now - due));
            ticks.due = now + TICK;
        }
    }

    /// For how long what was read at that moment may have waited at the most.
    pub(super) fn at(&self, read: Instant) -> Duration {
        let ticks = self.0.lock();
        let past = ticks.past.iter().filter(|(at, _)| *at + MEMORY >= read).map(|&(_, late)| late);
        past.chain([read.saturating_duration_since(ticks.due)]).max().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::time::{advance, sleep};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_lag_is_seen_while_it_lasts_and_counts_for_a_second() {
        let lag = Arc::new(Lag::start_now());
        tokio::spawn({
            let lag = lag.clone();
            async move { lag.watch().await }
        });
        sleep(Duration::from_secs(5)).await;
        assert!(lag.at(Instant::now()) < Duration::from_millis(5), "{lag:?}");
        // Nobody gets a turn meanwhile.
        lag.0.lock().due = Instant::now();
        let stalled = Instant::now() + Duration::from_millis(700);
        assert_eq!(lag.at(stalled), Duration::from_millis(700));
        advance(Duration::from_millis(700)).await;
        sleep(Duration::from_millis(400)).await;
        let after = lag.at(Instant::now());
        assert!((Duration::from_millis(600)..=Duration::from_millis(720)).contains(&after), "{after:?}");
        sleep(Duration::from_millis(1100)).await;
        assert!(lag.at(Instant::now()) < Duration::from_millis(5), "{lag:?}");
    }
}
