use super::*;

mod troubles;
mod walks;

const SECOND: Duration = Duration::from_secs(1);

const SETTINGS: TokenSettings = TokenSettings {
    refresh_before: Duration::from_secs(300),
    retry: RetrySettings { max_attempts: 3, base_delay: SECOND, max_delay: Duration::from_secs(60) },
    max_wait: Duration::from_secs(1800),
};

fn policy() -> TokenPolicy {
    TokenPolicy::new(SETTINGS, TokenGeneration(0))
}

fn answer(text: &str, expires_in: ExpiresIn) -> TokenAnswer {
    TokenAnswer { access_token: Secret::new(text), expires_in, refresh_token: None }
}

fn fault(outcome: Outcome, oauth_error: Option<&str>) -> TokenFault {
    TokenFault {
        outcome,
        oauth_error: oauth_error.map(str::to_owned),
        message: "status 400".to_owned(),
        told_to_wait: None,
        status: None,
        late: false,
    }
}

/// A policy that got a token of that life at `now`.
fn with_token(now: Instant, secs: u64) -> TokenPolicy {
    let mut policy = policy();
    assert_eq!(policy.wanted(now), Step::Fetch(Grant::ClientCredentials));
    assert!(matches!(policy.answered(now, now, answer("t1", ExpiresIn::Seconds(secs))), Step::Use(..)));
    policy
}

fn expiry(expires_in: ExpiresIn) -> Result<Duration, Step> {
    let now = Instant::now();
    let mut policy = policy();
    policy.wanted(now);
    match policy.answered(now, now, answer("t", expires_in)) {
        Step::Use(_, until) => Ok((until - now) + MAX_MARGIN),
        step => Err(step),
    }
}

#[test]
fn o1_a_token_is_renewed_ahead_of_its_end_but_never_by_more_than_a_fifth_of_its_life() {
    let now = Instant::now();
    for (life, due) in [(3600, 3300), (1000, 800), (86_400, 86_100)] {
        assert_eq!(with_token(now, life).renew_at(), Some(now + due * SECOND));
    }
}

#[test]
fn o6_a_token_of_five_seconds_is_renewed_once_in_its_life() {
    let start = Instant::now();
    let mut now = start;
    let mut policy = with_token(start, 5);
    let mut n_fetched = 0;
    while now < start + 100 * SECOND {
        now = policy.renew_at().unwrap();
        assert_eq!(policy.due(now), Step::Fetch(Grant::ClientCredentials));
        policy.answered(now, now, answer("t", ExpiresIn::Seconds(5)));
        n_fetched += 1;
    }
    assert_eq!(n_fetched, 25);
}

#[test]
fn o5_every_form_of_expires_in_has_its_meaning() {
    assert_eq!(expiry(ExpiresIn::Missing), Ok(300 * SECOND));
    assert_eq!(expiry(ExpiresIn::from_number(3599.9)), Ok(3599 * SECOND));
    assert_eq!(expiry(ExpiresIn::from_number(1e12)), Ok(24 * 3600 * SECOND));
    assert_eq!(expiry(ExpiresIn::from_number(1e300)), Ok(24 * 3600 * SECOND));
    assert_eq!(expiry(ExpiresIn::from_text(" 1800 ")), Ok(1800 * SECOND));
    for bad in [
        ExpiresIn::from_number(0.0),
        ExpiresIn::from_number(0.5),
        ExpiresIn::from_number(-1.0),
        ExpiresIn::from_number(f64::NAN),
        ExpiresIn::from_text("soon\r\n"),
        ExpiresIn::from_text("nan"),
        ExpiresIn::from_text(""),
    ] {
        let Err(Step::Refuse(NoToken::Failed(failure))) = expiry(bad.clone()) else { panic!("{bad:?} passed") };
        assert_eq!(failure.class, FailureClass::Auth);
        assert!(failure.message.contains("expires_in") && !failure.message.contains('\n'), "{}", failure.message);
    }
}

#[test]
fn o8_a_token_that_no_header_may_hold_is_refused_and_never_shown() {
    for bad in ["", "canary\r\nX: 1", "canary canary", "canaryé", "canary\u{0}", "canary\u{7f}"] {
        let now = Instant::now();
        let mut policy = policy();
        policy.wanted(now);
        let step = policy.answered(now, now, answer(bad, ExpiresIn::Missing));
        let Step::Refuse(NoToken::Failed(failure)) = step else { panic!("{bad:?} passed") };
        assert_eq!(failure.class, FailureClass::Auth);
        assert!(!format!("{failure:?} {policy:?}").contains("canary"));
    }
}

#[test]
fn x1_whoever_asks_while_a_renewal_is_under_way_starts_no_second_one() {
    let now = Instant::now();
    let mut policy = policy();
    assert_eq!(policy.wanted(now), Step::Fetch(Grant::ClientCredentials));
    for _ in 0..10 {
        assert_eq!(policy.wanted(now), Step::Nothing);
    }
}

