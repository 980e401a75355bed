//! [`Stall`]: a poll that lasts, as the watchdog reports it.

use crate::id::TaskId;
use std::fmt;
use std::panic::Location;
use std::time::Duration;

/// A poll that has not returned for a while. The hook of
/// [`Builder::on_stall`](crate::Builder::on_stall) gets it.
///
/// Its [`Display`](fmt::Display) is one line, such as
/// `app/db/conn-3 #17 has been in one poll for 150.2ms, spawned at src/db.rs:40:9`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stall {
    /// The id of the task.
    pub id: TaskId,
    /// The task's path in the tree, as [`Node::path`](crate::Node::path).
    pub path: String,
    /// The place in the sources where the task was spawned.
    pub location: &'static Location<'static>,
    /// The time since the poll began.
    pub running_for: Duration,
}

impl fmt::Display for Stall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} has been in one poll for {:.1?}, spawned at {}",
            self.path, self.id, self.running_for, self.location
        )
    }
}
