//! Breaker and gate as they work together, with the mailboxes between them: news may be under way, late, lost, or meet
//! a successor of the one that it was meant for.
//!
//! The model plays both actors, the callers and the tenant. It judges each call at the moment when it goes out, by what
//! it knows itself: which pauses were asked for, where the breaker stands, which probes are out.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::{PACING, SECOND};
use crate::model::{ExtractionId, Outcome};
use crate::policy::breaker::{BreakerPolicy, BreakerSettings, MAX_FACTOR, Position};
use crate::policy::gate::{Decision, GatePolicy, GateSettings, Lane, TURN_LIFE};

#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) breaker: BreakerSettings,
    pub(super) gate: GateSettings,
}

/// A call that is out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    ticket: u64,
    lane: Lane,
    generation: u64,
}

/// A probe that went out, by which gate and in which generation.
#[derive(Debug)]
struct Probe {
    ticket: u64,
    gate: u32,
    generation: u64,
    at: Instant,
}

/// What the tenant does by itself.
#[derive(Debug)]
pub(super) struct Tenant {
    /// How long its answers take, one after the other.
    latencies: Vec<Duration>,
    n_answers: usize,
    due: Vec<(Instant, u64)>,
    down: (Instant, Instant),
}

impl Tenant {
    pub(super) fn new(latencies: Vec<Duration>, down: (Instant, Instant)) -> Self {
        Self { latencies, n_answers: 0, due: Vec::new(), down }
    }
}

pub(super) struct System {
    settings: Settings,
    pub(super) now: Instant,
    gate: GatePolicy,
    pub(super) breaker: BreakerPolicy,
    /// As the gate knows it.
    generation: u64,
    n_gates: u32,
    wake: Option<Instant>,
    pub(super) has_token: bool,
    n_tickets: u64,
    waiting: HashMap<u64, Lane>,
    pub(super) out: Vec<Call>,
    probes: Vec<Probe>,
    to_breaker: VecDeque<(Outcome, u64)>,
    to_gate: VecDeque<(Position, u64)>,
    /// When each pause was heard of, and until when it was asked for.
    pauses: Vec<(Instant, Instant)>,
    /// Data calls, and whether they were probes.
    pub(super) sent: Vec<(Instant, bool)>,
    pub(super) tenant: Option<Tenant>,
}

impl System {
    pub(super) fn new(settings: Settings) -> Self {
        let now = Instant::now();
        let mut system = Self {
            settings,
            now,
            gate: GatePolicy::new(settings.gate, now),
            breaker: BreakerPolicy::new(settings.breaker, 1),
            generation: 0,
            n_gates: 0,
            wake: None,
            has_token: true,
            n_tickets: 0,
            waiting: HashMap::new(),
            out: Vec::new(),
            probes: Vec::new(),
            to_breaker: VecDeque::new(),
            to_gate: VecDeque::new(),
            pauses: Vec::new(),
            sent: Vec::new(),
            tenant: None,
        };
        system.tell_gate();
        system.deliver_all();
        system
    }

    fn tell_gate(&mut self) {
        self.to_gate.push_back((self.breaker.position().clone(), self.breaker.generation()));
    }

    pub(super) fn deliver_to_breaker(&mut self) {
        let Some((outcome, generation)) = self.to_breaker.pop_front() else { return };
        let before = self.breaker.position().clone();
        let is_present = generation == self.breaker.generation();
        let moved = self.breaker.saw(self.now, outcome, Some("status 500"), generation);
        assert!(is_present || !moved, "a late result moved the breaker");
        if is_present && matches!(before, Position::HalfOpen { .. }) {
            assert!(moved, "the result of a probe was lost");
            let closed = self.breaker.position() == &Position::Closed;
            assert_eq!(closed, !outcome.counts_against_tenant(), "a probe was judged wrongly");
        }
        if moved || !is_present {
            self.tell_gate();
        }
    }

    pub(super) fn deliver_to_gate(&mut self) {
        let Some((position, generation)) = self.to_gate.pop_front() else { return };
        if generation != self.generation {
            self.generation = generation;
            self.gate.breaker_shifted(position);
            self.pump();
        }
    }