#[test]
fn o1_a_rejection_renews_only_the_token_that_is_current() {
    let now = Instant::now();
    let mut policy = with_token(now, 3600);
    for _ in 0..8 {
        assert_eq!(policy.rejected(now, TokenGeneration(1)), Step::Nothing);
    }
    assert_eq!(policy.renew_at(), None, "nobody wants one yet");
    assert_eq!(policy.wanted(now), Step::Fetch(Grant::ClientCredentials));
    assert_eq!(policy.rejected(now, TokenGeneration(1)), Step::Nothing);
    policy.answered(now, now, answer("t2", ExpiresIn::Seconds(3600)));
    assert_eq!(policy.rejected(now, TokenGeneration(1)), Step::Nothing);
    let Step::Use(token, _) = policy.wanted(now) else { panic!("renewed for an old token") };
    assert_eq!(token.generation, TokenGeneration(2));
}

#[test]
fn o2_a_token_that_still_lasts_is_used_while_the_endpoint_fails() {
    let start = Instant::now();
    let mut policy = with_token(start, 1000);
    let mut now = policy.renew_at().unwrap();
    let mut step = policy.due(now);
    let mut n_tries = 0;
    while now < start + 999 * SECOND {
        match step {
            Step::Fetch(grant) => {
                n_tries += 1;
                step = policy.faulted(now, &grant, &fault(Outcome::Transient, None), 1.0);
            }
            Step::At(at) => {
                now = at;
                step = policy.due(now);
            }
            other => panic!("{other:?}"),
        }
        if now < start + 1000 * SECOND {
            assert!(matches!(policy.wanted(now), Step::Use(..)));
        }
    }
    assert!((6..=12).contains(&n_tries), "rounds of three tries, a minute apart: {n_tries}");
}

#[test]
fn o2_without_a_token_exhausted_tries_park_and_the_next_wish_begins_anew() {
    let mut now = Instant::now();
    let mut policy = policy();
    let mut step = policy.wanted(now);
    let mut n_tries = 0;
    let refused = loop {
        step = match step {
            Step::Fetch(grant) => {
                n_tries += 1;
                policy.faulted(now, &grant, &fault(Outcome::Transient, None), 0.5)
            }
            Step::At(at) => {
                now = at;
                policy.due(now)
            }
            other => break other,
        }
    };
    assert_eq!(n_tries, 3);
    assert!(matches!(refused, Step::Refuse(NoToken::Parked(Park { reason: ParkReason::TenantDown, .. }))));
    assert_eq!(policy.wanted(now), Step::Fetch(Grant::ClientCredentials));
}

#[test]
fn o2_an_endpoint_that_asks_for_a_pause_gets_it_without_using_up_tries() {
    let mut now = Instant::now();
    let mut policy = policy();
    let mut step = policy.wanted(now);
    for _ in 0..20 {
        assert_eq!(step, Step::Fetch(Grant::ClientCredentials));
        let wait = Outcome::Throttled { wait: Some(60 * SECOND) };
        let Step::At(at) = policy.faulted(now, &Grant::ClientCredentials, &fault(wait, None), 1.0) else {
            panic!("no pause")
        };
        assert_eq!(at - now, 65 * SECOND);
        now = at;
        step = policy.due(now);
    }
}

#[test]
fn o2_an_endpoint_that_asks_for_a_long_pause_parks_and_is_not_called_within_it() {
    let now = Instant::now();
    for wait in [3600 * SECOND, Duration::MAX] {
        let mut policy = policy();
        policy.wanted(now);
        let long = Outcome::Throttled { wait: Some(wait) };
        let step = policy.faulted(now, &Grant::ClientCredentials, &fault(long, None), 1.0);
        assert!(matches!(step, Step::Refuse(NoToken::Parked(Park { reason: ParkReason::TenantPause, .. }))));
        assert_eq!(policy.wanted(now + 3599 * SECOND), step);
    }
    let mut policy = policy();
    policy.wanted(now);
    let long = Outcome::Throttled { wait: Some(3600 * SECOND) };
    policy.faulted(now, &Grant::ClientCredentials, &fault(long, None), 1.0);
    assert_eq!(policy.wanted(now + 3600 * SECOND), Step::Fetch(Grant::ClientCredentials));
}

#[test]
fn o3_refused_credentials_are_tried_once_and_never_again() {
    for error in [Some("invalid_client"), Some("invalid_scope"), None] {
        let now = Instant::now();
        let mut policy = policy();
        policy.wanted(now);
        let step = policy.faulted(now, &Grant::ClientCredentials, &fault(Outcome::Permanent, error), 0.0);
        let Step::Refuse(NoToken::Failed(failure)) = step else { panic!("not refused") };
        assert_eq!(failure.class, FailureClass::Auth);
        assert!(error.is_none_or(|error| failure.message.contains(error)));
        assert_eq!(policy.wanted(now), Step::Refuse(NoToken::Failed(failure)));
        assert_eq!(policy.due(now + 3600 * SECOND), Step::Nothing);
    }
}

