//! Where the results end, decided in page order from answers that arrive in any order.
//!
//! A page *claims the end* by having no rows, by not being there although the query is alive, or by a `Link`
//! without `next`. A claim is believed only when nothing speaks against it: the page past it was looked at, and no
//! later page came with rows. Counts and short pages never decide. The machine is told what happened and says
//! what to do next; it sends nothing, keeps no page's bytes and knows no clock.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::{LinkHint, PageDigest, PageNumber};

/// How often a page that claims the end is asked again when rows were found past it.
const MAX_HOLE_ASKS: u8 = 2;
/// How often a page equal to the one before it is asked again.
const MAX_REPEAT_ASKS: u8 = 1;

/// By what two pages are told to be the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PagePrint {
    /// Digest of the decoded bytes.
    pub digest: PageDigest,
    /// How many they are.
    pub n_bytes: u64,
}

/// What came back for a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageAnswer {
    /// A page with rows beside a header.
    Rows {
        /// Its bytes, in short.
        print: PagePrint,
        /// What `Link` said.
        link: LinkHint,
        /// What `X-Total-Count` said.
        total_count: Option<u64>,
    },
    /// An empty page, or one with the header alone.
    NoRows {
        /// What `X-Total-Count` said.
        total_count: Option<u64>,
    },
    /// 404: past the end, or of a query that has expired.
    Missing {
        /// What `X-Total-Count` said.
        total_count: Option<u64>,
    },
}

/// What the status endpoint said when asked because of a 404.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryCheck {
    /// The query is complete and alive.
    Complete,
    /// The query is unknown or expired.
    Gone,
    /// The query runs, or is queued, once more.
    NotReady,
}

/// What is to become of a page equal to the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RepeatedPages {
    /// It passes.
    Accept,
    /// It is asked again, and if it stays so, the report fails.
    Fail,
}

/// Why a page is asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// It claims the end, but this later page has rows.
    RowsBeyond(PageNumber),
    /// It equals the page before it byte for byte.
    Repeated,
}

/// How a page claimed the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It has no rows.
    NoRows,
    /// It is not there.
    Missing,
    /// Its `Link` names no next page.
    NoNextLink,
}

impl std::fmt::Display for Claim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NoRows => "it has no rows",
            Self::Missing => "it is answered 404 though the query is complete",
            Self::NoNextLink => "its Link names no next page",
        })
    }
}

/// Why the results can't be what the tenant has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndFault {
    /// Rows beyond a page that goes on claiming the end.
    #[error(
        "hole at page {page}: {claim}, but page {beyond} has rows; asked again {MAX_HOLE_ASKS} times, it stayed so"
    )]
    Hole {
        /// The page that claims the end.
        page: PageNumber,
        /// How it does.
        claim: Claim,
        /// The first later page known to have rows.
        beyond: PageNumber,
    },
    /// Two pages in a row are the same.
    #[error(
        "repeated page: page {page} equals the page before it byte for byte, also when asked again; if the report may honestly repeat pages, set `pages: {{repeated: accept}}`"
    )]
    Repeated {
        /// The second of the two.
        page: PageNumber,
    },
    /// No first page, and no count of 0 to explain it.
    #[error("page 1 is answered 404 though the query is complete, and no count says that there are 0 rows")]
    FirstPageMissing,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// This page is next in order and has rows: hand it on. It is never asked again.
    Deliver(PageNumber),
    /// Ask for this page once more; its newest bytes replace the ones held.
    AskAgain {
        /// Which page.
        page: PageNumber,
        /// Why.
        doubt: Doubt,
    },
    /// Nothing can be decided before this page is answered: ask for it, unless it is under way already.
    Need(PageNumber),
    /// Ask the status endpoint once, and tell [`EndOfResults::query_checked`].
    CheckQuery,
    /// The query is not ready any more: poll it, and tell [`EndOfResults::query_checked`] each time.
    AwaitQuery,
    /// All is delivered: pages 1 to `pages` have rows, everything beyond is to be discarded.
    End {
        /// How many pages have rows.
        pages: u64,
    },
    /// The query has expired; what was delivered of it must be given up.
    Expired,
    /// The report fails.
    Fail(EndFault),
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    answer: Option<PageAnswer>,
    under_way: bool,
    /// Status checks begun when the answer came: only a later one can vouch for a 404.
    n_checks_before: u32,
    n_hole_asks: u8,
    n_repeat_asks: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum QueryView {
    Fine,
    Checking,
    NotReady,
}

