//! Time that ran out.

use std::fmt;

use super::LifecycleError;
use crate::snapshot::{Node, NodeState, Snapshot};

/// How many tasks the text of a [`StopTimeout`] names.
const NAMED: usize = 20;

/// A service was not stopped in time, or cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StopError {
    /// The service was not started.
    #[error(transparent)]
    Lifecycle(#[from] LifecycleError),
    /// The time ran out.
    #[error(transparent)]
    Timeout(#[from] StopTimeout),
}

/// The time to stop ran out before everything had ended.
///
/// Its `Display` names what is left and why, a task a line: first those that hold the others up,
/// then those that only wait for their children; after twenty it says how many more there are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub struct StopTimeout {
    /// What was left when the time ran out.
    pub remaining: Snapshot,
}

impl fmt::Display for StopTimeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let left = match self.remaining.len() {
            0 => return f.write_str("not stopped in time, though no task was left by then"),
            1 => "1 task is left".to_owned(),
            n => format!("{n} tasks are left"),
        };
        write!(f, "not stopped in time: {left}")?;
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

/// Why a task in this state has not ended.
fn reason(state: NodeState) -> &'static str {
    match state {
        NodeState::Queued => "waiting for a worker to poll it",
        NodeState::Running => "still running a poll",
        NodeState::Parked => "waiting to be woken",
        NodeState::WaitingForChildren => "waiting for children",
        NodeState::Cancelling => "being cancelled, but not ended",
        NodeState::CleaningUp => "cleaning up",
    }
}

/// A time limit ran out before the future was ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the time limit ran out before the future was ready")]
#[non_exhaustive]
pub struct Elapsed;

impl From<Elapsed> for std::io::Error {
    /// An error of the kind [`TimedOut`](std::io::ErrorKind::TimedOut).
    fn from(elapsed: Elapsed) -> std::io::Error {
        std::io::Error::new(std::io::ErrorKind::TimedOut, elapsed)
    }
}
