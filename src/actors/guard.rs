//! Tells whoever rebuilds stages that one is gone.
//!
//! A handler's panic drops its actor and nobody hears of it: so each actor carries this guard, and its drop is the
//! news. A stage that goes as planned sets the guard quiet first.

use std::fmt;

use crate::actors::{Line, Stage, StageDied};

/// News of a death, sent when dropped.
pub struct DeathNotice(Option<Box<dyn FnOnce() + Send>>);

impl DeathNotice {
    /// Tells the supervisor that `stage` is gone.
    pub fn new(line: Line<StageDied>, stage: Stage) -> Self {
        Self::calling(move || line.tell(StageDied { stage }))
    }

    /// Calls `tell` when dropped.
    pub fn calling(tell: impl FnOnce() + Send + 'static) -> Self {
        Self(Some(Box::new(tell)))
    }

    /// The stage goes as planned.
    pub fn quiet(&mut self) {
        self.0 = None;
    }
}

impl fmt::Debug for DeathNotice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeathNotice")
    }
}

impl Drop for DeathNotice {
    fn drop(&mut self) {
        if let Some(tell) = self.0.take() {
            tell();
        }
    }
}
