//! The two counts of a scope: the protection that is active inside it, and the deferred cleanups that
//! a body has left behind.
//!
//! A count that reaches zero may end a wait: that of a task for its last protection, and that of a
//! `finally` for what its body has left. The thread that counts out collects whom to wake under the
//! locks, and wakes them after the locks are released.

use super::place;
use super::scope::{Body, Scope};
use crate::sync::Arc;
use crate::sync::atomic::Ordering;
use crate::task::{TaskRef, current, wakes};
use crate::wait_list::KeptWaker;

/// A task that has to look again at what has changed.
pub(super) enum Woken {
    Task(TaskRef),
    /// The task that this waker wakes.
    Other(KeptWaker),
}

/// Wakes all of them. The caller holds no lock.
pub(super) fn wake(woken: Vec<Woken>) {
    wakes::wake_all(woken.into_iter().filter_map(|one| match one {
        Woken::Task(task) => {
            task.borrowed().wake();
            None
        }
        Woken::Other(waker) => Some(waker.into_waker()),
    }));
}

impl Scope {
    /// Counts protection in.
    pub(super) fn protect(&self) {
        match self {
            Scope::Outside | Scope::Hard(_) => {}
            Scope::Root(task) => {
                // AcqRel: pairs with the Acquire load in `Cold::is_protected`.
                task.with_cold(|cold| cold.protection.fetch_add(1, Ordering::AcqRel));
            }
            Scope::Body(body) => {
                let mut state = body.state.lock();
                state.inner += 1;
                if state.inner == 1 && body.passes_on {
                    state.outer.protect();
                }
            }
        }
    }

    /// Counts protection out. If the calling code is not polled by the task or the body that it counts
    /// out of, because its future was moved elsewhere, that task is woken to notice.
    pub(super) fn count_out(&self, woken: &mut Vec<Woken>) {
        match self {
            Scope::Outside | Scope::Hard(_) => {}
            Scope::Root(task) => {
                // AcqRel: the worker that reads zero (Acquire, in `Cold::is_protected`) drops the
                // task's future after all that the protected code did.
                task.with_cold(|cold| cold.protection.fetch_sub(1, Ordering::AcqRel));
                if !current::is(task.borrowed()) {
                    woken.push(Woken::Task(task.clone()));
                }
            }
            Scope::Body(body) => {
                let mut state = body.state.lock();
                state.inner -= 1;
                if state.inner > 0 {
                    return;
                }
                if body.passes_on {
                    state.outer.count_out(woken);
                }
                let waker = if place::is_polled(body) {
                    None
                } else {
                    state.waker.take()
                };
                woken.extend(waker.map(Woken::Other));
            }
        }
    }
}

impl Body {
    /// Counts a deferred cleanup that is left of the body, or a body inside with its first one.
    pub(super) fn count_left(&self) {
        let mut state = self.state.lock();
        state.left += 1;
        if state.left == 1
            && let Some(body) = state.outer.body()
        {
            body.count_left();
        }
    }

    /// Counts one of those out again.
    pub(super) fn count_left_out(&self, woken: &mut Vec<Woken>) {
        let mut state = self.state.lock();
        state.left -= 1;
        if state.left > 0 {
            return;
        }
        if let Some(body) = state.outer.body() {
            body.count_left_out(woken);
        }
        if state.awaits_left {
            woken.extend(state.waker.take().map(Woken::Other));
        }
    }
}

/// Counts a deferred cleanup that is left of a body, and of the bodies around it, until it is dropped.
pub(super) struct Left(Arc<Body>);

impl Left {
    pub(super) fn new(body: Arc<Body>) -> Self {
        body.count_left();
        Left(body)
    }

    pub(super) fn body(&self) -> &Arc<Body> {
        &self.0
    }
}

impl Drop for Left {
    fn drop(&mut self) {
        let mut woken = Vec::new();
        self.0.count_left_out(&mut woken);
        wake(woken);
    }
}
