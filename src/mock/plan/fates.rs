//! A plan's words for what becomes of queries: when they are ready, and what happens instead.

use std::collections::HashSet;
use std::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde_saphyr::Spanned;

use crate::mock::MockTenantBuilder;
use crate::mock::query::{Fate, Ready};

use super::error::PlanError;
use super::words::{Span, Time, span};

/// When results are ready: after a time, after a time between two, or by how much there is.
pub(super) struct ReadyText(Ready);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ByRows {
    #[serde(default)]
    at_least: Time,
    per_million_rows: Time,
}

const A_TIME: &str =
    "a duration such as 30s, a range such as 30s..2m, or {at_least: 5s, per_million_rows: 20s}, each at most 36500d";

impl<'de> Deserialize<'de> for ReadyText {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = Result<Ready, String>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(A_TIME)
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
                Ok(Err(format!("`{number}` is not {A_TIME}")))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                let ready = span(text).map(|Span { least, most }| Ready::Between(least, most));
                Ok(ready.ok_or_else(|| format!("`{text}` is not {A_TIME}")))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                let ByRows { at_least, per_million_rows } = ByRows::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Ok(Ready::ByRows { at_least: at_least.0, per_million: per_million_rows.0 }))
            }
        }

        // An error that is made behind the value knows its line.
        source.deserialize_any(Either)?.map(Self).map_err(D::Error::custom)
    }
}

impl ReadyText {
    pub(super) fn read(self) -> Ready {
        self.0
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FateText {
    query: Option<usize>,
    template: Option<String>,
    then: FateKind,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum FateKind {
    Fails(String),
    NeverReady,
    UnknownWord(String),
    StatusWords(StatusWords),
    ExpiresAfterPages(u64),
    Flaps(u32),
}

/// One with each poll, and at least one.
struct StatusWords(Vec<String>);

impl<'de> Deserialize<'de> for StatusWords {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        let words = Vec::deserialize(source)?;
        if words.is_empty() {
            return Err(D::Error::custom("`status_words` names none: write at least one, such as [queued, complete]"));
        }
        Ok(Self(words))
    }
}

/// Lays one list of fates over what is set so far, and refuses one that would be passed over.
pub(super) fn lay(
    fates: Vec<Spanned<FateText>>,
    mut builder: MockTenantBuilder,
) -> Result<MockTenantBuilder, PlanError> {
    let mut known = HashSet::new();
    for fate in fates {
        let FateText { query, template, then } = fate.value;
        if query.is_some() && template.is_some() {
            let what = "a fate is of one `query` or of a `template`, not of both: leave one out";
            return Err(PlanError::at(fate.referenced, what));
        }
        if !known.insert((query, template.clone())) {
            let of = match (query, &template) {
                (Some(nth), _) => format!("query {nth}"),
                (None, Some(template)) => format!("the template {template:?}"),
                (None, None) => "all queries".to_owned(),
            };
            let what = format!("a fate of {of} stands in this list already: leave one of the two out");
            return Err(PlanError::at(fate.referenced, what));
        }
        let then = then.read();
        builder = match (query, template) {
            (Some(nth), _) => builder.fate(nth, then),
            (None, Some(template)) => builder.fate_of(&template, then),
            (None, None) => builder.every_fate(then),
        };
    }
    Ok(builder)
}

impl FateKind {
    fn read(self) -> Fate {
        match self {
            Self::Fails(message) => Fate::Fails(message),
            Self::NeverReady => Fate::NeverReady,
            Self::UnknownWord(word) => Fate::UnknownWord(word),
            Self::StatusWords(StatusWords(words)) => Fate::Words(words),
            Self::ExpiresAfterPages(pages) => Fate::ExpiresAfterPages(pages),
            Self::Flaps(times) => Fate::Flaps(times),
        }
    }
}
