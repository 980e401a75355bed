//! [`Shared`]: the state that all tasks of a runtime share; [`Schedule`]: what its scheduler does for them;
//! [`Job`]: what a worker runs besides tasks.

use super::cover::Cover;
use super::crowd::CrowdHook;
use super::heads::Heads;
use super::raw::reference::TaskRef;
use super::raw::rights::{Claimed, Finished, Live, Next, Pin, Queued};
use super::requests::Requests;
use super::room::RoomMark;
use super::state::Level;
use super::watch::Watch;
use crate::id::TaskId;
#[cfg(feature = "net")]
use crate::reactor::Reactor;
use crate::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use crate::sync::{Arc, Life, Mutex, OnceLock, process};
use crate::timer_queue::{Clock, Fire, TimerKey, Timers};
use std::num::NonZeroU64;
use std::panic::Location;
use std::task::Context;

/// A walk over the tree that is done in steps, between which other work runs.
pub(crate) trait Walk: Send {
    /// Works on about a thousand tasks. Returns the rest of the walk; `None` if there is none, or it is in a
    /// queue.
    fn step(self: Box<Self>) -> Option<Box<dyn Walk>>;
    /// The task at which the walk began.
    fn target(&self) -> TaskId;
}

/// A request for cancellation whose target is marked, while the tasks below it are not.
pub(crate) struct Cancellation {
    pub(crate) target: Pin,
    pub(crate) level: Level,
    /// It is about the children of this cover, whose protection has ended. The target itself is being cancelled
    /// already.
    pub(crate) left: Option<Arc<Cover>>,
    /// The target's grace, as a tag (see `tree/grace.rs`).
    pub(crate) grace: u64,
    /// When it was requested, in nanoseconds of the runtime's clock.
    pub(crate) at_ns: u64,
}

/// Work for a worker that is not the poll of a task.
pub(crate) enum Job {
    /// Drops the future of a task.
    Close(Claimed),
    /// Takes a task that is done off its parent.
    Finish(Finished),
    /// Marks what is below the target of a request, and goes on as a walk.
    Cancel(Box<Cancellation>),
    /// Does the next step of a walk.
    Walk(Box<dyn Walk>),
}

impl Job {
    /// The task it is about.
    pub(crate) fn about(&self) -> TaskId {
        match self {
            Job::Close(task) => task.live().id(),
            Job::Finish(task) => task.live().id(),
            Job::Cancel(cancellation) => cancellation.target.live().id(),
            Job::Walk(walk) => walk.target(),
        }
    }
}

/// The counts of a scheduler.
#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) workers: usize,
    pub(crate) live_tasks: u64,
    pub(crate) polls: u64,
    pub(crate) steals: u64,
    pub(crate) parks: u64,
}

