//! What follows: the ends of futures, turns, cleanups, and when a node is done.

use super::count::{Seen, seen};
use super::model::Model;
use super::node::{CleanupState, Frame, Outcome, Poll, Scope, Then, Why};
use super::ops::{How, Kind};
use std::collections::VecDeque;

impl Model {
    pub(crate) fn begin_poll(&mut self, node: usize) {
        let asked = self.nodes[node].closing.is_some();
        self.poll = Some(Poll {
            node,
            counts: match () {
                () if !asked => Some(Seen::CountsSamePoll),
                () if self.is_protected(node) => Some(Seen::CountsProtected),
                () => self.in_grace(node).then_some(Seen::CountsGrace),
            },
            cancels: Vec::new(),
        });
    }

    pub(super) fn push(&mut self, node: usize, scope: Scope) {
        let guards = VecDeque::new();
        self.nodes[node].frames.push(Frame { scope, guards });
    }

    /// Enters a shield or a `finally`; first polled after the turn it does not start.
    pub(crate) fn enter(&mut self, node: usize, scope: Scope) {
        if self.turn_in_here(node) {
            if let Scope::Body(cleanup) = scope {
                self.cleanups[cleanup].state = CleanupState::Lost;
            }
            seen(Seen::NotBegun);
            return self.push(node, Scope::Dead);
        }
        if let Some(poll) = &mut self.poll {
            poll.counts = poll.counts.or(Some(Seen::CountsProtected));
        }
        self.push(node, scope);
    }

    /// Waits: an await of the crate's own.
    pub(crate) fn wait(&mut self, node: usize, scope: Scope) {
        self.push(node, scope);
    }

    pub(crate) fn add_guard(&mut self, node: usize, cleanup: usize) {
        let it = &mut self.nodes[node];
        match it.frames.last_mut() {
            Some(frame) => frame.guards.push_back(cleanup),
            None => it.guards.push_back(cleanup),
        }
    }

    pub(crate) fn has_guard(&self, node: usize) -> bool {
        let it = &self.nodes[node];
        let guards = it.frames.last().map_or(&it.guards, |frame| &frame.guards);
        !guards.is_empty()
    }

    pub(crate) fn drop_guard(&mut self, node: usize) {
        let it = &mut self.nodes[node];
        let guard = match it.frames.last_mut() {
            Some(frame) => frame.guards.pop_front(),
            None => it.guards.pop_front(),
        };
        self.nodes[node].cleanups.extend(guard);
    }

    /// The innermost frame goes, with its guards.
    pub(super) fn pop(&mut self, node: usize) -> Option<Scope> {
        let frame = self.nodes[node].frames.pop()?;
        self.nodes[node].cleanups.extend(frame.guards);
        Some(frame.scope)
    }

    /// A body has ended: its cleanup begins.
    pub(super) fn begin_cleanup(&mut self, node: usize, cleanup: usize, then: Then) {
        self.cleanups[cleanup].state = CleanupState::Running;
        self.push(node, Scope::Cleanup(cleanup, then));
    }

    pub(crate) fn leave(&mut self, node: usize) {
        match self.pop(node) {
            Some(Scope::Body(cleanup)) => {
                self.begin_cleanup(node, cleanup, Then::GoOn);
                self.end_cleanup(node);
            }
            Some(Scope::Beside(service)) => self.stop_beside(node, service),
            _ if self.is_turn(node) => seen(Seen::ShieldHolds),
            _ => {}
        }
    }

    /// What is around the innermost scope, or wait, drops it.
    pub(crate) fn abort(&mut self, node: usize) {
        match self.pop(node) {
            Some(Scope::Body(cleanup)) => {
                seen(Seen::FinallyLost);
                self.cleanups[cleanup].state = CleanupState::Lost;
            }
            Some(Scope::Cleanup(cleanup, _)) => {
                seen(Seen::CleanupLost);
                self.cleanups[cleanup].state = CleanupState::Lost;
            }
            Some(Scope::Run(service) | Scope::Beside(service) | Scope::Ending(service)) => {
                seen(Seen::RunDropped);
                self.cancel(service);
            }
            Some(Scope::Shield) => seen(Seen::ShieldLost),
            _ => {}
        }
    }

