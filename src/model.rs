//! What the loom models in `loom-tests/` see of the crate's inside: the tasks and the tree behind a
//! scheduler that the model drives ([`World`]), a place that hands a task over ([`Offer`]), the thread pool with loom's threads as its workers
//! ([`Crew`]), the run queue ([`Ring`], [`Place`]), the parker ([`Sleeper`]) and the arena of pages ([`Slots`]).
//!
//! It exists only under `cfg(taskgrove_loom)` and is not part of the API. It guards nothing and lies
//! above all rooms: nothing in the crate uses it. Its own counters are std's atomics, so that loom
//! explores the crate's accesses alone.
#![allow(missing_docs, missing_debug_implementations)]

mod deadlines;
mod offer;
mod ring;
#[cfg(feature = "net")]
mod sockets;

pub use deadlines::Deadlines;
pub use offer::{Offer, Reference};
pub use ring::{Place, Ring};
#[cfg(feature = "net")]
pub use sockets::{Ready, Socket, Sockets};

use crate::arena;
pub use crate::arena::model::{LiveSlot, Slots};
use crate::handle::Handle;
use crate::handle::task::Task;
use crate::schedule::pool::{Pool, PoolHandle};
use crate::schedule::worker::Worker;
use crate::sync::{Arc, Life, Parker, SegQueue};
use crate::task::current::inside::InRuntime;
use crate::task::raw::{Parent, Queued};
use crate::task::shared::Counts;
use crate::task::state::Level;
use crate::task::watch::Watch;
use crate::task::{Job, Schedule, Shared, fitting};
use crate::timer_queue::Clock;
use crate::tree::batch::Batch;
use crate::tree::request::{end_all, request_all};
use crate::tree::{job, poll, spawn};
use std::panic::Location;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Waker;
use std::time::Duration;

/// The queues of a [`World`].
///
/// `live` and `ended` are std's atomics, which loom does not see. They are Relaxed: a model reads them when
/// its threads are joined, and loom runs all threads of a model on one.
struct Queue {
    tasks: SegQueue<Queued>,
    jobs: SegQueue<Job>,
    live: AtomicUsize,
    ended: AtomicBool,
    life: Life,
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.life.end();
    }
}

struct Manual(Arc<Queue>);

impl Schedule for Manual {
    fn push(&self, task: Queued) {
        self.0.tasks.push(task);
        // A pool would look for a worker to unpark now, so the queue has to be there still.
        self.0.life.used();
    }

    fn on_spawn(&self, task: Queued) {
        self.0.live.fetch_add(1, Ordering::Relaxed);
        self.push(task);
    }

    fn on_done(&self) {
        self.0.live.fetch_sub(1, Ordering::Relaxed);
    }

    fn undo_done(&self) {
        self.0.live.fetch_add(1, Ordering::Relaxed);
    }

    fn job(&self, job: Job) {
        self.0.jobs.push(job);
        self.0.life.used();
    }

    fn has_helpers(&self) -> bool {
        true
    }

    fn timer_changed(&self, _at: u64) {}

    fn terminated(&self) {
        self.0.ended.store(true, Ordering::Relaxed);
    }

    fn counts(&self) -> Counts {
        Counts::default()
    }
}

/// The tree, the tasks and the timers of a runtime, with a queue that any thread may work off (jobs first,
/// as in the pool), and a clock that the model moves.
#[derive(Clone)]
pub struct World {
    shared: Arc<Shared>,
    queue: Arc<Queue>,
}

impl World {
    /// Creates the world of a run. A run of a model creates one, before anything else.
    #[allow(clippy::new_without_default, reason = "it has side effects")]
    pub fn new() -> World {
        arena::end_model();
        let shared = Arc::new(Shared::new(Clock::manual(), Watch::default()));
        let queue = Arc::new(Queue {
            tasks: SegQueue::new(),
            jobs: SegQueue::new(),
            live: AtomicUsize::new(0),
            ended: AtomicBool::new(false),
            life: Life::new(),
        });
        Shared::open(&shared, Box::new(Manual(queue.clone())), 1);
        World { shared, queue }
    }

