//! The deferred cleanups of a task: one after another, in the order in which their guards were
//! dropped.
//!
//! One kind has to run earlier: what a guard leaves behind that is dropped in the body of a
//! `finally` inside a cleanup. That `finally` waits for it, and with it the cleanup it is in. So it
//! is a level below that cleanup, is polled beside it, and stands right after it. Polled are the
//! first of level 0, and after it whatever is one level deeper than its predecessor.

use crate::protect::place;
use crate::protect::scope::Left;
use crate::sync::Arc;
use std::collections::VecDeque;
use std::pin::Pin;

/// What a guard of `defer` leaves behind.
pub(crate) struct Cleanup {
    /// Dropped before the body hears that it is over.
    pub(crate) future: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// The body in which the guard was dropped.
    pub(crate) left: Option<Left>,
}

impl Cleanup {
    /// Of a guard that is dropped by the calling code.
    pub(crate) fn new(future: Pin<Box<dyn Future<Output = ()> + Send>>) -> Self {
        let left = place::body().map(Left::new);
        Cleanup { future, left }
    }

    /// The address of that body, or 0.
    fn body(&self) -> usize {
        let left = self.left.as_ref();
        left.map_or(0, |left| Arc::as_ptr(left.body()).addr())
    }
}

struct Entry {
    level: u32,
    cleanup: Cleanup,
}

/// Where the cleanup that is being polled stood.
struct Polled {
    at: usize,
    level: u32,
    /// The address of the body that it was left by, or 0.
    body: usize,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Cleanups {
    entries: VecDeque<Entry>,
    polled: Option<Polled>,
}

impl Cleanups {
    /// How many there are, with the one that is being polled.
    pub(crate) fn len(&self) -> usize {
        self.entries.len() + usize::from(self.polled.is_some())
    }

    pub(crate) fn push(&mut self, cleanup: Cleanup) {
        let body = cleanup.body();
        let (level, at) = match &self.polled {
            // Inside of what is polled.
            Some(polled) if body != polled.body => (
                polled.level + 1,
                self.end_of_level(polled.at, polled.level + 1),
            ),
            // Left by what is polled to the body around that.
            Some(polled) => (polled.level, self.end_of_level(polled.at, polled.level)),
            None => (0, self.entries.len()),
        };
        self.entries.insert(at, Entry { level, cleanup });
    }

    /// The end of those from `at` on that are at this level or deeper.
    fn end_of_level(&self, at: usize, level: u32) -> usize {
        let rest = self.entries.iter().skip(at);
        at + rest.take_while(|entry| entry.level >= level).count()
    }

    /// Takes the one at this place out to poll it, if it is its turn.
    pub(crate) fn take(&mut self, at: usize) -> Option<Cleanup> {
        let level = self.entries.get(at)?.level;
        let before = at.checked_sub(1).map(|before| self.entries[before].level);
        if level != before.map_or(0, |before| before + 1) {
            return None;
        }
        let entry = self.entries.remove(at)?;
        let body = entry.cleanup.body();
        self.polled = Some(Polled { at, level, body });
        Some(entry.cleanup)
    }

    /// Puts it back after a poll that returned `Pending`.
    pub(crate) fn put_back(&mut self, cleanup: Cleanup) {
        if let Some(Polled { at, level, .. }) = self.polled.take() {
            self.entries.insert(at, Entry { level, cleanup });
        }
    }

    /// It is over: what is left of those inside takes its place.
    pub(crate) fn finish(&mut self) {
        if let Some(Polled { at, level, .. }) = self.polled.take() {
            let end = self.end_of_level(at, level + 1);
            for entry in self.entries.range_mut(at..end) {
                entry.level -= 1;
            }
        }
    }

    /// Takes any out, to drop it.
    pub(crate) fn pop(&mut self) -> Option<Cleanup> {
        self.entries.pop_front().map(|entry| entry.cleanup)
    }
}
