//! The thread pool: queues, workers, and the loop each of them runs.
//!
//! A worker takes from its own queue; every 61st time from the injector first; when its own queue
//! is empty, from the injector, then from another worker chosen at random. Jobs (the walks of
//! cancellations) go first, one step at a time. With no threads of its own (`workers(0)`), the
//! pool has one core, which the first thread in `block_on` takes.

use crate::idle::{Deadlines, Idle};
use crate::queue::Local;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::sync::{Arc, Parker, SegQueue};
use crate::task::cell::Header;
use crate::task::hub::Counts;
use crate::task::{Hub, Job, Node, Schedule, current};
use crate::timer::Fire;
use crate::tree::finish;
use crate::wait::quietly;
use std::ptr::NonNull;
use std::time::Instant;

/// The injector goes first once in so many polls.
const INJECTOR_EVERY: u32 = 61;
/// Most timers fired in one go.
const TIMER_BATCH: usize = 256;
/// Polls between two looks at the clock, at most.
const CLOCK_EVERY: u32 = 64;

/// One worker's queue and counters. The counters are written by their worker alone.
pub(crate) struct Core {
    queue: Local<Header>,
    polls: AtomicU64,
    steals: AtomicU64,
    parks: AtomicU64,
    jobs: AtomicU64,
    /// Tasks begun less tasks done, on this worker; wraps.
    live: AtomicU64,
}

/// Queues and workers of one runtime.
pub(crate) struct Pool {
    serial: u64,
    /// Threads of its own; with none it has one core all the same.
    threads: usize,
    cores: Box<[Core]>,
    injector: SegQueue<Node>,
    jobs: SegQueue<Job>,
    idle: Idle,
    /// As a core's, for all other threads.
    live_outside: AtomicU64,
    ended: AtomicBool,
    /// Tells whoever waits for the end.
    pub(crate) end: Parker,
    /// Without threads: whether some thread has the core.
    pub(crate) core_taken: AtomicBool,
}

/// Schedule is implemented on a handle of the pool, because the hub owns it.
pub(crate) struct PoolHandle(pub(crate) Arc<Pool>);

fn bump(counter: &AtomicU64, by: u64) {
    // One writer: no read-modify-write needed.
    let now = counter.load(Ordering::Relaxed).wrapping_add(by);
    counter.store(now, Ordering::Relaxed);
}

impl Schedule for PoolHandle {
    fn push(&self, node: Node) {
        match current::worker(self.0.serial) {
            Some(index) => self.0.push_local(index, node),
            None => self.0.inject(node),
        }
    }

    fn born(&self, node: Node) {
        match current::worker(self.0.serial) {
            Some(index) => {
                bump(&self.0.cores[index].live, 1);
                self.0.push_local(index, node);
            }
            None => {
                self.0.live_outside.fetch_add(1, Ordering::Relaxed);
                self.0.inject(node);
            }
        }
    }

    fn ended(&self, count: usize) {
        let less = (count as u64).wrapping_neg();
        match current::worker(self.0.serial) {
            Some(index) => bump(&self.0.cores[index].live, less),
            None => {
                self.0.live_outside.fetch_add(less, Ordering::Relaxed);
            }
        }
    }

    fn job(&self, job: Job) {
        self.0.jobs.push(job);
        self.0.idle.notify();
    }

    fn timer_changed(&self, at: u64) {
        self.0.idle.timer_changed(at);
    }

    fn terminated(&self) {
        self.0.ended.store(true, Ordering::Release);
        self.0.idle.wake_all();
        self.0.end.unpark();
    }

