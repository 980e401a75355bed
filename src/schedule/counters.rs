//! [`Counters`]: one worker's counters, which the other workers see.

use crate::sync::atomic::{AtomicU64, Ordering};

/// A counter that one worker writes and any thread reads.
///
/// With one writer, a load and a store are enough to add, and no value is lost.
pub(super) struct Tally(AtomicU64);

impl Tally {
    fn new() -> Self {
        Tally(AtomicU64::new(0))
    }

    /// Adds to a counter that orders nothing: its readers want a number, so Relaxed suffices.
    #[inline]
    pub(super) fn add(&self, by: u64) {
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
    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn acquire(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// One worker's counters. Each counter is written by the worker alone.
pub(super) struct Counters {
    pub(super) polls: Tally,
    /// Tasks taken from other workers' queues.
    pub(super) steals: Tally,
    pub(super) parks: Tally,
    pub(super) jobs: Tally,
    /// Tasks that the worker has spawned. Written before the task can be taken from a queue.
    pub(super) spawned: Tally,
    /// Tasks that the worker has made done; with Release, for `Pool::live_tasks`.
    pub(super) done: Tally,
}

impl Counters {
    pub(super) fn new() -> Self {
        Counters {
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
    pub(super) fn on_done(&self) {
        self.done.add_release(1);
    }
}
