//! Random walks: whatever an endpoint does and whoever asks, the policy keeps its promises after every single step.
//!
//! The walk plays everybody around the policy: those who want a token, the endpoint, the clock and the alarm.

use proptest::prelude::*;

use super::*;

/// What happens next.
#[derive(Clone, Debug)]
enum Event {
    Wanted,
    /// The token of so many generations before the newest is refused.
    Rejected(u64),
    Pass(Duration),
    Answered {
        life: u64,
        refresh: bool,
    },
    Unusable,
    Faulted(Outcome, Option<&'static str>),
    /// The gate lets no token call pass.
    Shut,
}

fn event() -> impl Strategy<Value = Event> {
    let outcome = prop_oneof![
        4 => Just(Outcome::Transient),
        2 => Just(Outcome::Permanent),
        1 => Just(Outcome::WrongKind),
        1 => Just(Outcome::Local),
        1 => Just(Outcome::Contract),
        1 => Just(Outcome::Throttled { wait: None }),
        4 => (0..4000_u32).prop_map(|s| Outcome::Throttled { wait: Some(s * SECOND) }),
    ];
    let error = prop_oneof![4 => Just(None), 3 => Just(Some("invalid_grant")), 1 => Just(Some("invalid_client"))];
    prop_oneof![
        6 => Just(Event::Wanted),
        3 => (0..3_u64).prop_map(Event::Rejected),
        4 => (0..3000_u64).prop_map(|ms| Event::Pass(Duration::from_millis(ms))),
        3 => (0..4000_u32).prop_map(|s| Event::Pass(s * SECOND)),
        8 => (1..4000_u64, any::<bool>()).prop_map(|(life, refresh)| Event::Answered { life, refresh }),
        1 => Just(Event::Unusable),
        8 => (outcome, error).prop_map(|(outcome, error)| Event::Faulted(outcome, error)),
        1 => Just(Event::Shut),
    ]
}

/// What led to a step.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Cause {
    Wish,
    Alarm,
    Answer,
    Refusal,
    Other,
}

struct Walk {
    policy: TokenPolicy,
    now: Instant,
    under_way: Option<(Instant, Grant)>,
    /// The newest token, unless it was refused, and until when it may be used.
    token: Option<(TokenGeneration, Instant)>,
    /// The token was handed out to a wish.
    was_wished_for: bool,
    waiting: bool,
    paused_until: Option<Instant>,
    refused_for_good: bool,
    refresh_token: Option<String>,
    n_fetched: usize,
    n_causes: usize,
}

impl Walk {
    fn new() -> Self {
        Self {
            policy: policy(),
            now: Instant::now(),
            under_way: None,
            token: None,
            was_wished_for: false,
            waiting: false,
            paused_until: None,
            refused_for_good: false,
            refresh_token: None,
            n_fetched: 0,
            n_causes: 0,
        }
    }

    fn is_supplied(&self) -> bool {
        self.token.is_some_and(|(_, until)| until > self.now)
    }

    fn took(&mut self, step: Step, cause: Cause) {
        match step {
            Step::Fetch(grant) => {
                assert!(self.under_way.is_none(), "two renewals at once");
                assert!(!self.refused_for_good, "asked again after a refusal for good");
                assert!(self.paused_until.is_none_or(|until| until <= self.now), "asked within a pause");
                assert!(cause != Cause::Other, "nobody needed it");
                assert!(cause != Cause::Wish || !self.is_supplied(), "there was a good one");
                let due =
                    self.refresh_token.as_deref().map_or(Grant::ClientCredentials, |r| Grant::Refresh(Secret::new(r)));
                assert_eq!(grant, due);
                self.under_way = Some((self.now, grant));
                self.n_fetched += 1;
            }
            Step::Use(token, until) => {
                assert!(until > self.now, "a token that nobody may use");
                if cause == Cause::Wish {
                    assert_eq!(Some((token.generation, until)), self.token);
                    self.was_wished_for = true;
                } else {
                    assert_eq!(cause, Cause::Answer);
                    self.token = Some((token.generation, until));
                    self.was_wished_for = false;
                }
                self.waiting = false;
            }
            Step::Refuse(_) => {
                assert!(!self.is_supplied(), "refused where there is a token");
                self.waiting = false;
            }
            Step::At(_) | Step::Nothing => {}
        }
        let will_hear = self.under_way.is_some() || self.policy.renew_at().is_some();
        assert!(!self.waiting || will_hear, "a wish is forgotten");
        assert!(self.n_fetched <= self.n_causes, "{} calls for {} causes", self.n_fetched, self.n_causes);
    }

    fn want(&mut self) {
        let is_supplied = self.is_supplied();
        self.waiting = true;
        self.n_causes += usize::from(!is_supplied);
        let step = self.policy.wanted(self.now);
        assert!(!is_supplied || matches!(step, Step::Use(..)), "kept from using a good one: {step:?}");
        self.took(step, Cause::Wish);
    }

