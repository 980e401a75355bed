//! Covered children: how they are counted in and out, and the end of a [`Cover`]. [`crate::task::cover`] has
//! the states and the proof.

use super::children::Children;
use super::header::{Header, kind};
use super::reference::TaskRef;
use super::rights::{Finished, Fresh, Live, Pin};
use crate::sync::Arc;
use crate::sync::atomic::{AtomicU32, Ordering};
use crate::task::cold::Cold;
use crate::task::cover::{Cover, CoverState};
use crate::task::requests::Requests;
use crate::task::state::MAX_COVERED;
use std::time::Duration;

/// The owner of a cover: the protection of a task. The cover is active until [`Covering::end`].
pub(crate) struct Covering {
    cover: Arc<Cover>,
    task: TaskRef,
}

impl Covering {
    /// Makes a cover of a task.
    pub(crate) fn new(task: Live<'_>) -> Covering {
        // A child is adopted under a lock, under which nothing is allocated.
        task.cold_or_new();
        Covering {
            cover: Arc::new(Cover::new(&task)),
            task: task.retain(),
        }
    }

    /// The cover, for a child.
    pub(crate) fn cover(&self) -> &Arc<Cover> {
        &self.cover
    }

    /// The task that is protected.
    pub(crate) fn task(&self) -> &TaskRef {
        &self.task
    }

    /// Ends the protection. If the task is being cancelled and covered children are left, this returns a pin
    /// of the task, and the cover, whose children a request has to mark; `hold` is dropped when the last of them
    /// is done. Otherwise it is dropped here.
    pub(crate) fn end(
        self,
        hold: impl FnOnce() -> Option<Box<dyn Send>>,
    ) -> Option<(Pin, Arc<Cover>)> {
        let Some(pin) = self.task.pin() else {
            // The task is done, and so are its children.
            self.cover.lift(0);
            return None;
        };
        if self.cover.children() > 0 {
            self.cover.set_hold(hold());
        }
        let requests = &pin.live().shared().requests;
        let called = Children::lock(pin.live().borrowed()).end_cover(&self.cover, requests);
        if called {
            return Some((pin, self.cover.clone()));
        }
        drop(self.cover.take_hold());
        None
    }
}

impl Drop for Covering {
    fn drop(&mut self) {
        debug_assert!(
            !self.cover.is_active() || std::thread::panicking(),
            "a protection ends by `end`"
        );
    }
}

impl Header {
    /// The number of the slot.
    pub(in crate::task) fn slot(&self) -> u32 {
        self.index.get()
    }
}

impl Cold {
    /// The task's own grace period. A task that was spawned in the grace of its parent has none: it ends
    /// with that.
    pub(crate) fn own_grace(&self) -> Option<Duration> {
        self.grace
            .filter(|_| !self.in_parents_grace.load(Ordering::Relaxed))
    }
}

impl<'a> Live<'a> {
    /// The cover that the task was spawned in, if it was spawned inside protection of its parent.
    #[inline]
    pub(crate) fn cover(self) -> Option<&'a Cover> {
        if self.is(kind::COVERED) {
            Some(&**self.cold()?.cover.get()?)
        } else {
            None
        }
    }

    /// Whether the protection is there that the task was spawned in.
    #[inline]
    pub(crate) fn is_covered(self) -> bool {
        self.cover().is_some_and(Cover::is_active)
    }

    /// As [`Live::cover`], if the protection has not ended or its end has asked for the cancellation.
    pub(crate) fn apart(self) -> Option<&'a Cover> {
        self.cover()
            .filter(|cover| !matches!(cover.state(), CoverState::Lifted(_)))
    }
}

impl Fresh<'_> {
    /// The task, for looks at its cold data and its record.
    fn live(&self) -> Live<'_> {
        // SAFETY: no other thread knows the task, and it owns its cold data, or a count of the record
        // that has it.
        unsafe { Live::new(self.0) }
    }

    /// Whether the task has a grace period of zero.
    fn opts_out_of_grace(&self) -> bool {
        let grace = self.live().cold().and_then(|cold| cold.grace);
        grace.is_some_and(|grace| grace.is_zero())
    }
}

