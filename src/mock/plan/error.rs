//! Why a plan can't be used.
//!
//! The text is for whoever wrote the plan: it begins with file, line and column where there are any, names the key,
//! and says what is known there or how the value is written.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Of a line that is at fault, no more characters than these are shown.
const MOST_SHOWN: usize = 80;

/// A value may stand so many lines below its key.
const SECRET_REACHES: usize = 3;

/// Why a plan can't be used; the text names file, line, key and what is known.
#[derive(Debug)]
pub struct PlanError {
    file: Option<PathBuf>,
    /// Line and column, from 1.
    place: Option<(u64, u64)>,
    /// What stands in that line.
    shown: Option<String>,
    what: String,
}

impl PlanError {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self { file: None, place: None, shown: None, what: what.into() }
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

    /// Shows the line that is at fault, which names the key, unless a secret may stand in it.
    pub(super) fn showing(self, text: &str) -> Self {
        let nth = self.line().and_then(|line| usize::try_from(line).ok()?.checked_sub(1));
        let line = nth.and_then(|nth| text.lines().nth(nth)).map(str::trim).filter(|line| !line.is_empty());
        let lines_before = nth.map_or(0, |nth| nth.saturating_sub(SECRET_REACHES));
        let near = text.lines().skip(lines_before).take(SECRET_REACHES + 1);
        let line = line.filter(|_| !near.map(str::to_ascii_lowercase).any(|line| line.contains("secret")));
        Self { shown: line.map(|line| line.chars().take(MOST_SHOWN).collect()), ..self }
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
        Self { place, ..Self::new(words(&bare.to_string())) }
    }
}

/// The reader's own words, in those of whoever writes plans: the place stands in front already.
fn words(text: &str) -> String {
    let first = text.lines().next().unwrap_or_default();
    let bare = first.rsplit_once(" at line ").map_or(first, |(words, _)| words);
    let bare = bare.strip_prefix("error: ").unwrap_or(bare);
    if let Some(key) = bare.strip_prefix("duplicate mapping key: ").and_then(|rest| rest.split(',').next()) {
        return format!("the key `{key}` is written twice");
    }
    if ["invalid u64", "invalid u32", "invalid usize"].contains(&bare) {
        return "a whole number is due, 0 or more".to_owned();
    }
    let words = [
        ("invalid i64", "a whole number is due"),
        ("unknown field", "unknown key"),
        ("unknown variant", "unknown word"),
        ("expected one of", "known are"),
        ("missing field", "missing key"),
    ];
    words.into_iter().fold(bare.to_owned(), |text, (theirs, ours)| text.replacen(theirs, ours, 1))
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
        if let Some(shown) = &self.shown {
            write!(f, " ({shown})")?;
        }
        write!(f, ": {}", self.what)
    }
}

impl std::error::Error for PlanError {}
