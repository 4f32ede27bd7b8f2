//! What tenants can ask of patience: pauses in every form, storms of refusals, limits that change, tokens that trouble.
//!
//! Every draw comes from the caller's randomness. Nothing here makes a report end otherwise than delivered.

use std::time::Duration;

use cxtract::mock::{CallKind, ExpiresIn, Fault, FaultRule, Matcher, MockTenantBuilder};
use cxtract::model::Timestamp;
use fastrand::Rng;

/// What a tenant's tokens are like, as far as it explains calls for tokens.
#[derive(Clone, Copy, Debug)]
pub struct TokenPlan {
    /// How long a client may take one to live: what is said, or the truth where that is shorter.
    pub life: Duration,
    /// Moments at which all tokens are taken back.
    pub n_revocations: u64,
    /// Whether a token may be dead before its client can know.
    pub lies: bool,
}

impl TokenPlan {
    /// Tokens that outlive every report.
    pub const QUIET: Self = Self { life: Duration::from_secs(3600), n_revocations: 0, lies: false };
}

/// A pause in one of the forms that there are. Dates are fixed, so that an answer may also name one that is over; then
/// it names no pause. The tenant's clock starts at `wall`.
pub fn pause(wall: Timestamp, rng: &mut Rng) -> Fault {
    let code = if rng.bool() { 429 } else { 503 };
    let date = |rng: &mut Rng, pattern: &str| {
        let at = wall.plus(Duration::from_secs(rng.u64(5..60)));
        jiff::Timestamp::from_millisecond(at.0).expect("a near year").strftime(pattern).to_string()
    };
    let seconds = |rng: &mut Rng| rng.u64(1..30).to_string();
    let values = match rng.u32(0..6) {
        0 => vec![date(rng, "%a, %d %b %Y %H:%M:%S GMT")],
        1 => vec![date(rng, "%A, %d-%b-%y %H:%M:%S GMT")],
        2 => vec![date(rng, "%a %b %e %H:%M:%S %Y")],
        3 => vec![seconds(rng), seconds(rng)],
        4 => vec![format!("{}, {}", seconds(rng), seconds(rng))],
        _ => vec![seconds(rng)],
    };
    let headers = values.into_iter().map(|value| ("Retry-After".to_owned(), value)).collect();
    Fault::Status { code, headers, body: String::new() }
}

/// The clock of a tenant: right, or off by up to three years.
pub fn clock(rng: &mut Rng) -> Timestamp {
    const THREE_YEARS: i64 = 3 * 365 * 86_400_000;
    Timestamp(crate::world::WALL_START.0 + if rng.bool() { 0 } else { rng.i64(-THREE_YEARS..THREE_YEARS) })
}

/// One to three pauses, each told to whatever call comes then, and now and then a storm of refusals without any.
pub fn throttles(mut mock: MockTenantBuilder, wall: Timestamp, rng: &mut Rng) -> MockTenantBuilder {
    for _ in 0..rng.u32(1..=3) {
        let on = match rng.u32(0..6) {
            0 => Matcher::kind(CallKind::Status),
            1 => Matcher::kind(CallKind::Submit),
            2 => Matcher::kind(CallKind::Token),
            _ => Matcher::pages(),
        };
        let (from, n) = (rng.u64(0..12), rng.u64(1..=2));
        mock = mock.fault(FaultRule::new(on.matches(from..from + n), pause(wall, rng)));
    }
    let storm = match rng.u32(0..3) {
        0 => Fault::status(429),
        1 => Fault::told_to_wait(429, rng.u64(1..3)),
        _ => return mock,
    };
    let (from, n) = (rng.u64(0..8), rng.u64(5..40));
    mock.fault(FaultRule::new(Matcher::pages().matches(from..from + n), storm))
}

/// A true limit below the one that is known, from the start or from some moment on, perhaps for a while only.
pub fn lower_limit(mock: MockTenantBuilder, rate: u64, rng: &mut Rng) -> MockTenantBuilder {
    let lower = (rate as f64 * (0.3 + 0.5 * rng.f64())).max(1.0).floor();
    if rng.bool() {
        return mock.requests_per_second(lower);
    }
    let from = Duration::from_secs(rng.u64(2..15));
    let mock = mock.requests_per_second_from(from, lower);
    if rng.bool() {
        mock
    } else {
        mock.requests_per_second_from(from + Duration::from_secs(rng.u64(5..60)), rate as f64)
    }
}

/// Tokens that live shortly, that lie about it, that are taken back again and again, whose renewal fails or is refused.
pub fn tokens(mut mock: MockTenantBuilder, rng: &mut Rng) -> (MockTenantBuilder, TokenPlan) {
    let mut plan = TokenPlan::QUIET;
    match rng.u32(0..4) {
        0 => {
            plan.life = Duration::from_secs(rng.u64(5..30));
            mock = mock.token_life(plan.life);
        }
        1 => {
            // Longer than true: the end of each is learned by a 401.
            (plan.life, plan.lies) = (Duration::from_secs(rng.u64(8..30)), true);
            let said =
                [ExpiresIn::Missing, ExpiresIn::Literal("3600".to_owned()), ExpiresIn::Literal("\"86400\"".to_owned())];
            mock = mock.token_life(plan.life).expires_in(said[rng.usize(..3)].clone());
        }
        2 => {
            plan.life = Duration::from_secs(rng.u64(3..30));
            mock = mock.expires_in(ExpiresIn::Literal(plan.life.as_secs().to_string()));
        }
        _ => {}
    }
    if plan.life == TokenPlan::QUIET.life {
        // Far enough apart that no call meets two of them, nor one and a token fetched just before.
        let mut at = 0;
        for _ in 0..rng.u64(0..=3) {
            at += rng.u64(8..20);
            mock = mock.revoke_tokens_at(Duration::from_secs(at));
            plan.n_revocations += 1;
        }
    }
    mock = match rng.u32(0..4) {
        0 => mock.refresh_tokens(),
        1 => mock.refuse_refresh(),
        _ => mock,
    };
    let fault = match rng.u32(0..6) {
        0 => Fault::status(500),
        1 => Fault::status(503),
        2 => Fault::status(429),
        3 => Fault::told_to_wait(429, rng.u64(1..5)),
        4 => Fault::Reset,
        _ => return (mock, plan),
    };
    let from = rng.u64(0..3);
    (mock.fault(FaultRule::new(Matcher::kind(CallKind::Token).matches(from..from + rng.u64(1..=4)), fault)), plan)
}
