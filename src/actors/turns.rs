//! Turns at fetching, as many as memory has room for.
//!
//! A turn that comes free goes to the tenant that holds the fewest, and among those to who has waited longest. Whoever is
//! first would not do: the reports of a tenant that is slow or in trouble keep their turns for long, and in time would
//! hold all of them.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::model::TenantName;

/// The turns of an engine. Clones share them.
#[derive(Clone, Debug)]
pub struct Turns(Arc<Mutex<Book>>);

#[derive(Debug)]
struct Book {
    n_free: usize,
    held: HashMap<TenantName, usize>,
    /// In the order of asking.
    waiting: VecDeque<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    tenant: TenantName,
    answer: oneshot::Sender<Turn>,
}

/// The right to fetch for one report. It comes free when this is dropped.
#[derive(Debug)]
pub struct Turn {
    turns: Turns,
    tenant: TenantName,
}

impl Turns {
    /// So many at once.
    pub fn new(most: usize) -> Self {
        Self(Arc::new(Mutex::new(Book { n_free: most, held: HashMap::new(), waiting: VecDeque::new() })))
    }

    /// Waits for a turn at a tenant's report. Who no longer waits is passed over.
    pub async fn take(&self, tenant: TenantName) -> Turn {
        loop {
            let (answer, turn) = oneshot::channel();
            self.0.lock().waiting.push_back(Waiting { tenant: tenant.clone(), answer });
            self.give();
            // Nobody drops an answer that is still waited for.
            if let Ok(turn) = turn.await {
                return turn;
            }
        }
    }

    fn give(&self) {
        while let Some((answer, turn)) = self.next() {
            // One that nobody takes any more is dropped, and so comes back.
            drop(answer.send(turn));
        }
    }

    fn next(&self) -> Option<(oneshot::Sender<Turn>, Turn)> {
        let book = &mut *self.0.lock();
        if book.n_free == 0 {
            return None;
        }
        book.waiting.retain(|waiting| !waiting.answer.is_closed());
        let held = |waiting: &Waiting| book.held.get(&waiting.tenant).copied().unwrap_or(0);
        let (first, _) = book.waiting.iter().enumerate().min_by_key(|(_, waiting)| held(waiting))?;
        let Waiting { tenant, answer } = book.waiting.remove(first)?;
        book.n_free -= 1;
        *book.held.entry(tenant.clone()).or_default() += 1;
        Some((answer, Turn { turns: self.clone(), tenant }))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        {
            let book = &mut *self.turns.0.lock();
            book.n_free += 1;
            if let Some(held) = book.held.get_mut(&self.tenant) {
                *held -= 1;
            }
        }
        self.turns.give();
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;

    use futures::FutureExt as _;

    use super::*;

    type Asked = Pin<Box<dyn Future<Output = Turn>>>;

    fn asked(turns: &Turns, tenant: &str) -> Asked {
        let (turns, tenant) = (turns.clone(), TenantName::new(tenant));
        Box::pin(async move { turns.take(tenant).await })
    }

    /// Takes a turn that is free.
    fn taken(turns: &Turns, tenant: &str) -> Turn {
        asked(turns, tenant).now_or_never().expect("one is free")
    }

    /// Asks for a turn, and waits for it.
    fn waits(turns: &Turns, tenant: &str) -> Asked {
        let mut asked = asked(turns, tenant);
        assert!(came(&mut asked).is_none(), "one is free");
        asked
    }

    fn came(asked: &mut Asked) -> Option<Turn> {
        asked.now_or_never()
    }

    #[test]
    fn x4_a_turn_that_comes_free_goes_to_the_tenant_that_holds_the_fewest() {
        let turns = Turns::new(3);
        let mut held: Vec<Turn> = (0..3).map(|_| taken(&turns, "angry")).collect();
        let mut angry: Vec<Asked> = (0..9).map(|_| waits(&turns, "angry")).collect();
        let mut calm: Vec<Asked> = (0..2).map(|_| waits(&turns, "calm")).collect();
        held.pop();
        let first = came(&mut calm[0]).expect("calm has none yet");
        assert!(angry.iter_mut().all(|asked| came(asked).is_none()) && came(&mut calm[1]).is_none());
        held.pop();
        // Both have one; the other one has waited longer.
        let second = came(&mut angry[0]).expect("it asked before");
        drop(first);
        let third = came(&mut calm[1]).expect("calm has none again");
        drop((second, third, held));
        assert_eq!(angry[1..].iter_mut().filter_map(came).count(), 3 + 5, "a turn that is let go goes on to the next");
    }

    #[test]
    fn among_tenants_with_as_many_turns_who_has_waited_longest_is_next() {
        let turns = Turns::new(1);
        let only = taken(&turns, "a");
        let mut waiting: Vec<Asked> = ["c", "b", "a"].map(|tenant| waits(&turns, tenant)).into();
        drop(only);
        for asked in &mut waiting {
            drop(came(asked).expect("it is next"));
        }
        drop(taken(&turns, "d"));
    }

    #[test]
    fn a_turn_is_not_lost_with_who_waited_for_it() {
        let turns = Turns::new(1);
        let only = taken(&turns, "a");
        let (gone, given, mut last) = (waits(&turns, "b"), waits(&turns, "b"), waits(&turns, "b"));
        drop(gone);
        drop(only);
        // It was given to the second one, who has not looked yet and never will.
        assert!(came(&mut last).is_none());
        drop(given);
        assert!(came(&mut last).is_some());
    }
}
