//! Panics of tasks that nobody has heard of: [`check()`](super::check()) fails for them.

use crate::id::TaskId;
use crate::sync::Mutex;
use crate::task::Node;
use std::fmt::Write;
use std::panic::Location;

/// Panics that are kept, and that are named, at most.
const KEPT: usize = 10_000;
const NAMED: usize = 10;

struct Panicked {
    id: TaskId,
    path: String,
    location: &'static Location<'static>,
    message: String,
}

/// Those that nobody has heard of so far.
#[derive(Default)]
pub(super) struct Unheard(Mutex<Vec<Panicked>>);

impl Unheard {
    pub(super) fn add(&self, node: Node, message: &str) {
        let panicked = Panicked {
            id: node.id(),
            path: node.path(),
            location: node.location(),
            message: message.to_owned(),
        };
        let mut all = self.0.lock();
        if all.len() < KEPT {
            all.push(panicked);
        }
    }

    /// The program was told of this task's panic. Ids are a runtime's own: a stranger's task was
    /// spawned elsewhere.
    pub(super) fn remove(&self, id: TaskId, location: &'static Location<'static>) {
        let mut all = self.0.lock();
        all.retain(|panicked| (panicked.id, panicked.location) != (id, location));
    }

    /// A line for each; `None` if there is none.
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
