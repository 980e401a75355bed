//! [`Cover`]: one protection of a task, and the children that were spawned inside it.
//!
//! A child that is spawned by code in a shield, in the cleanup of a `finally`, or in a deferred cleanup
//! is *covered*. It belongs to the outermost of these protections around that code. A cancellation of the
//! parent, or of anything above, passes over it and what is below it as long as the cover is there, and a
//! parent that is being cancelled adopts it. A kill passes over nothing.
//!
//! # States
//!
//! | state | since | where its children are counted | a walk of a cancellation |
//! |---|---|---|---|
//! | active | the first child | covered | passes over them |
//! | lifted | the protection ended, and the parent was not closing | children of the parent's word | marks them |
//! | called | the protection ended, and the parent was closing | covered | passes over them, except the one that was asked for then |
//!
//! The state word of the parent shows in `COVERS` whether a covered child is left, and
//! [`Cold::covered`](super::cold::Cold) is their number. They do not keep the parent's turn away: else
//! a loop of shields would keep it away for ever, each with a child that outlives it. But the parent is
//! neither due nor done before them.
//!
//! # Lock
//!
//! The cover's state and its number of children change under the lock of the parent's children, and the
//! two steps that set and clear `COVERS` are made under it, too. So the count and the flag agree whenever
//! the lock is free.
//!
//! # Why no child escapes
//!
//! A walk raises the level of the parent, and then visits its children under the lock. The end of a
//! protection changes the state of its cover under the lock, by one step of the parent's word that fails
//! if the parent is closing; then it asks for a walk that is about the children of the cover alone, and for
//! which their grace periods count from that moment. If the level was raised before the step, that walk
//! marks the children. If it was raised later, the visit comes later, too: the cover is lifted by then, and
//! the first walk marks them.
//!
//! A covered child is adopted under the lock, as long as the cover is active and the parent is not killed.
//! So the end of the protection finds the child, and so does a kill, for the reason in
//! [`crate::tree::spawn`].

use super::raw::header::Header;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::timer_queue::TimerKey;

/// The state of a cover.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum CoverState {
    /// The protection is there.
    Active,
    /// It has ended, with this number, and its children are ordinary ones.
    Lifted(u64),
    /// It has ended while its task was being cancelled: the request with this number asks for the
    /// cancellation of its children.
    Called(u64),
}

const ACTIVE: u64 = 0;
/// Flag beside the number of the end of a protection that has asked for nothing.
const LIFTED: u64 = 1 << 63;

/// One protection of a task, and the children that were spawned inside it.
pub(crate) struct Cover {
    /// The slot of the task. The task's reference to itself or that of the cover's owner keeps the slot
    /// while the cover is active.
    parent: u32,
    /// [`ACTIVE`], [`LIFTED`] and a number, or the number of the request. Written under the lock of the parent's
    /// children (Release); a thread that looks at the ancestors of a task reads it without (Acquire).
    state: AtomicU64,
    /// The number of children that are linked. Under that lock: Relaxed.
    children: AtomicU32,
    /// The number of children that are linked and not done. Added to under that lock (Relaxed), and taken off
    /// by the thread that finishes a child (AcqRel).
    unfinished: AtomicU32,
    /// The next end of a grace period of the cancellation that the end of the protection has asked for. It is
    /// of no use once the last child is done.
    timer: Mutex<Option<TimerKey>>,
    /// Dropped when the protection has ended and its last child is done: what waits for the children.
    hold: Mutex<Option<Box<dyn Send>>>,
}

impl Cover {
    /// Makes a cover of a task.
    pub(super) fn new(parent: &Header) -> Cover {
        Cover {
            parent: parent.slot(),
            state: AtomicU64::new(ACTIVE),
            children: AtomicU32::new(0),
            unfinished: AtomicU32::new(0),
            timer: Mutex::new(None),
            hold: Mutex::new(None),
        }
    }

    /// Whether it is a cover of this task.
    pub(crate) fn is_of(&self, task: &Header) -> bool {
        self.parent == task.slot()
    }

    /// The state now.
    pub(crate) fn state(&self) -> CoverState {
        match self.state.load(Ordering::Acquire) {
            ACTIVE => CoverState::Active,
            lifted if lifted & LIFTED != 0 => CoverState::Lifted(lifted & !LIFTED),
            request => CoverState::Called(request),
        }
    }

    /// The state at the time of this number: an end that has a later one had not come.
    pub(crate) fn state_at(&self, number: u64) -> CoverState {
        match self.state() {
            CoverState::Lifted(end) | CoverState::Called(end) if end > number => CoverState::Active,
            state => state,
        }
    }

    /// Whether the protection is there.
    pub(crate) fn is_active(&self) -> bool {
        self.state() == CoverState::Active
    }

    /// Notes that the protection has ended with this number, and that its children are ordinary ones.
    pub(super) fn lift(&self, number: u64) {
        self.state.store(LIFTED | number, Ordering::Release);
    }

    /// Notes that the protection has ended, and that this request asks for the cancellation of its
    /// children.
    pub(super) fn call(&self, request: u64) {
        self.state.store(request, Ordering::Release);
    }

    /// The number of children that are linked. Exact under the lock.
    pub(crate) fn children(&self) -> u32 {
        self.children.load(Ordering::Relaxed)
    }

    /// Adds to the number of children, under the lock.
    pub(super) fn count(&self, change: i32) {
        let now = self.children().wrapping_add_signed(change);
        self.children.store(now, Ordering::Relaxed);
    }

    /// Counts a child in, under the lock.
    pub(super) fn count_in(&self) {
        self.count(1);
        self.unfinished.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes that a child is done. Returns the timer if that was the last one.
    pub(crate) fn child_done(&self) -> Option<TimerKey> {
        let last = self.unfinished.fetch_sub(1, Ordering::AcqRel) == 1;
        let over = last && matches!(self.state(), CoverState::Called(_));
        over.then(|| self.timer.lock().take()).flatten()
    }

    /// Whether all children are done, of a cover whose protection has ended.
    pub(crate) fn is_over(&self) -> bool {
        self.unfinished.load(Ordering::Acquire) == 0
    }

    /// Keeps a timer until the last child is done. There is one at a time: an earlier one has fired (maybe
    /// before its key came here). Returns a timer that is of no use any more.
    pub(crate) fn keep_timer(&self, key: TimerKey) -> Option<TimerKey> {
        key.put_if_latest(&mut self.timer.lock());
        // Either this sees that the last child is done, or the thread that finishes it sees the timer: both take
        // the lock in between.
        let over = self.is_over();
        over.then(|| self.timer.lock().take()).flatten()
    }

    /// Keeps `hold` until the last child is done, or the hold is taken back.
    pub(super) fn set_hold(&self, hold: Option<Box<dyn Send>>) {
        let old = std::mem::replace(&mut *self.hold.lock(), hold);
        drop(old);
    }

    /// Takes the hold out.
    pub(super) fn take_hold(&self) -> Option<Box<dyn Send>> {
        self.hold.lock().take()
    }

    /// Takes the hold out if the protection has ended and no child is left. Called by the thread that has
    /// unlinked a child.
    pub(super) fn take_hold_if_over(&self) -> Option<Box<dyn Send>> {
        let over = self.children() == 0 && matches!(self.state(), CoverState::Called(_));
        over.then(|| self.take_hold()).flatten()
    }
}
