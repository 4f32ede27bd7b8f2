//! Queries: what a submission must look like, and what becomes of it.
//!
//! Validation is as exact as the contract, so that a client's slip shows as a refusal here and not as odd data later.
//! A query's id holds what was asked for, so that a tenant told to remember can serve it after its own restart.

use std::collections::HashMap;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::model::{Timestamp, Window};

use super::data::fold;
use super::ledger::Asked;

const MAX_PAGE_SIZE: u64 = 1_000_000;

/// Who takes longer is never ready.
const FOR_EVER: Duration = Duration::from_secs(1000 * 365 * 86_400);

/// What becomes of a query other than success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Fails with that message.
    Fails(String),
    /// Runs for ever.
    NeverReady,
    /// Says these words, one with each poll, and the last one from then on. Pages are there once that is `complete`.
    Words(Vec<String>),
    /// Has a status that the protocol does not know.
    UnknownWord(String),
    /// Is gone once so many pages with rows were answered.
    ExpiresAfterPages(u64),
    /// Says `complete`, then `running` again, so many times. Pages are not found until it has settled.
    Flaps(u32),
}

/// How long a query takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ready {
    /// As long as is drawn between the two.
    Between(Duration, Duration),
    /// By the number of rows.
    ByRows {
        /// However few they are.
        at_least: Duration,
        /// What a million rows add.
        per_million: Duration,
    },
}

impl Ready {
    /// The time that a query of so many rows takes; `draw` decides where it is drawn. However many rows there are, it is
    /// a time that can be reckoned with.
    pub(super) fn time(self, draw: u64, rows: u64) -> Duration {
        let (least, further) = match self {
            Self::Between(least, most) => (least, most.saturating_sub(least).mul_f64(draw as f64 / u64::MAX as f64)),
            Self::ByRows { at_least, per_million } => {
                let seconds = per_million.as_secs_f64() * (rows as f64 / 1e6);
                (at_least, Duration::try_from_secs_f64(seconds).unwrap_or(FOR_EVER))
            }
        };
        least.saturating_add(further).min(FOR_EVER)
    }
}

/// A query that was accepted.
#[derive(Clone, Debug)]
pub struct MockQuery {
    /// Its id.
    pub id: String,
    /// Which of the tenant's queries it is, from 0.
    pub nth: usize,
    /// Its template.
    pub template: String,
    /// Its window.
    pub window: Window,
    /// Its page size.
    pub page_size: u64,
    /// When it was submitted.
    pub submitted: Duration,
    /// When its results are ready.
    pub ready_at: Duration,
    /// Answers with rows so far.
    pub pages_served: u64,
    /// Status answers since it was ready.
    pub polls_when_ready: u32,
    /// Status answers so far.
    pub polls: usize,
    /// Whether it was submitted without a format, and is of the slow JSON kind.
    pub json: bool,
    /// Whether it is of an earlier life, and nobody knows any more what was read of it.
    pub remembered: bool,
    /// Whether its end was shown.
    pub read_to_end: bool,
    /// Whether it is gone.
    pub expired: bool,
    /// What becomes of it, if not success.
    pub fate: Option<Fate>,
}

/// A submission that passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Submission {
    pub(super) template: String,
    pub(super) window: Window,
    pub(super) page_size: u64,
    /// It names no format.
    pub(super) json: bool,
}

