//! The deferred cleanups of a task: they run one after another, in the order in which the guards of
//! `defer` were dropped.
//!
//! One kind has to run earlier. A `finally` inside a cleanup waits for the cleanups that its body left
//! behind, and the cleanup around it waits for that `finally`. So those are one level below the
//! cleanup, stand right after it, and are polled beside it. The entries that are polled are the first
//! one of level 0, and after it each that is one level deeper than its predecessor.
//!
//! This file knows of a body only its address, which tells whether two cleanups were left by the same
//! one.

use std::collections::VecDeque;
use std::pin::Pin;

/// The future that a guard of `defer` leaves behind. It runs as code of the body in which the guard was
/// dropped, which the code that polls or drops it need not know.
pub(crate) struct Cleanup {
    pub(crate) future: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// The address of the body in which the guard was dropped, or 0.
    body: usize,
}

impl Cleanup {
    /// `body` is the address of the body that leaves `future` behind, or 0.
    pub(crate) fn new(future: Pin<Box<dyn Future<Output = ()> + Send>>, body: usize) -> Self {
        Cleanup { future, body }
    }
}

struct Entry {
    level: u32,
    cleanup: Cleanup,
}

/// The cleanup that was taken out of the list to be polled.
struct Polled {
    /// The place in the list that it was taken from. Its successors begin there now.
    at: usize,
    level: u32,
    /// The address of the body that it was left by, or 0.
    body: usize,
}

/// The deferred cleanups of a task, in the order of the module's description.
#[derive(Default)]
pub(crate) struct Cleanups {
    entries: VecDeque<Entry>,
    polled: Option<Polled>,
}

impl Cleanups {
    /// The number of cleanups, with the one that is being polled.
    pub(crate) fn len(&self) -> usize {
        self.entries.len() + usize::from(self.polled.is_some())
    }

    /// Adds the cleanup of a guard that the running code drops.
    pub(crate) fn push(&mut self, cleanup: Cleanup) {
        let body = cleanup.body;
        let (level, at) = match &self.polled {
            // Left inside of the cleanup that is being polled.
            Some(polled) if body != polled.body => (
                polled.level + 1,
                self.end_of_level(polled.at, polled.level + 1),
            ),
            // Left by that cleanup to the body around it.
            Some(polled) => (polled.level, self.end_of_level(polled.at, polled.level)),
            None => (0, self.entries.len()),
        };
        self.entries.insert(at, Entry { level, cleanup });
    }

    /// Returns the end of the entries from `at` on that are at this level or deeper.
    fn end_of_level(&self, at: usize, level: u32) -> usize {
        let rest = self.entries.iter().skip(at);
        at + rest.take_while(|entry| entry.level >= level).count()
    }

    /// Takes the cleanup at this place out to poll it, if it is one that is polled now.
    pub(crate) fn take(&mut self, at: usize) -> Option<Cleanup> {
        let level = self.entries.get(at)?.level;
        let before = at.checked_sub(1).map(|before| self.entries[before].level);
        if level != before.map_or(0, |before| before + 1) {
            return None;
        }
        let entry = self.entries.remove(at)?;
        let body = entry.cleanup.body;
        self.polled = Some(Polled { at, level, body });
        Some(entry.cleanup)
    }

    /// Puts the cleanup back after a poll that returned `Pending`.
    pub(crate) fn put_back(&mut self, cleanup: Cleanup) {
        if let Some(Polled { at, level, .. }) = self.polled.take() {
            self.entries.insert(at, Entry { level, cleanup });
        }
    }

    /// Notes that the cleanup that was polled is over and was dropped: what it left inside takes its
    /// place.
    pub(crate) fn finish(&mut self) {
        if let Some(Polled { at, level, .. }) = self.polled.take() {
            let end = self.end_of_level(at, level + 1);
            for entry in self.entries.range_mut(at..end) {
                entry.level -= 1;
            }
        }
    }

    /// Takes out any cleanup, to be dropped.
    pub(crate) fn pop(&mut self) -> Option<Cleanup> {
        self.entries.pop_front().map(|entry| entry.cleanup)
    }
}
