//! Rules that make answers go wrong: which requests they meet, and what happens to those.
//!
//! A rule counts the requests that match it, so that "the first two tries of each page" is one rule. The first rule
//! that meets a request decides; chance is drawn from the rule's own seed, so that a run can be repeated.

use std::collections::HashMap;
use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;

use super::data::mix;
use super::ledger::CallKind;
use super::settings::RetryAfter;
use super::wire::WireFault;

/// What goes wrong.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Another answer, and nothing is done: no query is made, no token issued.
    Status {
        /// The status code.
        code: u16,
        /// Header lines.
        headers: Vec<(String, String)>,
        /// The body.
        body: String,
    },
    /// An answer of that status that names a wait, in that form or in the tenant's own; nothing is done.
    Wait {
        /// The status code: 429 or 503. A client is held to no wait in any other answer.
        code: u16,
        /// How long.
        wait: Duration,
        /// In which form, if not the tenant's.
        form: Option<RetryAfter>,
    },
    /// A 302 to that address; nothing is done.
    Redirect {
        /// Where it leads.
        to: String,
    },
    /// A login page as `text/html` with status 200; nothing is done.
    WrongContentType,
    /// The request is carried out, then the connection is closed without an answer.
    NoAnswer,
    /// The request is carried out, then the connection is reset without an answer.
    Reset,
    /// The connection is closed before that byte of the body.
    CutAt(u64),
    /// A chunked body without its final chunk.
    CutBeforeFinalChunk,
    /// The connection is reset before that byte of the body.
    ResetAt(u64),
    /// The body stalls for so long before that byte.
    StallAfter(u64, Duration),
    /// The head comes byte by byte, so far apart.
    DripHead(Duration),
    /// The body comes in pieces of so many bytes, so far apart.
    DripBody(u64, Duration),
    /// The answer comes so much later.
    Delay(Duration),
    /// Neither length nor chunks.
    Unframed,
    /// A length and chunks.
    BothLengths,
    /// Two lengths that differ.
    TwoLengths,
    /// A length that is off by so much.
    WrongLength(i64),
    /// So many informational answers first.
    Informational(u32),
    /// A header line of 129 KiB.
    HugeHead,
    /// 97 header lines more.
    ManyHeaders,
    /// Adds or replaces a header line.
    Header(String, String),
    /// Says nothing of the body's type.
    Untyped,
    /// gzip, and the compressed bytes end early while the framing is right.
    GzipCut,
    /// gzip with a wrong checksum.
    GzipBadCrc,
    /// gzip in two members.
    GzipMultiMember,
    /// gzip that unpacks to so many bytes of the same letter.
    GzipBomb(u64),
    /// Says `Content-Encoding: br`.
    Br,
    /// Another body under the same head.
    ReplaceBody(Bytes),
    /// The body lacks so many bytes at its end; the framing is right.
    ShortenBy(u64),
    /// Shows that page instead.
    SamePageAs(u64),
    /// The page's rows are other than before.
    OtherRows,
    /// The page begins with that record instead of the header.
    OtherHeader(String),
    /// The page holds the header alone.
    HeaderOnly,
    /// One bit of that byte of the body is wrong.
    FlipByte(u64),
    /// The connection is closed after the answer, without having announced it.
    ClosedIdle,
    /// The wire below HTTP fails: positions count every byte of the answer, its head and framing included.
    Wire(WireFault),
}

impl Fault {
    /// A bare answer of that status.
    pub fn status(code: u16) -> Self {
        Self::Status { code, headers: Vec::new(), body: format!("{{\"error\":\"injected {code}\"}}") }
    }

    /// Whether it changes what the result is, so that a client which looks closely has to give it up.
    pub(super) fn spoils_the_result(&self) -> bool {
        matches!(self, Self::SamePageAs(_) | Self::OtherRows | Self::OtherHeader(_))
    }

    /// An answer of that status, 429 or 503, that names a wait in seconds.
    pub fn told_to_wait(code: u16, seconds: u64) -> Self {
        let headers = vec![("Retry-After".into(), seconds.to_string())];
        Self::Status { code, headers, body: String::new() }
    }
}

/// Which requests a rule meets. Starts with all of a kind and is narrowed.
#[derive(Clone, Debug)]
pub struct Matcher {
    kind: Option<CallKind>,
    page: Option<u64>,
    query_nth: Option<usize>,
    template: Option<String>,
    nth_match: Range<u64>,
    each_target: bool,
    probability: f64,
    seed: u64,
    during: Range<Duration>,
}

