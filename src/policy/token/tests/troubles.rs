//! Endpoints that lie, fail, hurry or take back what they gave: one situation each.

use super::*;

/// A policy whose token came with the refresh token `r1`, at the moment its renewal is due.
fn with_refresh(now: Instant) -> (TokenPolicy, Grant, Instant) {
    let mut policy = policy();
    policy.wanted(now);
    let given = TokenAnswer { refresh_token: Some(Secret::new("r1")), ..answer("t", ExpiresIn::Seconds(1000)) };
    policy.answered(now, now, given);
    let due = policy.renew_at().unwrap();
    let grant = Grant::Refresh(Secret::new("r1"));
    assert_eq!(policy.due(due), Step::Fetch(grant.clone()));
    (policy, grant, due)
}

fn throttled(wait: Duration) -> TokenFault {
    fault(Outcome::Throttled { wait: Some(wait) }, None)
}

#[test]
fn o1_a_token_is_not_sent_in_the_last_moments_of_its_life() {
    let now = Instant::now();
    for (life, margin) in [(3600, 1000), (20, 1000), (5, 250), (1, 50)] {
        let (end, margin) = (now + Duration::from_secs(life), Duration::from_millis(margin));
        let mut policy = with_token(now, life);
        assert!(matches!(policy.wanted(end - margin - Duration::from_millis(1)), Step::Use(..)), "{life}");
        assert_eq!(policy.wanted(end - margin), Step::Fetch(Grant::ClientCredentials), "{life}");
    }
}

#[test]
fn o6_a_token_that_lives_shorter_than_its_way_is_used_all_the_same() {
    let now = Instant::now();
    let mut policy = policy();
    policy.wanted(now);
    let came = now + 3 * SECOND;
    let Step::Use(_, until) = policy.answered(now, came, answer("t", ExpiresIn::Seconds(1))) else { panic!("unused") };
    assert!(until > came && until < came + SECOND);
    assert!(policy.renew_at().unwrap() > came, "not asked for again at once");
}

#[test]
fn o5_a_life_that_is_overstated_costs_one_renewal_for_each_true_one() {
    let start = Instant::now();
    let mut policy = with_token(start, 3600);
    for n in 1..20 {
        let now = start + n * 2 * SECOND;
        let generation = policy.generation();
        for _ in 0..8 {
            assert_eq!(policy.rejected(now, generation), Step::Nothing);
        }
        assert_eq!(policy.wanted(now), Step::Fetch(Grant::ClientCredentials));
        for _ in 0..8 {
            assert_eq!(policy.rejected(now, generation), Step::Nothing);
            assert_eq!(policy.wanted(now), Step::Nothing);
        }
        policy.answered(now, now, answer("t", ExpiresIn::Seconds(3600)));
    }
}

#[test]
fn o4_a_rejected_token_that_nobody_needs_replaced_is_not_replaced() {
    let now = Instant::now();
    let mut policy = with_token(now, 3600);
    assert_eq!(policy.rejected(now, TokenGeneration(1)), Step::Nothing);
    assert_eq!(policy.due(now + 3600 * SECOND), Step::Nothing);
}

#[test]
fn x1_a_wish_that_crossed_with_the_rejection_of_its_token_is_served() {
    let now = Instant::now();
    let mut policy = with_token(now, 3600);
    assert!(matches!(policy.wanted(now), Step::Use(..)));
    assert_eq!(policy.rejected(now, TokenGeneration(1)), Step::Fetch(Grant::ClientCredentials));
}

#[test]
fn o7_a_refresh_that_fails_without_a_refusal_is_not_shown_again() {
    for outcome in [Outcome::Transient, Outcome::WrongKind] {
        let (mut policy, grant, due) = with_refresh(Instant::now());
        let Step::At(at) = policy.faulted(due, &grant, &fault(outcome, None), 0.5) else { panic!("no other try") };
        assert!(at > due, "after a pause");
        assert!(matches!(policy.wanted(due), Step::Use(..)), "the old token still lasts");
        assert_eq!(policy.due(at), Step::Fetch(Grant::ClientCredentials));
    }
}

#[test]
fn o7_a_refresh_that_was_put_off_keeps_its_token() {
    let (mut policy, grant, due) = with_refresh(Instant::now());
    let Step::At(at) = policy.faulted(due, &grant, &throttled(10 * SECOND), 0.0) else { panic!("no other try") };
    assert_eq!(policy.due(at), Step::Fetch(grant));
}

#[test]
fn o3_an_unknown_client_is_told_at_once_even_where_a_refresh_token_was_shown() {
    let now = Instant::now();
    let (mut policy, grant, due) = with_refresh(now);
    let refused = fault(Outcome::Permanent, Some("invalid_client"));
    assert_eq!(policy.faulted(due, &grant, &refused, 0.0), Step::Nothing, "the old token still lasts");
    assert!(matches!(policy.wanted(now + 900 * SECOND), Step::Use(..)));
    let end = policy.wanted(now + 1000 * SECOND);
    assert!(matches!(&end, Step::Refuse(NoToken::Failed(f)) if f.class == FailureClass::Auth), "{end:?}");
}

#[test]
fn o2_pauses_of_no_length_are_spaced_like_other_tries() {
    let start = Instant::now();
    let mut now = start;
    let mut policy = policy();
    let mut step = policy.wanted(now);
    let mut n_calls = 0;
    while now < start + 600 * SECOND {
        step = match step {
            Step::Fetch(grant) => {
                n_calls += 1;
                policy.faulted(now, &grant, &throttled(Duration::ZERO), 0.5)
            }
            Step::At(at) => {
                now = at;
                policy.due(now)
            }
            other => panic!("{other:?}"),
        };
    }
    assert!(n_calls < 30, "{n_calls} calls in ten minutes");
}

#[test]
fn o2_a_pause_that_ends_a_long_row_of_them_is_kept_while_the_old_token_lasts() {
    let start = Instant::now();
    let retry = RetrySettings { max_delay: 5 * SECOND, ..SETTINGS.retry };
    let settings = TokenSettings { refresh_before: 7200 * SECOND, max_wait: 60 * SECOND, retry };
    let mut policy = TokenPolicy::new(settings, TokenGeneration(0));
    policy.wanted(start);
    policy.answered(start, start, answer("t", ExpiresIn::Seconds(36_000)));
    let mut now = policy.renew_at().unwrap();
    let grant = Grant::ClientCredentials;
    for _ in 0..6 {
        assert_eq!(policy.due(now), Step::Fetch(grant.clone()));
        let Step::At(at) = policy.faulted(now, &grant, &throttled(40 * SECOND), 0.0) else {
            panic!("the old token lasts")
        };
        assert!(at >= now + 40 * SECOND, "called within the pause");
        now = at;
    }
}
