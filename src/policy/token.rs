//! The life of a tenant's access token: when to renew it, with which grant, and when to give up.
//!
//! One renewal is under way at any time, and none begins but for a life that ends or for somebody who has no token. A
//! token that is still valid goes on being used while the endpoint fails; who was refused for good is not asked again,
//! and who asked for a pause not within it. Secrets pass through and are never shown.

use std::time::Duration;

use tokio::time::Instant;

use crate::model::{AccessToken, Failure, FailureClass, Outcome, Park, ParkReason, Secret, TokenGeneration};
use crate::policy::backoff::{Retry, RetryBudget, RetrySettings};

/// What a token lives for when its answer doesn't say.
const USUAL_LIFE: Duration = Duration::from_secs(300);
const LONGEST_LIFE: Duration = Duration::from_secs(24 * 3600);

/// A token is renewed at most this part of its life before its end.
const LEAD_PART: u32 = 5;

/// A token is not sent in the last part of its life, and that part is no longer than a second. Its life is counted from
/// before the request for it, so that a way as long as that request's is allowed for already; this is for the clocks of
/// endpoints that know whole seconds only, and for a call that is slower than the last one.
const MARGIN_PART: u32 = 20;
const MAX_MARGIN: Duration = Duration::from_secs(1);

/// OAuth's word for wrong client credentials; no grant will do then.
const INVALID_CLIENT: &str = "invalid_client";

/// How a tenant's tokens are had.
#[derive(Clone, Copy, Debug)]
pub struct TokenSettings {
    /// How long before its end a token is renewed.
    pub refresh_before: Duration,
    /// Tries of one renewal. Past them, and while the old token lasts, another round begins after `max_delay`.
    pub retry: RetrySettings,
    /// Pauses longer than this are not sat out.
    pub max_wait: Duration,
}

/// How a token is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grant {
    /// With the client's own credentials.
    ClientCredentials,
    /// With the refresh token that came with the last access token.
    Refresh(Secret),
}

/// `expires_in`, as the answer has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExpiresIn {
    /// Not there.
    Missing,
    /// So many seconds; zero is refused later.
    Seconds(u64),
    /// Something that is no number of seconds; the text shows it.
    Invalid(String),
}

impl ExpiresIn {
    /// From a number; a fraction of a second is dropped.
    pub fn from_number(number: f64) -> Self {
        // The cast saturates, so that a huge number stays huge.
        if number >= 0.0 { Self::Seconds(number as u64) } else { Self::Invalid(number.to_string()) }
    }

    /// From a text that should hold a number.
    pub fn from_text(text: &str) -> Self {
        match text.trim().parse::<f64>() {
            Ok(number) if number >= 0.0 => Self::from_number(number),
            _ => Self::Invalid(text.chars().take(40).flat_map(char::escape_debug).collect()),
        }
    }
}

/// A token endpoint's good answer.
#[derive(Clone, Debug)]
pub struct TokenAnswer {
    /// The token.
    pub access_token: Secret,
    /// How long it lives.
    pub expires_in: ExpiresIn,
    /// What the next one can be asked for with.
    pub refresh_token: Option<Secret>,
}

/// Why a token endpoint gave no token.
#[derive(Clone, Debug)]
pub struct TokenFault {
    /// What kind of failure it is.
    pub outcome: Outcome,
    /// The `error` of its answer.
    pub oauth_error: Option<String>,
    /// What happened, in words fit to be shown.
    pub message: String,
    /// The status and length of a pause that the endpoint asked for.
    pub told_to_wait: Option<(u16, Option<Duration>)>,
    /// The status code, where there was an answer.
    pub status: Option<u16>,
    /// Whether it was not sent because its connection stood too late.
    pub late: bool,
}

impl TokenFault {
    /// What a refusal for good refuses: the credentials, or (a redirect, a wrong address) the call itself.
    fn refused_class(&self) -> FailureClass {
        let is_of_credentials = self.oauth_error.is_some() || matches!(self.status, None | Some(400 | 401 | 403));
        if is_of_credentials { FailureClass::Auth } else { FailureClass::Denied }
    }
}

/// Why there is no token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoToken {
    /// Not now; it may be tried again later.
    Parked(Park),
    /// Never.
    Failed(Failure),
}

