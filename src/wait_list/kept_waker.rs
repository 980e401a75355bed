//! [`KeptWaker`]: a waker whose drop does not unwind.

use crate::panics::quietly;
use std::task::Waker;

/// A waker that is stored until an event happens.
///
/// Its drop runs user code on a thread that is not the waiter's, so a panic in it ends there:
/// nothing unwinds through code that still has other wakers to wake or something to give back.
#[derive(Debug)]
pub(crate) struct KeptWaker(Waker);

impl KeptWaker {
    /// Clones `waker`. A panic of the clone goes to the caller, which runs it as its own code.
    pub(crate) fn new(waker: &Waker) -> Self {
        KeptWaker(waker.clone())
    }

    pub(crate) fn will_wake(&self, waker: &Waker) -> bool {
        self.0.will_wake(waker)
    }

    /// Returns the waker itself, to a caller that wakes it and catches its panic.
    #[inline]
    pub(crate) fn into_waker(mut self) -> Waker {
        let waker = self.take();
        // The no-op waker that is left has nothing to drop.
        std::mem::forget(self);
        waker
    }

    /// Takes the waker out and leaves one that does nothing.
    fn take(&mut self) -> Waker {
        std::mem::replace(&mut self.0, Waker::noop().clone())
    }
}

impl Drop for KeptWaker {
    fn drop(&mut self) {
        let waker = self.take();
        quietly(|| drop(waker));
    }
}
