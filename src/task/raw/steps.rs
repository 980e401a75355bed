//! The steps of the state word: each consumes a right and returns the [`Next`] right.
//!
//! The transitions themselves are pure functions in [`crate::task::state`].

use super::header::{Borrowed, RawTask, kind};
use super::rights::{Claimed, Finished, Live, Next, Pin, Pins, Queued, Running};
use super::submit::hand_over;
use crate::sync::atomic::Ordering;
use crate::task::state::{self, Action, Level, Mark, Word};

/// Counts a task as done before the step that makes it done (`done`), or takes that back because the
/// step failed: in its runtime, and in the record of the service whose task it is. A child service is
/// counted in the record around it when it has finished. `on_done` counts the task in the runtime.
#[inline(always)]
fn count_done(task: Live<'_>, done: bool, on_done: impl Fn()) {
    if done {
        on_done();
        count_in_record(task, 1);
    } else {
        undo(task);
    }
}

#[cold]
fn undo(task: Live<'_>) {
    if !task.is(kind::SENTINEL) {
        task.shared().schedule().undo_done();
        count_in_record(task, u64::MAX);
    }
}

#[inline]
fn count_in_record(task: Live<'_>, change: u64) {
    if task.kinds() & (kind::SUPERVISED | kind::SERVICE) == kind::SUPERVISED
        && let Some(record) = task.record()
    {
        record.done.fetch_add(change, Ordering::Release);
    }
}

/// Counts a task in its runtime.
fn on_done(task: Live<'_>) {
    if !task.is(kind::SENTINEL) {
        task.shared().schedule().on_done();
    }
}

impl Next {
    /// # Safety
    ///
    /// A step of the task's word has just returned the action, on this thread.
    #[inline(always)]
    unsafe fn new(task: RawTask, before: Word, action: Action) -> Next {
        match action {
            Action::Nothing => Next::Nothing,
            Action::Submit => Next::Submit(Queued(task)),
            Action::Close => Next::Close(Claimed(task)),
            Action::Finish => {
                // SAFETY: the caller's.
                Next::Finish(unsafe { Finished::new(task, before.end_flags()) })
            }
        }
    }
}

/// A task that was taken from a queue, in the rare cases: it is closing.
#[must_use]
pub(crate) struct Start {
    task: RawTask,
    before: Word,
    start: state::Start,
}

/// What the worker does with a [`Start`].
#[must_use]
pub(crate) enum StartRarely {
    /// Poll it, although its turn has come: it is protected, or its cleanups are polled. The word is
    /// the one before the step.
    PollAtTurn(Running, Word),
    /// Drop its future.
    Close(Claimed),
    /// Nothing: it is killed, and waits for its children.
    Skip,
}

impl Start {
    /// Returns what the worker has to do.
    pub(crate) fn decide(self) -> StartRarely {
        match self.start {
            state::Start::Poll | state::Start::PollAtTurn => {
                StartRarely::PollAtTurn(Running(self.task), self.before)
            }
            state::Start::Close => StartRarely::Close(Claimed(self.task)),
            state::Start::Skip => StartRarely::Skip,
        }
    }
}

impl Queued {
    /// Starts the task. `Ok` is the common case: the task is to be polled.
    #[inline(always)]
    pub(crate) fn start(self) -> Result<(Running, Word), Start> {
        let (before, start) = self.live().state.start();
        let task = self.into_raw();
        match start {
            state::Start::Poll => Ok((Running(task), before)),
            other => Err(Start {
                task,
                before,
                start: other,
            }),
        }
    }
}

impl Claimed {
    /// Gives the right to the stage up: the future is gone. `cleanups`: deferred cleanups are left.
    ///
    /// # Panics
    ///
    /// Panics if the future is there.
    #[inline(always)]
    pub(crate) fn end(self, cleanups: bool) -> Next {
        if cleanups {
            return self.end_with_cleanups();
        }
        let task = self.into_raw();
        // SAFETY: this thread has had the right to the stage until now, and no longer.
        unsafe {
            // A sentinel is never claimed.
            let on_done = || Live::new(task).shared().schedule().on_done();
            task.end(false, false, on_done)
        }
    }

    #[cold]
    fn end_with_cleanups(self) -> Next {
        let task = self.into_raw();
        // SAFETY: this thread has had the right to the stage until now, and no longer. What has
        // cleanups is not done.
        unsafe { task.end(true, false, || {}) }
    }
}