    pub fn handle(&self) -> Handle {
        Handle::new(self.shared.clone())
    }

    /// Calls `f` as code of a worker.
    pub fn as_worker<R>(&self, f: impl FnOnce() -> R) -> R {
        let _in_runtime = InRuntime::enter(self.shared.clone(), Some(0));
        f()
    }

    /// Works the queue off, as a worker.
    pub fn run(&self) {
        let mut done = Batch::default();
        self.as_worker(|| while self.step(&mut done) {});
    }

    /// Does one piece of work, as a worker; returns `false` if there is none.
    pub fn run_one(&self) -> bool {
        let mut done = Batch::default();
        self.as_worker(|| {
            let more = self.step(&mut done);
            done.flush() || more
        })
    }

    /// Polls the tasks that are queued, as workers that took them before a walk was queued.
    pub fn poll_tasks(&self) {
        let mut done = Batch::default();
        self.as_worker(|| while self.poll_one(&mut done) || done.flush() {});
    }

    fn step(&self, done: &mut Batch) -> bool {
        // As a pool's worker does, so that it has no task in hand while user code runs.
        if !self.queue.jobs.is_empty() && done.flush() {
            return true;
        }
        if let Some(job) = self.queue.jobs.pop() {
            if let Some(rest) = job::run(job) {
                self.queue.jobs.push(rest);
            }
            return true;
        }
        self.poll_one(done) || done.flush()
    }

    /// Polls the next task; returns `false` if there is none.
    fn poll_one(&self, done: &mut Batch) -> bool {
        let Some(task) = self.queue.tasks.pop() else {
            return false;
        };
        if !done.waits_for(task.live()) {
            done.flush_quietly();
        }
        let on_done = || self.shared.schedule().on_done();
        poll::run(task, done, on_done, Queued::submit);
        true
    }

    /// Drops the walk that is next in the queue, as the end of a thread would that has it in hand;
    /// returns `false` if there is none.
    pub fn drop_walk(&self) -> bool {
        match self.queue.jobs.pop() {
            Some(Job::Walk(walk)) => {
                drop(walk);
                true
            }
            Some(job) => {
                self.queue.jobs.push(job);
                false
            }
            None => false,
        }
    }

    /// Spawns a child of this task, from any thread.
    #[track_caller]
    pub fn spawn_under<P, F>(&self, parent: &Task<P>, future: F) -> Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let parent = Parent::of(parent.borrowed(), &self.shared);
        self.spawn_with(parent, future, spawn::Options::default())
    }

    /// Spawns a root with a grace period of `ns` nanoseconds, from any thread.
    #[track_caller]
    pub fn spawn_graceful<F>(&self, ns: u64, future: F) -> Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let options = spawn::Options {
            grace: Some(Duration::from_nanos(ns)),
            ..spawn::Options::default()
        };
        self.spawn_with(self.shared.sentinel(None).as_parent(), future, options)
    }

    #[track_caller]
    fn spawn_with<F>(
        &self,
        parent: Parent<'_>,
        future: F,
        options: spawn::Options,
    ) -> Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let place = Location::caller();
        let joined = fitting!(future: F => spawn::raw::<F, _>(parent, future, options, place));
        Task::new(joined, parent)
    }

    /// Moves the clock to this time in nanoseconds, and fires the timers that are due.
    pub fn advance_to(&self, ns: u64) {
        self.shared.clock.advance_to(ns);
        let timers = &self.shared.timers;
        timers.fire(ns, usize::MAX, Waker::wake, |job| self.queue.jobs.push(job));
    }

    /// Returns the number of timers that have not fired.
    pub fn timers(&self) -> usize {
        self.shared.timers.len()
    }

    /// Returns the number of tasks that are not done.
    pub fn live_tasks(&self) -> usize {
        self.queue.live.load(Ordering::Relaxed)
    }

    /// Cancels every task, as `shutdown_timeout` does first.
    pub fn cancel_all(&self) {
        request_all(&self.shared, Level::Cancel);
    }

    /// Kills every task, as the drop of a runtime does first.
    pub fn kill_all(&self) {
        request_all(&self.shared, Level::Kill);
    }

    /// Lets the runtime end when its last task is done, as both do next.
    pub fn close(&self) {
        self.shared.release_sentinels();
    }

    pub fn has_ended(&self) -> bool {
        self.queue.ended.load(Ordering::Relaxed)
    }

    /// Returns the number of live slots of this run.
    pub fn slots() -> usize {
        arena::end_model()
    }

    /// Kills the tasks that are left, works the queue off, and checks that no task, timer or slot is
    /// left. Every other thread, handle and waker has to be gone.
    pub fn end(self) {
        if !self.has_ended() {
            self.kill_all();
            self.close();
            self.run();
        }
        assert!(self.has_ended(), "the last root is not done");
        assert_eq!(self.live_tasks(), 0, "begun and never done");
        assert_eq!(self.timers(), 0, "timers are left");
        drop(self);
        assert_eq!(arena::end_model(), 0, "slots are left");
    }
}

