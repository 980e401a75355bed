//! [`Woken`]: wakes what waits for timers and sockets, tasks first.

use crate::task::raw::is_tasks_own;
use crate::task::{current, wakes};
use std::task::Waker;

/// Wakes tasks at once, which runs no code of the user's, and keeps the other wakers until the end.
pub(super) struct Woken {
    give_away: bool,
    foreign: Vec<Waker>,
}

impl Woken {
    /// With `give_away` the tasks go to the injector, not to the queue of the calling worker, whose polls are
    /// long.
    pub(super) fn new(give_away: bool) -> Self {
        Woken {
            give_away,
            foreign: Vec::new(),
        }
    }

    #[inline]
    pub(super) fn wake(&mut self, waker: Waker) {
        if is_tasks_own(&waker) {
            let _elsewhere = self.give_away.then(current::Elsewhere::pretend);
            waker.wake();
        } else {
            self.foreign.push(waker);
        }
    }

    /// Calls `before_foreign`, if there are wakers that are no task's, and wakes these.
    pub(super) fn wake_foreign(self, before_foreign: impl FnOnce()) {
        if !self.foreign.is_empty() {
            before_foreign();
            wakes::wake_all(self.foreign);
        }
    }
}
