//! The reference model: the rules of the public contract, written down as directly as possible.
//!
//! A list of nodes, each with a stack of scopes. A command changes the node it is for; what follows
//! is found by applying the rules in `rules.rs` until none applies any more.

use super::calls::Call;
use super::cause::Because;
use super::count::{Seen, seen};
use super::node::{Cleanup, CleanupState, Node, Outcome, Poll, Service};
use super::ops::Kind;
use super::room::{Decided, RoomWait};
use std::collections::VecDeque;

#[derive(Default)]
pub(crate) struct Model {
    pub(crate) nodes: Vec<Node>,
    pub(crate) cleanups: Vec<Cleanup>,
    pub(crate) now: u64,
    pub(crate) poll: Option<Poll>,
    pub(crate) calls: Vec<Call>,
    /// The runtime was dropped.
    pub(crate) dropped: bool,
    /// The number of the next frame.
    pub(crate) frames: usize,
    /// Incarnations that were made since the driver has looked.
    pub(crate) made: Vec<usize>,
    /// The poll that is being settled has asked for a cancellation: whether that reaches a task before a failure
    /// does that ends the poll, in a cleanup for example, is not said.
    pub(crate) asked: bool,
    /// A failure of what is being settled has cancelled something.
    pub(crate) broken: bool,
    /// It has asked for several.
    pub(crate) several: bool,
    /// The cleanup whose code makes a call.
    pub(crate) calling: Option<usize>,
    /// The same, if it is a deferred one.
    pub(crate) deferred: Option<usize>,
    /// The waits for room, in the order in which they came.
    pub(crate) line: Vec<RoomWait>,
    /// Those that have ended since the driver has looked.
    pub(crate) decided: Vec<Decided>,
}

/// What scheduling comes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Scheduled {
    Under(Option<usize>),
    BornDone,
    NotRunning,
    TooMany,
    /// The call waits for room, or was dropped while it did.
    Waits,
    /// The wait for room and the task that waited ended in one moment.
    Unsure,
}

impl Model {
    pub(crate) fn new_node(
        &mut self,
        kind: Kind,
        grace: Option<u64>,
        max_children: usize,
    ) -> usize {
        let service = kind.is_service().then(|| Service {
            max_children,
            started: false,
            closing: false,
            cancelled: false,
            cancelled_or_not: false,
            total: 0,
            finished: 0,
            perhaps: 0,
            failures: Vec::new(),
            errored: false,
            ready: false,
        });
        self.nodes.push(Node {
            kind,
            parent: None,
            attached: false,
            guards: VecDeque::new(),
            frames: Vec::new(),
            armed: false,
            cleanups: VecDeque::new(),
            closing: None,
            killed: None,
            kill_asked: false,
            killed_in_poll: false,
            told_late: false,
            because: None,
            because_unsure: false,
            supervisor: None,
            name: None,
            stopped_in: None,
            isolated: false,
            grace,
            grace_end: 0,
            ended: false,
            done: false,
            outcome: Outcome::Cancelled,
            service,
            has_context: false,
            detached: false,
            done_at: 0,
            cleanup_panicked: false,
            cover: None,
        });
        self.nodes.len() - 1
    }

    pub(crate) fn new_cleanup(&mut self, node: usize, waits: bool) -> usize {
        self.cleanups.push(Cleanup {
            node,
            released: !waits,
            panics: false,
            state: CleanupState::Unborn,
            inside: Vec::new(),
        });
        self.cleanups.len() - 1
    }

    pub(crate) fn is_live(&self, node: usize) -> bool {
        self.nodes[node].attached && !self.nodes[node].done
    }

    pub(crate) fn live(&self) -> Vec<usize> {
        (0..self.nodes.len()).filter(|n| self.is_live(*n)).collect()
    }

    pub(crate) fn children(&self, parent: usize) -> impl Iterator<Item = usize> {
        let live = (parent + 1..self.nodes.len()).filter(move |n| self.is_live(*n));
        live.filter(move |n| self.nodes[*n].parent == Some(parent))
    }