/// The scheduler of a runtime, as its tasks use it. The thread pool and the simulator implement it.
pub(crate) trait Schedule: Send + Sync {
    /// Takes a scheduled task into a queue.
    fn push(&self, task: Queued);
    /// Counts a new task, and takes it into a queue.
    fn on_spawn(&self, task: Queued);
    /// As [`on_spawn`](Schedule::on_spawn), of a task whose only poll blocks the thread. Without threads for such
    /// tasks it is polled as any other.
    #[cfg(feature = "blocking")]
    fn on_spawn_blocking(&self, task: Queued) {
        self.on_spawn(task);
    }
    /// Counts a task as done, just before the step that makes it done.
    fn on_done(&self);
    /// Takes that count back: another thread's step came first, and the task is not done.
    fn undo_done(&self);
    /// Takes a job; it runs on a worker, outside of any task.
    fn job(&self, job: Job);
    /// Takes a job that need not run at once, because the calling thread works on the same. It wakes no
    /// worker if an idle one looks at the queue of jobs soon.
    fn offer(&self, job: Job) {
        self.job(job);
    }
    /// Whether another thread may run a job while the calling thread is in the middle of one.
    fn has_helpers(&self) -> bool {
        false
    }
    /// A new earliest deadline was inserted, in nanoseconds of the runtime's clock.
    fn timer_changed(&self, at: u64);
    /// The last root is done: workers may leave.
    fn terminated(&self);
    /// The runtime's sockets.
    ///
    /// # Errors
    ///
    /// Returns the system's error if it has to make the queue of events and cannot, and an error if the
    /// runtime has ended or is a simulation.
    #[cfg(feature = "net")]
    fn reactor(&self) -> std::io::Result<&Arc<Reactor>> {
        let message = "a simulation has no sockets: run this code in a `Runtime`, or hand it another transport";
        Err(std::io::Error::new(
            std::io::ErrorKind::Unsupported,
            message,
        ))
    }
    /// The last root is done: operations on sockets fail from now on. Returns the wakers of the code that
    /// waits for them.
    #[cfg(feature = "net")]
    fn close_sockets(&self) -> Vec<std::task::Waker> {
        Vec::new()
    }
    /// The counts now.
    fn counts(&self) -> Counts;
    /// Counts in (`more`) or out work of another thread for which the scheduler has to wait.
    fn expect(&self, _more: bool) {}
    /// A thread begins (`more`) or ends a walk over the tree that is not a job.
    fn visit(&self, _more: bool) {}
    /// How many ids a thread draws at once.
    fn id_block(&self) -> u64 {
        64
    }
    /// Draws a number that the simulation's seed determines; `None` outside of simulations.
    fn random(&self) -> Option<u64> {
        None
    }
    /// A task has panicked.
    fn panicked(&self, _task: Live<'_>, _message: &str) {}
    /// The program has received a task's panic.
    fn heard(&self, _id: TaskId, _location: &'static Location<'static>) {}
}

/// Blocks threads on futures: what `Handle::block_on` needs of the room that owns the threads.
pub(crate) trait BlockOn: Send + Sync {
    /// Calls `poll`, which polls a future outside of tasks, until it returns `true`: at once, and then each time that
    /// the waker is woken. The calling thread runs the tasks meanwhile, if that is its part.
    fn block_on(&self, shared: &Arc<Shared>, poll: &mut dyn FnMut(&mut Context<'_>) -> bool);
}

/// The state that all tasks of a runtime share. Its workers and handles own it, a thread that wakes a task
/// from outside owns it for the length of the push, and it owns itself until its last sentinel is done.
pub(crate) struct Shared {
    /// Distinguishes runtimes, also when one is built at another's old address.
    pub(crate) serial: u64,
    pub(crate) clock: Clock,
    /// The clock's milliseconds. Each worker writes it every few polls; a value that is a moment old
    /// is as good, so Relaxed suffices.
    coarse_ms: AtomicU32,
    pub(crate) timers: Timers<Job>,
    /// No sleeper wakes for a timer before this time, in nanoseconds of the clock, because many timers were
    /// fired shortly before. `schedule/deadlines.rs` has the accesses.
    pub(crate) timers_rest_until: AtomicU64,
    /// Whether [`watch`](Shared::watch) observes anything in a poll.
    pub(crate) is_watched: bool,
    pub(crate) watch: Watch,
    /// Called when a parent has many children. Set before the runtime is opened.
    pub(crate) crowd: OnceLock<CrowdHook>,
    /// Numbers the requests for cancellation: an error is a consequence of one only if its poll began
    /// after it.
    pub(crate) requests: Requests,
    pub(crate) room_mark: RoomMark,
    pub(crate) heads: Heads,
    /// The sentinels, which are the hidden parents of the root tasks: one for each worker, and a last one for
    /// all other threads.
    sentinels: OnceLock<Vec<TaskRef>>,
    /// The pins that keep the sentinels open until the runtime is shut down.
    sentinel_pins: Mutex<Vec<Pin>>,
    /// The number of sentinels that are not done. Written before the runtime is known to other threads; each
    /// finisher takes one off (AcqRel), so that the last sees what all did.
    open: AtomicUsize,
    /// Drawn from by any thread; only the number matters, so Relaxed suffices.
    next_id: AtomicU64,
    schedule: OnceLock<Box<dyn Schedule>>,
    block_on: OnceLock<Box<dyn BlockOn>>,
    /// A reference to this `Shared`, until the last sentinel is done: so no task outlives it, even if all other
    /// owners are gone.
    own: Mutex<Option<Arc<Shared>>>,
    pub(super) life: Life,
}

/// Announces a walk over the tree until it is dropped; see [`Schedule::visit`].
pub(crate) struct Visit<'a>(&'a Shared);

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        self.0.schedule().visit(false);
    }
}

