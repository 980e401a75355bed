//! [`Pool`]: the queues of one runtime, and the state that its workers share.
//!
//! Each worker has a [`Core`](super::cores::Core): a queue of its own, which other workers steal from,
//! and its counters.
//!
//! All workers share three queues: the *injector*, for tasks from other threads; the *overflow*, for
//! tasks from full queues of workers; and the *jobs*, which are no tasks (a step of a cancellation,
//! wakers that run user code). A thread that pushes to one of them notifies [`Idle`].
//!
//! A runtime with `workers(0)` has one core and no thread for it. A thread in `block_on` takes the
//! core, and is the worker until it leaves.

#[cfg(feature = "net")]
use crate::reactor::{LazyReactor, Reactor};
use crate::schedule::cores::{Cores, OwnCore};
use crate::schedule::deadlines::fire_timers;
use crate::schedule::idle::{Idle, NoQueue};
use crate::schedule::queue;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::sync::{Arc, Parker, SegQueue};
use crate::task::raw::Queued;
use crate::task::shared::Counts;
use crate::task::{Job, Schedule, Shared};

/// The queues and the workers of one runtime.
pub(crate) struct Pool {
    /// The number of threads that the runtime has for its workers. With none there is one core nevertheless.
    threads: usize,
    pub(super) cores: Cores,
    pub(super) injector: SegQueue<Queued>,
    /// Tasks from full queues, half a queue in each item.
    pub(super) overflow: SegQueue<Vec<Queued>>,
    pub(super) jobs: SegQueue<Job>,
    pub(super) idle: Idle,
    /// The sockets, once there was one.
    #[cfg(feature = "net")]
    pub(super) reactor: LazyReactor,
    /// Tasks that threads other than workers have spawned. Relaxed: the push of the task, which
    /// follows, publishes the count with it.
    spawned_outside: AtomicU64,
    /// Tasks that threads other than workers have made done. Each change releases, and
    /// [`live_tasks`](Pool::live_tasks) acquires.
    done_outside: AtomicU64,
    /// Whether the last root task is done. Stored once, with Release, by the thread that made it
    /// done; workers and threads that wait for the end load it with Acquire, and so see all of it. A
    /// sleeper does not miss it: it loads it after it was entered into the list of sleepers, and the
    /// storing thread then takes the list's lock to wake all of them.
    terminated: AtomicBool,
    /// Unparked when the runtime has terminated.
    pub(crate) end: Parker,
    /// Whether a thread has the core of a runtime without threads. The thread that takes the core swaps it with
    /// Acquire, the one that gives it back stores it with Release: the queue changes its owner.
    core_taken: AtomicBool,
}

/// The pool as a scheduler: the runtime's [`Shared`] owns it.
pub(crate) struct PoolHandle(pub(crate) Arc<Pool>);

impl Schedule for PoolHandle {
    fn push(&self, task: Queued) {
        match self.0.cores.own() {
            Some(own) => self.0.push_next(own, task),
            None => self.0.inject(task),
        }
    }

    fn on_spawn(&self, task: Queued) {
        match self.0.cores.own() {
            Some(own) => {
                own.counters.spawned.add(1);
                self.0.push_next(own, task);
            }
            None => {
                self.0.spawned_outside.fetch_add(1, Ordering::Relaxed);
                self.0.inject(task);
            }
        }
    }

    #[cfg(feature = "blocking")]
    fn on_spawn_blocking(&self, task: Queued) {
        match self.0.cores.own() {
            Some(own) => own.counters.spawned.add(1),
            None => {
                self.0.spawned_outside.fetch_add(1, Ordering::Relaxed);
            }
        }
        crate::tree::blocking::hand_to_pool(task);
    }

    fn on_done(&self) {
        match self.0.cores.own() {
            Some(own) => own.counters.on_done(),
            None => {
                self.0.done_outside.fetch_add(1, Ordering::Release);
            }
        }
    }

    fn undo_done(&self) {
        match self.0.cores.own() {
            Some(own) => own.counters.done.add_release(1_u64.wrapping_neg()),
            None => {
                self.0.done_outside.fetch_sub(1, Ordering::Release);
            }
        }
    }

    fn job(&self, job: Job) {
        self.0.jobs.push(job);
        self.0.idle.notify();
    }

    fn offer(&self, job: Job) {
        self.0.jobs.push(job);
        match self.0.cores.own() {
            // As a lone task of this worker's own: a sleeper that watches finds it soon.
            Some(_) => self.0.idle.pushed_locally(|| 1),
            None => self.0.idle.notify(),
        }
    }

    fn has_helpers(&self) -> bool {
        self.0.threads > 1
    }

    fn timer_changed(&self, at: u64) {
        self.0.idle.timer_changed(at);
    }

    fn terminated(&self) {
        self.0.terminated.store(true, Ordering::Release);
        self.0.idle.wake_all();
        self.0.end.unpark();
    }

    #[cfg(feature = "net")]
    fn reactor(&self) -> std::io::Result<&Arc<Reactor>> {
        (self.0.reactor).get_or_make(|| self.0.idle.has_queue())
    }

    #[cfg(feature = "net")]
    fn close_sockets(&self) -> Vec<std::task::Waker> {
        self.0.reactor.close()
    }

    fn counts(&self) -> Counts {
        let mut counts = Counts {
            workers: self.0.threads,
            live_tasks: self.0.live_tasks(),
            ..Counts::default()
        };
        for core in self.0.cores.iter() {
            counts.polls += core.counters.polls.get();
            counts.steals += core.counters.steals.get();
            counts.parks += core.counters.parks.get();
        }
        counts
    }
}

