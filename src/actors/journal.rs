//! One extraction's entries in the state store.
//!
//! A journal belongs to an incarnation. Retired, it writes no more: what a replaced incarnation still makes durable
//! must not be stored behind the back of its successor, which has already read where to go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use crate::model::{PageNumber, QueryId, Timestamp};
use crate::state::{Checkpoint, ExtractionKey, Store, StoreError, StoreHandle};

/// The entries of one incarnation of one extraction. Clones write for the same one.
#[derive(Clone)]
pub struct Journal {
    store: StoreHandle,
    key: Arc<ExtractionKey>,
    pen: Arc<Mutex<Pen>>,
    /// Set where a position could not be stored. The extraction parks then, and must not be delivered behind its back.
    is_broken: Arc<AtomicBool>,
}

/// What may be written.
struct Pen {
    is_retired: bool,
    /// Part and page of the last checkpoint. Syncs may end out of order; a position never goes back.
    last: (u32, PageNumber),
}

impl Journal {
    /// A journal for `key`.
    pub fn new(store: StoreHandle, key: ExtractionKey) -> Self {
        let pen = Pen { is_retired: false, last: (0, PageNumber::FIRST) };
        Self { store, key: Arc::new(key), pen: Arc::new(Mutex::new(pen)), is_broken: Arc::default() }
    }

    /// Nothing is written through it any more.
    pub fn retire(&self) {
        self.pen.lock().is_retired = true;
    }

    /// A submission is about to be sent. Once this is answered, a later run knows that it may have been.
    ///
    /// # Errors
    /// The store's.
    pub async fn submission_begins(&self, part: u32) -> Result<(), StoreError> {
        self.write(move |store, key| store.begin_submission(key, part)).await
    }

    /// The tenant has not taken it.
    ///
    /// # Errors
    /// The store's.
    pub async fn submission_refused(&self, part: u32) -> Result<(), StoreError> {
        self.write(move |store, key| store.drop_submission(key, part)).await
    }

    /// The tenant has accepted a query.
    ///
    /// # Errors
    /// The store's.
    pub async fn submitted(&self, part: u32, query: QueryId, at: Timestamp) -> Result<(), StoreError> {
        self.write(move |store, key| store.save_query(key, part, &query, at)).await
    }

    /// Everything before that position is durable; `then` hears whether it is stored, on the store's thread.
    pub fn committed(&self, checkpoint: Checkpoint, then: impl FnOnce(Result<(), StoreError>) + Send + 'static) {
        let mut pen = self.pen.lock();
        let at = (checkpoint.position.part, checkpoint.position.next_page);
        if !pen.is_retired && at >= pen.last {
            pen.last = at;
            let (key, is_broken) = (self.key.clone(), self.is_broken.clone());
            let save = move |store: &dyn Store| {
                store.save_checkpoint(&key, &checkpoint).inspect_err(|_| is_broken.store(true, Ordering::Release))
            };
            self.store.call_then(save, then);
        }
    }

    /// Resolves when everything written so far is stored, or could not be.
    pub async fn settled(&self) {
        let _ = self.store.call(|_| Ok(())).await;
    }

    /// The output is whole and about to be published.
    ///
    /// # Errors
    /// The store's.
    pub async fn delivering(&self, delivery: String, manifest: String) -> Result<(), StoreError> {
        let is_broken = self.is_broken.clone();
        self.write(move |store, key| {
            unbroken(&is_broken)?;
            store.save_delivery(key, &delivery, &manifest)
        })
        .await
    }

    /// The output is delivered.
    ///
    /// # Errors
    /// The store's.
    pub async fn complete(&self, manifest: String, watermark: Option<Timestamp>) -> Result<(), StoreError> {
        let is_broken = self.is_broken.clone();
        self.write(move |store, key| {
            unbroken(&is_broken)?;
            store.complete(key, &manifest, watermark)
        })
        .await
    }

    fn write<F>(&self, act: F) -> impl Future<Output = Result<(), StoreError>> + Send + use<F>
    where
        F: FnOnce(&dyn Store, &ExtractionKey) -> Result<(), StoreError> + Send + 'static,
    {
        let pen = self.pen.lock();
        let written = (!pen.is_retired).then(|| {
            let key = self.key.clone();
            self.store.call(move |store| act(store, &key))
        });
        drop(pen);
        async move {
            match written {
                Some(written) => written.await,
                None => Err(StoreError::failed("writing for a stage that was replaced", "it is not the present one")),
            }
        }
    }
}

/// Looked at on the store's thread, behind every position that was to be stored before.
fn unbroken(is_broken: &AtomicBool) -> Result<(), StoreError> {
    match is_broken.load(Ordering::Acquire) {
        true => Err(StoreError::failed("storing a delivery", "the position before it could not be stored")),
        false => Ok(()),
    }
}
