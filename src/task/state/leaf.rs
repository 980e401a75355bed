//! The steps that cancel a task without children at once.

use super::{
    Action, CHILD_SHIFT, COVERS, ENDED, GRACE, LEVEL, LEVEL_SHIFT, Level, PHASE, PROTECTED, Phase,
    RIPE, TURN, WAITERS, Word,
};

impl Word {
    /// Whether the task is open, has nothing below it, is in neither protection nor grace, and is in phase
    /// `Idle` or, if `queued`, `Scheduled`. One test tells.
    fn is_plain_leaf(self, queued: bool) -> bool {
        const _: () = assert!(Phase::Idle as u64 == 0 && Phase::Scheduled as u64 == 1);
        const CHILDREN: u64 = u64::MAX << CHILD_SHIFT;
        const MORE: u64 = PHASE | LEVEL | PROTECTED | GRACE | ENDED | COVERS | CHILDREN;
        let either = if queued { Phase::Scheduled as u64 } else { 0 };
        self.0 & MORE & !either == 0
    }

    /// The word that [`Word::mark`] makes if it claims a plain leaf that is idle; `None` for any other task.
    pub(super) fn claim_idle(self, level: Level) -> Option<Self> {
        let claimed = (level as u64) << LEVEL_SHIFT | TURN | RIPE | Phase::Claimed as u64;
        self.is_plain_leaf(false).then_some(Self(self.0 | claimed))
    }

    /// What [`Word::cancel_leaf`] makes of a plain leaf that is idle or scheduled; `None` for any other task.
    pub(super) fn cancel_plain_leaf(self) -> Option<(Self, Action)> {
        let level = (Level::Cancel as u64) << LEVEL_SHIFT;
        let next = Self(self.0 | level | TURN | RIPE | Phase::Scheduled as u64);
        let action = if self.phase() == Phase::Idle {
            Action::Submit
        } else {
            Action::Nothing
        };
        self.is_plain_leaf(true).then_some((next, action))
    }

    /// Cancels a task without children, which needs no walk: its turn comes at once, and the worker that
    /// takes it from a queue, or polls it, drops its future. `None` if it needs a walk.
    ///
    /// A task with waiters is cancelled here only if its future is dropped without another poll, since
    /// its end wakes them. So is a service's task (`at_once`), whose waiters the word does not show.
    pub(super) fn cancel_leaf(self, at_once: bool) -> Option<(Self, Action)> {
        if !self.is_open() || !self.is_alone() {
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
}

#[cfg(test)]
mod tests {
    use super::super::Mark;
    use super::super::tests::words;
    use super::*;

    #[test]
    fn the_short_way_does_what_the_long_one_does() {
        let mut leaves = 0;
        for word in words() {
            for level in [Level::Cancel, Level::Kill] {
                if let Some(next) = word.claim_idle(level) {
                    assert_eq!(word.mark(level, false, true), (next, Mark::Claimed));
                    leaves += 1;
                }
            }
            let plain = word.cancel_plain_leaf();
            if plain.is_some() {
                assert_eq!(word.cancel_leaf(false), plain);
                assert_eq!(word.cancel_leaf(true), plain);
            }
        }
        assert!(leaves > 0);
    }
}