    pub(crate) fn is_supervised(&self, node: usize) -> bool {
        let node = &self.nodes[node];
        let service_root = node.parent.is_none();
        !matches!(node.kind, Kind::Raw | Kind::Run | Kind::Child) && !service_root
    }

    /// The nearest service, from this node upwards.
    pub(crate) fn service_of(&self, node: usize) -> Option<usize> {
        let mut at = Some(node);
        while let Some(node) = at {
            if self.nodes[node].service.is_some() {
                return at;
            }
            at = self.nodes[node].parent;
        }
        None
    }

    pub(crate) fn service(&mut self, node: usize) -> &mut Service {
        self.nodes[node].service.as_mut().expect("a service")
    }

    pub(crate) fn depth(&self, node: usize) -> usize {
        let mut depth = 0;
        let mut at = self.nodes[node].parent;
        while let Some(node) = at {
            depth += 1;
            at = self.nodes[node].parent;
        }
        depth
    }

    pub(crate) fn is_below(&self, node: usize, above: usize) -> bool {
        let mut at = self.nodes[node].parent;
        while let Some(parent) = at {
            if parent == above {
                return true;
            }
            at = self.nodes[parent].parent;
        }
        false
    }

    pub(super) fn effective_grace(&self, node: usize) -> u64 {
        let mut at = Some(node);
        while let Some(node) = at {
            if let Some(grace) = self.nodes[node].grace {
                return grace;
            }
            at = self.nodes[node].parent;
        }
        0
    }

    /// Cancellation is asked for, of this node and all below it.
    pub(crate) fn cancel(&mut self, target: usize, because: Because) {
        if !self.is_live(target) {
            return seen(Seen::CancelNothing);
        }
        self.keep_cause(target, because);
        if self.nodes[target].closing.is_some() {
            seen(Seen::CancelAgain);
        }
        if let Some(service) = &mut self.nodes[target].service {
            service.cancelled = true;
        }
        self.cancel_with_parent(target);
    }

    /// Cancellation reaches this node and all below it.
    pub(crate) fn cancel_with_parent(&mut self, target: usize) {
        for node in target..self.nodes.len() {
            let within = node == target || self.is_reached(node, target);
            if !within || !self.is_live(node) || self.nodes[node].closing.is_some() {
                continue;
            }
            self.cancel_one(node);
        }
    }

    /// Cancellation reaches this node.
    pub(crate) fn cancel_one(&mut self, node: usize) {
        let end = self.now + self.effective_grace(node);
        let independent = self.nodes[node].kind == Kind::Run;
        let it = &mut self.nodes[node];
        it.closing = Some(self.now);
        it.grace_end = end;
        if let Some(service) = &mut it.service {
            service.closing = true;
            service.cancelled |= !independent;
        }
    }

    pub(crate) fn is_protected(&self, node: usize) -> bool {
        self.nodes[node].frames.iter().any(|f| f.scope.protects())
    }

    pub(crate) fn in_grace(&self, node: usize) -> bool {
        let node = &self.nodes[node];
        node.closing.is_some() && node.killed.is_none() && self.now < node.grace_end
    }

    /// Everything below is done, but for what protection covers or has left, and no grace runs.
    pub(crate) fn is_turn(&self, node: usize) -> bool {
        let closing = self.nodes[node].closing.is_some();
        let mut others = self.children(node);
        // What was started inside protection does not keep the turn away.
        let others = others.any(|child| self.nodes[child].cover.is_none());
        closing && !self.in_grace(node) && !others
    }

    /// Whether it would carry out a command now.
    pub(crate) fn listens(&self, node: usize) -> bool {
        let it = &self.nodes[node];
        let is_told = it.supervisor.is_none();
        self.is_live(node)
            && is_told
            && !it.ended
            && it.frames.last().is_none_or(|f| f.scope.listens())
    }
}
