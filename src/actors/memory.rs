//! One byte budget for all page bytes in memory.
//!
//! Room is a value: whoever holds bytes holds the room for them, and dropping both is one act. Nothing waits for room
//! while it holds some: a page that finds none goes to scratch. So no order of pages can deadlock, and the page that is
//! written next can always move, because its extraction was granted a share before it began to fetch. Beyond that, no
//! extraction may start so many pages that others are left with one at a time: pages hold room while they wait for
//! their turn at the gate, and who has none waiting there gets no turns.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// What an extraction is granted before it begins to fetch, in bytes.
pub const SHARE_BYTES: u64 = 1 << 20;

/// What the budget must have for each extraction that fetches at the same time. Half of it stays common: with shares
/// alone, each would fetch one page at a time.
pub const FETCHING_BYTES: u64 = 2 * SHARE_BYTES;

/// Blocks are this large where memory allows. Measured: handing over 256 KiB at a time makes about 1.4 times the
/// throughput of the 32 KiB in which the HTTP client yields them.
const MAX_BLOCK_BYTES: u64 = 256 << 10;

/// With a small budget, blocks shrink so that a window of pages still finds room.
const BLOCKS_PER_BUDGET: u64 = 64;

/// The page bytes that may be in memory at once.
#[derive(Clone, Debug)]
pub struct ByteBudget(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limit: u64,
    state: Mutex<State>,
    freed: Arc<Notify>,
}

#[derive(Debug)]
struct State {
    free: u64,
    /// Bytes that shares wait for. Nobody else may take the last of what is free from under them.
    promised: u64,
    /// Extractions that hold a share.
    n_holders: u64,
    /// What their shares come to.
    shared: u64,
}

impl ByteBudget {
    /// A budget of `limit` bytes.
    pub fn new(limit: u64) -> Self {
        let state = Mutex::new(State { free: limit, promised: 0, n_holders: 0, shared: 0 });
        Self(Arc::new(Inner { limit, state, freed: Arc::default() }))
    }

    /// How large a block of page bytes is under this budget.
    pub fn block_bytes(&self) -> usize {
        let fitting = (self.0.limit / BLOCKS_PER_BUDGET).clamp(16 << 10, MAX_BLOCK_BYTES);
        usize::try_from(fitting).unwrap_or(16 << 10)
    }

    /// How many extractions may fetch at once.
    pub fn n_shares(&self) -> usize {
        usize::try_from((self.0.limit / FETCHING_BYTES).max(1)).unwrap_or(usize::MAX)
    }

    /// Room for `n_bytes`, if there is any now.
    pub fn try_take(&self, n_bytes: u64) -> Option<Room> {
        let mut state = self.0.state.lock();
        (state.free.saturating_sub(state.promised) >= n_bytes).then(|| self.take_from(&mut state, n_bytes))
    }

    /// Room for a share, as soon as there is, ahead of all that [`try_take`](Self::try_take). Only for those who hold
    /// none yet.
    async fn take_promised(&self, n_bytes: u64) -> Room {
        let promise = Promise::new(&self.0, n_bytes.min(self.0.limit));
        loop {
            // Enlisted before the look, so that room freed in between isn't missed.
            let freed = self.freed();
            {
                let mut state = self.0.state.lock();
                if state.free >= promise.n_bytes {
                    return self.take_from(&mut state, promise.n_bytes);
                }
            }
            freed.await;
        }
    }

    /// Pages that one extraction may have started at once, if all who hold a share are to have as many.
    fn fair_slots(&self) -> u64 {
        let state = self.0.state.lock();
        let common = self.0.limit.saturating_sub(state.shared) / self.block_bytes() as u64;
        (common / state.n_holders.max(1)).max(1)
    }

    fn take_from(&self, state: &mut State, n_bytes: u64) -> Room {
        state.free -= n_bytes;
        Room { budget: self.0.clone(), n_bytes }
    }

    /// Resolves when room has been freed after the call (not: after the first look at what it returns).
    pub fn freed(&self) -> impl Future<Output = ()> + Send + use<> {
        self.0.freed.clone().notified_owned()
    }

    /// Bytes that are taken.
    pub fn used(&self) -> u64 {
        self.0.limit - self.0.state.lock().free
    }
}

/// Room for so many bytes; dropping it gives it back.
#[derive(Debug)]
pub struct Room {
    budget: Arc<Inner>,
    n_bytes: u64,
}

impl Drop for Room {
    fn drop(&mut self) {
        self.budget.state.lock().free += self.n_bytes;
        self.budget.freed.notify_waiters();
    }
}

/// Bytes that a share waits for. Dropped when it has them, or when nobody waits any more.
struct Promise<'a> {
    budget: &'a Inner,
    n_bytes: u64,
}

impl<'a> Promise<'a> {
    fn new(budget: &'a Inner, n_bytes: u64) -> Self {
        budget.state.lock().promised += n_bytes;
        Self { budget, n_bytes }
    }
}

impl Drop for Promise<'_> {
    fn drop(&mut self) {
        self.budget.state.lock().promised -= self.n_bytes;
        self.budget.freed.notify_waiters();
    }
}

/// The share of an extraction: the block that the page written next is filled into when all other room is taken.
#[derive(Clone, Debug)]
pub struct Share {
    held: Arc<Held>,
    lent: Arc<Mutex<bool>>,
    /// Pages started in the common room that are not written yet.
    n_started: Arc<AtomicU64>,
}

