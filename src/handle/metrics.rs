//! [`Metrics`]: counts of a runtime, as plain data.

/// Counts of a runtime. [`Handle::metrics`](crate::Handle::metrics) reads them.
///
/// Each count is exact, but they are not read in one step: while the runtime works, two of them may
/// be from different moments.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Metrics {
    /// Worker threads; 0 for a runtime without threads and for a simulation.
    pub workers: usize,
    /// Tasks that are not done. Each service is one of them.
    pub live_tasks: usize,
    /// Tasks taken from a queue so far. Each is polled, or dropped if it was cancelled meanwhile.
    pub polls: u64,
    /// Tasks that a worker took from another worker's queue so far.
    pub steals: u64,
    /// Times that a worker found no work and parked so far. A thread in
    /// [`block_on`](crate::Runtime::block_on) that drives the tasks counts as a worker. A simulation
    /// has no workers, and always reports 0.
    pub parks: u64,
    /// Timers that have neither fired nor been dropped.
    pub timers: usize,
}