#[test]
fn o7_a_refused_refresh_token_falls_back_to_client_credentials() {
    let now = Instant::now();
    let mut policy = policy();
    policy.wanted(now);
    let with_refresh = TokenAnswer { refresh_token: Some(Secret::new("r1")), ..answer("t", ExpiresIn::Missing) };
    policy.answered(now, now, with_refresh);
    let grant = Grant::Refresh(Secret::new("r1"));
    let due = policy.renew_at().unwrap();
    assert_eq!(policy.due(due), Step::Fetch(grant.clone()));
    let refused = fault(Outcome::Permanent, Some("invalid_grant"));
    assert_eq!(policy.faulted(due, &grant, &refused, 0.0), Step::Fetch(Grant::ClientCredentials));
    policy.answered(due, due, answer("t2", ExpiresIn::Missing));
    assert_eq!(policy.due(policy.renew_at().unwrap()), Step::Fetch(Grant::ClientCredentials));
}

#[test]
fn a_new_refresh_token_replaces_the_old_one_and_an_absent_one_leaves_it() {
    let mut now = Instant::now();
    let mut policy = policy();
    policy.wanted(now);
    for (given, due) in [(Some("r1"), "r1"), (None, "r1"), (Some("r2"), "r2")] {
        let refresh_token = given.map(Secret::new);
        policy.answered(now, now, TokenAnswer { refresh_token, ..answer("t", ExpiresIn::Missing) });
        now = policy.renew_at().unwrap();
        assert_eq!(policy.due(now), Step::Fetch(Grant::Refresh(Secret::new(due))));
    }
}

#[test]
fn h6_an_endpoint_that_only_talks_nonsense_fails_and_a_distrusted_one_is_this_machines_affair() {
    for (outcome, class, n_tries) in [
        (Outcome::WrongKind, FailureClass::Data, 3),
        (Outcome::Contract, FailureClass::Data, 1),
        (Outcome::Local, FailureClass::Local, 1),
    ] {
        let mut now = Instant::now();
        let mut policy = policy();
        let mut step = policy.wanted(now);
        for n in 1..=n_tries {
            assert_eq!(step, Step::Fetch(Grant::ClientCredentials));
            step = policy.faulted(now, &Grant::ClientCredentials, &fault(outcome, None), 0.0);
            if n < n_tries {
                now = policy.renew_at().unwrap();
                step = policy.due(now);
            }
        }
        let Step::Refuse(NoToken::Failed(failure)) = step else { panic!("{outcome:?}: {step:?}") };
        assert_eq!(failure.class, class);
    }
}

/// Where an endpoint that always answers so leaves a policy without a token, after how long.
fn always(wait: Option<Duration>) -> (Duration, Step, TokenPolicy) {
    let start = Instant::now();
    let mut now = start;
    let mut policy = policy();
    let mut step = policy.wanted(now);
    for _ in 0..10_000 {
        step = match step {
            Step::Fetch(grant) => policy.faulted(now, &grant, &fault(Outcome::Throttled { wait }, None), 1.0),
            Step::At(at) => {
                now = at;
                policy.due(now)
            }
            end => return (now - start, end, policy),
        };
    }
    panic!("still waiting after {:?}", now - start);
}

#[test]
fn o2_an_endpoint_that_always_says_too_often_is_not_waited_for_longer_than_for_a_tenant() {
    for wait in [None, Some(Duration::from_secs(60))] {
        let (waited, end, mut policy) = always(wait);
        let Step::Refuse(NoToken::Parked(park)) = end else { panic!("{end:?}") };
        assert_eq!(park.reason, ParkReason::TenantPause);
        assert!(waited > SETTINGS.max_wait && waited < SETTINGS.max_wait + 70 * SECOND, "{waited:?}");
        let later = Instant::now() + waited + 60 * SECOND;
        assert_eq!(policy.wanted(later), Step::Fetch(Grant::ClientCredentials), "the next wish tries anew");
        let again = fault(Outcome::Throttled { wait }, None);
        assert!(matches!(policy.faulted(later, &Grant::ClientCredentials, &again, 1.0), Step::At(_)), "from zero");
    }
}

#[test]
fn another_answer_between_two_throttles_starts_their_clock_again() {
    let now = Instant::now();
    let mut policy = policy();
    policy.wanted(now);
    let (throttle, down) = (fault(Outcome::Throttled { wait: None }, None), fault(Outcome::Transient, None));
    let late = now + SETTINGS.max_wait + SECOND;
    policy.faulted(now, &Grant::ClientCredentials, &throttle, 0.5);
    policy.faulted(late - SECOND, &Grant::ClientCredentials, &down, 0.5);
    assert!(matches!(policy.faulted(late, &Grant::ClientCredentials, &throttle, 0.5), Step::At(_)));
}

#[test]
fn h6_after_nonsense_or_distrust_the_next_wish_for_a_token_tries_anew() {
    for (outcome, n_tries) in [(Outcome::WrongKind, 3), (Outcome::Local, 1)] {
        let now = Instant::now();
        let mut policy = policy();
        policy.wanted(now);
        for _ in 0..n_tries {
            policy.faulted(now, &Grant::ClientCredentials, &fault(outcome, None), 0.0);
        }
        assert_eq!(policy.wanted(now), Step::Fetch(Grant::ClientCredentials), "{outcome:?}");
    }
}
