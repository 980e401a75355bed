//! The state word as an atomic: each transition is a compare-and-swap loop with acquire-release ordering.
//! A thread that acts on a transition sees what was done before each earlier one.

use super::{
    Action, CHILD, GRACE, JOIN_INTEREST, JOIN_WAKER, LEVEL_SHIFT, Level, Mark, Phase, REF, Start,
    WAITERS, Word,
};
use crate::sync::atomic::{AtomicWord, Ordering};

/// The state word of a task.
pub(crate) struct State(AtomicWord);

impl State {
    /// The word of a new task, which is referenced by itself and by its handle. `interest`: the handle
    /// owns the output.
    pub(in crate::task) fn scheduled(interest: bool) -> Self {
        let interest = if interest { JOIN_INTEREST } else { 0 };
        Self(AtomicWord::new(
            Phase::Scheduled as u64 | interest | (2 * REF),
        ))
    }

    /// The word of a sentinel: it has no future, one reference, and one pin that keeps it open.
    pub(in crate::task) fn sentinel() -> Self {
        Self(AtomicWord::new(Phase::Closed as u64 | REF | CHILD))
    }

    /// The word now.
    #[inline]
    pub(crate) fn load(&self) -> Word {
        Word(self.0.load(Ordering::Acquire))
    }

    /// As [`State::load`], by a read-modify-write: each later step sees what this thread did before.
    pub(in crate::task) fn load_in_order(&self) -> Word {
        Word(self.0.fetch_or(0, Ordering::AcqRel))
    }

    /// Applies `f` in a compare-and-swap loop. Returns the word before, and the result.
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

    /// As [`State::update`], unless `f` returns `None`. Then nothing is written.
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

    /// Wakes the task. This writes even if the word does not change, so that the next poll sees what the
    /// waking thread did before.
    #[inline]
    pub(in crate::task) fn wake(&self) -> Action {
        self.update(Word::wake).1
    }

    /// As [`State::wake`], and gives a reference back in the same step. Also returns whether it was the
    /// last one; it is not if the task is to be submitted, since that has a reference to itself.
    #[inline]
    pub(in crate::task) fn wake_and_release(&self) -> (Action, bool) {
        let (before, action) = self.update(|s| {
            let (next, action) = s.wake();
            (Word(next.0 - REF), action)
        });
        (action, before.refs() == 1)
    }

    /// A worker has taken the task from a queue. Returns the word before, and what to do.
    #[inline]
    pub(in crate::task) fn start(&self) -> (Word, Start) {
        // The step of a task that is not closing is one for which nothing has to be decided.
        let seen = Word(self.0.load(Ordering::Relaxed));
        if !seen.is_closing() {
            let next = seen.with_phase(Phase::Running);
            let swapped =
                (self.0).compare_exchange_weak(seen.0, next.0, Ordering::AcqRel, Ordering::Relaxed);
            if swapped.is_ok() {
                return (seen, Start::Poll);
            }
        }
        self.start_rarely()
    }

    #[cold]
    fn start_rarely(&self) -> (Word, Start) {
        self.update(Word::start)
    }

    /// The poll returned `Pending`. `protected`: protection is active from now on; `woken`: the task's own
    /// code has woken it.
    #[inline]
    pub(in crate::task) fn suspend(&self, protected: bool, woken: bool) -> Action {
        self.update(|s| s.suspend(protected, woken)).1
    }

    /// The future is gone. `cleanups`: deferred cleanups are left; `woken`: the task's own code has woken
    /// it; `finishes`: see [`State::finishing`]. Returns the word before.
    #[inline]
    pub(in crate::task) fn end(
        &self,
        cleanups: bool,
        woken: bool,
        finishes: impl FnMut(bool),
    ) -> (Word, Action) {
        self.finishing(|s| s.end(cleanups, woken), finishes)
    }

    /// A step that may make the task done. Before the first attempt that would, `finishes` is called
    /// with `true`: it counts the task as done before others can see that it is. If another thread's
    /// step comes first and the next attempt would not make the task done, `finishes` is called with
    /// `false` and takes the count back. Until the step the caller keeps the task from being done.
    // Two loops: each returns an action that its caller need not tell from the others.
    #[inline(always)]
    fn finishing(
        &self,
        step: impl Fn(Word) -> (Word, Action),
        mut finishes: impl FnMut(bool),
    ) -> (Word, Action) {
        let attempt = |seen: u64, next: Word| {
            (self.0).compare_exchange_weak(seen, next.0, Ordering::AcqRel, Ordering::Relaxed)
        };
        let mut seen = self.0.load(Ordering::Relaxed);
        let (mut next, mut action) = step(Word(seen));
        loop {
            if action == Action::Finish {
                finishes(true);
                while action == Action::Finish {
                    match attempt(seen, next) {
                        Ok(_) => return (Word(seen), Action::Finish),
                        Err(now) => seen = now,
                    }
                    (next, action) = step(Word(seen));
                }
                finishes(false);
            }
            match attempt(seen, next) {
                Ok(_) => return (Word(seen), action),
                Err(now) => seen = now,
            }
            (next, action) = step(Word(seen));
        }
    }