impl Matcher {
    /// Every request.
    pub fn any() -> Self {
        Self {
            kind: None,
            page: None,
            query_nth: None,
            template: None,
            nth_match: 0..u64::MAX,
            each_target: false,
            probability: 1.0,
            seed: 0,
            during: Duration::ZERO..Duration::MAX,
        }
    }

    /// Every request of that kind.
    pub fn kind(kind: CallKind) -> Self {
        Self { kind: Some(kind), ..Self::any() }
    }

    /// Every request for a page.
    pub fn pages() -> Self {
        Self::kind(CallKind::Page)
    }

    /// Every request for that page.
    pub fn page(page: u64) -> Self {
        Self { page: Some(page), ..Self::pages() }
    }

    /// Only those of the tenant's nth query, from 0.
    #[must_use]
    pub fn of_query(mut self, nth: usize) -> Self {
        self.query_nth = Some(nth);
        self
    }

    /// Only those of queries of that template. A submission's template is not yet known when it is matched.
    #[must_use]
    pub fn of_template(mut self, template: &str) -> Self {
        self.template = Some(template.to_owned());
        self
    }

    /// Only the first so many matches.
    #[must_use]
    pub fn first(self, n: u64) -> Self {
        self.matches(0..n)
    }

    /// Only these of the matches, counted from 0.
    #[must_use]
    pub fn matches(mut self, range: Range<u64>) -> Self {
        self.nth_match = range;
        self
    }

    /// Counts the matches of each query's each page on their own: with `first(1)`, every page's first try.
    #[must_use]
    pub fn each(mut self) -> Self {
        self.each_target = true;
        self
    }

    /// Only those that arrive in that time since the tenant's start. Others are not counted either.
    #[must_use]
    pub fn during(mut self, time: Range<Duration>) -> Self {
        self.during = time;
        self
    }

    /// Only by chance, drawn from `seed`.
    #[must_use]
    pub fn by_chance(mut self, probability: f64, seed: u64) -> Self {
        self.probability = probability;
        self.seed = seed;
        self
    }
}

/// A matcher and what happens to what it meets.
#[derive(Clone, Debug)]
pub struct FaultRule {
    /// Which requests.
    pub on: Matcher,
    /// What goes wrong.
    pub then: Fault,
}

impl FaultRule {
    /// A rule.
    pub fn new(on: Matcher, then: Fault) -> Self {
        Self { on, then }
    }
}

/// What a rule may look at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target<'a> {
    pub(super) kind: CallKind,
    pub(super) page: Option<u64>,
    pub(super) query_nth: Option<usize>,
    pub(super) template: Option<&'a str>,
    pub(super) at: Duration,
}

/// How often a rule was matched, for each query and page or for all together.
type Counts = HashMap<(Option<usize>, Option<u64>), u64>;

/// The rules with their counts.
#[derive(Clone, Debug, Default)]
pub(super) struct FaultBook {
    rules: Vec<(FaultRule, Counts)>,
}

impl FaultBook {
    pub(super) fn add(&mut self, rule: FaultRule) {
        self.rules.push((rule, Counts::new()));
    }

    pub(super) fn clear(&mut self) {
        self.rules.clear();
    }

    /// The fault for this request. Every rule that matches counts it, also behind the one that decides.
    pub(super) fn meet(&mut self, target: Target<'_>) -> Option<Fault> {
        self.meet_among(target, |fault| !matches!(fault, Fault::Wire(WireFault::StopReading(_))))
    }

    /// How long this request is left unread behind its head. That is decided before all else, among its own rules.
    pub(super) fn stops_reading(&mut self, target: Target<'_>) -> Option<Duration> {
        match self.meet_among(target, |fault| matches!(fault, Fault::Wire(WireFault::StopReading(_)))) {
            Some(Fault::Wire(WireFault::StopReading(time))) => Some(time),
            _ => None,
        }
    }

    fn meet_among(&mut self, target: Target<'_>, eligible: impl Fn(&Fault) -> bool) -> Option<Fault> {
        let mut met = None;
        for (rule, counts) in self.rules.iter_mut().filter(|(rule, _)| eligible(&rule.then)) {
            let on = &rule.on;
            let matches = on.kind.is_none_or(|kind| kind == target.kind)
                && on.page.is_none_or(|page| target.page == Some(page))
                && on.query_nth.is_none_or(|nth| target.query_nth == Some(nth))
                && on.template.as_deref().is_none_or(|template| target.template == Some(template))
                && on.during.contains(&target.at);
            if !matches {
                continue;
            }
            let key = if on.each_target { (target.query_nth, target.page) } else { (None, None) };
            let count = counts.entry(key).or_default();
            let nth = *count;
            *count += 1;
            let draw = mix(on.seed ^ mix(nth) ^ mix(key.0.map_or(0, |n| n as u64 + 1)) ^ mix(!key.1.unwrap_or(0)));
            let by_chance = on.probability >= 1.0 || (draw as f64 / u64::MAX as f64) < on.probability;
            if met.is_none() && on.nth_match.contains(&nth) && by_chance {
                met = Some(rule.then.clone());
            }
        }
        met
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(page: u64, nth: usize) -> Target<'static> {
        let at = Duration::from_secs(page);
        Target { kind: CallKind::Page, page: Some(page), query_nth: Some(nth), template: Some("t"), at }
    }

