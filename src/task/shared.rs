//! What all tasks of one runtime share, and what a scheduler has to do for them.

use super::ancestry::Heads;
use super::cell::{Node, TaskRef};
use super::current;
use super::requests::Requests;
use super::state::Snapshot;
use super::wakes;
use crate::id::TaskId;
use crate::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use crate::sync::{Arc, Life, Mutex};
use crate::timer::fire::dispatch;
use crate::timer::{Clock, Timers};
use std::num::NonZeroU64;
use std::panic::Location;

/// A walk over the tree that is done in steps, between which other work runs.
pub(crate) trait Walk: Send {
    /// Does about a thousand nodes; what is left to do, unless others have it, comes back.
    fn step(self: Box<Self>) -> Option<Box<dyn Walk>>;
    /// The task it began at.
    fn target(&self) -> TaskId;
}

/// Work for a worker that is not a task.
pub(crate) enum Job {
    /// Drop the future of a task that was claimed.
    Close(Node),
    /// Finish a task that was made done, from the word that said so before.
    Finish(Node, Snapshot),
    /// The next step of a walk.
    Walk(Box<dyn Walk>),
}

impl Job {
    /// The task it is about.
    pub(crate) fn about(&self) -> TaskId {
        match self {
            Job::Close(node) | Job::Finish(node, _) => node.id(),
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

/// Implemented by the thread pool and by the simulator.
pub(crate) trait Schedule: Send + Sync {
    /// Takes a scheduled task into a queue.
    fn push(&self, node: Node);
    /// Takes a new task into a queue.
    fn on_spawn(&self, node: Node);
    /// A task is done, as of the step that follows.
    fn on_done(&self);
    /// It is not: something else came before that step.
    fn undo_done(&self);
    /// Takes a job; it runs on a worker, outside of any task.
    fn job(&self, job: Job);
    /// Takes a job that the calling thread works on as well: nobody is woken for it if one that is
    /// idle looks soon.
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
    /// Work of other threads that the scheduler is to wait for is counted in, or out.
    fn expect(&self, _more: bool) {}
    /// A thread looks at the tree from now on, or does no longer.
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
    fn panicked(&self, _node: Node, _message: &str) {}
    /// The program was told of a task's panic.
    fn heard(&self, _id: TaskId, _location: &'static Location<'static>) {}
}

/// One per runtime; kept alive by its workers, its handles and, for the length of a push, by
/// threads that wake a task from outside.
pub(crate) struct Shared {
    /// Distinguishes runtimes, also when one is built at another's old address.
    pub(crate) serial: u64,
    pub(crate) clock: Clock,
    /// The clock's milliseconds, read every few polls.
    pub(crate) coarse_ms: AtomicU32,
    pub(crate) timers: Timers<Job>,
    /// Before this no sleeper wakes for a timer: many were fired not long ago.
    pub(crate) timers_rest_until: AtomicU64,
    pub(crate) track_busy: bool,
    /// Numbers the requests for cancellation: an error is a consequence of one only if its poll began
    /// after it.
    pub(crate) requests: Requests,
    pub(crate) heads: Heads,
    /// Parents of the roots: one a worker, and a last one for other threads.
    pub(crate) sentinels: std::sync::OnceLock<Box<[TaskRef]>>,
    /// Sentinels not yet done.
    pub(crate) open: AtomicUsize,
    next_id: AtomicU64,
    pub(crate) schedule: std::sync::OnceLock<Box<dyn Schedule>>,
    /// Itself, until the last sentinel is done: no task outlives it, whatever becomes of its owners.
    own: Mutex<Option<Arc<Shared>>>,
    pub(crate) life: Life,
}

/// Until dropped, the thread looks at the tree.
pub(crate) struct Visit<'a>(&'a Shared);

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        self.0.schedule().visit(false);
    }
}

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
            sentinels: std::sync::OnceLock::new(),
            open: AtomicUsize::new(0),
            next_id: AtomicU64::new(1),
            schedule: std::sync::OnceLock::new(),
            own: Mutex::new(None),
            life: Life::new(),
        }
    }

    /// Gives the runtime its scheduler and `count` sentinels.
    pub(crate) fn open(this: &Arc<Self>, schedule: Box<dyn Schedule>, count: usize) {
        assert!(this.schedule.set(schedule).is_ok());
        this.open.store(count, Ordering::Relaxed);
        let sentinels = (0..count).map(|_| TaskRef::sentinel(this)).collect();
        assert!(this.sentinels.set(sentinels).is_ok());
        *this.own.lock() = Some(this.clone());
    }

    /// To be called before a look at the tree by whoever may be no worker.
    pub(crate) fn visit(&self) -> Visit<'_> {
        self.schedule().visit(true);
        Visit(self)
    }

    #[inline]
    pub(crate) fn schedule(&self) -> &dyn Schedule {
        &**self.schedule.get().expect("opened before it is used")
    }

    #[inline]
    pub(crate) fn sentinels(&self) -> &[TaskRef] {
        self.sentinels.get().expect("opened before it is used")
    }

    /// One of the sentinels is done; with the last the runtime has ended. Gives back what kept the
    /// shared, for the caller to drop.
    #[must_use]
    pub(crate) fn sentinel_done(&self) -> Option<Arc<Shared>> {
        if self.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            let mut wakers = Vec::new();
            dispatch(self.timers.close(), |waker| wakers.push(waker), drop);
            wakes::wake_all(wakers);
            self.schedule().terminated();
            return self.own.lock().take();
        }
        None
    }

    /// The parent of roots spawned on this thread.
    #[inline]
    pub(crate) fn home(&self) -> Node {
        let sentinels = self.sentinels();
        *sentinels[current::worker(self.serial).unwrap_or(sentinels.len() - 1)]
    }

    /// A block of serial numbers.
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
