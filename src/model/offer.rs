//! A counted reference to a task, and a place from which a task is taken.

use crate::handle::task::Task;
use crate::sync::Arc;
use crate::task::TaskRef;
use crate::task::raw::{Handover, Marked, Part, Taken};
use crate::task::state::Level;

/// A counted reference to a task.
#[derive(Clone)]
pub struct Reference(TaskRef);

impl Reference {
    pub fn of<T>(task: &Task<T>) -> Reference {
        Reference(task.borrowed().retain())
    }

    pub fn is_done(&self) -> bool {
        self.0.word().is_done()
    }
}

/// A place from which one of several threads takes a task.
#[derive(Clone)]
pub struct Offer(Arc<Handover>);

impl Offer {
    /// Pins the task, and offers the pin.
    pub fn of_pin<T>(task: &Task<T>) -> Offer {
        let pin = task.borrowed().pin().expect("it is not done");
        Offer(Arc::new(Handover::new(pin.into())))
    }

    /// Marks the task as a cancellation does, claims it by that, and offers the claim.
    pub fn of_claim<T>(task: &Task<T>) -> Offer {
        let Marked::Claimed(task) = task.borrowed().mark(Level::Cancel, false, true).1 else {
            panic!("it is not due");
        };
        Offer(Arc::new(Handover::new(task.into())))
    }

    /// Takes what is there, and drops it; returns `false` if another thread has taken it.
    pub fn take(&self) -> bool {
        let taken = self.0.take().map(|part| match part {
            Part::Pinned(pin) => Taken::from(pin),
            Part::Claimed(task) => Taken::from(task),
        });
        taken.is_some()
    }
}
