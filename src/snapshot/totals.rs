//! [`Totals`]: what a subtree of a snapshot sums up to.

use super::Snapshot;
use crate::id::TaskId;
use std::time::Duration;

/// Sums over a task and everything below it. [`Snapshot::totals`] returns them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Totals {
    /// The number of tasks, including the one at the top.
    pub tasks: usize,
    /// The number of polls.
    pub polls: u64,
    /// The time in polls, if the runtime was built with `track_busy_time(true)`. Tasks of a subtree
    /// may run at the same time, so this may exceed the time that has passed.
    pub busy: Option<Duration>,
}

impl Snapshot {
    /// Sums up the task with this id and everything below it, or returns `None` if the task is not in
    /// the snapshot. Tasks that ended before the snapshot was taken do not count.
    ///
    /// The cost grows with the number of nodes in the snapshot.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = taskgrove::Runtime::builder().workers(0).build()?;
    /// let parent = runtime.spawn(async {
    ///     taskgrove::spawn(std::future::pending::<()>());
    ///     std::future::pending::<()>().await
    /// });
    /// runtime.block_on(taskgrove::yield_now());
    /// let snapshot = runtime.snapshot();
    /// assert_eq!(snapshot.totals(parent.id()).map(|totals| totals.tasks), Some(2));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn totals(&self, id: TaskId) -> Option<Totals> {
        let top = self.nodes.iter().position(|node| node.id == id)?;
        let depth = self.depths[top];
        let below = self.depths[top + 1..].iter();
        let tasks = 1 + below.take_while(|below| **below > depth).count();
        let nodes = &self.nodes[top..top + tasks];
        Some(Totals {
            tasks,
            polls: nodes.iter().map(|node| node.polls).sum(),
            busy: nodes.iter().map(|node| node.busy).sum(),
        })
    }
}
