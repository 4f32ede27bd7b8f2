//! The order of an extraction's pages, as a plain state machine: pages in as they come, moves out.
//!
//! It holds fetched pages until their turn, asks [`EndOfResults`] what may be delivered and where the results end, and
//! judges headers and field counts in page order. The writer's actor only carries its moves out. It never waits for a
//! particular page and never touches a page's bytes.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::actors::FetchedPage;
use crate::actors::output::Cut;
use crate::csv::{Framed, HeaderRule, HeaderVerdict, n_blank_lines_before};
use crate::model::{Failure, FailureClass, FirstRecord, LinkHint, PageNumber};
use crate::policy::ends::{Doubt, EndOfResults, PageAnswer, PagePrint, QueryCheck, RepeatedPages, Step};
use crate::policy::window::SpeculationWindow;

/// What is to be done next.
#[derive(Debug)]
pub enum Move {
    /// Write this page, leaving out what is cut.
    Append(Box<FetchedPage>, Cut),
    /// Tell people that a page is asked for again.
    Doubted(PageNumber, Doubt),
    /// Have the query's status looked at.
    CheckQuery,
    /// The query is not ready any more: wait until it is.
    AwaitQuery,
    /// Everything is written that there is.
    End,
    /// The query is gone.
    Expired,
    /// The report fails.
    Fail(Failure),
}

/// What the tenant's counts said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// `X-Total-Count` of the lowest page that had one.
    pub first: Option<u64>,
    /// That of the highest.
    pub last: Option<u64>,
}

/// What an assembly needs to know of the pages that are in the output already.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AssemblyMemo {
    /// The header, and how pages went about it.
    pub header: HeaderRule,
    /// The page before the next one, of the same query.
    pub last_page: Option<PagePrint>,
    /// What the tenant's counts said.
    pub counts: Counts,
}

impl AssemblyMemo {
    /// What is known at the beginning of the next part: the header stays, the rest is of the query before.
    #[must_use]
    pub fn for_next_part(self) -> Self {
        Self { header: self.header, last_page: None, counts: Counts::default() }
    }
}

/// The pages of one query on their way into one output.
pub struct Assembly {
    ends: EndOfResults,
    header: HeaderRule,
    window: SpeculationWindow,
    page_size: u64,
    /// Fetched pages that wait for their turn.
    held: BTreeMap<PageNumber, FetchedPage>,
    /// Pages that may be a header alone, which only page 1 can tell.
    unjudged: BTreeSet<PageNumber>,
    /// Asked for and not answered.
    under_way: BTreeSet<PageNumber>,
    /// To be asked for ahead of all others.
    wanted: BTreeSet<PageNumber>,
    /// Given up for want of room: asked for again when they are next to be written, and nothing new before that.
    deferred: BTreeSet<PageNumber>,
    next_new: PageNumber,
    /// The highest page that a decision was ever found to hang on.
    needed: PageNumber,
    counts: BTreeMap<PageNumber, u64>,
    expected_rows: Option<u64>,
    /// Whether the first bad record ends the report.
    is_strict: bool,
    /// Page 1 came without a record or not at all, so that no page can repeat its header.
    is_headless: bool,
    /// The end is decided, but a header was still to be written.
    ends_next: bool,
    n_discarded: u64,
}

impl Assembly {
    /// An assembly from page `first` on; `memo` tells of the pages before it. At most `max_window` pages are asked for
    /// at once. If `is_strict`, the first bad record ends the report.
    pub fn new(
        repeated: RepeatedPages,
        is_strict: bool,
        total_rows: Option<u64>,
        page_size: u64,
        max_window: u64,
        first: PageNumber,
        memo: AssemblyMemo,
    ) -> Self {
        let ends = EndOfResults::new(first, repeated, total_rows);
        let before = PageNumber(first.0.saturating_sub(1));
        // The first count was some page's before; which one is of no interest.
        let counts = [memo.counts.first.map(|n| (PageNumber(0), n)), memo.counts.last.map(|n| (before, n))];
        let mut window = SpeculationWindow::new(max_window);
        if let Some(n_rows) = total_rows {
            window.counted(n_rows, page_size);
        }
        Self {
            ends: memo.last_page.map_or(ends.clone(), |print| ends.after_page(print)),
            header: memo.header,
            window,
            page_size,
            held: BTreeMap::new(),
            unjudged: BTreeSet::new(),
            under_way: BTreeSet::new(),
            wanted: BTreeSet::new(),
            deferred: BTreeSet::new(),
            next_new: first,
            needed: first,
            counts: counts.into_iter().flatten().collect(),
            expected_rows: total_rows,
            is_strict,
            is_headless: false,
            ends_next: false,
            n_discarded: 0,
        }
    }

