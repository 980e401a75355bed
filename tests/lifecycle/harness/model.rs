//! The reference model: the rules of the public contract, written down as directly as possible.
//!
//! A list of nodes, each with a stack of scopes. A command changes the node it is for; what follows
//! is found by applying the rules in `rules.rs` until none applies any more.

use super::ops::{How, Kind};
use std::collections::VecDeque;

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    Value,
    Cancelled,
    Panicked,
    Failed,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Why {
    Error(usize),
    Panic,
    DaemonExit,
    /// That service's own failures.
    Service(usize),
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Failure {
    pub(crate) node: usize,
    pub(crate) why: Why,
    /// When it happened: in the same step, in any order.
    pub(crate) step: u64,
}

/// What follows a cleanup of `finally`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Then {
    GoOn,
    End(How),
    /// The body was dropped: so is the rest.
    Dropped,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Scope {
    Shield,
    /// The body of a `finally` with this cleanup.
    Body(usize),
    Cleanup(usize, Then),
    /// Waits for that node to be done.
    Await(usize),
    /// Runs that service, which is cancelled when the wait is dropped.
    Run(usize),
    /// Until that time.
    Sleep(u64),
    /// Suspended for good.
    Dead,
}

impl Scope {
    pub(crate) fn is_hard(&self) -> bool {
        matches!(self, Scope::Shield | Scope::Cleanup(..))
    }

    pub(crate) fn protects(&self) -> bool {
        self.is_hard() || matches!(self, Scope::Body(_))
    }

    /// Whether the interpreter reads its mailbox in there.
    pub(crate) fn listens(&self) -> bool {
        matches!(self, Scope::Shield | Scope::Body(_))
    }
}

pub(crate) struct Frame {
    pub(crate) scope: Scope,
    /// Its `defer` guards, oldest first.
    pub(crate) guards: VecDeque<usize>,
}

pub(crate) struct Service {
    pub(crate) max_children: usize,
    pub(crate) started: bool,
    /// Being cancelled, for whatever reason.
    pub(crate) closing: bool,
    pub(crate) cancelled: bool,
    pub(crate) total: u64,
    pub(crate) finished: u64,
    pub(crate) failures: Vec<Failure>,
}

pub(crate) struct Node {
    pub(crate) kind: Kind,
    pub(crate) parent: Option<usize>,
    /// It was linked into the tree.
    pub(crate) attached: bool,
    pub(crate) guards: VecDeque<usize>,
    pub(crate) frames: Vec<Frame>,
    pub(crate) armed: bool,
    /// Deferred cleanups, the first one running.
    pub(crate) cleanups: VecDeque<usize>,
    /// Cancellation was asked for, at this time.
    pub(crate) closing: Option<u64>,
    pub(crate) grace: Option<u64>,
    /// When its grace ends; meaningful while closing.
    pub(crate) grace_end: u64,
    pub(crate) ended: bool,
    pub(crate) done: bool,
    pub(crate) outcome: Outcome,
    pub(crate) service: Option<Service>,
    /// Its own context was handed out.
    pub(crate) has_context: bool,
    pub(crate) detached: bool,
    /// When it was done.
    pub(crate) done_at: u64,
    cleanup_panicked: bool,
}

impl Node {
    /// A deferred cleanup has panicked: that is its outcome.
    pub(crate) fn set_cleanup_panicked(&mut self) {
        self.cleanup_panicked = true;
    }

    pub(crate) fn cleanup_panicked(&self) -> bool {
        self.cleanup_panicked
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum CleanupState {
    Unborn,
    Running,
    Ended,
    /// Dropped before its end.
    Lost,
}

pub(crate) struct Cleanup {
    pub(crate) node: usize,
    pub(crate) released: bool,
    pub(crate) panics: bool,
    pub(crate) state: CleanupState,
}

/// What is known of the poll that commands are being told for.
pub(crate) struct Poll {
    pub(crate) node: usize,
    /// An error it returns counts, also while being cancelled.
    pub(crate) counts: bool,
    /// What was cancelled during it.
    pub(crate) cancels: Vec<usize>,
}

#[derive(Default)]
pub(crate) struct Model {
    pub(crate) nodes: Vec<Node>,
    pub(crate) cleanups: Vec<Cleanup>,
    pub(crate) now: u64,
    pub(crate) poll: Option<Poll>,
    pub(crate) killed: bool,
}

/// What scheduling comes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Scheduled {
    Under(Option<usize>),
    BornDone,
    NotRunning,
    TooMany,
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
            total: 0,
            finished: 0,
            failures: Vec::new(),
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
        });
        self.nodes.len() - 1
    }

    pub(crate) fn new_cleanup(&mut self, node: usize, waits: bool) -> usize {
        self.cleanups.push(Cleanup {
            node,
            released: !waits,
            panics: false,
            state: CleanupState::Unborn,
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
        !matches!(node.kind, Kind::Raw | Kind::Run) && !service_root
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

    /// Where what `from` (outside any task, if `None`) schedules would go.
    pub(crate) fn place(&self, from: Option<usize>, kind: Kind, via: Option<usize>) -> Scheduled {
        let closing = |n: usize| self.nodes[n].closing.is_some();
        let Some(via) = via else {
            return match from {
                Some(from) if closing(from) => Scheduled::BornDone,
                from => Scheduled::Under(from),
            };
        };
        if self.nodes[via].done {
            return Scheduled::NotRunning;
        }
        let service = self.nodes[via].service.as_ref().expect("a service");
        let here = from.filter(|from| self.service_of(*from) == Some(via));
        let parent = here.unwrap_or(via);
        if service.closing || closing(parent) {
            return Scheduled::BornDone;
        }
        let live = self.children(parent).filter(|n| self.is_supervised(*n));
        if kind != Kind::Run && live.count() >= service.max_children {
            return Scheduled::TooMany;
        }
        Scheduled::Under(Some(parent))
    }

    /// Puts a new node where it belongs.
    pub(crate) fn start(&mut self, node: usize, place: Scheduled) {
        match place {
            Scheduled::Under(parent) => {
                self.nodes[node].parent = parent;
                self.nodes[node].attached = true;
                if let Some(service) = &mut self.nodes[node].service {
                    service.started = true;
                }
                if self.is_supervised(node)
                    && let Some(around) = parent.and_then(|p| self.service_of(p))
                {
                    self.service(around).total += 1;
                }
            }
            Scheduled::BornDone | Scheduled::NotRunning | Scheduled::TooMany => {
                self.nodes[node].done = true;
                self.nodes[node].ended = true;
                if let Some(service) = &mut self.nodes[node].service {
                    service.closing = true;
                    service.cancelled = true;
                }
            }
        }
    }

    fn effective_grace(&self, node: usize) -> u64 {
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
    pub(crate) fn cancel(&mut self, target: usize) {
        if !self.is_live(target) {
            return;
        }
        if let Some(service) = &mut self.nodes[target].service {
            service.cancelled = true;
        }
        for node in target..self.nodes.len() {
            let within = node == target || self.is_below(node, target);
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

    /// Records a failure of the service that `from` is in, or is, and cancels that service.
    pub(crate) fn fail(&mut self, from: usize, node: usize, why: Why) {
        if let Some(service) = self.service_of(from) {
            let step = self.now;
            let failure = Failure { node, why, step };
            self.service(service).failures.push(failure);
            self.cancel(service);
        }
    }

    pub(crate) fn is_protected(&self, node: usize) -> bool {
        self.nodes[node].frames.iter().any(|f| f.scope.protects())
    }

    pub(crate) fn in_grace(&self, node: usize) -> bool {
        let node = &self.nodes[node];
        node.closing.is_some() && self.now < node.grace_end
    }

    /// Everything below is done, and no grace runs.
    pub(crate) fn is_turn(&self, node: usize) -> bool {
        let closing = self.nodes[node].closing.is_some();
        closing && !self.in_grace(node) && self.children(node).next().is_none()
    }

    /// Whether it would carry out a command now.
    pub(crate) fn listens(&self, node: usize) -> bool {
        let it = &self.nodes[node];
        self.is_live(node) && !it.ended && it.frames.last().is_none_or(|f| f.scope.listens())
    }
}
