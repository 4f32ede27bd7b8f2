//! Spreads independent worlds over the machine's cores.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};

use parking_lot::Mutex;

/// Tries every case, and gives back those that failed with what was wrong, in the order of the cases.
pub fn over_all_cores<C: Clone + Send + Ord, E: Send>(
    cases: Vec<C>,
    run: impl Fn(C) -> Result<(), E> + Sync,
) -> Vec<(C, E)> {
    let (left, failed) = (Mutex::new(VecDeque::from(cases)), Mutex::new(Vec::new()));
    let n_threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..n_threads {
            scope.spawn(|| {
                loop {
                    let Some(case) = left.lock().pop_front() else { return };
                    if let Err(found) = run(case.clone()) {
                        failed.lock().push((case, found));
                    }
                }
            });
        }
    });
    let mut failed = failed.into_inner();
    failed.sort_by(|(a, _), (b, _)| a.cmp(b));
    failed
}

/// Runs a world; a panic in it is one more thing that may be wrong.
pub fn without_panic<T>(run: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| Err("it panicked".to_owned()))
}
