//! The state word of a task: one `AtomicU64`, every transition one read-modify-write.
//!
//! | bits  | meaning |
//! |-------|---------|
//! | 0–2   | phase, see below |
//! | 3–4   | level of closing: 0 none, 1 cancel, 2 kill; only rises |
//! | 5     | `PROTECTED`: inside `shielded` or `finally`, published at the end of a poll |
//! | 6     | `GRACE`: a grace period is running, and the turn waits for its end |
//! | 7     | `ENDED`: the future is gone, deferred cleanups are still being polled |
//! | 8     | `JOIN_INTEREST`: a `Task` handle exists, and owns the output |
//! | 9     | `JOIN_WAKER`: the join waker is set, and belongs to the finisher |
//! | 10    | `WAITERS`: the cold data's wait list is in use |
//! | 11    | `TURN`: the turn has come; later pins do not clear it |
//! | 12    | `RIPE`: the turn has come, and there are no covered children |
//! | 13–36 | references (24 bits) |
//! | 37    | `COVERS`: there are covered children, which bits 38–63 do not count |
//! | 38–63 | children and pins (26 bits) |
//!
//! | phase | owner of the future | owner of the output | what may happen |
//! |-------|--------|--------|-----|
//! | `Idle` | none | – | a waker may schedule it, a turn may claim it |
//! | `Scheduled` | none | – | it is in exactly one queue, or a thread is about to put it there |
//! | `Running`, `RunningWoken` | the worker that polls it | – | if woken, one more poll follows |
//! | `Claimed` | the thread that claimed it, to drop it | – | |
//! | `Closed` | gone | none, it is written | it waits for children and pins |
//! | `Done` | gone | the handle if `JOIN_INTEREST`, else the finisher | the finisher unlinks it |
//!
//! The *finisher* is the thread that makes the task done. It counts the task as done before that step,
//! and takes the count back if the step fails. It may touch the task until the step, because it owns
//! the future that it has polled or dropped, or the child or pin that it takes off, and that keeps
//! the task from being done.
//!
//! The join waker's cell belongs to the handle while `JOIN_WAKER` is clear and the task is not
//! done, and to the finisher if the task was made done with `JOIN_WAKER` set (that step clears it).
//!
//! A task is *closing* when its level is above 0. Its *turn* comes when it is closing and has neither
//! children nor pins nor grace; covered children, which belong to its protection ([`super::cover`]), do
//! not keep the turn away. It is *due*, which means that its future is to be dropped, when its turn has
//! come, it has no covered children either, and it either is killed, or is not protected and has not
//! `ENDED` (its cleanups run on).
//!
//! A closing task adopts a covered child, and a child while its grace runs; it refuses any other.
//!
//! Every step is a pure function from one word to the next and an action. The atomic in [`word`] applies
//! it in a compare-and-swap loop with acquire-release ordering, so a thread that acts on a transition
//! sees what was done before each earlier one.
//!
//! A new phase or flag has to be handled in each function of [`Word`] below. `state/tests.rs` runs each
//! of them on every word; `tests/README.md` lists the tests and loom models of each property.

mod action;
mod children;
pub(crate) mod end_flags;
mod leaf;
pub(crate) mod word;

pub(crate) use action::{Action, Mark, Start};

#[cfg(test)]
mod tests;

/// How insistently a task is being ended. It only rises.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Level {
    /// Respects protection and grace.
    Cancel = 1,
    /// Overrides protection and grace: the task waits only for its children, and is polled no more.
    Kill = 2,
}

/// The phase of a task; the table of the module says what each allows.
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
const RIPE: u64 = 1 << 12;
const REF_SHIFT: u32 = 13;
const REF: u64 = 1 << REF_SHIFT;
const REFS: u64 = ((1 << 24) - 1) << REF_SHIFT;
/// Just below the count of children: one comparison tells whether there is neither.
const COVERS: u64 = 1 << COVERS_SHIFT;
const COVERS_SHIFT: u32 = CHILD_SHIFT - 1;
const CHILD_SHIFT: u32 = 38;
const CHILD: u64 = 1 << CHILD_SHIFT;
/// The greatest number of children of a task. The rest of the field's range is for pins, and for covered
/// children when they become ordinary ones.
pub(crate) const MAX_CHILDREN: u64 = (1 << 26) - (1 << 24);
/// The greatest number of covered children of a task.
pub(crate) const MAX_COVERED: u32 = 1 << 23;

/// A value of the state word.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Word(u64);

impl std::fmt::Debug for Word {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Word")
            .field("phase", &self.phase())
            .field("level", &self.level())
            .field("protected", &self.has(PROTECTED))
            .field("grace", &self.has(GRACE))
            .field("ended", &self.has(ENDED))
            .field("covers", &self.has(COVERS))
            .field("refs", &self.refs())
            .field("children", &self.children())
            .finish()
    }
}

impl Word {
    /// A stand-in where no word is known: no level and no flag is set.
    pub(crate) const NONE: Word = Word(0);

    pub(crate) fn phase(self) -> Phase {
        PHASES[(self.0 & PHASE) as usize]
    }

