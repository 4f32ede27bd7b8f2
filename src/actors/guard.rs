//! Tells whoever rebuilds stages that one is gone.
//!
//! A handler's panic drops its actor and nobody hears of it: so each actor carries this guard, and its drop is the
//! news. A stage that goes as planned sets the guard quiet first.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

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

    /// Whether the stage goes as planned.
    pub fn is_quiet(&self) -> bool {
        self.0.is_none()
    }

    /// The stage goes as planned.
    pub fn quiet(&mut self) {
        self.0 = None;
    }
}

/// Which incarnation of a stage is the present one. Only that one's death is news: one that was replaced goes silently.
#[derive(Clone, Debug, Default)]
pub struct Incarnation(Arc<AtomicU64>);

impl Incarnation {
    /// The notice of a new incarnation, which is the present one from now on.
    pub fn notice(&self, line: Line<StageDied>, stage: Stage) -> DeathNotice {
        let (present, own) = (self.0.clone(), self.0.fetch_add(1, Ordering::AcqRel) + 1);
        DeathNotice::calling(move || {
            if present.load(Ordering::Acquire) == own {
                line.tell(StageDied { stage });
            }
        })
    }

    /// There is no present one any more.
    pub fn retire(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
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
