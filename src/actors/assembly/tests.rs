use futures::FutureExt;

use super::*;
use crate::actors::{ByteBudget, PageBody, Share, Slot};
use crate::csv::{Framer, FramingLimits};

/// Has pages of a report at hand, and answers 404 for all others.
struct Rig {
    assembly: Assembly,
    budget: ByteBudget,
    share: Share,
    pages: Vec<String>,
    /// Asked for and not answered.
    open: Vec<PageNumber>,
    written: String,
    n_rows: u64,
    over: Option<Move>,
}

impl Rig {
    fn new(pages: &[&str]) -> Self {
        let budget = ByteBudget::new(64 << 20);
        Self {
            assembly: Assembly::new(RepeatedPages::Fail, true, None, 2, 8, PageNumber::FIRST, AssemblyMemo::default()),
            share: Share::take(&budget).now_or_never().expect("there is room"),
            budget,
            pages: pages.iter().map(|page| (*page).to_owned()).collect(),
            open: Vec::new(),
            written: String::new(),
            n_rows: 0,
            over: None,
        }
    }

    fn slot(&self) -> Slot {
        self.share.slot(&self.budget, true).expect("there is room")
    }

    fn ask(&mut self) {
        while let Some(page) = self.assembly.next_to_ask() {
            self.assembly.asked(page);
            assert!(!self.open.contains(&page), "page {page} is under way already");
            self.open.push(page);
        }
    }

    /// Answers one of the pages that are under way.
    fn answer(&mut self, page: PageNumber) {
        self.open.retain(|open| *open != page);
        let nth = usize::try_from(page.0 - 1).unwrap();
        let Some(text) = self.pages.get(nth).cloned() else { return self.assembly.missing(page, None) };
        let mut framer = Framer::new(FramingLimits { record_bytes: 1 << 20 });
        framer.push(text.as_bytes()).unwrap();
        let framed = framer.finish().unwrap();
        let (body, slot) = (PageBody::default(), self.slot());
        let page =
            FetchedPage { number: page, framed, body, link: LinkHint::Absent, total_count: None, slot: Some(slot) };
        self.assembly.fetched(page);
    }

    fn moves(&mut self) {
        while self.over.is_none() {
            match self.assembly.next_move() {
                None => return,
                Some(Move::Append(page, cut)) => {
                    let nth = usize::try_from(page.number.0 - 1).unwrap();
                    self.written.push_str(&self.pages[nth][usize::try_from(cut.n_bytes).unwrap()..]);
                    self.n_rows += cut.n_rows;
                }
                Some(Move::CheckQuery) => self.assembly.query_checked(QueryCheck::Complete),
                Some(Move::Doubted(..)) => {}
                Some(over) => self.over = Some(over),
            }
        }
    }

    /// Asks and answers until it is over, in an order drawn from `random`, with pages getting lost now and then.
    fn run(&mut self, random: &mut fastrand::Rng, losses: f64) {
        for _ in 0..10_000 {
            self.ask();
            self.moves();
            if self.over.is_some() {
                return;
            }
            self.ask();
            assert!(!self.open.is_empty(), "nothing is under way and nothing decided");
            let page = self.open[random.usize(..self.open.len())];
            match random.f64() < losses {
                true => {
                    self.open.retain(|open| *open != page);
                    match random.bool() {
                        true => self.assembly.lost(page),
                        // The head with nothing held has to be given up; here it is simply asked for again.
                        false => drop(self.assembly.found_no_room(page)),
                    }
                }
                false => self.answer(page),
            }
        }
        panic!("no end in sight");
    }
}

const THREE: [&str; 3] = ["a,b\n1,1\n2,2\n", "a,b\n3,3\n4,4\n", "a,b\n5,5\n"];
const WRITTEN: &str = "a,b\n1,1\n2,2\n3,3\n4,4\n5,5\n";

#[test]
fn pages_in_any_order_are_written_in_theirs_with_one_header() {
    for seed in 0..300 {
        let mut rig = Rig::new(&THREE);
        rig.run(&mut fastrand::Rng::with_seed(seed), 0.0);
        assert!(matches!(rig.over, Some(Move::End)), "seed {seed}: {:?}", rig.over);
        assert_eq!((rig.written.as_str(), rig.n_rows), (WRITTEN, 5), "seed {seed}");
        assert_eq!(rig.assembly.columns(), ["a", "b"]);
    }
}

#[test]
fn k8_pages_that_get_lost_on_the_way_are_asked_for_again_and_missed_nowhere() {
    for seed in 0..300 {
        let mut rig = Rig::new(&THREE);
        rig.run(&mut fastrand::Rng::with_seed(seed), 0.3);
        assert!(matches!(rig.over, Some(Move::End)), "seed {seed}: {:?}", rig.over);
        assert_eq!((rig.written.as_str(), rig.n_rows), (WRITTEN, 5), "seed {seed}");
    }
}

#[test]
fn an_early_page_waits_until_the_gap_is_filled() {
    let mut rig = Rig::new(&THREE);
    rig.ask();
    rig.answer(PageNumber(2));
    rig.moves();
    assert_eq!(rig.written, "");
    rig.answer(PageNumber(1));
    rig.moves();
    assert_eq!(rig.written, "a,b\n1,1\n2,2\n3,3\n4,4\n");
    assert!(rig.over.is_none(), "the end is not known yet");
}

#[test]
fn a_report_that_is_a_header_alone_ends_with_its_header() {
    for seed in 0..50 {
        let mut rig = Rig::new(&["a,b\n"]);
        rig.run(&mut fastrand::Rng::with_seed(seed), 0.0);
        assert!(matches!(rig.over, Some(Move::End)), "seed {seed}: {:?}", rig.over);
        assert_eq!((rig.written.as_str(), rig.n_rows), ("a,b\n", 0), "seed {seed}");
    }
}

#[test]
fn a_page_with_another_field_count_than_the_header_fails_by_its_number() {
    let mut rig = Rig::new(&["a,b\n1,1\n2,2\n", "a,b\n3,3,3\n4,4\n"]);
    rig.run(&mut fastrand::Rng::with_seed(1), 0.0);
    let Some(Move::Fail(failure)) = &rig.over else { panic!("{:?}", rig.over) };
    assert!(failure.message.starts_with("page 2: record 2"), "{}", failure.message);
    assert_eq!(rig.written, "a,b\n1,1\n2,2\n");
}

#[test]
fn a_page_that_equals_the_one_before_it_fails_where_none_may_repeat() {
    let mut rig = Rig::new(&["a,b\n1,1\n2,2\n", "a,b\n3,3\n4,4\n", "a,b\n3,3\n4,4\n"]);
    rig.run(&mut fastrand::Rng::with_seed(1), 0.0);
    let Some(Move::Fail(failure)) = &rig.over else { panic!("{:?}", rig.over) };
    assert!(failure.message.contains("page 3 equals"), "{}", failure.message);
}

#[test]
fn a_page_that_claims_the_end_keeps_no_room_from_the_page_that_must_confirm_it() {
    let mut rig = Rig::new(&["id\n1\n2\n", "id\n"]);
    rig.ask();
    rig.answer(PageNumber(1));
    rig.moves();
    let before = rig.budget.used();
    rig.answer(PageNumber(2));
    rig.moves();
    assert_eq!(rig.budget.used(), before, "its slot is free again");
    rig.ask();
    assert_eq!(rig.open, [PageNumber(3)]);
    assert!(!rig.assembly.is_pressing(PageNumber(3)), "it is under way");
}
