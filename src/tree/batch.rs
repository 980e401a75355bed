//! Siblings that are done, taken off their parent together: under one lock, in one step.
//!
//! A task that is done is no longer live, it is recorded, and its handle resolves, at once
//! ([`Batch::add`]). Only that its parent hears of it is put off: until then the task is still linked,
//! and still counted in the parent's word. Every walk passes over a task that is done and linked, and
//! limits do not count it, so that only the parent's own end shows the difference; and that must not
//! wait. Hence the rule for a thread that keeps a batch: it flushes the batch before it runs anything
//! else than a task with the same parent ([`Batch::waits_for`]). Such a task is not done yet, so the
//! parent could not be, nor could its turn come, whatever the batch keeps back.

use super::finish;
use super::settle::{settle, settle_quietly};
use crate::task::Live;
use crate::task::raw::{Finished, Pins};

/// Siblings that are taken off together, at most.
const MOST: usize = if cfg!(taskgrove_loom) { 2 } else { 64 };

/// Siblings that are done and still linked.
#[derive(Default)]
pub(crate) struct Batch {
    done: Vec<Finished>,
}

impl Batch {
    /// Finishes a task that this thread has made done, except that its parent hears of it.
    #[inline(always)]
    pub(crate) fn add(&mut self, mut task: Finished) {
        if self.done.len() == MOST || !self.waits_for(task.live()) {
            self.flush();
        }
        finish::announce(&mut task);
        self.done.push(task);
    }

    /// Whether there is nothing to be taken off.
    pub(crate) fn is_empty(&self) -> bool {
        self.done.is_empty()
    }

    /// Whether it is empty, or `task` is a sibling: then it may wait until `task` has run.
    #[inline]
    pub(crate) fn waits_for(&self, task: Live<'_>) -> bool {
        let first = self.done.first();
        first.is_none_or(|first| first.live().is_sibling(&task))
    }

    /// Takes them off their parent, and does what follows for that; `false` if there was nothing.
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

    /// As [`Batch::flush`], for a thread that has something in hand: user code is left to a job.
    #[inline]
    pub(crate) fn flush_quietly(&mut self) {
        if !self.done.is_empty()
            && let Some(parent) = self.unlink()
        {
            settle_quietly(parent.release());
        }
    }

    /// As [`Batch::flush`], except for the last step: returns their counts on the parent.
    pub(super) fn unlink(&mut self) -> Option<Pins> {
        Finished::take_off_all(&mut self.done)
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        self.flush_quietly();
    }
}
