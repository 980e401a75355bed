//! The record of a service: what its node, its tasks, its managers and its contexts share, in one
//! allocation.
//!
//! Counts and flags are read by anyone at any time. The order that matters: a failure is pushed
//! before `closing` is set; everything is written before `finished` is set; a flag is set before
//! its waiters are woken (and a waiter registers before it looks).
//!
//! Managers and contexts count the record, and so does the node until it is done; the record has a
//! reference to the node. That is no cycle for ever: the node's finisher gives its count up.

use crate::error::{FailureKind, Failures, ServiceError, TaskFailure};
use crate::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};
use crate::sync::{Arc, Mutex};
use crate::task::cell::Header;
use crate::task::cold::Cold;
use crate::task::{Node, Shared, TaskRef, current};
use crate::tree::hold::Hold;
use crate::wait_list::WaitList;
use std::borrow::Cow;
use std::mem::offset_of;
use std::ptr::{NonNull, null_mut};
use std::sync::OnceLock;
use std::time::Duration;

/// What is written as tasks are spawned comes first and what is written as they end last, in
/// cache lines of their own: workers do the one and the other at the same time.
#[repr(C)]
pub(crate) struct Record {
    pub(crate) total: AtomicU64,
    pub(crate) max_children: usize,
    /// No child service: a root, or started by `run`, `run_service` or `background_service`. Its end
    /// is only its caller's concern, and a cancellation of the tree is not its own.
    pub(crate) independent: AtomicBool,
    ready: AtomicBool,
    closing: AtomicBool,
    cancelled: AtomicBool,
    errored: AtomicBool,
    finished: AtomicBool,
    /// It is being cancelled with its parent, or that was being cancelled before its end.
    swept: AtomicBool,
    pub(crate) name: Cow<'static, str>,
    /// The service's node, of which this is a reference; null until the start.
    node: AtomicPtr<Header>,
    shared: OnceLock<Arc<Shared>>,
    /// The cold data of the service's node.
    pub(crate) cold: Cold,
    failed: Mutex<Failed>,
    pub(crate) done: AtomicU64,
}

const _: () = assert!(offset_of!(Record, done) - offset_of!(Record, finished) >= 64);

/// What went wrong.
enum Failed {
    Nothing,
    /// So far.
    Open(Vec<TaskFailure>),
    /// What `result` answers, made once.
    Closed(Failures),
}

impl Record {
    #[inline]
    pub(crate) fn new(
        name: Cow<'static, str>,
        max_children: usize,
        grace: Option<Duration>,
    ) -> Self {
        Self {
            name,
            max_children,
            independent: AtomicBool::new(false),
            ready: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            cancelled: AtomicBool::new(false),
            errored: AtomicBool::new(false),
            finished: AtomicBool::new(false),
            swept: AtomicBool::new(false),
            total: AtomicU64::new(0),
            done: AtomicU64::new(0),
            node: AtomicPtr::new(null_mut()),
            shared: OnceLock::new(),
            cold: Cold::of_service(grace),
            failed: Mutex::new(Failed::Nothing),
        }
    }

    /// The service's node; `None` before the start. It may be done.
    #[inline]
    pub(crate) fn node(&self) -> Option<Node> {
        // Acquire: with the Release of `start`.
        NonNull::new(self.node.load(Ordering::Acquire)).map(Node::from_address)
    }

    /// The runtime of a service that was started, for those outside of it; `None` if its end has
    /// come.
    pub(crate) fn shared(&self) -> Option<&Arc<Shared>> {
        if let Some(shared) = self.shared.get() {
            return Some(shared);
        }
        let held = Hold::on(self.node()?)?;
        Some(self.shared.get_or_init(|| held.shared_arc()))
    }

    /// Those who wait for anything about the service.
    pub(crate) fn waiters(&self) -> &WaitList {
        &self.cold.waiters
    }

    pub(crate) fn is_started(&self) -> bool {
        self.node().is_some()
    }

    #[inline]
    pub(crate) fn is_finished(&self) -> bool {
        self.finished.load(Ordering::Acquire)
    }

    /// Its start was refused, or it was dropped before: it cannot be started any more.
    pub(crate) fn was_never_started(&self) -> bool {
        // A start is before the end of what it started: in this order neither is missed.
        self.is_finished() && !self.is_started()
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
        // Closing comes second: whoever sees this sees that nothing is scheduled any more, and what
        // it ends with from then on is a consequence.
        self.cancelled.load(Ordering::Acquire) && (self.is_closing() || self.is_finished())
    }

    #[inline]
    pub(crate) fn has_errored(&self) -> bool {
        self.errored.load(Ordering::Acquire)
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    /// Its node is in the tree; once.
    pub(crate) fn start(&self, node: TaskRef) {
        // Release: with the Acquire of `node`.
        self.node.store(node.address().as_ptr(), Ordering::Release);
        std::mem::forget(node);
    }

    pub(crate) fn set_ready(&self) {
        self.ready.store(true, Ordering::Release);
        self.waiters().wake_all();
    }

    /// It is cancelled by its own cancel or failure, and is about to be marked as closing.
    pub(crate) fn set_cancelled(&self) {
        self.cancelled.store(true, Ordering::Release);
    }

    /// Marks the service as being cancelled; `own`: by its own cancel or failure. Wakes nobody.
    pub(crate) fn close(&self, own: bool) {
        if own {
            self.set_cancelled();
        }
        self.closing.store(true, Ordering::Release);
    }

    /// The tree above is being cancelled.
    pub(crate) fn close_with_tree(&self) {
        self.swept.store(true, Ordering::Relaxed);
        self.close(!self.independent.load(Ordering::Relaxed));
    }

    /// Adds a failure, which comes in any order.
    pub(crate) fn add_failure(&self, failure: TaskFailure) {
        match &mut *self.failed.lock() {
            Failed::Open(failures) => failures.push(failure),
            none => *none = Failed::Open(vec![failure]),
        }
    }

    /// There is a failure: its own, or one below, which is added when the child service is done.
    /// Whether it is the first.
    pub(crate) fn set_errored(&self) -> bool {
        !self.errored.swap(true, Ordering::AcqRel)
    }

    /// Everything below is done: no failure comes after this.
    #[inline]
    pub(crate) fn close_failures(&self) -> Option<Failures> {
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
            *failed = Failed::Closed(failures);
        }
        match &*failed {
            Failed::Closed(failures) => Some(failures.clone()),
            _ => None,
        }
    }

    /// Done, with everything below; `swept`: as a part of its parent's cancellation. Wakes nobody.
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

    /// What came of it; meaningful once finished. For the program, which is told by this of the
    /// panics that are in it.
    pub(crate) fn result(&self) -> Result<(), ServiceError> {
        if !self.has_errored() {
            return Ok(());
        }
        let failures = match &*self.failed.lock() {
            Failed::Closed(failures) => failures.clone(),
            _ => return Ok(()),
        };
        let error = ServiceError::Failed(failures);
        for cause in error.root_causes() {
            if let FailureKind::Panic(_) = cause.kind() {
                current::heard(cause.task(), cause.location());
            }
        }
        Err(error)
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if let Some(node) = self.node() {
            node.release_reference();
        }
    }
}
