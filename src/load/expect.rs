//! What is expected of a load, as in `budget_use>=0.97`.
//!
//! An unknown name is an error and never an expectation that is always met; a figure that was not measured misses
//! whatever was expected of it.

use std::fmt;
use std::str::FromStr;

use super::figures::{FIGURES, named};
use super::report::LoadReport;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    AtLeast,
    AtMost,
    More,
    Less,
    Equal,
    Other,
}

/// Longer ones first, so that `>=` is not read as `>`.
const RELATIONS: [(&str, Relation); 6] = [
    (">=", Relation::AtLeast),
    ("<=", Relation::AtMost),
    ("==", Relation::Equal),
    ("!=", Relation::Other),
    (">", Relation::More),
    ("<", Relation::Less),
];

/// Something that a load is expected to come to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Expectation {
    figure: &'static str,
    relation: Relation,
    value: f64,
}

/// An expectation that was missed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Missed {
    /// What was expected.
    pub expected: Expectation,
    /// What was found; none where it was not measured.
    pub found: Option<f64>,
}

impl Expectation {
    /// The name of the figure that it speaks of.
    pub fn figure(&self) -> &'static str {
        self.figure
    }

    /// Holds it against a report.
    ///
    /// # Errors
    /// What was found, if it is not that.
    pub fn check(&self, report: &LoadReport) -> Result<(), Missed> {
        let found = report.figure(self.figure);
        if found.is_some_and(|found| self.is_met(found)) { Ok(()) } else { Err(Missed { expected: *self, found }) }
    }

    fn is_met(&self, found: f64) -> bool {
        match self.relation {
            Relation::AtLeast => found >= self.value,
            Relation::AtMost => found <= self.value,
            Relation::More => found > self.value,
            Relation::Less => found < self.value,
            Relation::Equal => found == self.value,
            Relation::Other => found != self.value,
        }
    }
}

impl FromStr for Expectation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = || format!("“{text}” is no expectation; write one as in budget_use>=0.97, with >= <= > < == or !=");
        let at = text.find(['<', '>', '=', '!']).ok_or_else(form)?;
        let (name, rest) = text.split_at(at);
        let (sign, relation) = RELATIONS.iter().find(|(sign, _)| rest.starts_with(sign)).ok_or_else(form)?;
        let value: f64 = rest[sign.len()..].trim().parse().ok().filter(|v: &f64| v.is_finite()).ok_or_else(form)?;
        let name = name.trim();
        let figure = named(name).ok_or_else(|| {
            let known: Vec<_> = FIGURES.iter().map(|figure| figure.name).collect();
            format!("there is no figure named “{name}”; known are {}", known.join(", "))
        })?;
        Ok(Self { figure: figure.name, relation: *relation, value })
    }
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = RELATIONS.iter().find(|(_, relation)| *relation == self.relation).map_or("", |(sign, _)| sign);
        write!(f, "{} {sign} {}", self.figure, self.value)
    }
}

impl fmt::Display for Missed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.found {
            Some(found) => write!(f, "expected {}, found {}", self.expected, super::report::rounded(found)),
            None => write!(f, "expected {}, but that was not measured", self.expected),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn met(text: &str, found: f64) -> bool {
        text.parse::<Expectation>().unwrap().is_met(found)
    }

    #[test]
    fn an_expectation_is_a_figure_a_relation_and_a_number() {
        for (text, found, due) in [
            ("budget_use>=0.97", 0.97, true),
            ("budget_use >= 0.97", 0.969, false),
            ("throttled<=3", 3.0, true),
            ("throttled<3", 3.0, false),
            ("p99_page_ms>1.5", 1.6, true),
            ("wrong==0", 0.0, true),
            ("wrong!=0", 0.0, false),
        ] {
            assert_eq!(met(text, found), due, "{text} with {found}");
        }
        assert_eq!("wrong==0".parse::<Expectation>().unwrap().to_string(), "wrong == 0");
    }

    #[test]
    fn what_can_not_be_read_is_refused_with_the_form_it_takes() {
        for text in ["", "wrong", "wrong=0", "wrong==", "wrong==nothing", "wrong==NaN", "wrong=>0", "wrong==inf"] {
            let error = text.parse::<Expectation>().unwrap_err();
            assert!(error.contains("budget_use>=0.97"), "{text}: {error}");
        }
    }

    #[test]
    fn an_unknown_figure_is_refused_with_all_that_are_known() {
        let error = "speed>3".parse::<Expectation>().unwrap_err();
        assert!(error.contains("“speed”") && FIGURES.iter().all(|figure| error.contains(figure.name)), "{error}");
    }

    #[test]
    fn a_miss_says_what_was_expected_and_what_was_found() {
        let expected: Expectation = "budget_use>=0.97".parse().unwrap();
        let missed = Missed { expected, found: Some(0.123_456) };
        assert_eq!(missed.to_string(), "expected budget_use >= 0.97, found 0.1235");
        let unknown = Missed { expected, found: None };
        assert_eq!(unknown.to_string(), "expected budget_use >= 0.97, but that was not measured");
    }
}
