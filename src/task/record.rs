//! [`Record`]: the state that a service's task, its other tasks, its managers and its contexts share, in one
//! allocation.
//!
//! Any thread reads its counts and flags at any time. The order that matters: a failure is added
//! before `closing` is set; everything is written before `finished` is set; a flag is set before
//! its waiters are woken (and a waiter registers before it looks). So each flag is stored with
//! Release and loaded with Acquire.
//!
//! Managers and contexts own references to the record, and so does the service's task until it is done; the
//! record has a reference to the task. The task's finisher breaks that cycle: it drops the task's reference.

use super::cold::Cold;
use super::raw::header::Borrowed;
use super::raw::reference::{OnceTaskRef, TaskRef};
use super::shared::Shared;
use crate::arena::counted::Counted;
use crate::error::{Failures, TaskFailure};
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::sync::{Arc, Mutex, OnceLock};
use crate::wait_list::WaitList;
use std::borrow::Cow;
use std::mem::offset_of;
use std::time::Duration;

/// The state of one service. Spawning writes its beginning and ends of tasks write its end: they are
/// in cache lines of their own, since workers do the one and the other at the same time.
#[repr(C)]
pub(crate) struct Record {
    /// Tasks spawned. Counted after the task is linked; read for statistics, so Relaxed suffices.
    pub(crate) total: AtomicU64,
    pub(crate) max_children: usize,
    /// Whether it is no child service: it is a root, or was started by `run`, `run_service` or
    /// `background_service`. Its end concerns only its caller, and a cancellation of the tree does not
    /// count as its own. Written before its task is linked, which publishes it: Relaxed.
    pub(crate) independent: AtomicBool,
    ready: AtomicBool,
    closing: AtomicBool,
    /// Whether it was killed by its manager: what is inside protection schedules nothing any more either.
    killed: AtomicBool,
    cancelled: AtomicBool,
    errored: AtomicBool,
    finished: AtomicBool,
    /// Whether it is being cancelled with its parent, or the parent was being cancelled before its end. Written
    /// before `closing` or `finished`, and read after one of them was seen: Relaxed suffices.
    swept: AtomicBool,
    pub(crate) name: Cow<'static, str>,
    /// The service's task, once it is started.
    task: OnceTaskRef,
    /// The runtime, once a manager has asked for it.
    pub(crate) runtime: OnceLock<Arc<Shared>>,
    /// The cold data of the service's task.
    pub(crate) cold: Cold,
    failed: Mutex<Failed>,
    /// The child services whose readiness is a part of this one's, if it is ready with its children.
    pub(crate) ready_children: Option<Box<ReadyChildren>>,
    /// Tasks done. Counted just before the step that makes the task done (Release), so that a thread
    /// that sees the task done sees it counted (Acquire).
    pub(crate) done: AtomicU64,
}

const _: () = assert!(offset_of!(Record, done) - offset_of!(Record, finished) >= 64);

/// The child services that a service waits for until it is ready. Each spawn of a child service adds one; the
/// service's own task takes them.
pub(crate) type ReadyChildren = Mutex<Vec<Counted<Record>>>;

/// The failures of a service.
enum Failed {
    /// None so far.
    Nothing,
    /// The failures so far.
    Open(Vec<TaskFailure>),
    /// All failures, sorted: the answer of `result`.
    Sealed(Failures),
}

impl Record {
    #[inline]
    pub(crate) fn new(
        name: Cow<'static, str>,
        max_children: usize,
        grace: Option<Duration>,
        ready_children: Option<Box<ReadyChildren>>,
    ) -> Self {
        Self {
            name,
            max_children,
            independent: AtomicBool::new(true),
            ready: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            killed: AtomicBool::new(false),
            cancelled: AtomicBool::new(false),
            errored: AtomicBool::new(false),
            finished: AtomicBool::new(false),
            swept: AtomicBool::new(false),
            total: AtomicU64::new(0),
            done: AtomicU64::new(0),
            task: OnceTaskRef::new(),
            runtime: OnceLock::new(),
            cold: Cold::of_service(grace),
            failed: Mutex::new(Failed::Nothing),
            ready_children,
        }
    }

