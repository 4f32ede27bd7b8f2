//! An address that outlives the actor behind it.
//!
//! A stage that dies is rebuilt under a new address. Whoever talks to it holds a [`Line`]; the supervisor connects the
//! new actor to it, and nobody else has to know.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use parking_lot::RwLock;

/// How long a caller waits before it looks whether a dead stage has been rebuilt.
const REBUILD_PAUSE: Duration = Duration::from_millis(10);

/// How often it looks. Past that the stage is taken to be gone for good.
const REBUILD_LOOKS: u32 = 200;

/// A sender of `M` to a stage, whichever incarnation of it is alive.
pub struct Line<M: Message + Send>(Arc<RwLock<End<M>>>)
where
    M::Result: Send;

/// Who is at a line's end.
enum End<M: Message + Send>
where
    M::Result: Send,
{
    /// Nobody yet.
    Nobody,
    /// The stage, dead or alive.
    Stage(Recipient<M>),
    /// Nobody any more: waiting for a rebuild would be in vain.
    HungUp,
}

/// The stage is gone and nobody has rebuilt it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stage is gone")]
pub struct LineDead;

impl<M: Message + Send + 'static> Line<M>
where
    M::Result: Send,
{
    /// A line with nobody at its end yet.
    pub fn new() -> Self {
        Self(Arc::new(RwLock::new(End::Nobody)))
    }

    /// Puts `recipient` at its end.
    pub fn connect(&self, recipient: Recipient<M>) {
        *self.0.write() = End::Stage(recipient);
    }

    /// Hangs up: later messages are dropped, and whoever asks is told so at once. Breaks the reference cycle when a
    /// tenant or the engine is taken down.
    pub fn cut(&self) {
        *self.0.write() = End::HungUp;
    }

    /// Who is there now.
    pub fn recipient(&self) -> Option<Recipient<M>> {
        match &*self.0.read() {
            End::Stage(recipient) => Some(recipient.clone()),
            End::Nobody | End::HungUp => None,
        }
    }

    /// Whether whoever was put there last is gone. False where nobody was.
    pub fn is_dead(&self) -> bool {
        self.recipient().is_some_and(|recipient| !recipient.connected())
    }

    /// Sends news. It is lost if nobody is there: a rebuilt stage starts from what is stored, not from old news.
    pub fn tell(&self, message: M) {
        if let End::Stage(recipient) = &*self.0.read() {
            recipient.do_send(message);
        }
    }

    /// Asks, and asks again if the stage dies with the question unanswered.
    ///
    /// # Errors
    /// If nobody is there for longer than a rebuild takes.
    pub async fn ask(&self, message: M) -> Result<M::Result, LineDead>
    where
        M: Clone,
    {
        for _ in 0..REBUILD_LOOKS {
            if matches!(*self.0.read(), End::HungUp) {
                break;
            }
            if let Some(recipient) = self.recipient()
                && let Ok(answer) = recipient.send(message.clone()).await
            {
                return Ok(answer);
            }
            tokio::time::sleep(REBUILD_PAUSE).await;
        }
        Err(LineDead)
    }
}

impl<M: Message + Send + 'static> Default for Line<M>
where
    M::Result: Send,
{
    fn default() -> Self {
        Self::new()
    }
}

impl<M: Message + Send> Clone for Line<M>
where
    M::Result: Send,
{
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<M: Message + Send> fmt::Debug for Line<M>
where
    M::Result: Send,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Line<{}>", std::any::type_name::<M>())
    }
}
