//! How fast a tenant may be called: a sliding log, spacing, and a pace that learns.
//!
//! The log alone keeps the promise (never more than the limit in any second); spacing keeps bursts short, and the pace
//! moves the limit down when the tenant complains and up again when it does not. One [`PaceRecord`] serves all who call
//! the tenant, whichever process they live in: it counts by the machine's clock and can be written down, and with it a
//! ring of places that hold the moments of the last calls. Who keeps both is none of its business.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::model::{BootId, Ticks};

/// The log looks back a little more than a second: two calls keep that distance even if the network brings them closer.
const SLACK: Duration = Duration::from_millis(20);

/// It looks back no more than this, however uneven the network is: it costs a twentieth of the pace.
const MOST_SLACK: Duration = Duration::from_millis(52);

/// What was seen lately is not all that there is: it is taken so many times.
const UNSEEN: f64 = 1.5;

/// For so long after a complaint the most is allowed for: it may have come of an unevenness that did not show.
const WARY_FOR: Duration = Duration::from_secs(600);
const SECOND: Duration = Duration::from_secs(1);

/// A call that goes out so little after it might have is noted as if it had gone out in time. Timers come late and
/// stores take a moment, and without this each second would lose as much. It is taken from [`SLACK`].
const LATENESS: Duration = Duration::from_millis(2);

/// What a complaint leaves of the pace.
const CUT: f64 = 0.7;

/// The pace grows by this share of the ceiling each [`GROWTH_EVERY`]; it never falls below the same share.
const GROWTH: f64 = 1.0 / 20.0;
const GROWTH_EVERY: Duration = Duration::from_secs(10);

/// Complaints about calls that were under way when the first one came must not count twice.
const ONE_CUT_PER: Duration = SECOND;

/// Whole numbers of calls that are only just missed by floating-point error count.
const EPSILON: f64 = 1e-6;

/// Places of the ring. A pace beyond it is held to it.
const N_PLACES: u64 = 1 << 16;

/// A tenant's limits, as far as they are about pace.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PaceSettings {
    /// Calls in any sliding second; below 1, one call in so many seconds as it takes.
    pub requests_per_second: f64,
    /// Calls back to back.
    pub burst: u32,
    /// Whether the pace learns from complaints.
    pub adaptive: bool,
    /// How far apart the times lie that answers took of late: the unevenness of the network is in them.
    pub jitter: Duration,
    /// What the tenant's answers say it allows at most, a second.
    pub told_most: Option<f64>,
}

/// What a tenant's complaints have left of its pace.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Cut {
    /// Calls a second as of `grows_from`.
    to: f64,
    grows_from: Ticks,
    no_cut_before: Ticks,
}

/// Where a tenant's pace stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PaceRecord {
    boot: Option<BootId>,
    cut: Option<Cut>,
    /// Since a complaint, and until then, the network is taken to be as uneven as may be.
    #[serde(default)]
    wary_until: Ticks,
    /// Calls that may go back to back as of `credit_at`. A bucket, since it keeps its meaning when the pace changes.
    credit: f64,
    credit_at: Ticks,
    not_before: Ticks,
    last: Ticks,
    n_noted: u64,
}

impl PaceRecord {
    /// A tenant that nobody has called yet.
    pub fn new(boot: Option<BootId>, settings: &PaceSettings, now: Ticks) -> Self {
        Self {
            boot,
            cut: None,
            wary_until: Ticks(0),
            credit: settings.burst(),
            credit_at: now,
            not_before: now,
            last: now,
            n_noted: 0,
        }
    }

    /// Whether its ticks are of that start of the machine: else nothing of it holds any more.
    pub fn is_of(&self, boot: Option<BootId>) -> bool {
        self.boot == boot
    }

    /// When the last call went out. Where starts of the machine are not known, calls yet to come tell of another one.
    pub fn last(&self) -> Ticks {
        self.last
    }

    /// As if as many calls as allowed had gone out just now.
    pub fn exhaust(&mut self, settings: &PaceSettings, now: Ticks) {
        self.not_before = now.plus(self.window(settings, now));
    }

    /// Calls a second at present.
    pub fn at(&self, settings: &PaceSettings, now: Ticks) -> f64 {
        let ceiling = settings.requests_per_second;
        let told = settings.told_most.filter(|_| settings.adaptive);
        let bound = told.map_or(ceiling, |most| most.max(settings.least()).min(ceiling));
        let Some(cut) = self.cut.filter(|_| settings.adaptive) else { return bound };
        let steps = now.since(cut.grows_from).as_secs() / GROWTH_EVERY.as_secs();
        (cut.to + steps as f64 * GROWTH * ceiling).min(bound)
    }

    /// The place of the call that must be a window ago before another one may go out; none if there are not so many.
    pub fn place_before(&self, settings: &PaceSettings, now: Ticks) -> Option<u64> {
        let n = n_per_window(self.at(settings, now));
        self.n_noted.checked_sub(n).map(|nth| nth % N_PLACES)
    }

    /// The place for the next call.
    pub fn next_place(&self) -> u64 {
        self.n_noted % N_PLACES
    }

    /// The first moment at which a call may or might have gone out. `before` is what stands at
    /// [`place_before`](Self::place_before).
    pub fn free_at(&self, settings: &PaceSettings, now: Ticks, before: Option<Ticks>) -> Ticks {
        let pace = self.at(settings, now);
        let by_log = self
            .place_before(settings, now)
            .map(|_| before.unwrap_or(self.last).min(self.last).plus(self.window(settings, now)));
        let lacking = 1.0 - self.credit.min(settings.burst());
        let by_spacing = if lacking > EPSILON { self.credit_at.plus(round_up(lacking / pace)) } else { self.credit_at };
        by_spacing.max(self.not_before).max(by_log.unwrap_or(by_spacing))
    }

