//! Why a plan can't be used.
//!
//! The text is for whoever wrote the plan: it begins with file, line and column where there are any, names the key,
//! and says what is known there or how the value is written.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why a plan can't be used; the text names file, line, key and what is known.
#[derive(Debug)]
pub struct PlanError {
    file: Option<PathBuf>,
    /// Line and column, from 1.
    place: Option<(u64, u64)>,
    what: String,
}

impl PlanError {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self { file: None, place: None, what: what.into() }
    }

    pub(super) fn at(place: serde_saphyr::Location, what: impl Into<String>) -> Self {
        Self { place: Some((place.line(), place.column())), ..Self::new(what) }
    }

    pub(super) fn unreadable(file: &Path, error: &io::Error) -> Self {
        Self::new(format!("it can't be read: {error}")).in_file(file)
    }

    pub(super) fn in_file(self, file: &Path) -> Self {
        Self { file: Some(file.to_owned()), ..self }
    }

    /// The line that is at fault, from 1, where one is known.
    pub fn line(&self) -> Option<u64> {
        self.place.map(|(line, _)| line)
    }
}

impl From<serde_saphyr::Error> for PlanError {
    fn from(error: serde_saphyr::Error) -> Self {
        let bare = error.without_snippet();
        let place = bare.location().map(|place| (place.line(), place.column()));
        Self { file: None, place, what: words(&bare.to_string()) }
    }
}

/// The reader's own words for the place are taken away: it stands in front.
fn words(text: &str) -> String {
    let first = text.lines().next().unwrap_or_default();
    let bare = first.rsplit_once(" at line ").map_or(first, |(words, _)| words);
    bare.strip_prefix("error: ").unwrap_or(bare).to_owned()
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some(file) => write!(f, "the plan {}", file.display())?,
            None => f.write_str("the plan")?,
        }
        if let Some((line, column)) = self.place {
            write!(f, ", line {line}, column {column}")?;
        }
        write!(f, ": {}", self.what)
    }
}

impl std::error::Error for PlanError {}
