//! Where bytes stand that a rule may speak of, sixty-four at a time.
//!
//! A byte that is not marked never makes a field's writing differ; one that is may be harmless all the same, which only
//! the states of the grammar tell. First bytes of fields are known by what stands before them, so that the hyphens of
//! dates are passed over.

use wide::u8x64;

const BLOCK: usize = 64;

/// The bytes of a chunk that have to be looked at, found block by block.
pub(super) struct Marks<'a> {
    chunk: &'a [u8],
    escapes: bool,
    guards: bool,
    /// Where the block begins that `bits` speaks of.
    base: usize,
    bits: u64,
}

impl<'a> Marks<'a> {
    /// Those of `chunk`: for the newlines and backslashes of fields, or for how fields begin, or both.
    pub(super) fn new(chunk: &'a [u8], escapes: bool, guards: bool) -> Self {
        let mut marks = Self { chunk, escapes, guards, base: 0, bits: 0 };
        marks.bits = marks.block(0);
        marks
    }

    /// The first of them at `from` or behind it; the chunk's length if there is none.
    #[inline]
    pub(super) fn next(&mut self, from: usize) -> usize {
        loop {
            let passed = from.saturating_sub(self.base);
            if passed < BLOCK {
                let bits = self.bits & (u64::MAX << passed);
                if bits != 0 {
                    return self.base + bits.trailing_zeros() as usize;
                }
            }
            let base = self.base + BLOCK;
            if base >= self.chunk.len() {
                return self.chunk.len();
            }
            self.base = base;
            self.bits = self.block(base);
        }
    }

    #[inline]
    fn block(&self, base: usize) -> u64 {
        let rest = &self.chunk[base..];
        let bytes = match rest.first_chunk::<BLOCK>() {
            Some(block) => u8x64::new(*block),
            None => {
                let mut block = [0; BLOCK];
                block[..rest.len()].copy_from_slice(rest);
                u8x64::new(block)
            }
        };
        let is = |byte: u8| bytes.simd_eq(u8x64::splat(byte));
        let quotes = is(b'"');
        let mut marked = quotes;
        if self.escapes {
            marked = marked | is(b'\\') | is(b'\n') | is(b'\r');
        }
        let mut bits = marked.to_bitmask();
        if self.guards {
            // What came before the chunk is not looked at: its first byte may begin a field for all that is known here.
            let is_behind = base == 0 || matches!(self.chunk[base - 1], b',' | b'\n' | b'\r' | b'"');
            let before = (quotes | is(b',') | is(b'\n') | is(b'\r')).to_bitmask();
            let leading = is(b'=') | is(b'+') | is(b'-') | is(b'@') | is(b'\t') | is(b'\r');
            bits |= leading.to_bitmask() & (before << 1 | u64::from(is_behind));
        }
        bits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(chunk: &[u8], escapes: bool, guards: bool) -> Vec<usize> {
        let mut marks = Marks::new(chunk, escapes, guards);
        let mut found = Vec::new();
        let mut at = marks.next(0);
        while at < chunk.len() {
            found.push(at);
            at = marks.next(at + 1);
        }
        found
    }

    #[test]
    fn marks_are_found_in_every_place_of_a_block_and_past_it() {
        for at in 0..200 {
            let mut chunk = vec![b'x'; 200];
            chunk[at] = b'"';
            assert_eq!(all(&chunk, false, false), [at]);
            chunk[at] = b'\\';
            assert_eq!(all(&chunk, true, false), [at]);
            assert!(all(&chunk, false, true).is_empty());
            if at > 0 {
                (chunk[at - 1], chunk[at]) = (b',', b'=');
                assert_eq!(all(&chunk, true, true), [at]);
            }
        }
    }

    #[test]
    fn a_hyphen_is_marked_only_where_a_field_may_begin() {
        assert_eq!(all(b"-1,2024-01-01,-5,\"-6\"\n-7", false, true), [0, 14, 17, 18, 20, 22]);
        assert!(all(b"", true, true).is_empty());
    }
}