    /// What the next run would need to know of the pages that were handed on.
    pub fn memo(&self) -> AssemblyMemo {
        let mut before = self.counts.range(..self.head()).map(|(_, count)| *count);
        let first = before.next();
        let counts = Counts { first, last: before.next_back().or(first) };
        AssemblyMemo { header: self.header.clone(), last_page: self.ends.last_delivered(), counts }
    }

    /// The page that is written next.
    pub fn head(&self) -> PageNumber {
        self.ends.head()
    }

    /// The names in the header, as text; empty before page 1 is there.
    pub fn columns(&self) -> Vec<String> {
        let names = self.header.names().unwrap_or_default();
        names.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect()
    }

    /// What the tenant's counts said so far.
    pub fn counts(&self) -> Counts {
        let value = |entry: Option<(&PageNumber, &u64)>| entry.map(|(_, count)| *count);
        Counts { first: value(self.counts.first_key_value()), last: value(self.counts.last_key_value()) }
    }

    /// Pages that were fetched and turned out to be of no use.
    pub fn n_discarded(&self) -> u64 {
        self.n_discarded
    }

    /// The page to ask for next, if another may be asked for now.
    pub fn next_to_ask(&mut self) -> Option<PageNumber> {
        if self.ends.is_over() {
            return None;
        }
        let page = match self.wanted.first() {
            Some(page) => *page,
            None if self.deferred.contains(&self.head()) => self.head(),
            None if !self.deferred.is_empty() => return None,
            None => {
                let last = self.window.last_page(self.head(), self.ends.highest_useful());
                self.next_new = self.next_new.max(self.head());
                while self.held.contains_key(&self.next_new) || self.under_way.contains(&self.next_new) {
                    self.next_new = self.next_new.next();
                }
                (self.next_new <= last).then_some(self.next_new)?
            }
        };
        Some(page)
    }

    /// Whether nothing can be decided or written before that page is there.
    pub fn is_pressing(&self, page: PageNumber) -> bool {
        page == self.head() || self.wanted.contains(&page)
    }

    /// The page was asked for.
    pub fn asked(&mut self, page: PageNumber) {
        self.wanted.remove(&page);
        self.deferred.remove(&page);
        self.under_way.insert(page);
        self.ends.asked(page);
        self.next_new = self.next_new.max(page.next());
    }

    /// A whole page came.
    pub fn fetched(&mut self, page: FetchedPage) {
        let number = page.number;
        self.under_way.remove(&number);
        if self.ends.is_over() || number < self.head() {
            self.n_discarded += 1;
            return;
        }
        if let Some(count) = page.total_count {
            self.counts.insert(number, count);
            self.expected_rows = Some(count);
        }
        if page.link != LinkHint::Absent {
            self.window.links_seen();
        }
        if page.framed.n_records > 1 {
            self.window.good_page();
        }
        if number == PageNumber::FIRST {
            self.is_headless = page.framed.first.is_none();
            if page.framed.n_records > 1 {
                self.page_size = self.page_size.min(page.framed.n_records);
            }
        }
        if let Some(n_rows) = self.expected_rows {
            self.window.counted(n_rows, self.page_size);
        }
        self.held.insert(number, page);
        self.unjudged.insert(number);
        self.tell_answers();
    }

    /// A page was answered 404.
    pub fn missing(&mut self, page: PageNumber, total_count: Option<u64>) {
        self.under_way.remove(&page);
        self.drop_held(page);
        self.counts.extend(total_count.map(|count| (page, count)));
        self.ends.answered(page, PageAnswer::Missing { total_count });
        if page == PageNumber::FIRST {
            self.is_headless = true;
            self.tell_answers();
        }
    }

    /// A page could not be kept, or its task died: it is asked for again.
    pub fn lost(&mut self, page: PageNumber) {
        self.under_way.remove(&page);
        self.ends.dropped(page);
        self.wanted.insert(page);
    }

