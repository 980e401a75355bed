//! What the turn of a node brings, and the ends of its waits.

use super::count::{Seen, seen};
use super::model::Model;
use super::node::{Outcome, Scope, Then};

impl Model {
    pub(super) fn take_turn(&mut self, node: usize) -> bool {
        let it = &self.nodes[node];
        if it.ended || !self.is_turn(node) || it.frames.iter().any(|f| f.scope.is_hard()) {
            return false;
        }
        if self.is_held(node) {
            return false;
        }
        match self.pop(node) {
            Some(Scope::Body(cleanup)) => {
                seen(Seen::BodyDropped);
                self.begin_cleanup(node, cleanup, Then::Dropped);
            }
            Some(Scope::Beside(_)) if self.children(node).next().is_some() => {
                seen(Seen::DroppedWaiting);
                self.push(node, Scope::Dead);
            }
            Some(_) => seen(Seen::DroppedWaiting),
            None => {
                let it = &self.nodes[node];
                seen(match it.closing {
                    Some(asked) if it.grace_end > asked => Seen::DroppedAfterGrace,
                    _ => Seen::DroppedAtTurn,
                });
                let guards = std::mem::take(&mut self.nodes[node].guards);
                self.leave_behind(node, None, guards);
                self.nodes[node].ended = true;
                if self.nodes[node].armed {
                    seen(Seen::PanickedDrop);
                    self.panicked(node, None);
                    self.nodes[node].outcome = Outcome::Panicked;
                } else {
                    self.nodes[node].outcome = Outcome::Cancelled;
                }
            }
        }
        true
    }

    /// Whether something is left that comes before the innermost scope, when the turn of that has come: a body is
    /// dropped when nothing is left that was covered in it, the rest when nothing is left at all.
    fn is_held(&self, node: usize) -> bool {
        match self.innermost_body(node) {
            Some(body) => self.holds(node, body),
            None => self.children(node).next().is_some(),
        }
    }

    /// Whether the code in the innermost scope suspends at its next await, for good.
    pub(super) fn is_suspended(&self, node: usize) -> bool {
        self.turn_in_here(node) && !self.is_held(node)
    }

    pub(super) fn innermost_body(&self, node: usize) -> Option<Scope> {
        let is_body = |scope: &Scope| matches!(scope, Scope::Body(_) | Scope::Beside(_));
        let frames = &self.nodes[node].frames;
        frames.iter().rev().map(|f| f.scope).find(is_body)
    }

    pub(super) fn stop_waiting(&mut self, node: usize) -> bool {
        let over = match self.nodes[node].frames.last().map(|f| f.scope) {
            Some(Scope::Await(other) | Scope::Run(other) | Scope::Ending(other))
                if self.nodes[other].done =>
            {
                Seen::AwaitOver
            }
            Some(Scope::Until(other, _)) if self.nodes[other].done => Seen::StopOver,
            Some(Scope::Until(_, until)) if until <= self.now => Seen::StopLate,
            Some(Scope::Room(task)) => return self.stop_waiting_for_room(node, task),
            Some(Scope::Sleep(until)) if until <= self.now => Seen::SleepOver,
            _ => return false,
        };
        seen(over);
        self.pop(node);
        true
    }
}
