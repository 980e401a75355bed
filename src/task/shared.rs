//! [`Shared`]: what all tasks of one runtime share, and what its scheduler does for them.

use super::heads::Heads;
use super::raw::reference::TaskRef;
use super::raw::rights::{Claimed, Finished, Live, Next, Pin, Queued};
use super::requests::Requests;
use super::state::Level;
use crate::id::TaskId;
use crate::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use crate::sync::{Arc, Life, Mutex, OnceLock};
use crate::timer_queue::{Clock, Timers};
use std::num::NonZeroU64;
use std::panic::Location;

/// A walk over the tree that is done in steps, between which other work runs.
pub(crate) trait Walk: Send {
    /// Does about a thousand tasks. Returns what is left to do, unless others have it.
    fn step(self: Box<Self>) -> Option<Box<dyn Walk>>;
    /// The task it began at.
    fn target(&self) -> TaskId;
}

/// A request for cancellation whose target is marked, and what is below it is not.
pub(crate) struct Cancellation {
    pub(crate) target: Pin,
    pub(crate) level: Level,
    /// The target's grace, as a tag of the walk.
    pub(crate) grace: u64,
    /// When it was requested, on the runtime's clock.
    pub(crate) at_ns: u64,
}

/// Work for a worker that is not a task.
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

/// What a scheduler counts.
#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) workers: usize,
    pub(crate) live_tasks: u64,
    pub(crate) polls: u64,
    pub(crate) steals: u64,
    pub(crate) parks: u64,
}

/// What a scheduler does for the tasks of its runtime. The thread pool and the simulator implement it.
pub(crate) trait Schedule: Send + Sync {
    /// Takes a scheduled task into a queue.
    fn push(&self, task: Queued);
    /// Counts a new task, and takes it into a queue.
    fn on_spawn(&self, task: Queued);
    /// Counts a task as done, just before the step that makes it done.
    fn on_done(&self);
    /// Takes that count back: another thread's step came first, and the task is not done.
    fn undo_done(&self);
    /// Takes a job; it runs on a worker, outside of any task.
    fn job(&self, job: Job);
    /// Takes a job that the calling thread works on as well: no worker is woken for it if an idle
    /// one looks soon.
    fn offer(&self, job: Job) {
        self.job(job);
    }
    /// Whether another thread may run a job while one is in the middle of another.
    fn has_helpers(&self) -> bool {
        false
    }
    /// There is a new earliest deadline.
    fn timer_changed(&self, at: u64);
    /// The last root is done: workers may leave.
    fn terminated(&self);
    fn counts(&self) -> Counts;
    /// Counts work of other threads in (`more`) or out that the scheduler is to wait for.
    fn expect(&self, _more: bool) {}
    /// A thread looks at the tree from now on (`more`), or does no longer.
    fn visit(&self, _more: bool) {}
    /// How many ids a thread draws at once.
    fn id_block(&self) -> u64 {
        64
    }
    /// A number that the simulation's seed determines; `None` where there is no such thing.
    fn random(&self) -> Option<u64> {
        None
    }
    /// A task has panicked.
    fn panicked(&self, _task: Live<'_>, _message: &str) {}
    /// The program was told of a task's panic.
    fn heard(&self, _id: TaskId, _location: &'static Location<'static>) {}
}

/// What all tasks of one runtime share. Kept alive by its workers, its handles and, for the length of
/// a push, by threads that wake a task from outside; and by itself until its last sentinel is done.
pub(crate) struct Shared {
    /// Distinguishes runtimes, also when one is built at another's old address.
    pub(crate) serial: u64,
    pub(crate) clock: Clock,
    /// The clock's milliseconds. Each worker writes it every few polls; a value that is a moment old
    /// is as good, so Relaxed suffices.
    coarse_ms: AtomicU32,
    pub(crate) timers: Timers<Job>,
    /// Before this no sleeper wakes for a timer: many were fired not long ago. A hint, whose
    /// accesses are in `schedule/pool/deadlines.rs`.
    pub(crate) timers_rest_until: AtomicU64,
    pub(crate) track_busy: bool,
    /// Numbers the requests for cancellation: an error is a consequence of one only if its poll began
    /// after it.
    pub(crate) requests: Requests,
    pub(crate) heads: Heads,
    /// Hidden parents of the root tasks: one a worker, and a last one for other threads.
    sentinels: OnceLock<Vec<TaskRef>>,
    /// What keeps the sentinels open until the runtime is shut down.
    sentinel_pins: Mutex<Vec<Pin>>,
    /// Sentinels that are not done. Written before the runtime is known to other threads; each
    /// finisher takes one off (AcqRel), so that the last sees what all did.
    open: AtomicUsize,
    /// Drawn from by any thread; only the number matters, so Relaxed suffices.
    next_id: AtomicU64,
    schedule: OnceLock<Box<dyn Schedule>>,
    /// Itself, until the last sentinel is done: no task outlives it, whatever becomes of its owners.
    own: Mutex<Option<Arc<Shared>>>,
    pub(super) life: Life,
}

/// The thread looks at the tree until this is dropped.
pub(crate) struct Visit<'a>(&'a Shared);

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        self.0.schedule().visit(false);
    }
}