impl Submission {
    /// Reads the body of a submission, which may name no format where there is a JSON kind; the error is status and
    /// message.
    pub(super) fn read(body: &[u8], has_json_kind: bool) -> Result<Self, (u16, String)> {
        let refuse = |status: u16, message: &str| Err((status, message.to_owned()));
        let Ok(Value::Object(body)) = serde_json::from_slice(body) else {
            return refuse(400, "the body is not a JSON object");
        };
        only(&body, &["templateId", "format", "query", "pageSize"])?;
        let Some(template) = body.get("templateId").and_then(Value::as_str).filter(|t| !t.is_empty()) else {
            return refuse(400, "templateId is missing");
        };
        let json = match body.get("format").map(Value::as_str) {
            Some(Some("csv")) => false,
            None if has_json_kind => true,
            _ => return refuse(422, "format must be csv"),
        };
        let Some(page_size) = body.get("pageSize").and_then(Value::as_u64).filter(|n| (1..=MAX_PAGE_SIZE).contains(n))
        else {
            return refuse(422, "pageSize must be a number from 1 to 1000000");
        };
        let Some(query) = body.get("query").and_then(Value::as_object) else {
            return refuse(400, "query is missing");
        };
        only(query, &["startDate", "endDate", "filters"])?;
        let window = Window { from: date(query, "startDate")?, to: date(query, "endDate")? };
        if window.to < window.from {
            return refuse(422, "endDate is before startDate");
        }
        match query.get("filters") {
            None => {}
            Some(Value::Array(filters)) => filters.iter().try_for_each(filter)?,
            Some(_) => return refuse(400, "filters is not a list"),
        }
        Ok(Self { template: template.to_owned(), window, page_size, json })
    }

    /// What the body that it was read from asks for.
    pub(super) fn asked(&self, body: &[u8]) -> Asked {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        // A list without filters is none.
        let filters = body["query"]["filters"].as_array().filter(|filters| !filters.is_empty());
        let filters = filters.map(|filters| filters.iter().map(canonical).collect::<String>());
        let rest = fold(fold(self.page_size, &body["format"].to_string()), &filters.unwrap_or_default());
        Asked { template: self.template.clone(), window: self.window, rest }
    }

    /// An id that tells this submission; `salt` keeps two runs of a tenant from giving the same one.
    pub(super) fn id(&self, nth: usize, salt: u64) -> String {
        let said = format!("{}\n{}\n{}\n{}", self.page_size, self.window.from.0, self.window.to.0, self.template);
        let check = fold(salt, &said) as u32;
        URL_SAFE_NO_PAD.encode(format!("{nth}\n{salt:x}\n{check:x}\n{said}"))
    }

    /// Reads back an id.
    pub(super) fn of_id(id: &str) -> Option<Self> {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(id).ok()?).ok()?;
        let mut head = text.splitn(4, '\n');
        let (_, salt, check, said) = (head.next()?, head.next()?, head.next()?, head.next()?);
        if fold(u64::from_str_radix(salt, 16).ok()?, said) as u32 != u32::from_str_radix(check, 16).ok()? {
            return None;
        }
        let mut parts = said.splitn(4, '\n');
        let page_size = parts.next()?.parse().ok()?;
        let window =
            Window { from: Timestamp(parts.next()?.parse().ok()?), to: Timestamp(parts.next()?.parse().ok()?) };
        Some(Self { template: parts.next()?.to_owned(), window, page_size, json: false })
    }
}

fn only(object: &Map<String, Value>, known: &[&str]) -> Result<(), (u16, String)> {
    match object.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => Err((400, format!("unknown key {key}"))),
        None => Ok(()),
    }
}

fn date(query: &Map<String, Value>, key: &str) -> Result<Timestamp, (u16, String)> {
    let text = query.get(key).and_then(Value::as_str).ok_or_else(|| (400, format!("{key} is missing")))?;
    Timestamp::parse(text)
        .filter(|time| time.to_string() == text)
        .ok_or_else(|| (422, format!("{key} must be RFC 3339 in UTC with milliseconds")))
}

fn filter(filter: &Value) -> Result<(), (u16, String)> {
    let malformed = || (400, "a filter has field, operator and value".to_owned());
    let filter = filter.as_object().ok_or_else(malformed)?;
    only(filter, &["field", "operator", "value"])?;
    let named = |key: &str| filter.get(key).and_then(Value::as_str).is_some_and(|text| !text.is_empty());
    if named("field") && named("operator") && filter.contains_key("value") { Ok(()) } else { Err(malformed()) }
}

