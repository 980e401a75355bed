//! [`Counters`]: how many workers search, and how many sleep, in one word.

use crate::sync::atomic::{AtomicWord, Ordering};

const SLEEPING: u64 = 1;
const SEARCHING: u64 = 1 << 32;
const TO_SLEEP: u64 = SEARCHING - SLEEPING;

/// The counts at one moment.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Counts(u64);

impl Counts {
    #[cfg(test)]
    pub(super) const ALL_ACTIVE: Counts = Counts(0);

    /// So many sleep, and none searches.
    #[cfg(test)]
    #[cfg(feature = "net")]
    pub(super) fn sleeping(workers: u64) -> Counts {
        Counts(workers * SLEEPING)
    }

    pub(super) fn any_sleeps(self) -> bool {
        self.0 & (SEARCHING - 1) != 0
    }

    pub(super) fn any_searches(self) -> bool {
        self.0 >= SEARCHING
    }

    /// Whether new work needs a wake-up: a worker sleeps, and none searches.
    pub(super) fn needs_wake(self) -> bool {
        self.any_sleeps() && !self.any_searches()
    }
}

/// How many workers search, and how many sleep.
///
/// Workers change the word as they change their state, and a thread that wakes a sleeper changes it
/// on the sleeper's behalf; any thread reads it. Every change is a read-modify-write with AcqRel, and
/// so is [`fence`](Counters::fence). So they are in one order, and each pairs with all before it: it
/// sees what came before any of them. The proof in [`super`] rests on this alone.
pub(super) struct Counters(AtomicWord);

impl Counters {
    pub(super) fn new() -> Self {
        Counters(AtomicWord::new(0))
    }

    /// An active worker begins to search.
    pub(super) fn begin_search(&self) {
        self.0.fetch_add(SEARCHING, Ordering::AcqRel);
    }

    /// A searching worker becomes active. Returns the counts without it.
    pub(super) fn end_search(&self) -> Counts {
        Counts(self.0.fetch_sub(SEARCHING, Ordering::AcqRel) - SEARCHING)
    }

    /// A searching worker goes to sleep. Under the lock of the list of sleepers.
    pub(super) fn sleep(&self) {
        self.0.fetch_sub(TO_SLEEP, Ordering::AcqRel);
    }

    /// A sleeping worker begins to search. Under the lock of the list of sleepers.
    pub(super) fn wake(&self) {
        self.0.fetch_add(TO_SLEEP, Ordering::AcqRel);
    }

    /// Changes nothing, as a read-modify-write: takes its place in the order of the changes, after
    /// the caller's push.
    pub(super) fn fence(&self) -> Counts {
        Counts(self.0.fetch_add(0, Ordering::AcqRel))
    }

    /// The counts, which may be outdated. Relaxed, so it pairs with nothing: each caller says why
    /// that is enough.
    #[inline]
    pub(super) fn peek(&self) -> Counts {
        Counts(self.0.load(Ordering::Relaxed))
    }
}
