//! Connections that are made before they are needed.
//!
//! A request counts from when its head reaches the tenant, and over a new connection that is two or three ways through
//! the network later than over one that stands. So whoever is about to ask for the right to call has a connection made
//! first: what is then allowed to go out goes out at once. These connections carry nothing until a request takes them,
//! and none is made for long: a tenant that can't be reached is left to the requests that may call it.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::{AsyncRead as _, ReadBuf};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::dial::ByteStream;
use crate::model::TransportFault;

/// After a failure nothing is made ahead for so long.
const PATIENCE: Duration = Duration::from_secs(5);

/// Connections that end after no more answers than this are not counted on.
const FEW_ANSWERS: u64 = 3;

/// A failure that is no older is the next request's: the same try, begun a little earlier.
const NEWS: Duration = Duration::from_secs(1);

/// A connection that waits to be used.
struct Spare {
    io: Box<dyn ByteStream>,
    since: Instant,
    alive: Alive,
}

/// A request that waits to be let out, as long as this lives.
pub struct Expected(#[expect(dead_code, reason = "its drop counts")] Counted);

/// A connection ended before anything was sent over it.
pub(super) struct DeadAtOnce;

/// The connections to one origin, on one arbiter.
pub(super) struct Standby {
    /// How long a connection is kept for a request.
    keep_alive: Duration,
    spares: RefCell<VecDeque<Spare>>,
    /// Connections that exist, whether anybody uses them or not.
    n_alive: Cell<usize>,
    n_opening: Cell<usize>,
    /// Requests whose answers are not read to their end.
    n_busy: Cell<usize>,
    /// Requests that wait to be let out.
    n_expected: Cell<usize>,
    /// Connections that there may be.
    most: Cell<usize>,
    /// Whether the tenant ends connections after a few answers.
    is_short_lived: Cell<bool>,
    failed_at: Cell<Option<Instant>>,
    fault: RefCell<Option<TransportFault>>,
    changed: Notify,
}

/// Something that is counted while it lives.
pub(super) struct Counted {
    standby: Rc<Standby>,
    which: fn(&Standby) -> &Cell<usize>,
}

/// A connection, as long as it exists.
pub(super) type Alive = Counted;
/// A request from its sending to the end of its answer's body.
pub(super) type Busy = Counted;
/// A connection that can carry a request, and its place in the count.
pub(super) type Ready = (Box<dyn ByteStream>, Alive);

impl Counted {
    fn new(standby: &Rc<Standby>, which: fn(&Standby) -> &Cell<usize>) -> Self {
        let count = which(standby);
        count.set(count.get() + 1);
        Self { standby: Rc::clone(standby), which }
    }

    /// Whose count it is in.
    pub(super) fn standby(&self) -> &Standby {
        &self.standby
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let count = (self.which)(&self.standby);
        count.set(count.get() - 1);
    }
}

impl Standby {
    pub(super) fn new(keep_alive: Duration) -> Self {
        Self {
            keep_alive,
            spares: RefCell::default(),
            n_alive: Cell::default(),
            n_opening: Cell::default(),
            n_busy: Cell::default(),
            n_expected: Cell::default(),
            most: Cell::default(),
            is_short_lived: Cell::default(),
            failed_at: Cell::default(),
            fault: RefCell::default(),
            changed: Notify::new(),
        }
    }

    pub(super) fn alive(self: &Rc<Self>) -> Alive {
        Counted::new(self, |standby| &standby.n_alive)
    }

    pub(super) fn busy(self: &Rc<Self>) -> Busy {
        Counted::new(self, |standby| &standby.n_busy)
    }

    /// A connection made ahead that is still open, the newest one first.
    ///
    /// # Errors
    /// If one was closed as soon as it stood: the next would be, too.
    pub(super) fn take(&self) -> Result<Option<Ready>, DeadAtOnce> {
        loop {
            let Some(mut spare) = self.spares.borrow_mut().pop_back() else { return Ok(None) };
            let age = spare.since.elapsed();
            if is_quiet(&mut *spare.io) {
                if age <= self.keep_alive {
                    return Ok(Some((spare.io, spare.alive)));
                }
            } else if age < NEWS {
                self.failed_at.set(Some(Instant::now()));
                return Err(DeadAtOnce);
            }
        }
    }

    /// Why there is none, where that was found out just now and nobody was told yet.
    pub(super) fn take_fault(&self) -> Option<TransportFault> {
        let fault = self.fault.borrow_mut().take();
        fault.filter(|_| self.failed_at.get().is_some_and(|at| at.elapsed() < NEWS))
    }

    /// Whether others wait that will need a connection of their own: where connections end with their answers, whoever
    /// takes one leaves none behind.
    pub(super) fn lacks_one(&self) -> bool {
        let n_there = self.spares.borrow().len() + self.n_opening.get();
        self.is_short_lived.get() && n_there < self.most.get().min(self.n_expected.get())
    }

    /// Lets go of connections that nobody took in time, or that the peer has closed.
    fn drop_dead(&self) {
        let is_good = |spare: &mut Spare| {
            spare.since.elapsed() < NEWS || spare.since.elapsed() <= self.keep_alive && is_quiet(&mut *spare.io)
        };
        self.spares.borrow_mut().retain_mut(is_good);
    }

    /// A connection has so many requests behind it and takes another one.
    pub(super) fn is_used_again(&self, n_before: u64) {
        if n_before > FEW_ANSWERS {
            self.is_short_lived.set(false);
        }
    }

    /// A connection has ended after so many requests.
    pub(super) fn has_ended(&self, n_requests: u64) {
        if (1..=FEW_ANSWERS).contains(&n_requests) {
            self.is_short_lived.set(true);
        }
    }

    /// Keeps a connection for the next request.
    pub(super) fn keep(&self, io: Box<dyn ByteStream>, alive: Alive) {
        self.drop_dead();
        self.spares.borrow_mut().push_back(Spare { io, since: Instant::now(), alive });
        self.failed_at.set(None);
    }

    /// Returns when a request that is let out now finds a connection, or will have to make its own. It is counted as
    /// expected until what is returned is dropped. `most` bounds the connections that there may be; `open` makes one.
    pub(super) async fn prepare<F>(self: &Rc<Self>, most: usize, open: impl Fn() -> F) -> Expected
    where
        F: Future<Output = Result<Box<dyn ByteStream>, TransportFault>>,
    {
        let expected = Expected(Counted::new(self, |standby| &standby.n_expected));
        self.most.set(most);
        loop {
            let changed = self.changed.notified();
            let n_opening = self.n_opening.get();
            let is_failing = self.failed_at.get().is_some_and(|at| at.elapsed() < PATIENCE);
            if is_failing {
                return expected;
            }
            // Where connections end with their answers, only those that nobody has used yet are worth anything.
            let (n_there, n_busy) = match self.is_short_lived.get() {
                true => (self.spares.borrow().len(), 0),
                false => (self.n_alive.get(), self.n_busy.get()),
            };
            if n_there + n_opening < most.min(n_busy + self.n_expected.get()) {
                self.open_one(open()).await;
                return expected;
            }
            if n_opening == 0 || n_there > n_busy {
                return expected;
            }
            // Somebody else is about to have one.
            changed.await;
        }
    }

    /// The same for a request that takes none that was used.
    pub(super) async fn prepare_unused<F>(self: &Rc<Self>, most: usize, open: impl Fn() -> F) -> Expected
    where
        F: Future<Output = Result<Box<dyn ByteStream>, TransportFault>>,
    {
        let expected = Expected(Counted::new(self, |standby| &standby.n_expected));
        self.drop_dead();
        if self.spares.borrow().len() + self.n_opening.get() < most.min(self.n_expected.get()) {
            self.open_one(open()).await;
        }
        expected
    }

    /// Makes a connection and keeps it, unless that failed just now.
    pub(super) async fn open_one<F>(self: &Rc<Self>, open: F)
    where
        F: Future<Output = Result<Box<dyn ByteStream>, TransportFault>>,
    {
        if self.failed_at.get().is_some_and(|at| at.elapsed() < PATIENCE) {
            return;
        }
        let opening = Opening(Counted::new(self, |standby| &standby.n_opening));
        match open.await {
            Ok(io) => self.keep(io, self.alive()),
            Err(fault) => {
                self.failed_at.set(Some(Instant::now()));
                *self.fault.borrow_mut() = Some(fault);
            }
        }
        drop(opening);
    }
}

/// A connection under way; whoever waits for it hears of its end, also where it is given up.
struct Opening(Counted);

impl Drop for Opening {
    fn drop(&mut self) {
        self.0.standby.changed.notify_waiters();
    }
}

/// Whether nothing has come in: neither bytes, which nobody asked for, nor the end.
fn is_quiet(mut io: &mut dyn ByteStream) -> bool {
    let mut byte = [0];
    let mut space = ReadBuf::new(&mut byte);
    let mut context = Context::from_waker(Waker::noop());
    matches!(Pin::new(&mut io).poll_read(&mut context, &mut space), Poll::Pending)
}
