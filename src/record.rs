//! The record of a service: what its tasks, its managers and its contexts share.
//!
//! Counts and flags are read by anyone at any time. The order that matters: a failure is pushed
//! before `closing` is set; everything is written before `finished` is set; a flag is set before
//! its waiters are woken (and a waiter registers before it looks).

use crate::error::{Failures, ServiceError, TaskFailure};
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::wait::WaitList;

/// Serial numbers of waiters: a list's slot may be used again.
static WAITS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);

pub(crate) fn wait_serial() -> u64 {
    WAITS.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}

#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) name: Box<str>,
    pub(crate) max_children: usize,
    /// No child service: a root, or started by `run`, `run_service` or `background_service`. Its end
    /// is only its caller's concern, and a cancellation of the tree is not its own.
    pub(crate) independent: AtomicBool,
    started: AtomicBool,
    ready: AtomicBool,
    closing: AtomicBool,
    cancelled: AtomicBool,
    errored: AtomicBool,
    finished: AtomicBool,
    pub(crate) total: AtomicU64,
    pub(crate) done: AtomicU64,
    failures: Mutex<Vec<TaskFailure>>,
    /// What `result` answers, made once.
    outcome: Mutex<Option<Failures>>,
    pub(crate) waiters: WaitList,
}

impl Record {
    pub(crate) fn new(name: Box<str>, max_children: usize) -> Self {
        Self {
            name,
            max_children,
            independent: AtomicBool::new(false),
            started: AtomicBool::new(false),
            ready: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            cancelled: AtomicBool::new(false),
            errored: AtomicBool::new(false),
            finished: AtomicBool::new(false),
            total: AtomicU64::new(0),
            done: AtomicU64::new(0),
            failures: Mutex::new(Vec::new()),
            outcome: Mutex::new(None),
            waiters: WaitList::default(),
        }
    }

    pub(crate) fn is_started(&self) -> bool {
        self.started.load(Ordering::Acquire)
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.finished.load(Ordering::Acquire)
    }

    pub(crate) fn is_running(&self) -> bool {
        self.is_started() && !self.is_finished()
    }

    /// Being cancelled, for whatever reason: nothing new is scheduled.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// Cancelled by itself: what `Manager::is_cancelled` says.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    pub(crate) fn has_errored(&self) -> bool {
        self.errored.load(Ordering::Acquire)
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    /// `false` if it had been started before.
    pub(crate) fn start(&self) -> bool {
        !self.started.swap(true, Ordering::AcqRel)
    }

    pub(crate) fn set_ready(&self) {
        self.ready.store(true, Ordering::Release);
        self.waiters.wake_all();
    }

    /// Marks the service as being cancelled; `own`: by its own cancel or failure. Wakes nobody.
    pub(crate) fn close(&self, own: bool) {
        if own {
            self.cancelled.store(true, Ordering::Release);
        }
        self.closing.store(true, Ordering::Release);
    }

    /// The tree above is being cancelled.
    pub(crate) fn close_with_tree(&self) {
        self.close(!self.independent.load(Ordering::Relaxed));
    }

    pub(crate) fn add_failure(&self, failure: TaskFailure) {
        self.failures.lock().push(failure);
        self.errored.store(true, Ordering::Release);
    }

    /// Everything below is done: no failure comes after this.
    pub(crate) fn close_failures(&self) -> Option<Failures> {
        let failures = Failures::new(std::mem::take(&mut *self.failures.lock()));
        self.outcome.lock().clone_from(&failures);
        failures
    }

    /// Done, with everything below. Wakes nobody.
    pub(crate) fn finish(&self) {
        self.finished.store(true, Ordering::Release);
    }

    /// What came of it; meaningful once finished.
    pub(crate) fn result(&self) -> Result<(), ServiceError> {
        match &*self.outcome.lock() {
            None => Ok(()),
            Some(failures) => Err(ServiceError::Failed(failures.clone())),
        }
    }
}