/// What to do next about the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Ask the endpoint, now.
    Fetch(Grant),
    /// Call [`TokenPolicy::due`] then.
    At(Instant),
    /// This token is good until then: hand it out. The next renewal is due at [`TokenPolicy::renew_at`].
    Use(AccessToken, Instant),
    /// Tell whoever waits that there is none.
    Refuse(NoToken),
    /// Nothing.
    Nothing,
}

#[derive(Clone, Debug)]
struct Current {
    token: AccessToken,
    usable_until: Instant,
    /// It was handed out to somebody who had asked while it was current.
    is_asked_for: bool,
}

/// The token of one tenant.
#[derive(Debug)]
pub struct TokenPolicy {
    settings: TokenSettings,
    current: Option<Current>,
    last_generation: TokenGeneration,
    refresh_token: Option<Secret>,
    /// The renewal under way, between two of its tries as well.
    renewal: Option<RetryBudget>,
    renew_at: Option<Instant>,
    /// A pause of the endpoint that was too long to be sat out. Whoever asks within it must not make us call.
    paused: Option<(Instant, Park)>,
    /// Since when the endpoint has answered nothing but that it is asked too often.
    throttled_since: Option<Instant>,
    /// A failure that asking again can't mend.
    failed: Option<Failure>,
}

impl TokenPolicy {
    /// No token yet. A rebuilt one goes on counting generations where the one before it stopped.
    pub fn new(settings: TokenSettings, last_generation: TokenGeneration) -> Self {
        Self {
            settings,
            current: None,
            last_generation,
            refresh_token: None,
            renewal: None,
            renew_at: None,
            paused: None,
            throttled_since: None,
            failed: None,
        }
    }

    /// When the next try or renewal is due.
    pub fn renew_at(&self) -> Option<Instant> {
        self.renew_at
    }

    /// The newest token's generation.
    pub fn generation(&self) -> TokenGeneration {
        self.last_generation
    }

    /// Somebody has no token that may be sent, and needs one.
    pub fn wanted(&mut self, now: Instant) -> Step {
        if let Some(current) = self.current.as_mut().filter(|current| current.usable_until > now) {
            current.is_asked_for = true;
            return Step::Use(current.token.clone(), current.usable_until);
        }
        if let Some(failure) = &self.failed {
            return Step::Refuse(NoToken::Failed(failure.clone()));
        }
        match &self.paused {
            Some((until, park)) if *until > now => Step::Refuse(NoToken::Parked(park.clone())),
            _ => self.begin(),
        }
    }

    /// A call was refused for its token. Only the newest token's refusal means anything, and it takes that token out of
    /// use. Another one is fetched when somebody wants it: a report that ends of the refusal does not.
    pub fn rejected(&mut self, now: Instant, generation: TokenGeneration) -> Step {
        if generation < self.last_generation {
            return Step::Nothing;
        }
        let rejected = self.current.take();
        if self.renewal.is_none() {
            self.renew_at = None;
        }
        // Where wish and refusal crossed, the wish was answered with this very token, and is not repeated.
        if rejected.is_some_and(|current| current.is_asked_for) { self.wanted(now) } else { Step::Nothing }
    }

    /// The moment of [`Self::renew_at`] has come.
    pub fn due(&mut self, now: Instant) -> Step {
        match self.renew_at {
            Some(at) if at > now => Step::At(at),
            Some(_) if self.renewal.is_some() => self.fetch(),
            Some(_) => self.begin(),
            None => Step::Nothing,
        }
    }

    /// The endpoint answered a request that was sent at `sent`.
    pub fn answered(&mut self, sent: Instant, now: Instant, answer: TokenAnswer) -> Step {
        let life = match usable(&answer.access_token).and_then(|()| life(&answer.expires_in)) {
            Ok(life) => life,
            Err(message) => return self.fail(now, Failure::new(FailureClass::Auth, message)),
        };
        self.last_generation = TokenGeneration(self.last_generation.0 + 1);
        let token = AccessToken { value: answer.access_token, generation: self.last_generation, asked: sent };
        let margin = (life / MARGIN_PART).min(MAX_MARGIN);
        let lead = self.settings.refresh_before.min(life / LEAD_PART).max(margin);
        let ends = end_of_life(sent, now, life, lead);
        let usable_until = ends - margin;
        self.current = Some(Current { token: token.clone(), usable_until, is_asked_for: false });
        // An endpoint that renews without giving another refresh token means the old one to stay (RFC 6749, 6).
        self.refresh_token = answer.refresh_token.or(self.refresh_token.take());
        self.renewal = None;
        self.throttled_since = None;
        self.paused = None;
        self.renew_at = Some(ends - lead);
        Step::Use(token, usable_until)
    }

