//! The SHA-256 of a file, on a thread of its own beside the reading.
//!
//! Blocks go round: the reader fills one, the hash empties it and gives it back, so that as many are in memory as were
//! made at first. Where the system has no thread to give, the hash is computed in place and only slower.

use std::io;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender};
use sha2::{Digest, Sha256};

const BLOCK_BYTES: usize = 256 * 1024;
const N_BLOCKS: usize = 8;

/// Hashes what it is given, in that order.
pub(super) struct Hashing {
    block: Vec<u8>,
    state: State,
}

enum State {
    Here(Box<Sha256>),
    There { full: Sender<Vec<u8>>, empty: Receiver<Vec<u8>>, thread: JoinHandle<Sha256> },
}

impl Hashing {
    pub(super) fn start() -> Self {
        let (full, arriving) = crossbeam_channel::bounded::<Vec<u8>>(N_BLOCKS);
        let (give_back, empty) = crossbeam_channel::bounded::<Vec<u8>>(N_BLOCKS);
        for _ in 1..N_BLOCKS {
            let _ = give_back.send(Vec::with_capacity(BLOCK_BYTES));
        }
        let thread = std::thread::Builder::new().name("cxtract-sha256".into()).spawn(move || {
            let mut hasher = Sha256::new();
            for mut block in arriving {
                hasher.update(&block);
                block.clear();
                let _ = give_back.send(block);
            }
            hasher
        });
        let state = match thread {
            Ok(thread) => State::There { full, empty, thread },
            Err(_) => State::Here(Box::default()),
        };
        Self { block: Vec::with_capacity(BLOCK_BYTES), state }
    }

    /// Adds bytes; waits while as many as may wait are waiting.
    pub(super) fn update(&mut self, mut bytes: &[u8]) {
        let State::There { full, empty, .. } = &self.state else {
            if let State::Here(hasher) = &mut self.state {
                hasher.update(bytes);
            }
            return;
        };
        while !bytes.is_empty() {
            let n = bytes.len().min(BLOCK_BYTES - self.block.len());
            self.block.extend_from_slice(&bytes[..n]);
            bytes = &bytes[n..];
            if self.block.len() == BLOCK_BYTES {
                // A thread that is gone shows when it is joined.
                let next = empty.recv().unwrap_or_default();
                let _ = full.send(std::mem::replace(&mut self.block, next));
            }
        }
    }

    /// The digest in lower-case hexadecimal.
    pub(super) fn finish(self) -> io::Result<String> {
        let hasher = match self.state {
            State::Here(hasher) => *hasher,
            State::There { full, thread, .. } => {
                let _ = full.send(self.block);
                drop(full);
                thread.join().map_err(|_| io::Error::other("the thread that computes its SHA-256 died"))?
            }
        };
        Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_does_not_hang_on_how_the_bytes_are_cut() {
        let bytes: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
        let due: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        for size in [1_000, BLOCK_BYTES, BLOCK_BYTES + 1, bytes.len()] {
            let mut hashing = Hashing::start();
            bytes.chunks(size).for_each(|chunk| hashing.update(chunk));
            assert_eq!(hashing.finish().unwrap(), due, "{size}");
        }
    }

    #[test]
    fn the_digest_of_nothing_is_the_known_one() {
        let empty = Hashing::start().finish().unwrap();
        assert_eq!(empty, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}
