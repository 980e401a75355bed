//! Siblings that are done, taken off their parent together: under one lock, in one step.
//!
//! A task that is done is counted as such, and its handle resolves, at once ([`Batch::add`]). Only its
//! removal from the parent is put off: until then the task is still linked, and still counted in the
//! parent's word. Every walk passes over a task that is done and linked, and limits do not count it, so
//! that only the parent's own end could be late. A thread that keeps a batch prevents that: it flushes
//! the batch before it runs anything but a task with the same parent ([`Batch::waits_for`]). Such a task
//! is not done yet, so the parent could neither be done nor have its turn, with or without the batch.
//!
//! While tasks wait for room under a parent ([`crate::task::room`]), none of its supervised children is put off.

use super::finish;
use super::settle::{settle, settle_quietly};
use crate::task::raw::{Finished, Pins};
use crate::task::{Live, kind};

/// The greatest number of siblings that are taken off together.
const MOST: usize = if cfg!(any(taskgrove_loom, taskgrove_short_steps)) {
    2
} else {
    64
};

/// Whether a task may wait for the place that this one leaves. Its parent says whether one does.
#[inline(always)]
fn is_room_awaited(task: Live<'_>) -> bool {
    task.is(kind::SUPERVISED) && task.shared().room_mark.is_set()
}

/// Siblings that are done and still linked.
#[derive(Default)]
pub(crate) struct Batch {
    done: Vec<Finished>,
}

impl Batch {
    /// Finishes a task that this thread has made done, except for its removal from the parent.
    #[inline(always)]
    pub(crate) fn add(&mut self, task: Finished) {
        if !self.waits_for(task.live()) {
            self.flush();
        }
        self.add_sibling(task);
    }

    /// As [`Batch::add`], of a task that may wait: see [`Batch::waits_for`].
    #[inline(always)]
    pub(super) fn add_sibling(&mut self, mut task: Finished) {
        debug_assert!(self.waits_for(task.live()));
        finish::announce(&mut task);
        if self.done.len() == self.done.capacity() || is_room_awaited(task.live()) {
            return self.push_rarely(task);
        }
        self.done.push(task);
    }

    /// Adds a task to a batch that is full, or has no memory, or a task whose place may be waited for.
    #[cold]
    fn push_rarely(&mut self, task: Finished) {
        if self.done.len() >= MOST {
            self.flush();
        }
        if self.done.capacity() == 0 {
            self.done.reserve_exact(MOST);
        }
        let is_watched = is_room_awaited(task.live())
            && (task.live().parent()).is_some_and(|parent| parent.is_watched());
        self.done.push(task);
        if is_watched {
            self.flush();
        }
    }

    /// Whether there is nothing to be taken off.
    pub(crate) fn is_empty(&self) -> bool {
        self.done.is_empty()
    }

    /// Whether the batch may wait until `task` has run: it is empty, or `task` is a sibling.
    #[inline]
    pub(crate) fn waits_for(&self, task: Live<'_>) -> bool {
        let first = self.done.first();
        first.is_none_or(|first| first.live().is_sibling(&task))
    }

    /// Takes the tasks off their parent, and does what follows for the parent; `false` if there were none.
    #[inline]
    pub(crate) fn flush(&mut self) -> bool {
        !self.done.is_empty() && self.take_off()
    }

    fn take_off(&mut self) -> bool {
        let Some(parent) = self.unlink() else {
            return false;
        };
        settle(parent.release());
        true
    }

    /// As [`Batch::flush`], for a thread that has another right or pin in hand: a job runs the user code.
    #[inline]
    pub(crate) fn flush_quietly(&mut self) {
        if !self.done.is_empty()
            && let Some(parent) = self.unlink()
        {
            settle_quietly(parent.release());
        }
    }

    /// Unlinks the tasks, and returns their counts on the parent, which the caller has to release.
    pub(super) fn unlink(&mut self) -> Option<Pins> {
        Finished::take_off_all(&mut self.done)
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        self.flush_quietly();
    }
}
