//! K8: a host's own sink that panics while it is written to.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use cxtract::Ending;
use cxtract::sink::{Manifest, Position, Sink, SinkError};
use parking_lot::Mutex;

use crate::support::{Stand, VICTIM, die};

/// What all sinks of one report have seen.
#[derive(Clone, Default)]
struct Seen {
    /// Bytes since the last beginning.
    bytes: Arc<Mutex<Vec<u8>>>,
    n_begun: Arc<AtomicU64>,
    n_writes: Arc<AtomicU64>,
    n_finished: Arc<AtomicU64>,
}

/// Gathers bytes and dies at one write, or at every one.
struct Mortal {
    seen: Seen,
    dies_at: Option<u64>,
}

impl Sink for Mortal {
    fn begin(&mut self, _position: Option<&Position>) -> Result<(), SinkError> {
        self.seen.n_begun.fetch_add(1, Ordering::SeqCst);
        self.seen.bytes.lock().clear();
        Ok(())
    }

    fn write(&mut self, block: &Bytes) -> Result<(), SinkError> {
        let nth = self.seen.n_writes.fetch_add(1, Ordering::SeqCst);
        if self.dies_at.is_none_or(|at| at == nth) {
            die("a host's sink");
        }
        self.seen.bytes.lock().extend_from_slice(block);
        Ok(())
    }

    fn commit(&mut self, _position: &Position) -> Result<(), SinkError> {
        Ok(())
    }

    fn finish(&mut self, _manifest: &Manifest) -> Result<(), SinkError> {
        self.seen.n_finished.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn abort(&mut self) {}
}

#[test]
fn k8_a_host_s_sink_that_dies_once_is_made_anew() {
    for threads in [0, 1] {
        let stand = Stand::new(threads);
        for dies_at in [0, 5, 11] {
            let seen = Seen::default();
            let given = seen.clone();
            let sink = move || Mortal { seen: given.clone(), dies_at: Some(dies_at) };
            let endings = stand.extract_all_without_the_victims_file(stand.engine().sink(VICTIM, sink));
            assert!(endings.iter().all(|ending| matches!(ending, Ending::Complete(_))), "{endings:?}");
            assert!(*seen.bytes.lock() == stand.expected(VICTIM), "the host's sink has something else");
            // The one that died, its successor, and the one of the run after that.
            assert_eq!(seen.n_begun.load(Ordering::SeqCst), 3);
            assert_eq!(seen.n_finished.load(Ordering::SeqCst), 2);
        }
    }
}

#[test]
fn k3_a_host_s_sink_that_always_dies_fails_its_report_alone() {
    for threads in [0, 1] {
        let stand = Stand::new(threads);
        let seen = Seen::default();
        let (given, n_made) = (seen.clone(), AtomicU64::new(0));
        // The fifth is the one of the run after that, and good.
        let sink = move || Mortal {
            seen: given.clone(),
            dies_at: (n_made.fetch_add(1, Ordering::SeqCst) >= 4).then_some(u64::MAX),
        };
        let endings = stand.extract_all_without_the_victims_file(stand.engine().sink(VICTIM, sink));
        assert!(matches!(endings[0], Ending::Failed(_)), "{:?}", endings[0]);
        assert!(endings[1..].iter().all(|ending| matches!(ending, Ending::Complete(_))), "{endings:?}");
        assert!(*seen.bytes.lock() == stand.expected(VICTIM), "the host's sink has something else");
    }
}
