//! A plan's words for columns: a list of `- NAME: KIND`, where a kind is its name or `{NAME: {OPTION: …}}`.
//!
//! ```yaml
//! columns:
//!   - contactId: {id: {start: 100000000000}}
//!   - startedAt: timestamp
//!   - agent: {agent: {empty: 0.05}}
//!   - notes: {text: {quotes: 0.2, length: 40..400}}
//! ```
//!
//! Options that are not written have a usual value; `empty`, the share of rows without one, every kind has.

use std::fmt;
use std::marker::PhantomData;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;
use serde::de::value::MapDeserializer;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::mock::columns::{Column, ColumnKind, Columns, DurationForm, FreeText, TimeForm};

use super::words::Span;

/// Every kind, as it is written.
const KINDS: [&str; 20] = [
    "id",
    "uuid",
    "timestamp",
    "duration",
    "skill",
    "agent",
    "agent_id",
    "disposition",
    "channel",
    "phone",
    "boolean",
    "integer",
    "decimal",
    "hex",
    "constant",
    "choice",
    "text",
    "json",
    "url",
    "utf8",
];

/// The whole table.
pub(super) struct ColumnsText(pub(super) Columns);

impl<'de> Deserialize<'de> for ColumnsText {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        let columns = Vec::<ColumnText>::deserialize(source)?;
        Columns::new(columns.into_iter().map(|column| column.0).collect()).map(Self).map_err(D::Error::custom)
    }
}

struct ColumnText(Column);

impl<'de> Deserialize<'de> for ColumnText {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        struct One;

        impl<'de> Visitor<'de> for One {
            type Value = ColumnText;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a column such as `- agent: {agent: {empty: 0.05}}`")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ColumnText, A::Error> {
                let Some(name) = map.next_key::<String>()? else {
                    return Err(A::Error::custom("a column has a name and a kind, such as `- startedAt: timestamp`"));
                };
                let KindText { kind, empty } = map.next_value()?;
                match map.next_key::<String>()? {
                    None => Ok(ColumnText(Column { name, kind, empty })),
                    Some(other) => Err(A::Error::custom(format!(
                        "`{other}` stands beside `{name}`: each column begins with a dash of its own, and what a kind \
                         is told stands in braces behind it"
                    ))),
                }
            }
        }

        source.deserialize_any(One)
    }
}

struct KindText {
    kind: ColumnKind,
    empty: f64,
}

impl<'de> Deserialize<'de> for KindText {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        struct NameOrMore;

        impl<'de> Visitor<'de> for NameOrMore {
            type Value = KindText;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a kind of column such as `timestamp`, or one with options such as `{id: {start: 1}}`")
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<KindText, E> {
                let none = std::iter::empty::<(&str, &str)>();
                OfKind(name).deserialize(MapDeserializer::new(none))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<KindText, A::Error> {
                let Some(name) = map.next_key::<String>()? else {
                    return Err(A::Error::custom("a kind of column is due, such as `{id: {start: 1}}`"));
                };
                let kind = map.next_value_seed(OfKind(&name))?;
                match map.next_key::<String>()? {
                    None => Ok(kind),
                    Some(other) => Err(A::Error::custom(format!(
                        "`{other}` stands beside the kind `{name}`: write it within, as in {{{name}: {{{other}: …}}}}"
                    ))),
                }
            }
        }

        source.deserialize_any(NameOrMore)
    }
}

/// What each kind may be told.
macro_rules! options {
    ($($name:ident { $($key:ident: $type:ty),* $(,)? })*) => {
        $(
            #[derive(Default, Deserialize)]
            #[serde(default, deny_unknown_fields)]
            struct $name {
                empty: f64,
                $($key: Option<$type>,)*
            }
        )*
    };
}

