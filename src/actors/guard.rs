//! Tells the supervisor that a stage is gone.
//!
//! A handler's panic drops its actor and nobody hears of it: so each actor carries this guard, and its drop is the
//! news. A stage that is meant to go is told to by its line being cut, or sets the guard quiet first.

use crate::actors::{Line, Stage, StageDied};

/// News of a death, sent when dropped.
#[derive(Debug)]
pub struct DeathNotice {
    news: Option<(Line<StageDied>, StageDied)>,
}

impl DeathNotice {
    /// Speaks for this incarnation of `stage`.
    pub fn new(line: Line<StageDied>, stage: Stage, incarnation: u64) -> Self {
        Self { news: Some((line, StageDied { stage, incarnation })) }
    }

    /// The stage goes as planned.
    pub fn quiet(&mut self) {
        self.news = None;
    }
}

impl Drop for DeathNotice {
    fn drop(&mut self) {
        if let Some((line, news)) = self.news.take() {
            line.tell(news);
        }
    }
}