/// A tenant's queries in order. However many there were, one is found at once, and counting the open ones takes as long
/// as there are open ones.
#[derive(Debug, Default)]
pub(super) struct QueryBook {
    all: Vec<MockQuery>,
    by_id: HashMap<String, usize>,
    /// The others are not open and won't be again, unless they are given another fate.
    may_be_open: Vec<usize>,
}

impl Deref for QueryBook {
    type Target = [MockQuery];

    fn deref(&self) -> &[MockQuery] {
        &self.all
    }
}

impl DerefMut for QueryBook {
    fn deref_mut(&mut self) -> &mut [MockQuery] {
        &mut self.all
    }
}

impl QueryBook {
    /// Adds one, whose number it tells.
    pub(super) fn add(&mut self, query: MockQuery) -> usize {
        let nth = self.all.len();
        self.by_id.entry(query.id.clone()).or_insert(nth);
        self.may_be_open.push(nth);
        self.all.push(query);
        nth
    }

    /// The number of the query with that id.
    pub(super) fn find(&self, id: &str) -> Option<usize> {
        self.by_id.get(id).copied()
    }

    /// How many are open.
    pub(super) fn n_open(&mut self, now: Duration, life: Duration) -> usize {
        let all = &self.all;
        self.may_be_open.retain(|&nth| all[nth].is_open(now, life));
        self.may_be_open.len()
    }

    /// Gives one another fate, or none.
    pub(super) fn change_fate(&mut self, nth: usize, fate: Option<Fate>) {
        if let Some(query) = self.all.get_mut(nth) {
            query.fate = fate;
            if !self.may_be_open.contains(&nth) {
                self.may_be_open.push(nth);
            }
        }
    }
}

impl MockQuery {
    /// Whether it counts against the number of open queries.
    pub(super) fn is_open(&self, now: Duration, life: Duration) -> bool {
        !self.read_to_end
            && !self.is_gone(now, life)
            && !matches!(self.fate, Some(Fate::Fails(_)) if now >= self.ready_at)
    }

    pub(super) fn is_gone(&self, now: Duration, life: Duration) -> bool {
        let served = match self.fate {
            Some(Fate::ExpiresAfterPages(pages)) => self.pages_served >= pages,
            _ => false,
        };
        self.expired || served || now >= self.submitted.saturating_add(life)
    }

    /// The status word at this moment. Counts as a poll.
    pub(super) fn poll(&mut self, now: Duration) -> &str {
        let ready = now >= self.ready_at;
        self.polls += 1;
        match &self.fate {
            Some(Fate::Words(words)) => {
                return words.get(self.polls - 1).or(words.last()).map_or("running", String::as_str);
            }
            Some(Fate::NeverReady) => return "running",
            Some(Fate::UnknownWord(word)) if ready => return word,
            Some(Fate::Fails(_)) if ready => return "failed",
            _ => {}
        }
        if !ready {
            let queued = (self.ready_at - self.submitted) / 4;
            return if now < self.submitted + queued { "queued" } else { "running" };
        }
        self.polls_when_ready = self.polls_when_ready.saturating_add(1);
        if self.flaps_left() > 0 && self.polls_when_ready.is_multiple_of(2) { "running" } else { "complete" }
    }

    /// Whether pages can be read.
    pub(super) fn has_pages(&self, now: Duration) -> bool {
        if let Some(Fate::Words(words)) = &self.fate {
            return self.polls >= words.len() && words.last().is_some_and(|word| word == "complete");
        }
        now >= self.ready_at
            && !matches!(self.fate, Some(Fate::NeverReady | Fate::UnknownWord(_) | Fate::Fails(_)))
            && self.flaps_left() == 0
    }

    /// Whether it has said `complete` and may take it back.
    pub(super) fn wavers(&self) -> bool {
        match &self.fate {
            Some(Fate::Flaps(_)) => true,
            Some(Fate::Words(words)) => words.iter().take(self.polls).any(|word| word == "complete"),
            _ => false,
        }
    }