options! {
    Bare {}
    Id { start: u64, step: u64, prefix: String, width: usize }
    Time { format: TimeWord, later: Span }
    Length { format: LengthWord, range: Span }
    Phone { country: String }
    Boolean { true_share: f64 }
    Integer { range: Between<i64> }
    Decimal { range: Between<i64>, decimals: u32 }
    Hex { digits: usize }
    Text {
        length: Between<usize>,
        quotes: f64,
        commas: f64,
        newlines: f64,
        crlf: f64,
        emoji: f64,
        cjk: f64,
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum TimeWord {
    Rfc3339,
    DateTime,
    Date,
    Unix,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum LengthWord {
    Seconds,
    Clock,
}

/// Reads the options of the kind of that name.
struct OfKind<'a>(&'a str);

impl<'de> DeserializeSeed<'de> for OfKind<'_> {
    type Value = KindText;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<KindText, D::Error> {
        let bare = |source, kind| Bare::deserialize(source).map(|Bare { empty }| KindText { kind, empty });
        let (kind, empty) = match self.0 {
            "id" => {
                let id = Id::deserialize(source)?;
                let (step, prefix, width) =
                    (id.step.unwrap_or(1), id.prefix.unwrap_or_default(), id.width.unwrap_or(0));
                (ColumnKind::Id { start: id.start, step, prefix, width }, id.empty)
            }
            "timestamp" => {
                let time = Time::deserialize(source)?;
                let form = match time.format {
                    None | Some(TimeWord::Rfc3339) => TimeForm::Rfc3339,
                    Some(TimeWord::DateTime) => TimeForm::DateTime,
                    Some(TimeWord::Date) => TimeForm::Date,
                    Some(TimeWord::Unix) => TimeForm::Unix,
                };
                let later = time.later.map_or(Duration::ZERO..=Duration::ZERO, |later| later.least..=later.most);
                (ColumnKind::Timestamp { form, later }, time.empty)
            }
            "duration" => {
                let length = Length::deserialize(source)?;
                let form = match length.format {
                    None | Some(LengthWord::Seconds) => DurationForm::Seconds,
                    Some(LengthWord::Clock) => DurationForm::Clock,
                };
                let usual = Duration::ZERO..=Duration::from_secs(1800);
                let range = length.range.map_or(usual, |range| range.least..=range.most);
                (ColumnKind::Duration { form, range }, length.empty)
            }
            "phone" => {
                let phone = Phone::deserialize(source)?;
                (ColumnKind::Phone(phone.country), phone.empty)
            }
            "boolean" => {
                let boolean = Boolean::deserialize(source)?;
                (ColumnKind::Boolean(boolean.true_share.unwrap_or(0.5)), boolean.empty)
            }
            "integer" => {
                let integer = Integer::deserialize(source)?;
                (ColumnKind::Integer(integer.range.map_or(0..=1000, |range| range.0)), integer.empty)
            }
            "decimal" => {
                let decimal = Decimal::deserialize(source)?;
                let range = decimal.range.map_or(0..=100, |range| range.0);
                (ColumnKind::Decimal { range, decimals: decimal.decimals.unwrap_or(2) }, decimal.empty)
            }
            "hex" => {
                let hex = Hex::deserialize(source)?;
                (ColumnKind::Hex { digits: hex.digits.unwrap_or(16) }, hex.empty)
            }
            "constant" => (ColumnKind::Constant(source.deserialize_any(Constant)?), 0.0),
            "choice" => {
                let choice = source.deserialize_any(ChoiceText::default())?;
                (ColumnKind::Choice(choice.values), choice.empty)
            }
            "text" => {
                let (text, usual) = (Text::deserialize(source)?, FreeText::default());
                let free = FreeText {
                    length: text.length.map_or(usual.length, |length| length.0),
                    quotes: text.quotes.unwrap_or(usual.quotes),
                    commas: text.commas.unwrap_or(usual.commas),
                    newlines: text.newlines.unwrap_or(usual.newlines),
                    crlf: text.crlf.unwrap_or(usual.crlf),
                    emoji: text.emoji.unwrap_or(usual.emoji),
                    cjk: text.cjk.unwrap_or(usual.cjk),
                };
                (ColumnKind::Text(free), text.empty)
            }
            "uuid" => return bare(source, ColumnKind::Uuid),
            "skill" => return bare(source, ColumnKind::Skill),
            "agent" => return bare(source, ColumnKind::Agent),
            "agent_id" => return bare(source, ColumnKind::AgentId),
            "disposition" => return bare(source, ColumnKind::Disposition),
            "channel" => return bare(source, ColumnKind::Channel),
            "json" => return bare(source, ColumnKind::Json),
            "url" => return bare(source, ColumnKind::Url),
            "utf8" => return bare(source, ColumnKind::Utf8),
            unknown => {
                let known = KINDS.join(", ");
                return Err(D::Error::custom(format!("`{unknown}` is no kind of column; known are {known}")));
            }
        };
        Ok(KindText { kind, empty })
    }
}

struct Constant;

impl Visitor<'_> for Constant {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, as in `{constant: \"v1\"}`; a number stands in quotes")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }
}

/// `[a, b]`, or `{values: [a, b]}`, or `{values: {a: 3, b: 1}}` with weights.
#[derive(Default)]
struct ChoiceText {
    values: Vec<(String, f64)>,
    empty: f64,
}

impl<'de> Visitor<'de> for ChoiceText {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "values as in `{choice: [gold, silver]}`, or weights as in `{choice: {values: {gold: 1, silver: 3}}}`",
        )
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<Self, A::Error> {
        while let Some(value) = items.next_element::<String>()? {
            self.values.push((value, 1.0));
        }
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Self, A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "values" => self.values = map.next_value_seed(Weights)?,
                "empty" => self.empty = map.next_value()?,
                other => return Err(A::Error::custom(format!("`choice` has `values` and `empty`, not `{other}`"))),
            }
        }
        Ok(self)
    }
}

struct Weights;

impl<'de> DeserializeSeed<'de> for Weights {
    type Value = Vec<(String, f64)>;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<Self::Value, D::Error> {
        source.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Weights {
    type Value = Vec<(String, f64)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list such as `[gold, silver]`, or weights such as `{gold: 1, silver: 3}`")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Self::Value, A::Error> {
        ChoiceText::default().visit_seq(items).map(|choice| choice.values)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut values = Vec::new();
        while let Some(weighted) = map.next_entry::<String, f64>()? {
            values.push(weighted);
        }
        Ok(values)
    }
}

/// As in `20..400`, both ends included, or `5` for that alone.
struct Between<T>(RangeInclusive<T>);

impl<'de, T: FromStr + Copy + PartialOrd> Deserialize<'de> for Between<T> {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        source.deserialize_any(Range(PhantomData)).map(Self)
    }
}

struct Range<T>(PhantomData<T>);

impl<T: FromStr + Copy + PartialOrd> Visitor<'_> for Range<T> {
    type Value = RangeInclusive<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a range such as 20..400")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        let (least, most) = text.split_once("..").unwrap_or((text, text));
        match (least.parse(), most.parse()) {
            (Ok(least), Ok(most)) if least <= most => Ok(least..=most),
            _ => Err(E::custom(format!("`{text}` is no range such as 20..400"))),
        }
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        self.visit_str(&number.to_string())
    }
}

#[cfg(test)]
mod tests;
