//! What is wrong with a configuration, in words that lead to the mend.
//!
//! Reading never stops at the first fault: problems are collected and shown together, one block each.
//! A value under a secret's key is never part of a problem; whoever makes one for such a key leaves the value out.

use std::fmt;

/// Longest piece of a value that a problem shows.
const LONGEST_SHOWN: usize = 80;

/// One fault: where it stands, what was found, what is expected, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file and line, the environment variable, or the argument that it comes from.
    pub source: String,
    /// The key, as in `tenants.acme.max_in_flight`.
    pub key: String,
    /// What stands there; never a secret.
    pub found: String,
    /// What would be right.
    pub expected: String,
    /// What to do.
    pub remedy: String,
}

/// A problem and its place in reading order, so that problems are listed as they stand in the file.
pub(super) struct Ranked {
    pub rank: u64,
    pub problem: Problem,
}

impl Problem {
    /// A problem with these words.
    pub fn new(
        source: impl Into<String>,
        key: impl Into<String>,
        found: impl Into<String>,
        expected: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            source: source.into(),
            key: key.into(),
            found: found.into(),
            expected: expected.into(),
            remedy: remedy.into(),
        }
    }

    pub(super) fn ranked(self, rank: u64) -> Ranked {
        Ranked { rank, problem: self }
    }

    /// One that belongs to no place in the file.
    pub(super) fn last(self) -> Ranked {
        self.ranked(u64::MAX)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", printable(&self.source))?;
        if !self.key.is_empty() {
            write!(f, "{}: ", printable(&self.key))?;
        }
        write!(f, "found {}\n  expected: {}\n  remedy: {}", self.found, self.expected, self.remedy)
    }
}

impl std::error::Error for Problem {}

/// Everything that is wrong, in the order in which it stands in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<Problem>);

impl From<Problem> for ConfigErrors {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// Something that works, but probably not as meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning(pub String);

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text with control characters escaped, so that no value can steer a terminal, and cut where it is long.
pub(super) fn printable(text: &str) -> String {
    let mut shown = String::new();
    for (index, c) in text.chars().enumerate() {
        if index == LONGEST_SHOWN {
            shown.push('…');
            break;
        }
        if c.is_control() {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// The known word nearest to `word`, if one is near enough to be what was meant.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    known
        .into_iter()
        .map(|candidate| (distance(&word, &candidate.to_lowercase()), candidate))
        .filter(|(d, candidate)| *d <= 1 + candidate.len() / 4)
        .min_by_key(|(d, _)| *d)
        .map(|(_, candidate)| candidate)
}

/// Levenshtein's distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let change = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_word_leads_to_the_known_one() {
        let known = ["max_in_flight", "max_queries", "retry"];
        assert_eq!(nearest("max_inflight", known), Some("max_in_flight"));
        assert_eq!(nearest("Retry", known), Some("retry"));
        assert_eq!(nearest("colour", known), None);
    }

    #[test]
    fn control_characters_in_a_value_are_shown_escaped() {
        assert_eq!(printable("a\u{1b}[31m\n"), "a\\u{1b}[31m\\n");
        assert!(printable(&"x".repeat(500)).chars().count() <= LONGEST_SHOWN + 1);
    }
}
