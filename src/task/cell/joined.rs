//! The typed side of a handle.

use super::{Node, TaskRef};
use crate::error::JoinError;
use crate::wait_list::KeptWaker;
use std::marker::PhantomData;
use std::task::{Context, Poll, Waker};

/// The one handle of a task: its reference, and the right to its output.
pub(crate) struct Joined<T>(Node, PhantomData<fn() -> T>);

// SAFETY: shared, it only shows the header; owned, it can move out a `T` that was made elsewhere.
unsafe impl<T: Send> Send for Joined<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Joined<T> {}

impl<T> Joined<T> {
    /// Only by whoever wrote the task, for its own type.
    pub(super) fn new(node: Node) -> Self {
        Joined(node, PhantomData)
    }

    pub(crate) fn node(&self) -> Node {
        self.0
    }

    /// The reference alone, of a task that was written without interest in its output.
    pub(crate) fn into_reference(self) -> TaskRef {
        let node = self.0;
        std::mem::forget(self);
        TaskRef(node)
    }

    pub(crate) fn node_ref(&self) -> &Node {
        &self.0
    }

    /// The output, once the task is done. Panics when polled again after that.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, JoinError>> {
        let state = self.0.state.load();
        if !state.is_done() && self.register(state.has_join_waker(), cx.waker()) {
            return Poll::Pending;
        }
        let mut output: Option<Result<T, JoinError>> = None;
        // SAFETY: the task is done, and the interest is ours (rule 2); the place has the type the
        // slot was written for, because `allocate` ties the two.
        unsafe { (self.0.vtable.read_output)(self.0.0, (&raw mut output).cast()) };
        Poll::Ready(output.expect("a task handle was polled after it had resolved"))
    }

    /// Leaves the waker for the finisher; `false` if the task is done.
    fn register(&self, set: bool, waker: &Waker) -> bool {
        if set && !self.0.state.unset_join_waker() {
            return false;
        }
        // The slot is the handle's now, until the flag is set again (rule 3).
        let fresh = match self.0.take_join_waker() {
            Some(old) if old.will_wake(waker) => old,
            // The old one goes when the clone is there, or panics.
            _old => KeptWaker::new(waker),
        };
        // SAFETY: as above.
        self.0.join_waker.with_mut(|w| unsafe { *w = Some(fresh) });
        if self.0.state.set_join_waker() {
            return true;
        }
        self.take_waker();
        false
    }

    fn take_waker(&self) {
        drop(self.0.take_join_waker());
    }
}

impl<T> Drop for Joined<T> {
    fn drop(&mut self) {
        match self.0.state.detach() {
            Some(before) if before.has_join_waker() => self.take_waker(),
            Some(_) => return,
            None => self.0.drop_output(),
        }
        self.0.release_reference();
    }
}