    /// A call goes out at `now`, or will until then, that was free to from `free_at` on; answers what is to be kept at
    /// [`next_place`](Self::next_place) as it was before.
    pub fn note(&mut self, settings: &PaceSettings, now: Ticks, free_at: Ticks) -> Ticks {
        // In order: the log is looked up by number.
        let noted = free_at.max(now.minus(LATENESS)).max(self.last);
        let earned = noted.since(self.credit_at).as_secs_f64() * self.at(settings, now);
        self.credit = ((self.credit + earned).min(settings.burst()) - 1.0).max(0.0);
        self.credit_at = noted.max(self.credit_at);
        self.last = noted;
        self.n_noted += 1;
        noted
    }

    /// The tenant complained at `received`, and is left alone until `until`. The wait itself teaches nothing: growth
    /// begins after it.
    pub fn complained(&mut self, settings: &PaceSettings, received: Ticks, until: Ticks) {
        if !settings.adaptive {
            return;
        }
        self.wary_until = received.max(until).plus(WARY_FOR);
        let pace = self.at(settings, received);
        let floor = settings.least();
        self.cut = Some(match self.cut {
            Some(cut) if cut.no_cut_before > received => Cut {
                to: pace,
                grows_from: cut.grows_from.max(until).max(received),
                no_cut_before: cut.no_cut_before.max(until),
            },
            _ => Cut {
                to: (pace * CUT).max(floor),
                grows_from: until.max(received),
                no_cut_before: until.max(received.plus(ONE_CUT_PER)),
            },
        });
    }

    /// How far the log looks back.
    fn window(&self, settings: &PaceSettings, now: Ticks) -> Duration {
        let pace = self.at(settings, now);
        let slack =
            if now < self.wary_until { MOST_SLACK } else { settings.jitter.mul_f64(UNSEEN).clamp(SLACK, MOST_SLACK) };
        slack + if pace < 1.0 { round_up(1.0 / pace) } else { SECOND }
    }
}

impl PaceSettings {
    /// The pace never falls below this.
    fn least(&self) -> f64 {
        GROWTH * self.requests_per_second
    }

    fn burst(&self) -> f64 {
        f64::from(self.burst.max(1))
    }
}

fn n_per_window(pace: f64) -> u64 {
    ((pace + EPSILON) as u64).clamp(1, N_PLACES)
}

/// Whole ticks, so that nothing goes out a fraction of one too early; what is only just missed by floating-point error
/// is none.
fn round_up(seconds: f64) -> Duration {
    Duration::from_micros((seconds * 1e6 - EPSILON).ceil() as u64)
}

/// The places of a ring in memory.
#[derive(Clone, Debug, Default)]
pub struct PaceLog(Vec<Ticks>);

impl PaceLog {
    /// What stands there.
    pub fn get(&self, place: u64) -> Option<Ticks> {
        self.0.get(usize::try_from(place).ok()?).copied()
    }

    /// Keeps a moment there. Places are taken one after the other.
    pub fn set(&mut self, place: u64, noted: Ticks) {
        match usize::try_from(place).ok().and_then(|place| self.0.get_mut(place)) {
            Some(kept) => *kept = noted,
            None => self.0.push(noted),
        }
    }
}

/// The pace as one gate sees it, by the clock that it waits by.
#[derive(Debug)]
pub(super) struct Pace {
    settings: PaceSettings,
    base: Instant,
    record: PaceRecord,
    log: PaceLog,
}

impl Pace {
    pub(super) fn new(settings: PaceSettings, now: Instant) -> Self {
        Self { settings, base: now, record: PaceRecord::new(None, &settings, Ticks(0)), log: PaceLog::default() }
    }

    /// The limits that hold from now on.
    pub(super) fn limit(&mut self, settings: PaceSettings) {
        self.settings = settings;
    }

    pub(super) fn exhaust(&mut self, now: Instant) {
        self.record.exhaust(&self.settings, self.ticks(now));
    }

    /// Calls a second at present, under these limits.
    pub(super) fn at(&self, settings: &PaceSettings, now: Instant) -> f64 {
        self.record.at(settings, self.ticks(now))
    }

    /// The first moment, from `now` on, at which a call may go out.
    pub(super) fn free_at(&self, now: Instant) -> Instant {
        let ticks = self.ticks(now);
        now + self.ticks_free_at(ticks).since(ticks)
    }

    /// A call goes out.
    pub(super) fn sent(&mut self, now: Instant) {
        let ticks = self.ticks(now);
        let (place, free_at) = (self.record.next_place(), self.ticks_free_at(ticks));
        self.log.set(place, self.record.note(&self.settings, ticks, free_at));
    }

    pub(super) fn complained(&mut self, received: Instant, until: Instant) {
        self.record.complained(&self.settings, self.ticks(received), self.ticks(until));
    }

    fn ticks_free_at(&self, now: Ticks) -> Ticks {
        let before = self.record.place_before(&self.settings, now).and_then(|place| self.log.get(place));
        self.record.free_at(&self.settings, now, before)
    }

    fn ticks(&self, at: Instant) -> Ticks {
        Ticks(0).plus(at.saturating_duration_since(self.base)).minus(self.base.saturating_duration_since(at))
    }
}

#[cfg(test)]
mod tests;
