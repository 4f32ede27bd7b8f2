//! What reaches a writer: results that are ready, pages, and what became of a query.

use std::time::Duration;

use actix::prelude::*;

use super::WriterActor;
use crate::actors::assembly::Assembly;
use crate::actors::{ExtractionEnd, Missed, PageFetched, PageMissed, QueryChecked, ResultsReady};
use crate::model::{Ending, Failure, FailureClass, Park, ParkReason};
use crate::policy::ends::QueryCheck;

/// How long nothing is asked for after a page found no room.
const NO_ROOM_PAUSE: Duration = Duration::from_millis(200);

/// How long a page waits whose order died with the fetcher's mailbox.
const UNDELIVERED_PAUSE: Duration = Duration::from_millis(20);

/// How often one page may lose its task before the report fails.
const MAX_LOST: u32 = 3;

impl Handler<ResultsReady> for WriterActor {
    type Result = ();

    fn handle(&mut self, ready: ResultsReady, ctx: &mut Self::Context) {
        if ready.part != self.nth_part {
            self.ready.insert(ready.part, ready);
            return;
        }
        match &mut self.reading {
            None if self.is_over => {}
            None => self.read_part(ready, ctx),
            // The query was not ready for a while and is again.
            Some(reading) => {
                reading.assembly.query_checked(QueryCheck::Complete);
                self.drive(ctx);
            }
        }
    }
}

impl Handler<PageFetched> for WriterActor {
    type Result = ();

    fn handle(&mut self, PageFetched { part, page }: PageFetched, ctx: &mut Self::Context) {
        fail::fail_point!(&self.parts.context.place("writer"));
        if let Some(assembly) = self.reading_of(part) {
            assembly.fetched(page);
            self.drive(ctx);
        }
    }
}

impl Handler<PageMissed> for WriterActor {
    type Result = ();

    fn handle(&mut self, PageMissed { part, number, why }: PageMissed, ctx: &mut Self::Context) {
        let Some(assembly) = self.reading_of(part) else { return };
        match why {
            Missed::NotFound { total_count } => assembly.missing(number, total_count),
            Missed::NotWanted => assembly.withdrawn(number),
            Missed::NoRoom if assembly.found_no_room(number) => {
                // Room is freed by writing; asking again at once would only fill the tenant's log.
                ctx.run_later(NO_ROOM_PAUSE, Self::drive);
                return;
            }
            Missed::NoRoom => {
                let message = format!(
                    "{}: page {number} finds no room, neither in memory nor in engine.scratch_dir; make room, then run again",
                    self.parts.context.report.name
                );
                let park = Park { reason: ParkReason::DiskFull, message, until: None };
                return self.end(ExtractionEnd::Ended(Ending::Parked(park)), ctx);
            }
            Missed::Panicked => {
                assembly.lost(number);
                let n_lost = self.n_lost.entry(number).or_default();
                *n_lost += 1;
                if *n_lost > MAX_LOST {
                    let message = format!("page {number}: its task died, {MAX_LOST} tasks for it did before");
                    return self.fail(Failure::new(FailureClass::Internal, message), ctx);
                }
            }
            Missed::Undelivered => {
                // Its fetcher is being rebuilt; asked at once, the same dead one would be asked.
                ctx.run_later(UNDELIVERED_PAUSE, move |writer, ctx| {
                    if let Some(assembly) = writer.reading_of(part) {
                        assembly.lost(number);
                        writer.drive(ctx);
                    }
                });
                return;
            }
            Missed::Parked(park) => return self.end(ExtractionEnd::Ended(Ending::Parked(park)), ctx),
            Missed::Failed(failure) => return self.fail(failure, ctx),
        }
        self.drive(ctx);
    }
}

impl Handler<QueryChecked> for WriterActor {
    type Result = ();

    fn handle(&mut self, QueryChecked { part, check }: QueryChecked, ctx: &mut Self::Context) {
        if let Some(assembly) = self.reading_of(part) {
            assembly.query_checked(check);
            self.drive(ctx);
        }
    }
}

impl WriterActor {
    /// The pages of that part, if it is the one that is being read: news of an earlier one come too late.
    fn reading_of(&mut self, part: u32) -> Option<&mut Assembly> {
        let reading = self.reading.as_mut().filter(|reading| !self.is_over && reading.part.nth == part);
        reading.map(|reading| &mut reading.assembly)
    }
}
