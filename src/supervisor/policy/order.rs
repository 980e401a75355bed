//! The order of starts and stops: which child is started, and which is told to stop, next.

use super::super::rules::Strategy;
use super::child::{Phase, Plan, Why};
use super::{Effect, Key, Mode, Policy};
use std::collections::BTreeSet;
use std::time::Instant;

impl Policy {
    /// Changes the phase of a child, and the indices with it.
    pub(super) fn set_phase(&mut self, key: Key, phase: Phase) {
        let Some(child) = self.children.get_mut(&key) else {
            return;
        };
        let before = std::mem::replace(&mut child.phase, phase);
        let phase = &child.phase;
        let in_groups = self.rules.strategy != Strategy::OneForOne;
        let is_opening = child.why == Why::Opening;
        put(&mut self.waiting, key, matches!(phase, Phase::Waiting));
        self.held.remove(&key);
        let comes = match phase {
            Phase::Starting { .. } | Phase::BackingOff { .. } => in_groups || is_opening,
            // A first start that timed out, or that a caller has begun anew.
            Phase::Stopping { .. } => is_opening,
            _ => false,
        };
        put(&mut self.coming, key, comes);
        let backs_off = matches!(phase, Phase::BackingOff { .. });
        put(&mut self.backing_off, key, backs_off);
        let goes = matches!(phase, Phase::Leaving { .. } | Phase::Stopping { .. });
        put(&mut self.going, key, goes);
        if let Some(at) = before.deadline() {
            self.timers.remove(&(at, key));
        }
        if let Some(at) = phase.deadline() {
            self.timers.insert((at, key));
        }
        self.active -= usize::from(!matches!(before, Phase::Idle { .. }));
        self.active += usize::from(!matches!(phase, Phase::Idle { .. }));
        let by_hand = |phase: &Phase| matches!(phase, Phase::Idle { by_hand: true });
        self.stopped_by_hand -= usize::from(by_hand(&before));
        self.stopped_by_hand += usize::from(by_hand(phase));
        self.changed.insert(key);
    }

    /// Takes the steps that are possible now, after each event.
    pub(super) fn settle(&mut self, now: Instant) {
        while self.stop_next(now) || self.start_next() {}
        if self.mode == Mode::Open && self.is_over() {
            self.end_all();
        }
        if self.mode == Mode::Ending && self.active == 0 {
            self.mode = Mode::Ended;
            self.effects.push_back(Effect::End);
        }
    }

    /// Tells the last of the children that leave to stop, unless it was told.
    fn stop_next(&mut self, now: Instant) -> bool {
        let Some(&key) = self.going.last() else {
            return false;
        };
        let phase = self.children.get_mut(&key).map(|child| &mut child.phase);
        let Some(Phase::Leaving { plan }) = phase else {
            return false;
        };
        let plan = std::mem::replace(plan, Plan::Start);
        self.begin_stop(key, plan, now);
        true
    }

    /// Starts the first of the children that wait, unless something holds it up.
    fn start_next(&mut self) -> bool {
        let Some(&key) = self.waiting.first().filter(|_| self.spawning.is_none()) else {
            return false;
        };
        let is_held_up = match self.rules.strategy {
            Strategy::OneForOne => false,
            Strategy::OneForAll => !self.going.is_empty() || !self.backing_off.is_empty(),
            Strategy::RestForOne => !self.going.is_empty(),
        };
        let is_first = self.coming.first().is_none_or(|&first| first > key);
        let is_behind = self.held.first().is_some_and(|&held| held < key);
        if is_held_up || !is_first || is_behind && self.rules.strategy != Strategy::OneForOne {
            return false;
        }
        self.set_phase(key, Phase::Starting { deadline: None });
        self.spawning = Some(key);
        self.effects.push_back(Effect::Spawn(key));
        true
    }

    /// Whether no child is left that could run again.
    fn is_over(&self) -> bool {
        if self.active > 0 {
            return false;
        }
        if !self.has_handles {
            return true;
        }
        self.had_children && self.ended_for_good && self.stopped_by_hand == 0
    }

    /// Stops all children, in reverse order, for good.
    pub(super) fn end_all(&mut self) {
        if self.mode != Mode::Open {
            return;
        }
        self.mode = Mode::Ending;
        let keys: Vec<Key> = self.children.keys().copied().collect();
        for key in keys {
            self.answer_not_up(key);
            let plan = Plan::Idle { by_hand: false };
            self.leave(key, plan);
        }
    }

    /// Stops a child at its place in the reverse order, if it has an incarnation. What callers have planned for it
    /// stays planned.
    pub(super) fn leave(&mut self, key: Key, plan: Plan) {
        let Some(child) = self.children.get_mut(&key) else {
            return;
        };
        let ending = self.mode != Mode::Open;
        match &mut child.phase {
            Phase::Idle { .. } => {}
            Phase::Waiting | Phase::BackingOff { .. } => {
                if ending {
                    self.set_phase(key, Phase::IDLE);
                }
            }
            Phase::Starting { .. } | Phase::Running { .. } => {
                self.set_phase(key, Phase::Leaving { plan });
            }
            Phase::Leaving { plan: before } | Phase::Stopping { plan: before, .. } => {
                if ending && !matches!(before, Plan::Remove) {
                    *before = plan;
                }
            }
        }
    }

    /// Prepares the restart of the children that go with this one, which has ended.
    pub(super) fn restart_group(&mut self, key: Key) {
        let from = match self.rules.strategy {
            Strategy::OneForOne => return,
            Strategy::OneForAll => 0,
            Strategy::RestForOne => key,
        };
        let others = self.children.range(from..).map(|(&other, _)| other);
        let others: Vec<Key> = others.filter(|&other| other != key).collect();
        for other in others {
            let child = &self.children[&other];
            if let Phase::Idle { by_hand: false } = child.phase {
                // It had ended for good. The group begins anew, and it with the group.
                self.set_phase(other, Phase::Waiting);
            } else {
                let plan = if child.is_temporary() {
                    Plan::Remove
                } else {
                    Plan::Start
                };
                self.leave(other, plan);
            }
        }
    }
}

fn put(set: &mut BTreeSet<Key>, key: Key, is_in: bool) {
    if is_in {
        set.insert(key);
    } else {
        set.remove(&key);
    }
}