/// A share's room, and its place in the count of those who hold one.
#[derive(Debug)]
struct Held(Room);

impl Held {
    fn new(room: Room) -> Self {
        let mut state = room.budget.state.lock();
        state.n_holders += 1;
        state.shared += room.n_bytes;
        drop(state);
        Self(room)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut state = self.0.budget.state.lock();
        state.n_holders -= 1;
        state.shared -= self.0.n_bytes;
    }
}

impl Share {
    /// Takes a share, as soon as there is room for it.
    pub async fn take(budget: &ByteBudget) -> Self {
        // A budget may be smaller than two shares: one extraction must still fetch more than one page at a time.
        let n_bytes = SHARE_BYTES.min(budget.0.limit / 4);
        let held = Held::new(budget.take_promised(n_bytes).await);
        Self { held: Arc::new(held), lent: Arc::default(), n_started: Arc::default() }
    }

    /// A slot for a page: from the common room, or for one that everything waits for from the share.
    pub fn slot(&self, budget: &ByteBudget, is_pressing: bool) -> Option<Slot> {
        if self.n_started.load(Ordering::Relaxed) < budget.fair_slots()
            && let Some(room) = budget.try_take(budget.block_bytes() as u64)
        {
            return Some(Slot { _room: SlotRoom::Common(Started::new(&self.n_started), room) });
        }
        let mut lent = self.lent.lock();
        if !is_pressing || *lent {
            return None;
        }
        *lent = true;
        Some(Slot { _room: SlotRoom::Lent(Loan { share: self.clone() }) })
    }
}

/// A started page's room: one block to be filled. It travels with the page until that is written.
#[derive(Debug)]
pub struct Slot {
    _room: SlotRoom,
}

#[derive(Debug)]
enum SlotRoom {
    // In this order: whoever hears of freed room must find the page no longer counted.
    Common(#[expect(dead_code, reason = "held for its drop")] Started, #[expect(dead_code, reason = "the same")] Room),
    Lent(#[expect(dead_code, reason = "held for its drop")] Loan),
}

/// A started page, in its extraction's count.
#[derive(Debug)]
struct Started(Arc<AtomicU64>);

impl Started {
    fn new(count: &Arc<AtomicU64>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count.clone())
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[derive(Debug)]
struct Loan {
    share: Share,
}

impl Drop for Loan {
    fn drop(&mut self) {
        *self.share.lent.lock() = false;
        self.share.held.0.budget.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn room_given_back_can_be_taken_again() {
        let budget = ByteBudget::new(MIB);
        let room = budget.try_take(MIB).unwrap();
        assert!(budget.try_take(1).is_none());
        drop(room);
        assert!(budget.try_take(MIB).is_some());
    }

    #[tokio::test]
    async fn the_page_written_next_gets_a_slot_when_later_pages_have_taken_all_room() {
        let budget = ByteBudget::new(8 * MIB);
        let share = Share::take(&budget).await;
        let mut later = Vec::new();
        while let Some(slot) = share.slot(&budget, false) {
            later.push(slot);
        }
        let head = share.slot(&budget, true).expect("the share is for the head");
        assert!(share.slot(&budget, true).is_none(), "it is lent once at a time");
        drop(head);
        assert!(share.slot(&budget, true).is_some());
    }

    #[tokio::test]
    async fn each_extraction_can_start_as_many_pages_however_early_another_began() {
        let budget = ByteBudget::new(32 * MIB);
        let slots = |share: &Share| std::iter::from_fn(|| share.slot(&budget, false)).collect::<Vec<_>>();
        let first = Share::take(&budget).await;
        let alone = slots(&first);
        assert_eq!(alone.len(), 124, "all that is not its share");
        drop(alone);
        let second = Share::take(&budget).await;
        let (early, late) = (slots(&first), slots(&second));
        assert_eq!((early.len(), late.len()), (60, 60));
        drop((second, late));
        assert_eq!(slots(&first).len(), 64, "what the other one leaves");
    }

    #[tokio::test(start_paused = true)]
    async fn a_share_comes_before_pages_that_would_take_what_is_freed() {
        let budget = ByteBudget::new(4 * MIB);
        let mut rooms: Vec<_> = (0..4).map(|_| budget.try_take(MIB).unwrap()).collect();
        let mut waiting = std::pin::pin!(Share::take(&budget));
        assert!(futures::poll!(waiting.as_mut()).is_pending());
        rooms.pop();
        assert!(budget.try_take(1).is_none(), "the freed room is promised to the share");
        let _share = waiting.await;
        assert!(budget.try_take(1).is_none());
    }

    #[tokio::test]
    async fn room_freed_before_the_first_look_is_not_missed() {
        let budget = ByteBudget::new(MIB);
        let room = budget.try_take(MIB).unwrap();
        let freed = budget.freed();
        drop(room);
        freed.await;
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_for_room_is_woken_when_some_is_freed() {
        let budget = ByteBudget::new(MIB);
        let room = budget.try_take(MIB).unwrap();
        let waiting = budget.take_promised(MIB);
        let freeing = async {
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            drop(room);
        };
        let (taken, ()) = tokio::join!(waiting, freeing);
        assert_eq!(budget.used(), MIB);
        drop(taken);
    }
}
