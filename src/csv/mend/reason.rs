//! Why a record is not delivered, in words for people and in a word for programs.
//!
//! Each reason names what was seen in the record itself, so that it can be found and mended where it was made.

use std::fmt;

use super::KeyShape;

/// Why a record can't be delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It has another number of fields than the header.
    Ragged {
        /// Its fields.
        n_fields: u64,
        /// The header's.
        expected: u64,
    },
    /// It is part of a record broken by raw newlines, which can be put together in several ways.
    Ambiguous {
        /// Its fields.
        n_fields: u64,
        /// The header's.
        expected: u64,
    },
    /// It looks whole, but a piece beside it may belong to it.
    Neighbour,
    /// It is part of a record that was broken beside a quoted field.
    BesideQuotes,
    /// It is part of a broken record that has a quote inside an unquoted field, as if one were missing elsewhere.
    StrayQuote,
    /// It is part of a broken record that has NUL bytes in it, so that it may be no text at all.
    Nul,
    /// It has as many fields as the header, but its first one is unlike all others.
    KeyShape {
        /// What the others look like.
        shape: KeyShape,
    },
    /// Text stands behind a closing quote.
    Misquoted,
    /// A quote was opened and never closed.
    OpenQuote,
    /// Its quotes reach across lines, and then it has another number of fields than the header.
    QuotesAcross {
        /// The header's fields.
        expected: u64,
    },
    /// Its quotes reach across lines, and it reads as a record without that too.
    Entangled,
    /// It is longer than a record may be.
    TooLong {
        /// The limit in bytes.
        limit: u64,
    },
    /// It is one of too many pieces in a row to tell which of them belong together.
    RegionTooLarge {
        /// How many bytes are looked at together.
        limit: u64,
    },
}

impl Reason {
    /// One word for it, for programs.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Ragged { .. } => "ragged",
            Self::Ambiguous { .. } => "ambiguous",
            Self::Neighbour => "neighbour",
            Self::BesideQuotes => "beside_quotes",
            Self::StrayQuote => "stray_quote",
            Self::Nul => "nul",
            Self::KeyShape { .. } => "key_shape",
            Self::Misquoted => "misquoted",
            Self::OpenQuote => "open_quote",
            Self::QuotesAcross { .. } => "quotes_across",
            Self::Entangled => "entangled",
            Self::TooLong { .. } => "too_long",
            Self::RegionTooLarge { .. } => "region_too_large",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ragged { n_fields, expected } => {
                write!(f, "{} where the header has {expected}", Fields(*n_fields))
            }
            Self::Ambiguous { n_fields, expected } => write!(
                f,
                "{} where the header has {expected}: part of a record broken by a raw newline, \
                 which can be put together in more ways than one",
                Fields(*n_fields)
            ),
            Self::Neighbour => f.write_str("looks whole, but the incomplete line beside it may belong to it"),
            Self::BesideQuotes => f.write_str("part of a record broken by a raw newline beside a quoted field"),
            Self::StrayQuote => {
                f.write_str("part of a record broken by a raw newline that has a quote inside an unquoted field")
            }
            Self::Nul => f.write_str("part of a record broken by a raw newline that has NUL bytes in it"),
            Self::KeyShape { shape } => {
                write!(f, "first field is not {shape} as in every other record")
            }
            Self::Misquoted => f.write_str("text behind a closing quote"),
            Self::OpenQuote => f.write_str("a quote is opened and never closed"),
            Self::QuotesAcross { expected } => {
                write!(f, "quotes reach across lines, and the record then has not the header's {}", Fields(*expected))
            }
            Self::Entangled => {
                f.write_str("quotes reach across lines, but the first line is a whole record without them")
            }
            Self::TooLong { limit } => write!(f, "longer than {limit} bytes"),
            Self::RegionTooLarge { limit } => write!(
                f,
                "one of too many incomplete lines in a row: no more than {limit} bytes are looked at together"
            ),
        }
    }
}

/// So many fields, in words.
struct Fields(u64);

impl fmt::Display for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 1 { f.write_str("1 field") } else { write!(f, "{} fields", self.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_field_is_said_in_the_singular() {
        assert_eq!(Reason::Ragged { n_fields: 1, expected: 3 }.to_string(), "1 field where the header has 3");
        assert_eq!(Reason::Ragged { n_fields: 4, expected: 3 }.to_string(), "4 fields where the header has 3");
    }
}
