//! What a client did right and wrong, in plain words.
//!
//! Each finding holds one figure against what a well-behaved client needs at most; what it could not help (answers that
//! were lost, queries that expired) is allowed for. A finding that is not good says what to do about it. Nothing here is
//! made for one client: it sees calls and nothing else.

use serde::Serialize;

use crate::mock::verdict::Verdict;

use super::scorecard::Evidence;
use super::words::{count, n_of, percent, rate};

/// How well a client behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Grade {
    /// It has called nothing yet.
    Unjudged,
    /// As it should be.
    Good,
    /// It works, and wastes calls that it could have used.
    Fair,
    /// A tenant blocks such a client sooner or later, or pays for it.
    Poor,
}

impl Grade {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Unjudged => "unjudged",
            Self::Good => "good",
            Self::Fair => "fair",
            Self::Poor => "poor",
        }
    }
}

/// One thing that a client did right or wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it is called by programs.
    pub name: &'static str,
    /// Whether it is as it should be.
    pub ok: bool,
    /// How well.
    pub grade: Grade,
    /// The rule.
    pub what: &'static str,
    /// What the client did.
    pub found: String,
    /// What it may do.
    pub allowed: String,
    /// What to do about it, where it is not as it should be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<&'static str>,
}

/// A rule, and what to do if it is broken.
struct Rule {
    name: &'static str,
    what: &'static str,
    advice: &'static str,
}

impl Rule {
    /// `poor` says whether breaking it is more than waste.
    fn held(&self, ok: bool, poor: bool, found: String, allowed: String) -> Finding {
        let grade = match (ok, poor) {
            (true, _) => Grade::Good,
            (false, false) => Grade::Fair,
            (false, true) => Grade::Poor,
        };
        let advice = (!ok).then_some(self.advice);
        Finding { name: self.name, ok, grade, what: self.what, found, allowed, advice }
    }

    /// So many of something, and no more than so many.
    fn at_most(&self, most: u64, poor_beyond: u64, n: u64, one: &str) -> Finding {
        let (found, allowed) = (n_of(n, one), format!("at most {}", count(most)));
        let none = || "none".to_owned();
        self.held(
            n <= most,
            n > poor_beyond,
            if n == 0 { none() } else { found },
            if most == 0 { none() } else { allowed },
        )
    }
}

const WAITS: Rule = Rule {
    name: "waits_when_told",
    what: "sends nothing while it is told to wait",
    advice: "read Retry-After of every 429 and 503, and hold back all calls of the tenant until then, whichever part of \
             the client makes them; who goes on is blocked for 15 minutes",
};
const PACE: Rule = Rule {
    name: "keeps_to_the_rate",
    what: "is not refused for haste",
    advice: "count all calls together, tokens and polls included, over a sliding second, and send the next one only when \
             there is room; a refusal costs a pause of its own",
};
const OPEN_QUERIES: Rule = Rule {
    name: "minds_open_queries",
    what: "submits only where a query has room",
    advice: "submit the next query when an earlier one is read to its end",
};
const SUBMITS_ONCE: Rule = Rule {
    name: "submits_once",
    what: "submits each query once",
    advice: "keep the queryId and go on with it; submit again only if the answer was lost or the query has expired",
};
const PAGES_ONCE: Rule = Rule {
    name: "fetches_pages_once",
    what: "fetches each page once",
    advice: "keep what was read, also over a restart, and ask again only for a page that did not arrive whole",
};
const POLLS: Rule = Rule {
    name: "polls_patiently",
    what: "leaves time between the polls of a query",
    advice: "wait some seconds before the first poll, and longer each time; every poll is a call that no page gets",
};
const TOKENS: Rule = Rule {
    name: "uses_its_token",
    what: "uses a token for its life",
    advice: "keep the token, share it among all parts of the client, and renew it shortly before it expires",
};
const DEAD_TOKENS: Rule = Rule {
    name: "drops_dead_tokens",
    what: "stops using a token that is over",
    advice: "renew before expires_in is over; on a 401 stop using the token at once, get one new token, and repeat the \
             call once",
};
const PROTOCOL: Rule = Rule {
    name: "speaks_the_protocol",
    what: "makes no call that is bound to fail",
    advice: "look for 400, 404, 409 and 422 in the ledger; a page can be had once the status is complete, with the \
             pageSize of the submission",
};
const SHARE: Rule = Rule {
    name: "spends_calls_on_pages",
    what: "spends its calls on pages",
    advice: "poll less, keep the token, and fetch more pages at a time; what is left of the rate goes to pages",
};
const UNREAD: Rule = Rule {
    name: "reads_to_the_end",
    what: "reads each query to its end",
    advice: "results end where the answers say so (an empty page, a page with the header alone, a Link without next, a \
             404 after page 1), not where a count says so",
};
const GAPS: Rule = Rule {
    name: "reads_every_page",
    what: "reads every page before the end",
    advice: "ask for the pages from 1 to the last one, and for one that did not arrive whole again, until it does; what is \
             missing is missing from the file",
};

