//! Reaching the cold data of a task by a reference, when the task may be done.

use super::cold::Cold;
use super::current;
use super::raw::header::kind;
use super::raw::reference::TaskRef;

impl TaskRef {
    /// Calls `f` with the task's cold data, made if there is none. `None` if the task is that of a
    /// service, and done: its cold data is part of the record, which it has given up.
    pub(crate) fn with_cold<R>(&self, f: impl FnOnce(&Cold) -> R) -> Option<R> {
        if !self.is(kind::SERVICE) {
            Some(f(self.borrowed().plain_cold_or_new()))
        } else if current::is(self.borrowed()) {
            current::with(|task| task.map(|task| f(task.cold_or_new())))
        } else {
            self.pin().map(|pin| f(pin.live().cold_or_new()))
        }
    }
}
