//! Counts of a service's tasks, as plain data.

/// Counts of one service. [`Manager::stats`](crate::Manager::stats) reads them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Stats {
    /// The counts of the service's tasks.
    pub tasks: TaskStats,
}

/// Counts of the supervised tasks of a service, at any depth.
///
/// The service's `run` is not counted. A child service counts as one task, whatever runs in it. A
/// task that failed or was cancelled counts as finished.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct TaskStats {
    /// Tasks that were scheduled so far.
    pub total_count: u64,
    /// Tasks that are done so far.
    pub finished_count: u64,
}

impl TaskStats {
    /// Returns how many tasks were scheduled and are not done.
    pub fn pending_count(&self) -> u64 {
        self.total_count.saturating_sub(self.finished_count)
    }
}
