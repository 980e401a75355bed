//! [`Child`]: a child spec, its phase, and its failures so far.

use super::super::rules::ChildRules;
use crate::error::{
    FailureKind, Failures, History, Moment, PastFailure, ServiceError, TaskFailure,
};
use crate::id::TaskId;
use crate::panics::quietly;
use std::collections::VecDeque;
use std::panic::Location;
use std::sync::Arc;
use std::time::Instant;

/// Identifies a child spec. Keys are in the order of starts, and none is used twice.
pub(in super::super) type Key = u64;

/// Identifies a caller that waits for an answer.
pub(in super::super) type Ticket = u64;

/// How many failures of a child are kept.
const KEPT: usize = 10;

/// What a child's failures say of it: the task of its latest incarnation, or the place at which it was to be.
#[derive(Clone, Debug)]
pub(in super::super) struct Identity {
    pub(in super::super) task: TaskId,
    pub(in super::super) path: String,
    pub(in super::super) location: &'static Location<'static>,
}

/// Why a child is to be started, which decides what a failed start means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Why {
    /// It is one of the children that the supervisor was started with, and has not been up.
    Opening,
    /// A caller adds it.
    Added,
    /// A caller starts it again.
    ByHand,
    /// The supervisor restarts it.
    Policy,
}

/// What is to become of a child when its incarnation is gone.
#[derive(Debug)]
pub(in super::super) enum Plan {
    Start,
    /// Its start has failed with this.
    Fail(TaskFailure),
    Idle {
        by_hand: bool,
    },
    Remove,
}

/// The phase of a child; the module `policy` has the table.
#[derive(Debug)]
pub(in super::super) enum Phase {
    Idle {
        by_hand: bool,
    },
    Waiting,
    BackingOff {
        until: Instant,
    },
    Starting {
        deadline: Option<Instant>,
    },
    Running {
        since: Instant,
    },
    Leaving {
        plan: Plan,
    },
    Stopping {
        kill_at: Option<Instant>,
        plan: Plan,
    },
}

impl Phase {
    pub(super) const IDLE: Phase = Phase::Idle { by_hand: false };

    /// The time at which the phase is to be left.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self {
            Phase::BackingOff { until } => Some(*until),
            Phase::Starting { deadline } => *deadline,
            Phase::Stopping { kill_at, .. } => *kill_at,
            _ => None,
        }
    }
}

pub(in super::super) struct Child {
    pub(in super::super) name: Arc<str>,
    pub(super) rules: ChildRules,
    pub(in super::super) phase: Phase,
    pub(super) why: Why,
    /// How often it was restarted because it ended.
    pub(in super::super) restarts: u64,
    /// How many of the last restarts followed each other without health in between.
    pub(super) streak: u32,
    pub(super) failures: VecDeque<PastFailure>,
    pub(super) identity: Identity,
    pub(super) wait_up: Vec<Ticket>,
    pub(super) wait_gone: Vec<Ticket>,
}

impl Child {
    /// Makes a child. `identity` is that of its place.
    pub(in super::super) fn new(name: Arc<str>, rules: ChildRules, identity: Identity) -> Child {
        Child {
            name,
            rules,
            phase: Phase::IDLE,
            why: Why::Policy,
            restarts: 0,
            streak: 0,
            failures: VecDeque::new(),
            identity,
            wait_up: Vec::new(),
            wait_gone: Vec::new(),
        }
    }

    /// Drops a child. Its errors are the user's.
    pub(super) fn forget(mut self) {
        for failure in self.failures.drain(..) {
            quietly(|| drop(failure));
        }
    }

    pub(super) fn failure(&self, kind: FailureKind) -> TaskFailure {
        let Identity {
            task,
            path,
            location,
        } = self.identity.clone();
        TaskFailure::new(task, path, location, Moment::next(), kind)
    }

    pub(super) fn start_timed_out(&self) -> TaskFailure {
        let limit = self.rules.wait_ready.unwrap_or_default();
        let text = format!(
            "it was not ready within {limit:?} of its start: call `Context::set_ready` in time, or give \
             `ChildSpec::wait_ready` a longer time"
        );
        self.failure(FailureKind::Error(text.into()))
    }

    /// Keeps a failure. `after`: since the start of the supervisor.
    pub(super) fn note(&mut self, past: PastFailure) {
        if self.failures.len() == KEPT {
            let old = self.failures.pop_front();
            quietly(|| drop(old));
        }
        self.failures.push_back(past);
    }

    /// Returns the last failure as the error of the child.
    pub(in super::super) fn last_failure(&self) -> Option<ServiceError> {
        let failure = &self.failures.back()?.failure;
        Some(as_error(failure))
    }

    /// Returns the last failure with those before it, as the reason why the supervisor gives up.
    pub(super) fn last_with_history(&self, limit: String) -> Option<TaskFailure> {
        let last = self.failures.back()?;
        let earlier = self.failures.range(..self.failures.len() - 1);
        last.failure.note_history(History {
            limit,
            after: last.after,
            earlier: earlier.cloned().collect(),
        });
        Some(last.failure.clone())
    }
}

/// Returns a child's failure as the error of its service.
pub(super) fn as_error(failure: &TaskFailure) -> ServiceError {
    if let FailureKind::Service(error) = failure.kind() {
        return error.clone();
    }
    let failures = Failures::new(vec![failure.clone()]).expect("one failure");
    ServiceError::Failed(failures)
}
