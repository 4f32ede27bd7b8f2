//! The way to the store from an arbiter: calls run on the store's own threads, or inline in simulation.
//!
//! A handle never blocks where it is used. There are two threads: one for what must last, whose calls wait for the
//! disk, and one aside for what must be quick. A call that panics fails alone; the store goes on.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crossbeam_channel::Sender;
use tokio::sync::oneshot;

use super::{Store, StoreError};

type Call = Box<dyn FnOnce(&dyn Store) + Send>;

/// Runs calls on a store, in the order in which they are made; those made aside have an order of their own. Clones lead
/// to the same store, and the threads end with the last of them, after the calls already made.
#[derive(Clone)]
pub struct StoreHandle(Way);

#[derive(Clone)]
enum Way {
    Threads { calls: Sender<Call>, aside: Sender<Call> },
    Inline(Arc<dyn Store>),
}

impl StoreHandle {
    /// Gives the store threads of its own; fails where the system has none to give.
    pub fn threaded(store: Arc<dyn Store>) -> Result<Self, StoreError> {
        let calls = thread("cxtract-store", store.clone())?;
        Ok(Self(Way::Threads { calls, aside: thread("cxtract-turns", store)? }))
    }

    /// Calls run at once, where they are made.
    pub fn inline(store: Arc<dyn Store>) -> Self {
        Self(Way::Inline(store))
    }

    /// Makes a call and waits for its answer. The call is made at once, not at the first poll, and is carried out
    /// even if nobody waits.
    pub fn call<R, F>(&self, act: F) -> impl Future<Output = Result<R, StoreError>> + Send + use<R, F>
    where
        R: Send + 'static,
        F: FnOnce(&dyn Store) -> Result<R, StoreError> + Send + 'static,
    {
        self.asking(false, act)
    }

    /// Like [`call`](Self::call), without waiting for calls that are not made aside.
    pub fn call_aside<R, F>(&self, act: F) -> impl Future<Output = Result<R, StoreError>> + Send + use<R, F>
    where
        R: Send + 'static,
        F: FnOnce(&dyn Store) -> Result<R, StoreError> + Send + 'static,
    {
        self.asking(true, act)
    }

    /// Makes a call whose outcome goes to `then`, on the store's thread: for threads that can't await.
    pub fn call_then<R: Send + 'static>(
        &self,
        act: impl FnOnce(&dyn Store) -> Result<R, StoreError> + Send + 'static,
        then: impl FnOnce(Result<R, StoreError>) + Send + 'static,
    ) {
        self.send(false, telling(act, then));
    }

    /// Like [`call_then`](Self::call_then), without waiting for calls that are not made aside.
    pub fn call_aside_then<R: Send + 'static>(
        &self,
        act: impl FnOnce(&dyn Store) -> Result<R, StoreError> + Send + 'static,
        then: impl FnOnce(Result<R, StoreError>) + Send + 'static,
    ) {
        self.send(true, telling(act, then));
    }

    fn asking<R, F>(&self, is_aside: bool, act: F) -> impl Future<Output = Result<R, StoreError>> + Send + use<R, F>
    where
        R: Send + 'static,
        F: FnOnce(&dyn Store) -> Result<R, StoreError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        // One who has stopped waiting has no use for the answer.
        self.send(is_aside, Box::new(move |store| drop(answer.send(act(store)))));
        async move { answered.await.unwrap_or_else(|_| Err(died())) }
    }

    fn send(&self, is_aside: bool, call: Call) {
        match &self.0 {
            Way::Inline(store) => carry_out(&**store, call),
            // The threads live as long as a handle does; a call that is dropped unheard answers by its absence.
            Way::Threads { aside, .. } if is_aside => drop(aside.send(call)),
            Way::Threads { calls, .. } => drop(calls.send(call)),
        }
    }
}

