//! Sixty-four bytes at a time, as bits.
//!
//! Four comparisons give a bit per byte for quotes, commas and line endings; a prefix xor over the quote bits
//! tells which bytes lie inside quotes. Quote parity needs no look ahead, since a doubled quote toggles twice.
//! It agrees with the grammar only while quotes stand where fields begin and end: `Shape::stray` says where not.

use fearless_simd::Simd;
use fearless_simd::prelude::*;

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
    /// What the next block begins with, unless something in this one is stray.
    pub(super) carry: Carry,
}

/// What a block must know of the bytes before it, in bits that need no branches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Carry {
    /// All bits where it begins inside quotes, else none.
    inside: u64,
    /// Bit 0 where it begins behind an unquoted line ending, comma, closing quote, carriage return.
    end: u64,
    comma: u64,
    quote: u64,
    after_cr: u64,
}

impl Carry {
    /// What a block begins with in `state`, right after an unquoted carriage return where `after_cr` says so.
    #[inline(always)]
    pub(super) fn new(state: State, after_cr: bool) -> Self {
        Self {
            inside: if state == State::Quoted { u64::MAX } else { 0 },
            end: u64::from(state == State::RecordStart),
            comma: u64::from(state == State::FieldStart),
            quote: u64::from(state == State::QuoteInQuoted),
            after_cr: u64::from(after_cr),
        }
    }

    /// The state that the grammar would be in.
    #[inline]
    pub(super) fn state(self) -> State {
        match self {
            Self { inside: u64::MAX, .. } => State::Quoted,
            Self { quote: 1, .. } => State::QuoteInQuoted,
            Self { end: 1, .. } => State::RecordStart,
            Self { comma: 1, .. } => State::FieldStart,
            _ => State::Plain,
        }
    }

    /// Whether the byte before was an unquoted carriage return.
    #[inline]
    pub(super) fn after_cr(self) -> bool {
        self.after_cr == 1
    }
}

/// Where the bytes that matter stand in a block, quoted or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Found {
    quotes: u64,
    commas: u64,
    line_feeds: u64,
    returns: u64,
}

impl Found {
    /// By what every processor of the target can do.
    #[inline]
    fn by_any(block: &[u8; BLOCK]) -> Self {
        let bytes = wide::u8x64::new(*block);
        let of = |byte| bytes.simd_eq(wide::u8x64::splat(byte)).to_bitmask();
        Self { quotes: of(b'"'), commas: of(b','), line_feeds: of(b'\n'), returns: of(b'\r') }
    }

    /// By what the processor at hand can do.
    #[inline(always)]
    fn by<S: Simd>(simd: S, block: &[u8; BLOCK]) -> Self {
        let bytes = fearless_simd::u8x64::from_slice(simd, block);
        let of = |byte: u8| bytes.simd_eq(byte).to_bitmask();
        Self { quotes: of(b'"'), commas: of(b','), line_feeds: of(b'\n'), returns: of(b'\r') }
    }
}

impl Shape {
    /// Reads a block that begins in `state`, right after an unquoted carriage return where `after_cr` says so.
    #[inline]
    pub(super) fn of(block: &[u8; BLOCK], state: State, after_cr: bool) -> Self {
        Self::from(Found::by_any(block), Carry::new(state, after_cr))
    }

    /// Reads a block that follows one that left `carry`, compiled for what `simd` stands for.
    #[inline(always)]
    pub(super) fn by<S: Simd>(simd: S, block: &[u8; BLOCK], carry: Carry) -> Self {
        Self::from(Found::by(simd, block), carry)
    }

    #[inline(always)]
    fn from(found: Found, carry: Carry) -> Self {
        let Found { quotes, commas: all_commas, line_feeds: all_line_feeds, returns: all_returns } = found;
        let outside = !carry.inside ^ prefix_xor(quotes);
        let commas = all_commas & outside;
        let returns = all_returns & outside;
        let line_feeds = all_line_feeds & outside;
        let line_ends = line_feeds | returns;

        let behind_end = line_ends << 1 | carry.end;
        let behind_comma = commas << 1 | carry.comma;
        let behind_quote = quotes << 1 | carry.quote;
        let behind_return = returns << 1 | carry.after_cr;

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
            carry: Carry {
                inside: if is_last(outside) { 0 } else { u64::MAX },
                end: line_ends >> 63,
                comma: commas >> 63,
                quote: (quotes & outside) >> 63,
                after_cr: returns >> 63,
            },
        }
    }
}

/// The bits below bit `i`.
#[inline(always)]
pub(super) fn below(i: u32) -> u64 {
    (1u64 << i) - 1
}

/// Bit `i` of the result is the parity of bits `0..=i`.
#[inline(always)]
fn prefix_xor(mut bits: u64) -> u64 {
    bits ^= bits << 1;
    bits ^= bits << 2;
    bits ^= bits << 4;
    bits ^= bits << 8;
    bits ^= bits << 16;
    bits ^ bits << 32
}

#[inline(always)]
fn is_last(bits: u64) -> bool {
    bits >> 63 == 1
}

#[cfg(test)]
mod tests {
    use fearless_simd::Level;

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
    fn every_kind_of_processor_finds_the_same_bytes() {
        let block: [u8; BLOCK] = std::array::from_fn(|i| b"\",\n\rx\xa2\x2c\x8a"[i * 7 / 3 % 8]);
        for level in [Level::new(), Level::baseline()] {
            let found = fearless_simd::dispatch!(level, simd => Found::by(simd, &block));
            assert_eq!(found, Found::by_any(&block), "{level:?}");
        }
    }

    #[test]
    fn every_state_is_carried_to_the_next_block() {
        for state in [State::RecordStart, State::FieldStart, State::Plain, State::Quoted, State::QuoteInQuoted] {
            assert_eq!(Carry::new(state, false).state(), state);
        }
        assert!(Carry::new(State::RecordStart, true).after_cr());
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
        assert_eq!((shape.stray, shape.carry.state()), (0, State::Plain));
    }
}