/// Only the number matters, so Relaxed suffices. Not loom's: a static outlives a model's run.
static SERIALS: process::AtomicU64 = process::AtomicU64::new(1);

impl Shared {
    /// Makes the state of a runtime that is not open yet.
    pub(crate) fn new(clock: Clock, watch: Watch) -> Self {
        Self::with_timer_queues(clock, watch, 1)
    }

    /// As [`new`](Shared::new), with so many queues of timers.
    pub(crate) fn with_timer_queues(clock: Clock, watch: Watch, queues: usize) -> Self {
        Self {
            serial: SERIALS.fetch_add(1, std::sync::atomic::Ordering::Relaxed),
            clock,
            coarse_ms: AtomicU32::new(0),
            timers: Timers::new(queues),
            timers_rest_until: AtomicU64::new(0),
            is_watched: watch.is_any(),
            watch,
            crowd: OnceLock::new(),
            requests: Requests::new(),
            room_mark: RoomMark::new(),
            heads: Heads::new(),
            sentinels: OnceLock::new(),
            sentinel_pins: Mutex::new(Vec::new()),
            open: AtomicUsize::new(0),
            next_id: AtomicU64::new(1),
            schedule: OnceLock::new(),
            block_on: OnceLock::new(),
            own: Mutex::new(None),
            life: Life::new(),
        }
    }

    /// Sets the hook for crowds, before anything else uses the runtime.
    ///
    /// # Panics
    ///
    /// Panics if there is one.
    pub(crate) fn set_crowd_hook(&self, hook: CrowdHook) {
        assert!(self.crowd.set(hook).is_ok(), "set once");
    }

    /// Drops the hook for crowds.
    pub(crate) fn forget_crowd_hook(&self) {
        if let Some(hook) = self.crowd.get() {
            hook.forget();
        }
    }

    /// Sets the scheduler, before anything else uses the runtime.
    pub(super) fn set_schedule(&self, schedule: Box<dyn Schedule>) {
        assert!(self.schedule.set(schedule).is_ok(), "opened once");
    }

    /// Sets what blocks threads on futures, before anything else uses the runtime.
    pub(crate) fn set_block_on(&self, block_on: Box<dyn BlockOn>) {
        assert!(self.block_on.set(block_on).is_ok(), "set once");
    }

