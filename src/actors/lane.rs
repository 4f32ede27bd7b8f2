//! A thread for blocking work, reached without blocking.
//!
//! Jobs run one after the other, each shielded: a job that panics loses its own answer, which its asker sees as
//! [`LaneDead`], and the next job finds the thread alive. Without a thread (in simulation, or with `threads: 0`) a job
//! runs where it is handed over.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crossbeam_channel::Sender;
use tokio::sync::oneshot;

type Job = Box<dyn FnOnce() + Send>;

/// Where blocking jobs go.
#[derive(Clone, Debug)]
pub struct Lane(Option<Sender<Job>>);

/// The job died, or the thread is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the job died")]
pub struct LaneDead;

impl Lane {
    /// A lane that runs each job on the spot.
    pub fn inline() -> Self {
        Self(None)
    }

    /// A lane with a thread of its own. The thread ends when the last handle is dropped.
    ///
    /// # Errors
    /// If the system has no thread to give.
    pub fn start(name: &str) -> std::io::Result<Self> {
        // Unbounded in count: what jobs carry is bounded by the byte budget, and a sender on an arbiter may not block.
        let (sender, receiver) = crossbeam_channel::unbounded::<Job>();
        std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            for job in receiver {
                run_shielded(job);
            }
        })?;
        Ok(Self(Some(sender)))
    }

    /// Whether jobs run on the spot.
    pub fn is_inline(&self) -> bool {
        self.0.is_none()
    }

    /// Hands over a job and returns at once; its answer can be awaited, or dropped.
    pub fn run<T, F>(&self, job: F) -> impl Future<Output = Result<T, LaneDead>> + Send + use<T, F>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let (answer, receiver) = oneshot::channel();
        let job: Job = Box::new(move || {
            // Nobody may be interested any more; the job was still to be done.
            let _ = answer.send(job());
        });
        match &self.0 {
            None => run_shielded(job),
            Some(jobs) => {
                // A thread that is gone drops the job, and with it the answer's sender.
                let _ = jobs.send(job);
            }
        }
        async move { receiver.await.map_err(|_| LaneDead) }
    }
}

fn run_shielded(job: Job) {
    if catch_unwind(AssertUnwindSafe(job)).is_err() {
        tracing::error!("a job of a writing thread died; its report is rebuilt or fails");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn jobs_run_in_order_and_answer() {
        for lane in [Lane::inline(), Lane::start("test").unwrap()] {
            let first = lane.run(|| 1);
            let second = lane.run(|| 2);
            assert_eq!((first.await, second.await), (Ok(1), Ok(2)));
        }
    }

    #[tokio::test]
    async fn a_job_that_dies_loses_its_answer_and_nothing_else() {
        for lane in [Lane::inline(), Lane::start("test").unwrap()] {
            let dying = lane.run(|| panic!("on purpose"));
            let next = lane.run(|| 7);
            assert_eq!((dying.await, next.await), (Err::<(), _>(LaneDead), Ok(7)));
        }
    }
}
