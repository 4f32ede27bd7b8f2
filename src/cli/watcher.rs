//! The actor between the engine and the reporter: snapshots in, text out.
//!
//! It lives on an arbiter of its own, so that a blocked terminal or pipe holds up nobody who fetches.

use std::time::Duration;

use actix::prelude::*;
use cxtract::Progress;
use cxtract::model::WallClock;

use crate::cli::progress::{Ended, Reporter};

/// How often a display that depends on the time is brought up to date.
const TICK: Duration = Duration::from_millis(250);

/// Tells a reporter what happens.
pub(crate) struct Watcher {
    reporter: Box<dyn Reporter>,
    clock: WallClock,
}

impl Watcher {
    pub(crate) fn new(reporter: Box<dyn Reporter>) -> Self {
        Self { reporter, clock: WallClock::system() }
    }
}

impl Actor for Watcher {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(TICK, |watcher, _| watcher.reporter.tick(watcher.clock.now()));
    }
}

/// Run → watcher: a report is over.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct ReportEnded(pub(crate) Ended);

/// Run → watcher: the run is over; answered when all is written.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct RunEnded(pub(crate) Vec<Ended>);

impl Handler<Progress> for Watcher {
    type Result = ();

    fn handle(&mut self, progress: Progress, _: &mut Self::Context) {
        self.reporter.seen(&progress, self.clock.now());
    }
}

impl Handler<ReportEnded> for Watcher {
    type Result = ();

    fn handle(&mut self, ReportEnded(ended): ReportEnded, _: &mut Self::Context) {
        self.reporter.ended(&ended, self.clock.now());
    }
}

impl Handler<RunEnded> for Watcher {
    type Result = ();

    fn handle(&mut self, RunEnded(all): RunEnded, _: &mut Self::Context) {
        self.reporter.finish(&all, self.clock.now());
    }
}
