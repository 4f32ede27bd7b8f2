//! SHA-256 beside the writing, not in its way.
//!
//! Blocks are counted references, so that a second thread can hash what the first one writes. What waits for it
//! is bounded by bytes, over all outputs together, so that a slow hash slows the writer instead of eating memory.
//! Small outputs never start a thread.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use bytes::Bytes;
use crossbeam_channel::Sender;
use parking_lot::{Condvar, Mutex};
use sha2::{Digest, Sha256};

use super::SinkError;

/// Below this a thread costs more than it saves.
const WORTH_A_THREAD: u64 = 1024 * 1024;

/// Whether sinks may use threads of their own, and the room that waiting blocks share. Clones share it.
#[derive(Clone)]
pub struct Backstage(Option<Arc<Room>>);

impl Backstage {
    /// Hashing and syncing run on threads; at most `n_bytes` wait to be hashed.
    pub fn threads(n_bytes: usize) -> Self {
        Self(Some(Arc::new(Room { n_free: Mutex::new(n_bytes), n_bytes, changed: Condvar::new() })))
    }

    /// Everything happens within the call, in an order that a simulation can repeat.
    pub fn inline() -> Self {
        Self(None)
    }

    pub(super) fn has_threads(&self) -> bool {
        self.0.is_some()
    }
}

struct Room {
    n_free: Mutex<usize>,
    n_bytes: usize,
    changed: Condvar,
}

impl Room {
    fn take(&self, n: usize) {
        let n = n.min(self.n_bytes);
        let mut n_free = self.n_free.lock();
        while *n_free < n {
            self.changed.wait(&mut n_free);
        }
        *n_free -= n;
    }

    fn give_back(&self, n: usize) {
        *self.n_free.lock() += n.min(self.n_bytes);
        self.changed.notify_all();
    }
}

/// The SHA-256 of a stream of blocks.
pub struct Digester {
    backstage: Backstage,
    state: State,
    n_bytes: u64,
}

enum State {
    Here(Sha256),
    There { blocks: Sender<Bytes>, thread: JoinHandle<Sha256> },
}

impl Digester {
    /// The digest of nothing yet.
    pub fn new(backstage: &Backstage) -> Self {
        Self { backstage: backstage.clone(), state: State::Here(Sha256::new()), n_bytes: 0 }
    }

    /// Adds a block; waits while too much is waiting already.
    pub fn update(&mut self, block: &Bytes) {
        self.n_bytes += block.len() as u64;
        if self.n_bytes > WORTH_A_THREAD {
            self.move_to_a_thread();
        }
        match &mut self.state {
            State::Here(hasher) => hasher.update(block),
            State::There { blocks, .. } => {
                let room = self.backstage.0.as_ref().expect("only a backstage with threads has started one");
                room.take(block.len());
                if blocks.send(block.clone()).is_err() {
                    room.give_back(block.len());
                }
            }
        }
    }

    /// The digest in lower-case hexadecimal.
    pub fn finish(self) -> Result<String, SinkError> {
        let hasher = match self.state {
            State::Here(hasher) => hasher,
            State::There { blocks, thread } => {
                drop(blocks);
                thread.join().map_err(|_| {
                    SinkError::failed("sha256", "hashing the output", io::Error::other("its thread died"))
                })?
            }
        };
        Ok(hex(&hasher.finalize()))
    }

    fn move_to_a_thread(&mut self) {
        let (State::Here(hasher), Some(room)) = (&self.state, &self.backstage.0) else { return };
        let (mut hasher, room) = (hasher.clone(), room.clone());
        let (blocks, arriving) = crossbeam_channel::unbounded::<Bytes>();
        let thread = std::thread::Builder::new().name("cxtract-sha256".into()).spawn(move || {
            for block in arriving {
                hasher.update(&block);
                room.give_back(block.len());
            }
            hasher
        });
        // Where the system has no thread to give, the hash is only slower.
        if let Ok(thread) = thread {
            self.state = State::There { blocks, thread };
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from(b"0123456789abcdef"[digit as usize]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_the_same_with_and_without_a_thread() {
        let digest_of = |backstage: &Backstage| {
            let mut digester = Digester::new(backstage);
            for n in 0..64_u8 {
                digester.update(&Bytes::from(vec![n; 50_000]));
            }
            digester.finish().unwrap()
        };
        assert_eq!(digest_of(&Backstage::inline()), digest_of(&Backstage::threads(100_000)));
    }

    #[test]
    fn a_block_larger_than_all_room_still_passes() {
        let mut digester = Digester::new(&Backstage::threads(10));
        let block = Bytes::from(vec![1; 3 * 1024 * 1024]);
        digester.update(&block);
        digester.update(&block);
        assert_eq!(digester.finish().unwrap().len(), 64);
    }

    #[test]
    fn the_digest_of_nothing_is_the_known_one() {
        let empty = Digester::new(&Backstage::inline()).finish().unwrap();
        assert_eq!(empty, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}
