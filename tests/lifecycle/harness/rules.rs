//! What follows: the ends of futures, turns, cleanups, and when a node is done.

use super::cause::Because;
use super::count::{Seen, seen};
use super::model::Model;
use super::node::{CleanupState, Frame, Outcome, Poll, Said, Scope, Then, Why};
use super::ops::{How, Kind};
use super::place::cover_of;
use std::collections::VecDeque;

impl Model {
    pub(crate) fn begin_poll(&mut self, node: usize) {
        self.poll = Some(Poll {
            node,
            counts: self.begins(node),
            said: vec![None; self.levels(node)],
            panics: 0,
            cancels: Vec::new(),
            kills: Vec::new(),
            has_left: false,
            is_over: false,
        });
    }

    /// Whether a cleanup has panicked in this poll, or a deferred one will at its end.
    pub(super) fn panics(&self, poll: &Poll) -> bool {
        let mut left = self.nodes[poll.node].cleanups.iter();
        poll.panics > 0 || left.any(|cleanup| self.cleanups[*cleanup].panics)
    }

    pub(super) fn push(&mut self, node: usize, scope: Scope) {
        let guards = VecDeque::new();
        let number = self.frames;
        self.frames += 1;
        self.nodes[node].frames.push(Frame {
            scope,
            number,
            guards,
        });
    }

    /// Enters a shield or a `finally`; first polled after the turn it does not start.
    pub(crate) fn enter(&mut self, node: usize, scope: Scope) {
        if self.turn_in_here(node) {
            seen(Seen::NotBegun);
            return self.push(
                node,
                match scope {
                    Scope::Body(cleanup) => Scope::Refused(cleanup),
                    _ => Scope::Dead,
                },
            );
        }
        self.push(node, scope);
        if let Scope::Body(_) = scope {
            self.enter_level(node);
        }
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
        self.leave_behind(node, None, guard.into_iter().collect());
    }

    /// Guards are dropped, in the scope that is innermost or in this one, which has just been left.
    pub(super) fn leave_behind(
        &mut self,
        node: usize,
        left: Option<Scope>,
        guards: VecDeque<usize>,
    ) {
        let around = self.nodes[node].frames.iter().map(|frame| frame.scope);
        let bodies = around.chain(left).filter_map(|scope| match scope {
            Scope::Body(cleanup) => Some(cleanup),
            _ => None,
        });
        let bodies: Vec<_> = bodies.collect();
        for guard in guards {
            self.cleanups[guard].inside.clone_from(&bodies);
            self.nodes[node].cleanups.push_back(guard);
        }
    }

    /// Whether the body of the `finally` with this cleanup left something behind that is not done.
    fn has_left(&self, node: usize, cleanup: usize) -> bool {
        let left = &self.nodes[node].cleanups;
        let runs = |left: &usize| self.cleanups[*left].inside.contains(&cleanup);
        left.iter().any(runs) || self.deferred_has_left(node, cleanup)
    }

    /// The innermost frame goes, with its guards.
    pub(super) fn pop(&mut self, node: usize) -> Option<Scope> {
        let frame = self.nodes[node].frames.pop()?;
        self.uncover(node, frame.number);
        match frame.scope {
            Scope::Refused(cleanup) => self.cleanups[cleanup].state = CleanupState::Lost,
            Scope::Room(task) => self.leave_line(task),
            _ => {}
        }
        self.leave_behind(node, Some(frame.scope), frame.guards);
        Some(frame.scope)
    }

    /// A body has ended: its cleanup begins.
    pub(super) fn begin_cleanup(&mut self, node: usize, cleanup: usize, then: Then) {
        if self.has_left(node, cleanup) {
            seen(Seen::FinallyWaits);
        } else {
            self.cleanups[cleanup].state = CleanupState::Running;
        }
        self.push(node, Scope::Cleanup(cleanup, then));
    }

    pub(crate) fn leave(&mut self, node: usize) {
        match self.pop(node) {
            Some(Scope::Body(cleanup)) => {
                let inside = self.said(node);
                self.leave_level(node);
                let said = self.of_body(node, inside);
                self.begin_cleanup(node, cleanup, Then::GoOn(said));
                self.end_cleanup(node);
            }
            Some(Scope::Beside(service)) => self.stop_beside(node, service),
            _ => {
                self.say(node, Said::COUNTS);
                if self.is_turn(node) {
                    seen(Seen::ShieldHolds);
                }
            }
        }
    }