    /// A page that was asked for was not fetched, since it lies past a claimed end. Should the claim fall, it is asked
    /// for like a new one.
    pub fn withdrawn(&mut self, page: PageNumber) {
        self.under_way.remove(&page);
        self.ends.dropped(page);
        self.next_new = self.next_new.min(page);
    }

    /// The last page that is worth a call by what is claimed so far; none while nothing claims the end.
    pub fn last_useful(&self) -> Option<PageNumber> {
        self.ends.highest_useful().map(|page| page.max(self.needed).max(self.head()))
    }

    /// There was no room for the page. Where it is the one that is written next, the farthest held page makes room for
    /// it; false where there is none to do so and none under way that might free some.
    pub fn found_no_room(&mut self, page: PageNumber) -> bool {
        self.under_way.remove(&page);
        self.ends.dropped(page);
        self.deferred.insert(page);
        if page != self.head() {
            return true;
        }
        let Some(farthest) = self.held.keys().next_back().copied() else { return !self.under_way.is_empty() };
        self.drop_held(farthest);
        self.ends.dropped(farthest);
        self.deferred.insert(farthest);
        true
    }

    /// The query's status was looked at.
    pub fn query_checked(&mut self, check: QueryCheck) {
        self.ends.query_checked(check);
    }

    /// What to do next; none when only further news can help.
    pub fn next_move(&mut self) -> Option<Move> {
        if std::mem::take(&mut self.ends_next) {
            return Some(Move::End);
        }
        loop {
            return Some(match self.ends.step()? {
                Step::Deliver(page) => self.deliver(page),
                Step::AskAgain { page, doubt } => {
                    self.drop_held(page);
                    self.wanted.insert(page);
                    self.needed = self.needed.max(page);
                    Move::Doubted(page, doubt)
                }
                Step::Need(page) => {
                    self.needed = self.needed.max(page);
                    let is_coming = self.under_way.contains(&page) || self.unjudged.contains(&page);
                    // Also where it was deferred: it may be the page past the end, which no page before it will bring.
                    if !is_coming {
                        self.wanted.insert(page);
                    }
                    continue;
                }
                Step::CheckQuery => Move::CheckQuery,
                Step::AwaitQuery => Move::AwaitQuery,
                Step::End { .. } => self.end(),
                Step::Expired => Move::Expired,
                Step::Fail(fault) => Move::Fail(Failure::new(FailureClass::Data, fault.to_string())),
            });
        }
    }

    /// A report without rows still has the header of its page 1.
    fn end(&mut self) -> Move {
        self.n_discarded += self.held.len() as u64;
        let lone_header = (self.head() == PageNumber::FIRST).then(|| self.held.remove(&PageNumber::FIRST)).flatten();
        self.held.clear();
        let Some(page) = lone_header else { return Move::End };
        let Some(first) = &page.framed.first else { return Move::End };
        if let Some(message) = bad_record(page.number, &page.framed, first.fields.len() as u64) {
            return Move::Fail(Failure::new(FailureClass::Data, message));
        }
        match self.header.judge(page.number, first) {
            HeaderVerdict::Header => {}
            // An earlier part of the report has brought it.
            HeaderVerdict::Repeated { .. } => return Move::End,
            HeaderVerdict::Row => {
                let message = format!("page {} was taken for a header alone and is none", page.number);
                return Move::Fail(Failure::new(FailureClass::Internal, message));
            }
            HeaderVerdict::Changed { message } => return Move::Fail(Failure::new(FailureClass::Data, message)),
        }
        self.n_discarded -= 1;
        self.ends_next = true;
        let n_bytes = u64::from(page.framed.bom_len);
        Move::Append(Box::new(page), Cut { n_bytes, n_rows: 0, n_empty: 0, has_header: true, judged: None })
    }

