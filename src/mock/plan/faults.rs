//! A plan's words for rules: which calls one meets. What it does to them is in [`then`](super::then).

use serde::Deserialize;
use serde::de::Error;
use serde_saphyr::Spanned;

use crate::mock::fault::{FaultRule, Matcher};
use crate::mock::ledger::CallKind;

use super::error::PlanError;
use super::limits::Between;
use super::then::Then;
use super::words::{Chance, Time};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rule {
    #[serde(default)]
    on: On,
    then: Then,
}

impl Rule {
    pub(super) fn read(self) -> Result<FaultRule, PlanError> {
        Ok(FaultRule::new(self.on.read()?, self.then.read()))
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct On {
    kind: Option<KindText>,
    page: Option<Number>,
    query: Option<usize>,
    template: Option<String>,
    after: u64,
    first: Option<u64>,
    each: bool,
    chance: Option<Chance>,
    seed: u64,
    from: Option<Time>,
    until: Option<Spanned<Time>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum KindText {
    Token,
    Submit,
    Status,
    Page,
    Other,
}

/// Pages are counted from 1.
#[derive(Clone, Copy)]
pub(super) struct Number(pub(super) u64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: serde::Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        match u64::deserialize(source)? {
            0 => Err(D::Error::custom("there is no page 0, pages are counted from 1")),
            number => Ok(Self(number)),
        }
    }
}

impl On {
    fn read(self) -> Result<Matcher, PlanError> {
        let mut on = match (self.page, self.kind) {
            (Some(Number(page)), _) => Matcher::page(page),
            (None, None) => Matcher::any(),
            (None, Some(kind)) => Matcher::kind(kind.read()),
        };
        on = on.matches(self.after..self.first.map_or(u64::MAX, |n| self.after.saturating_add(n)));
        let Between { from, to } = Between::of(self.from, self.until)?;
        on = on.during(from..to);
        if let Some(nth) = self.query {
            on = on.of_query(nth);
        }
        if let Some(template) = &self.template {
            on = on.of_template(template);
        }
        if self.each {
            on = on.each();
        }
        Ok(on.by_chance(self.chance.map_or(1.0, |Chance(chance)| chance), self.seed))
    }
}

impl KindText {
    fn read(self) -> CallKind {
        match self {
            Self::Token => CallKind::Token,
            Self::Submit => CallKind::Submit,
            Self::Status => CallKind::Status,
            Self::Page => CallKind::Page,
            Self::Other => CallKind::Other,
        }
    }
}
