//! The errors of a stop and of a timeout: a time limit was reached.

use super::cause::CancelCause;
use super::lifecycle::LifecycleError;
use crate::snapshot::{Node, NodeState, Snapshot};
use std::fmt;

/// The largest number of tasks that the text of a [`StopTimeout`] names.
const NAMED: usize = 20;

/// The reason why a stop did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StopError {
    /// The service was not started.
    #[error(transparent)]
    Lifecycle(#[from] LifecycleError),
    /// The service did not end within the time limit.
    #[error(transparent)]
    Timeout(#[from] StopTimeout),
}

/// The error of a stop that did not end within its time limit.
///
/// Its `Display` prints a line for each task that is left, with the reason, after a line with the
/// cause of the cancellation: first the tasks that hold
/// up others, then those that only wait for their children. It prints up to 20 tasks and the number
/// of the others.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub struct StopTimeout {
    /// The tasks that were left when the time limit was reached.
    pub remaining: Snapshot,
    /// Why they are being cancelled.
    pub cause: Option<CancelCause>,
}

impl fmt::Display for StopTimeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let left = match self.remaining.len() {
            0 => return f.write_str("not stopped in time, though no task was left by then"),
            1 => "1 task is left".to_owned(),
            n => format!("{n} tasks are left"),
        };
        write!(f, "not stopped in time: {left}")?;
        if let Some(cause) = &self.cause {
            write!(f, "\n  cancelled by {cause}")?;
        }
        let waits = |node: &&Node| node.state == NodeState::WaitingForChildren;
        let culprits = self.remaining.nodes().iter().filter(|node| !waits(node));
        let waiting = self.remaining.nodes().iter().filter(waits);
        for node in culprits.chain(waiting).take(NAMED) {
            write!(f, "\n  {} {}: {}", node.path, node.id, reason(node.state))?;
        }
        match self.remaining.len().saturating_sub(NAMED) {
            0 => Ok(()),
            more => write!(f, "\n  and {more} more"),
        }
    }
}

/// Says why a task in this state has not ended.
fn reason(state: NodeState) -> &'static str {
    match state {
        NodeState::Queued => "waiting for a worker to poll it",
        NodeState::Running => "still running a poll",
        NodeState::Blocking => "in a blocking call, which nothing can end",
        NodeState::Parked => "waiting to be woken",
        NodeState::WaitingForChildren => "waiting for children",
        NodeState::Cancelling => "being cancelled, but not ended",
        NodeState::CleaningUp => "cleaning up",
    }
}

/// The error of a future that was not ready within its time limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the time limit ran out before the future was ready")]
#[non_exhaustive]
pub struct Elapsed;

impl From<Elapsed> for std::io::Error {
    /// Converts into an error of the kind [`TimedOut`](std::io::ErrorKind::TimedOut).
    fn from(elapsed: Elapsed) -> std::io::Error {
        std::io::Error::new(std::io::ErrorKind::TimedOut, elapsed)
    }
}