    /// Blocks the calling thread on a future; see [`BlockOn::block_on`].
    pub(crate) fn block_on(this: &Arc<Self>, poll: &mut dyn FnMut(&mut Context<'_>) -> bool) {
        let block_on = this.block_on.get().expect("set before it is used");
        block_on.block_on(this, poll);
    }

    /// Sets the sentinels; from now on the runtime keeps itself until all are done.
    ///
    /// # Panics
    ///
    /// Panics if the runtime has sentinels, or if a task is none of this runtime's.
    pub(super) fn set_sentinels(this: &Arc<Self>, sentinels: Vec<TaskRef>, pins: Vec<Pin>) {
        let own = sentinels.iter().all(|task| task.is_sentinel_of(this));
        assert!(own, "the sentinels are this runtime's");
        this.open.store(sentinels.len(), Ordering::Relaxed);
        assert!(this.sentinels.set(sentinels).is_ok(), "opened once");
        *this.sentinel_pins.lock() = pins;
        *this.own.lock() = Some(this.clone());
    }

    /// Whether the runtime has been neither dropped nor shut down.
    pub(crate) fn is_open(&self) -> bool {
        !self.sentinel_pins.lock().is_empty()
    }

    /// Releases the pins of the sentinels, so that each is done after its last child.
    pub(crate) fn release_sentinels(&self) {
        let pins = std::mem::take(&mut *self.sentinel_pins.lock());
        drop(pins);
    }

    /// Queues what a step has asked for, as a task or a job.
    pub(crate) fn leave_to_workers(&self, next: Next) {
        match next {
            Next::Nothing => {}
            Next::Submit(task) => self.schedule().push(task),
            Next::Close(task) => self.schedule().job(Job::Close(task)),
            Next::Finish(task) => self.schedule().job(Job::Finish(task)),
        }
    }

    /// Announces a look at the tree by a thread that may be no worker.
    pub(crate) fn visit(&self) -> Visit<'_> {
        self.schedule().visit(true);
        Visit(self)
    }

    /// Inserts a timer into the queue with this number, and tells the scheduler if that is the earliest deadline.
    /// `None` once the runtime has ended.
    #[inline]
    pub(crate) fn insert_timer(&self, queue: usize, at: u64, fire: Fire<Job>) -> Option<TimerKey> {
        let inserted = self.timers.insert_at(queue, at, fire)?;
        Some(self.announce_timer(inserted, at))
    }

    /// Moves a timer that is pending, as [`insert_timer`](Shared::insert_timer) inserts one.
    pub(crate) fn move_timer(&self, key: TimerKey, at: u64) -> Option<TimerKey> {
        let moved = self.timers.move_to(key, at)?;
        Some(self.announce_timer(moved, at))
    }

    #[inline]
    fn announce_timer(&self, (key, earliest): (TimerKey, bool), at: u64) -> TimerKey {
        if earliest {
            self.schedule().timer_changed(at);
        }
        key
    }

    /// The scheduler.
    #[inline]
    pub(crate) fn schedule(&self) -> &dyn Schedule {
        &**self.schedule.get().expect("opened before it is used")
    }

    #[inline]
    pub(super) fn sentinel_refs(&self) -> &[TaskRef] {
        self.sentinels.get().expect("opened before it is used")
    }

    /// Counts a sentinel that is done, once. With the last one the runtime has ended: this returns the reference
    /// that it had to itself, for the caller to drop.
    #[must_use]
    pub(crate) fn sentinel_done(task: &mut Finished) -> Option<Arc<Shared>> {
        if !task.counts_as_sentinel() {
            return None;
        }
        let shared = task.live().shared();
        if shared.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            return shared.own.lock().take();
        }
        None
    }

    /// Draws a block of `size` ids. Returns the first, and the number after the last.
    pub(crate) fn id_block(&self, size: u64) -> (TaskId, u64) {
        let first = self.next_id.fetch_add(size, Ordering::Relaxed);
        let id = NonZeroU64::new(first).expect("counting from 1");
        (TaskId::from_raw(id), first + size)
    }

    /// Now, in whole milliseconds since the runtime began, as of a few polls ago.
    #[inline]
    pub(crate) fn coarse_now(&self) -> u32 {
        self.coarse_ms.load(Ordering::Relaxed)
    }

    /// Reads the clock, and notes it for [`Shared::coarse_now`].
    pub(crate) fn refresh_clock(&self) -> u64 {
        let now = self.clock.now_ns();
        let ms = (now / 1_000_000) as u32;
        // Every poll and spawn reads this cache line, so it is written only if the value changes.
        if self.coarse_now() != ms {
            self.coarse_ms.store(ms, Ordering::Relaxed);
        }
        now
    }
}

#[cfg(taskgrove_loom)]
impl Drop for Shared {
    fn drop(&mut self) {
        self.life.end();
    }
}
