//! What the models in `loom-tests/` need of the inside: the real code behind a scheduler that is
//! driven by hand ([`World`]), the real thread pool with its workers as loom's threads ([`Crew`]),
//! the run queue by itself ([`Ring`]), and the arena of pages ([`Slots`]).
//!
//! Not part of the API; it exists only under `cfg(taskgrove_loom)`.
#![allow(missing_docs, missing_debug_implementations)]

use crate::arena;
pub use crate::arena::model::{Held, Slots};
use crate::handle::Handle;
use crate::schedule::pool::{Pool, PoolHandle, Worker};
use crate::schedule::queue::Local;
use crate::sync::{Arc, Life, Parker, SegQueue};
use crate::task::cell::TaskRef;
use crate::task::current::InRuntime;
use crate::task::shared::Counts;
use crate::task::state::Level;
use crate::task::{Job, Node, Schedule, Shared, fitting};
use crate::timer::Clock;
use crate::tree::batch::Batch;
use crate::tree::handle::Task;
use crate::tree::{cancel, finish, spawn};
use std::panic::Location;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Waker;

/// The queues of a [`World`]. Counters are no part of what loom explores.
struct Queue {
    tasks: SegQueue<Node>,
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
    fn push(&self, node: Node) {
        self.0.tasks.push(node);
        // As a pool's, which now looks for sleepers.
        self.0.life.used();
    }

