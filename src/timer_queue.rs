//! The timer queue: the pending deadlines of one runtime, what each of them fires, and the clock.
//!
//! This room is below the tasks: it stores wakers and jobs, and hands out those that are due. The
//! room `time` is above: the public functions that sleep, each with an entry here.
//!
//! A runtime has a queue for each worker and one for all other threads, each behind a lock that is held for
//! a few dozen instructions. It guards the order of the queue's deadlines and the claim that each entry either
//! fires or is removed, once. No code of the user runs under a lock: the caller clones, wakes and drops
//! wakers outside. No thread belongs to a queue. A thread that parks asks for [`Timers::next_deadline`], and a
//! thread that inserts a new earliest deadline tells the scheduler, which wakes a sleeper if necessary
//! (`schedule/idle`).
//!
//! # The earliest deadline
//!
//! One word has a time that is never later than the earliest deadline of all queues: whenever no lock is
//! held, `next` is at most each queue's first deadline.
//!
//! - An insertion lowers it, under the lock of its queue, and reports that it did.
//! - Only [`Timers::refresh`] raises it, and holds all locks meanwhile. So an insertion comes before it, and
//!   is counted, or sees the new value, since it takes one of these locks after it.
//! - A removal leaves it, if there are several queues, and marks it as *stale* if its entry was the one the
//!   word is about. So timeouts that are removed before they are due meet in no lock. A thread that parks
//!   refreshes a stale word. One that had parked before may wake too early, and then refreshes it: the
//!   time at the front has passed, and nothing is due.
//!
//! An insertion that lowers nothing need not wake a sleeper: an earlier one has stored a time that is not
//! later, and woke a sleeper or wakes it now. The sleeper that wakes for that time sees the new entry.

pub(crate) mod fire;

mod clock;
mod queue;
mod run;
mod store;

pub(crate) use clock::{Clock, NEVER, nanos};
pub(crate) use queue::TimerKey;

use crate::panics::quietly;
use crate::sync::atomic::{AtomicBool, AtomicWord, Ordering};
use crate::sync::{CachePadded, Mutex, MutexGuard};
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
    queues: Box<[CachePadded<Mutex<Inner<J>>>]>,
    /// A time that is not later than the earliest deadline; [`NEVER`] if there is none.
    ///
    /// Written under the lock of a queue (lowered) or under all (raised), and read without them. All accesses
    /// are `Relaxed`: a reader uses the number alone, and takes the locks before it touches the queues. A thread
    /// that parks reads it under the lock of the sleepers, which a thread with a new earliest deadline takes
    /// after it has written it; so either the former reads the new deadline, or the latter finds a sleeper
    /// to wake.
    next: AtomicWord,
    /// Whether the entry that `next` is about may be gone. Written under the lock of a queue (set) or under all
    /// (cleared); Relaxed, since a reader that misses it wakes too early and nothing else.
    is_stale: AtomicBool,
}

#[derive(Debug)]
struct Inner<J> {
    queue: Queue<Fire<J>>,
    closed: bool,
}

impl<J> Timers<J> {
    /// Creates this many queues (at least one) without deadlines.
    pub(crate) fn new(queues: usize) -> Self {
        let queues = (0..queues.max(1)).map(|number| {
            let queue = Queue::new(number as u32);
            CachePadded::new(Mutex::new(Inner {
                queue,
                closed: false,
            }))
        });
        Self {
            queues: queues.collect(),
            next: AtomicWord::new(NEVER),
            is_stale: AtomicBool::new(false),
        }
    }

    /// Adds a deadline to the first queue. It fires after earlier ones of that queue, and after those of the same
    /// time that were inserted before. [`NEVER`] never fires, and a deadline that has passed fires at the next
    /// [`Timers::fire_due`].
    ///
    /// Returns the key, and whether this is the new earliest deadline; then the caller wakes a
    /// thread that sleeps until the old one. Returns `None`, and drops `fire`, if the queues are
    /// closed.
    pub(crate) fn insert(&self, deadline: u64, fire: Fire<J>) -> Option<(TimerKey, bool)> {
        self.insert_at(0, deadline, fire)
    }

    /// As [`insert`](Timers::insert), into the queue with this number, counted round.
    pub(crate) fn insert_at(
        &self,
        number: usize,
        deadline: u64,
        fire: Fire<J>,
    ) -> Option<(TimerKey, bool)> {
        let mut inner = self.queues[number % self.queues.len()].lock();
        if inner.closed {
            drop(inner);
            quietly(|| drop(fire));
            return None;
        }
        let key = inner.queue.insert(deadline, fire);
        let is_next = self.publish(&inner, None);
        Some((key, is_next))
    }

