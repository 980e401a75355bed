//! The state word of a task: one `AtomicU64`, every transition one read-modify-write.
//!
//! | bits  | meaning |
//! |-------|---------|
//! | 0–2   | phase, see below |
//! | 3–4   | level of closing: 0 none, 1 cancel, 2 kill; only rises |
//! | 5     | `PROTECTED`: inside `shielded` or `finally`, published at the end of a poll |
//! | 6     | `GRACE`: a grace period is running, the turn waits for its end |
//! | 7     | `ENDED`: the future is gone, deferred cleanups are still being polled |
//! | 8     | `JOIN_INTEREST`: a `Task` handle exists, it owns the output |
//! | 9     | `JOIN_WAKER`: the join waker is set and belongs to whoever finishes |
//! | 10    | `WAITERS`: the cold data's wait list is in use |
//! | 11    | `TURN`: the turn has come; it stays, whoever pins the task afterwards |
//! | 12–35 | references (24 bits) |
//! | 36–63 | children and pins (28 bits) |
//!
//! | phase | future | output | who |
//! |-------|--------|--------|-----|
//! | `Idle` | nobody | – | a waker may schedule it, a turn may claim it |
//! | `Scheduled` | nobody | – | it is in exactly one queue, or in the hands of who puts it there |
//! | `Running`, `RunningWoken` | the worker that polls it | – | woken: one more poll follows |
//! | `Claimed` | whoever made that transition, to drop it | – | |
//! | `Closed` | gone | nobody, it is written | waits for children, pins |
//! | `Done` | gone | the handle if `JOIN_INTEREST`, else the finisher | unlinked by the finisher |
//!
//! A task is counted by the thread that makes it done, before that step: until then that thread's
//! own part (the future it has polled or dropped, the child or pin that it takes off) keeps the
//! task from being done, so that it may touch it, and may take the count back if the step fails.
//!
//! The join waker's cell belongs to the handle while `JOIN_WAKER` is clear and the task is not
//! done, and to the finisher once it made the task done with `JOIN_WAKER` set (which clears it).
//!
//! Words used below: a task is *closing* when its level is above 0. Its *turn* comes when it is
//! closing and has neither children nor pins nor grace; it is *due*, to be dropped, when
//! moreover it is not protected and has not `ENDED` (its cleanups run on), or is killed.
//!
//! Every step is a pure function from snapshot to snapshot and action, wrapped by one CAS loop
//! with acquire-release ordering: whatever was done before a transition is visible to whoever
//! acts on a later one.

pub(crate) mod end_flags;
pub(crate) mod word;

#[cfg(test)]
mod tests;

/// How insistently a task is being ended. Only rises.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Level {
    /// Respects protection and grace.
    Cancel = 1,
    /// The runtime is going: waits only for what is below.
    Kill = 2,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Phase {
    Idle,
    Scheduled,
    Running,
    RunningWoken,
    Claimed,
    Closed,
    Done,
}

const PHASES: [Phase; 8] = [
    Phase::Idle,
    Phase::Scheduled,
    Phase::Running,
    Phase::RunningWoken,
    Phase::Claimed,
    Phase::Closed,
    Phase::Done,
    Phase::Done, // no phase has this number
];

const PHASE: u64 = 0b111;
const LEVEL_SHIFT: u32 = 3;
const LEVEL: u64 = 0b11 << LEVEL_SHIFT;
const PROTECTED: u64 = 1 << 5;
const GRACE: u64 = 1 << 6;
const ENDED: u64 = 1 << 7;
const JOIN_INTEREST: u64 = 1 << 8;
const JOIN_WAKER: u64 = 1 << 9;
const WAITERS: u64 = 1 << 10;
const TURN: u64 = 1 << 11;
const REF_SHIFT: u32 = 12;
const REF: u64 = 1 << REF_SHIFT;
const REFS: u64 = ((1 << 24) - 1) << REF_SHIFT;
const CHILD_SHIFT: u32 = 36;
const CHILD: u64 = 1 << CHILD_SHIFT;
/// Children a task may have; the rest of the field's range is for pins.
pub(crate) const MAX_CHILDREN: u64 = (1 << 28) - (1 << 24);

/// One value of the word.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Word(u64);

impl std::fmt::Debug for Word {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State")
            .field("phase", &self.phase())
            .field("level", &self.level())
            .field("protected", &self.has(PROTECTED))
            .field("grace", &self.has(GRACE))
            .field("ended", &self.has(ENDED))
            .field("refs", &self.refs())
            .field("children", &self.children())
            .finish()
    }
}

/// What the caller of a transition now has to do.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Action {
    /// Nothing.
    Nothing,
    /// Put it into a queue: it is `Scheduled` and in none.
    Submit,
    /// Drop its future: it is `Claimed`.
    Close,
    /// It is done: unlink it, wake, go on with its parent.
    Finish,
}

