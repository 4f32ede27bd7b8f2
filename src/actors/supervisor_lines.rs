//! The lines that lead to the supervisor. They stay when it dies, and its successor is put at their ends.

use actix::prelude::*;

use crate::actors::supervisor::SupervisorActor;
use crate::actors::{
    Cancel, Extract, ExtractionEnded, ExtractionMoved, Line, Pause, Resume, Shutdown, StageDied, Status, Subscribe,
    TenantHeld,
};

/// The lines that lead to the supervisor, whichever it is.
#[derive(Clone, Default)]
pub struct SupervisorLines {
    /// See [`Extract`].
    pub extract: Line<Extract>,
    /// See [`Pause`].
    pub pause: Line<Pause>,
    /// See [`Resume`].
    pub resume: Line<Resume>,
    /// See [`Cancel`].
    pub cancel: Line<Cancel>,
    /// See [`Status`].
    pub status: Line<Status>,
    /// See [`Subscribe`].
    pub subscribe: Line<Subscribe>,
    /// See [`Shutdown`].
    pub shutdown: Line<Shutdown>,
    /// See [`TenantHeld`].
    pub held: Line<TenantHeld>,
    /// See [`ExtractionMoved`].
    pub moved: Line<ExtractionMoved>,
    /// See [`ExtractionEnded`].
    pub ended: Line<ExtractionEnded>,
    /// See [`StageDied`].
    pub died: Line<StageDied>,
}

impl SupervisorLines {
    /// Puts a new supervisor at their ends.
    pub fn connect(&self, supervisor: &Addr<SupervisorActor>) {
        self.extract.connect(supervisor.clone().recipient());
        self.pause.connect(supervisor.clone().recipient());
        self.resume.connect(supervisor.clone().recipient());
        self.cancel.connect(supervisor.clone().recipient());
        self.status.connect(supervisor.clone().recipient());
        self.subscribe.connect(supervisor.clone().recipient());
        self.shutdown.connect(supervisor.clone().recipient());
        self.held.connect(supervisor.clone().recipient());
        self.moved.connect(supervisor.clone().recipient());
        self.ended.connect(supervisor.clone().recipient());
        self.died.connect(supervisor.clone().recipient());
    }

    /// Hangs them all up: there will be no other supervisor.
    pub fn cut(&self) {
        self.extract.cut();
        self.pause.cut();
        self.resume.cut();
        self.cancel.cut();
        self.status.cut();
        self.subscribe.cut();
        self.shutdown.cut();
        self.held.cut();
        self.moved.cut();
        self.ended.cut();
        self.died.cut();
    }
}