    fn is_in(self, phase: Phase) -> bool {
        self.0 & PHASE == phase as u64
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

    /// The number of children and pins, without covered children.
    pub(crate) fn children(self) -> u64 {
        self.0 >> CHILD_SHIFT
    }

    /// Whether there are covered children.
    pub(crate) fn covers(self) -> bool {
        self.has(COVERS)
    }

    /// Whether there are neither children, covered ones included, nor pins.
    pub(crate) fn is_alone(self) -> bool {
        self.0 >> COVERS_SHIFT == 0
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

    /// Whether the turn has come: the task may not go on outside protection.
    pub(crate) fn is_turn(self) -> bool {
        self.has(TURN)
    }

    /// Sets `TURN` if the turn comes now. It stays set: without grace a closing task adopts no children but
    /// covered ones, so later counts are pins, or children that are covered no more.
    fn latched(self) -> Self {
        let comes = self.is_closing() && self.children() == 0 && !self.has(GRACE);
        Self(self.0 | if comes { TURN | RIPE } else { 0 }).ripe_if_uncovered()
    }

    /// Clears `RIPE` if there are covered children.
    fn ripe_if_uncovered(self) -> Self {
        if self.has(COVERS) {
            Self(self.0 & !RIPE)
        } else {
            self
        }
    }

    /// Whether the future is to be dropped; see the module.
    fn is_due(self) -> bool {
        self.has(RIPE) && (self.is_killed() || !self.has(PROTECTED) && !self.has(ENDED))
    }

    /// Decides what follows when the count of children and pins has become zero; no other function does.
    /// `comes`: this step has brought the turn. A task that is not due then is polled for its turn once, even
    /// if it is pinned again later.
    fn turn(self, comes: bool) -> (Self, Action) {
        match self.phase() {
            Phase::Closed if self.is_alone() => (self.done(), Action::Finish),
            Phase::Idle if self.is_due() => (self.with_phase(Phase::Claimed), Action::Close),
            Phase::Idle if comes && self.has(PROTECTED | COVERS) => {
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
        // Compared one by one, the phase need not be looked up.
        if self.is_in(Phase::Idle) {
            (self.with_phase(Phase::Scheduled), Action::Submit)
        } else if self.is_in(Phase::Running) {
            (self.with_phase(Phase::RunningWoken), Action::Nothing)
        } else {
            (self, Action::Nothing)
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

    /// A poll returned `Pending`. `woken`: the task's own code has woken it, which the word does not show.
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

    /// The future is gone: it returned, panicked, or was dropped by the thread that claimed it.
    fn end(self, cleanups: bool, woken: bool) -> (Self, Action) {
        let next = Self(self.0 & !(PROTECTED | ENDED));
        if cleanups {
            // In `Running` this poll has polled the cleanups, too, so the task waits for a wake. In `Claimed`
            // they have not been polled yet.
            let next = Self(next.0 | ENDED);
            match self.phase() {
                Phase::Running if next.is_due() => (next.with_phase(Phase::Claimed), Action::Close),
                Phase::Running if !woken => (next.with_phase(Phase::Idle), Action::Nothing),
                _ => (next.with_phase(Phase::Scheduled), Action::Submit),
            }
        } else if self.is_alone() {
            (next.done(), Action::Finish)
        } else {
            (next.with_phase(Phase::Closed), Action::Nothing)
        }
    }

    /// Takes `pins` children that are done, or pins that are given back, off the count.
    fn release(self, pins: u64) -> (Self, Action) {
        debug_assert!(self.children() >= pins, "{self:?} released {pins}");
        let next = Self(self.0 - pins * CHILD).latched();
        if next.children() == 0 {
            next.turn(next.is_turn() && !self.is_turn())
        } else {
            (next, Action::Nothing)
        }
    }

    /// The action that the release of the last pin of a task without children will return.
    pub(crate) fn if_let_go(self) -> Action {
        self.release(self.children()).1
    }

    fn pin(self) -> Option<Self> {
        (!self.is_done()).then_some(Self(self.0 + CHILD))
    }

    fn expire(self) -> Option<Self> {
        self.pin().map(|next| Self(next.0 & !GRACE))
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
            // A task that is not claimed is pinned until the sweep: no turn comes before all is marked.
            let due = next.latched();
            if due.phase() == Phase::Idle && due.is_due() {
                return (due.with_phase(Phase::Claimed), Mark::Claimed);
            }
        } else {
            // This is the target. If it has no children, there is nothing else to mark.
            let at_once = next.latched();
            next = match at_once.phase() {
                // The release of the pin brings the turn, and schedules the task for it.
                Phase::Idle if !at_once.is_due() => next,
                Phase::Running if at_once.is_turn() => at_once.with_phase(Phase::RunningWoken),
                _ => at_once,
            };
        }
        (Self(next.0 + CHILD), Mark::Pinned)
    }

    /// The handle of a task that is not done is dropped. Its reference is given back in the same step,
    /// unless the handle has to drop the join waker first. `None` if the task is done.
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