fn thread(name: &str, store: Arc<dyn Store>) -> Result<Sender<Call>, StoreError> {
    let (calls, arriving) = crossbeam_channel::unbounded::<Call>();
    let serve = move || {
        for call in arriving {
            carry_out(&*store, call);
        }
    };
    let thread = std::thread::Builder::new().name(name.into()).spawn(serve);
    thread.map(|_| calls).map_err(|error| StoreError::failed("starting its thread", error))
}

fn telling<R: Send + 'static>(
    act: impl FnOnce(&dyn Store) -> Result<R, StoreError> + Send + 'static,
    then: impl FnOnce(Result<R, StoreError>) + Send + 'static,
) -> Call {
    Box::new(move |store| then(catch_unwind(AssertUnwindSafe(|| act(store))).unwrap_or_else(|_| Err(died()))))
}

fn died() -> StoreError {
    StoreError::failed("answering a call", "the call died")
}

fn carry_out(store: &dyn Store, call: Call) {
    if catch_unwind(AssertUnwindSafe(|| call(store))).is_err() {
        tracing::error!("a call on the state store panicked");
    }
}

#[cfg(test)]
mod tests {
    use crate::model::{ReportName, ReportState, TenantName, Timestamp, WallClock, Window};

    use super::super::{Begun, ExtractionKey, MemoryStore, Origin};
    use super::*;

    fn key() -> ExtractionKey {
        let window = Window { from: Timestamp(0), to: Timestamp(1) };
        ExtractionKey { report: ReportName::new("r"), tenant: TenantName::new("acme"), window, hash: "h".into() }
    }

    fn both() -> [(StoreHandle, MemoryStore); 2] {
        let new = || MemoryStore::new(WallClock::new(|| Timestamp(0)));
        let (a, b) = (new(), new());
        [(StoreHandle::threaded(Arc::new(a.clone())).unwrap(), a), (StoreHandle::inline(Arc::new(b.clone())), b)]
    }

    #[tokio::test]
    async fn calls_are_carried_out_in_order_even_if_nobody_waits() {
        for (handle, store) in both() {
            let key = key();
            let begun = Begun { origin: Origin::Given, form: "{}".into(), output: "-".into() };
            let begin = key.clone();
            drop(handle.call(move |store| store.begin(&begin, &begun)));
            for n in 1..100 {
                let key = key.clone();
                drop(handle.call(move |store| store.save_state(&key, ReportState::Parked, Some(&n.to_string()))));
            }
            let read = handle.call(move |store| store.load(&key)).await.unwrap().unwrap();
            assert_eq!(read.message.as_deref(), Some("99"));
            assert_eq!(store.n_calls(), 101);
        }
    }

    #[tokio::test]
    async fn a_call_aside_waits_for_no_other_call() {
        let [(handle, _), _] = both();
        let (go_on, may_go_on) = crossbeam_channel::bounded::<()>(0);
        let slow = handle.call(move |_| Ok(may_go_on.recv().is_ok()));
        assert_eq!(handle.call_aside(|store| store.list()).await, Ok(Vec::new()));
        go_on.send(()).unwrap();
        assert_eq!(slow.await, Ok(true));
    }

    #[tokio::test]
    async fn a_call_that_panics_fails_alone() {
        for (handle, _) in both() {
            let died: Result<(), _> = handle.call(|_| panic!("a bug in a call")).await;
            assert!(died.is_err());
            assert!(handle.call(|store| store.list()).await.unwrap().is_empty());
        }
    }

    #[test]
    fn a_thread_that_can_not_await_is_told_by_a_callback() {
        for (handle, _) in both() {
            let (tell, told) = crossbeam_channel::unbounded();
            let tell_too = tell.clone();
            handle.call_then(|store| store.list(), move |result| tell.send(result.is_ok()).unwrap());
            handle.call_then::<()>(|_| panic!("a bug"), move |result| tell_too.send(result.is_ok()).unwrap());
            assert_eq!((told.recv(), told.recv()), (Ok(true), Ok(false)));
        }
    }
}