    // Polls alternate complete, running, complete, …; the flaps are over when the last `running` was followed.
    fn flaps_left(&self) -> u32 {
        match self.fate {
            Some(Fate::Flaps(times)) => times.saturating_mul(2).saturating_add(1).saturating_sub(self.polls_when_ready),
            _ => 0,
        }
    }
}

/// A value as text that does not depend on the order of its keys.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort_unstable();
            keys.into_iter().map(|key| format!("{key:?}:{};", canonical(&map[key]))).collect()
        }
        Value::Array(values) => values.iter().map(|value| format!("{},", canonical(value))).collect(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"templateId":"detail","format":"csv","query":{"startDate":"2024-01-01T00:00:00.000Z",
        "endDate":"2024-01-31T23:59:59.999Z","filters":[{"field":"channel","operator":"eq","value":"voice"}]},
        "pageSize":5000}"#;

    fn status(body: &str) -> u16 {
        Submission::read(body.as_bytes(), false).map_or_else(|(status, _)| status, |_| 202)
    }

    #[test]
    fn the_exact_body_is_accepted_and_nothing_near_it() {
        assert_eq!(status(GOOD), 202);
        assert_eq!(status("[]"), 400);
        assert_eq!(status(&GOOD.replace("\"csv\"", "\"json\"")), 422);
        assert_eq!(status(&GOOD.replace("\"format\":\"csv\",", "")), 422);
        assert_eq!(status(&GOOD.replace("templateId", "template_id")), 400);
        assert_eq!(status(&GOOD.replace("5000", "0")), 422);
        assert_eq!(status(&GOOD.replace("5000", "\"5000\"")), 422);
        assert_eq!(status(&GOOD.replace(".999Z", "Z")), 422);
        assert_eq!(status(&GOOD.replace(".999Z", ".999+00:00")), 422);
        assert_eq!(status(&GOOD.replace("2024-01-31", "2023-01-31")), 422);
        assert_eq!(status(&GOOD.replace("\"operator\":\"eq\",", "")), 400);
        assert_eq!(status(&GOOD.replace("\"endDate\"", "\"end\"")), 400);
    }

    #[test]
    fn an_id_reads_back_as_what_was_asked_for_and_a_made_up_one_does_not() {
        let submission = Submission::read(GOOD.as_bytes(), false).unwrap();
        let id = submission.id(3, 99);
        assert_eq!(Submission::of_id(&id), Some(submission.clone()));
        assert_ne!(id, submission.id(3, 100));
        assert_eq!(Submission::of_id("unknown"), None);
        assert_eq!(Submission::of_id(&URL_SAFE_NO_PAD.encode("3\n63\n0\n5\n0\n1\nx")), None);
    }

    fn query(fate: Option<Fate>) -> MockQuery {
        MockQuery {
            id: "q".into(),
            nth: 0,
            template: "detail".into(),
            window: Window { from: Timestamp(0), to: Timestamp(1) },
            page_size: 10,
            submitted: Duration::from_secs(10),
            ready_at: Duration::from_secs(18),
            pages_served: 0,
            polls_when_ready: 0,
            polls: 0,
            json: false,
            remembered: false,
            read_to_end: false,
            expired: false,
            fate,
        }
    }

    #[test]
    fn a_query_is_queued_then_runs_then_is_complete() {
        let mut query = query(None);
        let words: Vec<String> = [10, 11, 12, 17, 18, 99].map(|s| query.poll(Duration::from_secs(s)).to_owned()).into();
        assert_eq!(words, ["queued", "queued", "running", "running", "complete", "complete"]);
    }

    #[test]
    fn a_flapping_query_has_pages_once_it_has_settled() {
        let mut query = query(Some(Fate::Flaps(2)));
        let now = Duration::from_secs(20);
        let mut words = Vec::new();
        while !query.has_pages(now) {
            words.push(query.poll(now).to_owned());
        }
        assert_eq!(words, ["complete", "running", "complete", "running", "complete"]);
        assert_eq!(query.poll(now), "complete");
    }

    #[test]
    fn a_query_says_the_words_it_was_given_and_has_pages_after_the_last() {
        let words = ["queued", "complete", "running", "complete"].map(str::to_owned);
        let mut query = query(Some(Fate::Words(words.to_vec())));
        let now = Duration::from_secs(11);
        let mut said = Vec::new();
        while !query.has_pages(now) {
            said.push(query.poll(now).to_owned());
        }
        assert_eq!((said, query.poll(now)), (words.to_vec(), "complete"));
        let mut fails = self::query(Some(Fate::Words(vec!["running".into(), "failed".into()])));
        assert_eq!([(); 3].map(|()| fails.poll(now).to_owned()), ["running", "failed", "failed"]);
        assert!(!fails.has_pages(now));
    }

    #[test]
    fn the_time_to_completion_is_drawn_or_follows_the_rows() {
        let s = Duration::from_secs;
        let between = Ready::Between(s(10), s(20));
        assert_eq!((between.time(0, 9), between.time(u64::MAX, 9)), (s(10), s(20)));
        assert!((s(14)..s(16)).contains(&between.time(u64::MAX / 2, 9)));
        let by_rows = Ready::ByRows { at_least: s(5), per_million: s(20) };
        assert_eq!((by_rows.time(7, 0), by_rows.time(7, 2_500_000)), (s(5), s(55)));
        let century = s(36_500 * 86_400);
        let absurd = Ready::ByRows { at_least: century, per_million: century };
        assert_eq!([u64::MAX, 1_000_000_000].map(|rows| absurd.time(0, rows)), [FOR_EVER; 2]);
    }

    #[test]
    fn a_submission_without_a_format_is_of_the_json_kind_where_there_is_one() {
        let body = GOOD.replace("\"format\":\"csv\",", "");
        assert!(Submission::read(body.as_bytes(), true).unwrap().json);
        assert!(!Submission::read(GOOD.as_bytes(), true).unwrap().json);
        assert!(Submission::read(GOOD.replace("csv", "json").as_bytes(), true).is_err());
    }

    #[test]
    fn open_queries_are_counted_among_those_that_may_be_open_and_a_fate_opens_one_again() {
        let (life, at) = (Duration::from_secs(100), Duration::from_secs);
        let mut book = QueryBook::default();
        for nth in 0..1000 {
            assert_eq!(book.add(MockQuery { id: format!("q{nth}"), nth, ..query(None) }), nth);
            assert_eq!(book.n_open(at(20), life), 1);
            book[nth].read_to_end = true;
        }
        assert_eq!((book.find("q777"), book.find("q1000"), book.len()), (Some(777), None, 1000));
        assert_eq!((book.n_open(at(20), life), book.may_be_open.len()), (0, 0));
        book.add(MockQuery { id: "fails".into(), ..query(Some(Fate::Fails("x".into()))) });
        assert_eq!([at(17), at(18)].map(|now| book.n_open(now, life)), [1, 0]);
        book.change_fate(1000, None);
        book.change_fate(1000, None);
        assert_eq!([at(18), at(109), at(110)].map(|now| book.n_open(now, life)), [1, 1, 0]);
    }

    #[test]
    fn a_query_is_gone_after_its_pages_or_its_life() {
        let life = Duration::from_secs(100);
        let mut query = query(Some(Fate::ExpiresAfterPages(2)));
        assert!(!query.is_gone(Duration::from_secs(20), life));
        assert!(query.is_gone(Duration::from_secs(110), life));
        query.pages_served = 2;
        assert!(query.is_gone(Duration::from_secs(20), life));
        assert!(!query.is_open(Duration::from_secs(20), life));
    }
}
