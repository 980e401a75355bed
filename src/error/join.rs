//! [`JoinError`]: the error of a task's handle.

use super::failure::TaskFailure;
use super::panic::Panic;

/// The reason why a task's handle has no value.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// The task was cancelled.
    #[error("the task was cancelled")]
    Cancelled,
    /// The task panicked.
    #[error("the task {0}")]
    Panicked(Panic),
    /// A supervised task returned an error. The service of the task has recorded it as well,
    /// unless the task is [isolated](crate::TaskBuilder::isolated).
    #[error(transparent)]
    Failed(#[from] TaskFailure),
}

impl JoinError {
    /// Returns true if the task was cancelled.
    pub fn is_cancelled(&self) -> bool {
        matches!(self, JoinError::Cancelled)
    }

    /// Returns true if the task panicked.
    pub fn is_panic(&self) -> bool {
        matches!(self, JoinError::Panicked(_))
    }
}
