//! [`Joined`]: the typed part of a handle, and the right to the outcome.

use super::header::{Borrowed, RawTask};
use crate::error::JoinError;
use crate::wait_list::KeptWaker;
use std::marker::PhantomData;
use std::task::{Context, Poll, Waker};

/// The only handle of a task that is not a service's: a reference to it, and the right to its outcome.
pub(crate) struct Joined<T>(RawTask, PhantomData<fn() -> T>);

// SAFETY: shared, it only shows the header; owned, it can move out a `T` that was made elsewhere.
unsafe impl<T: Send> Send for Joined<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Joined<T> {}

impl<T> Joined<T> {
    /// Makes the handle of a task.
    ///
    /// # Safety
    ///
    /// The task was written for a value of type `T`, with a reference for this.
    pub(super) unsafe fn new(task: RawTask) -> Self {
        Joined(task, PhantomData)
    }

    /// The task, for the lifetime of this handle.
    #[inline]
    pub(crate) fn borrowed(&self) -> Borrowed<'_> {
        // SAFETY: this has a reference.
        unsafe { self.0.borrowed() }
    }

    /// The output, once the task is done. Panics when polled again after that.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, JoinError>> {
        let word = self.borrowed().word();
        if !word.is_done() && self.register(word.has_join_waker(), cx.waker()) {
            return Poll::Pending;
        }
        let mut output: Option<Result<T, JoinError>> = None;
        // SAFETY: the task is done, and the interest is ours (rule 2); the place has the type the
        // slot was written for.
        unsafe { (self.borrowed().vtable.read_output)(self.0.address(), (&raw mut output).cast()) };
        Poll::Ready(output.expect("a task handle was polled after it had resolved"))
    }

    /// Leaves the waker for the finisher; `false` if the task is done.
    fn register(&self, set: bool, waker: &Waker) -> bool {
        if set && !self.borrowed().state.unset_join_waker() {
            return false;
        }
        // The cell is the handle's now, until the flag is set again (rule 3).
        let fresh = match self.take_waker() {
            Some(old) if old.will_wake(waker) => old,
            // The old waker is dropped after the clone was made, or has panicked.
            _old => KeptWaker::new(waker),
        };
        // SAFETY: as above.
        (self.borrowed().join_waker).with_mut(|w| unsafe { *w = Some(fresh) });
        if self.borrowed().state.set_join_waker() {
            return true;
        }
        drop(self.take_waker());
        false
    }

    /// Takes the join waker, while its cell is the handle's.
    fn take_waker(&self) -> Option<KeptWaker> {
        // SAFETY: rule 3, by the callers in this file.
        (self.borrowed().join_waker).with_mut(|waker| unsafe { (*waker).take() })
    }
}

impl<T> Drop for Joined<T> {
    fn drop(&mut self) {
        match self.borrowed().state.detach() {
            Some(before) if before.has_join_waker() => drop(self.take_waker()),
            Some(_) => return,
            // SAFETY: the task is done, and the interest in the outcome was this handle's.
            None => unsafe { self.0.drop_output() },
        }
        // SAFETY: the reference is this handle's.
        unsafe { self.0.release_reference() };
    }
}
