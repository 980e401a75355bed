//! [`Worker`]: the loop that runs jobs and tasks, and sleeps when there are none.
//!
//! In each round a worker reads the clock if that is due, and fires timers; then it does one step of a
//! job, if there is one; then it polls one task, which [`Turns`] or [`Finder`] finds. Jobs come first, since cancelled
//! tasks wait for them; but only one step a round, since other tasks wait for that.
//!
//! With the feature `net` a worker that has nothing to do may wait for the events of sockets, and one that is
//! busy looks for them after some of its readings of the clock ([`sockets`]).
//!
//! Siblings that end one after another on a worker are taken off their parent together, in a
//! [`Batch`]. A worker flushes its batch before it runs anything but another sibling: until then the
//! parent cannot end.

mod back_off;
mod clock;
mod finder;
mod sockets;
mod turns;

use super::cores::OwnCore;
use super::deadlines::fire_timers;
use super::pool::Pool;
use crate::sync::{Arc, Parker};
use crate::task::Shared;
use crate::task::raw::Queued;
use crate::tree::batch::Batch;
use crate::tree::{job, poll};
use clock::ClockLooks;
use finder::Finder;
use sockets::Sockets;
use turns::Turns;

/// What a thread has while it is a worker.
pub(crate) struct Worker<'a> {
    pool: &'a Pool,
    shared: &'a Shared,
    own: OwnCore<'a>,
    finder: Finder<'a>,
    turns: Turns,
    clock: ClockLooks,
    /// Whether the poll after the last reading of the clock was of the shared sources.
    was_shared: bool,
    /// Tasks that are done, and not yet taken off their parent.
    done: Batch,
    parker: Arc<Parker>,
    sockets: Sockets<'a>,
}

impl<'a> Worker<'a> {
    /// What the calling thread has as a worker. It has become one.
    pub(crate) fn new(pool: &'a Pool, shared: &'a Shared, parker: Arc<Parker>) -> Self {
        let own = pool.cores.own().expect("the thread is a worker");
        Worker {
            pool,
            shared,
            own,
            finder: Finder::new(pool, own),
            turns: Turns::default(),
            clock: ClockLooks::new(),
            was_shared: false,
            done: Batch::default(),
            parker,
            sockets: Sockets::new(pool),
        }
    }

    /// Works until the runtime has terminated.
    pub(crate) fn run(&mut self) {
        while !self.pool.has_terminated() {
            if !self.tick() {
                self.park(|| false);
            }
        }
        self.stop_searching();
        // All tasks are done. The jobs that are left wake wakers that run code of the user's.
        while let Some(job) = self.pool.jobs.pop() {
            let _ = job::run(job);
        }
    }

    /// Stops counting as a searching worker.
    pub(crate) fn stop_searching(&mut self) {
        self.finder.stop_searching();
    }

    /// Takes the tasks that are done off their parent, which may run a destructor of the user's. So the
    /// worker must have no task in hand, and stops searching before: no producer may rely on it.
    pub(crate) fn flush(&mut self) {
        if !self.done.is_empty() {
            self.stop_searching();
            self.done.flush();
        }
    }

    /// How many tasks wait for the only worker of a runtime without threads.
    pub(crate) fn queued(&self) -> usize {
        self.own.len() + self.pool.shared_len()
    }

    /// Does one round. Returns `false` if there was nothing to do.
    pub(crate) fn tick(&mut self) -> bool {
        let shared_first = self.clock.is_due(self.shared) && self.serve_clock();
        self.step_job();
        let Some(task) = self.next(shared_first) else {
            if self.done.is_empty() {
                return !self.pool.jobs.is_empty();
            }
            self.flush();
            return true;
        };
        self.stop_searching();
        self.pool.idle.notify_before_poll(|| !self.own.is_empty());
        self.own.counters.polls.add(1);
        if !self.done.waits_for(task.live()) {
            // With a task in hand, a destructor of the user's is left to a job: it may wait for that
            // task, or for as long as it likes.
            self.done.flush_quietly();
        }
        let (pool, own) = (self.pool, self.own);
        poll::run(
            task,
            &mut self.done,
            || own.counters.on_done(),
            |task| pool.push_local(own, task),
        );
        true
    }

    /// Reads the clock and fires what is due. Returns whether the next poll is the shared sources'.
    #[cold]
    fn serve_clock(&mut self) -> bool {
        // At most every second poll is theirs.
        let shared_first = !self.was_shared || self.clock.has_polled_since();
        self.was_shared = false;
        self.flush();
        let now = self.clock.read(self.shared);
        // While timers only wake tasks, the worker counts as searching if it was: it will run the
        // first of them, and look for more. Other wakers are code of the user's.
        let give_away = self.clock.is_slow();
        fire_timers(self.shared, now, give_away, || self.finder.stop_searching());
        if self.sockets.look(self.own.counters.polls.get(), now) {
            (self.sockets).dispatch(give_away, || self.finder.stop_searching());
        }
        shared_first
    }

    /// Does one step of a job, if there is one.
    #[inline]
    fn step_job(&mut self) {
        if !self.pool.jobs.is_empty() {
            self.step_next_job();
        }
    }

    fn step_next_job(&mut self) {
        // Before a job is in hand, since this may run code of the user's.
        self.flush();
        if let Some(job) = self.pool.jobs.pop() {
            self.stop_searching();
            self.own.counters.jobs.add(1);
            if let Some(rest) = job::run(job) {
                self.pool.jobs.push(rest);
            }
        }
    }

    #[inline]
    fn next(&mut self, shared_first: bool) -> Option<Queued> {
        if shared_first && let Some(task) = self.finder.next_shared(self.clock.is_slow()) {
            self.was_shared = true;
            return Some(task);
        }
        let own = if self.own.has_put_next() {
            self.turns.next(self.own)
        } else {
            self.own.pop()
        };
        own.or_else(|| self.finder.next_elsewhere(self.clock.is_slow()))
    }

    /// Sleeps until there is something to do. `woken` is one more reason to stay awake.
    pub(crate) fn park(&mut self, woken: impl Fn() -> bool) {
        self.finder.search();
        self.own.counters.parks.add(1);
        let pool = self.pool;
        let last_look = || woken() || pool.has_terminated() || pool.has_work();
        let events = &mut self.sockets;
        if (pool.idle).park(&self.parker, true, self.shared, events, last_look) {
            // It searches, so what it wakes wakes no other worker.
            (self.sockets).dispatch(false, || self.finder.stop_searching());
        }
        self.clock.slept();
    }
}

#[cfg(test)]
#[cfg(not(taskgrove_loom))]
mod tests;
