//! What one request and its connection tell each other past the HTTP library.
//!
//! The library chooses the connection, and its errors lose the reason. So each request has an [`Exchange`]: while its
//! future is polled it is the task's current one, the connector and the guarded connection find it there, note what
//! they see, and the client reads it afterwards. It never crosses threads.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Notify;

use super::head::ReceivedHead;
use super::request::MayGo;
use crate::model::{AnswerHead, TransportFault};

tokio::task_local! {
    static CURRENT: Rc<Exchange>;
}

/// One request on its way, and what has come of it so far.
#[derive(Default)]
pub(super) struct Exchange {
    sending: Notify,
    sent: Cell<bool>,
    reused: Cell<bool>,
    answered: Cell<bool>,
    head: RefCell<Option<ReceivedHead>>,
    refused: RefCell<Option<AnswerHead>>,
    fault: RefCell<Option<TransportFault>>,
    may_go: Option<MayGo>,
}

impl Exchange {
    /// Of a request that asks `may_go` after it had to wait for its connection.
    pub(super) fn new(may_go: Option<MayGo>) -> Self {
        Self { may_go, ..Self::default() }
    }

    /// Whether the request may still go out.
    pub(super) fn may_go(&self) -> bool {
        self.may_go.as_ref().is_none_or(|may_go| may_go())
    }

    /// The exchange whose request is being polled right now.
    pub(super) fn current() -> Option<Rc<Self>> {
        CURRENT.try_with(Rc::clone).ok()
    }

    /// Makes this the current exchange whenever that future is polled.
    pub(super) fn around<F: Future>(self: &Rc<Self>, future: F) -> impl Future<Output = F::Output> + use<F> {
        CURRENT.scope(Rc::clone(self), future)
    }

    /// A connection begins to send the request; `reused` where it carried another one before.
    pub(super) fn begin(&self, reused: bool) {
        self.sent.set(true);
        self.reused.set(reused);
        self.sending.notify_one();
    }

    /// The first byte of an answer has come.
    pub(super) fn note_answer(&self) {
        self.answered.set(true);
    }

    pub(super) fn note_head(&self, head: ReceivedHead) {
        *self.head.borrow_mut() = Some(head);
    }

    /// A head came that can't be used.
    pub(super) fn note_refused(&self, head: AnswerHead) {
        *self.refused.borrow_mut() = Some(head);
    }

    pub(super) fn take_refused(&self) -> Option<AnswerHead> {
        self.refused.borrow_mut().take()
    }

    /// Keeps the first fault: what follows it is only its echo.
    pub(super) fn note_fault(&self, fault: TransportFault) {
        self.fault.borrow_mut().get_or_insert(fault);
    }

    pub(super) fn take_head(&self) -> Option<ReceivedHead> {
        self.head.borrow_mut().take()
    }

    pub(super) fn take_fault(&self) -> Option<TransportFault> {
        self.fault.borrow_mut().take()
    }

    pub(super) fn has_been_sent(&self) -> bool {
        self.sent.get()
    }

    /// Whether a pooled connection was used that gave no byte of an answer: the peer had most likely closed it while it
    /// was idle and has not seen the request.
    pub(super) fn is_stale(&self) -> bool {
        self.reused.get() && !self.answered.get()
    }

    /// Returns when the head is late. The time for connecting does not count: it has a limit of its own.
    pub(super) async fn head_is_late(&self, after: Duration) {
        self.sending.notified().await;
        tokio::time::sleep(after).await;
    }
}
