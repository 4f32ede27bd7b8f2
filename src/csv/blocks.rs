//! Sixty-four bytes at a time, as bits.
//!
//! Four comparisons give a bit per byte for quotes, commas and line endings; a prefix xor over the quote bits
//! tells which bytes lie inside quotes. Quote parity needs no look ahead, since a doubled quote toggles twice.
//! It agrees with the grammar only while quotes stand where fields begin and end: `Shape::stray` says where not.

use wide::u8x64;

use super::grammar::State;

/// Bytes in a block: as many as a `u64` has bits.
pub(super) const BLOCK: usize = 64;

/// A block as bit masks; bit `i` speaks of byte `i`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// Line feeds, quoted or not.
    pub(super) line_feeds: u64,
    /// Commas outside quotes.
    pub(super) commas: u64,
    /// First bytes of records.
    pub(super) starts: u64,
    /// Line endings that end a record.
    pub(super) ends: u64,
    /// Line feeds and carriage returns inside quotes.
    pub(super) quoted_ends: u64,
    /// Line endings of blank lines.
    pub(super) blanks: u64,
    /// Quotes, or bytes right behind one, where parity and the grammar may part.
    pub(super) stray: u64,
    /// Every quote, comma, line feed and carriage return.
    pub(super) specials: u64,
    /// The state after the block, unless something in it is stray.
    pub(super) state: State,
    /// Whether the block ends in an unquoted carriage return.
    pub(super) after_cr: bool,
}

impl Shape {
    /// Reads a block that begins in `state`, right after an unquoted carriage return where `after_cr` says so.
    #[inline]
    pub(super) fn of(block: &[u8; BLOCK], state: State, after_cr: bool) -> Self {
        let bytes = u8x64::new(*block);
        let quotes = positions(bytes, b'"');
        let all_line_feeds = positions(bytes, b'\n');
        let all_commas = positions(bytes, b',');
        let all_returns = positions(bytes, b'\r');
        let mut outside = if state == State::Quoted { 0 } else { u64::MAX };
        if quotes != 0 {
            outside ^= prefix_xor(quotes);
        }
        let commas = all_commas & outside;
        let returns = all_returns & outside;
        let line_feeds = all_line_feeds & outside;
        let line_ends = line_feeds | returns;

        let behind_end = line_ends << 1 | u64::from(state == State::RecordStart);
        let behind_comma = commas << 1 | u64::from(state == State::FieldStart);
        let behind_quote = quotes << 1 | u64::from(state == State::QuoteInQuoted);
        let behind_return = returns << 1 | u64::from(after_cr);

        let opening_amiss = quotes & !outside & !(behind_end | behind_comma | behind_quote);
        let text_behind_closing = outside & behind_quote & !(quotes | commas | line_ends);
        Self {
            line_feeds: all_line_feeds,
            commas,
            starts: behind_end & !line_ends,
            ends: line_ends & !behind_end,
            quoted_ends: (all_line_feeds | all_returns) & !outside,
            blanks: line_ends & behind_end & !(line_feeds & behind_return),
            stray: opening_amiss | text_behind_closing,
            specials: quotes | all_commas | all_line_feeds | all_returns,
            state: last_state(outside, quotes, commas, line_ends),
            after_cr: is_last(returns),
        }
    }
}

/// The bits below bit `i`.
#[inline]
pub(super) fn below(i: u32) -> u64 {
    (1u64 << i) - 1
}

#[inline]
fn positions(bytes: u8x64, of: u8) -> u64 {
    bytes.simd_eq(u8x64::splat(of)).to_bitmask()
}

/// Bit `i` of the result is the parity of bits `0..=i`.
#[inline]
fn prefix_xor(mut bits: u64) -> u64 {
    bits ^= bits << 1;
    bits ^= bits << 2;
    bits ^= bits << 4;
    bits ^= bits << 8;
    bits ^= bits << 16;
    bits ^ bits << 32
}

#[inline]
fn is_last(bits: u64) -> bool {
    bits >> 63 == 1
}

#[inline]
fn last_state(outside: u64, quotes: u64, commas: u64, line_ends: u64) -> State {
    if !is_last(outside) {
        State::Quoted
    } else if is_last(quotes) {
        State::QuoteInQuoted
    } else if is_last(line_ends) {
        State::RecordStart
    } else if is_last(commas) {
        State::FieldStart
    } else {
        State::Plain
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_xor_is_the_parity_up_to_each_bit() {
        let bits = 0x9a3c_0000_8001_f00d_u64;
        for i in 0..64 {
            let upto = if i == 63 { u64::MAX } else { below(i + 1) };
            assert_eq!(prefix_xor(bits) >> i & 1, u64::from((bits & upto).count_ones() % 2), "bit {i}");
        }
    }

    #[test]
    fn commas_and_line_endings_inside_quotes_do_not_count() {
        let mut block = [b'x'; BLOCK];
        block[..12].copy_from_slice(b"\"a,\n\",b\r\n\r\nc");
        let shape = Shape::of(&block, State::RecordStart, false);
        assert_eq!(shape.commas, 1 << 5);
        assert_eq!(shape.ends, 1 << 7);
        assert_eq!(shape.blanks, 1 << 9);
        assert_eq!(shape.starts, 1 | 1 << 11);
        assert_eq!(shape.line_feeds, 1 << 3 | 1 << 8 | 1 << 10);
        assert_eq!((shape.stray, shape.state), (0, State::Plain));
    }
}