    /// The future ends from within its innermost scope, outwards.
    pub(crate) fn end(&mut self, node: usize, how: How) {
        while let Some(scope) = self.pop(node) {
            match scope {
                Scope::Body(cleanup) => {
                    self.begin_cleanup(node, cleanup, Then::End(how));
                    self.end_cleanup(node);
                    return;
                }
                // It does not wait when it panics.
                Scope::Beside(service) if how == How::Panic => self.drop_run(service),
                // Otherwise it waits, and goes on: what ends is the body.
                Scope::Beside(service) => return self.stop_beside(node, service),
                _ => {}
            }
        }
        let guards = std::mem::take(&mut self.nodes[node].guards);
        self.nodes[node].cleanups.extend(guards);
        self.nodes[node].ended = true;
        if self.children(node).next().is_some() {
            seen(Seen::EndsBeforeChildren);
        }
        if self.in_grace(node) {
            seen(Seen::EndsInGrace);
        }
        let armed = self.nodes[node].armed;
        if armed {
            seen(Seen::PanickedDrop);
        }
        self.conclude(node, if armed { How::Panic } else { how });
    }

    fn conclude(&mut self, node: usize, how: How) {
        let kind = self.nodes[node].kind;
        let asked = self.nodes[node].closing.is_some();
        let counts = match &self.poll {
            Some(poll) if poll.node == node => poll.counts,
            // Not told to just now: it goes on after a cleanup.
            _ => Some(Seen::CountsCleanup),
        };
        let outcome = match how {
            How::Error if kind == Kind::Raw => Outcome::Value,
            How::Value => {
                if kind == Kind::Daemon && !asked {
                    self.fail(node, node, Why::DaemonExit);
                } else if kind == Kind::Daemon {
                    seen(Seen::DaemonMayEnd);
                }
                Outcome::Value
            }
            How::Error if let Some(because) = counts => {
                if asked {
                    seen(because);
                }
                self.fail(node, node, Why::Error(node));
                Outcome::Failed
            }
            How::Error => {
                seen(Seen::Consequence);
                Outcome::Cancelled
            }
            How::Panic => {
                self.panicked(node);
                Outcome::Panicked
            }
        };
        self.nodes[node].outcome = outcome;
    }

    fn panicked(&mut self, node: usize) {
        if self.nodes[node].closing.is_some() {
            seen(Seen::PanicCounts);
        }
        if self.nodes[node].kind == Kind::Raw {
            if self.children(node).next().is_some() {
                seen(Seen::RawPanicCancels);
            }
            self.cancel(node);
        } else {
            self.fail(node, node, Why::Panic);
        }
    }

    /// If the cleanup that runs may end: it does, and what follows. `true` if so.
    fn end_cleanup(&mut self, node: usize) -> bool {
        let Some(frame) = self.nodes[node].frames.last() else {
            return false;
        };
        let Scope::Cleanup(cleanup, then) = frame.scope else {
            return false;
        };
        if !self.cleanups[cleanup].released {
            return false;
        }
        self.cleanups[cleanup].state = CleanupState::Ended;
        self.pop(node);
        seen(match then {
            _ if self.cleanups[cleanup].panics => Seen::FinallyCleanupPanics,
            Then::GoOn => Seen::FinallyGoesOn,
            Then::End(How::Panic) => Seen::FinallyPanics,
            Then::End(_) => Seen::FinallyEnds,
            Then::Dropped => Seen::FinallyDropped,
        });
        let then = match then {
            _ if self.cleanups[cleanup].panics => Then::End(How::Panic),
            then => then,
        };
        match then {
            Then::GoOn => {}
            Then::End(how) => self.end(node, how),
            Then::Dropped => self.push(node, Scope::Dead),
        }
        true
    }

    /// Applies the rules until nothing follows any more.
    pub(crate) fn settle(&mut self) {
        self.poll = None;
        loop {
            let mut changed = false;
            // From the youngest, which are the lowest.
            for node in (0..self.nodes.len()).rev() {
                while self.is_live(node) && self.step(node) {
                    changed = true;
                }
            }
            if !changed {
                return self.answer_calls();
            }
        }
    }