/// Only the number matters, so Relaxed suffices. Not loom's: a static outlives a model's run.
static SERIALS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);

impl Shared {
    pub(crate) fn new(clock: Clock, track_busy: bool) -> Self {
        Self {
            serial: SERIALS.fetch_add(1, std::sync::atomic::Ordering::Relaxed),
            clock,
            coarse_ms: AtomicU32::new(0),
            timers: Timers::new(),
            timers_rest_until: AtomicU64::new(0),
            track_busy,
            requests: Requests::new(),
            heads: Heads::new(),
            sentinels: OnceLock::new(),
            sentinel_pins: Mutex::new(Vec::new()),
            open: AtomicUsize::new(0),
            next_id: AtomicU64::new(1),
            schedule: OnceLock::new(),
            own: Mutex::new(None),
            life: Life::new(),
        }
    }

    /// Sets the scheduler, before anything else uses the runtime.
    pub(super) fn set_schedule(&self, schedule: Box<dyn Schedule>) {
        assert!(self.schedule.set(schedule).is_ok(), "opened once");
    }

    /// Sets the sentinels; from now on the runtime keeps itself until all are done.
    pub(super) fn set_sentinels(this: &Arc<Self>, sentinels: Vec<TaskRef>, pins: Vec<Pin>) {
        this.open.store(sentinels.len(), Ordering::Relaxed);
        assert!(this.sentinels.set(sentinels).is_ok(), "opened once");
        *this.sentinel_pins.lock() = pins;
        *this.own.lock() = Some(this.clone());
    }

    /// Gives back what has kept the sentinels open: they are done with their last children.
    pub(crate) fn release_sentinels(&self) {
        let pins = std::mem::take(&mut *self.sentinel_pins.lock());
        drop(pins);
    }

    /// Leaves to the workers what a step entails.
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

    #[inline]
    pub(crate) fn schedule(&self) -> &dyn Schedule {
        &**self.schedule.get().expect("opened before it is used")
    }

    #[inline]
    pub(super) fn sentinel_refs(&self) -> &[TaskRef] {
        self.sentinels.get().expect("opened before it is used")
    }

    /// Counts a sentinel that is done. After the last one the runtime has ended: returns what kept
    /// it, for the caller to drop.
    #[must_use]
    pub(crate) fn sentinel_done(&self) -> Option<Arc<Shared>> {
        if self.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            return self.own.lock().take();
        }
        None
    }

    /// A block of serial numbers: the first, and the end.
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
        // Every poll and spawn reads the line it is on: written only if it changes.
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
