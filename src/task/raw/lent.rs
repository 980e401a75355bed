//! Rights that are lent to the code that runs as the task: [`Polling`] and [`Closing`].

use super::header::{Payload, Polled, RawTask};
use super::rights::{Claimed, Lend, Lent, Running};
use super::waker::WAKER;
use crate::error::JoinError;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Waker};

impl RawTask {
    /// Returns the task's waker without counting a reference.
    ///
    /// # Safety
    ///
    /// The slot is valid as long as the waker is used (rule 1).
    #[inline]
    unsafe fn borrowed_waker(self) -> ManuallyDrop<Waker> {
        let data = self.address().as_ptr().cast_const().cast();
        // SAFETY: the vtable keeps the waker contract; this one is not counted, and not dropped.
        ManuallyDrop::new(unsafe { Waker::new(data, &WAKER) })
    }

    /// # Safety
    ///
    /// The caller owns the stage (rule 2).
    pub(super) unsafe fn store_error(self, error: JoinError) {
        // SAFETY: the caller's.
        unsafe {
            // A pinned future is dropped before its memory is used again.
            assert!(self.header().is_future_gone(), "the future is there");
            self.drop_output();
            (self.header().vtable.store_error)(self.address(), error);
        }
    }
}

/// A borrowed [`Running`].
pub(crate) type Polling<'a> = Lent<'a, Running>;

/// A borrowed [`Claimed`].
pub(crate) type Closing<'a> = Lent<'a, Claimed>;

// SAFETY: what the methods below allow cannot end the task.
unsafe impl Lend for Running {}
// SAFETY: as above.
unsafe impl Lend for Claimed {}

impl<R: Lend> Lent<'_, R> {
    /// Makes `error` the outcome. An earlier outcome is dropped.
    ///
    /// # Panics
    ///
    /// Panics if the future is there.
    pub(crate) fn store_error(&mut self, error: JoinError) {
        // SAFETY: only the rights to the stage are lent.
        unsafe { self.task.store_error(error) }
    }
}

impl Closing<'_> {
    /// Drops the future, if it is there.
    ///
    /// # Errors
    ///
    /// With the panic of the future's destructor.
    #[inline(always)]
    pub(crate) fn drop_future(&mut self) -> Result<(), Payload> {
        let task = self.task;
        // SAFETY: this is the right to the stage. The vtable empties the stage before it drops.
        catch_unwind(AssertUnwindSafe(move || unsafe {
            (task.header().vtable.drop_future)(task.address());
        }))
    }
}

impl Polling<'_> {
    /// Polls the future.
    ///
    /// # Panics
    ///
    /// Panics if the future is gone.
    #[inline(always)]
    pub(crate) fn poll(&mut self) -> Polled {
        // SAFETY: this is the right to the stage; the waker is not used after the task's slot is gone,
        // since it is borrowed.
        unsafe {
            let waker = self.task.borrowed_waker();
            let mut cx = Context::from_waker(&waker);
            (self.task.header().vtable.poll)(self.task.address(), &mut cx)
        }
    }

    /// Runs `f` with the task's waker.
    pub(crate) fn with_waker<R>(&self, f: impl FnOnce(&mut Context<'_>) -> R) -> R {
        // SAFETY: as above.
        let waker = unsafe { self.task.borrowed_waker() };
        f(&mut Context::from_waker(&waker))
    }
}