/// Sets whether loom takes the loads of words on this thread for writes (see `loom-tests/README.md`).
pub fn take_loads_for_writes(on: bool) {
    crate::sync::atomic::LOADS_ARE_WRITES.set(on);
}

/// Sets whether, on this thread, a look whether a queue is empty orders nothing. Otherwise it orders
/// as a lock does.
pub fn loosen_queues(on: bool) {
    crate::sync::LOOSE_QUEUES.set(on);
}

/// A parker.
#[derive(Clone)]
pub struct Sleeper(Arc<Parker>);

impl Sleeper {
    #[allow(clippy::new_without_default, reason = "for models only")]
    pub fn new() -> Sleeper {
        Sleeper(Arc::new(Parker::new()))
    }

    pub fn park(&self) {
        assert!(self.0.park(None));
    }

    /// Parks with a deadline that has come; returns whether there was a token.
    pub fn park_no_longer(&self) -> bool {
        self.0.park(Some(std::time::Instant::now()))
    }

    pub fn unpark(&self) {
        self.0.unpark();
    }
}

/// A runtime with a thread pool whose workers are loom's threads.
#[derive(Clone)]
pub struct Crew {
    shared: Arc<Shared>,
    pool: Arc<Pool>,
}

impl Crew {
    /// Creates the runtime of a run. A run of a model creates one, before anything else, and runs each
    /// worker.
    pub fn new(workers: usize) -> Crew {
        arena::end_model();
        let shared = Shared::with_timer_queues(Clock::manual(), Watch::default(), workers + 1);
        let shared = Arc::new(shared);
        let pool = Arc::new(Pool::new(shared.serial, workers));
        Shared::open(&shared, Box::new(PoolHandle(pool.clone())), workers + 1);
        Crew { shared, pool }
    }

    pub fn handle(&self) -> Handle {
        Handle::new(self.shared.clone())
    }

    /// Runs a worker on the calling thread until the runtime ends.
    pub fn work(self, index: usize) {
        let Crew { shared, pool } = self;
        let _in_runtime = InRuntime::enter(shared.clone(), Some(index));
        Worker::new(&pool, &shared, Arc::new(Parker::new())).run();
    }

    /// Returns the runtime's sockets; with the first call it has some.
    #[cfg(feature = "net")]
    pub fn sockets(&self) -> Sockets {
        let reactor = self.shared.schedule().reactor();
        Sockets(reactor.expect("it has not ended").clone())
    }

    /// Returns whether a worker is parked and none searches.
    pub fn all_sleep(&self) -> bool {
        self.pool.all_sleep()
    }

    /// Does what the drop of a runtime does, except for joining the workers.
    pub fn kill(&self) {
        end_all(&self.shared, Level::Kill);
    }

    /// Does what `shutdown_timeout` does, without a timeout.
    pub fn shut_down(&self) {
        end_all(&self.shared, Level::Cancel);
        while !self.pool.has_terminated() {
            self.pool.end.park(None);
        }
    }

    /// Checks that no task or slot is left. Every other thread, handle and waker has to be gone.
    pub fn end(self) {
        assert!(self.pool.has_terminated(), "the last root is not done");
        drop(self);
        assert_eq!(arena::end_model(), 0, "slots are left");
    }
}