    fn home(&self) -> usize {
        current::worker(self.0.serial).unwrap_or(self.0.cores.len())
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

impl Deadlines for Hub {
    fn next(&self) -> Option<u64> {
        self.timers.next_deadline()
    }

    fn instant(&self, ns: u64) -> Instant {
        self.clock.instant(ns)
    }
}

impl Core {
    fn new() -> Self {
        Core {
            queue: Local::new(),
            polls: AtomicU64::new(0),
            steals: AtomicU64::new(0),
            parks: AtomicU64::new(0),
            jobs: AtomicU64::new(0),
            live: AtomicU64::new(0),
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
            jobs: SegQueue::new(),
            idle: Idle::new(),
            live_outside: AtomicU64::new(0),
            ended: AtomicBool::new(false),
            end: Parker::new(),
            core_taken: AtomicBool::new(false),
        }
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    fn live_tasks(&self) -> u64 {
        self.cores
            .iter()
            .map(|core| core.live.load(Ordering::Relaxed))
            .fold(self.live_outside.load(Ordering::Relaxed), u64::wrapping_add)
    }

    fn inject(&self, node: Node) {
        self.injector.push(node);
        self.idle.notify();
    }

    fn push_local(&self, index: usize, node: Node) {
        let queue = &self.cores[index].queue;
        if let Err(refused) = queue.push(node.address()) {
            let mut half = Vec::with_capacity(queue.len() / 2 + 1);
            queue.take_half(&mut half);
            half.push(refused);
            for address in half {
                self.injector.push(Node::from_address(address));
            }
            self.idle.notify();
        } else if self.idle.can_wake() && queue.len() >= 2 {
            self.idle.notify_local();
        }
    }

    fn has_work(&self) -> bool {
        !self.injector.is_empty()
            || !self.jobs.is_empty()
            || self.cores.iter().any(|core| !core.queue.is_empty())
    }

    /// Sleeps on a thread in `block_on` that runs no tasks, until it is woken or a timer is due.
    pub(crate) fn park_guest(&self, hub: &Hub, parker: &Arc<Parker>, woken: impl FnOnce() -> bool) {
        self.idle.park(parker, false, hub, woken);
        fire_timers(hub, hub.refresh_clock());
    }

    /// Gives the core of a pool without threads back, and lets another thread take it.
    pub(crate) fn release_core(&self) {
        self.core_taken.store(false, Ordering::Release);
        self.idle.wake_guest();
    }

    /// A number that changes as long as any worker gets on.
    pub(crate) fn progress(&self) -> u64 {
        self.cores
            .iter()
            .flat_map(|core| [&core.polls, &core.parks, &core.jobs])
            .fold(0, |sum, count| {
                sum.wrapping_add(count.load(Ordering::Relaxed))
            })
    }
}

/// Wakes and starts what is due.
pub(crate) fn fire_timers(hub: &Hub, now: u64) {
    if hub.timers.next_deadline().is_none_or(|at| at > now) {
        return;
    }
    let mut due = Vec::new();
    while hub.timers.fire_due(now, TIMER_BATCH, &mut due) == TIMER_BATCH {}
    for fire in due {
        match fire {
            Fire::Waker(waker) => quietly(|| waker.wake()),
            Fire::Job(job) => hub.schedule().job(job),
        }
    }
}

/// What a thread has while it is a worker.
pub(crate) struct Worker<'a> {
    pool: &'a Pool,
    hub: &'a Hub,
    index: usize,
    tick: u32,
    /// Polls until the next look at the clock, and between two looks.
    clock_in: u32,
    clock_every: u32,
    last_look: u64,
    random: u64,
    searching: bool,
    /// The worker that is watched, and its polls at the last look.
    watched: (usize, u64),
    parker: Arc<Parker>,
}

impl<'a> Worker<'a> {
    pub(crate) fn new(pool: &'a Pool, hub: &'a Hub, index: usize, parker: Arc<Parker>) -> Self {
        Worker {
            pool,
            hub,
            index,
            tick: 0,
            clock_in: 0,
            clock_every: 1,
            last_look: 0,
            random: 0x9E37_79B9_7F4A_7C15 ^ (index as u64 + 1),
            searching: false,
            watched: (0, 0),
            parker,
        }
    }

    fn core(&self) -> &'a Core {
        &self.pool.cores[self.index]
    }

    /// A thread's whole life as a worker.
    pub(crate) fn run(&mut self) {
        while !self.pool.has_ended() {
            if !self.tick() {
                self.park(|| false);
            }
        }
        self.leave();
    }

    /// Stops being a worker; others may have to do what this one would have done.
    pub(crate) fn leave(&mut self) {
        if std::mem::take(&mut self.searching) {
            self.pool.idle.found(|| self.pool.has_work());
        }
    }

    /// Does one thing; `false` if there was nothing to do.
    pub(crate) fn tick(&mut self) -> bool {
        self.look_at_clock();
        if !self.pool.jobs.is_empty()
            && let Some(job) = self.pool.jobs.pop()
        {
            self.found();
            bump(&self.core().jobs, 1);
            if let Some(rest) = finish::run_job(job) {
                self.pool.jobs.push(rest);
            }
            // Cancelled tasks wait for the walk, others for its steps: take turns.
        }
        let Some(node) = self.next() else {
            return !self.pool.jobs.is_empty();
        };
        self.found();
        let core = self.core();
        if !core.queue.is_empty() {
            self.pool.idle.notify_local();
        }
        bump(&core.polls, 1);
        finish::run(node);
        true
    }

    fn found(&mut self) {
        if std::mem::take(&mut self.searching) {
            self.pool.idle.found(|| self.pool.has_work());
        }
    }

    fn look_at_clock(&mut self) {
        if self.clock_in > 0 {
            self.clock_in -= 1;
            return;
        }
        let now = self.hub.refresh_clock();
        // Often enough for timers, seldom enough to cost nothing: about every 100 us.
        match now.saturating_sub(self.last_look) {
            0..100_000 => self.clock_every = (self.clock_every * 2).min(CLOCK_EVERY),
            200_000.. => self.clock_every = (self.clock_every / 2).max(1),
            _ => {}
        }
        self.last_look = now;
        self.clock_in = self.clock_every;
        fire_timers(self.hub, now);
    }

    fn next(&mut self) -> Option<Node> {
        self.tick = self.tick.wrapping_add(1);
        let queue = &self.core().queue;
        if self.tick.is_multiple_of(INJECTOR_EVERY) {
            if let Some(node) = self.pool.injector.pop() {
                return Some(node);
            }
            if let Some(address) = self.rescue() {
                return Some(Node::from_address(address));
            }
        }
        if let Some(address) = queue.pop() {
            return Some(Node::from_address(address));
        }
        if let Some(node) = self.pool.injector.pop() {
            return Some(node);
        }
        self.steal().map(Node::from_address)
    }

    /// What is queued behind a poll that does not end would wait for it as long as all others are
    /// busy. So each looks, now and then, whether one other gets on, and steals if not.
    fn rescue(&mut self) -> Option<NonNull<Header>> {
        let cores = &self.pool.cores;
        let (victim, seen) = self.watched;
        let stuck = cores[victim].polls.load(Ordering::Relaxed) == seen;
        if stuck
            && victim != self.index
            && let Some((first, count)) = cores[victim].queue.steal_into(&self.core().queue, 32)
        {
            bump(&self.core().steals, count as u64);
            return Some(first);
        }
        let next = (victim + 1) % cores.len();
        self.watched = (next, cores[next].polls.load(Ordering::Relaxed));
        None
    }

    fn steal(&mut self) -> Option<NonNull<Header>> {
        let cores = &self.pool.cores;
        if cores.len() < 2 {
            return None;
        }
        if !self.searching {
            self.searching = true;
            self.pool.idle.search();
        }
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let start = self.random as usize % cores.len();
        for offset in 0..cores.len() {
            let victim = (start + offset) % cores.len();
            if victim == self.index {
                continue;
            }
            let stolen = cores[victim].queue.steal_into(&self.core().queue, 32);
            if let Some((first, count)) = stolen {
                bump(&self.core().steals, count as u64);
                return Some(first);
            }
        }
        None
    }

    /// Sleeps until there is something to do; `woken` is one more reason not to.
    pub(crate) fn park(&mut self, woken: impl FnOnce() -> bool) {
        if !self.searching {
            self.searching = true;
            self.pool.idle.search();
        }
        bump(&self.core().parks, 1);
        let pool = self.pool;
        pool.idle.park(&self.parker, true, self.hub, || {
            woken() || pool.has_ended() || pool.has_work()
        });
        self.clock_in = 0;
    }
}
