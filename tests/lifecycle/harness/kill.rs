//! Ends by force: protection, cleanups and grace hold up nothing, and what is left dies leaves first.

use super::cause::Because;
use super::count::{Seen, seen};
use super::model::Model;
use super::node::{CleanupState, Outcome, Scope};
use super::ops::Kind;

impl Model {
    /// A kill is asked for, of this node and all below it, whatever covers that.
    pub(crate) fn kill(&mut self, target: usize) {
        if !self.is_live(target) {
            return seen(Seen::KillNothing);
        }
        self.keep_cause(target, Because::Killed);
        self.nodes[target].kill_asked = true;
        if let Some(service) = &mut self.nodes[target].service {
            service.cancelled = true;
        }
        for node in target..self.nodes.len() {
            if self.is_live(node) && (node == target || self.is_below(node, target)) {
                self.count_kill(node);
                self.kill_one(node);
            }
        }
    }

    /// A kill reaches this node.
    pub(super) fn kill_one(&mut self, node: usize) {
        if self.nodes[node].closing.is_none() {
            self.cancel_one(node);
        }
        self.nodes[node].killed.get_or_insert(self.now);
        // The end of a protection in the same poll may let a supervisor stop its children before.
        let supervised = self.nodes[node].kind == Kind::Child;
        self.nodes[node].because_unsure |= supervised && self.poll.is_some();
        self.nodes[node].killed_in_poll |= self.poll.as_ref().is_some_and(|p| p.node == node);
    }

    /// With nothing left below it, what was killed goes: its future, and its cleanups unrun.
    pub(super) fn die(&mut self, node: usize) -> bool {
        let it = &self.nodes[node];
        let over = it.ended && it.cleanups.is_empty();
        if over || self.children(node).next().is_some() {
            return false;
        }
        while let Some(scope) = self.pop(node) {
            if let Scope::Body(cleanup) | Scope::Cleanup(cleanup, _) = scope {
                self.lose(cleanup);
            }
        }
        let it = &mut self.nodes[node];
        let guards = std::mem::take(&mut it.guards);
        it.cleanups.extend(guards);
        for cleanup in std::mem::take(&mut it.cleanups) {
            self.lose(cleanup);
        }
        if self.nodes[node].ended {
            seen(Seen::ForcedKeeps);
            return true;
        }
        self.nodes[node].ended = true;
        self.nodes[node].outcome = Outcome::Cancelled;
        if self.nodes[node].armed {
            seen(Seen::ForcedPanics);
            self.panicked(node, None);
            self.nodes[node].outcome = Outcome::Panicked;
        }
        true
    }

    fn lose(&mut self, cleanup: usize) {
        let heard = self.waits_no_longer(cleanup);
        let it = &mut self.cleanups[cleanup];
        seen(match it.state {
            CleanupState::Running => Seen::ForcedCleanup,
            _ => Seen::ForcedUnborn,
        });
        // A poll goes on to its end, and another cancellation of the same poll may have been sooner, as may the end
        // of a wait for room in the cleanup.
        let may_run = heard || self.nodes[it.node].killed_in_poll || self.several;
        let may_run = it.released && may_run;
        it.state = match may_run {
            true => CleanupState::LostOrEnded,
            false => CleanupState::Lost,
        };
    }

    fn count_kill(&self, node: usize) {
        let it = &self.nodes[node];
        if it.killed.is_some() {
            return;
        }
        if it.closing.is_some() {
            seen(Seen::KillOver);
        }
        if self.is_covered(node) {
            seen(Seen::ForcedCovered);
        }
        if self.in_grace(node) {
            seen(Seen::ForcedInGrace);
        } else if self.is_protected(node) {
            seen(Seen::ForcedProtected);
        }
    }
}