    /// Time passes, with every alarm at its moment.
    fn pass(&mut self, time: Duration) {
        let then = self.now + time;
        while let Some(at) = self.policy.renew_at().filter(|at| *at <= then) {
            self.now = self.now.max(at);
            let step = self.policy.due(self.now);
            self.took(step, Cause::Alarm);
            if self.under_way.is_some() {
                break;
            }
        }
        self.now = then;
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Wanted => self.want(),
            Event::Pass(time) => self.pass(time),
            Event::Rejected(before) => {
                let generation = TokenGeneration(self.policy.generation().0.saturating_sub(before));
                if generation.0 == 0 {
                    return;
                }
                let is_newest = generation == self.policy.generation();
                let crossed = is_newest && self.token.is_some() && self.was_wished_for;
                if is_newest {
                    self.token = None;
                    // The wish that was answered with this token is not repeated.
                    self.waiting |= crossed;
                }
                self.n_causes += usize::from(crossed);
                let step = self.policy.rejected(self.now, generation);
                self.took(step, if crossed { Cause::Wish } else { Cause::Other });
            }
            Event::Answered { life, refresh } => {
                let Some((sent, _)) = self.under_way.take() else { return };
                // A life ends once, and may then be renewed.
                self.n_causes += 1;
                let text = format!("r{}", self.n_fetched);
                if refresh {
                    self.refresh_token = Some(text.clone());
                }
                let refresh_token = refresh.then(|| Secret::new(&text));
                let answer = TokenAnswer { refresh_token, ..answer("t", ExpiresIn::Seconds(life)) };
                self.paused_until = None;
                let step = self.policy.answered(sent, self.now, answer);
                assert!(matches!(step, Step::Use(..)));
                self.took(step, Cause::Answer);
            }
            Event::Unusable => {
                let Some((sent, _)) = self.under_way.take() else { return };
                self.refused_for_good = true;
                let step = self.policy.answered(sent, self.now, answer("", ExpiresIn::Missing));
                self.took(step, Cause::Answer);
            }
            Event::Faulted(outcome, error) => {
                let Some((_, grant)) = self.under_way.take() else { return };
                self.n_causes += 1;
                let is_refresh = grant != Grant::ClientCredentials;
                self.refused_for_good = match outcome {
                    Outcome::Permanent => !is_refresh || error == Some("invalid_client"),
                    Outcome::Contract => true,
                    _ => false,
                };
                match outcome {
                    Outcome::Throttled { wait } => self.paused_until = wait.map(|wait| self.now + wait),
                    _ => self.refresh_token = None,
                }
                let step = self.policy.faulted(self.now, &grant, &fault(outcome, error), 0.3);
                self.took(step, Cause::Refusal);
            }
            Event::Shut => {
                if self.under_way.take().is_none() {
                    return;
                }
                self.n_causes += 1;
                let park = Park { reason: ParkReason::TenantPause, message: "later".to_owned(), until: None };
                let step = self.policy.refused_by_gate(self.now, NoToken::Parked(park));
                self.took(step, Cause::Refusal);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn o2_no_course_of_events_makes_a_storm_or_a_forgotten_wish(events in prop::collection::vec(event(), 1..60)) {
        let mut walk = Walk::new();
        for event in events {
            walk.happen(event);
        }
        // From now on the endpoint is well: whoever wants a token has one, unless it was refused for good.
        walk.want();
        for _ in 0..100 {
            if !walk.waiting {
                break;
            }
            match walk.under_way {
                Some(_) => walk.happen(Event::Answered { life: 100, refresh: false }),
                None => walk.pass(60 * SECOND),
            }
        }
        prop_assert!(!walk.waiting, "nobody heard anything");
        let until = walk.paused_until.filter(|until| *until > walk.now).unwrap_or(walk.now);
        prop_assert!(walk.is_supplied() || walk.refused_for_good || until > walk.now || walk.under_way.is_none());
    }

    #[test]
    fn o6_however_long_the_way_is_a_token_is_usable_when_it_comes_and_renewed_once_in_its_life(
        life in 1..4000_u32,
        way in 0..10_000_u64,
        refresh_before in 0..5000_u32,
    ) {
        let (life, way) = (life * SECOND, Duration::from_millis(way));
        let settings = TokenSettings { refresh_before: refresh_before * SECOND, ..SETTINGS };
        let mut policy = TokenPolicy::new(settings, TokenGeneration(0));
        let mut now = Instant::now();
        let mut step = policy.wanted(now);
        for _ in 0..20 {
            prop_assert_eq!(step, Step::Fetch(Grant::ClientCredentials));
            let sent = now;
            now += way;
            let Step::Use(_, until) = policy.answered(sent, now, answer("t", ExpiresIn::Seconds(life.as_secs()))) else {
                panic!("no token")
            };
            prop_assert!(until > now);
            prop_assert!(until <= sent + life || way >= life / 2, "used past its end");
            now = policy.renew_at().unwrap();
            prop_assert!(now - sent >= life * 4 / 5, "renewed after {:?}", now - sent);
            step = policy.due(now);
        }
    }
}
