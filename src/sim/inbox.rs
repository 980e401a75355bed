//! What other threads hand to a simulation, and how its thread waits for them.
//!
//! The thread that drives a simulation is its only worker. Every other thread may use the
//! simulation as it may use a runtime: take a snapshot, spawn, wake, cancel, keep wakers and
//! handles. None of that may be lost, and the simulation must not conclude that nothing can go on
//! while another thread is in the middle of it.
//!
//! # States
//!
//! The driving thread *steps* while a source has work. With no source ready it *advances*
//! ([`super::advance`]): it concludes that time may pass or that there is a deadlock, or it *parks*.
//!
//! Another thread is *visiting* while it walks the tree for a snapshot, *working* while it has an
//! [`ExternalWork`](super::ExternalWork), and has a task *in its hands* from the step on the task's
//! state word that asks for a push (it has scheduled or claimed the task, or made it done) until
//! that push, and while its pin on the task delays such a step.
//!
//! # Protocol
//!
//! 1. Another thread pushes into the inbox, then unparks the driving thread.
//! 2. A visitor counts itself in before it pins the first task, and out after its last pin is gone and
//!    the push that this asked for is done. (A snapshot of one service pins the service first, since
//!    only the pin gives it the runtime: time may pass between the pin and the count.)
//! 3. A working thread is counted out, then it unparks the driving thread.
//! 4. The driving thread looks at every source after each park and before the next one.
//! 5. Before the driving thread concludes anything, it looks whether work is expected, then at the
//!    sources, then whether a task is in another thread's hands, then at the sources again.
//!
//! # Why no push is lost
//!
//! The interleaving that would lose one: the driving thread finds the inbox empty, another thread
//! pushes and unparks, the driving thread parks. The parker keeps the token of that unpark, so
//! the park returns at once. A park that took the token earlier came before the look that rule 4 asks
//! for, and acquired the push with the token.
//!
//! # Why no conclusion is premature
//!
//! The interleaving that would be wrong: another thread changes a state word, the driving thread finds
//! its sources empty and concludes, the other thread pushes. Between the two the word itself shows
//! it: the task is scheduled, claimed, or done and still linked, although it is in no queue of the
//! driving thread. The look at the tree ([`crate::tree::hands`]) finds such a word, and the driving
//! thread parks instead, until the push unparks it. A pin shows up as well: the look finds a task that
//! would ask for a push if the pins on it were gone.
//!
//! A push may come after the first look at the sources and before the look at the tree, which finds
//! nothing if the visitor has left already. The second look at the sources finds that push.
//!
//! The look at the tree costs time in proportion to the tree. So it is made only before a deadlock
//! is reported, and while there is a visitor before time passes: a simulation in which timers alone
//! are left jumps from one to the next without it. A wake that is under way then lands at a later
//! instant; an event that no [`ExternalWork`](super::ExternalWork) announces may land at any.
//!
//! # The end
//!
//! A `Sim` that is dropped kills every task, steps, and parks where no source has work. A task
//! that is not done by then is in another thread's hands, and the push that follows unparks the
//! driving thread. So no task is left that another thread could touch later.

use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Arc, Parker, SegQueue};
use crate::task::Job;
use crate::task::raw::Queued;

/// A task or a job that another thread has pushed.
pub(super) enum Pushed {
    Task(Queued),
    Job(Job),
}

/// The tasks and jobs that other threads have pushed, how many threads are visiting and working, and
/// the parker of the driving thread.
pub(super) struct Inbox {
    tasks: SegQueue<Queued>,
    jobs: SegQueue<Job>,
    /// The number of living [`ExternalWork`](super::ExternalWork)s.
    ///
    /// The driving thread increments it, the thread that drops the value decrements it, the driving
    /// thread reads it. The increment is Relaxed: its reader is the same thread, and the decrement
    /// follows it because the value is moved to the thread that drops it. The decrement is a Release
    /// and pairs with the Acquire in [`Inbox::expects_work`]: a driving thread that reads 0 sees all
    /// that the working threads have pushed and woken before.
    working: AtomicUsize,
    /// The number of threads that are walking the tree.
    ///
    /// A visitor increments it before its first pin and decrements it after its last push; the
    /// driving thread reads it. The increment is Relaxed: a step of the driving thread that a pin
    /// delays has acquired that pin from the task's state word, and with it the increment that
    /// came before. The decrement is a Release and pairs with the Acquire in
    /// [`Inbox::has_visitors`]: a driving thread that reads 0 sees the visitors' pushes.
    visiting: AtomicUsize,
    /// Unparked by other threads and by the waker of the main future. Its token carries the
    /// order: what a thread did before it unparks is visible after the park.
    parker: Arc<Parker>,
}

impl Inbox {
    pub(super) fn new() -> Self {
        Inbox {
            tasks: SegQueue::new(),
            jobs: SegQueue::new(),
            working: AtomicUsize::new(0),
            visiting: AtomicUsize::new(0),
            parker: Arc::new(Parker::new()),
        }
    }

    pub(super) fn push_task(&self, task: Queued) {
        self.tasks.push(task);
        self.parker.unpark();
    }

    pub(super) fn push_job(&self, job: Job) {
        self.jobs.push(job);
        self.parker.unpark();
    }

    pub(super) fn pop(&self, job_first: bool) -> Option<Pushed> {
        let job = || self.jobs.pop().map(Pushed::Job);
        let task = || self.tasks.pop().map(Pushed::Task);
        if job_first {
            job().or_else(task)
        } else {
            task().or_else(job)
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tasks.is_empty() && self.jobs.is_empty()
    }

    /// Counts an [`ExternalWork`](super::ExternalWork) in, or out.
    pub(super) fn expect(&self, more: bool) {
        if more {
            self.working.fetch_add(1, Ordering::Relaxed);
        } else {
            self.working.fetch_sub(1, Ordering::Release);
            self.parker.unpark();
        }
    }

    /// Returns whether an [`ExternalWork`](super::ExternalWork) is alive.
    pub(super) fn expects_work(&self) -> bool {
        // Pairs with the decrement in `expect`.
        self.working.load(Ordering::Acquire) > 0
    }

    /// Counts a thread that walks the tree in, or out.
    pub(super) fn visit(&self, more: bool) {
        if more {
            self.visiting.fetch_add(1, Ordering::Relaxed);
        } else {
            self.visiting.fetch_sub(1, Ordering::Release);
        }
    }

    /// Returns whether a thread may be walking the tree.
    pub(super) fn has_visitors(&self) -> bool {
        // Pairs with the decrement in `visit`.
        self.visiting.load(Ordering::Acquire) > 0
    }

    /// Blocks the driving thread until it is unparked.
    pub(super) fn park(&self) {
        self.parker.park(None);
    }

    /// Unparks the driving thread, or keeps it from parking next time.
    pub(super) fn unpark(&self) {
        self.parker.unpark();
    }

    pub(super) fn parker(&self) -> &Arc<Parker> {
        &self.parker
    }
}
