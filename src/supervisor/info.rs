//! [`ChildInfo`] and [`SupervisorError`]: what callers of a supervisor see.

use crate::error::ServiceError;
use crate::path::sanitise;
use crate::service::Manager;
use std::time::Instant;

/// A child of a supervisor, at one moment.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ChildInfo {
    /// The name of its spec.
    pub name: String,
    /// What it does.
    pub state: ChildState,
    /// How often the supervisor has restarted it because it ended. Restarts that were asked for, and those for
    /// the end of another child, are not counted.
    pub restarts: u64,
    /// Its last failure, also one of a start.
    pub last_failure: Option<ServiceError>,
    /// The manager of the incarnation that runs now.
    pub manager: Option<Manager>,
}

/// What a child of a supervisor does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChildState {
    /// It was started and is not ready yet, or waits for its place in the order of starts.
    Starting,
    /// It runs, and is ready if the supervisor waits for that.
    Running,
    /// It has ended, and is restarted at this time.
    BackingOff {
        /// When it is restarted.
        until: Instant,
    },
    /// It is being stopped, or will be when the children after it have stopped, or it ends by itself and has
    /// not finished.
    Stopping,
    /// It does not run, and is not going to by itself.
    Stopped,
}

/// The error of a call of a [`SupervisorHandle`](super::SupervisorHandle).
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum SupervisorError {
    /// The supervisor has not been started, is being stopped, or has ended.
    #[error(
        "the supervisor is not running: call its handle after its start and before it is stopped or ends"
    )]
    NotRunning,
    /// The supervisor has a child of that name.
    #[error(
        "the supervisor has a child `{}` already: choose another name, or remove that child first",
        sanitise(name)
    )]
    AlreadyPresent {
        /// The name of the spec.
        name: String,
    },
    /// The supervisor has no child of that name.
    #[error(
        "the supervisor has no child `{}`: temporary children are removed when they end",
        sanitise(name)
    )]
    NoSuchChild {
        /// The name that was asked for.
        name: String,
    },
    /// The child did not start.
    #[error("the child did not start: {0}")]
    Start(#[source] ServiceError),
    /// The caller is a task of the child that is to be ended, or below it. The supervisor ends the child all
    /// the same; the caller cannot wait for that.
    #[error(
        "the call came from inside child `{}`, which is being ended and cannot wait for its own end",
        sanitise(name)
    )]
    Inside {
        /// The name of the child.
        name: String,
    },
}
