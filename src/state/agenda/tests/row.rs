//! The row of a `since` report's windows, whatever happens on the way.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Deed {
    /// Minutes pass; backwards, too, as a clock may be set back.
    Time(i32),
    /// The lag is changed.
    Lag(u32),
    /// The question is changed, so that nothing has the hash that it had.
    Change,
    /// A run, its tasks ending as told, one after the other.
    Run { fresh: bool, one_by_one: bool, ends: Vec<End> },
    /// A run over a window that somebody gave: minutes from the beginning, and how many.
    Given { from: u32, minutes: u32, fresh: bool, end: End },
    /// A run over the very window of something stored.
    Again { nth: usize, fresh: bool, end: End },
    /// A run in pieces of hours.
    Pieces { hours: u32, ends: Vec<End> },
    /// Windows of another kind were configured for one run.
    Last { end: End },
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Complete,
    Park,
    Fail,
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![4 => Just(End::Complete), 2 => Just(End::Park), 2 => Just(End::Fail)]
}

fn deed() -> impl Strategy<Value = Deed> {
    let ends = || proptest::collection::vec(end(), 4);
    prop_oneof![
        4 => (-200..2000i32).prop_map(Deed::Time),
        1 => (0..300u32).prop_map(Deed::Lag),
        1 => Just(Deed::Change),
        6 => (any::<bool>(), any::<bool>(), ends())
            .prop_map(|(fresh, one_by_one, ends)| Deed::Run { fresh, one_by_one, ends }),
        2 => (0..3000u32, 1..3000u32, any::<bool>(), end())
            .prop_map(|(from, minutes, fresh, end)| Deed::Given { from, minutes, fresh, end }),
        2 => (any::<usize>(), any::<bool>(), end()).prop_map(|(nth, fresh, end)| Deed::Again { nth, fresh, end }),
        2 => (1..20u32, ends()).prop_map(|(hours, ends)| Deed::Pieces { hours, ends }),
        1 => end().prop_map(|end| Deed::Last { end }),
    ]
}

const BEGINNING: &str = "2024-03-01T00:00:00Z";

struct Row {
    world: World,
    lag: u32,
    page_size: u32,
    /// The windows that have moved the watermark.
    complete: Vec<Window>,
    /// Unfinished windows of another kind are finished, too, where they end before the watermark.
    was_of_another_kind: bool,
}

impl Row {
    fn configure(&mut self) {
        let (lag, page_size) = (self.lag, self.page_size);
        self.world.is_now(&format!(
            "window: {{since: 2024-03-01, lag: {lag}m}}, page_size: {page_size}, output: {{path: '{{from}}-{{to}}.csv'}}"
        ));
    }

    /// Does what the task says; whether it ended complete.
    fn carry_out(&mut self, task: &Task, end: End) -> bool {
        self.world.take(task);
        match (&task.step, end) {
            (Step::Skip(_), _) => return true,
            (_, End::Complete) => {
                let before = self.world.watermark();
                self.world.deliver(task);
                let window = task.key.window;
                if self.world.watermark() > before {
                    self.complete.push(window);
                } else if task.begun.origin == Origin::Configured && !self.was_of_another_kind {
                    assert!(self.complete.contains(&window), "{window:?} repeats nothing: {:?}", self.complete);
                }
                return true;
            }
            (_, End::Park) => self.world.store.save_state(&task.key, ReportState::Parked, None).unwrap(),
            (_, End::Fail) => self.world.store.save_state(&task.key, ReportState::Failed, None).unwrap(),
        }
        false
    }

    fn order(&mut self, asked: Asked, fresh: bool, ends: &[End]) -> bool {
        let agenda = match self.world.ask(asked, fresh) {
            Ok(agenda) => agenda,
            Err(AgendaFault::Conflict(_)) if !fresh => return false,
            Err(fault) => panic!("{fault}"),
        };
        for dropped in &agenda.drops {
            self.world.store.forget(&dropped.key).unwrap();
        }
        agenda.tasks.iter().zip(ends).all(|(task, end)| self.carry_out(task, *end))
    }

