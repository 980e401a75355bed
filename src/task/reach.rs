//! Access to the cold data of a task that may be done, through a [`TaskRef`].

use super::cold::Cold;
use super::current;
use super::raw::header::kind;
use super::raw::reference::TaskRef;

impl TaskRef {
    /// Calls `f` with the task's cold data, which is allocated if there is none. `None` if it is a service's
    /// task that is done, since its cold data is part of the record, to which it has no reference any more.
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