    fn deliver(&mut self, number: PageNumber) -> Move {
        let Some(page) = self.held.remove(&number) else {
            let message = format!("page {number} was to be written and is not held");
            return Move::Fail(Failure::new(FailureClass::Internal, message));
        };
        // A page of empty values alone begins with one.
        let first = page.framed.first.clone().unwrap_or(FirstRecord { raw: Vec::new(), fields: vec![Vec::new()] });
        let bom_len = u64::from(page.framed.bom_len);
        let verdict = self.header.judge(number, &first);
        let n_empty = self.n_empty_values(&page.framed);
        let n_rows = page.framed.n_records + n_empty;
        let (n_bytes, n_rows, has_header) = match verdict {
            HeaderVerdict::Header => (bom_len, n_rows - 1, true),
            HeaderVerdict::Repeated { n_bytes } => (bom_len + n_bytes, n_rows - 1, false),
            HeaderVerdict::Row => (bom_len, n_rows, false),
            HeaderVerdict::Changed { message } => return Move::Fail(Failure::new(FailureClass::Data, message)),
        };
        let n_columns = self.header.n_columns();
        if self.is_strict
            && let Some(message) = n_columns.and_then(|n_columns| bad_record(number, &page.framed, n_columns))
        {
            return Move::Fail(Failure::new(FailureClass::Data, message));
        }
        let judged = n_columns.filter(|n_columns| has_odd_records(&page.framed, *n_columns));
        Move::Append(Box::new(page), Cut { n_bytes, n_rows, n_empty, has_header, judged })
    }

    /// Says of each held page whether it has rows, as far as that can be told.
    fn tell_answers(&mut self) {
        let mut told = Vec::new();
        for number in &self.unjudged {
            let Some(page) = self.held.get(number) else { continue };
            let framed = &page.framed;
            let without_rows = match self.names_of_page_one() {
                _ if *number > PageNumber::FIRST && self.n_empty_values(framed) > 0 => false,
                Some(names) if *number > PageNumber::FIRST && framed.n_records == 1 => {
                    framed.first.as_ref().is_some_and(|first| first.fields == *names)
                }
                _ => match self.header.is_without_rows(*number, framed.n_records, framed.first.as_ref()) {
                    Some(without_rows) => without_rows,
                    None if self.is_headless => false,
                    None => continue,
                },
            };
            told.push((*number, without_rows));
        }
        for (number, without_rows) in told {
            self.unjudged.remove(&number);
            let Some(page) = self.held.get_mut(&number) else { continue };
            let total_count = page.total_count;
            let answer = if without_rows {
                // It may be held until the page past it is there, which needs the room.
                page.slot = None;
                PageAnswer::NoRows { total_count }
            } else {
                let print = PagePrint { digest: page.framed.digest, n_bytes: page.framed.n_bytes };
                PageAnswer::Rows { print, link: page.link, total_count }
            };
            self.ends.answered(number, answer);
        }
    }

    /// Lines without any byte, behind the page's first record. They are no records, but in a table of one column each
    /// is an empty value.
    fn n_empty_values(&self, framed: &Framed) -> u64 {
        let n_columns = self.names_of_page_one().map(|names| names.len() as u64).or(self.header.n_columns());
        if n_columns != Some(1) {
            return 0;
        }
        let before = framed.first.as_ref().map_or(0, |first| n_blank_lines_before(&first.raw));
        framed.n_blank_lines.saturating_sub(before)
    }

    /// Page 1's header while that page still waits to be written.
    fn names_of_page_one(&self) -> Option<&Vec<Vec<u8>>> {
        self.held.get(&PageNumber::FIRST).and_then(|page| page.framed.first.as_ref()).map(|first| &first.fields)
    }

    fn drop_held(&mut self, page: PageNumber) {
        self.held.remove(&page);
        self.unjudged.remove(&page);
    }
}

/// What is wrong with the first record of a page that can't be delivered as it is, as far as the scan can tell.
fn bad_record(page: PageNumber, framed: &Framed, n_columns: u64) -> Option<String> {
    let remedy = "csv.ragged: reject would set it aside";
    let ragged = framed.ragged_against(n_columns);
    if let Some(place) = framed.misquoted
        && ragged.is_none_or(|ragged| place.record <= ragged.record)
    {
        return Some(format!(
            "page {page}: record {} (line {} of the page) has text behind a closing quote; {remedy}",
            place.record, place.line
        ));
    }
    ragged.map(|ragged| {
        format!(
            "page {page}: record {} (line {} of the page) has {} fields where the header has {}; {remedy}",
            ragged.record, ragged.line, ragged.n_fields, ragged.expected
        )
    })
}

/// Whether a page has records that may not be what they seem.
fn has_odd_records(framed: &Framed, n_columns: u64) -> bool {
    framed.ragged_against(n_columns).is_some()
        || framed.misquoted.is_some()
        || framed.is_entangled
        || framed.broken.is_some()
}

#[cfg(test)]
mod tests;
