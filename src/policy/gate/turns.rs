//! Whose turn it is.
//!
//! Token calls go first: everybody waits for them. Polls and submissions have every fourth turn if they want it and
//! pages the others, so that neither kind can starve the other and most of a tenant's limit goes into results; within a
//! kind each extraction has one turn after the other. (Every call costs the same, so that deficit round robin comes down
//! to plain turns.)

use std::collections::{HashMap, VecDeque};

use crate::model::ExtractionId;

/// After a poll or a submission so many pages go first.
const PAGES_PER_CONTROL: u32 = 3;

/// The kinds of calls, as far as turns are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// A token request.
    Token,
    /// A data call that goes before all others: its token was refused, and it has one more.
    Replay,
    /// A submission or a look at a status.
    Control,
    /// A result page.
    Page,
}

/// One lane: a queue per extraction, and the order in which they have their turns.
#[derive(Debug, Default)]
struct Rotation {
    order: VecDeque<Option<ExtractionId>>,
    queues: HashMap<Option<ExtractionId>, VecDeque<u64>>,
}

impl Rotation {
    fn push(&mut self, whose: Option<ExtractionId>, ticket: u64) {
        let queue = self.queues.entry(whose).or_default();
        if queue.is_empty() {
            self.order.push_back(whose);
        }
        queue.push_back(ticket);
    }

    fn peek(&self) -> Option<u64> {
        self.queues.get(self.order.front()?)?.front().copied()
    }

    /// Takes the ticket whose turn it is; its extraction goes to the end of the line.
    fn pop(&mut self) -> Option<u64> {
        let whose = self.order.pop_front()?;
        let queue = self.queues.get_mut(&whose)?;
        let ticket = queue.pop_front();
        if queue.is_empty() {
            self.queues.remove(&whose);
        } else {
            self.order.push_back(whose);
        }
        ticket
    }

    /// Takes away a ticket that nobody waits for; the turn stays with the extraction.
    fn discard(&mut self) {
        let Some(whose) = self.order.front() else { return };
        let Some(queue) = self.queues.get_mut(whose) else { return };
        queue.pop_front();
        if queue.is_empty() {
            self.queues.remove(whose);
            self.order.pop_front();
        }
    }

    /// Discards until somebody waits for the ticket whose turn it is.
    fn settle(&mut self, waits: &mut impl FnMut(u64) -> bool) {
        while self.peek().is_some_and(|ticket| !waits(ticket)) {
            self.discard();
        }
    }
}

/// Everybody who waits to be admitted.
#[derive(Debug, Default)]
pub(super) struct Turns {
    token: Rotation,
    replays: Rotation,
    control: Rotation,
    pages: Rotation,
    /// Pages that go before the next poll or submission.
    n_pages_due: u32,
}

impl Turns {
    pub(super) fn push(&mut self, lane: Lane, whose: Option<ExtractionId>, ticket: u64) {
        match lane {
            Lane::Token => self.token.push(whose, ticket),
            Lane::Replay => self.replays.push(whose, ticket),
            Lane::Control => self.control.push(whose, ticket),
            Lane::Page => self.pages.push(whose, ticket),
        }
    }

    /// Forgets tickets that nobody waits for any more, as far as they come next.
    pub(super) fn settle(&mut self, mut waits: impl FnMut(u64) -> bool) {
        self.token.settle(&mut waits);
        self.replays.settle(&mut waits);
        self.control.settle(&mut waits);
        self.pages.settle(&mut waits);
    }

    pub(super) fn has_token_call(&self) -> bool {
        self.token.peek().is_some()
    }

    pub(super) fn has_data_call(&self) -> bool {
        [&self.replays, &self.control, &self.pages].iter().any(|lane| lane.peek().is_some())
    }

    pub(super) fn pop_token_call(&mut self) -> Option<u64> {
        self.token.pop()
    }

    pub(super) fn pop_data_call(&mut self) -> Option<u64> {
        if self.replays.peek().is_some() {
            return self.replays.pop();
        }
        let page = self.pages.peek().is_some() && (self.n_pages_due > 0 || self.control.peek().is_none());
        if page {
            self.n_pages_due = self.n_pages_due.saturating_sub(1);
            return self.pages.pop();
        }
        self.n_pages_due = PAGES_PER_CONTROL;
        self.control.pop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Option<ExtractionId> = Some(ExtractionId(1));
    const B: Option<ExtractionId> = Some(ExtractionId(2));

    fn drain(turns: &mut Turns) -> Vec<u64> {
        std::iter::from_fn(|| turns.pop_data_call()).collect()
    }

    #[test]
    fn extractions_take_turns_however_much_one_of_them_asks() {
        let mut turns = Turns::default();
        for ticket in 1..=5 {
            turns.push(Lane::Page, A, ticket);
        }
        turns.push(Lane::Page, B, 11);
        turns.push(Lane::Page, B, 12);
        assert_eq!(drain(&mut turns), [1, 11, 2, 12, 3, 4, 5]);
    }

    #[test]
    fn polls_have_every_fourth_turn_as_long_as_there_are_pages() {
        let mut turns = Turns::default();
        for n in 0..7 {
            turns.push(Lane::Page, A, n);
            turns.push(Lane::Control, Some(ExtractionId(100 + n)), 100 + n);
        }
        assert_eq!(drain(&mut turns), [100, 0, 1, 2, 101, 3, 4, 5, 102, 6, 103, 104, 105, 106]);
    }

    #[test]
    fn a_replay_goes_before_all_other_calls_for_data() {
        let mut turns = Turns::default();
        turns.push(Lane::Control, A, 1);
        turns.push(Lane::Page, A, 2);
        turns.push(Lane::Replay, B, 3);
        turns.push(Lane::Replay, A, 4);
        assert_eq!(drain(&mut turns), [3, 4, 1, 2]);
    }

    #[test]
    fn tickets_that_nobody_waits_for_take_nobodys_turn() {
        let mut turns = Turns::default();
        for ticket in [1, 2, 3] {
            turns.push(Lane::Page, A, ticket);
        }
        turns.push(Lane::Page, B, 11);
        turns.settle(|ticket| ticket == 3 || ticket == 11);
        assert_eq!(drain(&mut turns), [3, 11]);
        turns.push(Lane::Token, None, 9);
        turns.settle(|_| false);
        assert!(!turns.has_token_call() && !turns.has_data_call());
    }
}
