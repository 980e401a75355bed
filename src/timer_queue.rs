//! The timer queue: the pending deadlines of one runtime, what each of them fires, and the clock.
//!
//! This room is below the tasks: it stores wakers and jobs, and hands out those that are due. The
//! room `time` is above: the public functions that sleep, each with an entry here.
//!
//! A runtime has one queue, behind a lock that is held for a few dozen instructions. It guards the
//! order of the deadlines and the claim that each entry either fires or is removed, once. No code
//! of the user runs under the lock: the caller clones, wakes and drops wakers outside. No thread
//! belongs to the queue. A thread that parks asks for [`Timers::next_deadline`], and a thread that
//! inserts a new earliest deadline tells the scheduler, which wakes a sleeper if necessary
//! (`schedule/idle`).

pub(crate) mod fire;

mod clock;
mod queue;
mod run;
mod store;

pub(crate) use clock::{Clock, NEVER};
pub(crate) use queue::TimerKey;

use crate::panics::quietly;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Mutex, MutexGuard};
use queue::Queue;
use std::task::Waker;

/// What happens when a deadline has passed.
#[derive(Debug)]
pub(crate) enum Fire<J> {
    /// This waker is woken.
    Waker(Waker),
    /// This job of the runtime runs.
    Job(J),
}

/// Deadlines, in nanoseconds since the runtime's origin (see [`Clock`]), and what they fire.
#[derive(Debug)]
pub(crate) struct Timers<J> {
    inner: Mutex<Inner<J>>,
    /// The earliest deadline; [`NEVER`] if there is none.
    ///
    /// Written under the lock, and read without it. All accesses are `Relaxed`: a reader uses the
    /// number alone, and takes the lock before it touches the queue. A thread that parks reads it
    /// under the lock of the sleepers, which a thread with a new earliest deadline takes after it
    /// has written it; so either the former reads the new deadline, or the latter finds a sleeper
    /// to wake.
    next: AtomicU64,
}

#[derive(Debug)]
struct Inner<J> {
    queue: Queue<Fire<J>>,
    closed: bool,
}

impl<J> Timers<J> {
    /// Creates a queue without deadlines.
    pub(crate) fn new() -> Self {
        Self {
            inner: Mutex::new(Inner {
                queue: Queue::new(),
                closed: false,
            }),
            next: AtomicU64::new(NEVER),
        }
    }

    /// Adds a deadline. It fires after earlier ones, and after those of the same time that were
    /// inserted before. [`NEVER`] never fires, and a deadline that has passed fires at the next
    /// [`Timers::fire_due`].
    ///
    /// Returns the key, and whether this is the new earliest deadline; then the caller wakes a
    /// thread that sleeps until the old one. Returns `None`, and drops `fire`, if the queue is
    /// closed.
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

    /// Makes a pending entry wake `waker`. Returns `false` if the entry has fired, was removed, or
    /// is a job, which stays.
    ///
    /// An entry that would wake the same task is left as it is, which saves a clone.
    pub(crate) fn set_waker(&self, key: TimerKey, waker: &Waker) -> bool {
        match self.inner.lock().queue.get_mut(key) {
            Some(Fire::Waker(old)) if old.will_wake(waker) => return true,
            Some(Fire::Waker(_)) => {}
            Some(Fire::Job(_)) | None => return false,
        }
        let new = waker.clone();
        let mut inner = self.inner.lock();
        let Some(Fire::Waker(pending)) = inner.queue.get_mut(key) else {
            drop(inner);
            quietly(|| drop(new));
            return false;
        };
        let old = std::mem::replace(pending, new);
        drop(inner);
        quietly(|| drop(old));
        true
    }

    /// Moves a pending entry to another deadline, behind those of the same time. Returns its new key, and whether
    /// that is the new earliest deadline, as [`Timers::insert`] does; `None` if the entry is not pending.
    pub(crate) fn move_to(&self, key: TimerKey, deadline: u64) -> Option<(TimerKey, bool)> {
        let mut inner = self.inner.lock();
        let fire = inner.queue.remove(key)?;
        let key = inner.queue.insert(deadline, fire);
        let is_next = self.publish(&inner);
        Some((key, is_next))
    }

    /// Removes an entry and drops what it would have fired. Returns `false` if it was not pending.
    /// Takes constant time unless the deadline is the first of its run (see `queue`).
    pub(crate) fn remove(&self, key: TimerKey) -> bool {
        let fire = self.take(key);
        let was_there = fire.is_some();
        quietly(|| drop(fire));
        was_there
    }

    /// Removes an entry, and returns what it would have fired.
    pub(crate) fn take(&self, key: TimerKey) -> Option<Fire<J>> {
        let mut inner = self.inner.lock();
        let fire = inner.queue.remove(key)?;
        self.publish(&inner);
        Some(fire)
    }

    /// The earliest deadline; `None` if nothing will fire. This is one atomic load.
    #[inline]
    pub(crate) fn next_deadline(&self) -> Option<u64> {
        let next = self.next.load(Ordering::Relaxed);
        (next != NEVER).then_some(next)
    }

    /// Appends what is due at `now` to `out`, at most `max`, in the order of the deadlines and, for
    /// the same time, of insertion. Returns how many; if that is `max`, more may be due. The caller
    /// wakes them. This is one atomic load when nothing is due.
    pub(crate) fn fire_due(&self, now: u64, max: usize, out: &mut Vec<Fire<J>>) -> usize {
        if self.next_deadline().is_none_or(|next| next > now) {
            return 0;
        }
        let mut inner = self.inner.lock();
        let count = inner.queue.take_due(now.min(NEVER - 1), max, out);
        self.publish(&inner);
        count
    }

    /// Closes the queue, which then refuses new entries. Returns all pending entries, in order.
    pub(crate) fn close(&self) -> Vec<Fire<J>> {
        let mut inner = self.inner.lock();
        inner.closed = true;
        let all = inner.queue.drain();
        self.publish(&inner);
        all
    }

    /// The number of pending entries.
    pub(crate) fn len(&self) -> usize {
        self.inner.lock().queue.len()
    }

    /// Publishes the earliest deadline. Returns whether it is earlier than the one published
    /// before.
    #[inline]
    fn publish(&self, inner: &MutexGuard<'_, Inner<J>>) -> bool {
        let next = inner.queue.first().unwrap_or(NEVER);
        let known = self.next.load(Ordering::Relaxed);
        if next != known {
            self.next.store(next, Ordering::Relaxed);
        }
        next < known
    }
}

#[cfg(test)]
#[cfg(not(taskgrove_loom))]
mod tests;