    /// What is around the innermost scope, or wait, drops it.
    pub(crate) fn abort(&mut self, node: usize) {
        match self.pop(node) {
            Some(Scope::Body(cleanup)) => {
                seen(Seen::FinallyLost);
                self.leave_level(node);
                self.cleanups[cleanup].state = CleanupState::Lost;
            }
            Some(Scope::Cleanup(cleanup, _)) => {
                seen(Seen::CleanupLost);
                self.cleanups[cleanup].state = CleanupState::Lost;
                self.say_if_nothing(node, Said::COUNTS);
            }
            Some(Scope::Run(service) | Scope::Beside(service) | Scope::Ending(service)) => {
                seen(Seen::RunDropped);
                self.cancel(service, Because::Dropped);
            }
            Some(Scope::Shield) => {
                seen(Seen::ShieldLost);
                self.say_if_nothing(node, Said::COUNTS);
            }
            _ => {}
        }
    }

    /// The future ends from within its innermost scope, outwards.
    pub(crate) fn end(&mut self, node: usize, how: How) {
        let said = self.said(node);
        self.end_as(node, how, said);
    }

    fn end_as(&mut self, node: usize, how: How, mut said: Option<Said>) {
        while let Some(scope) = self.pop(node) {
            match scope {
                Scope::Body(cleanup) => {
                    let body = self.of_body(node, said);
                    if how == How::Error && !body.counts {
                        seen(Seen::ConsequenceBody);
                    } else if how == How::Error && said.is_some_and(|said| said.counts) {
                        seen(Seen::CountsBodyInside);
                    }
                    self.begin_cleanup(node, cleanup, Then::End(how, body));
                    self.end_cleanup(node);
                    return;
                }
                Scope::Shield => said = Some(Said::COUNTS),
                // It does not wait when it panics.
                Scope::Beside(service) if how == How::Panic => self.drop_run(service),
                // Otherwise it waits, and goes on: what ends is the body.
                Scope::Beside(service) => return self.stop_beside(node, service),
                _ => {}
            }
        }
        let guards = std::mem::take(&mut self.nodes[node].guards);
        self.leave_behind(node, None, guards);
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
        // The code of `run` and of a spawned task is the user's own to its end.
        let apart = matches!(self.nodes[node].kind, Kind::Task | Kind::Daemon);
        match how {
            How::Error | How::Panic if armed && apart => {
                seen(Seen::DropBeside);
                self.conclude(node, how, said);
                self.broke(node, Why::Panic, None);
                self.nodes[node].outcome = Outcome::Panicked;
            }
            _ if armed => self.conclude(node, How::Panic, said),
            _ => self.conclude(node, how, said),
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
        if self.has_left(node, cleanup) {
            return false;
        }
        let waits = self.waits_in(cleanup);
        let it = &mut self.cleanups[cleanup];
        if !it.released || waits {
            let begun = it.state == CleanupState::Unborn;
            it.state = CleanupState::Running;
            return begun;
        }
        it.state = CleanupState::Ended;
        self.pop(node);
        let panics = self.cleanups[cleanup].panics;
        seen(match then {
            Then::End(..) if panics => Seen::CleanupBeside,
            _ if panics => Seen::FinallyCleanupPanics,
            Then::GoOn(_) => Seen::FinallyGoesOn,
            Then::End(How::Panic, _) => Seen::FinallyPanics,
            Then::End(..) => Seen::FinallyEnds,
            Then::Dropped => Seen::FinallyDropped,
        });
        match then {
            Then::GoOn(said) => self.say(node, said),
            Then::End(how, said) => self.end_as(node, how, Some(said)),
            Then::Dropped => self.push(node, Scope::Dead),
        }
        if panics {
            match &mut self.poll {
                Some(poll) if poll.node == node => poll.panics += 1,
                _ => self.panicked_beside(node),
            }
        }
        true
    }

    /// Applies the rules until nothing follows any more.
    pub(crate) fn settle(&mut self) {
        (self.asked, self.several, self.broken) = (false, false, false);
        if let Some(poll) = self.poll.take() {
            self.asked = !poll.cancels.is_empty();
            self.several = poll.cancels.len() > 1;
            (0..poll.panics).for_each(|_| self.panicked_beside(poll.node));
        }
        loop {
            let mut changed = false;
            // From the youngest, which are the lowest.
            for node in (0..self.nodes.len()).rev() {
                while self.is_live(node) && self.step(node) {
                    changed = true;
                }
            }
            let waited = !changed && (self.give_room() || self.stop_waiting_beside());
            if !changed && !waited && !self.answer_calls() {
                return;
            }
        }
    }

    fn step(&mut self, node: usize) -> bool {
        if self.nodes[node].killed.is_some() {
            return self.die(node) || self.finish(node);
        }
        self.step_supervisor(node)
            || self.step_cleanups(node)
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
        let waits = self.waits_in(first);
        let cleanup = &mut self.cleanups[first];
        if !cleanup.released || waits {
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
        self.uncover(node, cover_of(first));
        // What is left is outside of protection when the panic counts.
        if self.cleanups[first].panics {
            seen(match self.nodes[node].kind {
                Kind::Raw => Seen::DeferPanicked,
                _ => Seen::PanickedCleanup,
            });
            self.panicked_beside(node);
        }
        true
    }
}
