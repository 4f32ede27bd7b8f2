//! Whether a text that begins with a sign is a number, one byte after the other.

/// A longer one is taken for text: that bounds what must be held back until it is known.
pub(super) const MOST_BYTES: usize = 400;

/// A number as far as it has been read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Number {
    part: Part,
    n_bytes: usize,
}

#[derive(Clone, Copy, Debug)]
enum Part {
    Sign,
    Whole,
    /// A decimal point with no digit before it.
    Point,
    Fraction,
    Exponent,
    ExponentSign,
    ExponentDigits,
}

impl Number {
    /// Only its sign has been read.
    pub(super) fn signed() -> Self {
        Self { part: Part::Sign, n_bytes: 1 }
    }

    /// Reads another byte; false if no number goes on like that.
    pub(super) fn take(&mut self, byte: u8) -> bool {
        self.part = match (self.part, byte) {
            _ if self.n_bytes == MOST_BYTES => return false,
            (Part::Sign | Part::Whole, b'0'..=b'9') => Part::Whole,
            (Part::Sign, b'.') => Part::Point,
            (Part::Whole, b'.') | (Part::Point | Part::Fraction, b'0'..=b'9') => Part::Fraction,
            (Part::Whole | Part::Fraction, b'e' | b'E') => Part::Exponent,
            (Part::Exponent, b'+' | b'-') => Part::ExponentSign,
            (Part::Exponent | Part::ExponentSign | Part::ExponentDigits, b'0'..=b'9') => Part::ExponentDigits,
            _ => return false,
        };
        self.n_bytes += 1;
        true
    }

    /// Whether it may end here.
    pub(super) fn is_whole(&self) -> bool {
        matches!(self.part, Part::Whole | Part::Fraction | Part::ExponentDigits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_number(text: &str) -> bool {
        let mut number = Number::signed();
        text.bytes().skip(1).all(|byte| number.take(byte)) && number.is_whole()
    }

    #[test]
    fn a_number_is_a_sign_digits_and_perhaps_an_exponent() {
        for number in ["-5", "+49", "-0.5", "-.5", "-5.", "+1e9", "-1.5E-10", "-2e+07"] {
            assert!(is_number(number), "{number}");
        }
        for text in [
            "-", "+", "-.", "-e5", "-.e5", "-1e", "-1e+", "--5", "+-5", "-5-5", "-1.2.3", "-1,5", "-5 ", "-x", "-1e5.0",
        ] {
            assert!(!is_number(text), "{text}");
        }
    }

    #[test]
    fn a_number_has_no_more_than_its_most_bytes() {
        assert!(is_number(&format!("-{}", "1".repeat(MOST_BYTES - 1))));
        assert!(!is_number(&format!("-{}", "1".repeat(MOST_BYTES))));
    }
}
