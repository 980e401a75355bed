//! Implements [`Schedule`] for a simulation: how tasks and jobs reach the engine.

use super::engine::Engine;
use crate::id::TaskId;
use crate::sync::Arc;
use crate::task::current;
use crate::task::raw::Queued;
use crate::task::shared::Counts;
use crate::task::{Job, Live, Schedule};
use std::panic::Location;

/// An engine as the scheduler of its runtime, which owns it.
pub(super) struct Scheduler(pub(super) Arc<Engine>);

impl Scheduler {
    /// Returns whether the calling thread drives the simulation. What any other thread pushes goes
    /// through the inbox, and lands at a step that the seed draws.
    fn is_driving(&self) -> bool {
        current::worker(self.0.serial).is_some()
    }
}

impl Schedule for Scheduler {
    fn push(&self, task: Queued) {
        if self.is_driving() {
            self.0.run.lock().tasks.push_back(task);
        } else {
            self.0.inbox.push_task(task);
        }
    }

    fn on_spawn(&self, task: Queued) {
        self.0.add_live();
        self.push(task);
    }

    fn on_done(&self) {
        self.0.remove_live();
    }

    fn undo_done(&self) {
        self.0.add_live();
    }

    fn job(&self, job: Job) {
        if self.is_driving() {
            self.0.run.lock().jobs.push(job);
        } else {
            self.0.inbox.push_job(job);
        }
    }

    fn timer_changed(&self, _at: u64) {
        if !self.is_driving() {
            self.0.inbox.unpark();
        }
    }

    fn expect(&self, more: bool) {
        self.0.inbox.expect(more);
    }

    fn visit(&self, more: bool) {
        self.0.inbox.visit(more);
    }

    fn terminated(&self) {
        self.0.set_ended();
    }

    /// A simulation has no workers, so none steals and none parks.
    fn counts(&self) -> Counts {
        Counts {
            workers: 0,
            live_tasks: self.0.live(),
            polls: self.0.polls(),
            steals: 0,
            parks: 0,
        }
    }

    fn id_block(&self) -> u64 {
        // A thread that draws several ids keeps what is left of them, and the ids of the next
        // simulation on it would depend on that.
        1
    }

    fn random(&self) -> Option<u64> {
        Some(self.0.random.lock().next())
    }

    fn panicked(&self, task: Live<'_>, message: &str) {
        self.0.unhandled.add(task, message);
    }

    fn heard(&self, id: TaskId, location: &'static Location<'static>) {
        self.0.unhandled.remove(id, location);
    }
}
