//! What the processes that share a store know together of a tenant: its pace, and the pause it asked for.
//!
//! A turn is asked for and given within one transaction that sees everybody's calls, and the clocks are read inside it,
//! so that turns are given in the order of their times. How fast is decided by [`PaceRecord`]; here it is kept. Nothing
//! here waits: whoever gets no turn is told when to ask again.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::StoreError;
use crate::model::{MachineClock, Moment, Ticks, Timestamp, WallClock};
use crate::policy::gate::{MAX_AHEAD, PaceLog, PaceRecord, PaceSettings};

/// A pause that a tenant asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantWait {
    /// The status code it asked with.
    pub status: u16,
    /// When it asked.
    pub received: Moment,
    /// What it asked for.
    pub asked: Duration,
    /// What it gets: never less.
    pub pause: Duration,
}

impl TenantWait {
    /// When it ends by the wall clock that it was received by.
    pub fn until(&self) -> Timestamp {
        self.received.wall.plus(self.pause)
    }

    /// What is left of it. As long as the machine runs, its own clock tells, whatever the wall clock did; after that
    /// the wall clock, but never more than was received.
    pub fn rest(&self, now: &Moment) -> Duration {
        let until_now = match self.received.boot.is_some() && self.received.boot == now.boot {
            true => self.received.ticks.plus(self.pause).since(now.ticks),
            false => self.until().since(now.wall),
        };
        until_now.min(self.pause)
    }

    /// What is left of what was asked for.
    pub fn asked_rest(&self, now: &Moment) -> Duration {
        self.rest(now).saturating_sub(self.pause.saturating_sub(self.asked))
    }

    /// The same wait by the clocks of now, so that from here on it runs by them.
    #[must_use]
    pub fn by_clocks_of(&self, now: &Moment) -> Self {
        if self.received.boot.is_some() && self.received.boot == now.boot {
            return *self;
        }
        Self { received: now.minus(self.pause.saturating_sub(self.rest(now))), ..*self }
    }

    /// This wait or the known one, by the clocks of now: the one of which more is left, with no less asked for than in
    /// either.
    #[must_use]
    pub(super) fn or_longer(self, known: Option<Self>, now: &Moment) -> Self {
        let new = self.by_clocks_of(now);
        let Some(known) = known.map(|known| known.by_clocks_of(now)) else { return new };
        let (longer, shorter) = if new.rest(now) > known.rest(now) { (new, known) } else { (known, new) };
        let missing = shorter.asked_rest(now).saturating_sub(longer.asked_rest(now));
        Self { asked: (longer.asked + missing).min(longer.pause), ..longer }
    }
}

/// Who asks for a turn.
#[derive(Clone, Debug)]
pub struct TurnAsked {
    /// How fast the tenant may be called.
    pub pace: PaceSettings,
    /// The turn is to hold for so much longer, and counts as taken so much later: for one who gets answers late.
    pub ahead: Duration,
    /// The machine's clock, read within the transaction.
    pub clock: MachineClock,
    /// The wall clock, for waits from before the machine's start.
    pub wall: WallClock,
}

/// The answer to one who asks for a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// A call may go out now, and counts as sent at that moment, which may be a little before or ahead.
    Given(Ticks),
    /// Everything is used up until then.
    NotBefore(Ticks),
    /// The tenant asked to be left alone.
    ToldToWait(TenantWait),
}

/// A tenant complained about too many calls.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Complaint {
    /// How fast it may be called.
    pub pace: PaceSettings,
    /// When the complaint came.
    pub received: Moment,
    /// The pause it asked for, if it named one.
    pub wait: Option<TenantWait>,
}

/// What a store keeps of a tenant besides the moments of its last calls.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) record: Option<PaceRecord>,
    pub(super) wait: Option<TenantWait>,
}

/// Where a store keeps the moments of a tenant's last calls.
pub(super) trait Places {
    /// Why it could not be looked up or kept.
    type Error;
    /// What stands there.
    fn get(&mut self, place: u64) -> Result<Option<Ticks>, Self::Error>;
    /// Keeps a moment there.
    fn set(&mut self, place: u64, noted: Ticks) -> Result<(), Self::Error>;
}

impl Places for PaceLog {
    type Error = StoreError;

    fn get(&mut self, place: u64) -> Result<Option<Ticks>, StoreError> {
        Ok(PaceLog::get(self, place))
    }

    fn set(&mut self, place: u64, noted: Ticks) -> Result<(), StoreError> {
        PaceLog::set(self, place, noted);
        Ok(())
    }
}

impl Kept {
    /// Gives a turn, or tells when to ask again.
    pub(super) fn take_turn<P: Places>(
        &mut self,
        asked: &TurnAsked,
        now: &Moment,
        places: &mut P,
    ) -> Result<Turn, P::Error> {
        if let Some(wait) = &mut self.wait {
            *wait = wait.by_clocks_of(now);
            if !wait.rest(now).is_zero() {
                return Ok(Turn::ToldToWait(*wait));
            }
        }
        let (pace, ticks) = (&asked.pace, now.ticks);
        let is_valid = |record: &PaceRecord| record.is_of(now.boot) && record.last() <= ticks.plus(MAX_AHEAD);
        let record = self.record_if(is_valid, now, pace);
        let before = match record.place_before(pace, ticks) {
            Some(place) => places.get(place)?,
            None => None,
        };
        let free_at = record.free_at(pace, ticks, before);
        if free_at > ticks {
            return Ok(Turn::NotBefore(free_at));
        }
        let place = record.next_place();
        let noted = record.note(pace, ticks.plus(asked.ahead.min(MAX_AHEAD)), free_at);
        places.set(place, noted)?;
        Ok(Turn::Given(noted))
    }

    /// Writes a complaint down.
    pub(super) fn complained(&mut self, complaint: &Complaint) {
        let Complaint { pace, received, wait } = complaint;
        let until = received.ticks.plus(wait.map_or(Duration::ZERO, |wait| wait.pause));
        // Calls may well have gone out since it came.
        self.record_if(|record| record.is_of(received.boot), received, pace).complained(pace, received.ticks, until);
        if let Some(new) = wait {
            self.heard_of(*new, received);
        }
    }

    /// There is, or was, such a wait.
    pub(super) fn heard_of(&mut self, wait: TenantWait, now: &Moment) {
        self.wait = Some(wait.or_longer(self.wait, now));
    }

    /// The record, if it holds. One in other ticks says nothing but that there were calls, and perhaps just now.
    fn record_if(
        &mut self,
        holds: impl FnOnce(&PaceRecord) -> bool,
        now: &Moment,
        pace: &PaceSettings,
    ) -> &mut PaceRecord {
        let is_first = self.record.is_none();
        let kept = self.record.take().filter(holds);
        self.record.insert(kept.unwrap_or_else(|| {
            let mut anew = PaceRecord::new(now.boot, pace, now.ticks);
            if !is_first {
                anew.exhaust(pace, now.ticks);
            }
            anew
        }))
    }
}

#[cfg(test)]
mod tests;
