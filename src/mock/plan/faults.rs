//! A plan's words for rules: which calls one meets. What it does to them is in [`then`](super::then).

use serde::Deserialize;
use serde::de::Error;
use serde_saphyr::Spanned;

use crate::mock::fault::{FaultRule, Matcher};
use crate::mock::ledger::CallKind;

use super::error::PlanError;
use super::limits::Between;
use super::then::Then;
use super::words::{Chance, Positive, Time};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rule {
    #[serde(default)]
    on: On,
    then: Spanned<Then>,
}

impl Rule {
    pub(super) fn read(self) -> Result<FaultRule, PlanError> {
        let kind = self.on.kind.filter(|kind| *kind != KindText::Page);
        if let (Some(kind), Some(word)) = (kind, self.then.value.of_pages_alone()) {
            let what = format!("`{word}` changes pages, and `kind: {}` meets none: write `kind: page`", kind.word());
            return Err(PlanError::at(self.then.referenced, what));
        }
        Ok(FaultRule::new(self.on.read()?, self.then.value.read()))
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct On {
    kind: Option<KindText>,
    page: Option<Spanned<Number>>,
    query: Option<Spanned<usize>>,
    template: Option<Spanned<String>>,
    after: u64,
    first: Option<Positive>,
    each: bool,
    chance: Option<Chance>,
    seed: u64,
    from: Option<Time>,
    until: Option<Spanned<Time>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
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
        self.check()?;
        let mut on = match (self.page, self.kind) {
            (Some(Spanned { value: Number(page), .. }), _) => Matcher::page(page),
            (None, None) => Matcher::any(),
            (None, Some(kind)) => Matcher::kind(kind.read()),
        };
        on = on.matches(self.after..self.first.map_or(u64::MAX, |Positive(n)| self.after.saturating_add(n)));
        let Between { from, to } = Between::of(self.from, self.until)?;
        on = on.during(from..to);
        if let Some(nth) = self.query {
            on = on.of_query(nth.value);
        }
        if let Some(template) = &self.template {
            on = on.of_template(&template.value);
        }
        if self.each {
            on = on.each();
        }
        Ok(on.by_chance(self.chance.map_or(1.0, |Chance(chance)| chance), self.seed))
    }

    /// Refuses what no call can be at once.
    fn check(&self) -> Result<(), PlanError> {
        let Some(kind) = self.kind else { return Ok(()) };
        let word = kind.word();
        if let Some(page) = self.page.as_ref().filter(|_| kind != KindText::Page) {
            let what = format!("no call is of `kind: {word}` and for a `page`: leave one of the two out");
            return Err(PlanError::at(page.referenced, what));
        }
        let query = self.query.as_ref().map(|query| ("query", query.referenced));
        let template = self.template.as_ref().map(|template| ("template", template.referenced));
        match query.or(template) {
            Some((key, place)) if !matches!(kind, KindText::Status | KindText::Page) => {
                let what = format!(
                    "a call of `kind: {word}` is of no query yet, so that `{key}` never meets it: leave `{key}` out, \
                     or write `kind: status` or `kind: page`"
                );
                Err(PlanError::at(place, what))
            }
            _ => Ok(()),
        }
    }
}

impl KindText {
    fn word(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Submit => "submit",
            Self::Status => "status",
            Self::Page => "page",
            Self::Other => "other",
        }
    }

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
