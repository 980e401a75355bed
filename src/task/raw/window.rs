//! [`Window`]: shows other threads which task a worker polls, and since when.
//!
//! A thread that looks pins the task under the window's lock, and the polling thread takes the same lock to
//! hide the task before its poll ends. So what is shown is polled, and thus counted by its parent, until
//! the looking thread has pinned it.

use super::header::{Header, RawTask};
use super::rights::{Live, Pin};
use crate::id::TaskId;
use crate::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use crate::sync::{ByteGuard, ByteLock};
use std::ptr::{NonNull, null_mut};

/// The task that one worker polls. Any thread may look.
pub(crate) struct Window {
    lock: ByteLock,
    /// The task, or null. Written and read under the lock, whose acquire and release order the accesses:
    /// Relaxed suffices.
    task: AtomicPtr<Header>,
    /// When the poll began, in nanoseconds of the runtime's clock. As `task`.
    began_ns: AtomicU64,
}

impl Window {
    pub(crate) fn new() -> Self {
        Window {
            lock: ByteLock::new(),
            task: AtomicPtr::new(null_mut()),
            began_ns: AtomicU64::new(0),
        }
    }

    /// Shows a task as long as `f` runs.
    pub(crate) fn show<R>(&self, task: Live<'_>, began_ns: u64, f: impl FnOnce() -> R) -> R {
        struct Hide<'a>(&'a Window, *mut Header);
        impl Drop for Hide<'_> {
            fn drop(&mut self) {
                let window = self.0;
                let _lock = window.lock.lock();
                // If two threads shared a window, the other one's task would stay.
                if window.task.load(Ordering::Relaxed) == self.1 {
                    window.task.store(null_mut(), Ordering::Relaxed);
                }
            }
        }
        let address = task.raw().address().as_ptr();
        {
            let _lock = self.lock.lock();
            self.task.store(address, Ordering::Relaxed);
            self.began_ns.store(began_ns, Ordering::Relaxed);
        }
        let _hide = Hide(self, address);
        f()
    }

    /// Pins the task that is shown, and returns it with the time at which its poll began.
    pub(crate) fn pin(&self) -> Option<(Pin, u64)> {
        let lock = self.lock.lock();
        let (task, began) = self.shown(&lock)?;
        Some((task.borrowed().pin()?, began))
    }

    /// Returns the id of the task that is shown, and the time at which its poll began.
    pub(crate) fn id(&self) -> Option<(TaskId, u64)> {
        let lock = self.lock.lock();
        let (task, began) = self.shown(&lock)?;
        Some((task.id(), began))
    }

    /// Returns the task that is shown, as long as the lock is held.
    fn shown<'a>(&self, _: &'a ByteGuard<'_>) -> Option<(Live<'a>, u64)> {
        let task = RawTask(NonNull::new(self.task.load(Ordering::Relaxed))?);
        let began = self.began_ns.load(Ordering::Relaxed);
        // SAFETY: the caller of `show` has a `Live` of the task until that returns, and it does not
        // return before the lock is free and the task is hidden.
        Some((unsafe { Live::new(task) }, began))
    }
}