    fn step(&mut self, node: usize) -> bool {
        self.step_cleanups(node)
            || self.end_cleanup(node)
            || self.end_body(node)
            || self.take_turn(node)
            || self.stop_waiting(node)
            || self.finish(node)
    }

    fn step_cleanups(&mut self, node: usize) -> bool {
        let Some(&first) = self.nodes[node].cleanups.front() else {
            return false;
        };
        let cleanup = &mut self.cleanups[first];
        if !cleanup.released {
            let begun = cleanup.state == CleanupState::Unborn;
            cleanup.state = CleanupState::Running;
            return begun;
        }
        cleanup.state = CleanupState::Ended;
        self.nodes[node].cleanups.pop_front();
        seen(match &self.nodes[node] {
            it if it.closing.is_some() => Seen::DeferCancelled,
            it if it.ended => Seen::DeferAfter,
            _ => Seen::DeferRan,
        });
        if self.cleanups[first].panics {
            self.nodes[node].set_cleanup_panicked();
            if self.nodes[node].kind != Kind::Raw {
                seen(Seen::PanickedCleanup);
                self.fail(node, node, Why::Panic);
                return true;
            }
            seen(Seen::DeferPanicked);
            self.cancel(node);
        }
        true
    }

    fn take_turn(&mut self, node: usize) -> bool {
        let it = &self.nodes[node];
        if it.ended || !self.is_turn(node) || it.frames.iter().any(|f| f.scope.is_hard()) {
            return false;
        }
        match self.pop(node) {
            Some(Scope::Body(cleanup)) => {
                seen(Seen::BodyDropped);
                self.begin_cleanup(node, cleanup, Then::Dropped);
            }
            Some(_) => seen(Seen::DroppedWaiting),
            None => {
                let it = &self.nodes[node];
                seen(match it.closing {
                    Some(asked) if it.grace_end > asked => Seen::DroppedAfterGrace,
                    _ => Seen::DroppedAtTurn,
                });
                let guards = std::mem::take(&mut self.nodes[node].guards);
                self.nodes[node].cleanups.extend(guards);
                self.nodes[node].ended = true;
                if self.nodes[node].armed {
                    seen(Seen::PanickedDrop);
                    self.panicked(node);
                    self.nodes[node].outcome = Outcome::Panicked;
                } else {
                    self.nodes[node].outcome = Outcome::Cancelled;
                }
            }
        }
        true
    }

    fn stop_waiting(&mut self, node: usize) -> bool {
        let over = match self.nodes[node].frames.last().map(|f| f.scope) {
            Some(Scope::Await(other) | Scope::Run(other) | Scope::Ending(other))
                if self.nodes[other].done =>
            {
                Seen::AwaitOver
            }
            Some(Scope::Until(other, _)) if self.nodes[other].done => Seen::StopOver,
            Some(Scope::Until(_, until)) if until <= self.now => Seen::StopLate,
            Some(Scope::Sleep(until)) if until <= self.now => Seen::SleepOver,
            _ => return false,
        };
        seen(over);
        self.pop(node);
        true
    }

    /// The next moment at which something happens by itself.
    pub(crate) fn next_event(&self) -> Option<u64> {
        let times = (0..self.nodes.len()).filter(|n| self.is_live(*n)).map(|n| {
            let node = &self.nodes[n];
            let grace = if node.closing.is_some() {
                node.grace_end
            } else {
                u64::MAX
            };
            let sleep = match node.frames.last().map(|f| f.scope) {
                Some(Scope::Sleep(until) | Scope::Until(_, until)) => until,
                _ => u64::MAX,
            };
            let later = [grace, sleep].into_iter().filter(|at| *at > self.now);
            later.min().unwrap_or(u64::MAX)
        });
        let calls = self.calls.iter().filter(|call| call.answer.is_none());
        let calls = calls.map(|call| call.at).filter(|at| *at > self.now);
        times.chain(calls).min().filter(|at| *at < u64::MAX)
    }

    /// Lets time pass.
    pub(crate) fn advance_to(&mut self, end: u64) {
        self.settle();
        while let Some(at) = self.next_event().filter(|at| *at <= end) {
            self.now = at;
            self.settle();
        }
        self.now = end;
    }
}