    fn lock(&self, key: TimerKey) -> MutexGuard<'_, Inner<J>> {
        self.queues[key.queue()].lock()
    }

    /// Makes a pending entry wake `waker`. Returns `false` if the entry has fired, was removed, or
    /// is a job, which stays.
    ///
    /// An entry that would wake the same task is left as it is, which saves a clone.
    pub(crate) fn set_waker(&self, key: TimerKey, waker: &Waker) -> bool {
        match self.lock(key).queue.get_mut(key) {
            Some(Fire::Waker(old)) if old.will_wake(waker) => return true,
            Some(Fire::Waker(_)) => {}
            Some(Fire::Job(_)) | None => return false,
        }
        let new = waker.clone();
        let mut inner = self.lock(key);
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
        let mut inner = self.lock(key);
        let before = inner.queue.first();
        let fire = inner.queue.remove(key)?;
        let key = inner.queue.insert(deadline, fire);
        let is_next = self.publish(&inner, before);
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
        let mut inner = self.lock(key);
        let before = inner.queue.first();
        let fire = inner.queue.remove(key)?;
        self.publish(&inner, before);
        Some(fire)
    }

    /// The earliest deadline; `None` if nothing will fire. This is two atomic loads, and more only after a
    /// removal of what was the earliest.
    pub(crate) fn next_deadline(&self) -> Option<u64> {
        let next = if self.is_stale.load(Ordering::Relaxed) {
            self.refresh()
        } else {
            self.next.load(Ordering::Relaxed)
        };
        (next != NEVER).then_some(next)
    }

    /// Whether something may be due at `now`. This is one atomic load. After a `true` in vain,
    /// [`Timers::fire_due`] finds out, and the answer is `false`.
    #[inline]
    pub(crate) fn may_be_due(&self, now: u64) -> bool {
        self.next.load(Ordering::Relaxed) <= now.min(NEVER - 1)
    }

    /// Appends what is due at `now` to `out`, at most `max`: the queues one after another, each in the order of
    /// the deadlines and, for the same time, of insertion. Returns how many; if that is `max`, more may be due.
    /// The caller wakes them. This is one atomic load when nothing is due.
    pub(crate) fn fire_due(&self, now: u64, max: usize, out: &mut Vec<Fire<J>>) -> usize {
        if !self.may_be_due(now) {
            return 0;
        }
        let now = now.min(NEVER - 1);
        let mut count = 0;
        for queue in &self.queues {
            let mut inner = queue.lock();
            count += inner.queue.take_due(now, max - count, out);
            if self.queues.len() == 1 {
                self.publish(&inner, None);
                return count;
            }
            if count == max {
                // The entry that `next` is about may be among what was taken.
                self.is_stale.store(true, Ordering::Relaxed);
                return count;
            }
        }
        self.refresh();
        count
    }

    /// Closes the queues, which then refuse new entries. Returns all pending entries, each queue's in order.
    pub(crate) fn close(&self) -> Vec<Fire<J>> {
        let mut all = Vec::new();
        for queue in &self.queues {
            let mut inner = queue.lock();
            inner.closed = true;
            all.append(&mut inner.queue.drain());
        }
        self.refresh();
        all
    }

    /// The number of pending entries.
    pub(crate) fn len(&self) -> usize {
        self.queues
            .iter()
            .map(|queue| queue.lock().queue.len())
            .sum()
    }

    /// Publishes that a queue has changed, whose first deadline was `before`; `None` after an insertion. Returns
    /// whether its first deadline is earlier than all that were published before.
    #[inline]
    fn publish(&self, inner: &MutexGuard<'_, Inner<J>>, before: Option<u64>) -> bool {
        let first = inner.queue.first().unwrap_or(NEVER);
        let known = self.next.load(Ordering::Relaxed);
        if first < known {
            return self.next.fetch_min(first, Ordering::Relaxed) > first;
        }
        if first > known {
            if self.queues.len() == 1 {
                self.next.swap(first, Ordering::Relaxed);
            } else if before == Some(known) {
                self.is_stale.store(true, Ordering::Relaxed);
            }
        }
        false
    }

    /// Publishes the earliest deadline, and returns it. Locks all queues, in the order of their numbers.
    #[cold]
    fn refresh(&self) -> u64 {
        let all: Vec<_> = self.queues.iter().map(|queue| queue.lock()).collect();
        let firsts = all.iter().filter_map(|inner| inner.queue.first());
        let first = firsts.min().unwrap_or(NEVER);
        self.next.swap(first, Ordering::Relaxed);
        self.is_stale.store(false, Ordering::Relaxed);
        first
    }
}

#[cfg(test)]
#[cfg(not(taskgrove_loom))]
mod tests;