    fn give(&mut self, window: Window, fresh: bool, end: End) {
        let before = self.world.watermark();
        self.order(Asked::Given(window), fresh, &[end]);
        assert_eq!(self.world.watermark(), before, "a given window moved the watermark");
    }

    fn happen(&mut self, deed: &Deed) {
        match deed {
            Deed::Time(minutes) => drop(self.world.now.fetch_add(i64::from(*minutes) * 60_000, Ordering::Relaxed)),
            Deed::Lag(minutes) => self.lag = *minutes,
            Deed::Change => self.page_size += 1,
            Deed::Run { fresh, one_by_one: false, ends } => drop(self.order(Asked::Due, *fresh, ends)),
            Deed::Run { fresh, one_by_one: true, ends } => {
                let Ok(agenda) = self.world.ask(Asked::Due, *fresh) else { return };
                for (task, end) in agenda.tasks.iter().zip(ends) {
                    self.order(task.asked(), *fresh, &[*end]);
                }
            }
            Deed::Given { from, minutes, fresh, end } => {
                let from = at(BEGINNING).plus(std::time::Duration::from_secs(u64::from(*from) * 60));
                let to = Timestamp(from.0 + i64::from(*minutes) * 60_000 - 1);
                self.give(Window { from, to }, *fresh, *end);
            }
            Deed::Again { nth, fresh, end } => {
                let stored = self.world.stored();
                if !stored.is_empty() {
                    self.give(stored[nth % stored.len()].key.window, *fresh, *end);
                }
            }
            Deed::Pieces { hours, ends } => {
                let now = self.world.now();
                let window = self.world.report.resolve_window(now, self.world.watermark(), &Default::default());
                let Some(window) = window.unwrap() else { return };
                let span = crate::config::Span::Time(std::time::Duration::from_secs(u64::from(*hours) * 3600));
                let pieces = crate::config::pieces(window, span, &self.world.report.window.zone).unwrap();
                for (piece, end) in pieces.into_iter().zip(ends) {
                    self.order(Asked::Configured(piece), false, &[*end]);
                }
            }
            Deed::Last { end } => {
                self.was_of_another_kind = true;
                self.world.is_now("window: {last: 6h}, output: {path: '{from}-{to}.csv'}");
                self.order(Asked::Due, false, &[*end]);
            }
        }
        self.configure();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn configured_windows_follow_on_each_other_without_gap_or_overlap(
        deeds in proptest::collection::vec(deed(), 1..40),
    ) {
        let world = World::new("window: {since: 2024-03-01}, output: {path: '{from}-{to}.csv'}");
        world.set_now("2024-03-01T06:00:00Z");
        let mut row = Row { world, lag: 0, page_size: 1, complete: Vec::new(), was_of_another_kind: false };
        row.configure();
        for deed in &deeds {
            row.happen(deed);
            prop_assert_eq!(row.complete.last().map(|window| window.to), row.world.watermark());
        }
        // A window of another kind, unfinished before anything was complete, may have begun earlier.
        let mut next = row.complete.first().map_or(at(BEGINNING), |first| first.from.min(at(BEGINNING)));
        for window in &row.complete {
            prop_assert_eq!(window.from, next, "{:?}", row.complete);
            next = Timestamp(window.to.0 + 1);
        }
        // Nothing that happened keeps a fresh run, and the runs after it, from getting done.
        for _ in 0..4 {
            row.order(Asked::Due, true, &[End::Complete; 9]);
        }
        // Names know no milliseconds, so that two windows within a second may not have files of their own.
        // The time makes up for whatever the lag has grown by.
        row.happen(&Deed::Time(600));
        prop_assert!(row.order(Asked::Due, false, &[End::Complete; 99]), "{:?}", row.world.stored());
        let left: Vec<_> = row.world.stored().into_iter().filter(StoredExtraction::is_unfinished).collect();
        prop_assert!(left.iter().all(|stored| stored.begun.origin == Origin::Given), "{left:?}");
    }
}
