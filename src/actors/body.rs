//! A page's bytes while they wait for their turn: blocks in memory, the rest in scratch.
//!
//! Blocks are filled to full size before they move on. Once one block of a page had to go to scratch, all later ones
//! follow it, so that a body is read back in one pass: memory first, then the file.

use std::io;

use bytes::Bytes;

use crate::actors::memory::Room;
use crate::delivery::ScratchFile;

/// A block of page bytes, and the room it takes.
#[derive(Debug)]
pub struct Block {
    /// The bytes.
    pub bytes: Bytes,
    /// Their room; none for the last block, whose room is the page's slot.
    pub room: Option<Room>,
}

/// A whole page's bytes.
#[derive(Default)]
pub struct PageBody {
    blocks: Vec<Block>,
    spilled: Option<ScratchFile>,
    n_spilled: u64,
}

impl PageBody {
    /// Whether it has begun to go to scratch.
    pub fn is_spilling(&self) -> bool {
        self.spilled.is_some()
    }

    /// Adds a block in memory. The body must not be spilling.
    pub fn keep(&mut self, block: Block) {
        debug_assert!(!self.is_spilling(), "memory blocks come before spilled ones");
        self.blocks.push(block);
    }

    /// The scratch file, while a block is being written to it elsewhere.
    pub fn take_scratch(&mut self) -> Option<ScratchFile> {
        self.spilled.take()
    }

    /// The scratch file back, with `n_bytes` more in it.
    pub fn put_scratch(&mut self, file: ScratchFile, n_bytes: u64) {
        self.spilled = Some(file);
        self.n_spilled += n_bytes;
    }

    /// All its bytes, wherever they are.
    pub fn n_bytes(&self) -> u64 {
        self.blocks.iter().map(|block| block.bytes.len() as u64).sum::<u64>() + self.n_spilled
    }

    /// Bytes in scratch.
    pub fn n_spilled(&self) -> u64 {
        self.n_spilled
    }

    /// Shows the body block by block, and keeps it.
    ///
    /// # Errors
    /// The viewer's, or `unreadable` of why scratch can't be read back.
    pub fn look<E>(
        &self,
        block_bytes: usize,
        unreadable: impl Fn(io::Error) -> E,
        mut view: impl FnMut(Bytes) -> Result<(), E>,
    ) -> Result<(), E> {
        for block in &self.blocks {
            view(block.bytes.clone())?;
        }
        self.read_scratch(block_bytes, unreadable, view)
    }

    /// Hands the body over block by block; each block's room is free as soon as the receiver drops the bytes it got.
    ///
    /// # Errors
    /// The receiver's, or `unreadable` of why scratch can't be read back.
    pub fn drain<E>(
        mut self,
        block_bytes: usize,
        unreadable: impl Fn(io::Error) -> E,
        mut receive: impl FnMut(Bytes) -> Result<(), E>,
    ) -> Result<(), E> {
        for block in std::mem::take(&mut self.blocks) {
            receive(block.bytes)?;
            drop(block.room);
        }
        self.read_scratch(block_bytes, unreadable, receive)
    }

    fn read_scratch<E>(
        &self,
        block_bytes: usize,
        unreadable: impl Fn(io::Error) -> E,
        mut receive: impl FnMut(Bytes) -> Result<(), E>,
    ) -> Result<(), E> {
        let Some(file) = &self.spilled else { return Ok(()) };
        let mut offset = 0;
        while offset < self.n_spilled {
            let n = usize::try_from(self.n_spilled - offset).map_or(block_bytes, |left| left.min(block_bytes));
            let block = file.read(offset, n).map_err(&unreadable)?;
            offset += block.len() as u64;
            receive(block)?;
        }
        Ok(())
    }
}

impl std::fmt::Debug for PageBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PageBody({} blocks, {} bytes in scratch)", self.blocks.len(), self.n_spilled)
    }
}
