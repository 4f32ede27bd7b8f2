//! Windows: from what is configured to the two moments that a query asks for.
//!
//! A day is a day of the window's time zone, with its 23 or 25 hours where the clocks change; everything else is
//! plain time. Both ends are included, to the millisecond. Nothing here reads a clock: now is an argument.

use std::fmt;
use std::time::Duration;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use crate::model::{Timestamp, Window};

use super::kind::parse_duration;
use super::problem::{Problem, printable};

/// Most parts that a window may be cut into.
const MOST_PARTS: usize = 100_000;

/// Which part of time a report asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowSpec {
    /// How the window is given.
    pub form: WindowForm,
    /// Whose days its days are.
    pub zone: Zone,
}

/// How a window is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WindowForm {
    /// Between two moments, both included.
    FromTo {
        /// The first.
        from: Bound,
        /// The last.
        to: Bound,
    },
    /// The last whole days, or a span that ends now.
    Last(Span),
    /// On from where the last extraction ended.
    Since {
        /// Where the first one begins.
        since: Bound,
        /// How far behind now it ends.
        lag: Duration,
    },
}

/// A length of time: days of a calendar, or plain time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// Whole days.
    Days(u32),
    /// Plain time.
    Time(Duration),
}

impl Span {
    /// Reads `30d` as days and everything else as plain time; none where it is nothing or can't be read.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(days) = text.strip_suffix('d') {
            let digits = !days.is_empty() && days.bytes().all(|b| b.is_ascii_digit());
            return days.parse().ok().filter(|n| digits && (1..=36_500).contains(n)).map(Self::Days);
        }
        parse_duration(text).filter(|d| !d.is_zero()).map(Self::Time)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Days(n) => write!(f, "{n}d"),
            Self::Time(time) => {
                let ms = time.as_millis();
                let units = [(3_600_000, "h"), (60_000, "m"), (1000, "s"), (1, "ms")];
                let (unit, name) = units.into_iter().find(|(unit, _)| ms % unit == 0).unwrap_or((1, "ms"));
                write!(f, "{}{name}", ms / unit)
            }
        }
    }
}

/// A time zone by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone(TimeZone);

impl Zone {
    /// The default.
    pub const UTC: Self = Self(TimeZone::UTC);

    /// The zone of that name in the time zone database, such as `Europe/Berlin`.
    pub fn named(name: &str) -> Option<Self> {
        TimeZone::get(name).ok().map(Self)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// The first millisecond of a day. Where the clocks jump over midnight, it is the first that there is.
    fn start_of(&self, day: Date) -> Option<Timestamp> {
        self.0.to_ambiguous_timestamp(day.to_datetime(jiff::civil::Time::midnight())).compatible().ok().map(cut)
    }

    fn day_of(&self, moment: Timestamp) -> Option<Date> {
        let moment = jiff::Timestamp::from_millisecond(moment.0).ok()?;
        Some(self.0.to_datetime(moment).date())
    }

    fn is_start_of_day(&self, moment: Timestamp) -> bool {
        self.day_of(moment).and_then(|day| self.start_of(day)) == Some(moment)
    }
}

/// An end of a window as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// A whole day.
    Day(Date),
    /// A time on the clocks of the window's zone.
    Local(DateTime),
    /// A moment with its offset.
    Moment(Timestamp),
}

const EXPECTED: &str = "a date such as 2024-01-31 or a time such as 2024-01-31T12:00:00Z";

impl Bound {
    /// Reads a date, or a time with or without an offset.
    pub fn parse(text: &str) -> Option<Self> {
        let shape = text.as_bytes();
        let dated =
            shape.len() >= 10 && shape[4] == b'-' && shape[7] == b'-' && shape[..4].iter().all(u8::is_ascii_digit);
        if !dated || text.contains('[') {
            return None;
        }
        if shape.len() == 10 {
            return text.parse().ok().map(Self::Day);
        }
        if !matches!(shape[10], b'T' | b't' | b' ') {
            return None;
        }
        // The civil reader would pass over an offset in silence.
        if text[11..].contains(['Z', 'z', '+', '-']) {
            moment(text).map(Self::Moment)
        } else {
            text.parse().ok().filter(|_| !has_second_60(text)).map(Self::Local)
        }
    }

    /// The first millisecond of it.
    fn first(&self, zone: &Zone) -> Result<Timestamp, &'static str> {
        match *self {
            Self::Day(day) => zone.start_of(day).ok_or("a day outside the calendar"),
            Self::Moment(moment) => Ok(moment),
            Self::Local(time) => {
                let moment = zone.0.to_ambiguous_timestamp(time);
                if moment.is_ambiguous() {
                    return Err("a time that the clocks of the zone skip or show twice");
                }
                moment.compatible().map(cut).map_err(|_| "a time outside the calendar")
            }
        }
    }

    /// The millisecond after the last one of it, if it is a day; else the moment itself.
    fn after(&self, zone: &Zone) -> Result<Timestamp, &'static str> {
        match *self {
            Self::Day(day) => {
                day.tomorrow().ok().and_then(|next| zone.start_of(next)).ok_or("a day outside the calendar")
            }
            _ => self.first(zone),
        }
    }

    /// The last millisecond of it.
    fn last(&self, zone: &Zone) -> Result<Timestamp, &'static str> {
        let shift = i64::from(matches!(self, Self::Day(_)));
        self.after(zone).map(|t| Timestamp(t.0 - shift))
    }
}

