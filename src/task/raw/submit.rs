//! Hands a right over to the runtime's queues.

use super::rights::{Queued, Right};
use crate::task::current;
use crate::task::shared::Shared;

/// Calls `f` with a right and its task's runtime. The runtime stays valid when `f` has given the right
/// away: a thread that is no worker of it counts a reference first (rule 4).
#[inline]
pub(crate) fn hand_over<T: Right>(right: T, f: impl FnOnce(&Shared, T)) {
    let shared = right.live().shared();
    if current::on_worker_of(shared) {
        let shared = std::ptr::from_ref(shared);
        // SAFETY: this thread is a worker of the runtime, which it keeps as long as it is.
        f(unsafe { &*shared }, right);
    } else {
        from_outside(right, f);
    }
}

#[inline(never)]
fn from_outside<T: Right>(right: T, f: impl FnOnce(&Shared, T)) {
    let shared = right.live().shared_arc();
    f(&shared, right);
}

impl Queued {
    /// Puts the task into a queue of its runtime.
    #[inline]
    pub(crate) fn submit(self) {
        hand_over(self, |shared, task| shared.schedule().push(task));
    }
}
