//! [`TaskRef`]: a counted reference, which keeps a task's slot from being freed, but not the task from
//! being done. Also how the last reference frees the slot.

use super::header::{Borrowed, Header, RawTask, kind};
use crate::arena::ARENA;
use crate::panics::quietly;
use crate::sync::atomic::{AtomicPtr, Ordering};
use crate::task::cold::Cold;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::ptr::{NonNull, null_mut};

impl RawTask {
    /// Gives one reference back.
    ///
    /// # Safety
    ///
    /// The caller owns the reference, and does not use it again.
    #[inline(always)]
    pub(super) unsafe fn release_reference(self) {
        // SAFETY: the reference is there until the step.
        if unsafe { self.header() }.state.drop_reference() {
            // SAFETY: it was the last.
            unsafe { self.free() }
        }
    }

    /// Frees the slot.
    ///
    /// # Safety
    ///
    /// The last reference is gone.
    #[inline(always)]
    pub(super) unsafe fn free(self) {
        // SAFETY: the slot is the caller's.
        let header = unsafe { self.header() };
        let cold = header.cold.load(Ordering::Acquire);
        if cold.addr() & 1 == 1 && !header.is(kind::SERVICE) {
            // SAFETY: an odd address is that of a `Box`, except in a service's task. The last
            // reference is gone, so that no thread reads it any more.
            unsafe { free_cold(cold) };
        }
        let index = header.index;
        header.life.end();
        // SAFETY: the last reference is gone (rule 1). The header's fields need no drop: the join waker
        // was taken by its last owner. The stage is empty, or a value without a drop.
        unsafe { ARENA.free(index) }
    }
}

#[inline(never)]
unsafe fn free_cold(cold: *mut u8) {
    // SAFETY: the caller's.
    let cold = unsafe { Box::from_raw(cold.map_addr(|address| address & !1).cast::<Cold>()) };
    quietly(|| drop(cold));
}

/// A counted reference to a task, which may be done.
pub(crate) struct TaskRef(pub(super) RawTask);

// SAFETY: as a `&Header`, which it keeps.
unsafe impl Send for TaskRef {}
// SAFETY: as above.
unsafe impl Sync for TaskRef {}

impl TaskRef {
    /// The task, for the lifetime of this reference.
    #[inline]
    pub(crate) fn borrowed(&self) -> Borrowed<'_> {
        // SAFETY: the reference keeps the slot.
        unsafe { self.0.borrowed() }
    }

    /// Returns the pointer. The caller has to give the reference back.
    pub(super) fn into_raw(self) -> RawTask {
        ManuallyDrop::new(self).0
    }
}

impl Borrowed<'_> {
    /// Counts another reference.
    #[inline]
    pub(crate) fn retain(self) -> TaskRef {
        self.state.retain();
        TaskRef(self.0)
    }
}

impl Clone for TaskRef {
    fn clone(&self) -> Self {
        self.borrowed().retain()
    }
}

impl Drop for TaskRef {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: this is the reference.
        unsafe { self.0.release_reference() }
    }
}

impl PartialEq for TaskRef {
    fn eq(&self, other: &TaskRef) -> bool {
        self.0 == other.0
    }
}

impl Deref for TaskRef {
    type Target = Header;

    #[inline]
    fn deref(&self) -> &Header {
        // SAFETY: the reference keeps the slot.
        unsafe { self.0.header() }
    }
}

/// A place for a reference that is set once.
pub(crate) struct OnceTaskRef {
    /// Null until it is set: the store releases what was written before, each load acquires it.
    task: AtomicPtr<Header>,
}

impl OnceTaskRef {
    pub(crate) fn new() -> Self {
        OnceTaskRef {
            task: AtomicPtr::new(null_mut()),
        }
    }

    /// Sets the reference.
    ///
    /// # Panics
    ///
    /// If it is set already.
    pub(crate) fn set(&self, task: TaskRef) {
        let before = self.task.load(Ordering::Relaxed);
        assert!(before.is_null(), "a service is started once");
        self.task
            .store(task.into_raw().0.as_ptr(), Ordering::Release);
    }

    /// The task; `None` until it is set.
    #[inline]
    pub(crate) fn get(&self) -> Option<Borrowed<'_>> {
        let task = NonNull::new(self.task.load(Ordering::Acquire))?;
        // SAFETY: the reference is there as long as this is.
        Some(unsafe { RawTask(task).borrowed() })
    }
}

impl Drop for OnceTaskRef {
    fn drop(&mut self) {
        if let Some(task) = NonNull::new(self.task.load(Ordering::Acquire)) {
            drop(TaskRef(RawTask(task)));
        }
    }
}
