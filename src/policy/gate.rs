//! The one door to a tenant: which call goes out next, and when.
//!
//! Rate, calls under way, the tenant's "wait until", the breaker and fair turns are judged together, in one step, at
//! the moment of sending; nothing that was true earlier is relied on. The policy neither queues callers nor counts
//! calls under way: it knows tickets, and is told the rest. The tenant has other callers, too: before a call goes out
//! it takes a turn that all of them share, and that is given elsewhere.

mod pace;
mod path;
mod turns;

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use self::pace::Pace;
pub use self::pace::{PaceLog, PaceRecord, PaceSettings};
pub use self::path::PathTimes;
pub use self::turns::Lane;
use self::turns::Turns;
use crate::model::{ExtractionId, Outcome};
use crate::policy::breaker::Position;

/// A pause gets up to a tenth of it added, and at most so much, so that clients do not all come back at once.
const JITTER_SHARE: u32 = 10;
const MAX_JITTER: Duration = Duration::from_secs(5);

/// No clock counts beyond any pause; one this long is refused in any case.
const LONGEST_WAIT: Duration = Duration::from_secs(10 * 365 * 86_400);

/// After a pause, a call that has been out for so long without another complaint no longer holds the next one back.
const RAMP_PATIENCE: Duration = Duration::from_secs(5);

/// A turn that is not taken for so long is lost: the log believes the call to be out, and must not be wrong by more
/// than it allows for.
pub const TURN_LIFE: Duration = Duration::from_millis(10);

/// No turn is asked for farther ahead: a pause that another process is told of meanwhile would be broken. Tenants
/// overlook calls that come a little after they asked for it.
pub const MAX_AHEAD: Duration = Duration::from_millis(200);

/// A pause that ends so little after the one that is known is the same, by another clock.
const SAME_PAUSE: Duration = Duration::from_millis(10);

/// A tenant's limits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GateSettings {
    /// How fast it may be called.
    pub pace: PaceSettings,
    /// Calls under way, token calls not counted.
    pub max_in_flight: usize,
    /// Pauses longer than this are not sat out.
    pub max_wait: Duration,
    /// A probe that has not ended after so long is taken to be lost.
    pub probe_deadline: Duration,
}

/// What to do next. Ask again after doing it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// This one goes out now.
    Admit {
        /// Which one.
        ticket: u64,
        /// Whether it is a probe of the half-open breaker.
        probe: bool,
    },
    /// This one is sent away.
    Refuse {
        /// Which one.
        ticket: u64,
        /// Why.
        why: Refusal,
    },
    /// Nothing before then, unless something happens.
    Wait(Instant),
    /// All would be well, but there is no token.
    NeedToken,
    /// All would be well here, but the tenant's other callers have to be asked.
    NeedTurn,
    /// Nothing until something happens.
    Idle,
}

/// Why a call is sent away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The tenant asks for a longer pause than we sit out.
    LongPause {
        /// The status code it asked with.
        status: u16,
        /// When it is over.
        until: Instant,
    },
    /// The breaker has given the tenant up.
    GivenUp {
        /// The last error.
        error: String,
    },
}

/// What holds up the tenant as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// The tenant asked for a pause, with this status code.
    ToldToWait(u16),
    /// The breaker is open; the last error.
    BreakerOpen(String),
}

/// A pause that the tenant asked for.
#[derive(Clone, Copy, Debug)]
struct Pause {
    status: u16,
    /// Nothing goes out before.
    until: Instant,
    /// Without what we added ourselves.
    asked_until: Instant,
}

/// A call that is out.
#[derive(Clone, Copy, Debug)]
struct Sent {
    at: Instant,
    opening: u64,
}

/// The gate of one tenant.
#[derive(Debug)]
pub struct GatePolicy {
    settings: GateSettings,
    turns: Turns,
    pace: Pace,
    /// What the tenant's answers say it allows at most, and until when that holds.
    told_most: Option<(f64, Instant)>,
    /// How unevenly the network carries calls.
    jitter: Duration,
    /// A turn that was given and not yet used, and until when it holds.
    turn: Option<Instant>,
    /// Other callers have used up what there is before then.
    no_turn_before: Option<Instant>,
    pause: Option<Pause>,
    breaker: Position,
    /// Probes of the present half-open state, ended ones included: each has had its say.
    probes: Vec<(u64, Instant)>,
    sent: HashMap<u64, Sent>,
    /// Counts reopenings, so that calls from before a pause say nothing of the time after it.
    opening: u64,
    /// Calls that may be out since the last reopening; none once the ramp is climbed.
    ramp: Option<usize>,
}

impl GatePolicy {
    /// A gate that nothing holds up.
    pub fn new(settings: GateSettings, now: Instant) -> Self {
        Self {
            settings,
            turns: Turns::default(),
            pace: Pace::new(settings.pace, now),
            told_most: None,
            jitter: settings.pace.jitter,
            turn: None,
            no_turn_before: None,
            pause: None,
            breaker: Position::Closed,
            probes: Vec::new(),
            sent: HashMap::new(),
            opening: 0,
            ramp: None,
        }
    }

