//! [`Core`]: one worker's counters, which the other workers see.

use crate::sync::atomic::{AtomicU64, Ordering};

/// A counter that one worker writes and any thread reads.
///
/// With one writer, a load and a store are enough to add, and no value is lost.
pub(in crate::schedule) struct Tally(AtomicU64);

impl Tally {
    fn new() -> Self {
        Tally(AtomicU64::new(0))
    }

    /// Adds to a counter that orders nothing: its readers want a number, so Relaxed suffices.
    #[inline]
    pub(in crate::schedule) fn add(&self, by: u64) {
        let sum = self.get().wrapping_add(by);
        self.0.store(sum, Ordering::Relaxed);
    }

    /// Adds, with Release: pairs with [`acquire`](Tally::acquire), whose caller sees what came
    /// before.
    #[inline]
    pub(super) fn add_release(&self, by: u64) {
        let sum = self.get().wrapping_add(by);
        self.0.store(sum, Ordering::Release);
    }

    /// The value, Relaxed: the writer reads its own last store; another thread may read an older one.
    #[inline]
    pub(in crate::schedule) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn acquire(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// One worker's counters. Each counter is written by the worker alone.
pub(in crate::schedule) struct Core {
    pub(in crate::schedule) polls: Tally,
    /// Tasks taken from other workers' queues.
    pub(in crate::schedule) steals: Tally,
    pub(in crate::schedule) parks: Tally,
    pub(in crate::schedule) jobs: Tally,
    /// Tasks that the worker has spawned. Written before the task can be taken from a queue.
    pub(super) spawned: Tally,
    /// Tasks that the worker has made done; with Release, for `Pool::live_tasks`.
    pub(super) done: Tally,
}

impl Core {
    pub(super) fn new() -> Self {
        Core {
            polls: Tally::new(),
            steals: Tally::new(),
            parks: Tally::new(),
            jobs: Tally::new(),
            spawned: Tally::new(),
            done: Tally::new(),
        }
    }

    /// Counts a task as done. By the worker.
    #[inline]
    pub(in crate::schedule) fn on_done(&self) {
        self.done.add_release(1);
    }
}
