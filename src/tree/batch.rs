//! Siblings that are done, taken off their parent together: under one lock, in one step.
//!
//! A task that is done is counted as such, and its handle resolves, at once ([`Batch::add`]). Only its
//! removal from the parent is put off: until then the task is still linked, and still counted in the
//! parent's word. Every walk passes over a task that is done and linked, and limits do not count it, so
//! that only the parent's own end could be late. A thread that keeps a batch prevents that: it flushes
//! the batch before it runs anything but a task with the same parent ([`Batch::waits_for`]). Such a task
//! is not done yet, so the parent could neither be done nor have its turn, with or without the batch.
//!
//! While tasks wait for room under a parent ([`crate::task::room`]), none of its children is put off.

use super::finish;
use super::settle::{settle, settle_quietly};
use crate::sync::process::{AtomicUsize, Ordering};
use crate::task::Live;
use crate::task::raw::{Finished, Pins};

/// The greatest number of siblings that are taken off together.
const MOST: usize = if cfg!(taskgrove_loom) { 2 } else { 64 };

/// [`MOST`]; 0 once there was a wait for room in this process. Relaxed: what orders the looks at it is in
/// [`crate::task::room`].
static MOST_NOW: AtomicUsize = AtomicUsize::new(if cfg!(taskgrove_loom) { 0 } else { MOST });

/// The greatest number of siblings that are taken off together without a look at their parent.
#[inline(always)]
fn most() -> usize {
    MOST_NOW.load(Ordering::Relaxed)
}

/// Makes batches look from now on whether something waits for room under the parent. They then take a task off at
/// once.
pub(super) fn look_at_parents() {
    MOST_NOW.store(0, Ordering::Relaxed);
}

/// Siblings that are done and still linked.
#[derive(Default)]
pub(crate) struct Batch {
    done: Vec<Finished>,
}

impl Batch {
    /// Finishes a task that this thread has made done, except for its removal from the parent.
    #[inline(always)]
    pub(crate) fn add(&mut self, mut task: Finished) {
        if self.done.len() >= most() {
            return self.add_rarely(task);
        }
        if !self.waits_for(task.live()) {
            self.flush();
        }
        finish::announce(&mut task);
        self.done.push(task);
    }

    /// As [`Batch::add`], if the batch is full, or [`look_at_parents`] was called.
    #[cold]
    fn add_rarely(&mut self, mut task: Finished) {
        if self.done.len() >= MOST || !self.waits_for(task.live()) {
            self.flush();
        }
        finish::announce(&mut task);
        let is_watched = task
            .live()
            .parent()
            .is_some_and(|parent| parent.is_watched());
        self.done.push(task);
        if is_watched {
            self.flush();
        }
    }

    /// As [`Batch::add`], of a task that may wait: see [`Batch::waits_for`].
    #[inline(always)]
    pub(super) fn add_sibling(&mut self, mut task: Finished) {
        debug_assert!(self.waits_for(task.live()));
        if self.done.len() >= most() {
            return self.add_rarely(task);
        }
        finish::announce(&mut task);
        self.done.push(task);
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
