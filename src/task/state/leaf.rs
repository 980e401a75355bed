//! The steps that cancel a task without children at once.

use super::{
    Action, CHILD_SHIFT, COVERS, ENDED, GRACE, LEVEL, LEVEL_SHIFT, Level, PHASE, PROTECTED, Phase,
    RIPE, TURN, WAITERS, Word,
};

impl Word {
    /// The word that [`Word::mark`] makes if it claims a task that is open and idle, has nothing below it, and is
    /// in neither protection nor grace; `None` for any other task. One test tells.
    pub(super) fn claim_idle(self, level: Level) -> Option<Self> {
        const CHILDREN: u64 = u64::MAX << CHILD_SHIFT;
        const MORE: u64 = PHASE | LEVEL | PROTECTED | GRACE | ENDED | COVERS | CHILDREN;
        let claimed = (level as u64) << LEVEL_SHIFT | TURN | RIPE | Phase::Claimed as u64;
        (self.0 & MORE == Phase::Idle as u64).then_some(Self(self.0 | claimed))
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
    fn the_short_way_claims_what_the_mark_claims() {
        let mut claimed = 0;
        for word in words() {
            for level in [Level::Cancel, Level::Kill] {
                if let Some(next) = word.claim_idle(level) {
                    assert_eq!(word.mark(level, false, true), (next, Mark::Claimed));
                    claimed += 1;
                }
            }
        }
        assert!(claimed > 0);
    }
}