impl Running {
    /// Counts a poll; only this thread writes the number.
    #[inline]
    pub(crate) fn count_poll(&self) {
        let polls = &self.live().polls;
        polls.store(polls.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// Ends a poll that returned `Pending`. `protected`: protection is active in the task; `woken`: the
    /// task's own code has woken it in this poll.
    #[inline(always)]
    pub(crate) fn suspend(self, protected: bool, woken: bool) -> Next {
        let task = self.into_raw();
        // SAFETY: this thread polled the task until this step, which consumes the right; what it may
        // do is handed on by the action. Nothing of it makes the task done.
        unsafe {
            let action = task.header().state.suspend(protected, woken);
            Next::new(task, Word::NONE, action)
        }
    }

    /// Ends a poll after which the future is gone. `cleanups`: deferred cleanups are left; `woken`: the
    /// task's own code has woken it in this poll; `on_done` counts the task as done in its runtime.
    ///
    /// # Panics
    ///
    /// Panics if the future is there.
    #[inline(always)]
    pub(crate) fn end(self, cleanups: bool, woken: bool, on_done: impl Fn()) -> Next {
        let task = self.into_raw();
        // SAFETY: this thread has had the right to the stage until now, and no longer.
        unsafe { task.end(cleanups, woken, on_done) }
    }
}

/// Panics because a task was to end whose future is there: a pinned future is dropped before its memory
/// is used again.
#[cold]
fn ended_early() -> ! {
    panic!("a task was to end before its future");
}

impl RawTask {
    /// As [`Running::end`].
    ///
    /// # Safety
    ///
    /// The caller has the right to the stage, and gives it up.
    #[inline(always)]
    unsafe fn end(self, cleanups: bool, woken: bool, on_done: impl Fn()) -> Next {
        // SAFETY: until the step the task is not done.
        unsafe {
            if !self.header().is_future_gone() {
                ended_early();
            }
            let task = Live::new(self);
            let count = |done| count_done(task, done, &on_done);
            let (before, action) = task.state.end(cleanups, woken, count);
            Next::new(self, before, action)
        }
    }

    /// Takes `pins` off the count of children and pins.
    ///
    /// # Safety
    ///
    /// The caller owns that many pins, and does not use them again.
    #[inline(always)]
    unsafe fn release(self, pins: u64) -> Next {
        // SAFETY: until the step the pins keep the task.
        unsafe {
            let task = Live::new(self);
            let count = |done| count_done(task, done, || on_done(task));
            let (before, action) = task.state.release(pins, count);
            Next::new(self, before, action)
        }
    }
}

impl Pin {
    /// Gives the pin back, and returns what follows for the task.
    #[inline]
    pub(crate) fn release(self) -> Next {
        let task = self.into_raw();
        // SAFETY: it is one pin.
        unsafe { task.release(1) }
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        // The one that is dropped here is not used again.
        hand_over(Pin(self.0), |shared, pin| {
            shared.leave_to_workers(pin.release());
        });
    }
}

impl Pins {
    /// Adds a pin of the same task. Panics if it is of another.
    pub(crate) fn add(&mut self, pin: Pin) {
        assert!(pin.0 == self.first.0, "a pin of another task");
        let _ = pin.into_raw();
        self.more += 1;
    }

    /// Gives all of them back, in one step.
    #[inline]
    pub(crate) fn release(self) -> Next {
        let Pins { first, more } = self;
        let task = first.into_raw();
        // SAFETY: they are that many pins.
        unsafe { task.release(1 + more) }
    }
}

impl From<Pin> for Pins {
    fn from(first: Pin) -> Pins {
        Pins { first, more: 0 }
    }
}

/// The result of [`Borrowed::mark`].
#[must_use]
pub(crate) enum Marked {
    /// Nothing changed: the task is done, or at this level already.
    Refused,
    /// The task is marked, and this thread has to drop its future. It has no children.
    Claimed(Claimed),
    /// The task is marked and pinned.
    Pinned(Pin),
}

impl Borrowed<'_> {
    /// Raises the level of a task's cancellation, and sets its grace flag if `grace`. `may_claim`: claims
    /// the task if it is idle and due then. Also returns the word before.
    #[inline]
    pub(crate) fn mark(self, level: Level, grace: bool, may_claim: bool) -> (Word, Marked) {
        let (before, mark) = self.state.mark(level, grace, may_claim);
        (before, self.marked(mark))
    }

    /// As [`Borrowed::mark`] of a task that may be claimed. `seen` is a word that the caller has loaded.
    #[inline]
    pub(crate) fn mark_below(self, seen: Word, level: Level, grace: bool) -> (Word, Marked) {
        let (before, mark) = self.state.mark_below(seen, level, grace);
        (before, self.marked(mark))
    }

    #[inline]
    fn marked(self, mark: Mark) -> Marked {
        match mark {
            Mark::Refused => Marked::Refused,
            Mark::Claimed => Marked::Claimed(Claimed(self.0)),
            Mark::Pinned => Marked::Pinned(Pin(self.0)),
        }
    }

    /// Cancels a task without children in one step; `None` if that needs a walk. `at_once`: only if
    /// the task is dropped without another poll.
    #[inline]
    pub(crate) fn cancel_leaf(self, at_once: bool) -> Option<Next> {
        let action = self.state.cancel_leaf(at_once)?;
        // SAFETY: the step is this thread's; it does not finish a task.
        Some(unsafe { Next::new(self.0, Word::NONE, action) })
    }

    /// Ends a grace period, and pins the task; `None` if it is done.
    pub(crate) fn expire(self) -> Option<Pin> {
        self.state.expire().then(|| Pin(self.0))
    }
}
