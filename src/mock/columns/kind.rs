//! The kinds of columns: what can be asked of each, and which figures make sense.
//!
//! A kind is a description only. How its fields are made is in `table`, how it is written in a plan in `plan/columns`.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::text::FreeText;

/// How a moment is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimeForm {
    /// `2024-01-31T09:30:00.125Z`
    #[default]
    Rfc3339,
    /// `2024-01-31 09:30:00`
    DateTime,
    /// `2024-01-31`
    Date,
    /// Whole seconds since 1970.
    Unix,
}

/// How a length of time is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DurationForm {
    /// `125.250`
    #[default]
    Seconds,
    /// `00:02:05`
    Clock,
}

/// What stands in a column.
#[derive(Clone, Debug, PartialEq)]
pub enum ColumnKind {
    /// Numbers that rise from row to row.
    Id {
        /// That of the first row. None: twelve digits that differ from window to window.
        start: Option<u64>,
        /// From one row to the next, at least 1.
        step: u64,
        /// What stands before the number.
        prefix: String,
        /// Leading zeros fill it up to so many digits, at most 20.
        width: usize,
    },
    /// A random UUID.
    Uuid,
    /// A moment within the window that rises from row to row. All such columns of a row are of one moment.
    Timestamp {
        /// How it is written.
        form: TimeForm,
        /// How much later than the row's moment it is.
        later: RangeInclusive<Duration>,
    },
    /// A length of time.
    Duration {
        /// How it is written.
        form: DurationForm,
        /// How long it is, in whole milliseconds.
        range: RangeInclusive<Duration>,
    },
    /// The name of a skill; some need quotes.
    Skill,
    /// The name of one of 256 agents; some need quotes, some are in other scripts.
    Agent,
    /// The number of the same agent.
    AgentId,
    /// How a contact ended; some need quotes, some are empty.
    Disposition,
    /// Call, chat, email and the like.
    Channel,
    /// A phone number as E.164 has it. The country's number with its plus sign; none: any of several.
    Phone(Option<String>),
    /// `true` in that share of rows, else `false`.
    Boolean(f64),
    /// Whole numbers, each as likely.
    Integer(RangeInclusive<i64>),
    /// Numbers with decimals.
    Decimal {
        /// Between these.
        range: RangeInclusive<i64>,
        /// How many decimals, from 1 to 9.
        decimals: u32,
    },
    /// A random hexadecimal number of so many digits, from 1 to 64.
    Hex {
        /// How many.
        digits: usize,
    },
    /// The same in every row.
    Constant(String),
    /// One of these, each as likely as its weight says.
    Choice(Vec<(String, f64)>),
    /// Free text.
    Text(FreeText),
    /// A small JSON object.
    Json,
    /// The address of a recording; some need quotes.
    Url,
    /// Characters that are easily damaged: joined, combined, right to left, outside of the first plane.
    Utf8,
}

impl ColumnKind {
    /// Numbers from `start` on.
    pub fn id_from(start: u64) -> Self {
        Self::Id { start: Some(start), step: 1, prefix: String::new(), width: 0 }
    }

    /// The row's own moment.
    pub fn timestamp() -> Self {
        Self::Timestamp { form: TimeForm::default(), later: Duration::ZERO..=Duration::ZERO }
    }

    /// Up to so long.
    pub fn duration_up_to(most: Duration) -> Self {
        Self::Duration { form: DurationForm::default(), range: Duration::ZERO..=most }
    }

    /// Says what is impossible.
    pub(in crate::mock) fn check(&self) -> Result<(), String> {
        let share = |share: f64| {
            if (0.0..=1.0).contains(&share) { Ok(()) } else { Err(format!("a share is from 0 to 1, not {share}")) }
        };
        let rises = |range: bool| if range { Ok(()) } else { Err("a range ends where it begins or later".to_owned()) };
        match self {
            Self::Id { step: 0, .. } => Err("step must be 1 at least, or ids would be alike".to_owned()),
            Self::Id { width: 21.., .. } => Err("width must be 20 at most".to_owned()),
            Self::Id { prefix, .. } if prefix.contains(['"', ',', '\n', '\r']) => {
                Err("a prefix holds no comma, quote or newline".to_owned())
            }
            Self::Timestamp { later, .. } => rises(later.start() <= later.end()),
            Self::Duration { range, .. } => rises(range.start() <= range.end()),
            Self::Integer(range) => rises(range.start() <= range.end()),
            Self::Decimal { range, decimals } => {
                rises(range.start() <= range.end())?;
                if !(1..=9).contains(decimals) {
                    return Err("decimals must be from 1 to 9".to_owned());
                }
                let fits = |end: &i64| end.unsigned_abs() <= 1_000_000_000;
                if fits(range.start()) && fits(range.end()) {
                    Ok(())
                } else {
                    Err("a decimal lies between -1000000000 and 1000000000".to_owned())
                }
            }
            Self::Phone(Some(country)) => {
                let digits = country.strip_prefix('+').unwrap_or_default();
                if (1..=3).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit()) {
                    Ok(())
                } else {
                    Err(format!("a country's number is written like \"+49\", not {country:?}"))
                }
            }
            Self::Boolean(of_true) => share(*of_true),
            Self::Hex { digits } if !(1..=64).contains(digits) => Err("digits must be from 1 to 64".to_owned()),
            Self::Choice(values) if values.is_empty() => Err("there is nothing to choose from".to_owned()),
            Self::Choice(values) => {
                let sum: f64 = values.iter().map(|(_, weight)| weight).sum();
                if values.iter().all(|(_, weight)| weight.is_finite() && *weight >= 0.0) && sum > 0.0 && sum.is_finite()
                {
                    Ok(())
                } else {
                    Err("weights are 0 or more, and one of them more than 0".to_owned())
                }
            }
            Self::Text(text) => text.check(),
            _ => Ok(()),
        }
    }
}
