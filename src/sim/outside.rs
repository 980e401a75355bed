//! What threads that are not the simulation's have to do with it.
//!
//! They may do what they may do to any runtime: look, spawn, wake, cancel, keep wakers and handles.
//! Each of these *holds* a task or has *scheduled* it for a moment, and the simulation does not go
//! over that moment as if there were nothing: it sleeps, and what ends the moment wakes it. Three
//! rules:
//!
//! 1. A thread from outside unparks the simulation's *after* it has pushed a task or a job, and
//!    after it was counted out; the simulation looks at all of them *after* its last park. So it
//!    misses nothing.
//! 2. Before it says that nothing can go on, and before the time passes while another thread looks
//!    at the tree, the simulation looks for tasks that are in the hands of another thread
//!    ([`crate::tree::hands`]). Each of them comes with a push.
//! 3. As long as work outside is counted ([`super::ExternalWork`]), it waits instead.
//!
//! Its end waits for the same pushes: every task is done before the simulation is gone, so that
//! nothing is left that a thread from outside could touch.

use super::engine::Engine;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Arc, Parker, SegQueue};
use crate::task::{Job, Node, Shared};
use crate::tree::hands;

/// What came in.
pub(super) enum Landed {
    Task(Node),
    Job(Job),
}

/// What other threads have pushed, how many of them are counted in, and where the simulation's
/// thread waits for them.
pub(super) struct Outside {
    tasks: SegQueue<Node>,
    jobs: SegQueue<Job>,
    /// Work that the simulation waits for.
    expected: AtomicUsize,
    /// Threads that look at the tree.
    visitors: AtomicUsize,
    pub(super) parker: Arc<Parker>,
}

impl Outside {
    pub(super) fn new() -> Self {
        Outside {
            tasks: SegQueue::new(),
            jobs: SegQueue::new(),
            expected: AtomicUsize::new(0),
            visitors: AtomicUsize::new(0),
            parker: Arc::new(Parker::new()),
        }
    }

    pub(super) fn push(&self, node: Node) {
        self.tasks.push(node);
        self.parker.unpark();
    }

    pub(super) fn job(&self, job: Job) {
        self.jobs.push(job);
        self.parker.unpark();
    }

    pub(super) fn take(&self, job_first: bool) -> Option<Landed> {
        let job = || self.jobs.pop().map(Landed::Job);
        let task = || self.tasks.pop().map(Landed::Task);
        if job_first {
            job().or_else(task)
        } else {
            task().or_else(job)
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tasks.is_empty() && self.jobs.is_empty()
    }

    /// Whether work outside is counted.
    pub(super) fn is_expected(&self) -> bool {
        // Acquire: with the Release of `expect`; what was pushed before is seen.
        self.expected.load(Ordering::Acquire) > 0
    }

    /// Counts work in, or out.
    pub(super) fn expect(&self, more: bool) {
        if more {
            self.expected.fetch_add(1, Ordering::Relaxed);
        } else {
            self.expected.fetch_sub(1, Ordering::Release);
            self.parker.unpark();
        }
    }

    /// Counts a thread in that looks at the tree, or out.
    pub(super) fn visit(&self, more: bool) {
        if more {
            self.visitors.fetch_add(1, Ordering::AcqRel);
        } else {
            self.visitors.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

/// What is to be done where nothing is ready.
pub(super) enum Idle {
    /// Look again.
    Again,
    /// Nothing can go on.
    Stuck,
}

impl Engine {
    /// Nothing was ready, at the last look: waits for other threads, or lets the time pass until
    /// the next timer is due. `woken`: whether `block_on`'s future was woken.
    pub(super) fn idle(&self, shared: &Arc<Shared>, woken: impl Fn() -> bool) -> Idle {
        let outside = &self.outside;
        let expected = outside.is_expected();
        if !expected && (woken() || self.has_work(shared)) {
            return Idle::Again;
        }
        if !expected {
            let next = shared.timers.next_deadline();
            let may_wait = next.is_none() || outside.visitors.load(Ordering::Acquire) > 0;
            let wait = may_wait && hands::hold_something(shared);
            if woken() || self.has_work(shared) {
                return Idle::Again;
            }
            if !wait {
                let Some(at) = next else {
                    return Idle::Stuck;
                };
                self.jump(shared, at);
                return Idle::Again;
            }
        }
        outside.parker.park(None);
        Idle::Again
    }
}