/// Reads a time with its offset. A leap second is the moment after second 59, as clocks that know none show it.
fn moment(text: &str) -> Option<Timestamp> {
    let moment = text.parse::<jiff::Timestamp>().ok().map(cut)?;
    if !has_second_60(text) {
        return Some(moment);
    }
    let next = Timestamp(moment.0 - moment.0.rem_euclid(1000) + 1000);
    let day = Zone::UTC.day_of(next)?;
    (Zone::UTC.is_start_of_day(next) && day.day() == 1).then_some(next)
}

/// Whether a time reads 60 seconds, which the readers of times take for 59.
fn has_second_60(text: &str) -> bool {
    match text.as_bytes().get(13) {
        Some(b':') => text.get(16..19) == Some(":60"),
        _ => text.get(15..17) == Some("60"),
    }
}

/// Times are cut to the millisecond, downwards on both sides of 1970.
fn cut(moment: jiff::Timestamp) -> Timestamp {
    Timestamp(i64::try_from(moment.as_nanosecond().div_euclid(1_000_000)).unwrap_or(i64::MAX))
}

/// The bounds that the command line sets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WindowOverrides {
    /// `--from`: the first moment.
    pub from: Option<String>,
    /// `--to`: the last moment.
    pub to: Option<String>,
    /// `--until`: the moment after the last.
    pub until: Option<String>,
}

impl WindowOverrides {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl WindowSpec {
    /// Whether each extraction goes on from the last one's end.
    pub fn is_since(&self) -> bool {
        matches!(self.form, WindowForm::Since { .. })
    }

    /// The window to ask for now; none where a `since` window has nothing to ask yet.
    ///
    /// `watermark` is the end of the last complete extraction and counts for `since` alone. What the command line
    /// sets takes the place of the bound that would come of the configuration.
    pub fn resolve(
        &self,
        now: Timestamp,
        watermark: Option<Timestamp>,
        overrides: &WindowOverrides,
    ) -> Result<Option<Window>, Problem> {
        let from = match &overrides.from {
            Some(text) => Some(self.written("--from", text, Bound::first)?),
            None => None,
        };
        let to = match (&overrides.to, &overrides.until) {
            (Some(_), Some(_)) => {
                let expected = "--to for an end that is included, or --until for one that is not";
                return Err(argument("--until", "both --to and --until", expected, "leave one of the two out"));
            }
            (Some(text), None) => Some(self.written("--to", text, Bound::last)?),
            (None, Some(text)) => Some(Timestamp(self.written("--until", text, Bound::first)?.0 - 1)),
            (None, None) => None,
        };
        let own = self.own(now, watermark).map_err(unreadable)?;
        let window = Window { from: from.unwrap_or(own.from), to: to.unwrap_or(own.to) };
        if !is_in_calendar(window.from) {
            return Err(unreadable("a beginning outside the calendar"));
        }
        if window.from <= window.to {
            return Ok(Some(window));
        }
        if from.is_none() && to.is_none() && self.is_since() {
            return Ok(None);
        }
        let key = if from.is_some() {
            "--from"
        } else if to.is_some() {
            "--to"
        } else {
            "window"
        };
        let found = format!("a window from {} to {}, which ends before it begins", window.from, window.to);
        Err(argument(key, &found, "a beginning that is not after the end", "exchange or correct the two"))
    }

    /// Where the window without overrides begins; that of `since` may begin after now.
    pub fn begins(&self, now: Timestamp, watermark: Option<Timestamp>) -> Result<Timestamp, Problem> {
        self.own(now, watermark).map(|window| window.from).map_err(unreadable)
    }

    /// The window without overrides; that of `since` may end before it begins.
    fn own(&self, now: Timestamp, watermark: Option<Timestamp>) -> Result<Window, &'static str> {
        let zone = &self.zone;
        Ok(match &self.form {
            WindowForm::FromTo { from, to } => Window { from: from.first(zone)?, to: to.last(zone)? },
            WindowForm::Last(Span::Time(span)) => Window { from: back(now, *span), to: now },
            WindowForm::Last(Span::Days(n)) => {
                let today = zone.day_of(now).ok_or("a clock outside the calendar")?;
                let first = today.checked_sub(jiff::Span::new().days(i64::from(*n))).map_err(|_| "too many days")?;
                let from = zone.start_of(first).ok_or("a day outside the calendar")?;
                let end = zone.start_of(today).ok_or("a day outside the calendar")?;
                Window { from, to: Timestamp(end.0 - 1) }
            }
            WindowForm::Since { since, lag } => {
                let from = match watermark {
                    Some(mark) => Timestamp(mark.0.saturating_add(1)),
                    None => since.first(zone)?,
                };
                Window { from, to: back(now, *lag) }
            }
        })
    }

