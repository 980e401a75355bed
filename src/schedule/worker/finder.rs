//! [`Finder`]: where a worker's next task comes from.
//!
//! A worker takes from its own queue, and from the place before it ([`turns`](super::turns)). Besides, there are three *shared sources*: the injector, the
//! overflow, and what is queued behind a poll of another worker that does not end. They take turns:
//!
//! - After each reading of the clock, the next poll is of the shared sources, if one of them has a
//!   task. The clock is read at most every 64 polls, about every 100 us, and before every second poll
//!   where polls are longer. So, while one source alone has tasks, its first task is run after at most
//!   two polls of a worker, whatever is in that worker's own queue; if all three are never empty, after
//!   at most three times as many.
//! - A worker whose own queue is empty takes from the injector or the overflow, by turns, and else
//!   steals from another worker, chosen at random.

use super::back_off::back_off;
use crate::schedule::cores::OwnCore;
use crate::schedule::pool::Pool;
use crate::schedule::queue::STEAL_MAX;
use crate::task::raw::Queued;

/// How many shared sources there are.
const SOURCES: u8 = 3;

/// Finds the tasks that one worker runs.
pub(super) struct Finder<'a> {
    pool: &'a Pool,
    own: OwnCore<'a>,
    index: usize,
    /// The shared source that had the last turn.
    source: u8,
    random: u64,
    /// Whether the worker counts as searching, see [`idle`](crate::schedule::idle).
    searching: bool,
    /// The worker that is looked at for a poll that does not end, and its polls at the last look.
    suspect: (usize, u64),
}

impl<'a> Finder<'a> {
    pub(super) fn new(pool: &'a Pool, own: OwnCore<'a>) -> Self {
        let index = own.index;
        Finder {
            pool,
            own,
            index,
            source: 0,
            random: 0x9E37_79B9_7F4A_7C15 ^ (index as u64 + 1),
            searching: false,
            suspect: (index, 0),
        }
    }

    /// Counts the worker as searching.
    pub(super) fn search(&mut self) {
        if !self.searching {
            self.searching = true;
            self.pool.idle.search();
        }
    }

    /// Counts the worker as active: it has found work, or stops being a worker, and other workers may
    /// have to find what is left.
    #[inline]
    pub(super) fn stop_searching(&mut self) {
        if self.searching {
            self.searching = false;
            self.found();
        }
    }

    #[cold]
    fn found(&self) {
        self.pool.idle.found(|| self.pool.has_work());
    }

    /// The next task of another queue, when the worker's own is empty. `is_slow`: polls are long.
    #[inline(never)]
    pub(super) fn next_elsewhere(&mut self, is_slow: bool) -> Option<Queued> {
        self.source = (self.source + 1) % SOURCES;
        let found = if self.source == 0 {
            self.take_overflow().or_else(|| self.take_injected(is_slow))
        } else {
            self.take_injected(is_slow).or_else(|| self.take_overflow())
        };
        found.or_else(|| self.steal())
    }

    /// A task of the shared sources, which take turns at being first.
    #[cold]
    pub(super) fn next_shared(&mut self, is_slow: bool) -> Option<Queued> {
        for _ in 0..SOURCES {
            self.source = (self.source + 1) % SOURCES;
            let found = match self.source {
                0 => self.take_overflow(),
                1 => self.take_injected(is_slow),
                _ => self.steal_from_stalled(),
            };
            if found.is_some() {
                return found;
            }
        }
        None
    }

    /// A task from the injector. The worker's share of the others goes into its own queue: taken one
    /// by one, the workers and the threads that push would contend for the injector. Tasks do not go
    /// behind many long polls: there the shared sources' next turn comes sooner.
    fn take_injected(&mut self, is_slow: bool) -> Option<Queued> {
        let injector = &self.pool.injector;
        let queued = self.own.len();
        if !self.searching && queued == 0 {
            back_off(|| injector.len());
        }
        let first = injector.pop()?;
        if is_slow && queued >= STEAL_MAX {
            return Some(first);
        }
        let share = injector.len() / self.pool.cores.len();
        for _ in 0..share.min(STEAL_MAX - 1) {
            let Some(task) = injector.pop() else { break };
            if let Err(task) = self.own.push(task) {
                injector.push(task);
                break;
            }
        }
        if share > 0 {
            self.notify();
        }
        Some(first)
    }

    /// The first task of half a queue that was given away. The rest goes into the worker's own queue,
    /// and back to the overflow if there is no room.
    fn take_overflow(&mut self) -> Option<Queued> {
        if self.pool.overflow.is_empty() {
            return None;
        }
        let mut half = self.pool.overflow.pop()?.into_iter();
        let first = half.next()?;
        while let Some(task) = half.next() {
            if let Err(task) = self.own.push(task) {
                let rest = std::iter::once(task).chain(half).collect();
                self.pool.overflow.push(rest);
                break;
            }
        }
        self.notify();
        Some(first)
    }

    /// Notifies sleepers of tasks that were in a shared queue and are in the worker's own now. The
    /// producer may have woken no worker because one was searching; and before a poll that takes long,
    /// a plain look at the sleepers could miss one that found nothing and falls asleep at this moment.
    fn notify(&self) {
        if !self.searching {
            self.pool.idle.notify();
        }
    }

    /// A task from behind a poll that does not end: it would wait as long as the other workers are
    /// busy. So each worker looks at one other now and then, and steals from it if that one has begun
    /// no poll since the last look.
    fn steal_from_stalled(&mut self) -> Option<Queued> {
        let cores = &self.pool.cores;
        let (victim, seen) = self.suspect;
        let is_stalled = cores[victim].counters.polls.get() == seen;
        if is_stalled
            && victim != self.index
            && let Some(task) = self.steal_from(victim)
        {
            self.notify();
            return Some(task);
        }
        let mut next = (victim + 1) % cores.len();
        if next == self.index {
            next = (next + 1) % cores.len();
        }
        self.suspect = (next, cores[next].counters.polls.get());
        None
    }

    fn steal(&mut self) -> Option<Queued> {
        let cores = &self.pool.cores;
        if cores.len() < 2 {
            return None;
        }
        // Once in a search; the work of a worker that was woken has waited long enough.
        let mut may_wait = !self.searching;
        self.search();
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let start = self.random as usize % cores.len();
        for offset in 0..cores.len() {
            let victim = (start + offset) % cores.len();
            if victim == self.index {
                continue;
            }
            let queue = &cores[victim];
            if may_wait && !queue.is_empty() {
                may_wait = false;
                back_off(|| queue.len());
            }
            if let Some(task) = self.steal_from(victim) {
                return Some(task);
            }
        }
        None
    }

    fn steal_from(&self, victim: usize) -> Option<Queued> {
        let victim = &self.pool.cores[victim];
        let (first, count) = self.own.steal_from(victim)?;
        self.own.counters.steals.add(count as u64);
        Some(first)
    }
}
