//! What follows: the ends of futures, turns, cleanups, and when a node is done.

use super::model::{CleanupState, Frame, Model, Outcome, Poll, Scope, Then, Why};
use super::ops::{How, Kind};
use std::collections::VecDeque;

impl Model {
    pub(crate) fn begin_poll(&mut self, node: usize) {
        let asked = self.nodes[node].closing.is_some();
        self.poll = Some(Poll {
            node,
            counts: !asked || self.is_protected(node) || self.in_grace(node),
            cancels: Vec::new(),
        });
    }

    fn push(&mut self, node: usize, scope: Scope) {
        let guards = VecDeque::new();
        self.nodes[node].frames.push(Frame { scope, guards });
    }

    /// Enters a shield or a `finally`; first polled after the turn it does not start.
    pub(crate) fn enter(&mut self, node: usize, scope: Scope) {
        let hard = self.nodes[node].frames.iter().any(|f| f.scope.is_hard());
        if self.is_turn(node) && !hard {
            if let Scope::Body(cleanup) = scope {
                self.cleanups[cleanup].state = CleanupState::Lost;
            }
            return self.push(node, Scope::Dead);
        }
        if let Some(poll) = &mut self.poll {
            poll.counts = true;
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

    pub(crate) fn drop_guard(&mut self, node: usize) {
        let it = &mut self.nodes[node];
        let guard = match it.frames.last_mut() {
            Some(frame) => frame.guards.pop_front(),
            None => it.guards.pop_front(),
        };
        self.nodes[node].cleanups.extend(guard);
    }

    /// The innermost frame goes, with its guards.
    fn pop(&mut self, node: usize) -> Option<Scope> {
        let frame = self.nodes[node].frames.pop()?;
        self.nodes[node].cleanups.extend(frame.guards);
        Some(frame.scope)
    }

    /// A body has ended: its cleanup begins.
    fn begin_cleanup(&mut self, node: usize, cleanup: usize, then: Then) {
        self.cleanups[cleanup].state = CleanupState::Running;
        self.push(node, Scope::Cleanup(cleanup, then));
    }

    pub(crate) fn leave(&mut self, node: usize) {
        if let Some(Scope::Body(cleanup)) = self.pop(node) {
            self.begin_cleanup(node, cleanup, Then::GoOn);
            self.end_cleanup(node);
        }
    }

    /// What is around the innermost scope, or wait, drops it.
    pub(crate) fn abort(&mut self, node: usize) {
        match self.pop(node) {
            Some(Scope::Body(cleanup) | Scope::Cleanup(cleanup, _)) => {
                self.cleanups[cleanup].state = CleanupState::Lost;
            }
            Some(Scope::Run(service)) => {
                self.cancel(service);
            }
            _ => {}
        }
    }

    /// The future ends from within its innermost scope, outwards.
    pub(crate) fn end(&mut self, node: usize, how: How) {
        while let Some(scope) = self.pop(node) {
            if let Scope::Body(cleanup) = scope {
                self.begin_cleanup(node, cleanup, Then::End(how));
                self.end_cleanup(node);
                return;
            }
        }
        let guards = std::mem::take(&mut self.nodes[node].guards);
        self.nodes[node].cleanups.extend(guards);
        self.nodes[node].ended = true;
        let armed = self.nodes[node].armed;
        self.conclude(node, if armed { How::Panic } else { how });
    }

    fn conclude(&mut self, node: usize, how: How) {
        let kind = self.nodes[node].kind;
        let asked = self.nodes[node].closing.is_some();
        let counts = self
            .poll
            .as_ref()
            .is_none_or(|p| p.node != node || p.counts);
        let outcome = match how {
            How::Error if kind == Kind::Raw => Outcome::Value,
            How::Value => {
                if kind == Kind::Daemon && !asked {
                    self.fail(node, node, Why::DaemonExit);
                }
                Outcome::Value
            }
            How::Error if counts => {
                self.fail(node, node, Why::Error(node));
                Outcome::Failed
            }
            How::Error => Outcome::Cancelled,
            How::Panic => {
                self.panicked(node);
                Outcome::Panicked
            }
        };
        self.nodes[node].outcome = outcome;
    }

    fn panicked(&mut self, node: usize) {
        if self.nodes[node].kind == Kind::Raw {
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
                return;
            }
        }
    }

    fn step(&mut self, node: usize) -> bool {
        self.step_cleanups(node)
            || self.end_cleanup(node)
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
        if self.cleanups[first].panics {
            self.nodes[node].set_cleanup_panicked();
            if self.nodes[node].kind != Kind::Raw {
                self.fail(node, node, Why::Panic);
            } else if self.children(node).next().is_some() {
                self.cancel(node);
            }
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
                self.begin_cleanup(node, cleanup, Then::Dropped);
            }
            Some(_) => {}
            None => {
                let guards = std::mem::take(&mut self.nodes[node].guards);
                self.nodes[node].cleanups.extend(guards);
                self.nodes[node].ended = true;
                if self.nodes[node].armed {
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
            Some(Scope::Await(other) | Scope::Run(other)) => self.nodes[other].done,
            Some(Scope::Sleep(until)) => until <= self.now,
            _ => false,
        };
        if over {
            self.pop(node);
        }
        over
    }

    fn finish(&mut self, node: usize) -> bool {
        let it = &self.nodes[node];
        if !it.ended || !it.cleanups.is_empty() || self.children(node).next().is_some() {
            return false;
        }
        self.nodes[node].done = true;
        self.nodes[node].done_at = self.now;
        if self.nodes[node].cleanup_panicked() {
            self.nodes[node].outcome = Outcome::Panicked;
        }
        if !self.is_supervised(node) {
            return true;
        }
        let parent = self.nodes[node].parent.expect("supervised");
        if let Some(around) = self.service_of(parent) {
            self.service(around).finished += 1;
        }
        let asked = self.nodes[node].closing.is_some();
        let daemon = self.nodes[node].kind.is_daemon();
        if let Some(service) = &self.nodes[node].service {
            if !service.failures.is_empty() {
                self.fail(parent, node, Why::Service(node));
            } else if daemon && !asked {
                self.fail(parent, node, Why::DaemonExit);
            }
        }
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
                Some(Scope::Sleep(until)) => until,
                _ => u64::MAX,
            };
            let later = [grace, sleep].into_iter().filter(|at| *at > self.now);
            later.min().unwrap_or(u64::MAX)
        });
        times.min().filter(|at| *at < u64::MAX)
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

    /// The runtime is dropped: nothing is waited for.
    pub(crate) fn kill(&mut self) {
        self.killed = true;
        for node in self.live().into_iter().rev() {
            let it = &mut self.nodes[node];
            if !it.ended {
                it.outcome = if it.armed {
                    Outcome::Panicked
                } else {
                    Outcome::Cancelled
                };
            }
            if it.cleanup_panicked() {
                it.outcome = Outcome::Panicked;
            }
            it.ended = true;
            it.done = true;
        }
        for cleanup in &mut self.cleanups {
            if cleanup.state != CleanupState::Ended {
                cleanup.state = CleanupState::Lost;
            }
        }
    }
}