    /// Starts as if all that is allowed had gone out just now: whoever called before us is not known to us.
    pub fn start_carefully(&mut self, now: Instant) {
        self.pace.exhaust(now);
        self.reopen();
    }

    /// The tenant asked somebody else for a pause, and so much of it is left: `asked` of what it asked for, `left` with
    /// what was added to that.
    pub fn go_on_waiting(&mut self, now: Instant, status: u16, asked: Duration, left: Duration) {
        let until = now + left.min(LONGEST_WAIT);
        let known_until = self.pause.map_or(now, |pause| pause.until);
        if until <= known_until + SAME_PAUSE {
            return self.no_turn_before(until);
        }
        let asked_until = now + asked.min(left).min(LONGEST_WAIT);
        self.pause = Some(Pause { status, until, asked_until });
        self.reopen();
    }

    /// The next call may take its turn now, if it does until then.
    pub fn turn_given(&mut self, until: Instant) {
        self.turn = Some(until);
    }

    /// There is no turn to be had before then.
    pub fn no_turn_before(&mut self, then: Instant) {
        self.no_turn_before = self.no_turn_before.max(Some(then));
    }

    /// Somebody waits in that lane with that ticket. Numbers are never used twice.
    pub fn ask(&mut self, ticket: u64, lane: Lane, whose: Option<ExtractionId>) {
        self.turns.push(lane, whose, ticket);
    }

    /// Decides. `has_token`: there is one that may be sent now; `in_flight`: data calls under way; `waits`: whether
    /// somebody still waits for that ticket.
    pub fn next(
        &mut self,
        now: Instant,
        has_token: bool,
        in_flight: usize,
        waits: impl FnMut(u64) -> bool,
    ) -> Decision {
        self.pace.limit(self.pace_settings(now));
        self.turns.settle(waits);
        if let Some(refused) = self.refuse(now) {
            return refused;
        }
        if !self.turns.has_token_call() && !self.turns.has_data_call() {
            return Decision::Idle;
        }
        let free_at = self.free_at(now);
        if free_at > now {
            return Decision::Wait(free_at);
        }
        let has_turn = self.turn.is_some_and(|until| until > now);
        if self.turns.has_token_call() && !has_turn {
            return Decision::NeedTurn;
        }
        if let Some(ticket) = self.turns.pop_token_call() {
            return self.admit(ticket, now, false);
        }
        let probe = match &self.breaker {
            Position::Closed => false,
            // The breaker tells when that changes.
            Position::Open { .. } | Position::GivenUp { .. } => return Decision::Idle,
            Position::HalfOpen { probes } => {
                let lost_at = |(_, at): &(u64, Instant)| *at + self.settings.probe_deadline;
                let out = self.probes.iter().map(lost_at).filter(|lost_at| *lost_at > now);
                if out.clone().count() >= *probes as usize {
                    return out.min().map_or(Decision::Idle, Decision::Wait);
                }
                true
            }
        };
        if in_flight >= self.settings.max_in_flight {
            return Decision::Idle;
        }
        if !has_token {
            return Decision::NeedToken;
        }
        if !has_turn {
            return Decision::NeedTurn;
        }
        match self.turns.pop_data_call() {
            Some(ticket) => self.admit(ticket, now, probe),
            None => Decision::Idle,
        }
    }

    /// The tenant asked for a pause; `random` is from 0 to 1. Without a length only the pace is cut: a pause that the
    /// tenant did not ask for must not hold up everybody. Answers what it asked for, and what it gets.
    pub fn told_to_wait(
        &mut self,
        received: Instant,
        status: u16,
        wait: Option<Duration>,
        random: f64,
    ) -> Option<(Duration, Duration)> {
        let Some(wait) = wait else {
            self.pace.complained(received, received);
            return None;
        };
        let wait = wait.min(LONGEST_WAIT);
        let with_jitter = wait + (wait / JITTER_SHARE).min(MAX_JITTER).mul_f64(random.clamp(0.0, 1.0));
        let (asked_until, until) = (received + wait, received + with_jitter);
        self.pace.complained(received, until);
        self.pause = Some(match self.pause {
            // Never shortened.
            Some(old) if old.until >= until => Pause { asked_until: old.asked_until.max(asked_until), ..old },
            Some(old) => Pause { status, until, asked_until: old.asked_until.max(asked_until) },
            None => Pause { status, until, asked_until },
        });
        self.reopen();
        Some((wait, with_jitter))
    }