    pub(super) fn deliver_all(&mut self) {
        while !self.to_breaker.is_empty() || !self.to_gate.is_empty() {
            self.deliver_to_breaker();
            self.deliver_to_gate();
        }
        self.pump();
    }

    pub(super) fn in_flight(&self) -> usize {
        self.out.iter().filter(|call| call.lane != Lane::Token).count()
    }

    pub(super) fn ask(&mut self, lane: Lane) {
        self.n_tickets += 1;
        self.waiting.insert(self.n_tickets, lane);
        self.gate.ask(self.n_tickets, lane, Some(ExtractionId(self.n_tickets % 3)));
        self.pump();
    }

    fn n_waiting_for_data(&self) -> usize {
        self.waiting.values().filter(|lane| **lane != Lane::Token).count()
    }

    pub(super) fn pump(&mut self) {
        loop {
            self.wake = None;
            let waiting = &self.waiting;
            let in_flight = self.in_flight();
            let decision = self.gate.next(self.now, self.has_token, in_flight, |ticket| waiting.contains_key(&ticket));
            match decision {
                Decision::Admit { ticket, probe } => self.sent(ticket, probe),
                Decision::Refuse { ticket, .. } => {
                    self.waiting.remove(&ticket);
                }
                Decision::NeedTurn => self.gate.turn_given(self.now + TURN_LIFE),
                Decision::Wait(until) => {
                    assert!(until > self.now, "a wait that is over");
                    self.wake = Some(until);
                    return;
                }
                Decision::NeedToken | Decision::Idle => return,
            }
        }
    }

    fn sent(&mut self, ticket: u64, probe: bool) {
        let (now, generation) = (self.now, self.generation);
        let lane = self.waiting.remove(&ticket).expect("it waited");
        let broken = self.pauses.iter().find(|(told, until)| (*told..*until).contains(&now));
        assert!(broken.is_none(), "a call inside a pause");
        self.out.push(Call { ticket, lane, generation });
        if let Some(tenant) = &mut self.tenant {
            let latency = tenant.latencies[tenant.n_answers % tenant.latencies.len()];
            tenant.n_answers += 1;
            tenant.due.push((now + latency, ticket));
        }
        if lane == Lane::Token {
            assert!(!probe, "a token call is no probe");
            return;
        }
        self.sent.push((now, probe));
        assert!(self.in_flight() <= self.settings.gate.max_in_flight, "too many calls under way");
        // Where news is under way, the gate can't know of it yet.
        if self.to_gate.is_empty() && generation == self.breaker.generation() {
            match self.breaker.position() {
                Position::Closed => assert!(!probe, "a probe of a closed breaker"),
                Position::HalfOpen { .. } => assert!(probe, "a call that is no probe past a half-open breaker"),
                closed_door => panic!("a call past a breaker that is {closed_door:?}"),
            }
        }
        if probe {
            let gate = self.n_gates;
            self.probes.push(Probe { ticket, gate, generation, at: now });
            let deadline = self.settings.gate.probe_deadline;
            let is_out = |p: &&Probe| p.gate == gate && p.generation == generation && now < p.at + deadline;
            let n_out = self.probes.iter().filter(is_out).count();
            assert!(n_out <= self.settings.breaker.half_open_requests as usize, "{n_out} probes");
        }
    }

    pub(super) fn end(&mut self, which: usize, outcome: Outcome) {
        if self.out.is_empty() {
            return;
        }
        let call = self.out.swap_remove(which % self.out.len());
        if let Outcome::Throttled { wait } = outcome {
            self.told(Duration::ZERO, wait);
        }
        if outcome == Outcome::Local {
            self.probes.retain(|probe| probe.ticket != call.ticket);
        }
        self.gate.ended(call.ticket, outcome);
        if call.lane != Lane::Token && outcome != Outcome::Local {
            self.to_breaker.push_back((outcome, call.generation));
        }
        self.pump();
    }

    /// A call is over, and nobody hears of it, or only the gate does.
    pub(super) fn lose(&mut self, which: usize, gate_hears: bool) {
        if !self.out.is_empty() {
            let call = self.out.swap_remove(which % self.out.len());
            if gate_hears {
                self.gate.ended(call.ticket, Outcome::Ok);
            }
            self.pump();
        }
    }