/// Decides which pages are delivered and where the results end.
///
/// Tell it of everything that happens, then call [`step`](Self::step) until it has nothing more to say.
#[derive(Clone, Debug)]
pub struct EndOfResults {
    head: PageNumber,
    slots: BTreeMap<PageNumber, Slot>,
    repeated: RepeatedPages,
    last_delivered: Option<PagePrint>,
    expected_rows: Option<u64>,
    total_count: Option<u64>,
    query: QueryView,
    n_checks: u32,
    /// The last status check that found the query complete.
    passed_check: u32,
    /// What must be said before anything else.
    announced: Option<Step>,
    over: bool,
}

impl EndOfResults {
    /// A machine whose first page to deliver is `first`: page 1, or where an earlier run left off.
    /// `expected_rows` is what the query's status gave as its total.
    pub fn new(first: PageNumber, repeated: RepeatedPages, expected_rows: Option<u64>) -> Self {
        Self {
            head: first,
            slots: BTreeMap::new(),
            repeated,
            last_delivered: None,
            expected_rows,
            total_count: None,
            query: QueryView::Fine,
            n_checks: 0,
            passed_check: 0,
            announced: None,
            over: false,
        }
    }

    /// Tells the page before the first one, where an earlier run delivered it, so that a repetition is still seen.
    #[must_use]
    pub fn after_page(mut self, print: PagePrint) -> Self {
        self.last_delivered = Some(print);
        self
    }

    /// The page delivered last, where there is one.
    pub fn last_delivered(&self) -> Option<PagePrint> {
        self.last_delivered
    }

    /// The next page to be delivered.
    pub fn head(&self) -> PageNumber {
        self.head
    }

    /// Whether the end, an expired query or a failure was announced.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// A request for the page is under way, so that it need not be asked for.
    pub fn asked(&mut self, page: PageNumber) {
        if self.is_open(page) {
            self.slots.entry(page).or_default().under_way = true;
        }
    }

    /// A page was answered. Its newest answer counts; answers to pages already delivered don't.
    pub fn answered(&mut self, page: PageNumber, answer: PageAnswer) {
        if !self.is_open(page) {
            return;
        }
        let slot = self.slots.entry(page).or_default();
        slot.answer = Some(answer);
        slot.under_way = false;
        slot.n_checks_before = self.n_checks;
        let (PageAnswer::Rows { total_count, .. }
        | PageAnswer::NoRows { total_count }
        | PageAnswer::Missing { total_count }) = answer;
        self.total_count = total_count.or(self.total_count);
    }

    /// The page's bytes are no longer held, or its request was given up: it has to be asked for again.
    pub fn dropped(&mut self, page: PageNumber) {
        if let Some(slot) = self.slots.get_mut(&page) {
            slot.answer = None;
            slot.under_way = false;
        }
    }

    /// The status endpoint answered.
    pub fn query_checked(&mut self, check: QueryCheck) {
        if self.over {
            return;
        }
        match check {
            QueryCheck::Gone => self.announced = Some(Step::Expired),
            QueryCheck::NotReady => {
                // Pages of a query that is not ready are missing for that reason, and claim nothing.
                for slot in self.slots.values_mut() {
                    if matches!(slot.answer, Some(PageAnswer::Missing { .. })) {
                        slot.answer = None;
                    }
                }
                self.query = QueryView::NotReady;
                self.announced = Some(Step::AwaitQuery);
            }
            QueryCheck::Complete => {
                // A query that was not ready in between vouches for none of the 404s around that time.
                if self.query == QueryView::Checking {
                    self.passed_check = self.n_checks;
                }
                self.query = QueryView::Fine;
                self.announced = None;
            }
        }
    }

    /// The last page worth asking for by what is claimed so far; none while nothing claims the end.
    pub fn highest_useful(&self) -> Option<PageNumber> {
        if let Some(Step::End { pages }) = self.announced {
            return Some(PageNumber(pages));
        }
        self.slots.iter().find_map(|(page, slot)| match slot.answer? {
            PageAnswer::Rows { link: LinkHint::NoNext, .. } => Some(*page),
            PageAnswer::Rows { .. } => None,
            PageAnswer::NoRows { .. } | PageAnswer::Missing { .. } => Some(page.next()),
        })
    }

    /// What to do next, each thing once; none when only further news can help.
    pub fn step(&mut self) -> Option<Step> {
        if self.over {
            return None;
        }
        let step = match self.announced.take() {
            Some(step) => step,
            None if self.query != QueryView::Fine => return None,
            None => match self.answer_to(self.head) {
                Err(step) => step?,
                Ok(PageAnswer::Rows { print, link, .. }) => self.judge_rows(print, link),
                Ok(PageAnswer::NoRows { .. }) => self.judge_claim(Claim::NoRows)?,
                Ok(PageAnswer::Missing { .. }) => self.judge_claim(Claim::Missing)?,
            },
        };
        self.over = matches!(step, Step::End { .. } | Step::Expired | Step::Fail(_));
        Some(step)
    }

