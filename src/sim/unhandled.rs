//! Panics of tasks that the program has not been told of: [`check()`](super::check()) fails because
//! of them.

use crate::id::TaskId;
use crate::sync::Mutex;
use crate::task::Live;
use std::fmt::Write;
use std::panic::Location;

/// The most panics that are remembered.
const REMEMBERED: usize = 10_000;
/// The most panics that a report names.
const NAMED: usize = 10;

struct Panicked {
    id: TaskId,
    path: String,
    location: &'static Location<'static>,
    message: String,
}

/// The panics that the program has not been told of so far.
#[derive(Default)]
pub(super) struct UnhandledPanics(Mutex<Vec<Panicked>>);

impl UnhandledPanics {
    pub(super) fn add(&self, task: Live<'_>, message: &str) {
        let panicked = Panicked {
            id: task.id(),
            path: task.path(),
            location: task.location(),
            message: message.to_owned(),
        };
        let mut all = self.0.lock();
        if all.len() < REMEMBERED {
            all.push(panicked);
        }
    }

    /// Forgets the panic of a task: the program was told of it. An id is unique in its runtime
    /// only, so the location tells this task from one of another runtime.
    pub(super) fn remove(&self, id: TaskId, location: &'static Location<'static>) {
        let mut all = self.0.lock();
        all.retain(|panicked| (panicked.id, panicked.location) != (id, location));
    }

    /// Describes each panic in a line of its own; `None` if there is none.
    pub(super) fn describe(&self) -> Option<String> {
        let all = self.0.lock();
        if all.is_empty() {
            return None;
        }
        let mut text = String::new();
        for one in all.iter().take(NAMED) {
            let Panicked {
                id,
                path,
                location,
                message,
            } = one;
            // Writing to a string does not fail.
            let _ = write!(
                text,
                "\n  {path} {id}, spawned at {location}, panicked: {message}"
            );
        }
        if let Some(more) = all.len().checked_sub(NAMED).filter(|more| *more > 0) {
            let _ = write!(text, "\n  … and {more} more");
        }
        Some(text)
    }
}
