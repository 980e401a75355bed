//! The thread pool: queues, workers, and the loop each of them runs.
//!
//! A worker takes from its own queue. Each time it has looked at the clock it looks at the other
//! sources before: the injector (what comes from outside), what full queues gave away, and what is
//! behind a poll of another worker that does not end. These take turns, and at most every second poll
//! is theirs. It looks at the clock every 64 polls at most, and so often that about 100 us pass in
//! between; every second poll if they are longer. So, as long as one source has the turn to itself,
//! what it has first is run after two polls of a worker at most, whatever is in that worker's queue,
//! and after three times as many if all three are never empty. Timers are no exception: where polls
//! are long, a task that a timer wakes comes in through the injector, too.
//!
//! When its own queue is empty, a worker takes from the injector and from what was given away, by
//! turns, then from another worker chosen at random; if there is little to
//! take but more is coming, it waits a moment (`gather`). Jobs (the walks of cancellations) go
//! first, one step at a time. With no threads of its own (`workers(0)`), the pool has one core,
//! which the first thread in `block_on` takes.

mod deadlines;
mod gather;
mod worker;

pub(crate) use worker::Worker;

use deadlines::fire_timers;

use crate::schedule::idle::Idle;
use crate::schedule::queue::Local;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::sync::{Arc, Parker, SegQueue};
use crate::task::cell::Header;
use crate::task::shared::Counts;
use crate::task::{Job, Node, Schedule, Shared, current};

/// One worker's queue and counters. The counters are written by their worker alone.
pub(crate) struct Core {
    queue: Local<Header>,
    polls: AtomicU64,
    steals: AtomicU64,
    parks: AtomicU64,
    jobs: AtomicU64,
    /// Tasks that this worker has spawned, and that it has made done.
    born: AtomicU64,
    ended: AtomicU64,
}

/// Queues and workers of one runtime.
pub(crate) struct Pool {
    serial: u64,
    /// Threads of its own; with none it has one core all the same.
    threads: usize,
    cores: Box<[Core]>,
    injector: SegQueue<Node>,
    /// What a full queue gave away, half a queue at a time.
    overflow: SegQueue<Vec<Node>>,
    jobs: SegQueue<Job>,
    idle: Idle,
    /// As a core's, for all other threads.
    born_outside: AtomicU64,
    ended_outside: AtomicU64,
    ended: AtomicBool,
    /// Tells whoever waits for the end.
    pub(crate) end: Parker,
    /// Without threads: whether some thread has the core.
    pub(crate) core_taken: AtomicBool,
}

/// Schedule is implemented on a handle of the pool, because the shared owns it.
pub(crate) struct PoolHandle(pub(crate) Arc<Pool>);

fn bump(counter: &AtomicU64, by: u64) {
    // One writer: no read-modify-write needed. Released for `Pool::live_tasks`.
    let now = counter.load(Ordering::Relaxed).wrapping_add(by);
    counter.store(now, Ordering::Release);
}

impl Schedule for PoolHandle {
    fn push(&self, node: Node) {
        match current::worker(self.0.serial) {
            Some(index) => self.0.push_local(&self.0.cores[index], node),
            None => self.0.inject(node),
        }
    }

    fn on_spawn(&self, node: Node) {
        match current::worker(self.0.serial) {
            Some(index) => {
                let core = &self.0.cores[index];
                bump(&core.born, 1);
                self.0.push_local(core, node);
            }
            None => {
                self.0.born_outside.fetch_add(1, Ordering::Relaxed);
                self.0.inject(node);
            }
        }
    }

    fn on_done(&self) {
        match current::worker(self.0.serial) {
            Some(index) => self.0.cores[index].on_done(),
            None => {
                self.0.ended_outside.fetch_add(1, Ordering::Release);
            }
        }
    }

    fn undo_done(&self) {
        match current::worker(self.0.serial) {
            Some(index) => bump(&self.0.cores[index].ended, 1_u64.wrapping_neg()),
            None => {
                self.0.ended_outside.fetch_sub(1, Ordering::Release);
            }
        }
    }

    fn job(&self, job: Job) {
        self.0.jobs.push(job);
        self.0.idle.notify();
    }