    fn written(
        &self,
        name: &str,
        text: &str,
        end: impl Fn(&Bound, &Zone) -> Result<Timestamp, &'static str>,
    ) -> Result<Timestamp, Problem> {
        let bound = Bound::parse(text)
            .ok_or_else(|| argument(name, &printable(text), EXPECTED, "write it in one of these forms"))?;
        end(&bound, &self.zone)
            .map_err(|fault| argument(name, fault, EXPECTED, "write the time with its offset, such as +02:00"))
    }

    /// Why a window of two fixed bounds can't be, where it can't.
    pub(super) fn fault(&self) -> Option<String> {
        let bounds = match &self.form {
            WindowForm::FromTo { .. } => self.own(Timestamp(0), None).map(|w| (w.from, w.to)),
            WindowForm::Since { since, .. } => since.first(&self.zone).map(|t| (t, t)),
            WindowForm::Last(_) => return None,
        };
        match bounds {
            Err(fault) => Some(fault.to_owned()),
            Ok((from, to)) if from > to => Some(format!("a window from {from} to {to}, which ends before it begins")),
            Ok(_) => None,
        }
    }
}

fn is_in_calendar(moment: Timestamp) -> bool {
    jiff::Timestamp::from_millisecond(moment.0).is_ok_and(|moment| moment.to_zoned(TimeZone::UTC).year() >= 0)
}

fn back(now: Timestamp, by: Duration) -> Timestamp {
    Timestamp(now.0.saturating_sub(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
}

fn unreadable(found: &str) -> Problem {
    Problem::new("window", "window", found, EXPECTED, "write the time with its offset, such as 02:30:00+02:00")
}

fn argument(key: &str, found: &str, expected: &str, remedy: &str) -> Problem {
    Problem::new("command line", key, found, expected, remedy)
}

/// Cuts a window into pieces of that length, without gap or overlap; the last one may be shorter. Days begin at
/// midnight of the zone if the window does.
pub fn pieces(window: Window, span: Span, zone: &Zone) -> Result<Vec<Window>, Problem> {
    let mut pieces = Vec::new();
    let mut from = window.from;
    let mut n = 0;
    while from <= window.to {
        n += 1;
        let next = if n > MOST_PARTS { None } else { boundary(window.from, span, n, zone) };
        let Some(next) = next else {
            let found = format!("a window that {span} cuts into more than {MOST_PARTS} parts");
            return Err(Problem::new("window", "split", found, "fewer parts", "choose a longer span"));
        };
        // A zone that crossed the date line has a day without a moment in it.
        if next > from {
            pieces.push(Window { from, to: Timestamp((next.0 - 1).min(window.to.0)) });
            from = next;
        }
    }
    Ok(pieces)
}

/// Where the piece after the first `n` begins. Counted from the window's beginning each time, so that a shift of the
/// clocks within one day does not stay with all days after it.
fn boundary(start: Timestamp, span: Span, n: usize, zone: &Zone) -> Option<Timestamp> {
    let n = i64::try_from(n).ok()?;
    match span {
        Span::Time(span) => {
            let step = i64::try_from(span.as_millis()).ok()?;
            Some(Timestamp(start.0.checked_add(step.checked_mul(n)?)?))
        }
        Span::Days(days) => {
            let days = jiff::Span::new().try_days(n.checked_mul(i64::from(days))?).ok()?;
            let next = if zone.is_start_of_day(start) {
                // Not from the time of that day's beginning: where midnight was skipped, it is no other day's.
                zone.day_of(start)?.checked_add(days).ok().and_then(|day| zone.start_of(day))
            } else {
                let start = jiff::Timestamp::from_millisecond(start.0).ok()?.to_zoned(zone.0.clone());
                start.checked_add(days).ok().map(|next| cut(next.timestamp()))
            };
            // Past the end of the calendar there is no further boundary to find, only the window's own end.
            Some(next.unwrap_or(Timestamp(i64::MAX)))
        }
    }
}

/// How the window's beginning reads in a file's name.
pub fn from_text(window: &Window, zone: &Zone) -> String {
    if zone.is_start_of_day(window.from)
        && let Some(day) = zone.day_of(window.from)
    {
        return day.to_string();
    }
    compact(window.from)
}

/// How the window's end reads in a file's name.
pub fn to_text(window: &Window, zone: &Zone) -> String {
    if zone.is_start_of_day(Timestamp(window.to.0.saturating_add(1)))
        && let Some(day) = zone.day_of(window.to)
    {
        return day.to_string();
    }
    compact(window.to)
}

fn compact(moment: Timestamp) -> String {
    match jiff::Timestamp::from_millisecond(moment.0) {
        Ok(t) => t.strftime("%Y%m%dT%H%M%SZ").to_string(),
        Err(_) => format!("{}ms", moment.0),
    }
}
