//! The state word as an atomic: each transition is one compare-and-swap loop with acquire-release
//! ordering. Whatever was done before a transition is visible to whoever acts on a later one.

use super::{
    Action, CHILD, JOIN_INTEREST, JOIN_WAKER, Level, Mark, Phase, REF, Snapshot, Start, WAITERS,
};
use crate::sync::atomic::{AtomicWord, Ordering};

/// The word itself.
pub(crate) struct State(AtomicWord);

impl State {
    /// A task about to be queued: referenced by itself and by its handle, which may want the output.
    pub(crate) fn scheduled(interest: bool) -> Self {
        let interest = if interest { JOIN_INTEREST } else { 0 };
        Self(AtomicWord::new(
            Phase::Scheduled as u64 | interest | (2 * REF),
        ))
    }

    /// A root of roots: no future, kept open by one hold, referenced once.
    pub(crate) fn sentinel() -> Self {
        Self(AtomicWord::new(Phase::Closed as u64 | REF | CHILD))
    }

    #[inline]
    pub(crate) fn load(&self) -> Snapshot {
        Snapshot(self.0.load(Ordering::Acquire))
    }

    #[inline]
    fn update<R>(&self, f: impl Fn(Snapshot) -> (Snapshot, R)) -> (Snapshot, R) {
        let mut seen = self.0.load(Ordering::Relaxed);
        loop {
            let (next, result) = f(Snapshot(seen));
            match self
                .0
                .compare_exchange_weak(seen, next.0, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) => return (Snapshot(seen), result),
                Err(now) => seen = now,
            }
        }
    }

    #[inline]
    fn try_update<R>(
        &self,
        f: impl Fn(Snapshot) -> Option<(Snapshot, R)>,
    ) -> Option<(Snapshot, R)> {
        let mut seen = self.0.load(Ordering::Acquire);
        loop {
            let (next, result) = f(Snapshot(seen))?;
            match self
                .0
                .compare_exchange_weak(seen, next.0, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => return Some((Snapshot(seen), result)),
                Err(now) => seen = now,
            }
        }
    }

    /// A waker was woken. Also when nothing changes this is a write: the next poll sees what the
    /// waker's thread did before.
    #[inline]
    pub(crate) fn wake(&self) -> Action {
        self.update(Snapshot::wake).1
    }

    /// As [`State::wake`], with a reference given back in the same step; also says whether it was
    /// the last. (A task that is to be submitted has one left, its own.)
    #[inline]
    pub(crate) fn wake_and_release(&self) -> (Action, bool) {
        let (before, action) = self.update(|s| {
            let (next, action) = s.wake();
            (Snapshot(next.0 - REF), action)
        });
        (action, before.refs() == 1)
    }

    /// Taken from a queue.
    #[inline]
    pub(crate) fn start(&self) -> (Snapshot, Start) {
        self.update(Snapshot::start)
    }

    /// The poll returned `Pending`; `protected` is what holds from now on; `woken`: by its own code.
    #[inline]
    pub(crate) fn suspend(&self, protected: bool, woken: bool) -> Action {
        self.update(|s| s.suspend(protected, woken)).1
    }

    /// The future (and, without `cleanups`, every cleanup) is gone. Returns the word as it was.
    /// `woken`: by its own code; `count` and `uncount`: see [`State::finishing`].
    #[inline]
    pub(crate) fn end(
        &self,
        cleanups: bool,
        woken: bool,
        count: impl Fn(),
        uncount: impl Fn(),
    ) -> (Snapshot, Action) {
        self.finishing(|s| s.end(cleanups, woken), count, uncount)
    }

    /// A step that may make the task done. If it is about to, `count` is called before: whoever sees
    /// that the task is done sees that it is counted. `uncount` takes that back, should something
    /// else have come first. Until the step, its caller keeps the task from being done.
    #[inline]
    fn finishing(
        &self,
        step: impl Fn(Snapshot) -> (Snapshot, Action),
        count: impl Fn(),
        uncount: impl Fn(),
    ) -> (Snapshot, Action) {
        let mut counted = false;
        let mut seen = self.0.load(Ordering::Relaxed);
        loop {
            let (next, action) = step(Snapshot(seen));
            let finish = action == Action::Finish;
            if finish && !counted {
                count();
            } else if counted && !finish {
                uncount();
            }
            counted = finish;
            match self
                .0
                .compare_exchange_weak(seen, next.0, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) => return (Snapshot(seen), action),
                Err(now) => seen = now,
            }
        }
    }

    /// Cancels a task without children, if that needs no walk.
    #[inline]
    pub(crate) fn cancel_leaf(&self, at_once: bool) -> Option<Action> {
        self.try_update(|s| s.cancel_leaf(at_once))
            .map(|(_, action)| action)
    }

    /// Takes `holds` children or holds off, and decides in the same step what follows; `count` and
    /// `uncount`: see [`State::finishing`].
    #[inline]
    pub(crate) fn release(
        &self,
        holds: u64,
        count: impl Fn(),
        uncount: impl Fn(),
    ) -> (Snapshot, Action) {
        self.finishing(|s| s.release(holds), count, uncount)
    }

    /// A task that was never linked is done.
    pub(crate) fn refused(&self) {
        self.update(|s| (s.done(), ()));
    }

    /// Keeps the task from being done (and so linked and alive) until released.
    pub(crate) fn hold(&self) -> bool {
        self.try_update(|s| Some((s.hold()?, ()))).is_some()
    }

    /// Counts a new child; refused once closing or done.
    #[inline]
    pub(crate) fn adopt(&self) -> bool {
        self.try_update(|s| Some((s.adopt()?, ()))).is_some()
    }

    /// Raises the level; claims an idle task that is due (if `may_claim`), holds any other.
    #[inline]
    pub(crate) fn mark(&self, level: Level, grace: bool, may_claim: bool) -> (Snapshot, Mark) {
        self.update(|s| s.mark(level, grace, may_claim))
    }

    /// Ends a grace period, and holds the task: the release acts on the turn that this may bring.
    pub(crate) fn expire(&self) -> bool {
        self.try_update(|s| Some((s.expire()?, ()))).is_some()
    }

    /// The handle has put a waker into the join slot. `false`: done in between, it is still the
    /// handle's.
    pub(crate) fn set_join_waker(&self) -> bool {
        self.try_update(|s| (!s.is_done()).then_some((Snapshot(s.0 | JOIN_WAKER), ())))
            .is_some()
    }

    /// The handle takes the join slot back. `false`: done in between, it is the finisher's.
    pub(crate) fn unset_join_waker(&self) -> bool {
        self.try_update(|s| (!s.is_done()).then_some((Snapshot(s.0 & !JOIN_WAKER), ())))
            .is_some()
    }

    /// From now on whoever raises the level or finishes wakes the wait list. Returns the word
    /// after it: what happened before is seen there, what happens later sees the flag.
    pub(crate) fn set_waiters(&self) -> Snapshot {
        Snapshot(self.0.fetch_or(WAITERS, Ordering::AcqRel) | WAITERS)
    }

    /// One more reference; aborts the process at half the range.
    #[inline]
    pub(crate) fn retain(&self) {
        let old = Snapshot(self.0.fetch_add(REF, Ordering::Relaxed));
        if old.refs() > 1 << 23 {
            std::process::abort();
        }
    }

    /// One less; `true` for the last.
    #[inline]
    pub(crate) fn drop_reference(&self) -> bool {
        // Ours is the only one: nobody else can make another, no need to write.
        if self.load().refs() == 1 {
            return true;
        }
        Snapshot(self.0.fetch_sub(REF, Ordering::AcqRel)).refs() == 1
    }

    /// The handle goes. `None`: the task is done, the handle still has output and reference. With
    /// the join waker set: the waker and the reference are still the handle's; else both are gone.
    #[inline]
    pub(crate) fn detach(&self) -> Option<Snapshot> {
        self.try_update(|s| Some((s.detach()?, ())))
            .map(|(before, ())| before)
    }
}
