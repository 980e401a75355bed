//! The waker of a task, which is a counted reference to it, and what waking does.
//!
//! A clone of a waker keeps the task's slot (rule 1 of [`super`]): the slot's address is the waker's data,
//! and a wake reads the state word in it. The word says whether the wake still matters.

use super::header::{Borrowed, RawTask};
use super::rights::Queued;
use crate::task::current;
use crate::task::state::Action;
use std::ptr::NonNull;
use std::task::{RawWaker, RawWakerVTable, Waker};

pub(super) static WAKER: RawWakerVTable =
    RawWakerVTable::new(waker_clone, waker_wake, waker_wake_by_ref, waker_drop);

impl Borrowed<'_> {
    /// Whether this is the task's own waker.
    #[inline]
    pub(crate) fn is_waker(self, waker: &Waker) -> bool {
        waker.data() == self.0.address().as_ptr().cast_const().cast()
            && std::ptr::eq(waker.vtable(), &WAKER)
    }

    /// Wakes the task by a step of its state word.
    pub(crate) fn wake(self) {
        if self.state.wake() == Action::Submit {
            Queued(self.0).submit();
        }
    }

    /// As [`wake`](Borrowed::wake), and returns the task if the caller has to put it into a queue, or to start it.
    #[cfg(feature = "blocking")]
    pub(crate) fn schedule(self) -> Option<Queued> {
        (self.state.wake() == Action::Submit).then(|| Queued(self.0))
    }
}

/// Whether this is the waker of one of the crate's tasks, so that waking it runs no user code. A `false`
/// does not mean that waking it does.
#[inline]
pub(crate) fn is_tasks_own(waker: &Waker) -> bool {
    std::ptr::eq(waker.vtable(), &WAKER)
}

/// Returns the task of a waker.
///
/// # Safety
///
/// `data` is that of a waker with the table [`WAKER`].
unsafe fn waker_task(data: *const ()) -> RawTask {
    // SAFETY: a waker's data is a slot's address.
    RawTask(unsafe { NonNull::new_unchecked(data.cast_mut().cast()) })
}

unsafe fn waker_clone(data: *const ()) -> RawWaker {
    // SAFETY: the waker is a reference (rule 1); the new one is the new waker's.
    unsafe { waker_task(data).header() }.state.retain();
    RawWaker::new(data, &WAKER)
}

unsafe fn waker_wake(data: *const ()) {
    // SAFETY: the waker is a reference, which this step gives back: if it was the last, the slot is
    // freed; if the task was scheduled, it has its own.
    unsafe {
        let task = waker_task(data);
        let (action, last) = task.header().state.wake_and_release();
        if last {
            task.free();
        } else if action == Action::Submit {
            Queued(task).submit();
        }
    }
}

unsafe fn waker_wake_by_ref(data: *const ()) {
    // SAFETY: the waker is a reference for the length of the call.
    let task = unsafe { waker_task(data).borrowed() };
    if !current::note_wake(task) {
        task.wake();
    }
}

unsafe fn waker_drop(data: *const ()) {
    // SAFETY: the waker is a reference, and it goes.
    unsafe { waker_task(data).release_reference() }
}