    /// Puts `next` in the place of `seen`; `false` if another thread's step has come first.
    #[inline(always)]
    fn replace(&self, seen: Word, next: Word) -> bool {
        (self.0)
            .compare_exchange(seen.0, next.0, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    }

    /// Cancels a task without children; `None` if that needs a walk.
    #[inline]
    pub(in crate::task) fn cancel_leaf(&self, at_once: bool) -> Option<Action> {
        // Nothing has to be decided about most of them.
        let seen = self.load();
        if let Some((next, action)) = seen.cancel_plain_leaf()
            && self.replace(seen, next)
        {
            return Some(action);
        }
        self.cancel_any_leaf(at_once)
    }

    #[inline(never)]
    fn cancel_any_leaf(&self, at_once: bool) -> Option<Action> {
        self.try_update(|s| s.cancel_leaf(at_once))
            .map(|(_, action)| action)
    }

    /// Takes `pins` children or pins off, and decides in the same step what follows. `finishes`: see
    /// [`State::finishing`].
    #[inline]
    pub(in crate::task) fn release(&self, pins: u64, finishes: impl FnMut(bool)) -> (Word, Action) {
        self.finishing(|s| s.release(pins), finishes)
    }

    /// Makes a task done that was never linked.
    pub(in crate::task) fn refused(&self) {
        self.update(|s| (s.done(), ()));
    }

    /// Pins the task, which is not done, and so stays linked, until the release; `false` if it is done.
    pub(in crate::task) fn pin(&self) -> bool {
        self.try_update(|s| Some((s.pin()?, ()))).is_some()
    }

    /// Counts a new child; `false` if the task is closing or done, or has [`super::MAX_CHILDREN`].
    #[inline]
    pub(in crate::task) fn adopt(&self) -> bool {
        self.try_update(|s| Some((s.adopt()?, ()))).is_some()
    }

    /// Counts a new child of a closing task whose grace runs; `false` if it does not run.
    pub(in crate::task) fn adopt_in_grace(&self) -> bool {
        self.try_update(|s| Some((s.adopt_in_grace()?, ())))
            .is_some()
    }

    /// Notes in a new task that it is being cancelled, and in the grace of its parent. No other thread knows
    /// the task.
    pub(in crate::task) fn begin_in_grace(&self) {
        let closing = (Level::Cancel as u64) << LEVEL_SHIFT | GRACE;
        self.update(|s| (Word(s.0 | closing), ()));
    }

    /// Notes that there is a covered child; `false` if the task is killed or done.
    pub(in crate::task) fn cover(&self) -> bool {
        self.try_update(|s| Some((s.cover()?, ()))).is_some()
    }

    /// Notes that there are no covered children any more, and pins the task.
    pub(in crate::task) fn uncover(&self) {
        self.update(|s| (s.uncover(), ()));
    }

    /// Makes ordinary children of `count` covered ones; `false` if the task is closing. `all`: no other
    /// child is covered.
    pub(in crate::task) fn lift(&self, count: u64, all: bool) -> bool {
        self.try_update(|s| Some((s.lift(count, all)?, ())))
            .is_some()
    }

    /// Raises the level. Claims the task if it is idle and due (and `may_claim`), and pins it otherwise.
    #[inline]
    pub(in crate::task) fn mark(&self, level: Level, grace: bool, may_claim: bool) -> (Word, Mark) {
        self.update(|s| s.mark(level, grace, may_claim))
    }

    /// As [`State::mark`] of a task below the target. `seen` is a word that the caller has loaded.
    #[inline]
    pub(in crate::task) fn mark_below(
        &self,
        seen: Word,
        level: Level,
        grace: bool,
    ) -> (Word, Mark) {
        if !grace
            && let Some(next) = seen.claim_idle(level)
            && self.replace(seen, next)
        {
            return (seen, Mark::Claimed);
        }
        self.mark_any(level, grace)
    }

    #[inline(never)]
    fn mark_any(&self, level: Level, grace: bool) -> (Word, Mark) {
        self.mark(level, grace, true)
    }

    /// Ends a grace period and pins the task; `false` if it is done. The release of the pin acts on the
    /// turn.
    pub(in crate::task) fn expire(&self) -> bool {
        self.try_update(|s| Some((s.expire()?, ()))).is_some()
    }

    /// Gives the join waker's cell, in which the handle has put a waker, to the finisher; `false` if the
    /// task is done, and the cell is still the handle's.
    pub(in crate::task) fn set_join_waker(&self) -> bool {
        self.try_update(|s| (!s.is_done()).then_some((Word(s.0 | JOIN_WAKER), ())))
            .is_some()
    }

    /// Takes the join waker's cell back for the handle; `false` if the task is done, and the cell is the
    /// finisher's.
    pub(in crate::task) fn unset_join_waker(&self) -> bool {
        self.try_update(|s| (!s.is_done()).then_some((Word(s.0 & !JOIN_WAKER), ())))
            .is_some()
    }

    /// Makes the threads that raise the level or finish the task wake its wait list from now on. Returns
    /// the word after that, which shows each earlier step; each later step sees the flag.
    pub(in crate::task) fn set_waiters(&self) -> Word {
        Word(self.0.fetch_or(WAITERS, Ordering::AcqRel) | WAITERS)
    }

    /// Counts another reference. Aborts the process at half the range.
    #[inline]
    pub(in crate::task) fn retain(&self) {
        let old = Word(self.0.fetch_add(REF, Ordering::Relaxed));
        if old.refs() > 1 << 23 {
            std::process::abort();
        }
    }

    /// Gives a reference back; `true` if it was the last.
    #[inline]
    pub(in crate::task) fn drop_reference(&self) -> bool {
        // The sole owner skips the write: no other thread can count another reference.
        if self.load().refs() == 1 {
            return true;
        }
        Word(self.0.fetch_sub(REF, Ordering::AcqRel)).refs() == 1
    }

    /// The handle is dropped. `None` if the task is done: the handle still owns the output and its
    /// reference. Otherwise returns the word before: if the join waker was set, the handle owns it and its
    /// reference; if not, the reference has been given back.
    #[inline]
    pub(in crate::task) fn detach(&self) -> Option<Word> {
        self.try_update(|s| Some((s.detach()?, ())))
            .map(|(before, ())| before)
    }
}
