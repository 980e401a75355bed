//! The steps that count children: ordinary ones, those of a grace period, and covered ones.

use super::{CHILD, COVERS, GRACE, LEVEL, LEVEL_SHIFT, MAX_CHILDREN, PHASE, Phase, RIPE, Word};

const _: () = assert!(PHASE >> LEVEL_SHIFT == 0);

impl Word {
    /// Whether the task is neither done nor closing.
    pub(super) fn is_open(self) -> bool {
        // One comparison for both: the level is just above the phase.
        self.0 & (LEVEL | PHASE) < Phase::Done as u64
    }

    pub(super) fn adopt(self) -> Option<Self> {
        let adopts = self.is_open() && self.children() < MAX_CHILDREN;
        adopts.then_some(Self(self.0 + CHILD))
    }

    /// Counts a child that is being cancelled from its birth, as long as a grace period runs.
    pub(super) fn adopt_in_grace(self) -> Option<Self> {
        let refused = self.is_done() || !self.has(GRACE) || self.children() >= MAX_CHILDREN;
        (!refused).then_some(Self(self.0 + CHILD))
    }

    /// Notes that there is a covered child.
    pub(super) fn cover(self) -> Option<Self> {
        let covered = Self(self.0 & !RIPE | COVERS);
        (!self.is_done() && !self.is_killed()).then_some(covered)
    }

    /// Notes that there are no covered children any more; the last one's count becomes a pin.
    pub(super) fn uncover(self) -> Self {
        debug_assert!(self.has(COVERS));
        let ripe = if self.is_turn() { RIPE } else { 0 };
        Self((self.0 & !COVERS | ripe) + CHILD)
    }

    /// Makes ordinary children of `count` covered ones, unless the task is closing. `all`: no other child
    /// is covered.
    pub(super) fn lift(self, count: u64, all: bool) -> Option<Self> {
        debug_assert!(self.has(COVERS));
        let covers = if all { 0 } else { self.0 & COVERS };
        (!self.is_closing()).then_some(Self((self.0 & !COVERS | covers) + count * CHILD))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::words;
    use super::super::{Action, Level, Mark, PROTECTED, Start};
    use super::*;

    #[test]
    fn a_closing_task_adopts_what_is_covered_or_in_its_grace() {
        for word in words() {
            let in_grace = !word.is_done() && word.in_grace();
            let adopted = word.adopt_in_grace();
            assert_eq!(adopted.is_some(), in_grace);
            assert!(adopted.is_none_or(|next| next.0 == word.0 + CHILD && !next.is_turn()));
            let covered = word.cover();
            assert_eq!(covered.is_none(), word.is_done() || word.is_killed());
            let Some(covered) = covered else { continue };
            assert!(covered.covers() && !covered.is_due() && !covered.is_alone());
            assert_eq!(covered.0 | COVERS | RIPE, word.0 | COVERS | RIPE);
            // The last of them becomes a pin, whose release decides what follows.
            let pinned = covered.uncover();
            assert!(!pinned.covers() && pinned.children() == word.children() + 1);
            let all = covered.lift(3, true);
            assert_eq!(all.is_none(), word.is_closing());
            if let Some(all) = all {
                assert!(!all.covers() && all.children() == word.children() + 3);
                assert_eq!(covered.lift(3, false), Some(Word(all.0 | COVERS)));
            }
        }
    }

    #[test]
    fn the_turn_does_not_wait_for_covered_children_but_the_end_does() {
        for protected in [0, PROTECTED] {
            let idle = Word(COVERS | CHILD | protected);
            let (marked, mark) = idle.mark(Level::Cancel, false, true);
            assert_eq!(mark, Mark::Pinned);
            let (marked, action) = marked.release(1);
            assert_eq!(action, Action::Nothing, "an ordinary child is left");
            let (turn, action) = marked.release(1);
            assert!(turn.is_turn() && action == Action::Submit && turn.phase() == Phase::Scheduled);
            let (running, start) = turn.start();
            assert_eq!(start, Start::PollAtTurn);
            let (idle, action) = running.suspend(false, false);
            assert_eq!((idle.phase(), action), (Phase::Idle, Action::Nothing));
            let (claimed, action) = idle.uncover().release(1);
            assert_eq!((claimed.phase(), action), (Phase::Claimed, Action::Close));
        }
    }
}