    /// The tenant's answers say that it allows so many calls a second at most, and for how long that holds. It can only
    /// lower the pace, and never below the least there is: who is to stop is told to wait.
    ///
    /// None where the newest answer says nothing that would bind: that takes the place of what an older one said, too.
    pub fn told_most(&mut self, received: Instant, most: Option<(f64, Duration)>) {
        self.told_most = most.map(|(most, holds)| (most, received + holds.min(LONGEST_WAIT)));
    }

    /// How unevenly the network carries calls to the tenant.
    pub fn set_jitter(&mut self, jitter: Duration) {
        self.jitter = jitter;
    }

    /// What the pace is bound by at present.
    pub fn pace_settings(&self, now: Instant) -> PaceSettings {
        let told_most = self.told_most.filter(|(_, until)| *until > now).map(|(most, _)| most);
        PaceSettings { jitter: self.jitter, told_most, ..self.settings.pace }
    }

    /// The call with that ticket is over.
    pub fn ended(&mut self, ticket: u64, outcome: Outcome) {
        let Some(sent) = self.sent.remove(&ticket) else { return };
        if outcome == Outcome::Local {
            // It has told the breaker nothing: another probe may take its place.
            self.probes.retain(|(probe, _)| *probe != ticket);
        }
        let answered = !matches!(outcome, Outcome::Throttled { .. } | Outcome::Local);
        if answered && !outcome.counts_against_tenant() && sent.opening == self.opening {
            self.ramp = self.ramp.map(|width| width + 1).filter(|width| *width < self.settings.max_in_flight);
        }
    }

    /// The breaker moved.
    pub fn breaker_shifted(&mut self, position: Position) {
        if position == Position::Closed && self.breaker != Position::Closed {
            self.reopen();
        }
        self.breaker = position;
        self.probes.clear();
    }

    /// Takes every data call out of the line, to be refused for a reason that lies elsewhere.
    pub fn clear_data_calls(&mut self) -> Vec<u64> {
        std::iter::from_fn(|| self.turns.pop_data_call()).collect()
    }

    /// Takes every call out of the line.
    pub fn clear_calls(&mut self) -> Vec<u64> {
        let token_calls: Vec<_> = std::iter::from_fn(|| self.turns.pop_token_call()).collect();
        token_calls.into_iter().chain(self.clear_data_calls()).collect()
    }

    /// What holds up the tenant as a whole, and until when.
    pub fn held(&self, now: Instant) -> Option<(Held, Instant)> {
        if let Some(pause) = self.pause.filter(|pause| pause.until > now) {
            return Some((Held::ToldToWait(pause.status), pause.until));
        }
        match &self.breaker {
            Position::Open { until, error } if *until > now => Some((Held::BreakerOpen(error.clone()), *until)),
            _ => None,
        }
    }

    /// Calls a second at present.
    pub fn pace(&self, now: Instant) -> f64 {
        self.pace.at(&self.pace_settings(now), now)
    }

    fn refuse(&mut self, now: Instant) -> Option<Decision> {
        let long = |pause: &Pause| pause.asked_until.saturating_duration_since(now) > self.settings.max_wait;
        if let Some(pause) = self.pause.filter(long) {
            let ticket = self.turns.pop_token_call().or_else(|| self.turns.pop_data_call())?;
            let why = Refusal::LongPause { status: pause.status, until: pause.until };
            return Some(Decision::Refuse { ticket, why });
        }
        if let Position::GivenUp { error } = &self.breaker {
            let why = Refusal::GivenUp { error: error.clone() };
            return self.turns.pop_data_call().map(|ticket| Decision::Refuse { ticket, why });
        }
        None
    }

    /// The first moment, from `now` on, at which any call may go out: after the pause, at the pace, up the ramp.
    fn free_at(&self, now: Instant) -> Instant {
        let by_pause = self.pause.map_or(now, |pause| pause.until);
        let by_others = self.no_turn_before.unwrap_or(now);
        by_pause.max(self.pace.free_at(now)).max(by_others).max(self.ramp_free_at(now))
    }

    fn ramp_free_at(&self, now: Instant) -> Instant {
        let Some(width) = self.ramp else { return now };
        let since_reopening = self.sent.values().filter(|sent| sent.opening == self.opening);
        let mut patient_until: Vec<Instant> =
            since_reopening.map(|sent| sent.at + RAMP_PATIENCE).filter(|until| *until > now).collect();
        patient_until.sort_unstable();
        patient_until.len().checked_sub(width).map_or(now, |last_too_many| patient_until[last_too_many])
    }

    fn admit(&mut self, ticket: u64, now: Instant, probe: bool) -> Decision {
        self.turn = None;
        self.pace.sent(now);
        self.sent.insert(ticket, Sent { at: now, opening: self.opening });
        if probe {
            self.probes.push((ticket, now));
        }
        Decision::Admit { ticket, probe }
    }

    /// One call first; each answer lets one more out beside the next.
    fn reopen(&mut self) {
        self.opening += 1;
        self.ramp = Some(1);
    }
}

#[cfg(test)]
mod tests;