/// What to do with a task taken from a queue.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Start {
    Poll,
    /// The turn has come, and the task is protected, or its cleanups are.
    PollAtTurn,
    Close,
    Skip,
}

/// What marking a task for cancellation came to.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mark {
    /// Over, or being ended at this level already.
    Refused,
    /// Marked, and ours to drop.
    Claimed,
    /// Marked, and pinned by us.
    Pinned,
}

impl Word {
    /// The word of a task of which nothing is known.
    pub(crate) const NONE: Word = Word(0);

    pub(crate) fn phase(self) -> Phase {
        PHASES[(self.0 & PHASE) as usize]
    }

    fn with_phase(self, phase: Phase) -> Self {
        Self(self.0 & !PHASE | phase as u64)
    }

    pub(crate) fn level(self) -> u64 {
        (self.0 & LEVEL) >> LEVEL_SHIFT
    }

    fn has(self, flag: u64) -> bool {
        self.0 & flag != 0
    }

    pub(crate) fn children(self) -> u64 {
        self.0 >> CHILD_SHIFT
    }

    pub(crate) fn refs(self) -> u64 {
        (self.0 & REFS) >> REF_SHIFT
    }

    pub(crate) fn is_done(self) -> bool {
        self.phase() == Phase::Done
    }

    pub(crate) fn is_closing(self) -> bool {
        self.0 & LEVEL != 0
    }

    pub(crate) fn is_killed(self) -> bool {
        self.level() >= Level::Kill as u64
    }

    pub(crate) fn is_protected(self) -> bool {
        self.has(PROTECTED)
    }

    pub(crate) fn in_grace(self) -> bool {
        self.has(GRACE)
    }

    pub(crate) fn has_ended(self) -> bool {
        self.has(ENDED)
    }

    pub(crate) fn has_join_interest(self) -> bool {
        self.has(JOIN_INTEREST)
    }

    pub(crate) fn has_join_waker(self) -> bool {
        self.has(JOIN_WAKER)
    }

    pub(crate) fn has_waiters(self) -> bool {
        self.has(WAITERS)
    }

    /// Nothing below is left and no grace runs: the task may not go on outside protection.
    pub(crate) fn is_turn(self) -> bool {
        self.has(TURN)
    }

    /// Notes the turn, if it comes now. Nothing is adopted any more: it cannot go again; what
    /// counts as children later are pins.
    fn latched(self) -> Self {
        let comes = self.is_closing() && self.children() == 0 && !self.has(GRACE);
        Self(self.0 | if comes { TURN } else { 0 })
    }

    /// To be dropped.
    fn is_due(self) -> bool {
        self.is_turn() && (self.is_killed() || !self.has(PROTECTED) && !self.has(ENDED))
    }

    /// Nothing below is left, and maybe the turn has come by this step: the one place that says who
    /// acts on it. A protected task is polled for it once, however often it is pinned afterwards.
    fn turn(self, comes: bool) -> (Self, Action) {
        match self.phase() {
            Phase::Closed => (self.done(), Action::Finish),
            Phase::Idle if self.is_due() => (self.with_phase(Phase::Claimed), Action::Close),
            Phase::Idle if comes && self.has(PROTECTED) => {
                (self.with_phase(Phase::Scheduled), Action::Submit)
            }
            Phase::Running if comes => (self.with_phase(Phase::RunningWoken), Action::Nothing),
            _ => (self, Action::Nothing),
        }
    }

    fn done(self) -> Self {
        Self(self.with_phase(Phase::Done).0 & !JOIN_WAKER)
    }

    fn wake(self) -> (Self, Action) {
        match self.phase() {
            Phase::Idle => (self.with_phase(Phase::Scheduled), Action::Submit),
            Phase::Running => (self.with_phase(Phase::RunningWoken), Action::Nothing),
            _ => (self, Action::Nothing),
        }
    }

    fn start(self) -> (Self, Start) {
        debug_assert_eq!(self.phase(), Phase::Scheduled);
        if !self.is_closing() {
            (self.with_phase(Phase::Running), Start::Poll)
        } else if self.is_due() {
            (self.with_phase(Phase::Claimed), Start::Close)
        } else if self.is_killed() {
            (self.with_phase(Phase::Idle), Start::Skip)
        } else if self.is_turn() {
            (self.with_phase(Phase::Running), Start::PollAtTurn)
        } else {
            (self.with_phase(Phase::Running), Start::Poll)
        }
    }