    pub(super) fn told(&mut self, ago: Duration, wait: Option<Duration>) {
        let received = self.now - ago;
        self.pauses.extend(wait.map(|wait| (self.now, received + wait)));
        self.gate.told_to_wait(received, 429, wait, 0.5);
        self.pump();
    }

    pub(super) fn rebuild_gate(&mut self) {
        self.n_gates += 1;
        self.gate = GatePolicy::new(self.settings.gate, self.now);
        self.gate.start_carefully(self.now);
        let left = self.pauses.iter().map(|(_, until)| until.saturating_duration_since(self.now)).max();
        if let Some(left) = left.filter(|left| !left.is_zero()) {
            self.gate.go_on_waiting(self.now, 429, left, left);
        }
        self.generation = 0;
        self.to_gate.clear();
        self.to_breaker.push_back((Outcome::Local, 0));
        for lane in std::mem::take(&mut self.waiting).into_values() {
            self.ask(lane);
        }
    }

    pub(super) fn rebuild_breaker(&mut self) {
        self.to_breaker.clear();
        self.breaker = BreakerPolicy::new(self.settings.breaker, self.breaker.generation() + 1);
        self.tell_gate();
    }

    /// Time in which everybody does what is due, at the moment when it is.
    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        self.deliver_all();
        loop {
            let answer = self.tenant.as_ref().and_then(|tenant| tenant.due.iter().map(|(at, _)| *at).min());
            let due = answer.into_iter().chain(self.wake).chain(self.breaker.next_tick()).min();
            let Some(due) = due.filter(|due| *due <= end) else { break };
            self.now = self.now.max(due);
            self.answer_what_is_due();
            self.look();
        }
        self.now = end;
        self.look();
    }

    /// Time in which nobody looks: the machine sleeps.
    pub(super) fn jump(&mut self, time: Duration) {
        self.now += time;
        self.look();
    }

    fn look(&mut self) {
        if self.breaker.tick(self.now) {
            self.tell_gate();
        }
        self.deliver_all();
    }

    fn answer_what_is_due(&mut self) {
        let Some(tenant) = &mut self.tenant else { return };
        let (due, later) = std::mem::take(&mut tenant.due).into_iter().partition(|(at, _)| *at <= self.now);
        tenant.due = later;
        let is_down = (tenant.down.0..tenant.down.1).contains(&self.now);
        let due: Vec<(Instant, u64)> = due;
        for (_, ticket) in due {
            let which = self.out.iter().position(|call| call.ticket == ticket).expect("it is out");
            self.end(which, if is_down { Outcome::Transient } else { Outcome::Ok });
            // A place that is freed is taken at once, but no other answer comes before the breaker has heard of this one.
            self.ask(Lane::Page);
            self.deliver_all();
        }
    }

    /// From here on every call succeeds: calls must flow again in the time that pauses, openings and probes may take.
    pub(super) fn must_recover(&mut self) {
        self.has_token = true;
        let pause = self.pauses.iter().map(|(_, until)| until.saturating_duration_since(self.now)).max();
        let jitter = 5 * SECOND;
        let breaker = self.settings.breaker.open_for * MAX_FACTOR + self.settings.gate.probe_deadline;
        let until = self.now + pause.unwrap_or_default() + jitter + breaker + PACING;
        let n_before = self.sent.len();
        loop {
            // Who is refused comes again.
            if self.n_waiting_for_data() == 0 {
                self.ask(Lane::Page);
            }
            self.pass(SECOND / 2);
            while !self.out.is_empty() {
                self.end(0, Outcome::Ok);
            }
            self.deliver_all();
            if self.sent.len() > n_before && self.breaker.position() == &Position::Closed {
                break;
            }
            assert!(self.now < until, "wedged: {:?}", self.breaker.position());
        }
        for _ in 0..10 {
            self.ask(Lane::Page);
        }
        let until = self.now + 12 * PACING;
        while !self.waiting.is_empty() {
            assert!(self.now < until, "{} calls still wait", self.waiting.len());
            self.end(0, Outcome::Ok);
            self.pass(SECOND / 4);
        }
    }
}
