//! How the answer to an order to extract finds its asker.
//!
//! It is brought by a task of its own, so that a supervisor that dies in the meantime takes nobody's answer along: the
//! books keep the sending end, and whoever supervises when the extraction ends uses that.

use actix::dev::{MessageResponse, OneshotSender};
use actix::prelude::*;
use tokio::sync::oneshot;

use crate::actors::Extract;
use crate::actors::supervisor::SupervisorActor;
use crate::model::{Ending, Failure, FailureClass, ReportName};

/// The answer to [`Extract`].
pub enum ExtractAnswer {
    /// There is nothing to wait for.
    Now(Result<Ending, Failure>),
    /// When that report's extraction ends.
    Later(oneshot::Receiver<Result<Ending, Failure>>, ReportName),
}

impl MessageResponse<SupervisorActor, Extract> for ExtractAnswer {
    fn handle(self, _: &mut Context<SupervisorActor>, asker: Option<OneshotSender<Result<Ending, Failure>>>) {
        let Some(asker) = asker else { return };
        match self {
            Self::Now(ending) => drop(asker.send(ending)),
            Self::Later(answer, name) => {
                let gone = move || Failure::new(FailureClass::Internal, format!("{name}: the engine is gone"));
                actix_rt::spawn(async move {
                    drop(asker.send(answer.await.unwrap_or_else(|_| Err(gone()))));
                });
            }
        }
    }
}
