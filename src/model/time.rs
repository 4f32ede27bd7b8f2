//! Moments: by the wall clock, as the tenant and the manifest write them, and by the machine's own clock, as the
//! processes on it agree on them.
//!
//! Waiting and timeouts never use these: they run on the monotonic clock of tokio, which simulation can drive. What
//! outlives a process is kept by the machine's clock, since the wall clock may jump.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Milliseconds since 1970-01-01T00:00:00Z, the precision of the tenant's API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// This moment moved by `by`; saturates.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
    }

    /// How long after `earlier` this is; zero if it is not.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Reads RFC 3339, as in `2024-01-31T23:59:59.999Z`.
    pub fn parse(text: &str) -> Option<Self> {
        text.parse::<jiff::Timestamp>().ok().map(|t| Self(t.as_millisecond()))
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339, UTC, milliseconds: the form that the tenant and the manifest take.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(t) => write!(f, "{}", t.strftime("%Y-%m-%dT%H:%M:%S.%3fZ")),
            Err(_) => write!(f, "{} ms", self.0),
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom(format!("not an RFC 3339 time: {text}")))
    }
}

/// What a query asks for: both ends included, as the tenant's API has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Window {
    /// The first millisecond asked for.
    pub from: Timestamp,
    /// The last millisecond asked for, so that a day ends at `23:59:59.999Z`.
    pub to: Timestamp,
}

/// Tells the wall-clock time. Injected, so that simulation has its own.
#[derive(Clone)]
pub struct WallClock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl WallClock {
    /// A clock that answers what `now` answers.
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The machine's own clock.
    pub fn system() -> Self {
        Self::new(|| Timestamp(jiff::Timestamp::now().as_millisecond()))
    }

    /// What time it is.
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl fmt::Debug for WallClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WallClock")
    }
}

/// Microseconds of the machine's clock. They count from its start or before, so that a moment before it is negative.
#[derive(Default, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Ticks(pub i64);

impl Ticks {
    /// This moment, later by `by`; saturates.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(micros(by)))
    }

    /// This moment, earlier by `by`; saturates.
    #[must_use]
    pub fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(micros(by)))
    }

    /// How long after `earlier` this is; zero if it is not.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

/// Which start of which machine: ticks of two starts have nothing to do with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BootId(pub u128);

impl BootId {
    /// Reads the hexadecimal digits of a UUID.
    pub fn parse(text: &str) -> Option<Self> {
        let digits: String = text.trim().chars().filter(|c| *c != '-').collect();
        u128::from_str_radix(&digits, 16).ok().map(Self)
    }
}

impl Serialize for BootId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:x}", self.0))
    }
}

impl<'de> Deserialize<'de> for BootId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom(format!("not hexadecimal: {text}")))
    }
}

/// One moment by all clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// What the wall clock shows.
    pub wall: Timestamp,
    /// What the machine's clock shows.
    pub ticks: Ticks,
    /// Whose ticks they are, where that can be known.
    pub boot: Option<BootId>,
}

impl Moment {
    /// The moment that is earlier by `by`, if no clock has jumped.
    #[must_use]
    pub fn minus(self, by: Duration) -> Self {
        let wall = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        Self { wall: Timestamp(self.wall.0.saturating_sub(wall)), ticks: self.ticks.minus(by), boot: self.boot }
    }
}

/// The clock that every process on the machine reads alike, and that nobody sets. It counts on while the machine
/// sleeps. Injected, so that simulation has its own.
#[derive(Clone)]
pub struct MachineClock {
    now: Arc<dyn Fn() -> Ticks + Send + Sync>,
    boot: Option<BootId>,
}

impl MachineClock {
    /// A clock that answers what `now` answers, in ticks of that start.
    pub fn new(boot: Option<BootId>, now: impl Fn() -> Ticks + Send + Sync + 'static) -> Self {
        Self { now: Arc::new(now), boot }
    }

    /// The machine's own clock.
    pub fn system() -> Self {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        const CLOCK: rustix::time::ClockId = rustix::time::ClockId::Boottime;
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        const CLOCK: rustix::time::ClockId = rustix::time::ClockId::Monotonic;
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok();
        Self::new(boot.as_deref().and_then(BootId::parse), || {
            let now = rustix::time::clock_gettime(CLOCK);
            Ticks(now.tv_sec.saturating_mul(1_000_000).saturating_add(now.tv_nsec / 1_000))
        })
    }

    /// What it shows.
    pub fn now(&self) -> Ticks {
        (self.now)()
    }

    /// What it and the wall clock show.
    pub fn moment(&self, wall: &WallClock) -> Moment {
        Moment { wall: wall.now(), ticks: self.now(), boot: self.boot }
    }
}

impl fmt::Debug for MachineClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MachineClock({:?})", self.boot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_clock_goes_forward_and_knows_its_start() {
        let clock = MachineClock::system();
        let first = clock.now();
        assert!(clock.now() >= first);
        let other = MachineClock::system();
        assert_eq!(clock.moment(&WallClock::system()).boot, other.moment(&WallClock::system()).boot);
        assert!(other.now().since(first) < Duration::from_secs(600), "two clocks of one machine show the same");
        assert_eq!(first.plus(Duration::MAX).since(first), Ticks(i64::MAX).since(first));
    }

    #[test]
    fn a_boot_is_known_by_its_uuid() {
        let id = BootId::parse("00000000-0000-0000-0000-0000000000ff\n");
        assert_eq!(id, Some(BootId(255)));
        assert_eq!((BootId::parse(""), BootId::parse("none")), (None, None));
    }

    #[test]
    fn a_time_is_written_in_utc_with_milliseconds() {
        assert_eq!(Timestamp(1_706_745_599_999).to_string(), "2024-01-31T23:59:59.999Z");
        assert_eq!(Timestamp(0).to_string(), "1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn what_is_written_reads_back_as_the_same_moment() {
        let moment = Timestamp(1_706_745_599_999);
        assert_eq!(Timestamp::parse(&moment.to_string()), Some(moment));
        assert_eq!(Timestamp::parse("yesterday"), None);
    }
}