    /// The endpoint did not give a token; `random` is from 0 to 1.
    pub fn faulted(&mut self, now: Instant, grant: &Grant, fault: &TokenFault, random: f64) -> Step {
        if self.renewal.is_none() {
            return Step::Nothing;
        }
        if let Some(step) = self.throttled_for_long(now, fault) {
            return step;
        }
        let final_for_client = fault.oauth_error.as_deref() == Some(INVALID_CLIENT);
        let refused = matches!(fault.outcome, Outcome::Permanent | Outcome::AuthExpired);
        let is_throttled = matches!(fault.outcome, Outcome::Throttled { .. });
        if matches!(grant, Grant::Refresh(_)) && !is_throttled {
            // It may have been used up by a request whose answer was lost, and showing it again might count as theft.
            // The client's own credentials never wear out.
            self.refresh_token = None;
        }
        if refused && matches!(grant, Grant::Refresh(_)) && !final_for_client {
            return self.fetch();
        }
        if refused {
            return self.fail(now, Failure::new(fault.refused_class(), worded(fault)));
        }
        if let Outcome::Throttled { wait: Some(wait) } = fault.outcome {
            return self.pause(now, wait, fault, random);
        }
        let Some(renewal) = &mut self.renewal else { return Step::Nothing };
        match renewal.after(fault.outcome, false, random) {
            Retry::Now => self.at(now),
            Retry::After(delay) => self.at(now + delay),
            Retry::Exhausted if fault.outcome == Outcome::WrongKind => {
                self.give_up(now, NoToken::Failed(Failure::new(FailureClass::Data, worded(fault))))
            }
            Retry::Exhausted => self.give_up(now, NoToken::Parked(down(fault))),
            Retry::Never if fault.outcome == Outcome::Local => {
                self.give_up(now, NoToken::Failed(Failure::new(FailureClass::Local, worded(fault))))
            }
            Retry::Never => self.fail(now, Failure::new(FailureClass::Data, worded(fault))),
        }
    }

    /// The gate does not let a token request pass.
    pub fn refused_by_gate(&mut self, now: Instant, refusal: NoToken) -> Step {
        self.give_up(now, refusal)
    }

    fn is_supplied(&self, now: Instant) -> bool {
        self.current.as_ref().is_some_and(|current| current.usable_until > now)
    }

    fn begin(&mut self) -> Step {
        if self.renewal.is_some() {
            return Step::Nothing;
        }
        self.renewal = Some(RetryBudget::new(self.settings.retry));
        self.fetch()
    }

    fn fetch(&mut self) -> Step {
        self.renew_at = None;
        Step::Fetch(self.refresh_token.clone().map_or(Grant::ClientCredentials, Grant::Refresh))
    }

    fn at(&mut self, at: Instant) -> Step {
        self.renew_at = Some(at);
        Step::At(at)
    }

    fn pause(&mut self, now: Instant, wait: Duration, fault: &TokenFault, random: f64) -> Step {
        if wait <= self.settings.max_wait {
            let jitter = (wait / 10).min(Duration::from_secs(5)).mul_f64(random.clamp(0.0, 1.0));
            // Pauses of no length, one after the other, must not become a storm.
            let without_length = Outcome::Throttled { wait: None };
            let least = match self.renewal.as_mut().map(|renewal| renewal.after(without_length, false, random)) {
                Some(Retry::After(delay)) => delay,
                _ => Duration::ZERO,
            };
            return self.at(now + (wait + jitter).max(least));
        }
        let park = Park {
            reason: ParkReason::TenantPause,
            message: format!("no access token: {}, longer than max_wait_for_tenant", fault.message),
            until: None,
        };
        // No clock counts beyond any pause; a year is as good as anything longer.
        let until = now + wait.min(365 * LONGEST_LIFE);
        self.paused = Some((until, park.clone()));
        self.give_up_until(now, until, NoToken::Parked(park))
    }