    /// The head has rows: it is delivered, unless it is doubtful.
    fn judge_rows(&mut self, print: PagePrint, link: LinkHint) -> Step {
        let page = self.head;
        if self.repeated == RepeatedPages::Fail && self.last_delivered == Some(print) {
            let slot = self.slots.entry(page).or_default();
            if slot.n_repeat_asks == MAX_REPEAT_ASKS {
                return Step::Fail(EndFault::Repeated { page });
            }
            slot.n_repeat_asks += 1;
            return self.ask_again(page, Doubt::Repeated);
        }
        let is_last = link == LinkHint::NoNext;
        if is_last && let Some(beyond) = self.rows_beyond(page) {
            return self.question(page, Claim::NoNextLink, beyond);
        }
        self.slots.remove(&page);
        self.last_delivered = Some(print);
        self.head = page.next();
        if is_last {
            // Decided now: whatever arrives after this moment is beyond the end.
            self.announced = Some(Step::End { pages: page.0 });
        }
        Step::Deliver(page)
    }

    /// The head has no rows or is missing: the results end before it, unless something speaks against that.
    fn judge_claim(&mut self, claim: Claim) -> Option<Step> {
        let page = self.head;
        let beyond = self.rows_beyond(page);
        let unexplained = claim == Claim::Missing && page == PageNumber::FIRST && !self.a_count_says_zero();
        if !self.is_vouched_for(page) {
            // Waiting for the page past the end lets one status call settle both, where nothing is decided yet.
            if beyond.is_none()
                && !unexplained
                && let Err(step) = self.answer_to(page.next())
            {
                return step;
            }
            return Some(self.check_query());
        }
        if unexplained {
            return Some(Step::Fail(EndFault::FirstPageMissing));
        }
        if let Some(beyond) = beyond {
            return Some(self.question(page, claim, beyond));
        }
        if let Err(step) = self.answer_to(page.next()) {
            return step;
        }
        if !self.is_vouched_for(page.next()) {
            return Some(self.check_query());
        }
        Some(Step::End { pages: page.0 - 1 })
    }

    /// The page's answer, or the step that leads to it (none where it is under way).
    fn answer_to(&mut self, page: PageNumber) -> Result<PageAnswer, Option<Step>> {
        let slot = self.slots.entry(page).or_default();
        if slot.under_way {
            return Err(None);
        }
        slot.answer.ok_or_else(|| {
            slot.under_way = true;
            Some(Step::Need(page))
        })
    }

    /// Whether the page's answer is no 404, or one that a later status check found to be of a living query.
    fn is_vouched_for(&self, page: PageNumber) -> bool {
        self.slots.get(&page).is_some_and(|slot| match slot.answer {
            Some(PageAnswer::Missing { .. }) => self.passed_check > slot.n_checks_before,
            Some(_) => true,
            None => false,
        })
    }

    /// The first later page that is known to have rows.
    fn rows_beyond(&self, page: PageNumber) -> Option<PageNumber> {
        self.slots
            .range(page.next()..)
            .find(|(_, slot)| matches!(slot.answer, Some(PageAnswer::Rows { .. })))
            .map(|(page, _)| *page)
    }

    fn question(&mut self, page: PageNumber, claim: Claim, beyond: PageNumber) -> Step {
        let slot = self.slots.entry(page).or_default();
        if slot.n_hole_asks == MAX_HOLE_ASKS {
            return Step::Fail(EndFault::Hole { page, claim, beyond });
        }
        slot.n_hole_asks += 1;
        self.ask_again(page, Doubt::RowsBeyond(beyond))
    }

    fn ask_again(&mut self, page: PageNumber, doubt: Doubt) -> Step {
        // The old answer stays for `highest_useful`, but decides nothing while the new one is under way.
        self.slots.entry(page).or_default().under_way = true;
        Step::AskAgain { page, doubt }
    }

    fn check_query(&mut self) -> Step {
        self.n_checks += 1;
        self.query = QueryView::Checking;
        Step::CheckQuery
    }

    /// The status endpoint's total is the query's own; `X-Total-Count` is often stale and speaks only without it.
    fn a_count_says_zero(&self) -> bool {
        self.expected_rows.or(self.total_count) == Some(0)
    }

    fn is_open(&self, page: PageNumber) -> bool {
        let ending = matches!(self.announced, Some(Step::End { .. } | Step::Expired));
        !self.over && !ending && page >= self.head
    }
}
