//! Counts a page's records and fields while it arrives, each byte once, without keeping the page.
//!
//! A [`Framer`] takes chunks of any size and gives the same facts for every way of cutting the page. Whole blocks
//! of 64 bytes go through the bit scan; the page's first record, its last few bytes and blocks with stray quotes go
//! through the grammar byte by byte, which is slower and always right. Memory is bounded by the record limit.

mod first;
mod scan;
#[cfg(test)]
mod tests;

use xxhash_rust::xxh3::Xxh3;

use super::BOM;
use super::blocks::BLOCK;
use super::facts::{Framed, FramingFault};
use crate::model::PageDigest;
use scan::{PageBytes, Scan};

/// How much a page may ask of us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FramingLimits {
    /// The longest record, in bytes without its line ending.
    pub record_bytes: u64,
}

/// Scans one page.
///
/// ```
/// use cxtract::csv::{Framer, FramingLimits};
///
/// let mut framer = Framer::new(FramingLimits { record_bytes: 1024 });
/// framer.push(b"id,note\n1,\"two\nli")?;
/// framer.push(b"nes\"\n")?;
/// assert_eq!(framer.finish()?.n_records, 2);
/// # Ok::<(), cxtract::csv::FramingFault>(())
/// ```
pub struct Framer {
    digest: Xxh3,
    n_bytes: u64,
    last: Option<u8>,
    // How many bytes of a byte order mark were seen; none once something else was.
    bom: Option<u8>,
    bom_len: u8,
    // Bytes short of a block, so that blocks lie the same way however the page is cut.
    pending: [u8; BLOCK],
    n_pending: usize,
    scan: Scan,
}

impl std::fmt::Debug for Framer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Framer").field("n_bytes", &self.n_bytes).finish_non_exhaustive()
    }
}

impl Framer {
    /// A framer for a page that is about to begin.
    pub fn new(limits: FramingLimits) -> Self {
        Self::with(Scan::new(limits.record_bytes, false))
    }

    /// A framer that goes on where a record does not end, counting and digesting bytes only. What it found then stands
    /// in [`Framed::broken`]; the record without an end counts as one, and all else speaks of the records before it.
    /// Where it is the page's first, its first line alone stands in [`Framed::first`].
    pub fn lenient(limits: FramingLimits) -> Self {
        Self::with(Scan::new(limits.record_bytes, true))
    }

    fn with(scan: Scan) -> Self {
        Self {
            digest: Xxh3::new(),
            n_bytes: 0,
            last: None,
            bom: Some(0),
            bom_len: 0,
            pending: [0; BLOCK],
            n_pending: 0,
            scan,
        }
    }

    /// Takes the next bytes of the page. After a fault the framer is of no further use.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), FramingFault> {
        self.digest.update(chunk);
        self.n_bytes += chunk.len() as u64;
        self.last = chunk.last().copied().or(self.last);
        let text = self.pass_bom(chunk)?;
        self.take(text)
    }

    /// Ends the page.
    pub fn finish(mut self) -> Result<Framed, FramingFault> {
        // A page may end within what looked like a byte order mark; then those bytes are text.
        if let Some(seen) = self.bom.take() {
            self.take(&BOM[..usize::from(seen)])?;
        }
        self.scan.bytes(&self.pending[..self.n_pending])?;
        self.scan.finish(PageBytes {
            n_bytes: self.n_bytes,
            bom_len: self.bom_len,
            last: self.last,
            digest: PageDigest(self.digest.digest128()),
        })
    }

    /// Swallows a byte order mark at the page's start, however it is cut.
    fn pass_bom<'a>(&mut self, chunk: &'a [u8]) -> Result<&'a [u8], FramingFault> {
        let mut rest = chunk;
        while let Some(seen) = self.bom {
            let Some((&byte, after)) = rest.split_first() else { break };
            if byte == BOM[usize::from(seen)] {
                rest = after;
                self.bom = Some(seen + 1);
                if usize::from(seen) + 1 == BOM.len() {
                    self.bom = None;
                    self.bom_len = BOM.len() as u8;
                }
            } else {
                self.bom = None;
                self.take(&BOM[..usize::from(seen)])?;
            }
        }
        Ok(rest)
    }

    fn take(&mut self, mut text: &[u8]) -> Result<(), FramingFault> {
        if self.n_pending > 0 {
            let n = text.len().min(BLOCK - self.n_pending);
            self.pending[self.n_pending..self.n_pending + n].copy_from_slice(&text[..n]);
            self.n_pending += n;
            text = &text[n..];
            if self.n_pending < BLOCK {
                return Ok(());
            }
            self.scan.blocks(&[self.pending])?;
            self.n_pending = 0;
        }
        let (blocks, rest) = text.as_chunks::<BLOCK>();
        self.scan.blocks(blocks)?;
        self.pending[..rest.len()].copy_from_slice(rest);
        self.n_pending = rest.len();
        Ok(())
    }
}