    /// Gives up once the endpoint has pushed us off, a short pause at a time, for longer than we wait for a tenant.
    fn throttled_for_long(&mut self, now: Instant, fault: &TokenFault) -> Option<Step> {
        let Outcome::Throttled { wait } = fault.outcome else {
            self.throttled_since = None;
            return None;
        };
        let since = *self.throttled_since.get_or_insert(now);
        let wait = wait.unwrap_or_default();
        if now.saturating_duration_since(since) <= self.settings.max_wait || wait > self.settings.max_wait {
            return None;
        }
        let message =
            format!("no access token: {}, again and again for longer than max_wait_for_tenant", fault.message);
        let park = Park { reason: ParkReason::TenantPause, message, until: None };
        self.paused = Some((now + wait, park.clone()));
        let again = now + wait.max(self.settings.retry.max_delay);
        Some(self.give_up_until(now, again, NoToken::Parked(park)))
    }

    /// Gives this renewal up; whoever wants a token later begins another one.
    fn give_up(&mut self, now: Instant, why: NoToken) -> Step {
        self.give_up_until(now, now + self.settings.retry.max_delay, why)
    }

    /// Gives this renewal up. A token that still lasts is used to its end, and the endpoint asked again meanwhile.
    fn give_up_until(&mut self, now: Instant, again: Instant, why: NoToken) -> Step {
        self.end_renewal();
        if self.is_supplied(now) { self.at(again) } else { Step::Refuse(why) }
    }

    fn end_renewal(&mut self) {
        self.renewal = None;
        self.renew_at = None;
        self.throttled_since = None;
    }

    /// Gives up for good.
    fn fail(&mut self, now: Instant, failure: Failure) -> Step {
        self.end_renewal();
        self.failed = Some(failure.clone());
        if self.is_supplied(now) { Step::Nothing } else { Step::Refuse(NoToken::Failed(failure)) }
    }
}

fn worded(fault: &TokenFault) -> String {
    match &fault.oauth_error {
        Some(error) if !fault.message.contains(error.as_str()) => {
            let error: String = error.chars().take(80).flat_map(char::escape_debug).collect();
            format!("no access token: {} ({error})", fault.message)
        }
        _ => format!("no access token: {}", fault.message),
    }
}

fn down(fault: &TokenFault) -> Park {
    Park { reason: ParkReason::TenantDown, message: worded(fault), until: None }
}

/// Whether a token can stand in a header as it is.
fn usable(token: &Secret) -> Result<(), String> {
    let text = token.expose();
    if text.is_empty() {
        return Err("the token endpoint gave an empty access_token".to_owned());
    }
    if !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err("the token endpoint gave an access_token with characters that no header may hold".to_owned());
    }
    Ok(())
}

/// When a token's life ends. It began while the request was on its way: counted from the earliest moment it can't be
/// overrated. Where that leaves nothing to be used before the next renewal is due, the way is longer than the life, and
/// nobody knows when it began; half of it from here on is a fair guess, and a wrong one costs a 401. To ask again at
/// once would bring the same, for ever.
fn end_of_life(sent: Instant, now: Instant, life: Duration, lead: Duration) -> Instant {
    let earliest = sent + life;
    if earliest - lead > now { earliest } else { now + life / 2 }
}

fn life(expires_in: &ExpiresIn) -> Result<Duration, String> {
    match expires_in {
        ExpiresIn::Missing => Ok(USUAL_LIFE),
        ExpiresIn::Seconds(0) => {
            Err("the token endpoint gave a token that lives for 0 seconds (expires_in)".to_owned())
        }
        ExpiresIn::Seconds(secs) => Ok(Duration::from_secs(*secs).min(LONGEST_LIFE)),
        ExpiresIn::Invalid(text) => Err(format!("the token endpoint gave an expires_in that is no time: {text}")),
    }
}

#[cfg(test)]
mod tests;
