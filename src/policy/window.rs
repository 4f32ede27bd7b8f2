//! How far ahead of the next page to be delivered pages are asked for.
//!
//! Nobody knows how many pages there are, so guessing is cheap at first and grows with success: a report of one
//! page costs few requests, a long one soon keeps every request slot busy. Counts and `Link` narrow the guess, but
//! never hold back the head itself, since they may be wrong. It decides about speed alone, never about the end.

use crate::model::PageNumber;

/// Pages that may be under way at first, the head included.
const FIRST_GUESS: u64 = 2;

/// The pages that may be asked for before it is known whether they exist.
#[derive(Clone, Debug)]
pub struct SpeculationWindow {
    size: u64,
    max_size: u64,
    /// Where counts put the last page.
    expected_last: Option<u64>,
    /// Whether the tenant says by `Link` where a next page is: then its last page needs no look past it.
    links: bool,
}

impl SpeculationWindow {
    /// A window that grows to at most `max_size` pages, the head included.
    pub fn new(max_size: u64) -> Self {
        let max_size = max_size.max(1);
        Self { size: FIRST_GUESS.min(max_size), max_size, expected_last: None, links: false }
    }

    /// A whole page with rows arrived: guessing pays off.
    pub fn good_page(&mut self) {
        self.size = self.size.saturating_mul(2).min(self.max_size);
    }

    /// The tenant counts `n_rows` rows in all, and a page holds about `rows_per_page` of them: the size asked for, or,
    /// once known, what page 1 held. The newest count replaces the ones before it.
    pub fn counted(&mut self, n_rows: u64, rows_per_page: u64) {
        self.expected_last = Some(n_rows.div_ceil(rows_per_page.max(1)));
    }

    /// The tenant's answers carry `Link`.
    pub fn links_seen(&mut self) {
        self.links = true;
    }

    /// The last page that may be asked for while `head` is next in order and `claimed` is the last one of use by the
    /// lowest claimed end. Never before `head`.
    pub fn last_page(&self, head: PageNumber, claimed: Option<PageNumber>) -> PageNumber {
        let mut last = head.0.saturating_add(self.size - 1);
        if let Some(claimed) = claimed {
            last = last.min(claimed.0);
        }
        if let Some(expected) = self.expected_last {
            let bound = if self.links { expected } else { expected.saturating_add(1) };
            // A head past the bound proves the count wrong; it then bounds nothing any more.
            if head.0 <= bound.max(1) {
                last = last.min(bound);
            }
        }
        PageNumber(last.max(head.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last(window: &SpeculationWindow, head: u64) -> u64 {
        window.last_page(PageNumber(head), None).0
    }

    #[test]
    fn the_window_starts_with_two_pages_and_doubles_up_to_its_limit() {
        let mut window = SpeculationWindow::new(12);
        let mut lasts = vec![last(&window, 1)];
        for _ in 0..4 {
            window.good_page();
            lasts.push(last(&window, 1));
        }
        assert_eq!(lasts, [2, 4, 8, 12, 12]);
        assert_eq!(last(&window, 101), 112);
    }

    #[test]
    fn a_window_of_one_asks_for_one_page_at_a_time() {
        let mut window = SpeculationWindow::new(1);
        window.good_page();
        assert_eq!(last(&window, 7), 7);
        assert_eq!(last(&SpeculationWindow::new(0), 7), 7);
    }

    #[test]
    fn a_claimed_end_narrows_the_window_but_not_below_the_head() {
        let mut window = SpeculationWindow::new(64);
        (0..6).for_each(|_| window.good_page());
        assert_eq!(window.last_page(PageNumber(1), Some(PageNumber(4))), PageNumber(4));
        assert_eq!(window.last_page(PageNumber(5), Some(PageNumber(4))), PageNumber(5));
    }

    #[test]
    fn a_count_keeps_a_short_report_from_costing_many_requests() {
        let mut window = SpeculationWindow::new(64);
        (0..6).for_each(|_| window.good_page());
        window.counted(12_000, 5_000);
        assert_eq!(last(&window, 1), 4, "three pages and a look past them");
        window.links_seen();
        assert_eq!(last(&window, 1), 3, "Link tells the last page without a look past it");
        window.counted(0, 5_000);
        assert_eq!(last(&window, 1), 1);
    }

    mod faults {
        use super::*;

        #[test]
        fn p1_a_count_that_proved_too_low_bounds_nothing_any_more() {
            let mut window = SpeculationWindow::new(64);
            (0..6).for_each(|_| window.good_page());
            window.counted(10_000, 5_000);
            assert_eq!(last(&window, 3), 3);
            assert_eq!(last(&window, 4), 67);
            window.links_seen();
            assert_eq!(last(&window, 3), 66);
        }

        #[test]
        fn p1_a_count_that_is_too_high_does_not_widen_the_window() {
            let mut window = SpeculationWindow::new(8);
            window.counted(u64::MAX, 1);
            assert_eq!(last(&window, 1), 2);
        }
    }
}
