//! [`Taken`]: the pin or the claim that a walk has on a task that it has met; and [`Handover`]: a cell from
//! which one of several threads takes it.

use super::header::{Header, RawTask};
use super::rights::{Claimed, Live, Pin};
use super::submit::hand_over;
use crate::sync::atomic::{AtomicPtr, Ordering};
use crate::task::shared::Job;
use std::mem::ManuallyDrop;
use std::ptr::{NonNull, null_mut};

/// A pin or a claim, in one word.
#[must_use]
pub(crate) struct Taken {
    /// The address of a pinned task; that of a claimed one plus 1.
    task: NonNull<Header>,
}

// SAFETY: as a `Pin` or a `Claimed`.
unsafe impl Send for Taken {}
// SAFETY: as above.
unsafe impl Sync for Taken {}

/// What a [`Taken`] is.
#[must_use]
pub(crate) enum Part {
    /// The task is pinned.
    Pinned(Pin),
    /// The task is claimed: it has no children.
    Claimed(Claimed),
}

impl From<Pin> for Taken {
    #[inline]
    fn from(pin: Pin) -> Taken {
        let task = pin.into_raw().address();
        Taken { task }
    }
}

impl From<Claimed> for Taken {
    #[inline]
    fn from(claimed: Claimed) -> Taken {
        let task = claimed.into_raw().address().map_addr(|a| a | 1);
        Taken { task }
    }
}

impl Taken {
    /// Whether it is a claim.
    #[inline]
    pub(crate) fn is_claimed(&self) -> bool {
        self.task.addr().get() & 1 == 1
    }

    fn raw(&self) -> RawTask {
        let address = self.task.as_ptr().map_addr(|address| address & !1);
        // SAFETY: headers are aligned: it is the address of one.
        RawTask(unsafe { NonNull::new_unchecked(address) })
    }

    /// The task.
    #[inline]
    pub(crate) fn live(&self) -> Live<'_> {
        // SAFETY: the pin or the claim is in this.
        unsafe { Live::new(self.raw()) }
    }

    /// Returns the pin or the claim.
    #[inline(always)]
    pub(crate) fn into_part(self) -> Part {
        let this = ManuallyDrop::new(self);
        if this.is_claimed() {
            Part::Claimed(Claimed(this.raw()))
        } else {
            Part::Pinned(Pin(this.raw()))
        }
    }

    /// Fetches the task into the cache.
    #[inline]
    pub(crate) fn prefetch(&self) {
        self.raw().prefetch();
    }
}

impl Drop for Taken {
    #[cold]
    fn drop(&mut self) {
        match (Taken { task: self.task }).into_part() {
            Part::Pinned(pin) => drop(pin),
            Part::Claimed(claimed) => hand_over(claimed, |shared, claimed| {
                shared.schedule().job(Job::Close(claimed));
            }),
        }
    }
}

/// A cell with a [`Taken`], which is taken out at most once.
pub(crate) struct Handover {
    /// Null once it was taken. Only the swaps race: other threads receive the cell through a queue, which
    /// publishes the first value.
    task: AtomicPtr<Header>,
}

impl Handover {
    /// Makes a cell with a pin or a claim in it.
    #[inline]
    pub(crate) fn new(taken: Taken) -> Handover {
        let taken = ManuallyDrop::new(taken);
        Handover {
            task: AtomicPtr::new(taken.task.as_ptr()),
        }
    }

    /// Takes the pin or the claim out; `None` if another thread has taken it.
    #[inline(always)]
    pub(crate) fn take(&self) -> Option<Part> {
        self.swap_out().map(Taken::into_part)
    }

    #[inline(always)]
    fn swap_out(&self) -> Option<Taken> {
        let task = NonNull::new(self.task.swap(null_mut(), Ordering::AcqRel))?;
        Some(Taken { task })
    }

    #[cold]
    fn give_back(&self) {
        drop(self.swap_out());
    }

    /// Fetches the task into the cache, if it is there.
    #[inline]
    pub(crate) fn prefetch(&self) {
        if let Some(task) = NonNull::new(self.task.load(Ordering::Relaxed)) {
            RawTask(task).prefetch();
        }
    }
}

impl Drop for Handover {
    #[inline]
    fn drop(&mut self) {
        // Relaxed: the last access of another thread happened before this.
        if !self.task.load(Ordering::Relaxed).is_null() {
            self.give_back();
        }
    }
}