impl Pool {
    /// A pool without threads, for the runtime with this serial number, which has so many.
    pub(crate) fn new(serial: u64, threads: usize) -> Self {
        Pool {
            threads,
            cores: Cores::new(serial, threads.max(1)),
            injector: SegQueue::new(),
            overflow: SegQueue::new(),
            jobs: SegQueue::new(),
            idle: Idle::new(threads),
            #[cfg(feature = "net")]
            reactor: LazyReactor::new(),
            spawned_outside: AtomicU64::new(0),
            done_outside: AtomicU64::new(0),
            terminated: AtomicBool::new(false),
            end: Parker::new(),
            core_taken: AtomicBool::new(false),
        }
    }

    /// Whether the runtime has threads for its workers.
    pub(crate) fn has_threads(&self) -> bool {
        self.threads > 0
    }

    /// Whether the last root task is done.
    pub(crate) fn has_terminated(&self) -> bool {
        self.terminated.load(Ordering::Acquire)
    }

    #[cfg(taskgrove_loom)]
    pub(crate) fn all_sleep(&self) -> bool {
        self.idle.can_wake()
    }

    /// How many tasks are spawned and not done.
    ///
    /// The counts of done tasks are read first, with Acquire: a task's spawn is counted before its
    /// end, so a reader that sees the end sees the spawn, and the difference is never negative.
    fn live_tasks(&self) -> u64 {
        let outside = self.done_outside.load(Ordering::Acquire);
        let cores = self.cores.iter();
        let done = cores.fold(outside, |sum, core| {
            sum.wrapping_add(core.counters.done.acquire())
        });
        // Relaxed: the loads above order these after the counts that they have seen.
        let outside = self.spawned_outside.load(Ordering::Relaxed);
        let cores = self.cores.iter();
        let spawned = cores.fold(outside, |sum, core| {
            sum.wrapping_add(core.counters.spawned.get())
        });
        spawned.saturating_sub(done)
    }

    /// Takes a task from a thread that is no worker.
    #[inline(never)]
    fn inject(&self, task: Queued) {
        self.injector.push(task);
        self.idle.notify();
    }

    /// Puts a task at the end of the calling worker's queue.
    #[inline]
    pub(super) fn push_local(&self, own: OwnCore<'_>, task: Queued) {
        self.pushed(own, own.push(task));
    }

    /// Puts a task that the calling worker's poll has woken or spawned into its queue, or into the place before
    /// that.
    #[inline]
    fn push_next(&self, own: OwnCore<'_>, task: Queued) {
        self.pushed(own, own.push_next(task));
    }

    #[inline]
    fn pushed(&self, own: OwnCore<'_>, pushed: Result<(), Queued>) {
        match pushed {
            Ok(()) => self.idle.pushed_locally(|| own.len()),
            Err(task) => self.give_away(own, task),
        }
    }

    /// Moves half of the calling worker's full queue, and a task that it had no room for, to the
    /// overflow. In one item: task by task, the workers would contend for the overflow.
    #[cold]
    fn give_away(&self, own: OwnCore<'_>, task: Queued) {
        self.overflow.push(own.take_half_and(task));
        self.idle.notify();
    }

    /// How many tasks are in the shared queues, at most: each piece of the overflow counts as if a full queue had given
    /// it away, and what a thread takes from a piece puts back a smaller one. A snapshot.
    pub(super) fn shared_len(&self) -> usize {
        self.injector.len() + self.overflow.len() * (queue::CAPACITY / 2 + 1)
    }

    /// Whether any queue has work: the last look of a worker that goes to sleep.
    pub(super) fn has_work(&self) -> bool {
        !self.injector.is_empty()
            || !self.overflow.is_empty()
            || !self.jobs.is_empty()
            || self.cores.iter().any(|core| !core.is_empty())
    }

    /// Parks a thread in `block_on` that runs no tasks, until `woken` returns `true` and its parker
    /// is unparked, or a timer is due; then fires what is due.
    pub(crate) fn park_block_on_thread(
        &self,
        shared: &Shared,
        parker: &Arc<Parker>,
        woken: impl Fn() -> bool,
    ) {
        (self.idle).park(parker, false, shared, &mut NoQueue, woken);
        fire_timers(shared, shared.refresh_clock(), true, || ());
    }

    /// Wakes a sleeping thread in `block_on`, so that it looks whether it can have the core.
    pub(crate) fn wake_block_on_thread(&self) {
        self.idle.wake_block_on_thread();
    }

    /// Takes the core of a pool without threads; `false` if another thread has it.
    pub(crate) fn take_core(&self) -> bool {
        !self.core_taken.swap(true, Ordering::Acquire)
    }

    /// Gives the core of a pool without threads back, and lets another thread take it.
    pub(crate) fn release_core(&self) {
        self.core_taken.store(false, Ordering::Release);
        self.wake_block_on_thread();
    }

    /// Whether a thread can take the core of a pool without threads.
    ///
    /// Relaxed: the answer is only a reason to call [`take_core`](Pool::take_core), which acquires. A
    /// thread that is about to sleep does not miss that the core is free: it asks after it was
    /// entered into the list of sleepers, and the thread that gives the core back takes the list's
    /// lock after that.
    pub(crate) fn is_core_free(&self) -> bool {
        !self.core_taken.load(Ordering::Relaxed)
    }

    /// A number that changes as long as any worker makes progress: with each poll, each job and each
    /// task that is done (one job may drop a thousand), also on a thread that is no worker.
    pub(crate) fn progress(&self) -> u64 {
        let outside = self.done_outside.load(Ordering::Relaxed);
        self.cores
            .iter()
            .map(|core| &core.counters)
            .flat_map(|counters| [&counters.polls, &counters.jobs, &counters.done])
            .fold(outside, |sum, count| sum.wrapping_add(count.get()))
    }
}
