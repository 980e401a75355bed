//! The raw waker: a counted reference to the task.

use super::Node;
use crate::task::current;
use crate::task::state::Action;
use std::ptr::NonNull;
use std::task::{RawWaker, RawWakerVTable, Waker};

pub(super) static WAKER: RawWakerVTable =
    RawWakerVTable::new(waker_clone, waker_wake, waker_wake_by_ref, waker_drop);

impl Node {
    /// Whether this is the task's own waker.
    #[inline]
    pub(crate) fn is_waker(self, waker: &Waker) -> bool {
        waker.data() == self.0.as_ptr().cast_const().cast() && std::ptr::eq(waker.vtable(), &WAKER)
    }

    /// Wakes the task, and gives a reference back.
    pub(crate) fn wake_and_release(self) {
        let (action, last) = self.state.wake_and_release();
        if last {
            self.free();
        } else if action == Action::Submit {
            self.submit();
        }
    }

    /// Wakes the task, as its waker does.
    pub(crate) fn wake(self) {
        if self.state.wake() == Action::Submit {
            self.submit();
        }
    }
}

/// Whether this wakes a task of the crate's: then waking it runs no code of the user's. `false` says
/// nothing.
#[inline]
pub(crate) fn is_tasks_own(waker: &Waker) -> bool {
    std::ptr::eq(waker.vtable(), &WAKER)
}

unsafe fn waker_node(data: *const ()) -> Node {
    // SAFETY: a waker's data is a slot's address, and the waker is a reference (rule 1).
    Node(unsafe { NonNull::new_unchecked(data.cast_mut().cast()) })
}

unsafe fn waker_clone(data: *const ()) -> RawWaker {
    // SAFETY: as the waker's.
    unsafe { waker_node(data) }.state.retain();
    RawWaker::new(data, &WAKER)
}

unsafe fn waker_wake(data: *const ()) {
    // SAFETY: as the waker's; this one was counted.
    unsafe { waker_node(data) }.wake_and_release();
}

unsafe fn waker_wake_by_ref(data: *const ()) {
    // SAFETY: as the waker's.
    let node = unsafe { waker_node(data) };
    if !current::note_wake(node) {
        node.wake();
    }
}

unsafe fn waker_drop(data: *const ()) {
    // SAFETY: as the waker's; this one was counted.
    unsafe { waker_node(data) }.release_reference();
}
