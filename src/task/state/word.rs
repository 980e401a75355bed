//! The state word as an atomic: each transition is one compare-and-swap loop with acquire-release
//! ordering. Whatever was done before a transition is visible to whoever acts on a later one.

use super::{
    Action, CHILD, JOIN_INTEREST, JOIN_WAKER, Level, Mark, Phase, REF, Start, WAITERS, Word,
};
use crate::sync::atomic::{AtomicWord, Ordering};

/// The word itself.
pub(crate) struct State(AtomicWord);

impl State {
    /// A task about to be queued: referenced by itself and by its handle, which may want the output.
    pub(in crate::task) fn scheduled(interest: bool) -> Self {
        let interest = if interest { JOIN_INTEREST } else { 0 };
        Self(AtomicWord::new(
            Phase::Scheduled as u64 | interest | (2 * REF),
        ))
    }

    /// A root of roots: no future, kept open by one pin, referenced once.
    pub(in crate::task) fn sentinel() -> Self {
        Self(AtomicWord::new(Phase::Closed as u64 | REF | CHILD))
    }

    #[inline]
    pub(crate) fn load(&self) -> Word {
        Word(self.0.load(Ordering::Acquire))
    }

    #[inline]
    fn update<R>(&self, f: impl Fn(Word) -> (Word, R)) -> (Word, R) {
        let mut seen = self.0.load(Ordering::Relaxed);
        loop {
            let (next, result) = f(Word(seen));
            match self
                .0
                .compare_exchange_weak(seen, next.0, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) => return (Word(seen), result),
                Err(now) => seen = now,
            }
        }
    }

    #[inline]
    fn try_update<R>(&self, f: impl Fn(Word) -> Option<(Word, R)>) -> Option<(Word, R)> {
        let mut seen = self.0.load(Ordering::Acquire);
        loop {
            let (next, result) = f(Word(seen))?;
            match self
                .0
                .compare_exchange_weak(seen, next.0, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => return Some((Word(seen), result)),
                Err(now) => seen = now,
            }
        }
    }

    /// A waker was woken. Also when nothing changes this is a write: the next poll sees what the
    /// waker's thread did before.
    #[inline]
    pub(in crate::task) fn wake(&self) -> Action {
        self.update(Word::wake).1
    }

    /// As [`State::wake`], with a reference given back in the same step; also says whether it was
    /// the last. (A task that is to be submitted has one left, its own.)
    #[inline]
    pub(in crate::task) fn wake_and_release(&self) -> (Action, bool) {
        let (before, action) = self.update(|s| {
            let (next, action) = s.wake();
            (Word(next.0 - REF), action)
        });
        (action, before.refs() == 1)
    }

    /// Taken from a queue.
    #[inline]
    pub(in crate::task) fn start(&self) -> (Word, Start) {
        self.update(Word::start)
    }

    /// The poll returned `Pending`; `protected` is what holds from now on; `woken`: by its own code.
    #[inline]
    pub(in crate::task) fn suspend(&self, protected: bool, woken: bool) -> Action {
        self.update(|s| s.suspend(protected, woken)).1
    }

    /// The future (and, without `cleanups`, every cleanup) is gone; `woken`: by its own code.
    /// Returns the word as it was. `finishes`: see [`State::finishing`].
    #[inline]
    pub(in crate::task) fn end(
        &self,
        cleanups: bool,
        woken: bool,
        finishes: impl FnMut(bool),
    ) -> (Word, Action) {
        self.finishing(|s| s.end(cleanups, woken), finishes)
    }

    /// A step that may make the task done. Before each attempt `finishes` learns whether this one
    /// would: it counts the task as done before others can see that it is, and takes the count back
    /// if another thread's step came first. Until the step the caller keeps the task from being done.
    #[inline]
    fn finishing(
        &self,
        step: impl Fn(Word) -> (Word, Action),
        mut finishes: impl FnMut(bool),
    ) -> (Word, Action) {
        let mut seen = self.0.load(Ordering::Relaxed);
        loop {
            let (next, action) = step(Word(seen));
            finishes(action == Action::Finish);
            match self
                .0
                .compare_exchange_weak(seen, next.0, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) => return (Word(seen), action),
                Err(now) => seen = now,
            }
        }
    }

    /// Cancels a task without children, if that needs no walk.
    #[inline]
    pub(in crate::task) fn cancel_leaf(&self, at_once: bool) -> Option<Action> {
        self.try_update(|s| s.cancel_leaf(at_once))
            .map(|(_, action)| action)
    }

    /// Takes `pins` children or pins off, and decides in the same step what follows. `finishes`: see
    /// [`State::finishing`].
    #[inline]
    pub(in crate::task) fn release(&self, pins: u64, finishes: impl FnMut(bool)) -> (Word, Action) {
        self.finishing(|s| s.release(pins), finishes)
    }

    /// A task that was never linked is done.
    pub(in crate::task) fn refused(&self) {
        self.update(|s| (s.done(), ()));
    }

    /// Keeps the task from being done (and so linked and alive) until released.
    pub(in crate::task) fn pin(&self) -> bool {
        self.try_update(|s| Some((s.pin()?, ()))).is_some()
    }

    /// Counts a new child; refused once closing or done.
    #[inline]
    pub(in crate::task) fn adopt(&self) -> bool {
        self.try_update(|s| Some((s.adopt()?, ()))).is_some()
    }

    /// Raises the level; claims an idle task that is due (if `may_claim`), pins any other.
    #[inline]
    pub(in crate::task) fn mark(&self, level: Level, grace: bool, may_claim: bool) -> (Word, Mark) {
        self.update(|s| s.mark(level, grace, may_claim))
    }

    /// Ends a grace period, and pins the task: the release acts on the turn that this may bring.
    pub(in crate::task) fn expire(&self) -> bool {
        self.try_update(|s| Some((s.expire()?, ()))).is_some()
    }

    /// The handle has put a waker into the join slot. `false`: done in between, it is still the
    /// handle's.
    pub(in crate::task) fn set_join_waker(&self) -> bool {
        self.try_update(|s| (!s.is_done()).then_some((Word(s.0 | JOIN_WAKER), ())))
            .is_some()
    }

    /// The handle takes the join slot back. `false`: done in between, it is the finisher's.
    pub(in crate::task) fn unset_join_waker(&self) -> bool {
        self.try_update(|s| (!s.is_done()).then_some((Word(s.0 & !JOIN_WAKER), ())))
            .is_some()
    }

    /// From now on whoever raises the level or finishes wakes the wait list. Returns the word
    /// after it: what happened before is seen there, what happens later sees the flag.
    pub(in crate::task) fn set_waiters(&self) -> Word {
        Word(self.0.fetch_or(WAITERS, Ordering::AcqRel) | WAITERS)
    }

    /// One more reference; aborts the process at half the range.
    #[inline]
    pub(in crate::task) fn retain(&self) {
        let old = Word(self.0.fetch_add(REF, Ordering::Relaxed));
        if old.refs() > 1 << 23 {
            std::process::abort();
        }
    }

    /// One less; `true` for the last.
    #[inline]
    pub(in crate::task) fn drop_reference(&self) -> bool {
        // Ours is the only one: nobody else can make another, no need to write.
        if self.load().refs() == 1 {
            return true;
        }
        Word(self.0.fetch_sub(REF, Ordering::AcqRel)).refs() == 1
    }

    /// The handle goes. `None`: the task is done, the handle still has output and reference. With
    /// the join waker set: the waker and the reference are still the handle's; else both are gone.
    #[inline]
    pub(in crate::task) fn detach(&self) -> Option<Word> {
        self.try_update(|s| Some((s.detach()?, ())))
            .map(|(before, ())| before)
    }
}
