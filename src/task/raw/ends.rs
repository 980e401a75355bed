//! The end of a task: the *finisher*, the thread that made the task done, takes the join waker, drops an
//! outcome that no handle wants, and unlinks the task. Also how a new task ends that its parent refuses.

use super::children::Children;
use super::header::{Header, RawTask, STAGE_EMPTY, STAGE_VALUE, kind};
use super::rights::{Finished, Fresh, Live, Pin, Pins};
use crate::arena::counted::Counted;
use crate::error::JoinError;
use crate::panics::quietly;
use crate::sync::atomic::Ordering;
use crate::task::record::Record;
use crate::wait_list::KeptWaker;

impl RawTask {
    /// Drops the outcome, if there is one. A panic of its destructor is discarded.
    ///
    /// # Safety
    ///
    /// The caller owns the stage (rule 2).
    #[inline]
    pub(super) unsafe fn drop_output(self) {
        // SAFETY: the caller's.
        let header = unsafe { self.header() };
        if header.has_output() {
            // SAFETY: the caller's.
            quietly(|| unsafe { (header.vtable.drop_output)(self.address()) });
        }
    }
}

impl Header {
    /// Whether there is an outcome in the slot that has to be dropped.
    #[inline]
    fn has_output(&self) -> bool {
        match self.stage.load(Ordering::Relaxed) {
            STAGE_EMPTY => false,
            STAGE_VALUE => self.vtable.value_needs_drop,
            _ => true,
        }
    }
}

impl Finished {
    /// Whether there is an outcome that no handle wants.
    #[inline]
    pub(crate) fn has_unwanted_output(&self) -> bool {
        !self.flags().has_join_interest() && self.live().has_output()
    }

    /// Drops it.
    #[inline]
    pub(crate) fn drop_unwanted_output(&mut self) {
        if !self.flags().has_join_interest() {
            // SAFETY: no handle exists, so the stage is the finisher's (rule 2).
            unsafe { self.raw().drop_output() }
        }
    }

    /// The waker of the handle that waits.
    #[inline]
    pub(crate) fn take_join_waker(&mut self) -> Option<KeptWaker> {
        if !self.flags().has_join_waker() {
            return None;
        }
        // SAFETY: rule 3: the task was made done with the flag set.
        (self.live().join_waker).with_mut(|waker| unsafe { (*waker).take() })
    }

    /// Whether it is a sentinel that this is asked about for the first time.
    pub(in crate::task) fn counts_as_sentinel(&mut self) -> bool {
        let live = self.live();
        live.is(kind::SENTINEL) && live.count_out_once()
    }

    /// Unlinks the task from its parent. Returns the count that the parent has for it as a pin on the
    /// parent; `None` for a sentinel, and for a covered child if others are left.
    #[inline]
    pub(crate) fn take_off(self) -> Option<Pin> {
        let parent = self.live().parent().and_then(|parent| {
            let children = Children::lock(parent.borrowed());
            let pinned = children.unlink(&self);
            let room = children.vacated(parent);
            drop(children);
            if let Some(room) = room {
                room.pass_on();
            }
            pinned.then(|| parent.raw())
        });
        self.drop_hold();
        self.give_up();
        // The task is counted by its parent until this pin is released.
        parent.map(Pin)
    }

    /// As [`Finished::take_off`], for siblings. `None` if `done` is empty, too.
    ///
    /// # Panics
    ///
    /// Panics if they are not siblings, before any of them is unlinked.
    pub(crate) fn take_off_all(done: &mut Vec<Finished>) -> Option<Pins> {
        if let [_] = done[..] {
            done.pop()?.take_off().map(Pins::from)
        } else {
            Finished::take_off_several(done)
        }
    }

    #[inline(never)]
    fn take_off_several(done: &mut Vec<Finished>) -> Option<Pins> {
        let first = done.first()?;
        let parent = first.live().parent()?;
        let children = Children::lock(parent.borrowed());
        let pins = children.unlink_all(done);
        let room = children.vacated(parent);
        drop(children);
        if let Some(room) = room {
            room.pass_on();
        }
        if pins.is_some() {
            done.iter().for_each(Finished::drop_hold);
        }
        let pins = pins.unwrap_or(done.len() as u64);
        let parent = parent.raw();
        for task in done.drain(..) {
            task.give_up();
        }
        // As above; so many of them are counted.
        let more = pins.checked_sub(1)?;
        let first = Pin(parent);
        Some(Pins { first, more })
    }

    /// Drops the task's reference to itself, and a service's task's reference to its record.
    #[inline(always)]
    fn give_up(self) {
        let task = self.into_raw();
        // SAFETY: the task is done and unlinked, and this is its own reference.
        unsafe { task.give_own_up() }
    }
}

impl RawTask {
    /// As [`Finished::give_up`].
    ///
    /// # Safety
    ///
    /// The task is done and unlinked, or was never linked, and the caller owns its reference to itself.
    #[inline(always)]
    unsafe fn give_own_up(self) {
        // SAFETY: the reference is there until the end of this.
        unsafe {
            if self.header().is(kind::SERVICE) {
                self.give_record_up();
            }
            self.release_reference();
        }
    }

    /// Drops the reference that a service's task has to its record.
    ///
    /// # Safety
    ///
    /// As for [`RawTask::give_own_up`], and it is a service's task.
    unsafe fn give_record_up(self) {
        // SAFETY: rule 5; the pointer is the count that the task was spawned with.
        let record = unsafe {
            let record = Live::new(self).record().map(std::ptr::from_ref::<Record>);
            record.map(|record| Counted::from_raw(record))
        };
        quietly(|| drop(record));
    }
}

impl Fresh<'_> {
    /// Ends a task that is not linked: it is done without a poll, and its handle resolves to `Cancelled`.
    /// The future is dropped on this thread, as code of the calling task.
    pub(crate) fn refuse(self) {
        let task = self.into_raw();
        // SAFETY: no other thread has a right to it; the stage and the task's reference are the caller's.
        unsafe {
            quietly(|| (task.header().vtable.drop_future)(task.address()));
            task.store_error(JoinError::Cancelled);
            task.header().state.refused();
            task.give_own_up();
        }
    }
}
