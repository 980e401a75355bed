//! The deadlines of one runtime, and its clock.
//!
//! One structure per runtime, behind one lock that is held for a few dozen instructions: nobody's
//! code runs under it. Wakers are cloned, dropped and woken outside, by whoever called; what is due
//! is handed out. There is no thread: whoever parks looks at [`Timers::next_deadline`], and whoever
//! inserts a new earliest deadline wakes a sleeper.
//!
//! The earliest deadline is also kept in an atomic, written under the lock, so that looking at it
//! costs a load. It is exact once what changed it happens before the look. A parking protocol needs
//! SeqCst fences of its own: the sleeper between announcing itself and the look, the inserter
//! between [`Timers::insert`] and looking for sleepers.

mod clock;
pub(crate) mod fire;
mod pages;
mod queue;
mod run;

use std::task::Waker;

use crate::panics::quietly;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Mutex, MutexGuard};

pub(crate) use clock::{Clock, NEVER};
use queue::Queue;
pub(crate) use queue::TimerKey;

/// What is to be done when a deadline has come.
#[derive(Debug)]
pub(crate) enum Fire<J> {
    /// Wake this.
    Waker(Waker),
    /// A job of the runtime's own.
    Job(J),
}

/// Deadlines in nanoseconds since the runtime's origin (see [`Clock`]), and what they fire.
#[derive(Debug)]
pub(crate) struct Timers<J> {
    inner: Mutex<Inner<J>>,
    /// The earliest deadline, [`NEVER`] if there is none. Written under the lock.
    next: AtomicU64,
}

#[derive(Debug)]
struct Inner<J> {
    queue: Queue<Fire<J>>,
    closed: bool,
}

impl<J> Timers<J> {
    /// No deadlines.
    pub(crate) fn new() -> Self {
        Self {
            inner: Mutex::new(Inner {
                queue: Queue::new(),
                closed: false,
            }),
            next: AtomicU64::new(NEVER),
        }
    }

    /// Adds a deadline, which fires after those that are earlier or the same and were there before.
    /// One of [`NEVER`] never fires, and one that has passed fires at the next look.
    ///
    /// Returns the key, and whether this is the new earliest deadline (somebody who sleeps until the
    /// old one has to be woken). `None` once the timers are closed; `fire` is dropped then.
    pub(crate) fn insert(&self, deadline: u64, fire: Fire<J>) -> Option<(TimerKey, bool)> {
        let mut inner = self.inner.lock();
        if inner.closed {
            drop(inner);
            quietly(|| drop(fire));
            return None;
        }
        let key = inner.queue.insert(deadline, fire);
        let is_next = self.publish(&inner);
        Some((key, is_next))
    }

    /// Makes a live entry wake `waker`, and says whether it is live: `false` means that it has fired
    /// or was removed, or that the timers are closed (or that the entry is a job, which stays).
    ///
    /// An entry which would wake the same task is left as it is, and costs no clone.
    pub(crate) fn set_waker(&self, key: TimerKey, waker: &Waker) -> bool {
        match self.inner.lock().queue.get_mut(key) {
            Some(Fire::Waker(old)) if old.will_wake(waker) => return true,
            Some(Fire::Waker(_)) => {}
            Some(Fire::Job(_)) | None => return false,
        }
        let new = waker.clone();
        let mut inner = self.inner.lock();
        let Some(Fire::Waker(place)) = inner.queue.get_mut(key) else {
            drop(inner);
            quietly(|| drop(new));
            return false;
        };
        let old = std::mem::replace(place, new);
        drop(inner);
        quietly(|| drop(old));
        true
    }

    /// Takes an entry out and drops it; `false` if it was not there any more. Constant, but for the
    /// first of a run (see `queue.rs`).
    pub(crate) fn remove(&self, key: TimerKey) -> bool {
        let fire = self.take(key);
        let was_there = fire.is_some();
        quietly(|| drop(fire));
        was_there
    }

    /// As [`Timers::remove`], for a caller that has a use for what would have been fired.
    pub(crate) fn take(&self, key: TimerKey) -> Option<Fire<J>> {
        let mut inner = self.inner.lock();
        let fire = inner.queue.remove(key)?;
        self.publish(&inner);
        Some(fire)
    }

    /// The earliest deadline; `None` if nothing will fire. One atomic load.
    #[inline]
    pub(crate) fn next_deadline(&self) -> Option<u64> {
        let next = self.next.load(Ordering::Acquire);
        (next != NEVER).then_some(next)
    }

    /// Takes out what is due at `now`, at most `max`, and appends it to `out` in the order of
    /// deadlines and, within one, of insertion. Returns how many; if that is `max`, more may be due.
    /// The caller does the waking. Costs one atomic load when nothing is due.
    pub(crate) fn fire_due(&self, now: u64, max: usize, out: &mut Vec<Fire<J>>) -> usize {
        if self.next_deadline().is_none_or(|next| next > now) {
            return 0;
        }
        let mut inner = self.inner.lock();
        let count = inner.queue.take_due(now.min(NEVER - 1), max, out);
        self.publish(&inner);
        count
    }

    /// Takes everything out, in order, and refuses what comes later. The caller drops or wakes.
    pub(crate) fn close(&self) -> Vec<Fire<J>> {
        let mut inner = self.inner.lock();
        inner.closed = true;
        let all = inner.queue.drain();
        self.publish(&inner);
        all
    }

    /// How many entries are live.
    pub(crate) fn len(&self) -> usize {
        self.inner.lock().queue.len()
    }

    /// Makes the earliest deadline known; says whether it is earlier than the one known so far.
    #[inline]
    fn publish(&self, inner: &MutexGuard<'_, Inner<J>>) -> bool {
        let next = inner.queue.first().unwrap_or(NEVER);
        let known = self.next.load(Ordering::Relaxed);
        if next != known {
            self.next.store(next, Ordering::Release);
        }
        next < known
    }
}

#[cfg(test)]
#[cfg(not(taskgrove_loom))]
mod tests;