    fn met(on: Matcher, targets: &[(u64, usize)]) -> Vec<bool> {
        let mut book = FaultBook::default();
        book.add(FaultRule::new(on, Fault::Reset));
        targets.iter().map(|&(page, nth)| book.meet(target(page, nth)).is_some()).collect()
    }

    #[test]
    fn a_rule_meets_what_it_names() {
        assert_eq!(met(Matcher::page(3), &[(2, 0), (3, 0), (3, 1)]), [false, true, true]);
        assert_eq!(met(Matcher::page(3).of_query(1), &[(3, 0), (3, 1)]), [false, true]);
        assert_eq!(met(Matcher::kind(CallKind::Token), &[(3, 0)]), [false]);
        assert_eq!(met(Matcher::pages().of_template("u"), &[(3, 0)]), [false]);
        assert_eq!(met(Matcher::any().of_template("t"), &[(3, 0)]), [true]);
    }

    #[test]
    fn matches_are_counted_over_all_or_for_each_page() {
        let asked = [(1, 0), (2, 0), (1, 0), (1, 1)];
        assert_eq!(met(Matcher::pages().first(2), &asked), [true, true, false, false]);
        assert_eq!(met(Matcher::pages().matches(1..2), &asked), [false, true, false, false]);
        assert_eq!(met(Matcher::pages().first(1).each(), &asked), [true, true, false, true]);
    }

    #[test]
    fn a_rule_counts_what_fits_it_whether_or_not_chance_or_an_earlier_rule_spares_it() {
        let asked: Vec<_> = (0..200).map(|n| (n, 0)).collect();
        let drawn = met(Matcher::pages().by_chance(0.3, 1), &asked);
        let first = met(Matcher::pages().by_chance(0.3, 1).first(100), &asked);
        assert_eq!(first[..100], drawn[..100]);
        assert!(drawn[100..].contains(&true) && !first[100..].contains(&true));
        let mut book = FaultBook::default();
        [Fault::Reset, Fault::NoAnswer]
            .into_iter()
            .for_each(|then| book.add(FaultRule::new(Matcher::page(2).first(1), then)));
        let decided = [(); 2].map(|()| book.meet(target(2, 0)));
        assert!(matches!(decided, [Some(Fault::Reset), None]), "{decided:?}");
    }

    #[test]
    fn a_rule_for_a_time_neither_meets_nor_counts_what_comes_before_it() {
        let seconds = |from, to| Duration::from_secs(from)..Duration::from_secs(to);
        let asked = [(1, 0), (2, 0), (3, 0), (4, 0)];
        assert_eq!(met(Matcher::pages().during(seconds(2, 4)), &asked), [false, true, true, false]);
        assert_eq!(met(Matcher::pages().during(seconds(2, 4)).first(1), &asked), [false, true, false, false]);
    }

    #[test]
    fn chance_is_about_as_frequent_as_asked_and_the_same_for_the_same_seed() {
        let asked: Vec<_> = (0..2000).map(|n| (n, 0)).collect();
        let drawn = met(Matcher::pages().by_chance(0.1, 5), &asked);
        assert!((120..280).contains(&drawn.iter().filter(|&&m| m).count()));
        assert_eq!(drawn, met(Matcher::pages().by_chance(0.1, 5), &asked));
        assert_ne!(drawn, met(Matcher::pages().by_chance(0.1, 6), &asked));
    }

    #[test]
    fn the_first_rule_that_meets_decides() {
        let mut book = FaultBook::default();
        book.add(FaultRule::new(Matcher::pages().first(1), Fault::ClosedIdle));
        book.add(FaultRule::new(Matcher::pages(), Fault::Reset));
        assert!(matches!(book.meet(target(1, 0)), Some(Fault::ClosedIdle)));
        assert!(matches!(book.meet(target(1, 0)), Some(Fault::Reset)));
    }
}