impl Children<'_> {
    /// Counts in a child that was spawned inside protection, or below a task that was, or that a closing parent
    /// has refused; `false` if the parent refuses it.
    #[cold]
    pub(super) fn adopt_rarely(&self, child: &Fresh<'_>) -> bool {
        if !child.is(kind::COVERED) {
            return self.adopt_in_grace(child);
        }
        let cover = child.live().cover();
        let Some(cover) = cover.filter(|cover| cover.is_active()) else {
            // Once the protection has ended, the child is one like any other.
            return self.parent.state.adopt() || cover.is_none() && self.adopt_in_grace(child);
        };
        assert!(cover.is_of(&self.parent), "another task's cover");
        if !self.parent.state.cover() {
            return false;
        }
        // SAFETY: the step has seen the parent not done, and that stays so until the flag is cleared, which
        // happens under this lock.
        let parent = unsafe { Live::new(self.parent.raw()) };
        let covered = covered(parent);
        let now = covered.load(Ordering::Relaxed);
        // The flag was set before, if the count is not zero.
        if now >= MAX_COVERED {
            return false;
        }
        covered.store(now + 1, Ordering::Relaxed);
        cover.count_in();
        true
    }

    /// Counts in a child that is being cancelled from its birth, because the grace of its parent runs; `false`
    /// if it does not run, or if the child has opted out of grace.
    fn adopt_in_grace(&self, child: &Fresh<'_>) -> bool {
        if child.opts_out_of_grace() || !self.parent.state.adopt_in_grace() {
            return false;
        }
        if let Some(cold) = child.live().cold() {
            cold.in_parents_grace.store(true, Ordering::Relaxed);
        }
        child.state.begin_in_grace();
        child.set_swept();
        child.live().close_with_tree();
        true
    }

    /// Whether the parent would refuse a child, given that it has room.
    #[cold]
    pub(crate) fn refuses(&self, child: &Fresh<'_>) -> bool {
        let word = self.parent.word();
        let in_grace = word.in_grace() && !child.opts_out_of_grace();
        let closing = word.is_closing() && !in_grace;
        word.is_done() || closing && (word.is_killed() || !child.live().is_covered())
    }

    /// Counts a child out that is done; `true` if the parent counts it now by a pin.
    #[inline(always)]
    pub(super) fn count_out_covered(&self, child: Live<'_>) -> bool {
        !child.is(kind::COVERED) || self.uncover(child)
    }

    /// As [`Children::count_out_covered`], for several: how many the parent counts by pins now.
    #[cold]
    pub(super) fn count_all_out(&self, done: &[Finished]) -> u64 {
        let pinned = |child: &&Finished| self.count_out_covered(child.live());
        done.iter().filter(pinned).count() as u64
    }

    #[cold]
    fn uncover(&self, child: Live<'_>) -> bool {
        let Some(cover) = child.apart() else {
            return true;
        };
        // SAFETY: the child that is counted out here has kept the parent from being done until now.
        let parent = unsafe { Live::new(self.parent.raw()) };
        let covered = covered(parent);
        let left = covered.load(Ordering::Relaxed) - 1;
        covered.store(left, Ordering::Relaxed);
        cover.count(-1);
        if left == 0 {
            parent.state.uncover();
        }
        left == 0
    }

    /// Ends the protection of a cover. `true` if its task is being cancelled, and children are left: their
    /// cancellation is a request, which is marking from now on.
    fn end_cover(&self, cover: &Cover, requests: &Requests) -> bool {
        assert!(cover.is_of(&self.parent), "another task's cover");
        let count = cover.children();
        if count == 0 || !cover.is_active() {
            cover.lift(0);
            return false;
        }
        // SAFETY: it has a covered child, so it is not done.
        let parent = unsafe { Live::new(self.parent.raw()) };
        let covered = covered(parent);
        let left = covered.load(Ordering::Relaxed) - count;
        let called = !parent.state.lift(count.into(), left == 0);
        if called {
            cover.call(requests.begin());
        } else {
            covered.store(left, Ordering::Relaxed);
            cover.lift(requests.draw_for_end());
        }
        requests.settle();
        called
    }
}

/// The number of a task's covered children.
fn covered(task: Live<'_>) -> &AtomicU32 {
    let cold = task.cold().expect("made with the cover");
    &cold.covered
}

impl Finished {
    /// Drops what waits for the children of a cover, if this was the last of them. The task is unlinked.
    #[inline(always)]
    pub(super) fn drop_hold(&self) {
        if self.live().is(kind::COVERED) {
            self.drop_hold_of_cover();
        }
    }

    #[cold]
    fn drop_hold_of_cover(&self) {
        if let Some(cover) = self.live().cover() {
            drop(cover.take_hold_if_over());
        }
    }
}