    /// The service's task; `None` before the start. It may be done.
    #[inline]
    pub(crate) fn task(&self) -> Option<Borrowed<'_>> {
        self.task.get()
    }

    /// The wakers of all waits for anything about the service.
    pub(crate) fn waiters(&self) -> &WaitList {
        &self.cold.waiters
    }

    pub(crate) fn is_started(&self) -> bool {
        self.task().is_some()
    }

    #[inline]
    pub(crate) fn is_finished(&self) -> bool {
        self.finished.load(Ordering::Acquire)
    }

    /// Whether it cannot be started any more: its start was refused, or it was dropped before.
    pub(crate) fn was_never_started(&self) -> bool {
        // A start is before the end of what it started: in this order neither is missed.
        self.is_finished() && !self.is_started()
    }

    pub(crate) fn is_running(&self) -> bool {
        self.is_started() && !self.is_finished()
    }

    /// Whether the service is being cancelled, for any reason. It accepts no new tasks then.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// Whether it is cancelled by its own cancel or failure: the answer of `Manager::is_cancelled`.
    pub(crate) fn is_cancelled(&self) -> bool {
        // `closing` is set second. A caller that sees both sees that no task is accepted any more, and that
        // later errors are consequences.
        self.cancelled.load(Ordering::Acquire) && (self.is_closing() || self.is_finished())
    }

    #[inline]
    pub(crate) fn has_errored(&self) -> bool {
        self.errored.load(Ordering::Acquire)
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    /// Notes that the service's task is in the tree; once.
    ///
    /// # Panics
    ///
    /// Panics if the service is started, or if the task is another's.
    pub(crate) fn start(&self, task: TaskRef) {
        assert!(task.is_service_of(self), "another service's task");
        self.task.set(task);
    }

    /// Marks the service as ready. The caller wakes the waiters.
    pub(crate) fn set_ready(&self) {
        self.ready.store(true, Ordering::Release);
    }

    /// Notes that it is cancelled by its own cancel or failure, before it is marked as closing.
    pub(crate) fn set_cancelled(&self) {
        self.cancelled.store(true, Ordering::Release);
    }

    /// Marks the service as being cancelled; `own`: by its own cancel or failure. The caller wakes
    /// the waiters.
    pub(crate) fn mark_closing(&self, own: bool) {
        if own {
            self.set_cancelled();
        }
        self.closing.store(true, Ordering::Release);
    }

    /// Notes that the service is killed, before it is marked as closing.
    pub(crate) fn set_killed(&self) {
        self.killed.store(true, Ordering::Release);
    }

    /// Notes that it is a child service, which is cancelled if an ancestor is.
    #[inline]
    pub(crate) fn set_child(&self) {
        // The publication of the task, which comes later, carries it.
        self.independent.store(false, Ordering::Relaxed);
    }

    /// Whether the service was killed by its manager.
    pub(crate) fn is_killed(&self) -> bool {
        self.killed.load(Ordering::Acquire)
    }

    /// Marks the service as being cancelled because an ancestor is. The caller wakes the waiters.
    pub(crate) fn mark_closing_with_tree(&self) {
        self.swept.store(true, Ordering::Relaxed);
        self.mark_closing(!self.independent.load(Ordering::Relaxed));
    }

    /// Adds a failure. Failures come in any order.
    pub(crate) fn add_failure(&self, failure: TaskFailure) {
        match &mut *self.failed.lock() {
            Failed::Open(failures) => failures.push(failure),
            none => *none = Failed::Open(vec![failure]),
        }
    }

    /// Notes that there is a failure: its own, or one of a child service, which is added when that is done.
    /// Returns whether it is the first.
    pub(crate) fn set_errored(&self) -> bool {
        !self.errored.swap(true, Ordering::AcqRel)
    }

    /// Closes the list of failures, since everything below is done, and returns them.
    #[inline]
    pub(crate) fn seal_failures(&self) -> Option<Failures> {
        if self.has_errored() {
            self.failures()
        } else {
            None
        }
    }

    #[cold]
    fn failures(&self) -> Option<Failures> {
        let mut failed = self.failed.lock();
        if let Failed::Open(failures) = &mut *failed {
            let failures = Failures::new(std::mem::take(failures))?;
            *failed = Failed::Sealed(failures);
        }
        match &*failed {
            Failed::Sealed(failures) => Some(failures.clone()),
            _ => None,
        }
    }

    /// Marks the service as done with everything below it. `swept`: as a part of its parent's cancellation.
    /// The caller wakes the waiters.
    pub(crate) fn finish(&self, swept: bool) {
        if swept {
            self.swept.store(true, Ordering::Relaxed);
        }
        self.finished.store(true, Ordering::Release);
    }

    /// Whether its cancellation, or its end, is a part of its parent's cancellation.
    pub(crate) fn is_swept(&self) -> bool {
        self.swept.load(Ordering::Relaxed)
    }

    /// The failures of a service that is finished.
    pub(crate) fn sealed_failures(&self) -> Option<Failures> {
        match &*self.failed.lock() {
            Failed::Sealed(failures) => Some(failures.clone()),
            _ => None,
        }
    }
}