/// A share of pages is judged from so many pages on.
const PAGES_TO_JUDGE: usize = 50;

/// Everything that can be said.
pub(super) fn findings(evidence: &Evidence<'_>) -> Vec<Finding> {
    let (verdict, tally) = (evidence.verdict, evidence.tally);
    if tally.calls == 0 {
        return Vec::new();
    }
    let hasty = verdict.refused_too_fast;
    let excused = (tally.submissions_lost + evidence.n_lost_queries) as u64;
    let pages_again = (verdict.pages_served / 100).max(2) as u64;
    let tokens = verdict.tokens_issued.max(1) as u64;
    let dead_tokens = tokens * verdict.most_pages_under_way.max(1) as u64;
    // When a limit is met that nobody told of, what is under way meets it as well; no more than ever was.
    let (met, under_way) = tally.surprises;
    let surprised = met + under_way.min(met * verdict.most_pages_under_way.saturating_sub(1));
    // Who calls on is refused for the wait and no more for haste, and was no less hasty for that.
    let called_on = verdict.refused_waiting.min(verdict.calls_while_told_to_wait);
    let avoidable = (hasty + called_on).saturating_sub(surprised);
    let on_pages = 1.0 - verdict.control_share;
    let mut findings = vec![
        WAITS.at_most(0, 0, verdict.calls_while_told_to_wait as u64, "call"),
        PACE.held(
            hasty <= surprised,
            avoidable > 3 && (hasty + called_on) * 100 > verdict.calls,
            refusals(verdict),
            pace(evidence, surprised),
        ),
        OPEN_QUERIES.at_most(0, u64::MAX, verdict.refused_open_queries as u64, "refusal"),
        SUBMITS_ONCE.at_most(excused, u64::MAX, verdict.duplicate_submissions as u64, "repetition"),
        PAGES_ONCE.at_most(
            pages_again,
            (verdict.pages_served / 5).max(20) as u64,
            verdict.pages_served_again as u64,
            "repetition",
        ),
        POLLS.held(
            evidence.polls_in_any_second <= 2,
            evidence.polls_in_any_second > 5,
            format!("at most {} of one query in a second", n_of(evidence.polls_in_any_second as u64, "poll")),
            "2 in any second".to_owned(),
        ),
        TOKENS.held(
            verdict.most_tokens_in_a_life <= 1,
            verdict.most_tokens_in_a_life > 10,
            match verdict.most_tokens_in_a_life {
                0 => format!("{}, none while another was good", n_of(tokens, "token")),
                most => format!("{}, {} while another was good", n_of(tokens, "token"), count(most as u64)),
            },
            "1 while another is good, to renew it".to_owned(),
        ),
        DEAD_TOKENS.at_most(dead_tokens, u64::MAX, verdict.dead_token_calls as u64, "call"),
        PROTOCOL.at_most(0, u64::MAX, tally.misuses as u64, "call"),
        UNREAD.at_most(0, u64::MAX, evidence.n_unread as u64, "query"),
        GAPS.at_most(0, u64::MAX, evidence.n_with_gaps as u64, "query"),
    ];
    if verdict.pages_served >= PAGES_TO_JUDGE {
        findings.push(SHARE.held(on_pages >= 0.8, false, percent(on_pages), "at least 80 %".to_owned()));
    }
    findings
}

/// How many calls the limits refused, for haste and since a wait was running.
fn refusals(verdict: &Verdict) -> String {
    let n = |n: usize| count(n as u64);
    let waiting = match verdict.refused_waiting {
        0 => String::new(),
        refused => format!(" for haste and {} while a wait was running,", n(refused)),
    };
    let calls = n_of(verdict.calls as u64, "call");
    format!(
        "{} refused{waiting} of {calls}, {} in the busiest second",
        n(verdict.refused_too_fast),
        n(verdict.most_in_any_second)
    )
}

/// What the limits of a second allow, and the refusals that nobody could have avoided.
fn pace(evidence: &Evidence<'_>, surprised: usize) -> String {
    let limit = match evidence.allowed {
        (_, most) if !most.is_finite() => "any number".to_owned(),
        (least, most) if least == most => format!("{} in any second", rate(most)),
        (least, most) => format!("{} to {} in any second", rate(least), rate(most)),
    };
    match surprised {
        0 => limit,
        n => format!("{limit}, {} by limits that nobody told of", n_of(n as u64, "refusal")),
    }
}

/// The grade of a client: that of its worst finding.
pub(super) fn grade(findings: &[Finding]) -> Grade {
    findings.iter().map(|finding| finding.grade).max().unwrap_or(Grade::Unjudged)
}