    /// A poll returned `Pending`; `woken`: by the code it ran, which the word does not show.
    fn suspend(self, protected: bool, woken: bool) -> (Self, Action) {
        let next = Self(self.0 & !PROTECTED | if protected { PROTECTED } else { 0 });
        if next.is_due() {
            (next.with_phase(Phase::Claimed), Action::Close)
        } else if woken || self.phase() == Phase::RunningWoken {
            (next.with_phase(Phase::Scheduled), Action::Submit)
        } else {
            (next.with_phase(Phase::Idle), Action::Nothing)
        }
    }

    /// The future is gone: it returned, panicked, or was dropped by whoever claimed it.
    fn end(self, cleanups: bool, woken: bool) -> (Self, Action) {
        let next = Self(self.0 & !(PROTECTED | ENDED));
        if cleanups {
            // Polled along with the future, unless that was dropped in place.
            let next = Self(next.0 | ENDED);
            match self.phase() {
                Phase::Running if next.is_due() => (next.with_phase(Phase::Claimed), Action::Close),
                Phase::Running if !woken => (next.with_phase(Phase::Idle), Action::Nothing),
                _ => (next.with_phase(Phase::Scheduled), Action::Submit),
            }
        } else if self.children() == 0 {
            (next.done(), Action::Finish)
        } else {
            (next.with_phase(Phase::Closed), Action::Nothing)
        }
    }

    /// `pins` children are done, or pins given back.
    fn release(self, pins: u64) -> (Self, Action) {
        debug_assert!(self.children() >= pins, "{self:?} released {pins}");
        let next = Self(self.0 - pins * CHILD).latched();
        if next.children() == 0 {
            next.turn(next.is_turn() && !self.is_turn())
        } else {
            (next, Action::Nothing)
        }
    }

    /// What the release of the last pin of a task without children will entail.
    pub(crate) fn if_let_go(self) -> Action {
        self.release(self.children()).1
    }

    fn pin(self) -> Option<Self> {
        (!self.is_done()).then_some(Self(self.0 + CHILD))
    }

    fn expire(self) -> Option<Self> {
        self.pin().map(|next| Self(next.0 & !GRACE))
    }

    fn adopt(self) -> Option<Self> {
        let refused = self.is_done() || self.is_closing() || self.children() >= MAX_CHILDREN;
        (!refused).then_some(Self(self.0 + CHILD))
    }

    fn mark(self, level: Level, grace: bool, may_claim: bool) -> (Self, Mark) {
        if self.is_done() || self.level() >= level as u64 {
            return (self, Mark::Refused);
        }
        let mut next = self.0 & !LEVEL | (level as u64) << LEVEL_SHIFT;
        if level == Level::Kill {
            next &= !GRACE;
        } else if grace {
            next |= GRACE;
        }
        let mut next = Self(next);
        if may_claim {
            // What is not claimed waits for the sweep: nothing ends before all is marked.
            let due = next.latched();
            if due.phase() == Phase::Idle && due.is_due() {
                return (due.with_phase(Phase::Claimed), Mark::Claimed);
            }
        } else {
            // The target itself: if there is nothing below it, there is nothing else to mark.
            let at_once = next.latched();
            next = match at_once.phase() {
                // To be polled for it, once the pin is given back: the turn comes with that.
                Phase::Idle if !at_once.is_due() => next,
                Phase::Running if at_once.is_turn() => at_once.with_phase(Phase::RunningWoken),
                _ => at_once,
            };
        }
        (Self(next.0 + CHILD), Mark::Pinned)
    }

    /// Cancels a task without children, which needs no walk: its turn comes at once, and whoever
    /// takes it from a queue, or polls it, drops it. `None`: there is more to do than that. With
    /// waiters (or for a service, which may have some outside: `at_once`) only if it is dropped
    /// without another poll, which wakes them.
    fn cancel_leaf(self, at_once: bool) -> Option<(Self, Action)> {
        if self.is_done() || self.is_closing() || self.children() > 0 {
            return None;
        }
        let next = Self(self.0 | (Level::Cancel as u64) << LEVEL_SHIFT).latched();
        let quiet = !at_once && !self.has(WAITERS);
        match self.phase() {
            Phase::Scheduled if next.is_due() => Some((next, Action::Nothing)),
            Phase::Idle if next.is_due() || quiet && next.has(PROTECTED) => {
                Some((next.with_phase(Phase::Scheduled), Action::Submit))
            }
            Phase::Running | Phase::RunningWoken if quiet => {
                Some((next.with_phase(Phase::RunningWoken), Action::Nothing))
            }
            _ => None,
        }
    }

    /// The handle of a task that is not done goes: with its reference, unless the join waker has
    /// to be dropped first.
    fn detach(self) -> Option<Self> {
        if self.is_done() {
            None
        } else if self.has(JOIN_WAKER) {
            Some(Self(self.0 & !(JOIN_INTEREST | JOIN_WAKER)))
        } else {
            Some(Self((self.0 & !JOIN_INTEREST) - REF))
        }
    }
}