    fn offer(&self, job: Job) {
        self.0.jobs.push(job);
        match current::worker(self.0.serial) {
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
        self.0.ended.store(true, Ordering::Release);
        self.0.idle.wake_all();
        self.0.end.unpark();
    }

    fn counts(&self) -> Counts {
        let mut counts = Counts {
            workers: self.0.threads,
            live_tasks: self.0.live_tasks(),
            ..Counts::default()
        };
        for core in &self.0.cores {
            counts.polls += core.polls.load(Ordering::Relaxed);
            counts.steals += core.steals.load(Ordering::Relaxed);
            counts.parks += core.parks.load(Ordering::Relaxed);
        }
        counts
    }
}

impl Core {
    /// One less is live. By its worker.
    #[inline]
    fn on_done(&self) {
        bump(&self.ended, 1);
    }

    fn new() -> Self {
        Core {
            queue: Local::new(),
            polls: AtomicU64::new(0),
            steals: AtomicU64::new(0),
            parks: AtomicU64::new(0),
            jobs: AtomicU64::new(0),
            born: AtomicU64::new(0),
            ended: AtomicU64::new(0),
        }
    }
}

impl Pool {
    pub(crate) fn new(serial: u64, threads: usize) -> Self {
        Pool {
            serial,
            threads,
            cores: (0..threads.max(1)).map(|_| Core::new()).collect(),
            injector: SegQueue::new(),
            overflow: SegQueue::new(),
            jobs: SegQueue::new(),
            idle: Idle::new(threads),
            born_outside: AtomicU64::new(0),
            ended_outside: AtomicU64::new(0),
            ended: AtomicBool::new(false),
            end: Parker::new(),
            core_taken: AtomicBool::new(false),
        }
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    #[cfg(taskgrove_loom)]
    pub(crate) fn all_sleep(&self) -> bool {
        self.idle.can_wake()
    }

    /// The ends first: whoever sees a task's end (Acquire, with the Release of its count) sees its
    /// birth, so that there are never more ends than births.
    fn live_tasks(&self) -> u64 {
        let sum = |of: fn(&Core) -> &AtomicU64, outside: &AtomicU64| {
            self.cores
                .iter()
                .fold(outside.load(Ordering::Acquire), |sum, core| {
                    sum.wrapping_add(of(core).load(Ordering::Acquire))
                })
        };
        let ended = sum(|core| &core.ended, &self.ended_outside);
        let born = sum(|core| &core.born, &self.born_outside);
        born.saturating_sub(ended)
    }

    #[inline(never)]
    fn inject(&self, node: Node) {
        self.injector.push(node);
        self.idle.notify();
    }

    /// By the worker whose core that is.
    #[inline]
    fn push_local(&self, core: &Core, node: Node) {
        match core.queue.push(node.address()) {
            Ok(()) => self.idle.pushed_locally(|| core.queue.len()),
            Err(refused) => self.give_away(core, Node::from_address(refused)),
        }
    }

    /// The worker's queue is full.
    #[cold]
    fn give_away(&self, core: &Core, node: Node) {
        let mut half = Vec::with_capacity(core.queue.len() / 2 + 1);
        core.queue.take_half(&mut half);
        half.push(node.address());
        // One item for all of them: item by item the workers would fight over the queue.
        let half = half.into_iter().map(Node::from_address).collect();
        self.overflow.push(half);
        self.idle.notify();
    }

    fn has_work(&self) -> bool {
        !self.injector.is_empty()
            || !self.overflow.is_empty()
            || !self.jobs.is_empty()
            || self.cores.iter().any(|core| !core.queue.is_empty())
    }

    /// Sleeps on a thread in `block_on` that runs no tasks, until it is woken or a timer is due.
    pub(crate) fn park_guest(
        &self,
        shared: &Shared,
        parker: &Arc<Parker>,
        woken: impl Fn() -> bool,
    ) {
        self.idle.park(parker, false, shared, woken);
        fire_timers(shared, shared.refresh_clock(), true, || ());
    }

    /// Gives the core of a pool without threads back, and lets another thread take it.
    pub(crate) fn release_core(&self) {
        self.core_taken.store(false, Ordering::Release);
        self.wake_guest();
    }

    /// Lets a thread in `block_on` that sleeps look whether it can have the core.
    pub(crate) fn wake_guest(&self) {
        self.idle.wake_block_on_thread();
    }

    /// A number that changes as long as any worker gets on: with each poll, each job and each task that
    /// is done (one job may drop a thousand).
    pub(crate) fn progress(&self) -> u64 {
        self.cores
            .iter()
            .flat_map(|core| [&core.polls, &core.jobs, &core.ended])
            .fold(0, |sum, count| {
                sum.wrapping_add(count.load(Ordering::Relaxed))
            })
    }
}

#[cfg(test)]
#[cfg(not(taskgrove_loom))]
mod tests;
