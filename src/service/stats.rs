//! Counts of a service's tasks.

/// Numbers of one service. From [`Manager::stats`](super::Manager::stats).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Its tasks.
    pub tasks: TaskStats,
}

/// Numbers of a service's supervised tasks, at any depth. `run` is not counted; a child service is
/// one task; a failed or cancelled task is finished.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TaskStats {
    /// Scheduled so far.
    pub total_count: u64,
    /// Done so far.
    pub finished_count: u64,
}

impl TaskStats {
    /// Scheduled and not done.
    pub fn pending_count(&self) -> u64 {
        self.total_count.saturating_sub(self.finished_count)
    }
}