    fn on_spawn(&self, node: Node) {
        self.0.live.fetch_add(1, Ordering::Relaxed);
        self.push(node);
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
/// as in the pool),
/// and a clock that stands still.
#[derive(Clone)]
pub struct World {
    shared: Arc<Shared>,
    queue: Arc<Queue>,
}

impl World {
    /// To be made once in each run of a model, first of all.
    #[allow(clippy::new_without_default, reason = "it has cold effects")]
    pub fn new() -> World {
        arena::end_model();
        let shared = Arc::new(Shared::new(Clock::manual(), false));
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

    /// Runs `f` as code of a worker.
    pub fn as_worker<R>(&self, f: impl FnOnce() -> R) -> R {
        let _in_runtime = InRuntime::enter(self.shared.clone(), Some(0));
        f()
    }

    /// As a worker: works the queue off.
    pub fn run(&self) {
        let mut done = Batch::default();
        self.as_worker(|| while self.step(&mut done) {});
    }

    /// As a worker: does one thing; `false` if there is nothing.
    pub fn run_one(&self) -> bool {
        let mut done = Batch::default();
        self.as_worker(|| {
            let more = self.step(&mut done);
            done.flush() || more
        })
    }

    fn step(&self, done: &mut Batch) -> bool {
        // As a pool's worker: nothing is in hand while code of the user's may run.
        if !self.queue.jobs.is_empty() && done.flush() {
            return true;
        }
        if let Some(job) = self.queue.jobs.pop() {
            if let Some(rest) = finish::run_job(job) {
                self.queue.jobs.push(rest);
            }
        } else if let Some(node) = self.queue.tasks.pop() {
            if !done.waits_for(node) {
                done.flush_later();
            }
            finish::run(
                node,
                done,
                || self.shared.schedule().on_done(),
                Node::submit,
            );
        } else {
            return done.flush();
        }
        true
    }

    /// A task below one that its caller has a handle of, from any thread.
    #[track_caller]
    pub fn spawn_under<P, F>(&self, parent: &Task<P>, future: F) -> Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let options = spawn::Options::default();
        let parent = parent.node();
        let place = Location::caller();
        let joined =
            fitting!(future: F => spawn::raw::<F, _>(&self.shared, parent, future, options, place));
        Task::new(joined, parent)
    }

    /// Moves the clock, and fires what is due.
    pub fn advance_to(&self, ns: u64) {
        self.shared.clock.advance_to(ns);
        let timers = &self.shared.timers;
        timers.fire(ns, usize::MAX, Waker::wake, |job| self.queue.jobs.push(job));
    }

    /// Timers that have not fired.
    pub fn timers(&self) -> usize {
        self.shared.timers.len()
    }

    /// Tasks begun and not done.
    pub fn live_tasks(&self) -> usize {
        self.queue.live.load(Ordering::Relaxed)
    }

    /// What `shutdown_timeout` does first.
    pub fn cancel_all(&self) {
        cancel::request_all(&self.shared, Level::Cancel);
    }

    /// What dropping the runtime does first.
    pub fn kill_all(&self) {
        cancel::request_all(&self.shared, Level::Kill);
    }

    /// What both do next.
    pub fn close(&self) {
        cancel::release_sentinels(&self.shared);
    }

    pub fn has_ended(&self) -> bool {
        self.queue.ended.load(Ordering::Relaxed)
    }

    /// Slots of this model that are live.
    pub fn slots() -> usize {
        arena::end_model()
    }

    /// Kills what is left, works it off, and checks that nothing stays behind. Every other thread,
    /// handle and waker has to be gone.
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

/// From now on loads of words on this thread count as writes, or do not any more.
pub fn take_loads_for_writes(on: bool) {
    crate::sync::atomic::LOADS_ARE_WRITES.set(on);
}

/// From now on, on this thread, looking whether the pool's queues are empty orders nothing; or it
/// does, as a lock.
pub fn loosen_queues(on: bool) {
    crate::sync::LOOSE_QUEUES.set(on);
}

/// A counted reference to a task, and nothing else.
#[derive(Clone)]
pub struct Reference(TaskRef);

impl Reference {
    pub fn of<T>(task: &Task<T>) -> Reference {
        Reference(task.node().retain())
    }

    pub fn is_done(&self) -> bool {
        self.0.state.load().is_done()
    }
}

/// What threads sleep on.
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

    /// Until a deadline that has come; says whether there was a token.
    pub fn park_no_longer(&self) -> bool {
        self.0.park(Some(std::time::Instant::now()))
    }

    pub fn unpark(&self) {
        self.0.unpark();
    }
}

/// A runtime as `Runtime` makes one, except that its workers are loom's threads.
#[derive(Clone)]
pub struct Crew {
    shared: Arc<Shared>,
    pool: Arc<Pool>,
}

impl Crew {
    /// To be made once in each run of a model, first of all. Each worker has to be run.
    pub fn new(workers: usize) -> Crew {
        arena::end_model();
        let shared = Arc::new(Shared::new(Clock::manual(), false));
        let pool = Arc::new(Pool::new(shared.serial, workers));
        Shared::open(&shared, Box::new(PoolHandle(pool.clone())), workers + 1);
        Crew { shared, pool }
    }

    pub fn handle(&self) -> Handle {
        Handle::new(self.shared.clone())
    }

    /// A worker's life, on the calling thread.
    pub fn work(self, index: usize) {
        let Crew { shared, pool } = self;
        let _in_runtime = InRuntime::enter(shared.clone(), Some(index));
        Worker::new(&pool, &shared, index, Arc::new(Parker::new())).run();
    }

    /// Whether a worker sleeps and none searches.
    pub fn all_sleep(&self) -> bool {
        self.pool.all_sleep()
    }

    /// What dropping the runtime does, except for joining the workers.
    pub fn kill(&self) {
        cancel::request_all(&self.shared, Level::Kill);
        cancel::release_sentinels(&self.shared);
    }

    /// What `shutdown_timeout` does, with all the time there is.
    pub fn shut_down(&self) {
        cancel::request_all(&self.shared, Level::Cancel);
        cancel::release_sentinels(&self.shared);
        while !self.pool.has_ended() {
            self.pool.end.park(None);
        }
    }

    /// Checks that nothing stays behind, once everybody else is gone.
    pub fn end(self) {
        assert!(self.pool.has_ended(), "the last root is not done");
        drop(self);
        assert_eq!(arena::end_model(), 0, "slots are left");
    }
}

/// The run queue; items are numbers above 0.
pub struct Ring(Local<u8>);

fn item(n: usize) -> NonNull<u8> {
    NonNull::new(std::ptr::without_provenance_mut(n)).expect("not zero")
}

fn number(item: NonNull<u8>) -> usize {
    item.addr().get()
}

impl Ring {
    #[allow(clippy::new_without_default, reason = "for models only")]
    pub fn new() -> Ring {
        Ring(Local::new())
    }

    /// By the owner; gives back what does not fit.
    pub fn push(&self, n: usize) -> Result<(), usize> {
        self.0.push(item(n)).map_err(number)
    }

    /// By the owner.
    pub fn pop(&self) -> Option<usize> {
        self.0.pop().map(number)
    }

    /// By the owner.
    pub fn take_half(&self) -> Vec<usize> {
        let mut half = Vec::new();
        self.0.take_half(&mut half);
        half.into_iter().map(number).collect()
    }

    /// By the owner of `into`: the oldest, and how many were taken in all.
    pub fn steal_into(&self, into: &Ring) -> Option<(usize, usize)> {
        let (first, count) = self.0.steal_into(&into.0, 32)?;
        Some((number(first), count))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
