//! What the model knows of each node: scopes, cleanups, failures, the service it is.

use super::cause::Because;
use super::count::Seen;
use super::ops::{How, Kind};
use super::supervisor::Supervisor;
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
    /// It was killed, and its supervisor had not asked for it.
    Forced,
    /// That service's own failures.
    Service(usize),
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Failure {
    pub(crate) node: usize,
    pub(crate) why: Why,
    /// When its first leaf failed: in the same step, in any order.
    pub(crate) step: u64,
}

/// What is known of what some code returns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Said {
    /// An error counts.
    pub(crate) counts: bool,
    /// When it happened, if not now.
    pub(crate) step: Option<u64>,
}

impl Said {
    /// From inside protection.
    pub(crate) const COUNTS: Said = Said {
        counts: true,
        step: None,
    };
}

/// What follows a cleanup of `finally`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Then {
    GoOn(Said),
    End(How, Said),
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
    /// Beside that service: its failure ends what is in here.
    Beside(usize),
    /// Waits for the service that was beside it, and then goes on.
    Ending(usize),
    /// Waits for that node to be done, but no longer than until that time.
    Until(usize, u64),
    /// Waits for room for that task.
    Room(usize),
    /// Until that time.
    Sleep(u64),
    /// Suspended for good.
    Dead,
    /// Suspended for good: a `finally` that came too late, with this cleanup.
    Refused(usize),
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
        matches!(self, Scope::Shield | Scope::Body(_) | Scope::Beside(_))
    }
}

/// The protection of its parent in which a node was started.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Cover {
    /// That of the parent's outermost protection then.
    pub(crate) frame: usize,
    /// The bodies around it.
    pub(crate) around: Vec<Scope>,
    /// It has ended while the parent was being cancelled.
    pub(crate) called: bool,
}

pub(crate) struct Frame {
    pub(crate) scope: Scope,
    /// Different for each.
    pub(crate) number: usize,
    /// Its `defer` guards, oldest first.
    pub(crate) guards: VecDeque<usize>,
}

pub(crate) struct Service {
    pub(crate) max_children: usize,
    pub(crate) started: bool,
    /// Being cancelled, for whatever reason.
    pub(crate) closing: bool,
    pub(crate) cancelled: bool,
    /// Who ran it was dropped while it went with the tree: first come, first served.
    pub(crate) cancelled_or_not: bool,
    pub(crate) total: u64,
    pub(crate) finished: u64,
    /// Of how many more it is not said whether they have started. Those are done.
    pub(crate) perhaps: u64,
    pub(crate) failures: Vec<Failure>,
    /// It has a failure, or will have that of a child service.
    pub(crate) errored: bool,
    pub(crate) ready: bool,
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
    /// It was killed in a poll of its own.
    pub(crate) killed_in_poll: bool,
    /// Whether it has ended or was dropped is not said, as long as its body's cleanup runs.
    pub(crate) told_late: bool,
    /// It was killed, at this time.
    pub(crate) killed: Option<u64>,
    /// That was asked of itself.
    pub(crate) kill_asked: bool,
    /// Why it was cancelled, if that was asked of itself.
    pub(crate) because: Option<Because>,
    /// Which of two requests was first is not said.
    pub(crate) because_unsure: bool,
    pub(crate) supervisor: Option<Box<Supervisor>>,
    /// That of a supervisor's child.
    pub(crate) name: Option<String>,
    /// Its supervisor has stopped it when it stopped children for this time.
    pub(crate) stopped_in: Option<usize>,
    /// Its failure is its handle's alone.
    pub(crate) isolated: bool,
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
    pub(crate) cleanup_panicked: bool,
    /// `None`, too, once that protection has ended and the parent was not being cancelled.
    pub(crate) cover: Option<Cover>,
}

impl Node {
    /// A deferred cleanup has panicked: that is its outcome.
    pub(crate) fn set_cleanup_panicked(&mut self) {
        self.cleanup_panicked = true;
    }

    /// Its failure is no failure of a service.
    pub(crate) fn is_alone(&self) -> bool {
        self.kind == Kind::Raw || self.isolated
    }

    /// A service without managers and contexts.
    pub(crate) fn is_forgotten(&self) -> bool {
        self.detached && self.service.is_some()
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
    /// Dropped, or run in the poll in which its task was killed.
    LostOrEnded,
}

pub(crate) struct Cleanup {
    pub(crate) node: usize,
    pub(crate) released: bool,
    pub(crate) panics: bool,
    pub(crate) state: CleanupState,
    /// Deferred in the bodies of the `finally`s with these cleanups, which wait for it.
    pub(crate) inside: Vec<usize>,
}

/// What is known of the poll that commands are being told for.
pub(crate) struct Poll {
    pub(crate) node: usize,
    /// Why an error it returns counts, whatever ends in it.
    pub(crate) counts: Option<Seen>,
    /// What is said of what comes next, for the task and each body, the innermost last.
    pub(crate) said: Vec<Option<Said>>,
    /// Cleanups that have panicked in it: they are counted when it is over.
    pub(crate) panics: usize,
    /// What was cancelled during it.
    pub(crate) cancels: Vec<usize>,
    /// What was killed during it.
    pub(crate) kills: Vec<usize>,
    /// It has left a scope, or dropped one.
    pub(crate) has_left: bool,
    /// What would follow in it would race with what has begun.
    pub(crate) is_over: bool,
}
